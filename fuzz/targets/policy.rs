#![no_main]
//! Whatever stands in a policy file, reading it and running its tests end, in rules or in an error with a place.
use gate::policy::{FileKind, LayerFiles, Layers, Policy, PolicyFile, check_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = |name: &str| PolicyFile { name: format!("{name}.toml"), family: name.to_owned(), bytes: bytes.to_vec() };
    for (head, tools, kind) in [(Some(file("policy")), vec![], FileKind::UserHead), (None, vec![file("x")], FileKind::Tool)] {
        let read = tools.first().or(head.as_ref()).cloned().expect("one of the two");
        let layers = Layers { user: Some(LayerFiles { head, tools }), ..Layers::default() };
        if let Ok(policy) = Policy::load(layers, gate::embedded::tools()) {
            let _ = check_file(&policy, &read, kind);
        }
    }
});
