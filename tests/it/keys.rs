//! The keys that sign: record keys that are changed and erased, and a log key that ssh-agent holds.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use gate::audit::{Due, Reader};
use gate::key::SigningKey;
use gate::record::{Body, Checkpoint, Frontier, Kind, canonical, leaf_hash, signed_bytes};
use serde_json::{Value, json};

use crate::log::{allowed, at, database, filled, open, place};
use crate::world::{Ran, World};

fn verify(world: &World) -> Ran {
    world.run(["audit", "verify", "--local"])
}

/// The files of record keys, and marks of a change that is not finished.
fn record_files(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.state()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("record")).collect();
    names.sort();
    names
}

/// Three epochs: entries 0 to 4, 5 to 9 and from 10 on.
fn three_epochs() -> World {
    let world = World::new();
    for round in 0..2 {
        filled(&world, 1);
        assert_eq!(world.run(["key", "rotate"]).code(), 0, "round {round}");
    }
    filled(&world, 1);
    world
}

#[test]
fn a_record_key_is_changed_by_an_entry_of_both_keys_and_erased() {
    let world = World::new();
    filled(&world, 1);
    let old = fs::read(world.state().join("record-0.key")).unwrap();
    let ran = world.run(["key", "rotate"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(ran.out(), "entry 4 brought a new record key; the one of epoch 0 is erased\n");
    assert_eq!(record_files(&world), ["record-4.key"]);
    assert_ne!(fs::read(world.state().join("record-4.key")).unwrap(), old);
    let entry = world.records().remove(4);
    assert_eq!((entry["kind"].as_str(), entry["key"]["previous"].as_u64()), (Some("key.rotate"), Some(0)));
    filled(&world, 1);
    let keyids: Vec<i64> = {
        let db = database(&world);
        let mut rows = db.prepare("SELECT keyid FROM entry ORDER BY seq").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(keyids, [0, 0, 0, 0, 0, 4, 4, 4]);
    assert_eq!(verify(&world).code(), 0);
}

#[test]
fn every_entry_is_checked_against_the_key_of_its_epoch() {
    let world = three_epochs();
    let ran = verify(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().starts_with("sound: 12 entries as they were written, each record signature checked\n"), "{ran}");
    for seq in 0..12 {
        let ran = world.run(["audit", "show", &seq.to_string()]);
        assert_eq!(ran.code(), 0, "{ran}");
    }
    let reader = Reader::live(&place(&world)).unwrap();
    let epochs: Vec<u64> = reader.epochs().unwrap().iter().map(|epoch| epoch.seq).collect();
    assert_eq!(epochs, [8, 4, 0]);
    // Head or column of another epoch: found by the entries.
    for (statement, found) in [
        ("UPDATE entry SET keyid=0 WHERE seq=6", "entry 6 is signed with a key that was not in use"),
        ("UPDATE entry SET keyid=8 WHERE seq=6", "entry 6 is signed with a key that was not in use"),
        ("UPDATE head SET epoch=4", "the head names another record key than the entries"),
        ("UPDATE head SET record_key=log_key", "the head names another record key than the entries"),
        ("UPDATE entry SET sig=(SELECT sig FROM entry WHERE seq=7) WHERE seq=6", "entry 6 is not signed by the record key of its epoch"),
    ] {
        let world = three_epochs();
        database(&world).execute_batch(statement).unwrap();
        let ran = verify(&world);
        assert_eq!(ran.code(), 1, "{statement}: {ran}");
        assert!(ran.out().contains(found), "{statement}: {ran}");
    }
}

/// Writes an entry anew with stolen keys, and everything that follows from it: leaf, nodes, links, head and checkpoint.
fn forge(world: &World, seq: u64, change: impl Fn(&mut Value), record: &SigningKey, log: &SigningKey) {
    let db = database(world);
    let bodies: Vec<(Vec<u8>, Vec<u8>)> = {
        let mut rows = db.prepare("SELECT body,sig FROM entry ORDER BY seq").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let mut frontier = Frontier::default();
    let mut nodes = Vec::new();
    let mut prev: Option<[u8; 32]> = None;
    for (at, (body, sig)) in (0..).zip(bodies) {
        let (body, sig) = if at < seq {
            (body, sig)
        } else {
            let mut value: Value = serde_json::from_slice(&body).unwrap();
            if at == seq {
                change(&mut value);
            }
            value["prev"] = json!(gate::record::hex(&prev.unwrap()));
            let body = canonical(&value).unwrap();
            let sig = record.sign(&signed_bytes(&body)).to_vec();
            (body, sig)
        };
        let leaf = leaf_hash(&body);
        db.execute("UPDATE entry SET body=?1,sig=?2,leaf=?3 WHERE seq=?4", (&body, sig, leaf, at.cast_signed())).unwrap();
        frontier.append(leaf, |level, index, hash| nodes.push((level, index.cast_signed(), hash)));
        prev = Some(leaf);
    }
    for (level, index, hash) in nodes {
        db.execute("UPDATE node SET hash=?3 WHERE level=?1 AND idx=?2", (level, index, hash)).unwrap();
    }
    let (origin, vkey): (String, String) =
        db.query_row("SELECT origin,log_key FROM head", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
    let note = checkpoint.sign(&gate::key::Vkey::parse(&vkey).unwrap(), log).to_string();
    db.execute("UPDATE head SET frontier=?1,prev=?2,note=?3", (frontier.bytes(), prev.unwrap(), note)).unwrap();
}

fn key(world: &World, name: &str) -> SigningKey {
    SigningKey::from_pkcs8(&fs::read(world.state().join(name)).unwrap()).unwrap()
}

#[test]
fn a_stolen_old_key_signs_nothing_new_and_the_present_keys_rewrite_nothing_old() {
    let world = World::new();
    filled(&world, 1);
    let stolen = key(&world, "record-0.key");
    world.run(["key", "rotate"]);
    filled(&world, 1);
    let log = key(&world, "log.key");
    let present = key(&world, "record-4.key");
    let deny = |value: &mut Value| value["decision"]["result"] = json!("denied");

    // The old key over an entry of today, with the log key at hand too.
    let copy = world.root().join("kept.db");
    database(&world).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    forge(&world, 5, deny, &stolen, &log);
    let ran = verify(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    for seq in 5..8 {
        assert!(ran.out().contains(&format!("entry {seq} is not signed by the record key of its epoch")), "{ran}");
    }
    assert_eq!(world.run(["audit", "show", "5"]).code(), 1);

    // All keys that lie there today, over an entry of the epoch before: only what the erased key signed fails.
    let restore = database(&world);
    restore.execute("ATTACH ?1 AS kept", [copy.to_str().unwrap()]).unwrap();
    restore
        .execute_batch(
            "DELETE FROM entry;INSERT INTO entry(seq,body,sig,keyid,leaf) SELECT seq,body,sig,keyid,leaf FROM kept.entry;\
             DELETE FROM node;INSERT INTO node SELECT * FROM kept.node;DELETE FROM head;INSERT INTO head SELECT * FROM kept.head",
        )
        .unwrap();
    drop(restore);
    assert_eq!(verify(&world).code(), 0);
    forge(&world, 1, deny, &present, &log);
    let ran = verify(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("entry 1 is not signed by the record key of its epoch"), "{ran}");
    assert!(ran.out().contains("entry 4 is not signed by the record key of its epoch"), "{ran}");
}

#[test]
fn a_change_of_key_without_the_new_keys_proof_or_back_to_an_old_key_is_found() {
    let world = World::new();
    filled(&world, 1);
    let stolen = key(&world, "record-0.key");
    world.run(["key", "rotate"]);
    world.run(["key", "rotate"]);
    let (log, present) = (key(&world, "log.key"), key(&world, "record-5.key"));
    let old = world.records()[0]["keys"]["record"].clone();
    // The entry's own signature fails as well; what it says is judged by itself.
    forge(&world, 5, |value| value["key"]["record"] = old.clone(), &present, &log);
    let ran = verify(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("entry 5 changes the record key without a proof of the new one"), "{ran}");
    let origin = world.records()[0]["log"].as_str().unwrap().to_owned();
    let back = gate::key::Vkey::parse(old.as_str().unwrap()).unwrap();
    let fields = gate::record::Rotation { key: back, previous: 4 }.fields(&origin, 5, &stolen, "asked");
    forge(&world, 5, |value| value["key"] = fields["key"].clone(), &present, &log);
    let ran = verify(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("entry 5 brings a record key back that was given up"), "{ran}");
}

#[test]
fn a_rotation_counts_only_in_its_own_log_and_place() {
    let world = three_epochs();
    let body = canonical(&world.records()[8]).unwrap();
    assert!(gate::record::Rotation::of(&Body::parse(&body).unwrap()).is_some());
    for (name, value) in [("log", json!("gate.test/other/0")), ("seq", json!(9)), ("kind", json!("heartbeat"))] {
        let mut changed: Value = serde_json::from_slice(&body).unwrap();
        changed[name] = value;
        let changed = canonical(&changed).unwrap();
        assert!(gate::record::Rotation::of(&Body::parse(&changed).unwrap()).is_none(), "{name}");
    }
}

#[test]
fn a_key_is_due_by_its_age_or_by_what_it_signed_and_changed_once() {
    let world = World::new();
    filled(&world, 3);
    let due = |age: u64, records: u64| Due { age: std::time::Duration::from_secs(age), records };
    let mut log = open(&world).unwrap();
    assert!(log.rotate_if(due(1000, 10), at(20)).unwrap().is_none());
    let rotated = log.rotate_if(due(1000, 9), at(20)).unwrap().unwrap();
    assert_eq!((rotated.old, rotated.new), (0, 10));
    assert!(log.rotate_if(due(1000, 9), at(20)).unwrap().is_none(), "it was changed just now");
    assert!(log.rotate_if(due(1000, 9), at(1020)).unwrap().is_none());
    assert_eq!(log.rotate_if(due(1000, 9), at(1021)).unwrap().unwrap().new, 11);
    let whys: Vec<String> = world.records().iter().filter_map(|record| record["key"]["why"].as_str().map(str::to_owned)).collect();
    assert_eq!(whys, ["records", "age"]);
    drop(log);
    assert_eq!(world.run(["key", "rotate", "--due"]).out(), "the record key is not due to change\n");
    assert_eq!(verify(&world).code(), 0);
}

const SUPERVISED: &str =
    "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\noutcome = true\n[log]\nepoch_records = 6\n";
const IN_PLACE: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n[log]\nepoch_records = 6\n";

#[test]
fn a_key_that_is_due_is_changed_after_a_command_and_never_before_one() {
    let world = World::new().user_policy(SUPERVISED);
    for _ in 0..6 {
        assert_eq!(world.run(["--", "true"]).code(), 0);
    }
    let kinds: Vec<String> = world.records().iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect();
    let rotations: Vec<usize> = (0..kinds.len()).filter(|at| kinds[*at] == "key.rotate").collect();
    assert!(rotations.len() >= 2, "{kinds:?}");
    assert!(rotations.iter().all(|at| kinds[at - 1] == "exec.end"), "{kinds:?}");
    assert_eq!(verify(&world).code(), 0);

    let world = World::new().user_policy(IN_PLACE);
    for _ in 0..6 {
        assert_eq!(world.run(["--", "true"]).code(), 0);
    }
    assert!(world.records().iter().all(|record| record["kind"] != "key.rotate"));
    let ran = world.run(["key", "rotate", "--due"]);
    assert!(ran.out().starts_with("entry 13 brought a new record key"), "{ran}");
}

#[test]
fn keys_are_listed_and_exported_in_the_forms_that_others_read() {
    let world = three_epochs();
    let ran = world.run(["key", "list"]);
    assert_eq!(ran.code(), 0, "{ran}");
    for part in [
        "log key, in a file\n",
        "record key of epoch 8, in use: entries from 9 on, since 2026-",
        "record key of epoch 4, erased: entries from 5 to 8, since 2026-",
        "record key of epoch 0, erased: entries from 0 to 4, since 2026-",
    ] {
        assert!(ran.out().contains(part), "{part}: {ran}");
    }
    let list: Value = serde_json::from_slice(&world.run(["key", "list", "--json"]).stdout).unwrap();
    assert_eq!(list["record"].as_array().unwrap().len(), 3);
    assert_eq!((&list["record"][1]["last"], &list["record"][1]["state"]), (&json!(8), &json!("erased")));

    let export = |args: &[&str]| world.run(["key", "export"].iter().chain(args)).out();
    assert_eq!(export(&[]).trim_end(), list["log"]["key"]["vkey"]);
    assert_eq!(export(&["--vkey", "4"]).trim_end(), list["record"][1]["key"]["vkey"]);
    assert_eq!(export(&["--openssh", "record"]).trim_end(), list["record"][0]["key"]["openssh"]);
    assert!(export(&["--allowed-signers", "log"]).contains(" namespaces=\"checkpoint@gate\" ssh-ed25519 AAAA"));
    assert_eq!(world.run(["key", "export", "5"]).code(), 64);
    // ssh-keygen reads the line, and shows the fingerprint that gate shows.
    let shown = world.sh("gate key export --openssh log > log.pub && ssh-keygen -l -f log.pub").out();
    assert!(shown.contains(list["log"]["key"]["fingerprint"].as_str().unwrap()), "{shown}");
    assert_eq!(World::new().run(["key", "list"]).code(), 125);
}

#[test]
fn many_processes_change_the_key_and_append_and_none_is_in_the_way_of_another() {
    let world = World::new().user_policy(&SUPERVISED.replace("epoch_records = 6", "epoch_records = 1"));
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let children: Vec<_> = (0..20).map(|_| world.command(world.gate(), ["--", "true"]).spawn().unwrap()).collect();
    for child in children {
        let ran = world.wait(child);
        assert_eq!((ran.code(), ran.err().as_str()), (0, ""), "{ran}");
    }
    let ran = verify(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(world.records().iter().filter(|record| record["kind"] == "exec.end").count(), 21);
    assert!(world.records().iter().filter(|record| record["kind"] == "key.rotate").count() > 2);
    assert_eq!(record_files(&world).len(), 1);
}

#[test]
fn a_log_put_back_from_before_a_change_of_key_does_not_go_on() {
    let world = World::new().user_policy(IN_PLACE);
    assert_eq!(world.run(["--", "true"]).code(), 0);
    database(&world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let older = fs::read(world.state().join("audit.db")).unwrap();
    assert_eq!(world.run(["key", "rotate"]).code(), 0);
    database(&world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    for sidecar in ["audit.db-wal", "audit.db-shm"] {
        let _ = fs::remove_file(world.state().join(sidecar));
    }
    fs::write(world.state().join("audit.db"), older).unwrap();
    let file = world.work().join("ran");
    let ran = world.run(["--", "touch", file.to_str().unwrap()]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains("record-0.key` is missing"), "{ran}");
    assert!(!file.exists());
}

/// The system calls of a change of key, each with its number among those of its name.
fn steps(world: &World) -> Vec<(String, usize)> {
    let trace = world.root().join("trace");
    let gate = world.gate();
    let line = ["-o", trace.to_str().unwrap(), gate.to_str().unwrap(), "key", "rotate"];
    assert!(world.finish(world.command("strace", line)).status.success());
    let mut seen = std::collections::BTreeMap::new();
    let trace = fs::read_to_string(trace).unwrap();
    let names = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    let names = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && name != "exit_group");
    let count = |name: String| {
        let count = seen.entry(name.clone()).or_insert(0);
        *count += 1;
        (name, *count)
    };
    names.map(count).collect()
}

#[test]
fn a_change_of_key_that_is_killed_at_any_step_leaves_a_log_that_goes_on_with_one_key() {
    let world = World::new();
    filled(&world, 1);
    let (gate, place) = (world.gate(), place(&world));
    let mut killed = 0;
    let steps = steps(&world);
    for (name, count) in &steps {
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let line = ["-o", "/dev/null", "-e", &inject, gate.to_str().unwrap(), "key", "rotate"];
        let ran = world.finish(world.command("strace", line));
        killed += usize::from(ran.status.signal() == Some(9) || ran.status.code() == Some(137));
        // The next one that opens the log finishes or takes back.
        let mut log = gate::audit::Log::open(&place, at(1), "this-boot").unwrap();
        assert_eq!(record_files(&world).len(), 1, "{name} {count}: {:?}", record_files(&world));
        log.append(&allowed(9, "kubectl", 0), at(2)).unwrap_or_else(|error| panic!("{name} {count}: {error}"));
    }
    assert!(killed * 10 > steps.len() * 9, "only {killed} of {} were killed", steps.len());
    let ran = verify(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    let rotations = world.records().iter().filter(|record| record["kind"] == Kind::KeyRotate.word()).count();
    assert!(rotations > 1 && rotations < steps.len(), "{rotations} of {}", steps.len());
}

#[test]
fn the_old_key_is_overwritten_and_only_after_the_entry_is_durable() {
    let world = World::new();
    filled(&world, 1);
    let trace = world.root().join("trace");
    let gate: PathBuf = world.gate();
    let line = ["-y", "-f", "-o", trace.to_str().unwrap(), gate.to_str().unwrap(), "key", "rotate"];
    assert!(world.finish(world.command("strace", line)).status.success());
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let find = |what: &[&str]| {
        let found = lines.iter().position(|line| what.iter().all(|part| line.contains(part)));
        found.unwrap_or_else(|| panic!("{what:?} is not in\n{trace}"))
    };
    let written = find(&["rename", "record-4.key"]);
    let committed = lines.iter().rposition(|line| line.contains("sync(") && line.contains("audit.db-wal")).unwrap();
    let zeroed = find(&["write(", "record-0.key", "\\0\\0\\0\\0"]);
    let synced = find(&["fsync(", "record-0.key"]);
    let removed = find(&["unlink", "record-0.key"]);
    assert!(written < committed && committed < zeroed && zeroed < synced && synced < removed, "{trace}");
}
