//! Standing grants that people signed: judged at the host by their keys, and again offline by whoever reads the record.

use std::collections::BTreeSet;
use std::time::Duration;

use gate::approval::{
    Act, Answer, Answers, Approver, Approvers, ApproversFile, Awaited, Bound, Claims, Drawn, Evidence, Expected, Grant, NotProved, Receipt,
    Refusal, Reviewed, Root, Signed, Stamp, Standing, Statement, Trust, sha256, verify,
};
use gate::key::{SigningKey, Vkey};
use gate::policy::{Assurance, Channel, Layer, StandingLimits, Terms};
use gate::record::{Draft, story};

use proptest::prelude::*;

use crate::approval::Parts;
use crate::approvers::{bob, by_passkey, by_token, passkey, ssh};
use crate::authenticator::{Attestation, Authenticator};
use crate::log::open;
use crate::passkeys::{ada, party};
use crate::sshsig::Token;
use crate::world::{Ran, World};

const SECOND: i64 = 1_000_000_000;

/// When the first request was made, by every clock.
const START: i64 = 1_000_000_000;

fn parts() -> Parts {
    let mut parts = Parts::new();
    let standing = Some(StandingLimits { longest: Duration::from_hours(8), uses: 10, patterns: true });
    let channels = BTreeSet::from([Channel::Server]);
    parts.asked.terms = Terms { assurance: Assurance::Passkey, channels, standing, ..Terms::default() };
    parts
}

/// The same command, asked for again, perhaps with another word.
fn later(word: &str) -> Parts {
    let mut parts = parts();
    parts.id = gate::request::RequestId::new(2, &[2; 10]);
    parts.nonce = [6; 16];
    parts.words(vec!["deploy".into(), word.into(), "b".into()]);
    parts
}

/// A person with a passkey, and the file that knows it.
struct Known {
    authenticator: Authenticator,
    file: ApproversFile,
    vouching: Token,
}

fn known() -> Known {
    let (vouching, mut authenticator) = (Token::new(), Authenticator::new(1));
    let file = ApproversFile::default().propose(vec![Act::Party(party()), ssh(ada(), &vouching)], 1).unwrap();
    let signature = by_token(&file, &vouching);
    let file = file.sign(signature).unwrap().propose(vec![passkey(bob(), &authenticator, &Attestation::None)], 2).unwrap();
    let signature = by_token(&file, &vouching);
    authenticator.counter = 2;
    Known { authenticator, file: file.sign(signature).unwrap(), vouching }
}

fn standing(uses: u32, open: &[usize]) -> Standing {
    Standing::new(uses, START + 3600 * SECOND, open.to_vec()).unwrap()
}

/// What Bob signs about the first request.
fn evidence(known: &Known, standing: Option<&Standing>) -> Evidence {
    let first = parts();
    let bound = Bound { nonce: vec![7; 32], expires: START + 60 * SECOND };
    let said =
        Statement::new(&first.id.to_string(), *first.made().digest().bytes(), Answer::Approve, bob(), START + SECOND, bound).unwrap();
    let said = standing.map_or(said.clone(), |standing| said.letting(standing.clone())).bytes();
    Evidence { signed: Signed::Webauthn(known.authenticator.assert(&said)), statement: said }
}

/// What a server says of a use, by Bob's approval of the first request.
fn claims(of: &Parts, standing: &Standing, evidence: &Evidence, nth: u32, now: i64) -> Claims {
    let first = parts().made();
    Claims {
        issuer: "https://gate.example".into(),
        audience: "h".into(),
        request: "req_2".into(),
        digest: *of.made().digest().bytes(),
        client_nonce_sha256: sha256(&[1; 32]),
        answer: Answer::Approve,
        consumed: true,
        dev: false,
        requester: None,
        now,
        created: now,
        valid_until: now + 60 * SECOND,
        drawn: Some(Drawn { text: first.text().to_owned(), created: START, nth }),
        reviews: vec![Reviewed {
            approver: bob(),
            name: "Bob".into(),
            answer: Answer::Approve,
            assurance: Assurance::Passkey,
            channel: Channel::Server,
            at: START + SECOND,
            proved: START + SECOND,
            slots: Vec::new(),
            comment: String::new(),
            standing: Some(standing.clone()),
            evidence: Some(evidence.to_json()),
        }],
    }
}

