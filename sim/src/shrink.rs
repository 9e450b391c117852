//! Shrinking: from a scenario that breaks a promise to a small one that breaks the same promise.
//!
//! Delta debugging (Zeller and Hildebrandt, 2002) over what a scenario is made of: members, faults, Byzantine members,
//! changes of the committee, the network's weather, transactions, and then time. A cut is kept if the same checker still
//! fires, with the same seed or with one of a few others: a smaller world draws its chances differently.

use crate::fact::{Micros, Violation};
use crate::kernel::Statistics;
use crate::scenario::{Fault, FaultKind, Jitter, Latency, Scenario};

/// Other seeds that are tried for each cut.
const SEEDS: u64 = 6;
/// Rounds over all cuts.
const ROUNDS_MAX: usize = 8;
/// Seeds of the last search, for the run with the fewest views.
const LAST_SEEDS: u64 = 200;
/// Fewest members: with fewer nobody may be faulty.
const MEMBERS_MIN: usize = 4;

/// A run that breaks a promise.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The scenario.
    pub scenario: Scenario,
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub violation: Violation,
    /// The run, in numbers.
    pub statistics: Statistics,
}

impl Broken {
    /// Members, faults and Byzantine members, and views gone through.
    #[must_use]
    pub fn size(&self) -> (usize, usize, u64) {
        let faults = self.scenario.faults.len() + self.scenario.byzantine.len();
        (self.scenario.members(), faults, self.statistics.views)
    }
}

/// Runs a scenario: what was broken and the run in numbers, or none if all was well.
pub type Attempt<'a> = dyn FnMut(&Scenario, u64) -> Option<(Violation, Statistics)> + 'a;

/// Shrink a run, with at most so many attempts. `progress` is told how many were made, and the size so far.
pub fn shrink(
    first: Broken,
    attempts_max: u64,
    attempt: &mut Attempt<'_>,
    progress: &mut dyn FnMut(u64, &Broken),
) -> Broken {
    let mut shrinking = Shrinking {
        checker: first.violation.checker,
        best: first,
        attempts: 0,
        attempts_max,
        attempt,
        progress,
    };
    for _ in 0..ROUNDS_MAX {
        let before = shrinking.best.scenario.clone();
        shrinking.round();
        if shrinking.best.scenario == before || shrinking.spent() {
            break;
        }
    }
    shrinking.fewest_views();
    shrinking.best
}

struct Shrinking<'a, 'b> {
    checker: &'static str,
    best: Broken,
    attempts: u64,
    attempts_max: u64,
    attempt: &'a mut Attempt<'b>,
    progress: &'a mut dyn FnMut(u64, &Broken),
}

impl Shrinking<'_, '_> {
    const fn spent(&self) -> bool {
        self.attempts >= self.attempts_max
    }

    /// Whether the same promise is broken in this scenario with this seed; then it is the best so far.
    fn breaks(&mut self, scenario: &Scenario, seed: u64) -> bool {
        if self.spent() {
            return false;
        }
        self.attempts += 1;
        let Some((violation, statistics)) = (self.attempt)(scenario, seed) else {
            return false;
        };
        if violation.checker != self.checker {
            return false;
        }
        self.best = Broken {
            scenario: scenario.clone(),
            seed,
            violation,
            statistics,
        };
        (self.progress)(self.attempts, &self.best);
        true
    }

    /// Try a cut; whether it was kept.
    fn cut(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut scenario = self.best.scenario.clone();
        change(&mut scenario);
        if scenario == self.best.scenario {
            return false;
        }
        let first = self.best.seed;
        (0..=SEEDS).any(|offset| self.breaks(&scenario, if offset == 0 { first } else { offset }))
    }

    fn round(&mut self) {
        self.shorten();
        self.drop_parts(
            |scenario| scenario.faults.len(),
            |scenario, range| {
                scenario.faults.drain(range);
            },
        );
        self.drop_parts(
            |scenario| scenario.byzantine.len(),
            |scenario, range| {
                scenario.byzantine.drain(range);
            },
        );
        self.drop_parts(
            |scenario| scenario.changes.len(),
            |scenario, range| {
                scenario.changes.drain(range);
            },
        );
        self.fewer_members();
        self.calmer();
        self.fewer_hosts_in_faults();
        self.shorter_faults();
        self.shorten();
    }

    /// Nothing after the violation matters.
    fn shorten(&mut self) {
        let at = self.best.violation.at;
        if at < self.best.scenario.end {
            self.cut(|scenario| scenario.end = at.saturating_add(1));
        }
    }

