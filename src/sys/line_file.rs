//! A file that only grows, by whole lines, and that others may read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A line is looked for in at most so many bytes before the end.
const LONGEST: u64 = 4 * 1024 * 1024;

/// A file of lines, locked while this stands.
#[derive(Debug)]
pub struct LineFile {
    file: File,
}

/// The end of such a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The last whole line, without its end.
    pub last: Option<Vec<u8>>,
    /// What follows it: the beginning of a line that was not finished.
    pub half: Vec<u8>,
    /// Where the half line begins.
    pub at: u64,
}

impl LineFile {
    /// Opens the file, or makes it for its owner alone. A link, a foreign owner, and a file that others may write are refused in words.
    pub fn open(path: &Path) -> Result<Self, String> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path);
        let file = file.map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => "it is a symbolic link".to_owned(),
            _ => format!("it cannot be opened: {error}"),
        })?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let own = nix::unistd::geteuid().as_raw();
        if metadata.uid() != own {
            return Err(format!("it belongs to uid {}, and gate runs as uid {own}", metadata.uid()));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(format!("others may write it (mode {:04o})", metadata.mode() & 0o7777));
        }
        // A file that was made just now has to be there after a power cut as well.
        if metadata.len() == 0
            && let Some(directory) = path.parent()
        {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| error.to_string())?;
        }
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err("another process writes to it".to_owned()),
            Err(TryLockError::Error(error)) => Err(format!("it cannot be locked: {error}")),
        }
    }

    /// Reads the end of the file.
    pub fn tail(&mut self) -> Result<Tail, String> {
        let failed = |error: std::io::Error| format!("it cannot be read: {error}");
        let size = self.file.metadata().map_err(failed)?.len();
        let from = size.saturating_sub(LONGEST);
        self.file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut end = Vec::new();
        (&self.file).take(LONGEST).read_to_end(&mut end).map_err(failed)?;
        let Some(last) = end.iter().rposition(|byte| *byte == b'\n') else {
            return if from == 0 { Ok(Tail { last: None, half: end, at: 0 }) } else { Err("it does not hold lines".to_owned()) };
        };
        let begin = match end[..last].iter().rposition(|byte| *byte == b'\n') {
            Some(before) => before + 1,
            None if from == 0 => 0,
            None => return Err("it does not hold lines".to_owned()),
        };
        Ok(Tail { last: Some(end[begin..last].to_vec()), half: end[last + 1..].to_vec(), at: from + last as u64 + 1 })
    }

    /// Cuts off what follows this place.
    pub fn cut(&mut self, at: u64) -> Result<(), String> {
        self.file.set_len(at).and_then(|()| self.file.sync_all()).map_err(|error| format!("it cannot be cut: {error}"))
    }

    /// Adds lines, durably.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        self.file.write_all(lines).and_then(|()| self.file.sync_all()).map_err(|error| format!("it cannot be written: {error}"))
    }
}
