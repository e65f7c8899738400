//! `gate audit verify`: whatever is changed, removed, moved or put in is found, and no more is said than what vouches for it.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::audit::{Log, Reader, Wanted};
use gate::record::{Hash, Kind, canonical, consistency, inclusion, leaf_hash, range_root};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::log::{allowed, at, database, draft, filled, open, place};
use crate::world::{self, Ran, World};

fn verify(world: &World) -> Ran {
    world.run(["audit", "verify", "--local"])
}

/// Changes the database behind gate's back.
fn sql(world: &World, statement: &str) {
    database(world).execute_batch(statement).unwrap();
}

/// The log in one file, without a write-ahead file.
fn settled(world: &World) -> Vec<u8> {
    database(world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::read(world.state().join("audit.db")).unwrap()
}

#[test]
fn a_sound_log_is_called_no_more_than_what_vouches_for_it() {
    let world = World::new();
    filled(&world, 5);
    let ran = world.run(["audit", "verify"]);
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.out().starts_with("sound: 16 entries as they were written, each record signature checked\nnot anchored: "), "{ran}");
    assert!(ran.out().contains("gate audit checkpoint"), "{ran}");
    assert_eq!(verify(&world).code(), 0);
    for (signatures, words) in [("sample", "each record signature checked"), ("none", "no record signature checked")] {
        let ran = world.run(["audit", "verify", "--signatures", signatures]);
        assert_eq!(ran.code(), 3, "{ran}");
        assert!(ran.out().contains(words), "{ran}");
    }
    let json: Value = serde_json::from_slice(&world.run(["audit", "verify", "--json"]).stdout).unwrap();
    assert_eq!((json["assurance"].as_str(), json["entries"].as_u64()), (Some("not anchored"), Some(16)));
}

#[test]
fn a_checkpoint_kept_elsewhere_anchors_the_log_and_finds_a_cut_tail_and_an_older_copy() {
    let world = World::new();
    filled(&world, 3);
    let older = settled(&world);
    filled(&world, 3);
    let kept = world.root().join("kept");
    let kept = kept.to_str().unwrap();
    fs::write(kept, world.run(["audit", "checkpoint"]).stdout).unwrap();
    filled(&world, 1);
    let ran = world.run(["audit", "verify", "--against", kept]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("anchored: the checkpoint kept elsewhere vouches for the first 19 entries, 3 follow"), "{ran}");

    settled(&world);
    for sidecar in ["audit.db-wal", "audit.db-shm"] {
        let _ = fs::remove_file(world.state().join(sidecar));
    }
    fs::write(world.state().join("audit.db"), older).unwrap();
    assert_eq!(world.run(["audit", "verify"]).code(), 3, "an older copy is sound by itself");
    let ran = world.run(["audit", "verify", "--against", kept]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("the checkpoint kept elsewhere is of 19 entries, and only 10 are left"), "{ran}");

    // The log goes on from the older copy to the same size: another history.
    let mut log = open(&world).unwrap();
    for number in 100..103 {
        log.append(&allowed(number, "helm", 0), at(number)).unwrap();
    }
    drop(log);
    let ran = world.run(["audit", "verify", "--against", kept]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("the checkpoint of 19 entries kept elsewhere is of another history"), "{ran}");
}

#[test]
fn a_checkpoint_of_another_log_or_of_no_log_does_not_anchor() {
    let (world, other) = (World::new(), World::new());
    filled(&world, 1);
    filled(&other, 1);
    let kept = world.root().join("kept");
    fs::write(&kept, other.run(["audit", "checkpoint"]).stdout).unwrap();
    let against = |world: &World| world.run(["audit", "verify", "--against", kept.to_str().unwrap()]);
    assert_eq!(against(&world).code(), 1);
    fs::write(&kept, "nothing\n").unwrap();
    assert_eq!(against(&world).code(), 2);
    let own = world.run(["audit", "checkpoint"]).out();
    fs::write(&kept, own.replacen("\n4\n", "\n3\n", 1)).unwrap();
    let ran = against(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("is not signed by this log's key"), "{ran}");
}

