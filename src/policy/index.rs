//! Finds the few rules of many that could fit, by a literal that each of them needs.

use std::collections::HashMap;

use super::rule::Rule;
use crate::tool::{Certainty, Reading};

/// Below this many rules looking at each is as fast.
const WORTH_IT: usize = 64;

/// Which rules to look at: those that need a literal which is there, and those that need none.
pub(super) struct Index {
    all: usize,
    by_word: HashMap<Vec<u8>, Vec<usize>>,
    by_operand: HashMap<Vec<u8>, Vec<usize>>,
    rest: Vec<usize>,
}

impl Index {
    pub(super) fn of<'a>(rules: impl ExactSizeIterator<Item = &'a Rule>) -> Self {
        let mut index = Self { all: rules.len(), by_word: HashMap::new(), by_operand: HashMap::new(), rest: Vec::new() };
        if index.all < WORTH_IT {
            return index;
        }
        for (at, rule) in rules.enumerate() {
            // An operand that is no path is only ever matched as it is written.
            let operands = rule.operands.any.as_ref().filter(|any| any.iter().all(|pattern| literal(pattern) && !pattern.contains('/')));
            let words = rule.words.first().filter(|word| word.iter().all(|spelling| literal(spelling)));
            let (map, keys) = match (operands, words) {
                (Some(operands), _) => (&mut index.by_operand, operands),
                (None, Some(words)) => (&mut index.by_word, words),
                (None, None) => {
                    index.rest.push(at);
                    continue;
                }
            };
            for key in keys {
                map.entry(key.clone().into_bytes()).or_default().push(at);
            }
        }
        index
    }

    /// The rules that could fit a reading, in order.
    pub(super) fn candidates(&self, reading: &Reading<'_>) -> Vec<usize> {
        let args = || reading.words.iter().chain(&reading.operands);
        let unsure = reading.loose || reading.fold_case || args().any(|arg| arg.certainty != Certainty::Known);
        if self.all < WORTH_IT || unsure {
            return (0..self.all).collect();
        }
        let mut found = self.rest.clone();
        for arg in args() {
            let bare = super::paths::bare(&arg.text);
            for key in std::iter::once(&*arg.text).chain((bare.len() < arg.text.len()).then_some(bare)) {
                found.extend(self.by_word.get(key).into_iter().flatten());
                found.extend(self.by_operand.get(key).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn literal(pattern: &str) -> bool {
    !pattern.contains('*') && !pattern.starts_with('@')
}
