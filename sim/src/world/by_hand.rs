//! A world that a test drives by hand: equal members on a quiet network, cut, killed and started again when the test says.

use super::body::Order;
use super::{Commit, Past, Plan, Trace, World, WorldError, lock, micros};
use crate::checkers::Checkers;
use crate::fact::{Fact, Micros, Observer};
use crate::scenario::{Latency, Scenario};
use outrider_finality::{InboxEntry, L1Block};
use outrider_types::{Epoch, Transaction, TransactionId};
use std::time::Duration;

/// What a world of equal members on a quiet network is made of; for everything else there are scenarios.
#[derive(Clone, Copy, Debug)]
pub struct WorldConfig {
    /// Seed of everything.
    pub seed: u64,
    /// Hosts; the first `members` of them are the first committee.
    pub hosts: usize,
    /// Size of the first committee, equal stakes.
    pub members: usize,
    /// Heights in an epoch; 0: it does not end.
    pub epoch_blocks: u64,
    /// Final blocks that members keep; 0: all.
    pub keep_blocks: u64,
    /// Shortest one-way delay.
    pub latency_min: Duration,
    /// Longest one-way delay.
    pub latency_max: Duration,
    /// Step of simulated time.
    pub tick: Duration,
    /// Transactions a second that clients hand in at each host by themselves.
    pub rate: f64,
    /// If the network settles on another chain, which the test plays: how many of the hosts, from the first on, never build on what they see
    /// of it when they lead. They judge the blocks of others like all others.
    pub lazy: Option<usize>,
}

impl WorldConfig {
    /// Four members, 2 to 20 ms apart.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            hosts: 4,
            members: 4,
            epoch_blocks: 0,
            keep_blocks: 0,
            latency_min: Duration::from_millis(2),
            latency_max: Duration::from_millis(20),
            tick: Duration::from_millis(2),
            rate: 3.0,
            lazy: None,
        }
    }

    /// The same as a scenario, with production's timers and, if nothing is said, about three transactions a second for each host: ten blocks a second.
    fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::calm(self.members);
        scenario.committee.hosts = self.hosts;
        scenario.committee.epoch_blocks = self.epoch_blocks;
        scenario.network.latency =
            Latency::Uniform(micros(self.latency_min), micros(self.latency_max));
        scenario.delta = micros(self.latency_max);
        // Who drives by hand says himself what must come of it.
        scenario.gst = Micros::MAX;
        scenario.timers = outrider_consensus::Config::default();
        scenario.idle_block = 200_000;
        scenario.workload.rate =
            self.rate * f64::from(u32::try_from(self.hosts).unwrap_or(u32::MAX));
        scenario.workload.retry = false;
        scenario
    }
}

/// Who watches a world that a test drives by hand: the checkers, if it has no past that they do not know, and a record.
pub type ByHand = (Option<Checkers>, Trace);

impl World<'_> {
    /// A world with all members started.
    pub fn new(config: WorldConfig) -> Result<Self, WorldError> {
        Self::with_past(config, &Past::default())
    }

    /// A world with all members started, some of which have a past. Those who have not did not sign it.
    pub fn with_past(config: WorldConfig, past: &Past) -> Result<Self, WorldError> {
        let scenario = config.scenario();
        let checkers = (past.blocks == 0).then(|| Checkers::new(&scenario));
        let plan = Plan {
            scenario: &scenario,
            seed: config.seed,
            keep_blocks: config.keep_blocks,
            tick: Some(config.tick),
            lazy: config.lazy,
            past,
        };
        Self::build(&plan, (checkers, Trace::default()))
    }

    /// The epoch of the last block that a host has committed.
    #[must_use]
    pub fn epoch(&self, host: usize) -> Epoch {
        let mut commits = self.observer.1.commits().iter().rev();
        let last = commits.find(|commit| commit.member == host);
        last.map_or(Epoch(0), |commit| commit.epoch)
    }

    /// All commits, in the order in which they happened.
    #[must_use]
    pub fn commits(&self) -> &[Commit] {
        self.observer.1.commits()
    }

    /// Transactions that a member accepted and that no member has committed.
    #[must_use]
    pub fn unordered(&self) -> Vec<TransactionId> {
        self.observer.1.unordered()
    }

    /// Transactions that a host accepted.
    #[must_use]
    pub fn accepted_at(&self, host: usize) -> Vec<TransactionId> {
        self.observer.1.accepted_at(host)
    }

    /// How many transactions were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.observer.1.accepted()
    }
}

