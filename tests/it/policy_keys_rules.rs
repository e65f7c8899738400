//! Every key of rules and tests changes an answer of the real gate: a key that were accepted and never read would fail here.

use serde_json::{Value, json};

use crate::policy_keys::{ALLOW, HEAD, check, decision, deploy, differ, head, rule};
use crate::world::World;

const GRAMMAR: &str = "flag = [\"--now\"]\nvalue = [\"--to\"]";

/// `deploy` is allowed, but for what this rule denies.
fn denying(keys: &str) -> World {
    deploy(GRAMMAR, &format!("{ALLOW}[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\n{keys}\n"))
}

#[test]
fn tool_says_for_which_programs_a_rule_is() {
    let deny = |tool: &str| head(&format!("[[rule]]\nid = \"own.no\"\ntool = {tool}\neffect = \"deny\"\nreason = \"Why.\"\n"));
    differ(&deny("\"deploy\""), &deny("\"erase\""), &["deploy"], ["deny", "ask"]);
    differ(&deny("[\"erase\", \"deploy\"]"), &deny("\"*\""), &["deploy"], ["deny", "deny"]);
    let without = "version = 1\n[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\n";
    assert_eq!(World::new().user_policy(without).run(["check", "--", "ls"]).code(), 78);
}

#[test]
fn effect_is_the_answer() {
    for effect in ["allow", "ask", "deny"] {
        assert_eq!(decision(&head(&rule(&format!("effect = \"{effect}\""))), &["deploy"]), effect);
    }
}

#[test]
fn what_people_are_told_is_in_the_answer() {
    let keys = "effect = \"ask\"\nrisk = \"critical\"\ndata = [\"shop\"]\ninstead = \"deploy --plan\"\npreview = [\"deploy\", \"--plan\", \"@operand:1\"]";
    let said = check(&head(&rule(keys)), &["deploy", "web"]);
    let told = &said["rules"][0];
    assert_eq!(said["risk"], "critical");
    assert_eq!(told["id"], "own.rule");
    assert_eq!(told["data"], json!(["shop"]));
    assert_eq!(told["reason"], "Why.");
    assert_eq!(told["instead"], "deploy --plan");
    assert_eq!(told["preview"], json!(["deploy", "--plan", "web"]));
}

#[test]
fn words_are_a_prefix_for_deny_and_all_words_for_allow() {
    differ(&denying("words = [\"push\"]"), &denying("words = [\"pull\"]"), &["deploy", "push", "x"], ["deny", "allow"]);
    differ(&denying("words = [[\"pull\", \"push\"]]"), &denying("words = [\"push\", \"y\"]"), &["deploy", "push", "x"], ["deny", "allow"]);
    let allow =
        |words: &str| deploy("[tool.word.\"push all\"]", &format!("[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nwords = {words}\n"));
    differ(&allow("[\"push\", \"all\"]"), &allow("[\"push\"]"), &["deploy", "push", "all"], ["allow", "ask"]);
}

#[test]
fn options_and_operands_are_matched_one_argument_at_a_time() {
    for place in ["", "when."] {
        let now = ["deploy", "--now", "--to", "x"];
        differ(
            &denying(&format!("{place}options.any = [\"--now\", \"--to=y\"]")),
            &denying(&format!("{place}options.any = [\"--to=y\"]")),
            &now,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}options.all = [\"--now\", \"--to=x\"]")),
            &denying(&format!("{place}options.all = [\"--now\", \"--to=y\"]")),
            &now,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}options.none = [\"--to=y\"]")),
            &denying(&format!("{place}options.none = [\"--to\"]")),
            &now,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}options.only = [\"--now\", \"--to\"]")),
            &denying(&format!("{place}options.only = [\"--now\"]")),
            &now,
            ["deny", "allow"],
        );
        let two = ["deploy", "web", "shop"];
        differ(
            &denying(&format!("{place}operands.any = [\"w*\"]")),
            &denying(&format!("{place}operands.any = [\"w\"]")),
            &two,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}operands.all = [\"web\", \"shop\"]")),
            &denying(&format!("{place}operands.all = [\"web\", \"x\"]")),
            &two,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}operands.none = [\"x\"]")),
            &denying(&format!("{place}operands.none = [\"web\"]")),
            &two,
            ["deny", "allow"],
        );
        differ(
            &denying(&format!("{place}operands.only = [\"web\", \"shop\"]")),
            &denying(&format!("{place}operands.only = [\"web\"]")),
            &two,
            ["deny", "allow"],
        );
    }
    let lifted = |keys: &str| denying(&format!("unless.{keys}"));
    differ(&lifted("options.any = [\"--now\"]"), &lifted("options.any = [\"--to\"]"), &["deploy", "--now"], ["allow", "deny"]);
    differ(&lifted("operands.any = [\"web\"]"), &lifted("operands.any = [\"shop\"]"), &["deploy", "web"], ["allow", "deny"]);
}

