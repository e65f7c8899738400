//! Signing on: the code flow of OpenID Connect with PKCE, `state`, `nonce` and `iss`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::Error;
use super::jwt::Claims;
use super::provider::Provider;
use super::session::{self, KeptGroups, KeptSignOn};
use super::settings::{Kind, Shown};
use super::web::{challenge, kept, return_path, same, with_query, word};
use super::{Identity, claimed, groups, who};
use crate::approval::Approver;
use crate::server::model::Wall;
use crate::server::store::{Item, Store};

const SECOND: Wall = 1_000_000_000;

/// How long somebody may take to sign on.
const PATIENCE: Wall = 600 * SECOND;

/// How far the clocks may differ where it matters how old a sign-on is, in seconds.
const SKEW: i64 = 30;

/// How many may start to sign on in a minute.
const MOST: u32 = 1200;

const START: &str = "sign_on_start";
pub(super) const TX: &str = "tx";

/// What somebody wants who signs on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Where they go then; other places than this server's own lead home.
    pub return_to: String,
    /// What more they have to prove, where they are signed on already.
    pub step_up: Option<StepUp>,
}

/// What somebody has to prove who is signed on already.
#[derive(Clone, Debug)]
pub struct StepUp {
    /// Who: the same person must come back.
    pub person: Approver,
    /// How old, in seconds, the proof may be.
    pub max_age: Option<i64>,
    /// Whether a second factor is wanted, as `[[issuer.assurance]]` says.
    pub factor: bool,
}

/// What the browser is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// Where to go.
    pub location: String,
    /// The cookie that binds what comes back to this browser.
    pub cookie: String,
}

/// What the provider sends the browser back with.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answered {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Somebody is signed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Who.
    pub person: Approver,
    /// Where to go.
    pub location: String,
    /// The session's cookie, and one that takes away that of the sign-on under way.
    pub cookies: [String; 2],
}

/// A sign-on under way.
#[derive(Serialize, Deserialize)]
struct Start {
    provider: String,
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    at: i64,
    max_age: Option<i64>,
    factor: bool,
    person: Option<(String, String)>,
    session: Option<String>,
}

/// Starts a sign-on. `session` is the key of the browser's present session, which ends when this one succeeds.
pub async fn begin(
    identity: &Identity,
    store: &dyn Store,
    provider: &Provider,
    wanted: Wanted,
    session: Option<String>,
    now: Wall,
) -> Result<Started, Error> {
    identity.pace.tried("sign-on", MOST, now)?;
    let metadata = provider.issuer().metadata(now).await?;
    let end = metadata.authorization_endpoint.as_deref();
    let end = end.ok_or_else(|| Error::Refused("the provider has no authorization endpoint".to_owned()))?;
    let step_up = wanted.step_up;
    let factor = step_up.as_ref().is_some_and(|step_up| step_up.factor);
    if factor && provider.demands.is_empty() {
        return Err(Error::NotReached);
    }
    let start = Start {
        provider: provider.name().to_owned(),
        state: word()?,
        nonce: word()?,
        verifier: word()?,
        return_to: return_path(&wanted.return_to).to_owned(),
        at: now / SECOND,
        max_age: max_age(provider, step_up.as_ref()),
        factor,
        person: step_up.map(|step_up| (step_up.person.issuer, step_up.person.subject)),
        session,
    };
    let location = location(identity, provider, end, &start);
    let cookie = word()?;
    let data = serde_json::to_string(&start).unwrap_or_default();
    let item = Item { kind: START, key: kept(&cookie), owner: String::new(), handle: String::new(), data, expires: now + PATIENCE };
    store.put(item).await?;
    Ok(Started { location, cookie: identity.cookies.set(TX, &cookie, PATIENCE / SECOND) })
}

/// The youngest that is wanted: by the step-up, and by the configuration where a second factor is.
fn max_age(provider: &Provider, step_up: Option<&StepUp>) -> Option<i64> {
    let step_up = step_up?;
    let factor = provider.demands.iter().map(|demand| demand.max_age).max().filter(|_| step_up.factor);
    step_up.max_age.into_iter().chain(factor).min()
}

