//! The tests of gate, in one binary; each module is a sentence's subject.

mod bad_input;
mod contract;
mod contract_support;
mod contract_terminal;
mod docs;
mod exec;
mod facts;
mod facts_git;
mod facts_git_config;
mod facts_kube;
mod facts_process;
mod floors;
mod killed;
mod log;
mod world;
