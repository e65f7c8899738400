use super::postings::{BLOCK, LEVEL, Postings};
use super::reader::Reader;
use super::search_index::{Index, forget};
use super::verify::Report;
use crate::record::{Body, Hash};

/// What became of the search index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Searchable {
    /// It says what the entries say.
    Compared,
    /// It said something else, and was removed.
    Removed,
}

/// The comparison of the search index with the entries, on the way through them.
pub(super) struct SearchCheck {
    index: Option<Index>,
    first: u64,
    next: u64,
    postings: Postings,
    differs: bool,
}

impl SearchCheck {
    pub(super) fn start(reader: &Reader, origin: &str) -> Self {
        // Whatever is wrong with a file that cannot be read as an index: nothing of it is kept.
        let (index, differs) = match reader.index().map(|path| Index::open(path, origin)) {
            Some(Ok(index)) => (index.filter(|index| index.next().is_some()), false),
            Some(Err(_)) => (None, true),
            None => (None, false),
        };
        let first = index.as_ref().and_then(|index| index.blocks.first_key_value()).map_or(0, |(first, _)| *first);
        Self { index, first, next: first, postings: Postings::default(), differs }
    }

    /// Whether the index has the block that comes next, and nothing was found to differ.
    fn goes_on(&self) -> bool {
        !self.differs && self.index.as_ref().and_then(Index::next).is_some_and(|end| self.next < end)
    }

    /// Takes an entry that is a record.
    pub(super) fn entry(&mut self, reader: &Reader, seq: u64, bytes: &[u8], body: &Body<'_>) {
        let block = seq / BLOCK;
        if !self.goes_on() || block < self.first {
            return;
        }
        match (u16::try_from(seq % BLOCK), reader.text(bytes)) {
            (Ok(place), Ok(text)) if block == self.next => self.postings.entry(place, body.header.wall, &text),
            _ => self.differs = true,
        }
    }

    /// Takes a node that the entries complete.
    pub(super) fn node(&mut self, level: u8, number: u64, hash: Hash) {
        if level != LEVEL || number != self.next || !self.goes_on() {
            return;
        }
        let postings = std::mem::take(&mut self.postings);
        self.differs = !self.index.as_ref().is_some_and(|index| index.says(number, hash, postings).unwrap_or(false));
        self.next = number + 1;
    }

    /// Says in the report what was found. One that differs is removed: the next search makes it anew.
    pub(super) fn finish(self, reader: &Reader, report: &mut Report) {
        let Some(path) = reader.index() else { return };
        match self.index {
            Some(index) if !self.differs && index.next() == Some(self.next) => {
                // Where this cannot be noted, searches go on saying that nothing vouches for it.
                let _ = index.note_compared(self.next);
                report.searchable = Some(Searchable::Compared);
            }
            None if !self.differs => {}
            index => {
                drop(index);
                report.searchable = forget(path).is_ok().then_some(Searchable::Removed);
            }
        }
    }
}
