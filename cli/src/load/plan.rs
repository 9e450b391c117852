//! What is sent and when, fixed before the first one leaves.

use crate::failure::Failure;
use outrider_client::SUBMIT_MANY_MAX;
use outrider_types::{Bytes, RollupId, Transaction};
use std::time::Duration;

/// Fewest bytes of a transaction: run and number, so that no two are the same.
pub const SIZE_MIN: usize = 16;
/// Most transactions of one run: their latencies stay in memory.
pub const TRANSACTIONS_MAX: u64 = 20_000_000;

/// Up to this rate each transaction is a request of its own, unless it is said otherwise;
const SINGLE_RATE_MAX: u64 = 2_000;
/// past it a request takes what is due in this time.
const GATHER: Duration = Duration::from_millis(5);
/// Most bytes of one request, whatever is said: a member takes 2 MiB if it is not configured otherwise.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The schedule and the content of every transaction.
#[derive(Debug)]
pub struct Plan {
    /// How many.
    pub transactions: u64,
    /// Bytes of each.
    pub size: usize,
    /// Transactions per second.
    pub rate: u64,
    /// Transactions of one request, all of one rollup.
    pub per_request: u64,
    rollups: u64,
    run: u64,
}

impl Plan {
    /// With content that no other run has.
    pub fn new(
        rate: u64,
        size: usize,
        length: Duration,
        rollups: u64,
        per_request: Option<u64>,
    ) -> Result<Self, Failure> {
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
            per_request: gathered(rate, size, per_request),
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
            rollup: RollupId(1 + index / self.per_request % self.rollups),
            data: Bytes::from(data),
        }
    }
}

/// Transactions of one request: as asked for, or by the rate; and never more than a member takes.
fn gathered(rate: u64, size: usize, asked: Option<u64>) -> u64 {
    let due = u128::from(rate) * GATHER.as_nanos() / 1_000_000_000;
    let wanted = asked.unwrap_or(match rate {
        0..=SINGLE_RATE_MAX => 1,
        _ => u64::try_from(due).unwrap_or(u64::MAX),
    });
    // The length of each counts too.
    let fit = (REQUEST_BYTES_MAX / (size + 4)).min(SUBMIT_MANY_MAX);
    wanted.min(u64::try_from(fit).unwrap_or(u64::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_even_and_complete() {
        let plan = Plan::new(1_000, 512, Duration::from_millis(2_500), 3, None).unwrap();
        assert_eq!(plan.transactions, 2_500);
        assert_eq!(plan.due(0), Duration::ZERO);
        assert_eq!(plan.due(1), Duration::from_millis(1));
        assert_eq!(plan.due(2_499), Duration::from_millis(2_499));
        assert_eq!(
            Plan::new(1, 16, Duration::from_millis(1), 1, None)
                .unwrap()
                .transactions,
            1
        );
    }

    #[test]
    fn transactions_differ_and_are_the_same_again() {
        let plan = Plan::new(1_000, 23, Duration::from_secs(1), 2, None).unwrap();
        assert_eq!(plan.transaction(5), plan.transaction(5));
        assert_ne!(plan.transaction(5).id(), plan.transaction(7).id());
        assert_eq!(plan.transaction(5).data.len(), 23);
        assert_eq!(plan.transaction(5).rollup, RollupId(2));
        let other = Plan::new(1_000, 23, Duration::from_secs(1), 2, None).unwrap();
        assert_ne!(plan.transaction(5).id(), other.transaction(5).id());
    }

    #[test]
    fn request_gathers_by_rate_and_never_more_than_a_member_takes() {
        assert_eq!(gathered(2_000, 512, None), 1);
        assert_eq!(gathered(2_001, 512, None), 10);
        assert_eq!(gathered(50_000, 512, None), 250);
        assert_eq!(gathered(1_000_000, 16, None), SUBMIT_MANY_MAX as u64);
        assert_eq!(gathered(50_000, 16_380, None), 64);
        assert_eq!(gathered(50_000, 512, Some(1)), 1);
        assert_eq!(gathered(10, 131_072, Some(100)), 7);
        assert_eq!(SUBMIT_MANY_MAX, outrider_node::api::SUBMIT_MANY_MAX);
    }

    #[test]
    fn request_is_of_one_rollup_and_rollups_take_turns() {
        let plan = Plan::new(1_000, 16, Duration::from_secs(1), 2, Some(3)).unwrap();
        let rollups = (0..8).map(|index| plan.transaction(index).rollup.0);
        assert!(rollups.eq([1, 1, 1, 2, 2, 2, 1, 1]));
    }

    #[test]
    fn too_many_transactions_are_refused() {
        assert!(Plan::new(20_000, 16, Duration::from_secs(1_000), 1, None).is_ok());
        let more = Plan::new(20_001, 16, Duration::from_secs(1_000), 1, None);
        assert!(matches!(more, Err(Failure::LoadSize { .. })));
    }
}
