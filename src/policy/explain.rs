//! Why: the steps of a decision, and for each rule that speaks of the command what keeps it from taking part.

use serde_json::Value;

use super::condition::{Scene, condition_named, conditions};
use super::decide::Given;
use super::error::PolicyError;
use super::fitting::Stance;
use super::layers::Policy;
use super::matching::{self, accepted, operands, options, statement, words};
use super::reason::{Effect, Layer};
use super::rule::Rule;
use super::truth::Truth;
use crate::request::{Argv, Context, Program};
use crate::tool::Reading;

/// One command on the way: read in one way, and what each rule says of that.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// How deep it stands inside other commands.
    pub depth: usize,
    /// It was only seen in a script that cannot be read, so that it cannot make the answer milder.
    pub guessed: bool,
    /// How it was read, without the secrets in it.
    pub reading: Value,
    /// The rules that take part, and those that speak of its words and do not.
    pub rules: Vec<Considered>,
    /// What this reading comes to by itself.
    pub comes_to: Effect,
}

/// A rule that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub layer: Layer,
    /// What it does.
    pub effect: Effect,
    /// What keeps it from taking part; none where it does.
    pub kept_out: Option<String>,
}

impl Policy {
    /// The decision on a command, step by step.
    pub fn explain(&self, argv: &Argv, program: &Program, context: &Context) -> Result<Vec<Step>, PolicyError> {
        self.with_given(program, context, &mut |given: &Given<'_>| self.traced(argv, given))
    }
}

/// What keeps a rule from firing on a reading that its words fit; none where those do not.
pub(super) fn kept_out(rule: &Rule, reading: &Reading<'_>, scene: &Scene<'_>, secrets: bool) -> Option<String> {
    let allow = rule.effect == Effect::Allow;
    let stance = if allow { Stance::Allow } else { Stance::Strict };
    let short = words(rule, reading, false).is_some_and(|(fit, _)| fit != Truth::No);
    let Some((fit, taken)) = words(rule, reading, allow) else {
        return short.then(|| "the command has more words than the rule".to_owned());
    };
    let rest = reading.operands.get(taken..).unwrap_or_default();
    let enough = |truth: Truth| if allow { truth == Truth::Yes } else { truth != Truth::No };
    if !enough(fit) {
        return Some("whether its words are there is only known when it runs".to_owned());
    }
    if !enough(options(&rule.options, reading, scene, stance)) {
        return Some("its `options` do not fit".to_owned());
    }
    if !enough(operands(&rule.operands, rest, reading, scene, stance)) {
        return Some("its `operands` do not fit".to_owned());
    }
    if !enough(statement(&rule.statement, reading, scene, stance)) {
        return Some("its `statement` does not fit".to_owned());
    }
    if allow && let Some(why) = not_accounted(rule, rest, reading, scene, secrets) {
        return Some(why);
    }
    if !enough(conditions(&rule.when, rest, reading, scene, stance)) {
        return Some(format!("its `when` does not hold{}", condition_named(&rule.when, rest, reading, scene, stance)));
    }
    Some("its `unless` holds".to_owned())
}

/// What of the command an allow rule does not account for.
fn not_accounted(rule: &Rule, rest: &[crate::tool::Arg<'_>], reading: &Reading<'_>, scene: &Scene<'_>, secrets: bool) -> Option<String> {
    if !reading.words_known {
        return Some("the command's first word is not in the grammar".to_owned());
    }
    if !reading.options_known() && !accepted(rule, reading) {
        let unknown = reading.options.iter().find(|option| option.spec.is_none()).filter(|_| !rule.other_options);
        return Some(match unknown {
            Some(option) => format!("the option `{}` is not in the grammar", crate::text::escape(&option.raw)),
            None => "some arguments are only known when it runs".to_owned(),
        });
    }
    if reading.statements.is_some() && rule.statement.only.is_none() {
        return Some("it says nothing of the statements".to_owned());
    }
    let left = rest.iter().find(|operand| !matching::accounts(&rule.operands, operand, scene))?;
    // Where there are secrets, this may be one of them.
    Some(if secrets {
        "it does not account for an operand".to_owned()
    } else {
        format!("it does not account for the operand `{}`", crate::text::escape(&left.text))
    })
}
