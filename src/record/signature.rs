/// What a record's signature says it is over.
pub const PAYLOAD_TYPE: &str = "application/vnd.gate.record+json";

/// The bytes that a record's signature covers: DSSE's pre-authentication encoding of type and body.
pub fn signed_bytes(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
