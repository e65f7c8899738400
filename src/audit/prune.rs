use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::bundle::{Contents, blob_of, introduced};
use super::check_bundle::{Bundled, check_bundle};
use super::disclosed;
use super::error::{Error, Kind};
use super::head::Head;
use super::log::{Held, Log, Unstored, write_entries};
use super::place::unsafe_path;
use super::pruned::listed;
use super::reader::Reader;
use super::search_index::forget;
use super::verify::Check;
use crate::approval::Stamp;
use crate::key::Vkey;
use crate::record::{Archived, Body, Checkpoint, Draft, Kind as RecordKind, Note, TILE_HEIGHT, TILE_WIDTH, hex};
use crate::sys::durable::{self, Expected};

/// One archive holds no more entries: what deletes them is one commit, and commands wait for it.
const MOST: u64 = 1024 * TILE_WIDTH;

/// What is to leave the log.
#[derive(Clone, Debug)]
pub struct Pruning {
    /// Only entries before this, in nanoseconds since 1970.
    pub before: i64,
    /// The directory of archives; made where it is missing.
    pub archives: PathBuf,
    /// The page in an archive that says how to verify it by hand.
    pub readme: &'static str,
    /// Why these: the rule in words.
    pub rule: String,
    /// Also those that no checkpoint vouches for that somebody else signed.
    pub unanchored: bool,
    /// Where copies of entries go: nothing leaves that was not sent there.
    pub sinks: Vec<String>,
    /// Who does it, as records tell it.
    pub actor: Value,
}

/// What left the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pruned {
    /// The entries.
    pub entries: Range<u64>,
    /// The archive: a bundle of these entries.
    pub archive: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// How large it is.
    pub bytes: u64,
    /// The entry that says so.
    pub recorded: u64,
}

impl Log {
    /// Moves whole tiles of old entries to an archive; none where there are none. The archive is written, synced, read again and
    /// verified before anything is deleted, and the deletion is one commit with the record of it.
    pub fn prune(&mut self, pruning: &Pruning, now: Stamp) -> Result<Option<Pruned>, Error> {
        self.look_ahead();
        let reader = Reader::open(&self.room.database())?;
        let Some(entries) = due(&reader, pruning)? else { return Ok(None) };
        let archive = pruning.archives.join(format!("{}-{}.tar", entries.start, entries.end));
        let written = write(&reader, &entries, pruning.readme, &archive)?;
        let recorded = self.take_out(pruning, &entries, &written, now)?;
        self.tell_syslog();
        // What is left of the write-ahead file is short again; the room in the database is used by the entries to come.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(Some(Pruned { entries, archive, sha256: written.sha256, bytes: written.bytes, recorded }))
    }

    fn take_out(&mut self, pruning: &Pruning, entries: &Range<u64>, written: &Written, now: Stamp) -> Result<u64, Error> {
        let _held = Held::take(&self.lock, &self.room.lock())?;
        let boot_id = self.boot_id.clone();
        // What leaves the log leaves its index as well; the next search makes that anew.
        forget(&self.room.search_index())?;
        let (seq, drafts, stored) = self.under_head(|transaction, head, keys| {
            if first(transaction)? != entries.start || changed_since(transaction, written.size)? {
                return Err(Error::new(Kind::Refused, "entries were erased or archived meanwhile; nothing was deleted")
                    .hint("try again: the archive that was just written is replaced")
                    .into());
            }
            let mut archives = listed(transaction)?.map(|(_, archives)| archives).unwrap_or_default();
            let (epoch, key) = key_at(transaction, head, &archives, entries.end)?;
            archives.push(Archived { from: entries.start, to: entries.end, sha256: written.sha256.clone(), epoch, key });
            delete(transaction, entries)?;
            let mut fields = Map::new();
            let said = json!({ "bytes": written.bytes, "from": entries.start, "rule": pruning.rule, "to": entries.end });
            fields.insert("actor".to_owned(), pruning.actor.clone());
            fields.insert("prune".to_owned(), said);
            fields.insert("archives".to_owned(), archives.iter().map(Archived::json).collect());
            let drafts = [Draft::new(RecordKind::Prune, None, fields)];
            let stored = write_entries(transaction, head, keys, &drafts, now, &boot_id)?;
            Ok((stored.first().map_or(0, |stored| stored.seq), drafts, stored))
        })?;
        self.keep_for_syslog(&drafts, &stored);
        Ok(seq)
    }
}

