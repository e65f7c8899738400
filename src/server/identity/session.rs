//! Sessions of browsers, and the sign-on that each rests on.
//!
//! What is kept of a sign-on and of a session is written once; what changes (when it was last used, the groups) stands beside it. So nothing
//! that ended is brought back by somebody who had just read it.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Identity;
use super::error::Error;
use super::web::{kept, random, same, word};
use crate::approval::Approver;
use crate::policy::Assurance;
use crate::server::model::Wall;
use crate::server::store::{Item, Store};
use crate::text::hex;

const SECOND: Wall = 1_000_000_000;

/// How long a session lasts that nobody uses.
pub const IDLE: Wall = 3600 * SECOND;

/// How long a session lasts at most.
pub const ABSOLUTE: Wall = 12 * 3600 * SECOND;

/// How exactly it is known when a session was last used: each use would else be a write.
const COARSE: Wall = 60 * SECOND;

pub(super) const SESSION: &str = "session";
pub(super) const SESSION_USED: &str = "session_used";
pub(super) const SIGN_ON: &str = "sign_on";
pub(super) const GROUPS: &str = "groups";

/// A person who signed on, as the provider proved it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedOn {
    /// Issuer and subject.
    pub person: Approver,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What to call them; never used to decide anything.
    pub name: String,
    /// Their address, where the provider says that it is theirs; empty else, and never used to decide anything.
    pub email: String,
    /// Their groups, when last read.
    pub groups: Groups,
    /// The slots that they may fill with these groups: `person:ISSUER#SUBJECT`, `team:NAME`.
    pub slots: Vec<String>,
    /// When they showed who they are, by the provider's word; none where it does not say.
    pub proved: Option<Wall>,
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) factor_until: Option<Wall>,
}

impl SignedOn {
    /// How surely it is them at this moment: `fresh-mfa` only as long as the second factor is as young as the configuration wants.
    pub fn assurance(&self, now: Wall) -> Assurance {
        if self.factor_until.is_some_and(|until| now < until) { Assurance::FreshMfa } else { Assurance::SecondPerson }
    }
}

/// Groups of a person, as they were read.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Groups {
    /// What the provider calls them.
    pub names: Vec<String>,
    /// When they were read.
    pub at: Wall,
    /// Why there are none, where they could not be read.
    pub missing: Option<String>,
}

/// What is kept of a sign-on, never to change.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeptSignOn {
    pub provider: String,
    pub issuer: String,
    pub person: String,
    pub subject: String,
    pub name: String,
    pub email: String,
    pub proved: Option<Wall>,
    pub factor_until: Option<Wall>,
    /// Sealed: what names the sign-on to the provider when the person signs off.
    pub id_token: String,
}

/// What is kept of groups, and what reads them again (sealed).
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeptGroups {
    pub groups: Groups,
    pub refresh: Option<String>,
    pub access: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeptSession {
    sign_on: String,
    csrf: String,
}

/// A browser's session.
#[derive(Clone, Debug)]
pub struct Session {
    on: SignedOn,
    key: String,
    csrf: String,
}

impl Session {
    /// Who it is.
    pub fn on(&self) -> &SignedOn {
        &self.on
    }

    /// Who it is.
    pub fn into_signed_on(self) -> SignedOn {
        self.on
    }

    /// What the page sends along with everything that changes something, in the header `x-gate-csrf`.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Under what it is kept.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether a request that changes something came from the server's own page: `Sec-Fetch-Site`, or else `Origin`, and the session's
    /// token in the header `x-gate-csrf` or in a form.
    pub fn vouches(&self, identity: &Identity, headers: &HeaderMap, field: Option<&str>) -> bool {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let from_here = match (text("sec-fetch-site"), text("origin")) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => identity.is_own_origin(origin),
            (None, None) => false,
        };
        from_here && text("x-gate-csrf").or(field).is_some_and(|token| same(token, &self.csrf))
    }
}

/// Reads the session of a browser, and notes that it is used. None where there is none, or it ended.
pub async fn read(identity: &Identity, store: &dyn Store, headers: &HeaderMap, now: Wall) -> Result<Option<Session>, Error> {
    let Some(cookie) = identity.cookies.read(headers, SESSION) else { return Ok(None) };
    let key = kept(&cookie);
    let Some(item) = store.item(SESSION, &key, now).await? else { return Ok(None) };
    let Some(used) = store.item(SESSION_USED, &key, now).await? else { return Ok(None) };
    let Ok(session) = serde_json::from_str::<KeptSession>(&item.data) else { return Ok(None) };
    let Some(on) = sign_on(identity, store, &session.sign_on, now).await? else { return Ok(None) };
    if used.expires < now + IDLE - COARSE {
        store.put(Item { expires: now + IDLE, ..used }).await?;
    }
    Ok(Some(Session { on, key, csrf: session.csrf }))
}

