//! Break-glass: named people approve alone and at once, and somebody else looks at that afterwards.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use super::requests::{already, body, own};
use super::reviews::matched;
use super::stop::{of_slots, reason};
use super::view::{RequestView, time};
use crate::approval::{Answer, BREAK_GLASS as SLOT};
use crate::policy::{Assurance, Channel};
use crate::server::app::App;
use crate::server::duties::{named, told};
use crate::server::model::KeptReview;
use crate::server::rules::{self, judge, may_break_glass};
use crate::server::store::{Amended, BREAK_GLASS, Item, Reviewed};

/// Why the glass is broken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Break {
    /// The digest of what was shown: 64 hexadecimal digits.
    digest: String,
    /// Why.
    reason: String,
    /// The number that the requester sees.
    #[serde(default)]
    number: Option<String>,
}

/// What a reviewer found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Found {
    comment: String,
}

/// An approval by break-glass that nobody has looked at yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwedView {
    /// The request.
    id: String,
    /// Who: `ISSUER#SUBJECT`.
    by: String,
    /// Why.
    reason: String,
    /// When.
    at: String,
}

/// Reviews that are owed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Owed {
    owed: Vec<OwedView>,
}

/// Approves a request alone, in an emergency.
#[utoipa::path(post, path = "/v1/requests/{id}/break-glass", operation_id = "break_glass", params(("id" = String, Path)), request_body = Break,
    responses((status = 200, body = RequestView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn use_it(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Break>, JsonRejection>,
) -> Result<Json<RequestView>, Problem> {
    let person = caller.person()?.clone();
    let request = own(&app, &caller, &id).await?;
    let given = body(given)?;
    let comment = reason(&given.reason)?;
    if request.requester.person.as_ref() == Some(&person.approver) {
        return Err(Problem::self_approval());
    }
    let listed = app.settings.break_glass.people.contains(&format!("person:{}", named(&person.approver)));
    if !person.decides || !listed || !may_break_glass(&request, &person.approver) {
        return Err(Problem::forbidden("break-glass is for people whom both the terms and the server's configuration name"));
    }
    if given.digest != request.digest().to_string() {
        return Err(Problem::validation("`digest` is not the digest of this request"));
    }
    let now = app.now()?;
    let assurance = matched(&app, &request, &person, given.number.as_deref(), now).await?;
    let review = KeptReview {
        approver: person.approver,
        name: person.name,
        answer: Answer::Approve,
        assurance,
        proved: person.proved,
        channel: Channel::Server,
        comment,
        slots: vec![SLOT.to_owned()],
        at: now,
        evidence: None,
    };
    match app.store.review(&id, review, Box::new(judge)).await? {
        Reviewed::Kept(request) => {
            app.live.tell(&id);
            Ok(Json(RequestView::of(&app, &request, now)))
        }
        Reviewed::Late(request) => Err(already(&app, &request, now)),
        Reviewed::Refused(rules::SELF) => Err(Problem::self_approval()),
        Reviewed::Refused(rules::INSUFFICIENT) => {
            Err(Problem::insufficient(request.submitted.said().terms.assurance.max(Assurance::FreshMfa).word()))
        }
        Reviewed::Refused(_) => Err(Problem::forbidden("the terms want another way, or you decided already")),
        Reviewed::Missing => Err(Problem::not_found()),
    }
}

/// Lists reviews that are owed.
#[utoipa::path(get, path = "/v1/break-glass", operation_id = "list_break_glass", responses((status = 200, body = Owed), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn owed(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Owed>, Problem> {
    of_slots(&caller, &app.settings.break_glass.reviewers)?;
    let all = app.store.items(BREAK_GLASS, None, app.now()?).await?;
    let owed = all.iter().filter_map(|item| {
        let data: Value = serde_json::from_str(&item.data).ok()?;
        let reason = data.get("reason")?.as_str()?.to_owned();
        Some(OwedView { id: item.key.clone(), by: item.owner.clone(), reason, at: time(data.get("at")?.as_i64()?) })
    });
    Ok(Json(Owed { owed: owed.collect() }))
}

/// Somebody else has looked at it.
#[utoipa::path(post, path = "/v1/break-glass/{id}/review", operation_id = "review_break_glass", params(("id" = String, Path)), request_body = Found,
    responses((status = 204, description = "reviewed"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn review(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Found>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let reviewer = of_slots(&caller, &app.settings.break_glass.reviewers)?.approver.clone();
    let me = named(&reviewer);
    let comment = reason(&body(given)?.comment)?;
    let now = app.now()?;
    let item = app.store.item(BREAK_GLASS, &id, now).await?.ok_or_else(Problem::not_found)?;
    let request = app.store.request(&id).await?.ok_or_else(Problem::not_found)?;
    // Neither who broke it nor whom it served.
    if item.owner == me || request.requester.person.as_ref().map(named).as_ref() == Some(&me) {
        return Err(Problem::self_approval());
    }
    let done = move |item: Option<&Item>| {
        let told = json!({ "request": item?.key, "by": told(&reviewer), "comment": comment });
        Some(Amended { item: None, kind: "break_glass.reviewed", data: told })
    };
    match app.store.amend(BREAK_GLASS, &id, now, Box::new(done)).await? {
        (true, _) => Ok(StatusCode::NO_CONTENT),
        (false, _) => Err(Problem::not_found()),
    }
}
