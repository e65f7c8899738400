//! What a provider says of itself (OpenID Connect Discovery) and its keys: fetched, kept for an hour, and never taken from anywhere else.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use super::error::Error;
use super::jwk::KeySet;
use super::jwt::{self, Claims, Expected, Wrong};
use super::settings::secure;
use crate::server::model::Wall;
use crate::sys::http::told;

/// What an answer of a provider may be long at most, in bytes.
const LONGEST: usize = 1024 * 1024;

/// How long metadata and keys are kept, in nanoseconds.
const KEPT: Wall = 3600 * 1_000_000_000;

/// The least between two fetches because of a key that is not known, in nanoseconds.
const APART: Wall = 60 * 1_000_000_000;

/// The least between a fetch that failed and the next, in nanoseconds.
const PAUSE: Wall = 5 * 1_000_000_000;

/// What a provider says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    issuer: String,
    jwks_uri: String,
    /// Where people are sent to sign on.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub token_endpoint: Option<String>,
    /// Where it tells more of a person.
    pub userinfo_endpoint: Option<String>,
    /// Where people are sent to sign off.
    pub end_session_endpoint: Option<String>,
    /// Whether its answers carry `iss` (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// One issuer whose tokens are checked.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    client: reqwest::Client,
    kept: Mutex<Kept>,
}

#[derive(Default, Debug)]
struct Kept {
    metadata: Option<(Arc<Metadata>, Wall)>,
    keys: Option<(Arc<KeySet>, Wall)>,
    sought: Option<Wall>,
    failed: Option<Wall>,
}

impl Issuer {
    /// An issuer by its exact name, asked by this client.
    pub fn new(url: String, client: reqwest::Client) -> Self {
        Self { url, client, kept: Mutex::default() }
    }

    /// Its name.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What talks to it.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// What it says of itself, at most an hour old.
    pub async fn metadata(&self, now: Wall) -> Result<Arc<Metadata>, Error> {
        let kept = self.kept(|kept| kept.metadata.clone());
        if let Some((metadata, at)) = kept
            && is_within(at, now, KEPT)
        {
            return Ok(metadata);
        }
        let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let metadata: Metadata = serde_json::from_slice(&self.fetch(&url, now).await?)
            .map_err(|_| Error::Unreachable("the provider's metadata is malformed".to_owned()))?;
        // Byte for byte: metadata of another issuer, or of a template for many, is not this one's (mix-up).
        if metadata.issuer != self.url {
            return Err(Error::Refused("the provider's metadata is of another issuer".to_owned()));
        }
        let ends =
            [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.userinfo_endpoint, &metadata.end_session_endpoint];
        for end in ends.into_iter().flatten().chain([&metadata.jwks_uri]) {
            secure(end).map_err(|error| Error::Refused(error.0))?;
        }
        let metadata = Arc::new(metadata);
        self.kept(|kept| kept.metadata = Some((Arc::clone(&metadata), now)));
        Ok(metadata)
    }

    /// Checks a token with the issuer's keys. A key that is not known is looked for once a minute; where the keys cannot be had, nothing is believed.
    pub async fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<Claims, Error> {
        let now = expected.now;
        let kept = self.kept(|kept| kept.keys.clone().filter(|(_, at)| is_within(*at, now, KEPT)));
        let keys = match kept {
            Some((keys, _)) => keys,
            None => self.fetch_keys(now).await?,
        };
        match jwt::verify(token, &keys, expected) {
            Err(Wrong::UnknownKey) if self.may_seek(now) => {
                let keys = self.fetch_keys(now).await?;
                jwt::verify(token, &keys, expected).map_err(Error::Token)
            }
            verified => verified.map_err(Error::Token),
        }
    }

    fn may_seek(&self, now: Wall) -> bool {
        self.kept(|kept| {
            let may = kept.sought.is_none_or(|at| !is_within(at, now, APART));
            if may {
                kept.sought = Some(now);
            }
            may
        })
    }

    async fn fetch_keys(&self, now: Wall) -> Result<Arc<KeySet>, Error> {
        let metadata = self.metadata(now).await?;
        let bytes = self.fetch(&metadata.jwks_uri, now).await?;
        let keys = KeySet::parse(&bytes).ok_or_else(|| Error::Unreachable("the provider's keys are malformed".to_owned()))?;
        let keys = Arc::new(keys);
        self.kept(|kept| kept.keys = Some((Arc::clone(&keys), now)));
        Ok(keys)
    }

    async fn fetch(&self, url: &str, now: Wall) -> Result<Vec<u8>, Error> {
        if self.kept(|kept| kept.failed.is_some_and(|at| is_within(at, now, PAUSE))) {
            return Err(Error::Unreachable("the provider could not be reached a moment ago".to_owned()));
        }
        let fetched = match self.client.get(url).header("accept", "application/json").send().await {
            Ok(response) => read(response).await,
            Err(error) => Err(unreachable(&error)),
        };
        let fetched = fetched.and_then(|(status, body)| match status {
            200 => Ok(body),
            status => Err(Error::Unreachable(format!("the provider answers {status}"))),
        });
        self.kept(|kept| kept.failed = fetched.is_err().then_some(now));
        fetched
    }

    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        // What was being written when a thread died is whole: each field is set at once.
        with(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A clock that was set back makes nothing last longer.
fn is_within(at: Wall, now: Wall, span: Wall) -> bool {
    at <= now && now - at < span
}

pub(super) fn unreachable(error: &reqwest::Error) -> Error {
    // An address may carry what is nobody else's business.
    Error::Unreachable(format!("the provider cannot be reached: {}", last(error)))
}

fn last(error: &reqwest::Error) -> String {
    let words = told(error);
    words.rsplit(": ").next().unwrap_or_default().to_owned()
}

/// Reads an answer: its status, and a body that is not too long.
pub(super) async fn read(mut response: reqwest::Response) -> Result<(u16, Vec<u8>), Error> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(Error::Unreachable(format!("the provider's answer is larger than {LONGEST} bytes")));
        }
    }
    Ok((status, body))
}
