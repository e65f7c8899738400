//! The record key changes: forward integrity, since what an erased key signed cannot be signed anew.

use std::time::Duration;

use super::error::{Error, Kind};
use super::head::Head;
use super::keys::new_key;
use super::log::{Held, Log, Unstored, write_entries};
use super::place::{Room, unsafe_path};
use crate::approval::Stamp;
use crate::key::{SigningKey, Vkey};
use crate::record::{Body, Draft, Kind as RecordKind, Rotation};
use crate::sys::durable;

/// When a record key has signed long enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// How long it signs.
    pub age: Duration,
    /// How many entries it signs.
    pub records: u64,
}

/// A change of the record key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// The entry that introduced the key that was erased.
    pub old: u64,
    /// The entry that introduced the new one.
    pub new: u64,
    /// The new one.
    pub key: Vkey,
}

impl Log {
    /// Gives the log a new record key, and erases the old one.
    pub fn rotate(&mut self, now: Stamp) -> Result<Rotated, Error> {
        let rotated = self.exchange(None, "asked", now)?;
        rotated.ok_or_else(|| Error::new(Kind::Key, "the record key was not changed"))
    }

    /// Does so if the key is older, or has signed more, than it may; none where it is not.
    pub fn rotate_if(&mut self, due: Due, now: Stamp) -> Result<Option<Rotated>, Error> {
        let path = self.room.database();
        let Some(head) = Head::read(&self.connection).map_err(|error| Error::sqlite(&path, &error))? else { return Ok(None) };
        let why = if head.frontier.size().saturating_sub(head.epoch) > due.records {
            "records"
        } else if self.age(head.epoch, now).map_err(|error| Error::sqlite(&path, &error))? > due.age {
            "age"
        } else {
            return Ok(None);
        };
        self.exchange(Some(head.epoch), why, now)
    }

    /// How long ago an entry was written, or the first one after it that is not in an archive. A clock that was set back makes it young.
    fn age(&self, seq: u64, now: Stamp) -> rusqlite::Result<Duration> {
        let mut statement = self.connection.prepare("SELECT body FROM entry WHERE seq>=?1 ORDER BY seq LIMIT 1")?;
        let mut rows = statement.query([i64::try_from(seq).unwrap_or(i64::MAX)])?;
        let Some(row) = rows.next()? else { return Ok(Duration::ZERO) };
        let wall = row.get_ref(0)?.as_blob().ok().and_then(|bytes| Body::parse(bytes).ok()).map(|body| body.header.wall);
        let nanoseconds = wall.map_or(0, |wall| now.wall.saturating_sub(wall));
        Ok(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()))
    }

    /// Writes the new key, then the entry, then erases the old key. A process that ends in between leaves a mark,
    /// and the next one that opens the log finishes what the head says. None where another process came first.
    fn exchange(&mut self, expected: Option<u64>, why: &str, now: Stamp) -> Result<Option<Rotated>, Error> {
        let rotated = self.exchange_locked(expected, why, now);
        self.tell_syslog();
        rotated
    }

    fn exchange_locked(&mut self, expected: Option<u64>, why: &str, now: Stamp) -> Result<Option<Rotated>, Error> {
        self.look_ahead();
        let _held = Held::take(&self.lock, &self.room.lock())?;
        let (room, boot_id) = (self.room.clone(), self.boot_id.clone());
        let changed = self.under_head(|transaction, head, keys| {
            if expected.is_some_and(|epoch| epoch != head.epoch) {
                return Ok(None);
            }
            let (old, new) = (head.epoch, head.frontier.size());
            let signing = written(&room, new)?;
            let key = Vkey::new(head.record_key.name(), signing.public())
                .map_err(|_| Error::new(Kind::Damaged, "the record key has a name that no key has"))?;
            let fields = Rotation { key: key.clone(), previous: old }.fields(&head.origin, new, &signing, why);
            let drafts = [Draft::new(RecordKind::KeyRotate, None, fields)];
            let stored = write_entries(transaction, head, keys, &drafts, now, &boot_id)?;
            head.change_key(transaction, key.clone(), new)?;
            Ok(Some((Rotated { old, new, key }, drafts, stored)))
        })?;
        let Some((rotated, drafts, stored)) = changed else { return Ok(None) };
        self.keep_for_syslog(&drafts, &stored);
        settle(&self.room, rotated.new)?;
        Ok(Some(rotated))
    }

    /// Finishes, or takes back, a change that a process did not live to finish.
    pub(super) fn finish_rotation(&self) -> Result<(), Error> {
        if std::fs::symlink_metadata(self.room.rotating()).is_err() {
            return Ok(());
        }
        let _held = Held::take(&self.lock, &self.room.lock())?;
        let head = Head::read(&self.connection).map_err(|error| Error::sqlite(&self.room.database(), &error))?;
        // Without a head nobody knows which key is still needed.
        head.map_or(Ok(()), |head| settle(&self.room, head.epoch))
    }
}

/// Makes a key and its file, durably, and the mark before both.
fn written(room: &Room, epoch: u64) -> Result<SigningKey, Unstored> {
    let (key, bytes) = new_key()?;
    durable::open_private(&room.rotating()).map_err(|refused| unsafe_path(&room.rotating(), refused))?;
    let path = room.record_key(epoch);
    durable::write_private(&path, &bytes).map_err(|error| Error::at(Kind::Unusable, &path, format!("cannot be written: {error}")))?;
    Ok(key)
}

/// Erases every record key but the one in use, and then the mark.
fn settle(room: &Room, epoch: u64) -> Result<(), Error> {
    let kept = room.record_key(epoch);
    for path in room.record_keys()?.into_iter().filter(|path| *path != kept) {
        durable::erase(&path).map_err(|error| Error::at(Kind::Key, &path, format!("is no longer needed and cannot be erased: {error}")))?;
    }
    durable::remove(&room.rotating()).map_err(|error| Error::at(Kind::Unusable, &room.rotating(), format!("cannot be removed: {error}")))
}
