//! Each file of `examples/`, copied to a user's `policy.toml`, takes effect.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Ran, World};

const EXAMPLES: [&str; 5] = ["allow-everything", "ci", "developer", "production", "record-outcomes"];

fn example(name: &str) -> World {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.toml"));
    World::new().user_policy(&fs::read_to_string(path).unwrap())
}

fn check(world: &World, argv: &[&str]) -> Value {
    let ran = world.run([&["check", "--json", "--"], argv].concat());
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

fn decision(world: &World, argv: &[&str]) -> String {
    check(world, argv)["decision"].as_str().unwrap().to_owned()
}

fn kinds(world: &World) -> Vec<String> {
    world.records().iter().filter_map(|entry| entry["kind"].as_str().map(str::to_owned)).collect()
}

fn tests_of(name: &str) -> Ran {
    example(name).run(["policy", "test"])
}

#[test]
fn every_example_is_tried_here() {
    let mut found: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, EXAMPLES);
}

#[test]
fn every_example_passes_its_own_tests_in_the_users_layer() {
    for name in EXAMPLES {
        let ran = tests_of(name);
        assert_eq!(ran.code(), 0, "{name}: {ran}");
    }
}

#[test]
fn allow_everything_asks_nothing_and_runs_in_place() {
    let world = example("allow-everything").program("deploy", "#!/bin/sh\nexit 7\n").file("home/work/x", "");
    assert_eq!(world.run(["--", "deploy", "--now"]).code(), 7);
    assert_eq!(world.run(["--", "rm", "-f", "x"]).code(), 0);
    assert!(!world.work().join("x").exists());
    let kinds = kinds(&world);
    assert!(kinds.iter().any(|kind| kind == "exec.replace"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind == "exec.end"), "{kinds:?}");
}

#[test]
fn record_outcomes_asks_nothing_and_writes_down_how_each_command_ended() {
    let world = example("record-outcomes");
    assert_eq!(world.run(["--", "sh", "-c", "exit 7"]).code(), 7);
    let kinds = kinds(&world);
    assert!(kinds.iter().any(|kind| kind == "exec.end"), "{kinds:?}");
}

#[test]
fn the_developers_example_lets_a_cluster_of_ones_own_be_changed_and_production_not() {
    let config =
        |context: &str| format!("current-context: {context}\ncontexts:\n- name: {context}\n  context:\n    cluster: c\n    user: u\n");
    let own = example("developer").file("home/.kube/config", config("kind-dev"));
    assert_eq!(decision(&own, &["kubectl", "delete", "pod", "x"]), "allow");
    let production = example("developer").file("home/.kube/config", config("prod-eu"));
    assert_eq!(decision(&production, &["kubectl", "delete", "pod", "x"]), "deny");
    assert_eq!(decision(&production, &["kubectl", "get", "pods"]), "allow");
    assert_eq!(decision(&production, &["git", "rebase", "main"]), "allow");
    assert_eq!(check(&production, &["rm", "-rf", "/etc/x"])["terms"]["justification"], serde_json::json!(["text"]));
}

#[test]
fn the_pipelines_example_denies_what_nobody_thought_of_and_asks_the_release_team() {
    let world = example("ci");
    assert_eq!(decision(&world, &["frobnicate"]), "deny");
    assert_eq!(decision(&world, &["terraform", "apply", "-auto-approve"]), "deny");
    assert_eq!(decision(&world, &["git", "clean", "-fdx"]), "allow");
    let asked = check(&world, &["terraform", "apply", "tfplan"]);
    assert_eq!(asked["decision"], "ask");
    assert_eq!(asked["terms"]["approvers"], serde_json::json!(["team:release"]));
}

#[test]
fn the_production_example_wants_two_people_for_the_worst_and_keeps_agents_reading() {
    let world = example("production");
    let asked = check(&world, &["kubectl", "--context", "prod-eu", "delete", "ns", "payments"]);
    assert_eq!(asked["decision"], "ask", "{asked}");
    assert_eq!(asked["terms"]["approvers"], serde_json::json!(["team:data", "team:sre"]));
    assert_eq!(asked["terms"]["assurance"], "passkey");
    assert_eq!(decision(&world, &["psql", "-c", "DROP DATABASE shop"]), "deny");
    assert_eq!(decision(&world, &["psql", "-c", "SELECT 1"]), "allow");
}
