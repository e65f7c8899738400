#![no_main]
//! Whatever answers as an authenticator: a registration that nobody vouches for is no hardware, and no use holds that was not signed.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::approval::{Approver, Assertion, Attesters, Registration, RelyingParty, sha256};
use libfuzzer_sys::fuzz_target;

/// `clientDataJSON` that asks for this.
fn client_data(purpose: &str, challenge: &[u8; 32]) -> Vec<u8> {
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    format!(r#"{{"type":"{purpose}","challenge":"{challenge}","origin":"https://gate.test"}}"#).into_bytes()
}

/// The least that a passkey can say when it is made: the form `none`, and a key on P-256.
fn made() -> Vec<u8> {
    let key = [[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20].as_slice(), &[7; 32], &[0x22, 0x58, 0x20], &[9; 32]].concat();
    let data = [sha256(b"gate.test").as_slice(), &[0x45, 0, 0, 0, 1], &[0; 16], &[0, 16], &[3; 16], &key].concat();
    let length = u8::try_from(data.len()).unwrap_or_default();
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[length], &data].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let ada = Approver { issuer: "https://id.test".into(), subject: "ada".into() };
    let Some(party) = RelyingParty::new("gate.test", "https://gate.test") else { return };
    let nonce = vec![3; 16];
    let said = client_data("webauthn.create", &Registration::challenge(&ada, &nonce));
    let registration = |object: &[u8]| Registration { nonce: nonce.clone(), client_data: said.clone(), attestation_object: object.to_vec() };
    let verified = |object: &[u8]| registration(object).verify(&ada, &party, &Attesters::default(), 1_795_226_400_000_000_000);
    if let Ok(key) = verified(bytes) {
        assert!(!key.is_hardware() && bytes.windows(key.id().len()).any(|part| part == key.id()));
    }
    let Ok(key) = verified(&made()) else { panic!("the least is not read") };
    let challenge = sha256(b"a statement that the fuzzer cannot sign");
    let (authenticator_data, signature) = bytes.split_at(bytes.len().min(usize::from(bytes.first().copied().unwrap_or_default())));
    let part = |bytes: &[u8]| bytes.to_vec();
    for (client_data, authenticator_data) in
        [(client_data("webauthn.get", &challenge), part(authenticator_data)), (part(bytes), part(authenticator_data))]
    {
        let used = Assertion { id: key.id().to_vec(), client_data, authenticator_data, signature: part(signature) };
        assert!(used.verify(&key, &party, &challenge, None).is_err());
    }
});
