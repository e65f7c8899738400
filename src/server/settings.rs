//! The server's configuration: one TOML file, in which an unknown key is an error.

use std::path::PathBuf;

use serde::Deserialize;

/// Everything that the file says. Each part of the server has a section of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where people and hosts reach the server: `https://gate.example`. Origin of the page and issuer of decisions.
    pub url: String,
    /// Database, log and keys.
    pub state: PathBuf,
    /// TLS, proxies, limits.
    #[serde(default)]
    pub http: super::listen::HttpSettings,
    /// Teams: who may fill the slot `team:NAME`.
    #[serde(default)]
    pub teams: std::collections::BTreeMap<String, Vec<String>>,
}
