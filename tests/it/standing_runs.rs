//! An approval for more runs than one, from the command line to the record; and servers that make more of it than was given.

use std::process::Command;

use axum::http::StatusCode;
use gate::approval::Answer;
use gate::server::model::State;
use gate::server::store::Reviewed;
use serde_json::{Value, json};

use crate::waiting::{runs, with};
use crate::waiting_at::{Here, honest, runs_in_all, started};
use crate::world::{Ran, World};

const STANDING: &str = "version = 1\n[layer]\nembedded = \"off\"\n[terms.medium]\nassurance = \"second-person\"\nchannels = [\"server\"]\n\
                        standing = { longest = \"8h\", uses = 5, patterns = true }\n";

/// `deploy.sh WORD`, each run of which leaves a line.
fn deploying() -> (World, Here) {
    let (world, here) = with(STANDING);
    std::fs::write(world.work().join("deploy.sh"), "#!/bin/sh\necho \"$1\" >> ran\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(world.work().join("deploy.sh")).status().unwrap().success());
    (world, here)
}

fn deploy(world: &World, word: &str) -> std::process::Child {
    started(world, &["--", "./deploy.sh", word])
}

/// The first run, which somebody approves for so many, with these words open.
fn first(world: &World, here: &Here, uses: u32, open: &[usize]) -> String {
    let child = deploy(world, "a");
    let request = here.pending();
    let done = here.decide_for(&request, "ada", Answer::Approve, "", Some(&runs_in_all(uses, open)));
    assert!(matches!(&done, Reviewed::Kept(now) if now.state == State::Approved), "{done:?}");
    let ran = world.wait(child);
    assert_eq!(ran.code(), 0, "{ran}");
    request.id
}

/// It asks, nobody answers, and it is given up.
fn waits(world: &World, here: &Here, word: &str) {
    let child = deploy(world, word);
    let request = here.pending();
    here.decide(&request, "ada", Answer::Reject, "");
    assert_eq!(world.wait(child).code(), 77);
}

fn last_decision(world: &World) -> Value {
    world.records().into_iter().rfind(|record| record["kind"] == "decision").unwrap()
}

#[test]
fn the_same_command_runs_as_often_as_was_approved_and_then_asks_again() {
    let (world, here) = deploying();
    let seen = first(&world, &here, 3, &[]);
    let original = last_decision(&world);
    assert!(original["decision"].get("standing").is_none(), "{original}");
    for nth in 2..=3 {
        let ran = world.wait(deploy(&world, "a"));
        assert_eq!((ran.code(), runs(&world)), (0, nth), "{ran}");
        let said = last_decision(&world);
        let used = &said["decision"]["standing"];
        assert_eq!((&used["use"], &used["uses"], &used["open"]), (&json!(nth), &json!(3), &json!([])), "{said}");
        assert_eq!((&used["request"], &used["digest"]), (&original["req"], &original["digest"]), "{said}");
        assert_eq!(said["decision"]["approvers"][0]["subject"], "ada");
        let drawn = here.requests().remove(0);
        assert_eq!((drawn.state, drawn.drawn.as_ref().map(|drawn| drawn.request.as_str())), (State::Consumed, Some(seen.as_str())));
    }
    waits(&world, &here, "a");
    assert_eq!(runs(&world), 3);
    assert_eq!(here.told("standing.made").len(), 1);
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
}

#[test]
fn another_command_another_place_and_another_environment_are_asked_about() {
    let (world, here) = deploying();
    first(&world, &here, 5, &[]);
    waits(&world, &here, "b");
    let mut command = world.command(world.gate(), ["--", "./deploy.sh", "a"]);
    let child = command.env("TARGET", "elsewhere").stdin(std::process::Stdio::null()).spawn().unwrap();
    here.decide(&here.pending(), "ada", Answer::Reject, "");
    assert_eq!(world.wait(child).code(), 77);
    std::fs::write(world.work().join("deploy.sh"), "#!/bin/sh\necho changed >> ran\n").unwrap();
    waits(&world, &here, "a");
    assert_eq!(runs(&world), 1);
}

#[test]
fn an_open_word_may_be_any_other_plain_word_and_nothing_else() {
    let (world, here) = deploying();
    first(&world, &here, 5, &[1]);
    let ran = world.wait(deploy(&world, "web-2.example"));
    assert_eq!((ran.code(), runs(&world)), (0, 2), "{ran}");
    for word in ["--force", "b c", "b;reboot", "", "$(id)", "b\u{202e}"] {
        waits(&world, &here, word);
    }
    let two = started(&world, &["--", "./deploy.sh", "a", "b"]);
    here.decide(&here.pending(), "ada", Answer::Reject, "");
    assert_eq!((world.wait(two).code(), runs(&world)), (77, 2));
}

/// From now on a server answers each use of a standing grant with something else than is so.
fn forging(here: &Here, forge: impl Fn(&mut gate::approval::Claims) + Send + Sync + 'static) {
    let app = here.secret();
    here.meddle(move |_, path, status, mut body| {
        if path.ends_with("/consume") && body.get("receipt").is_some() {
            let id = path.split('/').nth(3).unwrap().to_owned();
            let store = std::sync::Arc::clone(&app.store);
            let read = async move { store.request(&id).await.unwrap().unwrap() };
            let kept = std::thread::spawn(|| crate::identity_support::runtime().block_on(read)).join().unwrap();
            let mut claims = crate::waiting_hostile::claims(&app, &kept);
            claims.drawn = kept.drawn.as_ref().map(|drawing| drawing.drawn.clone());
            let (said, review) = (&kept.reviews[0], &mut claims.reviews[0]);
            (review.at, review.proved, review.standing) = (said.at, said.proved, said.standing.clone());
            forge(&mut claims);
            body["receipt"] = claims.sign(&app.key.vkey, &app.key.secret).into();
        }
        honest(if status == StatusCode::NOT_MODIFIED { StatusCode::OK } else { status }, &body)
    });
}

/// The second of two runs, of which a server tells something else than is so.
fn use_with(open: &[usize], word: &str, forge: impl Fn(&mut gate::approval::Claims) + Send + Sync + 'static) -> (World, Ran) {
    let (world, here) = deploying();
    first(&world, &here, 2, open);
    forging(&here, forge);
    let ran = world.wait(deploy(&world, word));
    (world, ran)
}

#[test]
fn a_server_that_tells_the_truth_of_it_lets_it_run() {
    let (world, ran) = use_with(&[1], "b", |_| {});
    assert_eq!((ran.code(), runs(&world)), (0, 2), "{ran}");
}

#[test]
fn a_server_cannot_make_more_of_a_standing_grant_than_was_given() {
    type Forge = fn(&mut gate::approval::Claims);
    let forged: [(&str, Forge); 7] = [
        ("it was for one run", |claims| claims.reviews[0].standing = None),
        ("the first use", |claims| claims.drawn.as_mut().unwrap().nth = 1),
        ("a third use of two", |claims| claims.drawn.as_mut().unwrap().nth = 3),
        ("it has ended", |claims| claims.now = claims.reviews[0].standing.as_ref().unwrap().until() + 1),
        ("it is longer than the terms let", |claims| {
            let review = &mut claims.reviews[0];
            review.standing = gate::approval::Standing::new(2, review.at + 9 * 3_600_000_000_000, vec![1]);
        }),
        ("it has more uses than the terms let", |claims| {
            let review = &mut claims.reviews[0];
            review.standing = gate::approval::Standing::new(6, review.at + 1_000_000_000_000, vec![1]);
        }),
        ("it was of no request", |claims| claims.drawn.as_mut().unwrap().text = "{}".to_owned()),
    ];
    for (what, forge) in forged {
        let (world, ran) = use_with(&[1], "b", forge);
        assert_ne!(ran.code(), 0, "{what}: {ran}");
        assert_eq!(runs(&world), 1, "{what}: {ran}");
    }
}

#[test]
fn a_server_cannot_let_another_command_run_by_a_standing_grant() {
    // What the server tells of the request that people saw is held against the command that is to run.
    let (world, ran) = use_with(&[], "a", |claims| {
        let drawn = claims.drawn.as_mut().unwrap();
        drawn.text = drawn.text.replace("\"argv\":[\"./deploy.sh\",\"a\"]", "\"argv\":[\"./deploy.sh\",\"b\"]");
    });
    assert_eq!((ran.code(), runs(&world)), (77, 1), "{ran}");
    assert!(ran.err().contains("another command"), "{ran}");
}

#[test]
fn a_server_that_counts_one_use_twice_is_held_to_the_count_by_the_log() {
    let (world, here) = deploying();
    first(&world, &here, 5, &[]);
    assert_eq!(world.wait(deploy(&world, "a")).code(), 0);
    forging(&here, |claims| claims.drawn.as_mut().unwrap().nth = 2);
    let ran = world.wait(deploy(&world, "a"));
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(ran.err().contains("was used before"), "{ran}");
    assert_eq!(runs(&world), 2, "{ran}");
}
