//! Rules that may stand as they do, and should not.

use super::error::PolicyError;
use super::in_file::judged;
use super::layers::Policy;
use super::reason::{Effect, Layer};
use super::rule::{Args, Conditions, Rule};
use crate::shell;
use crate::tool::Grammar;

impl Policy {
    /// What is wrong with the layers although they load: one line for each.
    pub fn lint(&self) -> Result<Vec<String>, PolicyError> {
        let mut found = Vec::new();
        for (layer, rule) in self.loose_rules() {
            claimed_in_system(*layer, rule, &mut found);
            if rule.effect == Effect::Allow && rule.tools.iter().any(|tool| tool == "*") && any_arguments(rule) {
                found.push(format!("`{}` allows every program with any operand", rule.id));
            }
        }
        let named = self.named_tools();
        for name in named.iter().map(String::as_str).chain(self.embedded_names()) {
            self.lint_tool(name, &mut found)?;
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

    /// What is to be said of the layers' own rules for one tool; gate's own are held to the same by its tests.
    fn lint_tool(&self, name: &str, found: &mut Vec<String>) -> Result<(), PolicyError> {
        let view = self.view(name.as_bytes())?;
        for placed in view.rules.iter().filter(|placed| placed.layer != Layer::Embedded) {
            let rule = &placed.rule;
            if rule.tools.is_empty() {
                claimed_in_system(placed.layer, rule, found);
            }
            if !view.grammar.names.is_empty() {
                unknown_options(rule, &view.grammar, found);
            }
            let named = rule.tools.is_empty() || rule.tools.iter().any(|tool| tool == name);
            if named && rule.effect == Effect::Allow && any_arguments(rule) && rule.words.is_empty() && rule.when.is_empty() {
                found.push(format!("`{}` allows every use of `{name}`", rule.id));
            }
            let over = view.rules.iter().find(|other| other.rule.id != rule.id && shadows(&other.rule, rule));
            if let Some(over) = over.filter(|over| named && over.amends.is_empty()) {
                found.push(format!(
                    "`{}` never decides: `{}` speaks of every command that it speaks of, and is stricter",
                    rule.id, over.rule.id
                ));
            }
            if let Some(instead) = &rule.instead
                && let Some(effect) = self.refuses_alternative(instead)?
            {
                found.push(format!("`{}` proposes `{instead}`, which would be answered {}", rule.id, effect.word()));
            }
        }
        Ok(())
    }

    /// What a proposed alternative is answered by, where that is not allow. What is no command of a known tool is advice in words.
    pub fn refuses_alternative(&self, instead: &str) -> Result<Option<Effect>, PolicyError> {
        let Some(words) = shell::words(instead.as_bytes()) else { return Ok(None) };
        let known = match words.first() {
            Some(name) => self.view(name)?.known,
            None => false,
        };
        if !known {
            return Ok(None);
        }
        Ok(judged(self, &words)?.map(|(effect, _)| effect).filter(|effect| *effect != Effect::Allow))
    }
}

/// Whether a rule takes any operands and options.
fn any_arguments(rule: &Rule) -> bool {
    let any = |args: &Args| [&args.any, &args.only].into_iter().flatten().flatten().any(|one| one == "*");
    any(&rule.operands) && rule.operands.none.is_none() && rule.options == Args::default() && rule.statement == Args::default()
}

/// Whether one rule surely fires wherever the other does, and is stricter.
fn shadows(over: &Rule, rule: &Rule) -> bool {
    let plain = [&over.options, &over.operands, &over.statement].iter().all(|args| args.is_empty())
        && over.when.is_empty()
        && over.unless.is_empty();
    let same_words = over.words.len() <= rule.words.len()
        && over.words.iter().zip(&rule.words).all(|(over, under)| under.iter().all(|word| over.contains(word)));
    plain && same_words && over.effect > rule.effect
}

/// An option that the grammar does not know is a slip of the pen, or never taken for what the rule means.
fn unknown_options(rule: &Rule, grammar: &Grammar, found: &mut Vec<String>) {
    let known = |name: &str| {
        let mut all = grammar.options.iter().chain(grammar.words.iter().flat_map(|word| &word.options));
        name.contains('*') || all.any(|spec| spec.spellings.iter().any(|spelling| spelling == name))
    };
    for args in [&rule.options, &rule.when.options, &rule.unless.options] {
        for pattern in [&args.any, &args.all, &args.none, &args.only].into_iter().flatten().flatten() {
            let name = pattern.split_once('=').map_or(pattern.as_str(), |(name, _)| name);
            if !known(name) {
                found.push(format!("`{}` names `{name}`, which the grammar does not know", rule.id));
            }
        }
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
