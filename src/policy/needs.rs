use std::collections::BTreeSet;

use super::target::{self, Target};
use crate::request::FactName;
use crate::tool::{Grammar, Reading, TargetKind};

/// What must be captured before a decision.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// The facts that rules ask about.
    pub facts: BTreeSet<FactName>,
    /// What the argv says about its target.
    pub target: Target,
    /// The subcommand's words as the tool reads them.
    pub words: Vec<String>,
    /// The programs that it would run, as they are written.
    pub inner: BTreeSet<Vec<u8>>,
    /// The script files that it hands to a shell, as they are written.
    pub scripts: BTreeSet<Vec<u8>>,
    /// The facts of the target that a card shows.
    pub(super) target_facts: Vec<FactName>,
    /// How deep the command stands whose target this is.
    owner: Option<usize>,
    /// A wrapper above changed what the target would be.
    lost: bool,
}

impl Needs {
    /// Notes the target of a command; the first one that has any keeps it.
    pub(super) fn take(&mut self, grammar: &Grammar, readings: &[Reading<'_>], depth: usize) {
        if depth == 0
            && let Some(first) = readings.first()
            && self.words.is_empty()
        {
            self.words = first.words.iter().map(|word| String::from_utf8_lossy(&word.text).into_owned()).collect();
        }
        let Some(kind) = grammar.target else { return };
        let mut targets = readings.iter().map(|reading| target::of(kind, reading));
        let mut target = targets.next().unwrap_or_default();
        if self.lost || targets.any(|other| other != target) {
            target = Target { dynamic: true, ..Target::default() };
        }
        if self.owner.is_some_and(|owner| owner != depth || self.target != target) {
            // Two commands with targets of their own: facts would be those of only one.
            self.owner = Some(usize::MAX);
            self.target = Target { dynamic: true, ..Target::default() };
            return;
        }
        self.owner = Some(depth);
        self.target = target;
        self.target_facts = match kind {
            TargetKind::Kubeconfig => vec![FactName::KubeContext, FactName::KubeNamespace],
            TargetKind::Git => vec![FactName::GitBranch, FactName::GitRemote],
            TargetKind::Aws => vec![FactName::AwsProfile, FactName::AwsAccount],
            TargetKind::Terraform => vec![FactName::TfWorkspace],
            TargetKind::Gcloud => vec![FactName::GcpProject],
        };
    }

    /// A wrapper changes user, directory or variables: what it runs acts on a target that cannot be told from here.
    pub(super) fn lose_target(&mut self) {
        self.lost = true;
    }

    /// Whether what runs now runs where the argv is read: script files are the same there.
    pub(super) fn is_here(&self) -> bool {
        !self.lost
    }

    /// Whether the captured target facts are those of the command at this depth.
    pub(super) fn owns_target(&self, depth: usize) -> bool {
        self.owner == Some(depth)
    }
}