/// Reads a sign-on with the groups and teams of its person as last read. None where it ended.
pub(super) async fn sign_on(identity: &Identity, store: &dyn Store, id: &str, now: Wall) -> Result<Option<SignedOn>, Error> {
    let Some(item) = store.item(SIGN_ON, id, now).await? else { return Ok(None) };
    let Ok(kept) = serde_json::from_str::<KeptSignOn>(&item.data) else { return Ok(None) };
    let groups = store.item(GROUPS, id, now).await?.and_then(|item| serde_json::from_str::<KeptGroups>(&item.data).ok());
    let person = Approver { issuer: kept.issuer, subject: kept.person };
    // Whoever left the configuration vouches for nobody any more.
    if identity.provider(&kept.provider).is_none_or(|provider| provider.issuer().url() != person.issuer) {
        return Ok(None);
    }
    let groups = groups.map(|kept| kept.groups).unwrap_or_default();
    Ok(Some(SignedOn {
        slots: identity.teams.of(&person, &kept.provider, &groups.names),
        person,
        provider: kept.provider,
        name: kept.name,
        email: kept.email,
        groups,
        proved: kept.proved,
        id: id.to_owned(),
        subject: kept.subject,
        factor_until: kept.factor_until,
    }))
}

/// Keeps a sign-on: its id.
pub(super) async fn keep(store: &dyn Store, on: &KeptSignOn, groups: &KeptGroups, sid: &str, id: String, now: Wall) -> Result<(), Error> {
    let owner = Approver { issuer: on.issuer.clone(), subject: on.person.clone() }.named();
    let expires = now + ABSOLUTE;
    let data = serde_json::to_string(on).unwrap_or_default();
    let beside = serde_json::to_string(groups).unwrap_or_default();
    store.put(Item { kind: GROUPS, key: id.clone(), owner: owner.clone(), handle: String::new(), data: beside, expires }).await?;
    store.put(Item { kind: SIGN_ON, key: id, owner, handle: sid.to_owned(), data, expires }).await?;
    Ok(())
}

/// A new id for a sign-on.
pub(super) fn new_id() -> Result<String, Error> {
    Ok(hex(&random::<16>()?))
}

/// Starts a session on a sign-on: the cookie that carries it.
pub(super) async fn start(identity: &Identity, store: &dyn Store, person: &Approver, sign_on: &str, now: Wall) -> Result<String, Error> {
    let cookie = word()?;
    let key = kept(&cookie);
    let owner = person.named();
    let data = serde_json::to_string(&KeptSession { sign_on: sign_on.to_owned(), csrf: word()? }).unwrap_or_default();
    let item = Item { kind: SESSION, key, owner, handle: sign_on.to_owned(), data, expires: now + ABSOLUTE };
    store.put(Item { kind: SESSION_USED, data: String::new(), expires: now + IDLE, ..item.clone() }).await?;
    store.put(item).await?;
    Ok(identity.cookies.set(SESSION, &cookie, ABSOLUTE / SECOND))
}

/// Ends one session.
pub(super) async fn end(store: &dyn Store, key: &str, now: Wall) -> Result<(), Error> {
    store.take(SESSION, key, now).await?;
    store.take(SESSION_USED, key, now).await?;
    Ok(())
}

/// Ends a sign-on with everything that rests on it: nobody is signed on by it any more, in no browser and on no command line.
pub(super) async fn end_sign_on(store: &dyn Store, owner: &str, id: &str, now: Wall) -> Result<(), Error> {
    store.take(SIGN_ON, id, now).await?;
    store.take(GROUPS, id, now).await?;
    store.drop_items(SESSION, owner, Some(id)).await?;
    store.drop_items(SESSION_USED, owner, Some(id)).await?;
    Ok(())
}

/// The key of the session that a browser brings, whether or not it is one.
pub(super) fn key_of(identity: &Identity, headers: &HeaderMap) -> Option<String> {
    identity.cookies.read(headers, SESSION).map(|cookie| kept(&cookie))
}
