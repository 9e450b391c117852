//! Who committed what and when: the log that every member keeps, and what follows from it.

use crate::numbers::{Quantiles, float, percentile};
use std::fmt;

/// An interval without a commit counts as a gap from here on, or from five times the usual interval, if that is longer.
const GAP_US_MIN: u64 = 100_000;
/// Windows in which the rate after a crash is looked at.
const WINDOW_US: u64 = 500_000;
/// A window is at full rate from this part of what is due in it.
const FULL: f64 = 0.9;

/// One block at one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When the member knew it as final, microseconds since the Unix epoch.
    pub at_us: u64,
    /// When its proposer made it.
    pub proposed_us: u64,
    /// Transactions in it.
    pub transactions: u64,
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.at_us, self.proposed_us, self.transactions
        )
    }
}

impl Commit {
    /// A line as `Display` writes it. None if it is cut off: its writer was killed.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().map(str::parse);
        let mut word = || words.next()?.ok();
        let commit = Self {
            at_us: word()?,
            proposed_us: word()?,
            transactions: word()?,
        };
        words.next().is_none().then_some(commit)
    }
}

/// The commits of one member, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits(pub Vec<Commit>);

impl Commits {
    /// The lines of a log. The last line of a killed member may be cut off; so it must end with a line break.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Self(whole.lines().filter_map(Commit::parse).collect())
    }

    /// Those in a window.
    pub fn between(&self, from_us: u64, to_us: u64) -> impl Iterator<Item = &Commit> {
        let within = move |commit: &&Commit| (from_us..to_us).contains(&commit.at_us);
        self.0.iter().filter(within)
    }

    /// Transactions committed in a window.
    #[must_use]
    pub fn transactions(&self, from_us: u64, to_us: u64) -> u64 {
        self.between(from_us, to_us)
            .map(|commit| commit.transactions)
            .sum()
    }

    /// What a crash at `killed_us` did to this survivor, if it was watched until `end_us`.
    #[must_use]
    pub fn outage(&self, begin_us: u64, killed_us: u64, end_us: u64, rate: u64) -> Outage {
        // Idle members commit empty blocks; only commits with transactions show that work goes on.
        let times: Vec<u64> = self
            .between(begin_us, end_us)
            .filter(|commit| commit.transactions > 0)
            .map(|commit| commit.at_us)
            .collect();
        let usual = median_interval(&times, killed_us);
        let threshold = GAP_US_MIN.max(usual.saturating_mul(5));
        let mut intervals = Vec::with_capacity(times.len());
        let mut last = begin_us;
        for at in times.iter().copied().chain([end_us]) {
            // The end of the watch ends no gap unless it is one.
            intervals.push((last, at.saturating_sub(last)));
            last = at;
        }
        let after: Vec<(u64, u64)> = intervals
            .into_iter()
            .filter(|(start, length)| start + length > killed_us && *length >= threshold)
            .collect();
        let first = after.first().copied();
        let full_us = self.full_from(killed_us, end_us, rate);
        let later = after.iter().skip(1).map(|(_, length)| *length);
        Outage {
            first_gap_us: first.map_or(0, |(_, length)| length),
            stopped: times
                .last()
                .is_none_or(|last| last + 2 * WINDOW_US < end_us),
            full_rate_after_us: full_us,
            later_gaps: later.clone().count(),
            later_longest_us: later.max().unwrap_or(0),
            threshold_us: threshold,
        }
    }

    /// How long after the crash the first window began from which on all windows but one in ten are full.
    fn full_from(&self, killed_us: u64, end_us: u64, rate: u64) -> Option<u64> {
        let due = float(rate) * float(WINDOW_US) / 1e6 * FULL;
        let windows: Vec<bool> = (0..)
            .map(|index| killed_us + index * WINDOW_US)
            .take_while(|start| start + WINDOW_US <= end_us)
            .map(|start| float(self.transactions(start, start + WINDOW_US)) >= due)
            .collect();
        let lasting = |first: usize| {
            let rest = &windows[first..];
            let empty = rest.iter().filter(|full| !**full).count();
            rest[0] && empty * 10 <= rest.len()
        };
        let first = (0..windows.len()).find(|first| lasting(*first))?;
        Some(u64::try_from(first).ok()? * WINDOW_US)
    }
}

fn median_interval(times: &[u64], until: u64) -> u64 {
    let before = times.iter().take_while(|at| **at < until);
    let before: Vec<u64> = before.copied().collect();
    let mut lengths: Vec<u64> = before.windows(2).map(|pair| pair[1] - pair[0]).collect();
    lengths.sort_unstable();
    percentile(&lengths, 50).unwrap_or(0)
}

