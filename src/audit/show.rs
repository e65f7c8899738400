use std::fmt::Write;

use rusqlite::Params;
use serde_json::Value;

use super::disclosed;
use super::error::{Error, Kind};
use super::reader::Reader;
use super::words;
use crate::record::disclosure::{Disclosures, open, texts};
use crate::record::{Body, inclusion, leaf_hash, signed_bytes, verify_inclusion};
use crate::request::RequestId;

/// Which entries to show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// One, by its place.
    Entry(u64),
    /// All of a request.
    Request(RequestId),
    /// All from this one on.
    From(u64),
    /// So many at the end.
    Last(u32),
}

/// One entry, as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its place.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
    signature: Vec<u8>,
    disclosures: Disclosures,
}

impl Reader {
    /// Finds entries, oldest first.
    pub fn find(&self, wanted: &Wanted) -> Result<Vec<Found>, Error> {
        match wanted {
            Wanted::Entry(seq) => self.select("seq=?1", [sql(*seq)]),
            Wanted::Request(id) => self.select("req=?1 ORDER BY seq", [id.to_string()]),
            Wanted::From(seq) => self.select("seq>=?1 ORDER BY seq LIMIT 1000", [sql(*seq)]),
            Wanted::Last(count) => self.select("seq>(SELECT max(seq) FROM entry)-?1 ORDER BY seq", [count]),
        }
    }

    pub(super) fn select(&self, condition: &str, params: impl Params) -> Result<Vec<Found>, Error> {
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare(&format!("SELECT seq,body,sig FROM entry WHERE {condition}")).map_err(failed)?;
        let rows = statement.query_map(params, |row| {
            let seq: i64 = row.get(0)?;
            let body: Vec<u8> = row.get(1)?;
            let disclosures = disclosed::of(self.connection(), &body)?;
            Ok(Found { seq: u64::try_from(seq).unwrap_or_default(), body, signature: row.get(2)?, disclosures })
        });
        rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }

    /// Proves one entry against the signed end of the log: its bytes, its place, its signature. The error says what does not hold.
    pub fn prove(&self, found: &Found) -> Result<u64, Error> {
        let head = self.head()?;
        let wrong = |what: &str| Err(Error::new(Kind::Damaged, format!("entry {} {what}", found.seq)));
        let (size, root) = (head.frontier.size(), head.frontier.root());
        if !head.holds() {
            return wrong("cannot be proved: the log's end is not signed by its key");
        }
        if found.seq >= size {
            return wrong("stands after the log's signed end");
        }
        let proof = inclusion(found.seq, size, &mut |level, index| self.node(level, index))?;
        if verify_inclusion(&leaf_hash(&found.body), found.seq, size, &proof, &root).is_err() {
            return wrong("was changed: the signed tree holds other bytes in its place");
        }
        if !self.epoch_of(found.seq)?.key.public().verifies(&signed_bytes(&found.body), &found.signature) {
            return wrong("is not signed by the record key of its epoch");
        }
        Ok(size)
    }
}

impl Found {
    /// The record as it was written: what is kept beside it is checked against its digests, and put back.
    /// What was erased stays a digest.
    pub fn value(&self) -> Value {
        let mut value = serde_json::from_slice(&self.body).unwrap_or_default();
        open(&mut value, &self.disclosures);
        value
    }

    /// What its digests are of, one disclosure of RFC 9901 each, as the text that is hashed.
    pub fn disclosures(&self) -> Vec<String> {
        texts(&self.disclosures)
    }

    /// The entry in one line: when, what, by whom, and the command or how it ended.
    pub fn line(&self) -> String {
        let Ok(body) = Body::parse(&self.body) else { return format!("{:>6}  (not a record)", self.seq) };
        let opened = self.value();
        let field = |object: &str, name: &str| Some(opened.get(object)?.get(name)?.as_str()?.to_owned());
        let command = opened.get("cmd").map(words::command).unwrap_or_default();
        let what = words::outcome(&body).or_else(|| field("decision", "result")).unwrap_or_default();
        let parts = [field("actor", "user").unwrap_or_default(), what, command];
        let parts: Vec<String> = parts.iter().filter(|part| !part.is_empty()).map(|part| words::shown(part)).collect();
        format!("{:>6}  {}  {:<12}  {}", self.seq, words::time(body.header.wall), body.kind, parts.join("  ")).trim_end().to_owned()
    }

    /// All members, one in a line, made visible.
    pub fn members(&self) -> String {
        let value = self.value();
        let mut lines = String::new();
        flatten("", &value, &mut lines);
        lines
    }
}

fn flatten(path: &str, value: &Value, lines: &mut String) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, value)| flatten(&below(name), value, lines));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&below(&index.to_string()), item, lines));
        }
        other => {
            let shown = match other {
                Value::String(text) => words::shown(text),
                other => words::ascii_json(other),
            };
            let _ = writeln!(lines, "  {:<24}  {shown}", words::shown(path));
        }
    }
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
