//! Bundles: an auditor verifies them with stock tools by the page inside, and gate finds whatever is changed in one.

use std::fs;
use std::path::Path;
use std::process::Command;

use gate::audit::{Check, Signatures, check_bundle};
use gate::record::{Kind, hex, ustar};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::log::{allowed, at, draft, filled, id, open};
use crate::proofs::{countersign, log_key};
use crate::world::{Ran, World, must};

/// A file of a bundle: its name and what it holds.
pub type File = (String, Vec<u8>);

/// Makes a bundle in the working directory.
pub fn bundled(world: &World, name: &str, more: &[&str]) -> Vec<u8> {
    let ran = world.run(["audit", "bundle", name].iter().chain(more));
    assert_eq!(ran.code(), 0, "{ran}");
    fs::read(world.work().join(name)).unwrap()
}

fn verify(world: &World, name: &str) -> Ran {
    world.run(["audit", "verify", "--local", "--bundle", name])
}

/// What a check in this process comes to: nothing where the bundle is void, else how many things are wrong.
fn wrong(bytes: &[u8]) -> Option<u64> {
    let check = Check { signatures: Signatures::All, ..Check::default() };
    check_bundle(Path::new("bundle"), &mut &*bytes, &check).ok().map(|found| found.report.wrong)
}

pub fn files(archive: &[u8]) -> Vec<File> {
    let mut found = Vec::new();
    let mut rest = archive;
    while let Some((name, length)) = ustar::parse(rest[..ustar::BLOCK].try_into().unwrap()) {
        let length = usize::try_from(length).unwrap();
        found.push((name.to_owned(), rest[ustar::BLOCK..ustar::BLOCK + length].to_vec()));
        rest = &rest[ustar::BLOCK + length + ustar::padding(length as u64)..];
    }
    found
}

fn archive(files: &[File]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, contents) in files {
        bytes.extend(ustar::header(name, contents.len() as u64).unwrap());
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len() + ustar::padding(contents.len() as u64), 0);
    }
    bytes.extend(ustar::END);
    bytes
}

/// The same files with a `SHA256SUMS` that fits, as somebody makes it who changed them.
pub fn summed(files: &[File]) -> Vec<u8> {
    let mut files: Vec<File> = files.iter().filter(|(name, _)| name != "SHA256SUMS").cloned().collect();
    let summed = files.iter().filter(|(name, _)| !name.starts_with("entries/"));
    let line = |(name, bytes): &File| format!("{}  {name}\n", hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()));
    let sums: String = summed.map(line).collect();
    files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    archive(&files)
}

/// The shell blocks of a bundle's own page, one after the other.
pub fn blocks(readme: &str) -> Vec<String> {
    readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Unpacks a bundle and does what its page says; gives the first block that does not end with 0.
pub fn by_the_page(world: &World, files: &[File], page: &str) -> Option<(String, Ran)> {
    run_blocks(world, files, &blocks(page))
}

pub fn run_blocks(world: &World, files: &[File], blocks: &[String]) -> Option<(String, Ran)> {
    let directory = world.root().join("unpacked");
    let _ = fs::remove_dir_all(&directory);
    for (name, contents) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/go");
    for block in blocks {
        let mut command = world.command("sh", ["-euc", block]);
        command.current_dir(&directory).env("GOCACHE", &cache);
        let ran = world.finish(command);
        if ran.code() != 0 {
            return Some((block.clone(), ran));
        }
    }
    None
}

/// A log with an approval that was signed with an SSH key, as OpenSSH makes it, and that key's line.
fn approved(world: &World, number: u64) -> String {
    let key = world.root().join("key");
    if !key.exists() {
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key));
    }
    let log = log_key(world).split('+').next().unwrap().to_owned();
    let statement = json!({
        "answer": "approve", "approver": { "issuer": "ssh", "subject": "grace@example.com" }, "at": "1", "digest": "ab".repeat(32), "log": log,
        "request": id(number).to_string(), "v": 1,
    });
    let statement = statement.to_string();
    let signed = world.root().join("statement");
    fs::write(&signed, &statement).unwrap();
    must(Command::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", "approval@gate", "-f"]).arg(&key).arg(&signed));
    let sshsig = fs::read_to_string(world.root().join("statement.sig")).unwrap();
    fs::remove_file(world.root().join("statement.sig")).unwrap();
    let statement = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, statement);
    let approver = json!({ "subject": "grace@example.com", "evidence": { "sshsig": sshsig, "statement": statement } });
    let decision = json!({ "effect": "ask", "result": "approved", "approvers": [approver] });
    let fields = json!({ "actor": { "uid": 1000, "user": "ada" }, "decision": decision, "digest": "ab".repeat(32) });
    open(world).unwrap().append(&[draft(Kind::Decision, number, fields)], at(number)).unwrap();
    format!("grace@example.com namespaces=\"approval@gate\" {}", fs::read_to_string(key.with_extension("pub")).unwrap())
}

