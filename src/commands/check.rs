//! `gate check`: what would be decided, and how the command was read.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::surroundings::{Surroundings, fact, inner_place, now, request_id};
use super::tested;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Brief, Decision, Effect, Needs, Reason, Risk};
use crate::record::bytes_value;
use crate::record::story::fact_value;
use crate::request::{Argv, Fact, FactName, Identity, Place, Program, Request};
use crate::sys::resolve;
use crate::text;

/// Arguments of `gate check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Read one JSON object a line, `{"id": …, "argv": […]}`, and write one decision a line.
    #[arg(long, conflicts_with = "command")]
    batch: bool,
    /// The command and its arguments.
    #[arg(last = true, required_unless_present = "batch", value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs `gate check`; exit 0 allow, 75 ask, 77 deny.
pub fn run(args: &CheckArgs) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    if args.batch { batch(around) } else { one(around, args) }
}

fn one(mut around: Surroundings, args: &CheckArgs) -> Result<u8, Error> {
    let argv = Argv::new(args.command.clone()).map_err(|_| Error::new(exit_codes::USAGE, "there is no command after `--`"))?;
    let program = program(argv.typed(), around.context.environment.get("PATH"));
    around.look_up();
    around.complete(&argv, &program)?;
    tested::ensure(&around.policy, around.config.state().ok(), around.context.who.uid)?;
    let unresolved = program.identity == Identity::default();
    let request = Request::new(request_id(now()?)?, argv, program, around.context.clone());
    let decision = around.policy.decide(&request)?;
    let reading = reading(&around, &request)?;
    let told = Told::of(&decision);
    let said = if args.json {
        told.object(&reading, unresolved, &request).to_string() + "\n"
    } else {
        told.sentences(&reading, unresolved, &request)
    };
    write(&mut io::stdout().lock(), &said)?;
    Ok(code(told.effect))
}

fn code(effect: Effect) -> u8 {
    match effect {
        Effect::Allow => 0,
        Effect::Ask => exit_codes::UNDECIDED,
        Effect::Deny => exit_codes::REFUSED,
    }
}

/// The program, or its bare name where it is found nowhere. A path that leads nowhere now may lead somewhere when it runs.
fn program(typed: &OsStr, path: Option<&OsStr>) -> Program {
    let nowhere = || {
        let mut program = Program::unresolved(typed.to_owned());
        if typed.as_bytes().contains(&b'/') {
            program.place = Place::Untrusted(format!("`{}` is not there yet", text::escape(typed.as_bytes())));
        }
        program
    };
    resolve::find(typed, path).map_or_else(|_| nowhere(), |found| found.program)
}

fn write(out: &mut impl Write, text: &str) -> Result<(), Error> {
    out.write_all(text.as_bytes()).map_err(|error| Error::internal(format!("the answer could not be written: {error}")))
}

/// How the argv was read: every way, where unknown options leave more than one.
fn reading(around: &Surroundings, request: &Request) -> Result<Vec<Value>, Error> {
    Ok(around.policy.readings(request.argv())?)
}

/// A decision, ready to be told.
struct Told<'a> {
    effect: Effect,
    observed: bool,
    reasons: &'a [Reason],
    risk: Risk,
    terms: Option<Value>,
    target: &'a [(String, Fact)],
    how: Option<&'a crate::policy::RunHow>,
    hidden: &'a [crate::policy::Hidden],
}

impl<'a> Told<'a> {
    fn of(decision: &'a Decision) -> Self {
        let greatest = |reasons: &[Reason]| reasons.iter().map(|reason| reason.risk).max().unwrap_or(Risk::Low);
        match decision {
            Decision::Allow(allowed) => Self {
                effect: Effect::Allow,
                observed: allowed.observed(),
                reasons: allowed.reasons(),
                risk: greatest(allowed.reasons()),
                terms: None,
                target: &[],
                how: Some(allowed.how()),
                hidden: allowed.hidden(),
            },
            Decision::Ask(asked) => Self {
                effect: Effect::Ask,
                observed: false,
                reasons: &asked.reasons,
                risk: asked.risk,
                terms: Some(crate::approval::terms_value(&asked.terms)),
                target: &asked.target,
                how: Some(&asked.how),
                hidden: &asked.hidden,
            },
            Decision::Deny(denied) => Self {
                effect: Effect::Deny,
                observed: false,
                reasons: &denied.reasons,
                risk: denied.risk,
                terms: None,
                target: &[],
                how: None,
                hidden: &denied.hidden,
            },
        }
    }

