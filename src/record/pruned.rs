//! What a `prune` record says: which entries are in which archive.

use serde_json::{Value, json};

use super::body::Body;
use super::kind::Kind;
use super::tiles::TILE_WIDTH;
use crate::key::Vkey;

/// Entries that left the log for an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archived {
    /// The first entry.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
    /// The archive's SHA-256, in lower-case hex.
    pub sha256: String,
    /// The entry that introduced the record key which signed entry `to`: whoever checks the rest of the log begins with that key.
    pub epoch: u64,
    /// That key.
    pub key: Vkey,
}

impl Archived {
    /// As a `prune` record lists it.
    pub fn json(&self) -> Value {
        json!({ "epoch": self.epoch, "from": self.from, "key": self.key.to_string(), "sha256": self.sha256, "to": self.to })
    }

    fn parse(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str);
        let number = |name| value.get(name).and_then(Value::as_u64);
        Some(Self {
            from: number("from")?,
            to: number("to")?,
            sha256: text("sha256")?.to_owned(),
            epoch: number("epoch")?,
            key: Vkey::parse(text("key")?).ok()?,
        })
    }

    /// All that a `prune` record lists, the oldest first; none where it is no such record, or the list is not of whole tiles
    /// from entry 0 on without a gap.
    pub fn all(body: &Body<'_>) -> Option<Vec<Self>> {
        if body.kind != Kind::Prune {
            return None;
        }
        let archives = body.value("archives")?.as_array()?.iter().map(Self::parse).collect::<Option<Vec<_>>>()?;
        let mut next = 0;
        let whole = archives.iter().all(|archive| {
            let follows = archive.from == next && archive.to > archive.from && archive.to.is_multiple_of(TILE_WIDTH);
            next = archive.to;
            follows && archive.epoch <= archive.to && archive.to <= body.header.seq
        });
        (whole && next > 0).then_some(archives)
    }
}
