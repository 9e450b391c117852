//! Who comes in: limits, and why a transaction is turned away.

use crate::batches::Origin;
use crate::lane::{Lane, Pending};
use crate::{Mempool, Place};
use bytes::Bytes;
use outrider_types::bundle::{MalformedPart, Part};
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{RollupId, Timestamp, Transaction, TransactionId};
use std::collections::BTreeSet;

/// How much may wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one transaction; at most [`TRANSACTION_BYTES_MAX`].
    pub transaction_bytes: usize,
    /// Transactions of all rollups.
    pub total_transactions: usize,
    /// Bytes of all rollups' transactions.
    pub total_bytes: usize,
    /// Transactions of one rollup.
    pub lane_transactions: usize,
    /// Bytes of one rollup's transactions.
    pub lane_bytes: usize,
    /// Rollups that have transactions waiting.
    pub lanes: usize,
    /// The rollups that are ordered here; none: any.
    pub rollups: Option<BTreeSet<RollupId>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transaction_bytes: TRANSACTION_BYTES_MAX,
            total_transactions: 65_536,
            total_bytes: 64 * 1024 * 1024,
            lane_transactions: 32_768,
            lane_bytes: 32 * 1024 * 1024,
            lanes: 1_024,
            rollups: None,
        }
    }
}

impl Limits {
    /// A transaction that could never be admitted is too large, not one to try again with.
    pub(crate) fn consistent(mut self) -> Self {
        for limit in [TRANSACTION_BYTES_MAX, self.total_bytes, self.lane_bytes] {
            self.transaction_bytes = self.transaction_bytes.min(limit);
        }
        self
    }
}

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Nothing to order. Trying again is of no use.
    #[error("the transaction is empty")]
    Empty,
    /// Trying again is of no use.
    #[error("the transaction has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// All space is taken. Try again later.
    #[error("the mempool is full: {limit} {unit} wait; try again later")]
    Full {
        /// The limit reached.
        limit: u64,
        /// Of what: transactions or bytes.
        unit: &'static str,
    },
    /// The rollup's share is taken. Try again later.
    #[error("rollup {rollup} has its share of {limit} {unit} waiting; try again later")]
    LaneFull {
        /// Whose share.
        rollup: RollupId,
        /// The limit reached.
        limit: u64,
        /// Of what: transactions or bytes.
        unit: &'static str,
    },
    /// Too many rollups have transactions waiting. Try again later.
    #[error("transactions of {limit} other rollups wait, which is the limit; try again later")]
    TooManyLanes {
        /// The limit reached.
        limit: u64,
    },
    /// Trying again here is of no use.
    #[error("rollup {rollup} is not ordered here")]
    UnknownRollup {
        /// Which.
        rollup: RollupId,
    },
    /// Trying again is of no use.
    #[error(transparent)]
    MalformedPart(#[from] MalformedPart),
    /// There is nothing left to do.
    #[error("transaction {id} is waiting here already")]
    Duplicate {
        /// Which.
        id: TransactionId,
    },
}

/// A limit, if adding `more` to `held` would pass it.
fn passed(
    held: usize,
    more: usize,
    limit: usize,
    unit: &'static str,
) -> Option<(u64, &'static str)> {
    (held.saturating_add(more) > limit).then_some((u64::try_from(limit).unwrap_or(u64::MAX), unit))
}

impl Mempool {
    /// Take a transaction in, as the last of its rollup, in `O(log n)`. Its bytes are copied: what came in a large
    /// message does not keep that message in memory. `now` is only for [`oldest`](Mempool::oldest).
    pub fn admit(
        &mut self,
        now: Timestamp,
        tx: Transaction,
    ) -> Result<TransactionId, AdmissionError> {
        let id = tx.id();
        let data = Bytes::copy_from_slice(&tx.data);
        let tx = Transaction { data, ..tx };
        self.take_in(now, id, &tx, None).map(|()| id)
    }

