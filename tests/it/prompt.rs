use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use gate::approval::ApprovalRequest;
use gate::policy::{Asked, Channel, Effect, Justification, Layer, Reason, Risk, RunHow, Terms};
use gate::request::{Argv, Context, Environment, Program, Request, RequestId, Who};
use nix::sys::signal::Signal;
use nix::sys::termios::LocalFlags;

use super::tty::Tty;

/// What the question below is about, for the process that asks it.
const STORY: &str = "GATE_PROMPT_STORY";

/// The question, in a process of its own: this test does nothing unless another one started it at a terminal.
#[test]
fn the_question_is_asked_by_the_process_that_another_test_starts() {
    let Ok(story) = std::env::var(STORY) else { return };
    let story: Vec<&str> = story.split(' ').collect();
    let words: Vec<OsString> = if story.contains(&"long") {
        (0..300).map(|number| format!("word-{number}").into()).collect()
    } else {
        ["kubectl", "delete", "namespace", "payments"].map(OsString::from).to_vec()
    };
    let risk = if story.contains(&"critical") { Risk::Critical } else { Risk::Medium };
    let mut program = Program::unresolved(words[0].clone());
    program.sha256 = Some([1; 32]);
    let environment = Environment::new(vec![("TERM".into(), "xterm".into())]);
    let tty = std::fs::read_link("/proc/self/fd/1").ok();
    let context =
        Context { who: Who { uid: 1000, euid: 1000, tty, ..Who::default() }, host: "build-3".into(), environment, ..Context::default() };
    let within = story.iter().find_map(|word| word.strip_prefix("within=")).map_or(900_000, |millis| millis.parse().unwrap());
    let terms = Terms {
        within: Duration::from_millis(within),
        channels: BTreeSet::from([Channel::Tty]),
        justification: if story.contains(&"justified") { vec![Justification::Pattern("INC-*".into())] } else { Vec::new() },
        ..Terms::default()
    };
    let reason = Reason {
        rule: "kubectl.delete-namespace".into(),
        layer: Layer::Embedded,
        effect: Effect::Ask,
        risk,
        data: Vec::new(),
        text: "deletes the namespace".into(),
        instead: None,
        preview: Vec::new(),
        observed: false,
    };
    let asked = Asked {
        reasons: vec![reason],
        terms,
        terms_layer: None,
        risk,
        how: RunHow::default(),
        hidden: Vec::new(),
        target: Vec::new(),
        policy_digest: [0; 32],
    };
    let request = Request::new(RequestId::new(1, &[1; 10]), Argv::new(words).unwrap(), program, context);
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let asked = ApprovalRequest::new(request, asked, nonce, gate::sys::clock::now().unwrap(), String::new());
    let answered = match gate::channel::ask(&asked, &[], &gate::channel::Settings::default(), None) {
        gate::channel::Answered::Reviews(reviews) => {
            let review = &reviews[0];
            assert_eq!(review.digest, asked.digest());
            format!("{:?} by {} comment={:?} because={:?}", review.answer, review.approver, review.comment, review.justification)
        }
        other => format!("{other:?}"),
    };
    println!("ended: {answered}.");
}

/// The test's own threads leave these signals to the one that asks, as gate's only thread does.
const MINE: &str = "env --block-signal=INT,QUIT,TERM,HUP,TSTP,TTIN,CONT,WINCH";

/// The command line that asks, for a shell.
fn line() -> String {
    let binary = std::env::current_exe().unwrap();
    let test = "prompt::the_question_is_asked_by_the_process_that_another_test_starts";
    format!("{MINE} {} --exact {test} --nocapture --quiet --test-threads=1", binary.display())
}

fn asks(story: &str, columns: u16, rows: u16) -> Tty {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {}", line())).env(STORY, story);
    Tty::start(command, columns, rows)
}

/// The word that the screen says is to be typed.
fn word_on(screen: &str) -> String {
    let after = screen.rsplit("Type ").next().unwrap();
    after.split(" to run it").next().unwrap().to_owned()
}

const ANSWERS: &str = "for all details.\n>";

#[test]
fn run_lets_it_run() {
    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    tty.wait_for("ended: Approve by 1000 at tty:build-3 comment=\"\" because=\"\".");
}

