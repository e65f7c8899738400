use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reason::{Effect, StdinRule};
use super::terms::{Assurance, Channel, Escalation, Justification, Risk, StandingLimits, Terms};
use crate::request::FactName;
use crate::tool::Grammar;

/// Four ways to speak about a list of arguments.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Args {
    /// One element fits one argument.
    pub any: Option<Vec<String>>,
    /// Every element fits some argument.
    pub all: Option<Vec<String>>,
    /// No element fits any.
    pub none: Option<Vec<String>>,
    /// Every argument fits some element.
    pub only: Option<Vec<String>>,
}

impl Args {
    pub(super) fn is_empty(&self) -> bool {
        self.any.is_none() && self.all.is_none() && self.none.is_none() && self.only.is_none()
    }
}

/// What `when` or `unless` says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub options: Args,
    pub operands: Args,
    /// Facts by name, each with its patterns.
    pub facts: Vec<(FactName, Vec<String>)>,
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.operands.is_empty() && self.facts.is_empty()
    }
}

/// One rule, after its file was read.
#[expect(clippy::struct_excessive_bools, reason = "a rule says that many things, each on its own")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub id: String,
    /// The tools that it is for; empty means those of its file. `*` is every tool.
    pub tools: Vec<String>,
    /// The tools that a rule for all of them is not for.
    pub except: Vec<String>,
    pub effect: Effect,
    pub risk: Risk,
    pub data: Vec<String>,
    pub words: Vec<Vec<String>>,
    pub options: Args,
    pub operands: Args,
    pub statement: Args,
    /// Arguments that nobody can see before the command runs count as accounted for.
    pub unseen: bool,
    /// Options that the grammar does not know are accepted.
    pub other_options: bool,
    pub when: Conditions,
    pub unless: Conditions,
    pub reason: String,
    pub instead: Option<String>,
    pub preview: Vec<String>,
    pub terms: Option<String>,
    pub outcome: Option<bool>,
    pub stdin: StdinRule,
    pub pin: Vec<String>,
    pub strip: Vec<String>,
    pub env_allow: Vec<String>,
    pub timeout: Option<Duration>,
    pub locked: bool,
    pub trust_claimed: bool,
}

/// Terms as a file states them; what it leaves out keeps its default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TermsPart {
    pub approvers: Option<Vec<String>>,
    pub threshold: Option<u32>,
    pub assurance: Option<Assurance>,
    pub fresh: Option<Duration>,
    pub within: Option<Duration>,
    pub valid: Option<Duration>,
    pub channels: Option<Vec<Channel>>,
    pub justification: Option<Justification>,
    pub escalate: Option<Vec<Escalation>>,
    pub break_glass: Vec<String>,
    pub standing: Option<StandingLimits>,
    pub dev: Option<bool>,
}

impl TermsPart {
    pub(super) fn complete(&self) -> Terms {
        let default = Terms::default();
        Terms {
            approvers: self.approvers.clone().unwrap_or_default(),
            threshold: self.threshold.unwrap_or(default.threshold),
            assurance: self.assurance.unwrap_or(default.assurance),
            fresh: self.fresh,
            within: self.within.unwrap_or(default.within),
            valid: self.valid.unwrap_or(default.valid),
            channels: self.channels.as_ref().map_or(default.channels, |channels| channels.iter().copied().collect()),
            justification: self.justification.iter().filter(|wanted| **wanted != Justification::None).cloned().collect(),
            escalate: self.escalate.clone().unwrap_or_default(),
            break_glass: self.break_glass.clone(),
            standing: self.standing,
            dev: self.dev.unwrap_or(false),
        }
    }
}

/// What a layer changes about a rule of a less trusted one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Amend {
    pub id: String,
    pub disable: bool,
    pub effect: Option<Effect>,
    pub terms: Option<String>,
    pub when: Conditions,
    pub unless: Conditions,
}

/// Whether embedded rules take part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Embedded {
    On,
    DenyOnly,
    Off,
}

/// A layer's head: what holds beyond one tool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    pub embedded: Option<Embedded>,
    pub unmatched: Option<Effect>,
    /// What scripts that cannot be read are answered by.
    pub opaque: Option<Effect>,
    /// `Some(true)`: asks of this layer and less trusted ones are observed.
    pub observe: Option<bool>,
    pub outcome: Option<bool>,
    pub trusted_programs: Vec<String>,
    pub state_dir: Option<String>,
    pub user_may_move: Option<bool>,
    pub log: super::log_keys::LogKeys,
    pub server: Option<super::server_keys::Server>,
    pub names: Vec<(String, Vec<String>)>,
    pub terms: Vec<(String, TermsPart)>,
    pub amends: Vec<Amend>,
}

/// One test of a file: the whole decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Test {
    /// Where it stands, for the error.
    pub span: std::ops::Range<usize>,
    pub argv: Vec<Vec<u8>>,
    pub context: Vec<(FactName, Vec<String>)>,
    pub names: Vec<(String, Vec<String>)>,
    pub expect: Expect,
}

/// What a test expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// This decision, and these rules if they are named.
    Decision(Effect, Option<Vec<String>>),
    /// The rule takes part, or does not.
    Rule(String, bool),
}

/// A file after it was read and checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct File {
    pub head: Head,
    pub grammar: Option<Grammar>,
    pub rules: Vec<Rule>,
    pub tests: Vec<Test>,
}
