//! What a rule's preview showed on the requester's machine before people were asked: said by that machine, bound by the digest.

use std::fmt;

use serde_json::{Value, json};

use super::canonical::bytes;
use super::submitted::bytes as read_bytes;

/// A preview as it was run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Previewed {
    /// The command.
    pub argv: Vec<String>,
    /// How it ended, or why it was not run.
    pub ended: PreviewEnd,
    /// The end of what it wrote to stdout and stderr.
    pub output: Vec<u8>,
    /// How many bytes were written before that.
    pub left_out: u64,
}

/// How a preview ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PreviewEnd {
    /// By itself, with this code.
    Exit(u8),
    /// By this signal.
    Signal(u8),
    /// It took longer than so many seconds, and was ended.
    Late(u64),
    /// It was not run: why.
    NotRun(String),
}

impl Previewed {
    pub(super) fn value(&self) -> Value {
        let mut value = json!({ "argv": self.argv, "output": bytes(&self.output), "left_out": self.left_out.to_string() });
        let (name, is) = match &self.ended {
            PreviewEnd::Exit(code) => ("exit", Value::from(*code)),
            PreviewEnd::Signal(number) => ("signal", Value::from(*number)),
            PreviewEnd::Late(seconds) => ("late_s", Value::from(*seconds)),
            PreviewEnd::NotRun(why) => ("not_run", Value::from(why.as_str())),
        };
        value[name] = is;
        value
    }

    pub(super) fn read(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).map(Value::as_u64);
        let small = |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok());
        let ended = match (number("exit"), number("signal"), number("late_s"), value.get("not_run")) {
            (Some(code), None, None, None) => PreviewEnd::Exit(small(code)?),
            (None, Some(signal), None, None) => PreviewEnd::Signal(small(signal)?),
            (None, None, Some(seconds), None) => PreviewEnd::Late(seconds?),
            (None, None, None, Some(why)) => PreviewEnd::NotRun(why.as_str()?.to_owned()),
            _ => return None,
        };
        let argv = value.get("argv")?.as_array()?.iter().map(|word| Some(word.as_str()?.to_owned()));
        Some(Self {
            argv: argv.collect::<Option<_>>()?,
            ended,
            output: read_bytes(value.get("output")?)?,
            left_out: value.get("left_out")?.as_str()?.parse().ok()?,
        })
    }
}

impl fmt::Display for PreviewEnd {
    /// In words; why it was not run is as the machine said it, and has to be made visible.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(number) => write!(f, "ended by signal {number}"),
            Self::Late(seconds) => write!(f, "ended after {seconds} s, which it may take at most"),
            Self::NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}
