use std::collections::VecDeque;

use rusqlite::params;

use super::error::Error;
use super::reader::Reader;
use super::verify::Report;
use crate::record::{Frontier, Hash, TILE_HEIGHT, node_hash};

const BATCH: i64 = 512;

/// The stored nodes, read in the order in which a growing tree completes them.
pub(super) struct Nodes<'a> {
    reader: &'a Reader,
    levels: Vec<VecDeque<(i64, Option<Hash>)>>,
    faulty: bool,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, levels: Vec::new(), faulty: false }
    }

    /// Whether the next stored node of this level is this one. Nothing is compared any more after the first difference.
    pub(super) fn holds(&mut self, level: u8, index: u64, hash: &Hash) -> Result<bool, Error> {
        if self.faulty {
            return Ok(true);
        }
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let slot = usize::from(level);
        if self.levels.len() <= slot {
            self.levels.resize_with(slot + 1, VecDeque::new);
        }
        if self.levels[slot].is_empty() {
            self.levels[slot] = self.batch(level, index).map_err(|error| self.reader.failed(&error))?;
        }
        self.faulty = self.levels[slot].pop_front() != Some((index, Some(*hash)));
        Ok(!self.faulty)
    }

    fn batch(&self, level: u8, from: i64) -> rusqlite::Result<VecDeque<(i64, Option<Hash>)>> {
        let mut statement =
            self.reader.connection().prepare("SELECT idx,hash FROM node WHERE level=?1 AND idx>=?2 ORDER BY idx LIMIT ?3")?;
        let rows = statement.query_map(params![level, from, BATCH], |row| {
            Ok((row.get(0)?, row.get_ref(1)?.as_blob().ok().and_then(|hash| hash.try_into().ok())))
        })?;
        rows.collect()
    }

    /// Whether there are as many nodes as a tree of this size has whose first entries are in archives, with the nodes that only they need.
    pub(super) fn finish(&self, first: u64, size: u64, report: &mut Report) -> Result<(), Error> {
        let count: i64 = self
            .reader
            .connection()
            .query_row("SELECT count(*) FROM node", [], |row| row.get(0))
            .map_err(|error| self.reader.failed(&error))?;
        let archived: u64 = (1..TILE_HEIGHT).map(|level| first >> level).sum();
        if u64::try_from(count).ok() != Some(size - u64::from(size.count_ones()) - archived) {
            report.wrong(None, "the tree has nodes too many or too few");
        }
        Ok(())
    }
}

/// The tree over archived entries, from the nodes that stay; none where they do not fit together.
pub(super) fn checked_frontier(reader: &Reader, first: u64) -> Result<Option<Frontier>, Error> {
    let mut bytes = Vec::new();
    for level in (0..64_u8).rev().filter(|level| first >> level & 1 == 1) {
        match checked_node(reader, level, (first >> level) - 1)? {
            Some(hash) => bytes.extend_from_slice(&hash),
            None => return Ok(None),
        }
    }
    Ok(Frontier::parse(first, &bytes))
}

/// A node that is the hash of those below it, down to those that stand for a whole tile.
fn checked_node(reader: &Reader, level: u8, index: u64) -> Result<Option<Hash>, Error> {
    let stored = reader.node(level, index)?;
    if level <= TILE_HEIGHT {
        return Ok((level == TILE_HEIGHT).then_some(stored));
    }
    let below = (checked_node(reader, level - 1, 2 * index)?, checked_node(reader, level - 1, 2 * index + 1)?);
    Ok(matches!(below, (Some(left), Some(right)) if node_hash(&left, &right) == stored).then_some(stored))
}
