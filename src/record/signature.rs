/// What a record's signature says it is over.
pub const PAYLOAD_TYPE: &str = "application/vnd.gate.record+json";

/// The bytes that a record's signature covers: DSSE's pre-authentication encoding of type and body.
pub fn signed_bytes(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 64);
    write_signed(&mut bytes, body);
    bytes
}

/// The same, after whatever `bytes` holds already.
pub fn write_signed(bytes: &mut Vec<u8>, body: &[u8]) {
    bytes.extend_from_slice(format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), body.len()).as_bytes());
    bytes.extend_from_slice(body);
}
