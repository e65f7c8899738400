//! One decision of all rules: deny beats ask beats allow, order is irrelevant, every rule that took part is named.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::built_in::{built_in, combined_how, stdin_refused};
use super::condition::Names;
use super::decision::{Allowed, Asked, Decision, Denied};
use super::error::PolicyError;
use super::layers::{Placed, Policy};
use super::needs::Needs;
use super::pattern::fits;
use super::reason::{Effect, Layer, Reason, RunHow};
use super::terms::{Risk, Terms};
use super::{inner, preview, target};
use crate::request::{self, Argv, Context, FactName, Facts, Program, Request, base_name};
use crate::tool::{Arg, Assigned, Reading};

/// What one rule, or the lack of one, contributes.
#[derive(Clone, PartialEq)]
pub(super) struct Fired {
    pub reason: Rc<Reason>,
    pub terms: Option<String>,
    pub how: RunHow,
    pub env_allow: Vec<String>,
}

/// A decision without its circumstances, for those who ask about many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brief {
    /// What would happen.
    pub effect: Effect,
    /// The rules that took part.
    pub rules: Vec<String>,
    /// The greatest risk among those that decided.
    pub risk: Risk,
    /// What it rests on: where some of this was not captured, it holds only once that is.
    pub needs: Needs,
}

/// What was gathered over an argv and everything that it would run.
pub(super) struct Gathered {
    /// Mild as long as nothing was said.
    pub effect: Effect,
    pub fired: Vec<Fired>,
    pub asked: BTreeSet<FactName>,
    pub needs: Needs,
}

/// Surroundings that a judgement is made in; captured or assumed.
pub(super) struct Given<'a> {
    pub program: &'a Program,
    pub facts: &'a Facts,
    pub cwd: Option<&'a Path>,
    pub home: Option<&'a Path>,
    /// Variables that a script sets on the way.
    pub assigned: &'a [Assigned],
    /// Those of them by which a program may run other code, or work on another target.
    pub risky: &'a [Vec<u8>],
    /// Stdin is what a script gives it.
    pub fed: bool,
    pub variables: &'a dyn Fn(&str) -> bool,
    pub inner: &'a dyn Fn(&[u8]) -> request::Inner,
    /// What a script file holds, where it was read.
    pub script: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
    pub names: &'a Names,
}

impl Policy {
    /// Decides one request.
    pub fn decide(&self, request: &Request) -> Result<Decision, PolicyError> {
        let context = request.context();
        let gathered = self.gather_here(request.argv(), request.program(), context)?;
        let words: Vec<&[u8]> = request.argv().bytes().collect();
        let hidden = self.hidden(request.argv().name(), &words)?;
        let (risk, observed) = (gathered.risk(), gathered.observed());
        let mut how = combined_how(&gathered.fired);
        let mut reasons: Vec<Reason> = Vec::new();
        for fired in &gathered.fired {
            if !reasons.contains(&fired.reason) {
                reasons.push(Reason::clone(&fired.reason));
            }
        }
        for reason in reasons.iter_mut().filter(|reason| preview::tells(&reason.preview, &hidden, &words)) {
            reason.preview.clear();
        }
        let policy_digest = self.digest();
        if gathered.effect != Effect::Deny
            && let Some(why) = stdin_refused(how.stdin, &context.stdin)
        {
            let refused = Rc::unwrap_or_clone(built_in("stdin-refused", Effect::Deny, why, false).reason);
            let reasons = reasons.into_iter().chain([refused]).collect();
            return Ok(Decision::Deny(Denied { reasons, risk, hidden, policy_digest }));
        }
        Ok(match gathered.effect {
            Effect::Allow => Decision::Allow(Allowed { reasons, how, hidden, policy_digest, observed: false }),
            Effect::Ask if observed => Decision::Allow(Allowed { reasons, how, hidden, policy_digest, observed: true }),
            Effect::Deny => Decision::Deny(Denied { reasons, risk, hidden, policy_digest }),
            Effect::Ask => {
                how.outcome = true;
                let target = target::shown(&context.facts);
                match self.combined_terms(&gathered.fired) {
                    Ok((terms, terms_layer)) => {
                        Decision::Ask(Asked { reasons, terms, terms_layer, risk, how, hidden, target, policy_digest })
                    }
                    Err(reason) => {
                        let reasons = reasons.into_iter().chain([*reason]).collect();
                        Decision::Deny(Denied { reasons, risk, hidden, policy_digest })
                    }
                }
            }
        })
    }

