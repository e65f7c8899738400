//! Old entries leave the log for archives: both verify, by gate and by stock tools, and whatever stops gate on the way loses nothing.

use std::fs;
use std::path::PathBuf;

use gate::approval::Stamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::bundle::{blocks, files, run_blocks, summed};
use crate::keeping::{RUNS, SECRET, stands};
use crate::log::{allowed, at, database, filled, open};
use crate::proofs::countersign;
use crate::world::{Ran, World, must};

/// A log of 1 + 3 x 200 old entries, with a change of the record key after 301 and a real command at its end.
fn long() -> World {
    let world = World::new().user_policy(RUNS);
    filled(&world, 100);
    open(&world).unwrap().rotate(at(200)).unwrap();
    filled(&world, 100);
    assert!(world.run(["--", "echo", "login", SECRET]).status.success());
    world
}

fn prune(world: &World, more: &[&str]) -> Ran {
    world.run(["audit", "prune", "--before", "2100-01-01", "--unanchored"].iter().chain(more))
}

fn archive(world: &World, name: &str) -> PathBuf {
    world.state().join("archives").join(name)
}

fn sound(world: &World) -> Ran {
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
    ran
}

fn sound_archive(world: &World, name: &str) -> Ran {
    let ran = world.run(["audit", "verify", "--local", "--bundle", archive(world, name).to_str().unwrap()]);
    assert_eq!(ran.code(), 0, "{ran}");
    ran
}

