#![no_main]
//! What reads as a record is one line, and is what gate would write for the same members.
use gate::record::{Body, canonical};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if Body::parse(bytes).is_ok() {
        assert!(bytes.iter().all(|byte| *byte >= b' '), "a record is more than one line");
        let value: serde_json::Value = serde_json::from_slice(bytes).expect("a record is JSON");
        assert_eq!(canonical(&value).ok().as_deref(), Some(bytes));
    }
});
