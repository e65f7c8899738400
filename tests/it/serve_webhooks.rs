//! Webhooks: everything arrives, signed, whatever is killed; nothing reaches where it must not.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::server::webhook::{Signers, guard::is_public};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::serve_support::{Host, Server};
use super::world::{World, set_mode};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What came, and where it came to.
pub struct Sent {
    path: String,
    pub headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Somebody who takes webhooks, and answers as the list says, and then always with 204.
pub struct Taker {
    _runtime: Runtime,
    address: SocketAddr,
    came: Receiver<Sent>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Taker {
    pub fn new(answers: &[u16]) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (told, came) = channel();
        let answers = Arc::new(Mutex::new(answers.iter().rev().copied().collect::<Vec<_>>()));
        let left = Arc::clone(&answers);
        let take = move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
            let _ = told.send(Sent { path: uri.path().to_owned(), headers, body });
            let status = left.lock().unwrap().pop().unwrap_or(204);
            std::future::ready((StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")]))
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        Self { _runtime: runtime, address, came, answers }
    }

    pub fn next(&self) -> Sent {
        self.came.recv_timeout(Duration::from_mins(1)).expect("nothing came")
    }

    pub fn section(&self, world: &World, more: &str) -> String {
        section(world, &format!("http://{}/hook", self.address), &format!("allow_private = true\n{more}"))
    }
}

fn section(world: &World, url: &str, more: &str) -> String {
    let secret = world.root().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    set_mode(&secret, 0o600);
    format!("[[webhook]]\nname = \"hook\"\nurl = \"{url}\"\nsecret_file = \"{}\"\n{more}", secret.display())
}

fn sql(world: &World, statement: &str) {
    rusqlite::Connection::open(world.root().join("serve/requests.db")).unwrap().execute_batch(statement).unwrap();
}

/// How many items of a kind the server keeps.
fn kept(world: &World, kind: &str) -> i64 {
    let database = rusqlite::Connection::open(world.root().join("serve/requests.db")).unwrap();
    database.query_row("SELECT count(*) FROM item WHERE kind=?1", [kind], |row| row.get(0)).unwrap()
}

/// Waits until it keeps one.
fn wait_for(world: &World, kind: &str) {
    while kept(world, kind) == 0 {
        std::thread::yield_now();
    }
}

/// The reference library takes them, and takes none of them changed.
fn verified(sent: &[Sent]) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    assert!(python.exists(), "tests/all makes target/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/webhooks.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for one in sent {
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, one.header(name)));
        let headers: serde_json::Map<String, Value> = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        writeln!(input, "{}", json!({ "secret": SECRET, "headers": headers, "body": STANDARD.encode(&one.body) })).unwrap();
    }
    drop(input);
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "verified");
}

#[test]
fn a_signature_is_that_of_the_specification() {
    let signers = Signers::parse(SECRET).unwrap();
    let signed = signers.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let both = Signers::parse(&format!("{SECRET}\nwhsk_{}\n", STANDARD.encode([7; 32]))).unwrap().sign("a", 1, b"{}");
    let (_, own) = both.split_once(" v1a,").unwrap();
    let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public =
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, ring::signature::KeyPair::public_key(&key).as_ref().to_vec());
    assert!(public.verify(b"a.1.{}", &STANDARD.decode(own).unwrap()).is_ok());
    for text in ["", "x", "whsec_", "whsec_AAAA", "whsk_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(Signers::parse(text).is_none(), "{text}");
    }
}

#[test]
fn every_event_that_is_wanted_arrives_once_and_the_reference_library_takes_it() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[]);
    let server = Server::start(&world, &format!("{}{}", host.section(), taker.section(&world, "kinds = [\"request.*\"]\n")), &[]);
    let ids: Vec<String> = (0..5).map(|number| server.ask(&host, &number.to_string()).1["id"].as_str().unwrap().to_owned()).collect();
    let sent: Vec<Sent> = ids.iter().map(|_| taker.next()).collect();
    verified(&sent);
    let told: Vec<String> = sent.iter().map(|one| one.json()["data"]["request"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ids);
    assert!(sent.iter().all(|one| one.json()["type"] == "request.created" && one.path == "/hook"));
    let unique: BTreeSet<&str> = sent.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(unique.len(), sent.len());
    server.stopped();
}

#[test]
fn what_did_not_arrive_is_tried_again_under_the_same_id_also_after_a_kill_and_a_redirect_is_not_followed() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[307, 500]);
    let sections = format!("{}{}", host.section(), taker.section(&world, "kinds = [\"request.created\"]\n"));
    let server = Server::start(&world, &sections, &[]);
    server.ask(&host, "a");
    server.ask(&host, "b");
    let (first, second) = (taker.next(), taker.next());
    assert!(first.path == "/hook" && second.path == "/hook");
    // Both tries are noted before the next event is taken up.
    server.ask(&host, "c");
    let third = taker.next();
    server.killed();
    sql(&world, "UPDATE item SET data=json_set(data,'$.due',0) WHERE kind='webhook_waiting'");
    let server = Server::start(&world, &sections, &[]);
    let again: BTreeSet<String> = (0..2).map(|_| taker.next().header("webhook-id").to_owned()).collect();
    let failed: BTreeSet<String> = [&first, &second].iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert!(again.is_superset(&failed) || again.contains(third.header("webhook-id")), "{again:?} {failed:?}");
    server.stopped();
    verified(&[first, second, third]);
}

