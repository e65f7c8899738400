use std::collections::HashMap;

use crate::record::Hash;
use crate::record::terms::{Field, Term, terms};

/// The level of the tree whose subtrees are the blocks of the index.
pub(super) const LEVEL: u8 = 10;

/// How many entries a block has.
pub(super) const BLOCK: u64 = 1 << LEVEL;

const WORDS: usize = 1 << (LEVEL - 6);

/// A block with more terms than this has none in the index: all its entries are read.
const MOST_TERMS: usize = 50_000;

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
    fn bytes(places: &[u16]) -> Vec<u8> {
        if places.len() < WORDS * 4 {
            return places.iter().flat_map(|place| place.to_be_bytes()).collect();
        }
        let mut bits = Self::NONE;
        for place in places {
            bits.add(*place);
        }
        bits.0.iter().flat_map(|word| word.to_be_bytes()).collect()
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

/// The terms of a block while its entries are read.
#[derive(Default)]
pub(super) struct Postings {
    places: HashMap<Box<[u8]>, Vec<u16>>,
    latest: Option<i64>,
    crowded: bool,
    key: Vec<u8>,
}

impl Postings {
    /// Takes an entry: its place in the block, its time, and its text.
    pub(super) fn entry(&mut self, place: u16, wall: i64, record: &str) {
        self.latest = self.latest.max(Some(wall));
        if self.crowded {
            return;
        }
        let (places, key) = (&mut self.places, &mut self.key);
        terms(record, |field, text| {
            write_key(key, field, text);
            if let Some(list) = places.get_mut(key.as_slice()) {
                if list.last() != Some(&place) {
                    list.push(place);
                }
            } else if places.len() < MOST_TERMS {
                places.insert(key.as_slice().into(), vec![place]);
            }
        });
        if self.places.len() >= MOST_TERMS {
            self.crowded = true;
            self.places = HashMap::new();
        }
    }

    /// The rows of the finished block, in the order of their terms.
    pub(super) fn finish(self, hash: Hash) -> (Block, Vec<Row>) {
        let block = Block { hash, latest: self.latest.unwrap_or(i64::MIN), crowded: self.crowded };
        let mut rows: Vec<_> = self.places.into_iter().map(|(term, places)| (term, Places::bytes(&places))).collect();
        rows.sort_unstable();
        (block, rows)
    }
}

/// A term as the index has it.
fn write_key(key: &mut Vec<u8>, field: Field, text: &str) {
    key.clear();
    key.push(field.letter());
    key.extend_from_slice(text.as_bytes());
}

/// The terms of the index that a wanted one stands for: from the first to before the second, or just the first.
pub(super) fn range(term: &Term) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut from = Vec::new();
    write_key(&mut from, term.field, &term.text);
    let to = term.begins.then(|| {
        // No byte of UTF-8 is 0xff.
        let mut to = from.clone();
        to.push(0xff);
        to
    });
    (from, to)
}
