use std::path::{Path, PathBuf};

use super::error::{Error, Kind};
use crate::key::is_key_name;
use crate::sys::durable::{self, Expected, Refused};

/// Where a log is, and what it is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The directory that holds the database, the keys and the lock; made at first use.
    pub directory: PathBuf,
    /// The first parts of the log's origin: `NAME/HOST`.
    pub name: String,
}

/// A place whose directory is there, private, local, and reached without symbolic links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Room {
    directory: PathBuf,
}

impl Room {
    /// Checks the directory, and makes it where it is missing.
    pub(super) fn prepare(place: &Place) -> Result<Self, Error> {
        if !is_key_name(&place.name) {
            return Err(Error::new(Kind::Unusable, format!("a log cannot be called `{}`", place.name)));
        }
        let named = &place.directory;
        let failed = |what: &str, error: &dyn std::fmt::Display| Error::at(Kind::Unusable, named, format!("{what}: {error}"));
        if std::fs::symlink_metadata(named).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            durable::make_directory(named).map_err(|error| failed("cannot be made", &error))?;
        }
        // SQLite refuses a path with a symbolic link anywhere in it, and homes may stand behind one.
        let directory = std::fs::canonicalize(named).map_err(|error| failed("cannot be reached", &error))?;
        durable::inspect(&directory, Expected::Directory).map_err(|refused| unsafe_path(&directory, refused))?;
        match durable::network_file_system(&directory).map_err(|error| failed("cannot be examined", &error))? {
            Some(name) => {
                let message = format!("stands on a network file system ({name}), where a commit is not durable");
                Err(Error::at(Kind::Unusable, &directory, message).hint("let the state directory be on a local disk"))
            }
            None => Ok(Self { directory }),
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("audit.db")
    }

    pub(super) fn write_ahead(&self) -> PathBuf {
        self.directory.join("audit.db-wal")
    }

    pub(super) fn unfinished(&self) -> PathBuf {
        self.directory.join("audit.db.new")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.directory.join("audit.lock")
    }

    pub(super) fn ballast(&self) -> PathBuf {
        self.directory.join("audit.ballast")
    }

    pub(super) fn log_key(&self) -> PathBuf {
        self.directory.join("log.key")
    }

    /// The record key that the entry `epoch` introduced.
    pub(super) fn record_key(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("record-{epoch}.key"))
    }
}

/// Says why a path is not used.
pub(super) fn unsafe_path(path: &Path, refused: Refused) -> Error {
    match refused {
        Refused::Absent => Error::at(Kind::Unusable, path, "is missing".to_owned()),
        Refused::Unsafe(reason) => Error::at(Kind::Unusable, path, format!("is not safe to use: {reason}")),
        Refused::Io(error) => Error::at(Kind::Unusable, path, format!("cannot be used: {error}")),
    }
}
