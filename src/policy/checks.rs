//! What must hold between files: ids, sets and terms that others name.

use std::collections::BTreeSet;

use super::error::PolicyError;
use super::layers::{Policy, PolicyFile};
use super::reason::Layer;
use super::rule::{Args, Conditions, File, Rule};
use super::sets;

impl Policy {
    pub(super) fn check_amends(&self) -> Result<(), PolicyError> {
        let mut others: Option<Vec<(Layer, String, bool)>> = None;
        for (layer, head) in &self.heads {
            for amend in &head.amends {
                let file = self.head_name(*layer);
                self.check_sets(&file, &amend.when)?;
                self.check_sets(&file, &amend.unless)?;
                if let Some(terms) = &amend.terms {
                    self.terms_named(terms).ok_or_else(|| unknown_terms(&file, terms))?;
                }
                if *layer != Layer::System && self.tools.locked.binary_search(&amend.id.as_str()).is_ok() {
                    let message = format!("the rule `{}` is locked", amend.id);
                    return Err(PolicyError::whole(&file, message)
                        .hint("it stands between a slip and a catastrophe; only the system layer amends it"));
                }
                if self.embedded_id(&amend.id) {
                    continue;
                }
                if others.is_none() {
                    others = Some(self.all_ids()?);
                }
                let found = others.iter().flatten().find(|(_, id, _)| *id == amend.id);
                match found {
                    Some((of, _, _)) if of > layer => {}
                    Some((of, _, _)) => {
                        return Err(PolicyError::whole(
                            &file,
                            format!("`{}` is a rule of the {of} layer, which this layer may not amend", amend.id),
                        ));
                    }
                    None => {
                        return Err(PolicyError::whole(&file, format!("there is no rule `{}` to amend", amend.id))
                            .hint("`gate policy show` lists all ids"));
                    }
                }
            }
        }
        for (_, rule) in &self.loose {
            self.check_terms(rule)?;
        }
        Ok(())
    }

    pub(super) fn check_terms(&self, rule: &Rule) -> Result<(), PolicyError> {
        self.check_sets(&rule.id, &rule.when)?;
        self.check_sets(&rule.id, &rule.unless)?;
        for args in [&rule.options, &rule.operands] {
            self.check_args(&rule.id, args)?;
        }
        match &rule.terms {
            Some(terms) if self.terms_named(terms).is_none() => Err(unknown_terms(&rule.id, terms)),
            _ => Ok(()),
        }
    }

    /// A condition that names a set which nobody wrote would never hold, and protect nobody. `production` is what gate's own rules ask for.
    pub(super) fn check_sets(&self, at: &str, conditions: &Conditions) -> Result<(), PolicyError> {
        let mut sets = conditions.facts.iter().flat_map(|(_, patterns)| patterns).filter_map(|pattern| pattern.strip_prefix('@'));
        if let Some(set) = sets.find(|set| !self.is_set(set)) {
            return Err(no_set(at, set));
        }
        self.check_args(at, &conditions.options)?;
        self.check_args(at, &conditions.operands)
    }

    fn check_args(&self, at: &str, args: &Args) -> Result<(), PolicyError> {
        let patterns = [&args.any, &args.all, &args.none, &args.only].into_iter().flatten().flatten();
        let mut sets = patterns.filter_map(|pattern| sets::named(pattern.split_once('=').map_or(pattern, |(_, value)| value)));
        match sets.find(|set| sets::find(set).is_none() && !self.is_set(set)) {
            Some(set) => Err(no_set(at, set)),
            None => Ok(()),
        }
    }

    fn is_set(&self, set: &str) -> bool {
        set == "production" || self.names.iter().any(|(name, _)| name == set)
    }

    /// No two rules that speak of one program share an id.
    pub(super) fn distinct(rules: &[(Layer, Rule)]) -> Result<(), PolicyError> {
        let mut seen = BTreeSet::new();
        match rules.iter().find(|(_, rule)| !seen.insert(rule.id.as_str())) {
            Some((layer, rule)) => {
                let message = format!("the id `{}` stands in two files of the {layer} layer and others", rule.id);
                Err(PolicyError::whole(&rule.id, message).hint("records and amends name rules by id, so each needs its own"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn check_file(&self, found: &PolicyFile, read: &File) -> Result<(), PolicyError> {
        self.note(found);
        for rule in &read.rules {
            self.check_terms(rule)?;
            if self.embedded_id(&rule.id) || self.loose.iter().any(|(_, other)| other.id == rule.id) {
                return Err(PolicyError::whole(&found.name, format!("the id `{}` stands elsewhere too", rule.id))
                    .hint("records and amends name rules by id, so each needs its own"));
            }
        }
        Ok(())
    }
}

fn no_set(at: &str, set: &str) -> PolicyError {
    PolicyError::whole(at, format!("there is no set `@{set}`"))
        .hint(format!("write `{set} = [...]` under `[names]` in the layer's `policy.toml`"))
}

fn unknown_terms(at: &str, terms: &str) -> PolicyError {
    PolicyError::whole(at, format!("there are no terms `{terms}`")).hint(format!("write `[terms.{terms}]` in the layer's `policy.toml`"))
}
