//! What an approver is given to sign before they answer.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::grants::StandingAsk;
use super::person::already;
use super::problem::Problem;
use super::requests::{body, own};
use super::view::time;
use crate::approval::{Answer, sha256};
use crate::server::app::App;
use crate::server::approvers::{self, Refused};
use crate::server::model::State as Stands;

/// What somebody is about to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    /// `approve` or `reject`.
    answer: String,
    /// What the approval lets run beyond the one request.
    #[serde(default)]
    standing: Option<StandingAsk>,
}

/// What to sign, by an SSH key over the bytes or by a passkey over the challenge.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToSign {
    /// The bytes in base64.
    statement: String,
    /// Their SHA-256 in base64url, for a passkey.
    challenge: String,
    /// The domain that passkeys are of; left out where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    rp_id: Option<String>,
    /// The ids of the person's passkeys in base64url.
    credentials: Vec<String>,
    /// Until when it may be given back.
    expires: String,
}

/// Gives out a statement to sign, good once.
#[utoipa::path(post, path = "/v1/requests/{id}/statement", operation_id = "make_statement", params(("id" = String, Path)), request_body = Intent,
    responses((status = 200, body = ToSign), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn statement(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Intent>, JsonRejection>,
) -> Result<Json<ToSign>, Problem> {
    let person = caller.decider()?;
    let request = own(&app, &caller, &id).await?;
    let intent = body(given)?;
    let answer = Answer::parse(&intent.answer).ok_or_else(|| Problem::validation("`answer` is `approve` or `reject`"))?;
    let now = app.now()?;
    let standing = intent.standing.map(|asked| asked.within(&request, answer, now)).transpose()?;
    if request.at(now) != Stands::Pending {
        return Err(already(&app, &request, now));
    }
    let given = approvers::give(&app, &request, &person.approver, answer, standing, now).await?;
    Ok(Json(ToSign {
        challenge: URL_SAFE_NO_PAD.encode(sha256(&given.statement)),
        statement: STANDARD.encode(&given.statement),
        rp_id: given.party,
        credentials: given.passkeys.iter().map(|id| URL_SAFE_NO_PAD.encode(id)).collect(),
        expires: time(given.expires),
    }))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unavailable(unavailable) => unavailable.into(),
            Refused::Malformed => Self::validation("`evidence` is `{statement, sshsig}` or `{statement, webauthn}`"),
            Refused::NotAsked => {
                Self::forbidden("what was signed was not given out for this answer to this request, was used already, or is too old")
            }
            Refused::NotProved(why) => Self::forbidden(format!("the signature does not count: {why}")),
        }
    }
}
