//! What is sent, when, and by whom: fixed before the first one leaves. Members take turns.

use outrider_types::{RollupId, Transaction, TransactionId};
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Fewest bytes of a transaction: run and number, so that no two are the same.
pub const SIZE_MIN: usize = 16;

/// The schedule. Of member `m` among `n`, the transaction at `k` is number `m + k n` of all.
#[derive(Debug)]
pub struct Schedule {
    /// How many, of all members.
    pub transactions: u64,
    size: usize,
    rate: u64,
    rollups: u64,
    run: u64,
    /// What each member takes next.
    next: Vec<AtomicU64>,
}

/// What a connection does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send these of its member.
    Due(Range<u64>),
    /// Wait until then.
    At(Duration),
    /// End.
    Over,
}

impl Schedule {
    /// With content that no other run has.
    pub fn new(rate: u64, size: usize, length: Duration, rollups: u64, members: usize) -> Self {
        let transactions = u128::from(rate) * length.as_micros() / 1_000_000;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos() & u128::from(u64::MAX);
        assert!(
            size >= SIZE_MIN && rate > 0 && rollups > 0 && members > 0,
            "the command line checked them"
        );
        Self {
            transactions: u64::try_from(transactions).unwrap_or(u64::MAX),
            size,
            rate,
            rollups,
            run: u64::try_from(nanos).unwrap_or_default() ^ u64::from(std::process::id()) << 48,
            next: (0..members).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn members(&self) -> u64 {
        self.next.len() as u64
    }

    fn number(&self, member: usize, at: u64) -> u64 {
        member as u64 + at * self.members()
    }

    /// When a member's transaction is due, from the start.
    pub fn due(&self, member: usize, at: u64) -> Duration {
        let nanos = u128::from(self.number(member, at)) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many of a member's numbers are below this one of all.
    fn below(&self, member: usize, number: u64) -> u64 {
        let members = self.members();
        (number + members - 1).saturating_sub(member as u64) / members
    }

    /// Take what is due at a member, up to `most`.
    pub fn take(&self, member: usize, now: Duration, most: u64) -> Next {
        let due = now.as_nanos() * u128::from(self.rate) / 1_000_000_000 + 1;
        let due = u64::try_from(due)
            .unwrap_or(u64::MAX)
            .min(self.transactions);
        let (due, all) = (
            self.below(member, due),
            self.below(member, self.transactions),
        );
        let next = &self.next[member];
        let take = |from: u64| (from < due).then(|| due.min(from + most));
        // As often as others take meanwhile; each time there is less left.
        match next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(from) => Next::Due(from..due.min(from + most)),
            Err(from) if from < all => Next::At(self.due(member, from)),
            Err(_) => Next::Over,
        }
    }

    /// A transaction of all.
    fn transaction(&self, number: u64) -> Transaction {
        let mut data = Vec::with_capacity(self.size + 8);
        data.extend_from_slice(&self.run.to_be_bytes());
        data.extend_from_slice(&number.to_be_bytes());
        let mut state = self.run ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
            rollup: RollupId(1 + number % self.rollups),
            data: data.into(),
        }
    }

    /// Write the request that submits these of a member; each call's id is its place. Gives the transactions' ids.
    ///
    /// This is the one place that knows how many are submitted at once: a batch of `outrider_submit`.
    pub fn request(
        &self,
        member: usize,
        taken: Range<u64>,
        body: &mut Vec<u8>,
    ) -> Vec<TransactionId> {
        let mut ids = Vec::new();
        body.push(b'[');
        for at in taken {
            let transaction = self.transaction(self.number(member, at));
            if !ids.is_empty() {
                body.push(b',');
            }
            ids.push(transaction.id());
            // Writing to memory does not fail.
            let _ = write!(
                body,
                r#"{{"jsonrpc":"2.0","id":{at},"method":"outrider_submit","params":{{"rollup":{},"payload":"0x"#,
                transaction.rollup
            );
            hex(&transaction.data, body);
            body.extend_from_slice(br#""}}"#);
        }
        body.push(b']');
        ids
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn members_take_turns_and_all_is_sent_once() {
        let schedule = Schedule::new(1_000, 16, ms(10), 1, 3);
        assert_eq!(schedule.transactions, 10);
        assert_eq!(schedule.due(2, 1), ms(5));
        // At 4 ms numbers 0 to 4 are due: 1 and 4 of member 1.
        assert_eq!(schedule.take(1, ms(4), 10), Next::Due(0..2));
        assert_eq!(schedule.take(1, ms(4), 10), Next::At(ms(7)));
        assert_eq!(schedule.take(1, ms(99), 10), Next::Due(2..3));
        assert_eq!(schedule.take(1, ms(99), 10), Next::Over);
        assert_eq!(schedule.take(0, ms(99), 3), Next::Due(0..3));
        assert_eq!(schedule.take(0, ms(99), 3), Next::Due(3..4));
        assert_eq!(schedule.take(2, ms(99), 10), Next::Due(0..3));
        assert_eq!(schedule.take(2, ms(99), 10), Next::Over);
    }

    #[test]
    fn request_is_a_batch_of_calls() {
        let schedule = Schedule::new(1_000, 21, ms(1_000), 2, 2);
        let mut body = Vec::new();
        let ids = schedule.request(1, 4..6, &mut body);
        let calls: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(calls.as_array().unwrap().len(), 2);
        assert_eq!((&calls[0]["id"], &calls[1]["id"]), (&4.into(), &5.into()));
        assert_eq!(calls[0]["params"]["rollup"], 2);
        assert_eq!(
            calls[1]["params"]["payload"].as_str().unwrap().len(),
            2 + 42
        );
        assert_eq!(ids[0], schedule.transaction(9).id());
        let all: BTreeSet<_> = (0..1_000).map(|n| schedule.transaction(n).id()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
