//! One decision of all rules: deny beats ask beats allow, order is irrelevant, every rule that took part is named.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::amended;
use super::built_in::{BUILT_IN, built_in, combined_how, stdin_refused, untrusted};
use super::carried::{keeps_surroundings, other_code};
use super::decision::{Allowed, Asked, Decision, Denied};
use super::error::PolicyError;
use super::layers::{Placed, Policy, View};
use super::matching::{Names, Scene};
use super::needs::Needs;
use super::paths::Paths;
use super::pattern::fits;
use super::reason::{Effect, Layer, Reason, RunHow};
use super::terms::{Risk, Terms};
use super::{inner, preview, target};
use crate::request::{self, Argv, Context, FactName, Facts, Program, Request, base_name};
use crate::shell::Place;
use crate::tool::{Arg, Inner, Reading, readings};

/// How many commands deep a wrapper is followed.
const DEPTH: usize = 8;
/// How many commands one argv may hold.
const WIDTH: usize = 256;

/// Names that stand for many programs: the typed one says which.
const MULTI_CALL: &[&str] = &["busybox", "toybox", "coreutils", "pyenv", "rbenv", "nodenv", "asdf", "mise"];

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
    pub assigned: &'a [Vec<u8>],
    /// Stdin is what a script gives it.
    pub fed: bool,
    pub variables: &'a dyn Fn(&str) -> bool,
    pub inner: &'a dyn Fn(&[u8]) -> request::Inner,
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
                    Ok(terms) => Decision::Ask(Asked { reasons, terms, risk, how, hidden, target, policy_digest }),
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
        let given = Given {
            program,
            facts: &context.facts,
            cwd: context.cwd.as_ref().map(|cwd| cwd.path.as_path()),
            home: context.environment.get("HOME").map(Path::new),
            assigned: &[],
            fed: false,
            variables: &|pattern| {
                let literal = pattern.split('*').next().unwrap_or_default();
                context.environment.names(literal).any(|name| fits(pattern.as_bytes(), name))
            },
            inner: &|name| inner(context, name),
            names: self.names(),
        };
        self.gather(argv, &given)
    }

    /// What must be captured before this argv can be decided.
    pub fn needs(&self, argv: &Argv, program: &Program, cwd: Option<&Path>) -> Result<Needs, PolicyError> {
        let given = Given {
            program,
            facts: &Facts::default(),
            cwd,
            home: None,
            assigned: &[],
            fed: false,
            variables: &|_| false,
            inner: &|name| request::Inner { place: request::Place::Trusted, real: base_name(name).to_vec() },
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

    /// Judges an argv and everything inside it.
    pub(super) fn gather(&self, argv: &Argv, given: &Given<'_>) -> Result<Gathered, PolicyError> {
        let mut all = Gathered { effect: Effect::Allow, fired: Vec::new(), asked: BTreeSet::new(), needs: Needs::default() };
        let words: Vec<&[u8]> = argv.bytes().collect();
        let args = Self::args(&words);
        let mut left = WIDTH;
        self.judge(argv.name(), &args, given, 0, &mut left, &mut all)?;
        let real = given.program.real_name();
        let typed = argv.name();
        self.judge_as(real, typed, &args, given, 0, &mut left, &mut all)?;
        if let Some(why) = self.distrusts(given.program) {
            all.add(Effect::Ask, untrusted(self, why));
        }
        if all.fired.is_empty() {
            all.add(self.unmatched(), self.unmatched_reason());
        }
        Ok(all)
    }

    /// A link to another tool counts as that tool too, where policies know it; the stricter answer holds.
    #[expect(clippy::too_many_arguments, reason = "the walk's state is passed along as it is")]
    fn judge_as(
        &self,
        real: &[u8],
        typed: &[u8],
        args: &[Arg<'_>],
        given: &Given<'_>,
        depth: usize,
        left: &mut usize,
        all: &mut Gathered,
    ) -> Result<(), PolicyError> {
        if real == typed || MULTI_CALL.iter().any(|name| name.as_bytes() == real) || !self.view(real)?.known {
            return Ok(());
        }
        let mut second = Gathered {
            effect: Effect::Allow,
            fired: Vec::new(),
            asked: std::mem::take(&mut all.asked),
            needs: std::mem::take(&mut all.needs),
        };
        self.judge(real, args, given, depth, left, &mut second)?;
        all.asked = second.asked;
        all.needs = second.needs;
        // Where only single rules name the other tool, nothing is said by none of them matching.
        let described = !self.view(real)?.grammar.names.is_empty();
        for fired in second.fired {
            if described || fired.reason.rule != "unmatched" {
                all.effect = all.effect.max(fired.reason.effect);
                all.push(fired);
            }
        }
        Ok(())
    }

    fn judge(
        &self,
        name: &[u8],
        args: &[Arg<'_>],
        given: &Given<'_>,
        depth: usize,
        left: &mut usize,
        all: &mut Gathered,
    ) -> Result<(), PolicyError> {
        if depth > DEPTH || *left == 0 {
            all.add(
                self.unmatched().max(Effect::Ask),
                built_in(
                    "too-deep",
                    Effect::Ask,
                    "It runs more commands inside commands than gate follows.",
                    self.observes(self.unmatched_layer()),
                ),
            );
            return Ok(());
        }
        *left -= 1;
        let view = self.view(name)?;
        let tried = readings(&view.grammar, name, args);
        all.needs.take(&view.grammar, &tried, depth);
        let own_target = all.needs.owns_target(depth);
        let mut effect = Effect::Allow;
        for reading in &tried {
            effect = effect.max(self.judge_reading(&view, reading, given, own_target, all));
        }
        all.effect = all.effect.max(effect);
        for reading in &tried {
            if !reading.inner.is_empty() && !keeps_surroundings(&view.grammar, reading) {
                all.needs.lose_target();
            }
            for command in &reading.inner {
                if command.guessed {
                    self.judge_guessed(command, given, depth, left, all)?;
                } else {
                    self.judge_inner(command, given, depth, left, all)?;
                }
            }
        }
        Ok(())
    }

    /// Judges what a tolerant reader saw: only what a rule asks or denies counts.
    fn judge_guessed(
        &self,
        command: &Inner<'_>,
        given: &Given<'_>,
        depth: usize,
        left: &mut usize,
        all: &mut Gathered,
    ) -> Result<(), PolicyError> {
        let mut guessed = Gathered { effect: Effect::Allow, fired: Vec::new(), asked: BTreeSet::new(), needs: Needs::default() };
        self.judge_inner(command, given, depth, left, &mut guessed)?;
        all.asked.extend(guessed.asked);
        all.needs.inner.extend(guessed.needs.inner);
        for fired in guessed.fired.into_iter().filter(|fired| fired.reason.effect > Effect::Allow && !BUILT_IN.contains(&fired.reason.rule.as_str())) {
            all.effect = all.effect.max(fired.reason.effect);
            all.push(fired);
        }
        Ok(())
    }

    fn judge_inner(
        &self,
        command: &Inner<'_>,
        given: &Given<'_>,
        depth: usize,
        left: &mut usize,
        all: &mut Gathered,
    ) -> Result<(), PolicyError> {
        let assigned = [given.assigned, &command.assigned].concat();
        let cwd = match (&command.place, given.cwd) {
            (Place::Here, cwd) => cwd.map(Path::to_owned),
            (Place::Below(below), Some(cwd)) => Some(cwd.join(OsStr::from_bytes(below))),
            (Place::Below(_), None) | (Place::Unknown, _) => None,
        };
        if command.place != Place::Here || !command.assigned.is_empty() {
            all.needs.lose_target();
        }
        let variables = |pattern: &str| {
            (given.variables)(pattern) || command.assigned.iter().any(|name| fits(pattern.as_bytes(), name))
        };
        let given = &Given {
            cwd: cwd.as_deref(),
            assigned: &assigned,
            fed: given.fed || command.fed,
            variables: &variables,
            ..*given
        };
        match command.argv.split_first() {
            Some((program, rest)) if program.is_known() && !program.text.is_empty() => {
                let name = base_name(&program.text);
                all.needs.inner.insert(program.text.to_vec());
                let found = (given.inner)(&program.text);
                if let request::Place::Untrusted(why) = &found.place {
                    all.add(Effect::Ask, untrusted(self, why));
                }
                self.judge(name, rest, given, depth + 1, left, all)?;
                self.judge_as(&found.real, name, rest, given, depth + 1, left, all)
            }
            _ => {
                all.add(self.opaque_effect(), self.opaque("the program that it runs is only known when it runs"));
                Ok(())
            }
        }
    }

    /// Judges one reading: fires every rule that fits it, and gives what it comes to.
    fn judge_reading(&self, view: &View, reading: &Reading<'_>, given: &Given<'_>, own_target: bool, all: &mut Gathered) -> Effect {
        let asked = RefCell::new(std::mem::take(&mut all.asked));
        let paths = Paths::new(given.cwd, given.home);
        let scene = Scene { facts: given.facts, names: given.names, paths: &paths, own_target, assigned: given.assigned, fed: given.fed, asked: &asked };
        let mut allowed: Vec<Fired> = Vec::new();
        let mut strictest: Option<Effect> = None;
        let mut only_projects = true;
        for at in view.index.candidates(reading) {
            let placed = &view.rules[at];
            for (effect, terms) in amended::fired(placed, reading, &scene) {
                let found = self.fired(placed, effect, terms, reading);
                only_projects &= placed.layer == Layer::Project;
                if effect == Effect::Allow {
                    allowed.push(found);
                } else {
                    strictest = strictest.max(Some(effect));
                    all.push(found);
                }
            }
        }
        all.asked = asked.into_inner();
        if let Some(why) = reading.opaque {
            all.add(self.opaque_effect(), self.opaque(why));
            strictest = strictest.max(Some(self.opaque_effect()));
        }
        if !allowed.is_empty()
            && let Some(by) = other_code(view, reading, given, &allowed)
        {
            let text = format!("`{by}` makes it run other code than its own.");
            let effect = self.unmatched().max(Effect::Ask);
            all.add(effect, built_in("runs-other-code", effect, &text, self.observes(self.unmatched_layer())));
            allowed.clear();
            strictest = strictest.max(Some(effect));
        }
        match (strictest, allowed.is_empty()) {
            (strictest, false) => {
                for found in allowed {
                    all.push(found);
                }
                strictest.unwrap_or(Effect::Allow)
            }
            // A project's ask must not stand in for what is said of commands that no rule knows.
            (Some(Effect::Ask), true) if only_projects && reading.opaque.is_none() => {
                all.add(self.unmatched(), self.unmatched_reason());
                self.unmatched().max(Effect::Ask)
            }
            (Some(strictest), true) => strictest,
            (None, true) => {
                all.add(self.unmatched(), self.unmatched_reason());
                self.unmatched()
            }
        }
    }

    fn fired(&self, placed: &Placed, effect: Effect, terms: Option<String>, reading: &Reading<'_>) -> Fired {
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

    fn unmatched_reason(&self) -> Fired {
        let mut found = built_in("unmatched", self.unmatched(), "No rule speaks of this command.", self.observes(self.unmatched_layer()));
        found.how.outcome = self.outcome();
        found
    }

    fn opaque(&self, why: &str) -> Fired {
        built_in(
            "opaque",
            self.opaque_effect(),
            &format!("What it would run cannot be told: {why}."),
            self.observes(self.unmatched_layer()),
        )
    }

    fn combined_terms(&self, fired: &[Fired]) -> Result<Terms, Box<Reason>> {
        let mut terms: Option<Terms> = None;
        for found in fired.iter().filter(|found| found.reason.effect == Effect::Ask) {
            let own = self.terms(found.terms.as_deref(), found.reason.risk);
            terms = Some(match terms {
                None => own,
                Some(so_far) => so_far.and(&own).map_err(|_| {
                    let text = "The rules that ask agree on no channel, so nobody could be asked.";
                    Box::new(Rc::unwrap_or_clone(built_in("no-common-channel", Effect::Deny, text, false).reason))
                })?,
            });
        }
        Ok(terms.unwrap_or_default())
    }
}
