//! What the server tells its operator: one JSON object in a line on stderr.
//!
//! No secret, cookie, query or body is ever handed over; whatever a stranger may have written stands there in ASCII, and cut.

use std::io::Write;

use serde_json::{Map, Value};

use crate::record::ascii_json;
use crate::sys::clock;

/// No text is longer, in characters.
const LONGEST: usize = 500;

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// As it should be.
    Info,
    /// Somebody may want to look.
    Warning,
    /// Somebody has to look.
    Error,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Writes one line. A stderr that is gone changes nothing.
pub fn tell(severity: Severity, what: &str, more: &[(&str, Value)]) {
    let time = clock::now().ok().and_then(|now| jiff::Timestamp::from_nanosecond(now.wall.into()).ok());
    let mut line = Map::new();
    line.extend(time.map(|time| ("time".to_owned(), format!("{time:.3}").into())));
    line.insert("severity".to_owned(), severity.word().into());
    line.insert("what".to_owned(), cut(what).into());
    line.extend(more.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| ((*name).to_owned(), short(value))));
    let line = ascii_json(&Value::Object(line)) + "\n";
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Tells of a failure in words.
pub fn failed(what: &str, why: &str) {
    tell(Severity::Error, what, &[("why", why.into())]);
}

fn short(value: &Value) -> Value {
    match value {
        Value::String(text) => cut(text).into(),
        Value::Bool(_) | Value::Number(_) => value.clone(),
        other => cut(&other.to_string()).into(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
