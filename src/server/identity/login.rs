//! `gate login`, the server's side: a person who is signed on lets a command line act as them, by a redirect to it or by a code that it shows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Identity;
use super::error::Error;
use super::session::{self, SignedOn};
use super::tokens::{self, Login, Scope};
use super::web::{challenge, kept, random, same, with_query, word};
use crate::key::Vkey;
use crate::server::model::Wall;
use crate::server::store::{Item, Store};

const SECOND: Wall = 1_000_000_000;

/// How long a code on its way to the command line lasts.
const CODE: Wall = 120 * SECOND;

/// How long somebody may take to type the code that a command line shows.
pub(super) const DEVICE_SECONDS: u32 = 600;

const DEVICE: Wall = DEVICE_SECONDS as Wall * SECOND;

/// The seconds between two questions whether the person has answered.
pub(super) const INTERVAL: u32 = 5;

/// What a host's key and its name are long at most, in bytes.
const LONGEST_KEY: usize = 512;

/// Letters that are told apart when read aloud, and that spell nothing.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

const LOGIN_CODE: &str = "login_code";
const DEVICE_CODE: &str = "device";
const USER_CODE: &str = "device_user";
const ANSWER: &str = "device_answer";

/// What a command line asks to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Wish {
    /// The host, as the command line calls it.
    pub host: String,
    /// `request` or `request+decide`.
    pub scope: Scope,
    /// The `S256` challenge of what only the command line knows.
    pub challenge: String,
    /// The host's log key, proved to be its own.
    pub key: Option<String>,
}

/// The wish as it comes: query of a page, or body of the device flow.
#[derive(Clone, Default, Debug, Deserialize, ToSchema)]
pub(super) struct RawWish {
    /// The host, as the command line calls it: 1 to 253 bytes.
    #[serde(default)]
    pub host: String,
    /// `request` (which it is where this is left out) or `request+decide`.
    pub scope: Option<String>,
    /// SHA-256 of a verifier, in base64url without padding.
    #[serde(default)]
    pub code_challenge: String,
    /// The key of the host's log, which the login makes known.
    pub key: Option<String>,
    /// That key's signature of this login, in base64.
    pub key_proof: Option<String>,
}

