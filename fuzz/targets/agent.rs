#![no_main]
//! Whatever answers as ssh-agent: it lists no more than it sent, and gives no signature that does not hold.
use gate::key::PublicKey;
use gate::key::agent::{listed, signed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(keys) = listed(bytes) {
        assert!(keys.len() * 51 <= bytes.len());
    }
    // The key of RFC 8032's first test vector, over a message that the fuzzer cannot sign.
    let key = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23,
        0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    assert!(signed(bytes, &PublicKey(key), b"a checkpoint").is_err());
});
