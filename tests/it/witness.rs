//! Witnesses: what a log cannot show by itself, they show; and nothing runs where one of them knows more.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::key::{CosignerKey, PublicKey, Vkey};
use gate::record::{Answer, Kind, Line, Note, TlogPolicy, add_checkpoint, cosigned, unhex};
use gate::sys::http::Http;
use proptest::prelude::*;
use serde_json::Value;

use crate::log::{allowed, at, database, filled, open};
use crate::proofs::log_key;
use crate::record::shared;
use crate::world::{Ran, World};

const OPEN: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n";
const ASK: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"ask\"\nopaque = \"ask\"\n";

/// A witness in Python, ended with the test.
struct Witness {
    child: Child,
    url: String,
    key: String,
    directory: PathBuf,
}

impl Witness {
    /// Knows the log of this world.
    fn new(world: &World, name: &str) -> Self {
        let directory = world.root().join("witness");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("logs"), format!("{}\n", log_key(world))).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/witness.py");
        let mut child = Command::new("python3").arg(script).arg(&directory).arg(name).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (url, key) = line.trim().split_once(' ').unwrap();
        Self { child, url: url.to_owned(), key: key.to_owned(), directory }
    }

    fn fault(&self, what: &str) {
        fs::write(self.directory.join("fault"), what).unwrap();
    }

    fn line(&self, name: &str) -> String {
        format!("witness {name} {} {}\n", self.key, self.url)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets the layers name a policy, and gives its path.
fn with_policy(world: World, rules: &str, policy: &str, more: &str) -> (World, String) {
    let path = world.root().join("witnesses");
    fs::write(&path, policy).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (world.user_policy(&format!("{rules}[log]\nwitnesses = \"{path}\"\n{more}")), path)
}

/// A world with a log and one witness of it.
fn witnessed(rules: &str, more: &str) -> (World, Witness, String) {
    let world = World::new();
    filled(&world, 3);
    let witness = Witness::new(&world, "witness.example/1");
    let policy = format!("{}quorum one\n", witness.line("one"));
    let (world, path) = with_policy(world, rules, &policy, more);
    (world, witness, path)
}

fn anchor(world: &World) -> Ran {
    world.run(["audit", "anchor"])
}

fn anchored(world: &World) {
    let ran = anchor(world);
    assert_eq!(ran.code(), 0, "{ran}");
}

fn more(world: &World, commands: std::ops::Range<u64>) {
    let mut log = open(world).unwrap();
    for number in commands {
        log.append(&allowed(number, "helm", 0), at(number)).unwrap();
    }
}

/// A copy of everything gate keeps, to be put back.
fn copied(world: &World) -> PathBuf {
    database(world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let copy = world.root().join("copy");
    let _ = fs::remove_dir_all(&copy);
    assert!(Command::new("cp").arg("-a").arg(world.state()).arg(&copy).status().unwrap().success());
    copy
}

fn put_back(world: &World, copy: &Path) {
    fs::remove_dir_all(world.state()).unwrap();
    fs::rename(copy, world.state()).unwrap();
}

fn json(ran: &Ran) -> Value {
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran}"))
}

#[test]
fn witnesses_anchor_the_log_and_verify_says_how_far_and_when() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    let ran = world.run(["audit", "verify", "--policy", &policy]);
    assert_eq!(ran.code(), 3, "{ran}");
    let ran = anchor(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("one: countersigned 10 entries at 20"), "{ran}");
    assert!(ran.out().contains("anchored: enough witnesses vouch for 10 entries at 20"), "{ran}");
    more(&world, 10..12);
    for arguments in [&["--policy", policy.as_str()][..], &[]] {
        let ran = world.run(["audit", "verify"].iter().chain(arguments));
        assert_eq!(ran.code(), 0, "{ran}");
        assert!(ran.out().contains("\nanchored: witnesses vouch for the first 10 entries as of 20"), "{ran}");
        assert!(ran.out().contains("(one at 20") && ran.out().contains("), 6 follow\n"), "{ran}");
    }
    // The same size again takes the place of the older line; a larger one stands beside it.
    anchored(&world);
    anchored(&world);
    let notes: Vec<(i64, String)> = {
        let database = database(&world);
        let mut rows = database.prepare("SELECT size,note FROM checkpoint ORDER BY size").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(notes.iter().map(|(size, note)| (*size, note.lines().count())).collect::<Vec<_>>(), [(10, 6), (16, 6)]);
    let report = json(&world.run(["audit", "verify", "--json", "--policy", &policy]));
    assert_eq!(
        (report["assurance"].as_str(), report["anchored"].as_u64(), report["follow"].as_u64()),
        (Some("anchored"), Some(16), Some(0))
    );
    assert_eq!(report["witnesses"][0]["name"], "one");
    assert_eq!(report["witnesses"][0]["time"], report["anchored_at"]);
    let said = json(&world.run(["audit", "anchor", "--json"]));
    assert_eq!((said["anchored"].as_u64(), said["witnesses"][0]["said"].as_str()), (Some(16), Some("countersigned")));
    assert_eq!(world.run(["audit", "--db", "x", "anchor"]).code(), 2);
}

#[test]
fn at_and_max_unanchored_ask_for_more_than_any_anchor() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    anchored(&world);
    more(&world, 10..12);
    let verify = |more: &[&str]| world.run(["audit", "verify", "--policy", &policy].iter().chain(more));
    for (demand, code) in [
        (["--at", "9"], 0),
        (["--at", "10"], 0),
        (["--at", "11"], 3),
        (["--at", "2026-11-21T02:00:00Z"], 0),
        (["--at", "2099-01-01"], 3),
        (["--max-unanchored", "6"], 0),
        (["--max-unanchored", "5"], 3),
        (["--max-unanchored", "1d"], 0),
        (["--max-unanchored", "6x"], 64),
        (["--at", "soon"], 64),
    ] {
        let ran = verify(&demand);
        assert_eq!(ran.code(), code, "{demand:?}\n{ran}");
    }
    let ran = verify(&["--max-unanchored", "5"]);
    assert!(ran.out().contains("not anchored since entry 10: 6 entries follow the last anchor, and 5 may"), "{ran}");
    let report = json(&verify(&["--max-unanchored", "5", "--json"]));
    assert_eq!((report["assurance"].as_str(), report["anchored"].as_u64()), (Some("not anchored"), Some(10)));
    // An old copy of the file is judged as the log is, and so is a bundle.
    let copy = world.root().join("copy.db");
    copied(&world);
    fs::copy(world.root().join("copy/audit.db"), &copy).unwrap();
    let ran = world.run(["audit", "--db", copy.to_str().unwrap(), "verify", "--policy", &policy]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(world.run(["audit", "--db", copy.to_str().unwrap(), "verify"]).code(), 3, "nobody named witnesses for a copy");
    assert_eq!(world.run(["audit", "bundle", "out.tar"]).code(), 0);
    let bundle = |more: &[&str]| world.run(["audit", "verify", "--bundle", "out.tar"].iter().chain(more));
    let ran = bundle(&["--policy", &policy]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("anchored: witnesses vouch for the first 10 entries"), "{ran}");
    assert_eq!(bundle(&["--policy", &policy, "--at", "11"]).code(), 3);
    assert_eq!(bundle(&["--policy", &policy, "--at", "2026-11-21"]).code(), 64);
    assert_eq!(bundle(&[]).code(), 3);
}

#[test]
fn a_cut_tail_is_found_by_a_countersigned_checkpoint_that_was_kept() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    let copy = copied(&world);
    more(&world, 10..12);
    anchored(&world);
    let note: String = database(&world).query_row("SELECT note FROM checkpoint", [], |row| row.get(0)).unwrap();
    let kept = world.root().join("kept");
    fs::write(&kept, note).unwrap();
    let ran = world.run(["audit", "verify", "--policy", &policy, "--against", kept.to_str().unwrap()]);
    assert_eq!(ran.code(), 0, "{ran}");
    put_back(&world, &copy);
    let verify = |more: &[&str]| world.run(["audit", "verify", "--policy", &policy].iter().chain(more)).code();
    assert_eq!(verify(&["--against", kept.to_str().unwrap()]), 1);
    assert_eq!(verify(&[]), 3, "by itself it is never plainly sound");
}

