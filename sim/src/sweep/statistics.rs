//! Percentiles, medians, and how sure a median over seeds is.

use crate::rng::Stream;

/// Samples drawn for an interval.
const RESAMPLES: usize = 2_000;

/// The smallest of `sorted` that at least `percent` of them do not exceed (nearest rank); none if it is empty.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    assert!(
        sorted.is_sorted() && (1..=100).contains(&percent),
        "nearest rank of a sorted list"
    );
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// A median with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Lower end.
    pub low: f64,
    /// The median of what was measured.
    pub median: f64,
    /// Upper end.
    pub high: f64,
}

/// The median; the mean of the middle two of an even number. None of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The median with the 95 % interval of a percentile bootstrap (Efron 1979): 2,000 samples of the same size, drawn with
/// replacement from a stream of a fixed seed, so that the same values give the same interval.
#[must_use]
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let middle = median(values)?;
    let mut stream = Stream::new(values.len() as u64, "bootstrap");
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<f64> = (0..values.len())
                .filter_map(|_| stream.pick(values).copied())
                .collect();
            median(&sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Some(Estimate {
        low: medians.get(tail).copied().unwrap_or(middle),
        median: middle,
        high: medians.get(RESAMPLES - 1 - tail).copied().unwrap_or(middle),
    })
}
