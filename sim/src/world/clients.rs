//! The clients of a world: they hand in transactions at members, one after the other, and again elsewhere when one is not
//! final in time.

use super::body::{Body, Order};
use crate::fact::Micros;
use crate::rng::Stream;
use crate::scenario::Workload;
use outrider_types::{Bytes, RollupId, Transaction, TransactionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client hands its transaction in again after this long.
const RETRY_AFTER: Micros = 2_000_000;
/// Transactions that clients wait for; past that a new one is handed in once only.
const WAITING_MAX: usize = 4_096;

/// All clients.
#[derive(Debug)]
pub(super) struct Clients {
    workload: Workload,
    stream: Stream,
    next: Micros,
    made: u64,
    waiting: BTreeMap<TransactionId, (Micros, Transaction)>,
}

impl Clients {
    pub(super) fn new(workload: Workload, seed: u64) -> Self {
        Self {
            workload,
            stream: Stream::new(seed, "clients"),
            next: 0,
            made: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// Hand in what is due, at one of these hosts.
    pub(super) fn act(&mut self, now: Micros, open: &[&Arc<Body>]) {
        while self.workload.rate > 0.0 && self.next <= now {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a pause far below 2^53 us"
            )]
            let pause = self.stream.exponential(1e6 / self.workload.rate).min(1e12) as Micros;
            self.next += pause.max(1);
            let transaction = self.transaction();
            if self.workload.retry && self.waiting.len() < WAITING_MAX {
                let due = now + RETRY_AFTER;
                self.waiting
                    .insert(transaction.id(), (due, transaction.clone()));
            }
            self.hand_in(transaction, open);
        }
        let late: Vec<TransactionId> = self
            .waiting
            .iter()
            .filter(|(_, (due, _))| *due <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some((due, transaction)) = self.waiting.get_mut(&id) {
                *due = now + RETRY_AFTER;
                let transaction = transaction.clone();
                self.hand_in(transaction, open);
            }
        }
    }

    fn transaction(&mut self) -> Transaction {
        self.made += 1;
        let mut data = vec![0_u8; self.workload.bytes.max(8)];
        data[..8].copy_from_slice(&self.made.to_be_bytes());
        let rollup = 1 + self.stream.below(self.workload.rollups.max(1));
        Transaction {
            rollup: RollupId(rollup),
            data: Bytes::from(data),
        }
    }

    fn hand_in(&mut self, transaction: Transaction, open: &[&Arc<Body>]) {
        if let Some(body) = self.stream.pick(open) {
            body.order(Order::Submit(transaction));
        }
    }

    /// Final: nobody waits for these any more.
    pub(super) fn done(&mut self, ids: &[TransactionId]) {
        for id in ids {
            self.waiting.remove(id);
        }
    }
}
