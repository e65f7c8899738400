//! The same conversation with an ssh-agent, for keys of every kind that gate verifies.

use super::agent::{No, answered};
use super::ssh::{SshKey, put};

const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const MOST_IDENTITIES: u32 = 4096;

/// RSA with SHA-512; SHA-1 is what an agent would take else.
const RSA_SHA2_512: u32 = 4;

/// Reads which keys there are; keys that gate does not verify are left out.
pub fn listed(answer: &[u8]) -> Result<Vec<SshKey>, No> {
    let mut wire = answered(answer, IDENTITIES_ANSWER)?;
    let count = wire.number().filter(|count| *count <= MOST_IDENTITIES).ok_or(No::Unreadable)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let (blob, _comment) = wire.string().zip(wire.string()).ok_or(No::Unreadable)?;
        keys.extend(SshKey::parse(blob).ok());
    }
    wire.end().map(|()| keys).ok_or(No::Unreadable)
}

/// Asks for a signature.
pub fn sign(key: &SshKey, message: &[u8]) -> Vec<u8> {
    let mut out = vec![SIGN_REQUEST];
    put(&mut out, key.blob());
    put(&mut out, message);
    out.extend_from_slice(&RSA_SHA2_512.to_be_bytes());
    out
}

/// Reads the signature, which has to be this key's over this message; gives a security key's flags.
pub fn signed(answer: &[u8], key: &SshKey, message: &[u8]) -> Result<(Vec<u8>, Option<u8>), No> {
    let mut wire = answered(answer, SIGN_RESPONSE)?;
    let signature = wire.string().ok_or(No::Unreadable)?;
    wire.end().ok_or(No::Unreadable)?;
    let flags = key.verify(message, signature).map_err(|_| No::Unreadable)?;
    Ok((signature.to_vec(), flags))
}
