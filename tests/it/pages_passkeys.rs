//! Approving by passkeys on the page, in a real browser and with a real `gate` that waits; what is forged in anything approves nothing.

use std::fs;
use std::path::{Path, PathBuf};

use gate::approval::{
    Act, Answer, Approver, Approvers, ApproversFile, Awaited, Evidence, NewKey, NotProved, Registration, RelyingParty, Signed, Standing,
    Unproved,
};
use gate::policy::Assurance;
use gate::server::approvers::{Refused, give, judge, still};
use gate::server::model::{Kept, KeptReview, State};
use gate::server::store::{Created, Reviewed};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::approver_support::{Trial, ends};
use crate::approvers::by_token;
use crate::authenticator::{Attestation, Authenticator};
use crate::identity_support::{now, runtime};
use crate::pages_flows::{Site, by, walk};
use crate::serve_asked::said;
use crate::sshsig::{Token, keygen};
use crate::waiting::runs;
use crate::waiting_at::started;
use crate::world::World;

impl Site {
    /// Enrols somebody's passkey at the server, in a file that a key of Carol's begins.
    pub fn enrol(&self, person: Approver, registration: Registration) -> Approvers {
        let (carol, at) = (Token::new(), now());
        let party = RelyingParty::new("localhost", &self.url).unwrap();
        let first = vec![Act::Party(party), crate::approvers::ssh(self.person("carol"), &carol)];
        let add = vec![Act::Add { name: String::new(), approver: person, key: NewKey::Passkey(registration) }];
        let file = [first, add].into_iter().fold(ApproversFile::default(), |file, acts| {
            let file = file.propose(acts, at).unwrap();
            let signature = by_token(&file, &carol);
            file.sign(signature).unwrap()
        });
        fs::write(self.state().join("approvers.json"), file.text()).unwrap();
        file.into_approvers()
    }
}

/// What the settings give to whoever enrols a passkey.
pub fn registration(text: &str) -> Registration {
    Registration::from_json(&serde_json::from_str(text).unwrap()).unwrap()
}

#[test]
fn a_passkey_approves_the_very_request_and_what_is_forged_in_anything_approves_nothing() {
    let site = Site::new();
    let alone = site.ask(&json!({ "terms": by("team:payments", "passkey") }));
    let both = site.ask(&json!({ "terms": { "approvers": ["team:payments", "team:security"], "threshold": 1, "assurance": "passkey",
        "within_s": 900, "valid_s": 300, "channels": ["server"], "justification": [], "escalate": [] } }));
    let mut enrolled = None;
    walk(&site.url, "forged", &[&alone, &both], |line| {
        let made = registration(line.strip_prefix("enrol ")?);
        enrolled = Some(site.enrol(site.person("alice"), made));
        Some("done".to_owned())
    });
    let request = site.request(&alone);
    assert_eq!((request.state, request.reviews.len()), (State::Approved, 1));
    let review = &request.reviews[0];
    assert_eq!((review.assurance, &review.approver), (Assurance::Passkey, &site.person("alice")));
    // Whoever has the file holds the evidence against it without the server.
    let evidence = Evidence::from_json(review.evidence.as_ref().unwrap()).unwrap();
    let digest = request.digest();
    let awaited = Awaited {
        standing: None,
        request: &request.submitted.said().request,
        digest: digest.bytes(),
        answer: Answer::Approve,
        approver: &review.approver,
        given: review.at,
        nonce: None,
        counter: None,
        user_verified: false,
    };
    let approvers = enrolled.unwrap();
    assert_eq!(approvers.prove(&evidence, &awaited, review.at).unwrap().assurance(), Assurance::Passkey);
    let rejected = Awaited { answer: Answer::Reject, ..awaited };
    assert_eq!(approvers.prove(&evidence, &rejected, review.at).unwrap_err(), NotProved::Answer);
    assert_eq!((site.request(&both).state, site.request(&both).reviews.len()), (State::Pending, 1));
}

#[test]
fn of_two_uses_of_one_count_at_once_one_counts() {
    let site = Site::new();
    let url = site.url.clone();
    let mut authenticator = Authenticator { party: "localhost".to_owned(), origin: url, ..Authenticator::new(1) };
    let alice = site.person("alice");
    authenticator.counter = 1;
    site.enrol(alice.clone(), authenticator.register(&alice, &Attestation::None));
    let request = site.request(&site.ask(&json!({ "terms": by("team:payments", "passkey") })));
    for round in 2..12 {
        authenticator.counter = round;
        let outcomes = runtime().block_on(async {
            let mut statements = Vec::new();
            for _ in 0..2 {
                statements.push(give(&site.app, &request, &alice, Answer::Approve, None, now()).await.unwrap().statement);
            }
            let values: Vec<Value> = statements
                .into_iter()
                .map(|statement| Evidence { signed: Signed::Webauthn(authenticator.assert(&statement)), statement }.to_json())
                .collect();
            let judged = |value| judge(&site.app, &request, &alice, Answer::Approve, value, now());
            let (one, two) = tokio::join!(judged(&values[0]), judged(&values[1]));
            [one, two]
        });
        let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert!(matches!(refused[..], [Refused::NotProved(NotProved::Passkey(Unproved::Counter))]), "round {round}: {outcomes:?}");
    }
    // A passkey that is synced counts nothing, and may be used in two places at once.
    authenticator.id = vec![9; 16];
    authenticator.counter = 0;
    let synced = Site::new();
    authenticator.origin = synced.url.clone();
    let alice = synced.person("alice");
    synced.enrol(alice.clone(), authenticator.register(&alice, &Attestation::None));
    let request = synced.request(&synced.ask(&json!({ "terms": by("team:payments", "passkey") })));
    runtime().block_on(async {
        for _ in 0..3 {
            let statement = give(&synced.app, &request, &alice, Answer::Approve, None, now()).await.unwrap().statement;
            let value = Evidence { signed: Signed::Webauthn(authenticator.assert(&statement)), statement }.to_json();
            judge(&synced.app, &request, &alice, Answer::Approve, &value, now()).await.unwrap();
        }
    });
}

