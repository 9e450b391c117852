//! What a world does to its hosts: faults from the scenario, changes of the committee, and the end of the storm.

use super::{CHAIN, Event, World, committee_of};
use crate::fact::{Fact, Micros, Observer};
use crate::scenario::live_core;
use crate::scenario::{Fault, FaultKind, Scenario};
use outrider_types::{Aggregate, Approve, CommitteeChange, Member, MemberIndex, Signed, Stake};

/// Faults under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// By fault: the links that it has cut.
    cuts: Vec<Vec<(usize, usize)>>,
    /// By fault: whether it is under way.
    active: Vec<bool>,
}

impl<O: Observer> World<O> {
    pub(super) fn schedule_faults(&mut self) {
        let count = self.scenario.faults.len();
        self.faults.cuts = vec![Vec::new(); count];
        self.faults.active = vec![false; count];
        for at in 0..count {
            let fault = &self.scenario.faults[at];
            // An instant takes one microsecond, or its end could come first.
            let (begins, ends) = (fault.at, fault.at.saturating_add(fault.lasts.max(1)));
            if begins == 0 && matches!(fault.kind, FaultKind::Late { .. } | FaultKind::Clock { .. })
            {
                // They are as they are before anyone starts.
                self.fault_begins(at);
            } else {
                self.schedule(begins, 0, Event::FaultBegins(at));
            }
            self.schedule(ends, 0, Event::FaultEnds(at));
        }
    }

    pub(super) fn fault_begins(&mut self, at: usize) {
        let Fault { kind, .. } = self.scenario.faults[at].clone();
        self.faults.active[at] = true;
        self.see(&Fact::Fault {
            what: words(&kind),
            begins: true,
        });
        match &kind {
            FaultKind::Partition { groups, bridge } => {
                let side = |host: usize| groups.iter().position(|group| group.contains(&host));
                let mut cuts = Vec::new();
                for from in 0..self.hosts.len() {
                    for to in 0..self.hosts.len() {
                        let bridged = bridge.contains(&from) || bridge.contains(&to);
                        let together = side(from).is_some() && side(from) == side(to);
                        if from != to && !bridged && !together {
                            cuts.push((from, to));
                        }
                    }
                }
                self.cut(at, cuts);
            }
            FaultKind::OneWay { from, to } => {
                let pairs = from
                    .iter()
                    .flat_map(|from| to.iter().map(|to| (*from, *to)));
                let cuts = pairs.filter(|(from, to)| from != to).collect();
                self.cut(at, cuts);
            }
            FaultKind::Crash { hosts, unsynced } => {
                for host in hosts {
                    self.hosts[*host].down += 1;
                    self.crash(*host, *unsynced);
                }
            }
            FaultKind::CrashOnWrite {
                hosts,
                probability,
                restart,
            } => {
                for host in hosts {
                    self.hosts[*host].on_write.push((*probability, *restart));
                }
            }
            FaultKind::Pause { hosts } => {
                for host in hosts {
                    self.hosts[*host].paused += 1;
                }
            }
            FaultKind::Clock { hosts, skew } => {
                for host in hosts {
                    let host = &mut self.hosts[*host];
                    host.skew += skew;
                    if !host.up {
                        host.skew_at_start = host.skew;
                    }
                }
            }
            FaultKind::SlowDisk { hosts, delay } => {
                for host in hosts {
                    self.hosts[*host].disk_delay += delay;
                }
            }
            FaultKind::Amnesia { hosts } => {
                for host in hosts {
                    self.forgets(*host, false);
                }
            }
            FaultKind::Wipe { hosts } => {
                for host in hosts {
                    self.forgets(*host, true);
                }
            }
            FaultKind::Late { hosts } => {
                for host in hosts {
                    self.hosts[*host].down += 1;
                    self.crash(*host, 1.0);
                }
            }
        }
    }