#[test]
fn after_an_older_copy_was_put_back_nothing_runs_and_both_sizes_are_told() {
    let (world, _witness, policy) = witnessed(ASK, "");
    let copy = copied(&world);
    more(&world, 10..20);
    anchored(&world);
    put_back(&world, &copy);
    let ran = world.run(["--", "touch", "made"]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains("has seen 40 entries of this log, and the log has 11"), "{ran}");
    // Not even what is allowed runs, also when the witness is gone, until somebody looked.
    let world = with_policy(world, OPEN, &fs::read_to_string(&policy).unwrap(), "").0;
    let ran = world.run(["--", "touch", "made"]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains("has seen 40 entries of this log, and the log has 11"), "{ran}");
    let ran = anchor(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("one: refused: it saw 40 entries, and the log has 1"), "{ran}");
    assert_eq!(world.run(["audit", "resume", "--reason", "looked"]).code(), 0);
    let ran = world.run(["audit", "anchor", "--json"]);
    assert_eq!((ran.code(), json(&ran)["witnesses"][0]["size"].as_u64()), (1, Some(40)), "{ran}");
    assert_eq!(world.run(["--", "touch", "made"]).code(), 125, "the witness said the same again");
    assert!(!world.work().join("made").exists());
    let kinds: Vec<String> = world.records().iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains(&Kind::AuditFailure.to_string()), "{kinds:?}");
    let refusals = world.records().iter().filter(|record| record["decision"]["result"] == "halted").count();
    assert_eq!(refusals, 1);
}

