//! The swarm's draw: a scenario that is a pure function of its seed. Each knob is first drawn on or off, then its value, so
//! that few scenarios have everything and most lack something.
//!
//! ```text
//! 0 ------------------ storm ------------------ gst ---- a live core must commit within ---- end
//!   loss, doubles, cuts, crashes, pauses, clocks     the rest is dead or Byzantine for good
//! ```
//!
//! What is promised stays within what protocol section 1 promises: Byzantine stake is at most `f`, and those who stay
//! honest, up and in possession of what they signed have at least `T` in every committee that may be in office. A host that
//! lost its vote journal is counted as dead, for it is silent (protocol section 7).

mod storm;

use crate::adversary::{DEEDS, LANE_DEEDS};
use crate::fact::Micros;
use crate::rng::Stream;
use crate::scenario::{
    Byzantine, CLOCK_SKEW_MAX, Change, FaultKind, Jitter, Keys, Latency, Scenario, aws, for_good,
    lan, zipf,
};
use outrider_types::Thresholds;
use std::time::Duration;
use storm::Storm;

const MS: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// Least timer: a lower one makes blocks so frequent that a run costs more than a few ten milliseconds.
const BASE_MIN: Micros = 400 * MS;
/// Messages per second that a workload may cause, roughly: its rate times the members.
const LOAD_MAX: u64 = 100;
/// Time after which whatever was under way at `gst` has come to rest: retries of clients and of fetches.
const SLACK: Micros = 3 * SECOND;

/// The scenario of a seed.
#[must_use]
pub fn draw(seed: u64) -> Scenario {
    let stream = |purpose: &str| Stream::new(seed, &format!("swarm {purpose}"));
    let mut scenario = Scenario::calm(1);
    scenario.name = format!("swarm-{seed}");
    scenario.about = String::new();
    committee(&mut scenario, &mut stream("committee"));
    network(&mut scenario, &mut stream("network"));
    timers(&mut scenario, &mut stream("timers"));
    workload(&mut scenario, &mut stream("workload"));
    storm_length(&mut scenario, &mut stream("length"));
    changes(&mut scenario, &mut stream("changes"));
    let fates = fates(&mut scenario, &mut stream("fates"));
    let mut storm = Storm::new(&scenario);
    storm.powers(&mut stream("power"));
    storm.for_good(&fates, &mut stream("for good"));
    storm.late(&fates, &mut stream("late"));
    storm.crashes(&mut stream("crashes"));
    storm.pauses(&mut stream("pauses"));
    storm.writes(&mut stream("writes"));
    storm.disks(&mut stream("disks"));
    storm.clocks(&fates, &mut stream("clocks"));
    storm.partitions(&mut stream("partitions"));
    scenario.faults = storm.into_faults();
    lanes(&mut scenario, &mut stream("lanes"));
    expect(&mut scenario);
    scenario
}

fn committee(scenario: &mut Scenario, stream: &mut Stream) {
    let members = if stream.chance(0.8) {
        stream.between(4, 10)
    } else {
        stream.between(1, 13)
    };
    let members = usize::try_from(members).unwrap_or(4);
    let spec = &mut scenario.committee;
    spec.stakes = match stream.below(10) {
        0..6 => vec![1; members],
        6..8 => {
            // An exponent with one digit, so that it can be read in a report.
            let exponent = stream.between(3, 15);
            #[allow(clippy::cast_precision_loss, reason = "at most 15")]
            let mut stakes = zipf(members, exponent as f64 / 10.0);
            stream.shuffle(&mut stakes);
            stakes
        }
        _ => (0..members).map(|_| stream.between(1, 10)).collect(),
    };
    if stream.chance(0.4) {
        let total: u64 = spec.stakes.iter().sum();
        let byzantine = stream.between(0, (total - 1) / 3);
        let crashed = stream.between(0, (total - 1 - 3 * byzantine) / 2);
        spec.faults = Some((byzantine, crashed));
    }
    spec.hosts = members;
    if stream.chance(0.4) {
        spec.epoch_blocks = stream.between(5, 40);
    }
    if stream.chance(0.01) {
        spec.keys = Keys::Ed25519;
    }
}