fn judged(of: &Parts, claims: &Claims, approvers: &[Approvers]) -> Result<Grant, Refusal> {
    let key = SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap();
    let name = Vkey::new("gate.example", key.public()).unwrap();
    let expected = Expected {
        issuer: "https://gate.example",
        audience: "h",
        request: "req_2",
        digest: of.made().digest(),
        client_nonce_sha256: sha256(&[1; 32]),
        now: u64::try_from(claims.now / SECOND).unwrap(),
    };
    let receipt = Receipt::verify(&claims.sign(&name, &key), &[key.public()], expected).unwrap();
    let host = Approver { issuer: "tty:h".into(), subject: "1000".into() };
    let trust = Trust { requester: &host, server: Some(Root { layer: Layer::User, dev: false }), approvers };
    let now = Stamp { wall: claims.now, boot: Duration::from_secs(5000) };
    verify(of.made(), Answers { terminal: &[], receipt: Some(&receipt) }, trust, now).map_err(|refused| refused.1)
}

#[test]
fn a_use_that_its_approver_signed_for_is_a_grant_and_says_which_it_is() {
    let known = known();
    let approvers = [known.file.approvers().clone()];
    for (open, word) in [(&[][..], "a"), (&[1][..], "c")] {
        let standing = standing(3, open);
        let evidence = evidence(&known, Some(&standing));
        let grant = judged(&later(word), &claims(&later(word), &standing, &evidence, 2, START + 100 * SECOND), &approvers).unwrap();
        let gate::approval::Basis::Reviews { standing: Some(used), reviews, until, .. } = grant.basis() else { panic!("no use") };
        assert_eq!((used.nth, used.standing.uses(), used.digest), (2, 3, parts().made().digest()));
        assert_eq!((reviews.len(), reviews[0].assurance), (1, Assurance::Passkey));
        assert_eq!(until.boot, Duration::from_mins(10) + Duration::from_secs(5000), "not longer than any approval may stay unused");
    }
}

#[test]
fn a_statement_of_one_run_is_none_of_several_and_the_other_way_round() {
    let known = known();
    let approvers = [known.file.approvers().clone()];
    let (three, four) = (standing(3, &[1]), standing(4, &[1]));
    let of = later("c");
    for signed in [None, Some(&four), Some(&standing(3, &[])), Some(&Standing::new(3, START + 3601 * SECOND, vec![1]).unwrap())] {
        let evidence = evidence(&known, signed);
        let refused = judged(&of, &claims(&of, &three, &evidence, 2, START + 100 * SECOND), &approvers);
        assert!(matches!(refused, Err(Refusal::Unreachable(_))), "{signed:?}: {refused:?}");
    }
    let first = parts();
    let (id, digest) = (first.id.to_string(), first.made().digest());
    let person = bob();
    let awaited = |standing| Awaited {
        request: &id,
        digest: digest.bytes(),
        answer: Answer::Approve,
        standing,
        approver: &person,
        given: START + SECOND,
        nonce: None,
        counter: None,
        user_verified: false,
    };
    let prove = |evidence: &Evidence, standing| approvers[0].prove(evidence, &awaited(standing), START + SECOND);
    assert_eq!(prove(&evidence(&known, Some(&three)), None), Err(NotProved::Standing));
    assert_eq!(prove(&evidence(&known, None), Some(&three)), Err(NotProved::Standing));
    assert!(prove(&evidence(&known, Some(&three)), Some(&three)).is_ok());
}

