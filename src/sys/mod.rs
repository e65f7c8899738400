//! The kernel: finding, holding and running programs, terminals, signals, clocks, safe files, live targets.

pub mod clock;
pub mod exec;
pub mod files;
pub mod harden;
pub mod held;
mod path;
pub mod random;
pub mod resolve;
pub mod signals;
pub mod stdio;
pub mod supervise;
pub mod tty;
