//! The operating system: the only room with `unsafe` and system calls.

pub mod asker;
pub mod context;
pub mod host;
mod names;
pub mod process_tree;
pub mod target;
