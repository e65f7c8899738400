use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::review::{Answer, Approver};
use super::sshsig::MAX_ARMOR;
use super::standing::Standing;
use super::webauthn::Assertion;
use crate::text::{hex, unhex};

/// What approvers sign for, so that no signature made for something else is an approval.
pub const NAMESPACE: &str = "approval@gate";

/// The largest whole number that every reader of JSON reads as it is.
const MOST: u64 = (1 << 53) - 1;

/// A statement that is longer is none, in bytes.
const LONGEST_STATEMENT: usize = 8192;

/// A nonce has at least so many bytes.
const SHORTEST_NONCE: usize = 16;

/// A nonce has at most so many bytes.
const LONGEST_NONCE: usize = 64;

/// What shows an answer to somebody who does not trust this host: the bytes that were signed, and the signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The exact bytes; see [`Statement`].
    pub statement: Vec<u8>,
    /// What the approver's key made of them.
    pub signed: Signed,
}

/// A signature in the form of the key that made it. Nothing about it is believed until it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signed {
    /// An armored SSH signature over the bytes; of a statement in the namespace [`NAMESPACE`].
    Sshsig(String),
    /// A passkey's assertion whose challenge is the SHA-256 of the bytes.
    Webauthn(Assertion),
}

impl Evidence {
    /// As records and receipts carry it: `{"statement": BASE64, "sshsig": ARMOR}`, or `"webauthn"` in the place of `"sshsig"`.
    pub fn to_json(&self) -> Value {
        let mut all = self.signed.to_json();
        all.insert("statement".to_owned(), STANDARD.encode(&self.statement).into());
        Value::Object(all)
    }

    /// Reads what [`Self::to_json`] writes, and nothing else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut rest = value.as_object()?.clone();
        let Value::String(statement) = rest.remove("statement")? else { return None };
        let statement = STANDARD.decode(statement).ok().filter(|bytes| bytes.len() <= LONGEST_STATEMENT)?;
        Some(Self { statement, signed: Signed::from_json(&rest)? })
    }
}

impl Signed {
    /// `{"sshsig": ARMOR}`, or `{"webauthn": {…}}` with its parts in base64url without padding.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let (name, value) = match self {
            Self::Sshsig(armored) => ("sshsig", armored.as_str().into()),
            Self::Webauthn(made) => {
                let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let parts = json!({
                    "id": text(&made.id),
                    "client_data": text(&made.client_data),
                    "authenticator_data": text(&made.authenticator_data),
                    "signature": text(&made.signature),
                });
                ("webauthn", parts)
            }
        };
        Map::from_iter([(name.to_owned(), value)])
    }

    /// Reads what [`Self::to_json`] writes, and nothing else.
    pub(super) fn from_json(members: &Map<String, Value>) -> Option<Self> {
        let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
        match name.as_str() {
            "sshsig" => value.as_str().filter(|armored| armored.len() <= MAX_ARMOR).map(|armored| Self::Sshsig(armored.to_owned())),
            "webauthn" => Self::webauthn(value),
            _ => None,
        }
    }

    /// Reads a passkey's part alone: `{"id", "client_data", "authenticator_data", "signature"}` in base64url without padding.
    pub fn webauthn(value: &Value) -> Option<Self> {
        let parts = value.as_object().filter(|parts| parts.len() == 4)?;
        let part = |name: &str| URL_SAFE_NO_PAD.decode(parts.get(name)?.as_str()?).ok();
        let made = Assertion {
            id: part("id")?,
            client_data: part("client_data")?,
            authenticator_data: part("authenticator_data")?,
            signature: part("signature")?,
        };
        made.bounded().map(Self::Webauthn)
    }
}

/// What an approver says: their answer to this request with this digest.
///
/// Version 2 is written, and version 3 where the approval is a standing one. Version 1, an approval by SSH with neither nonce nor end, is still read: records have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    request: String,
    digest: [u8; 32],
    answer: Answer,
    approver: Approver,
    at: i64,
    bound: Option<Bound>,
    seen: Option<Seen>,
    standing: Option<Standing>,
}