#[test]
fn of_two_copies_that_both_go_on_only_one_is_countersigned() {
    for (commands, words) in [
        (1, "one: refused: it saw 16 entries, and the log has 13"),
        (2, "one: refused: it saw 16 entries, and the log has 16"),
        (3, "one: refused: it saw another history than these 19 entries"),
    ] {
        let (world, _witness, policy) = witnessed(OPEN, "");
        anchored(&world);
        let copy = copied(&world);
        more(&world, 10..12);
        anchored(&world);
        put_back(&world, &copy);
        more(&world, 20..20 + commands);
        let ran = anchor(&world);
        assert_eq!(ran.code(), 1, "{ran}");
        assert!(ran.out().contains(words), "{ran}");
        assert_eq!(world.run(["--", "true"]).code(), 125);
        let ran = world.run(["audit", "verify", "--policy", &policy]);
        assert_eq!(ran.code(), 0, "it is sound up to where they part: {ran}");
        assert!(ran.out().contains("vouch for the first 10 entries"), "{ran}");
    }
}

#[test]
fn a_history_that_a_stolen_key_signed_anew_is_refused_and_found() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    let copy = copied(&world);
    more(&world, 10..12);
    anchored(&world);
    let note: String = database(&world).query_row("SELECT note FROM checkpoint", [], |row| row.get(0)).unwrap();
    // The right key, the same size, another content: whoever holds the key can do so.
    put_back(&world, &copy);
    more(&world, 30..32);
    let ran = world.run(["audit", "verify", "--policy", &policy]);
    assert_eq!(ran.code(), 3, "by itself it is sound: {ran}");
    database(&world).execute("INSERT INTO checkpoint VALUES(16,?1)", [&note]).unwrap();
    let ran = world.run(["audit", "verify", "--policy", &policy]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("of another history"), "{ran}");
    database(&world).execute("DELETE FROM checkpoint", []).unwrap();
    let ran = anchor(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("one: refused: it saw 16 entries, and the log has 16"), "{ran}");
    assert_eq!(world.run(["--", "true"]).code(), 125);
}

#[test]
fn a_deleted_log_does_not_come_back_under_its_witnesses() {
    let (world, witness, path) = witnessed(OPEN, "");
    anchored(&world);
    fs::remove_dir_all(world.state()).unwrap();
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let ran = anchor(&world);
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.out().contains("one: does not know the log (404)"), "{ran}");
    // Where the policy names the log, nothing is taken for it.
    let old = fs::read_to_string(witness.directory.join("logs")).unwrap();
    fs::write(&path, format!("log {old}{}", fs::read_to_string(&path).unwrap())).unwrap();
    assert_eq!(anchor(&world).code(), 78);
    let ran = world.run(["audit", "verify", "--policy", &path]);
    assert!(ran.code() == 1 && ran.out().contains("a key that the policy of witnesses does not name"), "{ran}");
}