    fn object(&self, reading: &[Value], unresolved: bool, request: &Request) -> Value {
        let rules: Vec<Value> = self.reasons.iter().map(rule_object).collect();
        let mut all = json!({
            "decision": self.effect.word(),
            "risk": self.risk.word(),
            "rules": rules,
            "program": { "path": bytes_value(std::os::unix::ffi::OsStrExt::as_bytes(request.program().path.as_os_str())), "unresolved": unresolved },
            "read": reading,
        });
        if let Value::Object(map) = &mut all {
            map.extend(self.optional(request));
        }
        all
    }

    fn optional(&self, request: &Request) -> Map<String, Value> {
        let mut map = Map::new();
        if let Some(terms) = &self.terms {
            map.insert("terms".into(), terms.clone());
        }
        if self.observed {
            map.insert("observed".into(), true.into());
        }
        if !self.target.is_empty() {
            map.insert(
                "target".into(),
                self.target.iter().map(|(name, fact)| (name.clone(), fact_value(fact))).collect::<Map<_, _>>().into(),
            );
        }
        if !self.hidden.is_empty() {
            map.insert(
                "hidden".into(),
                self.hidden.iter().map(|span| json!({ "word": span.word, "start": span.start, "end": span.end })).collect(),
            );
        }
        if let Some(how) = self.how {
            let stdin = serde_json::to_value(how.stdin).unwrap_or_default();
            let pins: Vec<Value> = how
                .pins
                .iter()
                .map(|word| {
                    request
                        .argv()
                        .words()
                        .get(*word)
                        .map_or(Value::Null, |word| bytes_value(std::os::unix::ffi::OsStrExt::as_bytes(word.as_os_str())))
                })
                .collect();
            let mut run = json!({ "outcome": how.outcome, "stdin": stdin, "pins": pins, "strip": how.strip });
            if let (Some(timeout), Value::Object(run)) = (how.timeout, &mut run) {
                run.insert("timeout_s".into(), timeout.as_secs().into());
            }
            map.insert("run".into(), run);
        }
        map
    }

    fn sentences(&self, reading: &[Value], unresolved: bool, request: &Request) -> String {
        let spans: Vec<(usize, usize, usize)> = self.hidden.iter().map(|span| (span.word, span.start, span.end)).collect();
        let words: Vec<&[u8]> = request.argv().bytes().collect();
        let observed = if self.observed { " (a rule asks; it is only observed)" } else { "" };
        let mut out = format!("{}{observed}: {}\n", self.effect.word(), text::command(&words, &spans));
        if unresolved {
            out += "  unresolved: no such program here; it is judged by its name\n";
        }
        for reason in self.reasons {
            out += &format!(
                "  {} {} ({}, {} risk)\n",
                reason.effect.word(),
                text::escape(reason.rule.as_bytes()),
                reason.layer,
                reason.risk.word()
            );
            for (label, said) in [("", Some(&reason.text)), ("instead: ", reason.instead.as_ref())] {
                if let Some(said) = said.filter(|said| !said.is_empty()) {
                    out += &format!("      {label}{}\n", text::escape(said.as_bytes()));
                }
            }
        }
        if let Some(terms) = &self.terms {
            out += &format!("  terms: {}\n", text::escape(terms.to_string().as_bytes()));
        }
        for (name, fact) in self.target {
            out += &format!("  {}: {}\n", text::escape(name.as_bytes()), text::escape(said(fact).as_bytes()));
        }
        for one in reading {
            out += &format!("  read as: {}\n", text::escape(one.to_string().as_bytes()));
        }
        out
    }
}

/// A fact in words.
fn said(fact: &Fact) -> String {
    match fact {
        Fact::Known { values, .. } => values.join(", "),
        Fact::Absent => "none".to_owned(),
        Fact::Unknown(why) => format!("unknown, {why}"),
    }
}

fn rule_object(reason: &Reason) -> Value {
    let mut rule = json!({
        "id": reason.rule, "layer": reason.layer.to_string(), "effect": reason.effect.word(), "risk": reason.risk.word(),
        "data": reason.data, "reason": reason.text,
    });
    if let Value::Object(map) = &mut rule {
        if let Some(instead) = &reason.instead {
            map.insert("instead".into(), instead.as_str().into());
        }
        if !reason.preview.is_empty() {
            map.insert("preview".into(), reason.preview.clone().into());
        }
    }
    rule
}

/// The longest line that `--batch` takes, in bytes: an argv of the kernel's limit, escaped.
const LONGEST: u64 = 16 * 1024 * 1024;

