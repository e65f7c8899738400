#![no_main]
//! What reads as an envelope is the very text that its parts make.
use gate::record::{Envelope, envelope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = Envelope::parse(bytes) {
        assert_eq!(envelope(&read.body, &read.signature, &read.keyid).as_bytes(), bytes);
    }
});
