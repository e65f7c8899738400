//! Where a passkey's key lives: attestations of the forms `none` and `packed` (W3C Web Authentication, sections 8.2 and 8.7).

use std::collections::BTreeSet;
use std::time::Duration;

use ciborium::Value;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring as algorithms};

use super::cbor::{self, CoseKey};
use super::webauthn::Unproved;

const MOST_CERTIFICATES: usize = 6;

/// `id-fido-gen-ce-aaguid`, 1.3.6.1.4.1.45724.1.1.4.
const AAGUID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04];
/// `id-at-organizationalUnitName`, 2.5.4.11.
const UNIT: &[u8] = &[0x55, 0x04, 0x0b];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;

/// With what roots sign, and attestations.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 7] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
];

/// Who vouches for models of authenticators.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attesters {
    /// Their certificates, in DER: roots, or those of the models themselves.
    pub roots: Vec<Vec<u8>>,
    /// The only models that count; where there are none named, all that the certificates vouch for.
    pub aaguids: BTreeSet<[u8; 16]>,
}

impl Attesters {
    /// Whether each certificate can be one that others are held against.
    pub(super) fn is_usable(&self) -> bool {
        self.roots.iter().all(|root| anchor_from_trusted_cert(&CertificateDer::from(root.as_slice())).is_ok())
    }
}

/// Whether one of the attesters vouches for the key's place. `signed` is what an attestation signs.
pub(super) fn attested(
    form: &str,
    statement: &Value,
    signed: &[u8],
    key: &CoseKey,
    aaguid: &[u8; 16],
    attesters: &Attesters,
    at: i64,
) -> Result<bool, Unproved> {
    let Value::Map(members) = statement else { return Err(Unproved::Attestation("its attestation is no map")) };
    match form {
        "none" if members.is_empty() => Ok(false),
        "none" => Err(Unproved::Attestation("it has an attestation and says that it has none")),
        "packed" => {
            let algorithm = cbor::member(statement, "alg").and_then(cbor::integer);
            let signature = cbor::member(statement, "sig").and_then(Value::as_bytes);
            let (Some(algorithm), Some(signature)) = (algorithm, signature) else {
                return Err(Unproved::Attestation("its attestation lacks a part"));
            };
            match cbor::member(statement, "x5c") {
                None if members.len() != 2 => Err(Unproved::Attestation("its attestation has a part that is not known")),
                None if algorithm == key.algorithm() && key.verifies(signed, signature) => Ok(false),
                None => Err(Unproved::Attestation("its attestation by itself does not hold")),
                Some(chain) if members.len() == 3 => by_certificate(chain, algorithm, signature, signed, aaguid, attesters, at),
                Some(_) => Err(Unproved::Attestation("its attestation has a part that is not known")),
            }
        }
        _ => Err(Unproved::Form),
    }
}

fn by_certificate(
    chain: &Value,
    algorithm: i64,
    signature: &[u8],
    signed: &[u8],
    aaguid: &[u8; 16],
    attesters: &Attesters,
    at: i64,
) -> Result<bool, Unproved> {
    let wrong = Unproved::Attestation;
    let chain: Option<Vec<CertificateDer<'_>>> = chain
        .as_array()
        .filter(|chain| (1..=MOST_CERTIFICATES).contains(&chain.len()))
        .and_then(|chain| chain.iter().map(|one| Some(CertificateDer::from(one.as_bytes()?.as_slice()))).collect());
    let chain = chain.ok_or(wrong("its certificates are not a list of certificates"))?;
    let (Some(leaf), intermediates) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
        return Err(wrong("it has no certificate"));
    };
    let certificate = EndEntityCert::try_from(leaf).map_err(|_| wrong("its certificate cannot be read"))?;
    let by = match algorithm {
        -7 => algorithms::ECDSA_P256_SHA256,
        -8 => algorithms::ED25519,
        -257 => algorithms::RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(wrong("its attestation is signed in a way that is not verified")),
    };
    certificate.verify_signature(by, signed, signature).map_err(|_| wrong("its certificate's signature does not hold"))?;
    let (unit, named) = model(leaf).ok_or(wrong("its certificate cannot be read"))?;
    if !unit {
        return Err(wrong("its certificate is not one for attestations"));
    }
    if named.is_some_and(|named| named != *aaguid) {
        return Err(wrong("its certificate is of another model than it says"));
    }
    let itself = attesters.roots.iter().any(|root| root == leaf.as_ref());
    // A maker's certificate that names no model would vouch for any that somebody claims.
    let listed = (named.is_some() || itself) && (attesters.aaguids.is_empty() || attesters.aaguids.contains(aaguid));
    Ok(listed && (itself || leads_to_root(&certificate, intermediates, attesters, at)))
}

fn leads_to_root(certificate: &EndEntityCert<'_>, intermediates: &[CertificateDer<'_>], attesters: &Attesters, at: i64) -> bool {
    let Ok(at) = u64::try_from(at) else { return false };
    let roots: Vec<CertificateDer<'_>> = attesters.roots.iter().map(|root| CertificateDer::from(root.as_slice())).collect();
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_nanos(at));
    certificate.verify_for_usage(&ALGORITHMS, &anchors, intermediates, at, KeyUsage::client_auth(), None, None).is_ok()
}

/// Of a certificate: whether its subject says that it is for attestations, and the model that it names.
fn model(certificate: &[u8]) -> Option<(bool, Option<[u8; 16]>)> {
    let mut body = Der(Der(Der(certificate).only(SEQUENCE)?).take(SEQUENCE)?);
    // version, serial number, signature, issuer, validity; then the subject.
    (0..5).try_for_each(|_| body.next().map(drop))?;
    let mut subject = Der(body.take(SEQUENCE)?);
    let mut unit = false;
    while let Some((SET, names)) = subject.next() {
        let mut name = Der(Der(names).take(SEQUENCE)?);
        unit |= name.take(OBJECT_IDENTIFIER)? == UNIT && name.next()?.1 == b"Authenticator Attestation";
    }
    let mut named = None;
    while let Some((kind, value)) = body.next() {
        let mut all = Der(if kind == EXTENSIONS { Der(value).only(SEQUENCE)? } else { &[] });
        while let Some((SEQUENCE, extension)) = all.next() {
            let mut extension = Der(extension);
            if extension.take(OBJECT_IDENTIFIER)? == AAGUID {
                let critical = extension.0.first() == Some(&BOOLEAN);
                let value = extension.only(OCTETS).filter(|_| !critical)?;
                let model: [u8; 16] = Der(value).only(OCTETS)?.try_into().ok()?;
                named = if named.is_none() { Some(model) } else { return None };
            }
        }
    }
    Some((unit, named))
}

/// DER values one after the other; the certificate's form was already checked.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ ..=0x7f => (usize::from(short), rest),
            0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
            0x82 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    fn only(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take(tag).filter(|_| self.0.is_empty())
    }
}
