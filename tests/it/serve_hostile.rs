//! The API as those see it who want more than is theirs: an agent with its user's login, another person, a page elsewhere.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::Submitted;
use gate::policy::Assurance;
use gate::server::identity::proof_text;
use gate::text::hex;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::approver_support::{Trial, request, token};
use crate::serving::{client, host_key, submitted};

/// A call with exactly these headers.
fn bare(trial: &Trial, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let request = client().request(method.parse().unwrap(), format!("{}{path}", trial.url)).body(body.to_owned());
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn whoever_only_sees_a_request_rejects_it_by_no_wrong_numbers() {
    let trial = Trial::start();
    let alice = trial.person("alice", &["--decide"]);
    let view = trial.ask(&alice, |parts| parts.asked.terms.assurance = Assurance::FreshMfa);
    let path = format!("/v1/requests/{}", view["id"].as_str().unwrap());
    let say = json!({ "review": "approve", "digest": view["digest"], "number": "41" });
    for _ in 0..4 {
        let (status, told) = trial.call(&token(&alice), "POST", &format!("{path}/reviews"), &[], &say);
        assert_eq!((status, &told["type"]), (403, &json!("/problems/self-approval")));
    }
    assert_eq!(trial.call(&token(&alice), "GET", &path, &[], &Value::Null).1["state"], "pending");
}

#[test]
fn whoever_logged_out_is_told_nothing_more_of_what_they_followed() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &["--decide"]), trial.person("bob", &["--decide"]));
    let view = trial.ask(&alice, |_| {});
    let path = format!("/v1/requests/{}", view["id"].as_str().unwrap());
    let followed = bare(&trial, "GET", &format!("{path}/events"), &[("authorization", &bearer(&token(&alice)))], "");
    let mut lines = BufReader::new(followed).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("data:") && line.contains("\"pending\"")));
    assert_eq!(trial.call(&token(&alice), "DELETE", "/v1/login/token", &[], &Value::Null).0, 204);
    let say = json!({ "review": "reject", "digest": view["digest"], "number": "42" });
    assert_eq!(trial.call(&token(&bob), "POST", &format!("{path}/reviews"), &[], &say).0, 200);
    // The answer ends, and what was decided is not in it.
    let rest: Vec<String> = lines.collect();
    assert!(!rest.iter().any(|line| line.starts_with("data:")), "{rest:?}");
}

#[test]
fn what_is_given_to_others_is_short_and_ones_own() {
    let trial = Trial::start();
    let alice = token(&trial.person("alice", &["--decide"]));
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let make = |to: &str, slots: Vec<&str>| {
        let body = json!({ "to": to, "slots": slots, "until": until, "reason": "away" });
        trial.call(&alice, "POST", "/v1/delegations", &[], &body).0
    };
    let bob = format!("{}/dev/idp#bob", trial.url);
    // Every call reads all of these: nobody makes them long.
    assert_eq!(make(&format!("{bob}{}", "x".repeat(2000)), vec!["team:sre"]), 422);
    assert_eq!(make(&bob, vec!["team:sre"; 1000]), 403);
    assert_eq!(make(&bob, vec!["team:security"]), 403);
    assert_eq!(make(&bob, vec!["team:sre"]), 201);
}

#[test]
fn whoever_is_nobody_yet_leaves_little_behind() {
    let trial = Trial::start();
    let challenge = "c".repeat(43);
    let begin = |host: &str, name: &str| {
        let (vkey, key) = host_key(name);
        let proof = STANDARD.encode(key.sign(proof_text(&trial.url, &challenge).as_bytes()));
        let body = json!({ "host": host, "code_challenge": challenge, "key": vkey.to_string(), "key_proof": proof }).to_string();
        bare(&trial, "POST", "/v1/login/device", &[("content-type", "application/json")], &body).status().as_u16()
    };
    assert_eq!(begin("h", "gate.local/h"), 200);
    assert_eq!(begin("h", &"x".repeat(100_000)), 400);
    assert_eq!(begin(&"h".repeat(100_000), "gate.local/h"), 400);
}

#[test]
fn nobody_is_let_in_by_a_header_or_an_address_that_others_write() {
    let trial = Trial::start();
    let (alice, carol) = (token(&trial.person("alice", &["--decide"])), token(&trial.person("carol", &["--decide"])));
    let status = |path: &str, headers: &[(&str, &str)]| bare(&trial, "GET", path, headers, "").status().as_u16();
    let (alices, carols) = (bearer(&alice), bearer(&carol));
    assert_eq!(status("/v1/requests", &[("authorization", &alices)]), 200);
    for headers in [
        // A proxy may have looked at the other one.
        &[("authorization", alices.as_str()), ("authorization", carols.as_str())][..],
        &[("authorization", alices.as_str()), ("authorization", "")],
        &[("proxy-authorization", alices.as_str())],
        &[("x-forwarded-user", "alice"), ("x-forwarded-client-cert", "URI=spiffe://x")],
        &[("cookie", "gate_session=x; __Host-gate_session=y")],
        &[("authorization", "bearer"), ("cookie", "gate_session=x")],
    ] {
        assert_eq!(status("/v1/requests", headers), 401, "{headers:?}");
    }
    for name in ["access_token", "token", "authorization"] {
        assert_eq!(status(&format!("/v1/requests?{name}={alice}"), &[]), 401);
    }
    // Other words for the method are no words.
    let stop = [("authorization", alices.as_str()), ("x-http-method-override", "DELETE"), ("x-method-override", "DELETE")];
    assert_eq!(status("/v1/login/token", &stop), 405);
    assert_eq!(bare(&trial, "POST", "/v1/login/token?_method=DELETE", &stop, "").status(), 400);
    assert_eq!(status("/v1/requests", &[("authorization", &alices)]), 200, "the login stands");
}

