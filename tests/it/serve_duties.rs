//! What a few people may do for a whole server, what requesters are held to, and what is told while a request waits.

use std::time::Duration;

use gate::approval::{Answer, BREAK_GLASS as SLOT, acting_for, sha256};
use gate::policy::{Assurance, Escalation, Terms};
use gate::server::confirmed::{confirm, settle};
use gate::server::model::{KeptReview, State, Wall};
use gate::server::pace::Pace;
use gate::server::rules::{FORBIDDEN, SELF, judge};
use gate::server::settings::Settings;
use gate::server::store::{BREAK_GLASS, Effect, Item, Reviewed, STOP, Sqlite, Store};
use serde_json::{Value, json};

use crate::serve_asked::{SECOND, START, asked, kept, nonce, person, said, terms};
use crate::serving::{Host, Server, Told, host_key};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn sqlite() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("requests.db")).unwrap();
    (dir, store)
}

fn named() -> Terms {
    Terms { approvers: vec!["team:a".to_owned()], break_glass: vec!["person:https://idp.example#1".to_owned()], ..terms() }
}

/// Somebody breaks the glass with a second factor and a reason.
fn breaking(who: &str) -> KeptReview {
    let review = said(&person(who), Answer::Approve, &[SLOT], START + SECOND);
    KeptReview { assurance: Assurance::FreshMfa, comment: "the site is down".to_owned(), ..review }
}

#[test]
fn named_people_break_the_glass_alone_with_a_second_factor_and_a_reason_and_never_for_themselves() {
    let mut request = kept("req_1", &asked(1, named()), 1, START);
    assert!(matches!(judge(&request, &breaking("1")), Effect::Approved { .. }));
    assert!(matches!(judge(&request, &breaking("2")), Effect::Refused(FORBIDDEN)), "whom the terms do not name");
    let weak = KeptReview { assurance: Assurance::SecondPerson, ..breaking("1") };
    assert!(matches!(judge(&request, &weak), Effect::Refused(_)));
    let silent = KeptReview { comment: " ".to_owned(), ..breaking("1") };
    assert!(matches!(judge(&request, &silent), Effect::Refused(_)));
    request.requester.person = Some(person("1"));
    assert!(matches!(judge(&request, &breaking("1")), Effect::Refused(SELF)));
    // Terms above it keep their assurance.
    let sure = kept("req_2", &asked(2, Terms { assurance: Assurance::Passkey, ..named() }), 1, START);
    assert!(matches!(judge(&sure, &breaking("1")), Effect::Refused(_)));
}

#[test]
fn a_review_of_broken_glass_is_owed_from_the_moment_on_at_which_it_was_broken() {
    let (_dir, store) = sqlite();
    run(async {
        store.create(kept("req_1", &asked(1, named()), 1, START)).await.unwrap();
        let reviewed = store.review("req_1", breaking("1"), Box::new(judge)).await.unwrap();
        assert!(matches!(reviewed, Reviewed::Kept(request) if request.state == State::Approved));
        let owed = store.items(BREAK_GLASS, None, START).await.unwrap();
        assert_eq!((owed.len(), owed[0].owner.as_str()), (1, "https://idp.example#1"));
        let events = store.events(0, 10).await.unwrap();
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["request.created", "break_glass.used", "request.approved"]);
        assert_eq!(events[1].data["reason"], "the site is down");
    });
}

#[test]
fn whoever_decides_for_another_uses_up_both_their_says() {
    let two = Terms { approvers: vec!["team:a".to_owned()], threshold: 2, ..terms() };
    let mut request = kept("req_1", &asked(1, two), 1, START);
    let for_two = acting_for(&person("2"));
    let delegate = said(&person("3"), Answer::Approve, &["team:a", &for_two], START);
    assert!(matches!(judge(&request, &delegate), Effect::Waits));
    request.reviews.push(delegate);
    let by = |who: &str, slots: &[&str]| judge(&request, &said(&person(who), Answer::Approve, slots, START));
    assert!(matches!(by("2", &["team:a"]), Effect::Refused(FORBIDDEN)), "the delegator has spoken");
    assert!(matches!(by("4", &["team:a", &for_two]), Effect::Refused(FORBIDDEN)), "so has their other delegate");
    assert!(matches!(by("4", &["team:a", &acting_for(&person("requester"))]), Effect::Refused(SELF)));
    assert!(matches!(by("4", &["team:a", &acting_for(&person("5")), &acting_for(&person("6"))]), Effect::Refused(FORBIDDEN)), "two hands");
    assert!(matches!(by("4", &["team:a"]), Effect::Approved { .. }));
}

