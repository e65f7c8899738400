//! A refusal in words for people and as one object for programs.

use serde_json::{Value, json};

use crate::approval::Refusal;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Effect, Reason};
use crate::request::Request;
use crate::text;

/// The error that tells a refusal.
pub(super) fn error(request: &Request, reasons: &[Reason], hidden: &[(usize, usize, usize)], refusal: &Refusal) -> Error {
    let words: Vec<&[u8]> = request.argv().bytes().collect();
    let command = text::ellipsis(&text::command(&words, hidden), LONGEST);
    let speaking = speaking(reasons, refusal);
    let rules: Vec<&str> = speaking.iter().map(|reason| reason.rule.as_str()).collect();
    let why = why(&speaking, refusal);
    let instead = instead(&speaking, refusal, request);
    let mut sentence = format!("{}: {command}", title(refusal));
    for line in [&why].into_iter().filter(|line| !line.is_empty()) {
        sentence.push_str("\n  ");
        sentence.push_str(line);
    }
    if !rules.is_empty() {
        sentence.push_str("\n  by ");
        sentence.push_str(&text::escape(rules.join(", ").as_bytes()));
    }
    let object = json!({
        "gate": 1,
        "executed": false,
        "refusal": refusal.word(),
        "rules": rules,
        "reason": why,
        "instead": instead,
        "request": request.id().to_string(),
        "retry": refusal.retry(),
    });
    let error = Error::new(code(refusal), sentence).object(object);
    match instead {
        Value::String(hint) => error.hint(hint),
        _ => error,
    }
}

/// The longest command that a refusal repeats, in columns; the record has it whole.
const LONGEST: usize = 400;

fn code(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Denied | Refusal::Rejected { .. } | Refusal::Cancelled | Refusal::Changed(_) => exit_codes::REFUSED,
        Refusal::Expired | Refusal::Pending => exit_codes::UNDECIDED,
        Refusal::Unreachable(_) => exit_codes::UNREACHABLE,
    }
}

fn title(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied => "denied",
        Refusal::Rejected { .. } => "rejected",
        Refusal::Expired => "nobody answered in time",
        Refusal::Pending => "still waiting for an answer",
        Refusal::Unreachable(_) => "this needs an answer, and nobody could be asked",
        Refusal::Cancelled => "cancelled",
        Refusal::Changed(_) => "changed while waiting, so it did not run",
    }
}

/// The rules that the refusal rests on: those of the strictest effect that took part.
fn speaking<'a>(reasons: &'a [Reason], refusal: &Refusal) -> Vec<&'a Reason> {
    let effect = if *refusal == Refusal::Denied { Effect::Deny } else { Effect::Ask };
    reasons.iter().filter(|reason| reason.effect == effect).collect()
}

fn why(speaking: &[&Reason], refusal: &Refusal) -> String {
    let mut parts: Vec<String> = match refusal {
        Refusal::Rejected { comment, .. } if !comment.is_empty() => vec![format!("They said: `{}`.", text::escape(comment.as_bytes()))],
        Refusal::Unreachable(why) | Refusal::Changed(why) => vec![sentence(&text::escape(why.as_bytes()))],
        _ => Vec::new(),
    };
    parts.extend(speaking.iter().map(|reason| text::escape(reason.text.as_bytes())));
    parts.dedup();
    parts.join(" ")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// What would be accepted instead; never anything that could be used to approve.
fn instead(speaking: &[&Reason], refusal: &Refusal, request: &Request) -> Value {
    if matches!(refusal, Refusal::Cancelled | Refusal::Changed(_)) {
        return Value::Null;
    }
    if let Some(safer) = speaking.iter().find_map(|reason| reason.instead.as_deref()) {
        return text::escape(safer.as_bytes()).into();
    }
    if speaking.iter().any(|reason| reason.rule == "unmatched") {
        return rule_to_add(request).into();
    }
    if matches!(refusal, Refusal::Unreachable(_)) {
        return "run it at a terminal, where somebody can read and answer".into();
    }
    Value::Null
}

/// For a command that no rule speaks of: the very rule to add, no broader than what was asked.
fn rule_to_add(request: &Request) -> String {
    let name = String::from_utf8_lossy(request.argv().name()).into_owned();
    // What JSON makes of a text is a basic string of TOML too.
    let toml_text = |text: &str| Value::from(text).to_string();
    let words: Vec<String> = request.argv().bytes().skip(1).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let plain = words.iter().all(|word| !word.starts_with('-') && !word.contains('*') && word.len() < 80) && words.len() < 8;
    let id: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    if plain {
        let listed: Vec<String> = words.iter().map(|word| toml_text(word)).collect();
        let rule = format!(
            "to allow it from now on, add to `policy.toml`: [[rule]] id = \"my.{id}\" tool = {} effect = \"allow\" words = [{}]",
            toml_text(&name),
            listed.join(", ")
        );
        return text::escape(rule.as_bytes());
    }
    text::escape(format!("to allow it from now on, write a rule for `{name}` in `policy.toml`: see gate-policy(5)").as_bytes())
}