    /// Leave out parts of a list: halves, then quarters, down to single ones.
    fn drop_parts(
        &mut self,
        length: impl Fn(&Scenario) -> usize,
        drop: impl Fn(&mut Scenario, std::ops::Range<usize>),
    ) {
        let mut size = length(&self.best.scenario);
        while size > 0 {
            let mut from = 0;
            while from < length(&self.best.scenario) && !self.spent() {
                let to = (from + size).min(length(&self.best.scenario));
                if !self.cut(|scenario| drop(scenario, from..to)) {
                    from = to;
                }
            }
            size /= 2;
        }
    }

    /// Leave out one host after the other; the others move up.
    fn fewer_members(&mut self) {
        let mut host = self.best.scenario.committee.hosts;
        while host > 0 && !self.spent() {
            host -= 1;
            let members = self.best.scenario.members();
            if members > MEMBERS_MIN || host >= members {
                self.cut(|scenario| without_host(scenario, host));
            }
        }
    }

    /// Milder weather, fewer clients, equal stakes.
    fn calmer(&mut self) {
        let cuts: [fn(&mut Scenario); 12] = [
            |scenario| scenario.network.loss = 0.0,
            |scenario| scenario.network.duplicate = 0.0,
            |scenario| scenario.network.jitter = Jitter::None,
            |scenario| scenario.network.bandwidth = None,
            |scenario| scenario.network.reorder = false,
            |scenario| {
                let longest = scenario.network.latency.longest();
                scenario.network.latency = Latency::Uniform(1_000, longest.max(1_000));
            },
            |scenario| {
                let longest = scenario.network.latency.longest();
                scenario.network.latency = Latency::Constant(longest);
            },
            |scenario| scenario.workload.rate = 0.0,
            |scenario| scenario.workload.rate /= 4.0,
            |scenario| scenario.workload.rollups = 1,
            |scenario| scenario.committee.stakes.fill(1),
            |scenario| {
                scenario.committee.epoch_blocks = 0;
                scenario.changes.clear();
            },
        ];
        for change in cuts {
            self.cut(change);
        }
    }

    /// Faults that happen to fewer hosts.
    fn fewer_hosts_in_faults(&mut self) {
        for at in 0..self.best.scenario.faults.len() {
            let count = hosts_of(&mut self.best.scenario.faults[at].kind.clone())
                .map_or(0, |hosts| hosts.len());
            for which in (0..count).rev() {
                self.cut(|scenario| {
                    if let Some(hosts) = hosts_of(&mut scenario.faults[at].kind)
                        && hosts.len() > 1
                    {
                        hosts.remove(which.min(hosts.len() - 1));
                    }
                });
            }
        }
    }

    /// Faults that come earlier and are over sooner, and a storm that is.
    fn shorter_faults(&mut self) {
        for at in 0..self.best.scenario.faults.len() {
            for _ in 0..6 {
                let earlier = self.cut(|scenario| halve(&mut scenario.faults[at].at));
                let shorter = self.cut(|scenario| halve(&mut scenario.faults[at].lasts));
                if !earlier && !shorter {
                    break;
                }
            }
        }
        // Everything at once, twice as fast.
        for _ in 0..6 {
            let kept = self.cut(|scenario| {
                for Fault { at, lasts, .. } in &mut scenario.faults {
                    halve(at);
                    halve(lasts);
                }
                halve(&mut scenario.gst);
            });
            if !kept {
                break;
            }
        }
    }

    /// Among many seeds, the run that goes through the fewest views.
    fn fewest_views(&mut self) {
        let mut best = self.best.clone();
        for seed in 0..LAST_SEEDS {
            let scenario = best.scenario.clone();
            if self.breaks(&scenario, seed) && self.best.statistics.views < best.statistics.views {
                best = self.best.clone();
            }
        }
        self.best = best;
        self.shorten();
    }
}

fn halve(time: &mut Micros) {
    // Whole milliseconds, for people.
    *time = *time / 2_000 * 1_000;
}

/// The list of hosts that a fault happens to, if it has one.
const fn hosts_of(kind: &mut FaultKind) -> Option<&mut Vec<usize>> {
    match kind {
        FaultKind::Partition { .. } | FaultKind::OneWay { .. } => None,
        FaultKind::Crash { hosts, .. }
        | FaultKind::CrashOnWrite { hosts, .. }
        | FaultKind::Pause { hosts }
        | FaultKind::Clock { hosts, .. }
        | FaultKind::SlowDisk { hosts, .. }
        | FaultKind::Amnesia { hosts }
        | FaultKind::Wipe { hosts }
        | FaultKind::Late { hosts } => Some(hosts),
    }
}