/// Every way to meddle with rows, and the entry that the check has to name where it is one.
#[test]
fn meddling_with_rows_is_found_and_the_entry_is_named() {
    const FLIP: &str = "CAST(CASE substr(COLUMN,1,1) WHEN X'00' THEN X'01' ELSE X'00' END||substr(COLUMN,2) AS BLOB)";
    let flip = |column: &str, entry: u64| format!("UPDATE entry SET {column}={} WHERE seq={entry}", FLIP.replace("COLUMN", column));
    let deletion = "DELETE FROM entry WHERE seq=5;UPDATE entry SET seq=seq-1 WHERE seq>5;";
    let ways: [(String, &str); 22] = [
        ("UPDATE entry SET body=CAST(replace(body,'kubectl','kubect1') AS BLOB) WHERE seq=4".into(), "entry 4 was changed"),
        (flip("sig", 6), "entry 6 is not signed by the record key"),
        (flip("leaf", 7), "entry 7 was changed"),
        ("UPDATE entry SET keyid=1 WHERE seq=3".into(), "entry 3 is signed with a key that was not in use"),
        ("UPDATE entry SET body=CAST(replace(body,'allowed','denied') AS BLOB) WHERE seq=1".into(), "entry 1 was changed"),
        ("UPDATE entry SET body=CAST(replace(body,'{\"','{ \"') AS BLOB) WHERE seq=1".into(), "entry 1 was changed"),
        ("DELETE FROM entry WHERE seq=5".into(), "entry 5 is missing"),
        (deletion.into(), "entry 5 says that it has another place"),
        ("DELETE FROM entry WHERE seq=15".into(), "the head is of 16 entries and not of these 15"),
        ("DELETE FROM entry".into(), "the head is of 16 entries and not of these 0"),
        ("INSERT INTO entry(seq,body,sig,keyid,leaf) SELECT 16,body,sig,keyid,leaf FROM entry WHERE seq=15".into(), "entry 16 says"),
        (
            "UPDATE entry SET seq=100 WHERE seq=4;UPDATE entry SET seq=4 WHERE seq=5;UPDATE entry SET seq=5 WHERE seq=100".into(),
            "entry 4 says",
        ),
        ("UPDATE node SET hash=zeroblob(32) WHERE level=1 AND idx=2".into(), "entry 5 completes the node 1/2"),
        ("DELETE FROM node WHERE level=3 AND idx=1".into(), "entry 15 completes the node 3/1"),
        ("INSERT INTO node VALUES(1,99,zeroblob(32))".into(), "nodes too many or too few"),
        ("UPDATE head SET size=15".into(), "has no readable head"),
        ("UPDATE head SET frontier=zeroblob(32)".into(), "the head is of 16 entries and not of these 16"),
        ("UPDATE head SET prev=zeroblob(32)".into(), "the head is of 16 entries"),
        ("UPDATE head SET note=replace(note,'\n16\n','\n17\n')".into(), "is not signed by this log's key"),
        ("UPDATE head SET origin='gate.test/host/0'".into(), "belongs to another log"),
        ("UPDATE head SET epoch=3".into(), "another record key"),
        ("INSERT INTO token VALUES('grant',3)".into(), "the list of used grants does not say what the entries say"),
    ];
    for (statement, found) in ways {
        let world = World::new();
        filled(&world, 5);
        sql(&world, &statement);
        let ran = verify(&world);
        assert_eq!(ran.code(), 1, "{statement}\n{ran}");
        assert!(ran.out().contains(found), "{statement}\n{ran}");
        assert!(ran.out().starts_with("tampered: "), "{statement}\n{ran}");
        assert!(!ran.out().contains("sound"), "{statement}\n{ran}");
    }
}

#[test]
fn a_used_grant_that_is_forgotten_is_missed() {
    let world = World::new();
    open(&world).unwrap().consume("grant", &[draft(Kind::ExecReplace, 1, json!({}))], at(1)).unwrap();
    assert_eq!(verify(&world).code(), 0);
    sql(&world, "DELETE FROM token");
    assert_eq!(verify(&world).code(), 1);
}

#[test]
fn tables_that_are_not_gates_own_are_refused_before_they_are_read() {
    for statement in [
        "CREATE VIEW extra AS SELECT 1",
        "CREATE TRIGGER extra AFTER INSERT ON entry BEGIN SELECT 1; END",
        "CREATE TABLE extra(a)",
        "CREATE INDEX extra ON entry(keyid)",
        "DROP INDEX entry_req",
        "ALTER TABLE entry RENAME TO hidden;CREATE VIEW entry AS SELECT * FROM hidden LIMIT 1",
    ] {
        let world = World::new();
        filled(&world, 1);
        sql(&world, statement);
        let ran = verify(&world);
        assert_eq!(ran.code(), 1, "{statement}\n{ran}");
        assert!(ran.out().contains("does not have gate's own tables"), "{statement}\n{ran}");
        assert_eq!(world.run(["audit", "list"]).code(), 2, "{statement}");
    }
}

