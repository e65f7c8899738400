//! Reading an argv as the tool itself does: words, options, operands, and the commands and statements inside.
#![forbid(unsafe_code)]

mod arg;
mod command;
mod grammar;
mod inner;
mod read;
mod read_find;
mod secret;
mod sql;
mod sql_names;
mod token;

pub use arg::{Arg, Certainty, Part};
pub use command::{Assigned, Inner};
pub use grammar::{Embed, Grammar, Holder, Language, OptionSpec, Runs, Syntax, Takes, TargetKind, WordSpec};
pub use read::{Opt, Reading, readings, shell_of};
pub(crate) use secret::merged;
pub use secret::{Hidden, hidden, without_passwords};
pub use sql::Statement;