#[test]
fn a_standing_grant_of_a_key_that_does_not_count_any_more_is_used_by_nobody_at_the_server() {
    let site = Site::new();
    let mut authenticator = Authenticator { party: "localhost".to_owned(), origin: site.url.clone(), ..Authenticator::new(1) };
    let alice = site.person("alice");
    authenticator.counter = 1;
    site.enrol(alice.clone(), authenticator.register(&alice, &Attestation::None));
    let mut terms = by("team:payments", "passkey");
    terms["standing"] = json!({ "longest_s": 3600, "uses": 3, "patterns": false });
    let request = site.request(&site.ask(&json!({ "terms": terms })));
    authenticator.counter = 2;
    runtime().block_on(async {
        let (store, at) = (&site.app.store, now());
        let standing = Standing::new(3, at + 60_000_000_000, Vec::new()).unwrap();
        let statement = give(&site.app, &request, &alice, Answer::Approve, Some(standing.clone()), at).await.unwrap().statement;
        let value = Evidence { signed: Signed::Webauthn(authenticator.assert(&statement)), statement }.to_json();
        let shown = judge(&site.app, &request, &alice, Answer::Approve, &value, now()).await.unwrap();
        assert_eq!(shown.standing.as_ref().map(|(signed, _)| signed), Some(&standing));
        let review = KeptReview {
            assurance: shown.assurance,
            slots: vec!["team:payments".to_owned()],
            standing: Some(standing),
            evidence: Some(shown.evidence),
            ..said(&alice, Answer::Approve, &[], now())
        };
        let done = store.review(&request.id, review, Box::new(gate::server::rules::judge)).await.unwrap();
        assert!(matches!(done, Reviewed::Kept(_)), "{done:?}");
        let next = Kept { id: "req_NEXT".to_owned(), client_nonce_sha256: [9; 32], created: now(), ..request.clone() };
        let Created::New(mut used) = store.create(next).await.unwrap() else { panic!("it was not made") };
        assert_eq!((used.state, still(&site.app, &used, now()).await.unwrap()), (State::Approved, true));
        // The same by a key that nobody is enrolled with.
        let said = Evidence::from_json(&value).unwrap().statement;
        let other = Authenticator { party: "localhost".to_owned(), origin: site.url.clone(), ..Authenticator::new(2) };
        let forged = Evidence { signed: Signed::Webauthn(other.assert(&said)), statement: said };
        used.reviews[0].evidence = Some(forged.to_json());
        assert!(!still(&site.app, &used, now()).await.unwrap());
    });
}

/// Bob's key, by which he enrols what he registers on the page.
fn enrols(trial: &Trial, bob: &World, file: &Path, registration: &str) {
    let issuer = format!("{}/dev/idp", trial.url);
    let file = file.to_str().unwrap();
    fs::write(bob.work().join("passkey.json"), registration).unwrap();
    ends(bob, 0, &["approvers", "--file", file, "add", &issuer, "bob", "--ssh-key", "own.pub"]);
    ends(bob, 0, &["approvers", "--file", file, "sign"]);
    let passkey = ["approvers", "--file", file, "add", &issuer, "bob", "--registration", "passkey.json"];
    ends(bob, 0, &[&passkey[..], &["--party", "localhost", "--origin", &trial.url]].concat());
    ends(bob, 0, &["approvers", "--file", file, "sign"]);
}

/// A home whose commands ask at the trial's server for somebody's passkey.
fn asks(trial: &Trial) -> World {
    let (_, keys) = trial.call("", "GET", "/v1/keys", &[], &Value::Null);
    let key = keys["keys"][0]["vkey"].as_str().unwrap();
    let policy = format!(
        "version = 1\n[layer]\nembedded = \"off\"\n[terms.medium]\nassurance = \"passkey\"\nchannels = [\"server\"]\ndev = true\n\
         [server]\nurl = \"{}\"\nkey = \"{key}\"\ndev = true\n",
        trial.url
    );
    trial.log_in(World::new().user_policy(&policy), "alice", &[])
}

#[test]
fn what_a_passkey_approved_on_the_page_runs_and_is_verified_again_from_the_record() {
    let trial = Trial::start();
    let bob = World::new();
    let agent = Agent::start_with(&bob, "");
    let bob = bob.env("SSH_AUTH_SOCK", &agent.socket);
    keygen(&bob, "own", &["ed25519"]);
    agent.add(&bob, "own");
    let bob = trial.log_in(bob, "bob", &["--decide"]);
    let alice = asks(&trial);
    let approvers: PathBuf = alice.config().join("approvers.json");
    let mut waits = None;
    walk(&trial.url, "signed", &[], |line| {
        let file = trial.state().join("approvers.json");
        enrols(&trial, &bob, &file, line.strip_prefix("enrol ")?);
        fs::copy(&file, &approvers).unwrap();
        waits = Some(started(&alice, &["--", "sh", "-c", "echo ran >> ran"]));
        Some(trial.waiting(&bob))
    });
    let ran = alice.wait(waits.unwrap());
    assert_eq!((ran.code(), runs(&alice)), (0, 1), "{ran}");
    let verified = alice.run(["audit", "verify", "--local", "--approvers", approvers.to_str().unwrap()]);
    assert!(verified.code() == 0 && verified.out().contains("approvals: 1 are shown by their approvers' signatures, 0 only"), "{verified}");
}
