//! The layers of policy: what each file said, and which of it concerns one program.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::error::PolicyError;
use super::file::{self, FileKind};
use super::grammar_file::EVERY_TOOL;
use super::index::Index;
use super::reason::{Effect, Layer, Reason};
use super::rule::{Amend, Embedded, Head, Rule};
use crate::tool::Grammar;

/// The tool files inside gate, as the build laid them down.
#[derive(Clone, Copy)]
pub struct Tools {
    /// Program name to file, sorted by name.
    pub names: &'static [(&'static str, u16)],
    /// Each file's grammar and rules (postcard, in an LZ4 block).
    pub files: &'static [&'static [u8]],
    /// All rule ids, sorted.
    pub ids: &'static [&'static str],
    /// The ids of those that only the system layer amends, sorted.
    pub locked: &'static [&'static str],
    /// SHA-256 over names and files.
    pub digest: [u8; 32],
    /// The hash that policies are named by; the build script does without one.
    pub sha256: fn(&[u8]) -> [u8; 32],
}

/// A policy file as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyFile {
    /// Its path, for people and the record.
    pub name: String,
    /// The family: the file's name without `.toml`.
    pub family: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// One layer's files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LayerFiles {
    /// `policy.toml`.
    pub head: Option<PolicyFile>,
    /// `policies/*.toml`, sorted by name.
    pub tools: Vec<PolicyFile>,
}

/// All layers' files, as found on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layers {
    /// `/etc/gate`.
    pub system: Option<LayerFiles>,
    /// The user's configuration directory.
    pub user: Option<LayerFiles>,
    /// Each `.gate.toml` from the working directory up.
    pub projects: Vec<PolicyFile>,
    /// What `~` stands for in the user's head.
    pub home: Option<String>,
}

/// A rule with its layer and what more trusted layers amend.
pub(super) struct Placed {
    pub layer: Layer,
    pub rule: Rule,
    /// The amends of it, the least trusted layer's first.
    pub amends: Vec<Amend>,
    /// What it says when it fires as it is written: most rules do, and nobody copies texts for each command.
    pub reason: Rc<Reason>,
}

/// What all layers say of one program name.
pub(super) struct View {
    pub grammar: Grammar,
    /// Whether a file describes or names the program.
    pub known: bool,
    pub rules: Vec<Placed>,
    pub index: Index,
}

/// Rules in layers. Loaded once; each program's part is read when it is first needed.
pub struct Policy {
    pub(super) layers: Layers,
    pub(super) tools: Tools,
    pub(super) heads: Vec<(Layer, Head)>,
    /// Rules of heads and project files.
    pub(super) loose: Vec<(Layer, Rule)>,
    pub(super) names: Vec<(String, Vec<String>)>,
    pub(super) trusted: Vec<String>,
    views: RefCell<BTreeMap<Vec<u8>, Rc<View>>>,
    used: RefCell<BTreeSet<(String, [u8; 32])>>,
}

/// The most rules that all files of one program may hold.
const MOST_RULES: usize = 200_000;

impl Policy {
    /// Reads the heads and project files; tool files wait until a program asks for them.
    pub fn load(layers: Layers, tools: Tools) -> Result<Self, PolicyError> {
        let mut policy = Self {
            heads: Vec::new(),
            loose: Vec::new(),
            names: Vec::new(),
            trusted: Vec::new(),
            views: RefCell::default(),
            used: RefCell::default(),
            layers,
            tools,
        };
        let mut seen = BTreeMap::new();
        for (layer, kind, found) in policy.head_files() {
            let read = file::read(&found.name, &found.bytes, kind)?;
            policy.note(&found);
            for rule in read.rules {
                if let Some(other) = seen
                    .insert(rule.id.clone(), found.name.clone())
                    .or_else(|| policy.embedded_id(&rule.id).then(|| "gate's own rules".to_owned()))
                {
                    let message = format!("the id `{}` stands in {other} too", rule.id);
                    return Err(PolicyError::whole(&found.name, message).hint("records and amends name rules by id, so each needs its own"));
                }
                policy.loose.push((layer, rule));
            }
            if matches!(kind, FileKind::SystemHead | FileKind::UserHead) {
                policy.heads.push((layer, read.head));
            }
        }
        policy.settle()?;
        Ok(policy)
    }

