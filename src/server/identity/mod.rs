//! Who people are: OpenID Connect sign-on, sessions, tokens of command lines and of workloads.

mod claimed;
mod client;
pub mod dev;
mod error;
mod flow;
mod groups;
mod jwk;
pub mod jwt;
mod keys;
mod login;
mod logout;
mod pace;
mod provider;
mod routes;
mod routes_login;
mod sealed;
pub mod session;
pub mod settings;
mod shown;
pub mod teams;
pub mod tokens;
mod web;
mod who;
mod workload;

use reqwest::Url;

pub use error::Error;
pub use flow::{Answered, Finished, Started, StepUp, Wanted, begin, finish};
pub use groups::groups_now;
pub use jwk::KeySet;
pub use keys::Issuer;
pub use login::proof_text;
pub use logout::{backchannel, sign_off};
pub use provider::Provider;
pub use routes::{Host, routes};
pub use routes_login::login_described;
pub use session::{Groups, Session, SignedOn};
pub use web::return_path;
pub use workload::{Workload, requester};

use self::pace::Pace;
use self::sealed::Sealer;
use self::settings::BadSetting;
use self::teams::Teams;
use self::web::Cookies;
use super::settings::Settings;
use crate::sys::files::Owner;

/// All that the server knows about who people are. Made once, when it starts.
#[derive(Debug)]
pub struct Identity {
    url: String,
    cookies: Cookies,
    providers: Vec<Provider>,
    workloads: Vec<Workload>,
    teams: Teams,
    sealer: Sealer,
    pace: Pace,
}

impl Identity {
    /// Reads the sections `[[issuer]]`, `[[workload]]` and `[teams]`. `owner` may own the files with secrets; `seal` seals what providers entrust.
    pub fn new(settings: &Settings, owner: Owner, seal: [u8; 32]) -> Result<Self, BadSetting> {
        let providers: Vec<Provider> = settings.issuer.iter().map(|one| Provider::new(one.clone(), owner)).collect::<Result<_, _>>()?;
        let workloads: Vec<Workload> = settings.workload.iter().map(|one| Workload::new(one.clone())).collect::<Result<_, _>>()?;
        Self::with(&settings.url, providers, workloads, settings, seal)
    }

    /// The same with the throw-away provider of `gate serve --dev` as the only one.
    pub fn dev(settings: &Settings, provider: &dev::DevProvider, seal: [u8; 32]) -> Result<Self, BadSetting> {
        Self::with(&settings.url, vec![provider.relying_on()?], Vec::new(), settings, seal)
    }

    fn with(
        url: &str,
        providers: Vec<Provider>,
        workloads: Vec<Workload>,
        settings: &Settings,
        seal: [u8; 32],
    ) -> Result<Self, BadSetting> {
        let parsed = settings::secure(url)?;
        if parsed.path() != "/" || parsed.query().is_some() {
            return Err(BadSetting(format!("`{}` is more than scheme, host and port", crate::text::escape(url.as_bytes()))));
        }
        let names: Vec<&str> = providers.iter().map(Provider::name).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(BadSetting(format!("there are two issuers `{name}`")));
            }
        }
        let same_issuer = |one: &Provider| providers.iter().filter(|other| other.issuer().url() == one.issuer().url()).count() > 1;
        if providers.iter().any(same_issuer) {
            return Err(BadSetting("two issuers have the same url, so that one person would be of both".to_owned()));
        }
        let teams = Teams::new(&settings.teams, &names)?;
        let sealer = Sealer::new(seal).map_err(|error| BadSetting(error.to_string()))?;
        let cookies = Cookies { secure: parsed.scheme() == "https" };
        Ok(Self { url: parsed.origin().ascii_serialization(), cookies, providers, workloads, teams, sealer, pace: Pace::default() })
    }

    /// Where people reach the server: scheme, host and port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The providers by which people sign on.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// One of them, by its name in the configuration.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name() == name)
    }

    /// The teams.
    pub fn teams(&self) -> &Teams {
        &self.teams
    }

    fn callback(&self) -> String {
        format!("{}/auth/callback", self.url)
    }

    /// Whether this address is the server's own origin.
    fn is_own_origin(&self, origin: &str) -> bool {
        Url::parse(origin).is_ok_and(|origin| origin.origin().ascii_serialization() == self.url)
    }
}
