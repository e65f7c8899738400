//! Passkeys that others make are read, and what is taken here is taken by others too.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::approval::{Assertion, Attesters, PasskeyKey, Registration, RelyingParty, Unproved, sha256};
use serde_json::{Value, json};

use crate::authenticator::{Attestation, Authenticator, Maker, PRESENT};
use crate::passkeys::{ada, party};

/// 2026-11-21.
const NOW: i64 = 1_795_226_400_000_000_000;
const NONCE: [u8; 16] = [4; 16];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a program that tests/all installs for says to this.
fn told(program: &str, arguments: &[&str], input: &Value) -> Value {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python(arguments: &[&str], input: &Value) -> Value {
    let python = root().join("target/python/bin/python");
    assert!(python.exists(), "tests/all makes target/python");
    let script = root().join("tests/python/passkeys.py");
    let arguments: Vec<&str> = [script.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
    told(python.to_str().unwrap(), &arguments, input)
}

fn bytes(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A registration and a use as `toJSON` of browsers gives them.
fn of_browser(made: &Value) -> Registration {
    let response = &made["response"];
    let (client_data, attestation_object) = (bytes(&response["clientDataJSON"]), bytes(&response["attestationObject"]));
    Registration { nonce: NONCE.to_vec(), client_data, attestation_object }
}

fn use_of_browser(used: &Value) -> Assertion {
    let response = &used["response"];
    Assertion {
        id: bytes(&used["id"]),
        client_data: bytes(&response["clientDataJSON"]),
        authenticator_data: bytes(&response["authenticatorData"]),
        signature: bytes(&response["signature"]),
    }
}

#[test]
fn passkeys_that_chromium_makes_and_uses_hold_for_what_they_were_asked() {
    let modules: PathBuf = root().join("target/browser/node_modules");
    let statements = [b"one statement".as_slice(), b"another"].map(sha256);
    let asked =
        json!({ "register": text(&Registration::challenge(&ada(), &NONCE)), "assert": statements.map(|challenge| text(&challenge)) });
    let script = root().join("tests/browser/passkey.mjs");
    let said = told("node", &[script.to_str().unwrap(), modules.to_str().unwrap()], &asked);
    let party = RelyingParty::new("localhost", said["origin"].as_str().unwrap()).unwrap();
    let verified = |made: &Value, attesters: &Attesters| of_browser(made).verify(&ada(), &party, attesters, NOW);

    let key: PasskeyKey = verified(&said["none"], &Attesters::default()).unwrap();
    let [first, second] = [0, 1].map(|at| use_of_browser(&said["uses"][at]));
    let counter = first.verify(&key, &party, &statements[0], Some(key.counter())).unwrap();
    assert!(second.verify(&key, &party, &statements[1], Some(counter)).unwrap() > counter);
    assert_eq!(first.verify(&key, &party, &statements[0], Some(counter)), Err(Unproved::Counter), "the same use again");
    assert_eq!(first.verify(&key, &party, &statements[1], None), Err(Unproved::Challenge), "the use for another statement");
    let elsewhere = RelyingParty::new("localhost", "http://localhost").unwrap();
    assert_eq!(first.verify(&key, &elsewhere, &statements[0], None), Err(Unproved::Origin));

    // The browser makes no use without verification where it is demanded; one without it proves nothing.
    assert_eq!(said["refused"], "NotAllowedError");
    let unverified = use_of_browser(&said["unverified"]);
    assert_eq!(unverified.verify(&key, &party, &statements[0], None), Err(Unproved::NotVerified));

    // Its batch certificate names no model, so it counts only where it is itself what is trusted.
    let object: ciborium::Value = ciborium::from_reader(of_browser(&said["direct"]).attestation_object.as_slice()).unwrap();
    let leaf = certificate(&object).unwrap();
    let trusted = Attesters { roots: vec![leaf], ..Attesters::default() };
    assert!(!verified(&said["direct"], &Attesters::default()).unwrap().is_hardware());
    assert!(verified(&said["direct"], &trusted).unwrap().is_hardware());
    let synced = verified(&said["synced"], &trusted).unwrap();
    assert!(!synced.is_hardware(), "its key is copied");
    assert!(use_of_browser(&said["synced_use"]).verify(&synced, &party, &statements[0], None).is_ok());
}

/// The first certificate of an attestation.
fn certificate(object: &ciborium::Value) -> Option<Vec<u8>> {
    let member = |map: &ciborium::Value, name: &str| {
        map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value.clone())
    };
    member(&member(object, "attStmt")?, "x5c")?.as_array()?.first()?.as_bytes().cloned()
}

#[test]
fn passkeys_of_every_kind_that_fido2_makes_hold() {
    let challenge = sha256(b"statement");
    let register = text(&Registration::challenge(&ada(), &NONCE));
    let made = python(&["make", "https://gate.test", &register, &text(&challenge)], &Value::Null);
    assert_eq!(made.as_array().unwrap().len(), 6);
    for one in made.as_array().unwrap() {
        let (client_data, attestation_object) = (bytes(&one["client_data"]), bytes(&one["attestation_object"]));
        let registration = Registration { nonce: NONCE.to_vec(), client_data, attestation_object };
        let key = registration.verify(&ada(), &party(), &Attesters::default(), NOW).unwrap();
        let part = |name: &str| bytes(&one["use"][name]);
        let assertion = Assertion {
            id: part("id"),
            client_data: part("client_data"),
            authenticator_data: part("authenticator_data"),
            signature: part("signature"),
        };
        assert_eq!(assertion.verify(&key, &party(), &challenge, Some(0)), Ok(0));
        assert_eq!(assertion.verify(&key, &party(), &sha256(b"other"), Some(0)), Err(Unproved::Challenge));
    }
}

#[test]
fn what_is_taken_here_is_taken_by_fido2_and_what_it_refuses_is_refused_here() {
    let maker = Maker::usual();
    let (mut cases, mut taken) = (Vec::new(), Vec::new());
    for mut authenticator in [Authenticator::new(1), Authenticator::ed25519(2)] {
        let registered = authenticator.register(&ada(), &Attestation::None);
        let key = registered.verify(&ada(), &party(), &Attesters::default(), NOW).unwrap();
        let mut case = |assertion: &Assertion, good: bool| {
            taken.push((assertion.verify(&key, &party(), &sha256(b"statement"), None).is_ok(), good));
            cases.push(json!({
                "party": "gate.test",
                "origin": "https://gate.test",
                "challenge": text(&sha256(b"statement")),
                "registered": text(&registered.attestation_object),
                "id": text(&assertion.id),
                "client_data": text(&assertion.client_data),
                "authenticator_data": text(&assertion.authenticator_data),
                "signature": text(&assertion.signature),
            }));
        };
        let good = authenticator.assert(b"statement");
        case(&good, true);
        for bit in 0..8 {
            for part in 0..3 {
                let mut changed = good.clone();
                let bytes = [&mut changed.client_data, &mut changed.authenticator_data, &mut changed.signature];
                let bytes = bytes.into_iter().nth(part).unwrap();
                let at = (bytes.len() - 1) * bit / 8;
                bytes[at] ^= 1 << bit;
                case(&changed, false);
            }
        }
        authenticator.flags = PRESENT;
        case(&authenticator.assert(b"statement"), false);
        authenticator.origin = "https://evil.test".into();
        case(&authenticator.assert(b"statement"), false);
    }
    for attestation in [Attestation::None, Attestation::Itself, Attestation::By(&maker)] {
        let authenticator = Authenticator::new(1);
        let registration = authenticator.register(&ada(), &attestation);
        taken.push((registration.verify(&ada(), &party(), &Attesters::default(), NOW).is_ok(), true));
        cases.push(json!({
            "party": "gate.test",
            "origin": "https://gate.test",
            "challenge": text(&Registration::challenge(&ada(), &registration.nonce)),
            "id": text(&authenticator.id),
            "client_data": text(&registration.client_data),
            "attestation_object": text(&registration.attestation_object),
        }));
    }
    let theirs = python(&["judge"], &Value::Array(cases));
    for (at, (ours, good)) in taken.iter().enumerate() {
        assert_eq!(ours, good, "case {at}");
        assert!(!ours || theirs[at] == true, "case {at} is taken here alone");
        assert!(theirs[at] == true || !good, "case {at}");
    }
}
