//! The end of a host's log goes with what it asks and uses: countersigned and kept, or refused where the log is not what was seen.

use std::fs;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{Submitted, sha256};
use gate::server::model::State;
use gate::text::hex;
use serde_json::{Value, json};

use super::approval::Parts;
use super::serve_support::{Host, Server};
use super::serve_witness::{Log, copied, more};
use super::waiting::{OTHERS, runs, touch, with};
use super::waiting_at::{Here, honest, started};
use super::world::{Ran, World};

fn start(world: &World) -> std::process::Child {
    let (_, line) = touch(world);
    started(world, &line.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The command, asked and approved.
fn approved(world: &World, here: &Here) -> Ran {
    let child = start(world);
    here.approve(&here.pending());
    world.wait(child)
}

/// A policy of witnesses that names the server alone.
fn policy(world: &World, here: &Here) -> PathBuf {
    let path = world.root().join("witnesses");
    fs::write(&path, format!("witness server {} {}\nquorum server\n", here.secret().cosigner.vkey(), here.url)).unwrap();
    path
}

fn verified(world: &World, policy: &Path) -> Ran {
    world.run(["audit", "verify", "--policy", policy.to_str().unwrap()])
}

fn posts(here: &Here) -> usize {
    here.calls().iter().filter(|call| call.starts_with("POST ") && !call.ends_with("/outcome")).count()
}

/// The log's files of a copy, in the place of those that are there.
fn put_back(world: &World, copy: &Path) {
    for end in ["", "-wal", "-shm"] {
        let file = format!("audit.db{end}");
        drop(fs::remove_file(world.state().join(&file)));
        if copy.join(&file).exists() {
            fs::copy(copy.join(&file), world.state().join(&file)).unwrap();
        }
    }
}

#[test]
fn every_decision_countersigns_the_log_and_the_host_keeps_that() {
    let (world, here) = with(OTHERS);
    let policy = policy(&world, &here);
    assert_eq!(verified(&world, &policy).code(), 3, "nobody vouches for it yet");
    let ran = approved(&world, &here);
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
    assert_eq!(posts(&here), 2);
    assert!(here.requests()[0].checkpoint.as_ref().unwrap().contains("— "));
    let said = world.run(["audit", "verify", "--policy", policy.to_str().unwrap(), "--json"]).to_string();
    assert!(said.contains("server"), "{said}");
    // The next one begins with what was seen, and is told nothing twice.
    let ran = approved(&world, &here);
    assert_eq!((ran.code(), runs(&world)), (0, 2), "{ran}");
    assert_eq!(posts(&here), 4, "{:?}", here.calls());
    // What was recorded up to the use of the approval is vouched for.
    let copy = copied(&world);
    let size = world.records().len();
    assert_eq!(verified(&world, &policy).code(), 0);
    assert!(size > 6 && copy.exists());
}

#[test]
fn a_host_whose_older_log_was_put_back_asks_for_nothing_and_runs_nothing() {
    let (world, here) = with(OTHERS);
    let copy = copied(&world);
    for _ in 0..2 {
        assert_eq!(approved(&world, &here).code(), 0);
    }
    put_back(&world, &copy);
    let ran = world.wait(start(&world));
    assert_eq!((ran.code(), runs(&world)), (125, 2), "{ran}");
    let told = here.told("host.conflict");
    assert_eq!(told.len(), 1, "{told:?}");
    let (was, size) = (&told[0]["was"], &told[0]["size"]);
    assert!(was.as_u64() > size.as_u64(), "{told:?}");
    assert!(ran.err().contains(&format!("seen {was} entries of this log, and the log has {size}: was an older copy")), "{ran}");
    assert_eq!(here.requests().len(), 2, "nobody was asked");
    let ran = world.run(["--", "true"]);
    assert!(ran.code() == 125 && ran.err().contains("nothing runs until somebody looked"), "{ran}");
}

#[test]
fn a_log_that_went_back_while_people_thought_does_not_use_their_approval() {
    let (world, here) = with(OTHERS);
    let copy = copied(&world);
    assert_eq!(approved(&world, &here).code(), 0);
    let child = start(&world);
    let request = here.pending();
    here.wait_for("waited for", |_| here.calls().last().is_some_and(|call| call.starts_with("GET ")));
    put_back(&world, &copy);
    here.approve(&request);
    let ran = world.wait(child);
    assert_eq!((ran.code(), runs(&world)), (125, 1), "{ran}");
    assert!(ran.err().contains("was an older copy of it put back?"), "{ran}");
    assert_eq!(here.becomes(&request.id, State::Approved).consumed, None);
}

#[test]
fn a_second_copy_of_the_log_that_went_on_is_refused() {
    let (world, here) = with(OTHERS);
    let copy = copied(&world);
    assert_eq!(approved(&world, &here).code(), 0);
    put_back(&world, &copy);
    more(&world, 1..9);
    let ran = world.wait(start(&world));
    assert_eq!((ran.code(), runs(&world)), (125, 1), "{ran}");
    assert!(ran.err().contains("another history of this log"), "{ran}");
}

#[test]
fn a_log_that_grew_by_other_processes_meanwhile_is_no_second_copy() {
    let (world, here) = with(OTHERS);
    let child = start(&world);
    let request = here.pending();
    more(&world, 1..5);
    here.approve(&request);
    assert_eq!((world.wait(child).code(), runs(&world)), (0, 1));
    // The server knows more than is kept here, and names the size.
    rusqlite::Connection::open(world.state().join("audit.db")).unwrap().execute_batch("DELETE FROM checkpoint").unwrap();
    let before = posts(&here);
    assert_eq!((approved(&world, &here).code(), runs(&world)), (0, 2));
    assert_eq!(posts(&here), before + 3);
}

#[test]
fn what_a_server_signs_in_another_name_or_not_at_all_is_not_kept() {
    let strange: [fn(&mut Value); 4] = [
        |said| said["cosignatures"] = said["cosignatures"].as_str().unwrap().replace("/witness", "/other").into(),
        |said| said["witness"] = super::serving::cosigner().vkey().to_string().into(),
        |said| said["cosignatures"] = "— \u{1b}[31m x\n".into(),
        |said| {
            let line = said["cosignatures"].as_str().unwrap().to_owned();
            let (name, signature) = line.trim_end().rsplit_once(' ').unwrap();
            let mut bytes = STANDARD.decode(signature).unwrap();
            bytes[40] ^= 1;
            said["cosignatures"] = format!("{name} {}\n", STANDARD.encode(bytes)).into();
        },
    ];
    for change in strange {
        let (world, here) = with(OTHERS);
        here.meddle(move |_, _, status, mut body| {
            if let Some(said) = body.get_mut("countersigned") {
                change(said);
            }
            honest(status, &body)
        });
        let ran = approved(&world, &here);
        assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
        assert!(ran.err().contains("does not hold, which is not kept") && !ran.err().contains('\u{1b}'), "{ran}");
        assert_eq!(verified(&world, &policy(&world, &here)).code(), 3);
        assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
    }
}

#[test]
fn a_server_that_names_one_size_after_the_other_is_not_asked_for_ever() {
    let (world, here) = with(OTHERS);
    let mut size = 0;
    here.meddle(move |_, _, _, _| {
        size = (size + 1) % 3;
        honest(StatusCode::CONFLICT, &json!({ "type": "/problems/conflict", "size": size }))
    });
    let ran = world.wait(start(&world));
    assert_eq!((ran.code(), runs(&world)), (69, 0), "{ran}");
    assert!(here.calls().len() < 10, "{:?}", here.calls());
}

/// Asks with the checkpoint of this log, with the proof from this size.
fn asked(server: &Server, host: &Host, words: &str, checkpoint: Option<Value>) -> (u16, Value) {
    let mut asked: Value = serde_json::from_str(Parts::new().made().text()).unwrap();
    asked["argv"] = json!(["deploy", words]);
    asked["terms"]["channels"] = json!(["server"]);
    asked["terms"]["assurance"] = "second-person".into();
    let key = Submitted::read(&asked).unwrap().key();
    let mut body = json!({ "approval_request": asked, "client_nonce_sha256": hex(&sha256(words.as_bytes())) });
    if let Some(checkpoint) = checkpoint {
        body["checkpoint"] = checkpoint;
    }
    server.call(host, "POST", "/v1/requests", Some(&body), Some(&key))
}

fn end(log: &Log, from: usize, size: usize) -> Value {
    let proof: Vec<String> = if from <= size { log.proof(from).iter().map(|hash| STANDARD.encode(hash)).collect() } else { Vec::new() };
    json!({ "note": log.note().to_string(), "old_size": from, "proof": proof })
}

#[test]
fn a_host_speaks_for_its_own_log_alone() {
    let world = World::new();
    let log = Log::new().grown("a", 4);
    let other = Host::new("gate.test/h/2");
    let server = Server::start(&world, &format!("{}{}", log.host.section(), other.section()), &[]);
    let (status, body) = asked(&server, &other, "one", Some(end(&log, 0, 4)));
    assert_eq!((status, &body["type"]), (403, &"/problems/forbidden".into()), "{body}");
    let (status, body) = asked(&server, &log.host, "one", Some(end(&log, 0, 4)));
    assert_eq!(status, 201, "{body}");
    assert!(body["countersigned"]["cosignatures"].as_str().unwrap().starts_with("— gate.test/witness "), "{body}");
    let (status, body) = asked(&server, &log.host, "two", Some(end(&log.grown("a", 6), 0, 6)));
    assert_eq!((status, &body["type"], &body["size"]), (409, &"/problems/conflict".into(), &4.into()), "{body}");
    let (status, body) = asked(&server, &log.host, "two", Some(end(&log.grown("a", 6), 4, 6)));
    assert_eq!(status, 201, "{body}");
    let forked = log.anew().grown("b", 8);
    let (status, body) = asked(&server, &log.host, "three", Some(end(&forked, 6, 8)));
    assert_eq!((status, &body["size"]), (409, &Value::Null), "{body}");
    for (name, value) in [("note", json!("x")), ("old_size", json!(9)), ("proof", json!(["x"])), ("proof", json!(vec!["AA=="; 100]))] {
        let mut wrong = end(&log.grown("a", 7), 6, 7);
        wrong[name] = value;
        assert_eq!(asked(&server, &log.host, "four", Some(wrong)).0, 422, "{name}");
    }
    assert_eq!(asked(&server, &other, "five", None).0, 201);
}

#[test]
fn a_server_that_wants_checkpoints_takes_nothing_without() {
    let world = World::new();
    let log = Log::new().grown("a", 4);
    let server = Server::start(&world, &format!("[requests]\ncheckpoint = true\n{}", log.host.section()), &[]);
    let (status, body) = asked(&server, &log.host, "one", None);
    assert_eq!((status, &body["type"]), (403, &"/problems/forbidden".into()), "{body}");
    let (status, body) = asked(&server, &log.host, "one", Some(end(&log, 0, 4)));
    assert_eq!(status, 201, "{body}");
    let consume = format!("/v1/requests/{}/consume", body["id"].as_str().unwrap());
    let nonce = json!({ "client_nonce": hex(&[0; 32]) });
    assert_eq!(server.call(&log.host, "POST", &consume, Some(&nonce), None).0, 403);
}
