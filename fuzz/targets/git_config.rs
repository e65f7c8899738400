#![no_main]
//! Whatever stands in a git configuration, reading it ends, in entries or in words.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = gate::sys::target::git_config::parse(bytes);
});
