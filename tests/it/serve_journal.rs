//! The server's own log: everything once, in order, whatever is killed when, and read by the same `gate audit`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gate::audit::{Place, Reader, Wanted};
use gate::policy::KeyProvider;
use gate::record::Body;
use gate::server::health::Recording;
use gate::server::journal::{Journal, PutBack};
use gate::server::stop::stop;
use gate::server::store::{Sqlite, Store};
use serde_json::{Value, json};

use super::serve_support::{approved, request, store};
use super::world::World;

fn place(world: &World) -> Place {
    Place { directory: world.root().join("serve-log"), name: "gate.test/server".into(), log_key: KeyProvider::File }
}

fn database(world: &World) -> PathBuf {
    place(world).directory.join("audit.db")
}

/// Runs the journal until everything is written, and ends it in order.
fn journal(world: &World, store: Arc<Sqlite>, accepted: Option<&str>) -> Result<u64, String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (stopper, stop) = stop();
        let recording = Arc::new(Recording::default());
        let accepted = accepted.map(|reason| PutBack(reason.to_owned()));
        let journal = Journal::start(place(world), store, Arc::clone(&recording), accepted, stop).await?;
        stopper.stop();
        journal.finish().await;
        assert!(recording.works());
        Ok(recording.entries())
    })
}

fn entries(world: &World) -> Vec<Value> {
    let found = Reader::live(&place(world)).unwrap().find(&Wanted::From(0)).unwrap();
    found.iter().map(|entry| serde_json::from_slice(&entry.body).unwrap()).collect()
}

/// Kind and event number of each entry.
fn told(world: &World) -> Vec<(String, i64)> {
    let about = |entry: &Value| Some((entry["kind"].as_str()?.to_owned(), entry["server"]["event"].as_i64()?));
    entries(world).iter().filter_map(about).collect()
}

fn fill(store: &Sqlite, number: u8) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = 1_795_226_400_000_000_000 + i64::from(number);
        approved(store, number, now).await;
        let who = json!({ "person": { "issuer": "https://id.example", "subject": "alice" }, "fraction": 1.5, "none": null, "näme": 1 });
        store.event("login", now + 5, who).await.unwrap();
        store.event("config.loaded", now + 6, json!({ "sha256": "ab" })).await.unwrap();
    });
}

fn sql(database: &Path, statement: &str) {
    rusqlite::Connection::open(database).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn who_decided_what_stands_in_the_servers_log_with_what_shows_it() {
    let world = World::new();
    let kept = store(world.root());
    fill(&kept, 1);
    journal(&world, kept, None).unwrap();
    let kinds = told(&world);
    let expected = [("request", 1), ("review", 2), ("review", 3), ("decision", 3), ("login", 4), ("config.change", 5)];
    assert_eq!(kinds, expected.map(|(kind, event)| (kind.to_owned(), event)));
    let all = entries(&world);
    let review = all.iter().find(|entry| entry["kind"] == "review").unwrap();
    assert_eq!(review["review"]["subject"], "alice");
    assert_eq!(review["review"]["assurance"], "passkey");
    assert_eq!(review["review"]["evidence"]["webauthn"]["n"], 1);
    let digest = request(1, 0).digest().to_string();
    assert_eq!(review["digest"], digest.as_str());
    let decision = all.iter().find(|entry| entry["kind"] == "decision").unwrap();
    assert_eq!(decision["decision"]["result"], "approved");
    let people: Vec<&str> =
        decision["decision"]["approvers"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(people, ["alice", "bob"]);
    // What a person wrote may be erased, so no entry holds it.
    assert!(!all.iter().any(|entry| entry.to_string().contains("looks")), "{all:?}");
    let db = database(&world);
    let verified = world.run(["audit", "--db", db.to_str().unwrap(), "verify", "--local"]);
    assert_eq!(verified.code(), 0, "{verified}");
    let listed = world.run(["audit", "--db", db.to_str().unwrap(), "list"]);
    assert!(listed.code() == 0 && listed.out().contains("approved") && listed.out().contains("deploy a b"), "{listed}");
    let shown = world.run(["audit", "--db", db.to_str().unwrap(), "show", "2"]);
    assert!(shown.code() == 0 && shown.out().contains("alice") && !shown.out().contains('\u{202e}'), "{shown}");
    let exported = world.run(["audit", "--db", db.to_str().unwrap(), "export", "--format", "ocsf"]);
    assert!(exported.code() == 0 && exported.out().contains("\"class_uid\":3002"), "{exported}");
}

#[test]
fn a_server_killed_between_log_and_store_records_nothing_twice() {
    let world = World::new();
    let kept = store(world.root());
    fill(&kept, 1);
    journal(&world, Arc::clone(&kept), None).unwrap();
    let once = told(&world);
    // As if the process had been killed right after the log had it.
    sql(&world.root().join("store.db"), "UPDATE cursor SET seq=2");
    assert_eq!(journal(&world, Arc::clone(&kept), None), Ok(0));
    assert_eq!(told(&world), once);
    fill(&kept, 2);
    journal(&world, kept, None).unwrap();
    let numbers: Vec<i64> = told(&world).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9, 10]);
}

#[test]
fn an_older_copy_of_the_store_or_the_log_is_noticed_at_the_next_start() {
    let world = World::new();
    let kept = store(world.root());
    fill(&kept, 1);
    journal(&world, Arc::clone(&kept), None).unwrap();
    sql(&world.root().join("store.db"), "DELETE FROM event WHERE seq>3; UPDATE cursor SET seq=3");
    let refused = journal(&world, Arc::clone(&kept), None).unwrap_err();
    assert!(refused.contains("an older copy of the store was put back") && refused.contains("--put-back"), "{refused}");
    journal(&world, Arc::clone(&kept), Some("the disk died")).unwrap();
    let failure = entries(&world).into_iter().find(|entry| entry["kind"] == "audit.failure").unwrap();
    assert_eq!(failure["reason"], "the disk died");
    // It goes on from there without being asked again.
    fill(&kept, 2);
    journal(&world, Arc::clone(&kept), None).unwrap();
    assert_eq!(told(&world).last().unwrap().1, 10, "{:?}", told(&world));
    // Now the log is gone, and the store is not.
    std::fs::rename(place(&world).directory, world.root().join("gone")).unwrap();
    let refused = journal(&world, Arc::clone(&kept), None).unwrap_err();
    assert!(refused.contains("the log has none of them"), "{refused}");
    journal(&world, kept, Some("known")).unwrap();
    assert!(told(&world).len() > 8);
}

#[test]
fn what_is_too_large_for_an_entry_leaves_one_that_says_so() {
    let world = World::new();
    let kept = store(world.root());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(kept.event("host.conflict", 1, json!({ "note": "x".repeat(200_000) }))).unwrap();
    journal(&world, kept, None).unwrap();
    let entry = entries(&world).pop().unwrap();
    assert_eq!((&entry["kind"], &entry["what"]), (&"server".into(), &"host.conflict".into()));
    assert!(entry["whole"]["len"].as_u64().unwrap() > 200_000);
    let read = Reader::live(&place(&world)).unwrap().find(&Wanted::Last(1)).unwrap();
    assert!(Body::parse(&read[0].body).is_ok());
}
