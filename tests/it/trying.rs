//! The first minute with a trial server: what it prints is all that is needed, and it counts only where terms say so.

use serde_json::{Value, json};

use crate::approver_support::{Trial, token};
use crate::waiting::runs;
use crate::waiting_at::started;
use crate::world::World;

/// The lines of a trial that belong into a policy.
fn printed(trial: &Trial) -> String {
    let from = trial.said.find("version = 1").expect(&trial.said);
    let lines = trial.said[from..].lines().take_while(|line| !line.starts_with('{') && !line.starts_with("gate:"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// What no policy can read, and so asks about.
const ASKS: [&str; 4] = ["--", "sh", "-c", "echo ran >> ran; $UNKNOWN"];

#[test]
fn what_a_trial_prints_is_all_that_the_first_request_needs() {
    let trial = Trial::start();
    let policy = printed(&trial);
    let alice = trial.log_in(World::new().user_policy(&policy), "alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let mut child = started(&alice, &ASKS);
    let asked = loop {
        let asked = trial.call(&token(&bob), "GET", "/v1/requests?state=pending", &[], &Value::Null).1["requests"][0].clone();
        if asked["id"].is_string() {
            break asked;
        }
        assert!(child.try_wait().unwrap().is_none(), "{}", alice.wait(child));
    };
    let path = format!("/v1/requests/{}/reviews", asked["id"].as_str().unwrap());
    let (status, told) = trial.call(&token(&bob), "POST", &path, &[], &json!({ "review": "approve", "digest": asked["digest"] }));
    assert_eq!(status, 200, "{told}");
    let ran = alice.wait(child);
    assert_eq!((ran.code(), runs(&alice)), (0, 1), "{ran}");
}

#[test]
fn a_trial_decides_nothing_for_terms_that_do_not_say_so_the_built_in_ones_least() {
    let trial = Trial::start();
    let policy = printed(&trial).lines().filter(|line| !line.starts_with("terms.")).collect::<Vec<_>>().join("\n");
    let alice = trial.log_in(World::new().user_policy(&policy), "alice", &[]);
    let ran = alice.run(ASKS);
    assert_eq!((ran.code(), runs(&alice)), (69, 0), "{ran}");
    assert!(ran.err().contains("these terms do not say `dev = true`"), "{ran}");
}
