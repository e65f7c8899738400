use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::digest::Digest;
use super::review::{Answer, Approver};
use super::standing::{Drawn, Standing};
use crate::key::{PublicKey, SigningKey, Vkey};
use crate::policy::{Assurance, Channel};
use crate::text::hex;

/// What a receipt's header says it is.
const KIND: &str = "gate-decision+jwt";

/// What a receipt may be long at most, in bytes.
pub const LONGEST_RECEIPT: usize = 1024 * 1024;

/// How long a receipt may be shown after it was signed, in seconds.
pub const RECEIPT_AGE: u64 = 60;

/// How far the clocks of server and host may be apart where both are asked, in seconds.
const CLOCKS: u64 = 300;

/// The same in nanoseconds.
pub const CLOCKS_NS: i64 = 300 * 1_000_000_000;

/// What a server says of a request that is decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims {
    /// The server's URL.
    pub issuer: String,
    /// The host that asked, as it named itself.
    pub audience: String,
    /// The server's id of the request.
    pub request: String,
    /// What was decided about.
    pub digest: [u8; 32],
    /// SHA-256 of what the host drew for this request.
    pub client_nonce_sha256: [u8; 32],
    /// Approve, or reject.
    pub answer: Answer,
    /// Whether the approval was consumed by this very answer.
    pub consumed: bool,
    /// Whether the server's key is one of a trial: it counts only for terms that say so.
    pub dev: bool,
    /// The person who asked, as the server knows them.
    pub requester: Option<Approver>,
    /// The server's clock now, in nanoseconds since 1970.
    pub now: i64,
    /// When the request was made, by the server's clock.
    pub created: i64,
    /// Until when the approval may be used, by the server's clock.
    pub valid_until: i64,
    /// Who said what.
    pub reviews: Vec<Reviewed>,
    /// The standing grant that this is a use of: the reviews are of the request that it names.
    pub drawn: Option<Drawn>,
}

/// A review as a receipt tells it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reviewed {
    /// Who.
    pub approver: Approver,
    /// What to call them; never used to decide anything.
    pub name: String,
    /// What they said.
    pub answer: Answer,
    /// How surely it was them, as the server has it.
    pub assurance: Assurance,
    /// By which way.
    pub channel: Channel,
    /// When, by the server's clock, in nanoseconds since 1970.
    pub at: i64,
    /// When the assurance was proved.
    pub proved: i64,
    /// The slots that they could fill then.
    pub slots: Vec<String>,
    /// Why, in their words.
    pub comment: String,
    /// What they let run beyond the one request.
    pub standing: Option<Standing>,
    /// What shows it to others, where they signed it.
    pub evidence: Option<Value>,
}

/// A server's decision whose signature holds, about this very request. Only [`Receipt::verify`] makes one.
#[derive(Clone, PartialEq, Debug)]
pub struct Receipt {
    claims: Claims,
}

/// What a receipt has to be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The server's URL, as the layer has it.
    pub issuer: &'a str,
    /// The host's name.
    pub audience: &'a str,
    /// The server's id of the request.
    pub request: &'a str,
    /// The request's digest.
    pub digest: Digest,
    /// SHA-256 of what was drawn for this request.
    pub client_nonce_sha256: [u8; 32],
    /// Now, in seconds since 1970 by the host's clock.
    pub now: u64,
}

/// Why a receipt counts for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAReceipt(pub &'static str);

impl Claims {
    /// Signs them: a compact JWS (RFC 7515, `EdDSA` of RFC 8037). `now` is what `iat` says, in seconds.
    pub fn sign(&self, name: &Vkey, key: &SigningKey) -> String {
        let header = json!({ "alg": "EdDSA", "kid": name.short(), "typ": KIND });
        let issued = u64::try_from(self.now / 1_000_000_000).unwrap_or_default();
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "iat": issued,
            "exp": issued + RECEIPT_AGE,
            "jti": self.request,
            "digest": hex(&self.digest),
            "client_nonce_sha256": hex(&self.client_nonce_sha256),
            "review": self.answer.word(),
            "consumed": self.consumed,
            "dev": self.dev,
            "now_ns": self.now.to_string(),
            "created_ns": self.created.to_string(),
            "valid_until_ns": self.valid_until.to_string(),
            "approvers": self.reviews.iter().map(Reviewed::value).collect::<Vec<_>>(),
        });
        if let Some(drawn) = &self.drawn {
            claims["drawn"] = drawn.value();
        }
        if let Some(person) = &self.requester {
            claims["requester"] = json!({ "issuer": person.issuer, "subject": person.subject });
        }
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let time = |name: &str| value.get(name)?.as_str()?.parse::<i64>().ok();
        Some(Self {
            issuer: text("iss")?,
            audience: text("aud")?,
            request: text("jti")?,
            digest: unhex(value.get("digest")?)?,
            client_nonce_sha256: unhex(value.get("client_nonce_sha256")?)?,
            answer: Answer::parse(value.get("review")?.as_str()?)?,
            consumed: value.get("consumed")?.as_bool()?,
            dev: value.get("dev")?.as_bool()?,
            requester: value.get("requester").map_or(Some(None), |person| person_of(person).map(Some))?,
            now: time("now_ns")?,
            created: time("created_ns")?,
            valid_until: time("valid_until_ns")?,
            reviews: value.get("approvers")?.as_array()?.iter().map(Reviewed::read).collect::<Option<_>>()?,
            drawn: value.get("drawn").map_or(Some(None), |drawn| Drawn::read(drawn).map(Some))?,
        })
    }
}

