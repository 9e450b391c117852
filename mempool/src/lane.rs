//! The waiting transactions of one rollup, in order of arrival.

use bytes::Bytes;
use outrider_types::{Timestamp, TransactionId};
use std::collections::BTreeMap;

/// A waiting transaction.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: TransactionId,
    pub(crate) data: Bytes,
    pub(crate) admitted: Timestamp,
}

/// One rollup's transactions by sequence number. Bounded by admission.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: BTreeMap<u64, Pending>,
    bytes: usize,
    /// Its place among the lanes: the smallest is served first.
    pub(crate) turn: u64,
}

impl Lane {
    pub(crate) const fn new(turn: u64) -> Self {
        Self {
            queue: BTreeMap::new(),
            bytes: 0,
            turn,
        }
    }

    pub(crate) fn push(&mut self, sequence: u64, pending: Pending) {
        assert!(
            self.queue
                .last_key_value()
                .is_none_or(|(last, _)| *last < sequence),
            "arrivals are numbered in order"
        );
        self.bytes += pending.data.len();
        self.queue.insert(sequence, pending);
    }

    /// Take one out; its bytes.
    pub(crate) fn remove(&mut self, sequence: u64) -> Option<usize> {
        let bytes = self.queue.remove(&sequence)?.data.len();
        self.bytes -= bytes;
        Some(bytes)
    }

    /// In order of arrival.
    pub(crate) fn iter(&self) -> std::collections::btree_map::Values<'_, u64, Pending> {
        self.queue.values()
    }

    /// When the first in line was admitted.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.queue
            .first_key_value()
            .map(|(_, pending)| pending.admitted)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
