use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::note::Note;
use super::proof::verify_inclusion;
use super::tree::Hash;
use crate::key::Vkey;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A tree of 2^64 entries is as high as this.
const MAX_PATH: usize = 64;

/// Text that is not a tlog-proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAProof;

/// Why a proof does not prove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unproved {
    /// Its checkpoint is of this log, which is not the key's.
    Log(String),
    /// The key did not sign its checkpoint.
    Unsigned,
    /// The tree of its checkpoint does not hold this entry in this place.
    Tree,
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(origin) => write!(f, "is of the log `{origin}`"),
            Self::Unsigned => write!(f, "has a checkpoint that the key did not sign"),
            Self::Tree => write!(f, "does not prove this entry: the tree of its checkpoint holds another one in its place"),
        }
    }
}

/// A proof that stands alone: one entry, its way up the tree, and the signed checkpoint (C2SP tlog-proof).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogProof {
    /// What an application added; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's place, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling upward.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as it is.
    pub note: Note,
}

impl TlogProof {
    /// Reads a proof strictly: only the one spelling that each has.
    pub fn parse(text: &str) -> Result<Self, NotAProof> {
        let (head, note) = text.split_once("\n\n").ok_or(NotAProof)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(NotAProof);
        }
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(|line| &line["extra ".len()..]);
        let extra = extra.map(|data| STANDARD.decode(data).ok().filter(|data| !data.is_empty()).ok_or(NotAProof)).transpose()?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(NotAProof)?;
        let index = index.parse().ok().filter(|number: &u64| number.to_string() == index).ok_or(NotAProof)?;
        let path: Vec<Hash> = lines.take(MAX_PATH + 1).map(hash_line).collect::<Option<_>>().ok_or(NotAProof)?;
        if path.len() > MAX_PATH {
            return Err(NotAProof);
        }
        let note = Note::parse(note).map_err(|_| NotAProof)?;
        Checkpoint::parse(note.text()).map_err(|_| NotAProof)?;
        Ok(Self { extra, index, path, note })
    }

    /// The checkpoint that the proof leads to. Nothing vouches for it yet.
    pub fn checkpoint(&self) -> Result<Checkpoint, NotAProof> {
        Checkpoint::parse(self.note.text()).map_err(|_| NotAProof)
    }

    /// Whether the tree of the checkpoint holds this leaf in this place, whoever signed it.
    pub fn leads_from(&self, leaf: &Hash) -> Result<Checkpoint, Unproved> {
        let checkpoint = self.checkpoint().map_err(|_| Unproved::Tree)?;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root).map_err(|_| Unproved::Tree)?;
        Ok(checkpoint)
    }

    /// Proves that the log of this key holds this leaf in this place, and gives the checkpoint that says so.
    pub fn verify(&self, leaf: &Hash, key: &Vkey) -> Result<Checkpoint, Unproved> {
        let checkpoint = self.leads_from(leaf)?;
        if checkpoint.origin != key.name() {
            return Err(Unproved::Log(checkpoint.origin));
        }
        if self.note.is_signed_by(key) { Ok(checkpoint) } else { Err(Unproved::Unsigned) }
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

fn hash_line(line: &str) -> Option<Hash> {
    STANDARD.decode(line).ok()?.try_into().ok()
}
