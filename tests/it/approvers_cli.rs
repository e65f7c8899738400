//! `gate approvers` with real keys in a real ssh-agent, OpenSSH's own security key among them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::approval::{ApproversFile, Assertion, sha256};
use gate::text::{hex, unhex};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::approvers::bob;
use crate::authenticator::{Attestation, Authenticator};
use crate::sshsig::keygen;
use crate::world::{Ran, World};

const ISSUER: &str = "https://id.test";

fn file(world: &World) -> PathBuf {
    world.config().join("approvers.json")
}

fn approvers(world: &World, line: &[&str]) -> Ran {
    world.run(["approvers"].iter().chain(line))
}

fn done(world: &World, line: &[&str]) -> String {
    let ran = approvers(world, line);
    assert_eq!(ran.code(), 0, "{ran}");
    ran.out()
}

fn shown(world: &World) -> Value {
    serde_json::from_str(&done(world, &["show", "--json"])).unwrap()
}

fn fingerprint(world: &World, name: &str) -> String {
    let shown = world.bare(["ssh-keygen", "-l", "-f", &format!("{name}.pub")]).out();
    shown.split(' ').nth(1).unwrap().to_owned()
}

/// A world with Ada's key in the agent.
fn with_agent() -> (World, Agent) {
    let world = World::new();
    let agent = Agent::start(&world);
    let world = world.env("SSH_AUTH_SOCK", &agent.socket);
    keygen(&world, "ada", &["ed25519"]);
    agent.add(&world, "ada");
    (world, agent)
}

/// The same with Ada enrolled, and the party of passkeys set.
fn begun() -> (World, Agent) {
    let (world, agent) = with_agent();
    let party = ["--party", "gate.test", "--origin", "https://gate.test"];
    done(&world, &[["add", ISSUER, "ada", "--name", "Ada L.", "--ssh-key", "ada.pub"].as_slice(), &party].concat());
    done(&world, &["sign"]);
    (world, agent)
}

#[test]
fn the_first_enrols_itself_the_second_is_signed_by_the_first_and_the_third_by_two() {
    let (world, agent) = with_agent();
    let out = done(&world, &["add", ISSUER, "ada", "--name", "Ada L.", "--ssh-key", "ada.pub"]);
    assert!(
        out.starts_with(
            "waits for signatures of 1 person; signed by nobody yet\n  add to ada at https://id.test (Ada L.): SSH key SHA256:"
        ),
        "{out}"
    );
    assert!(done(&world, &["sign"]).ends_with("the change counts now\n"));
    for (name, kind) in [("bob", &["ecdsa", "-b", "256"][..]), ("eve", &["rsa", "-b", "3072"])] {
        keygen(&world, name, kind);
        agent.add(&world, name);
    }
    done(&world, &["add", ISSUER, "bob", "--ssh-key", "bob.pub"]);
    done(&world, &["sign"]);
    done(&world, &["add", ISSUER, "eve", "--ssh-key", "eve.pub"]);
    let ran = approvers(&world, &["sign"]);
    assert!(ran.code() == 64 && ran.err().contains("several keys that may sign; name one with `--key`"), "{ran}");
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| fingerprint(&world, name));
    let out = done(&world, &["sign", "--key", &ada]);
    assert!(out.contains("waits for signatures of 2 people; signed by ada at https://id.test\n"), "{out}");
    let ran = approvers(&world, &["sign", "--key", &ada]);
    assert!(ran.code() == 78 && ran.err().contains("they signed it already"), "{ran}");
    let ran = approvers(&world, &["sign", "--key", &eve]);
    assert!(ran.code() == 78 && ran.err().contains("nobody is enrolled with the key"), "{ran}");
    let ran = approvers(&world, &["remove", ISSUER, "bob", &bob]);
    assert!(ran.code() == 78 && ran.err().contains("a change has signatures already"), "{ran}");
    assert!(done(&world, &["sign", "--key", &bob]).ends_with("the change counts now\n"));

    let all = shown(&world);
    let people: Vec<&Value> = all["keys"].as_array().unwrap().iter().map(|key| &key["subject"]).collect();
    assert_eq!(people, ["ada", "bob", "eve"]);
    assert_eq!(all["keys"][0]["assurance"], "second-person");
    assert_eq!(all["keys"][2]["signed_by"], json!([{ "issuer": ISSUER, "subject": "ada" }, { "issuer": ISSUER, "subject": "bob" }]));
    let words = done(&world, &["show"]);
    assert!(words.contains("ada at https://id.test (Ada L.)\n") && words.contains("  signed by ada at https://id.test and bob"), "{words}");
    assert!(words.contains(&format!("3 changes, the last one {}", all["head"].as_str().unwrap())), "{words}");
    assert_eq!(fs::metadata(file(&world)).unwrap().permissions().mode() & 0o777, 0o644, "everybody may read whom they may ask");

    done(&world, &["remove", ISSUER, "bob", &bob]);
    done(&world, &["sign", "--key", &ada]);
    done(&world, &["sign", "--key", &eve]);
    assert!(shown(&world)["keys"][1]["until"].is_string());
    done(&world, &["add", ISSUER, "bob", "--ssh-key", "bob.pub"]);
    let ran = approvers(&world, &["sign", "--key", &bob]);
    assert!(ran.code() == 78 && ran.err().contains("the key was not enrolled at that time"), "{ran}");
}

