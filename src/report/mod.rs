//! What a log says about a span of time: gathered once, in one pass and little memory, and told as a page, as Markdown and as JSON.

mod charts;
mod controls;
mod drift;
mod facts;
mod gather;
mod html;
mod markdown;
mod shown;
mod spread;
mod tally;

pub use controls::{Control, Framework};
pub use drift::{InForce, PolicyFile, Version};
pub use facts::{Case, Count, Event, Facts, Report, Row, Step, Table, Took, Verification};
pub use gather::{Gathering, Span};
pub use html::page;
pub use markdown::markdown;
pub use shown::moment;
