//! Which block of an execution node is `safe`, and which `finalized`.
//!
//! An execution block is made of the lane blocks whose certified time lies in an interval that begins at its timestamp, and is
//! at most [`INTERVAL_S_MAX`] long (docs/conductor.md). So the time of the last Outrider block that L1 has settled says
//! enough: every execution block before the newest one that is not later than this time is made of settled blocks alone, and that
//! one, too, once its interval is over however long it was.

use super::errors::ErrorCode;
use super::execution::Executions;
use super::native::unanswered;
use crate::handle::{BlockAt, Finality, NodeHandle};
use jsonrpsee::types::ErrorObjectOwned;
use outrider_types::{Height, RollupId, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The longest interval that a conductor takes, in seconds; it refuses a longer `--block-time`.
const INTERVAL_S_MAX: u64 = 60;
/// Blocks asked for to find one among all: its distance from a known one doubles, and is halved then.
const PROBES_MAX: usize = 2 * u64::BITS as usize;

/// What `safe` and `finalized` are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Instead of `safe`; none: the tag was not asked for.
    pub(super) safe: Option<Named>,
    /// Instead of `finalized`.
    pub(super) finalized: Option<Named>,
}

/// What stands for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The last executed block.
    Latest,
    /// As it is: the engine knows.
    Kept,
    /// This block.
    Number(u64),
}

/// A block of an execution node, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Executed {
    number: u64,
    /// Seconds since the Unix epoch.
    time: u64,
}

#[derive(Deserialize)]
struct Answer {
    number: String,
    timestamp: String,
}

/// What was found before: the next search begins there. Nothing is believed that is not asked for again.
#[derive(Debug, Default)]
pub(super) struct Tags {
    found: Mutex<BTreeMap<(RollupId, bool), u64>>,
    /// Times of Outrider blocks, by which height they were asked for.
    times: Mutex<BTreeMap<bool, (Height, Timestamp)>>,
}

impl Tags {
    /// What a tag stands for at this rollup.
    pub(super) async fn resolve(
        &self,
        handle: &NodeHandle,
        executions: &Executions,
        rollup: RollupId,
        wanted: Finality,
    ) -> Result<Named, ErrorObjectOwned> {
        let Some(report) = handle.settlement() else {
            return Ok(Named::Latest);
        };
        let is_final = wanted == Finality::Final;
        let height = report.height_of(wanted).ok_or_else(not_known)?;
        // One that catches up has less than L1 has settled.
        let height = height.min(handle.head().height);
        if height == Height(0) {
            return Ok(Named::Number(0));
        }
        let time = self.time(handle, is_final, height).await?.0 / 1_000_000;
        let key = (rollup, is_final);
        let hint = lock(&self.found).get(&key).copied();
        let Some(newest) = newest(executions, rollup, time, hint).await? else {
            return Ok(Named::Number(0));
        };
        lock(&self.found).insert(key, newest.number);
        let is_whole = time >= newest.time.saturating_add(INTERVAL_S_MAX);
        let back = u64::from(!is_whole);
        Ok(Named::Number(newest.number.saturating_sub(back)))
    }

    /// When the block of a height was made.
    async fn time(
        &self,
        handle: &NodeHandle,
        is_final: bool,
        height: Height,
    ) -> Result<Timestamp, ErrorObjectOwned> {
        let known = lock(&self.times).get(&is_final).copied();
        if let Some((_, time)) = known.filter(|(at, _)| *at == height) {
            return Ok(time);
        }
        let found = handle.block(BlockAt::Height(height)).await;
        let found = found.map_err(unanswered)?.ok_or_else(not_known)?;
        let time = found.block.timestamp;
        lock(&self.times).insert(is_final, (height, time));
        Ok(time)
    }
}

/// Locks even after a panic: what is held is a hint.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As Ethereum says it of a tag that has no block.
fn not_known() -> ErrorObjectOwned {
    ErrorCode::UnknownBlock.error(
        "Unknown block: this member has not read yet what is settled on L1; try again",
        None,
    )
}

/// The newest block that is not later than this second; none if even the first one is later. Timestamps rise from block to block.
async fn newest(
    executions: &Executions,
    rollup: RollupId,
    time: u64,
    hint: Option<u64>,
) -> Result<Option<Executed>, ErrorObjectOwned> {
    let head = asked(executions, rollup, None).await?;
    if head.time <= time {
        return Ok(Some(head));
    }
    let mut search = Search::new(head.number, hint);
    for _ in 0..PROBES_MAX {
        let Some(number) = search.next() else { break };
        let found = asked(executions, rollup, Some(number)).await?;
        search.tell(found, found.time <= time);
    }
    Ok(search.lower)
}