fn network(scenario: &mut Scenario, stream: &mut Stream) {
    let network = &mut scenario.network;
    network.latency = match stream.below(10) {
        0..2 => lan(),
        2..4 => Latency::Constant(stream.between(1, 100) * MS),
        4..8 => {
            let low = stream.between(1, 50);
            Latency::Uniform(low * MS, (low + stream.between(1, 100)) * MS)
        }
        _ => aws(),
    };
    if stream.chance(0.5) {
        network.jitter = if stream.chance(0.5) {
            Jitter::Uniform(stream.between(1, 2_000) * MS)
        } else {
            #[allow(clippy::cast_precision_loss, reason = "at most 20")]
            let deviation = stream.between(1, 20) as f64 / 10.0;
            Jitter::LogNormal(stream.between(1, 200) * MS, deviation)
        };
    }
    if stream.chance(0.5) {
        network.loss = percent(stream, 30);
    }
    if stream.chance(0.4) {
        network.duplicate = percent(stream, 50);
    }
    network.reorder = stream.chance(0.7);
    if stream.chance(0.2) {
        // From 20 Mbit: after `gst` what waits for the wire must still arrive within `delta`.
        network.bandwidth = Some(stream.between(20, 1_000) * 125_000);
    }
    let longest = network.latency.longest();
    let room = stream.between(10, 20) * longest / 10;
    scenario.delta = room.max(longest + 5 * MS).next_multiple_of(MS);
}

/// From 1 to `most` percent.
#[allow(clippy::cast_precision_loss, reason = "at most 100")]
fn percent(stream: &mut Stream, most: u64) -> f64 {
    stream.between(1, most) as f64 / 100.0
}

fn timers(scenario: &mut Scenario, stream: &mut Stream) {
    let base = (scenario.delta * stream.between(5, 12)).max(BASE_MIN);
    let cap = (base * stream.between(1, 6)).min(base.max(4 * SECOND));
    // An idle leader must not be taken for a dead one (node: consensus.idle_block_ms).
    scenario.idle_block = (base / stream.between(5, 8)).next_multiple_of(MS) - MS;
    scenario.timers.base_timeout = Duration::from_micros(base);
    scenario.timers.timeout_cap = Duration::from_micros(cap);
    let unlike = [0, 4, 8, 16, 64];
    if stream.chance(0.5) {
        scenario.timers.dead_after_views = unlike[stream.index(unlike.len())];
    }
}

fn workload(scenario: &mut Scenario, stream: &mut Stream) {
    let members = scenario.members() as u64;
    let on = stream.chance(0.7);
    let workload = &mut scenario.workload;
    #[allow(clippy::cast_precision_loss, reason = "at most 20")]
    let rate = stream.between(1, (LOAD_MAX / members).clamp(1, 20)) as f64;
    workload.rate = if on { rate } else { 0.0 };
    workload.bytes = usize::try_from(stream.between(16, 1_024)).unwrap_or(32);
    workload.rollups = stream.between(1, 4);
    workload.retry = stream.chance(0.5);
}

/// Storms of few members last longer, for they cost less.
fn storm_length(scenario: &mut Scenario, stream: &mut Stream) {
    let most = (150 / scenario.members() as u64).clamp(8, 30);
    scenario.gst = stream.between(5_000, most * 1_000) * MS;
}

/// Up to two changes of the committee. One member, host 0, stays in all of them.
fn changes(scenario: &mut Scenario, stream: &mut Stream) {
    let members = scenario.members();
    if scenario.committee.epoch_blocks == 0 || !stream.chance(0.6) {
        return;
    }
    let joiners = stream.index(3);
    scenario.committee.hosts = members + joiners;
    for _ in 0..stream.between(1, 2) {
        let mut old: Vec<usize> = (1..members).collect();
        stream.shuffle(&mut old);
        old.truncate(old.len() - stream.index(members / 3 + 1));
        let mut hosts = vec![0];
        hosts.extend(old);
        hosts.extend((members..members + joiners).filter(|_| stream.chance(0.7)));
        // Seats in any order: the order of turns changes too.
        stream.shuffle(&mut hosts);
        scenario.changes.push(Change {
            at: stream.between(0, scenario.gst),
            hosts,
            via: 0,
        });
    }
    scenario.changes.sort_by_key(|change| change.at);
}

/// What becomes of hosts that do not belong to the live core.
struct Fates {
    /// Dead from some instant on.
    dead: Vec<usize>,
    /// They lose their vote journal, or the whole disk.
    forgetful: Vec<(usize, bool)>,
}

/// Stake that committees can still spare.
struct Budget {
    seats: Vec<Vec<u64>>,
    /// By committee: Byzantine stake, and all that is not for good.
    left: Vec<(u64, u64)>,
}

impl Budget {
    fn new(scenario: &Scenario) -> Self {
        let hosts = scenario.committee.hosts;
        let mut first = scenario.committee.stakes.clone();
        first.resize(hosts, 0);
        let mut seats = vec![first];
        let mut left = vec![spare(&seats[0], scenario.committee.faults)];
        for change in &scenario.changes {
            let seat = |host| u64::from(change.hosts.contains(&host));
            let stakes: Vec<u64> = (0..hosts).map(seat).collect();
            left.push(spare(&stakes, None));
            seats.push(stakes);
        }
        Self { seats, left }
    }