#[test]
fn a_changed_configuration_is_in_force_once_two_administrators_of_the_old_one_confirmed_it() {
    let (_dir, store) = sqlite();
    let file = |who: &[&str], more: &str| {
        let people: Vec<String> = who.iter().map(|who| format!("\"person:https://idp.example#{who}\"")).collect();
        format!("url = \"https://gate.example\"\nstate = \"/state\"\n{more}[configuration]\nadministrators = [{}]\n", people.join(", "))
    };
    run(async {
        let first = file(&["1", "2", "3"], "");
        assert_eq!(settle(&store, &first, START).await.unwrap().text, first, "the first start takes it");
        // Whoever writes the file cannot name the administrators who confirm it.
        let changed = file(&["9"], "");
        let digest = gate::text::hex(&sha256(changed.as_bytes()));
        for who in ["9", "1", "1"] {
            confirm(&store, &digest, &person(who), START).await.unwrap();
            let settled = settle(&store, &changed, START + SECOND).await.unwrap();
            assert_eq!(settled.text, first);
            assert_eq!(settled.digests, [gate::text::hex(&sha256(first.as_bytes())), digest.clone()]);
        }
        confirm(&store, &digest, &person("2"), START).await.unwrap();
        assert_eq!(settle(&store, &changed, START + SECOND).await.unwrap().text, changed);
        // One administrator is enough while there is only one, and needed.
        let again = file(&["9"], "listen = \"127.0.0.1:1\"\n");
        assert_eq!(settle(&store, &again, START + SECOND).await.unwrap().text, changed);
        confirm(&store, &gate::text::hex(&sha256(again.as_bytes())), &person("9"), START).await.unwrap();
        assert_eq!(settle(&store, &again, START + SECOND).await.unwrap().text, again);
        let events = store.events(0, 100).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.kind == "config.confirmed").count(), 4);
        assert!(events.iter().filter(|event| event.kind == "config.loaded").all(|event| event.data["digest"].is_string()));
    });
}

#[test]
fn a_requester_asks_as_often_as_the_pace_lets_and_no_other_one_pays_for_it() {
    let pace = Pace::default();
    for _ in 0..3 {
        pace.ask("host", "a", 3, START).unwrap();
    }
    assert_eq!(pace.ask("host", "a", 3, START).unwrap_err(), Duration::from_secs(20));
    pace.ask("host", "b", 3, START).unwrap();
    pace.ask("host", "a", 3, START + 20 * SECOND).unwrap();
    assert!(pace.ask("host", "a", 3, START + 20 * SECOND).is_err());
    (0..100).for_each(|_| pace.ask("host", "c", 0, START).unwrap());
}

