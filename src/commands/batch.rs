//! `gate check --batch`: many commands in one place, one decision a line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{program, write};
use super::surroundings::{Surroundings, fact, inner};
use super::tested;
use crate::error::Error;
use crate::policy::{Brief, Effect, Needs, Risk};
use crate::request::{Argv, Fact, FactName, Program};

/// A script file that was read may want more to be captured, once.
const ROUNDS: usize = 2;

/// The longest line that `--batch` takes, in bytes: an argv of the kernel's limit, escaped.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Answers every line of stdin.
pub(super) fn run(around: Surroundings) -> Result<u8, Error> {
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
        // A file is read anew for each line: nobody knows what happened to it since.
        self.around.context.scripts.clear();
        let mut brief = self.around.policy.brief(argv, program, &self.around.context)?;
        for _ in 0..ROUNDS {
            if !Self::capture(&mut self.around, &mut self.facts, &brief.needs) {
                break;
            }
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
        let mut more = around.read_scripts(needs);
        for name in &needs.facts {
            let known = known.entry(name.clone()).or_default();
            let fact = if let Some((_, fact)) = known.iter().find(|(target, _)| *target == needs.target) {
                fact.clone()
            } else {
                let fact = fact(name, &around.context, &needs.target);
                known.push((needs.target.clone(), fact.clone()));
                fact
            };
            more |= around.context.facts.get(name).is_none();
            around.context.facts.insert(name.clone(), fact);
        }
        for name in &needs.inner {
            if !around.context.inner.contains_key(name) {
                let found = inner(name, &around.context, &around.policy);
                around.context.inner.insert(name.clone(), found);
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