/// Which entries go: whole tiles from the first one on, all of them older, none of them wanted elsewhere.
fn due(reader: &Reader, pruning: &Pruning) -> Result<Option<Range<u64>>, Error> {
    let head = reader.head()?;
    let from = reader.first_kept()?;
    let failed = |error| reader.failed(&error);
    let mut to = from;
    // A tile is as old as its last entry; the log's end stays, whatever its age.
    while to + TILE_WIDTH < head.frontier.size() && to + TILE_WIDTH - from <= MOST {
        let last = sql(to + TILE_WIDTH - 1);
        let body: Option<Vec<u8>> =
            reader.connection().query_row("SELECT body FROM entry WHERE seq=?1", [last], |row| row.get(0)).optional().map_err(failed)?;
        if !body.is_some_and(|body| Body::parse(&body).is_ok_and(|body| body.header.wall < pruning.before)) {
            break;
        }
        to += TILE_WIDTH;
    }
    if to == from {
        return Ok(None);
    }
    for sink in &pruning.sinks {
        let sent: Option<i64> =
            reader.connection().query_row("SELECT min(seq) FROM outbox WHERE sink=?1", [sink], |row| row.get(0)).map_err(failed)?;
        let sent = sent.and_then(|sent| u64::try_from(sent).ok()).unwrap_or(0);
        if sent < to {
            return Err(Error::new(Kind::Refused, format!("entry {sent} was not sent to `{sink}` yet")).hint("`gate audit ship` sends it"));
        }
    }
    let anchored: Option<i64> = reader.connection().query_row("SELECT max(size) FROM checkpoint", [], |row| row.get(0)).map_err(failed)?;
    if !pruning.unanchored && anchored.unwrap_or(0) < sql(to) {
        let message = format!("nobody but this log vouches for all entries before {to} yet");
        return Err(
            Error::new(Kind::Refused, message).hint("`gate audit anchor` has a witness vouch for them; `--unanchored` prunes without one")
        );
    }
    Ok(Some(from..to))
}

/// An archive that was written and verified.
struct Written {
    sha256: String,
    bytes: u64,
    /// The log's size when it was written.
    size: u64,
}

/// Writes a bundle of these entries beside its place, verifies it, and only then gives it its name.
fn write(reader: &Reader, entries: &Range<u64>, readme: &'static str, path: &Path) -> Result<Written, Error> {
    let failed = |error: io::Error| Error::at(Kind::Unusable, path, format!("cannot be written: {error}"));
    if let Some(directory) = path.parent() {
        if directory.symlink_metadata().is_err() {
            durable::make_directory(directory).map_err(failed)?;
        }
        durable::inspect(directory, Expected::Directory).map_err(|refused| unsafe_path(directory, refused))?;
    }
    if path.symlink_metadata().is_ok() && !is_left_over(reader, entries, path)? {
        return Err(Error::at(Kind::Refused, path, "is there already, and is no archive that an earlier attempt left"));
    }
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    durable::remove(&unfinished).map_err(failed)?;
    let mut out = Hashed::new(BufWriter::new(durable::create_private(&unfinished).map_err(failed)?));
    let contents = Contents { entries: entries.clone(), readme, ..Contents::default() };
    let written = reader.bundle(&contents, &unfinished, &mut out)?;
    let (file, sha256) = out.finish();
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let (found, read) = checked(&unfinished)?;
    let whole = found.report.wrong == 0 && found.held.iter().any(|(first, last)| *first == entries.start && *last + 1 >= entries.end);
    if written != *entries || read != sha256 || !whole {
        return Err(Error::at(Kind::Damaged, &unfinished, "does not hold what the log holds; nothing was deleted")
            .hint("`gate audit verify` says what is wrong in the log"));
    }
    durable::rename(&unfinished, path).map_err(failed)?;
    Ok(Written { sha256, bytes, size: found.report.size })
}

/// Whether a file holds only entries that the log holds too: an earlier attempt wrote it and came no further. One of another history
/// is kept, whatever became of the log.
fn is_left_over(reader: &Reader, entries: &Range<u64>, path: &Path) -> Result<bool, Error> {
    let Some(found) = checked(path).ok().map(|(found, _)| found).filter(|found| found.report.wrong == 0) else { return Ok(false) };
    let head = reader.head()?;
    let checkpoint = Note::parse(&found.report.checkpoint).ok().and_then(|note| Checkpoint::parse(note.text()).ok());
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size <= head.frontier.size()) else { return Ok(false) };
    let still_there = found.held.first().is_some_and(|(first, _)| *first >= entries.start);
    Ok(still_there && found.report.key == head.log_key.to_string() && reader.root(checkpoint.size)? == checkpoint.root)
}