#[test]
fn the_size_that_a_witness_names_is_believed_once_where_the_log_is_as_long() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    anchored(&world);
    more(&world, 10..13);
    // gate forgot what it sent; the witness did not.
    database(&world).execute("DELETE FROM checkpoint", []).unwrap();
    let ran = anchor(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("one: countersigned 19 entries"), "{ran}");
    assert_eq!(world.run(["audit", "verify", "--policy", &policy]).code(), 0);
}

#[test]
fn answers_that_do_not_count_anchor_nothing_and_stop_nothing() {
    let (world, witness, policy) = witnessed(OPEN, "");
    for (fault, words) in [
        ("500", "one: answered 500"),
        ("redirect", "one: sends to another place (307)"),
        ("garbage", "one: answered 200 without signature lines"),
        ("huge", "one: cannot be asked: the answer is larger than"),
        ("409-nothing", "one: answered 409 without a size"),
        ("bad", "one: answered with a signature that does not hold"),
        ("other-key", "one: answered without a signature of the key that the policy names"),
        ("old", "one: signed with the time"),
        ("future", "one: signed with the time"),
    ] {
        witness.fault(fault);
        let ran = anchor(&world);
        assert_eq!(ran.code(), 3, "{fault}\n{ran}");
        assert!(ran.out().contains(words), "{fault}\n{ran}");
        assert!(!ran.out().contains('\u{1b}'), "{ran}");
        let ran = world.run(["audit", "verify", "--policy", &policy]);
        assert_eq!(ran.code(), 3, "{fault}\n{ran}");
        assert_eq!(world.run(["--", "true"]).code(), 0);
    }
    let count: i64 = database(&world).query_row("SELECT count(*) FROM checkpoint", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
    witness.fault("extra");
    anchored(&world);
    let note: String = database(&world).query_row("SELECT note FROM checkpoint", [], |row| row.get(0)).unwrap();
    assert!(!note.contains("other.example") && note.matches("witness.example/1").count() == 1, "{note}");
    fs::write(witness.directory.join("logs"), "").unwrap();
    assert!(anchor(&world).out().contains("one: does not know the log (404)"));
}

#[test]
fn a_witness_that_is_down_or_slow_holds_up_nothing_for_long() {
    let (world, witness, _) = witnessed(ASK, "");
    witness.fault("slow");
    let ran = world.run(["--", "touch", "made"]);
    assert_eq!(ran.code(), 69, "nobody is there to be asked: {ran}");
    assert!(ran.err().contains("gate: witness one: cannot be asked: "), "{ran}");
    let (world, policy) = (world, witness.line("one"));
    drop(witness);
    let (world, _) = with_policy(world, ASK, &format!("{policy}quorum one\n"), "");
    assert_eq!(world.run(["--", "touch", "made"]).code(), 69);
    let ran = anchor(&world);
    assert!(ran.code() == 3 && ran.out().contains("one: cannot be asked: "), "{ran}");
}

#[test]
fn a_command_that_is_allowed_waits_for_no_witness() {
    let (world, _witness, _) = witnessed(OPEN, "");
    let (trace, gate) = (world.root().join("trace"), world.gate());
    let line = ["-f", "-o", trace.to_str().unwrap(), gate.to_str().unwrap(), "--", "true"];
    let ran = world.finish(world.command("strace", line));
    assert_eq!(ran.code(), 0, "{ran}");
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("openat(") && !trace.contains("connect("), "{trace}");
}

#[test]
fn processes_that_write_and_anchor_at_once_are_no_second_copy() {
    let (world, _witness, policy) = witnessed(OPEN, "");
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let world = &world;
            scope.spawn(move || {
                for round in 0..4 {
                    more(world, 100 * worker + round..100 * worker + round + 1);
                    let ran = anchor(world);
                    assert!(matches!(ran.code(), 0 | 3), "{ran}");
                }
            });
        }
    });
    anchored(&world);
    assert_eq!(world.run(["audit", "verify", "--policy", &policy, "--max-unanchored", "0"]).code(), 0);
}

