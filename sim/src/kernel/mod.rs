//! The kernel: a discrete-event world around [`Node`]s, for volume. No sockets, no tasks, no real disk, no real time.
//!
//! ```text
//! heap of (time, seeded tie, sequence) -> Node -> facts -> Observer
//!       ^------------- Network::route <- sends <-/    (through a Deed, if the host is Byzantine)
//! ```
//!
//! One scenario and one seed give one run, whose facts are hashed in order.

mod clients;
mod digest;
mod disk;
mod envelope;
mod events;
mod faults;
mod host;
mod node;
mod panics;
mod roster;
mod sending;

pub use disk::{Disk, Final};
pub use envelope::{Envelope, Held};
pub use node::{Book, Clock, Died, Fate, Node, NodeConfig, Port};

use crate::fact::{Class, Fact, Loss, Message, Micros, Observer, Violation};
use crate::net::Network;
use crate::rng::Stream;
use crate::scenario::Scenario;
pub(crate) use digest::Digest;
use events::{Entry, Event};
use faults::Faults;
pub(crate) use faults::{named, words};
use host::{Host, deed_of};
use outrider_types::{
    ChainId, Committee, CommitteeError, Epoch, Member, SecretKey, Stake, Timestamp, TransactionId,
};
use roster::{committee_of, contact, key};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

/// The chain of all simulated worlds.
pub const CHAIN: ChainId = ChainId(7_777);
/// What an honest clock shows when a world begins, in microseconds since 1970.
pub const START: u64 = 1_700_000_000_000_000;
/// Events of one simulated second; only messages that beget messages come near it.
const EVENTS_PER_SECOND_MAX: u64 = 3_000_000;
/// A client hands its transaction in again after this long.
const RETRY_AFTER: Micros = 2_000_000;
/// Transactions that clients still wait for.
const WAITING_MAX: usize = 4_096;

/// Why a world cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// No such deed.
    #[error("no deed is called `{deed}`; `outrider docs sim-deeds` lists them")]
    Deed {
        /// The name.
        deed: String,
    },
    /// A number that names no host.
    #[error("the scenario names host {host}, there are {hosts}")]
    Host {
        /// Which.
        host: usize,
        /// How many there are.
        hosts: usize,
    },
}

/// What a run came to, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events handled.
    pub events: u64,
    /// Messages sent, each receiver counted.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks in the longest ledger.
    pub height: u64,
    /// Views that the member furthest ahead went through.
    pub views: u64,
    /// Views of it that timed out.
    pub timeouts: u64,
    /// Crashes.
    pub crashes: u64,
    /// Transactions that clients handed in and members took.
    pub accepted: u64,
}

/// A running world.
#[derive(Debug)]
pub struct World<O> {
    scenario: Scenario,
    now: Micros,
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    ties: Stream,
    chances: Stream,
    clients: Stream,
    network: Network,
    hosts: Vec<Host>,
    book: Arc<Book>,
    keys: Vec<SecretKey>,
    corrupted: Vec<(usize, SecretKey)>,
    faults: Faults,
    epochs: BTreeSet<Epoch>,
    newest: (Committee, Vec<usize>),
    observer: O,
    digest: Digest,
    statistics: Statistics,
    /// The simulated second of now, and how many events came before it.
    storm: (Micros, u64),
    /// Messages so far.
    number: u64,
    /// Transactions that clients made so far.
    transactions: u64,
    /// What clients wait for.
    waiting: BTreeMap<TransactionId, Micros>,
    /// Whose code runs now, for panics.
    current: usize,
    /// How deep deeds answer each other right now.
    answering: u32,
    failed: Option<Violation>,
    /// Room that is used again for each turn.
    spare: (Vec<Fact>, Vec<Outgoing>),
}

/// A message for one host, or for all others.
type Outgoing = (Option<usize>, Arc<Message>);

