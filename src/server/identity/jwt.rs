//! Signed tokens (RFC 7519, RFC 8725): one way to check those of identity providers and of workloads. Pure: keys and time are given.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jwk::{Algorithm, KeySet, NoKey};
use crate::server::model::Wall;

/// What a token may be long at most, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// How far the clocks of issuer and server may differ, in seconds.
pub const SKEW: i64 = 60;

/// What a token must say to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    /// What `aud` must hold.
    pub audience: &'a str,
    /// Whether it was issued to the audience itself: then `azp`, which several audiences demand, must be that audience.
    pub to_us: bool,
    /// What `typ` may be, in lower case; a token without one passes.
    pub typ: &'a [&'a str],
    /// The time, in nanoseconds since 1970.
    pub now: Wall,
}

/// Why a token is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It is not three parts of base64 with JSON in them, or too long.
    Form,
    /// Its `alg` is not one of those that are believed.
    Algorithm,
    /// It wants something understood that is not.
    Critical,
    /// Its `typ` is another.
    Typ,
    /// No key has its `kid`.
    UnknownKey,
    /// The key of its `kid` is for something else.
    UnfitKey,
    /// The key did not sign it.
    Signature,
    /// Somebody else issued it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It was given to another party.
    Party,
    /// It has no times, or not in numbers.
    Times,
    /// Its time is over.
    Expired,
    /// Its time has not come: issued, or valid, in the future.
    Early,
}

impl Wrong {
    /// Why, in words that hold nothing of the token.
    pub fn words(self) -> &'static str {
        match self {
            Self::Form => "the token is malformed",
            Self::Algorithm => "the token is signed in a way that is not believed",
            Self::Critical => "the token wants an extension understood that is not",
            Self::Typ => "the token is of another kind",
            Self::UnknownKey => "the issuer has no such key",
            Self::UnfitKey => "the key that the token names is not for it",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for somebody else",
            Self::Party => "the token was given to another client",
            Self::Times => "the token does not say when it was issued and when it ends",
            Self::Expired => "the token has expired",
            Self::Early => "the token is from the future",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What a believed token says. Only [`verify`] makes one.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A claim, whatever it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a time, in seconds since 1970.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        seconds(self.0.get(name)?)
    }

    /// A claim that is a list of texts; a single text counts as a list of one.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Checks everything that can be told from the token, the keys and the time.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, Wrong> {
    if token.len() > LONGEST {
        return Err(Wrong::Form);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[head, body, signature] = parts.as_slice() else { return Err(Wrong::Form) };
    let header = object(head)?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = text("alg").and_then(Algorithm::parse).ok_or(Wrong::Algorithm)?;
    if ["kid", "typ"].iter().any(|name| header.get(*name).is_some_and(|value| !value.is_string())) {
        return Err(Wrong::Form);
    }
    if header.contains_key("crit") {
        return Err(Wrong::Critical);
    }
    if text("typ").is_some_and(|typ| !expected.typ.contains(&typ.to_ascii_lowercase().as_str())) {
        return Err(Wrong::Typ);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Wrong::Form)?;
    let signed = &token.as_bytes()[..head.len() + 1 + body.len()];
    match keys.verifies(text("kid"), algorithm, signed, &signature) {
        Ok(true) => {}
        Ok(false) => return Err(Wrong::Signature),
        Err(NoKey::Unknown) => return Err(Wrong::UnknownKey),
        Err(NoKey::Unfit) => return Err(Wrong::UnfitKey),
    }
    let claims = Claims(object(body)?);
    claims.check(expected)?;
    Ok(claims)
}

impl Claims {
    fn check(&self, expected: &Expected<'_>) -> Result<(), Wrong> {
        if self.text("iss") != Some(expected.issuer) {
            return Err(Wrong::Issuer);
        }
        let audiences = self.texts("aud");
        if !audiences.contains(&expected.audience) {
            return Err(Wrong::Audience);
        }
        let several = self.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        let party = self.get("azp");
        if expected.to_us && (several || party.is_some()) && party.and_then(Value::as_str) != Some(expected.audience) {
            return Err(Wrong::Party);
        }
        let now = expected.now.div_euclid(1_000_000_000);
        let (Some(issued), Some(ends)) = (self.seconds("iat"), self.seconds("exp")) else { return Err(Wrong::Times) };
        let begins = match self.get("nbf") {
            None => issued,
            Some(begins) => seconds(begins).ok_or(Wrong::Times)?,
        };
        if now >= ends.saturating_add(SKEW) {
            return Err(Wrong::Expired);
        }
        if issued.max(begins) > now.saturating_add(SKEW) {
            return Err(Wrong::Early);
        }
        Ok(())
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Wrong> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Wrong::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| Wrong::Form)
}

/// A `NumericDate`: seconds, perhaps with a fraction, of which nothing is lost that matters here.
fn seconds(value: &Value) -> Option<i64> {
    const FAR: f64 = 1e15;
    #[expect(clippy::cast_possible_truncation, reason = "it is far smaller than an i64")]
    let whole = |number: f64| (0.0..FAR).contains(&number).then_some(number as i64);
    value.as_i64().filter(|number| *number >= 0).or_else(|| value.as_f64().and_then(whole))
}

/// The issuer that a token claims to have, to know whose keys to check it with; nothing else may rest on it.
pub(super) fn claimed_issuer(token: &str) -> Option<String> {
    let body = token.split('.').nth(1).filter(|_| token.len() <= LONGEST)?;
    object(body).ok()?.get("iss")?.as_str().map(str::to_owned)
}
