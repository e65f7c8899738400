//! One person lets another decide in their place, until an end.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use super::requests::body;
use super::stop::reason;
use super::view::time;
use crate::approval::Approver;
use crate::server::app::{App, request_id};
use crate::server::duties::{DELEGATION, Delegation, delegations, told};
use crate::server::rules::later;
use crate::server::store::{Amended, Item};

/// So many one person may have given at once.
const MOST: usize = 20;

/// What a person's name is long at most, in bytes: issuers and subjects have 255 characters at most.
const LONGEST_NAME: usize = 1024;

/// Who may decide in the caller's place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Make {
    /// `ISSUER#SUBJECT`.
    to: String,
    /// Slots of the caller's own: `team:NAME`, or `person:ISSUER#SUBJECT`.
    slots: Vec<String>,
    /// Until when, RFC 3339.
    until: String,
    /// Why.
    reason: String,
}

/// That somebody may decide in another person's place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DelegationView {
    id: String,
    /// Who lets.
    from: String,
    /// Who may.
    to: String,
    slots: Vec<String>,
    until: String,
    reason: String,
}

/// What the caller has given and was given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delegations {
    delegations: Vec<DelegationView>,
}

impl From<Delegation> for DelegationView {
    fn from(Delegation { id, from, to, slots, until, reason }: Delegation) -> Self {
        Self { id, from, to, slots, until: time(until), reason }
    }
}

/// Lists what the caller has given and was given.
#[utoipa::path(get, path = "/v1/delegations", operation_id = "list_delegations", responses((status = 200, body = Delegations), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Delegations>, Problem> {
    let mine = delegations(&app, &caller.person()?.approver, app.now()?).await?;
    Ok(Json(Delegations { delegations: mine.into_iter().map(DelegationView::from).collect() }))
}

/// Lets somebody decide in the caller's place.
#[utoipa::path(post, path = "/v1/delegations", operation_id = "make_delegation", request_body = Make,
    responses((status = 201, body = DelegationView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn make(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: Result<Json<Make>, JsonRejection>,
) -> Result<(StatusCode, Json<DelegationView>), Problem> {
    let person = caller.person()?;
    let make = body(given)?;
    let why = reason(&make.reason)?;
    // Only what is one's own can be given: what another person gave goes no further.
    let once_each = (1..=person.slots.len()).contains(&make.slots.len());
    if !person.decides || !once_each || !make.slots.iter().all(|slot| person.slots.contains(slot)) {
        return Err(Problem::forbidden("only slots of one's own can be given, by a sign-on that may decide"));
    }
    let to = Approver::parse(&make.to)
        .filter(|to| *to != person.approver && make.to.len() <= LONGEST_NAME)
        .ok_or_else(|| Problem::validation("`to` has to be another person, `ISSUER#SUBJECT`"))?;
    let now = app.now()?;
    let until: jiff::Timestamp = make.until.parse().map_err(|_| Problem::validation("`until` is no time of RFC 3339"))?;
    let until = i64::try_from(until.as_nanosecond()).unwrap_or(i64::MAX);
    if until <= now || until > later(now, app.settings.delegation.longest.0) {
        return Err(Problem::validation("`until` is over, or later than the server's configuration lets"));
    }
    let me = person.approver.named();
    if app.store.items(DELEGATION, Some(&me), now).await?.len() >= MOST {
        return Err(Problem::rate_limited("there are 20 already; revoke some", std::time::Duration::from_mins(1)));
    }
    let item = Item {
        kind: DELEGATION,
        key: request_id(now)?.replacen("req_", "dlg_", 1),
        owner: me,
        handle: to.named(),
        data: json!({ "slots": make.slots, "reason": why }).to_string(),
        expires: until,
    };
    let view = Delegation::of(&item).map(DelegationView::from).ok_or_else(Problem::unavailable)?;
    let made =
        json!({ "id": item.key, "by": told(&person.approver), "to": item.handle, "slots": make.slots, "until": until, "reason": why });
    let kept = item.clone();
    let add = move |_: Option<&Item>| Some(Amended { item: Some(kept.clone()), kind: "delegation.made", data: made.clone() });
    app.store.amend(DELEGATION, &item.key, now, Box::new(add)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Ends one that the caller gave or was given.
#[utoipa::path(delete, path = "/v1/delegations/{id}", operation_id = "revoke_delegation", params(("id" = String, Path)),
    responses((status = 204, description = "ended"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let person = caller.person()?.approver.clone();
    let me = person.named();
    let end = move |item: Option<&Item>| {
        let item = item.filter(|item| item.owner == me || item.handle == me)?;
        Some(Amended { item: None, kind: "delegation.revoked", data: json!({ "id": item.key, "by": told(&person) }) })
    };
    match app.store.amend(DELEGATION, &id, app.now()?, Box::new(end)).await? {
        (true, _) => Ok(StatusCode::NO_CONTENT),
        (false, _) => Err(Problem::not_found()),
    }
}