#[test]
fn a_webhook_whose_tries_are_used_up_is_kept_to_be_looked_at() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[500, 500]);
    let sections = format!("{}{}", host.section(), taker.section(&world, "kinds = [\"request.created\"]\n"));
    let server = Server::start(&world, &sections, &[]);
    server.ask(&host, "a");
    taker.next();
    wait_for(&world, "webhook_waiting");
    server.stopped();
    sql(&world, "UPDATE item SET data=json_set(data,'$.due',0,'$.tries',9) WHERE kind='webhook_waiting'");
    let server = Server::start(&world, &sections, &[]);
    taker.next();
    wait_for(&world, "webhook_dead");
    assert!(server.stopped().1.concat().contains("a webhook never arrived"));
    let database = rusqlite::Connection::open(world.root().join("serve/requests.db")).unwrap();
    let dead: String = database.query_row("SELECT data FROM item WHERE kind='webhook_dead'", [], |row| row.get(0)).unwrap();
    assert!(dead.contains("answered 500") && dead.contains("request.created"), "{dead}");
    assert_eq!(kept(&world, "webhook_waiting"), 0);
}

#[test]
fn a_receiver_that_is_gone_is_sent_nothing_more() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[410]);
    let sections = format!("{}{}", host.section(), taker.section(&world, "kinds = [\"request.created\"]\n"));
    let server = Server::start(&world, &sections, &[]);
    server.ask(&host, "a");
    taker.next();
    let (_, lines) = server.stopped();
    assert!(lines.concat().contains("wants no more"), "{lines:?}");
    let server = Server::start(&world, &sections, &[]);
    server.ask(&host, "b");
    server.stopped();
    assert!(taker.came.try_recv().is_err() && taker.answers.lock().unwrap().is_empty());
}

#[test]
fn a_webhook_into_the_private_network_is_refused_by_address_and_by_name() {
    let world = World::new();
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        let said = Server::tried(&world, &section(&world, &format!("https://{address}/x"), ""), &[]).err().unwrap();
        assert!(said.concat().contains("no public address"), "{address}: {said:?}");
    }
    for url in ["http://example.org/", "https://user:secret@example.org/", "ftp://example.org/", "x"] {
        let said = Server::tried(&world, &section(&world, url, ""), &[]).err().unwrap();
        assert!(!said.concat().contains("secret@"), "{said:?}");
    }
    // A name that leads there is found out when it is asked for, whatever it led to before.
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[]);
    let sections = format!("{}{}", host.section(), section(&world, &format!("https://localhost:{}/x", taker.address.port()), ""));
    let server = Server::start(&world, &sections, &[]);
    server.ask(&host, "a");
    wait_for(&world, "webhook_waiting");
    let (_, lines) = server.stopped();
    assert!(lines.concat().contains("no public address"), "{lines:?}");
    assert!(taker.came.try_recv().is_err());
}

#[test]
fn only_addresses_of_the_public_network_are_public() {
    let private = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in private {
        assert!(!is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
    for address in
        ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00::1"]
    {
        assert!(is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
}

#[test]
fn metrics_tell_what_happened_in_words_of_the_servers_only() {
    let world = World::new();
    let host = Host::new("gate.test/h/1");
    let taker = Taker::new(&[]);
    let sections =
        format!("[metrics]\nlisten = \"127.0.0.1:0\"\n{}{}", host.section(), taker.section(&world, "kinds = [\"request.created\"]\n"));
    let server = Server::start(&world, &sections, &[]);
    assert_eq!(server.ask(&host, "secret-word").0, 201);
    assert_eq!(server.get("/v1/requests/req_unknown?token=hidden").0, 401);
    taker.next();
    let at: SocketAddr = server.before.iter().find_map(|line| line.split("metrics at ").nth(1)?.split(';').next()?.parse().ok()).unwrap();
    let scraped = || super::serve_support::plainly().get(format!("http://{at}/metrics")).send().unwrap().text().unwrap();
    // The log is written a moment after the answer.
    let text = std::iter::repeat_with(scraped).take(10_000).find(|text| text.contains("gate_requests_total{state=\"created\"} 1")).unwrap();
    for line in [
        "gate_open_requests{state=\"pending\"} 1",
        "gate_http_requests_total{method=\"POST\",route=\"/v1/requests\",status=\"201\"} 1",
        "gate_webhooks_total{webhook=\"hook\",result=\"arrived\"} 1",
        "gate_build_info{version=",
        "gate_store_write_seconds_count",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("secret-word") && !text.contains("hidden") && !text.contains("req_"), "{text}");
    let (_, lines) = server.stopped();
    assert!(!lines.concat().contains("hidden") && lines.concat().contains("\"route\":\"/v1/requests\""), "{lines:?}");
}
