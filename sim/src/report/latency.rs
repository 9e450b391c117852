//! Percentiles of simulated times.

use crate::fact::Micros;
use std::collections::BTreeMap;

/// Different values that are told apart; beyond this many, new ones are counted at the nearest one known.
const VALUES_MAX: usize = 100_000;

/// How long something took, many times. Exact to the microsecond up to a hundred thousand different values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: BTreeMap<Micros, u64>,
    total: u64,
}

impl Latencies {
    /// Once more.
    pub fn add(&mut self, micros: Micros) {
        self.total += 1;
        let full = self.counts.len() >= VALUES_MAX && !self.counts.contains_key(&micros);
        let nearest = if full {
            let above = self.counts.range(micros..).next();
            let below = self.counts.range(..micros).next_back();
            above.or(below).map(|(value, _)| *value)
        } else {
            None
        };
        *self.counts.entry(nearest.unwrap_or(micros)).or_default() += 1;
        assert!(self.counts.len() <= VALUES_MAX, "the limit holds");
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The smallest value that is not exceeded by so many percent (nearest rank); none if there are no values.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Micros> {
        assert!((1..=100).contains(&percent), "percent of {percent}");
        let rank = self.total.saturating_mul(percent).div_ceil(100);
        let mut seen = 0;
        let mut values = self.counts.iter();
        values
            .find(|(_, count)| {
                seen += **count;
                seen >= rank
            })
            .map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_by_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        for value in (1..=10).rev() {
            latencies.add(value);
        }
        let at = |percent| latencies.percentile(percent).unwrap();
        assert_eq!(
            [1, 10, 11, 50, 90, 91, 99, 100].map(at),
            [1, 1, 2, 5, 9, 10, 10, 10]
        );
    }

    #[test]
    fn beyond_the_limit_the_nearest_known_value_counts() {
        let mut latencies = Latencies::default();
        let most = VALUES_MAX as Micros;
        for value in 1..=most {
            latencies.add(2 * value);
        }
        for value in [1, 3, 5 * most] {
            latencies.add(value);
        }
        assert_eq!(latencies.counts.len(), VALUES_MAX);
        assert_eq!(latencies.len(), most + 3);
        assert_eq!(latencies.percentile(100), Some(2 * most));
    }
}
