//! `gate check --batch` answers line by line what `gate check` answers.

use serde_json::{Value, json};

use crate::policy_keys::check;
use crate::world::World;

fn answers(world: World, lines: &[String]) -> Vec<Value> {
    let ran = world.stdin(lines.join("\n") + "\n").run(["check", "--batch"]);
    assert_eq!(ran.code(), 0, "{ran}");
    ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A rule that looks at facts, a wrapper, and a program that only the user vouches for.
fn world() -> World {
    let facts = "[[rule]]\nid = \"own.prod\"\ntool = \"kubectl\"\neffect = \"deny\"\nwords = [\"get\"]\nwhen.kube_context = [\"prod*\"]\nreason = \"Why.\"\n";
    World::new().user_policy(&format!("version = 1\n[layer]\n{facts}")).program("own", "#!/bin/sh\n")
}

#[test]
fn each_line_is_answered_in_its_place_as_it_is_alone() {
    let argvs: &[&[&str]] = &[
        &["kubectl", "--context", "prod-eu", "get", "pods"],
        &["kubectl", "--context", "test", "get", "pods"],
        &["kubectl", "--context", "prod-eu", "get", "pods"],
        &["env", "A=b", "rm", "-rf", "/"],
        &["env", "A=b", "own", "now"],
        &["nice", "git", "push", "--force"],
        &["ls", "-la"],
        &["no-such-program", "x"],
    ];
    let lines: Vec<String> = argvs.iter().enumerate().map(|(id, argv)| json!({ "id": id, "argv": argv }).to_string()).collect();
    for (id, (said, argv)) in answers(world(), &lines).iter().zip(argvs).enumerate() {
        let alone = check(&world(), argv);
        let rules: Vec<&Value> = alone["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
        assert_eq!(*said, json!({ "id": id, "decision": alone["decision"], "rules": rules, "risk": alone["risk"] }), "{argv:?}");
    }
}