#[test]
fn a_page_elsewhere_reads_nothing_and_nothing_is_kept_on_the_way() {
    let trial = Trial::start();
    let alice = trial.person("alice", &["--decide"]);
    let view = trial.ask(&alice, |_| {});
    let bearer = bearer(&token(&alice));
    let path = format!("/v1/requests/{}", view["id"].as_str().unwrap());
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    for (method, path, headers) in [
        ("OPTIONS", "/v1/requests", &preflight[..]),
        ("OPTIONS", "/v1/login/token", &preflight),
        ("GET", "/v1/requests", &[("authorization", bearer.as_str()), ("origin", "https://evil.example")]),
        ("GET", &path, &[("authorization", bearer.as_str()), ("origin", "null")]),
    ] {
        let answer = bare(&trial, method, path, headers, "");
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")), "{method} {path}: {answer:?}");
        assert!(method == "GET" || !answer.status().is_success(), "{answer:?}");
        if answer.status().is_success() {
            assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        }
    }
}

#[test]
fn json_that_is_read_in_two_ways_is_digested_as_it_is_shown() {
    let trial = Trial::start();
    let alice = trial.person("alice", &["--decide"]);
    let bearer = bearer(&token(&alice));
    let (value, key) = submitted(&request());
    let quoted = format!("\"{key}\"");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", quoted.as_str())];
    let ask = |text: &str| bare(&trial, "POST", "/v1/requests", &headers, text);
    let nonce = hex(&[7; 32]);
    // What this very service reads twice is refused; within what is asked, the last one is digested, keyed and shown.
    let twice = format!("{{\"approval_request\":{value},\"client_nonce_sha256\":\"{nonce}\",\"client_nonce_sha256\":\"{nonce}\"}}");
    assert_eq!(ask(&twice).status(), 422);
    let argv = value["argv"].to_string();
    let hidden = value.to_string().replacen("\"argv\":", "\"argv\":[\"rm\",\"-rf\",\"/\"],\"argv\":", 1);
    assert!(hidden.contains(&argv));
    let told: Value =
        serde_json::from_slice(&ask(&format!("{{\"approval_request\":{hidden},\"client_nonce_sha256\":\"{nonce}\"}}")).bytes().unwrap())
            .unwrap();
    assert_eq!(told["approval_request"], value);
    assert_eq!(told["digest"], Submitted::read(&value).unwrap().digest().to_string());
    for deep in ["[", "{\"a\":"] {
        let text = format!("{{\"approval_request\":{},\"client_nonce_sha256\":\"{nonce}\"}}", deep.repeat(50_000));
        assert_eq!(ask(&text).status(), 422);
    }
}

#[test]
fn large_pages_and_strange_ids_are_what_they_are() {
    let trial = Trial::start();
    let alice = trial.person("alice", &["--decide"]);
    for number in 0..3 {
        trial.ask(&alice, |parts| parts.words(vec!["deploy".into(), number.to_string()]));
    }
    let call = |path: &str| trial.call(&token(&alice), "GET", path, &[], &Value::Null);
    assert_eq!(call("/v1/requests?limit=4000000000").1["requests"].as_array().unwrap().len(), 3);
    assert_eq!(call("/v1/requests?limit=0").1["requests"].as_array().unwrap().len(), 1);
    assert_eq!(call("/v1/requests?limit=99999999999999999999999").0, 422);
    assert_eq!(call("/v1/requests?limit=1&limit=2").0, 422);
    assert_eq!(call("/v1/requests?cursor=%27%20OR%201=1%20--").0, 200);
    for id in ["..", "%2e%2e", "%00", "req_%", "%F0%9F%92%A9", "%ff", "REQ_1", &"x".repeat(8000)] {
        let (status, told) = call(&format!("/v1/requests/{id}"));
        assert!([404, 422].contains(&status), "{id}: {status} {told}");
    }
}

/// What comes back for these bytes, until the server closes.
fn raw(trial: &Trial, bytes: &str) -> String {
    let mut stream = TcpStream::connect(trial.url.trim_start_matches("http://").replace("localhost", "127.0.0.1")).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    String::from_utf8_lossy(&back).into_owned()
}

#[test]
fn a_request_whose_end_is_unclear_hides_no_other() {
    let trial = Trial::start();
    for head in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: +4",
        "content-length: 4, 5",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "x-a: b\r\n folded: c",
    ] {
        let back = raw(
            &trial,
            &format!("POST /v1/login/token HTTP/1.1\r\nhost: gate\r\n{head}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: gate\r\n\r\n"),
        );
        assert!(!back.contains("\r\n\r\nok\n") && !back.starts_with("HTTP/1.1 2"), "{head}: {back}");
    }
}
