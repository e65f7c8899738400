//! The sections `[[issuer]]` and `[[workload]]` of the server's configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::SignedDuration;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::policy::Assurance;
use crate::sys::files::{self, Owner};

/// What a file with a client's secret may hold at most.
const MAX_SECRET: u64 = 4096;

/// An identity provider by which people sign on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// What the configuration calls it, in teams and in addresses: small letters, digits, `-`.
    pub name: String,
    /// Its issuer, byte for byte as it names itself.
    pub url: String,
    /// What it calls this server.
    pub client_id: String,
    /// Where the client's secret stands.
    pub client_secret_file: Option<PathBuf>,
    /// Or where a private key stands by which it signs instead (`private_key_jwt`): PKCS#8 in PEM; Ed25519, P-256 or RSA.
    pub client_key_file: Option<PathBuf>,
    /// What the provider calls that key, if it has several.
    pub client_key_id: Option<String>,
    /// What is asked for; `offline_access` lets groups be read again without the person.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim that holds a person's groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Whose habits it has.
    #[serde(default)]
    pub kind: Kind,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Where Entra's groups are read that do not fit a token.
    #[serde(default = "graph")]
    pub graph: String,
    /// How old a person's groups may be when they decide.
    #[serde(default = "groups_age")]
    pub groups_age: String,
    /// What it takes to reach an assurance above `second-person`.
    #[serde(default)]
    pub assurance: Vec<AssuranceSettings>,
}

/// Whose habits a provider has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Plain OpenID Connect.
    #[default]
    Generic,
    /// Okta.
    Okta,
    /// Microsoft Entra: people are `tid/oid`, a second factor is asked for by an authentication context.
    Entra,
}

/// What it takes to reach an assurance: one of the three, and how old it may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssuranceSettings {
    /// `fresh-mfa`.
    pub assurance: String,
    /// The claim `acr` is one of these.
    pub acr: Option<Vec<String>>,
    /// The claim `amr` holds all of these.
    pub amr: Option<Vec<String>>,
    /// The claim `acrs` holds this authentication context.
    pub acrs: Option<String>,
    /// How long ago the person may have proved it.
    #[serde(default = "max_age")]
    pub max_age: String,
}

/// An issuer whose workloads may ask: GitHub Actions, a Kubernetes cluster, any other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSettings {
    /// What the configuration calls it.
    pub name: String,
    /// `github`, `kubernetes` or `oidc`.
    pub way: String,
    /// Its issuer, byte for byte.
    pub url: String,
    /// What its tokens must be made out to.
    pub audience: String,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Which workloads: claims with their exact values; one set of them is enough.
    pub allow: Vec<BTreeMap<String, Value>>,
    /// The claim that says which person set it off, such as GitHub's `actor_id`.
    pub actor: Option<String>,
    /// Who that is: `person:ISSUER#SUBJECT` for a value of that claim.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn graph() -> String {
    "https://graph.microsoft.com".to_owned()
}

fn groups_age() -> String {
    "5m".to_owned()
}

fn max_age() -> String {
    "5m".to_owned()
}

/// A setting that cannot be used: what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadSetting(pub String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret, which shows itself to nobody.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one who is owed it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads it from a file that nobody else could have written, and that others cannot read.
    pub(super) fn read(path: &std::path::Path, owner: Owner) -> Result<Self, BadSetting> {
        use std::os::unix::fs::PermissionsExt;
        let shown = crate::text::escape(path.as_os_str().as_encoded_bytes());
        let file = files::read_safely(path, owner, MAX_SECRET).map_err(|error| BadSetting(error.to_string()))?;
        let file = file.ok_or_else(|| BadSetting(format!("`{shown}` is not there")))?;
        let metadata = std::fs::metadata(&file.real).map_err(|error| BadSetting(format!("`{shown}`: {error}")))?;
        if metadata.permissions().mode() & 0o007 != 0 {
            return Err(BadSetting(format!("`{shown}` can be read by others")));
        }
        let text = String::from_utf8(file.bytes).map_err(|_| BadSetting(format!("`{shown}` is not text")))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(BadSetting(format!("`{shown}` is empty"))),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What it takes to reach `fresh-mfa`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// How it shows in the token.
    pub by: Shown,
    /// How long ago it may have been, in seconds.
    pub max_age: i64,
}

/// How a second factor shows in a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// `acr` is one of these.
    Acr(Vec<String>),
    /// `amr` holds all of these.
    Amr(Vec<String>),
    /// `acrs` holds this.
    Acrs(String),
}

impl AssuranceSettings {
    pub(super) fn checked(self) -> Result<Demand, BadSetting> {
        if self.assurance != Assurance::FreshMfa.word() {
            let word = crate::text::escape(self.assurance.as_bytes());
            return Err(BadSetting(format!("a provider can prove `fresh-mfa`, not `{word}`")));
        }
        let by = match (self.acr, self.amr, self.acrs) {
            (Some(acr), None, None) if !acr.is_empty() => Shown::Acr(acr),
            (None, Some(amr), None) if !amr.is_empty() => Shown::Amr(amr),
            (None, None, Some(acrs)) if !acrs.is_empty() => Shown::Acrs(acrs),
            _ => return Err(BadSetting("an assurance needs one of `acr`, `amr`, `acrs`".to_owned())),
        };
        Ok(Demand { by, max_age: span(&self.max_age)? })
    }
}

/// A span of time in seconds, at most a day.
pub(super) fn span(text: &str) -> Result<i64, BadSetting> {
    let seconds = text.parse::<SignedDuration>().map(|span| span.as_secs()).ok().filter(|seconds| (1..=86400).contains(seconds));
    seconds.ok_or_else(|| BadSetting(format!("`{}` is not a time from `1s` to `24h`", crate::text::escape(text.as_bytes()))))
}

/// A name of the configuration: it stands in addresses and in teams.
pub(super) fn name(text: &str) -> Result<(), BadSetting> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=32).contains(&text.len()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(BadSetting(format!("`{}` is not a name of small letters, digits and `-`", crate::text::escape(text.as_bytes()))))
}

/// Refuses an address that others on the way could answer for: it is `https`, or leads to this very host.
pub(super) fn secure(url: &str) -> Result<Url, BadSetting> {
    let shown = || crate::text::escape(url.as_bytes());
    let parsed = Url::parse(url).map_err(|_| BadSetting(format!("`{}` is not a URL", shown())))?;
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
        return Err(BadSetting(format!("`{}` holds a user or a fragment", shown())));
    }
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_loopback(&parsed) => Ok(parsed),
        _ => Err(BadSetting(format!("`{}` must be https", shown()))),
    }
}

/// Whether a URL leads to this very host.
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
