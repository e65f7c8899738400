//! Records as bytes: canonical, hashed as the public standards have it, and signed so that others can check it.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::key::{SigningKey, Vkey};
use gate::record::{
    Body, Checkpoint, Draft, Frontier, Hash, Header, Kind, Note, argv_value, bytes_value, canonical, consistency, empty_root, hex,
    inclusion, integer, leaf_hash, members, range_root, signed_bytes, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn own(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The vectors of other projects, which stand beside the project and not in a fresh clone.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors").join(name);
    let beside_a_worktree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(name);
    [path, beside_a_worktree].into_iter().find(|path| path.is_dir())
}

fn hash(value: &Value) -> Option<Hash> {
    STANDARD.decode(value.as_str()?).ok()?.try_into().ok()
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or(Some(Vec::new()), |list| list.iter().map(hash).collect())
}

fn leaves(tree: &Value) -> Vec<Hash> {
    tree["leaves"].as_array().unwrap().iter().map(|leaf| leaf_hash(leaf.as_str().unwrap().as_bytes())).collect()
}

fn grown(leaves: &[Hash]) -> Frontier {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(*leaf, |_, _, _| {});
    }
    frontier
}

/// The hash of a complete subtree, straight from the leaves.
#[expect(clippy::unnecessary_wraps, reason = "it stands where a database's reader does, which can fail")]
fn node(leaves: &[Hash], level: u8, index: u64) -> Result<Hash, Infallible> {
    let from = usize::try_from(index << level).unwrap();
    Ok(grown(&leaves[from..from + (1 << level)]).root())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn roots_and_proofs_are_those_of_the_go_project() {
    let tree = own("tree.json");
    let leaves = leaves(&tree);
    for (size, root) in tree["roots"].as_array().unwrap().iter().enumerate() {
        assert_eq!(grown(&leaves[..=size]).root(), hash(root).unwrap());
    }
    for proof in tree["inclusion"].as_array().unwrap() {
        let (index, size) = (proof["index"].as_u64().unwrap(), proof["size"].as_u64().unwrap());
        let Ok(made) = inclusion(index, size, &mut |level, index| node(&leaves, level, index));
        assert_eq!(made, hashes(&proof["proof"]).unwrap(), "{proof}");
    }
    for proof in tree["consistency"].as_array().unwrap() {
        let (first, second) = (proof["first"].as_u64().unwrap(), proof["second"].as_u64().unwrap());
        let Ok(made) = consistency(first, second, &mut |level, index| node(&leaves, level, index));
        assert_eq!(made, hashes(&proof["proof"]).unwrap(), "{proof}");
    }
}

#[test]
fn a_note_of_the_go_project_is_read_and_one_changed_byte_of_it_is_refused() {
    let signed = own("note.json");
    let (vkey, note) = (signed["vkey"].as_str().unwrap(), signed["note"].as_str().unwrap());
    let vkey = Vkey::parse(vkey).unwrap();
    let parsed = Note::parse(note).unwrap();
    assert!(parsed.is_signed_by(&vkey));
    assert_eq!(parsed.to_string(), note);
    let checkpoint = Checkpoint::parse(parsed.text()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (21, grown(&leaves(&own("tree.json"))).root()));
    for at in 0..note.len() {
        for flip in [1, 2, 0x20] {
            let mut bytes = note.as_bytes().to_vec();
            bytes[at] ^= flip;
            let holds = String::from_utf8(bytes).ok().and_then(|text| Note::parse(&text).ok()).is_some_and(|note| note.is_signed_by(&vkey));
            assert!(!holds, "byte {at} of the note may be changed");
        }
    }
}

/// transparency-dev/merkle. The three of `consistency/additional` about an empty first tree want an error, and get one here too:
/// a caller that means to accept an empty tree has to say so itself.
#[test]
fn the_merkle_vectors_of_others_are_decided_as_they_say() {
    let Some(vectors) = shared("merkle") else { return };
    let mut seen = 0;
    for path in files(&vectors.join("inclusion")) {
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let holds = (|| {
            let (leaf, root, proof) = (hash(&vector["leafHash"])?, hash(&vector["root"])?, hashes(&vector["proof"])?);
            let (index, size) = (vector["leafIdx"].as_u64()?, vector["treeSize"].as_u64()?);
            verify_inclusion(&leaf, index, size, &proof, &root).ok()
        })();
        assert_eq!(holds.is_none(), vector["wantErr"].as_bool().unwrap(), "{}", path.display());
        seen += 1;
    }
    for path in files(&vectors.join("consistency")) {
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let holds = (|| {
            // Some of these have words where roots stand, and only want to know whether two are equal.
            let root = |value: &Value| hash(value).or_else(|| Some(leaf_hash(value.as_str()?.as_bytes())));
            let (root1, root2, proof) = (root(&vector["root1"])?, root(&vector["root2"])?, hashes(&vector["proof"])?);
            verify_consistency(vector["size1"].as_u64()?, vector["size2"].as_u64()?, &root1, &root2, &proof).ok()
        })();
        assert_eq!(holds.is_none(), vector["wantErr"].as_bool().unwrap(), "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 196);
}

#[test]
fn nothing_is_proved_from_an_empty_tree() {
    let leaf = leaf_hash(b"entry");
    assert!(verify_consistency(0, 0, &empty_root(), &empty_root(), &[]).is_err());
    assert!(verify_consistency(0, 1, &empty_root(), &leaf, &[]).is_err());
    assert!(verify_inclusion(&leaf, 0, 0, &[], &leaf).is_err());
    assert!(verify_inclusion(&leaf, 0, 1, &[], &leaf).is_ok());
}

#[test]
fn canonical_bytes_are_those_of_another_encoder() {
    for vector in own("jcs.json").as_array().unwrap() {
        let value: Value = serde_json::from_str(vector["value"].as_str().unwrap()).unwrap();
        let wanted = vector["canonical"].as_str().unwrap();
        assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), wanted);
        assert!(members(wanted.as_bytes()).is_ok());
        assert!(value == serde_json::from_str::<Value>(wanted).unwrap());
        if vector["value"] != vector["canonical"] {
            assert!(members(vector["value"].as_str().unwrap().as_bytes()).is_err());
        }
    }
}

/// cyberphone/json-canonicalization. Floats, nulls and names outside ASCII are outside gate's profile and refused.
#[test]
fn the_canonical_json_vectors_of_others_are_written_so_or_refused() {
    let Some(vectors) = shared("jcs") else { return };
    let mut written = Vec::new();
    for path in files(&vectors.join("input")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if let Ok(bytes) = canonical(&value) {
            assert_eq!(bytes, fs::read(vectors.join("output").join(&name)).unwrap().trim_ascii_end(), "{name}");
            written.push(name);
        }
    }
    written.sort();
    assert_eq!(written, ["unicode.json"]);
}

#[test]
fn no_other_spelling_of_a_record_passes() {
    for text in [
        "",
        "{",
        "[]",
        "1",
        "{}{}",
        " {}",
        "{} ",
        r#"{"a":1,"a":1}"#,
        r#"{"b":1,"a":1}"#,
        r#"{"a": 1}"#,
        r#"{"a":1,}"#,
        r#"{"a":1.0}"#,
        r#"{"a":1e2}"#,
        r#"{"a":-0}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":-}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"a":99999999999999999999999999999999999999}"#,
        r#"{"a":null}"#,
        r#"{"a":nul}"#,
        r#"{"a":"\u0041"}"#,
        r#"{"a":"\u000A"}"#,
        r#"{"a":"\u000a"}"#,
        r#"{"a":"\u001F"}"#,
        r#"{"a":"\/"}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\"#,
        "{\"a\":\"\n\"}",
        "{\"ö\":1}",
        r#"{"\u0061":1}"#,
        r#"{"a":'b'}"#,
        r#"{"a"}"#,
        r#"{"a":{"y":1,"x":2}}"#,
        r#"{"a":[1 ,2]}"#,
        r#"{"a":[1,]}"#,
    ] {
        assert!(members(text.as_bytes()).is_err(), "{text}");
    }
    assert!(members(b"{\"a\":\"\xff\"}").is_err());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(members(deep.as_bytes()).is_err());
    assert!(members(r#"{"a":"\u001f\n\"","b":[-1,{}],"c":true}"#.as_bytes()).is_ok());
}

#[test]
fn large_numbers_and_foreign_bytes_keep_every_digit_and_byte() {
    assert_eq!(integer(9_007_199_254_740_991_u64), json!(9_007_199_254_740_991_u64));
    assert_eq!(integer(u64::MAX), json!("18446744073709551615"));
    assert_eq!(integer(i64::MIN), json!("-9223372036854775808"));
    assert_eq!(bytes_value("ö".as_bytes()), json!("ö"));
    assert_eq!(bytes_value(b"\xff"), json!({ "b64": "/w==" }));
}

#[test]
fn a_long_argv_stands_beside_its_record() {
    let (small, none) = argv_value([b"echo".as_slice(), b""]);
    assert_eq!((small, none), (json!(["echo", ""]), None));
    // A control character takes six bytes in a record, so it is the record's size that counts.
    for word in [vec![b'x'; 40_000], vec![1; 6_000], vec![0xff; 30_000]] {
        let (value, blob) = argv_value([b"echo".as_slice(), &word]);
        let blob = blob.unwrap();
        assert_eq!(blob, [b"echo\0".as_slice(), &word, b"\0"].concat());
        assert_eq!(value["len"], json!(blob.len()));
        assert_eq!(value["count"], json!(2));
    }
}

fn header(prev: Hash) -> Header<'static> {
    Header { log: "gate.test/host/1", seq: 7, prev, wall: 1_795_226_400_000_000_001, boot: "boot", monotonic: Duration::from_secs(1) }
}

#[test]
fn a_record_is_readable_by_hand() {
    let body = header([0xab; 32]).body(&Draft::new(Kind::Heartbeat, None, Map::new())).unwrap();
    let text = String::from_utf8(body.clone()).unwrap();
    let prev = hex(&[0xab; 32]);
    assert_eq!(
        text,
        format!(
            r#"{{"boot":"boot","kind":"heartbeat","log":"gate.test/host/1","monotonic":1000000,"prev":"{prev}","seq":7,"ts":"2026-11-21T02:00:00.000000001Z","v":1}}"#
        )
    );
    assert_eq!(Body::parse(&body).unwrap().header, header([0xab; 32]));
    let signed = signed_bytes(&body);
    assert!(signed.starts_with(format!("DSSEv1 32 application/vnd.gate.record+json {} {{", body.len()).as_bytes()));
}

#[test]
fn a_draft_cannot_speak_for_the_log_and_not_be_too_large() {
    for name in ["seq", "log", "prev", "ts", "kind", "v", "monotonic", "boot"] {
        let fields = Map::from_iter([(name.to_owned(), json!("mine"))]);
        assert!(header([0; 32]).body(&Draft::new(Kind::Heartbeat, None, fields)).is_err(), "{name}");
    }
    let fields = Map::from_iter([("cmd".to_owned(), json!("x".repeat(70_000)))]);
    assert!(header([0; 32]).body(&Draft::new(Kind::Heartbeat, None, fields)).is_err());
}

#[test]
fn every_kind_is_read_back_and_nothing_else_is_one() {
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.word()), Some(kind));
    }
    for word in ["", "Request", "exec", "exec.start ", "exec_start"] {
        assert_eq!(Kind::parse(word), None);
    }
}

