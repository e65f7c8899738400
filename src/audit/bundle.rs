use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use ring::digest::{SHA256, digest};

use super::disclosed;
use super::error::{Error, Kind};
use super::head::Head;
use super::reader::Reader;
use crate::key::Vkey;
use crate::record::disclosure::{Disclosures, open, texts};
use crate::record::{Body, Checkpoint, Hash, Kind as RecordKind, Note, Part, Row, TILE_HEIGHT, TILE_WIDTH, Tile, envelope, ustar};
use crate::record::{entry_bundle, hex, leaf_hash};

/// What a bundle is to hold beside what it always holds.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Which entries.
    pub entries: Range<u64>,
    /// The page that says how to verify it by hand.
    pub readme: &'static str,
    /// The witnesses that count (C2SP tlog-policy).
    pub policy: Option<Vec<u8>>,
    /// Who may approve (ssh-keygen's form).
    pub signers: Option<Vec<u8>>,
}

/// A tar archive as it is written.
struct Archive<'a> {
    out: &'a mut dyn Write,
    path: &'a Path,
    sums: String,
}

impl Archive<'_> {
    fn file(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        let name = part.name();
        if part.is_summed() {
            self.sums.push_str(&sum_line(bytes, &name));
        }
        let header =
            ustar::header(&name, bytes.len() as u64).ok_or_else(|| Error::new(Kind::Unusable, format!("`{name}` is too large")))?;
        let padding = &ustar::END[..ustar::padding(bytes.len() as u64)];
        [&header, bytes, padding].into_iter().try_for_each(|piece| self.out.write_all(piece)).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::at(Kind::Unusable, self.path, format!("cannot be written: {error}"))
    }
}

/// A line of `SHA256SUMS`.
pub(super) fn sum_line(bytes: &[u8], name: &str) -> String {
    format!("{}  {name}\n", hex(digest(&SHA256, bytes).as_ref()))
}

/// The record key that an entry introduces.
pub(super) fn introduced(body: &Body<'_>) -> Option<Vkey> {
    let member = match body.kind {
        RecordKind::LogOpen => "keys",
        RecordKind::KeyRotate => "key",
        _ => return None,
    };
    Vkey::parse(body.value(member)?.get("record")?.as_str()?).ok()
}

/// A record key.
pub(super) struct Known {
    /// The entry that introduced it.
    pub(super) epoch: u64,
    pub(super) key: Vkey,
    /// That entry, or the `prune` record that names the key in its place.
    said_by: u64,
}

/// The digest of a record's long argv.
pub(super) fn blob_of(body: &[u8], disclosures: &Disclosures) -> Option<String> {
    let mut record: serde_json::Value = serde_json::from_slice(body).ok()?;
    open(&mut record, disclosures);
    record.pointer("/cmd/argv/blob")?.as_str().map(str::to_owned)
}

/// What is stored of one entry.
pub(super) struct Stored {
    seq: u64,
    pub(super) body: Vec<u8>,
    signature: Vec<u8>,
    epoch: u64,
}

impl Reader {
    /// Writes what an auditor needs into a tar archive. The same log and contents give the same bytes.
    /// What entries are outside of the log or no longer in it is left out.
    pub fn bundle(&self, contents: &Contents, path: &Path, out: &mut dyn Write) -> Result<Range<u64>, Error> {
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        let head = self.head()?;
        if !head.holds() {
            return Err(self.damaged("has an end that its key did not sign"));
        }
        let size = head.frontier.size();
        let entries = contents.entries.start.max(self.first_kept()?)..contents.entries.end.min(size);
        if entries.is_empty() {
            return Err(Error::new(Kind::Unusable, "there are no such entries"));
        }
        let kept = self.countersigned(&head, "size>=?1 AND size>0 ORDER BY size LIMIT 100000", self.first_kept()?)?;
        let keys = self.record_keys(&head)?;
        let mut archive = Archive { out, path, sums: String::new() };
        let line = |text: &dyn std::fmt::Display| format!("{text}\n").into_bytes();
        archive.file(Part::Readme, contents.readme.as_bytes())?;
        archive.file(Part::LogKey, &line(&head.log_key))?;
        for known in &keys {
            archive.file(Part::RecordKey(known.epoch), &line(&known.key))?;
        }
        archive.file(Part::Checkpoint, head.note.as_bytes())?;
        for (checkpoint, note) in &kept {
            archive.file(Part::Countersigned(checkpoint.size), note.to_string().as_bytes())?;
        }
        for (part, file) in [(Part::Policy, &contents.policy), (Part::Signers, &contents.signers)] {
            if let Some(bytes) = file {
                archive.file(part, bytes)?;
            }
        }
        self.groups(&mut archive, &head, &entries, &keys, &kept)?;
        for tile in Tile::hashes(1, size) {
            archive.file(Part::tile(tile), &self.tile(tile)?.concat())?;
        }
        let sums = std::mem::take(&mut archive.sums);
        archive.file(Part::Sums, sums.as_bytes())?;
        archive.out.write_all(&ustar::END).map_err(|error| archive.failed(&error))?;
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(entries)
    }

