use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::signature::{PAYLOAD_TYPE, signed_bytes};
use crate::key::Vkey;

/// A record in a DSSE envelope (DSSE v1, one signature), in one line without its end.
pub fn envelope(body: &[u8], signature: &[u8], keyid: &str) -> String {
    json!({
        "payload": STANDARD.encode(body),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{ "keyid": keyid, "sig": STANDARD.encode(signature) }],
    })
    .to_string()
}

/// Bytes that are not an envelope of gate's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAnEnvelope;

/// What an envelope holds; nothing of it is believed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The record's bytes.
    pub body: Vec<u8>,
    /// The key's short name.
    pub keyid: String,
    /// The signature over [`signed_bytes`].
    pub signature: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope strictly: only the very bytes that [`envelope`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnEnvelope> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| NotAnEnvelope)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let decoded = |value: &Value| STANDARD.decode(value.as_str()?).ok();
        let signed = &value["signatures"][0];
        let (Some(body), Some(keyid), Some(signature)) = (decoded(&value["payload"]), text(&signed["keyid"]), decoded(&signed["sig"]))
        else {
            return Err(NotAnEnvelope);
        };
        if envelope(&body, &signature, &keyid).as_bytes() == bytes { Ok(Self { body, keyid, signature }) } else { Err(NotAnEnvelope) }
    }

    /// Whether this key signed it, and it says so.
    pub fn is_signed_by(&self, key: &Vkey) -> bool {
        self.keyid == key.short() && key.public().verifies(&signed_bytes(&self.body), &self.signature)
    }
}
