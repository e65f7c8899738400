//! gate puts human judgement in front of a privileged command.
//!
//! This file is the floor plan: the rooms in floor order, the ground floor first. Imports go down only.

// Ground floor: pure. No I/O, no clock, no environment.
pub mod text;

pub mod key;

pub mod request;

pub mod shell;

pub mod tool;

pub mod policy;

pub mod approval;

pub mod record;

pub mod embedded;

pub mod report;

// First floor: doors to the outside; they do not know each other, but for `sys`, the door to the system.
pub mod sys;

pub mod audit;

pub mod channel;

pub mod config;

pub mod server;

// Second floor: what a person or a program calls.
pub mod exit_codes;

pub mod error;

pub mod cli;

pub mod commands;
