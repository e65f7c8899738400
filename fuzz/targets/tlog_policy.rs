#![no_main]
//! A policy of witnesses, a note under it, and an answer of a witness: nobody who did not sign is counted.
use gate::key::{PublicKey, Vkey};
use gate::record::{Answer, Note, TlogPolicy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (policy, note, answer) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let status = [200, 409, 422, 500][answer.len() % 4];
    let lines = match Answer::read(status, answer) {
        Answer::Cosigned(lines) => lines,
        _ => Vec::new(),
    };
    let (Ok(policy), Ok(text)) = (TlogPolicy::parse(policy), std::str::from_utf8(note)) else { return };
    let Ok(log) = Vkey::new("log.example", PublicKey([9; 32])) else { return };
    if let Ok(note) = Note::parse(text) {
        // The witnesses of the first inputs have keys that nobody holds.
        let found = policy.countersigned(&note.with(lines), &log, u64::MAX);
        assert!(found.by.len() + found.forged.len() <= policy.witnesses().len());
        assert!(found.quorum.is_none() || !found.by.is_empty());
    }
});