#[test]
fn an_auditor_verifies_a_bundle_by_its_page_with_stock_tools() {
    let world = World::new();
    filled(&world, 3);
    countersign(&world);
    let signers = approved(&world, 600);
    filled(&world, 2);
    let world = world.file("home/work/signers", signers).file("home/work/policy", "log x\n");
    let whole = files(&bundled(&world, "all.tar", &["--allowed-signers", "signers", "--policy", "policy"]));
    let page = String::from_utf8(whole[0].1.clone()).unwrap();
    for tool in ["sha256sum", "jq", "ssh-keygen", "go run"] {
        assert!(blocks(&page).iter().any(|block| block.contains(tool)), "the page does without {tool}");
    }
    if let Some((block, ran)) = by_the_page(&world, &whole, &page) {
        panic!("{block}\n{ran}");
    }
    let ran = verify(&world, "all.tar");
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("sound: 17 of the log's 17 entries as they were written, 17 signatures checked\n"), "{ran}");
    assert!(ran.out().contains("holds a countersigned checkpoint of 10 entries\n"), "{ran}");

    // The same tools find an approval by somebody else, even where the record itself is sound.
    let signers = whole.iter().position(|(name, _)| name == "allowed_signers").unwrap();
    let mut changed = whole.clone();
    changed[signers].1 = b"grace@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n".to_vec();
    let (block, ran) = by_the_page(&world, &files(&summed(&changed)), &page).expect("another key approves");
    assert!(block.contains("ssh-keygen"), "{block}\n{ran}");
}

#[test]
fn a_bundle_of_several_tiles_holds_for_gate_and_for_go() {
    let world = World::new();
    filled(&world, 85);
    countersign(&world);
    filled(&world, 90);
    let whole = files(&bundled(&world, "all.tar", &[]));
    for tile in ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/14", "tile/0/001", "tile/1/000.p/2", "checkpoints/256"] {
        assert!(whole.iter().any(|(name, _)| name == tile), "{tile}");
    }
    let ran = verify(&world, "all.tar");
    assert_eq!(ran.code(), 0, "{ran}");
    let blocks = blocks(std::str::from_utf8(&whole[0].1).unwrap());
    let fast: Vec<String> = blocks.into_iter().filter(|block| block.contains("--check") || block.contains("go run")).collect();
    if let Some((block, ran)) = run_blocks(&world, &whole, &fast) {
        panic!("{block}\n{ran}");
    }
    // A hash in the middle of the tree, and a list that fits again.
    let tile = whole.iter().position(|(name, _)| name == "tile/1/000.p/2").unwrap();
    let mut changed = whole.clone();
    changed[tile].1[40] ^= 1;
    assert_eq!(wrong(&summed(&changed)), None);
    let (block, ran) = run_blocks(&world, &files(&summed(&changed)), &fast).expect("the tree is another one");
    assert!(block.contains("go run"), "{block}\n{ran}");
}

