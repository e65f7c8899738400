//! A server that lies: whatever it says, nothing runs that people did not approve, and gate ends.

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use gate::approval::{Answer, Approver, Claims, Reviewed};
use gate::policy::{Assurance, Channel};
use gate::server::app::App;
use gate::server::model::{Kept, State};
use serde_json::{Value, json};

use crate::waiting::{OTHERS, kept, runs, touch, with};
use crate::waiting_at::{Here, honest, started, stranger};
use crate::world::{Ran, World};

/// The claims of an honest receipt of a request that somebody approved.
pub fn claims(app: &App, request: &Kept) -> Claims {
    let now = app.now().unwrap();
    Claims {
        issuer: app.settings.url.clone(),
        audience: request.submitted.said().host.clone(),
        request: request.id.clone(),
        digest: *request.digest().bytes(),
        client_nonce_sha256: request.client_nonce_sha256,
        answer: Answer::Approve,
        consumed: true,
        dev: false,
        requester: request.requester.person.clone(),
        now,
        created: request.created,
        valid_until: now + 600_000_000_000,
        drawn: None,
        reviews: vec![Reviewed {
            approver: Approver { issuer: "https://idp".into(), subject: "ada".into() },
            name: "Ada".into(),
            answer: Answer::Approve,
            assurance: Assurance::SecondPerson,
            channel: Channel::Server,
            at: now,
            proved: now,
            slots: vec!["team:sre".into()],
            comment: String::new(),
            standing: None,
            evidence: None,
        }],
    }
}

/// Somebody approves, and the server answers the consumption with this receipt.
fn consumed_with(policy: &str, forge: impl Fn(&App, Claims) -> String + Send + Sync + 'static) -> (World, Here, Ran) {
    let (world, here) = with(policy);
    let (_, line) = touch(&world);
    let child = started(&world, &line.iter().map(String::as_str).collect::<Vec<_>>());
    let request = here.pending();
    let (app, of) = (here.secret(), request.clone());
    here.meddle(move |method, path, status, mut body| {
        if *method == Method::GET && path.ends_with(&of.id) {
            body["state"] = "approved".into();
            body["version"] = 99.into();
        }
        if path.ends_with("/consume") {
            let receipt = forge(&app, claims(&app, &of));
            return honest(StatusCode::OK, &json!({ "receipt": receipt, "request": {} }));
        }
        honest(if status == StatusCode::NOT_MODIFIED { StatusCode::OK } else { status }, &body)
    });
    // The waiting call comes back when the request changes.
    here.decide(&request, "bob", Answer::Approve, "");
    let ran = world.wait(child);
    (world, here, ran)
}

fn signed(app: &App, claims: &Claims) -> String {
    claims.sign(&app.key.vkey, &app.key.secret)
}

#[test]
fn a_receipt_that_is_honest_in_all_lets_it_run() {
    let (world, _here, ran) = consumed_with(OTHERS, |app, claims| signed(app, &claims));
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
}

/// A way to forge a receipt.
type Forgery = fn(&App, Claims) -> String;

