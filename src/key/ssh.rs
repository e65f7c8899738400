//! SSH's own forms of public keys and signatures (RFC 4251, 4253, 5656, 8332, 8709, and OpenSSH's PROTOCOL.u2f).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::PublicKey;

/// Somebody touched the security key.
pub const PRESENT: u8 = 0x01;
/// The security key knew who, by PIN or finger.
pub const VERIFIED: u8 = 0x04;

/// Why an SSH key or signature is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It does not have the form that it says; what is wrong.
    Malformed(&'static str),
    /// gate does not verify this kind; its name, as given.
    Unsupported(String),
    /// The signature is not this key's over this message.
    Wrong,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "{what}"),
            Self::Unsupported(name) => write!(f, "`{name}` is not supported"),
            Self::Wrong => f.write_str("the signature does not hold"),
        }
    }
}

/// Reads the fields of a binary packet, each to its end.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a>(pub &'a [u8]);

impl<'a> Wire<'a> {
    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number of 32 bits.
    pub fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// Bytes after their length.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// ASCII text that can be shown.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
    }

    /// A positive number without leading zeros, in the one form that it has.
    fn positive(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, magnitude @ ..] if magnitude.first().is_some_and(|first| *first >= 0x80) => Some(magnitude),
            magnitude => magnitude.first().is_some_and(|first| matches!(first, 0x01..=0x7f)).then_some(magnitude),
        }
    }

    /// Nothing follows.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Adds bytes after their length.
pub fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// An SSH public key of a kind that gate verifies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SshKey {
    blob: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Ed25519([u8; 32]),
    SkEd25519([u8; 32], Vec<u8>),
    EcdsaP256(Vec<u8>),
    EcdsaP384(Vec<u8>),
    SkEcdsaP256(Vec<u8>, Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl SshKey {
    /// Reads a key's bytes, as they stand in base64 in `.pub` files.
    pub fn parse(blob: &[u8]) -> Result<Self, Unusable> {
        let mut wire = Wire(blob);
        let name = wire.text().ok_or(Unusable::Malformed("the key has no name of its kind"))?;
        let kind = match name {
            ED25519_NAME => ed25519(&mut wire).map(Kind::Ed25519),
            "sk-ssh-ed25519@openssh.com" => {
                let key = ed25519(&mut wire);
                key.and_then(|key| Some(Kind::SkEd25519(key, wire.string()?.to_vec())))
            }
            "ecdsa-sha2-nistp256" => point(&mut wire, "nistp256", 65).map(Kind::EcdsaP256),
            "ecdsa-sha2-nistp384" => point(&mut wire, "nistp384", 97).map(Kind::EcdsaP384),
            "sk-ecdsa-sha2-nistp256@openssh.com" => {
                let key = point(&mut wire, "nistp256", 65);
                key.and_then(|key| Some(Kind::SkEcdsaP256(key, wire.string()?.to_vec())))
            }
            "ssh-rsa" => wire.positive().map(<[u8]>::to_vec).and_then(|e| Some(Kind::Rsa { n: wire.positive()?.to_vec(), e })),
            other => return Err(Unusable::Unsupported(other.to_owned())),
        };
        let kind = kind.filter(|_| wire.end().is_some()).ok_or(Unusable::Malformed("the key is not one of its kind"))?;
        Ok(Self { blob: blob.to_vec(), kind })
    }

    /// Reads `ssh-ed25519 AAAA…` or another kind's; a name may follow.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (name, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
        let key = Self::parse(&blob).ok()?;
        (Wire(&blob).text() == Some(name)).then_some(key)
    }

    /// `ssh-ed25519 AAAA…` or another kind's, without a name after it.
    pub fn line(&self) -> String {
        format!("{} {}", Wire(&self.blob).text().unwrap_or_default(), STANDARD.encode(&self.blob))
    }

    /// Whether it says to live in a security key, whose signatures tell of the touch.
    pub fn is_security_key(&self) -> bool {
        matches!(self.kind, Kind::SkEd25519(..) | Kind::SkEcdsaP256(..))
    }

    /// The bytes.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:…`, as ssh-keygen shows it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// Checks a signature in SSH's form. A security key's gives the flags that it signed: [`PRESENT`], [`VERIFIED`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<Option<u8>, Unusable> {
        let mut wire = Wire(signature);
        let malformed = Unusable::Malformed("the signature is not one of its kind");
        let name = wire.text().ok_or(malformed.clone())?.to_owned();
        let own = wire.string().ok_or(malformed.clone())?;
        let (application, flags) = match &self.kind {
            Kind::SkEd25519(_, application) | Kind::SkEcdsaP256(_, application) if !name.starts_with("webauthn-") => {
                let flags = wire.byte().zip(wire.number()).ok_or(malformed.clone())?;
                (application.as_slice(), Some(flags))
            }
            _ => (&[][..], None),
        };
        let sha256 = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
        let signed = match flags {
            Some((flags, counter)) => [sha256(application).as_slice(), &[flags], &counter.to_be_bytes(), &sha256(message)].concat(),
            None => message.to_vec(),
        };
        let holds = match (&self.kind, name.as_str()) {
            (Kind::Ed25519(key), ED25519_NAME) | (Kind::SkEd25519(key, _), "sk-ssh-ed25519@openssh.com") => {
                UnparsedPublicKey::new(&ED25519, key).verify(&signed, own).is_ok()
            }
            (Kind::EcdsaP256(key), "ecdsa-sha2-nistp256") | (Kind::SkEcdsaP256(key, _), "sk-ecdsa-sha2-nistp256@openssh.com") => {
                let own = fixed(own, 32).ok_or(malformed.clone())?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(&signed, &own).is_ok()
            }
            (Kind::EcdsaP384(key), "ecdsa-sha2-nistp384") => {
                let own = fixed(own, 48).ok_or(malformed.clone())?;
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).verify(&signed, &own).is_ok()
            }
            (Kind::Rsa { n, e }, "rsa-sha2-256") => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, &signed, own).is_ok()
            }
            (Kind::Rsa { n, e }, "rsa-sha2-512") => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA512, &signed, own).is_ok()
            }
            _ => return Err(Unusable::Unsupported(name)),
        };
        if wire.end().is_none() {
            return Err(malformed);
        }
        if holds { Ok(flags.map(|(flags, _)| flags)) } else { Err(Unusable::Wrong) }
    }
}

