//! What holds for all programs: the most trusted layer that states it wins.

use std::collections::BTreeSet;
use std::path::Path;

use super::layers::{Layers, Policy, Tools};
use super::reason::{Effect, Layer};
use super::rule::{Embedded, Head, Rule};
use super::terms::{Risk, Terms};
use crate::request::{Place, Program};

impl Policy {
    fn first<T>(&self, get: impl Fn(&Head) -> Option<T>) -> Option<T> {
        self.heads.iter().find_map(|(_, head)| get(head))
    }

    pub(super) fn embedded_mode(&self) -> Embedded {
        self.first(|head| head.embedded).unwrap_or(Embedded::On)
    }

    /// What nothing matches is answered by.
    pub fn unmatched(&self) -> Effect {
        self.first(|head| head.unmatched).unwrap_or(Effect::Ask)
    }

    /// What a script that cannot be read is answered by: never milder than what nothing matches.
    pub(super) fn opaque_effect(&self) -> Effect {
        self.first(|head| head.opaque).unwrap_or(Effect::Ask).max(self.unmatched())
    }

    /// The layer whose mode holds for what nothing matches: the one that says what that is answered by.
    pub(super) fn unmatched_layer(&self) -> Layer {
        self.heads.iter().find(|(_, head)| head.unmatched.is_some()).map_or(Layer::User, |(layer, _)| *layer)
    }

    /// The layer whose mode holds for what no layer wrote: the system layer where one stands.
    pub(super) fn law_layer(&self) -> Layer {
        if self.layers.system.is_some() { Layer::System } else { Layer::User }
    }

    /// Whether what no rule speaks of is supervised.
    pub(super) fn outcome(&self) -> bool {
        self.first(|head| head.outcome).unwrap_or(false)
    }

    /// Whether asks of a layer are only observed: its own head or a more trusted one says so, the most trusted that states it first.
    pub(super) fn observes(&self, layer: Layer) -> bool {
        self.heads.iter().filter(|(of, _)| *of <= layer).find_map(|(_, head)| head.observe).unwrap_or(false)
    }

    pub(super) fn names(&self) -> &[(String, Vec<String>)] {
        &self.names
    }

    /// Why a program's place is not trusted; none where root owns it, or a layer lists a directory above it.
    pub fn distrusts<'a>(&self, program: &'a Program) -> Option<&'a str> {
        match &program.place {
            Place::Untrusted(why) if !self.trusted.iter().any(|directory| program.lies_below(Path::new(directory))) => Some(why),
            Place::Untrusted(_) | Place::Trusted | Place::Unresolved => None,
        }
    }

    pub(super) fn terms_named(&self, name: &str) -> Option<(Layer, Terms)> {
        let of = |head: &Head| head.terms.iter().find(|(known, _)| known == name).map(|(_, part)| part.complete());
        self.heads.iter().find_map(|(layer, head)| Some((*layer, of(head)?)))
    }

    /// The terms that a rule names, or else those of its risk, and the layer that wrote them; none wrote those that hold otherwise.
    pub(super) fn terms(&self, named: Option<&str>, risk: Risk) -> (Terms, Option<Layer>) {
        let written = named.and_then(|name| self.terms_named(name)).or_else(|| self.terms_named(risk.word()));
        written.map_or_else(|| (Terms::default(), None), |(layer, terms)| (terms, Some(layer)))
    }

    /// What the system layer says about the log's place, and whether the user may move anything.
    pub fn system_state(&self) -> (Option<String>, bool) {
        let head = self.heads.iter().find(|(layer, _)| *layer == Layer::System).map(|(_, head)| head);
        (head.and_then(|head| head.state_dir.clone()), head.and_then(|head| head.user_may_move).unwrap_or(false))
    }

    /// The heads by layer.
    pub(crate) fn heads(&self) -> &[(Layer, Head)] {
        &self.heads
    }

    /// The files that were given.
    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The rules of heads and project files.
    pub(crate) fn loose_rules(&self) -> &[(Layer, Rule)] {
        &self.loose
    }

    /// gate's own tables.
    pub(crate) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The tools that rules of heads and projects name, and those that the layers bring.
    pub fn named_tools(&self) -> Vec<String> {
        let mut names: Vec<String> = self.loose.iter().flat_map(|(_, rule)| &rule.tools).filter(|tool| *tool != "*").cloned().collect();
        names.extend(self.tool_layers().flat_map(|(_, files)| &files.tools).map(|file| file.family.clone()));
        names.sort();
        names.dedup();
        names
    }

    /// Sets of a layer that no condition of heads and projects names.
    pub(super) fn sets_without_use(&self, layer: Layer) -> Vec<(String, Vec<String>)> {
        let head = self.heads.iter().find(|(of, _)| *of == layer).map(|(_, head)| head);
        let rules = self.loose.iter().flat_map(|(_, rule)| [&rule.when, &rule.unless]);
        let amends = self.heads.iter().flat_map(|(_, head)| &head.amends).flat_map(|amend| [&amend.when, &amend.unless]);
        let used: BTreeSet<&str> = rules
            .chain(amends)
            .flat_map(|given| &given.facts)
            .flat_map(|(_, patterns)| patterns)
            .filter_map(|pattern| pattern.strip_prefix('@'))
            .collect();
        // Tool files may use them too; only those of the machine are not looked through here.
        let tools = self.tool_layers().any(|(_, files)| !files.tools.is_empty());
        head.into_iter()
            .flat_map(|head| &head.names)
            .filter(|(name, _)| !tools && !used.contains(name.as_str()) && !embedded_set(name))
            .cloned()
            .collect()
    }

    /// The same files with other sets of names, for tests that bring their own.
    pub(super) fn with_names(&self, names: &[(String, Vec<String>)]) -> Vec<(String, Vec<String>)> {
        names.iter().chain(&self.names).cloned().collect()
    }
}

/// Whether gate's own rules use a set: `production` is theirs.
fn embedded_set(name: &str) -> bool {
    name == "production"
}
