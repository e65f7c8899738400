//! A command that waits for people at a server: decided, refused, left, taken up again; never run twice, never lost.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use gate::approval::Answer;
use gate::server::model::State;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::tty::Tty;
use crate::waiting_at::{Here, send, started};
use crate::world::{GATE, Ran, TOOLS, World};

/// Nothing is known, so everything asks; these terms want another person.
pub const OTHERS: &str =
    "version = 1\n[layer]\nembedded = \"off\"\n[terms.medium]\nassurance = \"second-person\"\nchannels = [\"server\"]\n";

/// A world and its server, and the policy of the user's layer with the server in it.
pub fn with(policy: &str) -> (World, Here) {
    let world = World::new();
    let here = Here::of(&world, false);
    let policy = format!("{policy}{}", here.named());
    (world.user_policy(&policy), here)
}

/// The command that makes a file, so that each run of it shows.
pub fn touch(world: &World) -> (PathBuf, Vec<String>) {
    let file = world.work().join("ran");
    let line = ["--", "sh", "-c", "echo ran >> ran"].map(str::to_owned).to_vec();
    (file, line)
}

pub fn runs(world: &World) -> usize {
    fs::read_to_string(world.work().join("ran")).unwrap_or_default().lines().count()
}

pub fn kept(world: &World) -> Vec<PathBuf> {
    let found = fs::read_dir(world.state().join("waiting")).into_iter().flatten().map(|entry| entry.unwrap().path());
    found.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

fn gate(world: &World, before: &[&str]) -> std::process::Child {
    let (_, line) = touch(world);
    started(world, &before.iter().copied().chain(line.iter().map(String::as_str)).collect::<Vec<_>>())
}

fn object(ran: &Ran) -> Value {
    serde_json::from_str(ran.err().lines().find(|line| line.starts_with('{')).unwrap_or_default()).unwrap_or_else(|_| panic!("{ran}"))
}

fn decision(world: &World) -> Value {
    world.records().into_iter().rfind(|record| record["kind"] == "decision").unwrap()["decision"].clone()
}

#[test]
fn what_another_person_approves_runs_once_and_the_record_says_who_and_where() {
    let (world, here) = with(OTHERS);
    let child = gate(&world, &[]);
    let request = here.pending();
    assert_eq!(kept(&world).len(), 1);
    assert_eq!(fs::metadata(&kept(&world)[0]).unwrap().mode() & 0o777, 0o600);
    here.approve(&request);
    let ran = world.wait(child);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(runs(&world), 1);
    assert!(ran.err().contains(&format!("decide at  {}/r/{}", here.url, request.id)), "{ran}");
    assert!(ran.err().contains(&format!("number     {} ", request.number.as_deref().unwrap())), "{ran}");
    assert!(!ran.err().contains('\u{1b}') && ran.err().contains("ada \\x1b[31m approved it at"), "{ran}");
    let said = decision(&world);
    assert_eq!(said["result"], "approved", "{said}");
    assert_eq!(said["server"]["url"], here.url, "{said}");
    assert_eq!(said["server"]["key"], here.key().short());
    assert_eq!((&said["server"]["trust"], &said["server"]["request"]), (&"user".into(), &request.id.as_str().into()));
    let approver = &said["approvers"][0];
    assert_eq!((&approver["subject"], &approver["assurance"]), (&"ada".into(), &"second-person".into()), "{said}");
    // It is used at the server, which knows how it ended, and nothing is kept here.
    let over = here.becomes(&request.id, State::Consumed);
    assert_eq!(over.outcome.unwrap()["exit"], 0);
    assert!(kept(&world).is_empty());
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
}

#[test]
fn what_another_person_rejects_does_not_run_and_the_requester_reads_why() {
    let (world, here) = with(OTHERS);
    let child = gate(&world, &["--json"]);
    here.decide(&here.pending(), "ada", Answer::Reject, "not on a friday \u{202e}");
    let ran = world.wait(child);
    assert_eq!(ran.code(), 77, "{ran}");
    let told = object(&ran);
    assert_eq!(told["refusal"], "rejected", "{ran}");
    assert!(told["reason"].as_str().unwrap().contains("not on a friday \\u{202e}"), "{ran}");
    assert_eq!((runs(&world), kept(&world).len()), (0, 0));
    assert_eq!(decision(&world)["server"]["url"], here.url);
}

#[test]
fn a_gate_that_is_killed_while_it_waits_is_taken_up_by_the_next_run() {
    let (world, here) = with(OTHERS);
    let child = gate(&world, &[]);
    let request = here.pending();
    send(&child, Signal::SIGKILL);
    world.wait(child);
    // Pending, it waits on; approved meanwhile, it runs at once.
    let child = gate(&world, &[]);
    here.wait_for("looked at", |_| here.calls().iter().any(|call| *call == format!("GET /v1/requests/{}", request.id)));
    send(&child, Signal::SIGKILL);
    world.wait(child);
    here.approve(&request);
    let ran = world.wait(gate(&world, &[]));
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
    assert_eq!(here.requests().len(), 1);
    let ids: BTreeSet<String> = world.records().iter().filter_map(|record| record["req"].as_str().map(str::to_owned)).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // The same once more is asked anew.
    let child = gate(&world, &[]);
    let anew = here.pending();
    assert_ne!(anew.id, request.id);
    send(&child, Signal::SIGINT);
    world.wait(child);
}

#[test]
fn a_signal_that_only_ends_gate_leaves_the_request_and_ctrl_c_takes_it_back() {
    let (world, here) = with(OTHERS);
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let before = here.calls().len();
        let child = gate(&world, &["--json"]);
        let request = here.pending();
        here.wait_for("waited for", |_| here.calls().len() > before + 1);
        send(&child, signal);
        let ran = world.wait(child);
        assert_eq!((ran.code(), &object(&ran)["refusal"]), (75, &"pending".into()), "{ran}");
        assert_eq!(here.pending().id, request.id);
    }
    assert_eq!(here.requests().len(), 1);
    let child = gate(&world, &[]);
    let request = here.pending();
    let before = here.calls().len();
    here.wait_for("taken up", |_| here.calls().len() > before + 1);
    send(&child, Signal::SIGINT);
    let ran = world.wait(child);
    assert_eq!(ran.status.signal(), Some(2), "{ran}");
    here.becomes(&request.id, State::Cancelled);
    assert_eq!((runs(&world), kept(&world).len()), (0, 0));
    assert_eq!(decision(&world)["result"], "cancelled");
}

