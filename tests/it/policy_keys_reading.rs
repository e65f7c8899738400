//! The keys by which a file says more of a tool's arguments: each changes an answer of the real gate.

use crate::policy_keys::{ALLOW, HEAD, check, decision, deploy, differ, head, rule};
use crate::world::World;

const DENY: &str = "[[rule]]\nid = \"own.no\"\neffect = \"deny\"\nreason = \"Why.\"\n";

/// What the tool's inner commands are answered by: `rm` denies, everything else of this layer is allowed.
fn wrapper(grammar: &str) -> World {
    let rm = "[[rule]]\nid = \"own.rm\"\ntool = \"rm\"\neffect = \"deny\"\nreason = \"Why.\"\n";
    let head = format!("{HEAD}unmatched = \"allow\"\n{rm}");
    World::new().user_policy(&head).user_tool("deploy", &format!("version = 1\n[tool]\nnames = [\"deploy\"]\n{grammar}"))
}

#[test]
fn fold_case_reads_words_in_any_case() {
    let with = deploy("fold_case = true\n[tool.word.Flush]", &format!("{DENY}words = [\"FLUSH\", \"all\"]\n{ALLOW}words = [\"flush\"]\n"));
    let without = deploy("[tool.word.Flush]", &format!("{DENY}words = [\"FLUSH\", \"all\"]\n{ALLOW}words = [\"Flush\"]\n"));
    differ(&with, &without, &["deploy", "flush", "ALL"], ["deny", "ask"]);
}

#[test]
fn response_files_may_hold_any_argument() {
    let rules = format!("{ALLOW}options.none = [\"--force\"]\n");
    let (with, without) = (deploy("response_files = true\nflag = [\"--force\"]", &rules), deploy("flag = [\"--force\"]", &rules));
    differ(&with, &without, &["deploy", "@list"], ["ask", "allow"]);
}

#[test]
fn a_word_runs_a_command_of_its_own() {
    let (with, without) = (wrapper("[tool.word.exec]\nruns = { after_words = 1 }\nstops = true"), wrapper("[tool.word.exec]"));
    differ(&with, &without, &["deploy", "exec", "box", "rm", "-r", "x"], ["deny", "allow"]);
}

#[test]
fn a_word_that_stops_leaves_the_options_behind_its_first_operand_to_what_it_runs() {
    let rules =
        "[[rule]]\nid = \"own.ok\"\neffect = \"allow\"\nwords = [\"exec\"]\noperands.only = [\"*\"]\noptions.none = [\"--privileged\"]\n";
    let grammar = |stops: bool| format!("[tool.word.exec]\nflag = [\"--privileged\"]\nstops = {stops}");
    differ(&deploy(&grammar(true), rules), &deploy(&grammar(false), rules), &["deploy", "exec", "box", "--privileged"], ["allow", "ask"]);
}

#[test]
fn a_word_names_options_of_its_own_that_run_other_code() {
    let rules = format!("{ALLOW}words = [\"diff\"]\n");
    let grammar = |more: &str| format!("[tool.word.diff]\nvalue = [\"--tool\"]\n{more}");
    differ(
        &deploy(&grammar("executes = [\"--tool\"]"), &rules),
        &deploy(&grammar(""), &rules),
        &["deploy", "diff", "--tool=x"],
        ["ask", "allow"],
    );
}

#[test]
fn what_follows_own_operands_is_a_script_where_it_is_joined() {
    let (one, none) = (wrapper("[tool.runs]\njoined = true\nafter_words = 1"), wrapper("[tool.runs]\njoined = true"));
    differ(&one, &none, &["deploy", "host", "rm", "x"], ["deny", "allow"]);
    assert_eq!(decision(&one, &["deploy", "rm", "x"]), "allow");
}

#[test]
fn languages_may_stand_in_operands_and_in_options_of_a_word() {
    let script = |embeds: &str| wrapper(&format!("[tool.word.run]\nvalue = [\"-c\"]\n{embeds}"));
    let plain = script("");
    differ(&script("embeds = { \"-c\" = \"sh\" }"), &plain, &["deploy", "run", "-c", "ls; rm x"], ["deny", "allow"]);
    differ(&script("embeds = { \"@operand:2\" = \"sh\" }"), &plain, &["deploy", "run", "x", "ls; rm x"], ["deny", "allow"]);
    differ(&script("embeds = { \"@operands\" = \"sh\" }"), &plain, &["deploy", "run", "x", "y", "rm x"], ["deny", "allow"]);
    for language in ["generic", "bigquery", "clickhouse", "snowflake", "sqlite", "mysql", "postgres"] {
        let rules = format!("{DENY}statement.any = [\"DROP *\"]\n{ALLOW}statement.only = [\"SELECT\"]\n");
        let world = deploy(&format!("[tool.embeds]\n\"@operand:1\" = \"sql:{language}\""), &rules);
        assert_eq!(decision(&world, &["deploy", "select 1"]), "allow", "{language}");
        assert_eq!(decision(&world, &["deploy", "drop table t"]), "deny", "{language}");
    }
}

