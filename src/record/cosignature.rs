use super::note::{Line, Note};
use crate::key::{CosignerKey, SigningKey};

/// A time before the signature: eight bytes, then Ed25519's sixty-four.
const LENGTH: usize = 8 + 64;

/// Lines that say that they are a witness's, and are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotCosigned;

/// When this witness countersigned the note, in seconds since 1970 (C2SP tlog-cosignature, Ed25519): the latest time where there are
/// several lines. None where no line is its own; an error where one says so and does not hold.
pub fn cosigned(note: &Note, witness: &CosignerKey) -> Result<Option<u64>, NotCosigned> {
    let mut latest = None;
    for signature in note.lines_of(witness.name(), witness.id()) {
        let (time, signature) = signature.split_first_chunk::<8>().filter(|(_, rest)| rest.len() == LENGTH - 8).ok_or(NotCosigned)?;
        let time = u64::from_be_bytes(*time);
        // A witness signs what it knows at a time; zero is none.
        if time == 0 || i64::try_from(time).is_err() || !witness.public().verifies(message(note.text(), time).as_bytes(), signature) {
            return Err(NotCosigned);
        }
        latest = latest.max(Some(time));
    }
    Ok(latest)
}

/// Countersigns the note at a time, in seconds since 1970. Whoever calls this has made sure, durably, that nothing else of this size is ever signed.
pub fn cosign(note: &Note, name: &CosignerKey, key: &SigningKey, time: u64) -> Line {
    let signature = key.sign(message(note.text(), time).as_bytes());
    Line::new(name.name(), name.id(), [time.to_be_bytes().as_slice(), &signature].concat())
}

/// What a witness signs: the time, and the whole text of the checkpoint.
fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
