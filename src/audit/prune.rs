use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::archive::{Archive, blob_of, bundle_node, write};
use super::error::{Error, Kind};
use super::head::Head;
use super::log::{Held, Log, Unstored, write_entries};
use super::pruned::{self, Range};
use crate::approval::Stamp;
use crate::record::archive::{BUNDLE, BUNDLE_LEVEL, Heading};
use crate::record::{Body, Draft, Kind as RecordKind};
use crate::sys::durable;

/// What is to leave the log.
#[derive(Clone, Debug)]
pub struct Pruning {
    /// Only entries before this, in nanoseconds since 1970.
    pub before: i64,
    /// Where they go.
    pub archive: PathBuf,
    /// Why these: the rule in words.
    pub rule: String,
    /// Also those that no checkpoint vouches for that somebody else signed.
    pub unanchored: bool,
    /// Who does it, as records tell it.
    pub actor: Value,
}

/// What left the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pruned {
    /// The first entry of the archive.
    pub from: u64,
    /// The one after its last.
    pub to: u64,
    /// The archive's SHA-256.
    pub sha256: String,
    /// How large it is.
    pub bytes: u64,
    /// The entry that says so.
    pub recorded: u64,
}

impl Log {
    /// Moves whole bundles of old entries to an archive. It is written, synced, read again and compared with the tree before
    /// anything is deleted, and the deletion is one commit with the record of it.
    pub fn prune(&mut self, pruning: &Pruning, now: Stamp) -> Result<Pruned, Error> {
        let database = self.room.database();
        let failed = |error: rusqlite::Error| Error::sqlite(&database, &error);
        self.look_ahead();
        let head =
            Head::read(&self.connection).map_err(failed)?.ok_or_else(|| Error::at(Kind::Damaged, &database, "has no readable head"))?;
        let heading = self.what(pruning, &head).map_err(|error| error.into_error(&database))?;
        let (sha256, bytes) = self.archive(&heading, &pruning.archive)?;
        let _held = Held::take(&self.lock, &self.room.lock())?;
        let (boot_id, size) = (self.boot_id.clone(), head.frontier.size());
        let recorded = self.under_head(|transaction, head, keys| {
            if pruned::first(transaction)? != heading.from || meddled(transaction, size)? {
                return Err(Error::new(Kind::Refused, "entries were erased or archived meanwhile; nothing was deleted")
                    .hint("remove the archive that was just written, and try again")
                    .into());
            }
            let mut ranges = pruned::ranges(transaction)?.map(|pruned| pruned.ranges).unwrap_or_default();
            let (epoch, record_key) = key_at(transaction, head, heading.to)?;
            ranges.push(Range { from: heading.from, to: heading.to, sha256: sha256.clone(), epoch, record_key });
            delete(transaction, heading.to)?;
            let mut fields = Map::new();
            fields.insert("actor".to_owned(), pruning.actor.clone());
            fields.insert("prune".to_owned(), json!({ "bytes": bytes, "from": heading.from, "rule": pruning.rule, "to": heading.to }));
            fields.insert("archives".to_owned(), ranges.iter().map(Range::json).collect());
            let stored = write_entries(transaction, head, keys, &[Draft::new(RecordKind::Prune, None, fields)], now, &boot_id)?;
            Ok(stored.first().map_or(0, |stored| stored.seq))
        })?;
        // What is free is given back where there is room for that; the log is whole either way.
        let _ = self.connection.execute_batch("VACUUM;PRAGMA wal_checkpoint(TRUNCATE)");
        Ok(Pruned { from: heading.from, to: heading.to, sha256, bytes, recorded })
    }