#[test]
fn a_dropped_object_is_known_by_its_name() {
    let rules = format!("{DENY}statement.any = [\"DROP DATABASE @production\"]\n{ALLOW}statement.only = [\"DROP *\"]\n");
    let tool = format!("version = 1\n[tool]\nnames = [\"deploy\"]\n[tool.embeds]\n\"@operand:1\" = \"sql:postgres\"\n{rules}");
    let world = World::new().user_policy(&format!("{HEAD}[names]\nproduction = [\"prod*\"]\n")).user_tool("deploy", &tool);
    assert_eq!(decision(&world, &["deploy", "DROP DATABASE \"prod-eu\""]), "deny");
    assert_eq!(decision(&world, &["deploy", "drop database if exists staging"]), "allow");
}

#[test]
fn unseen_accounts_for_what_a_glob_or_a_variable_becomes() {
    let rules = |key: &str| {
        head(&format!("{}{ALLOW_HEAD}{key}", "[[rule]]\nid = \"own.sh\"\ntool = \"bash\"\neffect = \"allow\"\noptions.only = [\"-c\"]\n"))
    };
    for script in ["deploy *", "deploy \"$X\"", "deploy $(deploy)"] {
        differ(&rules("unseen = true"), &rules(""), &["bash", "-c", script], ["allow", "ask"]);
    }
    // What begins with a name is no option, so it needs no such word.
    assert_eq!(decision(&rules(""), &["bash", "-c", "deploy x/*"]), "allow");
}

const ALLOW_HEAD: &str = "[[rule]]\nid = \"own.ok\"\ntool = \"deploy\"\neffect = \"allow\"\noperands.only = [\"*\"]\n";

#[test]
fn other_options_are_accepted_where_a_rule_says_so_unless_they_abbreviate_what_it_forbids() {
    let grammar = "flag = [\"--force\"]";
    let rules = |key: &str| format!("{ALLOW}options.none = [\"--force\"]\n{key}");
    let (with, without) = (deploy(grammar, &rules("other_options = true")), deploy(grammar, &rules("")));
    differ(&with, &without, &["deploy", "--filters", "x"], ["allow", "ask"]);
    for refused in ["--force", "--forc", "--fo"] {
        assert_eq!(decision(&with, &["deploy", refused]), "ask", "{refused}");
    }
}

#[test]
fn except_names_programs_that_a_rule_for_all_is_not_for() {
    let every = |except: &str| head(&format!("[[rule]]\nid = \"own.no\"\ntool = \"*\"\n{except}\neffect = \"deny\"\nreason = \"Why.\"\n"));
    differ(&every("except = [\"deploy\"]"), &every(""), &["deploy"], ["ask", "deny"]);
}

#[test]
fn sets_of_paths_are_the_same_in_every_file_and_a_layer_may_add_to_them() {
    let of = |set: &str| deploy("", &format!("{DENY}operands.any = [\"@{set}\"]\n"));
    for (set, inside, outside) in [
        ("system", "/etc/passwd", "notes.txt"),
        ("devices", "/dev/sda", "/dev/null"),
        ("settings", "x/.git/hooks/pre-commit", "x/git/hooks"),
        ("secrets", ".env", ".env.example"),
        ("regenerable", "node_modules", "src"),
        ("work-tree", "src/main.rs", "../main.rs"),
    ] {
        assert_eq!(decision(&of(set), &["deploy", inside]), "deny", "{set} {inside}");
        assert_eq!(decision(&of(set), &["deploy", outside]), "ask", "{set} {outside}");
    }
    let own = head(&format!("[names]\nsecrets = [\"*.topsecret\"]\n{}", rule("effect = \"deny\"\noperands.any = [\"@secrets\"]")));
    assert_eq!(decision(&own, &["deploy", "a.topsecret"]), "deny");
}

