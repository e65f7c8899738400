//! What a bundle for an auditor consists of: the names of its files and their order.

use super::tiles::{Row, Tile};

/// A file of a bundle; the order here is the order there, so that one pass can check everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// How to verify the bundle by hand.
    Readme,
    /// The log's key.
    LogKey,
    /// The record key that this entry introduced.
    RecordKey(u64),
    /// The signed end of the log.
    Checkpoint,
    /// A checkpoint of this size that others countersigned.
    Countersigned(u64),
    /// Which witnesses count (C2SP tlog-policy).
    Policy,
    /// Who may approve (ssh-keygen's form).
    Signers,
    /// Something about the entries from 256 times this number on.
    Group(u64, Member),
    /// A tile of hashes above the lowest.
    Tile(u8, Tile),
    /// SHA-256 of everything but the single entries.
    Sums,
}

/// A file about some of the 256 entries of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Member {
    /// One entry's bytes, or with `true` the envelope that signs them.
    Entry(u64, bool),
    /// What an entry's digests are of, one disclosure of RFC 9901 in a line, as far as it was not erased.
    Disclosures(u64),
    /// An argv that is too long for its entry: each word with a zero byte after it.
    Argv(u64),
    /// All of them together.
    Bundle(Tile),
    /// Their hashes.
    Hashes(Tile),
}

impl Part {
    /// The part that a tile is.
    pub fn tile(tile: Tile) -> Self {
        match tile.row {
            Row::Entries => Self::Group(tile.index, Member::Bundle(tile)),
            Row::Hashes(0) => Self::Group(tile.index, Member::Hashes(tile)),
            Row::Hashes(level) => Self::Tile(level, tile),
        }
    }

    /// The part that an entry is, or its envelope.
    pub fn entry(seq: u64, envelope: bool) -> Self {
        Self::Group(seq / super::tiles::TILE_WIDTH, Member::Entry(seq, envelope))
    }

    /// The part that an entry's disclosures are.
    pub fn disclosures(seq: u64) -> Self {
        Self::Group(seq / super::tiles::TILE_WIDTH, Member::Disclosures(seq))
    }

    /// The part that an entry's long argv is.
    pub fn argv(seq: u64) -> Self {
        Self::Group(seq / super::tiles::TILE_WIDTH, Member::Argv(seq))
    }

    /// The file's name.
    pub fn name(&self) -> String {
        match self {
            Self::Readme => "README.md".to_owned(),
            Self::LogKey => "keys/log.vkey".to_owned(),
            Self::RecordKey(epoch) => format!("keys/record-{epoch}.vkey"),
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Countersigned(size) => format!("checkpoints/{size}"),
            Self::Policy => "tlog-policy".to_owned(),
            Self::Signers => "allowed_signers".to_owned(),
            Self::Group(_, Member::Entry(seq, false)) => format!("entries/{seq}.json"),
            Self::Group(_, Member::Entry(seq, true)) => format!("entries/{seq}.dsse"),
            Self::Group(_, Member::Disclosures(seq)) => format!("entries/{seq}.disclosures"),
            Self::Group(_, Member::Argv(seq)) => format!("entries/{seq}.argv"),
            Self::Group(_, Member::Bundle(tile) | Member::Hashes(tile)) | Self::Tile(_, tile) => tile.path(),
            Self::Sums => "SHA256SUMS".to_owned(),
        }
    }

    /// Reads a name; none for every other one than [`Self::name`] gives.
    pub fn parse(name: &str) -> Option<Self> {
        let number = |rest: &str| rest.parse::<u64>().ok();
        let part = match name {
            "README.md" => Self::Readme,
            "keys/log.vkey" => Self::LogKey,
            "checkpoint" => Self::Checkpoint,
            "tlog-policy" => Self::Policy,
            "allowed_signers" => Self::Signers,
            "SHA256SUMS" => Self::Sums,
            _ if name.starts_with("tile/") => Self::tile(Tile::parse(name)?),
            _ => {
                if let Some(rest) = name.strip_prefix("keys/record-") {
                    Self::RecordKey(number(rest.strip_suffix(".vkey")?)?)
                } else if let Some(rest) = name.strip_prefix("checkpoints/") {
                    Self::Countersigned(number(rest)?)
                } else {
                    let (seq, form) = name.strip_prefix("entries/")?.split_once('.')?;
                    let seq = number(seq)?;
                    match form {
                        "disclosures" => Self::disclosures(seq),
                        "argv" => Self::argv(seq),
                        form => Self::entry(seq, form == "dsse"),
                    }
                }
            }
        };
        (part.name() == name).then_some(part)
    }

    /// Whether `SHA256SUMS` names it: what single entries say is proved by the tree and their signatures, and what is beside them by
    /// the digests in them.
    pub fn is_summed(&self) -> bool {
        !matches!(self, Self::Group(_, Member::Entry(..) | Member::Disclosures(_) | Member::Argv(_)) | Self::Sums)
    }
}
