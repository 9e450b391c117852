//! Clock, percentiles and medians, the same for everybody.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch. All processes of a run are on one machine and read one clock.
#[must_use]
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// The value at or below which so many percent lie (nearest rank), of sorted values.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    assert!(
        (1..=100).contains(&percent),
        "a percentile is between 1 and 100"
    );
    debug_assert!(sorted.is_sorted(), "percentiles are of sorted values");
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The middle one, or the mean of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let above = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(above);
    }
    sorted
        .get(middle.checked_sub(1)?)
        .map(|below| (below + above) / 2.0)
}

/// p50 and p99, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Half are at or below.
    pub p50: u64,
    /// 99 of 100 are at or below.
    pub p99: u64,
}

impl Quantiles {
    /// Of values in any order; none if there are none.
    #[must_use]
    pub fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        Some(Self {
            p50: percentile(&values, 50)?,
            p99: percentile(&values, 99)?,
        })
    }
}

/// A count as a float. Counts of one run stay far below 2^53.
#[must_use]
pub fn float(count: u64) -> f64 {
    const LOW: u64 = u32::MAX as u64;
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & LOW).unwrap_or(u32::MAX);
    f64::from(high) * (f64::from(u32::MAX) + 1.0) + f64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&hundred, 100), Some(100));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[1, 2, 3], 50), Some(2));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn quantiles_take_any_order() {
        let found = Quantiles::of((1..=200).rev().collect());
        assert_eq!(found, Some(Quantiles { p50: 100, p99: 198 }));
        assert_eq!(Quantiles::of(Vec::new()), None);
    }

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn counts_become_floats() {
        assert!((float(5) - 5.0).abs() < f64::EPSILON);
        assert!((float(1 << 33) - 8_589_934_592.0).abs() < f64::EPSILON);
    }
}