impl<O: Observer> World<O> {
    /// A world at its beginning.
    pub fn new(scenario: &Scenario, seed: u64, observer: O) -> Result<Self, WorldError> {
        let spec = &scenario.committee;
        let hosts = spec.hosts.max(spec.stakes.len());
        let out_of_range = faults::named(scenario)
            .into_iter()
            .find(|host| *host >= hosts);
        if let Some(host) = out_of_range {
            return Err(WorldError::Host { host, hosts });
        }
        let keys: Vec<SecretKey> = (0..hosts).map(|host| key(spec.keys, host)).collect();
        let members = keys.iter().zip(&spec.stakes).map(|(key, stake)| Member {
            public_key: key.public_key(),
            stake: Stake(*stake),
        });
        let genesis = committee_of(scenario, Epoch(0), members.collect(), spec.faults)?;
        let book = Arc::new(Book {
            hosts: (0..hosts)
                .map(|host| (keys[host].public_key(), host))
                .collect(),
            contacts: (0..hosts).map(contact).collect(),
            genesis: genesis.clone(),
        });
        let node_config = NodeConfig {
            timers: scenario.timers,
            idle_block: Duration::from_micros(scenario.idle_block),
        };
        let mut world = Self {
            now: 0,
            heap: BinaryHeap::new(),
            sequence: 0,
            ties: Stream::new(seed, "ties"),
            chances: Stream::new(seed, "faults"),
            clients: Stream::new(seed, "clients"),
            network: Network::new(
                scenario.network.clone(),
                hosts,
                scenario.gst,
                scenario.delta,
                seed,
            ),
            hosts: Vec::with_capacity(hosts),
            corrupted: scenario
                .byzantine
                .iter()
                .map(|one| (one.host, keys[one.host].clone()))
                .collect(),
            keys,
            faults: Faults::default(),
            epochs: BTreeSet::new(),
            newest: (genesis.clone(), book.hosts_of(&genesis)),
            book,
            observer,
            digest: Digest::default(),
            statistics: Statistics::default(),
            storm: (0, 0),
            number: 0,
            transactions: 0,
            waiting: BTreeMap::new(),
            current: 0,
            answering: 0,
            failed: None,
            spare: (Vec::new(), Vec::new()),
            scenario: scenario.clone(),
        };
        for host in 0..hosts {
            let deed = deed_of(scenario, host, seed)?;
            world.add_host(host, seed, deed, node_config);
        }
        world.begin();
        Ok(world)
    }

    /// Everything that is known from the start.
    fn begin(&mut self) {
        self.see(&Fact::Epoch {
            committee: self.newest.0.clone(),
            hosts: self.newest.1.clone(),
        });
        self.epochs.insert(Epoch(0));
        self.schedule_faults();
        for at in 0..self.scenario.changes.len() {
            self.schedule(self.scenario.changes[at].at, 0, Event::Change(at));
        }
        if self.scenario.workload.rate > 0.0 {
            self.schedule(0, 0, Event::Client);
        }
        self.schedule(self.scenario.gst, 0, Event::Heal);
        for host in 0..self.hosts.len() {
            if self.hosts[host].down == 0 {
                self.start(host);
            }
        }
    }