    pub(super) fn fault_ends(&mut self, at: usize) {
        if !std::mem::replace(&mut self.faults.active[at], false) {
            return;
        }
        let Fault { kind, .. } = self.scenario.faults[at].clone();
        self.see(&Fact::Fault {
            what: words(&kind),
            begins: false,
        });
        match &kind {
            FaultKind::Partition { .. } | FaultKind::OneWay { .. } => {
                for (from, to) in std::mem::take(&mut self.faults.cuts[at]) {
                    self.network.mend(from, to);
                }
            }
            FaultKind::Crash { hosts, .. }
            | FaultKind::Amnesia { hosts }
            | FaultKind::Wipe { hosts }
            | FaultKind::Late { hosts } => {
                for host in hosts {
                    self.hosts[*host].down -= 1;
                    if self.hosts[*host].down == 0 {
                        self.start(*host);
                    }
                }
            }
            FaultKind::CrashOnWrite {
                hosts,
                probability,
                restart,
            } => {
                for host in hosts {
                    let list = &mut self.hosts[*host].on_write;
                    if let Some(at) = list.iter().position(|one| *one == (*probability, *restart)) {
                        list.swap_remove(at);
                    }
                }
            }
            FaultKind::Pause { hosts } => {
                for host in hosts {
                    self.goes_on(*host);
                }
            }
            FaultKind::Clock { hosts, skew } => {
                for host in hosts {
                    self.hosts[*host].skew -= skew;
                }
            }
            FaultKind::SlowDisk { hosts, delay } => {
                for host in hosts {
                    self.hosts[*host].disk_delay -= delay;
                }
            }
        }
    }

    fn cut(&mut self, at: usize, cuts: Vec<(usize, usize)>) {
        for (from, to) in &cuts {
            self.network.cut(*from, *to);
        }
        self.faults.cuts[at] = cuts;
    }

    /// After a pause: what arrived meanwhile is there, and timers that ran out fire.
    fn goes_on(&mut self, host: usize) {
        self.hosts[host].paused -= 1;
        if self.hosts[host].paused > 0 {
            return;
        }
        for envelope in std::mem::take(&mut self.hosts[host].inbox) {
            self.schedule(self.now, host, Event::Deliver(envelope));
        }
        if self.hosts[host].up {
            for side in 0..self.hosts[host].sides.len() {
                self.hosts[host].wakes[side] = None;
                self.remember_wake(host, side);
            }
        }
    }

    /// Power on.
    pub(super) fn start(&mut self, host: usize) {
        if self.hosts[host].up {
            return;
        }
        let state = &mut self.hosts[host];
        state.up = true;
        state.skew_at_start = state.skew;
        state.busy = 0;
        for side in 0..self.hosts[host].sides.len() {
            self.drive(host, side, |node, clock, port| node.start(clock, port));
        }
    }

    /// Power off: writes that were not synced survive with this probability. Whether it was up.
    fn power_off(&mut self, host: usize, unsynced: f64) -> bool {
        let state = &mut self.hosts[host];
        state.life += 1;
        state.inbox.clear();
        state.wakes.fill(None);
        if !std::mem::replace(&mut state.up, false) {
            return false;
        }
        let chances = &mut self.chances;
        for side in &mut state.sides {
            side.crash(|| chances.chance(unsynced));
        }
        self.statistics.crashes += 1;
        true
    }

    /// Power off, and everyone may know.
    pub(super) fn crash(&mut self, host: usize, unsynced: f64) {
        if self.power_off(host, unsynced) {
            self.see(&Fact::Crashed {
                member: host,
                wiped: false,
            });
        }
    }

    /// The power went while it wrote; it is back after so long.
    pub(super) fn dies(&mut self, host: usize, down_for: Micros) {
        self.crash(host, 0.5);
        let life = self.hosts[host].life;
        let at = self.now.saturating_add(down_for.max(1_000));
        self.schedule(at, host, Event::Restart { life });
    }

