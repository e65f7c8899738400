//! People who signed on stop a server, break the glass, decide for each other and confirm its configuration, by its API.

use std::sync::Arc;

use gate::approval::Approver;
use gate::key::Vkey;
use gate::policy::{Assurance, Terms};
use gate::server::app::{App, DecisionKey};
use gate::server::identity::dev::{self, DevProvider};
use gate::server::identity::{Identity, session};
use gate::server::live::Live;
use gate::server::model::{Kept, State};
use gate::server::pace::Pace;
use gate::server::routes;
use gate::server::settings::Settings;
use gate::server::store::{BREAK_GLASS, Sqlite};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::identity_support::{Browser, listener, now, runtime, serve};
use crate::serve_asked::{SECOND, asked, kept, terms};
use crate::serving::{client, cosigner, host_key};

/// A server with the people of a trial: alice (sre, payments), bob (sre), carol (security, payments).
struct Site {
    url: String,
    app: Arc<App>,
    _directory: tempfile::TempDir,
}

/// Somebody who signed on.
struct Person<'a> {
    site: &'a Site,
    browser: Browser,
}

impl Site {
    /// `ISSUER#NAME` in the configuration is one of those people.
    fn new(more: &str) -> Self {
        let (listener, url) = listener();
        let url = url.replace("127.0.0.1", "localhost");
        let directory = tempfile::tempdir().unwrap();
        let teams = "[teams]\nsre = [\"group:dev:sre\"]\npayments = [\"group:dev:payments\"]\nsecurity = [\"group:dev:security\"]\n";
        let more = more.replace("ISSUER", &format!("{url}/dev/idp"));
        let text = format!("url = \"{url}\"\nstate = \"{}\"\n{teams}{more}", directory.path().display());
        let settings = Settings::parse(&text).unwrap();
        let provider = Arc::new(DevProvider::new(&url).unwrap());
        let identity = Identity::dev(&settings, &provider, [7; 32]).unwrap();
        let (_, secret) = host_key("gate.example");
        let key = DecisionKey { vkey: Vkey::new("gate.example", secret.public()).unwrap(), dev: true, secret };
        let store = Arc::new(Sqlite::open(&directory.path().join("requests.db")).unwrap());
        let (pace, configuration) = (Pace::default(), ["0a".repeat(32), "0b".repeat(32)]);
        let (live, cosigner) = (Live::default(), cosigner());
        let app = Arc::new(App { settings, store, identity, live, key, cosigner, pace, configuration });
        serve(listener, routes::router(&app).merge(dev::routes(provider)));
        Self { url, app, _directory: directory }
    }

    /// Somebody signs on; `alice+mfa` with a second factor.
    fn person(&self, who: &str) -> Person<'_> {
        let mut browser = Browser::new();
        let page = browser.go(&format!("{}/login", self.url));
        browser.submit(&page, &[("who", who)]);
        Person { site: self, browser }
    }

    /// Bob asks for something.
    fn ask(&self, number: u32, terms: Terms) -> Kept {
        let mut request = kept(format!("req_{number}"), &asked(number, terms), number, now());
        request.requester.person = Some(Approver { issuer: format!("{}/dev/idp", self.url), subject: "bob".to_owned() });
        request.number = Some("42".to_owned());
        runtime().block_on(self.app.store.create(request.clone())).unwrap();
        request
    }

    fn state(&self, request: &Kept) -> State {
        runtime().block_on(self.app.store.request(&request.id)).unwrap().unwrap().state
    }

    fn kinds(&self) -> Vec<String> {
        runtime().block_on(self.app.store.events(0, 1000)).unwrap().into_iter().map(|event| event.kind).collect()
    }
}

impl Person<'_> {
    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", self.browser.cookie_header(&self.site.url).parse().unwrap());
        let session = runtime().block_on(session::read(&self.site.app.identity, &*self.site.app.store, &headers, now())).unwrap();
        headers.insert("x-gate-csrf", session.unwrap().csrf().parse().unwrap());
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        let request = client().request(method.parse().unwrap(), format!("{}{path}", self.site.url)).headers(headers);
        let request = if body.is_null() { request } else { request.header("content-type", "application/json").body(body.to_string()) };
        let response = request.send().unwrap();
        (response.status().as_u16(), serde_json::from_slice(&response.bytes().unwrap()).unwrap_or_default())
    }

    fn approve(&self, request: &Kept) -> (u16, Value) {
        let body = json!({ "review": "approve", "digest": request.digest().to_string(), "number": "42" });
        self.call("POST", &format!("/v1/requests/{}/reviews", request.id), &body)
    }
}

