use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;

use super::bundle::sum_line;
use super::bundle_group::Group;
use super::error::{Error, Kind};
use super::signatures::Signed;
use super::verify::{Check, Report};
use crate::key::Vkey;
use crate::record::tile_hashes;
use crate::record::{Archived, Checkpoint, Hash, Member, Note, Part, Row, TILE_HEIGHT, TILE_WIDTH, Tile, complete_root, range_root, ustar};

/// No file of a bundle is longer: 256 entries of the largest kind.
const LONGEST: u64 = 256 * (2 + 65_535);

/// So many hashes may have to be kept until the tree over them is known: a log of four thousand million entries.
const MOST_HASHES: usize = 1 << 24;

const MOST_CHECKPOINTS: usize = 100_000;

/// What a check of a bundle found.
#[derive(Clone, Debug, Default)]
pub struct Bundled {
    /// What is wrong, and what vouches for the rest; the size is that of the log, not of the bundle.
    pub report: Report,
    /// The entries that the bundle holds: the first and last of each row without a gap.
    pub held: Vec<(u64, u64)>,
    /// The sizes of the countersigned checkpoints in it.
    pub countersigned: Vec<u64>,
}

/// Checks a bundle in one pass and in little memory. Nothing is written anywhere, and no name in it is used as one.
pub fn check_bundle(path: &Path, input: &mut dyn Read, check: &Check) -> Result<Bundled, Error> {
    let mut archive = Archive { path, input };
    let mut walk = Walk { check: check.clone(), ..Walk::default() };
    let mut before = None;
    while let Some((part, bytes)) = archive.next(before)? {
        if before.is_none() && part != Part::Readme {
            return Err(archive.damaged("does not begin as a bundle does"));
        }
        before = Some(part);
        walk.part(part, &bytes).map_err(|what| archive.damaged(&format!("{what} (in `{}`)", part.name())))?;
    }
    if before != Some(Part::Sums) {
        return Err(archive.damaged("ends too early"));
    }
    walk.finish(path)
}

/// A tar archive, nothing of it believed: whatever gate would not write so is refused.
struct Archive<'a> {
    path: &'a Path,
    input: &'a mut dyn Read,
}

impl Archive<'_> {
    /// The next file, which has to come after the one before; none at the end.
    fn next(&mut self, before: Option<Part>) -> Result<Option<(Part, Vec<u8>)>, Error> {
        let mut block = [0; ustar::BLOCK];
        self.fill(&mut block)?;
        if block == [0; ustar::BLOCK] {
            let mut rest = Vec::new();
            let read = self.input.take(2 * ustar::BLOCK as u64).read_to_end(&mut rest);
            read.map_err(|error| Error::at(Kind::Unusable, self.path, format!("cannot be read: {error}")))?;
            return if rest == [0; ustar::BLOCK] { Ok(None) } else { Err(self.damaged("does not end as a bundle does")) };
        }
        let Some((name, length)) = ustar::parse(&block) else { return Err(self.damaged("has a header that gate does not write")) };
        let Some(part) = Part::parse(name) else {
            return Err(self.damaged(&format!("has a file `{name}`, which no bundle has")));
        };
        if before.is_some_and(|before| before >= part) {
            return Err(self.damaged(&format!("has `{name}` twice or in another place")));
        }
        if length > LONGEST {
            return Err(self.damaged(&format!("has `{name}` of {length} bytes, which is too much")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(&mut bytes)?;
        let mut padding = vec![0; ustar::padding(length)];
        self.fill(&mut padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(self.damaged(&format!("has something after `{name}`")));
        }
        Ok(Some((part, bytes)))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("ends too early"),
            _ => Error::at(Kind::Unusable, self.path, format!("cannot be read: {error}")),
        })
    }

    fn damaged(&self, what: &str) -> Error {
        Error::at(Kind::Damaged, self.path, what)
    }
}

