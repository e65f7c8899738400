use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Algorithm, SHA256, SHA512, digest};

use crate::key::ssh::{SshKey, Unusable, Wire, put};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
const WIDEST: usize = 76;
/// As ssh-keygen writes them.
const WIDTH: usize = 70;

/// An armored signature that is longer is none: the largest RSA key and signature fit.
pub const MAX_ARMOR: usize = 16 * 1024;

/// A detached signature by an SSH key (OpenSSH's PROTOCOL.sshsig). Nothing about it is believed until [`Self::verify`].
#[derive(Clone, Debug)]
pub struct Sshsig {
    key: SshKey,
    namespace: String,
    reserved: Vec<u8>,
    hash: &'static Algorithm,
    signature: Vec<u8>,
}

impl Sshsig {
    /// Reads an armored signature: the lines that ssh-keygen writes, and nothing around them.
    pub fn parse(armored: &str) -> Result<Self, Unusable> {
        let blob = unarmored(armored).ok_or(Unusable::Malformed("it is not an armored SSH signature"))?;
        let mut wire = Wire(blob.strip_prefix(MAGIC).ok_or(Unusable::Malformed("it is no SSH signature"))?);
        if wire.number() != Some(VERSION) {
            return Err(Unusable::Malformed("it is of another version than 1"));
        }
        let cut = Unusable::Malformed("it is cut short");
        let key = wire.string().ok_or(cut.clone())?;
        let namespace =
            wire.text().filter(|namespace| !namespace.is_empty()).ok_or(Unusable::Malformed("its namespace is not plain text"))?;
        let reserved = wire.string().ok_or(cut.clone())?.to_vec();
        let hash = match wire.text().ok_or(cut.clone())? {
            "sha256" => &SHA256,
            "sha512" => &SHA512,
            other => return Err(Unusable::Unsupported(other.to_owned())),
        };
        let signature = wire.string().ok_or(cut)?.to_vec();
        wire.end().ok_or(Unusable::Malformed("something follows it"))?;
        Ok(Self { key: SshKey::parse(key)?, namespace: namespace.to_owned(), reserved, hash, signature })
    }

    /// Whose it says to be.
    pub fn key(&self) -> &SshKey {
        &self.key
    }

    /// What it was made for.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What a key has to sign for a message in a namespace.
    pub fn to_sign(namespace: &str, message: &[u8]) -> Vec<u8> {
        signed(namespace, b"", &SHA512, message)
    }

    /// The armored text of a key's signature, in SSH's form, over what [`Self::to_sign`] gave.
    pub fn armored(key: &SshKey, namespace: &str, signature: &[u8]) -> String {
        let mut blob = MAGIC.to_vec();
        blob.extend_from_slice(&VERSION.to_be_bytes());
        for part in [key.blob(), namespace.as_bytes(), b"", b"sha512", signature] {
            put(&mut blob, part);
        }
        let text = STANDARD.encode(blob);
        let lines: Vec<&str> = (0..text.len()).step_by(WIDTH).filter_map(|at| text.get(at..text.len().min(at + WIDTH))).collect();
        format!("{BEGIN}{}\n{END}\n", lines.join("\n"))
    }

    /// Checks it over a message. A security key's gives the flags that it signed.
    pub fn verify(&self, message: &[u8]) -> Result<Option<u8>, Unusable> {
        self.key.verify(&signed(&self.namespace, &self.reserved, self.hash, message), &self.signature)
    }
}

fn signed(namespace: &str, reserved: &[u8], by: &'static Algorithm, message: &[u8]) -> Vec<u8> {
    let mut signed = MAGIC.to_vec();
    put(&mut signed, namespace.as_bytes());
    put(&mut signed, reserved);
    put(&mut signed, if by == &SHA256 { b"sha256" } else { b"sha512" });
    put(&mut signed, digest(by, message).as_ref());
    signed
}

/// The bytes of an armor whose lines are of one length, but for the last: no two texts have the same bytes at the same length.
fn unarmored(armored: &str) -> Option<Vec<u8>> {
    if armored.len() > MAX_ARMOR {
        return None;
    }
    let inner = armored.strip_prefix(BEGIN)?;
    let inner = inner.strip_suffix('\n').unwrap_or(inner).strip_suffix(END)?.strip_suffix('\n')?;
    let lines: Vec<&str> = inner.split('\n').collect();
    let (last, whole) = lines.split_last()?;
    let width = whole.first().map_or(last.len(), |line| line.len());
    let even = whole.iter().all(|line| line.len() == width) && !last.is_empty() && last.len() <= width && width <= WIDEST;
    even.then(|| STANDARD.decode(lines.concat()).ok()).flatten()
}
