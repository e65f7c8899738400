use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::kind::Kind;
use super::value::integer;
use crate::key::{SigningKey, Vkey};

/// What a `key.rotate` entry says: from the next entry on another record key signs.
///
/// The entry itself is signed by the old key; the proof in it is the new key's, over this log and this place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// The new record key.
    pub key: Vkey,
    /// The entry that introduced the old one.
    pub previous: u64,
}

impl Rotation {
    /// The fields of the entry `seq` of the log `origin`. `why` is one word for readers.
    pub fn fields(&self, origin: &str, seq: u64, key: &SigningKey, why: &str) -> Map<String, Value> {
        let proof = STANDARD.encode(key.sign(proved(origin, seq, &self.key).as_bytes()));
        let said = json!({ "record": self.key.to_string(), "previous": integer(self.previous), "proof": proof, "why": why });
        Map::from_iter([("key".to_owned(), said)])
    }

    /// Reads an entry; none where it is no rotation, or the new key did not sign for this place in this log.
    pub fn of(body: &Body<'_>) -> Option<Self> {
        if body.kind != Kind::KeyRotate {
            return None;
        }
        let said = body.value("key")?;
        let key = Vkey::parse(said.get("record")?.as_str()?).ok()?;
        let previous = said.get("previous")?.as_u64()?;
        let proof = STANDARD.decode(said.get("proof")?.as_str()?).ok()?;
        let (log, seq) = (body.header.log, body.header.seq);
        (previous < seq && key.public().verifies(proved(log, seq, &key).as_bytes(), &proof)).then_some(Self { key, previous })
    }
}

fn proved(origin: &str, seq: u64, key: &Vkey) -> String {
    format!("gate record key\n{origin}\n{seq}\n{key}\n")
}