/// What is known of the bundle so far.
#[derive(Default)]
struct Walk {
    check: Check,
    log_key: Option<Vkey>,
    record_keys: BTreeMap<u64, Vkey>,
    /// Those of them that `prune` records name: the entries that introduced them are in archives.
    archived: BTreeSet<u64>,
    /// The signed end.
    end: Option<Checkpoint>,
    /// All checkpoints that have to hold, with how they came here.
    checkpoints: Vec<(Checkpoint, &'static str)>,
    found: Bundled,
    signed: Option<Signed>,
    group: Option<Group>,
    /// The hashes of whole groups, from their entries.
    wholes: Vec<(u64, Hash)>,
    /// The lowest hashes of groups in which a checkpoint ends.
    leaves: HashMap<u64, Vec<Hash>>,
    /// The rows of tiles above the lowest.
    rows: Vec<Vec<Hash>>,
    hashes: usize,
    sums: String,
    given: String,
}

const WITHIN: &str = "in the bundle";
const ELSEWHERE: &str = "kept elsewhere";

impl Walk {
    /// Takes the next file. An error makes the whole bundle void; what is wrong with an entry is only noted.
    fn part(&mut self, part: Part, bytes: &[u8]) -> Result<(), String> {
        if part.is_summed() {
            self.sums.push_str(&sum_line(bytes, &part.name()));
        }
        let text = || std::str::from_utf8(bytes).map_err(|_| "not text");
        match part {
            Part::Readme | Part::Policy | Part::Signers => {}
            Part::LogKey => {
                let key = vkey(text()?)?;
                self.found.report.expect_log(&self.check, &key);
                self.log_key = Some(key);
            }
            Part::RecordKey(epoch) => drop(self.record_keys.insert(epoch, vkey(text()?)?)),
            Part::Checkpoint => {
                self.kept(text()?, WITHIN)?;
                self.begin()?;
                text()?.clone_into(&mut self.found.report.checkpoint);
            }
            Part::Countersigned(size) => {
                self.kept(text()?, WITHIN)?;
                if self.checkpoints.last().is_none_or(|(checkpoint, _)| checkpoint.size != size) || size == 0 {
                    return Err("a checkpoint of another size".to_owned());
                }
                self.found.countersigned.push(size);
            }
            Part::Group(number, member) => self.group(number, member, bytes)?,
            Part::Tile(level, tile) => self.tile(level, tile, bytes)?,
            Part::Sums => text()?.clone_into(&mut self.given),
        }
        Ok(())
    }

    fn end(&self) -> Result<&Checkpoint, String> {
        self.end.as_ref().ok_or_else(|| "before the checkpoint".to_owned())
    }

