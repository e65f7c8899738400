//! Break-glass: named people approve alone and at once, and somebody else looks at that afterwards.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Caller;
use super::person::keep;
use super::problem::Problem;
use super::requests::{body, own};
use super::reviews::matched;
use super::stop::{of_slots, reason};
use super::view::{RequestView, time};
use crate::approval::{Answer, BREAK_GLASS as SLOT};
use crate::server::app::App;
use crate::server::duties::{OwedReview, told};
use crate::server::model::KeptReview;
use crate::server::rules::may_break_glass;
use crate::server::store::{Amended, BREAK_GLASS, Item};

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
    let listed = app.settings.break_glass.people.contains(&person.approver.slot());
    if !person.decides || !listed || !may_break_glass(&request, &person.approver) {
        return Err(Problem::forbidden("break-glass is for people whom both the terms and the server's configuration name"));
    }
    if given.digest != request.digest().to_string() {
        return Err(Problem::validation("`digest` is not the digest of this request"));
    }
    let now = app.now()?;
    let assurance = matched(&app, &request, &person, given.number.as_deref(), now).await?;
    let review = KeptReview { assurance, slots: vec![SLOT.to_owned()], ..person.says(Answer::Approve, comment, now) };
    let request = keep(&app, &id, review).await?;
    Ok(Json(RequestView::of(&app, &request, now)))
}

/// Lists reviews that are owed.
#[utoipa::path(get, path = "/v1/break-glass", operation_id = "list_break_glass", responses((status = 200, body = Owed), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn owed(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Owed>, Problem> {
    of_slots(&caller, &app.settings.break_glass.reviewers)?;
    let all = app.store.items(BREAK_GLASS, None, app.now()?).await?;
    let view = |OwedReview { id, by, reason, at }| OwedView { id, by, reason, at: time(at) };
    Ok(Json(Owed { owed: all.iter().filter_map(OwedReview::of).map(view).collect() }))
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
    let comment = reason(&body(given)?.comment)?;
    let now = app.now()?;
    let item = app.store.item(BREAK_GLASS, &id, now).await?.ok_or_else(Problem::not_found)?;
    let request = app.store.request(&id).await?.ok_or_else(Problem::not_found)?;
    // Neither who broke it nor whom it served.
    if item.owner == reviewer.named() || request.requester.person.as_ref() == Some(&reviewer) {
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
