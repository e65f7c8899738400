//! What `gate policy` tells those who write policies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gate::policy::{self, FileKind, Layers, Policy, PolicyFile, SCHEMA};
use serde_json::Value;

use crate::policy_keys::HEAD;
use crate::tty::Tty;
use crate::world::World;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// gate's own files, as they stand in the repository.
fn own_files() -> Vec<PolicyFile> {
    let mut paths: Vec<PathBuf> = fs::read_dir(repository().join("policies")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let family = path.file_stem().unwrap().to_str().unwrap().to_owned();
        PolicyFile { name: format!("policies/{family}.toml"), family, bytes: fs::read(path).unwrap() }
    };
    paths.iter().map(read).collect()
}

fn own_policy() -> Policy {
    Policy::load(Layers::default(), gate::embedded::tools()).unwrap()
}

#[test]
fn a_test_reaches_every_rule_inside_gate() {
    let policy = own_policy();
    for file in own_files() {
        let unreached = policy::unreached(&policy, &file, FileKind::Embedded).unwrap();
        assert!(unreached.is_empty(), "{}: {unreached:?}", file.name);
    }
}

#[test]
fn every_alternative_that_gate_proposes_is_allowed_by_its_own_rules() {
    let policy = own_policy();
    let mut wrong = Vec::new();
    for file in own_files() {
        let table: toml::Table = String::from_utf8(file.bytes).unwrap().parse().unwrap();
        for rule in table.get("rule").and_then(toml::Value::as_array).into_iter().flatten() {
            let Some(instead) = rule.get("instead").and_then(toml::Value::as_str) else { continue };
            let id = rule["id"].as_str().unwrap();
            let first = instead.split_whitespace().next().unwrap_or_default();
            let lowercase = first.chars().any(|letter| letter.is_ascii_lowercase());
            if instead.ends_with("--help") {
                wrong.push(format!("{id}: `{instead}` is no alternative"));
            } else if let Some(effect) = policy.refuses_alternative(instead).unwrap() {
                wrong.push(format!("{id}: `{instead}` would be answered {}", effect.word()));
            } else if !lowercase {
                wrong.push(format!("{id}: `{instead}` is no command"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A policy file in JSON, as an editor's checker sees it.
fn json(text: &str) -> Value {
    fn value(toml: toml::Value) -> Value {
        match toml {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(is) => is.into(),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(items) => items.into_iter().map(value).collect(),
            toml::Value::Table(table) => table.into_iter().map(|(key, item)| (key, value(item))).collect::<serde_json::Map<_, _>>().into(),
        }
    }
    value(toml::Value::Table(text.parse().unwrap()))
}

#[test]
fn the_schema_takes_every_policy_that_gate_takes() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let examples = fs::read_dir(repository().join("examples")).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let own = own_files().into_iter().filter(|file| file.family != "any").map(|file| String::from_utf8(file.bytes).unwrap());
    for text in own.chain(examples) {
        let errors: Vec<String> =
            validator.iter_errors(&json(&text)).map(|error| format!("{} at {}", error, error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}\n{}", &text[..200.min(text.len())]);
    }
    let printed = World::new().run(["policy", "schema"]);
    assert_eq!(printed.out(), SCHEMA);
}

#[test]
fn the_schema_refuses_what_gate_refuses() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for wrong in [
        "",
        "version = 2",
        "version = 1\nname = 3",
        "version = 1\n[layer]\nunmatched = \"maybe\"",
        "version = 1\n[[rule]]\nid = \"x\"",
        "version = 1\n[[rule]]\nid = \"a b\"\neffect = \"allow\"\ntool = \"x\"",
        "version = 1\n[[rule]]\nid = \"x\"\neffect = \"allow\"\ntool = \"x\"\noperands.some = [\"x\"]",
        "version = 1\n[[rule]]\nid = \"x\"\neffect = \"allow\"\ntool = \"x\"\nwhen.weather = [\"x\"]",
        "version = 1\n[tool]\nnames = []",
        "version = 1\n[tool]\nnames = [\"x\"]\nsyntax = \"odd\"",
        "version = 1\n[terms.high]\nwithin = \"5 minutes\"",
        "version = 1\n[terms.high]\nthreshold = 0",
    ] {
        assert!(!validator.is_valid(&json(wrong)), "{wrong}");
        let ran = World::new().user_policy(wrong).run(["check", "--", "ls"]);
        let ran = if wrong.contains("[tool]") { World::new().user_tool("x", wrong).run(["check", "--", "x"]) } else { ran };
        assert_eq!(ran.code(), 78, "{wrong}\n{ran}");
    }
}

#[test]
fn explain_says_what_each_rule_makes_of_the_command() {
    let ran = World::new().run(["policy", "explain", "--", "bash", "-c", "git status && rm -rf x"]);
    let said = ran.out();
    for part in [
        "  git\n",
        "    words      status\n",
        "allow  git.",
        "  rm\n",
        "options    -r  -f",
        "ask    rm.recursive (embedded)",
        "would deny, but not here",
    ] {
        assert!(said.contains(part), "{part}\n{ran}");
    }
    assert!(said.trim_end().lines().last().unwrap().starts_with("ask by "), "{ran}");
}

#[test]
fn explain_says_what_keeps_an_allow_out() {
    let tool = "version = 1\n[tool]\nnames = [\"deploy\"]\nflag = [\"--now\"]\n[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\noperands.only = [\"a*\"]\nwhen.user = [\"nobody-at-all\"]\n";
    let world = World::new().user_policy(HEAD).user_tool("deploy", tool);
    let why = |words: &[&str]| world.run([&["policy", "explain", "--", "deploy"], words].concat()).out();
    assert!(why(&["--soon", "a"]).contains("the option `--soon` is not in the grammar"));
    assert!(why(&["b"]).contains("its `operands` do not fit"));
    assert!(why(&["a"]).contains("its `when` does not hold on `user`"));
}

#[test]
fn explain_shows_no_secret() {
    let world = World::new();
    for json in [&["--json"][..], &[]] {
        let ran = world.run([&["policy", "explain"], json, &["--", "kubectl", "get", "pods", "--token=s3cr3t-value"]].concat());
        assert!(!ran.out().contains("s3cr3t-value"), "{ran}");
        assert!(ran.out().contains("hidden, 12 bytes"), "{ran}");
    }
}

#[test]
fn diff_tells_what_two_policies_decide_otherwise_and_fails_where_the_new_one_is_milder() {
    let rule = |effect: &str| {
        format!("{HEAD}[[rule]]\nid = \"own.rule\"\ntool = \"deploy\"\neffect = \"{effect}\"\nreason = \"Why.\"\noperands.only = [\"*\"]\n")
    };
    let world = World::new()
        .file("home/work/old.toml", rule("ask"))
        .file("home/work/milder.toml", rule("allow"))
        .file("home/work/stricter/policy.toml", rule("deny"))
        .file("home/work/history", "deploy x\ndeploy x\nls\nfor i in 1; do deploy; done\n");
    let diff = |new: &str| world.run(["policy", "diff", "old.toml", new, "--against", "history"]);
    let milder = diff("milder.toml");
    assert_eq!(milder.code(), 1, "{milder}");
    assert_eq!(milder.out(), "milder     ask -> allow deploy x\n    own.rule -> own.rule\n2 commands, 1 decided otherwise\n");
    let stricter = diff("stricter");
    assert_eq!(stricter.code(), 0, "{stricter}");
    assert!(stricter.out().starts_with("stricter   ask -> deny  deploy x\n"), "{stricter}");
    let same = diff("old.toml");
    assert_eq!((same.code(), same.out().as_str()), (0, "2 commands, 0 decided otherwise\n"));
}

#[test]
fn diff_reads_the_own_log() {
    let world = World::new().file("home/work/old.toml", HEAD).file("home/work/new.toml", format!("{HEAD}unmatched = \"deny\"\n"));
    assert_eq!(world.run(["--", "ls"]).code(), 0);
    let ran = world.run(["policy", "diff", "old.toml", "new.toml", "--json"]);
    let change: Value = serde_json::from_str(ran.out().trim_end()).unwrap();
    assert_eq!(
        (change["command"].as_str(), change["old"].as_str(), change["new"].as_str()),
        (Some("ls"), Some("ask"), Some("deny")),
        "{ran}"
    );
}

#[test]
fn history_teaches_rules_for_exactly_what_was_seen() {
    let world = World::new()
        .file("home/work/history", ": 1700000000:0;frob bar\nfrob bar\nfrob baz\nls\nls\nrm -rf x\nrm -rf x\nfrob $X\nfrob $X\n");
    let ran = world.run(["policy", "init", "--from-history", "history"]);
    let rules = ran.out();
    assert_eq!(rules.matches("[[rule]]").count(), 1, "{ran}");
    let taught = World::new().user_policy(&format!("version = 1\n[layer]\ntrusted_programs = [\"/\"]\n{rules}"));
    let decide = |words: &[&str]| crate::policy_keys::decision(&taught, words);
    assert_eq!(decide(&["frob", "bar"]), "allow");
    for broader in [&["frob"][..], &["frob", "baz"], &["frob", "bar", "x"], &["frob", "--force", "bar"]] {
        assert_eq!(decide(broader), "ask", "{broader:?}");
    }
}

#[test]
fn the_log_teaches_what_ran_and_not_what_was_refused() {
    let world = World::new()
        .user_policy("version = 1\n[layer]\nmode = \"observe\"\ntrusted_programs = [\"/\"]\n")
        .program("frob", "#!/nonexistent\n")
        .program("frobnicate", "#!/bin/true\n");
    for _ in 0..2 {
        world.run(["--", "frobnicate", "x"]);
        world.run(["--", "rm", "-rf", "/"]);
    }
    let ran = world.run(["policy", "init", "--from-log"]);
    assert!(ran.out().contains("tool = \"frobnicate\""), "{ran}");
    assert_eq!(ran.out().matches("[[rule]]").count(), 1, "{ran}");
    assert!(world.run(["audit", "list"]).out().contains("observed"), "what was observed is listed");
}

#[test]
fn init_asks_and_writes_a_policy_that_loads() {
    let world = World::new();
    let mut tty = {
        let mut command = std::process::Command::new(world.gate());
        command.args(["policy", "init"]).current_dir(world.work()).env_clear();
        command.env("HOME", world.home()).env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("TERM", "xterm");
        Tty::start(command, 100, 30)
    };
    tty.wait_for("no rule speaks of");
    tty.type_in("\r");
    tty.wait_for("What production is called");
    tty.type_in("\x15prod-* live\r");
    tty.wait_for("Record how commands end");
    tty.type_in("y");
    tty.wait_for("wrote");
    tty.end();
    let policy = fs::read_to_string(world.config().join("policy.toml")).unwrap();
    assert!(policy.contains("unmatched = \"ask\"\noutcome = true\n"), "{policy}");
    assert!(policy.contains("production = [\"prod-*"), "{policy}");
    assert_eq!(world.run(["policy", "test"]).code(), 0);
    let again = world.run(["policy", "init"]);
    assert_eq!(again.code(), 64, "{again}");
}

#[test]
fn coverage_names_the_rules_that_no_test_reaches() {
    let rule = |more: &str| format!("{HEAD}[[rule]]\nid = \"own.rule\"\ntool = \"deploy\"\neffect = \"deny\"\nreason = \"Why.\"\n{more}");
    let bare = World::new().user_policy(&rule("")).run(["policy", "test", "--coverage"]);
    assert_eq!((bare.code(), bare.out().as_str()), (78, "0 tests, 0 failed\nno test reaches `own.rule`\n"));
    let reached = World::new().user_policy(&rule("match = [\"deploy\"]\n")).run(["policy", "test", "--coverage"]);
    assert_eq!((reached.code(), reached.out().as_str()), (0, "1 tests, 0 failed\n"));
}

#[test]
fn lint_names_rules_that_should_not_stand_as_they_do() {
    let rule = |id: &str, keys: &str| format!("[[rule]]\nid = \"own.{id}\"\nreason = \"Why.\"\n{keys}\n");
    let text = [
        rule("broad", "tool = \"git\"\neffect = \"allow\"\noperands.only = [\"*\"]"),
        rule("slip", "tool = \"git\"\neffect = \"deny\"\nwords = [\"push\"]\noptions.any = [\"--forse\"]"),
        rule("never", "tool = \"git\"\neffect = \"allow\"\nwords = [\"push\"]\noperands.only = [\"origin\"]"),
        rule("over", "tool = \"git\"\neffect = \"deny\"\nwords = [\"push\"]"),
        rule("advice", "tool = \"git\"\neffect = \"ask\"\nwords = [\"gc\"]\ninstead = \"git push\""),
    ];
    let ran = World::new().user_policy(&format!("version = 1\n{}", text.concat())).run(["policy", "lint"]);
    let found: BTreeSet<String> = ran.out().lines().map(str::to_owned).collect();
    for said in [
        "`own.broad` allows every use of `git`",
        "`own.slip` names `--forse`, which the grammar does not know",
        "`own.never` never decides: `own.over` speaks of every command that it speaks of, and is stricter",
        "`own.advice` proposes `git push`, which would be answered deny",
    ] {
        assert!(found.contains(said), "{said}\n{ran}");
    }
    assert_eq!(ran.code(), 78);
}