/// Rewriting the whole history without the key: bodies, links, leaves and nodes fit again, the signatures do not.
#[test]
fn a_history_that_is_written_anew_without_the_key_is_found() {
    let world = World::new();
    filled(&world, 2);
    let db = database(&world);
    let mut prev: Option<Hash> = None;
    let bodies: Vec<Vec<u8>> = {
        let mut rows = db.prepare("SELECT body FROM entry ORDER BY seq").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut leaves = Vec::new();
    for (seq, body) in bodies.iter().enumerate() {
        let mut value: Value = serde_json::from_slice(body).unwrap();
        if seq == 1 {
            value["decision"]["result"] = json!("denied");
        }
        if let Some(prev) = prev {
            value["prev"] = json!(gate::record::hex(&prev));
        }
        let body = canonical(&value).unwrap();
        let leaf = leaf_hash(&body);
        db.execute("UPDATE entry SET body=?1,leaf=?2 WHERE seq=?3", (body, leaf, i64::try_from(seq).unwrap())).unwrap();
        prev = Some(leaf);
        leaves.push(leaf);
    }
    let node = |level: u8, index: u64| -> Hash {
        let (from, to) = (index << level, (index + 1) << level);
        range_root::<()>(from, to, &mut |level, index| {
            if level == 0 { Ok(leaves[usize::try_from(index).unwrap()]) } else { Err(()) }
        })
        .unwrap_or_else(|()| {
            let level_leaves = &leaves[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
            let mut frontier = gate::record::Frontier::default();
            for leaf in level_leaves {
                frontier.append(*leaf, |_, _, _| {});
            }
            frontier.root()
        })
    };
    for (level, index) in [(1, 0), (1, 1), (1, 2), (2, 0)] {
        db.execute("UPDATE node SET hash=?1 WHERE level=?2 AND idx=?3", (node(level, index), level, i64::try_from(index).unwrap()))
            .unwrap();
    }
    let mut frontier = gate::record::Frontier::default();
    for leaf in &leaves {
        frontier.append(*leaf, |_, _, _| {});
    }
    db.execute("UPDATE head SET frontier=?1,prev=?2", (frontier.bytes(), prev.unwrap())).unwrap();
    let ran = verify(&world);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.out().contains("entry 1 is not signed by the record key"), "{ran}");
    assert!(ran.out().contains("is of another history"), "{ran}");
    let ran = world.run(["audit", "verify", "--local", "--signatures", "none"]);
    assert_eq!(ran.code(), 1, "the checkpoint alone finds it: {ran}");
}

/// All rows, or none where SQLite cannot read them.
fn contents(world: &World) -> Option<Vec<String>> {
    let db = rusqlite::Connection::open_with_flags(world.state().join("audit.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let mut rows = Vec::new();
    for query in [
        "SELECT format('%s %s %s %s %s',seq,hex(body),hex(sig),keyid,hex(leaf)) FROM entry",
        "SELECT format('%s %s %s',level,idx,hex(hash)) FROM node",
        "SELECT format('%s %s %s %s %s %s %s %s',origin,size,hex(frontier),hex(prev),note,log_key,record_key,epoch) FROM head",
        "SELECT format('%s',sql) FROM sqlite_schema",
    ] {
        let mut statement = db.prepare(query).ok()?;
        rows.extend(statement.query_map([], |row| row.get::<_, String>(0)).ok()?.collect::<Result<Vec<_>, _>>().ok()?);
    }
    Some(rows)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn a_byte_flipped_anywhere_is_found_or_changes_nothing(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let world = flipped_world();
        let path = world.state().join("audit.db");
        let whole = fs::read(&path).unwrap();
        let before = contents(world);
        let mut bytes = whole.clone();
        bytes[at.index(whole.len())] ^= flip;
        fs::write(&path, &bytes).unwrap();
        let ran = verify(world);
        let after = contents(world);
        fs::write(&path, &whole).unwrap();
        prop_assert!([0, 1, 2].contains(&ran.code()), "{ran}");
        prop_assert!(ran.code() != 0 || before == after, "{ran}");
    }
}

/// One world for all cases of one test: a copy of a log, which nobody writes.
fn flipped_world() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(|| {
        let world = World::new();
        filled(&world, 8);
        settled(&world);
        for file in ["audit.db-wal", "audit.db-shm", "audit.lock"] {
            let _ = fs::remove_file(world.state().join(file));
        }
        world
    })
}

#[test]
fn every_flipped_bit_of_the_bytes_that_count_is_found() {
    let world = World::new();
    filled(&world, 2);
    let whole = settled(&world);
    for file in ["audit.db-wal", "audit.db-shm", "audit.lock"] {
        let _ = fs::remove_file(world.state().join(file));
    }
    let reader = Reader::live(&place(&world)).unwrap();
    let body = reader.find(&Wanted::Entry(3)).unwrap().remove(0).body;
    let from = whole.windows(body.len()).position(|window| window == body).expect("a small body stands in one piece");
    for at in (from..from + body.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(world.state().join("audit.db"), bytes).unwrap();
        let ran = verify(&world);
        assert_eq!(ran.code(), 1, "byte {at}: {ran}");
        assert!(ran.out().contains("entry 3"), "byte {at}: {ran}");
    }
}

#[test]
fn a_copy_is_checked_without_leaving_anything_beside_it() {
    let world = World::new();
    filled(&world, 2);
    let copy = world.root().join("copy.db");
    fs::write(&copy, settled(&world)).unwrap();
    let ran = world.run(["audit", "--db", copy.to_str().unwrap(), "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(!world.root().join("copy.db-wal").exists() && !world.root().join("copy.db-shm").exists());
    let ran = world.run(["audit", "verify", "--db", "/nowhere/audit.db"]);
    assert_eq!(ran.code(), 2, "{ran}");
}

#[test]
fn there_is_nothing_to_check_before_the_first_command() {
    let ran = World::new().run(["audit", "verify"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("there is no log yet"), "{ran}");
}

#[test]
fn a_command_without_a_recorded_end_is_reported_and_does_not_count_as_tampering() {
    let world = World::new();
    let [decision, start, _] = allowed(1, "kubectl", 0);
    open(&world).unwrap().append(&[decision, start], at(1)).unwrap();
    let ran = verify(&world);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("unfinished: 1 commands started and have no recorded end, at entry 2"), "{ran}");
}

#[test]
fn the_go_projects_own_code_agrees_with_the_note_the_tree_and_every_proof() {
    let world = World::new();
    filled(&world, 12);
    let reader = Reader::live(&place(&world)).unwrap();
    let bodies: Vec<Vec<u8>> = reader.find(&Wanted::From(0)).unwrap().into_iter().map(|entry| entry.body).collect();
    let leaves: Vec<Hash> = bodies.iter().map(|body| leaf_hash(body)).collect();
    let node = |level: u8, index: u64| -> Result<Hash, std::convert::Infallible> {
        let mut frontier = gate::record::Frontier::default();
        let from = usize::try_from(index << level).unwrap();
        leaves[from..from + (1 << level)].iter().for_each(|leaf| frontier.append(*leaf, |_, _, _| {}));
        Ok(frontier.root())
    };
    let size = bodies.len() as u64;
    let text = |proof: Vec<Hash>| proof.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>();
    let inclusions: Vec<_> = (0..size)
        .map(|index| {
            let Ok(proof) = inclusion(index, size, &mut |level, index| node(level, index));
            text(proof)
        })
        .collect();
    let consistencies: Vec<_> = (1..=size)
        .map(|first| {
            let Ok(proof) = consistency(first, size, &mut |level, index| node(level, index));
            text(proof)
        })
        .collect();
    let report: Value = serde_json::from_slice(&world.run(["audit", "verify", "--json"]).stdout).unwrap();
    let mut input = json!({
        "vkey": report["key"],
        "note": report["checkpoint"],
        "entries": bodies.iter().map(|body| STANDARD.encode(body)).collect::<Vec<_>>(),
        "inclusion": inclusions,
        "consistency": consistencies,
    });
    let go = |input: &Value| world::go("check", &[], &input.to_string());
    let (agrees, said) = go(&input);
    assert!(agrees, "{said}");
    assert_eq!(said, "37 inclusion and 37 consistency proofs hold\n");
    input["entries"][3] = json!(STANDARD.encode("another entry"));
    assert!(!go(&input).0, "Go takes a changed entry");
}

#[test]
fn show_proves_what_it_shows() {
    let world = World::new();
    filled(&world, 3);
    let ran = world.run(["audit", "show", "4"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().starts_with("entry 4, proved in the checkpoint of 10 entries\n"), "{ran}");
    let request = crate::log::id(1).to_string();
    assert_eq!(world.run(["audit", "show", &request]).out().matches("proved in").count(), 3);
    let raw = world.run(["audit", "show", "--raw", "4"]);
    let by_hand = world.sh("{ printf '\\0'; gate audit show --raw 4; } | sha256sum");
    assert!(by_hand.out().starts_with(&gate::record::hex(&leaf_hash(&raw.stdout))));
    sql(&world, "UPDATE entry SET body=CAST(replace(body,'allowed','denied') AS BLOB) WHERE seq=4");
    let ran = world.run(["audit", "show", "4"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.err().contains("entry 4 was changed"), "{ran}");
    assert_eq!(world.run(["audit", "show", "99"]).code(), 2);
    assert_eq!(world.run(["audit", "show", "what"]).code(), 64);
}

#[test]
fn the_log_is_listed_by_request_and_filtered() {
    let world = World::new();
    filled(&world, 2);
    let mut log = Log::open(&place(&world), at(0), "this-boot").unwrap();
    let cmd = json!({ "argv": ["kubectl", "delete", "\u{1b}[31mred\u{202e}", { "b64": "/w==" }], "program": "kubectl" });
    let actor = json!({ "uid": 0, "user": "root" });
    log.append(
        &[draft(Kind::Request, 50, json!({ "actor": actor, "cmd": cmd, "risk": "high", "policy": { "rules": ["pods.delete"] } }))],
        at(20),
    )
    .unwrap();
    let denied = json!({ "effect": "deny", "result": "denied", "risk": "critical", "rules": [{ "id": "ns.delete" }] });
    log.append(&[draft(Kind::Decision, 51, json!({ "actor": actor, "cmd": cmd, "decision": denied }))], at(30)).unwrap();
    let [decision, start, _] = allowed(52, "kubectl", 0);
    log.append(&[decision, start], at(40)).unwrap();
    let listed = |args: &[&str]| {
        let ran = world.run(["audit", "list", "--json"].iter().chain(args));
        assert_eq!(ran.code(), 0, "{ran}");
        let lines: Vec<Value> = ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().map(|line| format!("{} {}", line["decision"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), ["allowed unknown", "denied ", "pending ", "allowed exit 0", "allowed exit 0"]);
    assert_eq!(listed(&["--limit", "2"]).len(), 2);
    assert_eq!(listed(&["--user", "root"]), ["denied ", "pending "]);
    assert_eq!(listed(&["--user", "0", "--risk", "critical"]), ["denied "]);
    assert_eq!(listed(&["--rule", "ns.delete"]), ["denied "]);
    assert_eq!(listed(&["--rule", "pods.*"]).len(), 4);
    assert_eq!(listed(&["--decision", "deny"]), ["denied "]);
    assert_eq!(listed(&["--since", "2026-11-21T02:00:30Z"]).len(), 2);
    assert_eq!(world.run(["audit", "list", "--since", "soon"]).code(), 64);
    for args in [vec!["list"], vec!["list", "--json"], vec!["show", "7"], vec!["tail"], vec!["list", "--entries"]] {
        let ran = world.run(["audit"].iter().chain(&args));
        assert_eq!(ran.code(), 0, "{ran}");
        assert!(ran.out().chars().all(|c| c == '\n' || c == '…' || (' '..='~').contains(&c)), "{ran}");
    }
}

#[test]
fn the_table_fits_the_terminal() {
    let mut world = World::new();
    filled(&world, 3);
    for columns in [1, 20, 40, 60, 80, 120] {
        world = world.env("COLUMNS", columns.to_string());
        let ran = world.run(["audit", "list"]);
        assert_eq!(ran.code(), 0, "{ran}");
        let widest = ran.out().lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns, "{columns}: {ran}");
        assert_eq!(ran.out().lines().count(), 4);
    }
}
