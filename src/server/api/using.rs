//! The requester's side, once it is decided: give up, consume, tell how it ended.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Caller;
use super::checkpoints::{Countersigned, HostCheckpoint, countersigned};
use super::grants::ended;
use super::person::already;
use super::problem::Problem;
use super::receipt::receipt;
use super::requests::{asked_by, body, digits, for_requester, own};
use super::view::RequestView;
use crate::approval::sha256;
use crate::server::app::App;
use crate::server::approvers;
use crate::server::model::State as Stands;
use crate::server::rules::{cancelling, consuming, ending, later};
use crate::server::store::Changed;

/// How long the same consumption may be told again, for an answer that was lost.
const RETOLD: Duration = Duration::from_mins(1);

/// The right to use the approval, once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Consume {
    /// What only the requester knows: 64 hexadecimal digits.
    client_nonce: String,
    /// The end of the host's log, to be countersigned.
    #[serde(default)]
    checkpoint: Option<HostCheckpoint>,
}

/// The approval is used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Consumed {
    /// The signed decision.
    receipt: String,
    /// The checkpoint that came with this, countersigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    countersigned: Option<Countersigned>,
    request: RequestView,
}

/// How the command ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    /// Its exit status.
    exit: Option<u8>,
    /// The signal that ended it.
    signal: Option<u8>,
    /// Why it did not start.
    failed: Option<String>,
    /// How long it ran, in nanoseconds.
    duration_ns: Option<u64>,
}

/// Gives up.
#[utoipa::path(delete, path = "/v1/requests/{id}", operation_id = "cancel_request", params(("id" = String, Path)),
    responses((status = 200, body = RequestView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<RequestView>, Problem> {
    asked_by(&caller, &own(&app, &caller, &id).await?)?;
    let now = app.now()?;
    match app.store.change(&id, now, cancelling(now)).await? {
        Changed::To(request) => {
            app.live.tell(&id);
            Ok(Json(for_requester(&app, &request, now)))
        }
        Changed::Not(request) => Err(already(&app, &request, now)),
        Changed::Missing => Err(Problem::not_found()),
    }
}

/// Uses an approval, once. The same call again within a minute is answered again.
#[utoipa::path(post, path = "/v1/requests/{id}/consume", operation_id = "consume_request", params(("id" = String, Path)), request_body = Consume,
    responses((status = 200, body = Consumed), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn consume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Consume>, JsonRejection>,
) -> Result<Json<Consumed>, Problem> {
    let request = own(&app, &caller, &id).await?;
    asked_by(&caller, &request)?;
    let given = body(given)?;
    if let (Stands::Approved, Some(drawing)) = (request.state, &request.drawn)
        && !approvers::still(&app, &request, app.now()?).await?
    {
        // The host would say no, and the next run would come here again: people are asked instead.
        let requester = (request.requester.way.clone(), request.requester.name.clone());
        ended(&app, &drawing.request, requester, json!("a key that was taken back"), app.now()?).await?;
        return Err(Problem::expired());
    }
    let nonce = sha256(&digits::<32>(&given.client_nonce)?);
    let countersigned = countersigned(&app, caller.requester()?, given.checkpoint).await?;
    let now = app.now()?;
    let request = match app.store.change(&id, now, consuming(nonce, now)).await? {
        Changed::To(request) => request,
        Changed::Not(request) if request.client_nonce_sha256 != nonce => {
            return Err(Problem::forbidden("this was asked by another run of the command"));
        }
        Changed::Not(request) if request.consumed.is_some_and(|then| now < later(then, RETOLD)) => request,
        Changed::Not(request) if request.at(now) == Stands::Expired => return Err(Problem::expired()),
        Changed::Not(request) => return Err(already(&app, &request, now)),
        Changed::Missing => return Err(Problem::not_found()),
    };
    app.live.tell(&id);
    let receipt = receipt(&app, &request, now).ok_or_else(Problem::unavailable)?;
    Ok(Json(Consumed { receipt, countersigned, request: RequestView::of(&app, &request, now) }))
}

/// Tells how the command ended.
#[utoipa::path(post, path = "/v1/requests/{id}/outcome", operation_id = "tell_outcome", params(("id" = String, Path)), request_body = Ended,
    responses((status = 204, description = "kept"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn outcome(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Ended>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    asked_by(&caller, &own(&app, &caller, &id).await?)?;
    let ended = body(given)?;
    let mut told = match (ended.exit, ended.signal, &ended.failed) {
        (Some(exit), None, None) => json!({ "exit": exit }),
        (None, Some(signal), None) => json!({ "signal": signal }),
        (None, None, Some(why)) if why.len() <= 1024 => json!({ "failed": why }),
        _ => return Err(Problem::validation("one of `exit`, `signal` and `failed` says how it ended")),
    };
    if let Some(duration) = ended.duration_ns {
        told["duration_ns"] = duration.into();
    }
    let now = app.now()?;
    match app.store.change(&id, now, ending(told)).await? {
        Changed::To(_) => {
            app.live.tell(&id);
            Ok(StatusCode::NO_CONTENT)
        }
        Changed::Not(request) => Err(already(&app, &request, now)),
        Changed::Missing => Err(Problem::not_found()),
    }
}
