use std::fmt;

use super::digest::{Digest, Stamp};
use super::evidence::Evidence;
use crate::policy::{Assurance, Channel};

/// A person as an issuer knows them; never a display name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Approver {
    /// Who vouches: `tty:HOST` for the terminal, an OIDC issuer for sign-on.
    pub issuer: String,
    /// The issuer's own id of the person: the uid in decimal for the terminal.
    pub subject: String,
}

/// How the slot begins that one person alone fills.
const PERSON: &str = "person:";

impl Approver {
    /// `ISSUER#SUBJECT`, as configurations, slots and the server's store write a person.
    pub fn named(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }

    /// Reads that. An issuer is a URL without a fragment, so the first `#` ends it.
    pub fn parse(named: &str) -> Option<Self> {
        let (issuer, subject) = named.split_once('#').filter(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())?;
        Some(Self { issuer: issuer.to_owned(), subject: subject.to_owned() })
    }

    /// The slot that only this person fills: `person:ISSUER#SUBJECT`.
    pub fn slot(&self) -> String {
        format!("{PERSON}{}", self.named())
    }

    /// The person whose slot it is; none where it is another slot.
    pub fn of_slot(slot: &str) -> Option<Self> {
        slot.strip_prefix(PERSON).and_then(Self::parse)
    }
}

/// What an approver said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It may run.
    Approve,
    /// It may not.
    Reject,
}

impl Answer {
    /// The word of the interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Approve, Self::Reject].into_iter().find(|answer| answer.word() == word)
    }
}

/// One approver's answer to one digest.
#[derive(Clone, Debug)]
pub struct Review {
    /// Who answered.
    pub approver: Approver,
    /// How surely it was them.
    pub assurance: Assurance,
    /// By which way the answer came.
    pub channel: Channel,
    /// What they said.
    pub answer: Answer,
    /// Why, in their words; may be empty.
    pub comment: String,
    /// What the requester gave as justification, where the terms want one.
    pub justification: String,
    /// When.
    pub at: Stamp,
    /// What exactly they answered.
    pub digest: Digest,
    /// The slots that they may fill, as a server has it: `team:NAME`, `person:ISSUER#SUBJECT`.
    pub slots: Vec<String>,
    /// What shows it to others, where they signed it.
    pub evidence: Option<Evidence>,
}

/// Why nothing ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rule denies it.
    Denied,
    /// An approver said no: who, and their comment.
    Rejected {
        /// The approver's name as the channel gives it.
        by: String,
        /// Their words.
        comment: String,
    },
    /// Nobody answered in time, or the approval was not used in time.
    Expired,
    /// Still waiting elsewhere.
    Pending,
    /// No channel of the terms could be reached: why.
    Unreachable(String),
    /// The log's anchors do not let anything run: why.
    Halted(String),
    /// The requester gave up.
    Cancelled,
    /// Something is no longer what was decided: what.
    Changed(String),
}

impl Refusal {
    /// The word of the interface.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Unreachable(_) => "unreachable",
            Self::Halted(_) => "halted",
            Self::Cancelled => "cancelled",
            Self::Changed(_) => "changed",
        }
    }

    /// Whether the same command may be worth trying again without anybody changing anything.
    pub fn retry(&self) -> bool {
        matches!(self, Self::Expired | Self::Pending | Self::Changed(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}
