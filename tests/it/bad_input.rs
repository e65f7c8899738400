//! Bad policies, bad words and bad surroundings: each has a clear error and the right status, and nothing runs that should not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;

use crate::world::{Ran, World, set_mode};

/// Everything that no rule of the test speaks of runs.
const HEAD: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\ntrusted_programs = [\"/\"]\n";

/// Says how many words it got.
const COUNT: &str = "#!/bin/sh\necho $#\n";

/// Runs something harmless that leaves a trace, and insists that gate refused it for its configuration.
fn refused_as_configuration(world: &World, words: &[&str]) -> Ran {
    refused(world, &["--", "touch", "ran"], words)
}

fn refused(world: &World, args: &[&str], words: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(!world.work().join("ran").exists(), "it ran all the same: {ran}");
    assert!(ran.stdout.is_empty(), "{ran}");
    for word in words {
        assert!(ran.err().contains(word), "`{word}` is not said: {ran}");
    }
    ran
}

/// A world with a tool of the user's own, `deploy`, which leaves a trace when it runs.
fn deploy(rules: &str) -> World {
    World::new()
        .user_policy(HEAD)
        .program("deploy", "#!/bin/sh\n: >ran\n")
        .user_tool("deploy", &format!("version = 1\n[tool]\nnames = [\"deploy\"]\nflag = [\"--now\"]\n{rules}"))
}

#[test]
fn a_syntax_error_is_shown_where_it_stands() {
    let world = World::new().user_policy("version = 1\n[layer\nunmatched = \"allow\"\n");
    refused_as_configuration(&world, &["policy.toml:2:"]);
}

#[test]
fn an_unknown_key_is_an_error() {
    let world = World::new().user_policy("version = 1\n[layer]\nunmatchd = \"allow\"\n");
    refused_as_configuration(&world, &["policy.toml:3:", "unmatchd"]);
}

#[test]
fn a_failing_test_in_the_file_is_an_error() {
    let rule = "[[rule]]\nid = \"deploy.all\"\neffect = \"ask\"\nreason = \"All.\"\noperands.any = [\"all\"]\nmatch = [\"deploy one\"]\n";
    refused(&deploy(rule), &["--", "deploy", "one"], &["deploy.toml", "deploy.all", "deploy one"]);
}

#[test]
fn an_id_that_stands_twice_is_an_error() {
    let rule = "[[rule]]\nid = \"deploy.all\"\neffect = \"ask\"\nreason = \"All.\"\noperands.any = [\"all\"]\n";
    let world = deploy(&format!("{rule}{rule}"));
    refused(&world, &["--", "deploy", "one"], &["deploy.toml", "deploy.all"]);
}

#[test]
fn a_rule_that_can_never_match_is_an_error() {
    for args in ["operands.any = [\"all\"]\noperands.none = [\"all\"]", "options.any = []", "statement.any = [\"DROP *\"]"] {
        let world = deploy(&format!("[[rule]]\nid = \"deploy.never\"\neffect = \"ask\"\nreason = \"Never.\"\n{args}\n"));
        refused(&world, &["--", "deploy", "one"], &["deploy.toml", "deploy.never", "never match"]);
    }
}

#[test]
fn a_policy_of_100_mb_is_refused_before_it_is_read() {
    let world = World::new().user_policy(HEAD);
    fs::File::options().write(true).open(world.config().join("policy.toml")).unwrap().set_len(100 << 20).unwrap();
    refused_as_configuration(&world, &["policy.toml"]);
}

#[test]
fn a_fifo_in_place_of_a_policy_does_not_hang() {
    let world = World::new().user_policy(HEAD);
    let path = world.config().join("policy.toml");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    refused_as_configuration(&world, &["policy.toml"]);
}

#[test]
fn a_symlink_loop_in_place_of_a_policy_is_refused() {
    let world = World::new().user_policy(HEAD);
    let path = world.config().join("policy.toml");
    fs::remove_file(&path).unwrap();
    symlink(&path, &path).unwrap();
    refused_as_configuration(&world, &["policy.toml"]);
}

#[test]
fn a_policy_that_others_may_write_is_refused_by_name_and_reason() {
    let world = World::new().user_policy(HEAD);
    set_mode(&world.config().join("policy.toml"), 0o666);
    refused_as_configuration(&world, &["policy.toml", "writ"]);
}

#[test]
fn a_directory_in_place_of_a_policy_is_refused() {
    let world = World::new().file("home/.config/gate/policy.toml/x", "");
    refused_as_configuration(&world, &["policy.toml"]);
}

#[test]
fn a_project_file_may_not_loosen_anything() {
    let world = World::new().project("version = 1\n[layer]\nunmatched = \"allow\"\n");
    refused_as_configuration(&world, &[".gate.toml"]);
}

#[test]
fn words_that_are_not_text_arrive_as_they_are() {
    let world = World::new().user_policy(HEAD);
    let odd = OsString::from_vec(b"\xff\xfe\x80".to_vec());
    let words: Vec<OsString> = ["--", "printf", "%s|", "", "a b"].map(OsString::from).into_iter().chain([odd, OsString::new()]).collect();
    let ran = world.run(&words);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(ran.stdout, b"|a b|\xff\xfe\x80||");
    assert_eq!(ran.stdout, world.bare(&words[1..]).stdout);
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn two_megabytes_of_words_arrive_and_are_recorded() {
    let world = World::new().user_policy(HEAD).program("count", COUNT);
    let long = "x".repeat(120 * 1024);
    let mut words = vec!["--", "count"];
    words.extend(std::iter::repeat_n(long.as_str(), 16));
    let ran = world.run(&words);
    assert_eq!(ran.out(), "16\n", "{}", ran.err().chars().take(2000).collect::<String>());
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn a_hundred_thousand_words_arrive_and_are_recorded() {
    let world = World::new().user_policy(HEAD).program("count", COUNT);
    let mut words = vec!["--", "count"];
    words.extend(std::iter::repeat_n("a", 100_000));
    let ran = world.run(&words);
    assert_eq!(ran.out(), "100000\n", "{}", ran.err().chars().take(2000).collect::<String>());
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn control_and_bidi_characters_reach_the_command_and_never_the_terminal() {
    let hostile = "\u{1b}[2J\u{202e}evil\u{200b}\r\u{7}";
    let world = World::new().user_policy(HEAD);
    let ran = world.run(["--", "echo", hostile]);
    assert_eq!(ran.stdout, world.bare(["echo", hostile]).stdout);

    let world = World::new().program("deploy", "#!/bin/sh\n");
    for args in
        [vec!["--", "deploy", hostile], vec!["--", hostile], vec!["check", "--", "deploy", hostile], vec![hostile], vec!["audit", "list"]]
    {
        let ran = world.run(&args);
        for text in [ran.out(), ran.err()] {
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{200b}'..='\u{202e}').contains(c));
            assert_eq!(bad, None, "{args:?} shows it raw: {ran:#}");
        }
    }
}

#[test]
fn no_command_at_all_is_a_usage_error() {
    let world = World::new();
    for args in [vec!["--"], vec!["--", ""], vec!["--no-such-option", "--", "true"]] {
        let ran = world.run(&args);
        assert_eq!(ran.code(), 64, "{args:?}: {ran}");
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{ran}");
    }
}

#[test]
fn a_command_that_does_not_exist_fails_before_anybody_is_asked() {
    let world = World::new();
    assert_eq!(world.run(["--", "no-such-command"]).code(), 127);
    assert_eq!(world.run(["--", "/etc"]).code(), 126);
    assert_eq!(world.run(["--", "/etc/passwd"]).code(), 126);
}

#[test]
fn a_deleted_working_directory_changes_nothing_for_a_command_that_may_run() {
    let world = World::new().user_policy(HEAD);
    let gate = world.gate();
    let script = format!("mkdir gone && cd gone && rmdir ../gone && exec {} -- true", gate.display());
    let ran = world.bare(["sh", "-c", &script]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn without_home_the_passwd_entry_names_it() {
    let world = World::new();
    let home = world.home().into_os_string();
    let entry = [b"root:x:0:0:root:".as_slice(), home.as_bytes(), b":/bin/sh\n"].concat();
    let world = world.etc("passwd", entry).no_env("HOME");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(world.state().join("audit.db").exists(), "the log stands in the home of the passwd entry");
}

#[test]
fn without_home_and_passwd_entry_the_missing_setting_is_named() {
    let world = World::new().user(54321).no_env("HOME");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains("XDG_STATE_HOME") || ran.err().contains("HOME"), "{ran}");
}

#[test]
fn a_user_without_passwd_entry_but_with_a_home_works() {
    let world = World::new().user(54321);
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn a_relative_home_is_refused() {
    let world = World::new().env("HOME", "home");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(ran.err().contains("HOME"), "{ran}");
}
