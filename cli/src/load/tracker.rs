//! What became of every transaction.

use outrider_types::TransactionId;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Keeps the open transactions, and the counts and latencies of the others.
#[derive(Debug)]
pub struct Tracker {
    start: OnceLock<Instant>,
    follows_one: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    // Only looked up by id; where it is walked, the order does not show.
    open: HashMap<TransactionId, Open, BuildHasherDefault<IdHasher>>,
    reachable: Vec<bool>,
    outcome: Outcome,
}

/// The first bytes of an id, which is a hash already, and of transactions that we made ourselves.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length, which comes first and is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A transaction whose fate is not known yet.
#[derive(Debug)]
struct Open {
    due: Duration,
    member: usize,
    accepted: bool,
    /// When its own member reported it.
    soft_here: Option<Duration>,
    /// When another one did.
    soft_elsewhere: Option<Duration>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Handed out.
    pub sent: u64,
    /// Acknowledged by a member.
    pub accepted: u64,
    /// Soft-final.
    pub soft: u64,
    /// Of those, reported only by another member than the one that took it.
    pub soft_elsewhere: u64,
    /// Accepted and not soft-final.
    pub lost: u64,
    /// Not accepted, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Submitted again because a member did not answer.
    pub resubmitted: u64,
    /// From due to soft-final, microseconds, sorted.
    pub latencies: Vec<u64>,
    /// From the start to the last soft-final.
    pub last_soft: Duration,
}

impl Tracker {
    /// For so many members. If only one is followed, it reports for all.
    pub fn new(members: usize, follows_one: bool) -> Self {
        let state = State {
            reachable: vec![true; members],
            ..State::default()
        };
        Self {
            start: OnceLock::new(),
            follows_one,
            state: Mutex::new(state),
        }
    }

