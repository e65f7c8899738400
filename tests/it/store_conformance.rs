//! What every store of the server has to hold to. Each law takes any store, so that another database is held to the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gate::approval::Answer;
use gate::server::model::{Event, Kept, KeptReview, State, Wall};
use gate::server::rules::{cancelling, consuming, judge};
use gate::server::store::{Amended, Changed, Created, Filter, Item, Limits, Reviewed, STOP, Sqlite, Store};
use serde_json::json;

use crate::serve_asked::{SECOND, START, asked, kept, nonce, person, said, terms};
use crate::serving::{Server, host_key};

/// A new store in a directory of its own.
fn sqlite() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("requests.db")).unwrap();
    (dir, store)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(work)
}

fn request(number: u32, at: Wall) -> Kept {
    kept(format!("req_{number:05}"), &asked(number, terms()), number, at)
}

fn approval(subject: &str, at: Wall) -> KeptReview {
    said(&person(subject), Answer::Approve, &[], at)
}

async fn events(store: &dyn Store) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let next = store.events(all.last().map_or(0, |event| event.seq), 500).await.unwrap();
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

/// Every change of a request has one event, in the order of the changes.
async fn each_version_has_its_event(store: &dyn Store) {
    let all = events(store).await;
    for request in store.list(Filter { limit: 10_000, ..Filter::default() }).await.unwrap() {
        let told = all.iter().filter(|event| event.request.as_deref() == Some(&request.id)).count();
        assert_eq!(u64::try_from(told).unwrap(), request.version, "{} in {all:#?}", request.id);
    }
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

async fn a_key_is_taken_while_its_request_waits(store: &dyn Store) {
    let first = request(1, START);
    assert!(matches!(store.create(first.clone()).await.unwrap(), Created::New(_)));
    let again = store.create(Kept { id: "req_again".to_owned(), ..first.clone() }).await.unwrap();
    assert!(matches!(again, Created::Again(found) if found.id == first.id));
    let other_run = Kept { id: "req_other".to_owned(), client_nonce_sha256: [9; 32], ..first.clone() };
    assert!(matches!(store.create(other_run).await.unwrap(), Created::New(_)));
    assert_eq!(store.request(&first.id).await.unwrap().unwrap().state, State::Cancelled);
    // Another requester has keys of their own.
    let mut theirs = Kept { id: "req_theirs".to_owned(), ..first };
    "another".clone_into(&mut theirs.requester.name);
    assert!(matches!(store.create(theirs).await.unwrap(), Created::New(_)));
    each_version_has_its_event(store).await;
}

async fn of_many_deciders_one_wins(store: Arc<dyn Store>) {
    for number in 0..40 {
        store.create(request(number, START)).await.unwrap();
    }
    let mut deciders = Vec::new();
    for number in 0..40_u32 {
        for who in 0..10_u32 {
            let store = Arc::clone(&store);
            deciders.push(tokio::spawn(async move {
                let answer = if who % 2 == 0 { Answer::Approve } else { Answer::Reject };
                let review = said(&person(who.to_string()), answer, &[], START + SECOND);
                let id = format!("req_{number:05}");
                matches!(store.review(&id, review, Box::new(judge)).await.unwrap(), Reviewed::Kept(_)).then_some(number)
            }));
        }
    }
    let mut winners = Vec::new();
    for decider in deciders {
        winners.extend(decider.await.unwrap());
    }
    winners.sort_unstable();
    assert_eq!(winners, (0..40).collect::<Vec<_>>(), "one winner each");
    let mut users = Vec::new();
    for number in 0..40_u32 {
        for _ in 0..10 {
            let store = Arc::clone(&store);
            let using = consuming(gate::approval::sha256(&nonce(number)), START + 2 * SECOND);
            let id = format!("req_{number:05}");
            users.push(tokio::spawn(async move { matches!(store.change(&id, START + 2 * SECOND, using).await.unwrap(), Changed::To(_)) }));
        }
    }
    let mut used = 0;
    for user in users {
        used += usize::from(user.await.unwrap());
    }
    let consumed = store.list(Filter { states: vec![State::Consumed], limit: 100, ..Filter::default() }).await.unwrap();
    assert_eq!(used, consumed.len());
    assert!(consumed.iter().all(|request| request.reviews.len() == 1 && request.reviews[0].answer == Answer::Approve));
    each_version_has_its_event(&*store).await;
}

async fn nobody_reviews_twice_or_late(store: &dyn Store) {
    let mut two = asked(1, gate::policy::Terms { threshold: 2, ..terms() });
    two = gate::approval::ApprovalRequest::new(two.request().clone(), two.asked().clone(), [1; 16], two.created(), String::new());
    let request = kept("req_1", &two, 1, START);
    let expires = request.expires;
    store.create(request).await.unwrap();
    let review = |who, at| store.review("req_1", approval(who, at), Box::new(judge));
    assert!(matches!(review("1", START).await.unwrap(), Reviewed::Kept(now) if now.state == State::Pending));
    assert!(matches!(review("1", START).await.unwrap(), Reviewed::Late(_)));
    assert!(matches!(review("requester", START).await.unwrap(), Reviewed::Refused(_)));
    assert!(matches!(review("2", expires).await.unwrap(), Reviewed::Late(now) if now.state == State::Pending));
    assert_eq!(store.expire(expires, 10).await.unwrap(), ["req_1"]);
    assert!(matches!(review("2", START).await.unwrap(), Reviewed::Late(now) if now.state == State::Expired));
    assert!(matches!(store.review("req_none", approval("1", START), Box::new(judge)).await.unwrap(), Reviewed::Missing));
    each_version_has_its_event(store).await;
}

async fn a_key_rests_after_it_was_decided(store: &dyn Store) {
    let limits = Limits { rejected: Duration::from_secs(30), waiting: 2, ..Limits::default() };
    let ask = |number, id: &str, at| store.create_within(Kept { id: id.to_owned(), ..request(number, at) }, limits);
    ask(1, "req_1", START).await.unwrap();
    store.review("req_1", said(&person("1"), Answer::Reject, &[], START + SECOND), Box::new(judge)).await.unwrap();
    let cooling = ask(1, "req_2", START + 2 * SECOND).await.unwrap();
    assert!(matches!(cooling, Created::Cooling(until) if until == START + 31 * SECOND), "{cooling:?}");
    let Created::New(again) = ask(1, "req_3", START + 31 * SECOND).await.unwrap() else { panic!("it is free again") };
    assert_eq!((again.plan.asked_before, again.plan.before.as_deref()), (1, Some("req_1")));
    assert_eq!(store.request("req_3").await.unwrap().unwrap().plan, again.plan);
    // Giving up costs no rest here.
    store.change("req_3", START + 32 * SECOND, cancelling(START + 32 * SECOND)).await.unwrap();
    let Created::New(third) = ask(1, "req_4", START + 32 * SECOND).await.unwrap() else { panic!("it is free again") };
    assert_eq!(third.plan.asked_before, 2);
    assert!(matches!(ask(2, "req_5", START + 33 * SECOND).await.unwrap(), Created::New(_)));
    assert!(matches!(ask(3, "req_6", START + 33 * SECOND).await.unwrap(), Created::TooMany));
    // Whoever asks the same again is told how it stands, however many wait.
    assert!(matches!(ask(2, "req_7", START + 33 * SECOND).await.unwrap(), Created::Again(_)));
    // What ran out waits no longer.
    assert!(matches!(ask(3, "req_8", third.expires + 2 * SECOND).await.unwrap(), Created::New(_)));
}

async fn a_stop_leaves_nothing_to_approve_or_use(store: &dyn Store) {
    for number in 0..3 {
        store.create(request(number, START)).await.unwrap();
    }
    store.review("req_00001", approval("1", START), Box::new(judge)).await.unwrap();
    let stop = Item {
        kind: STOP,
        key: String::new(),
        owner: "https://idp.example#9".to_owned(),
        handle: String::new(),
        data: "{}".to_owned(),
        expires: Wall::MAX,
    };
    let review = KeptReview { comment: "emergency stop: leak".to_owned(), ..said(&person("9"), Answer::Reject, &[], START + SECOND) };
    let stopped = store.stop(stop.clone(), review.clone()).await.unwrap().unwrap();
    assert_eq!(stopped.len(), 3);
    assert_eq!(store.stop(stop, review).await.unwrap(), None, "it stands already");
    for number in 0..3_u32 {
        let id = format!("req_{number:05}");
        let now = store.request(&id).await.unwrap().unwrap();
        assert_eq!((now.state, now.reviews.last().unwrap().answer), (State::Rejected, Answer::Reject));
        assert!(matches!(store.review(&id, approval("2", START), Box::new(judge)).await.unwrap(), Reviewed::Late(_)));
        let used = store.change(&id, START, consuming(gate::approval::sha256(&nonce(number)), START)).await.unwrap();
        assert!(matches!(used, Changed::Not(_)));
    }
    assert!(matches!(store.create(request(7, START)).await.unwrap(), Created::Stopped));
    let lift = |_: Option<&Item>| Some(Amended { item: None, kind: "stop.lifted", data: json!({}) });
    assert_eq!(store.amend(STOP, "", START + SECOND, Box::new(lift)).await.unwrap(), (true, None));
    assert!(matches!(store.create(request(7, START)).await.unwrap(), Created::New(_)));
    each_version_has_its_event(store).await;
}

async fn items_are_taken_once_and_run_out(store: Arc<dyn Store>) {
    let item = |key: &str, expires| Item {
        kind: "test",
        key: key.to_owned(),
        owner: "o".to_owned(),
        handle: "h".to_owned(),
        data: "{}".to_owned(),
        expires,
    };
    assert!(store.put_new(item("a", START + 10), START).await.unwrap());
    assert!(!store.put_new(item("a", START + 10), START + 9).await.unwrap());
    assert!(store.put_new(item("a", START + 20), START + 10).await.unwrap());
    let mut takers = Vec::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        takers.push(tokio::spawn(async move { store.take("test", "a", START).await.unwrap() }));
    }
    let mut took = 0;
    for taker in takers {
        took += usize::from(taker.await.unwrap().is_some());
    }
    assert_eq!(took, 1);
    store.put(item("b", START + 5)).await.unwrap();
    assert_eq!(store.item("test", "b", START + 5).await.unwrap(), None);
    assert_eq!(store.items("test", Some("o"), START).await.unwrap().len(), 1);
    assert_eq!(store.drop_items("test", "o", Some("other")).await.unwrap(), 0);
    assert_eq!(store.sweep(START + 5).await.unwrap(), 1);
    store.advance("reader", 7).await.unwrap();
    store.advance("reader", 3).await.unwrap();
    assert_eq!(store.cursor("reader").await.unwrap(), 7, "a reader never goes back");
}

