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

#[test]
fn a_bad_line_is_denied_by_its_id_and_the_run_goes_on() {
    let bad = [r#"{"id":"a"}"#, r#"{"id":1,"argv":[2]}"#, r#"{"id":2,"argv":[]}"#, r#"{"id":3,"argv":["ls","a\u0000b"]}"#, "no JSON", "[]"];
    let lines: Vec<String> = bad.iter().map(ToString::to_string).chain([r#"{"argv":["ls"],"more":1}"#.to_owned()]).collect();
    let said = answers(World::new(), &lines);
    assert_eq!(said.len(), lines.len());
    for (line, id) in said.iter().zip([json!("a"), json!(1), json!(2), json!(3), Value::Null, Value::Null]) {
        assert_eq!((&line["id"], &line["decision"], line["error"].is_string()), (&id, &json!("deny"), true), "{line}");
    }
    assert_eq!((&said[6]["id"], &said[6]["decision"]), (&Value::Null, &json!("allow")));
}
