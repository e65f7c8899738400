//! `gate check` says what would be decided; refusals say it to people and to programs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::World;

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_exit_code_is_the_decision() {
    let world = World::new();
    assert_eq!(world.run(["check", "--", "true"]).code(), 0);
    assert_eq!(world.run(["check", "--", "rm", "x"]).code(), 75);
    assert_eq!(world.run(["check", "--", "rm", "-rf", "/"]).code(), 77);
    assert!(!world.state().join("audit.db").exists(), "checking leaves no record");
}

#[test]
fn a_program_that_is_not_there_is_judged_by_its_name() {
    let ran = World::new().run(["check", "--json", "--", "terraform", "-chdir=x", "destroy"]);
    let said = object(&ran.out());
    assert_eq!(said["program"]["unresolved"], true, "{ran}");
    assert_eq!(said["decision"], "ask", "{ran}");
    assert_eq!(said["read"][0]["words"], serde_json::json!(["destroy"]), "{ran}");
    assert_eq!(World::new().run(["check", "--", "terraform", "version"]).code(), 0);
}

#[test]
fn the_answer_tells_how_the_argv_was_read_and_on_which_terms_it_is_asked() {
    let ran = World::new().run(["check", "--json", "--", "kubectl", "-n", "shop", "delete", "--now", "pod", "a b"]);
    let said = object(&ran.out());
    let read = &said["read"][0];
    assert_eq!(read["words"], serde_json::json!(["delete"]), "{ran}");
    assert_eq!(read["operands"], serde_json::json!(["pod", "a b"]), "{ran}");
    assert_eq!(read["options"][0], serde_json::json!({ "name": "-n", "known": true, "value": "shop" }), "{ran}");
    assert_eq!(said["terms"]["assurance"], "confirm", "{ran}");
    assert_eq!(said["terms"]["within_s"], 900, "{ran}");
}

#[test]
fn an_option_that_no_grammar_knows_is_read_both_ways_and_the_stricter_answer_holds() {
    let said = object(&World::new().run(["check", "--json", "--", "kubectl", "--quiet", "delete", "get", "pods"]).out());
    assert_eq!(said["decision"], "ask");
    assert_eq!(said["read"].as_array().unwrap().len(), 2, "{said}");
}

