#![no_main]
//! Whatever stands in a calendar, reading it ends, in an event or in words.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for second in [0, 1_790_000_000] {
        let _ = gate::policy::calendar::in_force(bytes, jiff::Timestamp::from_second(second).unwrap());
    }
});