impl RawWish {
    /// Checks it: sizes, form, and that whoever names a key has it.
    pub(super) fn checked(&self, identity: &Identity) -> Result<Wish, Error> {
        let refused = |why: &str| Error::Refused(why.to_owned());
        if !(1..=253).contains(&self.host.len()) {
            return Err(refused("`host` names the host, in 253 bytes at most"));
        }
        let scope =
            Scope::parse(self.scope.as_deref().unwrap_or("request")).ok_or_else(|| refused("`scope` is `request` or `request+decide`"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.code_challenge.len() != 43 || !self.code_challenge.chars().all(plain) {
            return Err(refused("`code_challenge` is the SHA-256 of a verifier, in base64url"));
        }
        let key = match (&self.key, &self.key_proof) {
            (None, None) => None,
            // Whoever is nobody yet is kept here for a while: what they send is short.
            (Some(key), Some(_)) if key.len() > LONGEST_KEY => return Err(refused("`key` is longer than 512 bytes")),
            (Some(key), Some(proof)) => {
                let vkey = Vkey::parse(key).map_err(|_| refused("`key` is no verifier key"))?;
                let proof = STANDARD.decode(proof).map_err(|_| refused("`key_proof` is no base64"))?;
                if !vkey.public().verifies(proof_text(identity.url(), &self.code_challenge).as_bytes(), &proof) {
                    return Err(refused("`key_proof` is not the key's signature of this login"));
                }
                Some(vkey.to_string())
            }
            _ => return Err(refused("`key` and `key_proof` come together")),
        };
        Ok(Wish { host: self.host.clone(), scope, challenge: self.code_challenge.clone(), key })
    }
}

/// What a host's key signs to show that it is the host's: good for this server and this login alone.
pub fn proof_text(url: &str, challenge: &str) -> String {
    format!("gate-login-v1\n{url}\n{challenge}\n")
}

/// Where a command line on the person's own host listens: an address of the loopback interface, never a name.
pub(super) fn loopback(redirect: &str) -> Result<Url, Error> {
    let refused = || Error::Refused("`redirect_uri` is not `http://127.0.0.1:PORT/…`".to_owned());
    let url = Url::parse(redirect).map_err(|_| refused())?;
    let host = matches!(url.host_str(), Some("127.0.0.1" | "[::1]"));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none() && url.query().is_none();
    if url.scheme() == "http" && host && plain && url.port().is_some() && redirect.len() <= 256 { Ok(url) } else { Err(refused()) }
}

#[derive(Serialize, Deserialize)]
struct Granted {
    wish: Wish,
    sign_on: String,
}

/// The person said yes on the page: where the browser takes the code.
pub(super) async fn grant_code(
    store: &dyn Store,
    wish: Wish,
    on: &SignedOn,
    redirect: &Url,
    state: &str,
    now: Wall,
) -> Result<String, Error> {
    let code = word()?;
    let data = serde_json::to_string(&Granted { wish, sign_on: on.id.clone() }).unwrap_or_default();
    let owner = on.person.named();
    store.put(Item { kind: LOGIN_CODE, key: kept(&code), owner, handle: String::new(), data, expires: now + CODE }).await?;
    Ok(with_query(redirect.as_str(), &[("code", &code), ("state", state)]))
}

/// The command line brings the code, and what only it knows.
pub(super) async fn redeem(
    identity: &Identity,
    store: &dyn Store,
    code: &str,
    verifier: &str,
    now: Wall,
) -> Result<(String, Login), Error> {
    let unknown = || Error::Refused("the code is not known, or was used".to_owned());
    let item = store.take(LOGIN_CODE, &kept(code), now).await?.ok_or_else(unknown)?;
    let granted: Granted = serde_json::from_str(&item.data).map_err(|_| unknown())?;
    finish(identity, store, granted, false, verifier, now).await
}

async fn finish(
    identity: &Identity,
    store: &dyn Store,
    granted: Granted,
    device: bool,
    verifier: &str,
    now: Wall,
) -> Result<(String, Login), Error> {
    let Granted { wish, sign_on } = granted;
    if !same(&challenge(verifier), &wish.challenge) {
        return Err(Error::Refused("the verifier is not that of this login".to_owned()));
    }
    let on = session::sign_on(identity, store, &sign_on, now).await?.ok_or(Error::Ended)?;
    if let Some(key) = &wish.key {
        let vkey = Vkey::parse(key).map_err(|_| Error::Refused("the host's key cannot be read".to_owned()))?;
        tokens::bind(store, &vkey, &on.person, &wish.host, now).await?;
    }
    let (token, login) = tokens::issue(store, &on, wish.scope, device, &wish.host, now).await?;
    let told = json!({ "issuer": on.person.issuer, "subject": on.person.subject, "name": on.name, "host": wish.host,
        "scope": wish.scope.word(), "device": device, "login": login.id });
    store.event("login.host", now, told).await?;
    Ok((token, login))
}

/// What a command line shows, and what it keeps to itself.
pub(super) struct Device {
    pub device_code: String,
    pub user_code: String,
}

/// A command line without a browser begins.
pub(super) async fn device(store: &dyn Store, wish: &Wish, now: Wall) -> Result<Device, Error> {
    let device_code = word()?;
    let key = kept(&device_code);
    let data = serde_json::to_string(wish).unwrap_or_default();
    let item = Item { kind: DEVICE_CODE, key: key.clone(), owner: String::new(), handle: String::new(), data, expires: now + DEVICE };
    store.put(item.clone()).await?;
    let user_code = user_code()?;
    if !store.put_new(Item { kind: USER_CODE, key: user_code.clone(), data: key, ..item }, now).await? {
        return Err(Error::TooMany);
    }
    Ok(Device { device_code, user_code })
}

/// Eight letters, `XXXX-XXXX`, each as likely as the others.
fn user_code() -> Result<String, Error> {
    let mut code = String::new();
    while code.len() < 9 {
        let [byte] = random::<1>()?;
        // 240 is the last multiple of 20 in a byte: beyond it the first letters would be likelier.
        if byte < 240 {
            code.push(char::from(LETTERS[usize::from(byte % 20)]));
            if code.len() == 4 {
                code.push('-');
            }
        }
    }
    Ok(code)
}

/// What a person typed, as [`user_code`] writes it.
fn typed(code: &str) -> String {
    let letters: String = code.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).take(9).collect();
    if letters.len() == 8 { format!("{}-{}", &letters[..4], &letters[4..]) } else { String::new() }
}

/// The command line that shows this code.
pub(super) async fn shown(store: &dyn Store, code: &str, now: Wall) -> Result<Option<(String, Wish)>, Error> {
    let Some(named) = store.item(USER_CODE, &typed(code), now).await? else { return Ok(None) };
    let Some(item) = store.item(DEVICE_CODE, &named.data, now).await? else { return Ok(None) };
    Ok(serde_json::from_str(&item.data).ok().map(|wish| (item.key, wish)))
}

/// The person answers for the command line that shows this code: whether there was one to answer for.
pub(super) async fn answer(store: &dyn Store, code: &str, on: &SignedOn, yes: bool, now: Wall) -> Result<bool, Error> {
    let Some((key, wish)) = shown(store, code, now).await? else { return Ok(false) };
    if store.take(USER_CODE, &typed(code), now).await?.is_none() {
        return Ok(false);
    }
    let granted = yes.then(|| Granted { wish, sign_on: on.id.clone() });
    let data = serde_json::to_string(&granted).unwrap_or_default();
    let item = Item { kind: ANSWER, key, owner: on.person.named(), handle: String::new(), data, expires: now + DEVICE };
    Ok(store.put_new(item, now).await?)
}

/// What the command line is told that asks whether the person has answered.
pub(super) enum Polled {
    /// Not yet.
    Pending,
    /// Not yet, and it asks too often.
    TooOften,
    /// The person said no.
    Denied,
    /// It took too long, or there is no such login.
    Expired,
    /// The token.
    Granted(String, Login),
}

/// The command line asks whether the person has answered.
pub(super) async fn poll(identity: &Identity, store: &dyn Store, device_code: &str, verifier: &str, now: Wall) -> Result<Polled, Error> {
    let key = kept(device_code);
    if store.item(DEVICE_CODE, &key, now).await?.is_none() {
        return Ok(Polled::Expired);
    }
    if identity.pace.tried(&key, 60 / INTERVAL + 2, now).is_err() {
        return Ok(Polled::TooOften);
    }
    let Some(answer) = store.take(ANSWER, &key, now).await? else { return Ok(Polled::Pending) };
    store.take(DEVICE_CODE, &key, now).await?;
    match serde_json::from_str::<Option<Granted>>(&answer.data) {
        Ok(Some(granted)) => {
            let (token, login) = finish(identity, store, granted, true, verifier, now).await?;
            Ok(Polled::Granted(token, login))
        }
        _ => Ok(Polled::Denied),
    }
}
