#![no_main]
//! Whatever the words are, they get an answer, and the same one each time.
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use gate::policy::{Decision, Layers, Policy};
use gate::request::{Argv, Context, Program, Request, RequestId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let words: Vec<OsString> = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    let Ok(argv) = Argv::new(words) else { return };
    let policy = Policy::load(Layers::default(), gate::embedded::tools()).expect("gate's own policy");
    let request = Request::new(RequestId::new(1, &[0; 10]), argv.clone(), Program::unresolved(argv.typed().to_owned()), Context::default());
    let word = |decision| match decision {
        Decision::Allow(_) => "allow",
        Decision::Ask(_) => "ask",
        Decision::Deny(_) => "deny",
    };
    let first = policy.decide(&request).map(word).expect("an answer");
    assert_eq!(policy.decide(&request).map(word).expect("an answer"), first);
});