fn batch(around: Surroundings) -> Result<u8, Error> {
    let mut input = io::stdin().lock();
    let mut out = io::BufWriter::with_capacity(256 * 1024, io::stdout().lock());
    let mut many = Many { around, programs: HashMap::new(), facts: HashMap::new(), tested: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut input, LONGEST)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::internal(format!("stdin cannot be read: {error}")))?;
        if read == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == LONGEST {
            skip_line(&mut input)?;
            line.clear();
        }
        if line.iter().all(u8::is_ascii_whitespace) && read < 2 {
            continue;
        }
        let said = many.answer(&line);
        serde_json::to_writer(&mut out, &said).map_err(|error| Error::internal(format!("the answer could not be written: {error}")))?;
        write(&mut out, "\n")?;
    }
    out.flush().map_err(|error| Error::internal(format!("the answer could not be written: {error}")))?;
    Ok(0)
}

fn skip_line(input: &mut impl BufRead) -> Result<(), Error> {
    let mut rest = Vec::new();
    loop {
        rest.clear();
        let read = io::Read::take(&mut *input, LONGEST)
            .read_until(b'\n', &mut rest)
            .map_err(|error| Error::internal(format!("stdin cannot be read: {error}")))?;
        if read == 0 || rest.last() == Some(&b'\n') {
            return Ok(());
        }
    }
}

/// Each fact that was captured, by what the argv said of its target.
type Known = HashMap<FactName, Vec<(crate::policy::Target, Fact)>>;

/// Decides many argvs in one place, and looks each program and fact up once.
struct Many {
    around: Surroundings,
    programs: HashMap<OsString, Program>,
    facts: Known,
    /// How many policy files had taken part when their tests were last run.
    tested: usize,
}

impl Many {
    fn answer(&mut self, line: &[u8]) -> Answer {
        let (id, argv) = match serde_json::from_slice::<Line>(line) {
            Ok(Line { id, argv: words }) => (id, argv(words)),
            Err(why) => (id(line), Err(why.to_string())),
        };
        let decided = argv.and_then(|argv| self.decide(&argv).map_err(|error| error.to_string()));
        match decided {
            Ok(brief) => Answer { id, decision: brief.effect, error: None, rules: Some(brief.rules), risk: Some(brief.risk) },
            Err(why) => Answer { id, decision: Effect::Deny, error: Some(why), rules: None, risk: None },
        }
    }

    fn decide(&mut self, argv: &Argv) -> Result<Brief, Error> {
        let path = self.around.context.environment.get("PATH");
        if !self.programs.contains_key(argv.typed()) {
            self.programs.insert(argv.typed().to_owned(), program(argv.typed(), path));
        }
        let Some(program) = self.programs.get(argv.typed()) else {
            return Err(Error::internal("a program was lost"));
        };
        self.around.context.facts = crate::request::Facts::default();
        let mut brief = self.around.policy.brief(argv, program, &self.around.context)?;
        if Self::capture(&mut self.around, &mut self.facts, &brief.needs) {
            brief = self.around.policy.brief(argv, program, &self.around.context)?;
        }
        if self.around.policy.used_count() != self.tested {
            tested::ensure(&self.around.policy, self.around.config.state().ok(), self.around.context.who.uid)?;
            self.tested = self.around.policy.used_count();
        }
        Ok(brief)
    }

    /// Captures what a decision rests on; whether anything of it was not there before.
    fn capture(around: &mut Surroundings, known: &mut Known, needs: &Needs) -> bool {
        let mut more = !needs.facts.is_empty();
        for name in &needs.facts {
            let known = known.entry(name.clone()).or_default();
            let fact = if let Some((_, fact)) = known.iter().find(|(target, _)| *target == needs.target) {
                fact.clone()
            } else {
                let fact = fact(name, &around.context, &needs.target);
                known.push((needs.target.clone(), fact.clone()));
                fact
            };
            around.context.facts.insert(name.clone(), fact);
        }
        for name in &needs.inner {
            if !around.context.inner_places.contains_key(name) {
                let place = inner_place(name, &around.context, &around.policy);
                around.context.inner_places.insert(name.clone(), place);
                more = true;
            }
        }
        more
    }
}

/// One line of `--batch`.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    argv: Vec<String>,
}

/// What is said to it.
#[derive(Serialize)]
struct Answer {
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    decision: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
}

/// The id of a line that says nothing else of use.
fn id(line: &[u8]) -> Value {
    let mut parsed: Value = serde_json::from_slice(line).unwrap_or_default();
    parsed.get_mut("id").map(Value::take).unwrap_or_default()
}

fn argv(words: Vec<String>) -> Result<Argv, String> {
    if words.iter().any(|word| word.contains('\0')) {
        return Err("a word of `argv` holds a zero byte".to_owned());
    }
    Argv::new(words.into_iter().map(OsString::from).collect()).map_err(|_| "`argv` names no program".to_owned())
}
