//! What the world does to its hosts and their network, and when.

use super::body::Order;
use super::hosts::name;
use super::{World, lock, micros};
use crate::fact::{Fact, Micros, Observer};
use crate::kernel::words;
use crate::rng::Stream;
use crate::scenario::{Fault, FaultKind, Latency, Scenario, live_core};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the mesh of connections takes to form again after a cut, a crash or the start: by the tests of the network at
/// most 2.1 s, and a handshake more for what was under way. Before that no promise of after `gst` can be asked for.
pub const MESH_WITHIN: Micros = 4_000_000;

/// Something that is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    Begins(usize),
    Ends(usize),
    /// A host that died in a write comes back, if this is still its life.
    Restart(usize, u64),
    Change(usize),
    Gst,
    Heal,
}

/// The agenda, and what is wrong now.
#[derive(Debug)]
pub(super) struct Storm {
    agenda: BTreeMap<(Micros, u64), Due>,
    entries: u64,
    /// How many reasons there are that `from` does not reach `to`, by `from * hosts + to`.
    cuts: Vec<u32>,
    /// By host: faults that keep it down.
    down: Vec<u32>,
    paused: Vec<u32>,
    up: Vec<bool>,
    /// By host: crashes so far.
    lives: Vec<u64>,
    /// By fault: the links that it has cut; none while it is not under way.
    links: Vec<Option<Vec<(usize, usize)>>>,
    /// Links cut by hand, in both directions.
    by_hand: BTreeSet<(usize, usize)>,
    chances: Stream,
}

/// When what is promised from `gst` on can be asked for in this world: when its connections are there again. A clock that was
/// put back keeps its host from new connections until it shows the time again at which it was put back: the network
/// library remembers until when it must not dial or be dialled.
#[must_use]
pub fn healed_at(scenario: &Scenario) -> Micros {
    let over = scenario.faults.iter().map(|fault| match fault.kind {
        // Dead until then, at worst.
        FaultKind::CrashOnWrite { .. } => scenario.gst,
        FaultKind::Clock { skew, .. } => match u64::try_from(skew) {
            Ok(ahead) if fault.until() <= scenario.gst => fault.until().saturating_add(ahead),
            Ok(_) => fault.at,
            Err(_) => fault.until().min(fault.at + skew.unsigned_abs()),
        },
        _ if fault.until() <= scenario.gst => fault.until(),
        _ => fault.at,
    });
    let last = over.max().unwrap_or(0);
    scenario.gst.max(last.saturating_add(MESH_WITHIN))
}

impl Storm {
    pub(super) fn new(scenario: &Scenario, hosts: usize, seed: u64) -> Self {
        let mut storm = Self {
            agenda: BTreeMap::new(),
            entries: 0,
            cuts: vec![0; hosts * hosts],
            down: vec![0; hosts],
            paused: vec![0; hosts],
            up: vec![true; hosts],
            lives: vec![0; hosts],
            links: vec![None; scenario.faults.len()],
            by_hand: BTreeSet::new(),
            chances: Stream::new(seed, "faults"),
        };
        for (at, fault) in scenario.faults.iter().enumerate() {
            storm.enter(fault.at, Due::Begins(at));
            storm.enter(fault.until(), Due::Ends(at));
        }
        for (at, change) in scenario.changes.iter().enumerate() {
            storm.enter(change.at, Due::Change(at));
        }
        storm.enter(scenario.gst, Due::Gst);
        storm.enter(healed_at(scenario), Due::Heal);
        storm
    }

    fn enter(&mut self, at: Micros, due: Due) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), due);
    }

    pub(super) fn is_up(&self, host: usize) -> bool {
        self.up[host]
    }

    /// Up, and not standing still.
    pub(super) fn is_open(&self, host: usize) -> bool {
        self.up[host] && self.paused[host] == 0
    }
}

