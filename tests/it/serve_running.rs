//! The real `gate serve`: started, asked, ended, killed.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::serve_support::{Host, Server};
use super::world::World;

/// The entries of the server's own log, read by `gate audit`.
fn recorded(world: &World) -> Vec<Value> {
    let db = world.root().join("serve/log/audit.db");
    let verified = world.run(["audit", "--db", db.to_str().unwrap(), "verify", "--local"]);
    assert_eq!(verified.code(), 0, "{verified}");
    let out = world.run(["audit", "--db", db.to_str().unwrap(), "export", "--format", "jsonl"]);
    assert_eq!(out.code(), 0, "{out}");
    out.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_server_says_whether_it_lives_and_whether_it_may_be_asked() {
    let world = World::new();
    let server = Server::start(&world, "", &[]);
    assert_eq!(server.get("/healthz"), (200, "ok\n".to_owned()));
    let (status, ready) = server.get("/readyz");
    assert_eq!((status, ready.trim()), (200, r#"{"ending":false,"log":true,"stopped":false,"store":true}"#));
    // Whoever reads this must not learn more than that.
    assert_eq!(server.get("/v1/requests").0, 401);
    let (code, lines) = server.stopped();
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["severity"].is_string())), "{lines:?}");
    assert!(lines.last().unwrap().contains("\"ended\""), "{lines:?}");
}

#[test]
fn what_was_recorded_before_it_was_killed_is_there_once_and_only_once() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let mut created = Vec::new();
    for round in 0..6 {
        let server = Server::start(&world, &host.section(), &[]);
        for number in 0..=round {
            let (status, told) = server.ask(&host, &format!("{round}-{number}"));
            assert_eq!(status, 201, "{told}");
            created.push(told["id"].as_str().unwrap().to_owned());
        }
        // At once: whatever the log has by then.
        server.killed();
    }
    assert_eq!(Server::start(&world, &host.section(), &[]).stopped().0, Some(0));
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let entries = recorded(&world);
    for entry in entries.iter().filter(|entry| entry["kind"] == "request") {
        *seen.entry(entry["server"]["request"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    created.sort();
    assert_eq!(seen.keys().cloned().collect::<Vec<_>>(), created);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["server"]["event"].as_u64()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
}

#[test]
fn a_long_poll_ends_with_the_server_and_says_how_it_stands() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let server = Server::start(&world, &host.section(), &[]);
    let (_, told) = server.ask(&host, "x");
    let id = told["id"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.call(&host, "GET", &format!("/v1/requests/{id}?wait=30"), None, None));
        // It waits once the server counts it; a request without a wait answers meanwhile.
        while !waiting.is_finished() && server.get("/healthz").0 != 200 {}
        server.signal(nix::sys::signal::Signal::SIGTERM);
        let (status, _) = waiting.join().unwrap();
        assert!(matches!(status, 0 | 200 | 304), "{status}");
    });
    let (code, lines) = server.ended();
    assert_eq!(code, Some(0), "{lines:?}");
}

#[test]
fn nothing_is_told_to_who_sends_no_request_and_the_others_are_answered() {
    let world = World::new();
    let server = Server::start(&world, "", &[]);
    let mut slow: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    }
    assert_eq!(server.get("/healthz").0, 200);
    slow[0].write_all(b"1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    slow[0].read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.stopped().0, Some(0));
}

#[test]
fn a_server_whose_store_is_an_older_copy_does_not_start_until_somebody_says_why() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let server = Server::start(&world, &host.section(), &[]);
    server.ask(&host, "before");
    server.stopped();
    let (store, copy) = (world.root().join("serve/requests.db"), world.root().join("copy.db"));
    std::fs::copy(&store, &copy).unwrap();
    let server = Server::start(&world, &host.section(), &[]);
    server.ask(&host, "after");
    server.stopped();
    std::fs::copy(&copy, &store).unwrap();
    let said = Server::tried(&world, &host.section(), &[]).err().unwrap();
    assert!(said.concat().contains("an older copy of the store was put back"), "{said:?}");
    let server = Server::start(&world, &host.section(), &["--put-back", "restored from Friday"]);
    assert_eq!(server.stopped().0, Some(0));
    let failure = recorded(&world).into_iter().find(|entry| entry["kind"] == "audit.failure").unwrap();
    assert_eq!(failure["reason"], "restored from Friday");
    assert_eq!(Server::start(&world, &host.section(), &[]).stopped().0, Some(0));
}
