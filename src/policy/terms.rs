use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How bad it is if it was wrong to run it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Easily undone, small.
    Low,
    /// Work to undo. What a rule has that does not say.
    #[default]
    Medium,
    /// Data or service lost for some.
    High,
    /// Data or service lost for all, or secrets given away.
    Critical,
}

impl Risk {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word that policies and records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// How surely a review comes from the person it names; ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// Somebody at this terminal, perhaps the requester.
    #[default]
    Confirm,
    /// Another authenticated identity.
    SecondPerson,
    /// A second factor, minutes old, and the number shown to the requester typed.
    FreshMfa,
    /// `WebAuthn` with user verification, bound to digest and answer.
    Passkey,
    /// An attested key, or an SSH security key with its touch flag checked.
    Hardware,
}

impl Assurance {
    /// The word that policies and records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::SecondPerson => "second-person",
            Self::FreshMfa => "fresh-mfa",
            Self::Passkey => "passkey",
            Self::Hardware => "hardware",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Confirm, Self::SecondPerson, Self::FreshMfa, Self::Passkey, Self::Hardware].into_iter().find(|known| known.word() == word)
    }
}

/// A way by which people are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The terminal that the command was typed at.
    Tty,
    /// `gate serve`: its page and API.
    Server,
    /// Slack, through the server.
    Slack,
    /// Microsoft Teams, through the server.
    Teams,
    /// A detached SSH signature.
    Ssh,
}

impl Channel {
    /// The word that policies and records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tty => "tty",
            Self::Server => "server",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Ssh => "ssh",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Tty, Self::Server, Self::Slack, Self::Teams, Self::Ssh].into_iter().find(|known| known.word() == word)
    }
}

/// What the requester must say.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Justification {
    /// Nothing.
    #[default]
    None,
    /// Any text that is not empty.
    Text,
    /// A text that fits this pattern (`*` is any run of characters).
    Pattern(String),
}

/// After a while, more people may decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    /// How long after the request was made.
    pub after: Duration,
    /// Who is added to every slot.
    pub approvers: Vec<String>,
}

/// How far approvers may let a command run again without being asked anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StandingLimits {
    /// How long a standing grant may last at most.
    pub longest: Duration,
    /// How often the command may run under it at most, the first time included.
    pub uses: u32,
    /// Whether words may be left open.
    pub patterns: bool,
}

impl StandingLimits {
    /// The most uses that any terms may allow.
    pub const MOST_USES: u32 = 1000;

    /// What both allow.
    fn and(self, other: Self) -> Self {
        Self { longest: self.longest.min(other.longest), uses: self.uses.min(other.uses), patterns: self.patterns && other.patterns }
    }
}

/// What it takes to approve a request. Every matching rule's slots are all to be filled by distinct people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// One slot for each; each slot names who may fill it. Empty: anybody who may decide at the channel.
    pub approvers: Vec<String>,
    /// How many people of each slot; at least 1.
    pub threshold: u32,
    /// The least assurance that counts.
    pub assurance: Assurance,
    /// How old the proof of that assurance may be.
    pub fresh: Option<Duration>,
    /// How long the request may wait.
    pub within: Duration,
    /// How long an approval may stay unused.
    pub valid: Duration,
    /// The ways by which it may be decided; empty sets never occur (an empty intersection denies).
    pub channels: BTreeSet<Channel>,
    /// What the requester must say.
    pub justification: Vec<Justification>,
    /// Who is added after a while.
    pub escalate: Vec<Escalation>,
    /// Who may approve alone in an emergency, `person:ISSUER#SUBJECT`; empty: nobody.
    pub break_glass: Vec<String>,
    /// How far an approval may be a standing one; none: it is for one run.
    pub standing: Option<StandingLimits>,
    /// Whether the decision of a server for trying things out counts.
    pub dev: bool,
}

impl Default for Terms {
    /// The terms that hold where nobody wrote any: one person at the terminal, within 15 minutes.
    fn default() -> Self {
        Self {
            approvers: Vec::new(),
            threshold: 1,
            assurance: Assurance::Confirm,
            fresh: None,
            within: Duration::from_mins(15),
            valid: Duration::from_mins(10),
            channels: BTreeSet::from([Channel::Tty, Channel::Server]),
            justification: Vec::new(),
            escalate: Vec::new(),
            break_glass: Vec::new(),
            standing: None,
            dev: false,
        }
    }
}

/// The channels that no two rules agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoCommonChannel;

impl Terms {
    /// The terms that satisfy both: all slots, greatest assurance, shortest times, the channels of both.
    pub fn and(self, other: &Self) -> Result<Self, NoCommonChannel> {
        let channels: BTreeSet<Channel> = self.channels.intersection(&other.channels).copied().collect();
        if channels.is_empty() {
            return Err(NoCommonChannel);
        }
        let mut approvers = self.approvers;
        for slot in &other.approvers {
            if !approvers.contains(slot) {
                approvers.push(slot.clone());
            }
        }
        approvers.sort();
        let mut justification = self.justification;
        for wanted in &other.justification {
            if !justification.contains(wanted) {
                justification.push(wanted.clone());
            }
        }
        justification.sort_by_key(|wanted| format!("{wanted:?}"));
        let mut escalate = self.escalate;
        for step in &other.escalate {
            if !escalate.contains(step) {
                escalate.push(step.clone());
            }
        }
        escalate.sort_by(|a, b| (a.after, &a.approvers).cmp(&(b.after, &b.approvers)));
        Ok(Self {
            approvers,
            threshold: self.threshold.max(other.threshold),
            assurance: self.assurance.max(other.assurance),
            fresh: match (self.fresh, other.fresh) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            within: self.within.min(other.within),
            valid: self.valid.min(other.valid),
            channels,
            justification,
            escalate,
            // Whoever may go past one rule may not go past another one by that.
            break_glass: self.break_glass.into_iter().filter(|person| other.break_glass.contains(person)).collect(),
            standing: self.standing.zip(other.standing).map(|(a, b)| a.and(b)),
            dev: self.dev && other.dev,
        })
    }
}

impl Justification {
    /// Whether a text is what is wanted.
    pub fn satisfied_by(&self, text: &str) -> bool {
        match self {
            Self::None => true,
            Self::Text => !text.trim().is_empty(),
            Self::Pattern(pattern) => super::pattern::fits(pattern.as_bytes(), text.trim().as_bytes()),
        }
    }
}
