//! Standing grants: what approvals let run beyond the one request.

use std::sync::Arc;

use axum::extract::{Extension, Json, Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::problem::Problem;
use super::requests::own;
use super::view::{RequestView, StandingView};
use crate::approval::{Answer, Standing, WantedStanding};
use crate::server::app::App;
use crate::server::duties::told;
use crate::server::model::{Kept, State as Stands, Wall};
use crate::server::rules::cancelling;
use crate::server::store::{Amended, Filter, GRANT, Granted, Item};

/// What an approval is to let run beyond the one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StandingAsk {
    /// How often in all, the request itself included: 2 at least.
    uses: u32,
    /// For how long, in seconds.
    seconds: u32,
    /// Which words may be others, as places in the argv; the program's is place 0, and never one of them.
    #[serde(default)]
    open: Vec<usize>,
}

/// A standing grant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantView {
    /// What it lets run.
    #[serde(flatten)]
    standing: StandingView,
    /// How often yet.
    left: u32,
    /// The request that was approved so.
    request: RequestView,
}

/// Standing grants that have not ended, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Grants {
    grants: Vec<GrantView>,
    /// For the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// `next` of the page before.
    cursor: Option<String>,
}

/// So many stand on one page.
const ON_A_PAGE: usize = 50;

impl StandingAsk {
    fn wanted(&self) -> WantedStanding {
        WantedStanding { uses: self.uses, seconds: self.seconds, open: self.open.clone() }
    }

    /// What it is in an answer of this moment to a request; the problem where the terms allow no such thing.
    pub(super) fn within(&self, request: &Kept, answer: Answer, now: Wall) -> Result<Standing, Problem> {
        if answer == Answer::Reject {
            return Err(Problem::validation("a rejection is no standing grant"));
        }
        let standing = self.wanted().from(now);
        let standing = standing.ok_or_else(|| {
            Problem::validation("`standing` has 2 uses at least, and names places of words once each, in their order and from 1 on")
        })?;
        standing.permitted(&request.submitted.said().terms, now).map_err(|why| Problem::forbidden(why.0))?;
        standing.fits(&request.submitted).map_err(|why| Problem::validation(why.0))?;
        Ok(standing)
    }

    /// Whether what was signed says just this.
    pub(super) fn is(&self, signed: &Standing, at: Wall) -> bool {
        self.wanted().is(signed, at)
    }
}

/// Lists the standing grants that the caller may see.
#[utoipa::path(get, path = "/v1/grants", operation_id = "list_grants", params(From),
    responses((status = 200, body = Grants), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(from): Query<From>,
) -> Result<Json<Grants>, Problem> {
    let now = app.now()?;
    let mut grants = Vec::new();
    let after = |item: &Item| from.cursor.as_ref().is_none_or(|cursor| item.key > *cursor);
    for item in app.store.items(GRANT, None, now).await?.into_iter().filter(after) {
        let Some(Granted { standing, left }) = Granted::of(&item) else { continue };
        let request = match own(&app, &caller, &item.key).await {
            Ok(request) => RequestView::of(&app, &request, now),
            Err(problem) if problem.status == StatusCode::NOT_FOUND.as_u16() => continue,
            Err(problem) => return Err(problem),
        };
        if grants.len() == ON_A_PAGE {
            let next = grants.last().map(|last: &GrantView| last.request.id.clone());
            return Ok(Json(Grants { grants, next }));
        }
        grants.push(GrantView { standing: StandingView::of(&standing), left, request });
    }
    Ok(Json(Grants { grants, next: None }))
}

/// Ends a standing grant, and the uses of it that did not run yet. Whoever may see its request may.
#[utoipa::path(delete, path = "/v1/grants/{id}", operation_id = "end_grant", params(("id" = String, Path, description = "the id of the request that was approved so")),
    responses((status = 204, description = "ended"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let first = own(&app, &caller, &id).await?;
    let by = match (&caller.person, &caller.requester) {
        (Some(person), _) => told(&person.approver),
        (None, Some(requester)) => json!({ "way": requester.way, "name": requester.name }),
        (None, None) => return Err(Problem::not_found()),
    };
    if ended(&app, &id, (first.requester.way, first.requester.name), by, app.now()?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

/// Ends the standing grant of a request of this requester, if there is one, and what was approved by it and did not run yet.
pub(super) async fn ended(app: &App, id: &str, requester: (String, String), by: Value, now: Wall) -> Result<bool, Problem> {
    let end =
        move |item: Option<&Item>| Some(Amended { item: None, kind: "standing.ended", data: json!({ "request": item?.key, "by": by }) });
    let (stood, _) = app.store.amend(GRANT, id, now, Box::new(end)).await?;
    app.live.tell(id);
    // From now on there are no more of these.
    let approved = Filter { states: vec![Stands::Approved], requester: Some(requester), limit: usize::MAX >> 1, ..Filter::default() };
    for used in app.store.list(approved).await?.iter().filter(|one| one.drawn.as_ref().is_some_and(|drawing| drawing.request == id)) {
        app.store.change(&used.id, now, cancelling(now)).await?;
        app.live.tell(&used.id);
    }
    Ok(stood)
}
