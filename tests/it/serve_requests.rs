//! The requester's side of the API on the real server: ask, wait, cancel, consume.

use std::collections::BTreeSet;

use gate::policy::Channel;
use serde_json::json;

use crate::approval::Parts;
use crate::serving::{Host, Server, host_key, submitted};

/// A server that knows one host, and a request that it may ask.
fn asked() -> (Server, Host, Parts) {
    let key = host_key("gate.local/h");
    let server = Server::start(&format!("[[host]]\nkey = \"{}\"\nperson = \"https://idp#u1\"\n", key.0));
    let host = server.host(key);
    let mut parts = Parts::new();
    parts.asked.terms.channels = BTreeSet::from([Channel::Server]);
    parts.asked.terms.assurance = gate::policy::Assurance::SecondPerson;
    (server, host, parts)
}

#[test]
fn the_same_run_finds_its_request_again_and_another_run_replaces_it() {
    let (_server, host, mut parts) = asked();
    let first = host.ask(&parts, &[1; 32]);
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.body["state"], "pending");
    assert_eq!(first.body["digest"], parts.made().digest().to_string());
    let again = host.ask(&parts, &[1; 32]);
    assert_eq!((again.status, &again.body["id"]), (200, &first.body["id"]));
    // The same command run anew: another nonce, another digest, the same key.
    parts.nonce = [8; 16];
    let anew = host.ask(&parts, &[2; 32]);
    assert_eq!(anew.status, 201);
    assert_eq!(anew.body["key"], first.body["key"]);
    let old = host.call("GET", &format!("/v1/requests/{}", first.body["id"].as_str().unwrap()), &[], None);
    assert_eq!(old.body["state"], "cancelled");
}

#[test]
fn what_is_no_request_is_told_as_a_problem() {
    let (_server, host, mut parts) = asked();
    let (value, key) = submitted(&parts);
    let body = json!({ "approval_request": value, "client_nonce_sha256": "00".repeat(32) });
    let quoted = format!("\"{key}\"");
    assert_eq!(host.call("POST", "/v1/requests", &[], Some(&body)).status, 400);
    assert_eq!(host.call("POST", "/v1/requests", &[("idempotency-key", "\"00\"")], Some(&body)).status, 422);
    for (name, wrong) in [
        ("client_nonce_sha256", json!("00")),
        ("number", json!("4x")),
        ("approval_request", json!({ "v": 2 })),
        ("approval_request", json!([])),
        ("unknown", json!(1)),
    ] {
        let mut body = body.clone();
        body[name] = wrong;
        let told = host.call("POST", "/v1/requests", &[("idempotency-key", &quoted)], Some(&body));
        assert_eq!(told.status, 422, "{name}: {told:?}");
        assert_eq!(told.body["type"], "/problems/validation");
    }
    let missing = host.call("GET", "/v1/requests/req_00000000000000000000000000", &[], None);
    assert_eq!((missing.status, &missing.body["type"]), (404, &json!("/problems/not-found")));
    // Terms that nobody could meet here are refused at once.
    parts.asked.terms.channels = BTreeSet::from([Channel::Tty]);
    assert_eq!(host.ask(&parts, &[1; 32]).status, 422);
}

#[test]
fn only_a_host_that_is_known_is_heard_and_no_call_twice() {
    let (server, host, parts) = asked();
    let stranger = server.host(host_key("gate.local/other"));
    assert_eq!(stranger.ask(&parts, &[1; 32]).status, 401);
    assert_eq!(host.raw("GET", "/v1/requests", "Bearer x", &[], Vec::new()).status, 401);
    let path = "/v1/requests/req_00000000000000000000000000";
    let at = "1";
    let old = format!("Gate-Host key=\"{}\", at=\"{at}\", signature=\"{}\"", host.vkey, host.signed("DELETE", path, at));
    assert_eq!(host.raw("DELETE", path, &old, &[], Vec::new()).status, 401);
    let now = jiff::Timestamp::now().as_second().to_string();
    let fresh = format!("Gate-Host key=\"{}\", at=\"{now}\", signature=\"{}\"", host.vkey, host.signed("DELETE", path, &now));
    assert_eq!(host.raw("DELETE", path, &fresh, &[], Vec::new()).status, 404);
    assert_eq!(host.raw("DELETE", path, &fresh, &[], Vec::new()).status, 401);
    // A signature of one call is none of another.
    assert_eq!(host.raw("DELETE", "/v1/requests/req_1", &fresh, &[], Vec::new()).status, 401);
}