#[test]
fn a_passkey_of_the_servers_page_is_enrolled_and_signs() {
    let (world, _agent) = begun();
    let key = Authenticator::new(7);
    let registration = key.register(&bob(), &Attestation::None);
    fs::write(world.work().join("registration"), registration.to_json().to_string()).unwrap();
    let ran = approvers(&world, &["add", ISSUER, "mallory", "--registration", "registration"]);
    assert!(ran.code() == 78 && ran.err().contains("the passkey answered another challenge"), "{ran}");
    let told = done(&world, &["add", ISSUER, "bob", "--registration", "registration"]);
    done(&world, &["sign"]);
    assert_eq!(shown(&world)["keys"][1]["assurance"], "passkey");
    let line = format!("add to bob at https://id.test: passkey {}, up to passkey", shown(&world)["keys"][1]["key"].as_str().unwrap());
    assert!(told.contains(&line), "who signs has to know which passkey: {told}");

    keygen(&world, "eve", &["ed25519"]);
    done(&world, &["add", ISSUER, "eve", "--ssh-key", "eve.pub"]);
    let pending = shown(&world)["pending"]["sha256"].as_str().unwrap().to_owned();
    let uses = |challenge: &[u8]| {
        let Assertion { id, client_data, authenticator_data, signature } = key.assert_as("webauthn.get", challenge, key.used());
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let used = json!({ "id": text(&id), "client_data": text(&client_data), "authenticator_data": text(&authenticator_data), "signature": text(&signature) });
        fs::write(world.work().join("use"), used.to_string()).unwrap();
    };
    uses(&sha256(b"something else"));
    let ran = approvers(&world, &["sign", "--webauthn", "use"]);
    assert!(ran.code() == 78 && ran.err().contains("the passkey answered another challenge"), "{ran}");
    uses(&unhex(&pending).unwrap());
    done(&world, &["sign", "--webauthn", "use"]);
    assert!(done(&world, &["sign"]).ends_with("the change counts now\n"));
    let read = ApproversFile::parse(&fs::read(file(&world)).unwrap()).unwrap();
    assert_eq!(hex(read.approvers().head().unwrap()), pending);
}

