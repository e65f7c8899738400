//! Proofs that stand alone: whoever knows the log's key checks one entry without the log, and with tools of others.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::audit::{Reader, Wanted};
use gate::key::{SigningKey, Vkey};
use gate::record::{
    Checkpoint, Envelope, Hash, Note, Row, Tile, TlogProof, Unproved, bundled_entries, entry_bundle, envelope, leaf_hash, node_hash,
    signed_bytes,
};
use serde_json::{Value, json};

use crate::log::{database, filled, place};
use crate::world::{self, World};

/// The log's key, as `gate audit verify` says it.
pub fn log_key(world: &World) -> String {
    let report: Value = serde_json::from_slice(&world.run(["audit", "verify", "--json"]).stdout).unwrap();
    report["key"].as_str().unwrap().to_owned()
}

/// Stores the signed end as a checkpoint that somebody else countersigned. gate does not know that key, so any line does.
pub fn countersign(world: &World) -> u64 {
    let signed = world.run(["audit", "checkpoint"]).out();
    let size: i64 = signed.lines().nth(1).unwrap().parse().unwrap();
    let line = format!("— witness.example/1 {}\n", STANDARD.encode([[7; 4].as_slice(), &[8; 72]].concat()));
    database(world).execute("INSERT INTO checkpoint VALUES(?1,?2)", (size, format!("{signed}{line}"))).unwrap();
    u64::try_from(size).unwrap()
}

fn key(seed: u8) -> (SigningKey, Vkey) {
    let bytes = SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap();
    let key = SigningKey::from_pkcs8(&bytes).unwrap();
    let vkey = Vkey::new(&format!("gate.test/host/{seed}"), key.public()).unwrap();
    (key, vkey)
}