#[test]
fn a_key_is_read_back_whole_or_not_at_all() {
    let bytes = SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap();
    let key = SigningKey::from_pkcs8(&bytes).unwrap();
    let vkey = Vkey::new("gate.test/host/1", key.public()).unwrap();
    assert_eq!(Vkey::parse(&vkey.to_string()).unwrap(), vkey);
    for length in 0..bytes.len() {
        assert!(SigningKey::from_pkcs8(&bytes[..length]).is_err());
    }
    for name in ["", "a b", "a+b", "a\nb", "a\u{1b}b"] {
        assert!(Vkey::new(name, key.public()).is_err());
    }
}

/// Values inside gate's profile.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z0-9_ .-]{0,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("x[a-z0-9_]{0,8}", value(), 0..5).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn encoding_is_injective(a in object(), b in object()) {
        let (left, right) = (canonical(&Value::Object(a.clone())).unwrap(), canonical(&Value::Object(b.clone())).unwrap());
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(Value::Object(a), serde_json::from_slice::<Value>(&left).unwrap());
    }

    #[test]
    fn the_strict_reader_takes_exactly_what_the_encoder_writes(bytes in prop::collection::vec(prop::sample::select(br#"{}[]",:\0123-atruefls"#.to_vec()), 0..24)) {
        let rewritten = serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object).and_then(|value| canonical(&value).ok());
        prop_assert_eq!(members(&bytes).is_ok(), rewritten.is_some_and(|rewritten| rewritten == bytes));
    }

    #[test]
    fn one_changed_byte_of_a_record_changes_its_hash_or_makes_it_none(fields in object(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let body = header([1; 32]).body(&Draft::new(Kind::Heartbeat, None, fields)).unwrap();
        let mut changed = body.clone();
        changed[at.index(body.len())] ^= flip;
        prop_assert!(leaf_hash(&changed) != leaf_hash(&body));
        if let Ok(parsed) = Body::parse(&changed) {
            let again: Value = serde_json::from_slice(&changed).unwrap();
            prop_assert_eq!(canonical(&again).unwrap(), changed.clone());
            prop_assert!(parsed.header.log.is_ascii() || !parsed.header.log.is_empty());
        }
    }

    #[test]
    fn any_changed_removed_swapped_or_repeated_entry_gives_another_root(count in 2..40_usize, one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let leaves: Vec<Hash> = (0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect();
        let root = grown(&leaves).root();
        let (one, other) = (one.index(count), other.index(count));
        let mut changed = leaves.clone();
        changed[one] = leaf_hash(b"another");
        prop_assert!(grown(&changed).root() != root);
        let mut removed = leaves.clone();
        removed.remove(one);
        prop_assert!(grown(&removed).root() != root);
        let mut repeated = leaves.clone();
        repeated.insert(one, leaves[one]);
        prop_assert!(grown(&repeated).root() != root);
        let mut swapped = leaves.clone();
        swapped.swap(one, other);
        prop_assert_eq!(grown(&swapped).root() == root, one == other);
    }

    #[test]
    fn every_proof_that_is_made_holds_and_holds_for_nothing_else(count in 1..70_u64, index in any::<prop::sample::Index>(), first in any::<prop::sample::Index>()) {
        let leaves: Vec<Hash> = (0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect();
        let size = usize::try_from(count).unwrap();
        let (index, first) = (index.index(size), first.index(size) + 1);
        let root = grown(&leaves).root();
        let Ok(same) = range_root(0, count, &mut |level, index| node(&leaves, level, index));
        prop_assert_eq!(same, root);
        let Ok(proof) = inclusion(index as u64, count, &mut |level, index| node(&leaves, level, index));
        prop_assert!(verify_inclusion(&leaves[index], index as u64, count, &proof, &root).is_ok());
        prop_assert!(verify_inclusion(&leaf_hash(b"another"), index as u64, count, &proof, &root).is_err());
        prop_assert!(count == 1 || verify_inclusion(&leaves[index], (index as u64 + 1) % count, count, &proof, &root).is_err());
        let before = grown(&leaves[..first]).root();
        let Ok(proof) = consistency(first as u64, count, &mut |level, index| node(&leaves, level, index));
        prop_assert!(verify_consistency(first as u64, count, &before, &root, &proof).is_ok());
        prop_assert!(verify_consistency(first as u64, count, &leaf_hash(b"another"), &root, &proof).is_err());
        for step in 0..proof.len() {
            let mut changed = proof.clone();
            changed[step][0] ^= 1;
            prop_assert!(verify_consistency(first as u64, count, &before, &root, &changed).is_err());
        }
    }

    #[test]
    fn a_frontier_is_read_back_only_with_its_own_size(count in 0..70_u64) {
        let frontier = grown(&(0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect::<Vec<_>>());
        prop_assert_eq!(Frontier::parse(count, &frontier.bytes()), Some(frontier.clone()));
        prop_assert!(Frontier::parse(count, &[frontier.bytes(), vec![0; 32]].concat()).is_none());
    }
}
