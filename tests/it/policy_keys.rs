//! Every key of heads and tool files changes an answer of the real gate: a key that were accepted and never read would fail here.

use serde_json::{Value, json};

use crate::world::World;

/// No embedded rule takes part, and programs may lie anywhere.
pub const HEAD: &str = "version = 1\n[layer]\nembedded = \"off\"\ntrusted_programs = [\"/\"]\n";
/// Allows everything that the grammar knows.
pub const ALLOW: &str = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\noperands.only = [\"*\"]\n";

/// A world with a tool of one's own, `deploy`.
pub fn deploy(grammar: &str, rules: &str) -> World {
    World::new().user_policy(HEAD).user_tool("deploy", &format!("version = 1\n[tool]\nnames = [\"deploy\"]\n{grammar}\n{rules}"))
}

/// A world whose head goes on with this.
pub fn head(text: &str) -> World {
    World::new().user_policy(&format!("{HEAD}{text}"))
}

/// A rule of a head.
pub fn rule(keys: &str) -> String {
    format!("[[rule]]\nid = \"own.rule\"\ntool = \"deploy\"\nreason = \"Why.\"\n{keys}\n")
}

/// What `gate check --json` says.
pub fn check(world: &World, argv: &[&str]) -> Value {
    let ran = world.run([&["check", "--json", "--"], argv].concat());
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

/// The decision alone.
pub fn decision(world: &World, argv: &[&str]) -> String {
    check(world, argv)["decision"].as_str().unwrap().to_owned()
}

/// Insists on two answers, one with a key and one without it.
#[track_caller]
pub fn differ(with: &World, without: &World, argv: &[&str], said: [&str; 2]) {
    assert_eq!([decision(with, argv), decision(without, argv)], said, "{argv:?}");
}

fn terms(text: &str) -> Value {
    check(&head(&format!("[terms.high]\n{text}\n{}", rule("effect = \"ask\"\nrisk = \"high\""))), &["deploy"])["terms"].clone()
}

#[test]
fn a_version_is_wanted_and_known() {
    for text in ["", "version = 2\n"] {
        let ran = World::new().user_policy(text).run(["check", "--", "ls"]);
        assert_eq!(ran.code(), 78, "{ran}");
        assert!(ran.err().contains("version"), "{ran}");
    }
}

#[test]
fn embedded_says_whether_gates_own_rules_take_part() {
    let layer = |embedded: &str| World::new().user_policy(&format!("version = 1\n[layer]\nembedded = \"{embedded}\"\n"));
    differ(&layer("on"), &layer("off"), &["ls"], ["allow", "ask"]);
    differ(&layer("deny-only"), &layer("off"), &["rm", "-rf", "/"], ["deny", "ask"]);
    assert_eq!(decision(&layer("deny-only"), &["ls"]), "ask");
}

#[test]
fn unmatched_mode_and_outcome_say_what_happens_to_what_no_rule_settles() {
    let layer = |keys: &str| World::new().user_policy(&format!("version = 1\n[layer]\nembedded = \"off\"\n{keys}"));
    differ(&layer("unmatched = \"allow\""), &layer("unmatched = \"deny\""), &["deploy"], ["allow", "deny"]);
    let observed = check(&layer("mode = \"observe\""), &["deploy"]);
    assert_eq!((&observed["decision"], &observed["observed"]), (&json!("allow"), &json!(true)));
    for outcome in [true, false] {
        let said = check(&layer(&format!("unmatched = \"allow\"\noutcome = {outcome}")), &["deploy"]);
        assert_eq!(said["run"]["outcome"], outcome, "{said}");
    }
}

#[test]
fn trusted_programs_names_places_beside_those_that_root_alone_writes() {
    let layer = |places: &str| {
        let head = format!("version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\ntrusted_programs = [{places}]\n");
        World::new().user_policy(&head).file("home/bin/deploy", "#!/bin/sh\n").env("PATH", "/nowhere")
    };
    let run = |world: &World| {
        let program = world.home().join("bin/deploy");
        crate::world::set_mode(&program, 0o777);
        decision(world, &[program.to_str().unwrap()])
    };
    assert_eq!([run(&layer("\"~/bin\"")), run(&layer("\"/\"")), run(&layer(""))], ["allow", "allow", "ask"]);
}

#[test]
fn the_system_layer_says_where_the_state_lives_and_whether_home_may_move_the_users_layer() {
    let world = World::new();
    let state = world.root().join("kept");
    let system = |keys: &str| format!("version = 1\n[layer]\nunmatched = \"allow\"\n[state]\ndir = \"{}/@uid\"\n{keys}", state.display());
    let deny = format!("version = 1\n{}", rule("effect = \"deny\""));
    let world = world.system_policy(&system("user_may_move = true\n")).user_policy(&deny);
    assert_eq!(decision(&world, &["deploy"]), "deny");
    assert_eq!(world.run(["--", "true"]).code(), 0);
    assert!(state.read_dir().unwrap().next().is_some(), "nothing was kept there");
    let world = world.system_policy(&system("user_may_move = false\n"));
    assert_eq!(decision(&world, &["deploy"]), "allow");
}

#[test]
fn names_are_sets_for_conditions() {
    let world = |set: &str| {
        let keys = "effect = \"deny\"\nwhen.env.STAGE = [\"@live\"]";
        head(&format!("[names]\nlive = [\"{set}\"]\n{}", rule(keys))).env("STAGE", "prod-eu")
    };
    differ(&world("prod-*"), &world("test-*"), &["deploy"], ["deny", "ask"]);
}

#[test]
fn terms_say_what_it_takes() {
    assert_eq!(terms("approvers = [\"team:sre\"]")["approvers"], json!(["team:sre"]));
    assert_eq!(terms("threshold = 2")["threshold"], 2);
    assert_eq!(terms("assurance = \"passkey\"")["assurance"], "passkey");
    assert_eq!(terms("fresh = \"90s\"")["fresh_s"], 90);
    assert_eq!(terms("within = \"2h\"")["within_s"], 7200);
    assert_eq!(terms("valid = \"1d\"")["valid_s"], 86400);
    assert_eq!(terms("channels = [\"slack\"]")["channels"], json!(["slack"]));
    assert_eq!(terms("justification = \"text\"")["justification"], json!(["text"]));
    assert_eq!(terms("justification = \"INC-*\"")["justification"], json!([{ "pattern": "INC-*" }]));
    let step = "escalate = [{ after = \"5m\", approvers = [\"team:oncall\"] }]";
    assert_eq!(terms(step)["escalate"], json!([{ "after_s": 300, "approvers": ["team:oncall"] }]));
    let glass = "break_glass = [\"person:https://idp.example#u1\"]";
    assert_eq!(terms(glass)["break_glass"], json!(["person:https://idp.example#u1"]));
    let standing = |keys: &str| terms(&format!("standing = {{ longest = \"8h\"{keys} }}"))["standing"].clone();
    assert_eq!(standing(""), json!({ "longest_s": 28800, "uses": 10, "patterns": false }));
    assert_eq!(standing(", uses = 2, patterns = true"), json!({ "longest_s": 28800, "uses": 2, "patterns": true }));
    assert!(terms("threshold = 2").get("standing").is_none(), "an approval is for one run where nothing is said");
}

#[test]
fn terms_hold_for_their_risk_or_for_the_rules_that_name_them() {
    let named = "[terms.night]\nthreshold = 3\n";
    for (keys, threshold) in [("terms = \"night\"", 3), ("", 1)] {
        let world = head(&format!("{named}{}", rule(&format!("effect = \"ask\"\n{keys}"))));
        assert_eq!(check(&world, &["deploy"])["terms"]["threshold"], threshold);
    }
    for risk in ["low", "medium", "high", "critical"] {
        let world = head(&format!("[terms.{risk}]\nthreshold = 3\n{}", rule(&format!("effect = \"ask\"\nrisk = \"{risk}\""))));
        assert_eq!(check(&world, &["deploy"])["terms"]["threshold"], 3, "{risk}");
    }
}

#[test]
fn an_amend_changes_a_rule_where_its_conditions_hold() {
    let amended = |keys: &str| {
        World::new().user_policy(&format!("version = 1\n[terms.night]\nthreshold = 3\n[amend.\"rm.file\"]\n{keys}\n")).env("STAGE", "test")
    };
    let rm = ["rm", "x"];
    assert_eq!(decision(&amended("effect = \"deny\""), &rm), "deny");
    assert_eq!(decision(&amended("effect = \"allow\""), &rm), "allow");
    assert_eq!(check(&amended("disable = true"), &rm)["rules"][0]["id"], "unmatched");
    assert_eq!(check(&amended("terms = \"night\""), &rm)["terms"]["threshold"], 3);
    differ(
        &amended("effect = \"allow\"\nwhen.env.STAGE = [\"test\"]"),
        &amended("effect = \"allow\"\nwhen.env.STAGE = [\"prod\"]"),
        &rm,
        ["allow", "ask"],
    );
    differ(
        &amended("effect = \"allow\"\nunless.env.STAGE = [\"prod\"]"),
        &amended("effect = \"allow\"\nunless.env.STAGE = [\"test\"]"),
        &rm,
        ["allow", "ask"],
    );
    assert_eq!(
        amended("effect = \"allow\"").user_policy("version = 1\n[amend.\"no.rule\"]\ndisable = true\n").run(["check", "--", "ls"]).code(),
        78
    );
}

#[test]
fn a_locked_rule_is_the_system_layers_to_amend() {
    let amend = "version = 1\n[amend.\"rm.root\"]\ndisable = true\n";
    assert_eq!(World::new().user_policy(amend).run(["check", "--", "rm", "-rf", "/"]).code(), 78);
    let says = |text: &str| decision(&World::new().system_policy(text), &["rm", "-rf", "/"]);
    assert_eq!([says(amend), says("version = 1\n")], ["ask", "deny"]);
    assert_eq!(head(&rule("effect = \"deny\"\nlocked = true")).run(["check", "--", "ls"]).code(), 78);
}

#[test]
fn names_and_options_of_a_tool_are_what_its_rules_know() {
    let bare = deploy("", ALLOW);
    assert_eq!(decision(&bare, &["deploy", "x"]), "allow");
    assert_eq!(decision(&bare, &["undeploy", "x"]), "ask");
    for (grammar, argv) in [
        ("flag = [\"--now\"]", ["deploy", "--now"]),
        ("value = [\"--to\"]", ["deploy", "--to=x"]),
        ("optional = [\"--dry-run\"]", ["deploy", "--dry-run=x"]),
        ("secret = [\"--key\"]", ["deploy", "--key=x"]),
    ] {
        differ(&deploy(grammar, ALLOW), &bare, &argv, ["allow", "ask"]);
    }
    // Whether the next argument is a value or an operand tells the three apart.
    let no_operands = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\n";
    differ(
        &deploy("value = [\"--to\"]", no_operands),
        &deploy("optional = [\"--to\"]", no_operands),
        &["deploy", "--to", "x"],
        ["allow", "ask"],
    );
    let hidden = |grammar: &str| check(&deploy(grammar, ALLOW), &["deploy", "--pin", "1234"])["hidden"].clone();
    assert_eq!(
        [hidden("secret = [\"--pin\"]"), hidden("value = [\"--pin\"]")],
        [json!([{ "word": 2, "start": 0, "end": 4 }]), Value::Null]
    );
}

#[test]
fn the_ways_of_spelling_options_are_the_tools_own() {
    let both = |key: &str, options: &str, argv: &[&str]| {
        differ(
            &deploy(&format!("{options}\n{key} = true"), ALLOW),
            &deploy(&format!("{options}\n{key} = false"), ALLOW),
            argv,
            ["allow", "ask"],
        );
    };
    both("abbreviate", "flag = [\"--force\"]", &["deploy", "--fo"]);
    both("bundle", "flag = [\"-f\", \"-r\"]", &["deploy", "-fr"]);
    both("numeric", "", &["deploy", "-5"]);
    both("negate", "flag = [\"--force\"]", &["deploy", "--no-force"]);
    let none = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\noptions.any = [\"-n=prod\"]\n";
    let spelled = |key: &str| deploy(&format!("value = [\"-n\"]\n{key}"), none);
    differ(&spelled("short_equals = true"), &spelled(""), &["deploy", "-n=prod"], ["allow", "ask"]);
}

#[test]
fn each_syntax_reads_in_its_own_way() {
    let syntax = |name: &str, options: &str| deploy(&format!("syntax = \"{name}\"\n{options}"), ALLOW);
    let flag = "flag = [\"-x\"]";
    differ(&syntax("posix", flag), &syntax("gnu", flag), &["deploy", "a", "-y"], ["allow", "ask"]);
    differ(&syntax("single-dash", "flag = [\"-chdir\"]"), &syntax("gnu", flag), &["deploy", "-chdir=x"], ["allow", "ask"]);
    differ(&syntax("plain", ""), &syntax("gnu", ""), &["deploy", "--anything"], ["allow", "ask"]);
    let one = |name: &str| deploy(&format!("syntax = \"{name}\"\nvalue = [\"--to\"]"), "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\n");
    differ(
        &deploy("syntax = \"key-value\"\nvalue = [\"to\"]", "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\n"),
        &one("gnu"),
        &["deploy", "to=x"],
        ["allow", "ask"],
    );
    differ(&syntax("find", "value = [\"-name\"]"), &syntax("gnu", flag), &["deploy", ".", "-name", "x"], ["allow", "ask"]);
}

#[test]
fn executes_names_what_runs_other_code() {
    let world = |grammar: &str| deploy(&format!("value = [\"--with\"]\n{grammar}"), ALLOW).env("DEPLOY_HOOK_A", "sh");
    differ(&world("executes = [\"--with\"]"), &world(""), &["deploy", "--with=sh"], ["ask", "allow"]);
    differ(&world("executes = [\"DEPLOY_HOOK_*\"]"), &world(""), &["deploy"], ["ask", "allow"]);
}

#[test]
fn words_bring_names_and_options_of_their_own() {
    let rules = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nwords = [\"push\"]\n";
    let world = |keys: &str| deploy(&format!("[tool.word.push]\n{keys}"), rules);
    let plain = world("");
    differ(&world("names = [\"send\"]"), &plain, &["deploy", "send"], ["allow", "ask"]);
    differ(&world("flag = [\"--now\"]"), &plain, &["deploy", "push", "--now"], ["allow", "ask"]);
    differ(&world("value = [\"--to\"]"), &plain, &["deploy", "push", "--to", "x"], ["allow", "ask"]);
    differ(&world("optional = [\"--dry-run\"]"), &plain, &["deploy", "push", "--dry-run=x"], ["allow", "ask"]);
    differ(&world("secret = [\"--key\"]"), &plain, &["deploy", "push", "--key", "x"], ["allow", "ask"]);
    assert_eq!(decision(&plain, &["deploy", "pull"]), "ask");
}

#[test]
fn runs_says_where_the_inner_command_stands() {
    let deny = "version = 1\n[tool]\nnames = [\"erase\"]\n[[rule]]\nid = \"erase.any\"\neffect = \"deny\"\nreason = \"Why.\"\n";
    let wrapper = |syntax: &str, runs: &str| deploy(&format!("{syntax}\n{runs}"), ALLOW).user_tool("erase", deny);
    let plain = wrapper("syntax = \"posix\"\nvalue = [\"-c\"]", "");
    for (runs, argv) in [
        ("after = \"options\"", vec!["deploy", "erase"]),
        ("after_words = 1", vec!["deploy", "5", "erase"]),
        ("after = \"options\"\nassignments = true", vec!["deploy", "A=b", "erase"]),
        ("script = \"-c\"", vec!["deploy", "-c", "true; erase"]),
        ("joined = true", vec!["deploy", "true;", "erase"]),
    ] {
        let world = wrapper("syntax = \"posix\"\nvalue = [\"-c\"]", &format!("[tool.runs]\n{runs}"));
        differ(&world, &plain, &argv, ["deny", "allow"]);
    }
    assert_eq!(
        decision(&wrapper("syntax = \"posix\"", "[tool.runs]\nafter = \"options\"\nassignments = false"), &["deploy", "A=b", "erase"]),
        "ask"
    );
    let find = |runs: &str| wrapper("syntax = \"find\"\nflag = [\"-exec\"]", runs);
    differ(&find("[tool.runs]\nexec = [\"-exec\"]"), &find(""), &["deploy", ".", "-exec", "erase", ";"], ["deny", "ask"]);
}

#[test]
fn embeds_names_the_language_of_an_options_value() {
    let rules = "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nstatement.only = [\"SELECT\"]\n";
    for (language, text) in [("postgres", "SELECT 'a'::text"), ("mysql", "SELECT `a` FROM `t`"), ("sqlite", "SELECT 1")] {
        let world = deploy(&format!("value = [\"-q --query\"]\n[tool.embeds]\n\"-q --query\" = \"sql:{language}\""), rules);
        assert_eq!(
            [decision(&world, &["deploy", "-q", text]), decision(&world, &["deploy", "--query=DROP TABLE t"])],
            ["allow", "ask"],
            "{language}"
        );
    }
}

#[test]
fn target_says_what_the_facts_are_about() {
    let config = "current-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u, namespace: shop}\n";
    let world = |target: &str| {
        let deny = "[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\nwhen.kube_context = [\"b\"]\n";
        deploy(&format!("value = [\"--context\"]\n{target}"), &format!("{ALLOW}{deny}")).file("home/.kube/config", config)
    };
    let with = world("target = \"kubeconfig\"");
    assert_eq!([decision(&with, &["deploy"]), decision(&with, &["deploy", "--context", "b"])], ["allow", "deny"]);
    // Nobody knows what a tool without a target acts on, which takes the stricter answer.
    assert_eq!(decision(&world(""), &["deploy"]), "deny");
}

#[test]
fn opaque_is_what_a_script_that_cannot_be_read_gets() {
    let said = |keys: &str| {
        decision(&World::new().user_policy(&format!("version = 1\n[layer]\nunmatched = \"allow\"\n{keys}")), &["bash", "-c", "$X"])
    };
    assert_eq!([said(""), said("opaque = \"allow\"\n"), said("opaque = \"deny\"\n")], ["ask", "allow", "deny"]);
    let strict = World::new().user_policy("version = 1\n[layer]\nunmatched = \"deny\"\nopaque = \"allow\"\n");
    assert_eq!(decision(&strict, &["bash", "-c", "$X"]), "deny", "never milder than what nothing matches");
}

#[test]
fn from_stdin_says_that_arguments_come_which_nobody_can_see() {
    let wrapper = |from: &str| {
        let tool = format!("version = 1\n[tool]\nnames = [\"deploy\"]\n[tool.runs]\nafter = \"options\"\n{from}{ALLOW}");
        World::new().user_policy("version = 1\n").user_tool("deploy", &tool)
    };
    differ(&wrapper("from = \"stdin\"\n"), &wrapper(""), &["deploy", "head"], ["ask", "allow"]);
}

#[test]
fn a_set_that_nobody_wrote_is_an_error() {
    let rule = rule("effect = \"deny\"\nwhen.user = [\"@nobody\"]");
    assert_eq!(head(&rule).run(["check", "--", "deploy"]).code(), 78);
}

#[test]
fn where_it_is_not_sure_which_terms_hold_all_of_them_do() {
    let amend = "[terms.strict]\napprovers = [\"team:sre\"]\nassurance = \"passkey\"\nchannels = [\"server\"]\n[terms.quick]\nchannels = [\"tty\", \"server\"]\n\
        [amend.\"kubectl.delete\"]\nterms = \"strict\"\n";
    let world = World::new().user_policy(&format!("version = 1\n{amend}")).no_env("KUBECONFIG");
    let said = check(&world, &["kubectl", "delete", "deploy", "web"]);
    assert_eq!(said["terms"]["assurance"], "passkey", "{said}");
    let maybe = amend
        .replace("terms = \"strict\"\n", "terms = \"quick\"\nwhen.kube_context = [\"dev*\"]\n")
        .replace("[terms.quick]", "[terms.high]\nassurance = \"passkey\"\nchannels = [\"server\"]\n[terms.quick]");
    let said = check(&World::new().user_policy(&format!("version = 1\n{maybe}")), &["kubectl", "delete", "deploy", "web"]);
    assert_eq!(said["terms"]["assurance"], "passkey", "an unknown context is no dev context: {said}");
}
