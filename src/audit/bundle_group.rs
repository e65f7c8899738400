use std::collections::BTreeMap;

use super::bundle::{blob_of, introduced};
use super::signatures::Signed;
use super::verify::Report;
use crate::key::Vkey;
use crate::record::disclosure::{Disclosures, from_lines, named};
use crate::record::{Archived, Body, Envelope, Hash, Row, TILE_WIDTH, Tile, entry_bundle, hex, leaf_hash, sha256, tile_hashes};

/// Up to 256 entries of a bundle that stand in one tile.
pub(super) struct Group {
    /// Which 256.
    pub(super) number: u64,
    size: u64,
    /// An entry whose envelope has not come yet.
    open: Option<(u64, Vec<u8>)>,
    entries: Vec<(u64, Vec<u8>)>,
    /// The digests of long argvs that disclosures name.
    blobs: BTreeMap<u64, String>,
    bundled: bool,
    leaves: Option<Vec<Hash>>,
}

impl Group {
    pub(super) fn new(number: u64, size: u64) -> Self {
        Self { number, size, open: None, entries: Vec::new(), blobs: BTreeMap::new(), bundled: false, leaves: None }
    }

    pub(super) fn entry(&mut self, seq: u64, bytes: &[u8]) -> Result<(), String> {
        if seq >= self.size {
            return Err("an entry after the signed end".to_owned());
        }
        match self.open.replace((seq, bytes.to_vec())) {
            Some(_) => Err("an entry after one without an envelope".to_owned()),
            None => Ok(()),
        }
    }

    /// The envelope of the entry that came before it, and with it all that the entry says of itself.
    pub(super) fn envelope(
        &mut self,
        seq: u64,
        bytes: &[u8],
        keys: &BTreeMap<u64, Vkey>,
        report: &mut Report,
        signed: &mut Option<Signed>,
    ) -> Result<(), String> {
        let (_, entry) = self.open.take().filter(|(open, _)| *open == seq).ok_or("an envelope without its entry")?;
        let origin = report.origin.clone();
        let mut wrong = |what: &str| report.wrong(Some(seq), what);
        match Body::parse(&entry) {
            Ok(body) => {
                if body.header.log != origin || body.header.seq != seq {
                    wrong("belongs to another log or place");
                }
                if introduced(&body).as_ref() != keys.get(&seq) {
                    wrong("introduces another record key than the bundle has, or none");
                }
            }
            Err(fault) => wrong(&format!("is not a record: {fault}")),
        }
        // An entry that introduces a key is signed with the one before it.
        let key = keys.range(..seq.max(1)).next_back().map(|(_, key)| key);
        match (Envelope::parse(bytes), key) {
            (Ok(envelope), Some(key)) if envelope.body == entry && envelope.keyid == key.short() => {
                if let Some(signed) = signed {
                    signed.entry(seq, &entry, &envelope.signature, key.public());
                }
            }
            _ => wrong("has an envelope that is not its own, or of another key"),
        }
        self.entries.push((seq, entry));
        Ok(())
    }

    /// What an entry's digests are of: nothing that it does not name.
    pub(super) fn disclosures(&mut self, seq: u64, bytes: &[u8], report: &mut Report) -> Result<(), String> {
        let entry = self.held(seq).ok_or("disclosures without their entry")?;
        let read = std::str::from_utf8(bytes).ok().and_then(from_lines).filter(|disclosures| named(entry, disclosures).0);
        match read {
            Some(disclosures) => {
                report.disclosures += disclosures.len() as u64;
                report.erased += named(entry, &disclosures).1;
                let blob = blob_of(entry, &disclosures);
                self.blobs.extend(blob.map(|blob| (seq, blob)));
            }
            None => report.wrong(Some(seq), "has disclosures that it does not name"),
        }
        Ok(())
    }

    /// A long argv, which its entry names by its hash.
    pub(super) fn argv(&mut self, seq: u64, bytes: &[u8], report: &mut Report) -> Result<(), String> {
        let entry = self.held(seq).ok_or("an argv without its entry")?;
        let named = self.blobs.get(&seq).cloned().or_else(|| blob_of(entry, &Disclosures::new()));
        if named != Some(hex(&sha256(&[bytes]))) {
            report.wrong(Some(seq), "has a long argv, and its bytes were changed");
        }
        Ok(())
    }

    fn held(&self, seq: u64) -> Option<&[u8]> {
        let at = self.entries.binary_search_by_key(&seq, |(held, _)| *held).ok()?;
        self.entries.get(at).map(|(_, entry)| entry.as_slice())
    }

    /// The record keys that its `prune` records name in place of entries that are in archives.
    pub(super) fn archived(&self) -> impl Iterator<Item = Archived> {
        let read = |(_, entry): &(u64, Vec<u8>)| Body::parse(entry).ok().and_then(|body| Archived::all(&body));
        self.entries.iter().filter_map(read).flatten()
    }

    pub(super) fn bundle(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), String> {
        self.bundled = true;
        let whole = Tile::of(Row::Entries, self.number, self.size) == Some(tile) && self.entries.len() as u64 == tile.width;
        if whole && entry_bundle(self.entries.iter().map(|(_, entry)| entry.as_slice())).as_deref() == Some(bytes) {
            Ok(())
        } else {
            Err("other entries together than one by one".to_owned())
        }
    }

    /// The tile over the entries: each has to stand in its place, and to follow the one before it.
    pub(super) fn hashes(&mut self, tile: Tile, bytes: &[u8], report: &mut Report) -> Result<(), String> {
        let leaves = tile_hashes(bytes).filter(|leaves| leaves.len() as u64 == tile.width).ok_or("not a tile of this width")?;
        if Tile::of(Row::Hashes(0), self.number, self.size) != Some(tile) {
            return Err("a tile of another width".to_owned());
        }
        if self.entries.len() as u64 == tile.width && !self.bundled {
            return Err("a tile without its entries together".to_owned());
        }
        for (seq, entry) in &self.entries {
            let at = usize::try_from(seq % TILE_WIDTH).unwrap_or(0);
            if leaves.get(at) != Some(&leaf_hash(entry)) {
                report.wrong(Some(*seq), "was changed: the tree holds other bytes in its place");
            }
            let before = at.checked_sub(1).and_then(|at| leaves.get(at));
            if let (Some(before), Ok(body)) = (before, Body::parse(entry))
                && body.header.prev != *before
            {
                report.wrong(Some(*seq), "does not follow the entry before it");
            }
        }
        self.leaves = Some(leaves);
        Ok(())
    }

    /// The hashes of a group that is whole.
    pub(super) fn close(&self) -> Result<Vec<Hash>, String> {
        if self.open.is_some() {
            return Err("an entry without an envelope".to_owned());
        }
        self.leaves.clone().ok_or_else(|| "entries without their tile".to_owned())
    }
}
