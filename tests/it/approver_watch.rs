//! `gate pending --watch` at a real terminal: live, decided from, and the terminal is left as it was.

use nix::sys::signal::Signal;
use nix::sys::termios::Termios;
use serde_json::Value;

use crate::approver_support::{Trial, at_terminal, ends, word};
use crate::tty::Tty;
use crate::world::World;

const SIZE: (u16, u16) = (120, 40);

/// What a program may change of the way in which a terminal treats what is typed.
fn modes(modes: &Termios) -> String {
    format!("{:?}", (modes.input_flags, modes.output_flags, modes.local_flags, modes.control_chars))
}

struct Story {
    trial: Trial,
    alice: World,
    bob: World,
    tty: Tty,
    asked: Value,
}

impl Story {
    fn id(&self) -> String {
        self.asked["id"].as_str().unwrap().to_owned()
    }
}

/// Bob watches, and Alice then asks.
fn watched(variables: &[(&str, &str)]) -> Story {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob", &["--decide"]));
    let mut tty = at_terminal(&bob, &["pending", "--watch"], variables, SIZE);
    tty.wait_for("nothing waits");
    let asked = trial.ask(&alice, |_| {});
    tty.wait_for(asked["id"].as_str().unwrap());
    Story { trial, alice, bob, tty, asked }
}

#[test]
fn what_comes_is_shown_at_once_decided_from_there_and_gone_when_it_is() {
    let mut story = watched(&[]);
    let screen = story.tty.wait_for("1 waiting");
    assert!(screen.contains("▸ deploy a b") && screen.contains("│ deploy a b") && screen.contains("MEDIUM RISK"), "{screen}");
    assert!(story.tty.alternate(), "it has a screen of its own");
    story.tty.resize(80, 30);
    story.tty.wait("the list above the card", |screen| screen.contains("▸ deploy a b") && screen.contains("a approve"));
    story.tty.type_in("a");
    let screen = story.tty.wait_for("Type approve");
    let typed = word(&screen);
    story.tty.wait_for_last(">");
    story.tty.type_in(&format!("{typed}\n"));
    story.tty.wait_for("you approved it; it is approved");
    story.tty.wait_for_last(">");
    story.tty.type_in("\n");
    story.tty.wait_for("nothing waits");
    assert_eq!(story.trial.stands(&story.alice, &story.id())["state"], "approved");
    story.tty.type_in("q");
    assert!(story.tty.end().success());
}

#[test]
fn a_rejection_tells_why_and_what_others_decide_leaves_the_list() {
    let mut story = watched(&[]);
    story.tty.type_in("r");
    story.tty.wait_for("Why not?");
    story.tty.wait_for_last(">");
    story.tty.type_in("not on a Saturday\n");
    story.tty.wait_for("you rejected it; it is rejected");
    assert_eq!(story.trial.stands(&story.alice, &story.id())["reviews"][0]["comment"], "not on a Saturday");
    story.tty.wait_for_last(">");
    story.tty.type_in("\n");
    story.tty.wait_for("nothing waits");
    let other = story.trial.ask(&story.alice, |parts| parts.words(vec!["restart".into(), "web".into()]));
    story.tty.wait_for("▸ restart web");
    ends(&story.bob, 0, &["reject", other["id"].as_str().unwrap()]);
    story.tty.wait_for("nothing waits");
}

#[test]
fn the_card_is_read_with_the_keys_and_nothing_moves_what_one_looks_at() {
    let mut story = watched(&[]);
    let long = story.trial.ask(&story.alice, |parts| parts.words((0..300).map(|number| format!("word-{number}")).collect()));
    story.tty.wait_for("2 waiting");
    story.tty.type_in("j");
    story.tty.wait_for(&format!(" {} ", long["id"].as_str().unwrap()));
    let screen = story.tty.wait_for("▸ word-0");
    assert!(!screen.contains("word-299"), "{screen}");
    story.tty.type_in("\r");
    for _ in 0..400 {
        story.tty.type_in("j");
    }
    let at_its_end =
        |screen: &str| screen.contains("▸ word-0") && screen.contains("the digest does not cover that") && !screen.contains("MEDIUM RISK");
    story.tty.wait("the end of the card", at_its_end);
    story.trial.ask(&story.alice, |parts| parts.words(vec!["third".into()]));
    let screen = story.tty.wait_for("  third");
    assert!(at_its_end(&screen), "{screen}");
}

#[test]
fn the_terminal_is_as_it_was_after_every_way_out() {
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP), Some(Signal::SIGINT)] {
        let trial = Trial::start();
        let bob = trial.person("bob", &["--decide"]);
        let mut tty = at_terminal(&bob, &["pending", "--watch"], &[], SIZE);
        let before = modes(&tty.modes());
        tty.wait_for("nothing waits");
        assert_ne!(modes(&tty.modes()), before, "it reads keys as they are pressed");
        match signal {
            None => tty.type_in("\x03"),
            Some(signal) => tty.signal(signal),
        }
        let status = tty.end();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), signal.map(|signal| signal as i32), "{signal:?}: {status:?}");
        assert_eq!(modes(&tty.modes()), before, "{signal:?}");
        assert!(!tty.alternate() && !tty.hidden_cursor(), "{signal:?}");
    }
}

#[test]
fn without_colour_there_is_none_and_without_a_terminal_no_screen() {
    let mut story = watched(&[("NO_COLOR", "1")]);
    story.tty.wait_for("▸ deploy a b");
    assert!(story.tty.plain(), "{}", story.tty.screen());
    let none = ends(&story.bob, 69, &["pending", "--watch"]);
    assert!(none.err().contains("`--watch` needs a terminal"), "{none}");
}

#[test]
fn a_server_that_is_gone_is_said_to_be_and_taken_up_again() {
    let mut story = watched(&[]);
    story.trial.stop();
    story.tty.wait_for("the server is gone");
    story.trial.again();
    story.tty.wait_for("j/k move");
    assert!(story.tty.screen().contains("▸ deploy a b"), "{}", story.tty.screen());
}
