//! The emergency stop: one person stops everything, two lift it.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::caller::{Caller, Person};
use super::problem::Problem;
use super::requests::body;
use super::view::time;
use crate::approval::Answer;
use crate::policy::Channel;
use crate::server::app::App;
use crate::server::duties::{named, told};
use crate::server::model::{KeptReview, Wall};
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
        let data: Value = item.and_then(|item| serde_json::from_str(&item.data).ok()).unwrap_or_default();
        Self {
            stands: item.is_some(),
            by: item.map(|item| item.owner.clone()),
            reason: data["reason"].as_str().map(str::to_owned),
            since: data["since"].as_i64().map(time),
            lifted_by: lifters(&data),
        }
    }
}

fn lifters(data: &Value) -> Vec<String> {
    data["lifted_by"].as_array().into_iter().flatten().filter_map(|who| who.as_str().map(str::to_owned)).collect()
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
    if person.decides && person.slots.iter().any(|slot| slots.contains(slot)) {
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
    let item = Item {
        kind: STOP,
        key: String::new(),
        owner: named(&person.approver),
        handle: String::new(),
        data: json!({ "reason": reason, "since": now, "lifted_by": [] }).to_string(),
        expires: Wall::MAX,
    };
    let review = KeptReview {
        approver: person.approver.clone(),
        name: person.name.clone(),
        answer: Answer::Reject,
        assurance: person.assurance,
        proved: person.proved,
        channel: Channel::Server,
        comment: format!("emergency stop: {reason}"),
        slots: person.slots.clone(),
        at: now,
        evidence: None,
    };
    for id in app.store.stop(item, review).await?.unwrap_or_default() {
        app.live.tell(&id);
    }
    read(State(app)).await
}

/// Lifts the stop, once two people have said so.
#[utoipa::path(post, path = "/v1/stop/lift", operation_id = "lift_stop",
    responses((status = 200, body = Stopped), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn lift(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Stopped>, Problem> {
    let lifter = of_slots(&caller, &app.settings.stop.people)?.approver.clone();
    let me = named(&lifter);
    let lift = move |item: Option<&Item>| {
        let item = item?;
        let mut data: Value = serde_json::from_str(&item.data).ok()?;
        let mut people = lifters(&data);
        (!people.contains(&me)).then(|| people.push(me.clone()))?;
        let told = json!({ "by": told(&lifter), "lifted_by": people });
        data["lifted_by"] = json!(people);
        let kept = Item { data: data.to_string(), ..item.clone() };
        let lifted = people.len() >= LIFTERS;
        Some(Amended { item: (!lifted).then_some(kept), kind: if lifted { "stop.lifted" } else { "stop.lifting" }, data: told })
    };
    let (_, item) = app.store.amend(STOP, "", app.now()?, Box::new(lift)).await?;
    Ok(Json(Stopped::of(item.as_ref())))
}
