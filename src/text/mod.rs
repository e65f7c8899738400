//! Everything that a person sees passes here: bytes become text that hides nothing and moves no cursor.

mod escape;
mod hex;
mod layout;
mod lookalike;
mod quote;
mod time;

pub use escape::{escape, visible};
pub use hex::{hex, unhex};
pub use layout::{Row, ellipsis, rows, width, word_rows, wrap};
pub use lookalike::{right_to_left, suspicious};
pub use quote::{command, quote};
pub use time::{ago, duration, span};