    pub(crate) fn take_in(
        &mut self,
        now: Timestamp,
        id: TransactionId,
        Transaction { rollup, data }: &Transaction,
        origin: Option<Origin>,
    ) -> Result<(), AdmissionError> {
        let (rollup, size) = (*rollup, data.len());
        if data.is_empty() {
            return Err(AdmissionError::Empty);
        }
        if size > self.limits.transaction_bytes {
            return Err(AdmissionError::TooLarge {
                bytes: size,
                limit: self.limits.transaction_bytes,
            });
        }
        let ordered = self.limits.rollups.as_ref();
        if ordered.is_some_and(|rollups| !rollups.contains(&rollup)) {
            return Err(AdmissionError::UnknownRollup { rollup });
        }
        let part = Part::of(data)?.is_some();
        if self.contains(&id) {
            return Err(AdmissionError::Duplicate { id });
        }
        self.has_room(rollup, size)?;

        let pending = Pending {
            id,
            data: data.clone(),
            admitted: now,
        };
        if !self.lanes.contains_key(&rollup) {
            let turn = self.take_number();
            self.turns.insert(turn, rollup);
            self.lanes.insert(rollup, Lane::new(turn));
        }
        let sequence = self.take_number();
        if let Some(lane) = self.lanes.get_mut(&rollup) {
            lane.push(sequence, pending);
            let place = Place {
                rollup,
                sequence,
                origin,
            };
            self.places.insert(id, place);
            self.bytes += size;
            if part {
                self.parts.insert(id, now);
            }
        }
        assert!(
            self.bytes <= self.limits.total_bytes,
            "bytes stay within their limit"
        );
        Ok(())
    }