async fn an_item_and_the_event_that_tells_of_it_come_together(store: Arc<dyn Store>) {
    let add = |found: Option<&Item>| {
        let count = found.map_or(0, |item| item.data.parse::<u32>().unwrap()) + 1;
        let item = Item {
            kind: "test",
            key: "k".to_owned(),
            owner: String::new(),
            handle: String::new(),
            data: count.to_string(),
            expires: Wall::MAX,
        };
        (count <= 50).then(|| Amended { item: Some(item), kind: "test.counted", data: json!({ "count": count }) })
    };
    let mut counting = Vec::new();
    for _ in 0..60 {
        let store = Arc::clone(&store);
        counting.push(tokio::spawn(async move { store.amend("test", "k", START, Box::new(add)).await.unwrap().0 }));
    }
    let mut counted = 0;
    for one in counting {
        counted += usize::from(one.await.unwrap());
    }
    assert_eq!(counted, 50);
    assert_eq!(store.item("test", "k", START).await.unwrap().unwrap().data, "50");
    let told: BTreeSet<u64> = events(&*store).await.iter().map(|event| event.data["count"].as_u64().unwrap()).collect();
    assert_eq!(told.len(), 50);
}

#[test]
fn a_key_is_taken_while_its_request_waits_in_sqlite() {
    let (_dir, store) = sqlite();
    run(a_key_is_taken_while_its_request_waits(&store));
}

