//! `gate doctor` says what is wrong before a command finds out.

use crate::world::{World, set_mode};

#[test]
fn a_new_home_is_well_and_the_log_is_made() {
    let world = World::new();
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("`rm -rf /` comes back denied"), "{ran}");
    assert!(ran.out().contains("no wall against a hostile program"), "{ran}");
    assert!(world.state().join("audit.db").exists());
    assert_eq!(world.records().last().unwrap()["kind"], "heartbeat");
}

#[test]
fn a_file_that_others_may_write_is_named() {
    let world = World::new().user_policy("version = 1\n");
    set_mode(&world.config().join("policy.toml"), 0o666);
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().lines().any(|line| line.starts_with("wrong") && line.contains("policy.toml")), "{ran}");
}

#[test]
fn a_failing_test_in_a_file_that_no_command_has_needed_yet_is_found() {
    let rule = "[[rule]]\nid = \"deploy.all\"\neffect = \"ask\"\nreason = \"All.\"\noperands.any = [\"all\"]\nmatch = [\"deploy one\"]\n";
    let world = World::new().user_tool("deploy", &format!("version = 1\n[tool]\nnames = [\"deploy\"]\n{rule}"));
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("deploy.toml"), "{ran}");
}

#[test]
fn a_layer_that_loosens_what_must_be_denied_is_found() {
    let world = World::new().user_policy("version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\n");
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().lines().any(|line| line.starts_with("wrong") && line.contains("probe")), "{ran}");
}

#[test]
fn programs_get_one_object() {
    let ran = World::new().run(["doctor", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told["well"], true, "{ran}");
    assert!(told["findings"].as_array().unwrap().iter().all(|finding| finding["state"].is_string()));
}
