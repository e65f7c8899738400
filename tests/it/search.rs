//! `gate audit search`: found in no time, proved before it is believed, and never by trusting the index.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use gate::record::Kind;
use gate::record::terms::{Field, Query, Text, texts};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::log::{at, database, draft, open};
use crate::world::{Ran, World, set_mode};

/// A log with so many commands by several people; one in a hundred deletes something.
fn filled(commands: u64) -> World {
    let world = World::new();
    let mut log = open(&world).unwrap();
    for first in (0..commands).step_by(100) {
        let drafts: Vec<_> = (first..commands.min(first + 100)).flat_map(command).collect();
        log.append(&drafts, at(first)).unwrap();
    }
    drop(log);
    world
}

fn command(number: u64) -> [gate::record::Draft; 2] {
    let rare = number % 100 == 7;
    let user = if rare { "bob" } else { "ada" };
    let argv = if rare { json!(["kubectl", "delete", format!("ns/Payments-{number}")]) } else { json!(["git", "status", "--short"]) };
    let (program, rule, result) = if rare { ("kubectl", "kubectl.delete", "approved") } else { ("git", "git.read", "allowed") };
    let decision = json!({
        "actor": { "uid": if rare { 1001 } else { 1000 }, "user": user },
        "cmd": { "argv": argv, "program": program },
        "decision": { "effect": if rare { "ask" } else { "allow" }, "result": result, "rules": [{ "id": rule, "layer": "user" }] },
    });
    [draft(Kind::Decision, number, decision), draft(Kind::ExecReplace, number, json!({ "proc": { "pid": 1, "start": 1 } }))]
}

fn index(world: &World) -> PathBuf {
    world.state().join("audit.search")
}

fn search(world: &World, args: &[&str]) -> Ran {
    world.run(["audit", "search"].iter().chain(args))
}

/// The entries that were found, in their order.
fn found(ran: &Ran) -> Vec<u64> {
    ran.out().lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn entries_are_found_by_words_user_rule_program_and_decision_the_newest_first() {
    let world = filled(1300);
    let rare: Vec<u64> = (0..13).rev().map(|number| 1 + 2 * (100 * number + 7)).collect();
    for args in [
        &["delete"][..],
        &["DELETE", "payments"],
        &["ns/pay*"],
        &["--user", "bob"],
        &["--user", "1001"],
        &["--rule", "kubectl.delete"],
        &["--rule", "kubectl.*"],
        &["--program", "kubectl"],
        &["--decision", "approved"],
        &["--result", "ask"],
        &["payments", "--user", "bob", "--rule", "kubectl.*", "--program", "kube*"],
    ] {
        let ran = search(&world, args);
        assert_eq!(ran.code(), 0, "{args:?}: {ran}");
        assert_eq!(found(&ran), rare, "{args:?}");
    }
    for args in [&["paymen"][..], &["delete", "--user", "ada"], &["--rule", "kubectl"], &["payments-7", "payments-107"], &["--user", "ad"]]
    {
        let ran = search(&world, args);
        assert_eq!((ran.code(), ran.out().as_str()), (0, ""), "{args:?}");
    }
    assert_eq!(found(&search(&world, &["payments-1207"])), [1 + 2 * 1207]);
    assert_eq!(found(&search(&world, &["delete", "-n", "2"])), rare[..2]);
    assert_eq!(found(&search(&world, &["--user", "ada", "-n", "1"])), [1 + 2 * 1299]);
    assert_eq!(found(&search(&world, &["--since", "2000-01-01", "-n", "3"])), [2600, 2599, 2598]);
    assert_eq!(found(&search(&world, &["delete", "--since", "2036-01-01"])), [0_u64; 0]);
    assert_eq!(search(&world, &["--", "--- ..."]).code(), 64);
}

#[test]
fn a_copy_is_searched_without_leaving_anything_beside_it() {
    let world = filled(700);
    let copy = world.root().join("copy");
    fs::create_dir(&copy).unwrap();
    database(&world).execute("VACUUM INTO ?1", [copy.join("copy.db").to_str().unwrap()]).unwrap();
    let ran = world.run(["audit", "--db", copy.join("copy.db").to_str().unwrap(), "search", "delete", "--json"]);
    assert_eq!((ran.code(), ran.err()), (0, String::new()), "{ran}");
    let lines: Vec<Value> = ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7, "{ran}");
    assert_eq!((lines[0]["proved"].as_bool(), lines[0]["record"]["cmd"]["program"].as_str()), (Some(true), Some("kubectl")));
    assert_eq!(fs::read_dir(copy).unwrap().count(), 1);
    assert!(!index(&world).exists());
}

