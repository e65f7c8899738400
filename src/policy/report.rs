//! What the policy knows, for people and programs: how an argv was read, which rules there are.

use serde_json::{Value, json};

use super::error::PolicyError;
use super::grammar_file::EVERY_TOOL;
use super::layers::Policy;
use super::reason::{Effect, Layer};
use crate::request::Argv;
use crate::tool::{Arg, Certainty, Hidden, Reading, readings};

/// One rule in `gate policy show`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub layer: Layer,
    /// What it does as written.
    pub effect: Effect,
    /// The tools that it is for.
    pub tools: Vec<String>,
    /// Why.
    pub reason: String,
    /// Whether a more trusted layer amends it.
    pub amended: bool,
    /// Whether only the system layer may.
    pub locked: bool,
}

impl Policy {
    /// How an argv is read: one object for each way. Secrets are left out.
    pub fn readings(&self, argv: &Argv) -> Result<Vec<Value>, PolicyError> {
        let view = self.view(argv.name())?;
        let words: Vec<&[u8]> = argv.bytes().collect();
        let args = Self::args(&words);
        let program = String::from_utf8_lossy(argv.name()).into_owned();
        let hidden = self.hidden(argv.name(), &words)?;
        Ok(readings(&view.grammar, argv.name(), &args).iter().map(|reading| object(&program, view.known, reading, &hidden)).collect())
    }

    /// All rules that speak of one program.
    pub fn rules_of(&self, program: &[u8]) -> Result<Vec<Shown>, PolicyError> {
        let view = self.view(program)?;
        let shown = view.rules.iter().map(|placed| Shown {
            id: placed.rule.id.clone(),
            layer: placed.layer,
            effect: placed.rule.effect,
            tools: if placed.rule.tools.is_empty() { view.grammar.names.clone() } else { placed.rule.tools.clone() },
            reason: placed.rule.reason.clone(),
            amended: !placed.amends.is_empty(),
            locked: placed.rule.locked,
        });
        Ok(shown.collect())
    }

    /// The first name of every tool that gate has a file of.
    pub fn embedded_names(&self) -> Vec<&'static str> {
        let mut seen = std::collections::BTreeSet::new();
        self.tools().names.iter().filter(|(name, file)| *name != EVERY_TOOL && seen.insert(*file)).map(|(name, _)| *name).collect()
    }
}

pub(super) fn object(program: &str, known: bool, reading: &Reading<'_>, hidden: &[Hidden]) -> Value {
    let text = |arg: &Arg<'_>| text(arg, hidden);
    let texts = |args: &[Arg<'_>]| -> Vec<Value> { args.iter().map(text).collect() };
    let options: Vec<Value> = reading
        .options
        .iter()
        .map(|option| {
            let mut one = json!({ "name": String::from_utf8_lossy(&option.raw), "known": option.spec.is_some() });
            if let (Some(value), Value::Object(map)) = (&option.value, &mut one) {
                map.insert("value".to_owned(), text(value));
            }
            one
        })
        .collect();
    let mut all = json!({ "program": program, "grammar": known, "words": texts(&reading.words), "options": options, "operands": texts(&reading.operands) });
    if let Value::Object(map) = &mut all {
        if !reading.inner.is_empty() {
            map.insert("runs".to_owned(), reading.inner.iter().map(|command| Value::from(texts(&command.argv))).collect());
        }
        if let Some(statements) = &reading.statements {
            map.insert("statements".to_owned(), statements.iter().map(|statement| Value::from(statement.label.as_str())).collect());
        }
        if let Some(why) = reading.opaque {
            map.insert("opaque".to_owned(), why.into());
        }
    }
    all
}

fn text(arg: &Arg<'_>, hidden: &[Hidden]) -> Value {
    let secret =
        |(word, at): (usize, usize)| hidden.iter().any(|span| span.word == word && span.start < at + arg.text.len() && span.end > at);
    match arg.certainty {
        _ if arg.place.is_some_and(secret) => format!("hidden, {} bytes", arg.text.len()).into(),
        Certainty::Known => String::from_utf8_lossy(&arg.text).into(),
        Certainty::Value | Certainty::Several | Certainty::Anything => json!({ "when_it_runs": String::from_utf8_lossy(&arg.text) }),
    }
}
