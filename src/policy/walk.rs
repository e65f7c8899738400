//! The walk over an argv and everything that it would run: wrappers and scripts are followed, and every command found is judged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::amended;
use super::built_in::{BUILT_IN, built_in, untrusted};
use super::carried::{harmless, keeps_surroundings, other_code, risky};
use super::condition::Scene;
use super::decide::{Fired, Gathered, Given};
use super::error::PolicyError;
use super::explain::{Considered, Step, kept_out};
use super::layers::{Placed, Policy, View};
use super::paths::Paths;
use super::pattern::fits;
use super::reason::{Effect, Layer};
use super::report;
use crate::request::{self, Argv, FactName, Kind, base_name};
use crate::shell::Place;
use crate::tool::{Arg, Assigned, Hidden, Inner, Reading, readings, shell_of};

/// How many commands deep a wrapper is followed.
const DEPTH: usize = 8;
/// How many commands one argv may hold.
const WIDTH: usize = 256;

/// Names that stand for many programs: the typed one says which.
const MULTI_CALL: &[&str] = &["busybox", "toybox", "coreutils", "pyenv", "rbenv", "nodenv", "asdf", "mise"];

struct Walk<'p> {
    policy: &'p Policy,
    /// How many commands more are looked at.
    left: usize,
    /// What was found about variables that a script sets.
    risky: BTreeMap<Assigned, bool>,
    /// The steps so far, where somebody wants to know them.
    trace: Option<Vec<Step>>,
    /// What nobody is shown of the argv.
    hidden: Vec<Hidden>,
    /// What is judged was only seen by the tolerant reader.
    guessing: bool,
}

impl Policy {
    /// Judges an argv and everything inside it.
    pub(super) fn gather(&self, argv: &Argv, given: &Given<'_>) -> Result<Gathered, PolicyError> {
        let mut all = Gathered::default();
        let words: Vec<&[u8]> = argv.bytes().collect();
        let args = Self::args(&words);
        let mut walk = Walk { policy: self, left: WIDTH, risky: BTreeMap::new(), trace: None, hidden: Vec::new(), guessing: false };
        if !walk.judge_interpreted(argv, &args, given, &mut all)? {
            walk.judge(argv.name(), &args, given, 0, &mut all)?;
            walk.judge_as(given.program.real_name(), argv.name(), &args, given, 0, &mut all)?;
            if let Some(why) = self.distrusts(given.program) {
                all.add(Effect::Ask, untrusted(self, why));
            }
        }
        if all.fired.is_empty() {
            all.add(self.unmatched(), self.unmatched_reason());
        }
        Ok(all)
    }

    /// The steps of judging an argv.
    pub(super) fn traced(&self, argv: &Argv, given: &Given<'_>) -> Result<Vec<Step>, PolicyError> {
        let words: Vec<&[u8]> = argv.bytes().collect();
        let args = Self::args(&words);
        let mut walk = Walk {
            policy: self,
            left: WIDTH,
            risky: BTreeMap::new(),
            trace: Some(Vec::new()),
            hidden: self.hidden(argv.name(), &words)?,
            guessing: false,
        };
        let mut all = Gathered::default();
        if !walk.judge_interpreted(argv, &args, given, &mut all)? {
            walk.judge(argv.name(), &args, given, 0, &mut all)?;
            walk.judge_as(given.program.real_name(), argv.name(), &args, given, 0, &mut all)?;
        }
        Ok(walk.trace.unwrap_or_default())
    }
}

fn scene<'a>(given: &'a Given<'_>, paths: &'a Paths<'a>, own_target: bool, asked: &'a RefCell<BTreeSet<FactName>>) -> Scene<'a> {
    Scene { facts: given.facts, names: given.names, paths, own_target, assigned: given.assigned, fed: given.fed, asked }
}

