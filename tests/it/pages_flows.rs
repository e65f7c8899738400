//! Whole ways through the pages in a real browser: sign on, decide, be refused.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use gate::approval::{Answer, Approver};
use gate::key::{SigningKey, Vkey};
use gate::policy::Assurance;
use gate::server::app::{App, DecisionKey, request_id};
use gate::server::identity::dev::{self, DevProvider};
use gate::server::identity::{Host as _, Identity};
use gate::server::live::Live;
use gate::server::model::{Kept, Requester, State};
use gate::server::pace::Pace;
use gate::server::routes;
use gate::server::settings::Settings;
use gate::server::store::{Filter, Sqlite};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::identity_support::{listener, now, runtime, serve};
use crate::pages_samples::{SECOND, kept, with};

/// A server with the throw-away provider, on `localhost`, where browsers allow passkeys.
pub struct Site {
    pub url: String,
    pub app: Arc<App>,
    directory: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with more in its configuration; `ISSUER#NAME` there is one of the trial's people.
    pub fn with(more: &str) -> Self {
        let (listener, url) = listener();
        let url = url.replace("127.0.0.1", "localhost");
        let directory = TempDir::new().unwrap();
        let state = directory.path().to_str().unwrap();
        let more = more.replace("ISSUER", &format!("{url}/dev/idp"));
        let teams = "[teams]\nsre = [\"group:dev:sre\"]\npayments = [\"group:dev:payments\"]\nsecurity = [\"group:dev:security\"]\n";
        let settings = Settings::parse(&format!("url = \"{url}\"\nstate = \"{state}\"\n{teams}{more}")).unwrap();
        let provider = Arc::new(DevProvider::new(&url).unwrap());
        let identity = Identity::dev(&settings, &provider, [7; 32]).unwrap();
        let secret = SigningKey::from_pkcs8(&SigningKey::generate(&SystemRandom::new()).unwrap()).unwrap();
        let key = DecisionKey { vkey: Vkey::new("gate.example", secret.public()).unwrap(), dev: true, secret };
        let store = Arc::new(Sqlite::open(&directory.path().join("requests.db")).unwrap());
        let (pace, configuration) = (Pace::default(), ["0a".repeat(32), "0b".repeat(32)]);
        let app = Arc::new(App {
            settings,
            store,
            identity,
            live: Live::default(),
            key,
            cosigner: crate::serving::cosigner(),
            pace,
            configuration,
        });
        serve(listener, routes::router(&app).merge(dev::routes(provider)));
        Self { url, app, directory }
    }

    /// Where the server keeps what is its own.
    pub fn state(&self) -> &Path {
        self.directory.path()
    }

    /// One of the trial's people.
    pub fn person(&self, name: &str) -> Approver {
        Approver { issuer: format!("{}/dev/idp", self.url), subject: name.to_owned() }
    }

    /// Bob asks for something; what a host tells is `changes` away from the usual.
    pub fn ask(&self, changes: &Value) -> String {
        let (now, told) = (now(), with(changes));
        let id = request_id(now).unwrap();
        let request = Kept {
            id: id.clone(),
            key: id.clone(),
            requester: Requester { way: "login".to_owned(), name: "bob's laptop".to_owned(), person: Some(self.person("bob")), job: None },
            created: now,
            expires: now + 900 * SECOND,
            ..kept(&told)
        };
        self.keep(request)
    }

    /// Keeps a request as it is, as if it had been asked.
    pub fn keep(&self, request: Kept) -> String {
        let id = request.id.clone();
        runtime().block_on(self.app.store.create(request)).unwrap();
        self.app.live.tell(&id);
        id
    }

    pub fn request(&self, id: &str) -> Kept {
        runtime().block_on(self.app.store.request(id)).unwrap().unwrap()
    }

    /// The kinds of events that begin so.
    pub fn kinds(&self, beginning: &str) -> Vec<String> {
        let events = runtime().block_on(self.app.store.events(0, 1000)).unwrap();
        events.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with(beginning)).collect()
    }

    /// Runs a script of `tests/browser/flows.mjs`; it may ask for `ask CHANGES`, and is told the new request's id.
    pub fn walk(&self, flow: &str, ids: &[&str]) {
        walk(&self.url, flow, ids, |line| {
            let changes = line.strip_prefix("ask ")?;
            Some(self.ask(&serde_json::from_str(changes).unwrap()))
        });
    }
}

