//! The one integration test: each module is named after a room or a promise, each test is a sentence.
#![expect(dead_code, reason = "each module uses the helpers of `world` that it needs")]
#![expect(unreachable_pub, reason = "nothing outside this binary can reach anything")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod agent;
mod approval;
mod attacks;
mod bad_input;
mod batch;
mod bundle;
mod card;
mod check;
mod contract;
mod contract_support;
mod contract_terminal;
mod docs;
mod doctor;
mod evidence;
mod examples;
mod exec;
mod export;
mod facts;
mod facts_cloud;
mod facts_git;
mod facts_git_config;
mod facts_kube;
mod facts_process;
mod floors;
mod hostile;
mod keeping;
mod keys;
mod killed;
mod log;
mod policy_authors;
mod policy_keys;
mod policy_keys_reading;
mod policy_keys_rules;
mod policy_laws;
mod prompt;
mod proofs;
mod pruning;
mod reading_laws;
mod record;
mod shell;
mod shell_corpus;
mod shell_names;
mod shell_oracle;
mod shell_soup;
mod ship;
mod sshsig;
mod text;
mod tty;
mod upkeep;
mod verify;
mod witness;
mod world;
