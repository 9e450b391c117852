//! What is sent and when, fixed before the first one leaves.

use crate::failure::Failure;
use outrider_types::{Bytes, RollupId, Transaction};
use std::time::Duration;

/// Fewest bytes of a transaction: run and number, so that no two are the same.
pub const SIZE_MIN: usize = 16;
/// Most transactions of one run: their latencies stay in memory.
pub const TRANSACTIONS_MAX: u64 = 20_000_000;

/// The schedule and the content of every transaction.
#[derive(Debug)]
pub struct Plan {
    /// How many.
    pub transactions: u64,
    /// Bytes of each.
    pub size: usize,
    /// Transactions per second.
    pub rate: u64,
    rollups: u64,
    run: u64,
}

impl Plan {
    /// With content that no other run has.
    pub fn new(rate: u64, size: usize, length: Duration, rollups: u64) -> Result<Self, Failure> {
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(Failure::Random)?;
        let transactions = u128::from(rate) * length.as_micros() / 1_000_000;
        let transactions = u64::try_from(transactions).unwrap_or(u64::MAX).max(1);
        if transactions > TRANSACTIONS_MAX {
            return Err(Failure::LoadSize {
                transactions,
                limit: TRANSACTIONS_MAX,
            });
        }
        assert!(
            size >= SIZE_MIN && rate > 0 && rollups > 0,
            "the command line checked them"
        );
        Ok(Self {
            transactions,
            size,
            rate,
            rollups,
            run: u64::from_le_bytes(run),
        })
    }

    /// When a transaction is due, from the start.
    pub fn due(&self, index: u64) -> Duration {
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A transaction. The same number gives the same bytes, and so the same id.
    pub fn transaction(&self, index: u64) -> Transaction {
        let mut data = Vec::with_capacity(self.size + 8);
        data.extend_from_slice(&self.run.to_be_bytes());
        data.extend_from_slice(&index.to_be_bytes());
        let mut state = self.run ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        while data.len() < self.size {
            // splitmix64: content that does not compress.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            data.extend_from_slice(&(word ^ (word >> 31)).to_be_bytes());
        }
        data.truncate(self.size);
        Transaction {
            rollup: RollupId(1 + index % self.rollups),
            data: Bytes::from(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_even_and_complete() {
        let plan = Plan::new(1_000, 512, Duration::from_millis(2_500), 3).unwrap();
        assert_eq!(plan.transactions, 2_500);
        assert_eq!(plan.due(0), Duration::ZERO);
        assert_eq!(plan.due(1), Duration::from_millis(1));
        assert_eq!(plan.due(2_499), Duration::from_millis(2_499));
        assert_eq!(
            Plan::new(1, 16, Duration::from_millis(1), 1)
                .unwrap()
                .transactions,
            1
        );
    }

    #[test]
    fn transactions_differ_and_are_the_same_again() {
        let plan = Plan::new(1_000, 23, Duration::from_secs(1), 2).unwrap();
        assert_eq!(plan.transaction(5), plan.transaction(5));
        assert_ne!(plan.transaction(5).id(), plan.transaction(7).id());
        assert_eq!(plan.transaction(5).data.len(), 23);
        assert_eq!(plan.transaction(5).rollup, RollupId(2));
        let other = Plan::new(1_000, 23, Duration::from_secs(1), 2).unwrap();
        assert_ne!(plan.transaction(5).id(), other.transaction(5).id());
    }

    #[test]
    fn too_many_transactions_are_refused() {
        assert!(Plan::new(20_000, 16, Duration::from_secs(1_000), 1).is_ok());
        let more = Plan::new(20_001, 16, Duration::from_secs(1_000), 1);
        assert!(matches!(more, Err(Failure::LoadSize { .. })));
    }
}
