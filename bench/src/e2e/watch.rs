//! What is seen of a member while the load runs: its counters in short intervals, and each block as it is announced.

use crate::numbers::{float, micros, percentile};
use outrider_client::{Client, Follower};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Between two looks at the counters.
const LOOK: Duration = Duration::from_millis(100);
/// Most looks and most blocks that are kept of one run.
const KEPT_MAX: usize = 2_000_000;
/// Before a broken subscription is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The counters of a member at a time from the start of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Duration,
    /// Final transactions since genesis.
    pub transactions: u64,
    /// Waiting transactions.
    pub pending: u64,
}

/// A block as it was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, from the start of the watch.
    pub at: Duration,
    /// From its proposer's clock to then, microseconds; the clock is the same one.
    pub age_us: u64,
    /// How many transactions it orders.
    pub transactions: u64,
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    start: Instant,
    looks: (oneshot::Sender<()>, JoinHandle<Vec<Look>>),
    blocks: Option<(oneshot::Sender<()>, JoinHandle<Vec<Seen>>)>,
}

impl Watch {
    /// Watch a member; `follow` says whether each block is to be announced, which costs the member and us time.
    pub fn begin(client: &Client, follow: bool) -> Self {
        let start = Instant::now();
        let (stop, stopped) = oneshot::channel();
        let looks = tokio::spawn(look(client.clone(), start, stopped));
        let blocks = follow.then(|| {
            let (stop, stopped) = oneshot::channel();
            let follower = Follower::new(client.url(), None);
            (stop, tokio::spawn(see(follower, start, stopped)))
        });
        Self {
            start,
            looks: (stop, looks),
            blocks,
        }
    }

    /// When it began.
    pub const fn start(&self) -> Instant {
        self.start
    }

    /// What was seen; no blocks if they were not asked for.
    pub async fn end(self) -> (Vec<Look>, Option<Vec<Seen>>) {
        // Whoever does not listen has ended.
        let _ = self.looks.0.send(());
        let looks = self.looks.1.await.unwrap_or_default();
        let mut seen = None;
        if let Some((stop, blocks)) = self.blocks {
            let _ = stop.send(());
            seen = Some(blocks.await.unwrap_or_default());
        }
        (looks, seen)
    }
}

async fn look(client: Client, start: Instant, mut stopped: oneshot::Receiver<()>) -> Vec<Look> {
    let mut looks = Vec::new();
    loop {
        if let Ok(head) = client.head().await
            && looks.len() < KEPT_MAX
        {
            looks.push(Look {
                at: start.elapsed(),
                transactions: head.transactions,
                pending: head.pending,
            });
        }
        tokio::select! {
            biased;
            _ = &mut stopped => return looks,
            () = sleep(LOOK) => {}
        }
    }
}

async fn see(
    mut follower: Follower,
    start: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut stopped => return seen,
            next = follower.next() => next,
        };
        match next {
            Ok(block) if seen.len() < KEPT_MAX => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                seen.push(Seen {
                    at: start.elapsed(),
                    age_us: micros(now.unwrap_or_default()).saturating_sub(block.timestamp),
                    transactions: block.transactions.len() as u64,
                });
            }
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// When the first transaction of the load was final, as far as the looks tell: the last look before it.
pub fn began(looks: &[Look]) -> Option<Duration> {
    let base = looks.first()?.transactions;
    let first = looks.iter().position(|look| look.transactions > base)?;
    Some(looks[first.checked_sub(1)?].at)
}

/// Final transactions per second between two times, by the looks nearest after each.
pub fn rate(looks: &[Look], from: Duration, to: Duration) -> Option<f64> {
    let at = |time: Duration| looks.iter().find(|look| look.at >= time);
    let (from, to) = (at(from)?, at(to).or(looks.last())?);
    let seconds = to.at.checked_sub(from.at)?.as_secs_f64();
    (seconds > 0.0)
        .then(|| float(to.transactions - from.transactions.min(to.transactions)) / seconds)
}