    fn has_room(&self, rollup: RollupId, size: usize) -> Result<(), AdmissionError> {
        let Limits {
            total_transactions,
            total_bytes,
            lane_transactions,
            lane_bytes,
            lanes,
            ..
        } = self.limits;
        let full = passed(self.len(), 1, total_transactions, "transactions")
            .or_else(|| passed(self.bytes, size, total_bytes, "bytes"));
        if let Some((limit, unit)) = full {
            return Err(AdmissionError::Full { limit, unit });
        }
        let lane = self.lanes.get(&rollup);
        let (held, bytes) = lane.map_or((0, 0), |lane| (lane.len(), lane.bytes()));
        let full = passed(held, 1, lane_transactions, "transactions")
            .or_else(|| passed(bytes, size, lane_bytes, "bytes"));
        if let Some((limit, unit)) = full {
            return Err(AdmissionError::LaneFull {
                rollup,
                limit,
                unit,
            });
        }
        match passed(
            self.lanes.len(),
            usize::from(lane.is_none()),
            lanes,
            "rollups",
        ) {
            Some((limit, _)) if lane.is_none() => Err(AdmissionError::TooManyLanes { limit }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(rollup: u64, data: &[u8]) -> Transaction {
        Transaction {
            rollup: RollupId(rollup),
            data: Bytes::copy_from_slice(data),
        }
    }

    fn tiny() -> Limits {
        Limits {
            transaction_bytes: 4,
            total_transactions: 4,
            total_bytes: 10,
            lane_transactions: 3,
            lane_bytes: 8,
            lanes: 2,
            rollups: Some((1..=3).map(RollupId).collect()),
        }
    }

    fn admit(
        pool: &mut Mempool,
        rollup: u64,
        data: &[u8],
    ) -> Result<TransactionId, AdmissionError> {
        pool.admit(Timestamp(1), tx(rollup, data))
    }

    #[test]
    fn every_limit_is_named_one_above_it() {
        let mut pool = Mempool::new(tiny());
        assert_eq!(admit(&mut pool, 1, b""), Err(AdmissionError::Empty));
        assert_eq!(
            admit(&mut pool, 1, b"12345"),
            Err(AdmissionError::TooLarge { bytes: 5, limit: 4 })
        );
        let rollup = RollupId(4);
        assert_eq!(
            admit(&mut pool, 4, b"1"),
            Err(AdmissionError::UnknownRollup { rollup })
        );

        let rollup = RollupId(1);
        admit(&mut pool, 1, b"1234").unwrap();
        admit(&mut pool, 1, b"123").unwrap();
        let lane_bytes = AdmissionError::LaneFull {
            rollup,
            limit: 8,
            unit: "bytes",
        };
        assert_eq!(admit(&mut pool, 1, b"12"), Err(lane_bytes));
        admit(&mut pool, 1, b"1").unwrap();
        let lane_count = AdmissionError::LaneFull {
            rollup,
            limit: 3,
            unit: "transactions",
        };
        assert_eq!(admit(&mut pool, 1, b"2"), Err(lane_count));
        let total_bytes = AdmissionError::Full {
            limit: 10,
            unit: "bytes",
        };
        assert_eq!(admit(&mut pool, 2, b"123"), Err(total_bytes));
        admit(&mut pool, 2, b"1").unwrap();
        let total_count = AdmissionError::Full {
            limit: 4,
            unit: "transactions",
        };
        assert_eq!(admit(&mut pool, 2, b"2"), Err(total_count));
    }

    #[test]
    fn rollups_are_counted_while_they_have_something_waiting() {
        let mut pool = Mempool::new(tiny());
        let first = admit(&mut pool, 1, b"1").unwrap();
        admit(&mut pool, 2, b"1").unwrap();
        assert_eq!(
            admit(&mut pool, 3, b"1"),
            Err(AdmissionError::TooManyLanes { limit: 2 })
        );
        pool.committed(&[first]);
        admit(&mut pool, 3, b"1").unwrap();
    }

    #[test]
    fn a_transaction_is_taken_once() {
        let mut pool = Mempool::new(tiny());
        let id = admit(&mut pool, 1, b"a").unwrap();
        assert_eq!(id, tx(1, b"a").id());
        assert_eq!(
            admit(&mut pool, 1, b"a"),
            Err(AdmissionError::Duplicate { id })
        );
        assert_ne!(
            admit(&mut pool, 2, b"a").unwrap(),
            id,
            "the same bytes of another rollup are another transaction"
        );
        pool.committed(&[id]);
        assert!(!pool.contains(&id));
    }

    #[test]
    fn an_admitted_transaction_does_not_keep_its_message() {
        let mut pool = Mempool::new(tiny());
        let message = Bytes::from(vec![7; 1_000]);
        pool.admit(
            Timestamp(1),
            Transaction {
                rollup: RollupId(1),
                data: message.slice(..4),
            },
        )
        .unwrap();
        assert!(message.is_unique());
    }

    #[test]
    fn a_transaction_that_never_fits_is_too_large() {
        let mut pool = Mempool::new(Limits {
            transaction_bytes: usize::MAX,
            lane_bytes: 3,
            ..tiny()
        });
        assert_eq!(
            admit(&mut pool, 1, b"1234"),
            Err(AdmissionError::TooLarge { bytes: 4, limit: 3 })
        );
        let pool = Mempool::new(Limits {
            transaction_bytes: usize::MAX,
            ..Limits::default()
        });
        assert_eq!(pool.limits().transaction_bytes, TRANSACTION_BYTES_MAX);
    }

    #[test]
    fn waiting_is_measured_from_admission() {
        let mut pool = Mempool::new(tiny());
        assert_eq!(pool.oldest(Timestamp(9)), None);
        pool.admit(Timestamp(5), tx(1, b"a")).unwrap();
        pool.admit(Timestamp(3), tx(2, b"a")).unwrap();
        assert_eq!(
            pool.oldest(Timestamp(9)),
            Some(std::time::Duration::from_micros(6))
        );
    }
}
