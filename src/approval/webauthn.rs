//! Passkeys: what an authenticator signs, and how one is registered (W3C Web Authentication, level 3, sections 6, 7.1 and 7.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ciborium::Value;
use serde::Deserialize;
use serde_json::json;

use super::attestation::{Attesters, attested};
use super::cbor::{self, CoseKey};
use super::digest::sha256;
use super::review::Approver;
use crate::text::{hex, unhex};

/// What a browser says about an asking is at most so long, in bytes.
const LONGEST_CLIENT_DATA: usize = 4096;
/// What an authenticator signs is at most so long, in bytes.
const LONGEST_AUTHENTICATOR_DATA: usize = 4096;
/// What an authenticator says at registration is at most so long, in bytes.
const LONGEST_ATTESTATION: usize = 24 * 1024;
const LONGEST_SIGNATURE: usize = 1024;
const LONGEST_ID: usize = 1023;
const SHORTEST_ID: usize = 16;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

/// Why a passkey proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unproved {
    /// Its parts do not have the form that they have to have: what is wrong.
    Malformed(&'static str),
    /// It was made for another purpose than this.
    Purpose,
    /// It answers another challenge.
    Challenge,
    /// It was made on a page of another origin, or in a frame of one.
    Origin,
    /// It was made for another relying party.
    Party,
    /// It is another passkey's.
    Key,
    /// Nobody touched the authenticator.
    NotPresent,
    /// The authenticator did not check who touched it.
    NotVerified,
    /// What it says about copies of its key is not what it said at registration, or contradicts itself.
    Backup,
    /// Its counter did not go up: there may be two of it.
    Counter,
    /// The signature does not hold.
    Signature,
    /// Its attestation is of a form that is not verified here.
    Form,
    /// Its attestation does not hold: what is wrong.
    Attestation(&'static str),
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(what) | Self::Attestation(what) => what,
            Self::Purpose => "the passkey was used for another purpose",
            Self::Challenge => "the passkey answered another challenge",
            Self::Origin => "the passkey was used on a page of another origin",
            Self::Party => "the passkey was used for another relying party",
            Self::Key => "it is another passkey's",
            Self::NotPresent => "nobody touched the authenticator",
            Self::NotVerified => "the authenticator did not check who touched it",
            Self::Backup => "the passkey contradicts itself about copies of its key",
            Self::Counter => "the passkey's counter did not go up: there may be two of it",
            Self::Signature => "the signature does not hold",
            Self::Form => "its attestation is of a form that is not verified; only `none` and `packed` are",
        })
    }
}

/// For whom passkeys are made, and on which page they are used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// A domain, and the one origin of its pages: `https://` and the domain or one below it, or `http://localhost`; each perhaps with a port.
    pub fn new(id: &str, origin: &str) -> Option<Self> {
        let label = |label: &str| {
            let plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            plain && !label.is_empty() && label.len() <= 63
        };
        let domain = |name: &str| name.len() <= 253 && name.split('.').all(label) && name.ends_with(|c: char| c.is_ascii_lowercase());
        let (scheme, rest) = origin.split_once("://")?;
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let below = host == id || host.strip_suffix(id).is_some_and(|above| above.ends_with('.'));
        let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
        let secure = scheme == "https" || scheme == "http" && host == "localhost";
        (domain(id) && domain(host) && below && port && secure).then(|| Self { id: id.to_owned(), origin: origin.to_owned() })
    }

    /// The domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// A passkey that was registered: what its signatures are held against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyKey {
    id: Vec<u8>,
    key: CoseKey,
    aaguid: [u8; 16],
    attested: bool,
    backup_eligible: bool,
    counter: u32,
}

impl PasskeyKey {
    /// The credential's id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The model of authenticator that it says to be of.
    pub fn aaguid(&self) -> &[u8; 16] {
        &self.aaguid
    }

    /// Whether the key never leaves an authenticator of a model that is vouched for.
    pub fn is_hardware(&self) -> bool {
        self.attested && !self.backup_eligible
    }

    /// The counter at registration.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// `SHA256:…` of the public key.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(self.key.sha256()))
    }
}