#[test]
fn a_part_of_a_log_is_verified_the_same_way_and_holds_no_other_entry() {
    let world = World::new();
    filled(&world, 30);
    countersign(&world);
    filled(&world, 240);
    let part = bundled(&world, "part.tar", &["--from", "300", "--to", "303"]);
    let found = files(&part);
    let entries: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).filter(|name| name.strip_suffix(".json").is_some()).collect();
    assert_eq!(entries, ["0", "300", "301", "302", "303"].map(|seq| format!("entries/{seq}.json")));
    assert!(!found.iter().any(|(name, _)| name.starts_with("tile/entries/")), "entries stand together with others");
    let tiles: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("tile/")).collect();
    assert_eq!(tiles, ["tile/0/000", "tile/0/001", "tile/0/003.p/43", "tile/1/000.p/3"]);
    let ran = verify(&world, "part.tar");
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("sound: 5 of the log's 811 entries") && ran.out().contains("holds entries 0, 300-303\n"), "{ran}");
    if let Some((block, ran)) = by_the_page(&world, &found, std::str::from_utf8(&found[0].1).unwrap()) {
        panic!("{block}\n{ran}");
    }
    assert_eq!(bundled(&world, "again.tar", &["--from", "300", "--to", "303"]), part, "the same log gives the same bytes");
    let since = bundled(&world, "since.tar", &["--since", "2026-11-21T02:03:58Z"]);
    assert!(files(&since).iter().any(|(name, _)| name == "entries/810.json"));
    assert!(!files(&since).iter().any(|(name, _)| name == "entries/300.json"));
    for refused in [["--from", "811"], ["--since", "2027-01-01"]] {
        let ran = world.run(["audit", "bundle", "none.tar"].iter().chain(&refused));
        assert_eq!(ran.code(), 2, "{ran}");
        assert!(!world.work().join("none.tar").exists());
    }
    assert_eq!(world.run(["audit", "bundle", "part.tar"]).code(), 2, "a file that is there stays as it is");
    assert_eq!(fs::read(world.work().join("part.tar")).unwrap(), part);
}

#[test]
fn a_checkpoint_kept_elsewhere_anchors_a_bundle_or_shows_that_it_is_older() {
    let world = World::new();
    filled(&world, 2);
    fs::write(world.work().join("early"), world.run(["audit", "checkpoint"]).stdout).unwrap();
    filled(&world, 2);
    bundled(&world, "b.tar", &[]);
    filled(&world, 1);
    fs::write(world.work().join("late"), world.run(["audit", "checkpoint"]).stdout).unwrap();
    let against = |kept: &str| world.run(["audit", "verify", "--bundle", "b.tar", "--against", kept]);
    assert_eq!(world.run(["audit", "verify", "--bundle", "b.tar"]).code(), 3);
    let ran = against("early");
    assert_eq!(ran.code(), 0, "{ran}");
    assert!(ran.out().contains("vouches for the first 7 entries"), "{ran}");
    let ran = against("late");
    assert_eq!(ran.code(), 1, "{ran}");
    let ran = world.run(["audit", "verify", "--bundle", "b.tar", "--json", "--against", "early"]);
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((said["assurance"].as_str(), said["held"][0][1].as_u64()), (Some("anchored"), Some(12)));
    let other = World::new();
    filled(&other, 2);
    fs::write(world.work().join("foreign"), other.run(["audit", "checkpoint"]).stdout).unwrap();
    assert_eq!(against("foreign").code(), 1);
}

