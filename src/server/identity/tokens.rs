//! Tokens of command lines: `gate_pat_ID_SECRETCRC`. Only the SHA-256 of the secret is kept.

use serde::{Deserialize, Serialize};

use super::Identity;
use super::error::Error;
use super::groups::groups_now;
use super::session::{self, SignedOn};
use super::web::{kept, random, same, word};
use crate::approval::Approver;
use crate::key::Vkey;
use crate::server::model::Wall;
use crate::server::store::{Item, Store};
use crate::text::hex;

const SECOND: Wall = 1_000_000_000;

/// How long a token lasts that only asks.
const ASKS: Wall = 30 * 24 * 3600 * SECOND;

/// How each of them begins.
pub const PREFIX: &str = "gate_pat_";
const ID: usize = 16;
const SECRET: usize = 43;
const CRC: usize = 8;

const LOGIN: &str = "login";
const HOST_KEY: &str = "host_key";

/// How many tokens one person may have.
const MOST: usize = 100;

/// What a token may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Scope {
    /// Ask, and follow what was asked.
    #[serde(rename = "request")]
    Request,
    /// Decide, too.
    #[serde(rename = "request+decide")]
    Decide,
}

impl Scope {
    /// The word of the interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Decide => "request+decide",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Request, Self::Decide].into_iter().find(|scope| scope.word() == word)
    }
}

/// A command line that a person let act as them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// What names it, for showing and revoking; no secret.
    pub id: String,
    /// Whose it is.
    pub person: Approver,
    /// What to call them.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Whether it came by the device flow, in which an attacker may have sent the code: it counts as `second-person` at most.
    pub device: bool,
    /// The host, as the command line called it.
    pub host: String,
    /// Since when.
    pub created: Wall,
    /// Until when.
    pub expires: Wall,
    sign_on: String,
}

#[derive(Serialize, Deserialize)]
struct KeptLogin {
    issuer: String,
    subject: String,
    name: String,
    provider: String,
    secret: String,
    scope: Scope,
    device: bool,
    host: String,
    created: Wall,
    sign_on: String,
}

/// Makes a token of a person who is signed on: the token, which is told once, and what it is.
pub(super) async fn issue(
    store: &dyn Store,
    on: &SignedOn,
    scope: Scope,
    device: bool,
    host: &str,
    now: Wall,
) -> Result<(String, Login), Error> {
    let owner = on.person.named();
    if store.items(LOGIN, Some(&owner), now).await?.len() >= MOST {
        return Err(Error::TooMany);
    }
    let (id, secret) = (hex(&random::<8>()?), word()?);
    // One that decides lasts no longer than the sign-on that says who may.
    let expires = now + if scope == Scope::Decide { session::ABSOLUTE } else { ASKS };
    let data = KeptLogin {
        issuer: on.person.issuer.clone(),
        subject: on.person.subject.clone(),
        name: on.name.clone(),
        provider: on.provider.clone(),
        secret: kept(&secret),
        scope,
        device,
        host: host.to_owned(),
        created: now,
        sign_on: on.id.clone(),
    };
    let text = serde_json::to_string(&data).unwrap_or_default();
    store.put(Item { kind: LOGIN, key: id.clone(), owner, handle: on.id.clone(), data: text, expires }).await?;
    let body = format!("{PREFIX}{id}_{secret}");
    Ok((format!("{body}{:08x}", crc32(body.as_bytes())), data.into_login(id, expires)))
}

/// Whose token this is. None where it is none, was revoked, or has ended.
pub async fn check(identity: &Identity, store: &dyn Store, token: &str, now: Wall) -> Result<Option<Login>, Error> {
    let Some((id, secret)) = parse(token) else { return Ok(None) };
    let Some(item) = store.item(LOGIN, id, now).await? else { return Ok(None) };
    let Ok(data) = serde_json::from_str::<KeptLogin>(&item.data) else { return Ok(None) };
    let known = identity.provider(&data.provider).is_some_and(|provider| provider.issuer().url() == data.issuer);
    let right = same(&kept(secret), &data.secret);
    Ok((known && right).then(|| data.into_login(item.key, item.expires)))
}

/// Who decides by this token, with groups as they are now. Refused where it may only ask, and where the sign-on behind it is over.
pub async fn decider(identity: &Identity, store: &dyn Store, login: &Login, now: Wall) -> Result<SignedOn, Error> {
    if login.scope != Scope::Decide {
        return Err(Error::Refused("this login may only ask; log in again with `gate login --decide`".to_owned()));
    }
    let on = session::sign_on(identity, store, &login.sign_on, now).await?.ok_or(Error::Ended)?;
    let on = groups_now(identity, store, on, now).await?;
    Ok(if login.device { SignedOn { factor_until: None, ..on } } else { on })
}

/// The command lines that act as a person.
pub async fn list(store: &dyn Store, person: &Approver, now: Wall) -> Result<Vec<Login>, Error> {
    let items = store.items(LOGIN, Some(&person.named()), now).await?;
    let read = |item: Item| Some(serde_json::from_str::<KeptLogin>(&item.data).ok()?.into_login(item.key, item.expires));
    Ok(items.into_iter().filter_map(read).collect())
}

/// Ends a person's command line: whether there was one.
pub async fn revoke(store: &dyn Store, person: &Approver, id: &str, now: Wall) -> Result<bool, Error> {
    let own = list(store, person, now).await?.into_iter().any(|login| login.id == id);
    Ok(own && store.take(LOGIN, id, now).await?.is_some())
}

/// Whether a command line that decides rests on a sign-on.
pub(super) async fn rests_on(store: &dyn Store, person: &Approver, sign_on: &str, now: Wall) -> Result<bool, Error> {
    Ok(list(store, person, now).await?.iter().any(|login| login.sign_on == sign_on && login.scope == Scope::Decide))
}

/// Binds a host's key to a person. A key that is another person's already stays theirs: else its owner could decide what they asked for.
pub(super) async fn bind(store: &dyn Store, key: &Vkey, person: &Approver, host: &str, now: Wall) -> Result<(), Error> {
    const NEVER: Wall = Wall::MAX;
    let owner = person.named();
    let item =
        Item { kind: HOST_KEY, key: key.to_string(), owner: owner.clone(), handle: host.to_owned(), data: String::new(), expires: NEVER };
    if store.put_new(item, now).await? {
        return Ok(());
    }
    match store.item(HOST_KEY, &key.to_string(), now).await? {
        Some(bound) if bound.owner == owner => Ok(()),
        _ => Err(Error::Refused("this host's key belongs to another person already".to_owned())),
    }
}

impl KeptLogin {
    fn into_login(self, id: String, expires: Wall) -> Login {
        Login {
            id,
            person: Approver { issuer: self.issuer, subject: self.subject },
            name: self.name,
            scope: self.scope,
            device: self.device,
            host: self.host,
            created: self.created,
            expires,
            sign_on: self.sign_on,
        }
    }
}

/// Id and secret of a token whose checksum is right: a slip of typing never reaches the store.
fn parse(token: &str) -> Option<(&str, &str)> {
    if token.len() != PREFIX.len() + ID + 1 + SECRET + CRC || !token.is_ascii() {
        return None;
    }
    let (body, sum) = token.split_at(token.len() - CRC);
    let (id, secret) = body.strip_prefix(PREFIX)?.split_at(ID);
    (format!("{:08x}", crc32(body.as_bytes())) == sum).then_some((id, secret.strip_prefix('_')?))
}

/// CRC-32 as of Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