/// What a passkey signed when it was used. Nothing about it is believed until [`Self::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    /// The credential's id.
    pub id: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
}

impl Assertion {
    /// Itself, where none of its parts is longer than it can be.
    pub(super) fn bounded(self) -> Option<Self> {
        let fits = self.id.len() <= LONGEST_ID
            && self.client_data.len() <= LONGEST_CLIENT_DATA
            && self.authenticator_data.len() <= LONGEST_AUTHENTICATOR_DATA
            && self.signature.len() <= LONGEST_SIGNATURE;
        fits.then_some(self)
    }

    /// Whether this passkey answered this challenge, by the hand of somebody whom it knows; gives its counter.
    ///
    /// The counter has to be higher than the `last` one where either is not zero; without one only the challenge's single use
    /// keeps it from being used again.
    pub fn verify(&self, passkey: &PasskeyKey, party: &RelyingParty, challenge: &[u8; 32], last: Option<u32>) -> Result<u32, Unproved> {
        if self.clone().bounded().is_none() {
            return Err(Unproved::Malformed("a part of it is too long"));
        }
        if self.id != passkey.id {
            return Err(Unproved::Key);
        }
        client_data(&self.client_data, "webauthn.get", party, challenge)?;
        let said = Said::read(&self.authenticator_data)?;
        said.by_somebody(party)?;
        if said.flags & ATTESTED != 0 || !said.extensions_end(said.rest) {
            return Err(Unproved::Malformed("its authenticator data is not that of a use"));
        }
        if (said.flags & BACKUP_ELIGIBLE != 0) != passkey.backup_eligible {
            return Err(Unproved::Backup);
        }
        let signed = [self.authenticator_data.as_slice(), &sha256(&self.client_data)].concat();
        if !passkey.key.verifies(&signed, &self.signature) {
            return Err(Unproved::Signature);
        }
        match last {
            Some(last) if (last, said.counter) != (0, 0) && said.counter <= last => Err(Unproved::Counter),
            _ => Ok(said.counter),
        }
    }
}

/// What a browser gives when a passkey is made, and the nonce it was asked with. Nothing about it is believed until [`Self::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// What whoever asked drew for it.
    pub nonce: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation_object: Vec<u8>,
}

impl Registration {
    /// The challenge that makes a passkey for this person, and for nobody else.
    pub fn challenge(approver: &Approver, nonce: &[u8]) -> [u8; 32] {
        let asked = json!({ "v": 1, "register": { "issuer": approver.issuer, "subject": approver.subject }, "nonce": hex(nonce) });
        sha256(asked.to_string().as_bytes())
    }

    /// `{"nonce": HEX, "client_data": …, "attestation_object": …}`, the last two in base64url without padding.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "nonce": hex(&self.nonce),
            "client_data": URL_SAFE_NO_PAD.encode(&self.client_data),
            "attestation_object": URL_SAFE_NO_PAD.encode(&self.attestation_object),
        })
    }

    /// Reads what [`Self::to_json`] writes, and nothing else.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        let parts = value.as_object().filter(|parts| parts.len() == 3)?;
        let part = |name: &str| parts.get(name)?.as_str();
        let read = Self {
            nonce: unhex(part("nonce")?)?,
            client_data: URL_SAFE_NO_PAD.decode(part("client_data")?).ok()?,
            attestation_object: URL_SAFE_NO_PAD.decode(part("attestation_object")?).ok()?,
        };
        read.is_bounded().then_some(read)
    }

    fn is_bounded(&self) -> bool {
        (16..=64).contains(&self.nonce.len())
            && self.client_data.len() <= LONGEST_CLIENT_DATA
            && self.attestation_object.len() <= LONGEST_ATTESTATION
    }

    /// The passkey, if it was made for this person and this party by the hand of somebody whom it knows. Whether its
    /// attestation is vouched for is told by [`PasskeyKey::is_hardware`]; one that contradicts itself refuses the whole.
    /// Certificates are held against the time, in nanoseconds since 1970.
    pub fn verify(&self, approver: &Approver, party: &RelyingParty, attesters: &Attesters, at: i64) -> Result<PasskeyKey, Unproved> {
        if !self.is_bounded() {
            return Err(Unproved::Malformed("a part of it is too short or too long"));
        }
        client_data(&self.client_data, "webauthn.create", party, &Self::challenge(approver, &self.nonce))?;
        let object = cbor::whole(&self.attestation_object).ok_or(Unproved::Malformed("its attestation is not CBOR in its one form"))?;
        let parts = (cbor::member(&object, "fmt"), cbor::member(&object, "attStmt"), cbor::member(&object, "authData"));
        let (Some(Value::Text(form)), Some(statement), Some(Value::Bytes(data))) = parts else {
            return Err(Unproved::Malformed("its attestation lacks a part"));
        };
        let said = Said::read(data)?;
        said.by_somebody(party)?;
        let (aaguid, id, key) = said.credential().ok_or(Unproved::Malformed("it names no key of a kind that is verified"))?;
        let signed = [data.as_slice(), &sha256(&self.client_data)].concat();
        let attested = attested(form, statement, &signed, &key, &aaguid, attesters, at)?;
        Ok(PasskeyKey { id, key, aaguid, attested, backup_eligible: said.flags & BACKUP_ELIGIBLE != 0, counter: said.counter })
    }
}

