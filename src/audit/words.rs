//! How records read in one line.

use serde_json::Value;

use crate::record::{Body, Kind};
pub(super) use crate::record::{ascii_json, command_line as command};
use crate::text;

/// How a command ended, if this record says so.
pub(super) fn outcome(body: &Body<'_>) -> Option<String> {
    match body.kind {
        Kind::ExecEnd => {
            let outcome = body.value("outcome")?;
            let number = |name| outcome.get(name).and_then(Value::as_i64);
            match (number("exit"), number("signal")) {
                (Some(exit), _) => Some(format!("exit {exit}")),
                (None, Some(signal)) => Some(format!("signal {signal}")),
                (None, None) => Some("unknown".to_owned()),
            }
        }
        Kind::ExecFail => Some("did not start".to_owned()),
        Kind::ExecReplace => Some("replaced gate".to_owned()),
        _ => None,
    }
}

/// A time as people read it: UTC, to the second.
pub(super) fn time(wall: i64) -> String {
    match jiff::Timestamp::from_nanosecond(wall.into()) {
        Ok(time) => format!("{time:.0}").replacen('T', " ", 1),
        Err(_) => "?".to_owned(),
    }
}

/// Text made visible.
pub(super) fn shown(text: &str) -> String {
    text::escape(text.as_bytes())
}
