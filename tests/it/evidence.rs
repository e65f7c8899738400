//! Approvals that carry what their approvers signed: `gate audit verify --allowed-signers` takes no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{
    Act, Answer, Answers, Approver, ApproversFile, Bound, Evidence, NAMESPACE, Review, Seen, Signed, Stamp, Statement, Trust, verify,
};
use gate::policy::{Assurance, Channel};
use gate::record::{Checkpoint, Draft, Note, story};
use serde_json::Value;

use crate::approval::Parts;
use crate::approvers::{passkey, ssh};
use crate::authenticator::{Attestation, Authenticator, PRESENT};
use crate::log::{at, filled, open};
use crate::passkeys::party;
use crate::sshsig::{Token, keygen, sign};
use crate::world::{Ran, World};

/// The parts of what an approver says.
struct Said {
    request: String,
    digest: [u8; 32],
    subject: String,
    nonce: [u8; 16],
    expires: i64,
    seen: Seen,
}

impl Said {
    fn statement(&self) -> Statement {
        let approver = Approver { issuer: "tty:h".into(), subject: self.subject.clone() };
        let bound = Bound { nonce: self.nonce.to_vec(), expires: self.expires };
        let said = Statement::new(&self.request, self.digest, Answer::Approve, approver, 1, bound);
        said.unwrap().having_seen(self.seen.clone())
    }
}