fn of_team(team: &str) -> Terms {
    Terms { approvers: vec![team.to_owned()], ..terms() }
}

#[test]
fn one_of_those_named_stops_everything_and_two_of_them_lift_it() {
    let site = Site::new("[stop]\npeople = [\"person:ISSUER#alice\", \"person:ISSUER#bob\"]\n");
    let (alice, bob, carol) = (site.person("alice"), site.person("bob"), site.person("carol"));
    let waits = site.ask(1, of_team("team:security"));
    let why = json!({ "reason": "keys leaked" });
    assert_eq!(carol.call("POST", "/v1/stop", &why).0, 403);
    assert_eq!(alice.call("POST", "/v1/stop", &json!({ "reason": " " })).0, 422);
    let (status, told) = alice.call("POST", "/v1/stop", &why);
    assert_eq!((status, &told["stopped"], &told["reason"]), (200, &json!(true), &json!("keys leaked")));
    assert_eq!(site.state(&waits), State::Rejected);
    assert_eq!(carol.approve(&waits).0, 409);
    assert_eq!(carol.call("POST", "/v1/stop/lift", &Value::Null).0, 403);
    // One person is one person, however often they say it.
    for _ in 0..2 {
        let told = alice.call("POST", "/v1/stop/lift", &Value::Null).1;
        assert_eq!((&told["stopped"], told["lifted_by"].as_array().unwrap().len()), (&json!(true), 1));
    }
    assert_eq!(bob.call("POST", "/v1/stop/lift", &Value::Null).1["stopped"], false);
    assert_eq!(carol.approve(&site.ask(2, of_team("team:security"))).0, 200);
    let told: Vec<String> = site.kinds().into_iter().filter(|kind| kind.starts_with("stop.")).collect();
    assert_eq!(told, ["stop.begun", "stop.lifting", "stop.lifted"]);
}