#[test]
fn the_time_is_a_condition_on_the_clock_of_a_zone() {
    let with = |window: &str| head(&rule(&format!("effect = \"deny\"\nwhen.time = [\"{window}\"]")));
    assert_eq!(decision(&with("UTC"), &["deploy"]), "deny");
    assert_eq!(decision(&with("00:00-24:00 Asia/Kathmandu"), &["deploy"]), "deny");
    let ran = with("Mon-Fri 9-17 Europe/Berlin").run(["check", "--", "deploy"]);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(ran.err().contains("is more than days, a span of time and a zone"), "{ran}");
}

#[test]
fn a_freeze_is_what_a_calendar_has_in_force() {
    let calendar = |from: &str, to: &str| {
        let event = format!("BEGIN:VEVENT\nDTSTART:{from}T000000Z\nDTEND:{to}T000000Z\nEND:VEVENT\n");
        let world = World::new().file("home/work/freeze.ics", format!("BEGIN:VCALENDAR\n{event}END:VCALENDAR\n"));
        let path = world.work().join("freeze.ics");
        let keys = format!("effect = \"deny\"\nwhen.freeze = \"{}\"", path.display());
        world.user_policy(&format!("{HEAD}{}", rule(&keys)))
    };
    differ(&calendar("20000101", "20990101"), &calendar("20000101", "20000102"), &["deploy"], ["deny", "ask"]);
    // One that is not there is taken as the stricter answer.
    let missing = head(&rule("effect = \"deny\"\nwhen.freeze = \"/nowhere/freeze.ics\""));
    assert_eq!(decision(&missing, &["deploy"]), "deny");
}

#[test]
fn a_script_file_is_read_and_judged_as_a_script_is() {
    let world = World::new()
        .file("home/work/good.sh", "ls -la\n")
        .file("home/work/bad.sh", "ls\nrm -rf /\n")
        .file("home/work/odd.sh", "eval \"$X\"\n");
    assert_eq!(decision(&world, &["bash", "good.sh"]), "allow");
    assert_eq!(decision(&world, &["bash", "bad.sh"]), "deny");
    assert_eq!(decision(&world, &["bash", "odd.sh"]), "ask");
    assert_eq!(decision(&world, &["bash", "none.sh"]), "ask");
    assert_eq!(check(&world, &["bash", "good.sh"])["run"]["pins"][0], "good.sh");
}

#[test]
fn a_script_that_is_run_by_its_name_is_what_its_interpreter_makes_of_it() {
    let world = World::new().program("good.sh", "#!/bin/bash\nls -la\n").program("bad.sh", "#!/usr/bin/env bash\nrm -rf /\n");
    assert_eq!(decision(&world, &["good.sh"]), "allow");
    assert_eq!(decision(&world, &["bad.sh"]), "deny");
}

#[test]
fn secrets_are_known_by_names_and_by_how_they_look_and_stand_nowhere_in_the_log() {
    let token = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
    let rule =
        "[[rule]]\nid = \"own.ok\"\ntool = \"deploy\"\neffect = \"allow\"\noperands.only = [\"*\"]\nwhen.env.DEPLOY_TOKEN = [\"*\"]\n";
    let world = head(rule).program("deploy", "#!/nowhere\n").env("DEPLOY_TOKEN", "hush-hush");
    let header = format!("Authorization: Bearer {token}");
    for words in [vec!["deploy", token.as_str()], vec!["curl", "-H", &header, "https://example.org"]] {
        let ran = world.run([&["check", "--"], words.as_slice()].concat());
        assert!(!ran.out().contains(&token) && ran.out().contains("hidden"), "{ran}");
        world.run([&["--non-interactive", "--"], words.as_slice()].concat());
    }
    let log = std::fs::read(world.state().join("audit.db")).unwrap();
    let wal = std::fs::read(world.state().join("audit.db-wal")).unwrap_or_default();
    for bytes in [log, wal] {
        for secret in [token.as_bytes(), b"hush-hush"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", String::from_utf8_lossy(secret));
        }
    }
}

#[test]
fn a_denial_that_rests_on_an_unknown_directory_is_a_question() {
    let world = World::new();
    let script = |text: &str| decision(&world, &["bash", "-c", text]);
    assert_eq!(script("cd \"$(where)\" && echo a | tee out.txt"), "ask");
    assert_eq!(script("cd \"$(where)\" && echo a | tee /dev/sda"), "deny");
    assert_eq!(script("cd \"$(where)\" && rm -rf /"), "deny");
    assert_eq!(script("cd / && rm -rf etc"), "deny");
}
