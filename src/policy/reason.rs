use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::terms::Risk;

/// What a rule does. Deny beats ask beats allow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It runs.
    Allow,
    /// People are asked.
    Ask,
    /// It does not run.
    Deny,
}

impl Effect {
    /// The word that policies and records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Where a rule comes from; the most trusted first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// `/etc/gate`, which only root writes.
    System,
    /// The user's configuration directory.
    User,
    /// The tool files inside gate.
    Embedded,
    /// `.gate.toml` in or above the working directory.
    Project,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
            Self::Embedded => "embedded",
            Self::Project => "project",
        })
    }
}

/// A rule that took part in a decision, and what it says to people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// The rule's id, or `unmatched`, `opaque`, `untrusted-program`, `runs-other-code`, … for what no rule said.
    pub rule: String,
    /// The layer that the rule stands in.
    pub layer: Layer,
    /// What the rule does after amends.
    pub effect: Effect,
    /// How bad it is.
    pub risk: Risk,
    /// The classes of data that it touches.
    pub data: Vec<String>,
    /// Why it matters.
    pub text: String,
    /// What would be safer.
    pub instead: Option<String>,
    /// A command that shows what would happen.
    pub preview: Vec<String>,
    /// An ask that its layer only observes.
    pub observed: bool,
}

/// How stdin is treated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StdinRule {
    /// Whatever comes.
    #[default]
    Allow,
    /// A regular file, its SHA-256 in the digest and compared before exec; anything else that can carry bytes is refused.
    Pin,
    /// Only a terminal or nothing.
    Refuse,
}

/// How the command is run, from all rules that took part; the stricter of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RunHow {
    /// Supervised, with an outcome; else in place.
    pub outcome: bool,
    /// What stdin may be.
    pub stdin: StdinRule,
    /// Words of the argv (by index) that name files to be compared right before exec.
    pub pins: Vec<usize>,
    /// Patterns of variables that the command does not get.
    pub strip: Vec<String>,
    /// How long the command may run before it is ended by SIGTERM, then SIGKILL.
    pub timeout: Option<Duration>,
}

impl RunHow {
    /// Whether a variable is taken out of what the command gets.
    pub fn strips(&self, name: &[u8]) -> bool {
        self.strip.iter().any(|pattern| super::pattern::fits(pattern.as_bytes(), name))
    }
}
