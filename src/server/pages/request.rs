//! The page of one request, and its rejection without a script.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::answers::{Failure, shown};
use super::fill::{card, slot_name};
use super::grants::told;
use super::here::{Here, vouched};
use super::html::{CardPage, Page};
use super::standing;
use super::view::{Around, Card};
use super::viewer::{Glass, May};
use crate::approval::{Answer, behind};
use crate::policy::{Assurance, Channel};
use crate::server::api::{LONGEST_COMMENT, WRONG_NUMBERS, glass_is_broken, keep};
use crate::server::app::App;
use crate::server::model::{Kept, KeptReview, State as Stands, Wall};
use crate::server::rules::may_break_glass;
use crate::server::store::{BREAK_GLASS, Filter};
use crate::text;

/// How far back other requests of the same requester are shown.
const LATELY: Wall = 3600 * 1_000_000_000;

/// How many of them.
const RECENT: usize = 10;

/// Among how many similar approved requests one is looked for that the viewer may see.
const SEARCHED: usize = 10;

/// Shows a request.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here, Path(id): Path<String>) -> Result<Response, Failure> {
    let request = here.request(&app, &id).await?;
    let earlier = earlier(&app, &here, &request).await?;
    let recent = recent(&app, &here, &request).await?;
    let before = match &request.plan.before {
        Some(before) => app.store.request(before).await?.filter(|before| here.may_see(&app, before)),
        None => None,
    };
    let around = Around { earlier: earlier.as_ref(), recent: &recent, before: before.as_ref(), now: here.now };
    let glass = glass(&app, &here, &request).await?;
    let grant = told(&app, &request, here.now).await?;
    let card = Card { grant, glass, ..card(&request, &around, may(&here, &request)) };
    Ok(shown(&CardPage { page: Page::new("/r", Some(&here.viewer), here.now), card }))
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
    let Some(slots) = here.who.slots_for(request, here.now) else {
        return May::Look("Its terms name other people.");
    };
    if !terms.channels.contains(&Channel::Server) {
        return May::Look("Its terms want it decided another way than on this page.");
    }
    let people = behind(here.person(), &slots).unwrap_or_default();
    if request.reviews.iter().any(|review| people.contains(&review.approver)) {
        return May::Look("The person in whose place you may decide has decided already.");
    }
    let assurance = terms.assurance.max(Assurance::SecondPerson);
    May::Decide {
        assurance,
        // A signature says by itself that somebody looked; whoever only clicks also types what the requester sees.
        number: request.number.is_some() && assurance <= Assurance::FreshMfa,
        tries: WRONG_NUMBERS.saturating_sub(request.wrong_numbers),
        standing: if people.len() > 1 { None } else { standing::offer(request) },
        place_of: people.get(1).map(|person| text::escape(person.subject.as_bytes())).unwrap_or_default(),
    }
}

/// What the viewer may do about broken glass.
async fn glass(app: &App, here: &Here, request: &Kept) -> Result<Glass, Failure> {
    let settings = &app.settings.break_glass;
    let reviewers = || settings.reviewers.iter().map(|slot| slot_name(slot)).collect::<Vec<_>>().join(", ");
    if glass_is_broken(request) {
        let Some(owed) = app.store.item(BREAK_GLASS, &request.id, here.now).await? else { return Ok(Glass::None) };
        let other = owed.owner != here.person().named() && request.requester.person.as_ref() != Some(here.person());
        return Ok(if other && here.who.is_of(&settings.reviewers) { Glass::Review } else { Glass::Owed(reviewers()) });
    }
    let terms = &request.submitted.said().terms;
    // It takes a second factor and the number, and gives no more than that.
    let enough = terms.assurance <= Assurance::FreshMfa && request.number.is_some() && terms.channels.contains(&Channel::Server);
    let named = settings.people.contains(&here.person().slot()) && may_break_glass(request, here.person());
    let spoke = request.reviews.iter().any(|review| review.approver == *here.person());
    let may = enough && named && !spoke && request.at(here.now) == Stands::Pending;
    Ok(if may { Glass::Break(reviewers()) } else { Glass::None })
}

/// The last approved request for the same program that the same rules asked about.
async fn earlier(app: &App, here: &Here, request: &Kept) -> Result<Option<Kept>, Failure> {
    let states = vec![Stands::Approved, Stands::Consumed];
    let (alike, before) = (Some(request.submitted.said().alike()), Some(request.id.clone()));
    let approved = app.store.list(Filter { states, alike, before, limit: SEARCHED, ..Filter::default() }).await?;
    Ok(approved.into_iter().find(|other| here.may_see(app, other)))
}

/// What else this requester asked in the last hour, as far as the viewer may see it.
async fn recent(app: &App, here: &Here, request: &Kept) -> Result<Vec<Kept>, Failure> {
    let requester = Some((request.requester.way.clone(), request.requester.name.clone()));
    let all = app.store.list(Filter { requester, limit: 2 * RECENT, ..Filter::default() }).await?;
    let shown = |other: &Kept| other.id != request.id && here.now.saturating_sub(other.created) < LATELY && here.may_see(app, other);
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
        return Err(Failure::Bad(format!("The comment is longer than {LONGEST_COMMENT} bytes.")));
    }
    let now = here.now;
    let slots = here.who.slots_for(&request, now).unwrap_or_default();
    let review = KeptReview { slots, ..here.who.says(Answer::Reject, form.comment.trim().to_owned(), now) };
    keep(&app, &id, review).await?;
    Ok(Redirect::to(&format!("/r/{id}")))
}
