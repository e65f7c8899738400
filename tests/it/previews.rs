//! What a rule's preview shows before people are asked: run where the policy allows it, and never anything else.

use std::fs;
use std::process::Command;

use gate::approval::PreviewEnd;
use nix::sys::signal::Signal;

use crate::tty::Tty;
use crate::waiting::{OTHERS, kept, with};
use crate::waiting_at::{Here, send, started};
use crate::world::{GATE, TOOLS, World};

/// A deployment whose preview is this.
fn policy(preview: &str) -> String {
    let allowed = ["cat", "ls", "seq", "printenv", "tty", "readlink"];
    let allow = allowed
        .map(|name| format!("[[rule]]\nid = \"own.{name}\"\ntool = \"{name}\"\neffect = \"allow\"\noperands.only = [\"*\"]\n"))
        .concat();
    format!("{OTHERS}[[rule]]\nid = \"own.deploy\"\ntool = \"deploy\"\neffect = \"ask\"\nreason = \"R.\"\npreview = [{preview}]\n{allow}")
}

fn at_work(world: World) -> World {
    let deploy = "version = 1\n[tool]\nnames = [\"deploy\"]\nsecret = [\"--password\"]\n";
    world.user_tool("deploy", deploy).program("deploy", "#!/bin/sh\necho \"$@\" >> ran\n")
}

/// Asks, and gives what the request says of its previews; then it is approved, and runs.
fn previewed(preview: &str, words: &[&str]) -> (World, Here, gate::approval::Previewed) {
    let (world, here) = with(&policy(preview));
    let world = at_work(world).env("MARK", "as it was");
    fs::write(world.work().join("plan.txt"), "2 to change\n\u{1b}[31m1 to destroy\n").unwrap();
    let child = started(&world, &[&["--", "deploy"], words].concat());
    let request = here.pending();
    here.approve(&request);
    let ran = world.wait(child);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!((ran.out(), world.run(["audit", "verify", "--local"]).code()), (String::new(), 0), "{ran}");
    let shown = request.submitted.said().previews.clone();
    assert_eq!(shown.len(), 1, "{}", request.submitted.text());
    (world, here, shown.into_iter().next().unwrap())
}

#[test]
fn a_preview_runs_where_the_command_would_and_reviewers_see_what_it_wrote() {
    let (world, _here, shown) = previewed("\"cat\", \"@operand:1\"", &["plan.txt"]);
    assert_eq!(shown.argv, ["cat", "plan.txt"]);
    assert_eq!(shown.ended, PreviewEnd::Exit(0));
    assert_eq!(String::from_utf8(shown.output).unwrap(), "2 to change\n\u{1b}[31m1 to destroy\n");
    // It is recorded as what it is: a command that a rule allowed, before what was asked.
    let records = world.records();
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    let asked = kinds.iter().position(|kind| *kind == "request").unwrap();
    let before = &records[..asked];
    assert_eq!(before.iter().filter(|record| record["decision"]["result"] == "allowed").count(), 1, "{kinds:?}");
    assert!(before.iter().any(|record| record["kind"] == "exec.end" && record["outcome"]["exit"] == 0), "{before:?}");
}

#[test]
fn a_preview_gets_no_input_no_terminal_and_no_open_file_and_what_it_does_ends_with_it() {
    let (_world, _here, shown) = previewed("\"readlink\", \"/proc/self/fd/0\"", &[]);
    assert_eq!((shown.ended, shown.output), (PreviewEnd::Exit(0), b"/dev/null\n".to_vec()));
    let (_world, _here, shown) = previewed("\"cat\", \"/dev/tty\"", &[]);
    assert_eq!(shown.ended, PreviewEnd::Exit(1), "{shown:?}");
    let (_world, _here, shown) = previewed("\"ls\", \"/proc/self/fd\"", &[]);
    assert_eq!(shown.output, b"0\n1\n2\n3\n".to_vec(), "the fourth is its own");
    let (_world, _here, shown) = previewed("\"printenv\", \"MARK\"", &[]);
    assert_eq!(shown.output, b"as it was\n".to_vec());
    let (_world, _here, shown) = previewed("\"ls\", \"is-not-there\"", &[]);
    assert_eq!(shown.ended, PreviewEnd::Exit(2));
    assert!(String::from_utf8(shown.output).unwrap().contains("is-not-there"));
}

#[test]
fn the_end_of_a_long_output_is_kept_and_it_says_how_much_is_not() {
    let (_world, _here, shown) = previewed("\"seq\", \"100000\"", &[]);
    assert!(shown.output.len() <= 8 * 1024 && shown.output.ends_with(b"99999\n100000\n"));
    assert!(shown.output.starts_with(b"98") && shown.left_out + shown.output.len() as u64 == 588_895, "{}", shown.left_out);
}

