//! Databases that somebody prepared: each is called tampered or cannot be checked, and none makes gate crash, hang or write to the terminal.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gate::record::{Frontier, Hash, Kind, hex, leaf_hash};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::log::{at, database, draft, filled, open};
use crate::proofs::countersign;
use crate::world::{Ran, World};

/// A log with something in each of its tables, in one file.
fn full(world: &World) {
    filled(world, 3);
    open(world).unwrap().consume("grant", &[draft(Kind::ExecReplace, 60, json!({}))], at(5)).unwrap();
    let (argv, blob) = gate::record::argv_value([b"echo".as_slice(), &vec![b'x'; 40_000]]);
    let mut long = draft(Kind::Decision, 61, json!({ "cmd": { "argv": argv, "program": "echo" } }));
    long.blobs.extend(blob);
    open(world).unwrap().append(&[long], at(6)).unwrap();
    countersign(world);
    settle(world);
}

/// Leaves one file, which is read as it is.
fn settle(world: &World) {
    let db = database(world);
    let written_back = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).is_ok();
    drop(db);
    // A schema that SQLite itself refuses was written back when the connection that made it was closed.
    assert!(written_back || !world.state().join("audit.db-wal").exists());
    for file in ["audit.db-wal", "audit.db-shm", "audit.lock"] {
        let _ = fs::remove_file(world.state().join(file));
    }
}

/// Runs every command that reads, and insists that none says more than it may, nor anything that a terminal would act on.
fn refused(world: &World, what: &str) -> Ran {
    for args in [
        vec!["list"],
        vec!["show", "4"],
        vec!["tail"],
        vec!["list", "--json"],
        vec!["prove", "4"],
        vec!["bundle", "b.tar"],
        vec!["checkpoint"],
    ] {
        let ran = world.run(["audit"].iter().chain(&args));
        assert!((0..=2).contains(&ran.code()), "{what}, {args:?}: {ran}");
        plain(&ran, what);
        let _ = fs::remove_file(world.work().join("b.tar"));
    }
    let ran = world.run(["audit", "verify", "--local"]);
    assert!([1, 2].contains(&ran.code()), "{what}: {ran}");
    assert!(!ran.out().contains("sound"), "{what}: {ran}");
    plain(&ran, what);
    ran
}

fn plain(ran: &Ran, what: &str) {
    for text in [ran.out(), ran.err()] {
        assert!(text.chars().all(|c| c == '\n' || c == '—' || c == '…' || (' '..='~').contains(&c)), "{what}: {text:?}");
    }
}

#[test]
fn what_is_changed_in_any_table_is_found() {
    const FLIP: &str = "CAST(CASE substr(COLUMN,1,1) WHEN X'00' THEN X'01' ELSE X'00' END||substr(COLUMN,2) AS BLOB)";
    let flip = |column: &str| FLIP.replace("COLUMN", column);
    for statement in [
        "UPDATE entry SET body=CAST(replace(CAST(body AS TEXT),'monotonic','monotoniC') AS BLOB) WHERE seq=4",
        &format!("UPDATE entry SET sig={} WHERE seq=4", flip("sig")),
        &format!("UPDATE entry SET leaf={} WHERE seq=4", flip("leaf")),
        &format!("UPDATE node SET hash={} WHERE level=2 AND idx=1", flip("hash")),
        &format!("UPDATE head SET frontier={}", flip("frontier")),
        &format!("UPDATE head SET prev={}", flip("prev")),
        &format!("UPDATE blob SET data={}", flip("data")),
        "UPDATE head SET note=replace(note,'host','hosT')",
        "UPDATE head SET log_key=replace(log_key,'host','hosT')",
        "UPDATE head SET record_key=replace(record_key,'host','hosT')",
        "UPDATE head SET origin=origin||'x'",
        "DELETE FROM head",
        "UPDATE checkpoint SET note=replace(note,'host','hosT')",
        "UPDATE checkpoint SET note=substr(note,2)",
        "UPDATE token SET jti='granu'",
        "UPDATE token SET seq=3",
        "UPDATE blob SET sha256=replace(sha256,substr(sha256,1,1),'g')",
        "DELETE FROM blob",
        "INSERT INTO disclosure VALUES('digest',99,x'00')",
        "INSERT INTO outbox VALUES(99,'sink')",
        "INSERT INTO outbox VALUES(-1,'sink')",
        "UPDATE node SET hash=x'00' WHERE level=1 AND idx=1",
        "UPDATE entry SET body=CAST('{}' AS BLOB) WHERE seq=4",
        "UPDATE entry SET keyid=-1 WHERE seq=4",
        "UPDATE entry SET seq=-seq WHERE seq=4",
        "UPDATE entry SET seq=9223372036854775807 WHERE seq=11",
        "UPDATE head SET size=9223372036854775807",
        "UPDATE head SET size=-1",
        "UPDATE head SET epoch=9223372036854775807",
    ] {
        let world = World::new();
        full(&world);
        assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
        database(&world).execute_batch(statement).unwrap();
        settle(&world);
        refused(&world, statement);
    }
}

