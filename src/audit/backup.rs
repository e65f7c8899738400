use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::{Error, Kind};
use super::reader::Reader;
use super::signatures::Signatures;
use super::verify::{Check, Report};
use crate::sys::durable;

impl Reader {
    /// Copies one moment of the log into a new private file, durably, whoever writes meanwhile. The keys are not in it.
    /// The report is what a check of the copy found.
    pub fn backup(&self, path: &Path) -> Result<Report, Error> {
        let failed = |error: std::io::Error| Error::at(Kind::Unusable, path, format!("cannot be written: {error}"));
        // The name is taken first, so that nothing is written over; what stands there is empty until all of it is there.
        durable::create_private(path).map_err(failed)?;
        let mut unfinished = path.to_owned().into_os_string();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let report = self.copy(&unfinished);
        let moved = report.and_then(|report| durable::rename(&unfinished, path).map_err(failed).map(|()| report));
        if moved.is_err() {
            // A part of a log is worth nothing.
            let _ = (durable::remove(&unfinished), durable::remove(path));
        }
        moved
    }

    fn copy(&self, unfinished: &Path) -> Result<Report, Error> {
        let failed = |error: std::io::Error| Error::at(Kind::Unusable, unfinished, format!("cannot be written: {error}"));
        durable::create_private(unfinished).map_err(failed)?;
        let Some(name) = unfinished.to_str() else {
            return Err(Error::at(Kind::Unusable, unfinished, "is a name that SQLite cannot take"));
        };
        self.connection().execute("VACUUM INTO ?1", [name]).map_err(|error| Error::sqlite(unfinished, &error))?;
        File::open(unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
        // Each signature was there before, and the signed end vouches for every byte.
        Self::open(unfinished)?.verify(&Check { signatures: Signatures::None, ..Check::default() })
    }
}
