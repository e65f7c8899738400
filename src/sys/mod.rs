//! What only the operating system can tell or do.

pub mod clock;
pub mod tty;