#[test]
fn a_byte_changed_in_any_file_makes_the_page_fail() {
    let world = World::new();
    filled(&world, 1);
    countersign(&world);
    filled(&world, 1);
    let whole = files(&bundled(&world, "b.tar", &[]));
    let page = String::from_utf8(whole[0].1.clone()).unwrap();
    for (number, (name, contents)) in whole.iter().enumerate() {
        let mut changed = whole.clone();
        let place = contents.len() * (number + 1) / (whole.len() + 1);
        changed[number].1[place] ^= 1;
        assert!(by_the_page(&world, &changed, &page).is_some(), "byte {place} of {name} may be changed");
        assert_ne!(wrong(&archive(&changed)), Some(0), "byte {place} of {name} may be changed");
    }
}

/// One small bundle for all cases of a test.
fn small() -> &'static [u8] {
    static BUNDLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BUNDLE.get_or_init(|| {
        let world = World::new();
        filled(&world, 1);
        countersign(&world);
        filled(&world, 1);
        bundled(&world, "b.tar", &[])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn a_byte_changed_anywhere_in_a_bundle_is_found(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = small().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_ne!(wrong(&bytes), Some(0), "byte {}", at);
    }

    #[test]
    fn a_bundle_that_is_cut_or_goes_on_is_void(at in any::<prop::sample::Index>(), more in 1..2000_usize) {
        let whole = small();
        prop_assert_eq!(wrong(&whole[..at.index(whole.len())]), None);
        let mut longer = whole.to_vec();
        longer.resize(whole.len() + more, 0);
        prop_assert_eq!(wrong(&longer), None);
    }
}

#[test]
fn what_somebody_puts_together_anew_is_found() {
    assert_eq!(wrong(small()), Some(0));
    let whole = files(small());
    assert_eq!(wrong(&summed(&whole)), Some(0), "these tests write bundles as gate does");
    for (name, _) in &whole {
        let without: Vec<File> = whole.iter().filter(|(other, _)| other != name).cloned().collect();
        let expected = name.starts_with("checkpoints/");
        assert_eq!(wrong(&summed(&without)) == Some(0), expected || name == "SHA256SUMS", "without {name}");
    }
    // An entry may be left out with its envelope, and is then not called held; with the one that names the keys that is wrong.
    let without = |seq: &str| {
        let left = |name: &str| !name.starts_with(&format!("entries/{seq}.")) && !name.starts_with("tile/entries/");
        summed(&whole.iter().filter(|(name, _)| left(name)).cloned().collect::<Vec<_>>())
    };
    let check = Check::default();
    let found = check_bundle(Path::new("b"), &mut &*without("3"), &check).unwrap();
    assert_eq!((found.report.wrong, found.held), (0, vec![(0, 2), (4, 6)]));
    assert_eq!(wrong(&without("0")), Some(1));
    for changes in
        [[("allowed", "ALLOWED"), ("", "")], [("\"seq\":3", "\"seq\":4"), ("", "")], [("gate.test/host", "gate.test/hosT"), ("", "")]]
    {
        let mut changed = whole.clone();
        for (name, contents) in changed.iter_mut().filter(|(name, _)| name.strip_suffix(".json").is_some()) {
            let text = String::from_utf8(contents.clone()).unwrap();
            let text = changes.iter().fold(text, |text, (from, to)| if from.is_empty() { text } else { text.replace(from, to) });
            *contents = text.into_bytes();
            assert!(!name.is_empty());
        }
        assert_ne!(wrong(&summed(&changed)), Some(0), "{changes:?}");
    }
    // Signed by another key that stands in the bundle instead.
    let other = World::new();
    filled(&other, 1);
    let foreign = files(&bundled(&other, "other.tar", &[]));
    for name in ["keys/log.vkey", "keys/record-0.vkey", "checkpoint", "tile/0/000.p/7"] {
        let mut changed = whole.clone();
        let place = changed.iter().position(|(other, _)| other == name).unwrap();
        let Some((_, contents)) = foreign.iter().find(|(other, _)| other.split('.').next() == name.split('.').next()) else { continue };
        changed[place].1.clone_from(contents);
        assert_ne!(wrong(&summed(&changed)), Some(0), "{name} of another log");
    }
}

#[test]
fn a_hostile_archive_is_refused_and_leaves_nothing_behind() {
    let world = World::new();
    let make =
        world.file("home/work/tree/README.md", "x").file("home/work/tree/checkpoint", "x").file("home/work/tree/entries/0.json", "{}");
    let tar = |args: &str| make.sh(&format!("cd tree && tar -cf ../hostile.tar --owner=0 --group=0 --mtime=@0 --mode=0644 {args}"));
    let refused = |what: &str| {
        let before = make.sh("find ../.. | sort").out();
        let ran = verify(&make, "hostile.tar");
        assert!([1, 2].contains(&ran.code()), "{what}: {ran}");
        assert!(!ran.out().contains('\u{1b}') && !ran.err().contains('\u{1b}'), "{what}");
        assert_eq!(make.sh("find ../.. | sort").out(), before, "{what} left something");
    };
    for args in [
        "README.md",
        "--format=ustar README.md",
        "--format=ustar README.md README.md",
        "--format=ustar --transform='s,README.md,../../escaped,' README.md",
        "--format=ustar -P --transform='s,README.md,/tmp/escaped,' README.md",
        "--format=ustar --transform='s,README.md,entries/\u{1b}[31mred,' README.md",
        "--format=pax README.md checkpoint",
        "--format=gnu --transform='s,README.md,very/long/name/very/long/name/very/long/name/very/long/name/very/long/name/very/long/name/very/long,' README.md",
        "--format=ustar .",
    ] {
        tar(args);
        refused(args);
    }
    make.sh("cd tree && rm -f README.md && ln -s /etc/passwd README.md && tar -cf ../hostile.tar --format=ustar README.md");
    refused("a link");
    let mut bytes = small().to_vec();
    bytes[124..135].copy_from_slice(b"77777777777");
    fs::write(make.work().join("hostile.tar"), &bytes).unwrap();
    refused("a length that is not there");
    for (name, length) in [("README.md", (1 << 33) - 1), ("entries/0.json", 1 << 30)] {
        fs::write(make.work().join("hostile.tar"), ustar::header(name, length).unwrap()).unwrap();
        refused("a header alone");
    }
    for bytes in [b"".as_slice(), b"nothing", &[0; 1024], &[0; 10240], &[0xff; 5000]] {
        fs::write(make.work().join("hostile.tar"), bytes).unwrap();
        refused("no archive");
    }
    assert_eq!(verify(&make, "nowhere.tar").code(), 2);
    assert_eq!(verify(&make, ".").code(), 2);
}

#[test]
fn a_log_that_was_changed_makes_no_bundle() {
    let world = World::new();
    filled(&world, 2);
    crate::log::database(&world).execute_batch("UPDATE entry SET body=CAST(replace(body,'allowed','denied') AS BLOB) WHERE seq=4").unwrap();
    let ran = world.run(["audit", "bundle", "b.tar"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.err().contains("entry 4"), "{ran}");
    assert!(!world.work().join("b.tar").exists());
}

#[test]
fn other_readers_of_envelopes_and_canonical_json_agree() {
    let world = World::new();
    filled(&world, 3);
    let odd = json!({ "argv": ["printf", "\u{1b}[2J\u{202e}\"\\\u{7f}\u{e000}\u{10ffff}", { "b64": "/w==" }, ""], "program": "printf" });
    open(&world).unwrap().append(&[draft(Kind::Request, 50, json!({ "cmd": odd }))], at(9)).unwrap();
    let [decision, start, _] = allowed(51, "kubectl", 0);
    open(&world).unwrap().append(&[decision, start], at(10)).unwrap();
    bundled(&world, "b.tar", &[]);
    world.sh("mkdir unpacked && tar -xf b.tar -C unpacked");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "tests/all makes target/python");
    let ran = Command::new(python).arg(root.join("tests/python/envelopes.py")).arg(world.work().join("unpacked")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "13 envelopes hold\n");
}
