//! The server's configuration: one TOML file, in which an unknown key is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Everything that the file says. Each part of the server has a section of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where people and hosts reach the server: `https://gate.example`. Origin of the page and issuer of decisions.
    pub url: String,
    /// Where it listens.
    #[serde(default = "listen")]
    pub listen: String,
    /// Database, log and keys.
    pub state: PathBuf,
    /// TLS, proxies, limits.
    #[serde(default)]
    pub http: super::listen::HttpSettings,
    /// Where Prometheus asks.
    #[serde(default)]
    pub metrics: super::metrics::MetricsSettings,
    /// Who is told of what happens.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<super::webhook::WebhookSettings>,
    /// Teams: who may fill the slot `team:NAME`.
    #[serde(default)]
    pub teams: BTreeMap<String, Vec<String>>,
    /// The signed file that says whose keys count; `approvers.json` in `state` unless told.
    #[serde(default)]
    pub approvers: Option<PathBuf>,
    /// How much may be asked, how soon again, and when those who are asked are reminded.
    #[serde(default)]
    pub requests: super::asking::Asking,
    /// Identity providers by which people sign on.
    #[serde(default)]
    pub issuer: Vec<super::identity::settings::IssuerSettings>,
    /// Issuers whose workloads may ask.
    #[serde(default)]
    pub workload: Vec<super::identity::settings::WorkloadSettings>,
    /// Who may stop everything, and lift that.
    #[serde(default)]
    pub stop: super::duties::Stopping,
    /// Who may approve alone in an emergency, and who reviews that.
    #[serde(default)]
    pub break_glass: super::duties::BreakGlass,
    /// How long others may decide in somebody's place.
    #[serde(default)]
    pub delegation: super::duties::Delegating,
    /// Who confirms a changed configuration.
    #[serde(default)]
    pub configuration: super::duties::Confirming,
    /// Hosts whose requests are taken without a login.
    #[serde(default, rename = "host")]
    pub hosts: Vec<Host>,
    /// Machines that ask with a certificate.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
}

/// A host that signs its requests with its log's key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The log's key, as `gate key export log` prints it.
    pub key: String,
    /// The person it belongs to, `ISSUER#SUBJECT`, who therefore never decides; left out for a machine that is nobody's.
    pub person: Option<String>,
}

/// A machine that asks with a certificate, which `[http] client_ca` signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// `spiffe://…`, or `CN=` and the subject's common name.
    pub name: String,
    /// The person it belongs to, as with `[[host]]`.
    pub person: Option<String>,
}

fn listen() -> String {
    "127.0.0.1:7443".to_owned()
}

impl Settings {
    /// The server's name, as its keys and its log have it: `url` without its scheme.
    pub fn name(&self) -> &str {
        self.url.split_once("://").map_or(self.url.as_str(), |(_, name)| name)
    }

    /// Reads the file's text; the error says where and what.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        settings.url = settings.url.trim_end_matches('/').to_owned();
        if !settings.url.starts_with("https://") && !settings.url.starts_with("http://") {
            return Err(format!("`url` has to begin with https://, and is `{}`", settings.url));
        }
        for host in &settings.hosts {
            crate::key::Vkey::parse(&host.key)
                .map_err(|_| format!("`{}` is no key of a log; `gate key export log` prints it", host.key))?;
        }
        let people = settings.hosts.iter().map(|host| &host.person).chain(settings.clients.iter().map(|client| &client.person));
        if people.flatten().any(|person| crate::approval::Approver::parse(person).is_none()) {
            return Err("`person` of a `[[host]]` or `[[client]]` is written `ISSUER#SUBJECT`".to_owned());
        }
        super::duties::check(&settings)?;
        Ok(settings)
    }
}
