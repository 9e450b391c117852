//! Seeded randomness: one independent stream per subsystem, so that one more draw in one place does not shift the rest.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// A stream of random numbers that depends on the seed of the run and on what it is for, and on nothing else.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a seed for a purpose, such as `network` or `adversary 3`.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(purpose)
            .finalize();
        Self(ChaCha8Rng::from_seed(hash.into()))
    }

    /// Any number.
    #[allow(
        clippy::should_implement_trait,
        reason = "it never ends: it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 {
            return 0;
        }
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// An index into a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A fraction from 0 to below 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }

    /// One of these; none of an empty list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = self.index(list.len());
        list.get(at)
    }

    /// A number with this mean, exponentially distributed.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    /// A number with mean 0 and deviation 1, normally distributed (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// In a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.index(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_are_the_same_and_of_other_purposes_are_not() {
        let mut one = Stream::new(7, "network");
        let mut same = Stream::new(7, "network");
        let mut other = Stream::new(7, "disk");
        let numbers: Vec<u64> = (0..8).map(|_| one.next()).collect();
        assert_eq!(numbers, (0..8).map(|_| same.next()).collect::<Vec<_>>());
        assert_ne!(numbers, (0..8).map(|_| other.next()).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut stream = Stream::new(1, "test");
        let drawn: Vec<u64> = (0..200).map(|_| stream.between(3, 5)).collect();
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert!([3, 4, 5].iter().all(|number| drawn.contains(number)));
        assert_eq!(stream.below(0), 0);
        assert!(!stream.chance(0.0) && stream.chance(1.0));
    }
}
