//! Workloads that ask: GitHub Actions, Kubernetes, any issuer whose tokens say exactly who it is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Identity;
use super::error::Error;
use super::jwt::{self, Claims, Expected};
use super::keys::Issuer;
use super::provider::PATIENCE;
use super::settings::{BadSetting, WorkloadSettings, name, secure};
use crate::approval::Approver;
use crate::request::Job;
use crate::server::model::{Requester, Wall};
use crate::sys::http;

/// The ways that a workload may be named by.
const WAYS: [&str; 3] = ["github", "kubernetes", "oidc"];

/// An issuer whose workloads may ask.
#[derive(Debug)]
pub struct Workload {
    name: String,
    way: &'static str,
    issuer: Issuer,
    audience: String,
    allow: Vec<BTreeMap<String, Value>>,
    actor: Option<String>,
    people: BTreeMap<String, Approver>,
}

impl Workload {
    /// Checks a section `[[workload]]`.
    pub fn new(settings: WorkloadSettings) -> Result<Self, BadSetting> {
        let called = settings.name.clone();
        Self::checked(settings)
            .map_err(|BadSetting(why)| BadSetting(format!("workload `{}`: {why}", crate::text::escape(called.as_bytes()))))
    }

    fn checked(settings: WorkloadSettings) -> Result<Self, BadSetting> {
        let bad = |why: &str| BadSetting(why.to_owned());
        name(&settings.name)?;
        secure(&settings.url)?;
        let way = WAYS.into_iter().find(|way| *way == settings.way).ok_or_else(|| bad("`way` is `github`, `kubernetes` or `oidc`"))?;
        if settings.audience.is_empty() {
            return Err(bad("`audience` is empty"));
        }
        // Issuers such as GitHub's vouch for everybody: without a claim that says who, anybody there could ask.
        if settings.allow.is_empty() || settings.allow.iter().any(BTreeMap::is_empty) {
            return Err(bad("each `allow` needs claims that say which workloads"));
        }
        let exact = |value: &Value| value.is_string() || value.is_boolean() || value.is_i64();
        if !settings.allow.iter().flat_map(BTreeMap::values).all(exact) {
            return Err(bad("claims are compared with a text, a whole number or a boolean"));
        }
        let people = settings.people.into_iter().map(|(actor, person)| Some((actor, Approver::of_slot(&person)?))).collect::<Option<_>>();
        let client = http::async_client(settings.ca.as_deref(), PATIENCE).map_err(BadSetting)?;
        Ok(Self {
            name: settings.name,
            way,
            issuer: Issuer::new(settings.url, client),
            audience: settings.audience,
            allow: settings.allow,
            actor: settings.actor,
            people: people.ok_or_else(|| bad("`people` are `person:ISSUER#SUBJECT`"))?,
        })
    }

    fn allows(&self, claims: &Claims) -> bool {
        self.allow.iter().any(|rule| rule.iter().all(|(name, value)| claims.get(name) == Some(value)))
    }
}

/// The run of GitHub Actions that a token is of, as its claims name it.
fn job(workload: &Workload, claims: &Claims) -> Option<Job> {
    let server = match workload.issuer.url() {
        "https://token.actions.githubusercontent.com" => "https://github.com",
        other => other.strip_suffix("/_services/token")?,
    };
    let text = |name: &str| claims.text(name).unwrap_or_default();
    let run = (workload.way == "github").then(|| text("run_id"))?;
    Job::of_github(server, text("repository"), run, text("run_attempt"), text("workflow"))
}

/// Who asks with this token, where it is of a workload that may ask.
pub async fn requester(identity: &Identity, token: &str, now: Wall) -> Result<Requester, Error> {
    let unknown = || Error::Refused("the token is of no workload that may ask".to_owned());
    let issuer = jwt::claimed_issuer(token).ok_or_else(unknown)?;
    for workload in identity.workloads.iter().filter(|workload| workload.issuer.url() == issuer) {
        let typ = ["jwt"];
        let expected = Expected { issuer: workload.issuer.url(), audience: &workload.audience, to_us: false, typ: &typ, now };
        let claims = match workload.issuer.verify(token, &expected).await {
            Err(Error::Token(jwt::Wrong::Audience)) => continue,
            verified => verified?,
        };
        let subject = claims.text("sub").filter(|subject| !subject.is_empty());
        if let Some(subject) = subject.filter(|_| workload.allows(&claims)) {
            let actor = workload.actor.as_ref().and_then(|actor| claims.text(actor));
            let person = actor.and_then(|actor| workload.people.get(actor)).cloned();
            return Ok(Requester {
                way: workload.way.to_owned(),
                name: format!("{}:{subject}", workload.name),
                person,
                job: job(workload, &claims),
            });
        }
    }
    Err(unknown())
}