/// What ties a statement to one asking, so that it is good once and not for long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// What whoever asked drew for it.
    pub nonce: Vec<u8>,
    /// Until when the answer may be given, in nanoseconds since 1970.
    pub expires: i64,
}

/// The log as the approver was shown it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its origin.
    pub log: String,
    /// How many entries it had.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
}

impl Statement {
    /// An answer to the request with this id of the asking host and this digest, given at a time in nanoseconds since 1970.
    /// None where the nonce is shorter than 16 bytes or longer than 64, or the end is not after the time.
    pub fn new(request: &str, digest: [u8; 32], answer: Answer, approver: Approver, at: i64, bound: Bound) -> Option<Self> {
        let fits = (SHORTEST_NONCE..=LONGEST_NONCE).contains(&bound.nonce.len()) && bound.expires > at;
        fits.then(|| Self { request: request.to_owned(), digest, answer, approver, at, bound: Some(bound), seen: None, standing: None })
    }

    /// The same by an approver who was shown this state of the log.
    #[must_use]
    pub fn having_seen(self, seen: Seen) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// The same as a standing grant.
    #[must_use]
    pub fn letting(self, standing: Standing) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// The bytes to sign: RFC 8785 JSON.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = json!({
            "v": match (&self.bound, &self.standing) {
                (None, _) => 1,
                (Some(_), None) => 2,
                (Some(_), Some(_)) => 3,
            },
            "request": self.request,
            "digest": hex(&self.digest),
            "answer": self.answer.word(),
            "approver": { "issuer": self.approver.issuer, "subject": self.approver.subject },
            "at": self.at.to_string(),
        });
        if let Some(bound) = &self.bound {
            all["nonce"] = hex(&bound.nonce).into();
            all["expires"] = bound.expires.to_string().into();
        }
        if let Some(standing) = &self.standing {
            all["standing"] = standing.value();
        }
        if let Some(seen) = &self.seen {
            all["log"] = seen.log.as_str().into();
            all["checkpoint"] = json!({ "size": seen.size, "root": STANDARD.encode(seen.root) });
        }
        all.to_string().into_bytes()
    }

    /// Reads the very bytes that [`Self::bytes`] writes; none where they are others.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST_STATEMENT {
            return None;
        }
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let approver = value.get("approver")?;
        let (request, digest) = (text(&value, "request")?, unhex(&text(&value, "digest")?)?.try_into().ok()?);
        let approver = Approver { issuer: text(approver, "issuer")?, subject: text(approver, "subject")? };
        let answer = Answer::parse(&text(&value, "answer")?)?;
        let at = text(&value, "at")?.parse().ok()?;
        let seen = || {
            let checkpoint = value.get("checkpoint")?;
            Some(Seen {
                log: text(&value, "log")?,
                size: checkpoint.get("size")?.as_u64().filter(|size| *size <= MOST)?,
                root: STANDARD.decode(text(checkpoint, "root")?).ok()?.try_into().ok()?,
            })
        };
        let read = match value.get("v")?.as_u64()? {
            1 if answer == Answer::Approve => {
                Self { request, digest, answer, approver, at, bound: None, seen: Some(seen()?), standing: None }
            }
            version @ (2 | 3) if version == 2 || answer == Answer::Approve => {
                let bound = Bound { nonce: unhex(&text(&value, "nonce")?)?, expires: text(&value, "expires")?.parse().ok()? };
                let standing = if version == 3 { Some(Standing::read(value.get("standing")?)?) } else { None };
                Self { seen: seen(), standing, ..Self::new(&request, digest, answer, approver, at, bound)? }
            }
            _ => return None,
        };
        (read.bytes() == bytes).then_some(read)
    }

    /// The request's id, as the host that asks named it.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The approval's digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What is answered.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Who answers.
    pub fn approver(&self) -> &Approver {
        &self.approver
    }

    /// When, in nanoseconds since 1970, by the clock of whoever wrote the statement.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// What ties it to one asking; none in version 1.
    pub fn bound(&self) -> Option<&Bound> {
        self.bound.as_ref()
    }

    /// What it lets run beyond the one request; none where it is for that alone.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// The log as the approver was shown it, where they were.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }
}