#[test]
fn from_high_risk_on_only_the_word_of_this_request_lets_it_run() {
    let mut tty = asks("critical", 80, 24);
    let word = word_on(&tty.wait_for_last(ANSWERS));
    assert!(word.starts_with("run ") && word.len() == 9, "{word}");
    for habit in ["run", "y", "yes", "run 00000"] {
        tty.type_in(&format!("{habit}\n"));
        tty.wait(habit, |screen| {
            screen.contains(&format!("> {habit}\nthat is none of the answers")) && screen.trim_end().ends_with(ANSWERS)
        });
    }
    tty.type_in(&format!("{word}\n"));
    tty.wait_for("ended: Approve");
}

#[test]
fn no_asks_why_and_the_comment_may_follow_at_once() {
    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("no\n");
    tty.wait_for("Why not?");
    tty.type_in("not on a Friday \u{1b}[31m\n");
    tty.wait_for(r#"ended: Reject by 1000 at tty:build-3 comment="not on a Friday \u{1b}[31m""#);

    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("deny: use the staging cluster\n");
    tty.wait_for(r#"comment="use the staging cluster""#);
}

#[test]
fn the_end_of_input_refuses() {
    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("\x04");
    tty.wait_for("ended: Reject by 1000");
}

#[test]
fn a_justification_is_asked_for_until_it_fits() {
    let mut tty = asks("justified", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    tty.wait_for_last("Why? The policy wants a justification that fits 'INC-*'.\n>");
    tty.type_in("because\n");
    tty.wait("again", |screen| screen.contains("not what the policy wants") && screen.trim_end().ends_with("'INC-*'.\n>"));
    tty.type_in("INC-7\n");
    tty.wait_for("because=\"INC-7\"");
}

#[test]
fn a_command_taller_than_the_screen_runs_only_after_it_was_read_to_its_end() {
    let mut tty = asks("long", 80, 24);
    tty.wait_for_last("no to refuse.\n>");
    tty.type_in("run\n");
    tty.wait("refused", |screen| {
        screen.contains("not yet: the whole command has not been shown") && screen.trim_end().ends_with("to refuse.\n>")
    });
    tty.type_in("show\n");
    tty.wait_for_last("Enter for more, all, q to leave --");
    tty.type_in("q\n");
    tty.wait("left", |screen| screen.trim_end().ends_with("to refuse.\n>"));
    tty.type_in("show\n");
    tty.wait_for_last("q to leave --");
    for last in ["42", "64", "86"] {
        tty.type_in("\n");
        tty.wait(last, |screen| screen.contains(&format!("-- {} of", last.parse::<u32>().unwrap() + 2)));
    }
    tty.type_in("all\n");
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    tty.wait_for("ended: Approve");
}

#[test]
fn what_was_typed_before_the_question_could_be_read_answers_nothing() {
    let mut command = Command::new("bash");
    // The line is in the terminal's queue before the question is asked.
    command.arg("-c").arg(format!("stty -echo; echo ready; read -r; {}", line())).env(STORY, "");
    let mut tty = Tty::start(command, 80, 24);
    tty.wait_for("ready");
    tty.type_in("go\nrun\nrun\n");
    tty.wait_for_last(ANSWERS);
    tty.type_in("no thanks\n");
    tty.wait_for(r#"ended: Reject by 1000 at tty:build-3 comment="thanks""#);
}

#[test]
fn a_pasted_block_answers_at_most_one_question() {
    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("echo hello\nrun\n");
    tty.wait("one answer", |screen| screen.contains("none of the answers") && screen.trim_end().ends_with(ANSWERS));
    tty.type_in("\x04");
    tty.wait_for("ended: Reject");
}

#[test]
fn ctrl_c_cancels_and_the_terminal_is_as_it_was() {
    let mut tty = asks("", 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.type_in("\x03");
    tty.wait_for("ended: Cancelled { signal: Some(2) }");
}

#[test]
fn term_hup_and_quit_cancel_and_the_terminal_is_as_it_was() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut command = Command::new("sh");
        // Raw-ish modes, as an agent's own screen leaves them.
        command.arg("-c").arg(format!("stty -icanon -echo -isig; echo ready; read -r _; exec {}", line())).env(STORY, "");
        let mut tty = Tty::start(command, 80, 24);
        tty.wait_for("ready");
        let before = tty.modes();
        assert!(!before.local_flags.contains(LocalFlags::ICANON));
        tty.type_in("\n");
        tty.wait_for_last(ANSWERS);
        assert!(tty.modes().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
        tty.signal(signal);
        tty.wait_for(&format!("ended: Cancelled {{ signal: Some({}) }}", signal as i32));
        assert_eq!(tty.modes(), before);
    }
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' HUP; exec {}", line())).env(STORY, "");
    let mut tty = Tty::start(command, 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.signal(Signal::SIGHUP);
    tty.type_in("run\n");
    tty.wait_for("ended: Approve");
}

#[test]
fn a_request_expires_while_nobody_answers() {
    let mut tty = asks("within=300", 80, 24);
    tty.wait_for("ended: Expired");
}

#[test]
fn a_window_made_narrower_gets_a_card_that_fits() {
    let mut tty = asks("critical", 100, 40);
    tty.wait_for_last(ANSWERS);
    tty.resize(40, 40);
    let screen = tty.wait_for_last("show       all details\n>");
    let card = screen.rsplit("CRITICAL RISK").next().unwrap();
    assert!(card.contains("why: deletes the namespace"), "{screen}");
    tty.type_in("\x03");
    tty.wait_for("ended: Cancelled");
}

/// An interactive shell with job control.
fn shell() -> Tty {
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "shell% ").env(STORY, "").env("HISTFILE", "");
    let mut tty = Tty::start(command, 80, 60);
    tty.wait_for_last("shell%");
    tty
}

#[test]
fn the_stop_key_gives_the_terminal_back_and_fg_asks_again() {
    let mut tty = shell();
    tty.type_in(&format!("{}\n", line()));
    tty.wait_for_last(ANSWERS);
    tty.type_in("\x1a");
    tty.wait_for_last("shell%");
    tty.type_in("clear; fg\n");
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    tty.wait("run", |screen| screen.contains("ended: Approve") && screen.trim_end().ends_with("shell%"));
}

#[test]
fn a_stopped_question_that_is_ended_asks_no_more() {
    let mut tty = shell();
    tty.type_in(&format!("{}\n", line()));
    tty.wait_for_last(ANSWERS);
    tty.type_in("\x1a");
    tty.wait_for_last("shell%");
    tty.type_in("clear; kill %1; wait\n");
    let screen = tty.wait("the end", |screen| screen.contains("ended: Cancelled { signal: Some(15) }"));
    assert!(!screen.contains("RISK"), "{screen}");
}

#[test]
fn in_the_background_it_stops_until_it_is_brought_forward() {
    let mut tty = shell();
    tty.type_in(&format!("{} &\n", line()));
    tty.wait_for("shell%");
    // The shell says that a job has stopped before it prompts the next time.
    tty.wait("stopped", |screen| screen.contains("shell%"));
    tty.type_in("while ! jobs | grep -q Stopped; do :; done; clear; jobs\n");
    tty.wait("stopped", |screen| screen.contains("Stopped") && !screen.contains("RISK") && screen.trim_end().ends_with("shell%"));
    tty.type_in("fg\n");
    tty.wait_for_last(ANSWERS);
    tty.type_in("run\n");
    tty.wait_for("ended: Approve");
}

#[test]
fn in_the_background_of_nobody_it_asks_nobody() {
    let mut command = Command::new("bash");
    // A group of its own, in the background, whose parent has gone: nothing can ever bring it forward.
    command.arg("-c").arg(format!("set -m; ( {} & ) ; set +m; sleep 60", line())).env(STORY, "");
    let mut tty = Tty::start(command, 80, 24);
    tty.wait_for("ended: Unreachable");
}

#[test]
fn two_questions_at_one_terminal_are_asked_one_after_the_other() {
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("{line} & {line}; wait", line = line())).env(STORY, "");
    let mut tty = Tty::start(command, 80, 60);
    tty.wait_for("another question is open at this terminal");
    tty.wait("the first", |screen| screen.matches(ANSWERS).count() == 1);
    tty.type_in("run\n");
    tty.wait("the second", |screen| screen.contains("ended: Approve") && screen.matches(ANSWERS).count() == 2);
    tty.type_in("no such thing\n");
    tty.wait_for("ended: Reject");
}

#[test]
fn a_terminal_that_goes_away_approves_nothing() {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' HUP; exec {} > {}", line(), report.path().display())).env(STORY, "");
    let mut tty = Tty::start(command, 80, 24);
    tty.wait_for_last(ANSWERS);
    tty.hang_up();
    let text = std::fs::read_to_string(report.path()).unwrap();
    assert!(text.contains("ended: Unreachable(\"somebody must confirm this at a terminal, and this one went away"), "{text}");
}
