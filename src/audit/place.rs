use std::path::{Path, PathBuf};

use super::error::{Error, Kind};
use crate::key::is_key_name;
use crate::policy::KeyProvider;
use crate::sys::durable::{self, Expected, Refused};

/// Where a log is, and what it is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The directory that holds the database, the keys and the lock; made at first use.
    pub directory: PathBuf,
    /// The first parts of the log's origin: `NAME/HOST`.
    pub name: String,
    /// Who has to hold the log key.
    pub log_key: KeyProvider,
}

/// A place whose directory is there, private, local, and reached without symbolic links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Room {
    directory: PathBuf,
    provider: KeyProvider,
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
            None => Ok(Self { directory, provider: place.log_key }),
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

    pub(super) fn search_index(&self) -> PathBuf {
        self.directory.join("audit.search")
    }

    pub(super) fn ballast(&self) -> PathBuf {
        self.directory.join("audit.ballast")
    }

    /// The mark that keeps everything refused.
    pub(super) fn halt(&self) -> PathBuf {
        self.directory.join("audit.halt")
    }

    /// Who has to hold the log key.
    pub(super) fn provider(&self) -> KeyProvider {
        self.provider
    }

    pub(super) fn log_key(&self) -> PathBuf {
        self.directory.join("log.key")
    }

    /// The record key that the entry `epoch` introduced.
    pub(super) fn record_key(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("record-{epoch}.key"))
    }

    /// All record keys there are, also those that were not written to their end.
    pub(super) fn record_keys(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |error: std::io::Error| Error::at(Kind::Unusable, &self.directory, format!("cannot be listed: {error}"));
        let mut found = Vec::new();
        for file in std::fs::read_dir(&self.directory).map_err(failed)? {
            let name = file.map_err(failed)?.file_name();
            let epoch = name.to_str().and_then(|name| name.strip_prefix("record-")).and_then(|rest| rest.split_once('.'));
            if epoch.is_some_and(|(epoch, kind)| epoch.parse::<u64>().is_ok() && matches!(kind, "key" | "new")) {
                found.push(self.directory.join(name));
            }
        }
        Ok(found)
    }

    /// The mark that a record key is being changed.
    pub(super) fn rotating(&self) -> PathBuf {
        self.directory.join("record.rotating")
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