impl Walk<'_> {
    /// A script that nobody knows by its name is what its interpreter makes of it (`execve(2)`, "Interpreter scripts").
    /// Whether this is one, and was read: then it does not matter who could have put it there.
    fn judge_interpreted(&mut self, argv: &Argv, args: &[Arg<'_>], given: &Given<'_>, all: &mut Gathered) -> Result<bool, PolicyError> {
        let Kind::Script { interpreter, argument } = &given.program.kind else { return Ok(false) };
        if self.policy.view(argv.name())?.known || self.policy.view(given.program.real_name())?.known {
            return Ok(false);
        }
        let path = given.program.path.as_os_str().as_bytes().to_vec();
        let script = Arg { place: Some((0, 0)), ..Arg::inside(path.clone()) };
        let argument = argument.iter().map(|argument| Arg::inside(argument.as_bytes().to_vec()));
        let own = Arg::inside(interpreter.as_os_str().as_bytes().to_vec());
        let command = Inner::plain(std::iter::once(own).chain(argument).chain([script]).chain(args.iter().cloned()).collect());
        let mut second = Gathered { asked: std::mem::take(&mut all.asked), needs: std::mem::take(&mut all.needs), ..Gathered::default() };
        self.judge_inner(&command, given, 0, &mut second)?;
        let file = second.needs.scripts.contains(&path) && (given.script)(&path).is_some();
        (all.asked, all.needs) = (second.asked, second.needs);
        let read = file && second.fired.iter().all(|fired| fired.reason.rule != "opaque");
        // Where it cannot be read, it is judged by its name, and what was seen in it makes that no milder.
        for fired in second.fired.into_iter().filter(|fired| read || !BUILT_IN.contains(&fired.reason.rule.as_str())) {
            if read || fired.reason.effect > Effect::Allow {
                all.effect = all.effect.max(fired.reason.effect);
                all.push(fired);
            }
        }
        Ok(read)
    }

    /// A link to another tool counts as that tool too, where policies know it; the stricter answer holds.
    fn judge_as(
        &mut self,
        real: &[u8],
        typed: &[u8],
        args: &[Arg<'_>],
        given: &Given<'_>,
        depth: usize,
        all: &mut Gathered,
    ) -> Result<(), PolicyError> {
        if real == typed || MULTI_CALL.iter().any(|name| name.as_bytes() == real) || !self.policy.view(real)?.known {
            return Ok(());
        }
        let mut second = Gathered { asked: std::mem::take(&mut all.asked), needs: std::mem::take(&mut all.needs), ..Gathered::default() };
        self.judge(real, args, given, depth, &mut second)?;
        all.asked = second.asked;
        all.needs = second.needs;
        // Where only single rules name the other tool, nothing is said by none of them matching.
        let described = !self.policy.view(real)?.grammar.names.is_empty();
        for fired in second.fired {
            if described || fired.reason.rule != "unmatched" {
                all.effect = all.effect.max(fired.reason.effect);
                all.push(fired);
            }
        }
        Ok(())
    }

    fn judge(&mut self, name: &[u8], args: &[Arg<'_>], given: &Given<'_>, depth: usize, all: &mut Gathered) -> Result<(), PolicyError> {
        if depth > DEPTH || self.left == 0 {
            all.add(
                self.policy.unmatched().max(Effect::Ask),
                built_in(
                    "too-deep",
                    Effect::Ask,
                    "It runs more commands inside commands than gate follows.",
                    self.policy.observes(self.policy.unmatched_layer()),
                ),
            );
            return Ok(());
        }
        self.left -= 1;
        let view = self.policy.view(name)?;
        let mut tried = readings(&view.grammar, name, args);
        for reading in &mut tried {
            Self::follow_script(name, &view, reading, given, all);
        }
        all.needs.take(&view.grammar, &tried, depth);
        let own_target = all.needs.owns_target(depth);
        let mut effect = Effect::Allow;
        for reading in &tried {
            let comes_to = self.judge_reading(&view, reading, given, own_target, all);
            self.note(name, &view, reading, given, own_target, depth, comes_to);
            effect = effect.max(comes_to);
        }
        all.effect = all.effect.max(effect);
        for reading in &tried {
            if !reading.inner.is_empty() && !keeps_surroundings(&view.grammar, reading) {
                all.needs.lose_target();
            }
            for command in &reading.inner {
                if command.guessed {
                    self.judge_guessed(command, given, depth, all)?;
                } else {
                    self.judge_inner(command, given, depth, all)?;
                }
            }
        }
        Ok(())
    }

    /// Judges what a tolerant reader saw: only what a rule asks or denies counts.
    fn judge_guessed(&mut self, command: &Inner<'_>, given: &Given<'_>, depth: usize, all: &mut Gathered) -> Result<(), PolicyError> {
        let mut guessed = Gathered::default();
        let outer = std::mem::replace(&mut self.guessing, true);
        self.judge_inner(command, given, depth, &mut guessed)?;
        self.guessing = outer;
        all.asked.extend(guessed.asked);
        all.needs.inner.extend(guessed.needs.inner);
        for fired in
            guessed.fired.into_iter().filter(|fired| fired.reason.effect > Effect::Allow && !BUILT_IN.contains(&fired.reason.rule.as_str()))
        {
            all.effect = all.effect.max(fired.reason.effect);
            all.push(fired);
        }
        Ok(())
    }

    fn judge_inner(&mut self, command: &Inner<'_>, given: &Given<'_>, depth: usize, all: &mut Gathered) -> Result<(), PolicyError> {
        let assigned = [given.assigned, &command.assigned].concat();
        let added = command.assigned.iter().filter(|set| self.is_risky(set)).map(|(name, _)| name.clone());
        let risky: Vec<Vec<u8>> = given.risky.iter().cloned().chain(added.collect::<Vec<_>>()).collect();
        let cwd = match (&command.place, given.cwd) {
            (Place::Here, cwd) => cwd.map(Path::to_owned),
            // With CDPATH, `cd build` may lead anywhere.
            (Place::Below(_), Some(_)) if (given.variables)("CDPATH") => None,
            (Place::Below(below), Some(cwd)) => Some(cwd.join(OsStr::from_bytes(below))),
            (Place::Below(_), None) | (Place::Unknown, _) => None,
        };
        if command.place != Place::Here || !command.assigned.is_empty() {
            all.needs.lose_target();
        }
        let variables = |pattern: &str| {
            (given.variables)(pattern)
                || command.assigned.iter().any(|(name, value)| fits(pattern.as_bytes(), name) && !harmless(name, value.as_deref()))
        };
        let given = &Given {
            cwd: cwd.as_deref(),
            assigned: &assigned,
            risky: &risky,
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
                    all.add(Effect::Ask, untrusted(self.policy, why));
                }
                self.judge(name, rest, given, depth + 1, all)?;
                self.judge_as(&found.real, name, rest, given, depth + 1, all)
            }
            _ => {
                all.add(self.policy.opaque_effect(), self.policy.opaque("the program that it runs is only known when it runs"));
                Ok(())
            }
        }
    }

    /// Reads the script file that a shell is given, where it is what the shell will read.
    fn follow_script(name: &[u8], view: &View, reading: &mut Reading<'_>, given: &Given<'_>, all: &mut Gathered) {
        let Some(file) = reading.script_file(&view.grammar) else { return };
        let bytes = if all.needs.is_here() { (given.script)(&file) } else { None };
        reading.follow_script(bytes.as_deref(), shell_of(name));
        all.needs.scripts.insert(file);
    }

    /// Notes a step for those who want to know why.
    #[expect(clippy::too_many_arguments, reason = "a step is all of this")]
    fn note(
        &mut self,
        name: &[u8],
        view: &View,
        reading: &Reading<'_>,
        given: &Given<'_>,
        own_target: bool,
        depth: usize,
        comes_to: Effect,
    ) {
        let guessed = self.guessing;
        let Some(trace) = &mut self.trace else { return };
        let secrets = !self.hidden.is_empty();
        let asked = RefCell::default();
        let paths = Paths::new(given.cwd, given.home);
        let scene = scene(given, &paths, own_target, &asked);
        let considered = |placed: &Placed| {
            let fired = amended::fired(placed, reading, &scene);
            let kept_out = if fired.is_empty() { Some(kept_out(&placed.rule, reading, &scene, secrets)?) } else { None };
            let effect = fired.iter().map(|(effect, _)| *effect).max().unwrap_or(placed.rule.effect);
            Some(Considered { id: placed.rule.id.clone(), layer: placed.layer, effect, kept_out })
        };
        let mut rules: Vec<Considered> = view.rules.iter().filter_map(considered).collect();
        rules.sort_by_key(|rule| (rule.kept_out.is_some(), std::cmp::Reverse(rule.effect)));
        let program = String::from_utf8_lossy(name).into_owned();
        trace.push(Step { depth, guessed, reading: report::object(&program, view.known, reading, &self.hidden), rules, comes_to });
    }

    fn is_risky(&mut self, set: &Assigned) -> bool {
        if let Some(known) = self.risky.get(set) {
            return *known;
        }
        let risky = risky(set);
        self.risky.insert(set.clone(), risky);
        risky
    }

    /// Judges one reading: fires every rule that fits it, and gives what it comes to.
    fn judge_reading(&self, view: &View, reading: &Reading<'_>, given: &Given<'_>, own_target: bool, all: &mut Gathered) -> Effect {
        let asked = RefCell::new(std::mem::take(&mut all.asked));
        let paths = Paths::new(given.cwd, given.home);
        let scene = scene(given, &paths, own_target, &asked);
        let mut allowed: Vec<Fired> = Vec::new();
        let mut strictest: Option<Effect> = None;
        let mut only_projects = true;
        for at in view.index.candidates(reading) {
            let placed = &view.rules[at];
            for (effect, terms) in amended::fired(placed, reading, &scene) {
                let found = self.policy.fired(placed, effect, terms, reading);
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
            all.add(self.policy.opaque_effect(), self.policy.opaque(why));
            strictest = strictest.max(Some(self.policy.opaque_effect()));
        }
        if !allowed.is_empty()
            && let Some(by) = other_code(view, reading, given, &allowed)
        {
            let text = format!("`{by}` makes it run other code than its own.");
            let effect = self.policy.unmatched().max(Effect::Ask);
            all.add(effect, built_in("runs-other-code", effect, &text, self.policy.observes(self.policy.unmatched_layer())));
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
                all.add(self.policy.unmatched(), self.policy.unmatched_reason());
                self.policy.unmatched().max(Effect::Ask)
            }
            (Some(strictest), true) => strictest,
            (None, true) => {
                all.add(self.policy.unmatched(), self.policy.unmatched_reason());
                self.policy.unmatched()
            }
        }
    }
}
