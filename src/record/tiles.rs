//! The layout in which transparency logs are published as files (C2SP tlog-tiles).

use std::fmt::Write;

use super::tree::{Hash, node_hash};

/// So many hashes or entries fill a tile.
pub const TILE_WIDTH: u64 = 256;

/// Tiles stand over each other in steps of so many levels of the tree.
pub const TILE_HEIGHT: u8 = 8;

/// What a tile holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Row {
    /// Entries, each after its length.
    Entries,
    /// Hashes of complete subtrees, 256 to the power of this high.
    Hashes(u8),
}

/// One tile of a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tile {
    /// What it holds.
    pub row: Row,
    /// Its place in the row, from 0.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256.
    pub width: u64,
}

impl Tile {
    /// The tile of a tree of `size` entries; none where that tree has nothing there.
    pub fn of(row: Row, index: u64, size: u64) -> Option<Self> {
        let level = if let Row::Hashes(level) = row { level } else { 0 };
        let whole = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let width = whole.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        (width > 0).then_some(Self { row, index, width })
    }

    /// All hash tiles of this level and above, from below and from the left.
    pub fn hashes(from_level: u8, size: u64) -> impl Iterator<Item = Self> {
        (from_level..8).flat_map(move |level| (0..).map_while(move |index| Self::of(Row::Hashes(level), index, size)))
    }

    /// Where it stands below the log's prefix.
    pub fn path(&self) -> String {
        let mut path = match self.row {
            Row::Entries => "tile/entries".to_owned(),
            Row::Hashes(level) => format!("tile/{level}"),
        };
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        let parts = digits.len() / 3;
        for part in 0..parts {
            let more = if part + 1 < parts { "x" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(path, "/{more}{}", &digits[part * 3..part * 3 + 3]);
        }
        if self.width < TILE_WIDTH {
            let _ = write!(path, ".p/{}", self.width);
        }
        path
    }

    /// Reads a path; only the one spelling that a tile has.
    pub fn parse(path: &str) -> Option<Self> {
        let (row, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (place, width) = match rest.split_once(".p/") {
            Some((place, width)) => (place, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?),
            None => (rest, TILE_WIDTH),
        };
        let row = if row == "entries" { Row::Entries } else { Row::Hashes(row.parse().ok()?) };
        let digits: String = place.split('/').map(|part| part.strip_prefix('x').unwrap_or(part)).collect();
        let tile = Self { row, index: digits.parse().ok()?, width };
        (tile.path() == path).then_some(tile)
    }
}

/// The entries of a tile, each after its length in two bytes; none where one is too long for that.
pub fn entry_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// Reads the entries of a tile; none where a length does not fit.
pub fn bundled_entries(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

/// The hashes of a tile; none where they are not whole.
pub fn tile_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// The root over as many hashes as a power of two; none over any other number.
pub fn complete_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row.first().copied()
}
