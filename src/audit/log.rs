use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde_json::{Map, Value};

use super::announce::Announcer;
use super::connect::{self, PATIENCE};
use super::create::create;
use super::error::{Error, Kind};
use super::halt::Budget;
use super::head::Head;
use super::keys::Keys;
use super::place::{Place, Room, unsafe_path};
use crate::approval::Stamp;
use crate::record::{Draft, Header, Kind as RecordKind, Stored, hex, leaf_hash, signed_bytes};
use crate::sys::durable::{self, Expected, Refused};

/// A write-ahead file of this size is written back by the last process that closes the log.
const WRITE_BACK: u64 = 256 * 1024;

/// What gate keeps free to be able to record an outcome on a full disk.
const BALLAST: u32 = 1024 * 1024;

/// The log, open to be written. Whatever it has stored is durable.
#[derive(Debug)]
pub struct Log {
    pub(super) room: Room,
    pub(super) connection: Connection,
    pub(super) lock: Rc<File>,
    pub(super) boot_id: String,
    keys: Option<Keys>,
    /// The checkpoint that was seen or written last, and therefore holds.
    seen: String,
    /// Whether the ballast is there; without it nothing new may begin.
    ballast: bool,
    announcer: Option<Announcer>,
    pub(super) budget: Option<Budget>,
}

impl Log {
    /// Opens the log; makes the directory, the keys and the first entry where there is none.
    pub fn open(place: &Place, now: Stamp, boot_id: &str) -> Result<Self, Error> {
        let room = Room::prepare(place)?;
        let lock = Rc::new(durable::open_private(&room.lock()).map_err(|refused| unsafe_path(&room.lock(), refused))?);
        match durable::inspect(&room.database(), Expected::File) {
            Ok(_) => {}
            Err(Refused::Absent) => first_use(place, &room, &lock, now, boot_id)?,
            Err(refused) => return Err(unsafe_path(&room.database(), refused)),
        }
        let connection = match connect::to_write(&room.database()) {
            // Not even the shared memory of a reader fits: the ballast goes, and with it all that would begin.
            Err(error) if error.kind() == Kind::Full => {
                drop_ballast(&room)?;
                connect::to_write(&room.database())?
            }
            other => other?,
        };
        let mut log = Self {
            room,
            connection,
            lock,
            boot_id: boot_id.to_owned(),
            keys: None,
            seen: String::new(),
            ballast: true,
            announcer: None,
            budget: None,
        };
        log.restore_ballast()?;
        log.finish_rotation()?;
        Ok(log)
    }

    /// Makes the log; an error where there is one.
    pub fn init(place: &Place, now: Stamp, boot_id: &str) -> Result<Self, Error> {
        let room = Room::prepare(place)?;
        let lock = Rc::new(durable::open_private(&room.lock()).map_err(|refused| unsafe_path(&room.lock(), refused))?);
        let held = Held::take(&lock, &room.lock())?;
        match durable::inspect(&room.database(), Expected::File) {
            Err(Refused::Absent) => create(place, &room, now, boot_id)?,
            Ok(_) => return Err(Error::at(Kind::Refused, &room.database(), "is there already: this log was begun")),
            Err(refused) => return Err(unsafe_path(&room.database(), refused)),
        }
        drop(held);
        Self::open(place, now, boot_id)
    }

    /// Tells this local syslog socket of each entry once it is durable; `warn` is told where that fails.
    #[must_use]
    pub fn announced(mut self, socket: &Path, warn: fn(&str)) -> Self {
        self.announcer = Some(Announcer { socket: socket.to_owned(), warn, lines: Vec::new() });
        self
    }

    /// Stores records in one commit. It is durable when this returns.
    pub fn append(&mut self, drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        self.store(&[], drafts, now)
    }

    /// Stores records together with the one use of a grant; [`Kind::Used`] where it was used before.
    pub fn consume(&mut self, jti: &str, drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        self.store(&[jti], drafts, now)
    }

    /// The same of several grants at once, each told by the record in its place: all are used, or none is.
    pub fn consume_all(&mut self, grants: &[&str], drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        self.store(grants, drafts, now)
    }

    /// Whether a grant was used by this log.
    pub fn used(&self, jti: &str) -> Result<bool, Error> {
        let found = self.connection.prepare("SELECT 1 FROM token WHERE jti=?1").and_then(|mut query| query.exists([jti]));
        found.map_err(|error| Error::sqlite(&self.room.database(), &error))
    }

    fn store(&mut self, grants: &[&str], drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        let stored = self.store_locked(grants, drafts, now);
        self.tell_syslog();
        stored
    }

