//! Whether one rule fits one reading.

use super::condition::{Names, Scene, conditions, value_fits};
use super::fitting::{Stance, arg_fits};
use super::pattern::fits;
use super::reason::Effect;
use super::rule::{Args, Conditions, Rule};
use super::truth::{Truth, all, any};
use crate::tool::{Arg, Certainty, Opt, Reading, Statement, Takes};

/// Whether a rule fires with this effect. `accounted`: an amend said so of words and operands as they are.
pub(super) fn fires(rule: &Rule, effect: Effect, accounted: bool, reading: &Reading<'_>, scene: &Scene<'_>) -> bool {
    let stance = if effect == Effect::Allow { Stance::Allow } else { Stance::Strict };
    let exact = stance == Stance::Allow && !accounted;
    let Some((words, taken)) = words(rule, reading, exact) else {
        return false;
    };
    let rest = reading.operands.get(taken..).unwrap_or_default();
    let fit = words
        .and(options(&rule.options, reading, scene, stance))
        .and(operands(&rule.operands, rest, reading, scene, stance))
        .and(statement(&rule.statement, reading, scene, stance));
    if stance == Stance::Strict {
        return fit != Truth::No
            && conditions(&rule.when, rest, reading, scene, Stance::Strict) != Truth::No
            && (rule.unless.is_empty() || conditions(&rule.unless, rest, reading, scene, Stance::Allow) != Truth::Yes);
    }
    let whole = fit == Truth::Yes
        && (reading.options_known() || accepted(rule, reading))
        && reading.words_known
        && (reading.statements.is_none() || rule.statement.only.is_some())
        && (accounted || rest.iter().all(|operand| accounts(&rule.operands, operand, scene)));
    if !whole {
        return false;
    }
    let when = conditions(&rule.when, rest, reading, scene, Stance::Allow);
    // Looked at whatever `when` says: while facts are not captured yet it says "maybe", and those of `unless` are wanted too.
    when != Truth::No
        && (rule.unless.is_empty() || conditions(&rule.unless, rest, reading, scene, Stance::Strict) == Truth::No)
        && when == Truth::Yes
}

/// Whether a rule accepts what is not known of the options: those that the grammar lacks, those that come when it runs.
pub(super) fn accepted(rule: &Rule, reading: &Reading<'_>) -> bool {
    let unseen = |arg: &Arg<'_>| arg.certainty == Certainty::Anything;
    !reading.loose
        && (rule.other_options || reading.options.iter().all(|option| option.spec.is_some()))
        && (rule.unseen || !reading.operands.iter().any(unseen))
        && !reading.words.iter().any(unseen)
}

/// Whether the conditions of an amend hold: surely, perhaps, or not.
pub(super) fn amend_holds(when: &Conditions, unless: &Conditions, reading: &Reading<'_>, scene: &Scene<'_>) -> Truth {
    let operands = &reading.operands;
    let strict = |given: &Conditions| conditions(given, operands, reading, scene, Stance::Strict);
    let sure = |given: &Conditions| conditions(given, operands, reading, scene, Stance::Allow);
    let lifted = |truth: Truth| if unless.is_empty() { Truth::No } else { truth };
    if sure(when) == Truth::Yes && lifted(strict(unless)) == Truth::No {
        Truth::Yes
    } else if strict(when) == Truth::No || lifted(sure(unless)) == Truth::Yes {
        Truth::No
    } else {
        Truth::Maybe
    }
}

/// Whether the rule's words lead the command's, and how many operands they took.
pub(super) fn words(rule: &Rule, reading: &Reading<'_>, exact: bool) -> Option<(Truth, usize)> {
    if exact && rule.words.len() < reading.words.len() {
        return None;
    }
    if reading.loose && !rule.words.is_empty() {
        let mut left = reading.words.iter().chain(&reading.operands);
        let found = rule.words.iter().all(|wanted| left.any(|arg| spells(wanted, arg, reading) != Truth::No));
        return found.then_some((Truth::Maybe, 0));
    }
    let mut sequence = reading.words.iter().chain(&reading.operands);
    let mut truth = Truth::Yes;
    for wanted in &rule.words {
        let arg = sequence.next()?;
        if arg.is_many() {
            return Some((Truth::Maybe, 0));
        }
        truth = truth.and(spells(wanted, arg, reading));
        if truth == Truth::No {
            return None;
        }
    }
    Some((truth, rule.words.len().saturating_sub(reading.words.len())))
}