/// Every change of one byte that flips one bit.
fn mutations(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..text.len() * 8).map(|bit| {
        let mut changed = text.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[test]
fn each_entry_is_proved_to_whoever_knows_the_key_and_nothing_else_is() {
    let world = World::new();
    filled(&world, 3);
    let key = log_key(&world);
    let path = |name: &str| world.work().join(name).to_str().unwrap().to_owned();
    for seq in 0..10 {
        let number = seq.to_string();
        fs::write(path("entry"), world.run(["audit", "show", "--raw", &number]).stdout).unwrap();
        let ran = world.run(["audit", "prove", &number]);
        assert_eq!(ran.code(), 0, "{ran}");
        fs::write(path("proof"), &ran.stdout).unwrap();
        let check = |more: &[&str]| world.run(["audit", "prove", "--check", "proof", "--entry", "entry"].iter().chain(more));
        let ran = check(&["--key", &key]);
        assert_eq!(ran.code(), 0, "{ran}");
        assert!(ran.out().starts_with(&format!("proved: entry {seq} of gate.test/host/")), "{ran}");
        let ran = check(&[]);
        assert_eq!(ran.code(), 3, "without a key nobody vouches for it: {ran}");
        let mut other = fs::read(path("entry")).unwrap();
        other[5] ^= 1;
        fs::write(path("entry"), other).unwrap();
        assert_eq!(check(&["--key", &key]).code(), 1);
        assert_eq!(check(&[]).code(), 1);
    }
    let ran = world.run(["audit", "prove", "--check", "proof", "--entry", "entry", "--key", "no key"]);
    assert_eq!(ran.code(), 64, "{ran}");
    assert_eq!(world.run(["audit", "prove", "--check", "entry", "--entry", "entry"]).code(), 2);
    assert_eq!(world.run(["audit", "prove", "--check", "nowhere", "--entry", "entry"]).code(), 2);
    assert_eq!(world.run(["audit", "prove", "99"]).code(), 2);
    assert_eq!(world.run(["audit", "prove", "what"]).code(), 64);
    assert_eq!(world.run(["audit", "prove"]).code(), 64);
}

#[test]
fn a_proof_needs_no_log_and_is_written_into_a_new_file_only() {
    let world = World::new();
    filled(&world, 2);
    let key = log_key(&world);
    let request = crate::log::id(1).to_string();
    let ran = world.run(["audit", "prove", &request, "--out", "decision.tlog-proof"]);
    assert_eq!((ran.code(), ran.out()), (0, String::new()), "{ran}");
    let proof = TlogProof::parse(&fs::read_to_string(world.work().join("decision.tlog-proof")).unwrap()).unwrap();
    let entry = Reader::live(&place(&world)).unwrap().find(&Wanted::Entry(proof.index)).unwrap().remove(0).body;
    assert!(String::from_utf8(entry.clone()).unwrap().contains("\"kind\":\"decision\""));
    assert_eq!(world.run(["audit", "prove", "1", "--out", "decision.tlog-proof"]).code(), 2, "a file that is there stays as it is");
    fs::write(world.work().join("entry"), entry).unwrap();
    fs::remove_dir_all(world.state()).unwrap();
    let ran = world.run(["audit", "prove", "--check", "decision.tlog-proof", "--entry", "entry", "--key", &key]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(!world.state().exists());
}

#[test]
fn a_countersigned_checkpoint_that_covers_the_entry_is_preferred() {
    let world = World::new();
    filled(&world, 2);
    let size = countersign(&world);
    filled(&world, 2);
    let sizes = |seq: &str| {
        let proof = TlogProof::parse(&world.run(["audit", "prove", seq]).out()).unwrap();
        (proof.checkpoint().unwrap().size, proof.note.to_string().contains("witness.example"))
    };
    assert_eq!(sizes("3"), (size, true));
    assert_eq!(sizes("6"), (size, true));
    assert_eq!(sizes("7"), (13, false), "no witness saw this one");
    assert_eq!(countersign(&world), 13);
    assert_eq!(sizes("3"), (13, true));
    database(&world).execute("UPDATE checkpoint SET note=replace(note,'host','hosT') WHERE size=13", ()).unwrap();
    let ran = world.run(["audit", "prove", "3"]);
    assert_eq!(ran.code(), 1, "{ran}");
}

#[test]
fn a_log_that_was_changed_proves_nothing() {
    for statement in [
        "UPDATE entry SET body=CAST(replace(body,'allowed','denied') AS BLOB) WHERE seq=4",
        "UPDATE entry SET leaf=zeroblob(32) WHERE seq=5",
        "UPDATE node SET hash=zeroblob(32) WHERE level=1 AND idx=3",
        "DELETE FROM node WHERE level=2 AND idx=0",
        "UPDATE entry SET leaf=zeroblob(31) WHERE seq=5",
        "UPDATE head SET note=replace(note,'\n10\n','\n9\n')",
    ] {
        let world = World::new();
        filled(&world, 3);
        database(&world).execute_batch(statement).unwrap();
        let ran = world.run(["audit", "prove", "4"]);
        assert_eq!(ran.code(), 1, "{statement}: {ran}");
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn go_verifies_every_proof_and_the_consistency_of_checkpoints() {
    let world = World::new();
    filled(&world, 2);
    let older = world.run(["audit", "checkpoint"]).out();
    countersign(&world);
    filled(&world, 5);
    let newer = world.run(["audit", "checkpoint"]).out();
    let reader = Reader::live(&place(&world)).unwrap();
    let entries: Vec<Vec<u8>> = reader.find(&Wanted::From(0)).unwrap().into_iter().map(|entry| entry.body).collect();
    let proofs: Vec<String> = (0..entries.len()).map(|seq| world.run(["audit", "prove", &seq.to_string()]).out()).collect();
    let consistency = world.run(["audit", "prove", "--consistency", "7", "22"]);
    assert_eq!(consistency.code(), 0, "{consistency}");
    let mut input = json!({
        "vkey": log_key(&world),
        "entries": entries.iter().map(|body| STANDARD.encode(body)).collect::<Vec<_>>(),
        "proofs": proofs,
        "older": older,
        "newer": newer,
        "consistency": consistency.out(),
    });
    let go = |input: &Value| world::go("proof", &[], &input.to_string());
    let (agrees, said) = go(&input);
    assert!(agrees, "{said}");
    assert_eq!(said, "22 proofs hold, and one from 7 to 22\n");
    let changed = proofs[20].replacen("index 20\n", "index 19\n", 1);
    input["proofs"][20] = json!(changed);
    assert!(!go(&input).0, "Go takes a proof of another place");
}

#[test]
fn consistency_is_proved_between_sizes_that_the_log_had() {
    let world = World::new();
    filled(&world, 3);
    let lines = |from: &str, to: &str| world.run(["audit", "prove", "--consistency", from, to]);
    for (from, to) in [("0", "10"), ("10", "10")] {
        let ran = lines(from, to);
        assert_eq!((ran.code(), ran.out()), (0, String::new()), "nothing is to be proved: {ran}");
    }
    assert_eq!(lines("3", "7").out().lines().count(), 4);
    for (from, to) in [("5", "11"), ("7", "3")] {
        assert_eq!(lines(from, to).code(), 2);
    }
    assert_eq!(lines("5", "many").code(), 64);
    countersign(&world);
    database(&world).execute("UPDATE checkpoint SET size=7", ()).unwrap();
    assert_eq!(lines("7", "10").code(), 1, "a checkpoint of 10 entries is kept as one of 7");
    database(&world).execute_batch("DELETE FROM checkpoint;UPDATE node SET hash=zeroblob(32) WHERE level=1 AND idx=0").unwrap();
    assert_eq!(lines("3", "10").code(), 1);
}

#[test]
fn every_changed_byte_of_a_note_a_proof_and_an_envelope_is_refused() {
    let (signing, vkey) = key(1);
    let leaves: Vec<Hash> = (0..3).map(|n: u8| leaf_hash(&[n])).collect();
    let root = node_hash(&node_hash(&leaves[0], &leaves[1]), &leaves[2]);
    let checkpoint = Checkpoint { origin: vkey.name().to_owned(), size: 3, root };
    let note = checkpoint.sign(&vkey, &signing);
    let text = note.to_string();
    for changed in mutations(text.as_bytes()) {
        let read = String::from_utf8(changed).ok().and_then(|text| Note::parse(&text).ok());
        assert!(!read.is_some_and(|note| note.is_signed_by(&vkey)));
    }
    let proof = TlogProof { extra: None, index: 1, path: vec![leaves[0], leaves[2]], note };
    let text = proof.to_string();
    assert_eq!(TlogProof::parse(&text).unwrap().verify(&leaves[1], &vkey), Ok(checkpoint));
    for changed in mutations(text.as_bytes()) {
        let read = String::from_utf8(changed.clone()).ok().and_then(|text| TlogProof::parse(&text).ok());
        assert!(read.is_none_or(|proof| proof.verify(&leaves[1], &vkey).is_err()), "{}", String::from_utf8_lossy(&changed));
    }
    let body = br#"{"a":1}"#;
    let text = envelope(body, &signing.sign(&signed_bytes(body)), &vkey.short());
    assert!(Envelope::parse(text.as_bytes()).unwrap().is_signed_by(&vkey));
    for changed in mutations(text.as_bytes()) {
        assert!(!Envelope::parse(&changed).is_ok_and(|envelope| envelope.is_signed_by(&vkey)), "{}", String::from_utf8_lossy(&changed));
    }
}

#[test]
fn a_proof_of_another_log_or_key_does_not_hold() {
    let (signing, vkey) = key(1);
    let (_, other) = key(2);
    let leaf = leaf_hash(b"entry");
    let note = Checkpoint { origin: vkey.name().to_owned(), size: 1, root: leaf }.sign(&vkey, &signing);
    let proof = TlogProof { extra: None, index: 0, path: Vec::new(), note };
    assert!(proof.verify(&leaf, &vkey).is_ok());
    assert_eq!(proof.verify(&leaf, &other), Err(Unproved::Log(vkey.name().to_owned())));
    let named_alike = Vkey::new(vkey.name(), other.public()).unwrap();
    assert_eq!(proof.verify(&leaf, &named_alike), Err(Unproved::Unsigned));
    assert_eq!(proof.verify(&leaf_hash(b"another"), &vkey), Err(Unproved::Tree));
    let elsewhere = Checkpoint { origin: "gate.test/elsewhere".to_owned(), size: 1, root: leaf }.sign(&vkey, &signing);
    let proof = TlogProof { note: elsewhere, ..proof };
    assert!(matches!(proof.verify(&leaf, &vkey), Err(Unproved::Log(_))), "a key vouches for its own log only");
}

#[test]
fn a_proof_has_one_spelling() {
    let (signing, vkey) = key(1);
    let note = Checkpoint { origin: vkey.name().to_owned(), size: 9, root: [1; 32] }.sign(&vkey, &signing);
    let proof = TlogProof { extra: Some(b"more".to_vec()), index: 5, path: vec![[2; 32], [3; 32]], note };
    let text = proof.to_string();
    assert_eq!(TlogProof::parse(&text), Ok(proof));
    let hash = STANDARD.encode([2; 32]);
    for (from, to) in [
        ("@v1\n", "@v2\n"),
        ("@v1\n", "@v1\r\n"),
        ("extra bW9yZQ==\n", "extra \n"),
        ("extra bW9yZQ==\n", "extra bW9yZQ\n"),
        ("extra bW9yZQ==\n", "extra bW9yZR==\n"),
        ("extra bW9yZQ==\nindex 5\n", "index 5\nextra bW9yZQ==\n"),
        ("index 5\n", "index 05\n"),
        ("index 5\n", "index +5\n"),
        ("index 5\n", "index 5 \n"),
        ("index 5\n", "index 5\nindex 5\n"),
        ("index 5\n", "index 18446744073709551616\n"),
        ("index 5\n", ""),
        (&*hash, &hash[..40]),
        (&*hash, ""),
        ("\n\n", "\n"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text && TlogProof::parse(&changed).is_err(), "`{from}` as `{to}`");
    }
    let long = text.replacen("index 5\n", &format!("index 5\n{}", format!("{hash}\n").repeat(70)), 1);
    assert!(TlogProof::parse(&long).is_err());
}

#[test]
fn a_proof_out_of_a_million_entries_with_a_countersignature_is_short() {
    let (signing, _) = key(1);
    let vkey = Vkey::new("gate.local/ip-10-20-30-40/0123456789abcdef", signing.public()).unwrap();
    let note = Checkpoint { origin: vkey.name().to_owned(), size: 1_000_000, root: [1; 32] }.sign(&vkey, &signing);
    let witness = format!("{note}— witness.example/w1 {}\n", STANDARD.encode([7; 4 + 8 + 64]));
    let proof = TlogProof { extra: None, index: 999_999, path: vec![[2; 32]; 20], note: Note::parse(&witness).unwrap() };
    let length = proof.to_string().len();
    assert!(length <= 1331, "{length} bytes");
}

#[test]
fn tiles_have_the_names_and_widths_of_the_specification() {
    for (tile, path) in [
        (Tile { row: Row::Hashes(0), index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"),
        (Tile { row: Row::Hashes(2), index: 0, width: 1 }, "tile/2/000.p/1"),
        (Tile { row: Row::Entries, index: 273, width: 112 }, "tile/entries/273.p/112"),
        (Tile { row: Row::Entries, index: 1000, width: 256 }, "tile/entries/x001/000"),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    }
    for path in [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/0/x000/000",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/../000",
        "tile/data/000",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
    // The example of the specification: a tree of 70,000 entries.
    let tiles: Vec<Tile> = Tile::hashes(0, 70_000).collect();
    assert_eq!(tiles.len(), 274 + 2 + 1);
    let partial: Vec<String> = tiles.iter().filter(|tile| tile.width < 256).map(Tile::path).collect();
    assert_eq!(partial, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    let two: [&[u8]; 2] = [b"one", b""];
    assert_eq!(entry_bundle(two).unwrap(), b"\0\x03one\0\0");
    assert_eq!(bundled_entries(b"\0\x03one\0\0").unwrap(), two);
    assert!(bundled_entries(b"\0\x04one").is_none() && bundled_entries(b"\0").is_none());
    assert!(entry_bundle([vec![0; 65_536].as_slice()]).is_none());
}

#[test]
fn a_log_published_as_tiles_is_one_that_the_go_project_reads() {
    let world = World::new();
    filled(&world, 300);
    let site = world.root().join("site");
    let export = ["audit", "export", "--format", "tiles", "--out", site.to_str().unwrap()];
    let ran = world.run(export);
    assert_eq!((ran.code(), ran.out()), (0, String::new()), "{ran}");
    let key = log_key(&world);
    let go = || world::go("tiles", &[site.to_str().unwrap(), &key], "");
    assert_eq!(go(), (true, "901 entries stand in the tiles\n".to_owned()));
    let ran = world.run(export);
    assert_eq!(ran.code(), 64, "nothing is written over: {ran}");
    let tile = site.join("tile/entries/001");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert!(!go().0);
}

#[test]
fn what_was_changed_is_not_published() {
    for statement in [
        "UPDATE entry SET leaf=zeroblob(32) WHERE seq=4",
        "UPDATE entry SET body=CAST(replace(CAST(body AS TEXT),'monotonic','monotoniC') AS BLOB) WHERE seq=4",
        "UPDATE node SET hash=zeroblob(32) WHERE level=8",
        "UPDATE head SET frontier=zeroblob(length(frontier))",
    ] {
        let world = World::new();
        filled(&world, 100);
        database(&world).execute(statement, []).unwrap();
        let site = world.root().join("site");
        let ran = world.run(["audit", "export", "--format", "tiles", "--out", site.to_str().unwrap()]);
        assert_eq!(ran.code(), 1, "{statement}: {ran}");
        assert!(!site.join("checkpoint").exists(), "{statement}");
    }
}