    fn store_locked(&mut self, grants: &[&str], drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        let begins = drafts.iter().any(|draft| draft.kind.precedes_an_act());
        let full = || Error::full(&self.room.database());
        if begins {
            self.ready()?;
            if !self.ballast {
                return Err(full());
            }
        }
        self.look_ahead();
        let _held = Held::take(&self.lock, &self.room.lock())?;
        match self.commit(grants, drafts, now) {
            Err(error) if error.kind() == Kind::Full => {
                drop_ballast(&self.room)?;
                self.ballast = false;
                let failure = Draft::new(RecordKind::AuditFailure, drafts.iter().find_map(|draft| draft.request), disk_full(begins));
                if begins {
                    self.commit(&[], &[failure], now)?;
                    return Err(error);
                }
                let both: Vec<Draft> = drafts.iter().cloned().chain([failure]).collect();
                let mut stored = self.commit(grants, &both, now)?;
                stored.pop();
                Ok(stored)
            }
            other => other,
        }
    }

    /// Reads schema, head and keys before others have to wait for this process. What is wrong is told under the lock,
    /// where all of it is compared again.
    pub(super) fn look_ahead(&mut self) {
        if self.keys.is_none()
            && let Ok(Some(head)) = Head::read(&self.connection)
            && let Ok(keys) = Keys::load(&self.room, &head)
        {
            if head.is_signed_by(&keys.log) {
                self.seen = head.note;
            }
            self.keys = Some(keys);
        }
    }

    /// Stores records in one transaction, under the lock.
    fn commit(&mut self, grants: &[&str], drafts: &[Draft], now: Stamp) -> Result<Vec<Stored>, Error> {
        let boot_id = self.boot_id.clone();
        let stored = self.under_head(|transaction, head, keys| store_all(transaction, head, keys, grants, drafts, now, &boot_id))?;
        self.keep_for_syslog(drafts, &stored);
        Ok(stored)
    }

    /// Keeps what the local syslog is to be told of entries that are durable now.
    pub(super) fn keep_for_syslog(&mut self, drafts: &[Draft], stored: &[Stored]) {
        if let Some(announcer) = &mut self.announcer {
            announcer.keep(drafts, stored, &self.seen);
        }
    }

    /// Tells it, when nobody waits for the lock any more.
    pub(super) fn tell_syslog(&mut self) {
        if let Some(announcer) = &mut self.announcer {
            announcer.send();
        }
    }

