//! What became of every transaction.

use outrider_types::TransactionId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the open transactions, and the counts and latencies of the others.
#[derive(Debug, Default)]
pub struct Tracker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    // Only looked up by id, and counted.
    open: HashMap<TransactionId, Open>,
    outcome: Outcome,
    last_sent: Duration,
}

#[derive(Debug)]
struct Open {
    due: Duration,
    accepted: bool,
    soft: Option<Duration>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Handed out.
    pub sent: u64,
    /// Accepted and final.
    pub soft: u64,
    /// Accepted and not final.
    pub lost: u64,
    /// Not accepted, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Submitted again because there was no answer.
    pub resubmitted: u64,
    /// From due to announced, microseconds, sorted.
    pub latencies: Vec<u64>,
    /// From the start to the last one.
    pub last_soft: Duration,
}

impl Tracker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These leave now, and were due then.
    pub fn sent(&self, ids: &[TransactionId], dues: impl Iterator<Item = Duration>, now: Duration) {
        let mut state = self.state();
        for (id, due) in ids.iter().zip(dues) {
            let open = Open {
                due,
                accepted: false,
                soft: None,
            };
            let before = state.open.insert(*id, open);
            assert!(before.is_none(), "no two transactions are the same");
            state.outcome.sent += 1;
        }
        state.last_sent = state.last_sent.max(now);
    }

    /// So many are submitted again.
    pub fn again(&self, count: usize) {
        self.state().outcome.resubmitted += count as u64;
    }

    /// The member took it.
    pub fn accepted(&self, id: &TransactionId) {
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(id) {
            open.accepted = true;
            state.settle(id);
        }
    }

    /// The member did not, unless it is in a block.
    pub fn rejected(&self, id: &TransactionId, reason: String) {
        let mut state = self.state();
        match state.open.get_mut(id) {
            Some(open) if open.soft.is_some() => {
                open.accepted = true;
                state.settle(id);
            }
            Some(_) => {
                state.open.remove(id);
                *state.outcome.rejected.entry(reason).or_default() += 1;
            }
            None => {}
        }
    }

    /// These are in a final block.
    pub fn soft(&self, ids: &[TransactionId], now: Duration) {
        let mut state = self.state();
        for id in ids {
            if let Some(open) = state.open.get_mut(id) {
                open.soft.get_or_insert(now);
                state.settle(id);
            }
        }
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.state().open.len()
    }

    /// When the last one left.
    pub fn last_sent(&self) -> Duration {
        self.state().last_sent
    }

    /// The end: what is accepted and still open is lost.
    pub fn finish(&self) -> Outcome {
        let mut state = self.state();
        for open in std::mem::take(&mut state.open).into_values() {
            if open.accepted {
                state.outcome.lost += 1;
            } else {
                *state
                    .outcome
                    .rejected
                    .entry("no answer".to_owned())
                    .or_default() += 1;
            }
        }
        let mut outcome = std::mem::take(&mut state.outcome);
        outcome.latencies.sort_unstable();
        outcome
    }
}

impl State {
    /// Close a transaction that is accepted and final.
    fn settle(&mut self, id: &TransactionId) {
        let Some(Open {
            due,
            accepted: true,
            soft: Some(soft),
        }) = self.open.get(id)
        else {
            return;
        };
        let latency = soft.saturating_sub(*due).as_micros();
        self.outcome.soft += 1;
        self.outcome.last_soft = self.outcome.last_soft.max(*soft);
        self.outcome
            .latencies
            .push(u64::try_from(latency).unwrap_or(u64::MAX));
        self.open.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u8) -> Vec<TransactionId> {
        (0..count).map(|n| TransactionId([n; 32])).collect()
    }

    #[test]
    fn fates_are_counted_in_any_order() {
        let (tracker, ids) = (Tracker::default(), ids(6));
        let dues = (0..).map(Duration::from_millis);
        tracker.sent(&ids, dues, Duration::from_millis(7));
        let at = Duration::from_millis(10);
        tracker.accepted(&ids[0]);
        tracker.soft(&ids[..3], at);
        tracker.accepted(&ids[1]);
        // No answer, but in a block; then one that is not, one that is lost, one that is open to the end.
        tracker.rejected(&ids[2], "no answer".into());
        tracker.rejected(&ids[3], "full".into());
        tracker.accepted(&ids[4]);
        assert_eq!(
            (tracker.open(), tracker.last_sent()),
            (2, Duration::from_millis(7))
        );
        let outcome = tracker.finish();
        assert_eq!((outcome.sent, outcome.soft, outcome.lost), (6, 3, 1));
        assert_eq!(outcome.rejected.values().sum::<u64>(), 2);
        assert_eq!(outcome.latencies, [8_000, 9_000, 10_000]);
        assert_eq!(outcome.last_soft, at);
    }
}
