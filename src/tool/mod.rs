//! Reading an argv as the tool itself does: words, options, operands, and the commands and statements inside.
#![forbid(unsafe_code)]

mod arg;
mod grammar;
mod inner;
mod read;
mod secret;
mod sql;

pub use arg::{Arg, Certainty};
pub use grammar::{Grammar, Language, OptionSpec, Runs, Syntax, Takes, TargetKind, WordSpec};
pub use read::{Opt, Reading, readings};
pub use secret::{Hidden, hidden, without_passwords};