#[test]
fn without_an_anchor_of_late_nothing_runs_where_that_is_wanted() {
    let (world, witness, policy) = witnessed(OPEN, "max_unanchored = \"1h\"\n");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(
        ran.err().contains("no witness vouches for this log yet") || ran.err().contains("No witness vouches for this log yet"),
        "{ran}"
    );
    anchored(&world);
    assert_eq!(world.run(["--", "true"]).code(), 0);
    // Two of which one never answers are not enough.
    let more = format!("{}witness two {} http://127.0.0.1:9/w\ngroup both all one two\nquorum both\n", witness.line("one"), other_key());
    fs::write(&policy, more).unwrap();
    let ran = anchor(&world);
    assert_eq!(ran.code(), 3, "{ran}");
    assert_eq!(world.run(["--", "true"]).code(), 125);
    assert_eq!(world.run(["audit", "verify", "--policy", &policy]).code(), 3);
    let (world, _) = with_policy(world, OPEN, "quorum none\n", "max_unanchored = \"1h\"\n");
    assert_eq!(world.run(["--", "true"]).code(), 125, "nobody is no witness");
    let world = world.user_policy(&format!("{OPEN}[log]\nmax_unanchored = \"1h\"\n"));
    let ran = world.run(["--", "true"]);
    assert!(ran.code() == 78 && ran.err().contains("no layer names `witnesses`"), "{ran}");
}

fn other_key() -> CosignerKey {
    CosignerKey::new("witness.example/2", PublicKey([7; 32])).unwrap()
}

#[test]
fn a_line_in_a_witnesss_name_that_it_did_not_sign_is_tampering() {
    let (world, witness, policy) = witnessed(OPEN, "");
    let signed = world.run(["audit", "checkpoint"]).out();
    let id = CosignerKey::parse(&witness.key).unwrap().id();
    let line = STANDARD.encode([&id[..], &1_795_226_400_u64.to_be_bytes(), &[8; 64]].concat());
    database(&world).execute("INSERT INTO checkpoint VALUES(10,?1)", [format!("{signed}— witness.example/1 {line}\n")]).unwrap();
    let ran = world.run(["audit", "verify", "--policy", &policy]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("carries a countersignature that is not of the witness `one`"), "{ran}");
}

#[test]
fn the_settings_of_witnesses_have_to_make_sense() {
    let world = World::new();
    filled(&world, 1);
    let world = world.user_policy(OPEN);
    assert_eq!(anchor(&world).code(), 78);
    let (world, path) = with_policy(world, OPEN, "quorum one\n", "");
    let ran = anchor(&world);
    assert!(ran.code() == 78 && ran.err().contains("line 1: names `one`, which no line before defines"), "{ran}");
    assert_eq!(world.run(["--", "true"]).code(), 78);
    assert_eq!(world.run(["audit", "verify", "--policy", &path]).code(), 2);
    fs::remove_file(&path).unwrap();
    let ran = world.run(["--", "true"]);
    assert!(ran.code() == 78 && ran.err().contains("is missing, and `[log] witnesses` names it"), "{ran}");
    assert_eq!(world.run(["audit", "verify", "--policy", &path]).code(), 2);
    assert_eq!(world.run(["audit", "--db", world.state().join("audit.db").to_str().unwrap(), "anchor"]).code(), 64);
}

fn cosigner(number: u8) -> CosignerKey {
    CosignerKey::new(&format!("witness.example/{number}"), PublicKey([number; 32])).unwrap()
}