    fn head_files(&self) -> Vec<(Layer, FileKind, PolicyFile)> {
        let head = |files: &Option<LayerFiles>| files.as_ref().and_then(|files| files.head.clone());
        let mut all = Vec::new();
        all.extend(head(&self.layers.system).map(|found| (Layer::System, FileKind::SystemHead, found)));
        all.extend(head(&self.layers.user).map(|found| (Layer::User, FileKind::UserHead, found)));
        all.extend(self.layers.projects.iter().map(|found| (Layer::Project, FileKind::Project, found.clone())));
        all
    }

    /// Works out what holds for all programs, the most trusted layer first.
    fn settle(&mut self) -> Result<(), PolicyError> {
        for (_, head) in &self.heads {
            for (name, patterns) in &head.names {
                if !self.names.iter().any(|(known, _)| known == name) {
                    self.names.push((name.clone(), patterns.clone()));
                }
            }
            for directory in &head.trusted_programs {
                let expanded = match (directory.strip_prefix('~'), &self.layers.home) {
                    (Some(rest), Some(home)) => format!("{home}{rest}"),
                    (Some(_), None) => continue,
                    (None, _) => directory.clone(),
                };
                self.trusted.push(expanded);
            }
        }
        self.check_amends()
    }

    pub(super) fn head_name(&self, layer: Layer) -> String {
        let files = if layer == Layer::System { &self.layers.system } else { &self.layers.user };
        files.as_ref().and_then(|files| files.head.as_ref()).map_or_else(|| layer.to_string(), |head| head.name.clone())
    }

    /// The ids of everything but gate's own rules.
    pub(super) fn all_ids(&self) -> Result<Vec<(Layer, String, bool)>, PolicyError> {
        let mut ids: Vec<(Layer, String, bool)> = self.loose.iter().map(|(layer, rule)| (*layer, rule.id.clone(), rule.locked)).collect();
        for (layer, files) in self.tool_layers() {
            for found in &files.tools {
                let read = file::read(&found.name, &found.bytes, FileKind::Tool)?;
                ids.extend(read.rules.into_iter().map(|rule| (layer, rule.id, rule.locked)));
            }
        }
        Ok(ids)
    }

    pub(super) fn tool_layers(&self) -> impl Iterator<Item = (Layer, &LayerFiles)> {
        let system = self.layers.system.iter().map(|files| (Layer::System, files));
        system.chain(self.layers.user.iter().map(|files| (Layer::User, files)))
    }

    pub(super) fn embedded_id(&self, id: &str) -> bool {
        self.tools.ids.binary_search(&id).is_ok()
    }

    pub(super) fn note(&self, found: &PolicyFile) {
        self.used.borrow_mut().insert((found.name.clone(), (self.tools.sha256)(&found.bytes)));
    }

    /// The files of the machine that took part so far, each with its SHA-256.
    pub fn used(&self) -> Vec<(String, [u8; 32])> {
        self.used.borrow().iter().cloned().collect()
    }

    /// How many files took part so far.
    pub fn used_count(&self) -> usize {
        self.used.borrow().len()
    }