/// The scenario without a host; those after it move up.
fn without_host(scenario: &mut Scenario, gone: usize) {
    let move_up = |hosts: &mut Vec<usize>| {
        hosts.retain(|host| *host != gone);
        for host in hosts.iter_mut().filter(|host| **host > gone) {
            *host -= 1;
        }
    };
    if gone < scenario.committee.stakes.len() {
        scenario.committee.stakes.remove(gone);
        // Thresholds that fitted more stake do not fit less.
        scenario.committee.faults = None;
    }
    scenario.committee.hosts = scenario.committee.hosts.saturating_sub(1);
    for fault in &mut scenario.faults {
        match &mut fault.kind {
            FaultKind::Partition { groups, bridge } => {
                groups.iter_mut().for_each(move_up);
                move_up(bridge);
            }
            FaultKind::OneWay { from, to } => {
                move_up(from);
                move_up(to);
            }
            kind => {
                if let Some(hosts) = hosts_of(kind) {
                    move_up(hosts);
                }
            }
        }
    }
    scenario.faults.retain(|fault| match &fault.kind {
        FaultKind::Partition { groups, .. } => groups.iter().any(|group| !group.is_empty()),
        FaultKind::OneWay { from, to } => !from.is_empty() && !to.is_empty(),
        other => !other.hosts().is_empty(),
    });
    scenario.byzantine.retain(|one| one.host != gone);
    for one in &mut scenario.byzantine {
        one.host -= usize::from(one.host > gone);
    }
    scenario.changes.retain(|change| change.via != gone);
    for change in &mut scenario.changes {
        move_up(&mut change.hosts);
        change.via -= usize::from(change.via > gone);
    }
    scenario
        .changes
        .retain(|change| change.hosts.len() >= MEMBERS_MIN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Class;
    use crate::scenario::Byzantine;

    fn fault(at: Micros, hosts: &[usize]) -> Fault {
        Fault {
            at,
            lasts: 1_000_000,
            kind: FaultKind::Pause {
                hosts: hosts.to_vec(),
            },
        }
    }

    /// A world that breaks whenever host 2 is paused for at least 200 ms beside a Byzantine member.
    fn fragile(scenario: &Scenario, _: u64) -> Option<(Violation, Statistics)> {
        let paused = scenario.faults.iter().find(|fault| {
            matches!(&fault.kind, FaultKind::Pause { hosts } if hosts.contains(&2))
                && fault.lasts >= 200_000
        })?;
        let breaks = !scenario.byzantine.is_empty() && scenario.end > paused.at;
        breaks.then(|| {
            let violation = Violation {
                checker: "S1",
                class: Class::Safety,
                at: paused.at + 5,
                what: "a fork".to_owned(),
            };
            (violation, Statistics::default())
        })
    }

    #[test]
    fn what_does_not_matter_is_cut_away_and_what_matters_stays() {
        let mut scenario = Scenario::calm(9);
        scenario.gst = 9_000_000;
        scenario.network.loss = 0.3;
        scenario.faults = (0..9)
            .map(|number| fault(1_000_000 * number, &[number as usize, 2, 5]))
            .collect();
        scenario.byzantine = [7, 8]
            .map(|host| Byzantine {
                host,
                deed: "silent".to_owned(),
            })
            .to_vec();
        let (violation, statistics) = fragile(&scenario, 1).unwrap();
        let first = Broken {
            scenario,
            seed: 1,
            violation,
            statistics,
        };
        let mut told = 0;
        let small = shrink(first, 10_000, &mut fragile, &mut |_, _| told += 1);
        assert_eq!(small.size(), (4, 2, 0), "{:?}", small.scenario);
        let hosts = small.scenario.faults[0].kind.hosts();
        assert_eq!(hosts, [2]);
        assert!(small.scenario.faults[0].lasts < 400_000);
        assert!(small.scenario.network.loss == 0.0 && told > 0);
        assert!(fragile(&small.scenario, small.seed).is_some());
    }

    #[test]
    fn hosts_move_up_when_one_is_left_out() {
        let mut scenario = Scenario::calm(5);
        scenario.faults = vec![fault(0, &[1, 3]), fault(0, &[2])];
        scenario.byzantine = vec![Byzantine {
            host: 4,
            deed: "silent".to_owned(),
        }];
        without_host(&mut scenario, 2);
        assert_eq!(scenario.members(), 4);
        assert_eq!(scenario.faults, [fault(0, &[1, 2])]);
        assert_eq!(scenario.byzantine[0].host, 3);
    }
}
