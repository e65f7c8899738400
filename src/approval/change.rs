use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::attestation::Attesters;
use super::digest::sha256;
use super::evidence::Signed;
use super::review::Approver;
use super::webauthn::{Registration, RelyingParty};
use crate::key::ssh::SshKey;
use crate::text::{hex, unhex};

/// A change does at most so much at once.
const MOST_ACTS: usize = 8;
/// A change has at most so many signatures.
pub(super) const MOST_SIGNATURES: usize = 8;
const MOST_ROOTS: usize = 32;
const MOST_AAGUIDS: usize = 1024;
const LONGEST_NAME: usize = 512;

/// One thing that changes in who may approve, and by which keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Passkeys are made for this party from now on, and used on its page.
    Party(RelyingParty),
    /// These vouch for authenticators from now on.
    Attesters(Attesters),
    /// A person has one more key.
    Add {
        /// Who.
        approver: Approver,
        /// What to call them; never used to decide anything.
        name: String,
        /// The key.
        key: NewKey,
    },
    /// A person's key is theirs no more.
    Remove {
        /// Who.
        approver: Approver,
        /// The key's `SHA256:…`.
        key: String,
    },
}

/// A key as it is enrolled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewKey {
    /// An SSH key.
    Ssh(SshKey),
    /// A passkey, with all that its registration gave, so that its attestation is verified by every reader.
    Passkey(Registration),
}

/// A change of the approvers file: what approvers sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// SHA-256 of the change before; none for the first.
    pub(super) prev: Option<[u8; 32]>,
    /// When it was written, in nanoseconds since 1970.
    pub(super) at: i64,
    /// What it does, in this order.
    pub(super) acts: Vec<Act>,
}

impl Change {
    /// What it does.
    pub fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// When it was written, in nanoseconds since 1970.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// The bytes to sign: RFC 8785 JSON.
    pub fn bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Its SHA-256: what the next one names, and the challenge by which a passkey signs it.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.bytes())
    }

    fn to_json(&self) -> Value {
        json!({
            "v": 1,
            "prev": self.prev.map(|prev| hex(&prev)).unwrap_or_default(),
            "at": self.at.to_string(),
            "acts": self.acts.iter().map(Act::to_json).collect::<Vec<_>>(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let prev = match value.get("prev")?.as_str()? {
            "" => None,
            prev => Some(unhex(prev)?.try_into().ok()?),
        };
        let acts = value.get("acts")?.as_array().filter(|acts| (1..=MOST_ACTS).contains(&acts.len()))?;
        let read =
            Self { prev, at: value.get("at")?.as_str()?.parse().ok()?, acts: acts.iter().map(Act::from_json).collect::<Option<_>>()? };
        // What is written again as it was read has no member that was not understood.
        (read.to_json() == *value).then_some(read)
    }
}

impl Act {
    fn to_json(&self) -> Value {
        match self {
            Self::Party(party) => json!({ "party": { "id": party.id(), "origin": party.origin() } }),
            Self::Attesters(attesters) => json!({ "attesters": {
                "roots": attesters.roots.iter().map(|root| STANDARD.encode(root)).collect::<Vec<_>>(),
                "aaguids": attesters.aaguids.iter().map(|aaguid| hex(aaguid)).collect::<Vec<_>>(),
            } }),
            Self::Add { approver, name, key } => {
                let (kind, key) = match key {
                    NewKey::Ssh(key) => ("ssh", key.line().into()),
                    NewKey::Passkey(registration) => ("passkey", registration.to_json()),
                };
                json!({ "add": { "issuer": approver.issuer, "subject": approver.subject, "name": name, kind: key } })
            }
            Self::Remove { approver, key } => {
                json!({ "remove": { "issuer": approver.issuer, "subject": approver.subject, "key": key } })
            }
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        let (kind, what) = value.as_object()?.iter().next()?;
        let text = |name: &str| what.get(name)?.as_str().filter(|text| text.len() <= LONGEST_NAME);
        let approver = || {
            let read = Approver { issuer: text("issuer")?.to_owned(), subject: text("subject")?.to_owned() };
            let plain = |part: &str| !part.is_empty() && !part.chars().any(char::is_control);
            (plain(&read.issuer) && plain(&read.subject)).then_some(read)
        };
        match kind.as_str() {
            "party" => RelyingParty::new(text("id")?, text("origin")?).map(Self::Party),
            "attesters" => {
                let list = |name: &str, most| what.get(name)?.as_array().filter(|all| all.len() <= most);
                let root = |root: &Value| STANDARD.decode(root.as_str()?).ok();
                let aaguid = |aaguid: &Value| unhex(aaguid.as_str()?)?.try_into().ok();
                let roots = list("roots", MOST_ROOTS)?.iter().map(root).collect::<Option<_>>()?;
                let aaguids = list("aaguids", MOST_AAGUIDS)?.iter().map(aaguid).collect::<Option<BTreeSet<_>>>()?;
                Some(Self::Attesters(Attesters { roots, aaguids }))
            }
            "add" => {
                let key = match what.get("ssh") {
                    Some(line) => NewKey::Ssh(SshKey::from_line(line.as_str()?)?),
                    None => NewKey::Passkey(Registration::from_json(what.get("passkey")?)?),
                };
                Some(Self::Add { approver: approver()?, name: text("name")?.to_owned(), key })
            }
            "remove" => Some(Self::Remove { approver: approver()?, key: text("key")?.to_owned() }),
            _ => None,
        }
    }
}

/// A change and what was made to vouch for it. Nothing about it is believed until the file is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedChange {
    pub(super) change: Change,
    pub(super) signatures: Vec<Signed>,
}

impl SignedChange {
    /// The change.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// How many signatures it has.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }

    pub(super) fn to_json(&self) -> Value {
        let signatures: Vec<Value> = self.signatures.iter().map(|signed| Value::Object(signed.to_json())).collect();
        json!({ "change": self.change.to_json(), "signatures": signatures })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 2)?;
        let signatures = members.get("signatures")?.as_array().filter(|all| all.len() <= MOST_SIGNATURES)?;
        let signed = |value: &Value| value.as_object().and_then(|members: &Map<String, Value>| Signed::from_json(members));
        Some(Self { change: Change::from_json(members.get("change")?)?, signatures: signatures.iter().map(signed).collect::<Option<_>>()? })
    }
}
