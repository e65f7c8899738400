//! A person's groups, read when they sign on and again when they decide.

use serde_json::Value;

use super::error::Error;
use super::jwt::Claims;
use super::provider::Provider;
use super::session::{self, GROUPS, Groups, KeptGroups, SignedOn};
use super::who::{self, Found};
use super::{Identity, claimed};
use crate::server::model::Wall;
use crate::server::store::{Item, Store};

/// Reads the groups of somebody who just signed on. Where they cannot be read there are none, and it says why.
pub(super) async fn first(provider: &Provider, claims: &Claims, access_token: Option<&str>, now: Wall) -> Groups {
    match of_token(provider, claims, access_token, now).await {
        Ok(names) => Groups { names, at: now, missing: None },
        Err(error) => Groups { names: Vec::new(), at: now, missing: Some(error.to_string()) },
    }
}

/// The groups of a token; of the userinfo endpoint where the token is silent, and of Entra's directory where they are too many.
async fn of_token(provider: &Provider, claims: &Claims, access_token: Option<&str>, now: Wall) -> Result<Vec<String>, Error> {
    let claim = provider.groups_claim.as_str();
    let subject = claims.text("sub").unwrap_or_default();
    match (who::groups(claim, claims.get(claim), who::overage(claims)), access_token) {
        (Found::Here(names), _) => Ok(names),
        (Found::Elsewhere, Some(token)) => listed(&claimed::member_objects(provider, token).await?),
        (Found::Elsewhere, None) => {
            Err(Error::Refused("there are more groups than fit the token, and nothing to read them with".to_owned()))
        }
        (Found::Nothing, Some(token)) => of_userinfo(provider, token, subject, now).await,
        (Found::Nothing, None) => Ok(Vec::new()),
    }
}

async fn of_userinfo(provider: &Provider, access_token: &str, subject: &str, now: Wall) -> Result<Vec<String>, Error> {
    let told = claimed::userinfo(provider, access_token, subject, now).await?;
    match told.as_ref().map(|told| who::groups(&provider.groups_claim, told.get(&provider.groups_claim), false)) {
        Some(Found::Here(names)) => Ok(names),
        _ => Ok(Vec::new()),
    }
}

fn listed(value: &Value) -> Result<Vec<String>, Error> {
    match who::groups("groups", Some(value), false) {
        Found::Here(names) => Ok(names),
        _ => Err(Error::Unreachable("the directory of groups answers in no form that is known".to_owned())),
    }
}

/// The same person with groups as they are now: not older than the configuration wants. Where they cannot be read anew there are none, and
/// it says why; where the provider says that the sign-on is over, it ends here too.
pub async fn groups_now(identity: &Identity, store: &dyn Store, on: SignedOn, now: Wall) -> Result<SignedOn, Error> {
    let Some(provider) = identity.provider(&on.provider) else { return Err(Error::Ended) };
    let is_young = |groups: &Groups| groups.missing.is_none() && groups.at <= now && now - groups.at < provider.groups_age;
    if is_young(&on.groups) {
        return Ok(on);
    }
    let _one_at_a_time = provider.refreshing.lock().await;
    // Somebody may have read them while this one waited, or signed the person off.
    let on = session::sign_on(identity, store, &on.id, now).await?.ok_or(Error::Ended)?;
    if is_young(&on.groups) {
        return Ok(on);
    }
    let item = store.item(GROUPS, &on.id, now).await?.ok_or(Error::Ended)?;
    let kept: KeptGroups = serde_json::from_str(&item.data).map_err(|_| Error::Ended)?;
    let read = match again(identity, provider, store, &on, &item, kept, now).await {
        Ok(groups) => groups,
        Err(Error::Ended) => {
            session::end_sign_on(store, &on.person.named(), &on.id, now).await?;
            return Err(Error::Ended);
        }
        Err(error) => Groups { names: Vec::new(), at: now, missing: Some(error.to_string()) },
    };
    let slots = identity.teams.of(&on.person, &on.provider, &read.names);
    Ok(SignedOn { groups: read, slots, ..on })
}

/// Reads groups anew by the refresh token, or else by the access token, and keeps what was read.
async fn again(
    identity: &Identity,
    provider: &Provider,
    store: &dyn Store,
    on: &SignedOn,
    item: &Item,
    mut kept: KeptGroups,
    now: Wall,
) -> Result<Groups, Error> {
    let open = |sealed: &Option<String>| sealed.as_deref().and_then(|sealed| identity.sealer.open(&on.id, sealed));
    let names = match (open(&kept.refresh), open(&kept.access)) {
        (Some(refresh), access) => {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
            let tokens = claimed::tokens(provider, &fields, now).await?;
            // A provider that rotates has just made the old one worthless: the new one is kept before anything else can fail.
            let seal = |token: &str| identity.sealer.seal(&on.id, token);
            if let Some(next) = &tokens.refresh {
                kept.refresh = Some(seal(next)?);
            }
            if let Some(next) = &tokens.access {
                kept.access = Some(seal(next)?);
            }
            put(store, item, &kept).await?;
            let access = tokens.access.or(access);
            match &tokens.id {
                Some(token) => {
                    let claims = claimed::id_token(provider, token, now).await?;
                    if who::person(provider.kind, provider.issuer().url(), &claims)? != on.person {
                        return Err(Error::Refused("the provider's new token is about somebody else".to_owned()));
                    }
                    of_token(provider, &claims, access.as_deref(), now).await?
                }
                None => by_access(provider, access, on, now).await?,
            }
        }
        (None, access) => by_access(provider, access, on, now).await?,
    };
    kept.groups = Groups { names, at: now, missing: None };
    put(store, item, &kept).await?;
    Ok(kept.groups)
}

async fn by_access(provider: &Provider, access: Option<String>, on: &SignedOn, now: Wall) -> Result<Vec<String>, Error> {
    let unread = || Error::Refused("the provider gave nothing to read groups anew with; sign on again".to_owned());
    let access = access.ok_or_else(unread)?;
    match claimed::userinfo(provider, &access, &on.subject, now).await {
        Ok(Some(told)) => match who::groups(&provider.groups_claim, told.get(&provider.groups_claim), false) {
            Found::Here(names) => Ok(names),
            _ => Err(unread()),
        },
        // The access token's own end is not the end of the sign-on.
        Ok(None) | Err(Error::Ended) => Err(unread()),
        Err(error) => Err(error),
    }
}

async fn put(store: &dyn Store, item: &Item, kept: &KeptGroups) -> Result<(), Error> {
    let data = serde_json::to_string(kept).unwrap_or_default();
    Ok(store.put(Item { data, ..item.clone() }).await?)
}