#[test]
fn a_batch_answers_line_by_line_in_order_and_goes_on_after_a_bad_line() {
    let lines = concat!(
        "{\"id\":1,\"argv\":[\"true\"]}\n",
        "{\"id\":\"two\",\"argv\":[\"rm\",\"-rf\",\"/\"]}\n",
        "this is not JSON\n",
        "{\"id\":4,\"argv\":\"ls\"}\n",
        "{\"id\":5,\"argv\":[]}\n",
        "{\"id\":6,\"argv\":[\"ls\",\"\\u0000\"]}\n",
        "{\"id\":7,\"argv\":[\"rm\",\"x\"]}\n",
        "{\"id\":8,\"argv\":[\"ls\"]}",
    );
    let ran = World::new().stdin(lines).run(["check", "--batch"]);
    assert_eq!(ran.code(), 0, "{ran}");
    let said: Vec<Value> = ran.out().lines().map(object).collect();
    let decisions: Vec<&str> = said.iter().map(|one| one["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["allow", "deny", "deny", "deny", "deny", "deny", "ask", "allow"], "{ran}");
    assert_eq!(said[1]["id"], "two");
    assert!(said[2]["error"].is_string() && said[2]["id"].is_null(), "{ran}");
    assert_eq!(said[6]["rules"], serde_json::json!(["rm.file"]), "{ran}");
    assert_eq!(said[1]["risk"], "critical", "{ran}");
}

#[test]
fn a_batch_and_a_single_check_agree() {
    let world = World::new();
    for argv in
        [&["git", "push", "--force"][..], &["find", ".", "-delete"], &["psql", "-c", "SELECT 1"], &["env", "rm", "-r", "x"], &["nonsense"]]
    {
        let one = object(&world.run([&["check", "--json", "--"], argv].concat()).out());
        let line = serde_json::json!({ "id": 0, "argv": argv }).to_string();
        let ran = World::new().stdin(line).run(["check", "--batch"]);
        let many = object(&ran.out());
        assert_eq!(one["decision"], many["decision"], "{argv:?}");
        let ids = |rules: Vec<&Value>| -> BTreeSet<String> { rules.into_iter().map(ToString::to_string).collect() };
        assert_eq!(
            ids(one["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect()),
            ids(many["rules"].as_array().unwrap().iter().collect()),
            "{argv:?}"
        );
    }
}

#[test]
fn a_refusal_is_one_paragraph_for_people_and_one_object_for_programs() {
    let world = World::new();
    let ran = world.run(["--", "rm", "-rf", "/"]);
    assert_eq!((ran.code(), ran.out().as_str()), (77, ""), "{ran}");
    assert!(ran.err().starts_with("gate: denied: rm -rf /\n"), "{ran}");
    for ran in [world.run(["--json", "--", "rm", "-rf", "/"]), World::new().env("GATE_ERROR_FORMAT", "json").run(["--", "rm", "-rf", "/"])]
    {
        let said = object(&ran.err());
        let keys: Vec<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["executed", "gate", "instead", "reason", "refusal", "request", "retry", "rules"], "{ran}");
        assert_eq!((&said["gate"], &said["executed"], &said["refusal"]), (&1.into(), &false.into(), &"denied".into()), "{ran}");
        assert_eq!(said["retry"], false, "{ran}");
    }
    let ran = world.run(["--json", "--non-interactive", "--", "rm", "x"]);
    assert_eq!((ran.code(), object(&ran.err())["refusal"].as_str().unwrap()), (69, "unreachable"), "{ran}");
}

#[test]
fn an_error_is_one_object_for_programs_too() {
    let world = World::new();
    for (args, code) in [(&["--json", "--", "no-such-program"][..], 127), (&["--json", "--", "/"], 126)] {
        let ran = world.run(args);
        assert_eq!(ran.code(), code, "{ran}");
        let said = object(&ran.err());
        assert_eq!((&said["gate"], &said["executed"]), (&1.into(), &false.into()), "{ran}");
        assert!(said["error"].is_string(), "{ran}");
    }
    let broken = World::new().user_policy("version = 1\nunknown = 2\n").run(["--json", "--", "true"]);
    assert_eq!(broken.code(), 78, "{broken}");
    assert!(object(&broken.err())["error"].as_str().unwrap().contains(":2:1"), "{broken}");
}

#[test]
fn what_no_rule_knows_is_offered_the_rule_that_allows_just_that() {
    let world = World::new();
    let said = object(&world.run(["--json", "--", "zdump", "PAGE_SIZE"]).err());
    let instead = said["instead"].as_str().unwrap();
    let rule = instead.split_once('\n').unwrap().1;
    let wiser = World::new().user_policy(&format!("version = 1\n{rule}"));
    assert_eq!(wiser.run(["check", "--", "zdump", "PAGE_SIZE"]).code(), 0, "{rule}");
    assert_eq!(wiser.run(["check", "--", "zdump", "PATH"]).code(), 75, "{rule}");
    assert_eq!(wiser.run(["check", "--", "zdump", "PAGE_SIZE", "PATH"]).code(), 75, "{rule}");
    assert_eq!(wiser.run(["check", "--", "zdump", "-a", "PAGE_SIZE"]).code(), 75, "{rule}");
}

#[test]
fn policies_are_shown_with_where_they_come_from() {
    let world = World::new().user_policy("version = 1\n[amend.\"rm.file\"]\neffect = \"allow\"\n[[rule]]\nid = \"own\"\ntool = \"rm\"\neffect = \"deny\"\nreason = \"No.\"\noperands.any = [\"keep\"]\n");
    let ran = world.run(["policy", "show", "--json", "rm"]);
    let rules: Vec<Value> = ran.out().lines().map(object).collect();
    let find = |id: &str| rules.iter().find(|rule| rule["id"] == id).unwrap_or_else(|| panic!("{ran}"));
    assert_eq!((&find("own")["layer"], &find("own")["effect"]), (&"user".into(), &"deny".into()));
    assert_eq!(find("rm.file")["amended"], true);
    assert_eq!(find("rm.root")["locked"], true);
    assert!(world.run(["policy", "show"]).out().contains("kubectl.delete-namespace"));
}

#[test]
fn policy_test_runs_the_tests_of_all_layers() {
    let good = World::new().user_policy("version = 1\n[[test]]\nargv = \"rm -rf /\"\ndecision = \"deny\"\n");
    assert_eq!(good.run(["policy", "test"]).out(), "1 tests, 0 failed\n");
    let bad = World::new().user_policy("version = 1\n[[test]]\nargv = \"rm -rf /\"\ndecision = \"allow\"\n");
    let ran = bad.run(["policy", "test"]);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(ran.out().contains("1 tests, 1 failed"), "{ran}");
}

#[test]
fn policy_lint_names_what_stands_and_should_not() {
    assert_eq!(World::new().run(["policy", "lint"]).code(), 0);
    let loose = "version = 1\n[layer]\ntrusted_programs = [\"/\"]\n[names]\nnobody = [\"x\"]\n[[rule]]\nid = \"all\"\ntool = \"*\"\neffect = \"allow\"\noperands.only = [\"*\"]\n";
    let ran = World::new().user_policy(loose).run(["policy", "lint"]);
    assert_eq!((ran.code(), ran.out().lines().count()), (78, 3), "{ran}");
}

#[test]
fn completions_are_written_for_every_shell_that_people_use() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = World::new().run(["completions", shell]);
        assert!(ran.code() == 0 && ran.out().contains("doctor"), "{shell}");
    }
}
