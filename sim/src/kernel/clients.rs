//! Clients: they hand in transactions, and again if these are not final in time.

use super::{Event, RETRY_AFTER, WAITING_MAX, World};
use crate::fact::{Fact, Micros, Observer};
use outrider_types::{Bytes, RollupId, Transaction};

impl<O: Observer> World<O> {
    /// The next transaction of a client.
    pub(super) fn client(&mut self) {
        let rate = self.scenario.workload.rate;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a pause far below 2^53 us"
        )]
        let pause = self.clients.exponential(1e6 / rate).min(1e12) as Micros;
        self.schedule(self.now.saturating_add(pause.max(1)), 0, Event::Client);
        self.transactions += 1;
        let mut data = vec![0_u8; self.scenario.workload.bytes.max(8)];
        data[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let rollup = 1 + self.clients.below(self.scenario.workload.rollups.max(1));
        let transaction = Transaction {
            rollup: RollupId(rollup),
            data: Bytes::from(data),
        };
        self.hand_in(transaction);
    }

    fn hand_in(&mut self, transaction: Transaction) {
        let up: Vec<usize> = (0..self.hosts.len())
            .filter(|host| {
                let state = &self.hosts[*host];
                state.up && state.deed.is_none() && state.paused == 0
            })
            .collect();
        let Some(host) = self.clients.pick(&up).copied() else {
            return;
        };
        let id = transaction.id();
        let mut taken = false;
        self.drive(host, 0, |node, clock, port| {
            taken = node.submit(clock, &transaction, port)?;
            Ok(())
        });
        if taken {
            self.statistics.accepted += 1;
            self.see(&Fact::Accepted {
                member: host,
                id,
                rollup: transaction.rollup,
            });
            if self.scenario.workload.retry && self.waiting.len() < WAITING_MAX {
                self.waiting.insert(id, self.now);
                let at = self.now.saturating_add(RETRY_AFTER);
                self.schedule(at, 0, Event::Retry(transaction));
            }
        }
    }

    pub(super) fn retry(&mut self, transaction: Transaction) {
        if self.waiting.contains_key(&transaction.id()) {
            let at = self.now.saturating_add(RETRY_AFTER);
            self.schedule(at, 0, Event::Retry(transaction.clone()));
            self.hand_in_again(&transaction);
        }
    }

    fn hand_in_again(&mut self, transaction: &Transaction) {
        let hosts = self.hosts.len();
        let host = self.clients.index(hosts);
        if self.hosts[host].up && self.hosts[host].deed.is_none() && self.hosts[host].paused == 0 {
            self.drive(host, 0, |node, clock, port| {
                node.submit(clock, transaction, port).map(drop)
            });
        }
    }
}
