//! A refusal in words for people and as one object for programs.

use serde_json::{Value, json};

use crate::approval::Refusal;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Effect, Reason};
use crate::request::Request;
use crate::text;

/// The error that tells a refusal.
pub(super) fn error(
    request: &Request,
    reasons: &[Reason],
    hidden: &[(usize, usize, usize)],
    refusal: &Refusal,
    addable: Option<&str>,
) -> Error {
    let words: Vec<&[u8]> = request.argv().bytes().collect();
    let command = text::ellipsis(&text::command(&words, hidden), LONGEST);
    let speaking = speaking(reasons, refusal);
    let rules: Vec<&str> = speaking.iter().map(|reason| reason.rule.as_str()).collect();
    let why = why(&speaking, refusal);
    let instead = instead(&speaking, refusal, addable);
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
        Refusal::Halted(_) => exit_codes::INTERNAL,
    }
}

fn title(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied => "denied",
        Refusal::Rejected { .. } => "rejected",
        Refusal::Expired => "nobody answered in time",
        Refusal::Pending => "still waiting for an answer",
        Refusal::Unreachable(_) => "this needs an answer, and nobody could be asked",
        Refusal::Halted(_) => "nothing runs: what witnesses saw of the log does not fit it",
        Refusal::Cancelled => "cancelled",
        Refusal::Changed(_) => "changed while waiting, so it did not run",
    }
}

/// The rules that the refusal rests on: those of the strictest effect that took part; none where no rule has a say.
fn speaking<'a>(reasons: &'a [Reason], refusal: &Refusal) -> Vec<&'a Reason> {
    if matches!(refusal, Refusal::Halted(_)) {
        return Vec::new();
    }
    let effect = if *refusal == Refusal::Denied { Effect::Deny } else { Effect::Ask };
    reasons.iter().filter(|reason| reason.effect == effect).collect()
}

fn why(speaking: &[&Reason], refusal: &Refusal) -> String {
    let mut parts: Vec<String> = match refusal {
        Refusal::Rejected { comment, .. } if !comment.is_empty() => vec![format!("They said: `{}`.", text::escape(comment.as_bytes()))],
        Refusal::Unreachable(why) | Refusal::Changed(why) | Refusal::Halted(why) => vec![sentence(&text::escape(why.as_bytes()))],
        _ => Vec::new(),
    };
    // A rule's own words follow, each a sentence.
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
fn instead(speaking: &[&Reason], refusal: &Refusal, addable: Option<&str>) -> Value {
    if matches!(refusal, Refusal::Cancelled | Refusal::Changed(_)) {
        return Value::Null;
    }
    if matches!(refusal, Refusal::Halted(_)) {
        return "`gate audit anchor` asks the witnesses again, and `gate audit verify` says what still holds; see gate-audit(1)".into();
    }
    if let Some(safer) = speaking.iter().find_map(|reason| reason.instead.as_deref()) {
        return text::escape(safer.as_bytes()).into();
    }
    if speaking.iter().any(|reason| reason.rule == "unmatched") {
        return match addable {
            Some(rule) => format!("add this to `policy.toml`, which allows just that:\n{rule}").into(),
            None => "gate does not know all its words and options; describe them in a tool file, see gate-policy(5)".into(),
        };
    }
    if matches!(refusal, Refusal::Unreachable(_)) {
        return "run it at a terminal, where somebody can read and answer".into();
    }
    Value::Null
}
