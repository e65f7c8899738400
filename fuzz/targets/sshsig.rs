#![no_main]
//! A signature that nobody made never holds, whatever its bytes say.
use gate::approval::Sshsig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(signature) = Sshsig::parse(text) {
        assert!(!signature.namespace().is_empty() && signature.namespace().is_ascii());
        assert!(signature.verify(b"a message that the fuzzer cannot sign").is_err());
    }
});
