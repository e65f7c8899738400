//! A rule after what more trusted layers changed about it.

use super::condition::Scene;
use super::layers::Placed;
use super::matching;
use super::reason::Effect;
use super::rule::Rule;
use super::truth::Truth;
use crate::tool::{Arg, Certainty, Reading};

/// Whether a rule fires, and with which effect and terms after amends. Where an amend may or may not hold, the stricter of both counts.
pub(super) fn fired(placed: &Placed, reading: &Reading<'_>, scene: &Scene<'_>) -> Vec<(Effect, Option<String>)> {
    struct Variant<'a> {
        effect: Effect,
        terms: Option<&'a String>,
        disabled: bool,
        amended: bool,
    }
    let rule: &Rule = &placed.rule;
    if placed.amends.is_empty() {
        if !matching::fires(rule, rule.effect, false, reading, scene) {
            return Vec::new();
        }
        return vec![(seen(rule, rule.effect, false, reading, scene), rule.terms.clone())];
    }
    let mut variants = vec![Variant { effect: rule.effect, terms: rule.terms.as_ref(), disabled: false, amended: false }];
    for amend in &placed.amends {
        let holds = matching::amend_holds(&amend.when, &amend.unless, reading, scene);
        if holds == Truth::No {
            continue;
        }
        let changed: Vec<Variant<'_>> = variants
            .iter()
            .map(|variant| Variant {
                effect: amend.effect.unwrap_or(variant.effect),
                terms: amend.terms.as_ref().or(variant.terms),
                disabled: variant.disabled || amend.disable,
                amended: true,
            })
            .collect();
        if holds == Truth::Yes {
            variants = changed;
        } else {
            variants.extend(changed);
        }
    }
    let fires = |variant: &Variant<'_>| !variant.disabled && matching::fires(rule, variant.effect, variant.amended, reading, scene);
    let firing: Vec<&Variant<'_>> = variants.iter().filter(|variant| fires(variant)).collect();
    let Some(strictest) = firing.iter().map(|variant| variant.effect).max() else {
        return Vec::new();
    };
    if strictest == Effect::Allow && firing.len() < variants.len() {
        return Vec::new();
    }
    // Where it is not sure which terms hold, all of them do.
    firing
        .iter()
        .filter(|variant| variant.effect == strictest)
        .map(|variant| (seen(rule, strictest, variant.amended, reading, scene), variant.terms.cloned()))
        .collect()
}

/// A denial that rests only on arguments that nobody can see yet (those that xargs reads), on statements that nobody could read, or on
/// where a relative path leads from a directory that nobody knows, is for people to decide: else it would deny everything.
fn seen(rule: &Rule, effect: Effect, amended: bool, reading: &Reading<'_>, scene: &Scene<'_>) -> Effect {
    if effect == Effect::Deny
        && let Some(paths) = scene.paths.somewhere()
        && !matching::fires(rule, effect, amended, reading, &Scene { paths: &paths, ..*scene })
    {
        return Effect::Ask;
    }
    let unseen = |arg: &Arg<'_>| arg.certainty == Certainty::Anything;
    let unread = reading.statements.iter().flatten().any(|statement| !statement.known);
    if effect != Effect::Deny || !reading.operands.iter().any(unseen) && !unread {
        return effect;
    }
    let mut rest = reading.clone();
    rest.operands.retain(|arg| !unseen(arg));
    if let Some(statements) = &mut rest.statements {
        statements.retain(|statement| statement.known);
        if statements.is_empty() && !rule.statement.is_empty() {
            return Effect::Ask;
        }
    }
    if matching::fires(rule, effect, amended, &rest, scene) { effect } else { Effect::Ask }
}
