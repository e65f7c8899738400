//! What may run: rules in layers, and the one decision that comes of them.

mod decision;
pub(crate) mod pattern;
mod reason;
mod target;
mod terms;

pub use crate::tool::Hidden;
pub use decision::{Allowed, Asked, Decision, Denied};
pub use reason::{Effect, Layer, Reason, RunHow, StdinRule};
pub use target::Target;
pub use terms::{Assurance, Channel, Escalation, Justification, NoCommonChannel, Risk, Terms};
