//! Decisions that are signed by keys of ssh-agent: held against the server's approvers file, good once, for one answer of one person.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{Answer, Approver, Bound, Statement};
use gate::policy::{Assurance, Channel};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::approver_support::{Trial, at_terminal, ends, request, token, word};
use crate::serving::submitted;
use crate::sshsig::{keygen, sign};
use crate::world::{Ran, World};

const SIZE: (u16, u16) = (100, 60);
const NOT_ASKED: &str = "was not given out for this answer to this request";

/// A trial whose approvers file enrols Bob, and Bob with the agent that holds his key.
fn enrolled(kind: &[&str]) -> (Trial, World, World, Agent) {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = World::new();
    let dummy = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sk-dummy/sk-dummy.so");
    assert!(dummy.exists(), "tests/all builds it");
    let provider = bob.work().join("sk-dummy.so");
    fs::copy(dummy, &provider).unwrap();
    let agent = Agent::start_with(&bob, &format!("-P '{}/*'", bob.work().display()));
    let bob = bob.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_SK_PROVIDER", &provider);
    keygen(&bob, "own", kind);
    agent.add(&bob, "own");
    let bob = trial.log_in(bob, "bob", &["--decide"]);
    let file = trial.state().join("approvers.json");
    let file = file.to_str().unwrap();
    let issuer = format!("{}/dev/idp", trial.url);
    ends(&bob, 0, &["approvers", "--file", file, "add", &issuer, "bob", "--ssh-key", "own.pub"]);
    ends(&bob, 0, &["approvers", "--file", file, "sign"]);
    (trial, alice, bob, agent)
}

/// Bob approves at his terminal, signed with a key.
fn approves(bob: &World, agent: &Agent, id: &str, key: &str) -> (Option<i32>, String) {
    let socket = agent.socket.to_str().unwrap();
    let mut tty = at_terminal(bob, &["approve", id, "--ssh-key", key], &[("SSH_AUTH_SOCK", socket)], SIZE);
    let screen = tty.wait_for_last(">");
    tty.type_in(&format!("{}\n", word(&screen)));
    (tty.end().code(), tty.screen())
}

/// What the server gives Bob to sign.
fn statement(trial: &Trial, bob: &World, id: &str, answer: &str) -> Vec<u8> {
    let (status, told) = trial.call(&token(bob), "POST", &format!("/v1/requests/{id}/statement"), &[], &json!({ "answer": answer }));
    assert_eq!(status, 200, "{told}");
    STANDARD.decode(told["statement"].as_str().unwrap()).unwrap()
}

/// A review with this evidence: how it was taken.
fn review(trial: &Trial, who: &World, asked: &Value, answer: &str, statement: &[u8], armored: &str) -> (u16, Value) {
    let evidence = json!({ "statement": STANDARD.encode(statement), "sshsig": armored });
    let body = json!({ "review": answer, "digest": asked["digest"], "evidence": evidence });
    trial.call(&token(who), "POST", &format!("/v1/requests/{}/reviews", asked["id"].as_str().unwrap()), &[], &body)
}

