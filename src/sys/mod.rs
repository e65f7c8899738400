//! System calls, and nothing else.

pub mod durable;
/// The size of the terminal.
pub mod window;
