//! Reasons that no rule gives, and what all reasons together want of a run.

use std::rc::Rc;

use super::decide::Fired;
use super::layers::Policy;
use super::reason::{Effect, Layer, Reason, RunHow, StdinRule};
use super::terms::Risk;
use crate::request::Stdin;

/// The ids of reasons that no rule gives.
pub(super) const BUILT_IN: &[&str] =
    &["unmatched", "untrusted-program", "runs-other-code", "opaque", "too-deep", "stdin-refused", "no-common-channel"];

pub(super) fn untrusted(policy: &Policy, why: &str) -> Fired {
    let text = format!("The program lies where others than root could have put it: {why}.");
    let mut found = built_in("untrusted-program", Effect::Ask, &text, policy.observes(policy.law_layer()));
    Rc::make_mut(&mut found.reason).instead = Some("use the system's own copy, or list its directory under `trusted_programs`".to_owned());
    found
}

pub(super) fn built_in(id: &str, effect: Effect, text: &str, observed: bool) -> Fired {
    let reason = Reason {
        rule: id.to_owned(),
        layer: Layer::Embedded,
        effect,
        risk: Risk::Medium,
        data: Vec::new(),
        text: text.to_owned(),
        instead: None,
        preview: Vec::new(),
        observed: effect == Effect::Ask && observed,
    };
    Fired { reason: Rc::new(reason), terms: None, how: RunHow::default(), env_allow: Vec::new() }
}

/// Why a rule does not take this stdin.
pub(super) fn stdin_refused(wanted: StdinRule, given: &Stdin) -> Option<&'static str> {
    match (wanted, given) {
        (StdinRule::Allow, _) | (_, Stdin::Tty | Stdin::Empty) | (StdinRule::Pin, Stdin::File { .. }) => None,
        (StdinRule::Pin, Stdin::Unseen) => Some("It would read from a pipe, which nobody can see before it runs; a rule wants a file."),
        (StdinRule::Refuse, _) => Some("It would read what is piped into it, and a rule refuses that."),
    }
}

/// The stricter of each wish.
pub(super) fn combined_how(fired: &[Fired]) -> RunHow {
    let mut how = RunHow::default();
    for found in fired {
        how.outcome |= found.how.outcome;
        how.stdin = how.stdin.max(found.how.stdin);
        how.pins.extend(&found.how.pins);
        how.strip.extend(found.how.strip.iter().cloned());
        how.timeout = match (how.timeout, found.how.timeout) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    how.pins.sort_unstable();
    how.pins.dedup();
    how.strip.sort();
    how.strip.dedup();
    // A limit needs somebody who watches the clock.
    how.outcome |= how.timeout.is_some();
    how
}
