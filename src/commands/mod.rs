//! The commands, each told from its arguments to its exit code.

pub mod audit;