#[test]
fn settings_name_people_and_slots_that_are_there() {
    let parse = |more: &str| Settings::parse(&format!("url = \"https://gate.example\"\nstate = \"/state\"\n{more}")).map(drop);
    parse("[teams]\na = []\n[stop]\npeople = [\"team:a\"]\n[break_glass]\npeople = [\"person:i#s\"]\nreviewers = [\"team:a\"]\n").unwrap();
    for (wrong, said) in [
        ("[stop]\npeople = [\"team:none\"]\n", "team:none"),
        ("[break_glass]\npeople = [\"team:a\"]\n", "team:a"),
        ("[break_glass]\npeople = [\"person:i#s\"]\n", "reviewers"),
        ("[configuration]\nadministrators = [\"team:a\"]\n", "team:a"),
        ("[requests]\nreminders = [\"1m\", \"2m\", \"3m\"]\n", "two at most"),
        ("[requests]\nafter_rejected = \"soon\"\n", "duration"),
        ("[requests]\nunknown = 1\n", "unknown"),
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

/// A server that knows one host, and the host.
fn serving(more: &str) -> (Server, Host) {
    let key = host_key("gate.local/h");
    let server = Server::start(&format!("{more}[[host]]\nkey = \"{}\"\nperson = \"https://idp.example#requester\"\n", key.0));
    let host = server.host(key);
    (server, host)
}

fn ask(host: &Host, number: u32, terms: Terms) -> Told {
    let value: Value = serde_json::from_str(asked(number, terms).text()).unwrap();
    let key = gate::approval::Submitted::read(&value).unwrap().key();
    let body = json!({ "approval_request": value, "client_nonce_sha256": gate::text::hex(&sha256(&nonce(number))) });
    host.call("POST", "/v1/requests", &[("idempotency-key", &format!("\"{key}\""))], Some(&body))
}

#[test]
fn whoever_asks_too_much_or_too_soon_again_is_told_when() {
    let (_server, host) = serving("[requests]\nwaiting = 2\nper_minute = 5\nafter_cancelled = \"1h\"\n");
    let first = ask(&host, 1, terms());
    assert_eq!((first.status, &first.body["asked_before"]), (201, &json!(0)));
    assert_eq!(ask(&host, 2, terms()).status, 201);
    let third = ask(&host, 3, terms());
    assert_eq!((third.status, &third.body["type"]), (429, &json!("/problems/rate-limited")));
    host.call("DELETE", &format!("/v1/requests/{}", first.body["id"].as_str().unwrap()), &[], None);
    let again = ask(&host, 1, terms());
    assert_eq!(again.status, 429);
    assert!(again.body["detail"].as_str().unwrap().contains("a moment ago"));
    assert_eq!(ask(&host, 3, terms()).status, 201);
    let sixth = ask(&host, 4, terms());
    assert_eq!(sixth.status, 429);
    assert!(sixth.body["detail"].as_str().unwrap().contains("too often"));
}

#[test]
fn the_same_asked_again_says_so() {
    let (_server, host) = serving("");
    let first = ask(&host, 1, terms());
    let id = first.body["id"].as_str().unwrap();
    host.call("DELETE", &format!("/v1/requests/{id}"), &[], None);
    let again = ask(&host, 1, terms());
    assert_eq!((again.status, &again.body["asked_before"], &again.body["before"]), (201, &json!(1), &json!(id)));
}

#[test]
fn a_stop_outlives_a_killed_server() {
    let (mut server, host) = serving("");
    let id = ask(&host, 1, terms()).body["id"].as_str().unwrap().to_owned();
    let beside = Sqlite::open(&server.state().join("requests.db")).unwrap();
    let stop = Item {
        kind: STOP,
        key: String::new(),
        owner: "https://idp.example#9".to_owned(),
        handle: String::new(),
        data: json!({ "reason": "leak", "since": START, "lifted_by": [] }).to_string(),
        expires: Wall::MAX,
    };
    let review = KeptReview { comment: "emergency stop: leak".to_owned(), ..said(&person("9"), Answer::Reject, &[], START) };
    assert_eq!(run(beside.stop(stop, review)).unwrap().unwrap(), std::slice::from_ref(&id));
    server.kill_and_restart();
    let told = ask(&host, 2, terms());
    assert_eq!((told.status, &told.body["type"]), (503, &json!("/problems/stopped")));
    let now = host.call("GET", &format!("/v1/requests/{id}"), &[], None);
    assert_eq!((&now.body["state"], &now.body["reviews"][0]["comment"]), (&json!("rejected"), &json!("emergency stop: leak")));
    let stands = host.call("GET", "/v1/stop", &[], None);
    assert_eq!((&stands.body["stopped"], &stands.body["reason"]), (&json!(true), &json!("leak")));
    assert_eq!(host.call("GET", "/readyz", &[], None).body["stopped"], true);
    // A host is no person.
    assert_eq!(host.call("POST", "/v1/stop", &[], Some(&json!({ "reason": "x" }))).status, 401);
    assert_eq!(host.call("POST", "/v1/stop/lift", &[], None).status, 401);
}

#[test]
fn whoever_is_asked_later_is_told_when_their_time_comes() {
    let (server, host) = serving("[requests]\nreminders = [\"1s\"]\n");
    let step = Escalation { after: Duration::from_secs(1), approvers: vec!["team:later".to_owned()] };
    let told = ask(&host, 1, Terms { approvers: vec!["team:a".to_owned()], escalate: vec![step], ..terms() });
    assert_eq!((&told.body["asked_now"], &told.body["escalation"][0]["approvers"]), (&json!(["team:a"]), &json!(["team:later"])));
    let path = format!("/v1/requests/{}", told.body["id"].as_str().unwrap());
    let mut tag = told.tag.unwrap();
    let mut now = told.body;
    while now["version"] != 3 {
        let next = host.call("GET", &format!("{path}?wait=25"), &[("if-none-match", &tag)], None);
        assert_eq!(next.status, 200, "{next:?}");
        (tag, now) = (next.tag.unwrap(), next.body);
    }
    assert_eq!(now["asked_now"], json!(["team:a", "team:later"]));
    let beside = Sqlite::open(&server.state().join("requests.db")).unwrap();
    let events = run(beside.events(0, 100)).unwrap();
    let told: Vec<&str> = events.iter().filter(|event| event.request.is_some()).map(|event| event.kind.as_str()).collect();
    assert_eq!(told, ["request.created", "request.escalated", "request.reminder"]);
}
