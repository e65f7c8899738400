//! Whether what `when` and `unless` say holds.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::fitting::Stance;
use super::matching::{operands, options};
use super::paths::Paths;
use super::pattern::fits;
use super::rule::Conditions;
use super::truth::{Truth, any};
use super::window::Window;
use crate::request::{Fact, FactName, Facts};
use crate::tool::{Arg, Assigned, Reading};

/// Sets of patterns by name.
pub(crate) type Names = [(String, Vec<String>)];

/// What conditions are held against.
pub(super) struct Scene<'a> {
    pub facts: &'a Facts,
    pub names: &'a Names,
    pub paths: &'a Paths<'a>,
    /// Whether the target facts are those of the command being judged.
    pub own_target: bool,
    /// Variables that a script sets on the way, so that their values are not those that were captured.
    pub assigned: &'a [Assigned],
    /// Stdin is what a script gives it.
    pub fed: bool,
    /// The facts that a rule which otherwise fits asked about.
    pub asked: &'a RefCell<BTreeSet<FactName>>,
}

pub(super) fn conditions(given: &Conditions, rest: &[Arg<'_>], reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    let mut truth = options(&given.options, reading, scene, stance).and(operands(&given.operands, rest, reading, scene, stance));
    if truth == Truth::No {
        return truth;
    }
    for (name, patterns) in &given.facts {
        if *name != FactName::Script {
            scene.asked.borrow_mut().insert(name.clone());
        }
        truth = truth.and(fact(name, patterns, reading, scene, stance));
    }
    truth
}

/// The name of the first condition on a fact that does not hold, for people; with a blank in front.
pub(super) fn condition_named(given: &Conditions, rest: &[Arg<'_>], reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> String {
    let enough = |truth: Truth| if stance == Stance::Allow { truth == Truth::Yes } else { truth != Truth::No };
    let failed = |args: Truth, name: &str| (!enough(args)).then(|| format!(" on `{name}`"));
    let facts = || given.facts.iter().find(|(name, patterns)| !enough(fact(name, patterns, reading, scene, stance)));
    failed(options(&given.options, reading, scene, stance), "options")
        .or_else(|| failed(operands(&given.operands, rest, reading, scene, stance), "operands"))
        .or_else(|| facts().map(|(name, _)| format!(" on `{name}`")))
        .unwrap_or_default()
}

fn fact(name: &FactName, patterns: &[String], reading: &Reading<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if is_target(name) && !scene.own_target {
        return Truth::Maybe;
    }
    let set_on_the_way = matches!(name, FactName::Env(variable) if scene.assigned.iter().any(|(set, _)| set == variable.as_bytes()));
    if set_on_the_way {
        return Truth::Maybe;
    }
    // Scripts are read for each command by itself, so that nothing captured says anything of them.
    if *name == FactName::Script {
        let said = match reading.script {
            None => return Truth::No,
            Some(true) => "read",
            Some(false) => "unread",
        };
        return any(patterns.iter().map(|pattern| value_fits(pattern, said, scene.names)));
    }
    if scene.fed && *name == FactName::Stdin {
        return any(patterns.iter().map(|pattern| value_fits(pattern, "pipe", scene.names)));
    }
    let given = match name {
        // A test says of the calendar, whichever it is, whether something is in force.
        FactName::Freeze(_) => scene.facts.get(name).or_else(|| scene.facts.get(&FactName::Freeze(String::new()))),
        _ => scene.facts.get(name),
    };
    if let (FactName::Time, Some(Fact::Known { values, .. })) = (name, given) {
        return any(values.iter().flat_map(|value| patterns.iter().map(|pattern| window_holds(pattern, value))));
    }
    match given {
        Some(Fact::Known { values, .. }) => {
            let mut fitting = values.iter().map(|value| any(patterns.iter().map(|pattern| value_fits(pattern, value, scene.names))));
            // Of several remotes or groups one suffices to be strict, and it takes all to be lenient.
            if stance == Stance::Strict {
                any(fitting)
            } else {
                Truth::from(!values.is_empty()).and(fitting.by_ref().min().unwrap_or(Truth::No))
            }
        }
        // What is surely absent is so only as far as the caller cannot have taken it away.
        Some(Fact::Absent) if !name.claimed() => Truth::No,
        Some(Fact::Absent | Fact::Unknown(_)) | None => Truth::Maybe,
    }
}

/// Whether a fact is about what the command acts on.
pub(super) fn is_target(name: &FactName) -> bool {
    matches!(
        name,
        FactName::KubeContext
            | FactName::KubeNamespace
            | FactName::GitRemote
            | FactName::GitBranch
            | FactName::AwsProfile
            | FactName::TfWorkspace
            | FactName::AwsAccount
            | FactName::GcpProject
    )
}

fn window_holds(window: &str, now: &str) -> Truth {
    match (Window::parse(window), now.parse()) {
        (Ok(window), Ok(now)) => window.holds(now).into(),
        _ => Truth::Maybe,
    }
}

pub(super) fn value_fits(pattern: &str, value: &str, names: &Names) -> Truth {
    match pattern.strip_prefix('@') {
        Some(set) => {
            let found = names.iter().find(|(name, _)| name == set);
            found.is_some_and(|(_, patterns)| patterns.iter().any(|pattern| fits(pattern.as_bytes(), value.as_bytes()))).into()
        }
        None => fits(pattern.as_bytes(), value.as_bytes()).into(),
    }
}