impl Reviewed {
    fn value(&self) -> Value {
        let mut value = json!({
            "issuer": self.approver.issuer,
            "subject": self.approver.subject,
            "name": self.name,
            "review": self.answer.word(),
            "assurance": self.assurance.word(),
            "channel": self.channel.word(),
            "at_ns": self.at.to_string(),
            "proved_ns": self.proved.to_string(),
            "slots": self.slots,
            "comment": self.comment,
        });
        if let Some(standing) = &self.standing {
            value["standing"] = standing.value();
        }
        if let Some(evidence) = &self.evidence {
            value["evidence"] = evidence.clone();
        }
        value
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let time = |name: &str| value.get(name)?.as_str()?.parse::<i64>().ok();
        let slots = value.get("slots")?.as_array()?;
        Some(Self {
            approver: person_of(value)?,
            name: text("name")?,
            answer: Answer::parse(value.get("review")?.as_str()?)?,
            assurance: Assurance::parse(value.get("assurance")?.as_str()?)?,
            channel: Channel::parse(value.get("channel")?.as_str()?)?,
            at: time("at_ns")?,
            proved: time("proved_ns")?,
            slots: slots.iter().map(|slot| Some(slot.as_str()?.to_owned())).collect::<Option<_>>()?,
            comment: text("comment")?,
            standing: value.get("standing").map_or(Some(None), |standing| Standing::read(standing).map(Some))?,
            evidence: value.get("evidence").cloned(),
        })
    }
}

impl Receipt {
    /// Believes a receipt of one of these keys, fresh, about exactly what is expected.
    pub fn verify(jws: &str, keys: &[PublicKey], expected: Expected<'_>) -> Result<Self, NotAReceipt> {
        if jws.len() > LONGEST_RECEIPT {
            return Err(NotAReceipt("it is too long"));
        }
        let mut parts = jws.split('.');
        let (Some(header), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(NotAReceipt("it is not three parts"));
        };
        let read = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value =
            read(header).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(NotAReceipt("its header is not JSON"))?;
        if header["alg"] != "EdDSA" || header["typ"] != KIND || header.get("crit").is_some() {
            return Err(NotAReceipt("its header is of something else"));
        }
        let signature = read(signature).ok_or(NotAReceipt("its signature is not base64url"))?;
        let signed = jws.rsplit_once('.').map_or("", |(signed, _)| signed);
        if !keys.iter().any(|key| key.verifies(signed.as_bytes(), &signature)) {
            return Err(NotAReceipt("its signature is not of the server's key that the policy names"));
        }
        let value: Value =
            read(body).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(NotAReceipt("its claims are not JSON"))?;
        let claims = Claims::read(&value).ok_or(NotAReceipt("a claim is missing or malformed"))?;
        let (issued, ends) = (value["iat"].as_u64().unwrap_or_default(), value["exp"].as_u64().unwrap_or_default());
        let same = [
            (claims.issuer == expected.issuer, "it is of another server"),
            (claims.audience == expected.audience, "it is for another host"),
            (claims.request == expected.request, "it is of another request"),
            (claims.digest == *expected.digest.bytes(), "it is about another digest"),
            (claims.client_nonce_sha256 == expected.client_nonce_sha256, "it is for another run"),
            (ends > issued && ends - issued <= RECEIPT_AGE, "it says that it holds for too long"),
            (ends.saturating_add(CLOCKS) >= expected.now, "it is too old"),
            (issued <= expected.now.saturating_add(CLOCKS), "it comes from the future; compare the clocks"),
            (u64::try_from(claims.now / 1_000_000_000) == Ok(issued), "it names two times"),
        ];
        match same.into_iter().find(|(holds, _)| !holds) {
            Some((_, why)) => Err(NotAReceipt(why)),
            None => Ok(Self { claims }),
        }
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

fn person_of(value: &Value) -> Option<Approver> {
    let text = |name: &str| value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Approver { issuer: text("issuer")?, subject: text("subject")? })
}

fn unhex(value: &Value) -> Option<[u8; 32]> {
    crate::text::unhex(value.as_str()?)?.try_into().ok()
}