impl<O: Observer> World<'_, O> {
    /// All members of the current committee approve of these hosts as the next one; the change is handed in at one host.
    pub fn change_committee(&mut self, at: usize, members: &[usize]) {
        self.air.bodies[at].order(Order::Change(members.to_vec()));
    }

    /// A client hands in a transaction at a host.
    pub fn submit(&self, host: usize, transaction: Transaction) {
        self.air.bodies[host].order(Order::Submit(transaction));
    }

    /// A client hands in several transactions at once, such as the parts of a bundle.
    pub fn submit_together(&self, host: usize, transactions: Vec<Transaction>) {
        self.air.bodies[host].order(Order::SubmitTogether(transactions));
    }

    /// A host sees more of the settlement chain: entries of the forced inbox, then blocks that are final there.
    pub fn see_l1(&self, host: usize, blocks: Vec<L1Block>, entries: Vec<InboxEntry>) {
        for entry in &entries {
            self.note(Fact::Accepted {
                member: host,
                id: entry.id,
                rollup: entry.transaction.rollup,
            });
        }
        self.air.bodies[host].order(Order::SeeL1(blocks, entries));
    }

    /// A host spreads these to all others, although its member would not: they may be final long ago.
    pub fn spread(&self, host: usize, transactions: Vec<Transaction>) {
        self.air.bodies[host].order(Order::Spread(transactions));
    }

    /// A metric without labels of a host's member, as Prometheus would read it; it counts from the member's last start.
    #[must_use]
    pub fn metric(&self, host: usize, name: &str) -> Option<u64> {
        let text = lock(&self.air.bodies[host].metrics).encode();
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// A killed host loses its whole disk, vote journal included.
    pub fn erase(&mut self, host: usize) {
        assert!(!self.storm.is_up(host), "a host in use keeps its disk");
        self.air.bodies[host].disk.erase();
        self.note(Fact::Crashed {
            member: host,
            wiped: true,
        });
    }

    /// Cut these hosts off from all others.
    pub fn partition(&mut self, hosts: &[usize]) {
        for (inside, outside) in self.border(hosts) {
            self.cut_by_hand(inside, outside);
        }
    }

    /// Cut two hosts off from each other.
    pub fn partition_between(&mut self, one: usize, other: usize) {
        self.cut_by_hand(one, other);
    }

    /// Undo a partition of these hosts.
    pub fn repair(&mut self, hosts: &[usize]) {
        for (inside, outside) in self.border(hosts) {
            self.mend_by_hand(inside, outside);
        }
    }

    /// Undo a partition between two hosts.
    pub fn repair_between(&mut self, one: usize, other: usize) {
        self.mend_by_hand(one, other);
    }

    fn border(&self, hosts: &[usize]) -> Vec<(usize, usize)> {
        let all = 0..self.heights.len();
        let outside: Vec<usize> = all.filter(|host| !hosts.contains(host)).collect();
        let pairs = hosts
            .iter()
            .flat_map(|inside| outside.iter().map(|outside| (*inside, *outside)));
        pairs.collect()
    }

    /// Kill a host; its disk keeps the first `keep` of the changes that were not synced.
    pub fn crash(&mut self, host: usize, keep: usize) {
        self.cut_power(host, keep, 0.5);
    }

    /// Start a killed host on what its disk holds.
    pub fn restart(&mut self, host: usize) {
        self.power_on(host);
    }
}
