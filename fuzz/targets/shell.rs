#![no_main]
//! What the strict reader calls static are commands of at least one word, without anything a shell would still expand.
use gate::shell::{Script, Shell, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    if let Script::Static(commands) = read(script, Shell::Posix) {
        assert!(commands.iter().all(|command| !command.words.is_empty()), "a command without words");
        assert!(!script.contains(&0), "a NUL byte was read");
        let quoted = script.iter().any(|byte| b"'\"\\#".contains(byte));
        assert!(quoted || !script.iter().any(|byte| b"$`*?[~{".contains(byte)), "an expansion was read as static");
    }
});