const ED25519_NAME: &str = "ssh-ed25519";

impl PublicKey {
    /// The bytes that stand for it in SSH.
    pub fn ssh_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, ED25519_NAME.as_bytes());
        put(&mut blob, &self.0);
        blob
    }

    /// `ssh-ed25519 AAAA…`, without a name after it.
    pub fn ssh_line(&self) -> String {
        format!("{ED25519_NAME} {}", STANDARD.encode(self.ssh_blob()))
    }

    /// Reads the bytes; none where they are another kind of key.
    pub fn from_ssh_blob(blob: &[u8]) -> Option<Self> {
        let mut wire = Wire(blob);
        let key = wire.text().filter(|name| *name == ED25519_NAME).and_then(|_| ed25519(&mut wire))?;
        wire.end().map(|()| Self(key))
    }

    /// Reads `ssh-ed25519 AAAA…`; a name may follow.
    pub fn from_ssh_line(line: &str) -> Option<Self> {
        let rest = line.strip_prefix(ED25519_NAME)?.strip_prefix(' ')?;
        let blob = STANDARD.decode(rest.split_ascii_whitespace().next()?).ok()?;
        Self::from_ssh_blob(&blob)
    }
}

/// `SHA256:…` of a key's bytes.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, blob)))
}

fn ed25519(wire: &mut Wire<'_>) -> Option<[u8; 32]> {
    wire.string()?.try_into().ok()
}

/// An uncompressed point on the curve.
fn point(wire: &mut Wire<'_>, curve: &str, length: usize) -> Option<Vec<u8>> {
    let point = wire.text().filter(|name| *name == curve).and_then(|_| wire.string())?;
    (point.len() == length && point[0] == 4).then(|| point.to_vec())
}

/// An ECDSA signature with both numbers at full length.
fn fixed(signature: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut wire = Wire(signature);
    let mut out = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let number = wire.positive().filter(|number| number.len() <= length)?;
        out.extend(std::iter::repeat_n(0, length - number.len()));
        out.extend_from_slice(number);
    }
    wire.end().map(|()| out)
}
