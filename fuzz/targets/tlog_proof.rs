#![no_main]
//! What reads as a proof has one spelling, and proves nothing under a key that did not sign it.
use gate::key::{PublicKey, Vkey};
use gate::record::{TlogProof, leaf_hash};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.to_string(), text);
        let Ok(checkpoint) = proof.checkpoint() else { panic!("a proof has a checkpoint") };
        // Nobody has this key.
        let Ok(key) = Vkey::new(&checkpoint.origin, PublicKey([9; 32])) else { return };
        assert!(proof.verify(&leaf_hash(bytes), &key).is_err());
    }
});