    /// Whether no committee depends on this host; then it is spent.
    fn spend(&mut self, host: usize, byzantine: bool) -> bool {
        let mut left = self.left.clone();
        for ((f, all), stakes) in left.iter_mut().zip(&self.seats) {
            let stake = stakes[host];
            if *all < stake || (byzantine && *f < stake) {
                return false;
            }
            *all -= stake;
            *f -= if byzantine { stake } else { 0 };
        }
        self.left = left;
        true
    }
}

/// `f` and `N - T` of a committee.
fn spare(stakes: &[u64], faults: Option<(u64, u64)>) -> (u64, u64) {
    let total: u64 = stakes.iter().sum();
    let (byzantine, crashed) = faults.unwrap_or((total.saturating_sub(1) / 3, 0));
    let thresholds = Thresholds::new(total, byzantine, crashed);
    thresholds.map_or((0, 0), |thresholds| {
        (byzantine, total - thresholds.timeout.0)
    })
}

/// Deeds that up to `f` stake may do without breaking a promise: all but the one that needs more, and those about lanes, which are
/// drawn with them.
fn deeds() -> Vec<&'static str> {
    let names = DEEDS.iter().map(|(deed, _)| *deed);
    names
        .filter(|deed| *deed != "forkers" && !LANE_DEEDS.contains(deed))
        .collect()
}

/// Policies and bundles in every fourth world; half of those who break rules break the rules of lanes then.
fn lanes(scenario: &mut Scenario, stream: &mut Stream) {
    scenario.workload.policies = stream.chance(0.25);
    if scenario.workload.policies {
        for one in &mut scenario.byzantine {
            if stream.chance(0.5)
                && let Some(deed) = stream.pick(LANE_DEEDS)
            {
                (*deed).clone_into(&mut one.deed);
            }
        }
    }
}

/// Who breaks the rules, who dies, who forgets: as many as the thresholds allow, and often fewer. Host 0 only if no
/// change depends on it.
fn fates(scenario: &mut Scenario, stream: &mut Stream) -> Fates {
    let mut budget = Budget::new(scenario);
    let anchored = usize::from(!scenario.changes.is_empty());
    let mut hosts: Vec<usize> = (anchored..scenario.committee.hosts).collect();
    stream.shuffle(&mut hosts);
    let (byzantine, forgetful, dead) = (stream.chance(0.6), stream.chance(0.3), stream.chance(0.5));
    let deeds = deeds();
    let mut fates = Fates {
        dead: Vec::new(),
        forgetful: Vec::new(),
    };
    for host in hosts {
        let fate = stream.below(4);
        let deed = deeds[stream.index(deeds.len())];
        let all = stream.chance(0.5);
        match fate {
            0 | 1 if byzantine && budget.spend(host, true) => {
                scenario.byzantine.push(Byzantine {
                    host,
                    deed: deed.to_owned(),
                });
            }
            1 | 2 if forgetful && budget.spend(host, false) => fates.forgetful.push((host, all)),
            2 | 3 if dead && budget.spend(host, false) => fates.dead.push(host),
            _ => {}
        }
    }
    scenario.byzantine.sort_by_key(|one| one.host);
    fates
}

/// What must come of it: the live core commits within a bound that rests on nothing but the timers (R12).
fn expect(scenario: &mut Scenario) {
    let good = for_good(scenario);
    let bad = (0..scenario.committee.hosts)
        .filter(|host| !good.contains(host))
        .count() as u64;
    let micros = |timer: Duration| Micros::try_from(timer.as_micros()).unwrap_or(Micros::MAX);
    let timers = &scenario.timers;
    let view = micros(timers.timeout_cap) + micros(timers.base_timeout) + 4 * scenario.delta;
    // Those whose turn is wasted have less than half of the stake, so turns that are not come between; a few views more to
    // meet in one, and to end an epoch.
    let views = 2 * bad + 4;
    // A block may carry the time of a clock that was ahead; those whose clocks are right wait until it is no longer 10 s
    // ahead of them (R4).
    let skew = scenario.faults.iter().map(|fault| match fault.kind {
        FaultKind::Clock { skew, .. } => skew.unsigned_abs() + CLOCK_SKEW_MAX,
        _ => 0,
    });
    let clocks = skew.max().unwrap_or_default();
    let within = views * view + clocks + SLACK;
    scenario.expect.commit_within = Some(within);
    scenario.expect.commits_min = 1;
    scenario.end = scenario.gst + within + SLACK;
}

#[cfg(test)]
mod tests;
