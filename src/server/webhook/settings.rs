use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key};
use ring::signature::Ed25519KeyPair;
use serde::Deserialize;

use super::guard;
use crate::sys::durable::{self, Refused};
use crate::text;

/// What a file with a secret may hold at most, in bytes.
const LONGEST_SECRET: u64 = 1024;

/// A section `[[webhook]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// What it is called: letters, digits, `-` and `_`.
    pub name: String,
    /// Where it goes. Without TLS only where `allow_private` says so.
    pub url: String,
    /// A file that only the server reads: `whsec_…` (HMAC), `whsk_…` (Ed25519), or both, one in a line.
    pub secret_file: PathBuf,
    /// Which kinds are sent: `request.approved`, `request.*`; all, where nothing is said.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Certificates that are trusted instead of the system's, in PEM.
    pub ca: Option<PathBuf>,
    /// Whether it may go to private, loopback and link-local addresses.
    #[serde(default)]
    pub allow_private: bool,
}

/// What signs a webhook (Standard Webhooks 1.0.0).
#[derive(Debug)]
pub struct Signers {
    hmac: Option<Key>,
    ed25519: Option<Ed25519KeyPair>,
}

impl WebhookSettings {
    /// Whether events of this kind are sent.
    pub(super) fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty()
            || self.kinds.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => wanted == kind,
            })
    }

    /// The URL, if it may be one.
    pub(super) fn url(&self) -> Result<reqwest::Url, String> {
        let shown = || text::escape(self.name.as_bytes());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err(format!("`{}` is no name for a webhook: letters, digits, `-` and `_`", shown()));
        }
        let url = reqwest::Url::parse(&self.url).map_err(|error| format!("the `url` of the webhook `{}`: {error}", shown()))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.allow_private) {
            return Err(format!("the `url` of the webhook `{}` has to begin with https://", shown()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("the `url` of the webhook `{}` may hold no password", shown()));
        }
        match guard::literal(&url) {
            Some(address) if !self.allow_private && !guard::is_public(address) => Err(format!(
                "the webhook `{}` goes to `{address}`, which is no public address; `allow_private = true` allows that",
                shown()
            )),
            _ => Ok(url),
        }
    }
}

impl Signers {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = || text::escape(path.as_os_str().as_encoded_bytes());
        let bytes = durable::read_private(path, LONGEST_SECRET).map_err(|refused| match refused {
            Refused::Absent => format!("`{}` is missing", shown()),
            Refused::Unsafe(why) => format!("`{}` is not safe to use: {why}", shown()),
            Refused::Io(error) => format!("`{}` cannot be read: {error}", shown()),
        })?;
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(Self::parse)
            .ok_or_else(|| format!("`{}` holds neither `whsec_` with 24 to 64 bytes in base64 nor `whsk_` with an Ed25519 key", shown()))
    }

    /// Reads the lines of such a file.
    pub fn parse(text: &str) -> Option<Self> {
        let mut signers = Self { hmac: None, ed25519: None };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(secret) = line.strip_prefix("whsec_") {
                let secret = STANDARD.decode(secret).ok().filter(|secret| (24..=64).contains(&secret.len()))?;
                signers.hmac = Some(Key::new(HMAC_SHA256, &secret));
            } else {
                let secret = STANDARD.decode(line.strip_prefix("whsk_")?).ok()?;
                // Seed, or seed and public key, as others write it.
                signers.ed25519 = Some(Ed25519KeyPair::from_seed_unchecked(secret.get(..32)?).ok()?);
            }
        }
        (signers.hmac.is_some() || signers.ed25519.is_some()).then_some(signers)
    }

    /// The header `webhook-signature`.
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        let hmac = self.hmac.as_ref().map(|key| format!("v1,{}", STANDARD.encode(ring::hmac::sign(key, &signed))));
        let ed25519 = self.ed25519.as_ref().map(|key| format!("v1a,{}", STANDARD.encode(key.sign(&signed))));
        [hmac, ed25519].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
