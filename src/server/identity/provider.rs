//! One identity provider, as configured and checked.

use std::time::Duration;

use super::client::Credentials;
use super::keys::Issuer;
use super::settings::{BadSetting, Demand, IssuerSettings, Kind, name, secure, span};
use crate::server::model::Wall;
use crate::sys::files::Owner;
use crate::sys::http;

/// How long a provider may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Tenants of Entra that are everybody: their issuer is a template, under which anybody's tenant could vouch for anybody.
const EVERYBODY: [&str; 4] = ["common", "organizations", "consumers", "{tenantid}"];

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    name: String,
    issuer: Issuer,
    pub(super) client_id: String,
    pub(super) credentials: Credentials,
    pub(super) scope: String,
    pub(super) groups_claim: String,
    pub(super) kind: Kind,
    pub(super) graph: String,
    pub(super) groups_age: Wall,
    pub(super) demands: Vec<Demand>,
    /// One refresh at a time: a provider that sees an old refresh token used ends the sign-on.
    pub(super) refreshing: tokio::sync::Mutex<()>,
}

impl Provider {
    /// Checks a section `[[issuer]]`, and reads the client's secret or key.
    pub fn new(settings: IssuerSettings, owner: Owner) -> Result<Self, BadSetting> {
        let credentials = Credentials::read(&settings, owner).map_err(|BadSetting(why)| of(&settings.name, &why))?;
        Self::with(settings, credentials)
    }

    /// The same with a secret that stands in no file.
    pub(super) fn with(settings: IssuerSettings, credentials: Credentials) -> Result<Self, BadSetting> {
        let called = settings.name.clone();
        Self::checked(settings, credentials).map_err(|BadSetting(why)| of(&called, &why))
    }

    fn checked(settings: IssuerSettings, credentials: Credentials) -> Result<Self, BadSetting> {
        name(&settings.name)?;
        let url = secure(&settings.url)?;
        if url.query().is_some() {
            return Err(BadSetting("an issuer's url has no query".to_owned()));
        }
        if settings.kind == Kind::Entra && EVERYBODY.iter().any(|one| settings.url.split('/').any(|part| part.eq_ignore_ascii_case(one))) {
            return Err(BadSetting("the issuer must be that of one tenant: `https://login.microsoftonline.com/TENANT/v2.0`".to_owned()));
        }
        secure(&settings.graph)?;
        if !settings.scopes.iter().any(|scope| scope == "openid") {
            return Err(BadSetting("`scopes` must hold `openid`".to_owned()));
        }
        let client = http::async_client(settings.ca.as_deref(), PATIENCE).map_err(BadSetting)?;
        let demands = settings.assurance.into_iter().map(super::settings::AssuranceSettings::checked).collect::<Result<_, _>>()?;
        Ok(Self {
            name: settings.name,
            issuer: Issuer::new(settings.url, client),
            client_id: settings.client_id,
            credentials,
            scope: settings.scopes.join(" "),
            groups_claim: settings.groups_claim,
            kind: settings.kind,
            graph: settings.graph.trim_end_matches('/').to_owned(),
            groups_age: span(&settings.groups_age)? * 1_000_000_000,
            demands,
            refreshing: tokio::sync::Mutex::new(()),
        })
    }

    /// What the configuration calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer, with its keys.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

fn of(name: &str, why: &str) -> BadSetting {
    BadSetting(format!("issuer `{}`: {why}", crate::text::escape(name.as_bytes())))
}
