use std::borrow::Cow;
use std::path::Path;

use serde_json::Value;

use super::disclosed;
use super::entries::Entries;
use super::error::{Error, Kind};
use super::postings::{BLOCK, LEVEL, Places, Postings};
use super::reader::Reader;
use super::search_index::{Index, forget};
use super::show::{Found, Wanted};
use crate::record::disclosure::digests_in;
use crate::record::terms::Query;
use crate::record::{Body, Hash, leaf_hash};

/// How many blocks are indexed in one transaction.
const BATCH: u64 = 64;

/// How many entries are read at once where no index helps.
const CHUNK: u64 = 256;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What an entry has to have.
    pub query: Query,
    /// Not before this, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// An entry that has what was looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// The entry, read again from the log.
    pub found: Found,
    /// Why its bytes do not stand in the signed tree, where they do not.
    pub unproved: Option<Error>,
}

/// What says that there are no other hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Looked {
    /// Every entry was read.
    Entries,
    /// An index that `verify` compared with the entries.
    Compared,
    /// An index that nothing vouches for.
    Unverified,
}

impl Reader {
    /// Finds entries, the newest first, and gives them to `each`, until that says stop. The own log has an index for this, which is
    /// brought up to date first; `warn` is told why, where it cannot be used and every entry is read.
    pub fn search(&self, search: &Search, warn: impl Fn(&Error), mut each: impl FnMut(Hit) -> bool) -> Result<Looked, Error> {
        // One transaction: index and entries are of one moment of the log, whoever writes meanwhile.
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        let entries = self.proved(0)?;
        let index = match self.index() {
            Some(path) => self.current_index(path, &entries).inspect_err(&warn).ok(),
            None => None,
        };
        let mut hunt = Hunt { reader: self, entries: &entries, search, left: search.limit, each: &mut each };
        let first = self.first_entry()?;
        let indexed = index.as_ref().and_then(Index::next).map_or(0, |next| next * BLOCK).max(first);
        let mut looked = Looked::Entries;
        if hunt.read(indexed, entries.size())?
            && let Some(index) = &index
        {
            looked = if index.next().is_some_and(|next| next > index.compared) { Looked::Unverified } else { Looked::Compared };
            if let Err(error) = hunt.follow(index)? {
                warn(&error);
                looked = Looked::Entries;
            }
        }
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(looked)
    }

    /// The index, with all whole blocks in it. One that is not of this log, or older than the last erasure, is made anew.
    fn current_index(&self, path: &Path, entries: &Entries<'_>) -> Result<Index, Error> {
        let (origin, size) = (entries.origin(), entries.size());
        let found = match Index::open(path, origin) {
            Err(error) if error.kind() == Kind::Damaged => None,
            other => other?,
        };
        let mut index = match found {
            Some(index) if self.is_of_this_history(&index)? && !self.was_erased_since(&index)? => index,
            _ => Index::create(path, origin, size)?,
        };
        let first = self.first_entry()? / BLOCK;
        loop {
            let next = index.next().unwrap_or(first);
            let end = (size / BLOCK).min(next + BATCH);
            if next >= end {
                return Ok(index);
            }
            index.add((next..end).map(|block| {
                self.told(block * BLOCK, size);
                Ok((block, self.node(LEVEL, block)?, self.postings(block)?))
            }))?;
        }
    }

