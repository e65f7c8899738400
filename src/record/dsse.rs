use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::signature::PAYLOAD_TYPE;

/// A record in a DSSE envelope (DSSE v1, one signature), in one line without its end.
pub fn envelope(body: &[u8], signature: &[u8], keyid: &str) -> String {
    json!({
        "payload": STANDARD.encode(body),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{ "keyid": keyid, "sig": STANDARD.encode(signature) }],
    })
    .to_string()
}