#[test]
fn the_index_is_private_and_follows_the_log() {
    let world = filled(600);
    assert_eq!(found(&search(&world, &["delete"])).len(), 6);
    assert_eq!(fs::metadata(index(&world)).unwrap().permissions().mode() & 0o7777, 0o600);
    let blocks = |world: &World| -> i64 {
        Connection::open(index(world)).unwrap().query_row("SELECT count(*) FROM block", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(blocks(&world), 1);
    let mut log = open(&world).unwrap();
    log.append(&(600..1100).flat_map(command).collect::<Vec<_>>(), at(2000)).unwrap();
    drop(log);
    assert_eq!(found(&search(&world, &["delete"])).len(), 11);
    assert_eq!(blocks(&world), 2);
}

#[test]
fn what_the_index_says_is_unverified_until_verify_has_compared_it() {
    let world = filled(600);
    let ran = search(&world, &["delete"]);
    assert!(ran.err().contains("6 found; that there is nothing else is unverified"), "{ran}");
    let told = world.run(["audit", "verify", "--local"]);
    assert!(told.out().contains("search index: it says what the entries say"), "{told}");
    assert_eq!(search(&world, &["delete"]).err(), "");
    // What was added since then is not compared yet.
    open(&world).unwrap().append(&(600..1100).flat_map(command).collect::<Vec<_>>(), at(2000)).unwrap();
    assert!(search(&world, &["delete"]).err().contains("unverified"));
}

#[test]
fn an_index_that_hides_an_entry_is_found_by_verify_and_removed() {
    for statement in [
        "DELETE FROM posting WHERE term=CAST('wdelete' AS BLOB)",
        "UPDATE posting SET places=X'0001' WHERE term=CAST('wdelete' AS BLOB)",
        "INSERT INTO posting VALUES(0,X'00',X'0001')",
        "UPDATE block SET latest=0",
        "UPDATE posting SET block=7 WHERE term=CAST('wdelete' AS BLOB)",
    ] {
        let world = filled(600);
        search(&world, &["delete"]);
        assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
        Connection::open(index(&world)).unwrap().execute_batch(statement).unwrap();
        let json: Value = serde_json::from_slice(&world.run(["audit", "verify", "--local", "--json"]).stdout).unwrap();
        assert_eq!((json["search_index"].as_str(), json["wrong"].as_u64()), (Some("removed"), Some(0)), "{statement}");
        assert!(!index(&world).exists(), "{statement}");
        assert_eq!(found(&search(&world, &["delete"])).len(), 6, "{statement}");
    }
}

type Way = Box<dyn Fn(&World)>;

#[test]
fn a_damaged_or_hostile_index_is_made_anew_or_not_used() {
    let sql = |statement: &'static str| move |world: &World| Connection::open(index(world)).unwrap().execute_batch(statement).unwrap();
    let ways: Vec<Way> = vec![
        Box::new(|world| fs::write(index(world), "nothing").unwrap()),
        Box::new(|world| fs::write(index(world), "").unwrap()),
        Box::new(|world| {
            let mut bytes = fs::read(index(world)).unwrap();
            bytes.truncate(5000);
            fs::write(index(world), bytes).unwrap();
        }),
        Box::new(|world| {
            let mut bytes = fs::read(index(world)).unwrap();
            bytes[4096..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x5a);
            fs::write(index(world), bytes).unwrap();
        }),
        Box::new(sql("DROP TABLE posting;CREATE VIEW posting AS SELECT 0 AS block,X'00' AS term,X'00' AS places")),
        Box::new(sql("UPDATE state SET origin='gate.test/other/0'")),
        Box::new(sql("DELETE FROM state")),
        Box::new(sql("UPDATE block SET hash=zeroblob(32)")),
        Box::new(sql("UPDATE block SET hash=X'00'")),
        Box::new(sql("UPDATE block SET number=-5")),
        Box::new(sql("INSERT INTO block VALUES(99,zeroblob(32),0,0)")),
        Box::new(sql("UPDATE posting SET places=X'ffff'")),
        Box::new(sql("UPDATE posting SET places=X'000000'")),
        Box::new(sql("PRAGMA user_version=9")),
        Box::new(sql("PRAGMA journal_mode=WAL")),
        Box::new(|world| set_mode(&index(world), 0o644)),
        Box::new(|world| {
            let elsewhere = world.root().join("elsewhere");
            fs::rename(index(world), &elsewhere).unwrap();
            symlink(elsewhere, index(world)).unwrap();
        }),
    ];
    for (number, way) in ways.iter().enumerate() {
        let world = filled(600);
        search(&world, &["delete"]);
        way(&world);
        for _ in 0..2 {
            let ran = search(&world, &["delete"]);
            assert_eq!(ran.code(), 0, "way {number}: {ran}");
            assert_eq!(found(&ran).len(), 6, "way {number}: {ran}");
        }
        assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0, "way {number}");
    }
}

#[test]
fn an_index_that_names_what_is_not_there_is_not_believed() {
    let world = filled(600);
    search(&world, &["delete"]);
    let sql = "UPDATE posting SET places=(SELECT places FROM posting WHERE term=CAST('wgit' AS BLOB)) WHERE term=CAST('wdelete' AS BLOB)";
    Connection::open(index(&world)).unwrap().execute_batch(sql).unwrap();
    let hits = found(&search(&world, &["delete"]));
    assert!(hits.iter().all(|seq| (seq - 1) % 200 == 14), "{hits:?}");
}

#[test]
fn a_changed_entry_is_shown_as_not_proved() {
    let world = filled(600);
    database(&world)
        .execute_batch("UPDATE entry SET body=CAST(replace(body,'git.read','git.evil') AS BLOB) WHERE seq IN (3,1199)")
        .unwrap();
    for _ in 0..2 {
        let ran = search(&world, &["evil"]);
        assert_eq!((ran.code(), found(&ran)), (1, vec![1199, 3]), "{ran}");
        assert!(ran.out().lines().all(|line| line.ends_with("NOT PROVED")), "{ran}");
    }
    database(&world).execute_batch("UPDATE head SET note=replace(note,'gate.test','gate.best')").unwrap();
    assert_eq!(search(&world, &["evil"]).code(), 1);
}

#[test]
fn an_index_from_before_something_was_erased_is_made_anew() {
    let world = filled(600);
    search(&world, &["delete"]);
    let first = fs::read(index(&world)).unwrap();
    Connection::open(index(&world)).unwrap().execute_batch("INSERT INTO posting VALUES(0,CAST('wsecret' AS BLOB),X'0001')").unwrap();
    open(&world).unwrap().append(&[draft(Kind::Redact, 9999, json!({ "reason": "a secret" }))], at(3000)).unwrap();
    assert_eq!(found(&search(&world, &["secret"])), [1201]);
    let secrets = |world: &World| -> i64 {
        let query = "SELECT count(*) FROM posting WHERE term=CAST('wsecret' AS BLOB)";
        Connection::open(index(world)).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(secrets(&world), 0);
    assert!(first.len() > 4096);
    // Once is enough: what comes later is kept.
    Connection::open(index(&world)).unwrap().execute_batch("INSERT INTO posting VALUES(0,CAST('wsecret' AS BLOB),X'0001')").unwrap();
    search(&world, &["delete"]);
    assert_eq!(secrets(&world), 1);
}

#[test]
fn a_block_with_more_words_than_the_index_takes_is_read_instead() {
    let world = World::new();
    let mut log = open(&world).unwrap();
    for first in (0..600_u64).step_by(50) {
        let many = |number: u64| {
            let words: Vec<String> = (0..200).map(|word| format!("w{number}x{word}")).collect();
            draft(Kind::Decision, number, json!({ "cmd": { "argv": words, "program": "echo" } }))
        };
        log.append(&(first..first + 50).map(many).collect::<Vec<_>>(), at(first)).unwrap();
    }
    log.append(&(600..1100).flat_map(command).collect::<Vec<_>>(), at(2000)).unwrap();
    drop(log);
    assert_eq!(found(&search(&world, &["w3x199"])), [4]);
    let crowded: i64 =
        Connection::open(index(&world)).unwrap().query_row("SELECT count(*) FROM block WHERE crowded", [], |row| row.get(0)).unwrap();
    assert_eq!(crowded, 1);
    let told = world.run(["audit", "verify", "--local"]);
    assert!(told.out().contains("search index: it says what the entries say"), "{told}");
}

#[test]
fn words_are_found_whatever_their_case_script_and_spelling_in_json() {
    let record = json!({
        "actor": { "uid": 1000, "user": "Ada" },
        "boot": "bootword",
        "cmd": { "argv": ["Straße", "a\"quoted\nword", { "b64": "bGF0aW7/d29yZA==" }, "x".repeat(100)], "program": "ls", "cwd": "/Heim/ÄRGER" },
        "decision": { "approvers": [{ "comment": "fine, \u{1f600} go", "evidence": { "statement": "c2VjcmV0" } }], "rules": ["one.rule"] },
        "log": "gate.test/host/0123",
    });
    let record = record.to_string();
    let matches = |text: &str| {
        let mut query = Query::default();
        query.text(text) && query.matches(&record)
    };
    for text in ["STRASSE straße", "straße", "quoted word", "latin", "ärger", "heim/ärger", "go FINE", "ls"] {
        assert_eq!(matches(text), text != "STRASSE straße", "{text}");
    }
    assert!(matches(&"x".repeat(100)) && matches(&"X".repeat(64)) && !matches(&"x".repeat(63)));
    for text in ["bootword", "c2VjcmV0", "0123", "statement", "cwd"] {
        assert!(!matches(text), "{text}");
    }
    let mut named = BTreeSet::new();
    let mut see = |field, term: &str| {
        if field != Field::Word {
            named.insert((field, term.to_owned()));
        }
    };
    texts(&record, |text| {
        assert_eq!(Text::of(text.letter(), text.raw), Some(text));
        text.terms(&mut see);
    });
    let named: Vec<(Field, &str)> = named.iter().map(|(field, text)| (*field, text.as_str())).collect();
    assert_eq!(named, [(Field::User, "1000"), (Field::User, "Ada"), (Field::Rule, "one.rule"), (Field::Program, "ls")]);
}

proptest::proptest! {
    #[test]
    fn whatever_stands_where_a_record_should_stand_is_read_to_its_end(text in "[\\[\\]{}\",:\\\\a-zäß0-9 ]{0,60}") {
        texts(&text, |text| text.terms(|_, _| {}));
    }
}

#[test]
fn commands_that_gate_ran_are_found() {
    let world = World::new();
    assert_eq!(world.run(["--", "true", "--version"]).code(), 0);
    let ran = search(&world, &["version", "--program", "true"]);
    assert_eq!(found(&ran), [1], "{ran}");
}

#[test]
fn what_is_redacted_is_gone_from_the_index_at_once_and_found_no_more() {
    let world = World::new();
    assert_eq!(world.run(["--", "true", "hunter2"]).code(), 0);
    open(&world).unwrap().append(&(0..600).flat_map(command).collect::<Vec<_>>(), at(2000)).unwrap();
    assert_eq!(found(&search(&world, &["hunter2"])), [1]);
    let holds = |world: &World| fs::read(index(world)).unwrap().windows(8).any(|bytes| bytes == b"whunter2");
    assert!(holds(&world));
    let ran = world.run(["audit", "redact", "1", "--reason", "a password"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(!index(&world).exists());
    assert_eq!(search(&world, &["hunter2"]).out(), "");
    assert!(!holds(&world));
    let told = world.run(["audit", "verify", "--local"]);
    assert!(told.code() == 0 && told.out().contains("search index: it says what the entries say"), "{told}");
}