    /// Which entries go: whole bundles from the first one on, all of them older.
    fn what(&self, pruning: &Pruning, head: &Head) -> Result<Heading, Unstored> {
        let refused = |what: String| Unstored::Other(Error::new(Kind::Refused, what));
        let from = pruned::first(&self.connection)?;
        let mut statement = self.connection.prepare("SELECT seq,body FROM entry WHERE seq>=?1 ORDER BY seq")?;
        let mut rows = statement.query([sql(from)])?;
        let mut to = from;
        while let Some(row) = rows.next()? {
            let body: Vec<u8> = row.get(1)?;
            let old = Body::parse(&body).is_ok_and(|body| body.header.wall < pruning.before);
            if !old || row.get::<_, i64>(0)? != sql(to) {
                break;
            }
            to += 1;
        }
        // The log's end stays, whatever its age.
        to = to.min(head.frontier.size().saturating_sub(1)) / BUNDLE * BUNDLE;
        if let Some(begun) = Archive::open(&pruning.archive).ok().map(|archive| archive.heading().clone()) {
            // An earlier run wrote it and came no further.
            if begun.log == head.origin && begun.from == from && begun.to <= to {
                to = begun.to;
            }
        }
        if to <= from {
            return Err(refused(format!("there are no {BUNDLE} entries together that are old enough")));
        }
        let waiting = self
            .connection
            .query_row("SELECT sink,seq FROM outbox WHERE seq<?1 ORDER BY seq", [sql(to)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        if let Some((sink, seq)) = waiting {
            return Err(refused(format!("`{sink}` was not sent entry {seq} yet")));
        }
        let anchored: Option<i64> = self.connection.query_row("SELECT max(size) FROM checkpoint", [], |row| row.get(0))?;
        if !pruning.unanchored && anchored.unwrap_or(0) < sql(to) {
            let error = Error::new(Kind::Refused, format!("nobody else vouches for the entries up to {to} yet"))
                .hint("`gate audit anchor` has them vouched for; `--unanchored` prunes all the same");
            return Err(error.into());
        }
        Ok(Heading { log: head.origin.clone(), from, to })
    }

    /// Writes the archive beside its place, compares it with the tree, and only then gives it its name; its SHA-256 and size.
    fn archive(&self, heading: &Heading, path: &Path) -> Result<(String, u64), Error> {
        let mut unfinished = path.to_owned().into_os_string();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let failed = |error: std::io::Error| Error::at(Kind::Unusable, path, format!("cannot be written: {error}"));
        durable::remove(&unfinished).map_err(failed)?;
        let bytes = write(&self.connection, heading, &unfinished)?;
        let proved = |path: &Path| Archive::open(path)?.prove(|index| bundle_node(&self.connection, index));
        let sha256 = proved(&unfinished)?;
        if path.symlink_metadata().is_ok() {
            if proved(path).ok().as_ref() != Some(&sha256) {
                durable::remove(&unfinished).map_err(failed)?;
                return Err(Error::at(Kind::Refused, path, "is there already, and holds something else"));
            }
            durable::remove(&unfinished).map_err(failed)?;
        } else {
            durable::rename(&unfinished, path).map_err(failed)?;
        }
        Ok((sha256, bytes))
    }
}

/// Whether disclosures were erased, or entries pruned, since the log had this size.
fn meddled(connection: &Connection, size: u64) -> rusqlite::Result<bool> {
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

/// The record key that signed an entry, and the entry that introduced it: whoever checks the log begins with them.
fn key_at(connection: &Connection, head: &Head, seq: u64) -> Result<(u64, String), Unstored> {
    let epoch: i64 = connection.query_row("SELECT keyid FROM entry WHERE seq=?1", [sql(seq)], |row| row.get(0))?;
    let epoch = u64::try_from(epoch).unwrap_or_default();
    if epoch == head.epoch {
        return Ok((epoch, head.record_key.to_string()));
    }
    let known = pruned::ranges(connection)?.and_then(|pruned| pruned.ranges.into_iter().find(|range| range.epoch == epoch));
    let key = match known {
        Some(range) => Some(range.record_key),
        None => {
            let body: Vec<u8> = connection.query_row("SELECT body FROM entry WHERE seq=?1", [sql(epoch)], |row| row.get(0))?;
            Body::parse(&body).ok().and_then(|body| Some(body.value("keys")?.get("record")?.as_str()?.to_owned()))
        }
    };
    key.map(|key| (epoch, key)).ok_or_else(|| Error::new(Kind::Damaged, format!("entry {epoch} introduces no record key")).into())
}

fn delete(transaction: &Connection, to: u64) -> rusqlite::Result<()> {
    let blobs = unshared(transaction, to)?;
    transaction.execute("DELETE FROM entry WHERE seq<?1", [sql(to)])?;
    transaction.execute("DELETE FROM disclosure WHERE seq<?1", [sql(to)])?;
    for level in 1..BUNDLE_LEVEL {
        transaction.execute("DELETE FROM node WHERE level=?1 AND idx<?2", params![level, sql(to >> level)])?;
    }
    for blob in blobs {
        transaction.execute("DELETE FROM blob WHERE sha256=?1", [blob])?;
    }
    Ok(())
}

/// Blobs that only entries before `to` name.
fn unshared(connection: &Connection, to: u64) -> rusqlite::Result<Vec<String>> {
    let blobs: i64 = connection.query_row("SELECT count(*) FROM blob", [], |row| row.get(0))?;
    if blobs == 0 {
        return Ok(Vec::new());
    }
    let mut named = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
    let mut statement = connection.prepare("SELECT seq,body FROM entry WHERE req IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let Ok(record) = Body::parse(&body) else { continue };
        if let Some(blob) = blob_of(connection, &record)? {
            named[usize::from(seq >= sql(to))].insert(blob);
        }
    }
    let [old, kept] = named;
    Ok(old.into_iter().filter(|blob| !kept.contains(blob)).collect())
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
