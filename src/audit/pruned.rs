use rusqlite::Connection;

use super::error::Error;
use super::nodes::checked_frontier;
use super::reader::Reader;
use super::show::{Found, Wanted};
use crate::key::Vkey;
use crate::record::{Archived, Body, Frontier};

/// What the last `prune` record says: its place, and the archives. Each repeats what those before it said.
pub(super) type Listed = (u64, Vec<Archived>);

/// Reads the last `prune` record; none where there is none, or it does not hold together.
pub(super) fn listed(connection: &Connection) -> rusqlite::Result<Option<Listed>> {
    const QUERY: &str = "SELECT seq,body FROM entry WHERE instr(body,CAST('\"kind\":\"prune\"' AS BLOB))>0 ORDER BY seq DESC";
    let mut statement = connection.prepare(QUERY)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Some(archives) = Body::parse(&body).ok().and_then(|body| Archived::all(&body)) {
            return Ok(Some((u64::try_from(seq).unwrap_or_default(), archives)));
        }
    }
    Ok(None)
}

/// Where the entries begin that are not in an archive, and what is needed to go on from there.
pub(super) struct Start {
    /// The first entry.
    pub(super) first: u64,
    /// The tree over all before it.
    pub(super) frontier: Frontier,
    /// The archives; none where nothing was archived.
    pub(super) archives: Vec<Archived>,
}

impl Reader {
    /// Where a check begins: at entry 0, or where the last `prune` record says that the archives end. The nodes over what is archived
    /// are compared with each other here.
    pub(super) fn start(&self) -> Result<Start, Error> {
        let none = Start { first: 0, frontier: Frontier::default(), archives: Vec::new() };
        let first = self.first_kept()?;
        if first == 0 {
            return Ok(none);
        }
        let Some((_, archives)) = listed(self.connection()).map_err(|error| self.failed(&error))? else { return Ok(none) };
        if archives.last().is_none_or(|last| last.to != first) {
            return Ok(none);
        }
        Ok(checked_frontier(self, first)?.map_or(none, |frontier| Start { first, frontier, archives }))
    }

    /// A record key whose introduction is in an archive, and the `prune` record that names it instead.
    pub(super) fn archived_key(&self, epoch: u64) -> Result<Option<(Vkey, Found)>, Error> {
        if epoch >= self.first_kept()? {
            return Ok(None);
        }
        let Some((seq, archives)) = listed(self.connection()).map_err(|error| self.failed(&error))? else { return Ok(None) };
        let key = archives.into_iter().rev().find(|archive| archive.epoch == epoch).map(|archive| archive.key);
        let found = self.find(&Wanted::Entry(seq))?.pop();
        Ok(key.zip(found))
    }
}