#[test]
fn a_statement_of_a_standing_grant_has_one_spelling_and_rejects_nothing() {
    let bytes = evidence(&known(), Some(&standing(3, &[1, 2]))).statement;
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(r#""standing":{"open":[1,2],"until":"3601000000000","uses":3},"v":3"#), "{text}");
    assert_eq!(Statement::parse(&bytes).unwrap().bytes(), bytes);
    let others = [
        ("\"v\":3", "\"v\":2"),
        ("\"v\":3", "\"v\":4"),
        ("\"uses\":3", "\"uses\":1"),
        ("\"uses\":3", "\"uses\":3,\"x\":1"),
        ("[1,2]", "[2,1]"),
        ("[1,2]", "[0,2]"),
        ("\"approve\"", "\"reject\""),
        ("\"3601000000000\"", "\"+3601000000000\""),
    ];
    for (from, to) in others {
        assert_eq!(Statement::parse(text.replace(from, to).as_bytes()), None, "{to}");
    }
}

#[test]
fn a_key_that_was_taken_back_carries_no_standing_grant_on() {
    let mut known = known();
    let standing = standing(3, &[]);
    let evidence = evidence(&known, Some(&standing));
    let of = later("a");
    let claims = claims(&of, &standing, &evidence, 2, START + 100 * SECOND);
    assert!(judged(&of, &claims, &[known.file.approvers().clone()]).is_ok());
    let key = known.file.approvers().at(START).find(|one| *one.approver() == bob()).unwrap().fingerprint();
    known.file = known.file.propose(vec![Act::Remove { approver: bob(), key }], START + 50 * SECOND).unwrap();
    for signature in [by_token(&known.file, &known.vouching), by_passkey(&known.file, &known.authenticator)] {
        known.file = known.file.sign(signature).unwrap();
    }
    let refused = judged(&of, &claims, &[known.file.approvers().clone()]);
    assert!(matches!(refused, Err(Refusal::Unreachable(_))), "{refused:?}");
    assert!(matches!(judged(&of, &claims, &[]), Err(Refusal::Unreachable(_))), "nor does a server say so alone");
}

#[test]
fn what_was_not_seen_stands_for_nothing_later() {
    let known = known();
    let standing = standing(3, &[]);
    let texts = [("stdin", "unseen"), ("program_sha256", "unpinned")];
    let first = parts().made();
    for (member, value) in texts {
        let mut text: serde_json::Value = serde_json::from_str(first.text()).unwrap();
        text[member] = value.into();
        assert!(standing.fits(&gate::approval::Submitted::read(&text).unwrap()).is_err(), "{member}");
    }
    assert!(standing.fits(&gate::approval::Submitted::parse(first.text()).unwrap()).is_ok());
    // A later run whose input nobody saw is another one, too.
    let mut unseen = later("a");
    unseen.piped();
    let evidence = evidence(&known, Some(&standing));
    let refused = judged(&unseen, &claims(&unseen, &standing, &evidence, 2, START + 100 * SECOND), &[known.file.approvers().clone()]);
    assert!(matches!(refused, Err(Refusal::Changed(_))), "{refused:?}");
}

#[test]
fn a_server_that_moves_the_times_makes_no_grant_longer_than_the_terms() {
    let known = known();
    let approvers = [known.file.approvers().clone()];
    let decade = 10 * 365 * 86_400 * SECOND;
    // Somebody touched a key for it without seeing what it says.
    let long = Standing::new(10, START + decade, Vec::new()).unwrap();
    let first = parts();
    let bound = Bound { nonce: vec![7; 32], expires: START + decade };
    let said =
        Statement::new(&first.id.to_string(), *first.made().digest().bytes(), Answer::Approve, bob(), START + SECOND, bound).unwrap();
    let said = said.letting(long.clone()).bytes();
    let evidence = Evidence { signed: Signed::Webauthn(known.authenticator.assert(&said)), statement: said };
    let of = later("a");
    let mut claims = claims(&of, &long, &evidence, 2, START + decade - 100 * SECOND);
    for said_at in [START + decade - 8 * 3600 * SECOND, START + decade - SECOND] {
        (claims.reviews[0].at, claims.reviews[0].proved) = (said_at, said_at);
        claims.drawn.as_mut().unwrap().created = said_at;
        let refused = judged(&of, &claims, &approvers);
        assert!(matches!(refused, Err(Refusal::Unreachable(_))), "{refused:?}");
    }
}

/// The drafts of a use, as a host records them.
fn used(known: &Known, standing: &Standing, nth: u32) -> [Draft; 2] {
    let of = later("c");
    let evidence = evidence(known, Some(standing));
    let grant = judged(&of, &claims(&of, standing, &evidence, nth, START + 100 * SECOND), &[known.file.approvers().clone()]).unwrap();
    story::granted(&grant, (1, 1), story::Setting { files: &[], moved: &[], salt: &[u8::try_from(nth).unwrap(); 16] })
}

fn held(known: &Known, drafts: &[[Draft; 2]], wall: i64) -> Ran {
    let world = World::new();
    let file = world.root().join("approvers.json");
    std::fs::write(&file, known.file.text()).unwrap();
    let mut log = open(&world).unwrap();
    for drafts in drafts {
        log.append(drafts, Stamp { wall, boot: Duration::from_secs(10) }).unwrap();
    }
    drop(log);
    world.run(["audit", "verify", "--local", "--approvers", file.to_str().unwrap()])
}

#[test]
fn uses_of_a_standing_grant_are_verified_again_offline_each_once() {
    let known = known();
    let standing = standing(3, &[1]);
    let uses = [used(&known, &standing, 2), used(&known, &standing, 3)];
    let ran = held(&known, &uses, START + 100 * SECOND);
    assert!(ran.code() == 0 && ran.out().contains("approvals: 2 are shown by their approvers' signatures, 0 only"), "{ran}");
    let ran = held(&known, &[uses[0].clone(), uses[0].clone()], START + 100 * SECOND);
    assert!(ran.code() == 1 && ran.out().contains("it was used for another approval already"), "{ran}");
    let ran = held(&known, &uses, START + 3600 * SECOND + 301 * SECOND);
    assert!(ran.code() == 1 && ran.out().contains("it had ended"), "{ran}");
    for (member, value, why) in
        [("use", 4.into(), "it was given for fewer runs"), ("digest", "0a".into(), "it was given to another request")]
    {
        let mut forged = uses[0].clone();
        forged[0].fields.get_mut("decision").unwrap()["standing"][member] = value;
        let ran = held(&known, &[forged], START + 100 * SECOND);
        assert!(ran.code() == 1 && ran.out().contains(why), "{ran}");
    }
    for (member, value) in [("open", serde_json::json!([])), ("until", (START + 3601 * SECOND).to_string().into()), ("uses", 4.into())] {
        let mut forged = uses[0].clone();
        forged[0].fields.get_mut("decision").unwrap()["standing"][member] = value;
        let ran = held(&known, &[forged], START + 100 * SECOND);
        assert!(ran.code() == 1 && ran.out().contains("the record lets more run than it does"), "{ran}");
    }
    let mut once = uses[0].clone();
    once[0].fields.get_mut("decision").unwrap().as_object_mut().unwrap().remove("standing");
    let ran = held(&known, &[once], START + 100 * SECOND);
    assert!(ran.code() == 1 && ran.out().contains("it was given to another request"), "{ran}");
}

/// Words of commands: plain ones, among them the name of the branch that a fact has, and others.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "web-1", "main", "a/b", "/etc", "x=1", ".hid", "a/../b", "--force", "-x", "c d", "$(id)", "", "@f", "é",
    ])
}