    fn forgets(&mut self, host: usize, everything: bool) {
        self.hosts[host].down += 1;
        self.power_off(host, 1.0);
        for side in &mut self.hosts[host].sides {
            if everything {
                side.wipe();
            } else {
                side.lose_journal();
            }
        }
        self.see(&Fact::Crashed {
            member: host,
            wiped: everything,
        });
    }

    /// All members of the newest committee approve of a change; it is handed in at one host.
    pub(super) fn change(&mut self, at: usize) {
        let change = self.scenario.changes[at].clone();
        let (committee, _) = self.newest.clone();
        let members = change.hosts.iter().map(|host| Member {
            public_key: self.keys[*host].public_key(),
            stake: Stake(1),
        });
        let next = committee.epoch().next();
        let Ok(next) = committee_of(&self.scenario, next, members.collect(), None) else {
            return;
        };
        let contacts: Vec<_> = change
            .hosts
            .iter()
            .map(|host| self.book.contacts[*host].clone())
            .collect();
        let approve = Approve {
            epoch: committee.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        let hosts = self.book.hosts_of(&committee);
        let signed: Vec<_> = (0_u16..)
            .zip(hosts)
            .map(|(member, host)| {
                Signed::sign(approve, CHAIN, MemberIndex(member), &self.keys[host])
            })
            .collect();
        let Some(approvals) = Aggregate::assemble(&signed) else {
            return;
        };
        let change_of = CommitteeChange {
            next,
            contacts,
            approvals,
        };
        self.see(&Fact::Fault {
            what: format!("change to {}", names(&change.hosts)),
            begins: true,
        });
        self.drive(change.via, 0, |node, clock, port| {
            node.hand_in_change(clock, change_of, port)
        });
    }

    /// The storm is over: whoever is not down for good starts, and must make progress.
    pub(super) fn heal(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].down == 0 {
                self.start(host);
            }
        }
        let live = live_core(&self.scenario);
        self.see(&Fact::Healed { live });
    }
}

/// Every host that a scenario names.
pub(crate) fn named(scenario: &Scenario) -> Vec<usize> {
    let faults = scenario.faults.iter().flat_map(|fault| match &fault.kind {
        FaultKind::Partition { groups, bridge } => [groups.concat(), bridge.clone()].concat(),
        other => other.hosts(),
    });
    let byzantine = scenario.byzantine.iter().map(|one| one.host);
    let changes = scenario.changes.iter();
    let changes = changes.flat_map(|change| change.hosts.iter().copied().chain([change.via]));
    faults.chain(byzantine).chain(changes).collect()
}

/// Hosts as people read them.
fn names(hosts: &[usize]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| format!("m{host}")).collect();
    names.join(" ")
}

/// A fault in words.
pub(crate) fn words(kind: &FaultKind) -> String {
    match kind {
        FaultKind::Partition { groups, bridge } => {
            let groups: Vec<String> = groups.iter().map(|group| names(group)).collect();
            let bridge = if bridge.is_empty() {
                String::new()
            } else {
                format!(", bridge {}", names(bridge))
            };
            format!("partition {}{bridge}", groups.join(" | "))
        }
        FaultKind::OneWay { from, to } => format!("one-way {} -x-> {}", names(from), names(to)),
        FaultKind::Crash { hosts, .. } => format!("crash {}", names(hosts)),
        FaultKind::CrashOnWrite { hosts, .. } => format!("crash on write {}", names(hosts)),
        FaultKind::Pause { hosts } => format!("pause {}", names(hosts)),
        FaultKind::Clock { hosts, skew } => format!("clock {skew} us {}", names(hosts)),
        FaultKind::SlowDisk { hosts, delay } => format!("slow disk {delay} us {}", names(hosts)),
        FaultKind::Amnesia { hosts } => format!("amnesia {}", names(hosts)),
        FaultKind::Wipe { hosts } => format!("wipe {}", names(hosts)),
        FaultKind::Late { hosts } => format!("late {}", names(hosts)),
    }
}
