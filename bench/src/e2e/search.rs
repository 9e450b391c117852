//! The search for the highest rate that is sustained.
//!
//! Double while it is sustained, halve while it is not, then bisect geometrically until the step is below a tenth.

/// Most rates that are tried.
pub const PROBES_MAX: usize = 16;
/// The lowest rate that is tried, transactions per second.
pub const RATE_MIN: u64 = 50;
/// Done when the lowest rate that failed is at most this many percent of the highest one that did not.
const STEP_PERCENT: u64 = 110;

/// What is known so far.
#[derive(Debug)]
pub struct Search {
    start: u64,
    max: u64,
    sustained: Option<u64>,
    failed: Option<u64>,
    probes: usize,
}

impl Search {
    /// From a rate on, and never above another one.
    pub fn new(start: u64, max: u64) -> Self {
        let max = max.max(RATE_MIN);
        Self {
            start: start.clamp(RATE_MIN, max),
            max,
            sustained: None,
            failed: None,
            probes: 0,
        }
    }

    /// The rate to try next; none if the search is over.
    pub fn next(&self) -> Option<u64> {
        if self.probes >= PROBES_MAX {
            return None;
        }
        match (self.sustained, self.failed) {
            (None, None) => Some(self.start),
            (Some(low), None) => (low < self.max).then(|| low.saturating_mul(2).min(self.max)),
            (None, Some(high)) => (high > RATE_MIN).then(|| (high / 2).max(RATE_MIN)),
            (Some(low), Some(high)) => {
                let close = high.saturating_mul(100) <= low.saturating_mul(STEP_PERCENT);
                let middle = low.saturating_mul(high).isqrt();
                (!close && middle > low && middle < high).then_some(middle)
            }
        }
    }

    /// What came of it.
    pub fn tried(&mut self, rate: u64, sustained: bool) {
        self.probes += 1;
        let (low, high) = (self.sustained, self.failed);
        if sustained {
            self.sustained = Some(low.map_or(rate, |low| low.max(rate)));
        } else {
            self.failed = Some(high.map_or(rate, |high| high.min(rate)));
        }
        assert!(
            self.sustained < self.failed.or(Some(u64::MAX)),
            "rates are tried between what is known"
        );
    }

    /// The highest rate that was sustained.
    pub const fn found(&self) -> Option<u64> {
        self.sustained
    }

    /// Whether the search ended at its limit, not at the system's.
    pub fn at_limit(&self) -> bool {
        self.sustained == Some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(start: u64, max: u64, truth: u64) -> (Search, usize) {
        let mut search = Search::new(start, max);
        let mut probes = 0;
        while let Some(rate) = search.next() {
            search.tried(rate, rate <= truth);
            probes += 1;
        }
        (search, probes)
    }

    #[test]
    fn highest_rate_is_found_from_below_and_from_above() {
        for start in [50, 1_000, 11_000, 80_000, 900_000] {
            for truth in [77, 1_000, 12_345, 246_000] {
                let (search, probes) = search(start, 1_000_000, truth);
                let found = search.found().unwrap();
                assert!(found <= truth, "{start} {truth}: {found}");
                let near = probes == PROBES_MAX || found * 110 >= truth * 100;
                assert!(near, "{start} {truth}: {found}");
                assert!(!search.at_limit());
            }
        }
    }

    #[test]
    fn limits_end_the_search() {
        let (high, _) = search(1_000, 5_000, u64::MAX);
        assert_eq!((high.found(), high.at_limit()), (Some(5_000), true));
        let (low, probes) = search(1_000, 5_000, 0);
        assert_eq!((low.found(), low.at_limit()), (None, false));
        assert_eq!(probes, 6, "1000, 500, 250, 125, 62, 50");
    }
}
