//! What a person or a program calls; each file is one subcommand.

pub mod demo;