    /// The entries, 256 at a time, with the tiles that hold them, and the tiles in which a checkpoint ends.
    fn groups(
        &self,
        archive: &mut Archive<'_>,
        head: &Head,
        wanted: &Range<u64>,
        keys: &[Known],
        kept: &[(Checkpoint, Note)],
    ) -> Result<(), Error> {
        let size = head.frontier.size();
        let ends: Vec<u64> = kept.iter().map(|(checkpoint, _)| checkpoint.size).chain([size]).filter(|end| end % TILE_WIDTH > 0).collect();
        for group in 0..size.div_ceil(TILE_WIDTH) {
            let Some(tile) = Tile::of(Row::Hashes(0), group, size) else { break };
            let all = group * TILE_WIDTH..group * TILE_WIDTH + tile.width;
            let has_key = keys.iter().any(|known| all.contains(&known.said_by));
            let has_entries = all.start < wanted.end && wanted.start < all.end;
            if !has_key && !has_entries && !ends.iter().any(|end| end / TILE_WIDTH == group) {
                continue;
            }
            let mut rows = if has_key || has_entries { self.rows(&all)? } else { Vec::new() };
            rows.retain(|row| wanted.contains(&row.seq) || keys.iter().any(|known| known.said_by == row.seq));
            for row in &rows {
                let key = keys.iter().find(|known| known.epoch == row.epoch).map(|known| known.key.short());
                let key = key.ok_or_else(|| self.damaged(&format!("has no key for entry {}", row.seq)))?;
                archive.file(Part::entry(row.seq, false), &row.body)?;
                archive.file(Part::entry(row.seq, true), envelope(&row.body, &row.signature, &key).as_bytes())?;
            }
            self.beside(archive, &rows)?;
            if rows.len() as u64 == tile.width {
                let bytes =
                    entry_bundle(rows.iter().map(|row| row.body.as_slice())).ok_or_else(|| self.damaged("has an entry too large"))?;
                archive.file(Part::tile(Tile { row: Row::Entries, ..tile }), &bytes)?;
            }
            archive.file(Part::tile(tile), &self.tile(tile)?.concat())?;
        }
        Ok(())
    }

    /// What entries name by digest, and the log still has.
    fn beside(&self, archive: &mut Archive<'_>, rows: &[Stored]) -> Result<(), Error> {
        let mut blobs = Vec::new();
        for row in rows {
            let found = disclosed::of(self.connection(), &row.body).map_err(|error| self.failed(&error))?;
            if !found.is_empty() {
                let lines = texts(&found).join("\n") + "\n";
                archive.file(Part::disclosures(row.seq), lines.as_bytes())?;
            }
            blobs.extend(blob_of(&row.body, &found).map(|sha256| (row.seq, sha256)));
        }
        for (seq, sha256) in blobs {
            if let Some(blob) = disclosed::blob(self.connection(), &sha256).map_err(|error| self.failed(&error))? {
                archive.file(Part::argv(seq), &blob)?;
            }
        }
        Ok(())
    }

    pub(super) fn rows(&self, range: &Range<u64>) -> Result<Vec<Stored>, Error> {
        let failed = |error| self.failed(&error);
        let sql = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut statement =
            self.connection().prepare("SELECT seq,body,sig,keyid,leaf FROM entry WHERE seq>=?1 AND seq<?2 ORDER BY seq").map_err(failed)?;
        let mut rows = statement.query([sql(range.start), sql(range.end)]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(u64::MAX));
            let (seq, body): (u64, Vec<u8>) = (number(0).map_err(failed)?, row.get(1).map_err(failed)?);
            if leaf_hash(&body) != *row.get_ref(4).map_err(failed)?.as_blob().unwrap_or_default() {
                return Err(self.damaged(&format!("has an entry {seq} that was changed")));
            }
            found.push(Stored { seq, body, signature: row.get(2).map_err(failed)?, epoch: number(3).map_err(failed)? });
        }
        Ok(found)
    }

    pub(super) fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Error> {
        let Row::Hashes(level) = tile.row else { return Ok(Vec::new()) };
        (0..tile.width).map(|at| self.node(level * TILE_HEIGHT, tile.index * TILE_WIDTH + at)).collect()
    }

    /// Each record key with the entry that says so, the first one first. Of those whose introduction is in an archive, the one that
    /// signs what is left is named by a `prune` record.
    pub(super) fn record_keys(&self, head: &Head) -> Result<Vec<Known>, Error> {
        let mut keys = Vec::new();
        let mut epoch = head.epoch;
        loop {
            if let Some((key, record)) = self.archived_key(epoch)? {
                keys.push(Known { epoch, key, said_by: record.seq });
                break;
            }
            let found = self.rows(&(epoch..epoch.saturating_add(1)))?;
            let key = found.first().and_then(|entry| introduced(&Body::parse(&entry.body).ok()?));
            keys.extend(key.map(|key| Known { epoch, key, said_by: epoch }));
            // The entry that introduces a key is signed with the key before it.
            match found.first() {
                Some(entry) if epoch > 0 && entry.epoch < epoch => epoch = entry.epoch,
                _ => break,
            }
        }
        keys.reverse();
        Ok(keys)
    }
}
