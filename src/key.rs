//! Ed25519 keys, and the one-line form in which public ones travel.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use ring::rand::SecureRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

pub mod agent;
mod cosigner;
pub mod ssh;

pub use cosigner::CosignerKey;

const ED25519_NOTE: u8 = 1;

/// Bytes that are not the key that was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAKey;

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a key: its PKCS#8 bytes, to be kept.
    pub fn generate(random: &dyn SecureRandom) -> Result<Vec<u8>, NotAKey> {
        Ed25519KeyPair::generate_pkcs8(random).map(|document| document.as_ref().to_vec()).map_err(|_| NotAKey)
    }

    /// Reads PKCS#8 bytes.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, NotAKey> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| NotAKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NotAKey)?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    /// Signs a message; the same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }

    /// The half that may be shown.
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// A key that verifies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether the signature is this key's over this message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// A public key with the name it signs under (C2SP signed-note: `name+id+base64`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vkey {
    name: String,
    id: [u8; 4],
    public: PublicKey,
}

impl Vkey {
    /// Names a key; a name is not empty and has neither white space nor a plus sign.
    pub fn new(name: &str, public: PublicKey) -> Result<Self, NotAKey> {
        if !is_key_name(name) {
            return Err(NotAKey);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, ED25519_NOTE, &public), public })
    }

    /// Reads `name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let (name, id, public) = read(text, ED25519_NOTE)?;
        let vkey = Self::new(name, public)?;
        if vkey.id == id { Ok(vkey) } else { Err(NotAKey) }
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What signature lines carry of it.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Name and id, `name+id`: enough to find the key among others.
    pub fn short(&self) -> String {
        short(&self.name, self.id)
    }

    /// The key.
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.short(), STANDARD.encode(typed(ED25519_NOTE, &self.public)))
    }
}

/// Whether a key or a log may be called so.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Reads `name+id+base64` of an Ed25519 key of this kind; the id is only what the text says.
fn read(text: &str, kind: u8) -> Result<(&str, [u8; 4], PublicKey), NotAKey> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(NotAKey) };
    let number = u32::from_str_radix(id, 16).map_err(|_| NotAKey)?;
    let key = STANDARD.decode(key).map_err(|_| NotAKey)?;
    match key.split_first() {
        Some((first, public)) if *first == kind && format!("{number:08x}") == id => {
            Ok((name, number.to_be_bytes(), PublicKey(public.try_into().map_err(|_| NotAKey)?)))
        }
        _ => Err(NotAKey),
    }
}

fn short(name: &str, id: [u8; 4]) -> String {
    format!("{name}+{:08x}", u32::from_be_bytes(id))
}

fn typed(kind: u8, public: &PublicKey) -> Vec<u8> {
    [&[kind], public.0.as_slice()].concat()
}

fn key_id(name: &str, kind: u8, public: &PublicKey) -> [u8; 4] {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(b"\n");
    context.update(&typed(kind, public));
    let mut id = [0; 4];
    id.copy_from_slice(&context.finish().as_ref()[..4]);
    id
}
