//! From transaction to ordered payload: bounded, first come first served within a rollup, fair between rollups.
//!
//! ```text
//! Transaction --admit--> lane of its rollup --assemble--> Payload --(consensus)--> committed: removed
//! ```
//!
//! Guarantees, each with the test that defends it:
//!
//! - **M1** It never holds more than its [`Limits`] say. A transaction that came by itself is copied, so that it cannot
//!   keep a large message in memory; one that came in a batch keeps the batch, which counts as a whole against the share
//!   of its author (`tests/model.rs`, `admission::tests`, `tests/batches.rs`).
//! - **M2** No transaction is held twice (`tests/model.rs`).
//! - **M3** Transactions of one rollup are assembled in the order in which they were admitted (`tests/model.rs`).
//! - **M4** An assembled payload passes [`Payload::check`](outrider_types::Payload::check) and keeps to its
//!   [`AssemblyLimits`] (`tests/model.rs`).
//! - **M5** Space is shared by bytes: of two rollups that both have transactions left, neither gets more than one
//!   transaction ahead of the other (`assembly::tests`).
//! - **M6** No rollup starves: when assembled payloads are committed, everything admitted is assembled after a bounded
//!   number of them, also while others keep submitting (`tests/model.rs`, `assembly::tests`).
//!
//! - **M7** What [`Mempool::assemble`] tells in terms of batches, [`Mempool::resolve`] makes into the same payload wherever
//!   the batches are held (`tests/batches.rs`).
//!
//! Assumptions: [`Mempool::committed`] is told every committed block, and the caller admits nothing that is committed (rule F1 of
//! `outrider-finality`). So nothing that waits is committed.
//!
//! At a limit, admission fails with an [`AdmissionError`] that says which one; nothing that was admitted is ever thrown
//! out to make room. Deliberately absent: clocks, fees, execution, the network, disk.

mod admission;
mod assembly;
mod batches;
mod forced;
mod lane;

pub use admission::{AdmissionError, Limits};
pub use assembly::{Assembled, AssemblyLimits, Site};
pub use batches::{HeldBatch, ResolveError, Unresolved, Waiting};
pub use forced::Forced;

use batches::{Batches, Origin};
use lane::Lane;
use outrider_types::{RollupId, Timestamp, TransactionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What [`Mempool::retry_after`] answers: a few blocks' time, in which a full mempool has usually been emptied by at
/// least one payload.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long parts of a bundle wait; by then it is ordered or forgotten.
pub const BUNDLE_LIFE: Duration = Duration::from_secs(60);

/// Transactions that wait to be ordered.
#[derive(Debug)]
pub struct Mempool {
    limits: Limits,
    /// Only lanes that hold something.
    lanes: BTreeMap<RollupId, Lane>,
    /// Lanes in the order in which they are served: whoever was served longest ago comes first.
    turns: BTreeMap<u64, RollupId>,
    /// Where each transaction is.
    places: BTreeMap<TransactionId, Place>,
    batches: Batches,
    /// Parts of bundles, and when they came.
    parts: BTreeMap<TransactionId, Timestamp>,
    bytes: usize,
    /// The next number for an arrival or a turn; it never comes again.
    next: u64,
}

/// Where a transaction is kept.
#[derive(Clone, Copy, Debug)]
struct Place {
    rollup: RollupId,
    sequence: u64,
    /// The batch that brought it, if one did.
    origin: Option<Origin>,
}

impl Mempool {
    /// An empty one. A limit on a transaction that is over the limit of the wire, of a lane or of the whole is lowered
    /// to it.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = limits.consistent();
        Self {
            limits,
            lanes: BTreeMap::new(),
            batches: Batches::default(),
            turns: BTreeMap::new(),
            places: BTreeMap::new(),
            parts: BTreeMap::new(),
            bytes: 0,
            next: 0,
        }
    }

    /// These were committed, by whatever block: remove them if they are held. In `O(log n)` each.
    pub fn committed(&mut self, ids: &[TransactionId]) {
        let mut served = BTreeSet::new();
        for id in ids {
            if let Some(rollup) = self.remove(id) {
                served.insert(rollup);
            }
        }
        for rollup in served {
            let turn = self.take_number();
            if let Some(lane) = self.lanes.get_mut(&rollup) {
                let old = std::mem::replace(&mut lane.turn, turn);
                let moved = self.turns.remove(&old);
                assert!(moved == Some(rollup), "every lane has its turn");
                self.turns.insert(turn, rollup);
            }
        }
        assert!(
            self.turns.len() == self.lanes.len(),
            "every lane has one turn"
        );
    }

    /// Nothing is ordered for this rollup any more: forget what waits for it. How many.
    pub fn close(&mut self, rollup: RollupId) -> usize {
        let waiting = self.lanes.get(&rollup).map(|lane| lane.iter());
        let ids: Vec<TransactionId> = waiting.into_iter().flatten().map(|one| one.id).collect();
        self.committed(&ids);
        ids.len()
    }

    /// Forget parts of bundles that came longer ago than [`BUNDLE_LIFE`]: a bundle whose other parts never come would stay for ever. How
    /// many.
    pub fn forget_parts(&mut self, now: Timestamp) -> usize {
        let old = |came: &Timestamp| now.since(*came) >= BUNDLE_LIFE;
        let parts = self.parts.iter().filter(|(_, came)| old(came));
        let ids: Vec<TransactionId> = parts.map(|(id, _)| *id).collect();
        self.committed(&ids);
        ids.len()
    }

    /// Take one out; the rollup it was of.
    fn remove(&mut self, id: &TransactionId) -> Option<RollupId> {
        let Place {
            rollup,
            sequence,
            origin,
        } = self.places.remove(id)?;
        self.parts.remove(id);
        if let Some(origin) = origin {
            self.batches.release(origin.batch);
        }
        let lane = self.lanes.get_mut(&rollup);
        assert!(lane.is_some(), "a held transaction has a lane");
        let lane = lane?;
        let removed = lane.remove(sequence);
        assert!(
            removed.is_some(),
            "a held transaction stands in its rollup's lane"
        );
        self.bytes -= removed.unwrap_or_default();
        if lane.is_empty() {
            let turn = lane.turn;
            self.turns.remove(&turn);
            self.lanes.remove(&rollup);
        }
        Some(rollup)
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Whether it is held, waiting.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.places.contains_key(id)
    }

    /// How many transactions wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of all waiting transactions, without bookkeeping.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rollups that have transactions waiting, ascending, with how many and their bytes.
    pub fn lanes(&self) -> impl Iterator<Item = (RollupId, usize, usize)> + '_ {
        self.lanes
            .iter()
            .map(|(rollup, lane)| (*rollup, lane.len(), lane.bytes()))
    }

    /// How long the longest waiting one has waited; none if none waits. In `O(lanes)`.
    #[must_use]
    pub fn oldest(&self, now: Timestamp) -> Option<Duration> {
        let first = self.lanes.values().filter_map(Lane::oldest).min()?;
        Some(now.since(first))
    }

    /// When to try again after [`AdmissionError::Full`], [`AdmissionError::LaneFull`] or
    /// [`AdmissionError::TooManyLanes`]: the constant [`RETRY_AFTER`], because the rate of commits says little about the
    /// next one when a leader is down.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        RETRY_AFTER
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