fn is_plain(word: &str) -> bool {
    ["a", "b", "web-1", "main", "a/b", "/etc", "x=1", ".hid"].contains(&word)
}

/// Which words a word that people saw may become: names become no paths and no assignments, and paths no absolute ones.
fn may_become(seen: &str, word: &str) -> bool {
    match word {
        "a/b" => ["a/b", "/etc"].contains(&seen),
        "/etc" | "x=1" | ".hid" => seen == word,
        plain => is_plain(plain),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("GATE_TESTS_LONG").is_some() { 50_000 } else { 2_000 }))]

    #[test]
    fn a_pattern_covers_what_differs_by_plain_words_in_its_open_places_and_nothing_else(
        seen in prop::collection::vec(word(), 1..4),
        asked in prop::collection::vec(word(), 1..4),
        open in prop::collection::btree_set(1..4_usize, 0..3),
    ) {
        let text = |words: &[&str]| {
            let mut parts = parts();
            parts.words(std::iter::once("deploy").chain(words.iter().copied()).map(str::to_owned).collect());
            gate::approval::Submitted::parse(parts.made().text()).unwrap()
        };
        let standing = standing(3, &open.iter().copied().collect::<Vec<_>>());
        let may_be = |at: usize| seen.get(at - 1).is_some_and(|word| is_plain(word));
        // The fact of the branch stays as it was, also where an open word says the same by chance.
        let named = |words: &[&str]| open.iter().copied().find(|at| words.get(at - 1) == Some(&"main"));
        let like = seen.len() == asked.len()
            && open.iter().all(|at| may_be(*at))
            && seen.iter().zip(&asked).enumerate().all(|(at, (seen, asked))| if open.contains(&(at + 1)) { may_become(seen, asked) } else { seen == asked })
            && named(&seen) == named(&asked);
        prop_assert_eq!(standing.covers(&text(&seen), &text(&asked)), like);
        prop_assert!(!standing.covers(&text(&seen), &text(&asked)) || standing.fits(&text(&seen)).is_ok());
    }
}
