//! What is said to a witness, and what it says (C2SP tlog-witness, `add-checkpoint`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note::{Line, Note};
use super::tree::Hash;

/// No answer of a witness is longer, in bytes.
pub const LONGEST_ANSWER: u64 = 64 * 1024;

/// A witness has no more keys than this.
const MOST_LINES: usize = 16;

/// No proof has more hashes.
const LONGEST_PROOF: usize = 63;

/// What a witness answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It countersigned; nothing of the lines is believed yet.
    Cosigned(Vec<Line>),
    /// The last checkpoint that it countersigned has this many entries, not those that it was told.
    Size(u64),
    /// What it countersigned last is not the beginning of this (422).
    Inconsistent,
    /// It knows the log, and not its key (403).
    Forbidden,
    /// It does not know the log (404).
    Unknown,
    /// Something else, in words.
    Other(String),
}

/// The request: from which size the proof leads, the proof, the signed checkpoint.
pub fn add_checkpoint(old: u64, proof: &[Hash], note: &Note) -> String {
    let proof: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
    format!("old {old}\n{proof}\n{note}")
}

/// The request, as a witness reads it. Nothing in it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// From which size the proof leads.
    pub old: u64,
    /// The proof.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

impl Asked {
    /// Reads a body strictly; none where it is not one.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let digits = lines.next()?.strip_prefix("old ")?;
        let old = digits.parse().ok().filter(|old: &u64| old.to_string() == digits)?;
        let proof: Vec<Hash> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<_>>()?;
        let note = Note::parse(note).ok().filter(|_| proof.len() <= LONGEST_PROOF)?;
        Some(Self { old, proof, note })
    }
}

impl Answer {
    /// Reads status and body.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        match status {
            200 => match text.and_then(lines) {
                Some(lines) => Self::Cosigned(lines),
                None => Self::Other("answered 200 without signature lines".to_owned()),
            },
            409 => match text.and_then(size) {
                Some(size) => Self::Size(size),
                None => Self::Other("answered 409 without a size".to_owned()),
            },
            422 => Self::Inconsistent,
            403 => Self::Forbidden,
            404 => Self::Unknown,
            300..=399 => Self::Other(format!("sends to another place ({status}), which gate does not follow")),
            other => Self::Other(format!("answered {other}")),
        }
    }
}

fn lines(text: &str) -> Option<Vec<Line>> {
    let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').take(MOST_LINES + 1).collect();
    if lines.len() > MOST_LINES {
        return None;
    }
    lines.into_iter().map(|line| Line::parse(line).ok()).collect()
}

fn size(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('\n')?;
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}
