use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use rusqlite::Connection;

use super::disclosed;
use super::error::{Error, Kind};
use crate::record::archive::{Archived, BUNDLE, BUNDLE_LEVEL, Heading, MAX_LINE};
use crate::record::{Body, Frontier, Hash, hex, leaf_hash};
use crate::sys::durable;

/// An archive file, open to be read from its beginning. Nothing in it is believed.
pub struct Archive {
    path: PathBuf,
    lines: BufReader<File>,
    hash: Context,
    heading: Heading,
}

impl Archive {
    /// Opens a file, and reads what it says that it holds.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::at(Kind::Unusable, path, format!("cannot be read: {error}")))?;
        let heading = Heading { log: String::new(), from: 0, to: 0 };
        let mut archive = Self { path: path.to_owned(), lines: BufReader::new(file), hash: Context::new(&SHA256), heading };
        let mut line = Vec::new();
        archive.line(&mut line)?;
        archive.heading = Heading::parse(&line).ok_or_else(|| Error::at(Kind::Damaged, path, "is not an archive of gate's"))?;
        Ok(archive)
    }

    /// What it says that it holds.
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// Reads one line, without its end; false at the end of the file.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, Error> {
        line.clear();
        let read = self.lines.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', line);
        read.map_err(|error| Error::at(Kind::Unusable, &self.path, format!("cannot be read: {error}")))?;
        self.hash.update(line);
        match line.pop() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            Some(_) => Err(Error::at(Kind::Damaged, &self.path, "ends in the middle of a line, or has one that is too long")),
        }
    }

    /// The SHA-256 of all bytes, once all are read.
    pub(super) fn sha256(self) -> String {
        hex(self.hash.finish().as_ref())
    }

    /// Reads all of it, and compares each bundle with the node that the log keeps: the SHA-256 where it holds.
    pub(super) fn prove(mut self, node: impl Fn(u64) -> rusqlite::Result<Option<Hash>>) -> Result<String, Error> {
        let path = self.path.clone();
        let wrong = |what: String| Error::at(Kind::Damaged, &path, what);
        let mut line = Vec::new();
        for index in self.heading.from / BUNDLE..self.heading.to / BUNDLE {
            let mut frontier = Frontier::default();
            for seq in index * BUNDLE..(index + 1) * BUNDLE {
                let entry = if self.line(&mut line)? { Archived::parse(&line) } else { None };
                let entry = entry.filter(|entry| entry.seq == seq).ok_or_else(|| wrong(format!("does not hold entry {seq}")))?;
                frontier.append(leaf_hash(entry.body), |_, _, _| {});
            }
            if node(index).map_err(|error| Error::sqlite(&path, &error))? != Some(frontier.root()) {
                return Err(wrong(format!("holds other entries from {} on than the log", index * BUNDLE)));
            }
        }
        if self.line(&mut line)? {
            return Err(wrong("goes on after its last entry".to_owned()));
        }
        Ok(self.sha256())
    }
}

/// Writes entries to a file that must not be there yet, durably; how many bytes.
pub(super) fn write(connection: &Connection, heading: &Heading, path: &Path) -> Result<u64, Error> {
    let failed = |error: std::io::Error| Error::at(Kind::Unusable, path, format!("cannot be written: {error}"));
    let asked = |error: rusqlite::Error| Error::sqlite(path, &error);
    let file = durable::create_private(path).map_err(failed)?;
    let mut out = BufWriter::new(file);
    out.write_all(heading.line().as_bytes()).map_err(failed)?;
    let mut statement = connection.prepare("SELECT seq,body,sig,keyid FROM entry WHERE seq>=?1 AND seq<?2 ORDER BY seq").map_err(asked)?;
    let mut rows = statement.query([sql(heading.from), sql(heading.to)]).map_err(asked)?;
    while let Some(row) = rows.next().map_err(asked)? {
        let numbers = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or_default());
        let body = row.get_ref(1).map_err(asked)?.as_blob().map_err(|error| asked(error.into()))?;
        let seq = numbers(0).map_err(asked)?;
        let (disclosures, blobs) = beside(connection, seq, body).map_err(asked)?;
        let entry = Archived { seq, body, signature: row.get(2).map_err(asked)?, epoch: numbers(3).map_err(asked)?, disclosures, blobs };
        let line = entry.line();
        if line.len() > MAX_LINE {
            return Err(Error::at(Kind::Record, path, format!("cannot hold entry {seq}, which has {} bytes", line.len())));
        }
        out.write_all(&line).map_err(failed)?;
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(file.metadata().map_err(failed)?.len())
}

type Beside = (Vec<(String, Vec<u8>)>, Vec<Vec<u8>>);

/// What is kept of an entry beside it.
fn beside(connection: &Connection, seq: u64, body: &[u8]) -> rusqlite::Result<Beside> {
    let Ok(record) = Body::parse(body) else { return Ok((Vec::new(), Vec::new())) };
    let mut disclosures: Vec<(String, Vec<u8>)> = disclosed::of(connection, body)?.into_iter().collect();
    // Only the words that an older gate hid have a salt under a short digest.
    if body.windows(8).any(|window| window == b"<hidden,") {
        let mut old = connection.prepare("SELECT digest,data FROM disclosure WHERE seq=?1 AND length(digest)=16")?;
        let rows = old.query_map([sql(seq)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        disclosures.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    let mut blobs = Vec::new();
    if let Some(sha256) = blob_of(connection, &record)? {
        let mut one = connection.prepare("SELECT data FROM blob WHERE sha256=?1")?;
        let rows = one.query_map([sha256], |row| row.get(0))?;
        blobs.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok((disclosures, blobs))
}

/// The digest of a record's long argv.
pub(super) fn blob_of(connection: &Connection, record: &Body<'_>) -> rusqlite::Result<Option<String>> {
    let Some(cmd) = disclosed::member(connection, record, "cmd")? else { return Ok(None) };
    Ok(cmd.pointer("/argv/blob").and_then(|blob| blob.as_str()).map(str::to_owned))
}

/// The node over a bundle, as the log keeps it.
pub(super) fn bundle_node(connection: &Connection, index: u64) -> rusqlite::Result<Option<Hash>> {
    let mut one = connection.prepare("SELECT hash FROM node WHERE level=?1 AND idx=?2")?;
    let mut rows = one.query([i64::from(BUNDLE_LEVEL), sql(index)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(row.get_ref(0)?.as_blob().ok().and_then(|hash| hash.try_into().ok()))
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
