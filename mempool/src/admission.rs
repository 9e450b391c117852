//! What is taken, and what is remembered.

use crate::lane::Lane;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{RollupId, Timestamp, Transaction, TransactionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Shortest and longest advice on when to try again.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How much a mempool holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one transaction.
    pub transaction_bytes: usize,
    /// Transactions in all.
    pub total_transactions: usize,
    /// Bytes in all.
    pub total_bytes: usize,
    /// Transactions of one rollup.
    pub lane_transactions: usize,
    /// Bytes of one rollup.
    pub lane_bytes: usize,
    /// Rollups with something waiting.
    pub lanes: usize,
    /// The rollups that are ordered here; none means any.
    pub rollups: Option<BTreeSet<RollupId>>,
    /// Committed transactions whose ids are remembered.
    pub duplicate_window: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transaction_bytes: TRANSACTION_BYTES_MAX,
            total_transactions: 65_536,
            total_bytes: 64 << 20,
            lane_transactions: 32_768,
            lane_bytes: 32 << 20,
            lanes: 1_024,
            rollups: None,
            duplicate_window: 131_072,
        }
    }
}

/// How a duplicate is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It waits here.
    Pending,
    /// It was committed lately.
    Committed,
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Nothing in it.
    #[error("the transaction is empty")]
    Empty,
    /// One that no block could hold, or this member does not take.
    #[error("the transaction has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No room.
    #[error("the mempool is full: {limit} {unit}")]
    Full {
        /// The limit reached.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// No room for this rollup.
    #[error("rollup {rollup} has {limit} {unit} waiting, which is its share")]
    LaneFull {
        /// Whose share.
        rollup: RollupId,
        /// The limit reached.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// Too many rollups at once.
    #[error("{limit} rollups have something waiting, which is the limit")]
    TooManyLanes {
        /// The limit.
        limit: usize,
    },
    /// Not ordered here.
    #[error("rollup {rollup} is not ordered here")]
    UnknownRollup {
        /// Which.
        rollup: RollupId,
    },
    /// Known already.
    #[error("transaction {id} is known already")]
    Duplicate {
        /// Which.
        id: TransactionId,
        /// How.
        known: Known,
    },
}

/// Transactions that wait for a block.
#[derive(Clone, Debug)]
pub struct Mempool {
    pub(crate) limits: Limits,
    pub(crate) lanes: BTreeMap<RollupId, Lane>,
    index: BTreeMap<TransactionId, (RollupId, u64, Timestamp)>,
    bytes: usize,
    sequence: u64,
    committed: VecDeque<TransactionId>,
    remembered: BTreeSet<TransactionId>,
    /// Lane that assembly begins with; moves on with every commit.
    pub(crate) turn: usize,
}

impl Mempool {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            index: BTreeMap::new(),
            bytes: 0,
            sequence: 0,
            committed: VecDeque::new(),
            remembered: BTreeSet::new(),
            turn: 0,
        }
    }

    /// Take a transaction, or say why not. Nothing changes on an error.
    pub fn admit(
        &mut self,
        now: Timestamp,
        transaction: Transaction,
    ) -> Result<TransactionId, AdmissionError> {
        let Transaction { rollup, data } = transaction;
        let (limits, bytes) = (&self.limits, data.len());
        if bytes == 0 {
            return Err(AdmissionError::Empty);
        }
        let limit = limits.transaction_bytes.min(TRANSACTION_BYTES_MAX);
        if bytes > limit {
            return Err(AdmissionError::TooLarge { bytes, limit });
        }
        if limits
            .rollups
            .as_ref()
            .is_some_and(|rollups| !rollups.contains(&rollup))
        {
            return Err(AdmissionError::UnknownRollup { rollup });
        }
        let transaction = Transaction { rollup, data };
        let id = transaction.id();
        if self.index.contains_key(&id) {
            return Err(AdmissionError::Duplicate {
                id,
                known: Known::Pending,
            });
        }
        if self.remembered.contains(&id) {
            return Err(AdmissionError::Duplicate {
                id,
                known: Known::Committed,
            });
        }
        self.room(rollup, bytes)?;
        let sequence = self.sequence;
        self.sequence += 1;
        self.bytes += bytes;
        self.lanes
            .entry(rollup)
            .or_default()
            .push(sequence, id, transaction.data);
        self.index.insert(id, (rollup, sequence, now));
        assert!(self.bytes <= self.limits.total_bytes, "M1");
        Ok(id)
    }

    fn room(&self, rollup: RollupId, bytes: usize) -> Result<(), AdmissionError> {
        let limits = &self.limits;
        if self.index.len() >= limits.total_transactions {
            return Err(AdmissionError::Full {
                limit: limits.total_transactions,
                unit: "transactions",
            });
        }
        if self.bytes + bytes > limits.total_bytes {
            return Err(AdmissionError::Full {
                limit: limits.total_bytes,
                unit: "bytes",
            });
        }
        let Some(lane) = self.lanes.get(&rollup) else {
            if self.lanes.len() >= limits.lanes {
                return Err(AdmissionError::TooManyLanes {
                    limit: limits.lanes,
                });
            }
            if bytes > limits.lane_bytes || limits.lane_transactions == 0 {
                return Err(AdmissionError::LaneFull {
                    rollup,
                    limit: limits.lane_bytes,
                    unit: "bytes",
                });
            }
            return Ok(());
        };
        if lane.len() >= limits.lane_transactions {
            return Err(AdmissionError::LaneFull {
                rollup,
                limit: limits.lane_transactions,
                unit: "transactions",
            });
        }
        if lane.bytes() + bytes > limits.lane_bytes {
            return Err(AdmissionError::LaneFull {
                rollup,
                limit: limits.lane_bytes,
                unit: "bytes",
            });
        }
        Ok(())
    }

    /// These are ordered: forget them, but remember their ids for a while.
    pub fn committed(&mut self, ids: &[TransactionId]) {
        for id in ids {
            self.remove(id);
            if self.remembered.insert(*id) {
                self.committed.push_back(*id);
            }
        }
        while self.committed.len() > self.limits.duplicate_window {
            if let Some(old) = self.committed.pop_front() {
                self.remembered.remove(&old);
            }
        }
        if !ids.is_empty() {
            self.turn = self.turn.wrapping_add(1);
        }
    }

    fn remove(&mut self, id: &TransactionId) {
        let Some((rollup, sequence, _)) = self.index.remove(id) else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&rollup) {
            self.bytes -= lane.remove(sequence);
            if lane.is_empty() {
                self.lanes.remove(&rollup);
            }
        }
    }

    /// Whether a transaction waits here.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.index.contains_key(id)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of all that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When there may be room again: longer the fuller it is, between 50 ms and 5 s.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        let full = self.index.len() as f64 / self.limits.total_transactions.max(1) as f64;
        RETRY_MAX.mul_f64(full.clamp(0.0, 1.0)).max(RETRY_MIN)
    }
}