/// What the browser says; members that it adds are not ours to judge.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    purpose: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin")]
    cross_origin: Option<bool>,
    #[serde(rename = "topOrigin")]
    top_origin: Option<String>,
}

fn client_data(bytes: &[u8], purpose: &str, party: &RelyingParty, challenge: &[u8; 32]) -> Result<(), Unproved> {
    let said: ClientData = serde_json::from_slice(bytes).map_err(|_| Unproved::Malformed("its client data cannot be read"))?;
    if said.purpose != purpose {
        return Err(Unproved::Purpose);
    }
    if said.challenge != URL_SAFE_NO_PAD.encode(challenge) {
        return Err(Unproved::Challenge);
    }
    if said.origin != party.origin || said.cross_origin == Some(true) || said.top_origin.is_some() {
        return Err(Unproved::Origin);
    }
    Ok(())
}

/// What the authenticator says.
struct Said<'a> {
    party: &'a [u8; 32],
    flags: u8,
    counter: u32,
    rest: &'a [u8],
}

impl<'a> Said<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Unproved> {
        let cut = Unproved::Malformed("its authenticator data is cut short");
        let (party, rest) = bytes.split_first_chunk::<32>().ok_or(cut)?;
        let (flags, rest) = rest.split_first().ok_or(cut)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
        Ok(Self { party, flags: *flags, counter: u32::from_be_bytes(*counter), rest })
    }

    /// Made for this party, touched by somebody whom the authenticator knows, and at one with itself about copies of the key.
    fn by_somebody(&self, party: &RelyingParty) -> Result<(), Unproved> {
        let wanted = [
            (*self.party == sha256(party.id.as_bytes()), Unproved::Party),
            (self.flags & PRESENT != 0, Unproved::NotPresent),
            (self.flags & VERIFIED != 0, Unproved::NotVerified),
            (self.flags & BACKED_UP == 0 || self.flags & BACKUP_ELIGIBLE != 0, Unproved::Backup),
        ];
        wanted.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// Whether the bytes are extensions and no more, where the flags say that there are some; else nothing.
    fn extensions_end(&self, bytes: &[u8]) -> bool {
        if self.flags & EXTENDED == 0 { bytes.is_empty() } else { cbor::whole(bytes).is_some_and(|value| value.is_map()) }
    }

    /// Model, id and key of a new credential.
    fn credential(&self) -> Option<([u8; 16], Vec<u8>, CoseKey)> {
        if self.flags & ATTESTED == 0 {
            return None;
        }
        let (aaguid, rest) = self.rest.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).filter(|_| (SHORTEST_ID..=LONGEST_ID).contains(&length))?;
        let (key, rest) = cbor::item(rest)?;
        self.extensions_end(rest).then_some((*aaguid, id.to_vec(), CoseKey::read(&key)?))
    }
}