/// What a crash did, as one survivor saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first interval without transactions that is long enough to count; 0: there was none.
    pub first_gap_us: u64,
    /// Nothing came any more until the end.
    pub stopped: bool,
    /// From the crash to the first window at full rate that lasts; none: never within the watch.
    pub full_rate_after_us: Option<u64>,
    /// Gaps after the first.
    pub later_gaps: usize,
    /// The longest of them.
    pub later_longest_us: u64,
    /// From which length on an interval counts as a gap.
    pub threshold_us: u64,
}

/// From proposal to commit, at every member, in a window.
#[must_use]
pub fn commit_latency(members: &[Commits], from_us: u64, to_us: u64) -> Option<Quantiles> {
    let all = members
        .iter()
        .flat_map(|commits| commits.between(from_us, to_us));
    // Empty blocks are lighter than any that carries work.
    let full = all.filter(|commit| commit.transactions > 0);
    Quantiles::of(
        full.map(|commit| commit.at_us.saturating_sub(commit.proposed_us))
            .collect(),
    )
}

/// The mean interval between blocks, microseconds.
#[must_use]
pub fn block_interval(members: &[Commits], from_us: u64, to_us: u64) -> Option<f64> {
    let blocks = members
        .iter()
        .map(|commits| commits.between(from_us, to_us).count())
        .max()?;
    let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
    (blocks > 0).then(|| float(to_us.saturating_sub(from_us)) / float(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(at_ms: u64, transactions: u64) -> Commit {
        Commit {
            at_us: at_ms * 1_000,
            proposed_us: at_ms * 1_000 - 500,
            transactions,
        }
    }

    /// Every 10 ms, 10 transactions: 1,000 a second.
    fn steady(from_ms: u64, to_ms: u64) -> Vec<Commit> {
        (from_ms..to_ms)
            .step_by(10)
            .map(|at| commit(at, 10))
            .collect()
    }

    #[test]
    fn lines_are_read_as_written_and_cut_ones_left_out() {
        let commits = vec![commit(10, 1), commit(20, 0)];
        let text: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
        assert_eq!(Commits::parse(&text).0, commits);
        // The cut line would parse as a smaller number.
        let cut = &format!("{text}30000 29500 123")[..];
        assert_eq!(Commits::parse(cut).0, commits);
        assert_eq!(Commits::parse("").0, []);
        assert_eq!(Commit::parse("1 2"), None);
        assert_eq!(Commit::parse("1 2 3 4"), None);
        assert_eq!(Commit::parse("1 x 3"), None);
    }

    #[test]
    fn window_has_its_begin_and_not_its_end() {
        let commits = Commits(steady(10, 100));
        assert_eq!(commits.transactions(10_000, 30_000), 20);
        assert_eq!(
            block_interval(&[commits], 10_000, 110_000),
            Some(100_000.0 / 9.0)
        );
    }

    #[test]
    fn latency_leaves_empty_blocks_out() {
        let mut slow = commit(50, 0);
        slow.proposed_us = 0;
        let members = [
            Commits(vec![commit(40, 1), slow]),
            Commits(vec![commit(41, 1)]),
        ];
        let found = commit_latency(&members, 0, 1_000_000);
        assert_eq!(found, Some(Quantiles { p50: 500, p99: 500 }));
        assert_eq!(commit_latency(&[], 0, 1), None);
    }

    #[test]
    fn crash_with_one_gap() {
        let mut all = steady(1_000, 5_000);
        all.extend(steady(5_400, 10_000));
        let outage = Commits(all).outage(1_000_000, 5_000_000, 10_000_000, 1_000);
        assert_eq!(outage.first_gap_us, 410_000);
        assert_eq!((outage.later_gaps, outage.stopped), (0, false));
        // The window from 5.0 to 5.5 has 100 of 500.
        assert_eq!(outage.full_rate_after_us, Some(500_000));
    }

    #[test]
    fn crash_without_a_gap_and_one_without_an_end() {
        let outage = Commits(steady(1_000, 9_000)).outage(1_000_000, 4_000_000, 9_000_000, 1_000);
        assert_eq!(
            (outage.first_gap_us, outage.full_rate_after_us),
            (0, Some(0))
        );
        let outage = Commits(steady(1_000, 4_000)).outage(1_000_000, 4_000_000, 9_000_000, 1_000);
        assert!(outage.stopped);
        assert_eq!(outage.full_rate_after_us, None);
        assert_eq!(outage.first_gap_us, 5_010_000);
    }

    #[test]
    fn later_gaps_are_counted() {
        let mut all = steady(1_000, 5_000);
        for start in [6_000, 8_000, 10_000] {
            all.extend(steady(start, start + 1_000));
        }
        let outage = Commits(all).outage(1_000_000, 5_000_000, 11_000_000, 1_000);
        assert_eq!((outage.later_gaps, outage.later_longest_us), (2, 1_010_000));
        assert_eq!(outage.full_rate_after_us, Some(5_000_000));
    }
}