/// The log as an approver is shown it, and what they would say.
fn said(world: &World, parts: &Parts) -> Said {
    drop(open(world).unwrap());
    let note = Note::parse(&world.run(["audit", "checkpoint"]).out()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let seen = Seen { log: checkpoint.origin, size: checkpoint.size, root: checkpoint.root };
    let (request, digest) = (parts.id.to_string(), *parts.made().digest().bytes());
    Said { request, digest, subject: "1000".into(), nonce: [9; 16], expires: i64::MAX, seen }
}

fn statement(world: &World, parts: &Parts) -> Statement {
    said(world, parts).statement()
}

/// The decision that follows from a review with this evidence.
fn decision(parts: &Parts, evidence: Option<Evidence>) -> [Draft; 2] {
    let asked = parts.made();
    // No two records have one salt.
    let salt = [u8::from(evidence.is_some()); 16];
    let when = Stamp { wall: 2_000_000_000, boot: Duration::from_secs(101) };
    let approver = Approver { issuer: "tty:h".into(), subject: "1000".into() };
    let review = Review {
        approver: approver.clone(),
        assurance: Assurance::Confirm,
        channel: Channel::Tty,
        answer: Answer::Approve,
        comment: String::new(),
        justification: String::new(),
        at: when,
        digest: asked.digest(),
        slots: Vec::new(),
        evidence,
    };
    let grant =
        verify(asked, Answers { terminal: &[review], receipt: None }, Trust { requester: &approver, server: None, approvers: &[] }, when)
            .unwrap();
    story::granted(&grant, (1, 1), story::Setting { files: &[], moved: &[], salt: &salt })
}

fn check(world: &World, allowed: &str, options: &[&str]) -> Ran {
    let path = world.root().join("allowed");
    fs::write(&path, allowed).unwrap();
    let line = ["audit", "verify", "--local", "--allowed-signers", path.to_str().unwrap()];
    world.run(line.iter().chain(options))
}

fn shown(evidence: &Statement, token: &Token, flags: u8, namespace: &str) -> Evidence {
    let statement = evidence.bytes();
    let signed = Signed::Sshsig(token.sign(flags, namespace, &statement));
    Evidence { statement, signed }
}

#[test]
fn an_approval_that_its_approver_signed_is_shown_to_whoever_has_the_key() {
    let world = World::new();
    let parts = Parts::new();
    let public = keygen(&world, "ada", &["ed25519"]);
    let statement = statement(&world, &parts).bytes();
    let sshsig = sign(&world, "ada", NAMESPACE, &[], &statement);
    let mut log = open(&world).unwrap();
    log.append(&decision(&parts, Some(Evidence { statement: statement.clone(), signed: Signed::Sshsig(sshsig) })), at(1)).unwrap();
    log.append(&decision(&Parts::new(), None), at(2)).unwrap();
    let ran = check(&world, &format!("1000 {public}\n"), &[]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("approvals: 1 are shown by their approvers' signatures, 1 only by this record\n"), "{ran}");
    let json: Value = serde_json::from_slice(&check(&world, &format!("1000 {public}\n"), &["--json"]).stdout).unwrap();
    assert_eq!(json["approvals"], serde_json::json!({ "verified": 1, "bare": 1 }));

    // The record has the exact bytes: stock ssh-keygen takes them as they stand there.
    let script = "gate audit show --raw 1 | python3 -c 'import base64, json, sys
evidence = json.load(sys.stdin)[\"decision\"][\"approvers\"][0][\"evidence\"]
open(\"statement\", \"wb\").write(base64.b64decode(evidence[\"statement\"]))
open(\"statement.sig\", \"w\").write(evidence[\"sshsig\"])'
        printf '1000 %s\\n' \"$(cat ada.pub)\" > allowed
        ssh-keygen -Y verify -f allowed -I 1000 -n approval@gate -s statement.sig < statement";
    assert!(world.sh(script).out().starts_with("Good \"approval@gate\" signature for 1000"));
}

#[test]
fn an_approval_whose_checkpoint_is_among_archived_entries_still_holds_by_its_signature() {
    let world = World::new();
    let (parts, token) = (Parts::new(), Token::new());
    filled(&world, 80);
    let evidence = shown(&statement(&world, &parts), &token, 1, NAMESPACE);
    filled(&world, 10);
    open(&world).unwrap().append(&decision(&parts, Some(evidence)), at(100)).unwrap();
    let ran = world.run(["audit", "prune", "--before", "2100-01-01", "--unanchored"]);
    assert_eq!(ran.code(), 0, "{ran}");
    let ran = check(&world, &format!("1000 {}\n", token.public()), &[]);
    assert!(ran.code() == 0 && ran.out().contains("approvals: 1 are shown"), "{ran}");
    assert_eq!(check(&world, &format!("1000 {}\n", Token::new().public()), &[]).code(), 1);
}

#[test]
fn an_approval_that_was_forged_moved_or_given_too_lightly_is_tampering() {
    type Change = fn(&mut Said, &mut String, &mut Parts);
    let token = Token::new();
    let line = |options: &str| format!("1000{options} {}\n", token.public());
    let cases: [(&str, Change, u8, &str, String); 13] = [
        ("another log", |said, _, _| said.seen.log = "gate.test/other/1".into(), 1, "another log", line("")),
        ("another request", |said, _, _| said.request = Parts::new().id.to_string().replace('0', "1"), 1, "another request", line("")),
        ("another digest", |said, _, _| said.digest[0] ^= 1, 1, "another request", line("")),
        ("another command of this id", |_, _, parts| parts.nonce = [6; 16], 1, "another request", line("")),
        ("another person", |said, _, _| said.subject = "1001".into(), 1, "somebody else", line("")),
        ("another history", |said, _, _| said.seen.root[0] ^= 1, 1, "another history", line("")),
        ("a later checkpoint", |said, _, _| said.seen.size += 1, 1, "later than the decision", line("")),
        ("another namespace", |_, namespace, _| *namespace = "file".into(), 1, "it was made for `file`", line("")),
        ("nobody touched", |_, _, _| {}, 0, "nobody touched the security key", line("")),
        ("expired", |_, _, _| {}, 1, "was not valid at that time", line(" valid-before=\"20260101Z\"")),
        ("not yet", |_, _, _| {}, 1, "was not valid at that time", line(" valid-after=\"20270101Z\"")),
        ("another principal", |_, _, _| {}, 1, "is not among the allowed signers", line("").replacen("1000", "1001", 1)),
        ("another key", |_, _, _| {}, 1, "is not among the allowed signers", format!("1000 {}\n", Token::new().public())),
    ];
    for (name, change, flags, why, allowed) in cases {
        let world = World::new();
        let mut parts = Parts::new();
        let (mut said, mut namespace) = (said(&world, &parts), NAMESPACE.to_owned());
        change(&mut said, &mut namespace, &mut parts);
        open(&world).unwrap().append(&decision(&parts, Some(shown(&said.statement(), &token, flags, &namespace))), at(1)).unwrap();
        let ran = check(&world, &allowed, &[]);
        assert_eq!(ran.code(), 1, "{name}: {ran}");
        assert!(ran.out().starts_with("tampered: entry 1 holds an approval that does not hold: "), "{name}: {ran}");
        assert!(ran.out().contains(why), "{name}: {ran}");
    }
}

#[test]
fn a_statement_that_was_edited_or_is_no_statement_does_not_hold() {
    let token = Token::new();
    for (edited, why) in [(b"{}".to_vec(), "its statement is malformed"), (Vec::new(), "its statement is malformed")] {
        let world = World::new();
        let parts = Parts::new();
        let said = statement(&world, &parts);
        let evidence = Evidence { statement: edited, ..shown(&said, &token, 1, NAMESPACE) };
        open(&world).unwrap().append(&decision(&parts, Some(evidence)), at(1)).unwrap();
        let ran = check(&world, &format!("1000 {}\n", token.public()), &[]);
        assert_eq!(ran.code(), 1, "{ran}");
        assert!(ran.out().contains(why), "{ran}");
    }
    // Edited and still a statement: only the signature tells.
    let world = World::new();
    let parts = Parts::new();
    let said = statement(&world, &parts);
    let edited = String::from_utf8(said.bytes()).unwrap().replace(r#""at":"1""#, r#""at":"2""#);
    let evidence = Evidence { statement: edited.into_bytes(), ..shown(&said, &token, 1, NAMESPACE) };
    open(&world).unwrap().append(&decision(&parts, Some(evidence)), at(1)).unwrap();
    let ran = check(&world, &format!("1000 {}\n", token.public()), &[]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("the signature does not hold"), "{ran}");
    let bytes = said.bytes();
    assert_eq!(Statement::parse(&bytes).as_ref(), Some(&said));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Statement::parse(&changed).is_none_or(|read| read != said), "byte {at}");
    }
}

#[test]
fn an_auditor_may_want_keys_that_know_who_touches_them() {
    let token = Token::new();
    for (flags, code) in [(1, 1), (5, 0)] {
        let world = World::new();
        let parts = Parts::new();
        let said = statement(&world, &parts);
        open(&world).unwrap().append(&decision(&parts, Some(shown(&said, &token, flags, NAMESPACE))), at(1)).unwrap();
        let allowed = format!("1000 {}\n", token.public());
        assert_eq!(check(&world, &allowed, &[]).code(), 0);
        let ran = check(&world, &allowed, &["--user-verified"]);
        assert_eq!(ran.code(), code, "{ran}");
    }
}

#[test]
fn a_file_of_allowed_signers_that_cannot_be_read_checks_nothing() {
    let world = World::new();
    drop(open(&world).unwrap());
    let ran = check(&world, "ada cert-authority ssh-ed25519 x\n", &[]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("line 1: certificates are not supported"), "{ran}");
    assert_eq!(world.run(["audit", "verify", "--allowed-signers", "/nowhere"]).code(), 2);
}

#[test]
fn a_statement_of_the_first_version_is_still_read() {
    let world = World::new();
    let (parts, token) = (Parts::new(), Token::new());
    let said = said(&world, &parts);
    let first = serde_json::json!({
        "v": 1,
        "log": said.seen.log,
        "request": said.request,
        "digest": gate::text::hex(&said.digest),
        "answer": "approve",
        "approver": { "issuer": "tty:h", "subject": "1000" },
        "at": "1",
        "checkpoint": { "size": said.seen.size, "root": STANDARD.encode(said.seen.root) },
    });
    let bytes = first.to_string().into_bytes();
    let read = Statement::parse(&bytes).unwrap();
    assert!(read.bound().is_none() && read.bytes() == bytes);
    let signed = Signed::Sshsig(token.sign(1, NAMESPACE, &bytes));
    open(&world).unwrap().append(&decision(&parts, Some(Evidence { statement: bytes, signed })), at(1)).unwrap();
    let ran = check(&world, &format!("1000 {}\n", token.public()), &[]);
    assert!(ran.code() == 0 && ran.out().contains("approvals: 1 are shown"), "{ran}");
}

#[test]
fn a_rejection_is_no_evidence_of_an_approval() {
    let world = World::new();
    let (parts, token) = (Parts::new(), Token::new());
    let said = said(&world, &parts);
    let bound = Bound { nonce: vec![9; 16], expires: i64::MAX };
    let approver = Approver { issuer: "tty:h".into(), subject: "1000".into() };
    let rejected = Statement::new(&said.request, said.digest, Answer::Reject, approver, 1, bound).unwrap();
    open(&world).unwrap().append(&decision(&parts, Some(shown(&rejected, &token, 1, NAMESPACE))), at(1)).unwrap();
    let ran = check(&world, &format!("1000 {}\n", token.public()), &[]);
    assert!(ran.code() == 1 && ran.out().contains("it gives another answer"), "{ran}");
}

/// Ada's passkey and a file that she enrolled herself in, at a time before any entry.
fn enrolled(world: &World, authenticator: &Authenticator) -> PathBuf {
    let ada = Approver { issuer: "tty:h".into(), subject: "1000".into() };
    let acts = vec![Act::Party(party()), passkey(ada, authenticator, &Attestation::None)];
    let file = ApproversFile::default().propose(acts, 1).unwrap();
    let signature = Signed::Webauthn(authenticator.assert(&file.pending().unwrap().change().bytes()));
    kept(world, &file.sign(signature).unwrap())
}

fn kept(world: &World, file: &ApproversFile) -> PathBuf {
    let path = world.root().join("approvers.json");
    fs::write(&path, file.text()).unwrap();
    path
}

fn held(world: &World, approvers: &Path) -> Ran {
    world.run(["audit", "verify", "--local", "--approvers", approvers.to_str().unwrap()])
}

fn by(authenticator: &Authenticator, statement: Vec<u8>) -> Evidence {
    Evidence { signed: Signed::Webauthn(authenticator.assert(&statement)), statement }
}

#[test]
fn a_passkeys_approval_is_verified_again_offline_against_the_approvers_file() {
    let world = World::new();
    let (parts, mut authenticator) = (Parts::new(), Authenticator::new(1));
    let approvers = enrolled(&world, &authenticator);
    authenticator.counter = 2;
    let evidence = by(&authenticator, statement(&world, &parts).bytes());
    open(&world).unwrap().append(&decision(&parts, Some(evidence)), at(1)).unwrap();
    let ran = held(&world, &approvers);
    assert!(ran.code() == 0 && ran.out().contains("approvals: 1 are shown by their approvers' signatures, 0 only"), "{ran}");
    // Without the file nothing is claimed of it.
    let ran = check(&world, "", &[]);
    assert!(ran.code() == 0 && ran.out().contains("approvals: 0 are shown by their approvers' signatures, 1 only"), "{ran}");
}

#[test]
fn a_passkeys_approval_that_is_hostile_in_anything_is_tampering() {
    type Change = fn(&mut Authenticator, &mut Said, &mut Evidence);
    let cases: [(&str, Change, &str); 8] = [
        (
            "another digest",
            |one, said, evidence| {
                said.digest[0] ^= 1;
                *evidence = by(one, said.statement().bytes());
            },
            "it was given to another request",
        ),
        (
            "a flipped signature",
            |_, _, evidence| {
                if let Signed::Webauthn(made) = &mut evidence.signed {
                    *made.signature.last_mut().unwrap() ^= 1;
                }
            },
            "the signature does not hold",
        ),
        (
            "another origin",
            |one, _, evidence| {
                one.origin = "https://evil.test".into();
                *evidence = by(one, evidence.statement.clone());
            },
            "on a page of another origin",
        ),
        (
            "nobody verified",
            |one, _, evidence| {
                one.flags = PRESENT;
                *evidence = by(one, evidence.statement.clone());
            },
            "did not check who touched it",
        ),
        (
            "given too late",
            |one, said, evidence| {
                said.expires = 1_000_000_000;
                *evidence = by(one, said.statement().bytes());
            },
            "it was given too late",
        ),
        (
            "another person's key",
            |one, _, evidence| {
                *evidence = by(&Authenticator { id: vec![8; 32], ..one.clone() }, evidence.statement.clone());
            },
            "nobody is enrolled with the key",
        ),
        (
            "another person",
            |one, said, evidence| {
                said.subject = "1001".into();
                *evidence = by(one, said.statement().bytes());
            },
            "by somebody else than the record says",
        ),
        (
            "another statement under the signature",
            |one, said, evidence| {
                let other = by(one, said.statement().bytes());
                said.nonce = [8; 16];
                *evidence = Evidence { statement: said.statement().bytes(), ..other };
            },
            "the passkey answered another challenge",
        ),
    ];
    for (name, change, why) in cases {
        let world = World::new();
        let (parts, mut authenticator) = (Parts::new(), Authenticator::new(1));
        let approvers = enrolled(&world, &authenticator);
        authenticator.counter = 2;
        let mut said = said(&world, &parts);
        let mut evidence = by(&authenticator, said.statement().bytes());
        change(&mut authenticator, &mut said, &mut evidence);
        open(&world).unwrap().append(&decision(&parts, Some(evidence)), at(1)).unwrap();
        let ran = held(&world, &approvers);
        assert_eq!(ran.code(), 1, "{name}: {ran}");
        assert!(
            ran.out().starts_with("tampered: entry 1 holds an approval that does not hold: ") && ran.out().contains(why),
            "{name}: {ran}"
        );
    }
}

#[test]
fn an_approval_by_a_removed_key_or_with_a_counter_that_was_used_is_tampering() {
    let world = World::new();
    let (parts, mut authenticator) = (Parts::new(), Authenticator::new(1));
    let approvers = enrolled(&world, &authenticator);
    authenticator.counter = 2;
    for (seconds, parts) in [(1, &parts), (2, &Parts::new())] {
        let evidence = by(&authenticator, statement(&world, parts).bytes());
        open(&world).unwrap().append(&decision(parts, Some(evidence)), at(seconds)).unwrap();
    }
    let ran = held(&world, &approvers);
    assert!(ran.code() == 1 && ran.out().contains("counter was used for another approval already"), "{ran}");

    let file = ApproversFile::parse(&fs::read(&approvers).unwrap()).unwrap();
    let ada = file.approvers().enrolled()[0].approver().clone();
    let spare = Token::new();
    let gone = Act::Remove { approver: ada.clone(), key: file.approvers().enrolled()[0].fingerprint() };
    let file = file.propose(vec![ssh(ada, &spare), gone], 2).unwrap();
    let signature = Signed::Webauthn(authenticator.assert(&file.pending().unwrap().change().bytes()));
    let ran = held(&world, &kept(&world, &file.sign(signature).unwrap()));
    assert!(ran.code() == 1 && ran.out().contains("the key was not enrolled at that time"), "{ran}");
}
