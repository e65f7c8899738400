//! Erasing what should not have been logged: nothing of it is left, and every proof stays as it was.

use std::fs;
use std::path::{Path, PathBuf};

use gate::audit::{Reader, Wanted};
use gate::record::Kind;
use gate::record::disclosure;
use serde_json::{Value, json};

use crate::log::{at, database, draft, open, place};
use crate::world::{Ran, World, must, set_mode};

/// Everything runs, in place.
pub const RUNS: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\ntrusted_programs = [\"/\"]\n";

pub const SECRET: &str = "s3cret-that-nobody-knew";

fn sound(world: &World) -> Ran {
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
    ran
}

/// Whether the bytes stand in any file of the log.
pub fn stands(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.is_file() && fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

/// A log with one command that holds a secret among others, and the entry that holds it.
pub fn with_a_secret() -> (World, u64) {
    let world = World::new().user_policy(RUNS);
    assert!(world.run(["--", "echo", "before"]).status.success());
    assert!(world.run(["--", "echo", "login", SECRET, "after"]).status.success());
    assert!(world.run(["--", "echo", "behind"]).status.success());
    let seq = world.records().iter().find(|record| record.to_string().contains(SECRET)).unwrap()["seq"].as_u64().unwrap();
    (world, seq)
}

#[test]
fn an_argument_is_erased_from_every_file_and_everything_else_still_proves() {
    let (world, seq) = with_a_secret();
    let kept = world.root().join("kept");
    fs::write(&kept, world.run(["audit", "checkpoint"]).stdout).unwrap();
    let number = seq.to_string();
    let raw = world.run(["audit", "show", "--raw", &number]).stdout;
    assert!(!String::from_utf8_lossy(&raw).contains(SECRET), "the signed bytes hold no word of the command");
    let ran = world.run(["audit", "redact", &number, "--field", "cmd.argv.2", "--reason", "a password of the staging database"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains(&format!("entry {seq}: erased cmd.argv.2, as entry ")), "{ran}");

    assert!(!stands(&world.state(), SECRET.as_bytes()));
    assert_eq!(world.run(["audit", "show", "--raw", &number]).stdout, raw, "the entry is what it was");
    assert_eq!(world.run(["audit", "show", &number]).code(), 0, "and it is proved");
    let listed = world.run(["audit", "list"]).out();
    assert!(listed.contains("echo login (erased) after"), "{listed}");
    let ran = sound(&world);
    assert!(ran.out().contains("redacted: 1 disclosures were erased, each named by a `redact` entry"), "{ran}");
    assert_eq!(world.run(["audit", "verify", "--against", kept.to_str().unwrap()]).code(), 0);
    let last = world.records().pop().unwrap();
    assert_eq!(last["kind"], "redact");
    assert_eq!((&last["redact"]["seq"], &last["redact"]["fields"]), (&json!(seq), &json!(["cmd.argv.2"])));
    assert_eq!(last["reason"], "a password of the staging database");
    assert_eq!(last["actor"]["uid"], nix::unistd::geteuid().as_raw());
}

#[test]
fn nothing_of_it_is_left_between_rows_that_moved() {
    let (world, seq) = with_a_secret();
    // Rows around it come and go, so that pages are split and rows are moved.
    for number in 0..60 {
        world.run(["--", "echo", &"x".repeat(number * 7)]);
    }
    world.run(["audit", "redact", &seq.to_string(), "--reason", "test"]);
    assert!(!stands(&world.state(), SECRET.as_bytes()));
    sound(&world);
}

#[test]
fn a_request_is_erased_in_all_its_entries_and_by_parts() {
    let (world, seq) = with_a_secret();
    let request = world.records()[usize::try_from(seq).unwrap()]["req"].as_str().unwrap().to_owned();
    let redact = |args: &[&str]| world.run(["audit", "redact", &request, "--reason", "test"].iter().chain(args));
    assert_eq!(redact(&["--field", "cmd.cwd", "--field", "cmd.argv.1"]).code(), 0);
    let shown = world.run(["audit", "show", &request, "--json"]).out();
    assert!(!shown.contains(world.work().to_str().unwrap()) && !shown.contains("login") && shown.contains(SECRET), "{shown}");
    sound(&world);
    assert_eq!(redact(&["--field", "cmd.argv"]).code(), 0);
    assert!(world.run(["audit", "list"]).out().contains("echo … (erased)"));
    sound(&world);
    assert_eq!(redact(&[]).code(), 0);
    sound(&world);
    for args in [vec![], vec!["--field", "cmd.argv.1"], vec!["--field", "cmd.program"]] {
        let ran = redact(&args);
        assert_eq!(ran.code(), 2, "{ran}");
        assert!(ran.err().contains("to be erased") || ran.err().contains("can be erased"), "{ran}");
    }
    assert_eq!(world.run(["audit", "redact", "9999", "--reason", "test"]).code(), 2);
    assert_eq!(world.run(["audit", "redact", &request, "--reason", " "]).code(), 64);
    assert_eq!(world.run(["audit", "--db", "/x", "redact", &request, "--reason", "test"]).code(), 64);
}

#[test]
fn a_disclosure_that_is_gone_changed_moved_or_put_back_is_found() {
    let whole = "SELECT digest FROM disclosure WHERE seq=1";
    let ways = [
        (format!("DELETE FROM disclosure WHERE digest=({whole})"), "entry 1 lacks a disclosure, and no entry says that it was erased"),
        (
            format!("UPDATE disclosure SET data=CAST(replace(CAST(data AS TEXT),'before','beside') AS BLOB) WHERE digest=({whole})"),
            "entry 1 has a disclosure that was changed",
        ),
        ("UPDATE disclosure SET seq=3 WHERE seq=1".to_owned(), "entry 3 has a disclosure that it does not name"),
        ("UPDATE disclosure SET seq=99 WHERE seq=1".to_owned(), "a disclosure names an entry that is not there"),
        ("INSERT INTO disclosure VALUES('x',1,x'5b5d')".to_owned(), "entry 1 has a disclosure that was changed"),
    ];
    for (statement, found) in ways {
        let (world, _) = with_a_secret();
        database(&world).execute_batch(&statement).unwrap();
        let ran = world.run(["audit", "verify", "--local"]);
        assert_eq!(ran.code(), 1, "{statement}\n{ran}");
        assert!(ran.out().contains(found), "{statement}\n{ran}");
        let listed = world.run(["audit", "list"]);
        assert!(!listed.out().contains("beside"), "a changed word is not shown: {listed}");
    }

    // What was erased and is there again: somebody kept it, and put it back.
    let (world, seq) = with_a_secret();
    let row: (String, Vec<u8>) = database(&world)
        .query_row("SELECT digest,data FROM disclosure WHERE seq=?1", [seq.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(world.run(["audit", "redact", &seq.to_string(), "--reason", "test"]).code(), 0);
    sound(&world);
    database(&world).execute("INSERT INTO disclosure VALUES(?1,?2,?3)", (row.0, i64::try_from(seq).unwrap(), row.1)).unwrap();
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("has a disclosure again that was erased"), "{ran}");
}

#[test]
fn words_of_a_long_argv_are_erased_with_their_blob() {
    let world = World::new().user_policy(RUNS);
    let long = format!("{SECRET}{}", "x".repeat(40_000));
    assert!(world.run(["--", "true", &long]).status.success());
    assert!(stands(&world.state(), SECRET.as_bytes()));
    assert_eq!(world.run(["audit", "redact", "1", "--reason", "test"]).code(), 0);
    assert!(!stands(&world.state(), SECRET.as_bytes()));
    sound(&world);
    assert!(world.run(["--", "true", &long]).status.success());
    database(&world).execute("UPDATE blob SET data=zeroblob(10)", []).unwrap();
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 1, "a blob is held to its record");
}

#[test]
fn words_that_rules_hide_are_salted_and_the_salt_can_be_erased() {
    let world = World::new().user_policy(RUNS).program("mysql", "#!/bin/sh\n");
    assert!(world.run(["--", "mysql", "--password=hunter2", "-e", "status"]).status.success());
    assert!(!stands(&world.state(), b"hunter2"));
    let record = &world.records()[1];
    let salt: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&record["cmd"]["salt"].as_str().unwrap()[at * 2..][..2], 16).unwrap()).collect();
    let committed = [salt.as_slice(), &1_usize.to_be_bytes(), b"hunter2"].concat();
    let digest = gate::record::hex(ring::digest::digest(&ring::digest::SHA256, &committed).as_ref());
    assert_eq!(record["cmd"]["argv"][1], format!("--password=<hidden, 7 bytes, {}>", &digest[..16]));
    assert_eq!(world.run(["audit", "redact", "1", "--field", "cmd.salt", "--reason", "test"]).code(), 0);
    assert!(world.records()[1]["cmd"]["salt"].is_null());
    sound(&world);
}

/// Another reading of RFC 9901: each disclosure hashes to a digest that the record, or another disclosure, holds.
#[test]
fn an_independent_reader_finds_each_digest_and_the_words_behind_it() {
    let (world, seq) = with_a_secret();
    let raw = world.root().join("record");
    let disclosures = world.root().join("disclosures");
    fs::write(&raw, world.run(["audit", "show", "--raw", &seq.to_string()]).stdout).unwrap();
    fs::write(&disclosures, world.run(["audit", "show", "--disclosures", &seq.to_string()]).stdout).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/sd_jwt.py");
    let line = [script.to_str().unwrap(), raw.to_str().unwrap(), disclosures.to_str().unwrap()];
    let ran = world.finish(world.command("python3", line));
    assert!(ran.status.success(), "{ran}");
    let opened: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(opened["cmd"]["line"]["argv"], json!(["echo", "login", SECRET, "after"]));
    assert_eq!(opened["cmd"]["line"]["cwd"], world.work().to_str().unwrap());
}

#[test]
fn two_records_of_the_same_words_share_no_digest() {
    let world = World::new().user_policy(RUNS);
    for _ in 0..3 {
        world.run(["--", "echo", "same"]);
    }
    let reader = Reader::live(&place(&world)).unwrap();
    let found = reader.find(&Wanted::From(0)).unwrap();
    let mut digests: Vec<String> = found.iter().flat_map(|entry| disclosure::digests_in(&entry.body)).collect();
    assert_eq!(digests.len(), 3);
    digests.dedup();
    assert_eq!(digests.len(), 3);
}

#[test]
fn a_member_that_looks_like_a_digest_hides_nothing() {
    // A record whose own words spell digests, or whose disclosure would replace a member that is there.
    let world = World::new();
    let cmd = json!({ "argv": ["x", "\"_sd\":[\"a\"]", "{\"...\":\"b\"}"], "program": "x" });
    let mut stated = json!({ "effect": "allow", "result": "allowed" });
    let mut record = draft(Kind::Decision, 1, json!({ "cmd": cmd }));
    let members = stated.as_object_mut().unwrap();
    record.disclosures.push(disclosure::conceal(members, "result", json!("denied"), [7; 16]));
    record.fields.insert("decision".to_owned(), stated);
    open(&world).unwrap().append(&[record], at(1)).unwrap();
    let entry = &world.records()[1];
    assert_eq!(entry["decision"]["result"], "allowed", "what is signed in the open is what is shown");
    assert_eq!(entry["cmd"]["argv"][1], "\"_sd\":[\"a\"]");
    sound(&world);
}

#[test]
fn disclosures_one_in_another_without_end_crash_nothing() {
    let mut known = disclosure::Disclosures::new();
    let mut inner = json!("deep");
    for number in 0..100_000 {
        let data = json!([format!("salt{number}"), "m", inner]).to_string().into_bytes();
        let text = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &data);
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let digest = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, hash);
        inner = json!({ "_sd": [digest] });
        known.insert(digest, data);
    }
    let mut opened = inner.clone();
    disclosure::open(&mut opened, &known);
    assert_eq!(opened.pointer("/m/m/m/m/m/m/m/m/_sd").map(|digests| digests.as_array().unwrap().len()), Some(1));
    assert_eq!(disclosure::erasable(&inner, &known).len(), 8);
    assert_eq!(disclosure::named(inner.to_string().as_bytes(), &known), (true, 0));
}

