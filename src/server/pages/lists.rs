//! The pages that list: what waits, what is over, who may decide.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::answers::{Failure, shown};
use super::fill::row;
use super::here::Here;
use super::html::{History, Inbox, Page, People, Team};
use super::standing;
use super::view::{Field, Row};
use crate::approval::{Approver, behind};
use crate::server::app::App;
use crate::server::model::{Kept, State as Stands};
use crate::server::store::{BREAK_GLASS, Filter};
use crate::text;

/// Requests on one page.
const ROWS: usize = 50;

/// How often the store is asked for one page, where most requests are not the viewer's to see.
const BATCHES: usize = 8;

/// Where a page of a list begins.
#[derive(Deserialize)]
pub(super) struct From {
    before: Option<String>,
}

/// What waits.
pub(super) async fn inbox(State(app): State<Arc<App>>, here: Here, Query(from): Query<From>) -> Result<Response, Failure> {
    let (requests, next) = listed(&app, &here, &[Stands::Pending], from.before).await?;
    let waits = requests.iter().filter(|request| request.at(here.now) == Stands::Pending);
    let rows = waits.map(|request| row(request, here.now, note(&here, request))).collect();
    let owed =
        if here.who.is_of(&app.settings.break_glass.reviewers) { app.store.items(BREAK_GLASS, None, here.now).await?.len() } else { 0 };
    Ok(shown(&Inbox { page: Page::new("/inbox", Some(&here.viewer), here.now), rows, next, owed }))
}

fn note(here: &Here, request: &Kept) -> String {
    if request.requester.person.as_ref() == Some(here.person()) {
        return "your own request".to_owned();
    }
    if request.reviews.iter().any(|review| review.approver == *here.person()) {
        return "you approved, it waits for others".to_owned();
    }
    let slots = here.who.slots_for(request, here.now).unwrap_or_default();
    match behind(here.person(), &slots).as_deref() {
        Some([_, person]) => format!("in the place of {}", text::escape(person.subject.as_bytes())),
        _ => String::new(),
    }
}

/// What is over.
pub(super) async fn history(State(app): State<Arc<App>>, here: Here, Query(from): Query<From>) -> Result<Response, Failure> {
    let over: Vec<Stands> = Stands::ALL.into_iter().filter(|state| *state != Stands::Pending).collect();
    let (requests, next) = listed(&app, &here, &over, from.before).await?;
    let rows: Vec<Row> = requests.iter().map(|request| row(request, here.now, standing::note(request))).collect();
    Ok(shown(&History { page: Page::new("/history", Some(&here.viewer), here.now), rows, next }))
}

/// Requests that the viewer may see, the newest first, and where the next page begins.
async fn listed(app: &App, here: &Here, states: &[Stands], mut before: Option<String>) -> Result<(Vec<Kept>, Option<String>), Failure> {
    let mut found: Vec<Kept> = Vec::new();
    for _ in 0..BATCHES {
        let limit = ROWS - found.len();
        let batch = app.store.list(Filter { states: states.to_vec(), before: before.clone(), limit, ..Filter::default() }).await?;
        let more = batch.len() == limit;
        before = batch.last().map(|request| request.id.clone()).filter(|_| more);
        found.extend(batch.into_iter().filter(|request| here.may_see(app, request)));
        if before.is_none() || found.len() == ROWS {
            break;
        }
    }
    Ok((found, before))
}

/// Who may decide.
pub(super) async fn people(State(app): State<Arc<App>>, here: Here) -> Response {
    let team = |(name, members): (&String, &Vec<String>)| Team {
        mine: here.who.slots.iter().any(|slot| slot.strip_prefix("team:") == Some(name)),
        name: text::escape(name.as_bytes()),
        members: members.iter().map(|member| self::member(member)).collect(),
    };
    let teams = app.settings.teams.iter().map(team).collect();
    shown(&People { page: Page::new("/people", Some(&here.viewer), here.now), teams })
}

/// `group:ISSUERNAME:GROUP` or `person:ISSUER#SUBJECT` as people read it.
fn member(member: &str) -> Field {
    let plain = |text: &str| text::escape(text.as_bytes());
    let group = member.strip_prefix("group:").and_then(|rest| rest.split_once(':'));
    let person = Approver::of_slot(member);
    match (group, person) {
        (Some((issuer, group)), _) => Field { name: format!("group {}", plain(group)), is: format!("of {}", plain(issuer)) },
        (_, Some(person)) => Field { name: plain(&person.subject), is: format!("at {}", plain(&person.issuer)) },
        _ => Field { name: plain(member), is: String::new() },
    }
}
