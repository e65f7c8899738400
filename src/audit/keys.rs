use std::path::Path;

use ring::rand::SystemRandom;

use super::error::{Error, Kind};
use super::head::Head;
use super::place::{Room, unsafe_path};
use crate::key::{PublicKey, SigningKey};
use crate::sys::durable::{self, Refused};

const MAX_KEY_FILE: u64 = 4096;

/// The keys that sign: the log key checkpoints, the record key (one for each epoch) records.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) log: SigningKey,
    pub(super) record: SigningKey,
    epoch: u64,
}

impl Keys {
    /// Reads the keys that the log's head names; other keys than those are refused.
    pub(super) fn load(room: &Room, head: &Head) -> Result<Self, Error> {
        let log = read(&room.log_key(), Some(head.log_key.public()))?;
        let record = read(&room.record_key(head.epoch), Some(head.record_key.public()))?;
        Ok(Self { log, record, epoch: head.epoch })
    }

    /// Takes the keys of a directory without a log, or makes them in memory; false where the log key was there before.
    pub(super) fn first(room: &Room) -> Result<(Self, Unwritten), Error> {
        let mut unwritten = Unwritten::default();
        let log = read_or_make(&room.log_key(), &mut unwritten.log)?;
        let record = read_or_make(&room.record_key(0), &mut unwritten.record)?;
        Ok((Self { log, record, epoch: 0 }, unwritten))
    }

    /// Whether these are the keys that a head names.
    pub(super) fn are_of(&self, head: &Head) -> bool {
        self.epoch == head.epoch && self.log.public() == head.log_key.public() && self.record.public() == head.record_key.public()
    }
}

/// New keys that no file holds yet.
#[derive(Default)]
pub(super) struct Unwritten {
    log: Option<Vec<u8>>,
    record: Option<Vec<u8>>,
}

impl Unwritten {
    /// Whether the log key is older than the log that is being made.
    pub(super) fn log_key_was_there(&self) -> bool {
        self.log.is_none()
    }

    /// Writes the files, durably.
    pub(super) fn write(&self, room: &Room) -> Result<(), Error> {
        for (path, key) in [(room.log_key(), &self.log), (room.record_key(0), &self.record)] {
            if let Some(key) = key {
                durable::write_private(&path, key)
                    .map_err(|error| Error::at(Kind::Unusable, &path, format!("cannot be written: {error}")))?;
            }
        }
        Ok(())
    }
}

fn read_or_make(path: &Path, unwritten: &mut Option<Vec<u8>>) -> Result<SigningKey, Error> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let failed = |_| Error::new(Kind::Key, "no key can be made: the system gave no random bytes");
            let bytes = SigningKey::generate(&SystemRandom::new()).map_err(failed)?;
            let key = SigningKey::from_pkcs8(&bytes).map_err(failed)?;
            *unwritten = Some(bytes);
            Ok(key)
        }
        _ => read(path, None),
    }
}

fn read(path: &Path, expected: Option<PublicKey>) -> Result<SigningKey, Error> {
    let bytes = durable::read_private(path, MAX_KEY_FILE).map_err(|refused| match refused {
        Refused::Absent => Error::at(Kind::Key, path, "is missing, and the log can only be continued with it")
            .hint("put the key back from where it was copied to, or move the whole directory away to start a new log"),
        Refused::Unsafe(_) => {
            unsafe_path(path, refused).hint("a key that others could read or write proves nothing; move it away, and start a new log")
        }
        Refused::Io(_) => unsafe_path(path, refused),
    })?;
    let key = SigningKey::from_pkcs8(&bytes).map_err(|_| Error::at(Kind::Key, path, "is not a whole key: damaged or cut short"))?;
    if expected.is_some_and(|expected| expected != key.public()) {
        return Err(Error::at(Kind::Key, path, "is another key than the one this log was signed with"));
    }
    Ok(key)
}
