//! What is said to an ssh-agent and what it says back (draft-miller-ssh-agent): list, and sign. Nothing that it says is believed:
//! a list only names keys, and a signature counts once it verifies.

use super::PublicKey;
use super::ssh::{SshKey, Wire, put};

/// An answer that is longer is none.
pub const LONGEST: usize = 256 * 1024;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const MOST_IDENTITIES: u32 = 4096;
const RSA_SHA2_512: u32 = 4;

/// What an agent says instead of what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum No {
    /// It will not, or cannot.
    Refused,
    /// Nothing that the protocol knows.
    Unreadable,
}

/// Asks which keys there are. The length that goes before a message is not part of it.
pub fn list() -> Vec<u8> {
    vec![REQUEST_IDENTITIES]
}

/// Reads which Ed25519 keys there are; keys of other kinds are left out.
pub fn listed(answer: &[u8]) -> Result<Vec<PublicKey>, No> {
    let mut wire = answered(answer, IDENTITIES_ANSWER)?;
    let count = wire.number().filter(|count| *count <= MOST_IDENTITIES).ok_or(No::Unreadable)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let (blob, _comment) = wire.string().zip(wire.string()).ok_or(No::Unreadable)?;
        keys.extend(PublicKey::from_ssh_blob(blob));
    }
    wire.end().map(|()| keys).ok_or(No::Unreadable)
}

/// Asks for a signature.
pub fn sign(key: &PublicKey, message: &[u8]) -> Vec<u8> {
    let mut out = vec![SIGN_REQUEST];
    put(&mut out, &key.ssh_blob());
    put(&mut out, message);
    out.extend_from_slice(&[0; 4]);
    out
}

/// Reads which keys of all kinds that gate verifies there are, each with what the agent calls it.
pub fn identities(answer: &[u8]) -> Result<Vec<(SshKey, String)>, No> {
    let mut wire = answered(answer, IDENTITIES_ANSWER)?;
    let count = wire.number().filter(|count| *count <= MOST_IDENTITIES).ok_or(No::Unreadable)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let (blob, comment) = wire.string().zip(wire.string()).ok_or(No::Unreadable)?;
        keys.extend(SshKey::parse(blob).ok().map(|key| (key, String::from_utf8_lossy(comment).into_owned())));
    }
    wire.end().map(|()| keys).ok_or(No::Unreadable)
}

/// Asks for a signature by a key of any kind; of RSA with SHA-512.
pub fn sign_by(key: &SshKey, message: &[u8]) -> Vec<u8> {
    let mut out = vec![SIGN_REQUEST];
    put(&mut out, key.blob());
    put(&mut out, message);
    out.extend_from_slice(&RSA_SHA2_512.to_be_bytes());
    out
}

/// Reads the signature in SSH's form, which has to be this key's over this message.
pub fn signed_by(answer: &[u8], key: &SshKey, message: &[u8]) -> Result<Vec<u8>, No> {
    let mut wire = answered(answer, SIGN_RESPONSE)?;
    let signature = wire.string().ok_or(No::Unreadable)?;
    wire.end().ok_or(No::Unreadable)?;
    key.verify(message, signature).map(|_| signature.to_vec()).map_err(|_| No::Unreadable)
}

/// Reads the signature, which has to be this key's over this message.
pub fn signed(answer: &[u8], key: &PublicKey, message: &[u8]) -> Result<[u8; 64], No> {
    let mut wire = answered(answer, SIGN_RESPONSE)?;
    let mut inner = Wire(wire.string().ok_or(No::Unreadable)?);
    wire.end().ok_or(No::Unreadable)?;
    let signature = inner.text().filter(|name| *name == "ssh-ed25519").and_then(|_| inner.string());
    let signature: [u8; 64] = signature.and_then(|bytes| bytes.try_into().ok()).ok_or(No::Unreadable)?;
    inner.end().ok_or(No::Unreadable)?;
    if key.verifies(message, &signature) { Ok(signature) } else { Err(No::Unreadable) }
}

fn answered(answer: &[u8], wanted: u8) -> Result<Wire<'_>, No> {
    let mut wire = Wire(answer);
    match wire.byte() {
        Some(kind) if kind == wanted => Ok(wire),
        Some(FAILURE) => Err(No::Refused),
        _ => Err(No::Unreadable),
    }
}