#[test]
fn whoever_is_let_decides_in_anothers_place_until_that_ends_and_lets_nobody_else() {
    let site = Site::new("");
    let (alice, bob, carol) = (site.person("alice"), site.person("bob"), site.person("carol"));
    let first = site.ask(1, of_team("team:security"));
    assert_eq!(alice.approve(&first).0, 404, "she may not even see it");
    let until = jiff::Timestamp::from_nanosecond((now() + 3600 * SECOND).into()).unwrap().to_string();
    let to = |who: &str, until: &str| json!({ "to": format!("{}/dev/idp#{who}", site.url), "slots": ["team:security"], "until": until, "reason": "away" });
    assert_eq!(carol.call("POST", "/v1/delegations", &to("alice", "2999-01-01T00:00:00Z")).0, 422);
    assert_eq!(carol.call("POST", "/v1/delegations", &to("carol", &until)).0, 422);
    assert_eq!(bob.call("POST", "/v1/delegations", &to("alice", &until)).0, 403, "what is not his");
    let (status, made) = carol.call("POST", "/v1/delegations", &to("alice", &until));
    assert_eq!(status, 201, "{made}");
    assert_eq!(alice.call("POST", "/v1/delegations", &to("bob", &until)).0, 403, "not through two hands");
    let (status, view) = alice.approve(&first);
    assert_eq!((status, &view["state"], &view["reviews"][0]["for"]["subject"]), (200, &json!("approved"), &json!("carol")));
    // Whoever asked does not decide by another's hand.
    assert_eq!(carol.call("POST", "/v1/delegations", &to("bob", &until)).0, 201);
    let second = site.ask(2, of_team("team:security"));
    assert_eq!(bob.approve(&second).0, 403);
    let path = format!("/v1/delegations/{}", made["id"].as_str().unwrap());
    assert_eq!(bob.call("DELETE", &path, &Value::Null).0, 404, "it is not his");
    assert_eq!(alice.call("GET", "/v1/delegations", &Value::Null).1["delegations"].as_array().unwrap().len(), 1);
    assert_eq!(carol.call("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(alice.approve(&second).0, 404);
    assert!(site.kinds().contains(&"delegation.made".to_owned()) && site.kinds().contains(&"delegation.revoked".to_owned()));
}

#[test]
fn whoever_breaks_the_glass_owes_a_review_that_somebody_else_gives() {
    let site = Site::new("[break_glass]\npeople = [\"person:ISSUER#alice\", \"person:ISSUER#bob\"]\nreviewers = [\"team:payments\"]\n");
    let (alice, sure, bob, carol) = (site.person("alice"), site.person("alice+mfa"), site.person("bob+mfa"), site.person("carol+mfa"));
    let people = ["alice", "bob"].map(|who| format!("person:{}/dev/idp#{who}", site.url)).to_vec();
    let request = site.ask(1, Terms { assurance: Assurance::SecondPerson, break_glass: people, ..of_team("team:security") });
    let path = format!("/v1/requests/{}/break-glass", request.id);
    let why = json!({ "digest": request.digest().to_string(), "reason": "the site is down", "number": "42" });
    assert_eq!(bob.call("POST", &path, &why).0, 403, "his own request");
    assert_eq!(carol.call("POST", &path, &why).0, 403, "whom nobody named");
    assert_eq!(alice.call("POST", &path, &why).1["needed"], "fresh-mfa");
    let mut silent = why.clone();
    silent["reason"] = json!("");
    assert_eq!(sure.call("POST", &path, &silent).0, 422);
    assert_eq!(alice.approve(&request).0, 403, "as anybody else she may not");
    let (status, view) = sure.call("POST", &path, &why);
    assert_eq!((status, &view["state"], &view["reviews"][0]["slots"]), (200, &json!("approved"), &json!(["break-glass"])));
    assert_eq!(carol.call("GET", "/v1/break-glass", &Value::Null).1["owed"][0]["reason"], "the site is down");
    let found = json!({ "comment": "it was down indeed" });
    let path = format!("/v1/break-glass/{}/review", request.id);
    assert_eq!(sure.call("POST", &path, &found).0, 403, "her own");
    assert_eq!(bob.call("POST", &path, &found).0, 403, "no reviewer");
    assert_eq!(carol.call("POST", &path, &found).0, 204);
    assert_eq!(carol.call("POST", &path, &found).0, 404);
    assert!(runtime().block_on(site.app.store.items(BREAK_GLASS, None, now())).unwrap().is_empty());
    assert!(["break_glass.used", "break_glass.reviewed"].iter().all(|kind| site.kinds().iter().any(|told| told == kind)));
}

#[test]
fn a_review_that_is_owed_is_asked_for_again() {
    let site = Site::new("[break_glass]\npeople = [\"person:ISSUER#alice\"]\nreviewers = [\"team:payments\"]\nremind = \"1h\"\n");
    let alice = site.person("alice+mfa");
    let people = vec![format!("person:{}/dev/idp#alice", site.url)];
    let request = site.ask(1, Terms { break_glass: people, ..of_team("team:security") });
    let why = json!({ "digest": request.digest().to_string(), "reason": "the site is down", "number": "42" });
    assert_eq!(alice.call("POST", &format!("/v1/requests/{}/break-glass", request.id), &why).0, 200);
    let reminders = || site.kinds().iter().filter(|kind| *kind == "break_glass.reminder").count();
    for (hours, times) in [(0, 0), (2, 1), (2, 1), (4, 2)] {
        runtime().block_on(gate::server::duties::chase(&site.app, now() + hours * 3600 * SECOND)).unwrap();
        assert_eq!(reminders(), times);
    }
}

#[test]
fn administrators_confirm_the_file_that_the_server_was_started_with() {
    let site = Site::new("[configuration]\nadministrators = [\"person:ISSUER#alice\", \"person:ISSUER#bob\"]\n");
    let (alice, bob, carol) = (site.person("alice"), site.person("bob"), site.person("carol"));
    assert_eq!(carol.call("GET", "/v1/configuration", &Value::Null).0, 403);
    let file = json!({ "digest": "0b".repeat(32) });
    assert_eq!(carol.call("POST", "/v1/configuration/confirm", &file).0, 403);
    assert_eq!(alice.call("POST", "/v1/configuration/confirm", &json!({ "digest": "0a".repeat(32) })).0, 422);
    for _ in 0..2 {
        let told = alice.call("POST", "/v1/configuration/confirm", &file).1;
        assert_eq!(told["confirmed_by"].as_array().unwrap().len(), 1);
    }
    let told = bob.call("POST", "/v1/configuration/confirm", &file).1;
    assert_eq!((told["confirmed_by"].as_array().unwrap().len(), &told["in_force"]), (2, &json!("0a".repeat(32))));
}