    /// Run to the end of the scenario.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.run_to(self.scenario.end)
    }

    /// Let time pass up to this instant.
    pub fn run_to(&mut self, until: Micros) -> Result<(), Violation> {
        if let Err(reason) = panics::watched(|| self.run_events(until)) {
            let member = self.current;
            self.see(&Fact::Panicked {
                member,
                reason: reason.clone(),
            });
            let at = self.now;
            self.failed.get_or_insert(Violation {
                checker: "R2",
                class: Class::Panic,
                at,
                what: format!("m{member} panicked: {reason}"),
            });
        }
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn run_events(&mut self, until: Micros) {
        while self.failed.is_none() {
            match self.heap.peek() {
                Some(Reverse(entry)) if entry.at <= until => {}
                _ => break,
            }
            let Some(Reverse(entry)) = self.heap.pop() else {
                break;
            };
            self.now = entry.at;
            self.statistics.events += 1;
            self.watch_for_storms();
            self.handle(entry.host, entry.event);
        }
        if self.failed.is_none() {
            self.now = self.now.max(until);
        }
    }

    /// R1: what answers itself without end is a finding too, before it takes all memory.
    fn watch_for_storms(&mut self) {
        let second = self.now / 1_000_000;
        if second != self.storm.0 {
            self.storm = (second, self.statistics.events);
        }
        if self.statistics.events - self.storm.1 > EVENTS_PER_SECOND_MAX {
            let at = self.now;
            self.failed.get_or_insert(Violation {
                checker: "R1",
                class: Class::Safety,
                at,
                what: format!(
                    "more than {EVENTS_PER_SECOND_MAX} events in a second: messages beget messages"
                ),
            });
        }
    }

    /// Simulated time since the beginning.
    #[must_use]
    pub const fn now(&self) -> Micros {
        self.now
    }

    /// Who watches.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// Who watches.
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The watcher, when the run is over.
    pub fn into_observer(self) -> O {
        self.observer
    }

    /// Chained hash of all facts so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.digest.value()
    }

    /// What it came to so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Heights of all ledgers, by host; the first side's for a Byzantine host.
    #[must_use]
    pub fn heights(&self) -> Vec<u64> {
        let height = |host: &Host| {
            host.sides
                .first()
                .map(|node| node.disk().chain().len() as u64)
        };
        self.hosts.iter().filter_map(height).collect()
    }

    /// The first side of a host.
    #[must_use]
    pub fn node(&self, host: usize) -> Option<&Node> {
        self.hosts.get(host).and_then(|host| host.sides.first())
    }

    fn see(&mut self, fact: &Fact) {
        self.digest.fact(self.now, fact);
        self.count(fact);
        if let Err(violation) = self.observer.see(self.now, fact) {
            self.failed.get_or_insert(violation);
        }
    }

    fn count(&mut self, fact: &Fact) {
        match fact {
            Fact::Committed {
                record,
                transactions,
                ..
            } => {
                let height = record.block.height.0;
                self.statistics.height = self.statistics.height.max(height);
                for id in &**transactions {
                    self.waiting.remove(id);
                }
            }
            Fact::Entered {
                epoch,
                view,
                by_timeout,
                ..
            } if self.digest.enters(*epoch, view.0) => {
                self.statistics.views += 1;
                self.statistics.timeouts += u64::from(*by_timeout);
            }
            _ => {}
        }
    }

    fn schedule(&mut self, at: Micros, host: usize, event: Event) {
        self.sequence += 1;
        let tie = (self.ties.next() >> 32) as u32;
        self.heap.push(Reverse(Entry {
            at: at.max(self.now),
            tie,
            sequence: self.sequence,
            host,
            event,
        }));
    }

    fn clock(&self, host: usize) -> Clock {
        let host = &self.hosts[host];
        let now = START.saturating_add(self.now);
        Clock {
            now: Timestamp(now.saturating_add_signed(host.skew_at_start)),
            wall: Timestamp(now.saturating_add_signed(host.skew)),
        }
    }

    fn handle(&mut self, host: usize, event: Event) {
        self.current = host;
        match event {
            Event::Deliver(envelope) => self.deliver(host, envelope),
            Event::Say(to, message) => self.send(host, to, message, 0),
            Event::Wake { side, life } => {
                let state = &self.hosts[host];
                if state.life != life || state.wakes[side] != Some(self.now) {
                    return;
                }
                if state.paused > 0 || state.busy > self.now {
                    let later = if state.paused > 0 {
                        self.now
                    } else {
                        state.busy
                    };
                    self.hosts[host].wakes[side] = None;
                    if later > self.now {
                        self.hosts[host].wakes[side] = Some(later);
                        self.schedule(later, host, Event::Wake { side, life });
                    }
                    return;
                }
                self.hosts[host].wakes[side] = None;
                self.drive(host, side, |node, clock, port| node.wake(clock, port));
            }
            Event::Restart { life } => {
                if self.hosts[host].life == life && self.hosts[host].down == 0 {
                    self.start(host);
                }
            }
            Event::FaultBegins(at) => self.fault_begins(at),
            Event::FaultEnds(at) => self.fault_ends(at),
            Event::Change(at) => self.change(at),
            Event::Client => self.client(),
            Event::Retry(list) => self.retry(list),
            Event::Heal => self.heal(),
        }
    }

    fn deliver(&mut self, to: usize, envelope: Arc<Envelope>) {
        let state = &mut self.hosts[to];
        let (from, number) = (envelope.from, envelope.number);
        if !state.up {
            self.lost(from, to, number, Loss::Down);
            return;
        }
        if state.paused > 0 {
            state.inbox.push(envelope);
            return;
        }
        if state.busy > self.now {
            let busy = state.busy;
            self.schedule(busy, to, Event::Deliver(envelope));
            return;
        }
        if self.observer.wants_deliveries() {
            self.see(&Fact::Delivered { from, to, number });
        }
        self.digest.delivered(self.now, from, to, number);
        for side in 0..self.hosts[to].sides.len() {
            if self.hears(to, side, &envelope) {
                self.drive(to, side, |node, clock, port| {
                    node.receive(clock, &envelope, port)
                });
            }
        }
    }

    fn lost(&mut self, from: usize, to: usize, number: u64, loss: Loss) {
        if self.observer.wants_deliveries() {
            self.see(&Fact::Lost {
                from,
                to,
                number,
                loss,
            });
        }
    }

    /// Let one side act, tell what happened, send what it says, and remember when it wants to be woken.
    fn drive(
        &mut self,
        host: usize,
        side: usize,
        act: impl FnOnce(&mut Node, Clock, &mut Port<'_>) -> Result<(), Died>,
    ) {
        if !self.hosts[host].up {
            return;
        }
        self.current = host;
        let clock = self.clock(host);
        let state = &mut self.hosts[host];
        let honest = state.deed.is_none();
        let (chances, on_write) = (&mut self.chances, &state.on_write);
        let mut down_for = 0.0;
        let mut fate = || {
            for (probability, restart) in on_write {
                if chances.chance(*probability) {
                    #[allow(clippy::cast_precision_loss, reason = "microseconds of a run")]
                    let mean = *restart as f64;
                    down_for = chances.exponential(mean);
                    return if chances.chance(0.5) {
                        Fate::DiesBefore
                    } else {
                        Fate::DiesAfter
                    };
                }
            }
            Fate::Done
        };
        let mut port = Port::new(&mut fate);
        std::mem::swap(&mut port.facts, &mut self.spare.0);
        std::mem::swap(&mut port.sends, &mut self.spare.1);
        let outcome = act(&mut state.sides[side], clock, &mut port);
        let (mut sends, mut facts, syncs) = (port.sends, port.facts, port.syncs);
        let delay = state.disk_delay.saturating_mul(u64::from(syncs));
        if delay > 0 {
            state.busy = self.now.saturating_add(delay);
        }
        for fact in &facts {
            // Of what a Byzantine member does, only that it is up again is a fact.
            let told = honest || side == 0 && matches!(fact, Fact::Restarted { .. });
            if told {
                self.tell(fact);
            }
        }
        facts.clear();
        for (to, message) in sends.drain(..) {
            if honest {
                self.send(host, to, message, delay);
            } else {
                self.with_deed(host, |deed, me| deed.speaks(me, side, to, &message));
            }
        }
        self.spare = (facts, sends);
        if outcome.is_err() {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "microseconds of a run"
            )]
            self.dies(host, down_for as Micros);
            return;
        }
        self.remember_wake(host, side);
    }

    fn tell(&mut self, fact: &Fact) {
        if let Fact::Epoch { committee, hosts } = fact {
            if !self.epochs.insert(committee.epoch()) {
                return;
            }
            self.newest = (committee.clone(), hosts.clone());
        }
        self.see(fact);
    }

    fn remember_wake(&mut self, host: usize, side: usize) {
        let clock = self.clock(host);
        let state = &mut self.hosts[host];
        let Some(due) = state.sides[side].wake_at() else {
            return;
        };
        let wait = due.0.saturating_sub(clock.now.0);
        let at = self.now.saturating_add(wait.max(1));
        if state.wakes[side].is_some_and(|known| known <= at && known > self.now) {
            return;
        }
        state.wakes[side] = Some(at);
        let life = state.life;
        self.schedule(at, host, Event::Wake { side, life });
    }
}
