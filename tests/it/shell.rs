//! The strict reader of scripts against the real shells.

use gate::shell::{Script, Shell, read};
use proptest::prelude::*;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::shell_oracle::{Oracle, compare};
use crate::shell_soup::{Dice, NOISE, Soup};

/// How many scripts of the soup each shell is given for each seed.
const SOUPS: usize = 3500;

fn seeds() -> [u64; 2] {
    [20_260_101, SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into()]
}

fn soup(oracle: Oracle) {
    let start = Instant::now();
    let count = std::env::var("GATE_TEST_SOUPS").ok().and_then(|count| count.parse().ok()).unwrap_or(SOUPS);
    let (mut all, mut known) = (0, 0);
    for seed in seeds() {
        let mut soup = Soup { dice: Dice::new(seed), bash: oracle == Oracle::Bash };
        let scripts: Vec<Vec<u8>> = (0..count).map(|_| soup.script()).collect();
        let (read, wrong) = compare(oracle, &scripts);
        assert!(wrong.is_empty(), "seed {seed}, {} wrong: {}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
        all += read.len();
        known += read.iter().filter(|known| **known).count();
    }
    eprintln!("{oracle:?}: {known} of {all} scripts of the soup were static; {:?}", start.elapsed());
    assert!(known * 5 >= all, "only {known} of {all} scripts of the soup were static");
}

#[test]
fn what_the_reader_calls_static_is_what_bash_runs() {
    soup(Oracle::Bash);
}

#[test]
fn what_the_reader_calls_static_is_what_bash_runs_as_sh() {
    soup(Oracle::BashPosix);
}

#[test]
fn what_the_reader_calls_static_is_what_dash_runs() {
    soup(Oracle::Dash);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(script in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&script, Shell::Bash);
        read(&script, Shell::Posix);
    }

    #[test]
    fn no_tokens_make_a_reader_panic(tokens in prop::collection::vec(prop::sample::select(NOISE), 0..60)) {
        let script = tokens.concat();
        read(script.as_bytes(), Shell::Bash);
        read(script.as_bytes(), Shell::Posix);
    }

    #[test]
    fn what_sh_is_sure_of_bash_reads_alike(tokens in prop::collection::vec(prop::sample::select(NOISE), 0..12)) {
        let script = tokens.join(" ");
        if let Script::Static(found) = read(script.as_bytes(), Shell::Posix) {
            prop_assert_eq!(Script::Static(found), read(script.as_bytes(), Shell::Bash), "{:?}", script);
        }
    }
}
