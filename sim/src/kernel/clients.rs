//! Clients: they hand in transactions and bundles, and again if these are not final in time.

use super::{Event, RETRY_AFTER, WAITING_MAX, World};
use crate::fact::{Fact, Micros, Observer};
use outrider_types::bundle;
use outrider_types::registry::{Open, REGISTRY, RegistryCommand, SHORT_LIVED, Vm};
use outrider_types::{Bytes, Policy, RollupId, Transaction};

/// How long the short-lived rollup of a world with policies lives, in seconds.
const SHORT_LIFE: u64 = 2;
/// Time for rollups to be registered before anything is ordered for them.
const REGISTERING: Micros = 1_000_000;

impl<O: Observer> World<O> {
    /// The next transaction of a client, or the next bundle.
    pub(super) fn client(&mut self) {
        if self.scenario.workload.policies && self.transactions == 0 {
            self.register();
            let at = self.now.saturating_add(REGISTERING);
            self.schedule(at, 0, Event::Client);
            return;
        }
        let rate = self.scenario.workload.rate;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a pause far below 2^53 us"
        )]
        let pause = self.clients.exponential(1e6 / rate).min(1e12) as Micros;
        self.schedule(self.now.saturating_add(pause.max(1)), 0, Event::Client);
        let list = if self.scenario.workload.policies && self.clients.below(4) == 0 {
            let parts = self.clients.between(2, 3);
            let parts: Vec<(RollupId, Bytes)> = (0..parts)
                .map(|_| {
                    let one = self.transaction();
                    (one.rollup, one.data)
                })
                .collect();
            bundle::wrap(&parts).map_or_else(Vec::new, |(_, list)| list)
        } else {
            vec![self.transaction()]
        };
        self.hand_in(list);
    }

    fn transaction(&mut self) -> Transaction {
        self.transactions += 1;
        let number = self.transactions.to_be_bytes();
        let bytes = self.scenario.workload.bytes;
        let rollup = 1 + self.clients.below(self.scenario.workload.rollups.max(1));
        let data = if self.scenario.workload.policies {
            // A few fees, so that some are equal.
            let fee = self.clients.below(8);
            let mut data = vec![0_u8; bytes.max(16)];
            data[..8].copy_from_slice(&fee.to_be_bytes());
            data[8..16].copy_from_slice(&number);
            data
        } else {
            let mut data = vec![0_u8; bytes.max(8)];
            data[..8].copy_from_slice(&number);
            data
        };
        Transaction {
            rollup: RollupId(rollup),
            data: Bytes::from(data),
        }
    }

    /// Every rollup with its policy, and one that lives for a short time and is never used.
    fn register(&mut self) {
        let policies = [Policy::Fcfs, Policy::PriorityPrefix, Policy::Shuffled];
        let lasting = (1..=self.scenario.workload.rollups.max(1)).map(|rollup| (rollup, 0));
        for (rollup, ttl) in lasting.chain([(SHORT_LIVED.start, SHORT_LIFE)]) {
            self.transactions += 1;
            let policy = usize::try_from(rollup % 3).unwrap_or_default();
            let command = RegistryCommand::Open(Open {
                rollup: RollupId(rollup),
                vm: Vm::Opaque,
                policy: policies[policy],
                owner: self.keys[0].public_key(),
                ttl,
            });
            self.hand_in(vec![Transaction {
                rollup: REGISTRY,
                data: command.to_data(),
            }]);
        }
    }

    fn hand_in(&mut self, list: Vec<Transaction>) {
        let up: Vec<usize> = (0..self.hosts.len())
            .filter(|host| {
                let state = &self.hosts[*host];
                state.up && state.deed.is_none() && state.paused == 0
            })
            .collect();
        let Some(host) = self.clients.pick(&up).copied() else {
            return;
        };
        let mut taken = false;
        self.drive(host, 0, |node, clock, port| {
            taken = node.submit(clock, &list, port)?;
            Ok(())
        });
        if !taken {
            return;
        }
        for one in &list {
            self.statistics.accepted += 1;
            self.see(&Fact::Accepted {
                member: host,
                id: one.id(),
                rollup: one.rollup,
            });
        }
        if self.scenario.workload.retry && self.waiting.len() < WAITING_MAX {
            for one in &list {
                self.waiting.insert(one.id(), self.now);
            }
            let at = self.now.saturating_add(RETRY_AFTER);
            self.schedule(at, 0, Event::Retry(list));
        }
    }

    pub(super) fn retry(&mut self, list: Vec<Transaction>) {
        let waits = |one: &Transaction| self.waiting.contains_key(&one.id());
        if list.iter().any(waits) {
            let at = self.now.saturating_add(RETRY_AFTER);
            self.schedule(at, 0, Event::Retry(list.clone()));
            self.hand_in_again(&list);
        }
    }

    fn hand_in_again(&mut self, list: &[Transaction]) {
        let hosts = self.hosts.len();
        let host = self.clients.index(hosts);
        if self.hosts[host].up && self.hosts[host].deed.is_none() && self.hosts[host].paused == 0 {
            self.drive(host, 0, |node, clock, port| {
                node.submit(clock, list, port).map(drop)
            });
        }
    }
}