fn spells(alternatives: &[String], arg: &Arg<'_>, reading: &Reading<'_>) -> Truth {
    if !arg.is_known() {
        // One argument is one word, whatever it says.
        let any = arg.certainty == Certainty::Value && alternatives.iter().any(|word| word == "*");
        return if any { Truth::Yes } else { Truth::Maybe };
    }
    let folded = |word: &String| fits(word.to_ascii_lowercase().as_bytes(), &arg.text.to_ascii_lowercase());
    alternatives.iter().any(|word| fits(word.as_bytes(), &arg.text) || reading.fold_case && folded(word)).into()
}

pub(super) fn options(args: &Args, reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if args.is_empty() {
        return Truth::Yes;
    }
    let one = |pattern: &String, stance: Stance| option_given(pattern, reading, scene, stance);
    let mut truth = Truth::Yes;
    if let Some(patterns) = &args.any {
        truth = truth.and(any(patterns.iter().map(|pattern| one(pattern, stance))));
    }
    if let Some(patterns) = &args.all {
        truth = truth.and(all(patterns.iter().map(|pattern| one(pattern, stance))));
    }
    if let Some(patterns) = &args.none {
        // The doubt turns round: what must not be there is looked for strictly.
        let flipped = if stance == Stance::Strict { Stance::Allow } else { Stance::Strict };
        truth = truth.and(any(patterns.iter().map(|pattern| one(pattern, flipped))).not());
    }
    if let Some(patterns) = &args.only {
        truth = truth
            .and(all(reading.options.iter().map(|given| any(patterns.iter().map(|pattern| option_fits(pattern, given, scene, stance))))));
    }
    truth
}

/// Whether an option that the pattern names was given: one occurrence suffices for the strict, the allowing want all of them so.
fn option_given(pattern: &str, reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    let fits_one = |given: &Opt<'_>| option_fits(pattern, given, scene, stance);
    let name = split(pattern).0;
    if stance == Stance::Strict {
        // A pattern for all options speaks of those that are there.
        let unseen = hides(reading) && !name.contains('*');
        return any(reading.options.iter().map(fits_one)).max(if unseen { Truth::Maybe } else { Truth::No });
    }
    let mut same = reading.options.iter().filter(|given| named(name, given) != Truth::No).peekable();
    if same.peek().is_none() || reading.loose {
        return Truth::No;
    }
    let sure = if hides(reading) { Truth::Maybe } else { Truth::Yes };
    sure.and(all(same.map(|given| if given.negated || switched_off(given) { Truth::No } else { fits_one(given) })))
}

/// Whether further options may come that cannot be seen yet.
fn hides(reading: &Reading<'_>) -> bool {
    reading.loose || reading.operands.iter().chain(&reading.words).any(|arg| arg.certainty == Certainty::Anything)
}

fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once('=').map_or((pattern, None), |(name, value)| (name, Some(value)))
}

fn named(name: &str, given: &Opt<'_>) -> Truth {
    if given.is(name) || name.contains('*') && fits(name.as_bytes(), &given.raw) {
        Truth::Yes
    } else if given.could_be(name)
        || given.spec.is_none() && given.raw.len() > 2 && given.raw.starts_with(b"--") && name.as_bytes().starts_with(&given.raw)
    {
        // A bundle may hold it, and what the grammar does not know may be short for it.
        Truth::Maybe
    } else {
        Truth::No
    }
}

fn option_fits(pattern: &str, given: &Opt<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    let (name, wanted) = split(pattern);
    let named = named(name, given);
    match (wanted, &given.value) {
        _ if named == Truth::No => Truth::No,
        (None, _) => named,
        (Some(wanted), Some(value)) => named.and(arg_fits(wanted, value, scene, stance)),
        // An unknown option may yet take the next argument: another reading has it as the value.
        (Some(_), None) => named.and(if given.spec.is_none() && !name.contains('*') { Truth::Maybe } else { Truth::No }),
    }
}

