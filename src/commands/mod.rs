//! What a person or a program calls; each file is one subcommand.

mod anchor;
pub mod approvers;
pub mod audit;
mod batch;
pub mod check;
mod compare;
pub mod completions;
pub mod demo;
pub mod doctor;
mod explain;
mod failure;
mod history;
mod init;
pub mod key;
pub mod login;
pub mod policy;
mod refusal;
pub mod review;
pub mod run;
pub mod serve;
pub mod ssh_agent;
pub mod surroundings;
mod tested;
