use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{SigningKey, Vkey, is_key_name};

const MAX_SIGNATURES: usize = 100;

/// Text that is not a signed note.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotANote;

/// A signed text that people can read (C2SP signed-note v1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    text: String,
    signatures: Vec<Line>,
}

/// One signature line of a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Note {
    /// Signs a text, which ends with a newline.
    pub fn sign(text: String, name: &Vkey, key: &SigningKey) -> Self {
        let signature = key.sign(text.as_bytes());
        Self::signed(text, name, &signature)
    }

    /// A text, which ends with a newline, with a signature that somebody else made.
    pub fn signed(text: String, name: &Vkey, signature: &[u8; 64]) -> Self {
        Self { text, signatures: vec![Line { name: name.name().to_owned(), id: name.id(), signature: signature.to_vec() }] }
    }

    /// Reads a note; nothing about its signatures is believed yet.
    pub fn parse(note: &str) -> Result<Self, NotANote> {
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NotANote);
        }
        let at = note.rfind("\n\n").ok_or(NotANote)?;
        let (text, lines) = (&note[..=at], &note[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NotANote)?;
        let signatures: Vec<Line> = lines.split('\n').take(MAX_SIGNATURES + 1).map(Line::parse).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NotANote);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures of the lines with this name and key id, whatever they are worth.
    pub(super) fn lines_of(&self, name: &str, id: [u8; 4]) -> impl Iterator<Item = &[u8]> {
        self.signatures.iter().filter(move |line| line.name == name && line.id == id).map(|line| line.signature.as_slice())
    }

    /// The same note with more signature lines, which take the place of those with their names and key ids.
    #[must_use]
    pub fn with(mut self, lines: Vec<Line>) -> Self {
        self.signatures.retain(|known| lines.iter().all(|line| (&known.name, known.id) != (&line.name, line.id)));
        self.with_all(lines)
    }

    /// The same note with all these lines behind its own.
    #[must_use]
    pub fn with_all(mut self, lines: Vec<Line>) -> Self {
        self.signatures.extend(lines);
        self
    }

    /// The same note with the lines of another one over the same text.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        self.with(other.signatures.clone())
    }

    /// The lines with this name and key id.
    pub fn lines(&self, name: &str, id: [u8; 4]) -> Vec<Line> {
        self.signatures.iter().filter(|line| line.name == name && line.id == id).cloned().collect()
    }

    /// Whether it has a line with this name, whatever that is worth.
    pub fn names(&self, name: &str) -> bool {
        self.signatures.iter().any(|line| line.name == name)
    }

    /// Whether the key signed this text: a line is its own and holds, and no line that says it is the key's fails.
    pub fn is_signed_by(&self, vkey: &Vkey) -> bool {
        let mut own = self.signatures.iter().filter(|line| line.name == vkey.name() && line.id == vkey.id()).peekable();
        own.peek().is_some() && own.all(|line| vkey.public().verifies(self.text.as_bytes(), &line.signature))
    }
}

impl Line {
    pub(super) fn new(name: &str, id: [u8; 4], signature: Vec<u8>) -> Self {
        Self { name: name.to_owned(), id, signature }
    }

    /// Reads one line, without its end.
    pub fn parse(line: &str) -> Result<Self, NotANote> {
        let (name, signature) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(NotANote)?;
        let bytes = STANDARD.decode(signature).map_err(|_| NotANote)?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or(NotANote)?;
        if !is_key_name(name) || signature.is_empty() {
            return Err(NotANote);
        }
        Ok(Self { name: name.to_owned(), id: *id, signature: signature.to_vec() })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    /// Without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "— {} {}", self.name, STANDARD.encode([self.id.as_slice(), &self.signature].concat()))
    }
}