#[test]
fn a_receipt_that_is_wrong_in_anything_lets_nothing_run() {
    const SECOND: i64 = 1_000_000_000;
    let forgeries: [(&str, Forgery); 20] = [
        ("another key", |_, claims| {
            let (vkey, secret) = stranger();
            claims.sign(&vkey, &secret)
        }),
        ("no signature", |app, claims| signed(app, &claims).rsplit_once('.').map(|(text, _)| format!("{text}.")).unwrap()),
        ("a flipped bit", |app, claims| {
            let mut receipt = signed(app, &claims).into_bytes();
            let at = receipt.len() / 2;
            receipt[at] = if receipt[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(receipt).unwrap()
        }),
        ("nothing", |_, _| String::new()),
        ("another digest", |app, claims| signed(app, &Claims { digest: [7; 32], ..claims })),
        ("another nonce", |app, claims| signed(app, &Claims { client_nonce_sha256: [7; 32], ..claims })),
        ("another request", |app, claims| signed(app, &Claims { request: "req_1".into(), ..claims })),
        ("another host", |app, claims| signed(app, &Claims { audience: "other".into(), ..claims })),
        ("another server", |app, claims| signed(app, &Claims { issuer: "https://other".into(), ..claims })),
        ("too old", |app, claims| signed(app, &Claims { now: claims.now - 3600 * SECOND, ..claims })),
        ("of the future", |app, claims| signed(app, &Claims { now: claims.now + 3600 * SECOND, ..claims })),
        ("not used", |app, claims| signed(app, &Claims { consumed: false, ..claims })),
        ("its end is over", |app, claims| signed(app, &Claims { valid_until: claims.now - SECOND, ..claims })),
        ("rejected", |app, claims| signed(app, &Claims { answer: Answer::Reject, ..claims })),
        ("a server for trying things out", |app, claims| signed(app, &Claims { dev: true, ..claims })),
        ("nobody", |app, claims| signed(app, &Claims { reviews: Vec::new(), ..claims })),
        ("the requester", |app, mut claims| {
            claims.reviews[0].approver = Approver { issuer: "https://idp".into(), subject: "asker".into() };
            signed(app, &claims)
        }),
        ("less sure", |app, mut claims| {
            claims.reviews[0].assurance = Assurance::Confirm;
            signed(app, &claims)
        }),
        ("a channel that the terms do not allow", |app, mut claims| {
            claims.reviews[0].channel = Channel::Ssh;
            signed(app, &claims)
        }),
        ("approved before it was asked", |app, mut claims| {
            claims.reviews[0].at = claims.created - SECOND;
            signed(app, &claims)
        }),
    ];
    for (what, forge) in forgeries {
        let (world, _here, ran) = consumed_with(OTHERS, forge);
        assert_eq!(runs(&world), 0, "{what}: {ran}");
        assert!([69, 75, 77].contains(&ran.code()), "{what}: {ran}");
    }
}

#[test]
fn too_few_people_and_one_who_counts_twice_let_nothing_run() {
    let two = OTHERS.replace("[terms.medium]\n", "[terms.medium]\nthreshold = 2\napprovers = [\"team:sre\"]\n");
    let twice: Forgery = |app, mut claims| {
        let again = claims.reviews[0].clone();
        claims.reviews.push(Reviewed { name: "Somebody Else".into(), ..again });
        signed(app, &claims)
    };
    for forge in [|app: &App, claims: Claims| signed(app, &claims), twice] {
        let (world, _here, ran) = consumed_with(&two, forge);
        assert_eq!((ran.code(), runs(&world)), (69, 0), "{ran}");
    }
    let both: Forgery = |app, mut claims| {
        let mut other = claims.reviews[0].clone();
        other.approver.subject = "bob".into();
        claims.reviews.push(other);
        signed(app, &claims)
    };
    let (world, _here, ran) = consumed_with(&two, both);
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
}

#[test]
fn a_server_alone_proves_no_passkey() {
    let passkey = OTHERS.replace("second-person", "passkey");
    let (world, _here, ran) = consumed_with(&passkey, |app, mut claims| {
        claims.reviews[0].assurance = Assurance::Hardware;
        signed(app, &claims)
    });
    assert_eq!((ran.code(), runs(&world)), (69, 0), "{ran}");
}

/// A server whose every answer is made by this hand.
fn answers(hand: impl FnMut(&Method, &str, StatusCode, Value) -> Response + Send + 'static) -> (World, Here, Ran) {
    let (world, here) = with(OTHERS);
    here.meddle(hand);
    let (_, line) = touch(&world);
    let ran = world.run(&line);
    (world, here, ran)
}

/// What a strange server makes of an honest answer.
type Strange = fn(Value) -> Response;

#[test]
fn answers_that_are_none_end_the_wait() {
    let strange: [(&str, Strange); 8] = [
        ("no JSON", |_| (StatusCode::CREATED, "<html>").into_response()),
        ("nothing", |_| StatusCode::CREATED.into_response()),
        ("a list", |_| honest(StatusCode::CREATED, &json!([]))),
        ("a redirect", |_| (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response()),
        ("another digest", |mut body| {
            body["digest"] = "00".repeat(32).into();
            honest(StatusCode::CREATED, &body)
        }),
        ("an id that leads elsewhere", |mut body| {
            body["id"] = "req_/../../x".into();
            honest(StatusCode::CREATED, &body)
        }),
        ("too much", |_| (StatusCode::CREATED, vec![b' '; 3 * 1024 * 1024]).into_response()),
        ("a no with an escape", |_| {
            honest(StatusCode::FORBIDDEN, &json!({ "type": "/problems/x", "title": "\u{1b}[2J\u{202e}", "detail": "no" }))
        }),
    ];
    for (what, answer) in strange {
        let (world, here, ran) = answers(move |_, _, _, body| answer(body));
        assert_eq!((ran.code(), runs(&world)), (69, 0), "{what}: {ran}");
        assert!(!ran.err().contains('\u{1b}') && !ran.err().contains('\u{202e}'), "{what}: {ran}");
        assert_eq!(here.calls().len(), 1, "{what}: {:?}", here.calls());
    }
}

#[test]
fn an_answer_without_an_end_is_not_read_to_it() {
    let (world, _here, ran) = answers(|_, _, _, _| {
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
        Response::new(axum::body::Body::from_stream(endless))
    });
    assert_eq!((ran.code(), runs(&world)), (69, 0), "{ran}");
    assert!(ran.err().contains("too large"), "{ran}");
}

#[test]
fn a_server_that_cannot_now_is_asked_again_and_one_that_never_can_is_given_up() {
    let mut busy = 3;
    let (world, here) = with(OTHERS);
    here.meddle(move |_, _, status, body| {
        if busy > 0 {
            busy -= 1;
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response();
        }
        honest(status, &body)
    });
    let (_, line) = touch(&world);
    let child = started(&world, &line.iter().map(String::as_str).collect::<Vec<_>>());
    here.wait_for("asked again", |request| request.state == State::Pending && here.calls().iter().any(|call| call.starts_with("GET ")));
    here.approve(&here.pending());
    let ran = world.wait(child);
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
    let (world, _here, ran) = answers(|_, _, _, _| StatusCode::SERVICE_UNAVAILABLE.into_response());
    assert_eq!((ran.code(), runs(&world), kept(&world).len()), (69, 0, 0), "{ran}");
}

#[test]
fn a_server_that_knows_another_history_of_this_log_stops_everything() {
    let conflict = json!({ "type": "/problems/conflict", "title": "The host's log went back", "status": 409 });
    let (world, _here, ran) = answers(move |_, _, _, _| honest(StatusCode::CONFLICT, &conflict));
    assert_eq!((ran.code(), runs(&world)), (125, 0), "{ran}");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains("nothing runs until somebody looked"), "{ran}");
}