    fn is_of_this_history(&self, index: &Index) -> Result<bool, Error> {
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare("SELECT idx,hash FROM node WHERE level=?1 ORDER BY idx").map_err(failed)?;
        let mut rows = statement.query([LEVEL]).map_err(failed)?;
        let mut blocks = index.blocks.iter().peekable();
        while let Some((number, block)) = blocks.peek()
            && let Some(row) = rows.next().map_err(failed)?
        {
            let node: (u64, Option<Hash>) = (
                row.get::<_, i64>(0).ok().and_then(|index| u64::try_from(index).ok()).unwrap_or(u64::MAX),
                row.get_ref(1).ok().and_then(|hash| hash.as_blob().ok()?.try_into().ok()),
            );
            match node.0.cmp(number) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal if node.1 == Some(block.hash) => drop(blocks.next()),
                _ => return Ok(false),
            }
        }
        Ok(blocks.peek().is_none())
    }

    /// Whether text that the index may have was erased, or moved to an archive, after it was made.
    fn was_erased_since(&self, index: &Index) -> Result<bool, Error> {
        const QUERY: &str = "SELECT max(seq) FROM entry WHERE seq>=?1 AND \
            (instr(body,CAST('\"kind\":\"redact\"' AS BLOB))>0 OR instr(body,CAST('\"kind\":\"prune\"' AS BLOB))>0)";
        let from = index.next().map_or(0, |next| next * BLOCK).max(index.erased);
        let last: Option<i64> = self.connection().query_row(QUERY, [sql(from)], |row| row.get(0)).map_err(|error| self.failed(&error))?;
        Ok(last.is_some())
    }

    fn first_entry(&self) -> Result<u64, Error> {
        let first: Option<i64> =
            self.connection().query_row("SELECT min(seq) FROM entry", [], |row| row.get(0)).map_err(|error| self.failed(&error))?;
        Ok(first.and_then(|first| u64::try_from(first).ok()).unwrap_or_default())
    }

    /// The terms of a block's entries.
    fn postings(&self, block: u64) -> Result<Postings, Error> {
        let failed = |error| self.failed(&error);
        let mut statement =
            self.connection().prepare("SELECT seq,body FROM entry WHERE seq>=?1 AND seq<?2 ORDER BY seq").map_err(failed)?;
        let mut rows = statement.query([sql(block * BLOCK), sql((block + 1) * BLOCK)]).map_err(failed)?;
        let mut postings = Postings::default();
        while let Some(row) = rows.next().map_err(failed)? {
            let (Ok(seq), Ok(bytes)) = (row.get::<_, i64>(0), row.get_ref(1).map_err(failed)?.as_blob()) else { continue };
            let place = u64::try_from(seq).ok().and_then(|seq| u16::try_from(seq % BLOCK).ok());
            if let (Some(place), Ok(body)) = (place, Body::parse(bytes)) {
                postings.entry(place, body.header.wall, &self.text(bytes)?);
            }
        }
        Ok(postings)
    }

    /// The text of a record as it is searched: with what is kept beside it and not erased.
    pub(super) fn text<'a>(&self, body: &'a [u8]) -> Result<Cow<'a, str>, Error> {
        if digests_in(body).is_empty() {
            return Ok(String::from_utf8_lossy(body));
        }
        let mut record: Value = serde_json::from_slice(body).unwrap_or_default();
        disclosed::put_back(self.connection(), &mut record).map_err(|error| self.failed(&error))?;
        Ok(Cow::Owned(record.to_string()))
    }
}

/// The way from the newest entry to the oldest.
struct Hunt<'a> {
    reader: &'a Reader,
    entries: &'a Entries<'a>,
    search: &'a Search,
    left: usize,
    each: &'a mut dyn FnMut(Hit) -> bool,
}

impl Hunt<'_> {
    /// Reads all entries of a range; false where there is no need to go on.
    fn read(&mut self, from: u64, to: u64) -> Result<bool, Error> {
        let mut to = to;
        while to > from && self.left > 0 {
            self.reader.told(self.entries.size() - to, self.entries.size());
            let start = from.max(to.saturating_sub(CHUNK));
            for found in self.reader.select("seq>=?1 AND seq<?2 ORDER BY seq DESC", [sql(start), sql(to)])? {
                if !self.take(found)? {
                    return Ok(false);
                }
            }
            to = start;
        }
        Ok(self.left > 0)
    }

    /// Reads what the index names. The inner error says why the index cannot be followed: its file is removed, and the entries are read.
    fn follow(&mut self, index: &Index) -> Result<Result<(), Error>, Error> {
        let mut lookup = match index.lookup() {
            Ok(lookup) => lookup,
            Err(error) => return self.without(index, u64::MAX).map(|()| Err(error)),
        };
        for (number, block) in index.blocks.iter().rev() {
            if self.search.since.is_some_and(|since| block.latest < since) {
                continue;
            }
            let places = match lookup.places(*number, &self.search.query) {
                Ok(places) => places,
                Err(error) => return self.without(index, number + 1).map(|()| Err(error)),
            };
            let first = number * BLOCK;
            if places == Places::ALL {
                if !self.read(first, first + BLOCK)? {
                    return Ok(Ok(()));
                }
                continue;
            }
            for place in places.backwards() {
                for found in self.reader.find(&Wanted::Entry(first + place))? {
                    if !self.take(found)? {
                        return Ok(Ok(()));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Goes on from the block before this one without the index.
    fn without(&mut self, index: &Index, before: u64) -> Result<(), Error> {
        forget(index.path())?;
        let end = index.next().unwrap_or_default().min(before) * BLOCK;
        let first = self.reader.first_entry()?;
        self.read(first, end).map(drop)
    }

    /// Looks at an entry; false where there is no need to go on.
    fn take(&mut self, found: Found) -> Result<bool, Error> {
        let wanted = match Body::parse(&found.body) {
            Ok(body) => {
                self.search.since.is_none_or(|since| body.header.wall >= since)
                    && self.search.query.matches(&self.reader.text(&found.body)?)
            }
            Err(_) => false,
        };
        if !wanted {
            return Ok(true);
        }
        let unproved = self.entries.included(found.seq, &leaf_hash(&found.body)).err();
        self.left = self.left.saturating_sub(1);
        Ok((self.each)(Hit { found, unproved }) && self.left > 0)
    }
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
