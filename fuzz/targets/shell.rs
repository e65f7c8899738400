#![no_main]
//! No script makes the readers panic, and what the strict one calls static holds at least one command and nothing that it could not know.
use gate::shell::{Script, Shell, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    for shell in [Shell::Posix, Shell::Bash] {
        if let Script::Static(commands) = read(script, shell) {
            assert!(!commands.is_empty(), "a script of nothing");
            assert!(!script.contains(&0) && !script.contains(&b'\r'), "a byte that shells drop was read");
        }
    }
});