#[test]
fn policies_are_read_strictly() {
    let line = |number: u8| format!("witness w{number} {}\n", cosigner(number));
    let all: String = (1..=6).map(line).collect();
    let log = Vkey::new("log.example", PublicKey([99; 32])).unwrap();
    let good = [
        "quorum none\n".to_owned(),
        format!("# one\n\n \t# two\n{}\tquorum\t w1 \n", line(1)),
        format!("log {log}\n{all}group x 2 w1 w2 w3\ngroup y any w4 w5\ngroup z all x y\nquorum z\n"),
        format!("witness \u{e9} {} https://\u{e9}.example/a/\nquorum \u{e9}\n", cosigner(1)),
    ];
    for text in good {
        assert!(TlogPolicy::parse(text.as_bytes()).is_ok(), "{text}: {:?}", TlogPolicy::parse(text.as_bytes()));
    }
    let again = CosignerKey::new("other.example", cosigner(1).public()).unwrap();
    let bad = [
        ("", "there is no `quorum` line"),
        ("quorum none", "the last line has no end"),
        ("quorum none\nquorum none\n", "second `quorum`"),
        ("quorum x\n", "no line before defines"),
        ("Quorum none\n", "begins with `Quorum`"),
        ("quorum\n", "the words that it needs"),
        ("quorum none none\n", "the words that it needs"),
        ("quorum none\r\n", "control character"),
        ("quorum none\u{0}\n", "control character"),
        (&format!("{}{}quorum none\n", line(1), line(1)), "a second time"),
        (&format!("{}witness x {again}\nquorum none\n", line(1)), "a second time"),
        (&format!("witness none {}\nquorum none\n", cosigner(1)), "has a meaning already"),
        (&format!("witness x {log}\nquorum x\n"), "no witness key"),
        (&format!("log {}\nquorum none\n", cosigner(1)), "no log key"),
        (&format!("log {log}\nlog {log}\nquorum none\n"), "a second time"),
        (&format!("{all}group x 4 w1 w2 w3\nquorum x\n"), "a number from 1 to 3"),
        (&format!("{all}group x 0 w1\nquorum x\n"), "a number from 1 to 1"),
        (&format!("{all}group x 01 w1\nquorum x\n"), "a number from 1 to 1"),
        (&format!("{all}group x any\nquorum x\n"), "a number from 1 to 0"),
        (&format!("{all}group x any w1 none\nquorum x\n"), "names `none`"),
        (&format!("{all}group x any x\nquorum x\n"), "names `x`"),
        (&format!("{all}group x any w1 w1\nquorum x\n"), "in a group already"),
        (&format!("{all}group x any w1\ngroup y any w1\nquorum x\n"), "in a group already"),
        (&format!("{all}group w1 any w2\nquorum w1\n"), "has a meaning already"),
    ];
    for (text, words) in bad {
        let wrong = TlogPolicy::parse(text.as_bytes()).expect_err(text);
        assert!(wrong.what.contains(words), "{text}: {wrong:?}");
    }
}

/// The requests of a transcript, each with the status that it was answered with.
fn transcript(text: &str) -> Vec<(String, u16)> {
    let requests = text.split("POST http://").skip(1).filter_map(|part| {
        let (_, rest) = part.split_once("```\n")?;
        let (body, rest) = rest.split_once("```\n")?;
        Some((body.to_owned(), rest.strip_prefix("HTTP ")?.get(..3)?.parse().ok()?))
    });
    requests.collect()
}