#[test]
fn a_server_that_goes_away_is_waited_for() {
    let (world, mut here) = with(OTHERS);
    let child = gate(&world, &[]);
    let request = here.pending();
    here.wait_for("waited for", |_| here.calls().iter().any(|call| call.starts_with("GET ")));
    here.stop();
    here.approve(&request);
    here.start_again();
    let ran = world.wait(child);
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
    assert!(ran.err().contains("is lost"), "{ran}");
}

#[test]
fn a_server_that_was_never_there_is_told_as_such() {
    let (world, mut here) = with(OTHERS);
    here.stop();
    let ran = world.wait(gate(&world, &["--json"]));
    assert_eq!((ran.code(), &object(&ran)["refusal"]), (69, &"unreachable".into()), "{ran}");
    assert!(object(&ran)["reason"].as_str().unwrap().contains(&here.url), "{ran}");
    assert_eq!((runs(&world), kept(&world).len()), (0, 0));
}

#[test]
fn the_same_command_twice_at_once_is_asked_once() {
    let (world, here) = with(OTHERS);
    let first = gate(&world, &[]);
    let request = here.pending();
    let ran = world.wait(gate(&world, &["--json"]));
    assert_eq!((ran.code(), &object(&ran)["refusal"]), (75, &"pending".into()), "{ran}");
    here.approve(&request);
    assert_eq!((world.wait(first).code(), runs(&world)), (0, 1));
    assert_eq!(here.requests().len(), 1);
}

#[test]
fn what_a_file_of_waiting_says_is_believed_only_where_nobody_else_could_have_written_it() {
    let (world, here) = with(OTHERS);
    let child = gate(&world, &[]);
    here.approve(&{
        let request = here.pending();
        send(&child, Signal::SIGKILL);
        world.wait(child);
        request
    });
    let path = kept(&world).remove(0);
    let whole = fs::read(&path).unwrap();
    let aside = world.root().join("aside");
    let refused = |what: &str| {
        let ran = world.wait(gate(&world, &[]));
        assert_eq!((ran.code(), runs(&world)), (125, 0), "{what}: {ran}");
        assert!(ran.err().contains("remove it"), "{what}: {ran}");
    };
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused("half a file");
    fs::write(&path, String::from_utf8(whole.clone()).unwrap().replace("echo ran >> ran", "echo ran >> run")).unwrap();
    refused("another command");
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    refused("others may write it");
    fs::rename(&path, &aside).unwrap();
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    refused("a link");
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    let ran = world.wait(gate(&world, &[]));
    assert_eq!((ran.code(), runs(&world)), (0, 1), "{ran}");
}

