use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note::Note;
use super::tree::Hash;
use crate::key::{SigningKey, Vkey};

/// Text that is not a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotACheckpoint;

/// How large a log is and what it holds (C2SP tlog-checkpoint).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that a note signs.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note.
    pub fn sign(&self, name: &Vkey, key: &SigningKey) -> Note {
        Note::sign(self.text(), name, key)
    }

    /// Reads a note's text. Extension lines, which gate never writes, are passed over as the format wants it.
    pub fn parse(text: &str) -> Result<Self, NotACheckpoint> {
        let mut lines = text.strip_suffix('\n').ok_or(NotACheckpoint)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else { return Err(NotACheckpoint) };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(NotACheckpoint);
        }
        let number: u64 = size.parse().map_err(|_| NotACheckpoint)?;
        if number.to_string() != size {
            return Err(NotACheckpoint);
        }
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(NotACheckpoint)?;
        Ok(Self { origin: origin.to_owned(), size: number, root })
    }
}
