//! Rules that may stand as they do, and should not.

use super::error::PolicyError;
use super::layers::Policy;
use super::reason::{Effect, Layer};
use super::rule::{Conditions, Rule};

impl Policy {
    /// What is wrong with the layers although they load: one line for each.
    pub fn lint(&self) -> Result<Vec<String>, PolicyError> {
        let mut found = Vec::new();
        let named = self.named_tools();
        for (layer, rule) in self.loose_rules() {
            claimed_in_system(*layer, rule, &mut found);
            if rule.effect == Effect::Allow
                && rule.tools.iter().any(|tool| tool == "*")
                && rule.operands.only.as_ref().is_some_and(|only| only.iter().any(|one| one == "*"))
            {
                found.push(format!("`{}` allows every program with any operand", rule.id));
            }
        }
        for name in named.iter().map(String::as_str).chain(self.embedded_names()) {
            for placed in &self.view(name.as_bytes())?.rules {
                if placed.rule.tools.is_empty() {
                    claimed_in_system(placed.layer, &placed.rule, &mut found);
                }
            }
        }
        for (layer, head) in self.heads() {
            if *layer == Layer::System && head.unmatched == Some(Effect::Allow) {
                found.push("the system layer allows what no rule speaks of".to_owned());
            }
            if head.trusted_programs.iter().any(|directory| directory == "/") {
                found.push(format!("the {layer} layer trusts programs wherever they lie"));
            }
            for (name, _) in self.sets_without_use(*layer) {
                found.push(format!("the set `@{name}` is not used by any condition"));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// In the system layer nothing may be loosened by what the caller can write.
fn claimed_in_system(layer: Layer, rule: &Rule, found: &mut Vec<String>) {
    if layer != Layer::System || rule.trust_claimed {
        return;
    }
    let claimed = |conditions: &Conditions| conditions.facts.iter().find(|(name, _)| name.claimed()).map(|(name, _)| name.to_string());
    let loosening =
        if rule.effect == Effect::Allow { claimed(&rule.when).or_else(|| claimed(&rule.unless)) } else { claimed(&rule.unless) };
    if let Some(name) = loosening {
        found.push(format!(
            "`{}` is loosened by `{name}`, which the caller can write; say `trust_claimed = true` if that is meant",
            rule.id
        ));
    }
}