    /// The decision alone, and what it rests on.
    pub fn brief(&self, argv: &Argv, program: &Program, context: &Context) -> Result<Brief, PolicyError> {
        let gathered = self.gather_here(argv, program, context)?;
        let effect = if gathered.observed() { Effect::Allow } else { gathered.effect };
        let risk = gathered.risk();
        let mut needs = gathered.needs;
        needs.facts = gathered.asked;
        Ok(Brief { effect, rules: gathered.fired.iter().map(|fired| fired.reason.rule.clone()).collect(), risk, needs })
    }

    fn gather_here(&self, argv: &Argv, program: &Program, context: &Context) -> Result<Gathered, PolicyError> {
        self.with_given(program, context, &mut |given: &Given<'_>| self.gather(argv, given))
    }

    /// Does something in the surroundings that were captured.
    pub(super) fn with_given<T>(&self, program: &Program, context: &Context, act: &mut dyn FnMut(&Given<'_>) -> T) -> T {
        let given = Given {
            program,
            facts: &context.facts,
            cwd: context.cwd.as_ref().map(|cwd| cwd.path.as_path()),
            home: context.environment.get("HOME").map(Path::new),
            assigned: &[],
            risky: &[],
            fed: false,
            variables: &|pattern| {
                let literal = pattern.split('*').next().unwrap_or_default();
                context.environment.names(literal).any(|name| fits(pattern.as_bytes(), name))
            },
            inner: &|name| inner(context, name),
            script: &|name| context.scripts.get(name).map(|script| script.bytes.clone()),
            names: self.names(),
        };
        act(&given)
    }

    /// What must be captured before this argv can be decided.
    pub fn needs(&self, argv: &Argv, program: &Program, context: &Context) -> Result<Needs, PolicyError> {
        let given = Given {
            program,
            facts: &Facts::default(),
            cwd: context.cwd.as_ref().map(|cwd| cwd.path.as_path()),
            home: context.environment.get("HOME").map(Path::new),
            assigned: &[],
            risky: &[],
            fed: false,
            variables: &|_| false,
            inner: &|name| request::Inner { place: request::Place::Trusted, real: base_name(name).to_vec() },
            script: &|name| context.scripts.get(name).map(|script| script.bytes.clone()),
            names: self.names(),
        };
        let gathered = self.gather(argv, &given)?;
        let mut needs = gathered.needs;
        needs.facts.extend(gathered.asked);
        if gathered.effect == Effect::Ask {
            needs.facts.extend(needs.target_facts.iter().cloned());
        }
        Ok(needs)
    }

    pub(super) fn args<'a>(words: &[&'a [u8]]) -> Vec<Arg<'a>> {
        words.iter().enumerate().skip(1).map(|(index, word)| Arg::known(index, word)).collect()
    }

    pub(super) fn fired(&self, placed: &Placed, effect: Effect, terms: Option<String>, reading: &Reading<'_>) -> Fired {
        let rule = &placed.rule;
        let mut reason = Rc::clone(&placed.reason);
        let preview = preview::of(&rule.preview, reading);
        if effect != reason.effect || !preview.is_empty() {
            let observed = effect == Effect::Ask && self.observes(placed.layer);
            reason = Rc::new(Reason { effect, preview, observed, ..Reason::clone(&reason) });
        }
        let how = RunHow {
            outcome: rule.outcome.unwrap_or(false),
            stdin: rule.stdin,
            pins: preview::pins(&rule.pin, reading),
            strip: rule.strip.clone(),
            timeout: rule.timeout,
        };
        Fired { reason, terms, how, env_allow: rule.env_allow.clone() }
    }

    pub(super) fn unmatched_reason(&self) -> Fired {
        let mut found = built_in("unmatched", self.unmatched(), "No rule speaks of this command.", self.observes(self.unmatched_layer()));
        found.how.outcome = self.outcome();
        found
    }

    pub(super) fn opaque(&self, why: &str) -> Fired {
        built_in(
            "opaque",
            self.opaque_effect(),
            &format!("What it would run cannot be told: {why}."),
            self.observes(self.unmatched_layer()),
        )
    }

    /// The terms of all rules that ask, and the most trusted layer that wrote any of them.
    fn combined_terms(&self, fired: &[Fired]) -> Result<(Terms, Option<Layer>), Box<Reason>> {
        let (mut terms, mut layer): (Option<Terms>, Option<Layer>) = (None, None);
        for found in fired.iter().filter(|found| found.reason.effect == Effect::Ask) {
            let (own, of) = self.terms(found.terms.as_deref(), found.reason.risk);
            layer = layer.into_iter().chain(of).min();
            terms = Some(match terms {
                None => own,
                Some(so_far) => so_far.and(&own).map_err(|_| {
                    let text = "The rules that ask agree on no channel, so nobody could be asked.";
                    Box::new(Rc::unwrap_or_clone(built_in("no-common-channel", Effect::Deny, text, false).reason))
                })?,
            });
        }
        Ok((terms.unwrap_or_default(), layer))
    }
}
