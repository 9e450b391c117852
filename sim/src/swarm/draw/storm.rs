//! The storm: what happens to hosts and to the network until `gst`.

use super::{Fates, MS, SECOND};
use crate::fact::Micros;
use crate::rng::Stream;
use crate::scenario::{CLOCK_SKEW_MAX, EVER, Fault, FaultKind, Scenario};

/// Attempts to find a time for a fault at which its hosts are not down by another one.
const ATTEMPTS: usize = 8;

/// The faults of a storm so far.
pub(super) struct Storm {
    hosts: usize,
    gst: Micros,
    faults: Vec<Fault>,
    /// By host: when it is down or stands still, so that one fault at a time says so.
    down: Vec<Vec<(Micros, Micros)>>,
}

impl Storm {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            hosts: scenario.committee.hosts,
            gst: scenario.gst,
            faults: Vec::new(),
            down: vec![Vec::new(); scenario.committee.hosts],
        }
    }

    /// In the order in which they begin.
    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.at);
        self.faults
    }

    /// Hosts, at least one, in order.
    fn some(&self, stream: &mut Stream) -> Vec<usize> {
        let mut hosts: Vec<usize> = (0..self.hosts).collect();
        stream.shuffle(&mut hosts);
        hosts.truncate(1 + stream.index(self.hosts));
        hosts.sort_unstable();
        hosts
    }

    /// When a fault begins, in whole milliseconds, and for how long: at least `least`, at most `most`, over before `gst`.
    fn span(&self, stream: &mut Stream, least: Micros, most: Micros) -> (Micros, Micros) {
        let at = stream.between(0, self.gst / MS - 3) * MS;
        let lasts = stream.between(least / MS, most / MS) * MS;
        (at, lasts.min(self.gst - MS - at))
    }

    fn push(&mut self, at: Micros, lasts: Micros, kind: FaultKind) {
        self.faults.push(Fault { at, lasts, kind });
    }

    /// Whether a host is neither down nor paused at any time from `at` to `until`.
    fn is_free(&self, host: usize, at: Micros, until: Micros) -> bool {
        self.down[host]
            .iter()
            .all(|(from, to)| until < *from || *to < at)
    }

    /// A fault that keeps its hosts down, at a time at which nothing else does; if none is found, nothing happens.
    fn keep_down(&mut self, stream: &mut Stream, least: Micros, most: Micros, kind: &FaultKind) {
        let hosts = kind.hosts();
        for _ in 0..ATTEMPTS {
            let (at, mut lasts) = self.span(stream, least, most.min(self.gst));
            if most == EVER {
                lasts = EVER;
            }
            let until = at.saturating_add(lasts);
            if hosts.iter().all(|host| self.is_free(*host, at, until)) {
                for host in hosts {
                    self.down[host].push((at, until));
                }
                self.push(at, lasts, kind.clone());
                return;
            }
        }
    }

    /// Everyone at once.
    pub(super) fn powers(&mut self, stream: &mut Stream) {
        if !stream.chance(0.25) {
            return;
        }
        for _ in 0..stream.between(1, 2) {
            let kind = FaultKind::Crash {
                hosts: (0..self.hosts).collect(),
                unsynced: survival(stream),
            };
            self.keep_down(stream, 0, SECOND, &kind);
        }
    }

    /// Those who die, and those who come back without what they signed.
    pub(super) fn for_good(&mut self, fates: &Fates, stream: &mut Stream) {
        for host in &fates.dead {
            let kind = FaultKind::Crash {
                hosts: vec![*host],
                unsynced: survival(stream),
            };
            self.keep_down(stream, 0, EVER, &kind);
        }
        for (host, everything) in &fates.forgetful {
            let hosts = vec![*host];
            let kind = if *everything {
                FaultKind::Wipe { hosts }
            } else {
                FaultKind::Amnesia { hosts }
            };
            self.keep_down(stream, 0, 5 * SECOND, &kind);
        }
    }

    /// A host or two that join when the others have long begun; back by `gst`.
    pub(super) fn late(&mut self, fates: &Fates, stream: &mut Stream) {
        if !stream.chance(0.15) {
            return;
        }
        let forgets = |host: &usize| fates.forgetful.iter().any(|(other, _)| other == host);
        let until = stream.between(1_000, self.gst / MS - 1) * MS;
        let mut hosts = self.some(stream);
        hosts.retain(|host| self.is_free(*host, 0, until) && !forgets(host));
        hosts.truncate(2);
        if hosts.is_empty() {
            return;
        }
        for host in &hosts {
            self.down[*host].push((0, until));
        }
        self.push(0, until, FaultKind::Late { hosts });
    }

    pub(super) fn crashes(&mut self, stream: &mut Stream) {
        if !stream.chance(0.5) {
            return;
        }
        for _ in 0..stream.between(1, 6) {
            let kind = FaultKind::Crash {
                hosts: self.some(stream),
                unsynced: survival(stream),
            };
            self.keep_down(stream, 0, 3 * SECOND, &kind);
        }
    }

    pub(super) fn pauses(&mut self, stream: &mut Stream) {
        if !stream.chance(0.3) {
            return;
        }
        for _ in 0..stream.between(1, 4) {
            let hosts = self.some(stream);
            self.keep_down(stream, MS, 3 * SECOND, &FaultKind::Pause { hosts });
        }
    }

    /// Writes that end in a crash, with probabilities from 1 in 10,000 to 1 in 10.
    pub(super) fn writes(&mut self, stream: &mut Stream) {
        if !stream.chance(0.25) {
            return;
        }
        let rare = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1];
        let (at, lasts) = self.span(stream, SECOND, self.gst);
        let kind = FaultKind::CrashOnWrite {
            hosts: self.some(stream),
            probability: rare[stream.index(rare.len())],
            restart: stream.between(10, 1_000) * MS,
        };
        self.push(at, lasts, kind);
    }

    pub(super) fn disks(&mut self, stream: &mut Stream) {
        if !stream.chance(0.3) {
            return;
        }
        let (at, lasts) = self.span(stream, MS, self.gst);
        let kind = FaultKind::SlowDisk {
            hosts: self.some(stream),
            delay: stream.between(1, 500) * MS,
        };
        self.push(at, lasts, kind);
    }

    /// Clocks that are off: mostly by what members bear for ever, sometimes by more, until `gst`; not by more if someone's
    /// silence is measured by them (protocol section 7).
    pub(super) fn clocks(&mut self, fates: &Fates, stream: &mut Stream) {
        if !stream.chance(0.4) {
            return;
        }
        for host in self.some(stream) {
            let wild = stream.chance(0.2) && fates.forgetful.is_empty();
            let most = CLOCK_SKEW_MAX * if wild { 6 } else { 1 };
            let skew = i64::try_from(stream.between(1, most / MS) * MS).unwrap_or_default();
            let skew = if stream.chance(0.5) { skew } else { -skew };
            let (mut at, mut lasts) = self.span(stream, SECOND, self.gst);
            if stream.chance(0.5) {
                at = 0;
            }
            if stream.chance(0.5) && !wild {
                lasts = EVER;
            }
            let hosts = vec![host];
            self.push(at, lasts, FaultKind::Clock { hosts, skew });
        }
    }

    pub(super) fn partitions(&mut self, stream: &mut Stream) {
        if self.hosts < 2 || !stream.chance(0.6) {
            return;
        }
        for _ in 0..stream.between(1, 6) {
            let (at, lasts) = self.span(stream, 100 * MS, 6 * SECOND);
            let kind = self.partition(stream);
            self.push(at, lasts, kind);
        }
    }

    fn partition(&self, stream: &mut Stream) -> FaultKind {
        let mut hosts: Vec<usize> = (0..self.hosts).collect();
        stream.shuffle(&mut hosts);
        if stream.chance(0.25) {
            let (from, to) = hosts.split_at(1 + stream.index(self.hosts - 1));
            return FaultKind::OneWay {
                from: from.to_vec(),
                to: to.to_vec(),
            };
        }
        // The last list is of those in no group, who are alone; often there are none.
        let lists = 1 + stream.index(3);
        let loners = stream.chance(0.3);
        let mut groups = vec![Vec::new(); lists + 1];
        let mut bridge = Vec::new();
        let bridged = stream.chance(0.25);
        for (place, host) in hosts.into_iter().enumerate() {
            if bridged && place == 0 {
                bridge.push(host);
            } else {
                groups[stream.index(lists + 1 + usize::from(loners)) % (lists + 1)].push(host);
            }
        }
        if loners {
            groups.pop();
        }
        groups.iter_mut().for_each(|group| group.sort_unstable());
        groups.retain(|group| !group.is_empty());
        FaultKind::Partition { groups, bridge }
    }
}

/// Probability that a write that was not synced survives a crash: all, none, half of them, or any.
fn survival(stream: &mut Stream) -> f64 {
    match stream.below(4) {
        0 => 0.0,
        1 => 0.5,
        2 => 1.0,
        _ => super::percent(stream, 99),
    }
}
