//! Payload assembly: from all lanes in turn, within limits.

use crate::admission::Mempool;
use outrider_types::limits::{
    LANES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
};
use outrider_types::{Batch, Bytes, Payload, RollupId, TransactionId};
use std::collections::BTreeMap;

/// Bytes that framing adds at most per transaction, and per batch.
const FRAME_BYTES: usize = 5;
const BATCH_FRAME_BYTES: usize = 16;

/// How much one payload may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssemblyLimits {
    /// Bytes of its encoding.
    pub bytes: usize,
    /// Transactions.
    pub transactions: usize,
    /// Rollups.
    pub lanes: usize,
}

impl Default for AssemblyLimits {
    fn default() -> Self {
        Self {
            bytes: PAYLOAD_BYTES_MAX,
            transactions: TRANSACTIONS_PER_PAYLOAD_MAX,
            lanes: LANES_PER_PAYLOAD_MAX,
        }
    }
}

impl Mempool {
    /// A payload of what waits and is not excluded: one transaction from each lane in turn, each lane in order of
    /// arrival. A lane whose next transaction does not fit any more is left as it is, so its order holds.
    #[must_use]
    pub fn assemble(
        &self,
        limits: &AssemblyLimits,
        exclude: &dyn Fn(&TransactionId) -> bool,
    ) -> Payload {
        let lanes = self.lanes.len();
        if lanes == 0 {
            return Payload::default();
        }
        let first = self.turn % lanes;
        let order = self
            .lanes
            .iter()
            .skip(first)
            .chain(self.lanes.iter().take(first));
        let mut open: Vec<(RollupId, _)> = order
            .take(limits.lanes.min(LANES_PER_PAYLOAD_MAX))
            .map(|(rollup, lane)| (*rollup, lane.iter().filter(|(id, _)| !exclude(id))))
            .collect();
        let bytes_max = limits.bytes.min(PAYLOAD_BYTES_MAX);
        let mut left = limits.transactions.min(TRANSACTIONS_PER_PAYLOAD_MAX);
        let mut bytes = BATCH_FRAME_BYTES;
        let mut taken: BTreeMap<RollupId, Vec<Bytes>> = BTreeMap::new();
        while left > 0 && !open.is_empty() {
            open.retain_mut(|(rollup, lane)| {
                let Some((_, data)) = (if left > 0 { lane.next() } else { None }) else {
                    return false;
                };
                let batch = taken.get(rollup);
                let frame = if batch.is_none() {
                    BATCH_FRAME_BYTES
                } else {
                    0
                };
                let more = frame + FRAME_BYTES + data.len();
                if bytes + more > bytes_max {
                    return false;
                }
                bytes += more;
                left -= 1;
                taken.entry(*rollup).or_default().push(data.clone());
                true
            });
        }
        Payload {
            batches: taken
                .into_iter()
                .map(|(rollup, transactions)| Batch {
                    rollup,
                    transactions,
                })
                .collect(),
        }
    }
}
