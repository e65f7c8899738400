#![no_main]
//! A note that reads as one says where its text ends; a checkpoint in it is written the same way again, but for extension lines.
use gate::record::{Checkpoint, Note};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = Note::parse(text) {
        assert!(text.starts_with(note.text()));
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert!(note.text().starts_with(&checkpoint.text()), "only extension lines may follow");
        }
    }
});
