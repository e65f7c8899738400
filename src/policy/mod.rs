//! What may run: rules in layers, and the one decision that comes of them.
#![forbid(unsafe_code)]

mod amended;
mod built_in;
pub mod calendar;
mod carried;
mod checks;
mod condition;
mod decide;
mod decision;
mod error;
mod explain;
mod file;
mod fitting;
mod gathered;
mod grammar_file;
mod head_file;
mod hide;
mod in_file;
mod index;
mod layers;
mod lint;
mod log_keys;
mod matching;
mod needs;
mod paths;
pub(crate) mod pattern;
mod preview;
mod raw;
mod reason;
mod report;
mod rule;
mod server_keys;
mod sets;
mod settings;
mod suggest;
mod target;
mod terms;
mod truth;
mod walk;
mod window;

pub use crate::tool::Hidden;
pub use decide::Brief;
pub use decision::{Allowed, Asked, Decision, Denied};
pub use error::PolicyError;
pub use explain::{Considered, Step};
pub use file::FileKind;
pub use in_file::{EmbeddedFile, Failure, check_file, embedded_file, judged, unreached};
pub use layers::{LayerFiles, Layers, Policy, PolicyFile, Tools};
pub use log_keys::{KeyProvider, LogSettings, Sink, SinkFormat};
pub use needs::Needs;
pub use reason::{Effect, Layer, Reason, RunHow, StdinRule};
pub use report::Shown;
pub use server_keys::{Identity, Server};
pub use target::Target;
pub use terms::{Assurance, Channel, Escalation, Justification, NoCommonChannel, Risk, StandingLimits, Terms};

use crate::request::{Context, Inner, Place, base_name};

/// The JSON Schema of policy files, so that editors complete and check them.
pub const SCHEMA: &str = include_str!("schema.json");

/// What was found of a program that another one runs.
fn inner(context: &Context, name: &[u8]) -> Inner {
    // What was not looked up is not trusted.
    let unknown = || Inner { place: Place::Untrusted("it was not looked up".to_owned()), real: base_name(name).to_vec() };
    context.inner.get(name).cloned().unwrap_or_else(unknown)
}