#[test]
fn statements_are_matched_by_what_they_do() {
    let world = |keys: &str| {
        let grammar = "value = [\"-q\"]\n[tool.embeds]\n\"-q\" = \"sql:postgres\"";
        let allow = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nstatement.only = [\"*\"]\n";
        deploy(grammar, &format!("{allow}[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\nstatement.{keys}\n"))
    };
    let sql = ["deploy", "-q", "SELECT 1; DROP TABLE t"];
    differ(&world("any = [\"DROP *\"]"), &world("any = [\"DELETE\"]"), &sql, ["deny", "allow"]);
    differ(&world("all = [\"SELECT\", \"DROP TABLE\"]"), &world("all = [\"SELECT\", \"DELETE\"]"), &sql, ["deny", "allow"]);
    differ(&world("none = [\"DELETE\"]"), &world("none = [\"SELECT\"]"), &sql, ["deny", "allow"]);
    differ(&world("only = [\"SELECT\", \"DROP TABLE\"]"), &world("only = [\"SELECT\"]"), &sql, ["deny", "allow"]);
}

#[test]
fn when_and_unless_may_ask_about_different_facts() {
    let allowing = |unless: &str| {
        deploy("", &format!("[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nwhen.cwd = [\"/*\"]\nunless.stdin = [\"{unless}\"]\n"))
    };
    differ(&allowing("file"), &allowing("empty"), &["deploy"], ["allow", "ask"]);
}

#[test]
fn facts_are_conditions() {
    let of = |fact: &str, pattern: &str, without: bool| {
        let place = if without { "unless" } else { "when" };
        denying(&format!("{place}.{fact} = [\"{pattern}\"]")).env("STAGE", "test")
    };
    for (fact, fits) in [
        ("user", "*"),
        ("uid", "*"),
        ("groups", "*"),
        ("host", "*"),
        ("cwd", "/*"),
        ("asker", "person"),
        ("stdin", "empty"),
        ("env.STAGE", "t*"),
    ] {
        differ(&of(fact, fits, false), &of(fact, "nothing-like-it", false), &["deploy"], ["deny", "allow"]);
        differ(&of(fact, fits, true), &of(fact, "nothing-like-it", true), &["deploy"], ["allow", "deny"]);
    }
    // These tests have no terminal, and that is sure.
    assert_eq!(decision(&of("tty", "*", false), &["deploy"]), "allow");
    assert_eq!(decision(&of("tty", "*", true), &["deploy"]), "deny");
}

#[test]
fn facts_of_the_target_are_conditions() {
    let config = "current-context: live\ncontexts:\n- name: live\n  context: {cluster: c, user: u, namespace: shop}\n";
    let of = |kind: &str, fact: &str, pattern: &str| {
        let deny = format!("[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\nwhen.{fact} = [\"{pattern}\"]\n");
        let world = deploy(&format!("target = \"{kind}\""), &format!("{ALLOW}{deny}")).file("home/.kube/config", config);
        let world = world.env("AWS_PROFILE", "live").env("TF_WORKSPACE", "live");
        world.sh("git init -q -b live . && git remote add origin https://example.org/live.git");
        world
    };
    for (kind, fact, fits) in [
        ("kubeconfig", "kube_context", "live"),
        ("kubeconfig", "kube_namespace", "shop"),
        ("git", "git_branch", "live"),
        ("git", "git_remote", "*example.org*"),
        ("aws", "aws_profile", "live"),
        ("terraform", "tf_workspace", "live"),
    ] {
        differ(&of(kind, fact, fits), &of(kind, fact, "nothing-like-it"), &["deploy"], ["deny", "allow"]);
    }
}

#[test]
fn a_rule_says_how_the_command_runs() {
    let run = |keys: &str| check(&deploy(GRAMMAR, &format!("{ALLOW}{keys}\n")), &["deploy", "--to", "x", "web"])["run"].clone();
    assert_eq!([run("outcome = true")["outcome"].clone(), run("")["outcome"].clone()], [json!(true), json!(false)]);
    for word in ["allow", "pin", "refuse"] {
        assert_eq!(run(&format!("stdin = \"{word}\""))["stdin"], word);
    }
    assert_eq!(run("pin = [\"@operand:1\"]")["pins"], json!(["web"]));
    assert_eq!(run("pin = [\"@option:--to\"]")["pins"], json!(["x"]));
    assert_eq!(run("env.strip = [\"AWS_*\"]")["strip"], json!(["AWS_*"]));
    assert_eq!([run("timeout = \"90s\"")["timeout_s"].clone(), run("")["timeout_s"].clone()], [json!(90), Value::Null]);
}

#[test]
fn env_allow_accepts_a_variable_that_runs_other_code() {
    let world = |keys: &str| deploy("executes = [\"DEPLOY_HOOK\"]", &format!("{ALLOW}{keys}\n")).env("DEPLOY_HOOK", "x");
    differ(&world("env.allow = [\"DEPLOY_HOOK\"]"), &world(""), &["deploy"], ["allow", "ask"]);
}

#[test]
fn trust_claimed_silences_the_lint_of_an_allow_that_rests_on_a_claim() {
    let lint = |keys: &str| {
        let text = format!("version = 1\n{}", rule(&format!("effect = \"allow\"\nwhen.asker = [\"person\"]\n{keys}")));
        World::new().system_policy(&text).run(["policy", "lint"]).code()
    };
    assert_eq!(lint("trust_claimed = true"), 0);
    assert_ne!(lint(""), 0);
}

#[test]
fn ids_are_unique_and_reasons_are_wanted() {
    let twice = format!("{}{}", rule("effect = \"ask\""), rule("effect = \"ask\""));
    assert_eq!(head(&twice).run(["check", "--", "deploy"]).code(), 78);
    let silent = "[[rule]]\nid = \"own.rule\"\ntool = \"deploy\"\neffect = \"ask\"\n";
    assert_eq!(head(silent).run(["check", "--", "deploy"]).code(), 78);
}

#[test]
fn examples_and_tests_that_do_not_hold_are_errors() {
    for wrong in ["match = [\"erase\"]", "not_match = [\"deploy\"]", "match = [[\"erase\", \"x\"]]"] {
        let ran = head(&rule(&format!("effect = \"deny\"\n{wrong}"))).run(["check", "--", "deploy"]);
        assert_eq!(ran.code(), 78, "{wrong}: {ran}");
    }
    let test = |keys: &str| {
        let text = format!("[names]\nlive = [\"prod\"]\n{}[[test]]\n{keys}\n", rule("effect = \"deny\"\nwhen.env.STAGE = [\"@live\"]"));
        head(&text).run(["check", "--", "true"]).code()
    };
    let argv = "argv = [\"deploy\"]";
    assert_eq!(test(&format!("{argv}\ncontext = {{ \"env.STAGE\" = \"prod\" }}\ndecision = \"deny\"\nrules = [\"own.rule\"]")), 75);
    for wrong in [
        format!("{argv}\ncontext = {{ \"env.STAGE\" = \"prod\" }}\ndecision = \"ask\""),
        format!("{argv}\ncontext = {{ \"env.STAGE\" = \"prod\" }}\ndecision = \"deny\"\nrules = [\"other\"]"),
        format!("{argv}\ncontext = {{ \"env.STAGE\" = \"test\" }}\ndecision = \"deny\""),
        format!("{argv}\ncontext = {{ \"env.STAGE\" = \"prod\" }}\nnames = {{ live = [\"x\"] }}\ndecision = \"deny\""),
        "argv = [\"erase\"]\ndecision = \"deny\"".to_owned(),
    ] {
        assert_eq!(test(&wrong), 78, "{wrong}");
    }
}

#[test]
fn an_unknown_key_is_an_error_at_its_place() {
    let ran = World::new().user_policy("version = 1\n[layer]\nunmatchd = \"allow\"\n").run(["check", "--", "ls"]);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(ran.err().contains("policy.toml:3:1") && ran.err().contains('^'), "{ran}");
}

#[test]
fn a_projects_file_holds_ask_and_deny_rules_only() {
    let project = |text: &str| World::new().user_policy(HEAD).project(&format!("version = 1\n{text}"));
    assert_eq!(decision(&project(&rule("effect = \"deny\"")), &["deploy"]), "deny");
    for text in [
        rule("effect = \"allow\""),
        "[layer]\nunmatched = \"deny\"\n".to_owned(),
        "[names]\nx = []\n".to_owned(),
        "[terms.low]\n".to_owned(),
        "[amend.\"rm.file\"]\ndisable = true\n".to_owned(),
    ] {
        assert_eq!(project(&text).run(["check", "--", "deploy"]).code(), 78, "{text}");
    }
}
