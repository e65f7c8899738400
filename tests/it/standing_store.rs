//! Standing grants as the server keeps and counts them.

use std::sync::Arc;
use std::time::Duration;

use gate::approval::{Answer, Standing};
use gate::policy::{StandingLimits, Terms};
use gate::server::model::{Kept, KeptReview, Requester, State, Wall};
use gate::server::rules::{consuming, judge};
use gate::server::store::{Amended, Changed, Created, GRANT, Granted, Item, Limits, Reviewed, STOP, Sqlite, Store};
use serde_json::json;

use crate::serve_asked::{SECOND, START, asked, kept, nonce, person, said, terms};

fn standing_terms(threshold: u32) -> Terms {
    let standing = Some(StandingLimits { longest: Duration::from_hours(1), uses: 20, patterns: true });
    Terms { standing, threshold, ..terms() }
}

fn store() -> (tempfile::TempDir, Arc<Sqlite>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&dir.path().join("requests.db")).unwrap());
    (dir, store)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(work)
}

/// `deploy COMMAND`, asked for by one run of it.
fn request(command: u32, run: u32, at: Wall, threshold: u32) -> Kept {
    kept(format!("req_{command}x{run:05}"), &asked(command, standing_terms(threshold)), run, at)
}

fn approval(who: &str, at: Wall, standing: Option<Standing>) -> KeptReview {
    KeptReview { standing, ..said(&person(who), Answer::Approve, &[], at) }
}

fn uses(uses: u32, open: &[usize]) -> Option<Standing> {
    Standing::new(uses, START + 1000 * SECOND, open.to_vec())
}

async fn approved(store: &Sqlite, command: u32, standing: Option<Standing>) {
    let first = request(command, 0, START, 1);
    let id = first.id.clone();
    store.create(first).await.unwrap();
    let done = store.review(&id, approval("ada", START + SECOND, standing), Box::new(judge)).await.unwrap();
    assert!(matches!(&done, Reviewed::Kept(now) if now.state == State::Approved), "{done:?}");
    let used = store.change(&id, START + SECOND, consuming(gate::approval::sha256(&nonce(0)), START + SECOND)).await.unwrap();
    assert!(matches!(used, Changed::To(_)));
}