/// `--flag=false`, in the spellings that Go's `strconv.ParseBool` and kubectl's dry run know.
fn switched_off(given: &Opt<'_>) -> bool {
    given.spec.is_some_and(|spec| spec.takes != Takes::Value)
        && given.value.as_ref().is_some_and(|value| {
            !value.is_known() || matches!(&*value.text.to_ascii_lowercase(), b"false" | b"f" | b"0" | b"no" | b"none" | b"off")
        })
}

pub(super) fn operands(args: &Args, given: &[Arg<'_>], reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if args.is_empty() {
        return Truth::Yes;
    }
    let doubt = if reading.loose { Truth::Maybe } else { Truth::Yes };
    let hiding =
        if given.iter().any(|arg| arg.certainty == Certainty::Anything && arg.shape.is_empty()) { Truth::Maybe } else { Truth::No };
    let some = |pattern: &String, stance: Stance| any(given.iter().map(|arg| arg_fits(pattern, arg, scene, stance))).min(doubt).max(hiding);
    let mut truth = Truth::Yes;
    if let Some(patterns) = &args.any {
        truth = truth.and(any(patterns.iter().map(|pattern| some(pattern, stance))));
    }
    if let Some(patterns) = &args.all {
        truth = truth.and(all(patterns.iter().map(|pattern| some(pattern, stance))));
    }
    if let Some(patterns) = &args.none {
        let flipped = if stance == Stance::Strict { Stance::Allow } else { Stance::Strict };
        truth = truth.and(any(patterns.iter().map(|pattern| some(pattern, flipped))).not());
    }
    if let Some(patterns) = &args.only {
        let all = all(given.iter().map(|arg| any(patterns.iter().map(|pattern| arg_fits(pattern, arg, scene, stance)))));
        // What does not fit may be the value of an option that nobody knows.
        truth = truth.and(if reading.loose && stance == Stance::Strict { all.max(Truth::Maybe) } else { all });
    }
    truth
}

/// Whether an allow rule names this operand.
pub(super) fn accounts(args: &Args, operand: &Arg<'_>, scene: &Scene<'_>) -> bool {
    let mut patterns = [&args.any, &args.all, &args.only].into_iter().flatten().flatten();
    patterns.any(|pattern| arg_fits(pattern, operand, scene, Stance::Allow) == Truth::Yes)
}

pub(super) fn statement(args: &Args, reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if args.is_empty() {
        return Truth::Yes;
    }
    let Some(given) = &reading.statements else {
        return Truth::No;
    };
    let one = |pattern: &String, statement: &Statement| {
        if statement.known { Truth::from(statement_fits(pattern, statement, scene.names)) } else { Truth::Maybe }
    };
    let some = |pattern: &String| any(given.iter().map(|statement| one(pattern, statement)));
    let mut truth = Truth::from(!given.is_empty() || stance == Stance::Strict);
    if let Some(patterns) = &args.any {
        truth = truth.and(any(patterns.iter().map(some)));
    }
    if let Some(patterns) = &args.all {
        truth = truth.and(all(patterns.iter().map(some)));
    }
    if let Some(patterns) = &args.none {
        truth = truth.and(any(patterns.iter().map(some)).not());
    }
    if let Some(patterns) = &args.only {
        truth = truth.and(all(given.iter().map(|statement| any(patterns.iter().map(|pattern| one(pattern, statement))))));
    }
    truth
}

/// `DROP DATABASE x` fits what drops `x`, and `DROP DATABASE @production` what drops one of that set.
fn statement_fits(pattern: &str, statement: &Statement, names: &Names) -> bool {
    let label = &statement.label;
    let object = |wanted: &str| statement.objects.iter().any(|object| value_fits(wanted, object, names) == Truth::Yes);
    fits(pattern.as_bytes(), label.as_bytes())
        || pattern.strip_prefix(label.as_str()).and_then(|rest| rest.strip_prefix(' ')).is_some_and(object)
}