#[test]
fn whole_tiles_go_and_what_stays_and_what_went_both_verify() {
    let world = long();
    let before = world.run(["audit", "checkpoint"]).stdout;
    let kept = world.root().join("kept");
    fs::write(&kept, before).unwrap();
    let ran = prune(&world, &["--json"]);
    assert_eq!(ran.code(), 0, "{ran}");
    let said: Value = serde_json::from_str(&ran.out()).unwrap();
    assert_eq!((&said["from"], &said["to"]), (&0.into(), &512.into()));
    let ran = sound(&world);
    assert!(ran.out().contains("archived: entries 0 to 511 are in the archive with SHA-256 "), "{ran}");
    let ran = sound_archive(&world, "0-512.tar");
    assert!(ran.out().contains("holds entries 0-511\n"), "{ran}");
    let sum = ring::digest::digest(&ring::digest::SHA256, &fs::read(archive(&world, "0-512.tar")).unwrap());
    assert_eq!(said["sha256"], gate::record::hex(sum.as_ref()));
    let last = world.records().pop().unwrap();
    assert_eq!((&last["kind"], &last["archives"][0]["sha256"]), (&"prune".into(), &said["sha256"]));
    assert_eq!(last["prune"]["rule"], "before 2100-01-01");

    // The log goes on: it proves, lists, exports and bundles what it has, and grows.
    assert_eq!(world.run(["audit", "verify", "--against", kept.to_str().unwrap()]).code(), 0);
    assert!(world.run(["--", "echo", "after"]).status.success());
    for line in [
        vec!["show", "512"],
        vec!["list"],
        vec!["tail"],
        vec!["prove", "520"],
        vec!["export", "--format", "dsse"],
        vec!["export", "--format", "ocsf"],
    ] {
        let ran = world.run(["audit"].iter().chain(&line));
        assert_eq!(ran.code(), 0, "{ran}");
    }
    let exported = world.run(["audit", "export", "--format", "jsonl"]).out();
    assert!(exported.contains("\"seq\":512,") && !exported.contains("\"seq\":511,"));
    assert_eq!(world.run(["key", "list"]).code(), 0);
    let ran = world.run(["audit", "export", "--format", "tiles", "--out", "published"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(!world.work().join("published/tile/0/001").exists() && world.work().join("published/tile/1/000.p/2").exists());
    assert_eq!(world.run(["audit", "prove", "--consistency", "512", "600"]).code(), 0);
    let ran = world.run(["audit", "prove", "--consistency", "300", "600"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("in an archive"), "{ran}");
    assert_eq!(world.run(["audit", "show", "3"]).code(), 2);
    let ran = prune(&world, &[]);
    assert!(ran.out().starts_with("nothing to prune"), "{ran}");
}

#[test]
fn stock_tools_verify_an_archive_and_a_bundle_of_what_is_left() {
    let world = long();
    assert_eq!(prune(&world, &[]).code(), 0);
    filled(&world, 100);
    assert_eq!(prune(&world, &[]).code(), 0);
    sound(&world);
    assert_eq!(world.run(["audit", "bundle", "rest.tar"]).code(), 0);
    for tar in [archive(&world, "0-512.tar"), archive(&world, "512-768.tar"), world.work().join("rest.tar")] {
        let ran = world.run(["audit", "verify", "--local", "--bundle", tar.to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{ran}");
        let held = files(&fs::read(&tar).unwrap());
        let fast = |block: &String| block.contains("--check") || block.contains("go run") || block.contains("disclosures");
        let fast: Vec<String> = blocks(std::str::from_utf8(&held[0].1).unwrap()).into_iter().filter(fast).collect();
        assert_eq!(fast.len(), 3);
        if let Some((block, ran)) = run_blocks(&world, &held, &fast) {
            panic!("{block}\n{ran}");
        }
        // Another key in the place of the one that an archived entry introduced.
        let key = held.iter().rposition(|(name, _)| name.starts_with("keys/record")).unwrap();
        let log = held.iter().position(|(name, _)| name == "keys/log.vkey").unwrap();
        let mut changed = held.clone();
        changed[key].1 = changed[log].1.clone();
        fs::write(world.work().join("changed.tar"), summed(&changed)).unwrap();
        assert_eq!(world.run(["audit", "verify", "--local", "--bundle", "changed.tar"]).code(), 1);
    }
}

#[test]
fn what_was_erased_is_in_no_bundle_archive_or_export() {
    let world = World::new().user_policy(RUNS);
    assert!(world.run(["--", "echo", "login", SECRET, "after"]).status.success());
    let words = |format: &str| world.run(["audit", "export", "--format", format]).out();
    let holds = |format: &str, words: &str| ["ecs", "ocsf", "cef", "rfc5424", "otlp"].contains(&format) == words.contains(SECRET);
    for format in ["jsonl", "dsse", "ecs", "ocsf", "cef", "rfc5424", "otlp"] {
        assert!(holds(format, &words(format)), "{format}: {}", words(format));
    }
    assert_eq!(world.run(["audit", "bundle", "with.tar"]).code(), 0);
    let ran = world.run(["audit", "verify", "--local", "--bundle", "with.tar"]);
    assert!(ran.code() == 0 && !ran.out().contains("redacted"), "{ran}");
    let with = files(&fs::read(world.work().join("with.tar")).unwrap());
    assert_eq!(world.run(["audit", "redact", "1", "--field", "cmd.argv.2", "--reason", "test"]).code(), 0);
    for format in ["jsonl", "dsse", "ecs", "ocsf", "cef", "rfc5424", "otlp"] {
        assert!(!words(format).contains(SECRET), "{format}");
    }
    assert!(words("cef").contains("echo login (erased) after"), "{}", words("cef"));
    assert_eq!(world.run(["audit", "bundle", "without.tar"]).code(), 0);
    let ran = world.run(["audit", "verify", "--local", "--bundle", "without.tar"]);
    assert!(ran.code() == 0 && ran.out().contains("redacted: 1 of their parts are not disclosed"), "{ran}");
    let without = files(&fs::read(world.work().join("without.tar")).unwrap());
    let of = |files: &[(String, Vec<u8>)], name: &str| files.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(of(&with, "entries/1.json"), of(&without, "entries/1.json"), "the entry is what it was");
    let lines = |files: &[(String, Vec<u8>)]| String::from_utf8(of(files, "entries/1.disclosures")).unwrap();
    assert!(lines(&with).lines().count() > lines(&without).lines().count());
    let opened =
        |line: &str| String::from_utf8(base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, line).unwrap()).unwrap();
    assert!(
        lines(&with).lines().any(|line| opened(line).contains(SECRET))
            && !lines(&without).lines().any(|line| opened(line).contains(SECRET))
    );

    // A disclosure of another entry, one that was changed, and words that nothing names.
    let at = with.iter().position(|(name, _)| name == "entries/1.disclosures").unwrap();
    for line in ["WyJhIiwiYiJd\n", "x\n", "WyJhIiwiYiJd", "\u{e9}\n"] {
        let mut changed = with.clone();
        changed[at].1.extend_from_slice(line.as_bytes());
        fs::write(world.work().join("changed.tar"), summed(&changed)).unwrap();
        let ran = world.run(["audit", "verify", "--local", "--bundle", "changed.tar"]);
        assert_eq!(ran.code(), 1, "{ran}");
    }

    filled(&world, 100);
    assert_eq!(world.run(["audit", "prune"]).code(), 64, "no rule says what is old");
    assert_eq!(world.run(["audit", "prune", "--before", "2100-01-01", "--unanchored"]).code(), 0);
    sound(&world);
    let ran = sound_archive(&world, "0-256.tar");
    assert!(ran.out().contains("redacted: 1"), "{ran}");
    assert!(!stands(&world.state().join("archives"), SECRET.as_bytes()));
}

#[test]
fn an_archive_of_another_history_is_never_replaced() {
    let world = World::new().user_policy(RUNS);
    filled(&world, 100);
    let older = world.root().join("older");
    must(std::process::Command::new("cp").arg("-a").arg(world.state()).arg(&older));
    // The log goes on, and is archived; then an older copy is put back, and goes on in another way.
    filled(&world, 1);
    assert_eq!(prune(&world, &[]).code(), 0);
    let kept = fs::read(archive(&world, "0-256.tar")).unwrap();
    must(std::process::Command::new("cp").arg("-a").arg(world.state().join("archives")).arg(&older));
    fs::remove_dir_all(world.state()).unwrap();
    must(std::process::Command::new("cp").arg("-a").arg(&older).arg(world.state()));
    for _ in 0..2 {
        let ran = prune(&world, &[]);
        assert_eq!(ran.code(), 2, "{ran}");
        assert!(ran.err().contains("is no archive that an earlier attempt left"), "{ran}");
        assert_eq!(fs::read(archive(&world, "0-256.tar")).unwrap(), kept);
        open(&world).unwrap().append(&allowed(99, "kubectl", 1), at(300)).unwrap();
        filled(&world, 5);
    }
    assert_eq!(prune(&world, &["--archives", "elsewhere"]).code(), 0);
    sound(&world);
}

#[test]
fn a_long_argv_goes_with_its_entry_and_is_held_to_it_in_the_archive() {
    let world = World::new().user_policy(RUNS);
    let long = "x".repeat(40_000);
    assert!(world.run(["--", "true", &long]).status.success());
    filled(&world, 100);
    assert_eq!(world.run(["audit", "prune", "--before", "2100-01-01", "--unanchored"]).code(), 0);
    sound(&world);
    assert_eq!(database(&world).query_row("SELECT count(*) FROM blob", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    sound_archive(&world, "0-256.tar");
    let held = files(&fs::read(archive(&world, "0-256.tar")).unwrap());
    let argv = held.iter().position(|(name, _)| name == "entries/1.argv").unwrap();
    let mut changed = held;
    changed[argv].1[10] ^= 1;
    fs::write(world.work().join("changed.tar"), summed(&changed)).unwrap();
    let ran = world.run(["audit", "verify", "--local", "--bundle", "changed.tar"]);
    assert!(ran.code() == 1 && ran.out().contains("entry 1 has a long argv"), "{ran}");
}

#[test]
fn retention_decides_and_nothing_goes_that_is_wanted_elsewhere() {
    let world = World::new().user_policy(RUNS);
    let years_ago = Stamp { wall: at(0).wall - 800 * 86_400_000_000_000, boot: at(0).boot };
    let mut log = open(&world).unwrap();
    for number in 0..100 {
        log.append(&allowed(number, "kubectl", 0), years_ago).unwrap();
    }
    drop(log);
    let ran = world.run(["audit", "prune"]);
    assert_eq!(ran.code(), 64, "{ran}");
    let world = world.user_policy(&format!("{RUNS}[log]\nretention = \"400d\"\n"));
    let ran = world.run(["audit", "prune"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("nobody but this log vouches for all entries before 256 yet"), "{ran}");
    countersign(&world);
    let sink = format!("[[log.sink]]\nname = \"copy\"\nto = \"file:{}\"\nformat = \"jsonl\"\n", world.root().join("copy").display());
    let world = world.user_policy(&format!("{RUNS}[log]\nretention = \"400d\"\n{sink}"));
    let ran = world.run(["audit", "prune"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("entry 0 was not sent to `copy` yet"), "{ran}");
    assert_eq!(world.run(["audit", "ship"]).code(), 0);
    assert_eq!(world.run(["audit", "search", "kubectl"]).code(), 0);
    let index = world.state().join("audit.search");
    assert!(index.exists());
    assert_eq!(world.run(["audit", "prune"]).code(), 0);
    assert!(!index.exists(), "words that left the log stay in its index");
    sound(&world);
    assert!(world.run(["audit", "list"]).code() == 0 && archive(&world, "0-256.tar").exists());
    // A sink that is new gets what is there.
    let world = world.user_policy(&format!("{RUNS}[log]\n{}", sink.replace("copy", "second")));
    assert_eq!(world.run(["audit", "ship"]).code(), 0);
    assert!(fs::read_to_string(world.root().join("second")).unwrap().contains("\"seq\":256,"));
}

#[test]
fn a_log_that_lacks_its_beginning_without_a_record_of_it_is_tampered() {
    let world = long();
    let cut = |to: u64| {
        let database = Connection::open(world.state().join("audit.db")).unwrap();
        database.execute("DELETE FROM entry WHERE seq<?1", [i64::try_from(to).unwrap()]).unwrap();
        for level in 1..8 {
            database.execute("DELETE FROM node WHERE level=?1 AND idx<?2", (level, i64::try_from(to >> level).unwrap())).unwrap();
        }
    };
    cut(256);
    let ran = world.run(["audit", "verify", "--local"]);
    assert!(ran.code() == 1 && ran.out().contains("entry 0 is missing"), "{ran}");
    let world = long();
    assert_eq!(prune(&world, &[]).code(), 0);
    filled(&world, 100);
    sound(&world);
    for (statement, what) in [
        ("UPDATE node SET hash=zeroblob(32) WHERE level=8 AND idx=0", "a node over archived entries"),
        ("UPDATE node SET hash=zeroblob(32) WHERE level=9 AND idx=0", "a node above"),
        ("DELETE FROM node WHERE level=8 AND idx=1", "a missing node"),
        ("INSERT INTO node VALUES(2,100,zeroblob(32))", "a node that nothing needs"),
        ("DELETE FROM entry WHERE seq=512", "the first entry"),
        ("DELETE FROM entry WHERE seq<768", "a whole tile more"),
        ("DELETE FROM entry WHERE body LIKE '%\"kind\":\"prune\"%'", "the record of it"),
        ("UPDATE entry SET keyid=0 WHERE seq=512", "another key"),
    ] {
        let copy = world.root().join("copy.db");
        let _ = fs::remove_file(&copy);
        database(&world).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        Connection::open(&copy).unwrap().execute_batch(statement).unwrap();
        let ran = world.run(["audit", "--db", copy.to_str().unwrap(), "verify", "--local"]);
        assert_eq!(ran.code(), 1, "{what}\n{ran}");
    }
}
