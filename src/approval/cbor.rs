//! CBOR in the one form that authenticators give it (CTAP 2.2, section 8), and the public keys in it (RFC 9052, 9053).

use ciborium::Value;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use super::digest::sha256;

/// Nested deeper, it is none.
const DEEPEST: usize = 8;

/// A map or a list with more members is none.
const MOST_MEMBERS: usize = 32;

/// ECDSA on P-256 with SHA-256.
const ES256: i64 = -7;

/// Ed25519.
const EDDSA: i64 = -8;

/// RSA PKCS #1 v1.5 with SHA-256.
const RS256: i64 = -257;

/// Reads one item, and gives what follows it. Numbers and lengths have their shortest form, and no key stands twice in a map.
pub(super) fn item(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let mut rest = bytes;
    let value: Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST).ok()?;
    let read = bytes.strip_suffix(rest)?;
    let mut written = Vec::with_capacity(read.len());
    ciborium::into_writer(&value, &mut written).ok()?;
    (written == read && is_plain(&value)).then_some((value, rest))
}

/// Reads bytes that are one item and no more.
pub(super) fn whole(bytes: &[u8]) -> Option<Value> {
    item(bytes).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// A member of a map, by its name.
pub(super) fn member<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Map(members) => {
            members.len() <= MOST_MEMBERS
                && members.iter().all(|(key, value)| (key.is_text() || key.is_integer()) && is_plain(value))
                && members.iter().enumerate().all(|(at, (key, _))| members[..at].iter().all(|(other, _)| other != key))
        }
        Value::Array(values) => values.len() <= MOST_MEMBERS && values.iter().all(is_plain),
        Value::Tag(..) => false,
        _ => true,
    }
}

/// The public half of a passkey.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CoseKey {
    /// An uncompressed point of P-256.
    Es256(Vec<u8>),
    /// A point of edwards25519.
    EdDsa(Vec<u8>),
    /// Modulus and exponent.
    Rs256 { n: Vec<u8>, e: Vec<u8> },
}

impl CoseKey {
    /// Reads a key that has the members of its kind and no other.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let members = value.as_map()?;
        let found = |label: i64| members.iter().find(|(key, _)| integer(key) == Some(label)).map(|(_, value)| value);
        let number = |label: i64| found(label).and_then(integer);
        let bytes = |label: i64| found(label).and_then(Value::as_bytes);
        let (kind, count) = (number(1)?, members.len());
        match (number(3)?, kind, count) {
            (ES256, 2, 5) => {
                let (x, y) = (bytes(-2)?, bytes(-3)?);
                let fits = number(-1)? == 1 && x.len() == 32 && y.len() == 32;
                fits.then(|| Self::Es256([&[4], x.as_slice(), y].concat()))
            }
            (EDDSA, 1, 4) => bytes(-2).filter(|x| x.len() == 32 && number(-1) == Some(6)).cloned().map(Self::EdDsa),
            (RS256, 3, 4) => {
                let (n, e) = (bytes(-1)?, bytes(-2)?);
                // Leading zeros would give one key two forms.
                let fits = n.len() <= 1024 && e.len() <= 8 && n.first() != Some(&0) && e.first() != Some(&0);
                fits.then(|| Self::Rs256 { n: n.clone(), e: e.clone() })
            }
            _ => None,
        }
    }

    /// Its algorithm, as COSE numbers it.
    pub(super) fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::EdDsa(_) => EDDSA,
            Self::Rs256 { .. } => RS256,
        }
    }

    /// Whether the signature, in the form that `WebAuthn` gives it, is this key's over this message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Es256(point) => by(&ECDSA_P256_SHA256_ASN1, point),
            Self::EdDsa(point) => by(&ED25519, point),
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok(),
        }
    }

    /// SHA-256 over what the key is, for telling keys apart.
    pub(super) fn sha256(&self) -> [u8; 32] {
        let parts = match self {
            Self::Es256(point) => [b"es256 ".as_slice(), point].concat(),
            Self::EdDsa(point) => [b"eddsa ".as_slice(), point].concat(),
            Self::Rs256 { n, e } => [b"rs256 ".as_slice(), e, b" ", n].concat(),
        };
        sha256(&parts)
    }
}

/// A whole number that COSE could mean.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_integer().and_then(|number| number.try_into().ok())
}