impl<O: Observer> World<'_, O> {
    /// Everything that is due by now.
    pub(super) fn storm(&mut self) {
        let now = micros(self.sim.elapsed());
        while let Some(first) = self.storm.agenda.first_entry() {
            if first.key().0 > now {
                break;
            }
            match first.remove() {
                Due::Begins(at) => self.fault_begins(at),
                Due::Ends(at) => self.fault_ends(at),
                Due::Restart(host, life) => {
                    if self.storm.lives[host] == life && self.storm.down[host] == 0 {
                        self.power_on(host);
                    }
                }
                Due::Change(at) => {
                    let change = self.scenario.changes[at].clone();
                    let names: Vec<String> = change.hosts.iter().map(|host| name(*host)).collect();
                    self.note(Fact::Fault {
                        what: format!("change to {}", names.join(" ")),
                        begins: true,
                    });
                    self.air.bodies[change.via].order(Order::Change(change.hosts));
                }
                Due::Gst => self.calm(),
                Due::Heal => {
                    let live = live_core(&self.scenario);
                    self.note(Fact::Healed { live });
                }
            }
        }
    }

    /// Whoever is not down for good starts, and no message takes longer than `delta`.
    fn calm(&mut self) {
        for host in 0..self.air.bodies.len() {
            if self.storm.down[host] == 0 {
                self.power_on(host);
            }
        }
        let delta = Duration::from_micros(self.scenario.delta);
        if let Latency::Uniform(low, high) = self.scenario.network.latency
            && high > self.scenario.delta
        {
            self.sim
                .set_max_message_latency(delta.max(Duration::from_micros(low)));
        }
    }

    /// Hosts that died in a write come back after a while.
    pub(super) fn deaths(&mut self) {
        for host in 0..self.air.bodies.len() {
            if let Some(down_for) = self.air.bodies[host].died() {
                self.power_off(host, 0.5);
                let (at, life) = (micros(self.sim.elapsed()), self.storm.lives[host]);
                self.storm.enter(at + down_for, Due::Restart(host, life));
            }
        }
    }

    fn fault_begins(&mut self, at: usize) {
        let Fault { kind, .. } = self.scenario.faults[at].clone();
        self.storm.links[at] = Some(Vec::new());
        self.note(Fact::Fault {
            what: words(&kind),
            begins: true,
        });
        match &kind {
            FaultKind::Partition { groups, bridge } => {
                let side = |host: usize| groups.iter().position(|group| group.contains(&host));
                let together = |a: usize, b: usize| {
                    bridge.contains(&a)
                        || bridge.contains(&b)
                        || (side(a).is_some() && side(a) == side(b))
                };
                let hosts = self.air.bodies.len();
                let pairs = (0..hosts).flat_map(|from| (0..hosts).map(move |to| (from, to)));
                self.cut_all(at, pairs.filter(|(a, b)| !together(*a, *b)).collect());
            }
            FaultKind::OneWay { from, to } => {
                let pairs = from
                    .iter()
                    .flat_map(|from| to.iter().map(|to| (*from, *to)));
                self.cut_all(at, pairs.collect());
            }
            FaultKind::Crash { hosts, unsynced } => {
                hosts
                    .iter()
                    .for_each(|host| self.goes_down(*host, *unsynced));
            }
            FaultKind::Late { hosts } => {
                hosts.iter().for_each(|host| self.goes_down(*host, 1.0));
            }
            FaultKind::Amnesia { hosts } => {
                hosts.iter().for_each(|host| self.forgets(*host, false));
            }
            FaultKind::Wipe { hosts } => hosts.iter().for_each(|host| self.forgets(*host, true)),
            FaultKind::CrashOnWrite {
                hosts,
                probability,
                restart,
            } => {
                for host in hosts {
                    let mut trouble = lock(&self.air.bodies[*host].trouble);
                    trouble.on_write.push((*probability, *restart));
                }
            }
            FaultKind::Pause { hosts } => {
                for host in hosts {
                    self.storm.paused[*host] += 1;
                    self.air.bodies[*host].control.pause();
                }
            }
            FaultKind::Clock { hosts, skew } => {
                hosts.iter().for_each(|host| self.turn(*host, *skew))
            }
            FaultKind::SlowDisk { hosts, delay } => {
                for host in hosts {
                    lock(&self.air.bodies[*host].trouble).disk_delay += delay;
                }
            }
        }
    }

    fn fault_ends(&mut self, at: usize) {
        let Some(links) = self.storm.links[at].take() else {
            return;
        };
        let Fault { kind, .. } = self.scenario.faults[at].clone();
        self.note(Fact::Fault {
            what: words(&kind),
            begins: false,
        });
        for (from, to) in links {
            self.mend(from, to);
        }
        match &kind {
            FaultKind::Partition { .. } | FaultKind::OneWay { .. } => {}
            FaultKind::Crash { hosts, .. }
            | FaultKind::Amnesia { hosts }
            | FaultKind::Wipe { hosts }
            | FaultKind::Late { hosts } => {
                for host in hosts {
                    self.storm.down[*host] -= 1;
                    if self.storm.down[*host] == 0 {
                        self.power_on(*host);
                    }
                }
            }
            FaultKind::CrashOnWrite {
                hosts,
                probability,
                restart,
            } => {
                for host in hosts {
                    let list = &mut lock(&self.air.bodies[*host].trouble).on_write;
                    let ours = (*probability, *restart);
                    if let Some(at) = list.iter().position(|one| *one == ours) {
                        list.remove(at);
                    }
                }
            }
            FaultKind::Pause { hosts } => {
                for host in hosts {
                    self.storm.paused[*host] -= 1;
                    if self.storm.paused[*host] == 0 {
                        self.air.bodies[*host].control.resume();
                    }
                }
            }
            FaultKind::Clock { hosts, skew } => {
                hosts.iter().for_each(|host| self.turn(*host, -*skew));
            }
            FaultKind::SlowDisk { hosts, delay } => {
                for host in hosts {
                    lock(&self.air.bodies[*host].trouble).disk_delay -= delay;
                }
            }
        }
    }

    /// Turn a host's clock on by so many microseconds, or back.
    fn turn(&self, host: usize, by: i64) {
        let control = &self.air.bodies[host].control;
        control.set_skew_us(control.skew_us() + by);
    }

    fn goes_down(&mut self, host: usize, unsynced: f64) {
        self.storm.down[host] += 1;
        self.power_off(host, unsynced);
    }

    /// A host goes down and loses its vote journal, or its whole disk.
    fn forgets(&mut self, host: usize, everything: bool) {
        self.goes_down(host, 1.0);
        let body = &self.air.bodies[host];
        if everything {
            body.disk.erase();
        } else {
            body.disk.lose_journal();
        }
        if let Some(sides) = &self.sides[host] {
            for node in &mut lock(sides).nodes {
                if everything {
                    node.wipe();
                } else {
                    node.lose_journal();
                }
            }
        }
        self.note(Fact::Crashed {
            member: host,
            wiped: everything,
        });
    }

    /// Power off: of what was not synced a first part survives, with `unsynced` about that part of it.
    fn power_off(&mut self, host: usize, unsynced: f64) {
        let choices = self.air.bodies[host].disk.unsynced();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of what is not synced"
        )]
        let keep = if unsynced <= 0.0 {
            0
        } else {
            // A fraction to this power has the mean `unsynced`.
            let power = (1.0 - unsynced) / unsynced;
            let share = self.storm.chances.fraction().powf(power);
            (choices as f64 * share).round() as usize
        };
        self.cut_power(host, keep.min(choices), unsynced);
    }

    /// Power off: the host keeps the first `keep` of its writes that were not synced, as [`MemoryDisk::crash`] counts them.
    ///
    /// [`MemoryDisk::crash`]: outrider_storage::MemoryDisk::crash
    pub(super) fn cut_power(&mut self, host: usize, keep: usize, unsynced: f64) {
        if !std::mem::replace(&mut self.storm.up[host], false) {
            return;
        }
        self.storm.lives[host] += 1;
        // Its sockets say no goodbye.
        self.unplug(host);
        self.sim.crash(name(host));
        let body = &self.air.bodies[host];
        body.disk.crash(keep);
        body.forget();
        if let Some(sides) = &self.sides[host] {
            let chances = &mut self.storm.chances;
            for node in &mut lock(sides).nodes {
                node.crash(|| chances.chance(unsynced));
            }
        }
        self.statistics.crashes += 1;
        self.note(Fact::Crashed {
            member: host,
            wiped: false,
        });
    }

    /// Power on.
    pub(super) fn power_on(&mut self, host: usize) {
        if !std::mem::replace(&mut self.storm.up[host], true) {
            self.plug_in(host);
            self.sim.bounce(name(host));
        }
    }

    fn unplug(&mut self, host: usize) {
        for other in 0..self.air.bodies.len() {
            self.cut(host, other);
            self.cut(other, host);
        }
    }

    fn plug_in(&mut self, host: usize) {
        for other in 0..self.air.bodies.len() {
            self.mend(host, other);
            self.mend(other, host);
        }
    }

    fn cut_all(&mut self, fault: usize, pairs: Vec<(usize, usize)>) {
        for (from, to) in &pairs {
            self.cut(*from, *to);
        }
        self.storm.links[fault] = Some(pairs);
    }

    /// From now on what `from` says does not reach `to`, until [`mend`](Self::mend) was called as often.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        let at = from * self.air.bodies.len() + to;
        self.storm.cuts[at] += 1;
        if from != to && self.storm.cuts[at] == 1 {
            self.sim.partition_oneway(name(from), name(to));
        }
    }

    pub(super) fn cut_by_hand(&mut self, one: usize, other: usize) {
        if self.storm.by_hand.insert((one.min(other), one.max(other))) {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    pub(super) fn mend_by_hand(&mut self, one: usize, other: usize) {
        if self.storm.by_hand.remove(&(one.min(other), one.max(other))) {
            self.mend(one, other);
            self.mend(other, one);
        }
    }

    /// Undo one [`cut`](Self::cut).
    pub(super) fn mend(&mut self, from: usize, to: usize) {
        let at = from * self.air.bodies.len() + to;
        assert!(self.storm.cuts[at] > 0, "what is mended was cut");
        self.storm.cuts[at] -= 1;
        if from != to && self.storm.cuts[at] == 0 {
            self.sim.repair_oneway(name(from), name(to));
        }
    }
}
