//! An authenticator in software, for passkeys that say whatever a test wants.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;
use gate::approval::{Approver, Assertion, Registration, sha256};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair as CertKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

pub const PRESENT: u8 = 0x01;
pub const VERIFIED: u8 = 0x04;
pub const BACKUP_ELIGIBLE: u8 = 0x08;
pub const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// The model that it says to be of.
pub const AAGUID: [u8; 16] = [7; 16];

#[derive(Clone)]
pub enum Pair {
    Es256(Rc<EcdsaKeyPair>),
    EdDsa(Rc<Ed25519KeyPair>),
}

/// One passkey, with everything that it will say of itself.
#[derive(Clone)]
pub struct Authenticator {
    pub pair: Pair,
    pub id: Vec<u8>,
    pub flags: u8,
    pub counter: u32,
    pub party: String,
    pub origin: String,
    pub extra: &'static str,
}

/// What a registration says of where the key lives.
pub enum Attestation<'a> {
    None,
    Itself,
    By(&'a Maker),
}

/// A maker of authenticators: its root, and the certificate of a model.
pub struct Maker {
    pub root: Vec<u8>,
    leaf: Vec<u8>,
    key: EcdsaKeyPair,
}

/// `clientDataJSON` as browsers write it.
pub fn client_data(purpose: &str, challenge: &[u8], origin: &str, extra: &str) -> Vec<u8> {
    format!(r#"{{"type":"{purpose}","challenge":"{}","origin":"{origin}"{extra}}}"#, URL_SAFE_NO_PAD.encode(challenge)).into_bytes()
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn int(number: i64) -> Value {
    Value::Integer(number.into())
}

fn es256() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap()
}

impl Authenticator {
    pub fn new(id: u8) -> Self {
        Self::with(Pair::Es256(Rc::new(es256())), id)
    }

    pub fn ed25519(id: u8) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::with(Pair::EdDsa(Rc::new(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())), id)
    }

    fn with(pair: Pair, id: u8) -> Self {
        let (party, origin) = ("gate.test".to_owned(), "https://gate.test".to_owned());
        let extra = r#","crossOrigin":false,"other_keys_can_be_added_here":"yes""#;
        Self { pair, id: vec![id; 32], flags: PRESENT | VERIFIED, counter: 1, party, origin, extra }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn algorithm(&self) -> i64 {
        if matches!(self.pair, Pair::Es256(_)) { -7 } else { -8 }
    }

    /// Its public key as COSE has it.
    pub fn cose(&self) -> Value {
        let pairs = match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                vec![
                    (1, int(2)),
                    (3, int(-7)),
                    (-1, int(1)),
                    (-2, Value::Bytes(point[1..33].to_vec())),
                    (-3, Value::Bytes(point[33..].to_vec())),
                ]
            }
            Pair::EdDsa(pair) => {
                vec![(1, int(1)), (3, int(-8)), (-1, int(6)), (-2, Value::Bytes(pair.public_key().as_ref().to_vec()))]
            }
        };
        Value::Map(pairs.into_iter().map(|(label, value)| (int(label), value)).collect())
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        [sha256(self.party.as_bytes()).as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// What it says when a passkey is made.
    pub fn made(&self) -> Vec<u8> {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        [self.data(self.flags | ATTESTED).as_slice(), &AAGUID, &length, &self.id, &cbor(&self.cose())].concat()
    }

    /// A registration for this person.
    pub fn register(&self, approver: &Approver, attestation: &Attestation<'_>) -> Registration {
        self.register_data(approver, attestation, &self.made())
    }

    /// The same, with other authenticator data.
    pub fn register_data(&self, approver: &Approver, attestation: &Attestation<'_>, data: &[u8]) -> Registration {
        let nonce = vec![3; 16];
        let client_data = client_data("webauthn.create", &Registration::challenge(approver, &nonce), &self.origin, self.extra);
        let signed = [data, &sha256(&client_data)].concat();
        let text = |text: &str| Value::Text(text.to_owned());
        let packed = |algorithm, signature, rest: Vec<(Value, Value)>| {
            let parts = [(text("alg"), int(algorithm)), (text("sig"), Value::Bytes(signature))];
            ("packed", Value::Map(parts.into_iter().chain(rest).collect()))
        };
        let (form, statement) = match attestation {
            Attestation::None => ("none", Value::Map(Vec::new())),
            Attestation::Itself => packed(self.algorithm(), self.sign(&signed), Vec::new()),
            Attestation::By(maker) => {
                let signature = maker.key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
                packed(-7, signature, vec![(text("x5c"), Value::Array(vec![Value::Bytes(maker.leaf.clone())]))])
            }
        };
        let object = [(text("fmt"), text(form)), (text("attStmt"), statement), (text("authData"), Value::Bytes(data.to_vec()))];
        Registration { nonce, client_data, attestation_object: cbor(&Value::Map(object.into())) }
    }

    /// A use over this message's SHA-256.
    pub fn assert(&self, message: &[u8]) -> Assertion {
        self.assert_as("webauthn.get", &sha256(message), self.data(self.flags))
    }

    /// The same, with other words and other authenticator data, signed all the same.
    pub fn assert_as(&self, purpose: &str, challenge: &[u8], authenticator_data: Vec<u8>) -> Assertion {
        let client_data = client_data(purpose, challenge, &self.origin, self.extra);
        let signature = self.sign(&[authenticator_data.as_slice(), &sha256(&client_data)].concat());
        Assertion { id: self.id.clone(), client_data, authenticator_data, signature }
    }

    /// What it says when it is used.
    pub fn used(&self) -> Vec<u8> {
        self.data(self.flags)
    }
}

impl Maker {
    /// A maker whose certificate names this unit and this model.
    pub fn new(unit: &str, model: Option<&[u8]>) -> Self {
        let root_key = CertKey::generate().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "Maker's root");
        let certified = root.self_signed(&root_key).unwrap();
        let key = CertKey::generate().unwrap();
        let mut leaf = CertificateParams::new(Vec::new()).unwrap();
        leaf.is_ca = IsCa::ExplicitNoCa;
        for (kind, value) in [
            (DnType::CountryName, "SE"),
            (DnType::OrganizationName, "Maker"),
            (DnType::OrganizationalUnitName, unit),
            (DnType::CommonName, "Model"),
        ] {
            leaf.distinguished_name.push(kind, value);
        }
        if let Some(model) = model {
            let value = [&[4, u8::try_from(model.len()).unwrap()], model].concat();
            leaf.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], value));
        }
        let issued = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der(), &SystemRandom::new()).unwrap();
        Self { root: certified.der().to_vec(), leaf: issued.der().to_vec(), key }
    }

    /// A maker as they are.
    pub fn usual() -> Self {
        Self::new("Authenticator Attestation", Some(&AAGUID))
    }

    /// The model's certificate.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }
}