#[test]
fn a_hidden_word_that_differs_is_another_request() {
    let policy = format!("{OTHERS}[[rule]]\nid = \"own.login\"\ntool = \"login-tool\"\neffect = \"ask\"\nreason = \"R.\"\n");
    let (world, here) = with(&policy);
    let world = world
        .program("login-tool", "#!/bin/sh\necho ran >> ran\n")
        .user_tool("login-tool", "version = 1\n[tool]\nnames = [\"login-tool\"]\nsecret = [\"--password\"]\n");
    let ask = |secret: &str| started(&world, &["--", "login-tool", &format!("--password={secret}")]);
    let child = ask("one-one");
    let first = here.pending();
    assert!(!first.submitted.text().contains("one-one"));
    send(&child, Signal::SIGKILL);
    world.wait(child);
    here.approve(&first);
    // As long, with the same key; what was approved is not this.
    let child = ask("two-two");
    let second = here.pending();
    assert_eq!(second.key, first.key);
    assert_ne!(second.digest(), first.digest());
    send(&child, Signal::SIGINT);
    world.wait(child);
    assert_eq!(runs(&world), 0);
}

#[test]
fn a_user_s_server_decides_nothing_for_terms_of_the_system_layer() {
    let world = World::new();
    let here = Here::of(&world, false);
    let system = OTHERS.replace("[layer]", "[state]\nuser_may_move = true\n[layer]");
    let world = world.user_policy(&format!("version = 1\n{}", here.named())).system_policy(&system);
    let ran = world.run(["--json", "--", "sh", "-c", "echo ran >> ran"]);
    assert_eq!((ran.code(), runs(&world)), (69, 0), "{ran}");
    assert!(ran.err().contains("more trusted than the one that names the server"), "{ran}");
    assert!(here.calls().is_empty(), "{:?}", here.calls());
}

#[test]
fn terms_that_want_a_justification_say_so_before_anybody_is_asked() {
    let (world, here) = with(&OTHERS.replace("channels", "justification = \"OPS-*\"\nchannels"));
    for line in [&["--json"][..], &["--json", "--justification", "because"]] {
        let ran = world.wait(gate(&world, line));
        assert_eq!(ran.code(), 69, "{ran}");
        assert!(object(&ran)["reason"].as_str().unwrap().contains("`--justification TEXT`"), "{ran}");
    }
    assert!(here.calls().is_empty());
    let child = gate(&world, &["--justification", "OPS-7 full disk"]);
    let request = here.pending();
    assert_eq!(request.submitted.said().justification, "OPS-7 full disk");
    here.approve(&request);
    assert_eq!(world.wait(child).code(), 0);
}

#[test]
fn what_changes_while_others_think_does_not_run() {
    let (world, here) = with(OTHERS);
    let child = gate(&world, &[]);
    let request = here.pending();
    let policy = fs::read_to_string(world.config().join("policy.toml")).unwrap();
    fs::write(world.config().join("policy.toml"), policy.replace("[terms.medium]", "[terms.medium]\nthreshold = 2")).unwrap();
    here.approve(&request);
    let ran = world.wait(child);
    assert_eq!((ran.code(), runs(&world)), (77, 0), "{ran}");
    assert_eq!(decision(&world)["result"], "changed");
    assert_eq!(here.requests()[0].state, State::Approved, "nothing was used up");
}

/// The prompt's last line.
const ANSWERS: &str = "for all details.\n>";

/// These terms let somebody here confirm, or somebody elsewhere.
const BOTH: &str = "version = 1\n[layer]\nembedded = \"off\"\n";

fn at_terminal(world: &World) -> Tty {
    let (_, line) = touch(world);
    let mut command = Command::new(GATE);
    command.args(line).env_clear().env("PATH", TOOLS).env("HOME", world.home()).env("TERM", "xterm").current_dir(world.work());
    Tty::start(command, 100, 40)
}

#[test]
fn terminal_and_server_are_asked_at_once_and_the_terminal_wins() {
    let (world, here) = with(BOTH);
    let mut tty = at_terminal(&world);
    let request = here.pending();
    tty.wait_for("decide at");
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    assert!(tty.end().success(), "{}", tty.screen());
    assert_eq!(runs(&world), 1);
    here.becomes(&request.id, State::Cancelled);
    assert!(kept(&world).is_empty());
    assert!(decision(&world)["server"].is_null());
}

#[test]
fn terminal_and_server_are_asked_at_once_and_the_server_wins() {
    let (world, here) = with(BOTH);
    for answer in [Answer::Approve, Answer::Reject] {
        let mut tty = at_terminal(&world);
        let request = here.pending();
        tty.wait_for("decide at");
        tty.wait_for_last(ANSWERS);
        here.decide(&request, "ada", answer, "");
        let status = tty.end();
        assert_eq!(status.code(), Some(if answer == Answer::Approve { 0 } else { 77 }), "{}", tty.screen());
        assert!(tty.screen().contains("ada \\x1b[31m"), "{}", tty.screen());
    }
    assert_eq!(runs(&world), 1);
}

#[test]
fn a_terminal_is_asked_alone_where_the_server_is_not_there() {
    let (world, mut here) = with(BOTH);
    here.stop();
    let mut tty = at_terminal(&world);
    tty.wait_for("only this terminal is asked");
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    assert!(tty.end().success(), "{}", tty.screen());
    assert_eq!(runs(&world), 1);
}
