use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::error::Error;
use super::reader::Reader;
use super::verify::Report;
use crate::record::disclosure::{Content, content, digests_in};
use crate::record::{Body, Kind, hex, members};

/// What records name by digest and the log keeps beside them. All of it has to be there, but for what a `redact` record says is erased.
///
/// Digests are held as hashes under a key that is drawn anew for each check: short, and nobody can have prepared others.
#[derive(Default)]
pub(super) struct Beside {
    keys: RandomState,
    /// Digests that are named, with the entry that names them.
    wanted: HashMap<u64, u64>,
    /// Digests of disclosures and blobs that are said to be erased.
    erased: HashSet<u64>,
    blobs: Vec<(u64, String)>,
}

impl Beside {
    /// Takes what an entry names.
    pub(super) fn expect(&mut self, seq: u64, bytes: &[u8], body: &Body<'_>) {
        for digest in digests_in(bytes) {
            self.wanted.insert(self.keys.hash_one(&digest), seq);
        }
        if body.kind == Kind::Redact
            && let Some(redact) = body.value("redact")
        {
            let listed = ["digests", "blobs"].into_iter().filter_map(|name| redact.get(name)?.as_array());
            self.erased.extend(listed.flatten().filter_map(Value::as_str).map(|digest| self.keys.hash_one(digest)));
        }
        // Records of an older gate hold the words themselves.
        let argv = body.raw("cmd").filter(|cmd| cmd.contains("\"blob\"")).and_then(|cmd| members(cmd.as_bytes()).ok());
        let argv = argv.and_then(|cmd| cmd.into_iter().find(|(name, _)| *name == "argv")).map(|(_, argv)| argv);
        self.blob(seq, argv.and_then(|argv| serde_json::from_str(argv).ok()).as_ref());
    }

    fn blob(&mut self, seq: u64, argv: Option<&Value>) {
        let sha256 = argv.and_then(|argv| argv.get("blob")?.as_str());
        self.blobs.extend(sha256.map(|sha256| (seq, sha256.to_owned())));
    }

    pub(super) fn finish(mut self, reader: &Reader, first: u64, size: u64, report: &mut Report) -> Result<(), Error> {
        let failed = |error| reader.failed(&error);
        self.disclosures(reader, size, report).map_err(failed)?;
        self.missing(first, report);
        self.check_blobs(reader, report).map_err(failed)?;
        let strays: i64 = reader
            .connection()
            .query_row("SELECT count(*) FROM outbox WHERE seq<0 OR seq>?1", [sql(size)], |row| row.get(0))
            .map_err(failed)?;
        if strays > 0 {
            report.wrong(None, "the outbox names entries that are not there");
        }
        Ok(())
    }

    /// Compares each row with its digest, and with the entry that names it.
    fn disclosures(&mut self, reader: &Reader, size: u64, report: &mut Report) -> rusqlite::Result<()> {
        let mut statement = reader.connection().prepare("SELECT digest,seq,data FROM disclosure")?;
        let mut rows = statement.query([])?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next()? {
            let (Ok(digest), Ok(seq), Ok(data)) = (row.get_ref(0)?.as_str(), row.get::<_, i64>(1)?.try_into(), row.get_ref(2)?.as_blob())
            else {
                report.wrong(None, "a disclosure has columns of other types than gate writes");
                continue;
            };
            if seq >= size {
                report.wrong(None, "a disclosure names an entry that is not there");
                continue;
            }
            // Salts of an older gate's hidden words; no record names them as a whole digest.
            if digest.len() == OLD_DIGEST {
                continue;
            }
            match content(digest, data) {
                None => report.wrong(Some(seq), "has a disclosure that was changed"),
                Some(content) => {
                    let key = self.keys.hash_one(digest);
                    match content {
                        Content::Whole(_, value) => {
                            self.blob(seq, value.get("argv"));
                            self.found(key, seq, report);
                            continue;
                        }
                        Content::Member(name, value) if name == "argv" => self.blob(seq, Some(&value)),
                        Content::Member(..) | Content::Item(_) => {}
                    }
                    for part in digests_in(data) {
                        self.wanted.insert(self.keys.hash_one(&part), seq);
                    }
                    parts.push((key, seq));
                }
            }
        }
        for (key, seq) in parts {
            self.found(key, seq, report);
        }
        Ok(())
    }

    fn found(&mut self, key: u64, seq: u64, report: &mut Report) {
        report.disclosures += 1;
        match self.wanted.remove(&key) {
            Some(by) if by == seq && self.erased.contains(&key) => {
                report.wrong(Some(seq), "has a disclosure again that was erased");
            }
            Some(by) if by == seq => {}
            _ => report.wrong(Some(seq), "has a disclosure that it does not name"),
        }
    }

    /// What is named and not there was erased by somebody who said so, or it is missing.
    fn missing(&mut self, first: u64, report: &mut Report) {
        let mut missing: Vec<u64> = Vec::new();
        for (key, seq) in &self.wanted {
            if self.erased.contains(key) {
                report.erased += 1;
            } else if *seq >= first {
                missing.push(*seq);
            }
        }
        missing.sort_unstable();
        for seq in missing {
            report.wrong(Some(seq), "lacks a disclosure, and no entry says that it was erased");
        }
    }

    fn check_blobs(&self, reader: &Reader, report: &mut Report) -> rusqlite::Result<()> {
        let mut one = reader.connection().prepare("SELECT data FROM blob WHERE sha256=?1")?;
        for (seq, digest) in &self.blobs {
            let mut rows = one.query([digest])?;
            let found = rows.next()?.map(|row| row.get_ref(0).map(|data| data.as_blob().ok().map(sha256))).transpose()?.flatten();
            match found {
                Some(found) if found == *digest => {}
                None if self.erased.contains(&self.keys.hash_one(digest)) => {}
                _ => report.wrong(Some(*seq), "has a long argv, and its bytes are missing or changed"),
            }
        }
        Ok(())
    }
}

/// How long the digests of hidden words were.
const OLD_DIGEST: usize = 16;

fn sha256(data: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, data).as_ref())
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
