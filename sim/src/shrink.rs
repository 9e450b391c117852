//! Shrinking: from a scenario that breaks a promise to a small one that breaks the same promise.
//!
//! Delta debugging (Zeller and Hildebrandt, 2002) over what a scenario is made of: members, faults, Byzantine members,
//! changes of the committee, the network's weather, transactions, and then time. A cut is kept if the same checker still
//! fires, with the same seed or with one of a few others: a smaller world draws its chances differently.

use crate::fact::{Micros, Violation};
use crate::kernel::Statistics;
use crate::scenario::{EVER, Fault, FaultKind, Jitter, Keys, Latency, Scenario};

/// Other seeds that are tried for each cut.
const SEEDS: u64 = 6;
/// Other seeds that are tried for a member less, once the rest is small: chances change most by that.
const SEEDS_FOR_MEMBERS: u64 = 60;
/// Rounds over all cuts.
const ROUNDS_MAX: usize = 6;
/// Seeds of the last search, for the run with the fewest views.
const LAST_SEEDS: u64 = 1_000;
/// A cut may make a run longer, up to so many views.
const VIEWS_SHORT: u64 = 24;
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

/// `(f, c)` of a committee, if the scenario says so.
type Faults = Option<(u64, u64)>;

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
        seeds: SEEDS,
        attempts_max,
        attempt,
        progress,
    };
    for round in 0..ROUNDS_MAX {
        let before = shrinking.best.scenario.clone();
        shrinking.round(round > 0);
        if (round > 0 && shrinking.best.scenario == before) || shrinking.spent() {
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
    /// Other seeds that a cut is tried with.
    seeds: u64,
    attempts_max: u64,
    attempt: &'a mut Attempt<'b>,
    progress: &'a mut dyn FnMut(u64, &Broken),
}

impl Shrinking<'_, '_> {
    const fn spent(&self) -> bool {
        self.attempts >= self.attempts_max
    }

    /// Whether the same promise is broken in this scenario with this seed, and `better` likes the run: then it is the best
    /// so far.
    fn breaks_if(
        &mut self,
        scenario: &Scenario,
        seed: u64,
        better: &dyn Fn(&Statistics) -> bool,
    ) -> bool {
        if self.spent() {
            return false;
        }
        self.attempts += 1;
        let Some((violation, statistics)) = (self.attempt)(scenario, seed) else {
            return false;
        };
        if violation.checker != self.checker || !better(&statistics) {
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
        let most = self.best.statistics.views.max(VIEWS_SHORT);
        self.cut_if(change, &|statistics| statistics.views <= most)
    }

    /// Try a cut that is one only if it leads through fewer views.
    fn fewer(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let views = self.best.statistics.views;
        self.cut_if(change, &|statistics| statistics.views < views)
    }

    fn cut_if(
        &mut self,
        change: impl FnOnce(&mut Scenario),
        better: &dyn Fn(&Statistics) -> bool,
    ) -> bool {
        let mut scenario = self.best.scenario.clone();
        change(&mut scenario);
        // What no file may say would be a regression that nobody can run.
        if scenario == self.best.scenario || !scenario.problems().is_empty() {
            return false;
        }
        let first = self.best.seed;
        (0..=self.seeds).any(|offset| {
            let seed = if offset == 0 { first } else { offset };
            self.breaks_if(&scenario, seed, better)
        })
    }

    /// All cuts once; `thorough`: with many seeds where that helps.
    fn round(&mut self, thorough: bool) {
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
        self.seeds = if thorough { SEEDS_FOR_MEMBERS } else { SEEDS };
        self.small_committees();
        self.fewer_members();
        self.seeds = SEEDS;
        self.calmer();
        self.seeds = if thorough {
            SEEDS_FOR_MEMBERS / 3
        } else {
            SEEDS
        };
        self.sooner();
        self.seeds = SEEDS;
        self.fewer_hosts_in_faults();
        self.shorter_faults();
        self.shorten();
    }

    /// Nothing after the violation matters: not the rest of the storm either.
    fn shorten(&mut self) {
        let at = self.best.violation.at;
        if at < self.best.scenario.end {
            self.cut(|scenario| scenario.end = at.saturating_add(1).max(scenario.gst + 1));
        }
        self.cut(|scenario| {
            // What is on its way at `gst` arrives sooner than it would: a little room, for that to come later.
            let gst = at.saturating_add(scenario.delta).next_multiple_of(1_000);
            if gst < scenario.gst {
                over_by(scenario, gst);
                scenario.end = gst + 1_000;
            }
        });
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

    /// Another committee, as small as can be: what matters may be its thresholds.
    fn small_committees(&mut self) {
        if self.best.scenario.committee.hosts <= MEMBERS_MIN {
            return;
        }
        let committees: [(&[u64], Faults); 4] = [
            (&[1, 1, 1, 1], None),
            (&[1, 1, 1, 2], None),
            (&[1, 1, 1, 1], Some((0, 0))),
            (&[1, 1, 1, 1], Some((0, 1))),
        ];
        for (stakes, faults) in committees {
            let kept = self.cut(|scenario| {
                while scenario.committee.hosts > MEMBERS_MIN {
                    without_host(scenario, scenario.committee.hosts - 1);
                }
                scenario.committee.stakes = stakes.to_vec();
                scenario.committee.faults = faults;
                scenario.changes.clear();
            });
            if kept {
                break;
            }
        }
    }

    /// Leave out one host after the other; the others move up.
    fn fewer_members(&mut self) {
        let mut host = self.best.scenario.committee.hosts;
        while host > 0 && !self.spent() {
            host -= 1;
            let members = self.best.scenario.members();
            if members <= MEMBERS_MIN && host < members {
                continue;
            }
            let faults = self.best.scenario.committee.faults;
            let cut = self.cut(|scenario| without_host(scenario, host));
            // Thresholds that fitted more stake may fit less; or others take the stake over.
            if !cut && faults.is_some() {
                self.cut(|scenario| {
                    without_host(scenario, host);
                    scenario.committee.faults = faults;
                });
            }
            let members = self.best.scenario.members();
            if !cut && host < members && members > MEMBERS_MIN {
                self.cut(|scenario| {
                    let stakes = &mut scenario.committee.stakes;
                    let stake = stakes[host];
                    without_host(scenario, host);
                    scenario.committee.faults = faults;
                    if let Some(last) = scenario.committee.stakes.last_mut() {
                        *last += stake;
                    }
                });
            }
        }
    }

    /// Milder weather, fewer clients, equal stakes.
    fn calmer(&mut self) {
        let cuts: [fn(&mut Scenario); 16] = [
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
            |scenario| scenario.workload.policies = false,
            |scenario| scenario.committee.stakes.fill(1),
            |scenario| {
                scenario.committee.stakes.fill(1);
                scenario.committee.faults = None;
            },
            |scenario| scenario.committee.faults = None,
            |scenario| scenario.committee.keys = Keys::Simulated,
            |scenario| {
                scenario.committee.epoch_blocks = 0;
                scenario.changes.clear();
            },
        ];
        for change in cuts {
            self.cut(change);
        }
    }

    /// Promises that are due sooner, and timers in which less goes by.
    fn sooner(&mut self) {
        for _ in 0..5 {
            let kept = self.cut(|scenario| {
                if let Some(within) = &mut scenario.expect.commit_within {
                    halve(within);
                    let due = scenario.gst.saturating_add(*within);
                    scenario.end = scenario.end.min(due.saturating_add(2_000));
                }
            });
            if !kept {
                break;
            }
        }
        self.cut(|scenario| scenario.expect.commit_within = None);
        self.cut(|scenario| scenario.expect.commits_min = 0);
        self.cut(|scenario| scenario.expect.commits_min = scenario.expect.commits_min.min(1));
        let due: [fn(&mut Scenario); 8] = [
            |scenario| {
                shorter(scenario, 8);
                scenario.expect.commits_min = scenario.expect.commits_min.min(1);
            },
            |scenario| {
                shorter(scenario, 4);
                scenario.expect.commits_min /= 4;
            },
            |scenario| {
                shorter(scenario, 2);
                scenario.expect.commits_min /= 2;
            },
            |scenario| {
                shorter(scenario, 2);
                scenario.expect.commits_min = scenario.expect.commits_min * 2 / 5;
            },
            |scenario| shorter(scenario, 8),
            |scenario| shorter(scenario, 2),
            |scenario| halve(&mut scenario.gst),
            |scenario| {
                let calm = scenario.end.saturating_sub(scenario.gst);
                scenario.end = scenario.gst + (calm / 2).max(1);
            },
        ];
        for change in due {
            self.fewer(change);
        }
        let paces: [fn(&mut Scenario); 9] = [
            // More of a storm in less time.
            |scenario| {
                let loss = &mut scenario.network.loss;
                *loss = (*loss * 2.0).min(0.5);
            },
            |scenario| scenario.timers.base_timeout *= 4,
            |scenario| scenario.timers.base_timeout *= 2,
            |scenario| scenario.timers.timeout_cap *= 4,
            |scenario| scenario.timers.timeout_cap *= 2,
            |scenario| {
                scenario.timers.base_timeout *= 2;
                scenario.timers.timeout_cap *= 2;
            },
            |scenario| {
                let half = scenario.timers.base_timeout.as_micros() / 2;
                scenario.idle_block = Micros::try_from(half).unwrap_or(scenario.idle_block);
            },
            |scenario| scenario.idle_block *= 4,
            |scenario| scenario.idle_block *= 2,
        ];
        for pace in paces {
            self.fewer(|scenario| {
                pace(scenario);
                let timers = &mut scenario.timers;
                timers.timeout_cap = timers.timeout_cap.max(timers.base_timeout);
            });
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
            // Much earlier at once: in between there may be nothing to hit.
            for part in [16, 8, 4] {
                let early = self.fewer(|scenario| {
                    let begins = &mut scenario.faults[at].at;
                    *begins = *begins / part / 1_000 * 1_000;
                });
                if early {
                    break;
                }
            }
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
        let scenario = self.best.scenario.clone();
        for seed in 0..LAST_SEEDS {
            let views = self.best.statistics.views;
            self.breaks_if(&scenario, seed, &|statistics| statistics.views < views);
        }
        self.shorten();
        self.sooner();
        self.shorten();
    }
}

/// The storm ends at `gst`: faults that begin later never do, and others are over by then.
fn over_by(scenario: &mut Scenario, gst: Micros) {
    scenario.gst = gst;
    scenario.faults.retain(|fault| fault.at < gst);
    for fault in &mut scenario.faults {
        if fault.lasts < EVER && fault.until() > gst {
            fault.lasts = gst - fault.at;
        }
    }
    scenario.changes.retain(|change| change.at <= gst);
}

/// Storm and calm in a part of the time.
fn shorter(scenario: &mut Scenario, times: u64) {
    let end = (scenario.end / times).next_multiple_of(1_000);
    let gst = (scenario.gst / times)
        .next_multiple_of(1_000)
        .min(end.saturating_sub(1_000));
    over_by(scenario, gst);
    scenario.end = end;
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
        // Thresholds that fitted more stake may not fit less.
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
mod tests;