/// Ages of blocks with transactions, p50 and p99.
pub fn ages(seen: &[Seen]) -> (Option<u64>, Option<u64>) {
    let loaded = seen.iter().filter(|block| block.transactions > 0);
    let mut ages: Vec<u64> = loaded.map(|block| block.age_us).collect();
    ages.sort_unstable();
    (percentile(&ages, 50), percentile(&ages, 99))
}

/// Time between two blocks, p50 and p99, of those seen in this time.
pub fn intervals(seen: &[Seen], from: Duration, to: Duration) -> (Option<u64>, Option<u64>) {
    let mut sorted = lengths(seen, from, to);
    sorted.sort_unstable();
    (percentile(&sorted, 50), percentile(&sorted, 99))
}

fn lengths(seen: &[Seen], from: Duration, to: Duration) -> Vec<u64> {
    let pairs = seen.windows(2);
    let inside = pairs.filter(|pair| pair[0].at >= from && pair[1].at <= to);
    inside.map(|pair| micros(pair[1].at - pair[0].at)).collect()
}

/// What the death of members did to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The longest time between two blocks before, microseconds.
    pub longest_before_us: Option<u64>,
    /// What counts as a gap: the larger of 50 ms and twice the p99 of the times between blocks before.
    pub gap_from_us: u64,
    /// The first gap after; none if there was none.
    pub first_gap_us: Option<u64>,
    /// From the deaths until a second began in which at least 90 % of what was offered became final; none if none did.
    pub full_rate_after_us: Option<u64>,
    /// The same for a second from which on each one was so, to the end of the load.
    pub steady_after_us: Option<u64>,
    /// Gaps after the first one.
    pub later_gaps: usize,
    /// The longest of them.
    pub longest_later_gap_us: Option<u64>,
}

/// Least length of a gap.
const GAP_MIN_US: u64 = 50_000;
/// Step in which the full rate is looked for.
const STEP: Duration = Duration::from_millis(20);
/// Time over which it must hold.
const SECOND: Duration = Duration::from_secs(1);

impl Outage {
    /// From the blocks seen between the load's begin and end; `rate` transactions per second were offered.
    pub fn of(seen: &[Seen], begin: Duration, killed: Duration, end: Duration, rate: u64) -> Self {
        let mut before = lengths(seen, begin, killed);
        before.sort_unstable();
        let gap_from_us = percentile(&before, 99).map_or(GAP_MIN_US, |p99| GAP_MIN_US.max(2 * p99));
        let ends = seen.iter().map(|block| block.at).skip(1).chain([end]);
        let pairs = seen.iter().map(|block| block.at).zip(ends);
        // If no block comes any more, the end of the load ends the gap.
        let gaps: Vec<(u64, Duration)> = pairs
            .filter(|(from, until)| *until > killed && *from < end)
            .map(|(from, until)| (micros(until.saturating_sub(from)), until))
            .filter(|(length, _)| *length > gap_from_us)
            .collect();
        let resumed = gaps.first().map_or(killed, |(_, until)| *until);
        let full = full_seconds(seen, resumed, end, rate);
        let after = |step: usize| micros((resumed + steps(step)).saturating_sub(killed));
        let later = gaps.iter().skip(1).map(|(length, _)| *length);
        Self {
            longest_before_us: before.last().copied(),
            gap_from_us,
            first_gap_us: gaps.first().map(|(length, _)| *length),
            full_rate_after_us: full.iter().position(|full| *full).map(after),
            steady_after_us: full.last().filter(|last| **last).map(|_| {
                let slow = full.iter().rposition(|full| !full);
                after(slow.map_or(0, |slow| slow + 1))
            }),
            later_gaps: later.clone().count(),
            longest_later_gap_us: later.max(),
        }
    }
}

fn steps(count: usize) -> Duration {
    STEP * u32::try_from(count).unwrap_or(u32::MAX)
}

