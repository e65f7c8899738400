use std::collections::BTreeMap;

/// Durations in milliseconds, kept in steps that are at most 3 % wide: a million of them need no more room than a few hundred.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    steps: BTreeMap<u32, u64>,
    count: u64,
    longest: u64,
}

impl Spread {
    pub(super) fn add(&mut self, milliseconds: u64) {
        *self.steps.entry(step(milliseconds)).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(milliseconds);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (step, count) in &other.steps {
            *self.steps.entry(*step).or_default() += count;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn longest(&self) -> Option<u64> {
        (self.count > 0).then_some(self.longest)
    }

    /// What so many percent of the durations do not exceed (the nearest rank), as the middle of its step.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let step = self.steps.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        step.map(|(step, _)| middle(*step).min(self.longest))
    }

    /// How many lie from the first to below the second, in steps.
    pub(super) fn between(&self, from: u64, to: u64) -> u64 {
        self.steps.range(step(from)..step(to)).map(|(_, count)| count).sum()
    }
}

/// Milliseconds below 64 have a step each; from there on 32 steps for each doubling.
fn step(milliseconds: u64) -> u32 {
    let shift = milliseconds.max(1).ilog2().saturating_sub(5);
    shift * 32 + u32::try_from(milliseconds >> shift).unwrap_or(u32::MAX)
}

fn lower_end(step: u32) -> u64 {
    let shift = (step / 32).saturating_sub(1);
    u64::from(step - shift * 32) << shift
}

fn middle(step: u32) -> u64 {
    lower_end(step) + (1 << (step / 32).saturating_sub(1)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_begins_at_most_a_thirty_second_below(milliseconds in any::<u64>()) {
            let lower = lower_end(step(milliseconds));
            prop_assert!(lower <= milliseconds && milliseconds - lower <= milliseconds / 32);
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_durations(mut all in proptest::collection::vec(0..10_000_000_u64, 1..200), percent in 1..=100_u64) {
            let mut spread = Spread::default();
            for one in &all {
                spread.add(*one);
            }
            all.sort_unstable();
            let rank = usize::try_from((all.len() as u64 * percent).div_ceil(100)).unwrap_or_default();
            prop_assert_eq!(spread.percentile(percent), Some(middle(step(all[rank - 1])).min(spread.longest)));
        }
    }
}