#[test]
fn gate_asks_and_the_witness_of_these_tests_answers_as_the_transcripts_of_others_do() {
    const ORIGIN: &str = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    let Some(vectors) = shared("witness") else { return };
    let requests = transcript(&fs::read_to_string(vectors.join("litewitness.txt")).unwrap());
    assert!(requests.len() > 6);
    let world = World::new();
    filled(&world, 1);
    let witness = Witness::new(&world, "example.com/witness");
    let key = unhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f").unwrap();
    fs::write(witness.directory.join("logs"), format!("{}\n", Vkey::new(ORIGIN, PublicKey(key)).unwrap())).unwrap();
    let http = Http::new(None, Duration::from_mins(1)).unwrap();
    let cosigner = CosignerKey::parse(&witness.key).unwrap();
    for (body, status) in requests {
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<[u8; 32]> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        // One is signed in base64 that no encoder writes; gate would not send it.
        if let Ok(note) = Note::parse(note) {
            assert_eq!(add_checkpoint(old, &proof, &note), body);
        }
        let reply = http.post(&format!("{}/add-checkpoint", witness.url), &[], body.clone().into_bytes(), 1000).unwrap();
        // That witness is older than the rule that a log it does not know is 404.
        let status = if status == 403 && !note.starts_with(ORIGIN) { 404 } else { status };
        assert_eq!(reply.status, status, "{note}");
        if let Answer::Cosigned(lines) = Answer::read(reply.status, &reply.body) {
            assert!(cosigned(&Note::parse(note).unwrap().with(lines), &cosigner).unwrap().is_some());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_of_policies_and_answers_fall(bytes: Vec<u8>, status in 100..600_u16) {
        let _ = TlogPolicy::parse(&bytes);
        let _ = Answer::read(status, &bytes);
    }

    #[test]
    fn words_in_any_order_are_read_or_refused_with_a_line(words in prop::collection::vec(0..14_usize, 0..40)) {
        let key = cosigner(1).to_string();
        let vocabulary = ["log", "witness", "group", "quorum", "none", "any", "all", "1", "2", "a", "b", &key, "\n", "#"];
        let text: String = words.iter().map(|word| vocabulary[*word].to_owned() + " ").collect::<String>() + "\n";
        if let Err(wrong) = TlogPolicy::parse(text.as_bytes()) {
            prop_assert!(wrong.line >= 1 && wrong.line <= text.lines().count().max(1));
        }
    }

    #[test]
    fn a_threshold_is_met_by_the_latest_time_that_enough_share(times in prop::collection::vec(prop::option::of(1..1000_u64), 1..6), threshold in 1..6_usize) {
        prop_assume!(threshold <= times.len());
        let log = generated().unwrap();
        let text = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let mut note = Note::sign(text.to_owned(), &Vkey::new("log.example", log.public()).unwrap(), &log);
        let mut policy = String::new();
        for (index, time) in times.iter().enumerate() {
            let key = generated().unwrap();
            let name = CosignerKey::new(&format!("w.example/{index}"), key.public()).unwrap();
            policy = format!("{policy}witness w{index} {name}\n");
            if let Some(time) = time {
                note = note.with(vec![cosignature(&name, &key, text, *time)]);
                prop_assert_eq!(cosigned(&note, &name), Ok(Some(*time)));
            } else {
                prop_assert_eq!(cosigned(&note, &name), Ok(None));
            }
        }
        let names: Vec<String> = (0..times.len()).map(|index| format!("w{index}")).collect();
        policy = format!("{policy}group g {threshold} {}\nquorum g\n", names.join(" "));
        let policy = TlogPolicy::parse(policy.as_bytes()).unwrap();
        let vkey = Vkey::new("log.example", log.public()).unwrap();
        for latest in [1000, 500] {
            let mut known: Vec<u64> = times.iter().flatten().copied().filter(|time| *time <= latest).collect();
            known.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(policy.countersigned(&note, &vkey, latest).quorum, known.get(threshold - 1).copied());
        }
    }
}

fn generated() -> Result<gate::key::SigningKey, gate::key::NotAKey> {
    let bytes = gate::key::SigningKey::generate(&ring::rand::SystemRandom::new())?;
    gate::key::SigningKey::from_pkcs8(&bytes)
}

fn cosignature(name: &CosignerKey, key: &gate::key::SigningKey, text: &str, time: u64) -> Line {
    let signature = key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
    let bytes = STANDARD.encode([&name.id()[..], &time.to_be_bytes(), &signature].concat());
    Line::parse(&format!("— {} {bytes}", name.name())).unwrap()
}

#[test]
fn every_change_of_one_bit_in_a_countersigned_checkpoint_is_noticed() {
    let log = generated().unwrap();
    let vkey = Vkey::new("log.example", log.public()).unwrap();
    let key = generated().unwrap();
    let name = CosignerKey::new("w.example/1", key.public()).unwrap();
    let text = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let note = Note::sign(text.to_owned(), &vkey, &log).with(vec![cosignature(&name, &key, text, 1000)]);
    let policy = TlogPolicy::parse(format!("log {vkey}\nwitness w {name}\nquorum w\n").as_bytes()).unwrap();
    let bytes = note.to_string().into_bytes();
    assert_eq!(policy.countersigned(&note, &vkey, 2000).quorum, Some(1000));
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let parsed = std::str::from_utf8(&changed).ok().and_then(|text| Note::parse(text).ok());
        let accepted = parsed.is_some_and(|note| note.is_signed_by(&vkey) && policy.countersigned(&note, &vkey, 2000).quorum.is_some());
        assert!(!accepted, "bit {bit}");
    }
}