#[test]
fn a_preview_that_the_policy_does_not_allow_by_itself_is_not_run() {
    for preview in ["\"touch\", \"made\"", "\"sh\", \"-c\", \"echo x > made\"", "\"is-not-there-at-all\""] {
        let (world, _here, shown) = previewed(preview, &[]);
        assert!(matches!(shown.ended, PreviewEnd::NotRun(_)) && shown.output.is_empty(), "{shown:?}");
        assert!(!world.work().join("made").exists());
    }
}

#[test]
fn a_preview_that_takes_too_long_is_ended_with_all_that_it_started() {
    let (world, here) = with(&policy("\"cat\", \"pipe\""));
    let world = at_work(world);
    // Nobody ever writes into it.
    nix::unistd::mkfifo(&world.work().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let child = started(&world, &["--", "deploy"]);
    let request = here.pending();
    assert_eq!(request.submitted.said().previews[0].ended, PreviewEnd::Late(10));
    here.approve(&request);
    assert_eq!(world.wait(child).code(), 0);
}

#[test]
fn another_output_is_the_same_request_and_what_was_seen_first_stays() {
    let (world, here) = with(&policy("\"cat\", \"plan.txt\""));
    let world = at_work(world);
    fs::write(world.work().join("plan.txt"), "first\n").unwrap();
    let child = started(&world, &["--", "deploy"]);
    let request = here.pending();
    send(&child, Signal::SIGKILL);
    world.wait(child);
    fs::write(world.work().join("plan.txt"), "second\n").unwrap();
    here.approve(&request);
    let ran = world.wait(started(&world, &["--", "deploy"]));
    assert_eq!((ran.code(), here.requests().len()), (0, 1), "{ran}");
    assert_eq!(here.requests()[0].digest(), request.digest());
    assert!(kept(&world).is_empty());
}

#[test]
fn no_secret_of_the_command_stands_in_what_reviewers_see_of_its_preview() {
    let (_world, _here, shown) = previewed("\"cat\", \"plan.txt\"", &["--password=to destroy"]);
    assert_eq!(String::from_utf8(shown.output).unwrap(), "2 to change\n\u{1b}[31m1 <hidden>\n");
    let (world, here) = with(&policy("\"cat\", \"@operands\""));
    let world = at_work(world);
    let child = started(&world, &["--", "deploy", "--password=s3cret-s3cret", "s3cret-s3cret"]);
    let request = here.pending();
    assert!(request.submitted.said().rules.iter().all(|rule| rule.preview.is_empty()), "{}", request.submitted.text());
    send(&child, Signal::SIGINT);
    world.wait(child);
}

#[test]
fn nothing_is_previewed_where_nobody_can_be_asked() {
    let world = at_work(World::new().user_policy(&policy("\"cat\", \"plan.txt\"")));
    let ran = world.run(["--", "deploy"]);
    assert_eq!(ran.code(), 69, "{ran}");
    let world =
        at_work(World::new().user_policy(&policy("\"cat\", \"plan.txt\"").replace(OTHERS, "version = 1\n[layer]\nembedded = \"off\"\n")));
    let ran = world.run(["--", "deploy"]);
    assert_eq!(ran.code(), 69, "{ran}");
    assert!(world.records().iter().all(|record| record["decision"]["result"] != "allowed"));
}

#[test]
fn the_card_at_a_terminal_shows_what_the_preview_wrote() {
    let policy = policy("\"cat\", \"plan.txt\"").replace(OTHERS, "version = 1\n[layer]\nembedded = \"off\"\n");
    let world = at_work(World::new().user_policy(&policy));
    fs::write(world.work().join("plan.txt"), "2 to change\n\u{1b}[31m1 to destroy\n").unwrap();
    let mut command = Command::new(GATE);
    let path = format!("{}:{TOOLS}", world.root().join("bin").display());
    command.args(["--", "deploy"]).env_clear().env("PATH", path).env("HOME", world.home()).env("TERM", "xterm").current_dir(world.work());
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_SERVER_URL", "https://github.com").env("GITHUB_REPOSITORY", "org/app");
    command.env("GITHUB_RUN_ID", "77").env("GITHUB_WORKFLOW", "deploy \u{1b}[31m");
    let mut tty = Tty::start(command, 100, 40);
    tty.wait_for_last("for all details.\n>");
    let screen = tty.screen();
    for wanted in ["cat plan.txt", "exit 0", "2 to change", "\\x1b[31m1 to destroy", "https://github.com/org/app/actions/runs/77 (claimed)"]
    {
        assert!(screen.contains(wanted), "{wanted}: {screen}");
    }
    assert!(!screen.contains("deploy \u{1b}[31m"));
    tty.type_in("no\n");
    tty.wait_for("Why not?");
    tty.type_in("\n");
    tty.end();
}