/// Runs a script of `tests/browser/flows.mjs` at a server. What it prints is answered, or has to be `clean`.
pub fn walk(url: &str, flow: &str, arguments: &[&str], mut answer: impl FnMut(&str) -> Option<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pictures = root.join("target/screenshots");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser/flows.mjs")).arg(root.join("target/browser/node_modules")).arg(&pictures);
    command.arg(url).arg(flow).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut tell = child.stdin.take().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match answer(&line) {
            Some(told) => writeln!(tell, "{told}").unwrap(),
            None => said.push(line),
        }
    }
    assert!(child.wait().unwrap().success() && said == ["clean"], "{flow}: {}", said.join("\n"));
}

/// One slot that any of a team fills.
pub fn by(team: &str, assurance: &str) -> Value {
    json!({ "approvers": [team], "threshold": 1, "assurance": assurance, "within_s": 900, "valid_s": 300, "channels": ["server"],
        "justification": [], "escalate": [] })
}

#[test]
fn two_people_approve_and_see_each_other_do_it() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": { "approvers": ["team:payments", "team:security"], "threshold": 1, "assurance": "second-person",
        "within_s": 900, "valid_s": 300, "channels": ["server"], "justification": [], "escalate": [] } }));
    site.walk("both", &[&id]);
    let request = site.request(&id);
    assert_eq!(request.state, State::Approved);
    assert_eq!(request.wrong_numbers, 1);
    let people: Vec<&str> = request.reviews.iter().map(|review| review.approver.subject.as_str()).collect();
    assert_eq!(people, ["alice", "carol"]);
}

#[test]
fn of_two_at_once_one_decides_and_the_other_is_told() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "second-person") }));
    site.walk("at_once", &[&id]);
    let request = site.request(&id);
    assert_eq!((request.state, request.reviews.len()), (State::Approved, 1));
}

#[test]
fn the_inbox_lives_and_is_walked_by_keys() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "second-person") }));
    site.walk("inbox", &[&id]);
}

#[test]
fn a_request_is_read_and_rejected_without_a_script() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "second-person") }));
    site.walk("plain", &[&id]);
    let request = site.request(&id);
    assert_eq!(request.state, State::Rejected);
    assert_eq!((request.reviews[0].answer, request.reviews[0].comment.as_str()), (Answer::Reject, "not today"));
}

#[test]
fn nobody_decides_on_their_own_request_and_strangers_do_not_see_it() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:security", "second-person") }));
    site.walk("own", &[&id]);
    assert_eq!(site.request(&id).state, State::Pending);
}

#[test]
fn what_comes_from_elsewhere_changes_nothing_and_no_page_stands_in_a_frame() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "second-person") }));
    site.walk("elsewhere", &[&id]);
    assert_eq!(site.request(&id).state, State::Pending);
}

#[test]
fn a_session_that_ended_leads_to_signing_on_again() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "second-person") }));
    site.walk("ended", &[&id]);
    assert_eq!(site.request(&id).state, State::Pending);
}

#[test]
fn terms_that_want_a_second_factor_lead_to_it_and_back() {
    let site = Site::new();
    let id = site.ask(&json!({ "terms": by("team:payments", "fresh-mfa") }));
    site.walk("step_up", &[&id]);
    let request = site.request(&id);
    assert_eq!((request.state, request.reviews[0].assurance), (State::Approved, Assurance::FreshMfa));
}

#[test]
fn approving_needs_the_end_of_the_command_on_the_screen() {
    let site = Site::new();
    let argv: Vec<String> = (0..200).map(|word| format!("word-{word}")).collect();
    let id = site.ask(&json!({ "argv": argv, "terms": by("team:payments", "second-person") }));
    site.walk("long", &[&id]);
    assert_eq!(site.request(&id).state, State::Approved);
}

#[test]
fn something_narrower_is_offered_by_a_rejection() {
    let site = Site::new();
    let id = site.ask(&json!({ "argv": ["rm", "-rf", "a b"], "terms": by("team:payments", "second-person") }));
    site.walk("narrower", &[&id]);
    let request = site.request(&id);
    assert_eq!(request.state, State::Rejected);
    assert_eq!(request.reviews[0].comment, "too much\nWould be approved instead: rm 'a b'");
}

#[test]
fn a_passkey_is_registered_once_by_its_owner_and_with_verification() {
    let site = Site::new();
    site.walk("passkey", &[]);
    assert_eq!(site.kinds("passkey"), ["passkey.registered", "passkey.removed"]);
}

#[test]
fn a_thousand_waiting_requests_are_a_small_first_page() {
    let site = Site::new();
    let ids: Vec<String> = (0..1000).map(|_| site.ask(&json!({ "terms": by("team:payments", "second-person") }))).collect();
    let all = runtime().block_on(site.app.store().list(Filter { limit: 2000, ..Filter::default() })).unwrap();
    assert_eq!(all.len(), ids.len());
    site.walk("many", &[]);
}