/// For the last block of which something holds that holds of all before it, and of a known one not.
#[derive(Debug)]
struct Search {
    /// The last one known of which it holds.
    lower: Option<Executed>,
    /// The first one known of which it does not.
    upper: u64,
    /// The next step away from what is known, while one side is open; it doubles.
    step: u64,
    /// Where to begin.
    hint: Option<u64>,
    /// Whether it does not hold of the hint, or there was none: go down from `upper`.
    down: bool,
}

impl Search {
    fn new(upper: u64, hint: Option<u64>) -> Self {
        let hint = hint.filter(|hint| *hint < upper);
        Self {
            lower: None,
            upper,
            step: 1,
            down: hint.is_none(),
            hint,
        }
    }

    /// The next one to look at.
    fn next(&mut self) -> Option<u64> {
        if let Some(hint) = self.hint.take() {
            return Some(hint);
        }
        let Some(lower) = self.lower else {
            // Nothing is below the first.
            let step = self.step;
            self.step = step.saturating_mul(2);
            return (self.upper > 0).then(|| self.upper.saturating_sub(step));
        };
        let between = self.upper - lower.number - 1;
        if between == 0 {
            return None;
        }
        if self.down {
            return Some(lower.number + 1 + between / 2);
        }
        let step = self.step.min(between);
        self.step = self.step.saturating_mul(2);
        Some(lower.number + step)
    }

    fn tell(&mut self, block: Executed, holds: bool) {
        if holds {
            self.lower = Some(block);
        } else {
            self.upper = self.upper.min(block.number);
            // Above what holds it was overshot: between the two by halves.
            self.down = true;
        }
    }
}

/// A block of the execution node, the last one if no number is given.
async fn asked(
    executions: &Executions,
    rollup: RollupId,
    number: Option<u64>,
) -> Result<Executed, ErrorObjectOwned> {
    let at = number.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"));
    let method = "eth_getBlockByNumber";
    let answer = executions.ask(rollup, method, json!([at, false])).await?;
    let read: Option<Answer> = serde_json::from_str(answer.get()).ok();
    let block = read.and_then(|block| {
        Some(Executed {
            number: quantity(&block.number)?,
            time: quantity(&block.timestamp)?,
        })
    });
    let block = block.filter(|block| number.is_none_or(|number| number == block.number));
    block.ok_or_else(|| {
        let text = format!("the execution node of rollup {rollup} does not show its block {at}");
        ErrorCode::ExecutionDown.error(text, None)
    })
}

/// A number as Ethereum writes it.
pub(super) fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer, and how many blocks were looked at.
    fn search(times: &[u64], time: u64, hint: Option<u64>) -> (Option<u64>, usize) {
        let head = times.len() as u64 - 1;
        let mut search = Search::new(head, hint);
        for looked in 0..PROBES_MAX {
            let Some(number) = search.next() else {
                return (search.lower.map(|found| found.number), looked);
            };
            assert!(number < head, "{number} of {head}");
            let found = Executed {
                number,
                time: times[number as usize],
            };
            search.tell(found, found.time <= time);
        }
        panic!("it does not end");
    }

    #[test]
    fn the_newest_block_is_found_from_every_hint() {
        let times: Vec<u64> = (0..40).map(|number| 100 + 3 * number).collect();
        for time in 90..times[39] {
            let expected = times.iter().rposition(|found| *found <= time);
            let hints = (0..60).map(Some).chain([None]);
            for hint in hints {
                let (found, looked) = search(&times, time, hint);
                assert_eq!(found, expected.map(|at| at as u64), "{time} {hint:?}");
                assert!(looked <= 14, "{looked} for {time} from {hint:?}");
            }
        }
        assert_eq!(search(&[7], 6, None), (None, 0));
    }

    #[test]
    fn what_was_found_before_is_found_again_with_two_questions() {
        let times: Vec<u64> = (0..100_000).collect();
        assert_eq!(search(&times, 5_000, Some(5_000)), (Some(5_000), 2));
        assert_eq!(search(&times, 5_001, Some(5_000)).0, Some(5_001));
        assert!(search(&times, 5_001, Some(5_000)).1 <= 4);
        // A hint that is wrong by far costs a logarithm.
        assert!(search(&times, 5_000, Some(90_000)).1 <= 40);
        assert!(search(&times, 5_000, None).1 <= 40);
    }
}
