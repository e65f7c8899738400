use std::collections::HashMap;

use crate::record::Hash;
use crate::record::terms::{Term, Text, texts};

/// The level of the tree whose subtrees are the blocks of the index.
pub(super) const LEVEL: u8 = 10;

/// How many entries a block has.
pub(super) const BLOCK: u64 = 1 << LEVEL;

const WORDS: usize = 1 << (LEVEL - 6);

/// A block with more terms than this has none in the index: all its entries are read.
const MOST_TERMS: usize = 50_000;

/// Nor has one with more text than this, in bytes; what occurs again counts once.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// Places in a block: which of its entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Places([u64; WORDS]);

impl Places {
    pub(super) const NONE: Self = Self([0; WORDS]);
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    fn add(&mut self, place: u16) {
        if let Some(word) = self.0.get_mut(usize::from(place >> 6)) {
            *word |= 1 << (place & 63);
        }
    }

    pub(super) fn unite(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    /// The places, the last one first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = u64> {
        let words = (0..).step_by(64).zip(self.0);
        let places =
            words.flat_map(|(first, word): (u64, u64)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit));
        places.collect::<Vec<_>>().into_iter().rev()
    }

    /// One bit for each entry where that is short, else each place in two bytes; the lengths tell which.
    fn bytes(&self) -> Vec<u8> {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        if usize::try_from(count).is_ok_and(|count| count < WORDS * 4) {
            let mut places: Vec<u16> = self.backwards().filter_map(|place| u16::try_from(place).ok()).collect();
            places.reverse();
            return places.into_iter().flat_map(u16::to_be_bytes).collect();
        }
        self.0.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Reads the bytes back; none where no index has them so.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut places = Self::NONE;
        if bytes.len() == WORDS * 8 {
            let (words, _) = bytes.as_chunks::<8>();
            places.0.iter_mut().zip(words).for_each(|(place, word)| *place = u64::from_be_bytes(*word));
            return Some(places);
        }
        let (list, rest) = bytes.as_chunks::<2>();
        let list = list.iter().map(|place| u16::from_be_bytes(*place));
        let fits = rest.is_empty() && list.len() < WORDS * 4 && list.clone().all(|place| u64::from(place) < BLOCK);
        fits.then(|| {
            list.for_each(|place| places.add(place));
            places
        })
    }
}

/// A term, and the places that have it.
pub(super) type Row = (Box<[u8]>, Vec<u8>);

/// What the index says of a block as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// The hash of the subtree over its entries.
    pub(super) hash: Hash,
    /// The time of its latest entry, in nanoseconds since 1970.
    pub(super) latest: i64,
    /// Whether its terms are too many to be kept.
    pub(super) crowded: bool,
}

/// The text of a block while its entries are read. Most of it occurs many times, and terms are made of it once, at the end.
#[derive(Default)]
pub(super) struct Postings {
    /// A letter for what it is, and the text.
    texts: HashMap<Box<[u8]>, Places>,
    /// What `texts` takes, in bytes.
    size: usize,
    latest: Option<i64>,
    crowded: bool,
    key: Vec<u8>,
}

impl Postings {
    /// Takes an entry: its place in the block, its time, and its text.
    pub(super) fn entry(&mut self, place: u16, wall: i64, record: &str) {
        self.latest = self.latest.max(Some(wall));
        texts(record, |text| {
            if self.crowded {
                return;
            }
            write_key(&mut self.key, text.letter(), text.raw);
            if let Some(places) = self.texts.get_mut(self.key.as_slice()) {
                places.add(place);
                return;
            }
            let mut places = Places::NONE;
            places.add(place);
            self.texts.insert(self.key.as_slice().into(), places);
            self.size += self.key.len() + size_of::<(Box<[u8]>, Places)>();
            if self.size > MOST_TEXT {
                self.crowd();
            }
        });
    }

    fn crowd(&mut self) {
        self.crowded = true;
        self.texts = HashMap::new();
    }

    /// The rows of the finished block, in the order of their terms.
    pub(super) fn finish(mut self, hash: Hash) -> (Block, Vec<Row>) {
        let mut terms: HashMap<Box<[u8]>, Places> = HashMap::new();
        let mut key = Vec::new();
        for (text, places) in &self.texts {
            let Some((letter, raw)) = text.split_first() else { continue };
            let Some(text) = std::str::from_utf8(raw).ok().and_then(|raw| Text::of(*letter, raw)) else { continue };
            text.terms(|field, term| {
                write_key(&mut key, field.letter(), term);
                if let Some(others) = terms.get_mut(key.as_slice()) {
                    others.unite(places);
                } else if terms.len() <= MOST_TERMS {
                    terms.insert(key.as_slice().into(), *places);
                }
            });
        }
        if terms.len() > MOST_TERMS {
            self.crowd();
            terms = HashMap::new();
        }
        let block = Block { hash, latest: self.latest.unwrap_or(i64::MIN), crowded: self.crowded };
        let mut rows: Vec<Row> = terms.into_iter().map(|(term, places)| (term, places.bytes())).collect();
        rows.sort_unstable();
        (block, rows)
    }
}

/// A term as the index has it.
fn write_key(key: &mut Vec<u8>, letter: u8, text: &str) {
    key.clear();
    key.push(letter);
    key.extend_from_slice(text.as_bytes());
}

/// The terms of the index that a wanted one stands for: from the first to before the second, or just the first.
pub(super) fn range(term: &Term) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut from = Vec::new();
    write_key(&mut from, term.field.letter(), &term.text);
    let to = term.begins.then(|| {
        // No byte of UTF-8 is 0xff.
        let mut to = from.clone();
        to.push(0xff);
        to
    });
    (from, to)
}