    /// Takes a checkpoint, which the log's key has to have signed.
    fn kept(&mut self, text: &str, how: &'static str) -> Result<(), String> {
        let key = self.log_key.as_ref().ok_or("before the log's key")?;
        let parsed = Note::parse(text).ok().and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note)));
        let (checkpoint, note) = parsed.ok_or("not a checkpoint")?;
        if note.to_string() != text || checkpoint.origin != key.name() || !note.is_signed_by(key) {
            return Err("a checkpoint that the log's key did not sign".to_owned());
        }
        if self.checkpoints.len() >= MOST_CHECKPOINTS {
            return Err("too many checkpoints".to_owned());
        }
        self.found.report.witness(&self.check, &checkpoint, &note, key);
        self.checkpoints.push((checkpoint, how));
        Ok(())
    }

    /// The checkpoint of the end is known: now the log has a name and a size.
    fn begin(&mut self) -> Result<(), String> {
        let end = self.checkpoints.first().map(|(checkpoint, _)| checkpoint.clone()).ok_or("no checkpoint")?;
        if end.size == 0 || end.size > 1 << 48 || self.record_keys.is_empty() {
            return Err("a log of another size than any".to_owned());
        }
        let report = &mut self.found.report;
        (report.origin, report.size) = (end.origin.clone(), end.size);
        report.key = self.log_key.as_ref().map(ToString::to_string).unwrap_or_default();
        self.signed = Some(Signed::start(self.check.signatures, end.size));
        self.end = Some(end);
        if let Some(against) = self.check.against.take() {
            self.kept(&against, ELSEWHERE).map_err(|what| format!("what `--against` names is {what}"))?;
        }
        Ok(())
    }

    fn group(&mut self, number: u64, member: Member, bytes: &[u8]) -> Result<(), String> {
        let size = self.end()?.size;
        if self.group.as_ref().is_some_and(|group| group.number != number) {
            self.close_group()?;
        }
        let group = self.group.get_or_insert_with(|| Group::new(number, size));
        match member {
            Member::Entry(seq, false) => group.entry(seq, bytes),
            Member::Entry(seq, true) => {
                let (report, signed) = (&mut self.found.report, &mut self.signed);
                group.envelope(seq, bytes, &self.record_keys, report, signed)?;
                match self.found.held.last_mut() {
                    Some((_, last)) if *last + 1 == seq => *last = seq,
                    _ => self.found.held.push((seq, seq)),
                }
                Ok(())
            }
            Member::Disclosures(seq) => group.disclosures(seq, bytes, &mut self.found.report),
            Member::Argv(seq) => group.argv(seq, bytes, &mut self.found.report),
            Member::Bundle(tile) => group.bundle(tile, bytes),
            Member::Hashes(tile) => group.hashes(tile, bytes, &mut self.found.report),
        }
    }

    fn close_group(&mut self) -> Result<(), String> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let leaves = group.close()?;
        let known = |archive: &Archived| self.record_keys.get(&archive.epoch) == Some(&archive.key);
        let archived: Vec<u64> = group.archived().filter(known).map(|archive| archive.epoch).collect();
        self.archived.extend(archived);
        self.wholes.extend(complete_root(&leaves).filter(|_| leaves.len() as u64 == TILE_WIDTH).map(|root| (group.number, root)));
        if self.checkpoints.iter().any(|(checkpoint, _)| checkpoint.size / TILE_WIDTH == group.number) {
            self.room_for(leaves.len())?;
            self.leaves.insert(group.number, leaves);
        }
        Ok(())
    }

    fn room_for(&mut self, hashes: usize) -> Result<(), String> {
        self.hashes += hashes;
        if self.hashes > MOST_HASHES { Err("more hashes than gate keeps".to_owned()) } else { Ok(()) }
    }

    fn tile(&mut self, level: u8, tile: Tile, bytes: &[u8]) -> Result<(), String> {
        self.close_group()?;
        let size = self.end()?.size;
        let hashes = tile_hashes(bytes).filter(|hashes| hashes.len() as u64 == tile.width).ok_or("not a tile of this width")?;
        self.room_for(hashes.len())?;
        let row = usize::from(level) - 1;
        if self.rows.len() == row {
            self.rows.push(Vec::new());
        }
        let known = self.rows.get_mut(row).ok_or("a tile without those below it")?;
        if known.len() as u64 != tile.index * TILE_WIDTH || Tile::of(Row::Hashes(level), tile.index, size) != Some(tile) {
            return Err("a tile in another place".to_owned());
        }
        known.extend(hashes);
        Ok(())
    }

    fn finish(mut self, path: &Path) -> Result<Bundled, Error> {
        let void = |what: String| Error::at(Kind::Damaged, path, what);
        self.close_group().map_err(void)?;
        let size = self.end().map_err(void)?.size;
        self.tiles_fit(size).map_err(void)?;
        if self.given != self.sums {
            self.found.report.wrong(None, "`SHA256SUMS` does not name these files");
        }
        for (checkpoint, how) in std::mem::take(&mut self.checkpoints) {
            let number = checkpoint.size;
            if number > size {
                self.found.report.wrong(None, format!("the checkpoint {how} is of {number} entries, and the bundle's of {size}"));
                continue;
            }
            match range_root(0, number, &mut |level, index| self.node(level, index).ok_or(())) {
                Ok(root) if root == checkpoint.root => {
                    self.found.report.anchored = self.found.report.anchored.max((how == ELSEWHERE).then_some(number));
                }
                Ok(_) => self.found.report.wrong(None, format!("the checkpoint of {number} entries {how} is of another history")),
                Err(()) if how == ELSEWHERE => {
                    let message = format!("does not hold what shows whether the checkpoint of {number} entries is of this log");
                    return Err(Error::at(Kind::Unusable, path, message).hint("make a bundle of all entries"));
                }
                Err(()) => self.found.report.wrong(None, format!("the tile in which the checkpoint of {number} entries ends is missing")),
            }
        }
        for epoch in self.record_keys.keys() {
            let held = self.found.held.iter().any(|(first, last)| (first..=last).contains(&epoch));
            if !held && !self.archived.contains(epoch) {
                self.found.report.wrong(Some(*epoch), "introduces a record key, and is not in the bundle");
            }
        }
        if let Some(signed) = self.signed.take() {
            signed.finish(&mut self.found.report);
        }
        Ok(self.found)
    }

    /// Every tile is there, and is the hash of the tiles below it.
    fn tiles_fit(&self, size: u64) -> Result<(), String> {
        let mut level: u8 = 1;
        while let whole @ 1.. = size >> (u32::from(level) * u32::from(TILE_HEIGHT)) {
            if self.rows.get(usize::from(level) - 1).is_none_or(|row| row.len() as u64 != whole) {
                return Err("does not hold all tiles".to_owned());
            }
            level += 1;
        }
        let wholes = self.wholes.iter().all(|(number, root)| self.stored(1, *number) == Some(*root));
        let rows = self
            .rows
            .iter()
            .zip(self.rows.iter().skip(1))
            .all(|(below, above)| below.chunks_exact(256).map(complete_root).eq(above.iter().map(|hash| Some(*hash))));
        if wholes && rows { Ok(()) } else { Err("has tiles that do not fit together".to_owned()) }
    }

    fn stored(&self, row: u8, index: u64) -> Option<Hash> {
        let at = usize::try_from(index).ok()?;
        match row {
            0 => self.leaves.get(&(index / TILE_WIDTH))?.get(at % 256).copied(),
            _ => self.rows.get(usize::from(row) - 1)?.get(at).copied(),
        }
    }

    /// The hash of a complete subtree, as the tiles have it.
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let (row, over) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let hashes: Vec<Hash> = (index << over..(index + 1) << over).map(|at| self.stored(row, at)).collect::<Option<_>>()?;
        complete_root(&hashes)
    }
}

/// A key file: one line.
fn vkey(text: &str) -> Result<Vkey, String> {
    let key = text.strip_suffix('\n').and_then(|line| Vkey::parse(line).ok());
    key.ok_or_else(|| "not a key".to_owned())
}