fn location(identity: &Identity, provider: &Provider, end: &str, start: &Start) -> String {
    let callback = identity.callback();
    let challenge = challenge(&start.verifier);
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", callback.as_str()),
        ("scope", provider.scope.as_str()),
        ("state", start.state.as_str()),
        ("nonce", start.nonce.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    if provider.scope.split(' ').any(|scope| scope == "offline_access") && provider.kind == Kind::Generic {
        // OpenID Connect Core 11: without consent a provider must not give a refresh token.
        query.push(("prompt", "consent"));
    }
    let age = start.max_age.map(|age| age.to_string());
    query.extend(age.as_deref().map(|age| ("max_age", age)));
    let acr: Vec<&str> = provider
        .demands
        .iter()
        .filter_map(|demand| if let Shown::Acr(acr) = &demand.by { Some(acr) } else { None })
        .flatten()
        .map(String::as_str)
        .collect();
    let acr = acr.join(" ");
    if start.factor && !acr.is_empty() {
        query.push(("acr_values", &acr));
    }
    let acrs = provider.demands.iter().find_map(|demand| if let Shown::Acrs(acrs) = &demand.by { Some(acrs) } else { None });
    let claims = acrs.map(|acrs| {
        json!({ "id_token": { "acrs": { "essential": true, "value": acrs }, "auth_time": { "essential": true } } }).to_string()
    });
    if start.factor {
        query.extend(claims.as_deref().map(|claims| ("claims", claims)));
    }
    with_query(end, &query)
}

/// Ends a sign-on: `cookie` is what the browser brings of [`begin`], `answered` what the provider sent it back with.
pub async fn finish(
    identity: &Identity,
    store: &dyn Store,
    cookie: Option<&str>,
    answered: &Answered,
    now: Wall,
) -> Result<Finished, Error> {
    let unknown = || Error::Refused("this browser has no sign-on under way; start again".to_owned());
    let item = store.take(START, &kept(cookie.ok_or_else(unknown)?), now).await?.ok_or_else(unknown)?;
    let start: Start = serde_json::from_str(&item.data).map_err(|_| unknown())?;
    let provider = identity.provider(&start.provider).ok_or_else(unknown)?;
    if !answered.state.as_deref().is_some_and(|state| same(state, &start.state)) {
        return Err(Error::Refused("the answer belongs to another sign-on".to_owned()));
    }
    let metadata = provider.issuer().metadata(now).await?;
    match answered.iss.as_deref() {
        None if !metadata.authorization_response_iss_parameter_supported => {}
        Some(issuer) if issuer == provider.issuer().url() => {}
        _ => return Err(Error::Refused("the answer is of another provider".to_owned())),
    }
    if let Some(error) = &answered.error {
        return Err(match error.as_str() {
            "unmet_authentication_requirements" => Error::NotReached,
            _ => Error::Refused("the provider did not sign the person on".to_owned()),
        });
    }
    let code = answered.code.as_deref().ok_or_else(|| Error::Refused("the answer has no code".to_owned()))?;
    let callback = identity.callback();
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &callback), ("code_verifier", &start.verifier)];
    let tokens = claimed::tokens(provider, &fields, now).await.map_err(|error| match error {
        Error::Ended => Error::Refused("the provider refused the code".to_owned()),
        error => error,
    })?;
    let id_token = tokens.id.as_deref().ok_or_else(|| Error::Refused("the provider gave no ID token".to_owned()))?;
    let claims = claimed::id_token(provider, id_token, now).await?;
    if !claims.text("nonce").is_some_and(|nonce| same(nonce, &start.nonce)) {
        return Err(Error::Refused("the token belongs to another sign-on".to_owned()));
    }
    let person = who::person(provider.kind, provider.issuer().url(), &claims)?;
    let (proved, factor_until) = proofs(provider, &start, &claims, &person, now)?;
    let read = groups::first(provider, &claims, tokens.access.as_deref(), now).await;
    let id = session::new_id()?;
    let seal = |text: &Option<String>| text.as_deref().map(|text| identity.sealer.seal(&id, text)).transpose();
    let on = KeptSignOn {
        provider: start.provider,
        issuer: person.issuer.clone(),
        person: person.subject.clone(),
        subject: claims.text("sub").unwrap_or_default().to_owned(),
        name: who::name(&claims),
        email: who::email(&claims),
        proved,
        factor_until,
        id_token: identity.sealer.seal(&id, id_token)?,
    };
    let beside = KeptGroups { groups: read, refresh: seal(&tokens.refresh)?, access: seal(&tokens.access)? };
    if let Some(before) = &start.session {
        session::end(store, before, now).await?;
    }
    session::keep(store, &on, &beside, claims.text("sid").unwrap_or_default(), id.clone(), now).await?;
    let cookie = session::start(identity, store, &person, &id, now).await?;
    let told = json!({ "issuer": person.issuer, "subject": person.subject, "name": on.name, "provider": on.provider, "slots": identity.teams.of(&person, &on.provider, &beside.groups.names) });
    store.event("login", now, told).await?;
    Ok(Finished { person, location: start.return_to, cookies: [cookie, identity.cookies.set(TX, "", 0)] })
}

/// What the token proves beyond who it is; refused where it is less than was demanded. A claim that is missing proves nothing.
fn proofs(
    provider: &Provider,
    start: &Start,
    claims: &Claims,
    person: &Approver,
    now: Wall,
) -> Result<(Option<Wall>, Option<Wall>), Error> {
    let proved = who::proved(claims, now)?;
    let factor_until = who::factor_until(&provider.demands, claims, proved);
    if let Some((issuer, subject)) = &start.person
        && (*issuer != person.issuer || *subject != person.subject)
    {
        let known = person.named();
        return Err(Error::Refused(format!("another person signed on: `{}`", crate::text::escape(known.as_bytes()))));
    }
    if let Some(age) = start.max_age {
        let oldest = (start.at - age - SKEW).saturating_mul(SECOND);
        if proved.is_none_or(|proved| proved < oldest) {
            return Err(Error::NotReached);
        }
    }
    if start.factor && factor_until.is_none_or(|until| until <= now) {
        return Err(Error::NotReached);
    }
    Ok((proved, factor_until))
}