    /// The clock starts.
    pub fn begin(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    fn now(&self) -> Duration {
        self.begin().elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Transactions leave for a member, for the first time or again.
    pub fn sent(&self, member: usize, sent: impl IntoIterator<Item = (TransactionId, Duration)>) {
        let mut state = self.state();
        for (id, due) in sent {
            if let Some(open) = state.open.get_mut(&id) {
                open.member = member;
                state.outcome.resubmitted += 1;
                continue;
            }
            let open = Open {
                due,
                member,
                accepted: false,
                soft_here: None,
                soft_elsewhere: None,
            };
            state.open.insert(id, open);
            state.outcome.sent += 1;
        }
    }

    /// A member took them.
    pub fn accepted(&self, ids: impl IntoIterator<Item = TransactionId>) {
        let mut state = self.state();
        for id in ids {
            if let Some(open) = state.open.get_mut(&id) {
                open.accepted = true;
                state.settle(id);
            }
        }
    }

    /// Nobody took it.
    pub fn rejected(&self, id: TransactionId, reason: String) {
        let mut state = self.state();
        match state.open.get(&id) {
            // No answer, but it is in a block: it was taken after all.
            Some(open) if open.soft_here.or(open.soft_elsewhere).is_some() => {
                drop(state);
                self.accepted([id]);
            }
            Some(_) => {
                state.open.remove(&id);
                *state.outcome.rejected.entry(reason).or_default() += 1;
            }
            None => {}
        }
    }

    /// A member reports transactions as soft-final.
    pub fn soft(&self, member: usize, ids: &[TransactionId]) {
        let now = self.now();
        let mut state = self.state();
        for id in ids {
            if let Some(open) = state.open.get_mut(id) {
                if open.member == member || self.follows_one {
                    open.soft_here.get_or_insert(now);
                } else {
                    open.soft_elsewhere.get_or_insert(now);
                }
                state.settle(*id);
            }
        }
    }

    /// Whether only the first member is followed.
    pub const fn follows_one(&self) -> bool {
        self.follows_one
    }

    /// Whether a member can be reached, so far as is known.
    pub fn reachable(&self, member: usize) -> bool {
        self.state().reachable.get(member).copied().unwrap_or(false)
    }

    /// The connection to a member broke, or is back.
    pub fn set_reachable(&self, member: usize, reachable: bool) {
        let mut state = self.state();
        if state
            .reachable
            .get(member)
            .is_none_or(|before| *before == reachable)
        {
            return;
        }
        state.reachable[member] = reachable;
        if !reachable {
            // What only others can report now.
            let waiting: Vec<TransactionId> = state
                .open
                .iter()
                .filter(|(_, open)| open.member == member && open.soft_elsewhere.is_some())
                .map(|(id, _)| *id)
                .collect();
            for id in waiting {
                state.settle(id);
            }
        }
    }

    /// How many are open.
    pub fn unsettled(&self) -> usize {
        self.state().open.len()
    }

    /// The end: what is still open is settled as far as it is known.
    pub fn finish(&self) -> Outcome {
        let mut state = self.state();
        let open = std::mem::take(&mut state.open);
        for transaction in open.into_values() {
            match (
                transaction.accepted,
                transaction.soft_here.or(transaction.soft_elsewhere),
            ) {
                (_, Some(soft)) => state.outcome.count(&transaction, soft),
                (true, None) => {
                    state.outcome.accepted += 1;
                    state.outcome.lost += 1;
                }
                (false, None) => {
                    *state
                        .outcome
                        .rejected
                        .entry("no answer".to_owned())
                        .or_default() += 1;
                }
            }
        }
        let mut outcome = std::mem::take(&mut state.outcome);
        outcome.latencies.sort_unstable();
        outcome
    }
}

impl State {
    /// Close a transaction that was accepted and reported.
    fn settle(&mut self, id: TransactionId) {
        let Some(open) = self.open.get(&id) else {
            return;
        };
        let reachable = self.reachable.get(open.member).copied().unwrap_or(false);
        let soft = open
            .soft_here
            .or(if reachable { None } else { open.soft_elsewhere });
        if open.accepted
            && let Some(soft) = soft
            && let Some(open) = self.open.remove(&id)
        {
            self.outcome.count(&open, soft);
        }
    }
}

impl Outcome {
    fn count(&mut self, open: &Open, soft: Duration) {
        self.accepted += 1;
        self.soft += 1;
        self.soft_elsewhere += u64::from(open.soft_here.is_none());
        let latency = soft.saturating_sub(open.due).as_micros();
        self.latencies
            .push(u64::try_from(latency).unwrap_or(u64::MAX));
        self.last_soft = self.last_soft.max(soft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TransactionId = TransactionId([1; 32]);
    const B: TransactionId = TransactionId([2; 32]);

    fn tracker() -> Tracker {
        let tracker = Tracker::new(2, false);
        tracker.begin();
        tracker
    }

    #[test]
    fn accepted_and_reported_is_soft_in_any_order() {
        let tracker = tracker();
        tracker.sent(0, [A, B].map(|id| (id, Duration::ZERO)));
        tracker.accepted([A]);
        tracker.soft(0, &[A, B]);
        assert_eq!(tracker.unsettled(), 1);
        tracker.accepted([B]);
        assert_eq!(tracker.unsettled(), 0);
        let outcome = tracker.finish();
        assert_eq!(
            (outcome.sent, outcome.accepted, outcome.soft, outcome.lost),
            (2, 2, 2, 0)
        );
        assert_eq!((outcome.latencies.len(), outcome.soft_elsewhere), (2, 0));
    }

    #[test]
    fn accepted_and_never_reported_is_lost() {
        let tracker = tracker();
        tracker.sent(0, [(A, Duration::ZERO)]);
        tracker.accepted([A]);
        let outcome = tracker.finish();
        assert_eq!((outcome.accepted, outcome.soft, outcome.lost), (1, 0, 1));
    }

    #[test]
    fn another_member_speaks_for_a_dead_one() {
        let tracker = tracker();
        tracker.sent(0, [(A, Duration::ZERO)]);
        tracker.accepted([A]);
        tracker.soft(1, &[A]);
        assert_eq!(tracker.unsettled(), 1, "its own member may still report it");
        tracker.set_reachable(0, false);
        assert_eq!(tracker.unsettled(), 0);
        let outcome = tracker.finish();
        assert_eq!(
            (outcome.soft, outcome.soft_elsewhere, outcome.lost),
            (1, 1, 0)
        );
    }

    #[test]
    fn rejected_is_counted_by_reason_unless_it_is_in_a_block() {
        let tracker = tracker();
        tracker.sent(0, [A, B].map(|id| (id, Duration::ZERO)));
        tracker.soft(0, &[B]);
        tracker.rejected(A, "full".into());
        tracker.rejected(B, "no answer".into());
        let outcome = tracker.finish();
        assert_eq!(outcome.rejected, BTreeMap::from([("full".to_owned(), 1)]));
        assert_eq!((outcome.accepted, outcome.soft), (1, 1));
    }

    #[test]
    fn resubmission_counts_once() {
        let tracker = tracker();
        tracker.sent(0, [(A, Duration::ZERO)]);
        tracker.sent(1, [(A, Duration::ZERO)]);
        tracker.accepted([A]);
        tracker.soft(1, &[A]);
        let outcome = tracker.finish();
        assert_eq!((outcome.sent, outcome.resubmitted, outcome.soft), (1, 1, 1));
    }
}
