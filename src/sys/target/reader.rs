//! Reads the tools' own files: small regular ones only, and remembers what they held.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::request::Fact;

/// No file that a tool keeps its target in is larger.
const LIMIT: u64 = 1 << 20;

/// Collects the files that a fact was read from.
#[derive(Default)]
pub(super) struct Reader {
    files: Vec<(PathBuf, [u8; 32])>,
}

impl Reader {
    /// The bytes of a file; none where there is no such file.
    pub(super) fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let bytes = read(path)?;
        if let Some(bytes) = &bytes {
            self.remember(path, bytes);
        }
        Ok(bytes)
    }

    /// Adds a file that was read to those that the fact came from.
    pub(super) fn remember(&mut self, path: &Path, bytes: &[u8]) {
        if !self.files.iter().any(|(seen, _)| seen == path) {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
            self.files.push((path.to_owned(), sha256));
        }
    }

    /// A fact with these values, read from the files so far; absent where there are no values.
    pub(super) fn fact(self, mut values: Vec<String>) -> Fact {
        let mut seen = std::collections::HashSet::new();
        values.retain(|value| seen.insert(value.clone()));
        if values.is_empty() { Fact::Absent } else { Fact::Known { values, files: self.files } }
    }
}

/// Reads a whole file; a FIFO, device, directory or a file over the limit is an error in words.
pub(in crate::sys) fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let said = |error: &io::Error| format!("`{}` cannot be read: {error}", path.display());
    let regular = |metadata: &fs::Metadata| match metadata {
        file if !file.is_file() => Err(format!("`{}` is not a regular file", path.display())),
        file if file.len() > LIMIT => Err(format!("`{}` is larger than 1 MB", path.display())),
        _ => Ok(()),
    };
    // Looked at before it is opened, because opening a device can do something.
    match fs::metadata(path) {
        Ok(metadata) => regular(&metadata)?,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(said(&error)),
    }
    // Another file may stand there by now: a FIFO must not block, a terminal must not become ours.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file: File = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(said(&error)),
    };
    let metadata = file.metadata().map_err(|error| said(&error))?;
    regular(&metadata)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    // A file may grow while it is read.
    if bytes.len() as u64 > LIMIT {
        return Err(format!("`{}` is larger than 1 MB", path.display()));
    }
    Ok(Some(bytes))
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
