//! Archives of entries that left the log: lines of canonical JSON, whose `body` holds the very bytes that are hashed and signed.
//!
//! The first line says which log and which entries; one line for each entry follows. `jq` reads them, and so does gate, strictly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::canonical::members;

/// The version of the format.
const VERSION: u64 = 1;

/// No line is longer: a blob is what an argv can hold at most, and a record is small.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// How many entries stand under one node that stays: archives begin and end between such.
pub const BUNDLE: u64 = 256;

/// How far that node is above the entries.
pub const BUNDLE_LEVEL: u8 = 8;

/// What an archive holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heading {
    /// The log's origin.
    pub log: String,
    /// The first entry.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

impl Heading {
    /// The first line, with its end.
    pub fn line(&self) -> String {
        format!("{}\n", json!({ "archive": VERSION, "from": self.from, "log": self.log, "to": self.to }))
    }

    /// Reads the first line; none where it is not one, or not of whole bundles.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let members = members(line).ok()?;
        let [("archive", version), ("from", from), ("log", log), ("to", to)] = members.as_slice() else { return None };
        let heading = Self { log: serde_json::from_str(log).ok()?, from: from.parse().ok()?, to: to.parse().ok()? };
        let whole = heading.from < heading.to && heading.from.is_multiple_of(BUNDLE) && heading.to.is_multiple_of(BUNDLE);
        (version.parse() == Ok(VERSION) && whole).then_some(heading)
    }
}

/// One entry, with all that the log kept of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archived<'a> {
    /// Its place.
    pub seq: u64,
    /// Its bytes.
    pub body: &'a [u8],
    /// The record key's signature.
    pub signature: Vec<u8>,
    /// The entry that introduced that key.
    pub epoch: u64,
    /// What its digests are of, by digest.
    pub disclosures: Vec<(String, Vec<u8>)>,
    /// Its long argv.
    pub blobs: Vec<Vec<u8>>,
}

impl<'a> Archived<'a> {
    /// Its line, with the end; the body is canonical JSON and stands there as it is.
    pub fn line(&self) -> Vec<u8> {
        let list = |values: Vec<Value>| Value::from(values).to_string();
        let blobs = list(self.blobs.iter().map(|blob| STANDARD.encode(blob).into()).collect());
        let disclosures = self.disclosures.iter().map(|(digest, data)| json!([digest, STANDARD.encode(data)])).collect();
        let mut line = format!("{{\"blobs\":{blobs},\"body\":").into_bytes();
        line.extend_from_slice(self.body);
        let rest = format!(
            ",\"disclosures\":{},\"epoch\":{},\"seq\":{},\"sig\":\"{}\"}}\n",
            list(disclosures),
            self.epoch,
            self.seq,
            STANDARD.encode(&self.signature)
        );
        line.extend_from_slice(rest.as_bytes());
        line
    }

    /// Reads a line; none where any other bytes than gate's stand there. What they say is not believed.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let members = members(line).ok()?;
        let [("blobs", blobs), ("body", body), ("disclosures", disclosures), ("epoch", epoch), ("seq", seq), ("sig", sig)] =
            members.as_slice()
        else {
            return None;
        };
        let bytes = |text: &String| STANDARD.decode(text).ok();
        let blobs: Vec<String> = serde_json::from_str(blobs).ok()?;
        let disclosures: Vec<(String, String)> = serde_json::from_str(disclosures).ok()?;
        Some(Self {
            seq: seq.parse().ok()?,
            body: body.as_bytes(),
            signature: bytes(&serde_json::from_str(sig).ok()?)?,
            epoch: epoch.parse().ok()?,
            disclosures: disclosures.into_iter().map(|(digest, data)| Some((digest, bytes(&data)?))).collect::<Option<_>>()?,
            blobs: blobs.iter().map(bytes).collect::<Option<_>>()?,
        })
    }
}
