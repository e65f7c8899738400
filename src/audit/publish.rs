use std::collections::HashMap;
use std::io;
use std::ops::Range;

use super::error::{Error, Kind};
use super::reader::Reader;
use crate::record::{Hash, Row, TILE_HEIGHT, TILE_WIDTH, Tile, complete_root, entry_bundle, range_root};

/// Takes one file of a published log: its path below the log's prefix, and its bytes.
pub type Publish<'a> = dyn FnMut(&str, &[u8]) -> io::Result<()> + 'a;

impl Reader {
    /// Gives the files that a transparency log is published as (C2SP tlog-tiles), the checkpoint last, so that whoever sees it finds the
    /// rest. What is given was hashed up to the signed root before; entries that are in an archive are left out, with their tiles.
    /// Says which entries were given.
    pub fn publish(&self, file: &mut Publish<'_>) -> Result<Range<u64>, Error> {
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        let head = self.head()?;
        if !head.holds() {
            return Err(self.damaged("has an end that its key did not sign"));
        }
        let mut file = |name: &str, bytes: &[u8]| {
            file(name, bytes).map_err(|error| Error::new(Kind::Unusable, format!("`{name}` cannot be written: {error}")))
        };
        let size = head.frontier.size();
        let first = self.first_kept()?.next_multiple_of(TILE_WIDTH);
        self.expect_tiles(size, first, head.frontier.root())?;
        for tile in Tile::hashes(0, size).filter(|tile| is_kept(*tile, first)) {
            file(&tile.path(), &self.tile(tile)?.concat())?;
            if tile.row == Row::Hashes(0) {
                let start = tile.index * TILE_WIDTH;
                let rows = self.rows(&(start..start + tile.width))?;
                let bytes = entry_bundle(rows.iter().map(|row| row.body.as_slice())).filter(|_| rows.len() as u64 == tile.width);
                let bytes = bytes.ok_or_else(|| self.damaged(&format!("has a gap after entry {start}")))?;
                file(&Tile { row: Row::Entries, ..tile }.path(), &bytes)?;
            }
        }
        file("checkpoint", head.note.as_bytes())?;
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(first.min(size)..size)
    }

    /// Each full tile is the hash that stands above it, and those at the right edge make up the root.
    fn expect_tiles(&self, size: u64, first: u64, root: Hash) -> Result<(), Error> {
        let mut edge: HashMap<u8, (u64, Vec<Hash>)> = HashMap::new();
        for tile in Tile::hashes(0, size).filter(|tile| is_kept(*tile, first)) {
            let Row::Hashes(level) = tile.row else { continue };
            let hashes = self.tile(tile)?;
            if tile.width < TILE_WIDTH {
                edge.insert(level, (tile.index * TILE_WIDTH, hashes));
            } else if complete_root(&hashes) != Some(self.node((level + 1) * TILE_HEIGHT, tile.index)?) {
                return Err(self.damaged(&format!("has a tile `{}` that was changed", tile.path())));
            }
        }
        let node = |level: u8, index: u64| {
            let (row, over) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
            let (start, hashes) = edge.get(&row)?;
            let at = usize::try_from((index << over).checked_sub(*start)?).ok()?;
            complete_root(hashes.get(at..at + (1 << over))?)
        };
        match range_root(0, size, &mut |level, index| node(level, index).ok_or(())) {
            Ok(found) if found == root => Ok(()),
            _ => Err(Error::new(Kind::Damaged, "the tiles do not make up the signed root")),
        }
    }
}

/// Whether all that a tile of the lowest row stands over is still in the log; the others always are.
fn is_kept(tile: Tile, first: u64) -> bool {
    tile.row != Row::Hashes(0) || tile.index * TILE_WIDTH >= first
}
