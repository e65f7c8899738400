//! One's own settings: passkeys, registered here and believed once they stand in a signed approvers file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::{Failure, shown};
use super::delegations;
use super::here::{Here, Vouched};
use super::html::{Page, PasskeyView, Settings};
use super::view::Moment;
use crate::approval::{Approver, Attesters, Registration, RelyingParty, sha256};
use crate::server::app::{App, random};
use crate::server::model::Wall;
use crate::server::store::Item;
use crate::text::{self, hex};

/// The kind of items that passkeys are kept as, under the credential's id in base64url.
pub const PASSKEY: &str = "passkey";
/// The kind of a challenge that a registration answers once.
const ASKED: &str = "passkey_asked";
/// How many passkeys one person may have.
const MOST: usize = 20;
/// How long a person may take to register one.
const WITHIN: Wall = 600 * 1_000_000_000;
/// What the name of a passkey may be long at most, in characters.
const LONGEST_NAME: usize = 60;

/// A passkey as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    at: Wall,
    about: String,
    registration: Value,
}

/// Where passkeys of this server are made and used; none where its address is neither `https://` nor `http://localhost`.
pub fn party(app: &App) -> Option<RelyingParty> {
    let url = &app.settings.url;
    let host = url.split_once("://")?.1;
    RelyingParty::new(host.split(':').next()?, url)
}

async fn own(app: &App, person: &Approver, now: Wall) -> Result<Vec<Item>, Failure> {
    Ok(app.store.items(PASSKEY, Some(&person.named()), now).await?)
}

/// Shows them.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here) -> Result<Response, Failure> {
    let view = |item: Item| {
        let kept: Kept = serde_json::from_str(&item.data).ok()?;
        let line = kept.registration.to_string();
        Some(PasskeyView {
            id: item.key,
            name: text::escape(kept.name.as_bytes()),
            about: kept.about,
            at: Moment::new(kept.at, here.now),
            line,
        })
    };
    let passkeys = own(&app, here.person(), here.now).await?.into_iter().filter_map(view).collect();
    let page = Page::new("/settings", Some(&here.viewer), here.now);
    let (delegations, giving) = (delegations::mine(&app, &here).await?, delegations::giving(&app, &here).await?);
    Ok(shown(&Settings { page, passkeys, possible: party(&app).is_some(), delegations, giving }))
}

/// Gives one's registration out as the file that `gate approvers add --registration` takes.
pub(super) async fn file(State(app): State<Arc<App>>, here: Here, Path(id): Path<String>) -> Result<Response, Failure> {
    let found = own(&app, here.person(), here.now).await?.into_iter().find(|item| item.key == id).ok_or(Failure::Missing)?;
    let kept: Kept = serde_json::from_str(&found.data).map_err(|_| Failure::Unavailable)?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_DISPOSITION, "attachment; filename=\"passkey.json\"")];
    Ok((headers, kept.registration.to_string()).into_response())
}

/// Asks the browser for a new passkey.
pub(super) async fn options(State(app): State<Arc<App>>, vouched: Result<Vouched, Failure>) -> Result<Json<Value>, Response> {
    let asked = async {
        let Vouched(here) = vouched?;
        let party = party(&app).ok_or(Failure::Refused("Passkeys need an address with https, or localhost."))?;
        let there = own(&app, here.person(), here.now).await?;
        if there.len() >= MOST {
            return Err(Failure::Refused("There are 20 passkeys of yours already."));
        }
        let nonce = random::<32>()?;
        let challenge = Registration::challenge(here.person(), &nonce);
        let (key, data) = (hex(&challenge), hex(&nonce));
        let expires = here.now.saturating_add(WITHIN);
        app.store.put(Item { kind: ASKED, key, owner: here.person().named(), handle: String::new(), data, expires }).await?;
        let algorithms = [-8, -7, -257].map(|alg| json!({ "type": "public-key", "alg": alg }));
        Ok(json!({
            "rp": { "id": party.id(), "name": "gate" },
            "user": {
                "id": URL_SAFE_NO_PAD.encode(sha256(here.person().named().as_bytes())),
                "name": here.who.name, "displayName": here.who.name,
            },
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "pubKeyCredParams": algorithms,
            "exclude": there.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(),
            "authenticatorSelection": { "residentKey": "preferred", "userVerification": "required" },
            "attestation": "direct",
            "timeout": 300_000,
        }))
    };
    asked.await.map(Json).map_err(|failure| failure.problem())
}

