//! The transactions of one rollup, in order of arrival.

use outrider_types::{Bytes, TransactionId};
use std::collections::BTreeMap;

/// One rollup's queue. Taking one out of the middle leaves the order of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    queue: BTreeMap<u64, (TransactionId, Bytes)>,
    bytes: usize,
}

impl Lane {
    pub(crate) fn push(&mut self, sequence: u64, id: TransactionId, data: Bytes) {
        self.bytes += data.len();
        let before = self.queue.insert(sequence, (id, data));
        assert!(before.is_none(), "sequence numbers are given once");
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> usize {
        let removed = self
            .queue
            .remove(&sequence)
            .map_or(0, |(_, data)| data.len());
        self.bytes -= removed;
        removed
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(TransactionId, Bytes)> {
        self.queue.values()
    }
}