/// For each second within this time, step by step, whether at least 90 % of the rate was final in it.
fn full_seconds(seen: &[Seen], from: Duration, end: Duration, rate: u64) -> Vec<bool> {
    let last = end
        .checked_sub(from)
        .and_then(|time| time.checked_sub(SECOND));
    let Some(last) = last else { return Vec::new() };
    let count = usize::try_from(micros(last) / micros(STEP)).unwrap_or(0);
    // Both ends only move forward.
    let (mut first, mut past, mut inside) = (0, 0, 0);
    let full = |step: usize| {
        let begin = from + steps(step);
        while let Some(block) = seen.get(past).filter(|block| block.at < begin + SECOND) {
            inside += block.transactions;
            past += 1;
        }
        while let Some(block) = seen.get(first).filter(|block| block.at < begin) {
            inside -= block.transactions;
            first += 1;
        }
        inside * 100 >= rate * 90
    };
    (0..=count).map(full).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn block(at: u64) -> Seen {
        Seen {
            at: ms(at),
            age_us: at,
            transactions: 10,
        }
    }

    #[test]
    fn rates_are_of_the_looks_after() {
        let look = |at, transactions| Look {
            at: ms(at),
            transactions,
            pending: 0,
        };
        let looks = [look(0, 5), look(100, 5), look(200, 15), look(1_200, 1_015)];
        assert_eq!(began(&looks), Some(ms(100)));
        assert_eq!(rate(&looks, ms(150), ms(1_200)), Some(1_000.0));
        assert_eq!(rate(&looks, ms(150), ms(5_000)), Some(1_000.0));
        assert_eq!(rate(&looks, ms(2_000), ms(5_000)), None);
        assert_eq!(began(&looks[..2]), None);
        assert_eq!(began(&[]), None);
    }

    #[test]
    fn ages_are_those_of_blocks_that_order_something() {
        let mut seen: Vec<Seen> = (1..=100).map(block).collect();
        seen.push(Seen {
            transactions: 0,
            age_us: 9_999,
            ..block(101)
        });
        assert_eq!(ages(&seen), (Some(50), Some(99)));
        assert_eq!(intervals(&seen, ms(0), ms(200)), (Some(1_000), Some(1_000)));
        assert_eq!(intervals(&seen, ms(101), ms(200)), (None, None));
    }

    /// A block with ten transactions every 10 ms, but none in these times.
    fn seen(gaps: &[(u64, u64)]) -> Vec<Seen> {
        let in_gap = |at: &u64| gaps.iter().any(|(from, to)| at > from && at < to);
        let times = (0..1_000).map(|n| 10 * n);
        times.filter(|at| !in_gap(at)).map(block).collect()
    }

    #[test]
    fn gaps_are_counted_from_the_deaths_on() {
        let seen = seen(&[
            (2_000, 2_060),
            (5_000, 5_280),
            (6_000, 6_100),
            (7_000, 7_200),
        ]);
        let outage = Outage::of(&seen, ms(0), ms(5_005), ms(9_990), 1_000);
        let expected = Outage {
            longest_before_us: Some(60_000),
            gap_from_us: 50_000,
            first_gap_us: Some(280_000),
            // From 5280 to 6280 nine of a hundred are missing.
            full_rate_after_us: Some(275_000),
            // From 7100 to 8100 ten are missing, and in the seconds before that more.
            steady_after_us: Some(2_095_000),
            later_gaps: 2,
            longest_later_gap_us: Some(200_000),
        };
        assert_eq!(outage, expected);
    }

    #[test]
    fn without_a_gap_there_is_none() {
        let outage = Outage::of(&seen(&[]), ms(0), ms(5_005), ms(9_990), 1_000);
        assert_eq!((outage.first_gap_us, outage.later_gaps), (None, 0));
        assert_eq!(
            (outage.full_rate_after_us, outage.steady_after_us),
            (Some(0), Some(0))
        );
        let dead = Outage::of(
            &seen(&[(5_000, 20_000)]),
            ms(0),
            ms(5_005),
            ms(9_990),
            1_000,
        );
        assert_eq!(
            (dead.first_gap_us, dead.full_rate_after_us),
            (Some(4_990_000), None)
        );
        // One who comes back only at times is not steady.
        let limping = Outage::of(
            &seen(&[(5_000, 5_900), (7_000, 9_990)]),
            ms(0),
            ms(5_005),
            ms(9_000),
            1_000,
        );
        assert_eq!(
            (limping.full_rate_after_us, limping.steady_after_us),
            (Some(895_000), None)
        );
    }
}