/// What the browser gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    name: String,
    client_data: String,
    attestation_object: String,
}

/// Registers a passkey.
pub(super) async fn register(
    State(app): State<Arc<App>>,
    vouched: Result<Vouched, Failure>,
    Json(made): Json<Made>,
) -> Result<StatusCode, Response> {
    let registered = async {
        let Vouched(here) = vouched?;
        let bad = |what: &str| Failure::Bad(what.to_owned());
        let name = made.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(bad("A passkey's name has 1 to 60 characters."));
        }
        let party = party(&app).ok_or(Failure::Refused("Passkeys need an address with https, or localhost."))?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| bad("The browser's answer cannot be read."));
        let (client_data, attestation_object) = (bytes(&made.client_data)?, bytes(&made.attestation_object)?);
        let nonce =
            asked(&app, &here, &client_data).await?.ok_or_else(|| bad("This was not asked for, or was used already. Begin again."))?;
        let registration = Registration { nonce, client_data, attestation_object };
        let key = registration.verify(here.person(), &party, &Attesters::default(), here.now);
        let key = key.map_err(|why| Failure::Bad(format!("The passkey is not taken: {why}.")))?;
        let kept = Kept { name: name.to_owned(), at: here.now, about: key.fingerprint(), registration: registration.to_json() };
        let item = Item {
            kind: PASSKEY,
            key: URL_SAFE_NO_PAD.encode(key.id()),
            owner: here.person().named(),
            handle: String::new(),
            data: serde_json::to_string(&kept).map_err(|_| Failure::Unavailable)?,
            expires: Wall::MAX,
        };
        if !app.store.put_new(item, here.now).await? {
            return Err(Failure::Refused("This passkey is registered already."));
        }
        app.store.event("passkey.registered", here.now, told(&here, &key.fingerprint())).await?;
        Ok(StatusCode::CREATED)
    };
    registered.await.map_err(|failure: Failure| failure.problem())
}

/// Takes the nonce of the challenge that the browser says it answered; of several takers one gets it.
async fn asked(app: &App, here: &Here, client_data: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let said: Value = serde_json::from_slice(client_data).unwrap_or_default();
    let challenge = said.get("challenge").and_then(Value::as_str).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let Some(challenge) = challenge.filter(|bytes| bytes.len() == 32) else { return Ok(None) };
    let item = app.store.take(ASKED, &hex(&challenge), here.now).await?;
    Ok(item.filter(|item| item.owner == here.person().named()).and_then(|item| text::unhex(&item.data)))
}

/// Removes one's own passkey.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removed {
    id: String,
}

/// Removes one of one's own passkeys from this server; the approvers file still has to drop it.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    vouched: Result<Vouched, Failure>,
    Json(which): Json<Removed>,
) -> Result<StatusCode, Response> {
    let removed = async {
        let Vouched(here) = vouched?;
        let mine = own(&app, here.person(), here.now).await?.into_iter().any(|item| item.key == which.id);
        if !mine || app.store.take(PASSKEY, &which.id, here.now).await?.is_none() {
            return Err(Failure::Missing);
        }
        app.store.event("passkey.removed", here.now, told(&here, &which.id)).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    removed.await.map_err(|failure: Failure| failure.problem())
}

fn told(here: &Here, key: &str) -> Value {
    json!({ "person": { "issuer": here.person().issuer, "subject": here.person().subject }, "key": key })
}
