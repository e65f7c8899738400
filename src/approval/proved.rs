use std::fmt;

use super::evidence::Statement;
use super::review::{Answer, Approver};
use super::standing::Standing;
use super::webauthn::Unproved;
use crate::key::ssh::Unusable;
use crate::policy::Assurance;

/// What a piece of evidence has to be of.
#[derive(Clone, Copy, Debug)]
pub struct Awaited<'a> {
    /// The request's id, as the host that asks named it.
    pub request: &'a str,
    /// The approval's digest.
    pub digest: &'a [u8; 32],
    /// The answer.
    pub answer: Answer,
    /// What it lets run beyond the one request.
    pub standing: Option<&'a Standing>,
    /// Whose.
    pub approver: &'a Approver,
    /// When it was given, as whoever took it says, in nanoseconds since 1970.
    pub given: i64,
    /// What was drawn for this asking; none for a reader who cannot know it.
    pub nonce: Option<&'a [u8]>,
    /// The passkey's counter when it was last used; none for a reader who cannot know it.
    pub counter: Option<u32>,
    /// Whether an SSH security key has to know who touches it. Passkeys always have to.
    pub user_verified: bool,
}

/// That a person gave an answer. Only [`super::Approvers::prove`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    pub(super) statement: Statement,
    pub(super) assurance: Assurance,
    pub(super) fingerprint: String,
    pub(super) counter: Option<u32>,
}

impl Proved {
    /// What they said.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// How surely it was them.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }

    /// `SHA256:…` of the key.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A passkey's counter after this use.
    pub fn counter(&self) -> Option<u32> {
        self.counter
    }
}

/// Why evidence proves nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotProved {
    /// What was signed is no statement, or one without an end.
    Statement,
    /// It is of another request, or of another digest.
    Request,
    /// It says something else.
    Answer,
    /// It is for one run where more is said of it, or for other runs.
    Standing,
    /// It is somebody else's, or was made with somebody else's key.
    Approver,
    /// It was asked for at another time.
    Nonce,
    /// It was given too late.
    Expired,
    /// Nobody is enrolled with the key.
    Unknown,
    /// The key was not enrolled yet, or not any more.
    Time,
    /// No relying party is set, so no passkey can be held against one.
    NoParty,
    /// It was made for something else: for what.
    Namespace(String),
    /// Nobody touched the security key.
    NotTouched,
    /// The security key did not know who touched it.
    NotVerified,
    /// The SSH signature does not hold, or cannot be read.
    Ssh(Unusable),
    /// The passkey's does not.
    Passkey(Unproved),
}

impl fmt::Display for NotProved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Statement => "what was signed is no statement of this kind",
            Self::Request => "it was given to another request",
            Self::Answer => "it gives another answer",
            Self::Standing => "it lets something else run than is said of it",
            Self::Approver => "it was given by somebody else",
            Self::Nonce => "it was asked for at another time",
            Self::Expired => "it was given too late",
            Self::Unknown => "nobody is enrolled with the key",
            Self::Time => "the key was not enrolled at that time",
            Self::NoParty => "no relying party is set for passkeys",
            Self::Namespace(other) => return write!(f, "it was made for `{other}`"),
            Self::NotTouched => "nobody touched the security key",
            Self::NotVerified => "the security key did not check who touched it",
            Self::Ssh(why) => return why.fmt(f),
            Self::Passkey(why) => return why.fmt(f),
        })
    }
}
