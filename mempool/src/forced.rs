//! Transactions that a leader must include, whatever the mempool holds (F18).

use crate::assembly::{Assembled, AssemblyLimits};
use outrider_types::codec::EncodeSize;
use outrider_types::{
    Batch, BlockId, Bytes, CheckedPayload, Payload, Policy, RollupId, Transaction, TransactionId,
};
use std::collections::BTreeMap;

/// What must be in a payload: nothing twice, and at most a quarter of what a payload holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forced {
    /// The transactions with their ids, in the order in which they are due.
    pub list: Vec<(TransactionId, Transaction)>,
}

/// Transactions of one lane, and their ids.
type Lane = (Vec<Bytes>, Vec<TransactionId>);

impl Forced {
    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.list.iter().any(|(forced, _)| forced == id)
    }

    /// How much may go into the payload beside them.
    #[must_use]
    pub fn room(&self) -> AssemblyLimits {
        let all = AssemblyLimits::default();
        // Each may open a lane of its own.
        let batch = Batch {
            rollup: RollupId(u64::MAX),
            transactions: Vec::new(),
        };
        let one = |transaction: &Transaction| transaction.data.encode_size() + batch.encode_size();
        let bytes = self.list.iter().map(|(_, transaction)| one(transaction));
        AssemblyLimits {
            bytes: all.bytes.saturating_sub(bytes.sum()),
            transactions: all.transactions.saturating_sub(self.list.len()),
            lanes: all.lanes.saturating_sub(self.list.len()),
        }
    }

    /// Put them into a payload that left [`room`](Self::room) for them and holds none of them: each first in its lane, or where the lane's
    /// policy wants it.
    #[must_use]
    pub fn join(
        self,
        assembled: Assembled,
        parent: BlockId,
        policy: &dyn Fn(RollupId) -> Option<Policy>,
    ) -> Assembled {
        if self.list.is_empty() {
            return assembled;
        }
        let mut lanes: BTreeMap<RollupId, Lane> = BTreeMap::new();
        for (id, Transaction { rollup, data }) in self.list {
            let (transactions, ids) = lanes.entry(rollup).or_default();
            transactions.push(data);
            ids.push(id);
        }
        let mut rest = &*assembled.payload.transactions;
        for batch in &assembled.payload.payload.batches {
            let (own, others) = rest.split_at(batch.transactions.len());
            rest = others;
            let (transactions, ids) = lanes.entry(batch.rollup).or_default();
            transactions.extend(batch.transactions.iter().cloned());
            ids.extend(own);
        }
        let mut payload = Payload::default();
        let mut all = Vec::new();
        for (rollup, (transactions, ids)) in lanes {
            let places =
                policy(rollup)
                    .unwrap_or(Policy::Fcfs)
                    .arrange(parent, &transactions, &ids);
            all.extend(places.iter().filter_map(|place| ids.get(*place)));
            let arranged = places.iter().filter_map(|place| transactions.get(*place));
            payload.batches.push(Batch {
                rollup,
                transactions: arranged.cloned().collect(),
            });
        }
        let checked = CheckedPayload::from_ids(payload, all);
        assert!(
            checked.is_ok(),
            "what is assembled with forced transactions is a payload"
        );
        Assembled {
            payload: checked.unwrap_or_default(),
            // They came in no batch.
            references: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Mempool, Site};
    use outrider_types::Timestamp;
    use outrider_types::limits::{PAYLOAD_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX};

    fn transaction(rollup: u64, number: u32, size: usize) -> Transaction {
        let mut data = vec![0; size];
        data[..4].copy_from_slice(&number.to_be_bytes());
        Transaction {
            rollup: RollupId(rollup),
            data: data.into(),
        }
    }

    fn forced(list: Vec<Transaction>) -> Forced {
        let list = list.into_iter().map(|one| (one.id(), one)).collect();
        Forced { list }
    }

    fn pool(list: &[Transaction]) -> Mempool {
        let mut pool = Mempool::new(Limits::default());
        for one in list {
            pool.admit(Timestamp(0), one.clone()).unwrap();
        }
        pool
    }

    fn assemble(pool: &Mempool, forced: Forced, policy: Policy) -> Assembled {
        let policy = |_| Some(policy);
        let site = Site {
            parent: BlockId([7; 32]),
            policy: &policy,
            exclude: &|id| forced.contains(id),
        };
        let parent = site.parent;
        let assembled = pool.assemble_at(&forced.room(), &site);
        forced.join(assembled, parent, &policy)
    }

    #[test]
    fn forced_transactions_come_first_or_where_the_policy_wants_them() {
        let waiting = [
            transaction(1, 5, 8),
            transaction(1, 9, 8),
            transaction(3, 1, 8),
        ];
        let pool = pool(&waiting);
        let list = vec![
            transaction(1, 7, 8),
            waiting[1].clone(),
            transaction(2, 1, 8),
        ];
        let first = assemble(&pool, forced(list.clone()), Policy::Fcfs);
        assert_eq!(first.references, None);
        let batches = &first.payload.payload.batches;
        let rollups: Vec<u64> = batches.iter().map(|batch| batch.rollup.0).collect();
        assert_eq!(rollups, [1, 2, 3]);
        let lane = |assembled: &Assembled| -> Vec<u8> {
            let batch = &assembled.payload.payload.batches[0];
            batch.transactions.iter().map(|data| data[3]).collect()
        };
        assert_eq!(lane(&first), [7, 9, 5]);
        let sorted = assemble(&pool, forced(list), Policy::PriorityPrefix);
        assert_eq!(lane(&sorted), [9, 7, 5]);
        let nothing = assemble(&pool, Forced::default(), Policy::Fcfs);
        assert_eq!(nothing.payload.payload.len(), 3);
    }

    #[test]
    fn what_joins_a_full_payload_still_fits() {
        let many: Vec<Transaction> = (0..20_000).map(|at| transaction(1, at, 100)).collect();
        let large: Vec<Transaction> = (0..30).map(|at| transaction(1, at, 128 * 1024)).collect();
        for waiting in [many, large] {
            let pool = pool(&waiting);
            let list = (0..4)
                .map(|at| transaction(100 + at, 0, 128 * 1024))
                .collect();
            let payload = assemble(&pool, forced(list), Policy::Fcfs).payload.payload;
            assert!(payload.encode_size() <= PAYLOAD_BYTES_MAX);
            assert!(payload.len() <= TRANSACTIONS_PER_PAYLOAD_MAX);
            assert_eq!(payload.batches.len(), 5);
        }
    }
}
