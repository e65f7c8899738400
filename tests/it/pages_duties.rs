//! What a few people may do for a whole server, on its pages in a real browser: stop it, break the glass, decide for each other, look after it.

use std::sync::Arc;

use gate::approval::{Answer, BREAK_GLASS as SLOT};
use gate::policy::Assurance;
use gate::record::Asked;
use gate::server::app::request_id;
use gate::server::metrics::Metrics;
use gate::server::model::{Due, Kept, KeptReview, Plan, State, Telling};
use gate::server::rules::judge;
use gate::server::stop::stop;
use gate::server::store::Item;
use gate::server::{hosts, webhook, witness};
use serde_json::json;

use crate::identity_support::{now, runtime};
use crate::pages_flows::{Site, by};
use crate::pages_samples::{SECOND, review};
use crate::serve_webhooks::Taker;
use crate::serve_witness::Log;
use crate::world::World;

#[test]
fn everything_is_stopped_by_one_in_words_told_on_every_page_and_lifted_by_two() {
    let site = Site::with("[stop]\npeople = [\"person:ISSUER#alice\", \"person:ISSUER#bob\"]\n");
    let id = site.ask(&json!({ "terms": by("team:security", "second-person") }));
    site.walk("stop", &[&id]);
    assert_eq!(site.request(&id).state, State::Rejected);
    assert_eq!(site.kinds("stop."), ["stop.begun", "stop.lifting", "stop.lifted"]);
}

#[test]
fn the_glass_is_broken_for_a_reason_with_a_second_factor_and_looked_at_by_others() {
    let site = Site::with("[break_glass]\npeople = [\"person:ISSUER#carol\"]\nreviewers = [\"team:sre\"]\n");
    let mut terms = by("team:sre", "second-person");
    terms["break_glass"] = json!([site.person("carol").slot()]);
    let id = site.ask(&json!({ "terms": terms }));
    site.walk("glass", &[&id]);
    let request = site.request(&id);
    let review = &request.reviews[0];
    assert_eq!(
        (request.state, review.assurance, review.slots.as_slice()),
        (State::Approved, Assurance::FreshMfa, [SLOT.to_owned()].as_slice())
    );
    assert_eq!((review.approver.subject.as_str(), review.comment.as_str()), ("carol", "the site is down"));
    assert_eq!(site.kinds("break_glass."), ["break_glass.used", "break_glass.reviewed"]);
}

#[test]
fn somebody_decides_in_anothers_place_until_that_is_ended() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:security", "second-person") }));
    site.walk("place", &[&id]);
    let request = site.request(&id);
    assert_eq!((request.state, request.reviews[0].approver.subject.as_str()), (State::Approved, "alice"));
    assert_eq!(site.kinds("delegation."), ["delegation.made", "delegation.revoked"]);
}

#[test]
fn administrators_see_hosts_whose_logs_went_wrong_and_send_webhooks_again_that_never_arrived() {
    let world = World::new();
    let (taker, logs) = (Taker::new(&[]), ["gate.test/good", "gate.test/back", "gate.test/forked"].map(Log::of));
    let hosts: String = logs.iter().map(|log| log.host.section()).collect();
    let more = format!(
        "{}{hosts}[configuration]\nadministrators = [\"person:ISSUER#alice\"]\n",
        taker.section(&world, "kinds = [\"request.created\"]\n")
    );
    let site = Site::with(&more);
    let [good, back, forked] = &logs;
    let asks = [
        good.grown("a", 2).asks(0),
        back.grown("a", 6).asks(0),
        back.grown("a", 4).asks(4),
        forked.grown("a", 3).asks(0),
        forked.grown("b", 3).asks(3),
    ];
    for ask in asks {
        let _ = runtime().block_on(witness::countersign(&site.app, &Asked::parse(ask.as_bytes()).unwrap(), None)).unwrap();
    }
    let known = runtime().block_on(hosts::all(&site.app, now())).unwrap();
    let stands: Vec<_> =
        known.iter().map(|host| (host.entries, host.forked.is_some(), host.went_back.map(|back| (back.entries, back.were)))).collect();
    assert_eq!(stands, [(Some(2), false, None), (Some(6), false, Some((4, 6))), (Some(3), true, None)]);

    site.ask(&json!({ "terms": by("team:sre", "second-person") }));
    let asked =
        runtime().block_on(site.app.store.events(0, 100)).unwrap().into_iter().find(|event| event.kind == "request.created").unwrap().seq;
    let (stopper, stopped) = stop();
    let metrics = Arc::new(Metrics::default());
    let running = runtime().block_on(webhook::start(&site.app, &metrics, &stopped)).unwrap();
    let dead = json!({ "event": asked, "kind": "request.created", "tries": 10, "why": "answered 500" }).to_string();
    let key = format!("hook/{asked:020}");
    let item = Item { kind: "webhook_dead", key, owner: "hook".to_owned(), handle: String::new(), data: dead, expires: i64::MAX };
    runtime().block_on(site.app.store.put(item)).unwrap();
    site.walk("lists", &[]);
    assert_eq!(taker.next().headers["webhook-id"], format!("evt_{asked}").as_str());
    stopper.stop();
    runtime().block_on(running.join_all());
    assert_eq!(site.kinds("webhook."), ["webhook.retried"]);
    assert_eq!(site.kinds("config."), ["config.confirmed"]);
}

#[test]
fn whoever_is_asked_again_sees_how_it_ended_and_who_is_asked_later() {
    let site = Site::new();
    let mut terms = by("team:payments", "second-person");
    terms["escalate"] = json!([{ "after_s": 600, "approvers": ["team:security"] }]);
    let first = site.ask(&json!({ "terms": terms }));
    let rejected = KeptReview {
        approver: site.person("alice"),
        name: "Alice Archer".to_owned(),
        at: now(),
        ..review("alice", Answer::Reject, "team:payments", "not before monday")
    };
    runtime().block_on(site.app.store.review(&first, rejected, Box::new(judge))).unwrap();
    let again = site.request(&first);
    let plan = Plan { due: vec![Due { at: now() + 300 * SECOND, what: Telling::Reminder }], ..Plan::default() };
    let id = request_id(now()).unwrap();
    let fresh = Kept { id: id.clone(), state: State::Pending, decided: None, reviews: Vec::new(), plan, created: now(), ..again };
    site.keep(fresh);
    assert_eq!(site.request(&id).plan.before.as_deref(), Some(first.as_str()));
    site.walk("again", &[&id]);
}