    /// One transaction on the log's end, which is not built on unless its own key signed it.
    pub(super) fn under_head<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, &mut Head, &Keys) -> Result<T, Unstored>,
    ) -> Result<T, Error> {
        let path = self.room.database();
        let failed = |error: rusqlite::Error| Error::sqlite(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let mut head = Head::read(&transaction)
            .map_err(failed)?
            .ok_or_else(|| Error::at(Kind::Damaged, &path, "has no readable head").hint("`gate audit verify` says what still holds"))?;
        let keys = match self.keys.take() {
            Some(keys) if keys.are_of(&head) => keys,
            _ => Keys::load(&self.room, &head)?,
        };
        if head.note != self.seen && !head.is_signed_by(&keys.log) {
            return Err(Error::at(Kind::Damaged, &path, "has a head that its own key did not sign; gate does not build on it")
                .hint("`gate audit verify` says what still holds"));
        }
        let changed = change(&transaction, &mut head, &keys).map_err(|error| error.into_error(&path))?;
        transaction.commit().map_err(failed)?;
        self.keys = Some(keys);
        self.seen = head.note;
        Ok(changed)
    }

    /// A change of what stands beside the entries, under the lock.
    pub(super) fn apart(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<(), Error> {
        let path = self.room.database();
        let failed = |error: rusqlite::Error| Error::sqlite(&path, &error);
        let _held = Held::take(&self.lock, &self.room.lock())?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        change(&transaction).and_then(|()| transaction.commit()).map_err(failed)
    }

    /// Makes the ballast again once there is room, under the lock: another process may be writing in that room.
    fn restore_ballast(&mut self) -> Result<(), Error> {
        let path = self.room.ballast();
        match durable::inspect(&path, Expected::File) {
            Ok(size) if size == u64::from(BALLAST) => return Ok(()),
            Ok(_) | Err(Refused::Absent) => {}
            Err(refused) => return Err(unsafe_path(&path, refused)),
        }
        let _held = Held::take(&self.lock, &self.room.lock())?;
        self.ballast = durable::reserve(&path, BALLAST).is_ok();
        Ok(())
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn database(&self) -> std::path::PathBuf {
        self.room.database()
    }
}

impl Drop for Log {
    /// Leaves a short write-ahead file to the next process: writing it back costs three more syncs.
    fn drop(&mut self) {
        let long = std::fs::metadata(self.room.write_ahead()).is_ok_and(|file| file.len() >= WRITE_BACK);
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !long);
    }
}

/// The lock over all processes, given back when dropped.
pub(super) struct Held(Rc<File>);

impl Held {
    pub(super) fn take(file: &Rc<File>, path: &Path) -> Result<Self, Error> {
        match durable::lock(file, PATIENCE) {
            Ok(true) => Ok(Self(Rc::clone(file))),
            Ok(false) => Err(Error::locked(path)),
            Err(error) => Err(Error::at(Kind::Unusable, path, format!("cannot be locked: {error}"))),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn first_use(place: &Place, room: &Room, lock: &Rc<File>, now: Stamp, boot_id: &str) -> Result<(), Error> {
    let _held = Held::take(lock, &room.lock())?;
    match durable::inspect(&room.database(), Expected::File) {
        Err(Refused::Absent) => create(place, room, now, boot_id),
        _ => Ok(()),
    }
}

fn drop_ballast(room: &Room) -> Result<(), Error> {
    durable::remove(&room.ballast()).map_err(|error| Error::at(Kind::Full, &room.ballast(), format!("cannot be removed: {error}")))
}

fn disk_full(refused: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("error".to_owned(), Value::from("disk full"));
    fields.insert("refused".to_owned(), Value::from(refused));
    fields
}

/// Why a commit did not come about.
pub(super) enum Unstored {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// It cannot be stored as it is.
    Other(Error),
}

impl Unstored {
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => Error::sqlite(path, &error),
            Self::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Unstored {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Unstored {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn store_all(
    transaction: &Transaction<'_>,
    head: &mut Head,
    keys: &Keys,
    grants: &[&str],
    drafts: &[Draft],
    now: Stamp,
    boot_id: &str,
) -> Result<Vec<Stored>, Unstored> {
    if grants.is_empty() {
        return write_entries(transaction, head, keys, drafts, now, boot_id);
    }
    let mut drafts = drafts.to_vec();
    for (at, jti) in grants.iter().enumerate() {
        let seq = i64::try_from(head.frontier.size() + at as u64).unwrap_or(i64::MAX);
        if transaction.execute("INSERT OR IGNORE INTO token VALUES(?1,?2)", params![jti, seq])? == 0 {
            return Err(Unstored::Other(Error::new(Kind::Used, format!("the grant `{jti}` was used before"))));
        }
        // The use stands in the tree too: a row that is removed from the table is missed there.
        let Some(draft) = drafts.get_mut(at) else {
            return Err(Unstored::Other(Error::new(Kind::Record, "a grant cannot be used without a record")));
        };
        draft.fields.insert("jti".to_owned(), Value::from(*jti));
    }
    write_entries(transaction, head, keys, &drafts, now, boot_id)
}

/// Adds entries and what belongs to them, and signs the new head.
pub(super) fn write_entries(
    transaction: &Transaction<'_>,
    head: &mut Head,
    keys: &Keys,
    drafts: &[Draft],
    now: Stamp,
    boot_id: &str,
) -> Result<Vec<Stored>, Unstored> {
    let mut entry = transaction.prepare("INSERT INTO entry(seq,body,sig,keyid,leaf) VALUES(?1,?2,?3,?4,?5)")?;
    let mut nodes = Vec::new();
    let mut stored = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let seq = head.frontier.size();
        let header = Header { log: &head.origin, seq, prev: head.prev, wall: now.wall, boot: boot_id, monotonic: now.boot };
        let body = header.body(draft).map_err(|wrong| Unstored::Other(wrong.into()))?;
        let leaf = leaf_hash(&body);
        let signature = keys.record.sign(&signed_bytes(&body));
        entry.execute(params![sql(seq), body, signature, sql(head.epoch), leaf])?;
        write_beside(transaction, draft, seq)?;
        head.frontier.append(leaf, |level, index, hash| nodes.push((level, index, hash)));
        head.prev = leaf;
        stored.push(Stored { seq, leaf, size: 0 });
    }
    if !nodes.is_empty() {
        let mut node = transaction.prepare("INSERT INTO node VALUES(?1,?2,?3)")?;
        for (level, index, hash) in nodes {
            node.execute(params![level, sql(index), hash])?;
        }
    }
    head.write(transaction, &keys.log)?;
    for entry in &mut stored {
        entry.size = head.frontier.size();
    }
    Ok(stored)
}

/// What a record names by its digest only.
fn write_beside(transaction: &Transaction<'_>, draft: &Draft, seq: u64) -> rusqlite::Result<()> {
    for disclosure in &draft.disclosures {
        transaction.execute("INSERT OR IGNORE INTO disclosure VALUES(?1,?2,?3)", params![disclosure.digest, sql(seq), disclosure.data])?;
    }
    for blob in &draft.blobs {
        let sha256 = hex(ring::digest::digest(&ring::digest::SHA256, blob).as_ref());
        transaction.execute("INSERT OR IGNORE INTO blob(sha256,data) VALUES(?1,?2)", params![sha256, blob])?;
    }
    Ok(())
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
