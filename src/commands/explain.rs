//! `gate policy explain`: why, step by step, with the reading of the argv.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::check::program;
use super::surroundings::{Surroundings, now, request_id};
use super::tested;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Brief, Considered, Step};
use crate::request::{Argv, Request};
use crate::text;

/// Tells why a command would be allowed, asked about or denied.
pub(super) fn run(command: &[OsString], as_json: bool) -> Result<String, Error> {
    let argv = Argv::new(command.to_vec()).map_err(|_| Error::new(exit_codes::USAGE, "there is no command after `--`"))?;
    let mut around = Surroundings::capture()?;
    let found = program(argv.typed(), around.context.environment.get("PATH"));
    around.look_up();
    around.complete(&argv, &found)?;
    tested::ensure(&around.policy, around.config.state().ok(), around.context.who.uid)?;
    let request = Request::new(request_id(now()?)?, argv, found, around.context.clone());
    let (argv, program, context) = (request.argv(), request.program(), request.context());
    let brief = around.policy.brief(argv, program, context)?;
    let steps = around.policy.explain(argv, program, context)?;
    Ok(if as_json { object(&brief, &steps) } else { words(&brief, &steps) })
}

fn object(brief: &Brief, steps: &[Step]) -> String {
    let rule = |rule: &Considered| {
        json!({
            "id": rule.id, "layer": rule.layer.to_string(), "effect": rule.effect.word(), "takes_part": rule.kept_out.is_none(),
            "because": rule.kept_out,
        })
    };
    let step = |step: &Step| {
        json!({
            "depth": step.depth, "guessed": step.guessed, "read": step.reading, "comes_to": step.comes_to.word(),
            "rules": step.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    let all = json!({
        "decision": brief.effect.word(), "risk": brief.risk.word(), "rules": brief.rules, "steps": steps.iter().map(step).collect::<Vec<_>>(),
    });
    format!("{all}\n")
}

fn words(brief: &Brief, steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let margin = "  ".repeat(step.depth);
        let seen = if step.guessed { " (seen in a script that cannot be read)" } else { "" };
        out += &format!("{margin}{}{seen}\n", shown(&step.reading, "program"));
        for (title, key) in [("words", "words"), ("operands", "operands"), ("statements", "statements")] {
            let items = list(&step.reading, key);
            if !items.is_empty() {
                out += &format!("{margin}  {title:<11}{}\n", items.join("  "));
            }
        }
        let options = step.reading.get("options").and_then(Value::as_array).into_iter().flatten().map(option).collect::<Vec<_>>();
        if !options.is_empty() {
            out += &format!("{margin}  {:<11}{}\n", "options", options.join("  "));
        }
        if step.reading.get("opaque").is_some() {
            out += &format!("{margin}  {:<11}{}\n", "unreadable", shown(&step.reading, "opaque"));
        }
        for rule in &step.rules {
            let id = text::escape(rule.id.as_bytes());
            out += &match &rule.kept_out {
                None => format!("{margin}  {:<5}  {id} ({})\n", rule.effect.word(), rule.layer),
                Some(why) => format!("{margin}  -      {id} would {}, but not here: {why}\n", rule.effect.word()),
            };
        }
        out += &format!("{margin}  = {}\n", step.comes_to.word());
    }
    let rules: Vec<String> = brief.rules.iter().map(|rule| text::escape(rule.as_bytes())).collect();
    out + &format!("{} by {}\n", brief.effect.word(), rules.join(", "))
}

fn shown(reading: &Value, key: &str) -> String {
    reading.get(key).map_or_else(String::new, said)
}

fn list(reading: &Value, key: &str) -> Vec<String> {
    reading.get(key).and_then(Value::as_array).into_iter().flatten().map(said).collect()
}

/// A known text as it is, or what is known of one that comes when the command runs.
fn said(value: &Value) -> String {
    match value {
        Value::String(known) => text::escape(known.as_bytes()),
        Value::Object(later) => format!("{} (known when it runs)", later.get("when_it_runs").map_or_else(String::new, said)),
        other => text::escape(other.to_string().as_bytes()),
    }
}

fn option(option: &Value) -> String {
    let unknown = if option.get("known") == Some(&Value::Bool(true)) { "" } else { " (not in the grammar)" };
    match option.get("value") {
        Some(value) => format!("{}={}{unknown}", shown(option, "name"), said(value)),
        None => format!("{}{unknown}", shown(option, "name")),
    }
}
