//! Signing off: by the person, with the provider told, and by the provider (OpenID Connect Back-Channel Logout).

use serde_json::{Value, json};

use super::Identity;
use super::error::Error;
use super::jwt::Expected;
use super::provider::Provider;
use super::session::{self, KeptSignOn, SIGN_ON, Session};
use super::tokens;
use super::web::{kept, with_query};
use crate::server::model::Wall;
use crate::server::store::{Item, Store};

/// How long a logout token is remembered, so that none is used twice: longer than its clock skew lets any live.
const REMEMBERED: Wall = 24 * 3600 * 1_000_000_000;

/// How many logout tokens are looked at in a minute.
const MOST: u32 = 600;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Ends a browser's session: where to go then, which is the provider where it has a way to sign off, and the cookie that takes the session away.
pub async fn sign_off(identity: &Identity, store: &dyn Store, session: Session, now: Wall) -> Result<(String, String), Error> {
    let home = format!("{}/", identity.url());
    let gone = identity.cookies.set(session::SESSION, "", 0);
    let (key, on) = (session.key().to_owned(), session.into_signed_on());
    let item = store.item(SIGN_ON, &on.id, now).await?;
    session::end(store, &key, now).await?;
    if !tokens::rests_on(store, &on.person, &on.id, now).await? {
        session::end_sign_on(store, &on.person.named(), &on.id, now).await?;
    }
    store.event("logout", now, json!({ "issuer": on.person.issuer, "subject": on.person.subject, "by": "person" })).await?;
    let Some(provider) = identity.provider(&on.provider) else { return Ok((home, gone)) };
    let Ok(metadata) = provider.issuer().metadata(now).await else { return Ok((home, gone)) };
    let kept = item.and_then(|item| serde_json::from_str::<KeptSignOn>(&item.data).ok());
    let hint = kept.and_then(|kept| identity.sealer.open(&on.id, &kept.id_token));
    let (Some(end), Some(hint)) = (&metadata.end_session_endpoint, hint) else { return Ok((home, gone)) };
    let query = [("id_token_hint", hint.as_str()), ("client_id", &provider.client_id), ("post_logout_redirect_uri", &home)];
    Ok((with_query(end, &query), gone))
}

/// Believes a logout token of any provider, once, and ends what it names: how many sign-ons.
pub async fn backchannel(identity: &Identity, store: &dyn Store, token: &str, now: Wall) -> Result<usize, Error> {
    identity.pace.tried("backchannel", MOST, now)?;
    let (provider, claims) = believed(identity, token, now).await?;
    let issuer = provider.issuer().url();
    let refused = |why: &str| Error::Refused(why.to_owned());
    if claims.get("nonce").is_some() {
        return Err(refused("a logout token has no nonce"));
    }
    if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
        return Err(refused("the token is no logout token"));
    }
    let (sid, sub) = (claims.text("sid"), claims.text("sub"));
    if sid.is_none() && sub.is_none() {
        return Err(refused("the logout token names neither session nor person"));
    }
    let jti = claims.text("jti").ok_or_else(|| refused("the logout token has no `jti`"))?;
    let (key, expires) = (kept(&format!("{issuer} {jti}")), now + REMEMBERED);
    let seen = Item { kind: "logout_token", key, owner: String::new(), handle: String::new(), data: String::new(), expires };
    if !store.put_new(seen, now).await? {
        return Err(refused("the logout token was used before"));
    }
    let mut ended = 0;
    for item in store.items(SIGN_ON, None, now).await? {
        let Ok(on) = serde_json::from_str::<KeptSignOn>(&item.data) else { continue };
        let meant = on.issuer == issuer && sid.is_none_or(|sid| sid == item.handle) && sub.is_none_or(|sub| sub == on.subject);
        if meant {
            session::end_sign_on(store, &item.owner, &item.key, now).await?;
            store.event("logout", now, json!({ "issuer": on.issuer, "subject": on.person, "by": "provider" })).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Which provider made it: the one whose keys, name and client it bears.
async fn believed<'a>(identity: &'a Identity, token: &str, now: Wall) -> Result<(&'a Provider, super::jwt::Claims), Error> {
    let issuer = super::jwt::claimed_issuer(token);
    let provider = identity.providers().iter().find(|provider| Some(provider.issuer().url()) == issuer.as_deref());
    let provider = provider.ok_or_else(|| Error::Refused("the token is of no known provider".to_owned()))?;
    // The specification recommends `logout+jwt`; what makes it a logout token is its `events`, which no other token has.
    let typ = ["logout+jwt", "jwt"];
    let expected = Expected { issuer: provider.issuer().url(), audience: &provider.client_id, to_us: true, typ: &typ, now };
    Ok((provider, provider.issuer().verify(token, &expected).await?))
}
