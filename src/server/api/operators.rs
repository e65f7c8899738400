//! What administrators look after: the hosts that the witness knows, and webhooks that never arrived.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use super::requests::body;
use super::stop::of_slots;
use super::view::time;
use crate::server::app::App;
use crate::server::duties::told;
use crate::server::hosts;
use crate::server::webhook::dead::{self, Dead};

/// So many webhooks that never arrived are told at once.
pub const MOST_DEAD: usize = 100;

/// A host and how its log stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HostView {
    /// The key of its log: `name+id+base64`.
    key: String,
    /// What it called itself at its login.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// Whose it is: `ISSUER#SUBJECT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    person: String,
    /// How many entries its log had when it was countersigned last.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    /// Since when its log is known to have two histories; it is countersigned no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked: Option<String>,
    /// The last checkpoint that was refused because the log was longer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    went_back: Option<WentBackView>,
}

/// A checkpoint that was refused because the log was longer before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WentBackView {
    /// When it came.
    at: String,
    /// How many entries it had.
    entries: u64,
    /// How many there had been.
    were: u64,
}

/// The hosts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hosts {
    hosts: Vec<HostView>,
}

/// An event that a webhook's receiver never took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadView {
    /// The webhook.
    webhook: String,
    /// The event's number.
    event: u64,
    /// Its kind.
    kind: String,
    /// How often it was sent.
    tries: u64,
    /// Why the last try failed.
    why: String,
    /// Until when it is kept.
    until: String,
}

/// Webhooks that never arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadWebhooks {
    dead: Vec<DeadView>,
}

/// Which event of which webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The webhook.
    webhook: String,
    /// The event's number.
    event: u64,
}

/// Lists the hosts that the witness knows.
#[utoipa::path(get, path = "/v1/hosts", operation_id = "list_hosts", responses((status = 200, body = Hosts), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn hosts(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Hosts>, Problem> {
    of_slots(&caller, &app.settings.configuration.administrators)?;
    let hosts = hosts::all(&app, app.now()?).await?.into_iter().map(|host| HostView {
        key: host.key.to_string(),
        name: host.name,
        person: host.person,
        entries: host.entries,
        forked: host.forked.map(time),
        went_back: host.went_back.map(|back| WentBackView { at: time(back.at), entries: back.entries, were: back.were }),
    });
    Ok(Json(Hosts { hosts: hosts.collect() }))
}

/// Lists webhooks that never arrived, a hundred at most.
#[utoipa::path(get, path = "/v1/webhooks/dead", operation_id = "list_dead_webhooks", responses((status = 200, body = DeadWebhooks), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn dead(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<DeadWebhooks>, Problem> {
    of_slots(&caller, &app.settings.configuration.administrators)?;
    let view = |Dead { webhook, event, kind, tries, why, until }| DeadView { webhook, event, kind, tries, why, until: time(until) };
    Ok(Json(DeadWebhooks { dead: dead::all(&app, app.now()?, MOST_DEAD).await?.into_iter().map(view).collect() }))
}

/// Has one of them sent again, with all its tries before it.
#[utoipa::path(post, path = "/v1/webhooks/retry", operation_id = "retry_webhook", request_body = Which,
    responses((status = 204, description = "it is sent again"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: Result<Json<Which>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let by = told(&of_slots(&caller, &app.settings.configuration.administrators)?.approver);
    let which = body(given)?;
    let now = app.now()?;
    if !dead::again(&app, &which.webhook, which.event, now).await? {
        return Err(Problem::not_found());
    }
    app.store.event("webhook.retried", now, json!({ "webhook": which.webhook, "event": which.event, "by": by })).await?;
    Ok(StatusCode::NO_CONTENT)
}
