use std::fmt;
use std::path::Path;

use crate::record::NotARecord;

/// What kind of failure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file or directory is missing, unsafe, or cannot be used.
    Unusable,
    /// Another process holds the log.
    Locked,
    /// There is no room to write.
    Full,
    /// The database is not a log, or damaged.
    Damaged,
    /// A newer gate made it.
    Newer,
    /// A key does not fit the log.
    Key,
    /// The grant was used before.
    Used,
    /// A record cannot be written as it is.
    Record,
    /// What was asked of the log is not to be done.
    Refused,
    /// The log failed before, and somebody has to look first.
    Halted,
}

/// Why the log could not be read or written. Nothing runs after one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Error {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(super) fn at(kind: Kind, path: &Path, what: impl fmt::Display) -> Self {
        Self::new(kind, format!("`{}` {what}", path.display()))
    }

    /// No entry can be written without the time.
    pub fn clock(error: &std::io::Error) -> Self {
        Self::new(Kind::Unusable, format!("the clock cannot be read: {error}"))
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what SQLite said in words that name the file.
    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        const SHARED_MEMORY_SIZE: i32 = 4874;
        let Some(code) = error.sqlite_error() else {
            return Self::at(Kind::Damaged, path, format!("is not a log of gate's: {error}"));
        };
        match code.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::locked(path),
            ErrorCode::DiskFull => Self::full(path),
            _ if code.extended_code == SHARED_MEMORY_SIZE => Self::full(path),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Self::at(Kind::Damaged, path, format!("is damaged: {error}"))
                .hint("keep the file as it is; `gate audit verify` says what still holds, and a moved file lets gate start a new log"),
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::at(Kind::Unusable, path, format!("cannot be written: {error}"))
            }
            _ => Self::at(Kind::Unusable, path, format!("cannot be used: {error}")),
        }
    }

    pub(super) fn locked(path: &Path) -> Self {
        Self::at(Kind::Locked, path, "is held by another process, which did not let go within 10 seconds")
            .hint(format!("`fuser {}` names it; a stopped one goes on after `kill -CONT PID`", path.display()))
    }

    pub(super) fn full(path: &Path) -> Self {
        Self::at(Kind::Full, path, "cannot be written: the disk is full")
            .hint("gate runs nothing that it cannot record; make room and try again")
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What may help.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit log: {}", self.message)
    }
}

impl std::error::Error for Error {}

impl From<NotARecord> for Error {
    fn from(wrong: NotARecord) -> Self {
        Self::new(Kind::Record, format!("a record cannot be written: {wrong}"))
    }
}
