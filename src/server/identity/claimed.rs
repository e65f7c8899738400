//! Talks to a provider's token and userinfo endpoints; an ID token is believed only here.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Shown;
use super::error::Error;
use super::jwt::{Claims, Expected};
use super::keys::{read, unreachable};
use super::provider::Provider;
use super::settings::Kind;
use super::web::form;
use crate::server::model::Wall;

/// What an ID token's `typ` may be.
const TYP: [&str; 1] = ["jwt"];

/// What the token endpoint gave.
#[derive(Deserialize)]
pub(super) struct Tokens {
    #[serde(rename = "id_token")]
    pub(super) id: Option<String>,
    #[serde(rename = "access_token")]
    pub(super) access: Option<String>,
    #[serde(rename = "refresh_token")]
    pub(super) refresh: Option<String>,
}

/// Asks the token endpoint, as the client that the provider knows.
pub(super) async fn tokens(provider: &Provider, fields: &[(&str, &str)], now: Wall) -> Result<Tokens, Error> {
    let metadata = provider.issuer().metadata(now).await?;
    let url = metadata.token_endpoint.as_deref().ok_or_else(|| Error::Refused("the provider has no token endpoint".to_owned()))?;
    // Okta takes a client's statement that is made out to this endpoint only; the issuer is what the newer specification wants.
    let audience = if provider.kind == Kind::Okta { url } else { provider.issuer().url() };
    let asked = provider.issuer().client().post(url);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded").header("accept", "application/json");
    let asked = match provider.credentials.shown(&provider.client_id, audience, now)? {
        Shown::Header(basic) => asked.header("authorization", basic).body(form(fields)),
        Shown::Fields(more) => {
            let all: Vec<(&str, &str)> = fields.iter().copied().chain(more.iter().map(|(name, value)| (*name, value.as_str()))).collect();
            asked.body(form(&all))
        }
    };
    let (status, body) = read(asked.send().await.map_err(|error| unreachable(&error))?).await?;
    let malformed = || Error::Unreachable(format!("the provider's token endpoint answers {status}, in no form that is known"));
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| malformed()),
        400..500 => match serde_json::from_slice::<Value>(&body).map_err(|_| malformed())?["error"].as_str() {
            Some("invalid_grant") => Err(Error::Ended),
            _ => Err(Error::Refused("the provider refused what it was brought".to_owned())),
        },
        _ => Err(malformed()),
    }
}

/// Believes an ID token of this provider for this server.
pub(super) async fn id_token(provider: &Provider, token: &str, now: Wall) -> Result<Claims, Error> {
    let issuer = provider.issuer();
    let expected = Expected { issuer: issuer.url(), audience: &provider.client_id, to_us: true, typ: &TYP, now };
    issuer.verify(token, &expected).await
}

/// What the userinfo endpoint tells of the very person of the ID token; none where there is no such endpoint.
pub(super) async fn userinfo(provider: &Provider, access_token: &str, subject: &str, now: Wall) -> Result<Option<Value>, Error> {
    let metadata = provider.issuer().metadata(now).await?;
    let Some(url) = metadata.userinfo_endpoint.as_deref() else { return Ok(None) };
    let asked = provider.issuer().client().get(url).header("authorization", format!("Bearer {access_token}"));
    let (status, body) = read(asked.send().await.map_err(|error| unreachable(&error))?).await?;
    let told: Value = match status {
        200 => serde_json::from_slice(&body).map_err(|_| Error::Unreachable("the provider's userinfo is malformed".to_owned()))?,
        401 => return Err(Error::Ended),
        _ => return Err(Error::Unreachable(format!("the provider's userinfo endpoint answers {status}"))),
    };
    // OpenID Connect Core 5.3.2: an answer about somebody else must not be used.
    if told["sub"].as_str() != Some(subject) {
        return Err(Error::Refused("the provider's userinfo is about somebody else".to_owned()));
    }
    Ok(Some(told))
}

/// The groups that did not fit Entra's token.
pub(super) async fn member_objects(provider: &Provider, access_token: &str) -> Result<Value, Error> {
    let url = format!("{}/v1.0/me/getMemberObjects", provider.graph);
    let asked = provider.issuer().client().post(url).header("authorization", format!("Bearer {access_token}"));
    let asked = asked.header("content-type", "application/json").body(json!({ "securityEnabledOnly": true }).to_string());
    let (status, body) = read(asked.send().await.map_err(|error| unreachable(&error))?).await?;
    match (status, serde_json::from_slice::<Value>(&body)) {
        (200, Ok(mut answer)) => Ok(answer["value"].take()),
        _ => Err(Error::Unreachable(format!("the directory of groups answers {status}"))),
    }
}
