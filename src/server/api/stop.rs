//! The emergency stop: one person stops everything, two lift it.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::{Caller, Person};
use super::problem::Problem;
use super::requests::body;
use super::view::time;
use crate::approval::Answer;
use crate::server::app::App;
use crate::server::duties::{Stop, told};
use crate::server::store::{Amended, Item, STOP};

/// So many distinct people lift a stop.
const LIFTERS: usize = 2;

/// What a reason may be long at most, in bytes.
const LONGEST_REASON: usize = 1024;

/// Why everything is stopped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

/// Whether everything is stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stopped {
    #[serde(rename = "stopped")]
    stands: bool,
    /// Who stopped it: `ISSUER#SUBJECT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Who wants to lift it already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lifted_by: Vec<String>,
}

impl Stopped {
    fn of(item: Option<&Item>) -> Self {
        let stop = item.map(Stop::of);
        let part = |part: fn(&Stop) -> String| stop.as_ref().map(part);
        Self {
            stands: item.is_some(),
            by: part(|stop| stop.by.clone()),
            reason: part(|stop| stop.reason.clone()),
            since: part(|stop| time(stop.since)),
            lifted_by: stop.map(|stop| stop.lifted_by).unwrap_or_default(),
        }
    }
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_REASON {
        return Err(Problem::validation("`reason` has to say why, in 1024 bytes at most"));
    }
    Ok(text.to_owned())
}

/// Somebody of one of these slots, signed on so that they may decide.
pub(super) fn of_slots<'a>(caller: &'a Caller, slots: &[String]) -> Result<&'a Person, Problem> {
    let person = caller.person()?;
    if person.is_of(slots) {
        return Ok(person);
    }
    Err(Problem::forbidden("the server's configuration names other people for this"))
}

/// Tells whether everything is stopped.
#[utoipa::path(get, path = "/v1/stop", operation_id = "read_stop", responses((status = 200, body = Stopped), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn read(State(app): State<Arc<App>>) -> Result<Json<Stopped>, Problem> {
    let item = app.store.item(STOP, "", app.now()?).await?;
    Ok(Json(Stopped::of(item.as_ref())))
}

/// Stops everything: what waits is rejected, and nothing is asked until it is lifted.
#[utoipa::path(post, path = "/v1/stop", operation_id = "stop", request_body = Reason,
    responses((status = 200, body = Stopped), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: Result<Json<Reason>, JsonRejection>,
) -> Result<Json<Stopped>, Problem> {
    let person = of_slots(&caller, &app.settings.stop.people)?;
    let reason = reason(&body(given)?.reason)?;
    let now = app.now()?;
    let stop = Stop { by: person.approver.named(), name: person.name.clone(), reason: reason.clone(), since: now, lifted_by: Vec::new() };
    let review = person.clone().says(Answer::Reject, format!("emergency stop: {reason}"), now);
    for id in app.store.stop(stop.item(), review).await?.unwrap_or_default() {
        app.live.tell(&id);
    }
    // Whoever looks at a list sees it, too.
    app.live.tell("");
    read(State(app)).await
}

/// Lifts the stop, once two people have said so.
#[utoipa::path(post, path = "/v1/stop/lift", operation_id = "lift_stop",
    responses((status = 200, body = Stopped), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn lift(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Stopped>, Problem> {
    let lifter = of_slots(&caller, &app.settings.stop.people)?.approver.clone();
    let me = lifter.named();
    let lift = move |item: Option<&Item>| {
        let mut stop = Stop::of(item?);
        (!stop.lifted_by.contains(&me)).then(|| stop.lifted_by.push(me.clone()))?;
        let told = json!({ "by": told(&lifter), "lifted_by": stop.lifted_by });
        let lifted = stop.lifted_by.len() >= LIFTERS;
        Some(Amended { item: (!lifted).then(|| stop.item()), kind: if lifted { "stop.lifted" } else { "stop.lifting" }, data: told })
    };
    let (_, item) = app.store.amend(STOP, "", app.now()?, Box::new(lift)).await?;
    app.live.tell("");
    Ok(Json(Stopped::of(item.as_ref())))
}
