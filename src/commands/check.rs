//! `gate check`: what would be decided, and how the command was read.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use serde_json::{Map, Value, json};

use super::surroundings::{Surroundings, now, request_id};
use super::tested;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Decision, Effect, Reason, Risk};
use crate::record::bytes_value;
use crate::record::story::fact_value;
use crate::request::{Argv, Fact, Identity, Place, Program, Request};
use crate::sys::resolve;
use crate::text;

mod batch;

use batch::batch;

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