#[test]
fn a_security_key_of_openssh_signs_when_it_is_touched_and_not_without() {
    let dummy = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sk-dummy/sk-dummy.so");
    assert!(dummy.exists(), "tests/all builds it");
    let world = World::new();
    let provider = world.work().join("sk-dummy.so");
    fs::copy(dummy, &provider).unwrap();
    let agent = Agent::start_with(&world, &format!("-P '{}/*'", world.work().display()));
    let world = world.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_SK_PROVIDER", &provider);
    keygen(&world, "touched", &["ed25519-sk"]);
    keygen(&world, "untouched", &["ed25519-sk", "-O", "no-touch-required"]);
    agent.add(&world, "touched untouched");
    let [touched, untouched] = ["touched", "untouched"].map(|name| fingerprint(&world, name));
    done(&world, &["add", ISSUER, "ada", "--ssh-key", "untouched.pub"]);
    let ran = approvers(&world, &["sign", "--key", &untouched]);
    assert!(ran.code() == 78 && ran.err().contains("a signature does not count: nobody touched the security key"), "{ran}");
    assert_eq!(shown(&world)["changes"], 0);
    done(&world, &["add", ISSUER, "ada", "--ssh-key", "touched.pub"]);
    done(&world, &["sign", "--key", &touched]);
    assert_eq!(shown(&world)["keys"][0]["assurance"], "hardware");
}

#[test]
fn a_file_that_others_may_write_or_that_does_not_hold_names_nobody() {
    let (world, _agent) = begun();
    let whole = fs::read_to_string(file(&world)).unwrap();
    fs::write(file(&world), whole.replace("\"subject\": \"ada\"", "\"subject\": \"eve\"")).unwrap();
    let ran = approvers(&world, &["show"]);
    assert!(ran.code() == 78 && ran.err().contains("change 1: a signature does not count: the signature does not hold"), "{ran}");
    let doctor = world.run(["doctor"]);
    assert!(doctor.code() == 1 && doctor.out().contains("wrong approvers   "), "{doctor}");
    fs::write(file(&world), &whole).unwrap();
    let doctor = world.run(["doctor"]);
    assert!(doctor.out().contains("ok    approvers   ") && doctor.out().contains("1 changes verified, 1 keys"), "{doctor}");
    assert_eq!(approvers(&world, &["show"]).code(), 0);
    crate::world::set_mode(&file(&world), 0o666);
    let ran = approvers(&world, &["show"]);
    assert!(ran.code() == 78 && ran.err().contains("approvers.json"), "{ran}");
    crate::world::set_mode(&file(&world), 0o644);

    let ran = approvers(&world, &["--file", "elsewhere.json", "sign"]);
    assert!(ran.code() == 78 && ran.err().contains("there is no `") && ran.err().contains("/elsewhere.json`"), "{ran}");
    let ran = approvers(&world, &["sign"]);
    assert!(ran.code() == 78 && ran.err().contains("no change waits for signatures"), "{ran}");
    for line in [&["add", ISSUER, "x", "--ssh-key", "ada"][..], &["add", ISSUER, "x", "--registration", "ada.pub"], &["party"]] {
        let ran = approvers(&world, line);
        assert!(ran.code() == 64, "{line:?}: {ran}");
    }
    let ran = approvers(&world, &["party", "--party", "gate.test", "--origin", "http://gate.test"]);
    assert!(ran.code() == 64 && ran.err().contains("no domain with an origin of its own"), "{ran}");
}

#[test]
fn what_a_name_holds_never_reaches_the_terminal_as_it_is() {
    let (world, _agent) = begun();
    keygen(&world, "other", &["ed25519"]);
    let ran = approvers(&world, &["add", ISSUER, "mallory\u{202e}", "--name", "\u{1b}[2J", "--ssh-key", "other.pub"]);
    assert_eq!(ran.code(), 0, "{ran}");
    done(&world, &["sign"]);
    for out in [ran.out(), done(&world, &["show"]), done(&world, &["show", "--json"])] {
        assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}'), "{out}");
    }
    let ran = approvers(&world, &["add", ISSUER, "a\nb", "--ssh-key", "ada.pub"]);
    assert_eq!(ran.code(), 78, "{ran}");
}