#[test]
fn a_request_of_one_host_is_not_there_for_another() {
    let (one, two) = (host_key("gate.local/one"), host_key("gate.local/two"));
    let server = Server::start(&format!("[[host]]\nkey = \"{}\"\n[[host]]\nkey = \"{}\"\n", one.0, two.0));
    let (one, two) = (server.host(one), server.host(two));
    let (_, _, parts) = asked();
    let id = one.ask(&parts, &[1; 32]).body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/requests/{id}");
    assert_eq!(one.call("GET", &path, &[], None).status, 200);
    assert_eq!(two.call("GET", &path, &[], None).status, 404);
    assert_eq!(two.call("DELETE", &path, &[], None).status, 404);
    assert_eq!(two.call("POST", &format!("{path}/consume"), &[], Some(&json!({ "client_nonce": "01".repeat(32) }))).status, 404);
    assert!(two.call("GET", "/v1/requests", &[], None).body["requests"].as_array().unwrap().is_empty());
}

#[test]
fn nothing_is_consumed_that_nobody_approved() {
    let (_server, host, parts) = asked();
    let id = host.ask(&parts, &[1; 32]).body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/requests/{id}");
    let nonce = json!({ "client_nonce": "01".repeat(32) });
    let told = host.call("POST", &format!("{path}/consume"), &[], Some(&nonce));
    assert_eq!((told.status, &told.body["request"]["state"]), (409, &json!("pending")));
    let other = host.call("POST", &format!("{path}/consume"), &[], Some(&json!({ "client_nonce": "02".repeat(32) })));
    assert_eq!(other.status, 403);
    assert_eq!(host.call("POST", &format!("{path}/outcome"), &[], Some(&json!({ "exit": 0 }))).status, 409);
    // Who asked cannot decide, and no host can.
    let review = json!({ "review": "approve", "digest": parts.made().digest().to_string() });
    assert_eq!(host.call("POST", &format!("{path}/reviews"), &[], Some(&review)).status, 401);
    assert_eq!(host.call("DELETE", &path, &[], None).body["state"], "cancelled");
    assert_eq!(host.call("DELETE", &path, &[], None).status, 409);
}

#[test]
fn a_waiting_call_ends_when_the_request_changes() {
    let (_server, host, parts) = asked();
    let told = host.ask(&parts, &[1; 32]);
    let path = format!("/v1/requests/{}", told.body["id"].as_str().unwrap());
    let tag = told.tag.unwrap();
    let unchanged = host.call("GET", &path, &[("if-none-match", &tag)], None);
    assert_eq!(unchanged.status, 304);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| host.call("GET", &format!("{path}?wait=30"), &[("if-none-match", &tag)], None));
        assert_eq!(host.call("DELETE", &path, &[], None).status, 200);
        let told = waiting.join().unwrap();
        assert_eq!((told.status, &told.body["state"]), (200, &json!("cancelled")));
    });
}

#[test]
fn a_server_that_is_killed_has_lost_nothing() {
    let (mut server, host, parts) = asked();
    let told = host.ask(&parts, &[1; 32]);
    server.kill_and_restart();
    let path = format!("/v1/requests/{}", told.body["id"].as_str().unwrap());
    let after = host.call("GET", &path, &[], None);
    assert_eq!((after.status, &after.body["state"], &after.body["digest"]), (200, &json!("pending"), &told.body["digest"]));
    assert_eq!(host.ask(&parts, &[1; 32]).status, 200);
}