/// A log that the first layout's gate wrote, whose words stand in the signed bytes.
pub fn first_layout() -> World {
    let world = World::new().user_policy(RUNS);
    let data: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/log-v1");
    must(std::process::Command::new("mkdir").args(["-p", "-m", "700"]).arg(world.state()));
    for name in ["audit.db", "log.key", "record-0.key"] {
        fs::copy(data.join(name), world.state().join(name)).unwrap();
        set_mode(&world.state().join(name), 0o600);
    }
    world
}

#[test]
fn a_log_of_the_gate_before_is_read_goes_on_and_says_what_it_cannot_erase() {
    let world = first_layout();
    let listed = world.run(["audit", "list"]).out();
    assert!(listed.contains("echo one two hunter2") && listed.contains("'--password=<hidden, 9 bytes, 0642116145c95675>'"), "{listed}");
    sound(&world);
    assert!(world.run(["--", "echo", "new", SECRET]).status.success());
    let listed = world.run(["audit", "list"]).out();
    assert!(listed.contains("echo one two hunter2") && listed.contains(&format!("echo new {SECRET}")), "{listed}");
    let ran = world.run(["audit", "redact", "1", "--field", "cmd.argv.3", "--reason", "test"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("an older gate wrote"), "{ran}");
    assert_eq!(world.run(["audit", "redact", "5", "--field", "cmd.argv.1", "--reason", "test"]).code(), 2);
    // The salt of a hidden word and the bytes of a long argv can go even there.
    for seq in ["5", "7", "9"] {
        let ran = world.run(["audit", "redact", seq, "--reason", "test"]);
        assert_eq!(ran.code(), 0, "{ran}");
    }
    assert!(!stands(&world.state(), SECRET.as_bytes()));
    assert_eq!(database(&world).query_row("SELECT count(*) FROM blob", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    sound(&world);
}
