//! Whether one argument fits a pattern, as text, as a path, or as one of a set.

use super::condition::Scene;
use super::pattern::fits;
use super::sets::{self, Set};
use super::truth::{Truth, any};
use crate::tool::{Arg, Part};

/// Which doubt is the strict one: asks and denials fire on a maybe, an allow does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    Strict,
    Allow,
}

/// Whether one argument fits a pattern. `*` fits everything, what is only known when it runs included.
pub(super) fn arg_fits(pattern: &str, arg: &Arg<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if pattern == "*" {
        return Truth::Yes;
    }
    match sets::named(pattern) {
        Some(name) if sets::find(name).is_some() || scene.names.iter().any(|(known, _)| known == name) => in_set(name, arg, scene, stance),
        // gate's own rules ask for `@production`, which is empty until somebody fills it.
        Some("production") => Truth::No,
        _ => path_fits(pattern, arg, scene, stance),
    }
}

/// Whether one argument is in a set: gate's own, the layers' of the same name, or both.
fn in_set(name: &str, arg: &Arg<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    let one = |pattern: &str| path_fits(pattern, arg, scene, stance);
    let written = scene.names.iter().filter(|(known, _)| known == name).flat_map(|(_, patterns)| patterns);
    let written = any(written.map(|pattern| one(pattern)));
    let many = |patterns: &'static [&'static str]| {
        if arg.is_known() && stance == Stance::Strict {
            scene.paths.could_fit_any(patterns, &arg.text)
        } else {
            any(patterns.iter().map(|pattern| one(pattern)))
        }
    };
    let own = match sets::find(name) {
        None => Truth::No,
        Some(Set::Patterns(patterns)) => many(patterns),
        Some(Set::Secrets(patterns)) => match many(patterns) {
            Truth::No => Truth::No,
            found => found.and(any(sets::SAMPLES.iter().map(|pattern| path_fits(pattern, arg, scene, Stance::Allow))).not()),
        },
        Some(Set::System(patterns)) => {
            let relative = arg.is_known() && !arg.text.starts_with(b"/") && scene.paths.stays_inside(&arg.text);
            if relative && !scene.paths.in_core() { Truth::No } else { many(patterns) }
        }
        Some(Set::Regenerable(patterns)) => {
            // What lies below such a directory is made again with it.
            let made =
                |pattern: &&str| super::paths::bare(&arg.text).split(|byte| *byte == b'/').any(|part| fits(pattern.as_bytes(), part));
            let inside = arg.is_known() && !arg.text.starts_with(b"/") && scene.paths.stays_inside(&arg.text) && !scene.paths.in_core();
            unless_seen(arg, stance, inside && patterns.iter().any(made))
        }
        Some(Set::WorkTree) => unless_seen(arg, stance, in_work_tree(arg, scene)),
    };
    own.max(written)
}

/// What is not known whole may be in a set that only known paths are in.
fn unless_seen(arg: &Arg<'_>, stance: Stance, inside: bool) -> Truth {
    if inside || arg.is_known() || stance == Stance::Allow { inside.into() } else { Truth::Maybe }
}

fn in_work_tree(arg: &Arg<'_>, scene: &Scene<'_>) -> bool {
    let inside = if arg.is_known() {
        scene.paths.stays_inside(&arg.text)
    } else {
        // What a glob finds stays where the glob is, if it begins with a name.
        matches!(arg.shape.first(), Some(Part::Text(text)) if !text.starts_with(b"/") && !text.starts_with(b"-"))
            && !super::paths::climbs(&arg.shape)
    };
    inside && !scene.paths.in_core() && sets::apart().all(|pattern| path_fits(pattern, arg, scene, Stance::Strict) == Truth::No)
}

/// Whether one argument, as it stands or as a path, fits a pattern.
fn path_fits(pattern: &str, arg: &Arg<'_>, scene: &Scene<'_>, stance: Stance) -> Truth {
    if pattern == "*" {
        return Truth::Yes;
    }
    if !arg.is_known() && !arg.shape.is_empty() {
        return match stance {
            Stance::Strict if scene.paths.shape_surely_fits(pattern, &arg.shape) => Truth::Yes,
            Stance::Strict if scene.paths.shape_could_fit(pattern, &arg.shape) => Truth::Maybe,
            Stance::Strict => Truth::No,
            Stance::Allow => scene.paths.shape_surely_fits(pattern, &arg.shape).into(),
        };
    }
    if !arg.is_known() {
        let below = |root: &Vec<u8>| scene.paths.could_lie_below(pattern, root);
        let possible = arg.roots.is_empty() || arg.roots.iter().any(below);
        return if possible { Truth::Maybe } else { Truth::No };
    }
    match stance {
        Stance::Strict => scene.paths.could_fit(pattern, &arg.text),
        Stance::Allow => scene.paths.surely_fits(pattern, &arg.text).into(),
    }
}
