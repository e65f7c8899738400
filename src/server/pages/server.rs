//! What a few people look after for the whole server: the emergency stop, broken glass, hosts, webhooks, the configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answers::{Failure, shown};
use super::here::Here;
use super::html::{ConfigurationView, HostRow, OwedRow, Page, Run, Server};
use super::view::Moment;
use super::words;
use crate::approval::Approver;
use crate::server::api::MOST_DEAD;
use crate::server::app::App;
use crate::server::confirmed;
use crate::server::duties::OwedReview;
use crate::server::hosts::{self, Host};
use crate::server::model::Wall;
use crate::server::store::BREAK_GLASS;
use crate::server::webhook::dead::{self, Dead};
use crate::text;

/// So many hosts are shown.
const MOST_HOSTS: usize = 500;

/// Shows to each of them what they look after.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here) -> Result<Response, Failure> {
    if !here.viewer.serves {
        return Err(Failure::Missing);
    }
    let settings = &app.settings;
    let owed = if here.who.is_of(&settings.break_glass.reviewers) { Some(owed(&app, here.now).await?) } else { None };
    let run = if here.who.is_of(&settings.configuration.administrators) { Some(run(&app, &here).await?) } else { None };
    let page = Page::new("/server", Some(&here.viewer), here.now);
    Ok(shown(&Server { page, stops: here.who.is_of(&settings.stop.people), owed, run }))
}

async fn owed(app: &App, now: Wall) -> Result<Vec<OwedRow>, Failure> {
    let mut rows = Vec::new();
    for owed in app.store.items(BREAK_GLASS, None, now).await?.iter().filter_map(OwedReview::of) {
        let Some(request) = app.store.request(&owed.id).await? else { continue };
        rows.push(OwedRow {
            id: owed.id,
            command: words::in_a_list(&request.submitted.said().argv),
            by: person(&owed.by),
            reason: text::escape(owed.reason.as_bytes()),
            at: Moment::new(owed.at, now),
        });
    }
    Ok(rows)
}

async fn run(app: &App, here: &Here) -> Result<Run, Failure> {
    let mut hosts: Vec<HostRow> = hosts::all(app, here.now).await?.iter().map(|known| host(known, here.now)).collect();
    // What is wrong stands first.
    hosts.sort_by_key(|host| ["forked", "back", "good", "unseen"].iter().position(|class| *class == host.class));
    hosts.truncate(MOST_HOSTS);
    let plain = |text: &str| text::escape(text.as_bytes());
    let dead =
        dead::all(app, here.now, MOST_DEAD).await?.into_iter().map(|dead| Dead { kind: plain(&dead.kind), why: plain(&dead.why), ..dead });
    let [in_force, file] = app.configuration.clone();
    let confirmed = confirmed::by(&*app.store, &file, here.now).await?;
    let configuration = ConfigurationView {
        in_force,
        file,
        mine: confirmed.contains(&here.person().named()),
        confirmed_by: confirmed.iter().map(|who| person(who)).collect(),
    };
    Ok(Run { hosts, dead: dead.collect(), configuration })
}

fn host(host: &Host, now: Wall) -> HostRow {
    let entries = host.entries.unwrap_or_default();
    let (class, stands, about) = match (host.forked, &host.went_back) {
        (Some(forked), _) => (
            "forked",
            "two histories",
            format!(
                "Two histories of its log were seen {}. It is countersigned no more: somebody has to look at that host.",
                text::ago(forked, now)
            ),
        ),
        (None, Some(back)) => (
            "back",
            "went back",
            format!(
                "A checkpoint of {} entries came {}, when there had been {}. The log went back, or somebody sent an old one; it was not countersigned.",
                back.entries,
                text::ago(back.at, now),
                back.were
            ),
        ),
        (None, None) if host.entries.is_some() => ("good", "countersigned", format!("{entries} entries were countersigned.")),
        (None, None) => ("unseen", "not seen yet", "It has not shown its log here.".to_owned()),
    };
    let name = if host.name.is_empty() { host.key.short() } else { format!("{} ({})", host.name, host.key.short()) };
    let whose = if host.person.is_empty() { "nobody's".to_owned() } else { person(&host.person) };
    HostRow { key: text::escape(name.as_bytes()), person: whose, class, stands, about }
}

/// `ISSUER#SUBJECT` as people read it.
pub(super) fn person(named: &str) -> String {
    let read = Approver::parse(named).map_or_else(|| named.to_owned(), |person| person.to_string());
    text::escape(read.as_bytes())
}
