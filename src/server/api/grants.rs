//! Standing grants: what approvals let run beyond the one request.

use std::sync::Arc;

use axum::extract::{Extension, Json, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use super::requests::own;
use super::view::{RequestView, StandingView};
use crate::approval::{Answer, Standing, WantedStanding};
use crate::server::app::App;
use crate::server::duties::told;
use crate::server::model::{Kept, Wall};
use crate::server::store::{Amended, GRANT, Granted, Item};

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
}

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
        if !standing.fits(&request.submitted) {
            return Err(Problem::validation("`open` names a word that cannot be left open: an option, a secret, or no plain name"));
        }
        Ok(standing)
    }

    /// Whether what was signed says just this.
    pub(super) fn is(&self, signed: &Standing, at: Wall) -> bool {
        self.wanted().is(signed, at)
    }
}

/// Lists the standing grants that the caller may see.
#[utoipa::path(get, path = "/v1/grants", operation_id = "list_grants",
    responses((status = 200, body = Grants), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Grants>, Problem> {
    let now = app.now()?;
    let mut grants = Vec::new();
    for item in app.store.items(GRANT, None, now).await? {
        let (Some(Granted { standing, left }), Ok(request)) = (Granted::of(&item), own(&app, &caller, &item.key).await) else { continue };
        grants.push(GrantView { standing: StandingView::of(&standing), left, request: RequestView::of(&app, &request, now) });
    }
    Ok(Json(Grants { grants }))
}

/// Ends a standing grant. Whoever may see its request may.
#[utoipa::path(delete, path = "/v1/grants/{id}", operation_id = "end_grant", params(("id" = String, Path, description = "the id of the request that was approved so")),
    responses((status = 204, description = "ended"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    own(&app, &caller, &id).await?;
    let by = match (&caller.person, &caller.requester) {
        (Some(person), _) => told(&person.approver),
        (None, Some(requester)) => json!({ "way": requester.way, "name": requester.name }),
        (None, None) => return Err(Problem::not_found()),
    };
    let end =
        move |item: Option<&Item>| Some(Amended { item: None, kind: "standing.ended", data: json!({ "request": item?.key, "by": by }) });
    match app.store.amend(GRANT, &id, app.now()?, Box::new(end)).await? {
        (true, _) => {
            app.live.tell(&id);
            Ok(StatusCode::NO_CONTENT)
        }
        (false, _) => Err(Problem::not_found()),
    }
}