/// Verifies an archive; its SHA-256.
fn checked(path: &Path) -> Result<(Bundled, String), Error> {
    let file = File::open(path).map_err(|error| Error::at(Kind::Unusable, path, format!("cannot be read: {error}")))?;
    let mut input = Hashed::new(BufReader::new(file));
    let found = check_bundle(path, &mut input, &Check::default())?;
    Ok((found, input.finish().1))
}

/// Bytes on their way, hashed.
struct Hashed<T> {
    inner: T,
    hash: Context,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Context::new(&SHA256) }
    }

    fn finish(self) -> (T, String) {
        (self.inner, hex(self.hash.finish().as_ref()))
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

fn first(connection: &Connection) -> rusqlite::Result<u64> {
    let first: Option<i64> = connection.query_row("SELECT min(seq) FROM entry", [], |row| row.get(0))?;
    Ok(first.and_then(|first| u64::try_from(first).ok()).unwrap_or_default())
}

/// Whether disclosures were erased, or entries pruned, since the log had this size.
fn changed_since(connection: &Connection, size: u64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT body FROM entry WHERE seq>=?1")?;
    let mut rows = statement.query([sql(size)])?;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        if Body::parse(&body).is_ok_and(|body| matches!(body.kind, RecordKind::Redact | RecordKind::Prune)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The record key that signed an entry, and the entry that introduced it.
fn key_at(connection: &Connection, head: &Head, archives: &[Archived], seq: u64) -> Result<(u64, Vkey), Unstored> {
    let epoch: i64 = connection.query_row("SELECT keyid FROM entry WHERE seq=?1", [sql(seq)], |row| row.get(0))?;
    let epoch = u64::try_from(epoch).unwrap_or_default();
    if epoch == head.epoch {
        return Ok((epoch, head.record_key.clone()));
    }
    let listed = archives.iter().find(|archive| archive.epoch == epoch).map(|archive| archive.key.clone());
    let introduced = || -> rusqlite::Result<Option<Vkey>> {
        let body = connection.query_row("SELECT body FROM entry WHERE seq=?1", [sql(epoch)], |row| row.get::<_, Vec<u8>>(0)).optional()?;
        Ok(body.and_then(|body| introduced(&Body::parse(&body).ok()?)))
    };
    let key = listed.map_or_else(introduced, |key| Ok(Some(key)))?;
    key.map(|key| (epoch, key)).ok_or_else(|| Error::new(Kind::Damaged, format!("entry {epoch} introduces no record key")).into())
}

/// Deletes entries and what only they need. A use of a grant stays, so that none is used twice, and so do the salts of what an
/// older gate hid, for which archives have no place.
fn delete(transaction: &Connection, entries: &Range<u64>) -> rusqlite::Result<()> {
    let to = entries.end;
    let blobs = unshared(transaction, to)?;
    transaction.execute("DELETE FROM entry WHERE seq<?1", [sql(to)])?;
    transaction.execute("DELETE FROM disclosure WHERE seq<?1 AND length(digest)<>16", [sql(to)])?;
    transaction.execute("DELETE FROM checkpoint WHERE size<?1", [sql(to)])?;
    for level in 1..TILE_HEIGHT {
        transaction.execute("DELETE FROM node WHERE level=?1 AND idx<?2", params![level, sql(to >> level)])?;
    }
    for blob in blobs {
        transaction.execute("DELETE FROM blob WHERE sha256=?1", [blob])?;
    }
    Ok(())
}

/// The entries that may name a blob: it is in a disclosure, or, as an older gate wrote it, in the entry.
const NAMES_BLOBS: &str = "SELECT seq,body FROM entry WHERE instr(body,CAST('\"blob\"' AS BLOB))>0 OR seq IN(\
    SELECT seq FROM disclosure WHERE instr(data,CAST('\"blob\"' AS BLOB))>0)";

/// Blobs that only entries before `to` name.
fn unshared(connection: &Connection, to: u64) -> rusqlite::Result<Vec<String>> {
    let blobs: i64 = connection.query_row("SELECT count(*) FROM blob", [], |row| row.get(0))?;
    if blobs == 0 {
        return Ok(Vec::new());
    }
    let mut named = [BTreeSet::new(), BTreeSet::new()];
    let mut statement = connection.prepare(NAMES_BLOBS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let blob = blob_of(&body, &disclosed::of(connection, &body)?);
        named[usize::from(seq >= sql(to))].extend(blob);
    }
    let [old, kept] = named;
    Ok(old.into_iter().filter(|blob| !kept.contains(blob)).collect())
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
