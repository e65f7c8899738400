use super::reason::{Layer, Reason, RunHow};
use super::terms::{Risk, Terms};
use crate::request::Fact;
use crate::tool::Hidden;

/// What the policy says of one request.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made in a run, and moved a few times")]
pub enum Decision {
    /// It may run.
    Allow(Allowed),
    /// People are asked.
    Ask(Asked),
    /// It does not run.
    Deny(Denied),
}

/// The rules allow it. Only this room makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allowed {
    pub(super) reasons: Vec<Reason>,
    pub(super) how: RunHow,
    pub(super) hidden: Vec<Hidden>,
    pub(super) policy_digest: [u8; 32],
    pub(super) observed: bool,
}

impl Allowed {
    /// Whether a rule asks and its layer only observes.
    pub fn observed(&self) -> bool {
        self.observed
    }

    /// The rules that took part.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// How the command is run.
    pub fn how(&self) -> &RunHow {
        &self.how
    }

    /// What a refusal rests on: the rules, what nobody is shown, the policy's digest.
    pub fn grounds(&self) -> (&[Reason], &[Hidden], &[u8; 32]) {
        (&self.reasons, &self.hidden, &self.policy_digest)
    }

    /// What nobody is shown.
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// Takes it apart: reasons, how it runs, what is hidden, the policy's digest.
    pub fn into_parts(self) -> (Vec<Reason>, RunHow, Vec<Hidden>, [u8; 32]) {
        (self.reasons, self.how, self.hidden, self.policy_digest)
    }
}

/// People must be asked: why, on which terms, and how it would run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The rules that took part.
    pub reasons: Vec<Reason>,
    /// What it takes to approve.
    pub terms: Terms,
    /// The most trusted layer whose `[terms]` these are; none where they are the ones that hold where nobody wrote any.
    pub terms_layer: Option<Layer>,
    /// The greatest risk among the reasons.
    pub risk: Risk,
    /// How the command is run.
    pub how: RunHow,
    /// What nobody is shown.
    pub hidden: Vec<Hidden>,
    /// What it acts on, for people: name and value.
    pub target: Vec<(String, Fact)>,
    /// SHA-256 over the policy files that took part.
    pub policy_digest: [u8; 32],
}

/// It does not run: why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denied {
    /// The rules that took part.
    pub reasons: Vec<Reason>,
    /// The greatest risk among the reasons.
    pub risk: Risk,
    /// What nobody is shown.
    pub hidden: Vec<Hidden>,
    /// SHA-256 over the policy files that took part.
    pub policy_digest: [u8; 32],
}

impl Asked {
    /// What a refusal rests on: the rules, what nobody is shown, the policy's digest.
    pub fn grounds(&self) -> (&[Reason], &[Hidden], &[u8; 32]) {
        (&self.reasons, &self.hidden, &self.policy_digest)
    }
}

impl Denied {
    /// What a refusal rests on: the rules, what nobody is shown, the policy's digest.
    pub fn grounds(&self) -> (&[Reason], &[Hidden], &[u8; 32]) {
        (&self.reasons, &self.hidden, &self.policy_digest)
    }
}
