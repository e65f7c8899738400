use rusqlite::Connection;
use serde_json::{Value, json};

use super::error::Error;
use super::reader::Reader;
use crate::record::archive::BUNDLE;
use crate::record::{Body, Kind};

/// Entries that are in an archive, as the last `prune` record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first entry.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
    /// The archive's SHA-256.
    pub sha256: String,
    /// The record key that signed entry `to`: which entry introduced it, and its vkey.
    pub(super) epoch: u64,
    pub(super) record_key: String,
}

impl Range {
    pub(super) fn json(&self) -> Value {
        json!({ "epoch": self.epoch, "from": self.from, "record": self.record_key, "sha256": self.sha256, "to": self.to })
    }

    fn parse(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name| value.get(name).and_then(Value::as_u64);
        Some(Self {
            from: number("from")?,
            to: number("to")?,
            sha256: text("sha256")?,
            epoch: number("epoch")?,
            record_key: text("record")?,
        })
    }
}

/// What left the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InArchives {
    /// The entry that says so; the last of its kind, which repeats what those before it said.
    pub recorded: u64,
    /// What went where, oldest first, without a gap from entry 0 on.
    pub ranges: Vec<Range>,
}

/// The first entry that is there; 0 where there is none.
pub(super) fn first(connection: &Connection) -> rusqlite::Result<u64> {
    let first: Option<i64> = connection.query_row("SELECT min(seq) FROM entry", [], |row| row.get(0))?;
    Ok(first.and_then(|first| u64::try_from(first).ok()).unwrap_or_default())
}

/// What the last `prune` record says; none where there is none, or it does not hold together.
pub(super) fn ranges(connection: &Connection) -> rusqlite::Result<Option<InArchives>> {
    let mut statement =
        connection.prepare("SELECT seq,body FROM entry WHERE instr(body,CAST('\"kind\":\"prune\"' AS BLOB))>0 ORDER BY seq DESC")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let Some(body) = Body::parse(&body).ok().filter(|body| body.kind == Kind::Prune) else { continue };
        let ranges: Option<Vec<Range>> =
            body.value("archives").and_then(|list| list.as_array().map(|list| list.iter().map(Range::parse).collect())).flatten();
        let Some(ranges) = ranges else { return Ok(None) };
        let mut next = 0;
        let whole = ranges.iter().all(|range| {
            let fits = range.from == next && range.to > range.from && range.to.is_multiple_of(BUNDLE);
            next = range.to;
            fits
        });
        return Ok(whole.then(|| InArchives { recorded: u64::try_from(seq).unwrap_or_default(), ranges }));
    }
    Ok(None)
}

impl Reader {
    /// The first entry that is not in an archive.
    pub fn first(&self) -> Result<u64, Error> {
        first(self.connection()).map_err(|error| self.failed(&error))
    }

    /// What left the log for archives.
    pub fn in_archives(&self) -> Result<Option<InArchives>, Error> {
        if self.first()? == 0 {
            return Ok(None);
        }
        ranges(self.connection()).map_err(|error| self.failed(&error))
    }
}