fn fingerprint(world: &World, name: &str) -> String {
    world.bare(["ssh-keygen", "-l", "-f", &format!("{name}.pub")]).out().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_key_of_the_agent_signs_what_was_read_and_the_server_keeps_it() {
    let (trial, alice, bob, agent) = enrolled(&["ed25519"]);
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    let (code, screen) = approves(&bob, &agent, id, "own");
    assert_eq!(code, Some(0), "{screen}");
    let review = &trial.stands(&alice, id)["reviews"][0];
    assert_eq!((&review["channel"], &review["assurance"]), (&json!("ssh"), &json!("second-person")), "{review}");
    let database = rusqlite::Connection::open(trial.state().join("requests.db")).unwrap();
    let doc: String = database.query_row("SELECT doc FROM request WHERE id=?1", [id], |row| row.get(0)).unwrap();
    let doc: Value = serde_json::from_str(&doc).unwrap();
    let kept = &doc["reviews"][0]["evidence"];
    let statement = Statement::parse(&STANDARD.decode(kept["statement"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(gate::text::hex(statement.digest()), asked["digest"].as_str().unwrap());
    assert_eq!(*statement.approver(), Approver { issuer: format!("{}/dev/idp", trial.url), subject: "bob".into() });
    assert!(kept["sshsig"].as_str().unwrap().starts_with("-----BEGIN SSH SIGNATURE-----"));
}

#[test]
fn a_statement_is_good_once_for_one_answer_of_one_person_to_one_request() {
    let (trial, alice, bob, _agent) = enrolled(&["ed25519"]);
    let asked = trial.ask(&alice, |parts| parts.asked.terms.approvers = Vec::new());
    let other = trial.ask(&alice, |parts| {
        parts.asked.terms.approvers = Vec::new();
        parts.words(vec!["another".into()]);
    });
    let third = trial.person("carol", &["--decide"]);
    let id = asked["id"].as_str().unwrap();
    let signed = |answer: &str| {
        let bytes = statement(&trial, &bob, id, answer);
        let armored = sign(&bob, "own", "approval@gate", &[], &bytes);
        (bytes, armored)
    };
    let refused = |(status, told): (u16, Value), why: &str| {
        assert_eq!((status, told["type"].as_str()), (403, Some("/problems/forbidden")), "{told}");
        assert!(told["detail"].as_str().unwrap().contains(why), "{told}");
    };
    let (bytes, armored) = signed("approve");
    refused(review(&trial, &bob, &asked, "reject", &bytes, &armored), NOT_ASKED);
    refused(review(&trial, &third, &asked, "approve", &bytes, &armored), NOT_ASKED);
    refused(review(&trial, &bob, &other, "approve", &bytes, &armored), NOT_ASKED);
    // One that the server never gave, whole and signed by the right key.
    let forged = String::from_utf8(bytes.clone()).unwrap().replace("\"at\":\"1", "\"at\":\"2");
    let by_own = sign(&bob, "own", "approval@gate", &[], forged.as_bytes());
    refused(review(&trial, &bob, &asked, "approve", forged.as_bytes(), &by_own), NOT_ASKED);
    // Signed for something else, by somebody else, and not at all; each uses its statement up.
    let (bytes, _) = signed("approve");
    refused(review(&trial, &bob, &asked, "approve", &bytes, &sign(&bob, "own", "git", &[], &bytes)), "it was made for `git`");
    refused(review(&trial, &bob, &asked, "approve", &bytes, &armored), NOT_ASKED);
    keygen(&bob, "strange", &["ed25519"]);
    let (bytes, _) = signed("approve");
    refused(
        review(&trial, &bob, &asked, "approve", &bytes, &sign(&bob, "strange", "approval@gate", &[], &bytes)),
        "nobody is enrolled with the key",
    );
    let (bytes, _) = signed("approve");
    refused(review(&trial, &bob, &asked, "approve", &bytes, &armored), "the signature does not hold");
    let (status, told) = review(&trial, &bob, &asked, "approve", &bytes, "none");
    assert_eq!(status, 403, "{told}");
    assert_eq!(trial.stands(&alice, id)["state"], "pending");
    // It waits for whoever it was given to, and is then used.
    let (bytes, armored) = signed("approve");
    assert_eq!(review(&trial, &bob, &asked, "approve", &bytes, &armored).0, 200);
    refused(review(&trial, &bob, &asked, "approve", &bytes, &armored), NOT_ASKED);
}

#[test]
fn a_security_key_counts_as_hardware_when_it_is_touched_and_is_not_sent_when_it_is_not() {
    let (trial, alice, bob, agent) = enrolled(&["ed25519-sk"]);
    let hard = |nonce: u8| {
        move |parts: &mut crate::approval::Parts| (parts.asked.terms.assurance, parts.nonce) = (Assurance::Hardware, [nonce; 16])
    };
    let asked = trial.ask(&alice, hard(1));
    let id = asked["id"].as_str().unwrap();
    keygen(&bob, "untouched", &["ed25519-sk", "-O", "no-touch-required"]);
    agent.add(&bob, "untouched");
    let (code, screen) = approves(&bob, &agent, id, "untouched.pub");
    assert_eq!(code, Some(77), "{screen}");
    assert!(screen.contains("signed without a touch") && screen.contains("nothing was sent"), "{screen}");
    keygen(&bob, "plain", &["ed25519"]);
    agent.add(&bob, "plain");
    let refused = ends(&bob, 77, &["approve", id, "--ssh-key", "plain"]);
    assert!(refused.err().contains("want `hardware`"), "{refused}");
    assert_eq!(trial.stands(&alice, id)["state"], "pending");
    let (code, screen) = approves(&bob, &agent, id, &fingerprint(&bob, "own"));
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("touch the key SHA256:"), "{screen}");
    let stands = trial.stands(&alice, id);
    assert_eq!((&stands["state"], &stands["reviews"][0]["assurance"]), (&json!("approved"), &json!("hardware")));
}

#[test]
fn a_key_that_the_terms_or_the_agent_do_not_know_is_told_before_anything_is_asked() {
    let (trial, alice, bob, _agent) = enrolled(&["ed25519"]);
    let asked = trial.ask(&alice, |parts| parts.asked.terms.channels = [Channel::Server].into());
    let id = asked["id"].as_str().unwrap();
    let told = |key: &str, code: i32, why: &str| {
        let ran: Ran = ends(&bob, code, &["approve", id, "--ssh-key", key]);
        assert!(ran.err().contains(why), "{ran}");
    };
    told("own", 77, "take answers by server, not by ssh");
    told("missing", 64, "missing.pub");
    told("SHA256:unknown", 64, "ssh-agent does not hold the key");
}

#[test]
fn an_approvers_file_that_went_back_stops_signed_decisions() {
    let (trial, alice, bob, agent) = enrolled(&["ed25519"]);
    let file = trial.state().join("approvers.json");
    let before = fs::read(&file).unwrap();
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    keygen(&bob, "second", &["ed25519"]);
    agent.add(&bob, "second");
    let issuer = format!("{}/dev/idp", trial.url);
    let path = file.to_str().unwrap();
    ends(&bob, 0, &["approvers", "--file", path, "add", &issuer, "bob", "--ssh-key", "second.pub"]);
    ends(&bob, 0, &["approvers", "--file", path, "sign", "--key", &fingerprint(&bob, "own")]);
    statement(&trial, &bob, id, "approve");
    fs::write(&file, &before).unwrap();
    let (status, told) = trial.call(&token(&bob), "POST", &format!("/v1/requests/{id}/statement"), &[], &json!({ "answer": "approve" }));
    assert_eq!((status, &told["type"]), (503, &json!("/problems/unavailable")), "{told}");
}

/// A server that says what it is told to say: where it is, and what it was asked.
fn liar(view: Value, statement: Vec<u8>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (said, statement) = (Arc::clone(&heard), json!({ "statement": STANDARD.encode(statement) }));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = String::new();
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut part) {
                asked += &String::from_utf8_lossy(&part[..count]);
                let Some((head, body)) = asked.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let line = asked.lines().next().unwrap_or_default().to_owned();
            let body = if line.contains("/statement") { statement.to_string() } else { view.to_string() };
            said.lock().unwrap().push(line);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (url, heard)
}

#[test]
fn a_server_that_tells_one_thing_and_has_another_signed_gets_nothing() {
    let bob = World::new();
    let agent = Agent::start_with(&bob, "");
    let bob = bob.env("SSH_AUTH_SOCK", &agent.socket);
    keygen(&bob, "own", &["ed25519"]);
    agent.add(&bob, "own");
    let parts = request();
    let (asked, _) = submitted(&parts);
    let person = |subject: &str| Approver { issuer: "https://idp".into(), subject: subject.into() };
    let digest = *parts.made().digest().bytes();
    let id = "req_01M7ZDH61H441725WGJ9TK9XK4";
    let view = |digest: &str| {
        json!({ "id": id, "state": "pending", "digest": digest, "requester": { "way": "host", "name": "h" }, "expires": "2099-01-01T00:00:00Z",
            "url": "https://gate.example/r/x", "reviews": [], "approval_request": asked })
    };
    let logged_in = |url: &str| {
        let login = json!({ "url": url, "token": "t", "scope": "request+decide", "name": "Bob", "issuer": "https://idp", "subject": "bob", "expires": 4_000_000_000_i64 });
        fs::create_dir_all(bob.state()).unwrap();
        let file = bob.state().join("login.json");
        fs::write(&file, login.to_string()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (url, heard) = liar(view(&"0".repeat(64)), Vec::new());
    logged_in(&url);
    let ran = ends(&bob, 69, &["show", id]);
    assert!(ran.err().contains("names another digest than that of the text which it tells"), "{ran}");
    drop(heard);
    let made = |request: &str, digest: [u8; 32], answer: Answer, person: Approver| {
        Statement::new(request, digest, answer, person, 1, Bound { nonce: vec![1; 32], expires: i64::MAX }).unwrap().bytes()
    };
    let named = asked["request"].as_str().unwrap();
    let lies = [
        made(named, [9; 32], Answer::Approve, person("bob")),
        made(named, digest, Answer::Reject, person("bob")),
        made(named, digest, Answer::Approve, person("eve")),
        made("another", digest, Answer::Approve, person("bob")),
        b"git commit".to_vec(),
        // Nobody asked for more runs than one.
        Statement::parse(&made(named, digest, Answer::Approve, person("bob")))
            .unwrap()
            .letting(gate::approval::Standing::new(9, i64::MAX, Vec::new()).unwrap())
            .bytes(),
    ];
    for lie in lies {
        let (url, heard) = liar(view(&gate::text::hex(&digest)), lie);
        logged_in(&url);
        let (code, screen) = approves(&bob, &agent, id, "own");
        assert_eq!(code, Some(69), "{screen}");
        assert!(screen.contains("nothing was signed"), "{screen}");
        let heard = heard.lock().unwrap();
        assert!(heard.iter().any(|line| line.contains("/statement")) && !heard.iter().any(|line| line.contains("/reviews")), "{heard:?}");
    }
}
