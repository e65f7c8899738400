#![no_main]
//! A file of allowed signers, and after a zero byte a signature: reading ends soon and vouches for nothing that was not signed.
use gate::approval::{AllowedSigners, NAMESPACE, Wanted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (file, armored) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(allowed) = AllowedSigners::parse(file) {
        let wanted = Wanted { identity: "ada@example.com", namespace: NAMESPACE, at: 1_795_226_400_000_000_000, user_verified: false };
        assert!(allowed.vouch(&wanted, b"a message that the fuzzer cannot sign", armored).is_err());
    }
});
