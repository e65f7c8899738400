//! The page of one request, and its rejection without a script.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::answers::{Failure, shown};
use super::fill::card;
use super::here::{Here, vouched};
use super::html::{CardPage, Page};
use super::view::Around;
use super::viewer::May;
use crate::approval::Answer;
use crate::policy::{Assurance, Channel};
use crate::server::app::App;
use crate::server::identity::groups_now;
use crate::server::model::{Kept, KeptReview, State as Stands, Wall};
use crate::server::rules::{could_decide, judge};
use crate::server::store::{Filter, Reviewed};

/// How far back other requests of the same requester are shown.
const LATELY: Wall = 3600 * 1_000_000_000;

/// How many of them.
const RECENT: usize = 10;

/// Among how many similar approved requests one is looked for that the viewer may see.
const SEARCHED: usize = 10;

/// What a comment may be long at most, in bytes.
const LONGEST_COMMENT: usize = 4096;

/// What may be typed wrong before the request is rejected.
const TRIES: u32 = 3;

/// Shows a request.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here, Path(id): Path<String>) -> Result<Response, Failure> {
    let request = here.request(&app, &id).await?;
    let earlier = earlier(&app, &here, &request).await?;
    let recent = recent(&app, &here, &request).await?;
    let around = Around { earlier: earlier.as_ref(), recent: &recent, now: here.now };
    let may = may(&here, &request);
    Ok(shown(&CardPage { page: Page::new("/r", Some(&here.viewer), here.now), card: card(&request, &around, may) }))
}

/// What the viewer may do with it. The API judges again; this only spares people what it would refuse.
fn may(here: &Here, request: &Kept) -> May {
    let terms = &request.submitted.said().terms;
    if request.at(here.now) != Stands::Pending {
        return May::Look("");
    }
    if request.requester.person.as_ref() == Some(here.person()) {
        return May::Look("This is your own request: somebody else has to decide.");
    }
    if request.reviews.iter().any(|review| review.approver == *here.person()) {
        return May::Look("You approved this. It waits for others.");
    }
    if !could_decide(request, here.person(), &here.on.slots, here.now) {
        return May::Look("Its terms name other people.");
    }
    if !terms.channels.contains(&Channel::Server) {
        return May::Look("Its terms want it decided another way than on this page.");
    }
    let assurance = terms.assurance.max(Assurance::SecondPerson);
    May::Decide {
        assurance,
        // A signature says by itself that somebody looked; whoever only clicks also types what the requester sees.
        number: request.number.is_some() && assurance <= Assurance::FreshMfa,
        tries: TRIES.saturating_sub(request.wrong_numbers),
    }
}

/// The last approved request for the same program that the same rules asked about.
async fn earlier(app: &App, here: &Here, request: &Kept) -> Result<Option<Kept>, Failure> {
    let states = vec![Stands::Approved, Stands::Consumed];
    let (alike, before) = (Some(request.submitted.said().alike()), Some(request.id.clone()));
    let approved = app.store.list(Filter { states, alike, before, limit: SEARCHED, ..Filter::default() }).await?;
    Ok(approved.into_iter().find(|other| here.may_see(other)))
}

/// What else this requester asked in the last hour, as far as the viewer may see it.
async fn recent(app: &App, here: &Here, request: &Kept) -> Result<Vec<Kept>, Failure> {
    let requester = Some((request.requester.way.clone(), request.requester.name.clone()));
    let all = app.store.list(Filter { requester, limit: 2 * RECENT, ..Filter::default() }).await?;
    let shown = |other: &Kept| other.id != request.id && here.now.saturating_sub(other.created) < LATELY && here.may_see(other);
    Ok(all.into_iter().filter(shown).take(RECENT).collect())
}

/// A rejection that a form sends.
#[derive(Deserialize)]
pub(super) struct Rejection {
    csrf: String,
    digest: String,
    #[serde(default)]
    comment: String,
}

/// Rejects, for browsers without scripts.
pub(super) async fn reject(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Rejection>,
) -> Result<Redirect, Failure> {
    let here = vouched(&app, &headers, Some(&form.csrf)).await?;
    let request = here.request(&app, &id).await?;
    if form.digest != request.digest().to_string() {
        return Err(Failure::Refused("This is not the request that you saw."));
    }
    if form.comment.len() > LONGEST_COMMENT {
        return Err(Failure::Bad("The comment is longer than 4096 bytes.".to_owned()));
    }
    let now = here.now;
    let on = groups_now(&app.identity, &*app.store, here.on, now).await.map_err(|_| Failure::SignedOff)?;
    let assurance = on.assurance(now);
    let review = KeptReview {
        approver: on.person,
        name: on.name,
        answer: Answer::Reject,
        assurance,
        proved: on.proved.unwrap_or_default(),
        channel: Channel::Server,
        comment: form.comment.trim().to_owned(),
        slots: on.slots,
        at: now,
        evidence: None,
    };
    match app.store.review(&id, review, Box::new(judge)).await? {
        Reviewed::Kept(_) => {
            app.live.tell(&id);
            Ok(Redirect::to(&format!("/r/{id}")))
        }
        Reviewed::Late(_) => Err(Failure::Refused("It was decided already, or its time is over.")),
        Reviewed::Refused(_) => Err(Failure::Refused("Its terms want other people, or another way.")),
        Reviewed::Missing => Err(Failure::Missing),
    }
}
