//! gate puts human judgement in front of a privileged command.
//!
//! This file is the floor plan: the rooms in floor order, the ground floor first. Imports go down only.

// Ground floor: pure. No I/O, no clock, no environment.
pub mod approval;
pub mod key;
pub mod policy;
pub mod record;
pub mod request;
pub mod text;

// First floor: the doors to the outside.
pub mod audit;
pub mod sys;


/// The process exit codes of gate itself.
pub mod exit_codes;