/// Bodies, links, leaves, nodes and the head are made to fit again; only the keys are not there.
#[test]
fn rows_deleted_put_in_or_moved_are_found_although_all_hashes_fit_again() {
    for (what, change) in [
        ("deleted", (|bodies| drop(bodies.remove(5))) as fn(&mut Vec<Vec<u8>>)),
        ("put in", |bodies| bodies.insert(5, bodies[5].clone())),
        ("moved", |bodies| bodies.swap(4, 6)),
        ("cut", |bodies| bodies.truncate(8)),
        ("as before", |bodies| bodies[3] = String::from_utf8(bodies[3].clone()).unwrap().replace("exit\":0", "exit\":1").into_bytes()),
    ] {
        let world = World::new();
        filled(&world, 4);
        let db = database(&world);
        let mut bodies: Vec<Vec<u8>> = {
            let mut rows = db.prepare("SELECT body FROM entry ORDER BY seq").unwrap();
            rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        change(&mut bodies);
        written_anew(&db, bodies);
        let ran = refused(&world, what);
        assert_eq!(ran.code(), 1, "{what}: {ran}");
        assert_eq!(world.run(["audit", "verify", "--signatures", "none", "--local"]).code(), 1, "{what}: the checkpoint alone finds it");
    }
}

/// Stores these bodies as gate would, with the signatures that were there.
fn written_anew(db: &Connection, bodies: Vec<Vec<u8>>) {
    let signatures: Vec<Vec<u8>> = {
        let mut rows = db.prepare("SELECT sig FROM entry ORDER BY seq").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    db.execute_batch("DELETE FROM entry;DELETE FROM node").unwrap();
    let (mut frontier, mut prev): (Frontier, Hash) = (Frontier::default(), [0; 32]);
    for (seq, body) in (0_i64..).zip(bodies) {
        let mut value: Value = serde_json::from_slice(&body).unwrap();
        value["seq"] = json!(seq);
        value["prev"] = json!(hex(&prev));
        let body = gate::record::canonical(&value).unwrap();
        prev = leaf_hash(&body);
        let signature = &signatures[usize::try_from(seq).unwrap().min(signatures.len() - 1)];
        db.execute("INSERT INTO entry(seq,body,sig,keyid,leaf) VALUES(?1,?2,?3,0,?4)", params![seq, body, signature, prev]).unwrap();
        frontier.append(prev, |level, index, hash| {
            db.execute("INSERT INTO node VALUES(?1,?2,?3)", params![level, i64::try_from(index).unwrap(), hash]).map(drop).unwrap();
        });
    }
    let size = i64::try_from(frontier.size()).unwrap();
    db.execute("UPDATE head SET size=?1,frontier=?2,prev=?3", params![size, frontier.bytes(), prev]).unwrap();
}

#[test]
fn another_schema_is_refused_whatever_it_would_show() {
    for statement in [
        "ALTER TABLE entry RENAME TO hidden;CREATE VIEW entry AS SELECT * FROM hidden",
        "ALTER TABLE head RENAME TO hidden;CREATE VIEW head AS SELECT * FROM hidden",
        "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql=replace(sql,'$.req','$.log') WHERE name='entry'",
        "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql=replace(sql,'STRICT','') WHERE name='entry'",
        "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql=sql||'  '  WHERE name='node'",
        "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='node') WHERE name='head'",
        "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET rootpage=2147483647 WHERE name='entry'",
        "CREATE TABLE \"\u{1b}[31mred\"(a)",
        "PRAGMA application_id=1",
        "PRAGMA user_version=2",
        "PRAGMA user_version=-1",
    ] {
        let world = World::new();
        filled(&world, 2);
        database(&world).execute_batch(statement).unwrap();
        settle(&world);
        refused(&world, statement);
    }
}

#[test]
fn bodies_that_a_terminal_would_act_on_are_shown_as_text_or_not_at_all() {
    for body in [
        b"\x1b[2J\x1b]0;title\x07".as_slice(),
        b"\0\0\0",
        b"{\"cmd\":\"\x1b[31m\",\"kind\":\"decision\"}",
        "{\"kind\":\"\u{202e}\",\"req\":\"\u{9b}31m\"}".as_bytes(),
        &[0xff; 300],
        &vec![b'['; 60_000],
    ] {
        let world = World::new();
        filled(&world, 3);
        let db = database(&world);
        db.execute("UPDATE entry SET body=?1 WHERE seq=4", [body]).ok();
        // Where SQLite's own reading of the body fails, the row stays as it was, and another one is changed.
        db.execute("UPDATE entry SET sig=?1,leaf=?1 WHERE seq=9", [body]).unwrap();
        db.execute("INSERT INTO checkpoint VALUES(7,?1)", [String::from_utf8_lossy(body)]).unwrap();
        drop(db);
        settle(&world);
        refused(&world, &String::from_utf8_lossy(body));
    }
}

#[test]
fn a_huge_value_is_not_read() {
    let world = World::new();
    full(&world);
    database(&world).execute_batch("UPDATE blob SET data=zeroblob(200000000)").unwrap();
    settle(&world);
    let mut command = world.command("sh", ["-c", "ulimit -v 150000; exec \"$0\" audit verify --local", world.gate().to_str().unwrap()]);
    command.env("GATE", "");
    let ran = world.finish(command);
    assert!([1, 2].contains(&ran.code()), "{ran}");
    refused(&world, "a huge blob");
}

#[test]
fn a_file_that_is_cut_zeroed_mixed_up_or_a_link_is_refused() {
    let world = World::new();
    filled(&world, 40);
    settle(&world);
    let path = world.state().join("audit.db");
    let whole = fs::read(&path).unwrap();
    let other = World::new();
    filled(&other, 40);
    let wal = {
        // While it is open, what was written stays in the write-ahead file.
        let db = database(&other);
        db.execute_batch("PRAGMA wal_autocheckpoint=0;UPDATE head SET prev=zeroblob(32);UPDATE entry SET keyid=keyid").unwrap();
        fs::read(other.state().join("audit.db-wal")).unwrap()
    };
    assert!(!wal.is_empty());
    for part in [0, 1, 100, 511, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(&path, &whole[..part]).unwrap();
        refused(&world, &format!("cut to {part} bytes"));
    }
    for range in [0..100, 0..whole.len() / 2, whole.len() / 2..whole.len(), 4096..8192, 0..whole.len()] {
        let mut bytes = whole.clone();
        bytes[range.clone()].fill(0);
        fs::write(&path, bytes).unwrap();
        refused(&world, &format!("zeroed {range:?}"));
    }
    fs::write(&path, &whole).unwrap();
    fs::write(world.state().join("audit.db-wal"), &wal).unwrap();
    refused(&world, "with the write-ahead file of another log");
    for name in ["audit.db-wal", "audit.db-shm"] {
        let _ = fs::remove_file(world.state().join(name));
    }
    fs::remove_file(&path).unwrap();
    symlink(other.state().join("audit.db"), &path).unwrap();
    refused(&world, "a link to another log");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&world, "a directory");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &whole).unwrap();
    for name in ["audit.db-wal", "audit.db-shm"] {
        let beside = world.state().join(name);
        nix::unistd::mkfifo(&beside, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused(&world, name);
        fs::remove_file(&beside).unwrap();
    }
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&world, "a pipe");
    assert!(Path::new(&path).exists());
}