#[test]
fn of_many_deciders_of_many_requests_one_wins_each_in_sqlite() {
    let (_dir, store) = sqlite();
    run(of_many_deciders_one_wins(Arc::new(store)));
}

#[test]
fn nobody_reviews_twice_or_late_in_sqlite() {
    let (_dir, store) = sqlite();
    run(nobody_reviews_twice_or_late(&store));
}

#[test]
fn a_key_rests_after_it_was_decided_in_sqlite() {
    let (_dir, store) = sqlite();
    run(a_key_rests_after_it_was_decided(&store));
}

#[test]
fn a_stop_leaves_nothing_to_approve_or_use_in_sqlite() {
    let (_dir, store) = sqlite();
    run(a_stop_leaves_nothing_to_approve_or_use(&store));
}

#[test]
fn items_are_taken_once_and_run_out_in_sqlite() {
    let (_dir, store) = sqlite();
    run(items_are_taken_once_and_run_out(Arc::new(store)));
}

#[test]
fn an_item_and_the_event_that_tells_of_it_come_together_in_sqlite() {
    let (_dir, store) = sqlite();
    run(an_item_and_the_event_that_tells_of_it_come_together(Arc::new(store)));
}

/// Requests of one program and the same asking rules, and one of another program.
async fn alike_are_found_among_others(store: &dyn Store) {
    let other = |number: u32| {
        let mut told: serde_json::Value = serde_json::from_str(asked(number, terms()).text()).unwrap();
        told["program"]["path"] = "/usr/bin/other".into();
        Kept { submitted: gate::approval::Submitted::read(&told).unwrap(), ..request(number, START) }
    };
    for number in 0..30 {
        store.create(if number % 3 == 0 { other(number) } else { request(number, START) }).await.unwrap();
    }
    for number in [1, 2, 3, 4, 9] {
        store.review(&format!("req_{number:05}"), approval("1", START), Box::new(judge)).await.unwrap();
    }
    let alike = |kept: &Kept| Some(kept.submitted.said().alike());
    assert_ne!(alike(&other(0)), alike(&request(0, START)));
    let listed = async |alike, before: Option<&str>| {
        let filter = Filter {
            states: vec![State::Approved, State::Consumed],
            alike,
            before: before.map(str::to_owned),
            limit: 3,
            ..Filter::default()
        };
        store.list(filter).await.unwrap().into_iter().map(|kept| kept.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(alike(&request(0, START)), None).await, ["req_00004", "req_00002", "req_00001"]);
    assert_eq!(listed(alike(&request(0, START)), Some("req_00004")).await, ["req_00002", "req_00001"]);
    assert_eq!(listed(alike(&other(0)), None).await, ["req_00009", "req_00003"]);
    assert_eq!(listed(None, None).await, ["req_00009", "req_00004", "req_00003"]);
}

#[test]
fn similar_requests_are_found_among_others() {
    let (_dir, store) = sqlite();
    run(alike_are_found_among_others(&store));
}

#[test]
fn one_callers_failure_undoes_nothing_of_those_who_shared_its_commit() {
    let (_dir, store) = sqlite();
    let store: Arc<dyn Store> = Arc::new(store);
    run(async {
        let mut callers = Vec::new();
        for number in 0..200_u32 {
            let store = Arc::clone(&store);
            // Every other one has an id that is taken.
            let id = format!("req_{:05}", if number % 2 == 0 { number } else { 0 });
            callers.push(tokio::spawn(async move { (number, store.create(Kept { id, ..request(number, START) }).await.is_ok()) }));
        }
        for caller in callers {
            let (number, created) = caller.await.unwrap();
            assert!(created || number % 2 == 1 || number == 0);
        }
        let all = store.list(Filter { limit: 1000, ..Filter::default() }).await.unwrap();
        assert_eq!(all.len(), 100);
        each_version_has_its_event(&*store).await;
    });
}

#[test]
fn what_a_killed_server_acknowledged_is_there_afterwards_and_whole() {
    let key = host_key("gate.local/h");
    let mut server = Server::start(&format!("[requests]\nper_minute = 0\n[[host]]\nkey = \"{}\"\n", key.0));
    let host = server.host(key);
    let asking = |number: u32| {
        let value: serde_json::Value = serde_json::from_str(asked(number, terms()).text()).unwrap();
        let key = gate::approval::Submitted::read(&value).unwrap().key();
        let body = json!({ "approval_request": value, "client_nonce_sha256": gate::text::hex(&gate::approval::sha256(&nonce(number))) });
        (format!("\"{key}\""), body)
    };
    let mut acknowledged = Vec::new();
    for round in 0..3_u32 {
        let (told, heard) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            for thread in 0..4_u32 {
                let (host, told, asking) = (&host, told.clone(), &asking);
                threads.spawn(move || {
                    for number in 0..1000 {
                        let (key, body) = asking(round * 10_000 + thread * 1000 + number);
                        let call = || host.call("POST", "/v1/requests", &[("idempotency-key", &key)], Some(&body));
                        // The server is killed under this: whoever got no answer got none.
                        let Ok(answer) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) else { return };
                        assert_eq!(answer.status, 201);
                        if told.send(answer.body["id"].as_str().unwrap().to_owned()).is_err() {
                            return;
                        }
                    }
                });
            }
            acknowledged.extend(heard.iter().take(40));
            server.kill_and_restart();
            acknowledged.extend(heard.try_iter());
            drop(heard);
        });
    }
    let store = Sqlite::open(&server.state().join("requests.db")).unwrap();
    run(async {
        for id in &acknowledged {
            assert!(store.request(id).await.unwrap().is_some(), "{id} was acknowledged and is gone");
        }
        each_version_has_its_event(&store).await;
    });
}