    /// One SHA-256 over gate's own tables and the files that took part.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = self.tools.digest.to_vec();
        for (name, digest) in self.used.borrow().iter() {
            all.extend_from_slice(name.as_bytes());
            all.push(0);
            all.extend_from_slice(digest);
        }
        (self.tools.sha256)(&all)
    }

    /// What all layers say of one program name; read when first asked for.
    pub(super) fn view(&self, name: &[u8]) -> Result<Rc<View>, PolicyError> {
        if let Some(view) = self.views.borrow().get(name) {
            return Ok(Rc::clone(view));
        }
        let view = Rc::new(self.build_view(name)?);
        self.views.borrow_mut().insert(name.to_vec(), Rc::clone(&view));
        Ok(view)
    }

    fn build_view(&self, name: &[u8]) -> Result<View, PolicyError> {
        let embedded = self.embedded(name)?;
        let mut grammar = embedded.as_ref().map(|(grammar, _)| grammar.clone());
        let mut rules: Vec<(Layer, Rule)> = Vec::new();
        // Files that describe a tool come first: the others add rules to it under all its names.
        let mut adding: Vec<(Layer, &PolicyFile)> = Vec::new();
        for (layer, files) in self.tool_layers() {
            for found in &files.tools {
                let read = if could_describe(found, name) { Some(file::read(&found.name, &found.bytes, FileKind::Tool)?) } else { None };
                let Some((read, own)) = read.and_then(|read| read.grammar.clone().map(|own| (read, own))) else {
                    adding.push((layer, found));
                    continue;
                };
                if !own.names.iter().any(|own| own.as_bytes() == name) {
                    continue;
                }
                if grammar.is_some() {
                    let message = format!("there is a grammar of `{}` already", own.names.join("`, `"));
                    return Err(PolicyError::whole(&found.name, message)
                        .hint("leave out `[tool]`: the file then adds rules to the tool that it is named after"));
                }
                self.check_file(found, &read)?;
                grammar = read.grammar;
                rules.extend(read.rules.into_iter().map(|rule| (layer, rule)));
            }
        }
        for (layer, found) in adding {
            if found.family.as_bytes() == name || grammar.as_ref().is_some_and(|grammar| grammar.names.contains(&found.family)) {
                let read = file::read(&found.name, &found.bytes, FileKind::Tool)?;
                // A file that describes a tool under another name than its own adds nothing to this one.
                if read.grammar.is_some() {
                    continue;
                }
                self.check_file(found, &read)?;
                rules.extend(read.rules.into_iter().map(|rule| (layer, rule)));
            }
        }
        Self::distinct(&rules)?;
        let known = grammar.is_some() || !rules.is_empty();
        let excepts = |rule: &Rule| {
            rule.except.iter().any(|tool| tool.as_bytes() == name || grammar.as_ref().is_some_and(|own| own.names.contains(tool)))
        };
        let mut named = false;
        for (layer, rule) in &self.loose {
            let by_name = rule.tools.iter().any(|tool| tool.as_bytes() == name);
            named |= by_name;
            if by_name || rule.tools.iter().any(|tool| tool == EVERY_TOOL) && !excepts(rule) {
                rules.push((*layer, rule.clone()));
            }
        }
        let mode = self.embedded_mode();
        let own = embedded.map(|(_, rules)| rules).unwrap_or_default();
        let shared = self.embedded(EVERY_TOOL.as_bytes())?.map(|(_, rules)| rules).unwrap_or_default();
        rules.extend(
            own.into_iter()
                .chain(shared.into_iter().filter(|rule| !excepts(rule)))
                .filter(|rule| mode == Embedded::On || mode == Embedded::DenyOnly && rule.effect == Effect::Deny)
                .map(|rule| (Layer::Embedded, rule)),
        );
        if rules.len() > MOST_RULES {
            return Err(PolicyError::whole("policy", format!("more than {MOST_RULES} rules speak of one program")));
        }
        let rules: Vec<Placed> = rules.into_iter().map(|(layer, rule)| self.placed(layer, rule)).collect();
        let index = Index::of(rules.iter().map(|placed| &placed.rule));
        Ok(View { grammar: grammar.unwrap_or_else(Grammar::unknown), known: known || named, rules, index })
    }

    fn placed(&self, layer: Layer, rule: Rule) -> Placed {
        let mut amends = Vec::new();
        for (by, head) in self.heads.iter().rev() {
            let may = *by < layer && (!rule.locked || *by == Layer::System);
            amends.extend(head.amends.iter().filter(|amend| may && amend.id == rule.id).cloned());
        }
        let reason = Rc::new(Reason {
            rule: rule.id.clone(),
            layer,
            effect: rule.effect,
            risk: rule.risk,
            data: rule.data.clone(),
            text: rule.reason.clone(),
            instead: rule.instead.clone(),
            preview: Vec::new(),
            observed: rule.effect == Effect::Ask && self.observes(layer),
        });
        Placed { layer, rule, amends, reason }
    }

    fn embedded(&self, name: &[u8]) -> Result<Option<(Grammar, Vec<Rule>)>, PolicyError> {
        let Ok(at) = self.tools.names.binary_search_by(|(known, _)| known.as_bytes().cmp(name)) else {
            return Ok(None);
        };
        let blob = self.tools.files.get(usize::from(self.tools.names[at].1)).copied().unwrap_or_default();
        let unreadable = || PolicyError::whole("gate", "gate's own tool files cannot be read");
        let plain = lz4_flex::decompress_size_prepended(blob).map_err(|_| unreadable())?;
        postcard::from_bytes(&plain).map(Some).map_err(|_| unreadable())
    }
}

/// Whether a tool file could hold the grammar of this program: it would have to name it. A name that is spelled with escapes is looked for too.
fn could_describe(found: &PolicyFile, name: &[u8]) -> bool {
    contains(&found.bytes, b"names") && !name.is_empty() && contains(&found.bytes, name) || contains(&found.bytes, b"\\")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
