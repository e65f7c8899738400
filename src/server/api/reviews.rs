//! The approver's side: say yes or no.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::caller::{Caller, Person};
use super::grants::StandingAsk;
use super::person::{LONGEST_COMMENT, WRONG_NUMBERS, already, keep};
use super::problem::Problem;
use super::requests::{body, own};
use super::view::RequestView;
use crate::approval::Answer;
use crate::policy::{Assurance, Channel};
use crate::server::app::App;
use crate::server::approvers;
use crate::server::model::{Kept, KeptReview, State as Stands, Wall};
use crate::server::store::Changed;

/// What an approver says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Say {
    /// `approve` or `reject`.
    review: String,
    /// The digest of what they were shown: 64 hexadecimal digits.
    digest: String,
    /// Why.
    #[serde(default)]
    comment: String,
    /// The number that the requester sees.
    #[serde(default)]
    number: Option<String>,
    /// The statement that was given out for this answer, with a signature by a key of the approver:
    /// `{"statement", "sshsig"}` or `{"statement", "webauthn"}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
    /// What the approval lets run beyond the one request; where there is evidence, what that says, too.
    #[serde(default)]
    standing: Option<StandingAsk>,
}

/// Approves or rejects.
#[utoipa::path(post, path = "/v1/requests/{id}/reviews", operation_id = "review_request", params(("id" = String, Path)), request_body = Say,
    responses((status = 200, body = RequestView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn review(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    given: Result<Json<Say>, JsonRejection>,
) -> Result<Json<RequestView>, Problem> {
    let person = caller.decider()?.clone();
    let request = own(&app, &caller, &id).await?;
    let say = body(given)?;
    let answer = Answer::parse(&say.review).ok_or_else(|| Problem::validation("`review` is `approve` or `reject`"))?;
    if say.comment.len() > LONGEST_COMMENT {
        return Err(Problem::validation("`comment` is longer than 4096 bytes"));
    }
    // Whoever saw something else has not decided about this.
    if say.digest != request.digest().to_string() {
        return Err(Problem::validation("`digest` is not the digest of this request"));
    }
    let now = app.now()?;
    // Who only sees it tries no numbers either: three wrong ones would reject what others decide.
    let Some(slots) = person.slots_for(&request, now) else {
        let own = request.requester.person.as_ref() == Some(&person.approver);
        return Err(match request.at(now) {
            _ if own => Problem::self_approval(),
            Stands::Pending => Problem::forbidden("the terms want other people"),
            _ => already(&app, &request, now),
        });
    };
    let assurance =
        if answer == Answer::Approve { matched(&app, &request, &person, say.number.as_deref(), now).await? } else { person.assurance };
    let shown = match &say.evidence {
        Some(evidence) => Some(approvers::judge(&app, &request, &person.approver, answer, evidence, now).await?),
        None => None,
    };
    let standing = match (&say.standing, shown.as_ref().map(|shown| &shown.standing)) {
        (None, None | Some(None)) => None,
        (Some(asked), None) => Some(asked.within(&request, answer, now)?),
        (Some(asked), Some(Some((signed, at)))) if asked.is(signed, *at) => Some(signed.clone()),
        _ => return Err(Problem::validation("`standing` is not what was signed")),
    };
    // A key that shows that somebody was there proves it now; any other adds nothing to the sign-on.
    let (assurance, proved) = match &shown {
        Some(shown) if shown.assurance > assurance => (shown.assurance, now),
        _ => (assurance, person.proved),
    };
    let most = person.most;
    let review = KeptReview {
        assurance: assurance.min(most),
        proved,
        channel: shown.as_ref().map_or(Channel::Server, |shown| shown.channel),
        slots,
        standing,
        evidence: shown.map(|shown| shown.evidence),
        ..person.says(answer, say.comment, now)
    };
    let request = keep(&app, &id, review).await?;
    Ok(Json(RequestView::of(&app, &request, now)))
}

/// The assurance that the approver reaches with the number: without it, a fresh second factor is only another person.
pub(super) async fn matched(app: &App, request: &Kept, person: &Person, number: Option<&str>, now: Wall) -> Result<Assurance, Problem> {
    let Some(shown) = &request.number else { return Ok(person.assurance.min(Assurance::SecondPerson)) };
    match number {
        None => Ok(person.assurance.min(Assurance::SecondPerson)),
        Some(number) if number == shown => Ok(person.assurance),
        Some(_) => {
            let change = move |request: &mut Kept| {
                (request.at(now) == Stands::Pending).then_some(())?;
                request.wrong_numbers += 1;
                if request.wrong_numbers < WRONG_NUMBERS {
                    return Some(("request.wrong_number", json!({ "times": request.wrong_numbers })));
                }
                request.state = Stands::Rejected;
                request.decided = Some(now);
                Some(("request.rejected", json!({ "why": "wrong numbers" })))
            };
            let left = match app.store.change(&request.id, now, Box::new(change)).await? {
                Changed::To(request) => WRONG_NUMBERS.saturating_sub(request.wrong_numbers),
                Changed::Not(request) => return Err(already(app, &request, now)),
                Changed::Missing => return Err(Problem::not_found()),
            };
            app.live.tell(&request.id);
            Err(Problem::wrong_number(left))
        }
    }
}
