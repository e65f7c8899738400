//! The tests of gate, in one binary.

mod facts;
mod facts_git;
mod facts_git_config;
mod facts_kube;
mod facts_process;
