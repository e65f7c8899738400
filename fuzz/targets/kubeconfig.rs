#![no_main]
//! Whatever stands in a kubeconfig, reading it ends, in contexts with distinct names or in words.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = gate::sys::target::kubeconfig::parse(bytes) {
        let mut names: Vec<_> = config.contexts.iter().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
});
