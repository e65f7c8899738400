use std::collections::{BTreeMap, VecDeque};

use super::facts::{Count, Row, Table};
use super::shown::per_mille;
use super::spread::Spread;

/// Distinct names that are counted apart; those that come after them are counted as others.
const MOST_NAMES: usize = 1000;

/// Rows of a table; the others are one row.
const MOST_ROWS: usize = 25;

/// Cases of one list; older ones are only counted.
const MOST_LISTED: usize = 200;

/// Something for each name, in bounded memory whatever a log holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally<T> {
    kept: BTreeMap<String, T>,
    others: T,
}

impl<T: Default> Tally<T> {
    pub(super) fn of(&mut self, name: &str) -> &mut T {
        if !self.kept.contains_key(name) && self.kept.len() >= MOST_NAMES {
            return &mut self.others;
        }
        self.kept.entry(name.to_owned()).or_default()
    }
}

impl Tally<u64> {
    /// The most frequent first.
    pub(super) fn counts(self) -> Vec<Count> {
        let mut counts: Vec<Count> = self.kept.into_iter().map(|(name, count)| Count { name, count }).collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        let rest: u64 = counts.iter().skip(MOST_ROWS).map(|count| count.count).sum::<u64>() + self.others;
        counts.truncate(MOST_ROWS);
        if rest > 0 {
            counts.push(Count { name: "others".to_owned(), count: rest });
        }
        counts
    }
}

impl Tally<Answers> {
    /// The most frequent first, or those that people were asked most about.
    pub(super) fn table(self, by_asked: bool) -> Table {
        let mut all: Vec<(String, Answers)> = self.kept.into_iter().collect();
        let weight = |answers: &Answers| if by_asked { (answers.asked, answers.commands) } else { (answers.commands, answers.asked) };
        all.sort_by(|a, b| weight(&b.1).cmp(&weight(&a.1)).then_with(|| a.0.cmp(&b.0)));
        let mut others = self.others;
        for (_, answers) in all.iter().skip(MOST_ROWS) {
            others.merge(answers);
        }
        all.truncate(MOST_ROWS);
        let rows = all.into_iter().map(|(name, answers)| answers.row(name)).collect();
        Table { rows, others: (others.commands > 0).then(|| others.row("others".to_owned())) }
    }
}

/// How a request went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A rule let it run.
    Allowed,
    /// It ran although a rule would have asked.
    Observed,
    /// A person let it run.
    Approved,
    /// It did not run; whether a person's answer was wanted.
    Refused { asked: bool },
}

impl Outcome {
    pub(super) fn of(effect: &str, result: &str) -> Self {
        match result {
            "allowed" => Self::Allowed,
            "observed" => Self::Observed,
            "approved" => Self::Approved,
            _ => Self::Refused { asked: effect == "ask" },
        }
    }

    pub(super) fn asked(self) -> bool {
        matches!(self, Self::Approved | Self::Refused { asked: true })
    }
}

/// How many requests went which way, and how long people took.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    commands: u64,
    allowed: u64,
    observed: u64,
    approved: u64,
    refused: u64,
    asked: u64,
    pub(super) took: Spread,
}

impl Answers {
    pub(super) fn add(&mut self, outcome: Outcome, took: Option<u64>) {
        self.commands += 1;
        self.asked += u64::from(outcome.asked());
        match outcome {
            Outcome::Allowed => self.allowed += 1,
            Outcome::Observed => self.observed += 1,
            Outcome::Approved => self.approved += 1,
            Outcome::Refused { .. } => self.refused += 1,
        }
        if let Some(took) = took {
            self.took.add(took);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.commands += other.commands;
        self.allowed += other.allowed;
        self.observed += other.observed;
        self.approved += other.approved;
        self.refused += other.refused;
        self.asked += other.asked;
        self.took.merge(&other.took);
    }

    pub(super) fn row(&self, name: String) -> Row {
        Row {
            name,
            commands: self.commands,
            allowed: self.allowed,
            observed: self.observed,
            approved: self.approved,
            refused: self.refused,
            asked: self.asked,
            asked_per_mille: per_mille(self.asked, self.commands),
            median_ms: self.took.percentile(50),
            p95_ms: self.took.percentile(95),
        }
    }
}

/// The last ones of many, and how many there were.
#[derive(Clone, Debug)]
pub(super) struct Latest<T> {
    kept: VecDeque<T>,
    count: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), count: 0 }
    }
}

impl<T> Latest<T> {
    pub(super) fn add(&mut self, one: T) {
        self.count += 1;
        if self.kept.len() == MOST_LISTED {
            self.kept.pop_front();
        }
        self.kept.push_back(one);
    }

    /// The kept ones, and how many came before them.
    pub(super) fn finish(self) -> (Vec<T>, u64) {
        let earlier = self.count - self.kept.len() as u64;
        (self.kept.into(), earlier)
    }
}