async fn state_of(store: &Sqlite, request: Kept) -> State {
    match store.create(request).await.unwrap() {
        Created::New(made) => made.state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_who_ask_at_once_get_as_many_uses_as_are_left_and_each_another_one() {
    let (_dir, store) = store();
    run(async {
        approved(&store, 1, uses(6, &[])).await;
        let tasks: Vec<_> = (1..=30)
            .map(|run| {
                let (store, request) = (Arc::clone(&store), request(1, run, START + 2 * SECOND, 1));
                tokio::spawn(async move {
                    match store.create(request).await.unwrap() {
                        Created::New(made) => made.drawn.map(|drawing| drawing.drawn.nth),
                        other => panic!("{other:?}"),
                    }
                })
            })
            .collect();
        let mut drawn = Vec::new();
        for task in tasks {
            drawn.extend(task.await.unwrap());
        }
        drawn.sort_unstable();
        assert_eq!(drawn, [2, 3, 4, 5, 6]);
        let left = store.items(GRANT, None, START + 2 * SECOND).await.unwrap();
        assert_eq!(left.iter().filter_map(Granted::of).map(|granted| granted.left).collect::<Vec<_>>(), [0]);
    });
}

#[test]
fn a_standing_grant_is_of_one_requester_one_command_and_one_time() {
    let (_dir, store) = store();
    run(async {
        approved(&store, 1, uses(20, &[])).await;
        let at = START + 2 * SECOND;
        let mut theirs = request(1, 1, at, 1);
        theirs.requester = Requester { name: "another".to_owned(), ..theirs.requester };
        assert_eq!(state_of(&store, theirs).await, State::Pending, "another host");
        let mut person_of = request(1, 2, at, 1);
        person_of.requester.person = Some(person("mallory"));
        assert_eq!(state_of(&store, person_of).await, State::Pending, "another person at that host");
        assert_eq!(state_of(&store, request(2, 3, at, 1)).await, State::Pending, "another command");
        assert_eq!(state_of(&store, request(1, 4, START + 1000 * SECOND, 1)).await, State::Pending, "after its end");
        let late = request(1, 5, START + 999 * SECOND, 1);
        match store.create(late).await.unwrap() {
            Created::New(made) => {
                assert_eq!((made.state, made.valid_until), (State::Approved, Some(START + 1000 * SECOND)), "no longer than the grant");
                assert_eq!(made.at(START + 1000 * SECOND), State::Expired);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn words_that_are_open_may_be_others_and_only_those() {
    let (_dir, store) = store();
    run(async {
        approved(&store, 1, uses(20, &[1])).await;
        assert_eq!(state_of(&store, request(7, 1, START + 2 * SECOND, 1)).await, State::Approved);
        let forced = asked(7, standing_terms(1)).text().replace("\"7\"", "\"--force\"");
        let submitted = gate::approval::Submitted::parse(&forced).unwrap();
        let other = Kept { key: submitted.key(), submitted, ..request(7, 2, START + 2 * SECOND, 1) };
        assert_eq!(state_of(&store, other).await, State::Pending);
    });
}

#[test]
fn all_who_approve_have_to_give_it_and_the_least_that_they_give_holds() {
    for (standings, made) in [
        ([uses(9, &[]), uses(4, &[])], Some(4)),
        ([uses(9, &[]), None], None),
        ([None, uses(9, &[])], None),
        ([uses(9, &[]), uses(9, &[1])], None),
    ] {
        let (_dir, store) = store();
        run(async {
            let first = request(1, 0, START, 2);
            let id = first.id.clone();
            store.create(first).await.unwrap();
            for (who, standing) in ["ada", "bob"].into_iter().zip(standings.clone()) {
                let done = store.review(&id, approval(who, START + SECOND, standing), Box::new(judge)).await.unwrap();
                assert!(matches!(done, Reviewed::Kept(_)), "{done:?}");
            }
            assert_eq!(store.request(&id).await.unwrap().unwrap().state, State::Approved);
            let items = store.items(GRANT, None, START + SECOND).await.unwrap();
            let found: Vec<u32> = items.iter().filter_map(Granted::of).map(|granted| granted.standing.uses()).collect();
            assert_eq!(found, made.into_iter().collect::<Vec<_>>(), "{standings:?}");
        });
    }
}

#[test]
fn nobody_gives_more_than_the_terms_let_and_nobody_gives_it_in_anothers_place_or_an_emergency() {
    let (_dir, store) = store();
    run(async {
        let first = request(1, 0, START, 1);
        let id = first.id.clone();
        store.create(first).await.unwrap();
        let at = START + SECOND;
        let refused = [
            approval("ada", at, uses(21, &[])),
            approval("ada", at, Standing::new(5, at + 3601 * SECOND, Vec::new())),
            approval("ada", at, Standing::new(5, at, Vec::new())),
            approval("ada", at, uses(5, &[2])),
            KeptReview { slots: vec![gate::approval::acting_for(&person("eve"))], ..approval("ada", at, uses(5, &[])) },
            KeptReview { answer: Answer::Reject, ..approval("ada", at, uses(5, &[])) },
        ];
        for review in refused {
            let done = store.review(&id, review.clone(), Box::new(judge)).await.unwrap();
            assert!(matches!(done, Reviewed::Refused(_)), "{review:?}: {done:?}");
        }
        assert!(Standing::new(1, at, Vec::new()).is_none() && Standing::new(5, at, vec![0]).is_none());
        assert!(Standing::new(5, at, vec![2, 1]).is_none() && Standing::new(5, at, vec![1, 1]).is_none());
    });
    let plain = Kept { submitted: asked_plain(), ..request(1, 0, START, 1) };
    assert!(matches!(judge(&plain, &approval("ada", START, uses(2, &[]))), gate::server::store::Effect::Refused(_)), "terms without it");
}

fn asked_plain() -> gate::approval::Submitted {
    gate::approval::Submitted::parse(asked(1, terms()).text()).unwrap()
}

#[test]
fn ending_one_and_the_emergency_stop_leave_nothing_standing() {
    let (_dir, store) = store();
    run(async {
        let at = START + 2 * SECOND;
        for command in [1, 2] {
            approved(&store, command, uses(20, &[])).await;
        }
        assert_eq!(state_of(&store, request(1, 1, at, 1)).await, State::Approved);
        let end = |item: Option<&Item>| Some(Amended { item: None, kind: "standing.ended", data: json!({ "request": item?.key }) });
        assert!(store.amend(GRANT, "req_1x00000", at, Box::new(end)).await.unwrap().0);
        assert_eq!(state_of(&store, request(1, 2, at, 1)).await, State::Pending);
        let stop =
            Item { kind: STOP, key: String::new(), owner: String::new(), handle: String::new(), data: "{}".to_owned(), expires: Wall::MAX };
        store.stop(stop, said(&person("ada"), Answer::Reject, &[], at)).await.unwrap();
        assert!(matches!(store.create(request(2, 3, at, 1)).await.unwrap(), Created::Stopped));
        let lift = |_: Option<&Item>| Some(Amended { item: None, kind: "stop.lifted", data: json!({}) });
        store.amend(STOP, "", at, Box::new(lift)).await.unwrap();
        assert_eq!(state_of(&store, request(2, 4, at, 1)).await, State::Pending, "it does not come back with the lift");
    });
}

#[test]
fn a_use_needs_no_rest_after_the_one_before() {
    let (_dir, store) = store();
    run(async {
        approved(&store, 1, uses(3, &[])).await;
        let limits = Limits { consumed: Duration::from_mins(1), ..Limits::default() };
        let made = store.create_within(request(1, 1, START + 2 * SECOND, 1), limits).await.unwrap();
        assert!(matches!(made, Created::New(made) if made.state == State::Approved));
    });
}
