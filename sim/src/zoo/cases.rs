//! The worlds in which each mutant is looked for: the swarm's, where they are enough, and else small worlds that have what
//! the mutant needs to be seen. What is small and what is drawn depends on the seed alone.

use crate::fact::Micros;
use crate::rng::Stream;
use crate::scenario::{Byzantine, EVER, Fault, FaultKind, Jitter, Latency, Scenario};
use crate::swarm::draw::draw;
use outrider_types::zoo::Mutant;
use std::time::Duration;

const MS: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// Where a mutant is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Which.
    pub mutant: Mutant,
    /// What the worlds are like, in a few words.
    pub worlds: &'static str,
    /// The world of a seed.
    pub scenario: fn(u64) -> Scenario,
}

/// The case of a mutant.
#[must_use]
pub fn case(mutant: Mutant) -> Case {
    use Mutant as M;
    let (worlds, scenario): (_, fn(u64) -> Scenario) = match mutant {
        M::WeightUnchecked
        | M::SignerCountedTwice
        | M::EntriesUnbound
        | M::HighViewUnchecked
        | M::KindsConfused => ("four members, one a forger, loss", forger),
        M::EpochNotSigned => ("short epochs, a replayer", replayer),
        M::RangeUnverified => ("a laggard and a lying syncer", laggard),
        M::HighestClaimTrusted => ("a lying syncer", liar),
        M::VoteRulePrecedence | M::LegalPairBlamed => ("four members, loss", lossy),
        M::VoteWithoutPayload => ("a withholder, transactions, loss", withholder),
        M::FutureDropped => ("uneven delays, a minimum of commits", uneven),
        M::FutureUnbounded => ("a spammer, views that last", spammer),
        M::AdvanceOnEqual => ("a member misses views and is needed then", cuts),
        M::NoBackoff => ("delays beyond the base timer", slow),
        M::ProposesWithoutTc => ("one silent member", silent),
        M::FillerInLedger => ("short epochs, loss", epochs),
        M::EntryNotForwarded => ("one a view ahead, another dead, all restart", apart),
        M::RootsUnchecked => ("policies and bundles, a root-liar", root_liar),
        M::OrderUnchecked => ("policies and bundles, a misorderer", misorderer),
        M::ClosedUnchecked => ("a rollup that closes, a trespasser", trespasser),
        M::BundlesUnchecked => ("policies and bundles, a bundle-splitter", splitter),
        _ => ("the swarm's", draw),
    };
    Case {
        mutant,
        worlds,
        scenario,
    }
}

/// Equal members in a storm that lasts `storm`, and then `calm`; no promise but the safe ones.
fn small(name: &str, members: usize, storm: Micros, calm: Micros) -> Scenario {
    let mut scenario = Scenario::calm(members);
    scenario.name = name.to_owned();
    scenario.about = String::new();
    scenario.gst = storm;
    scenario.end = storm + calm;
    scenario.workload.rate = 0.0;
    scenario.idle_block = 20 * MS;
    scenario.expect.commits_min = 0;
    scenario
}

fn with_deed(mut scenario: Scenario, host: usize, deed: &str) -> Scenario {
    scenario.byzantine.push(Byzantine {
        host,
        deed: deed.to_owned(),
    });
    scenario
}

fn push(scenario: &mut Scenario, at: Micros, lasts: Micros, kind: FaultKind) {
    scenario.faults.push(Fault { at, lasts, kind });
}

/// All timers the same.
fn timers(scenario: &mut Scenario, base: Micros, cap: Micros) {
    scenario.timers.base_timeout = Duration::from_micros(base);
    scenario.timers.timeout_cap = Duration::from_micros(cap);
}

fn any_host(seed: u64, members: usize) -> usize {
    Stream::new(seed, "zoo host").index(members)
}

fn forger(seed: u64) -> Scenario {
    let mut scenario = small("forger", 4, 6 * SECOND, SECOND);
    scenario.network.latency = Latency::Uniform(5 * MS, 40 * MS);
    scenario.delta = 40 * MS;
    scenario.network.loss = 0.2;
    with_deed(scenario, any_host(seed, 4), "forger")
}

fn lossy(_: u64) -> Scenario {
    let mut scenario = small("lossy", 4, 8 * SECOND, SECOND);
    scenario.network.latency = Latency::Uniform(5 * MS, 40 * MS);
    scenario.delta = 40 * MS;
    scenario.network.loss = 0.2;
    scenario
}

fn withholder(seed: u64) -> Scenario {
    let mut scenario = lossy(seed);
    scenario.name = "withholder".to_owned();
    scenario.workload.rate = 20.0;
    with_deed(scenario, any_host(seed, 4), "withholder")
}

fn replayer(seed: u64) -> Scenario {
    let mut scenario = small("replayer", 4, 10 * SECOND, SECOND);
    scenario.committee.epoch_blocks = 4;
    scenario.network.loss = 0.1;
    with_deed(scenario, any_host(seed, 4), "replayer")
}

fn laggard(seed: u64) -> Scenario {
    let mut scenario = small("laggard", 4, 8 * SECOND, SECOND);
    let liar = any_host(seed, 4);
    let hosts = vec![(liar + 1) % 4];
    push(
        &mut scenario,
        SECOND,
        3 * SECOND,
        FaultKind::Crash {
            hosts,
            unsynced: 0.5,
        },
    );
    with_deed(scenario, liar, "lying-syncer")
}

fn liar(seed: u64) -> Scenario {
    let mut scenario = small("liar", 4, 2 * SECOND, 18 * SECOND);
    scenario.expect.commit_within = Some(10 * SECOND);
    with_deed(scenario, any_host(seed, 4), "lying-syncer")
}

fn uneven(_: u64) -> Scenario {
    let mut scenario = small("uneven", 4, SECOND, 9 * SECOND);
    scenario.network.latency = Latency::Uniform(2 * MS, 50 * MS);
    scenario.delta = 50 * MS;
    timers(&mut scenario, SECOND, 4 * SECOND);
    scenario.expect.commits_min = 150;
    scenario
}

fn spammer(_: u64) -> Scenario {
    let mut scenario = small("spammer", 4, 180 * SECOND, SECOND);
    // Without the third member nothing moves on, and what is kept of far views is never pruned.
    timers(&mut scenario, 100 * SECOND, 100 * SECOND);
    let hosts = vec![1];
    push(
        &mut scenario,
        0,
        179 * SECOND,
        FaultKind::Crash {
            hosts,
            unsynced: 0.0,
        },
    );
    // It speaks when it hears something.
    scenario.workload.rate = 50.0;
    with_deed(scenario, 0, "spammer")
}

fn cuts(seed: u64) -> Scenario {
    let mut scenario = small("cuts", 4, 3 * SECOND, 20 * SECOND);
    scenario.idle_block = 100 * MS;
    let alone = any_host(seed, 4);
    let others = (0..4).filter(|host| *host != alone).collect();
    let groups = vec![vec![alone], others];
    let kind = FaultKind::Partition {
        groups,
        bridge: Vec::new(),
    };
    // It misses some views; when it is back it is needed, for another one is dead.
    push(&mut scenario, 300 * MS, 1_200 * MS, kind);
    let hosts = vec![(alone + 1) % 4];
    push(
        &mut scenario,
        1_400 * MS,
        EVER,
        FaultKind::Crash {
            hosts,
            unsynced: 0.0,
        },
    );
    scenario.expect.commit_within = Some(10 * SECOND);
    scenario
}

fn slow(_: u64) -> Scenario {
    let mut scenario = small("slow", 4, 60 * SECOND, MS);
    timers(&mut scenario, 200 * MS, 8 * SECOND);
    scenario.network.jitter = Jitter::LogNormal(300 * MS, 0.1);
    scenario.expect.commits_min = 50;
    scenario
}

fn silent(seed: u64) -> Scenario {
    let mut scenario = small("silent", 4, MS, 20 * SECOND);
    scenario.expect.commit_within = Some(15 * SECOND);
    scenario.expect.commits_min = 100;
    with_deed(scenario, any_host(seed, 4), "silent")
}

fn epochs(_: u64) -> Scenario {
    let mut scenario = small("epochs", 4, 10 * SECOND, SECOND);
    scenario.committee.epoch_blocks = 3;
    scenario.network.loss = 0.15;
    scenario.network.latency = Latency::Uniform(5 * MS, 40 * MS);
    scenario.delta = 40 * MS;
    scenario
}

fn apart(seed: u64) -> Scenario {
    let mut scenario = small("apart", 4, 2 * SECOND, 30 * SECOND);
    let ahead = any_host(seed, 4);
    let dead = (ahead + 1) % 4;
    let hosts = vec![dead];
    push(
        &mut scenario,
        0,
        EVER,
        FaultKind::Crash {
            hosts,
            unsynced: 0.0,
        },
    );
    let others: Vec<usize> = (0..4)
        .filter(|host| *host != ahead && *host != dead)
        .collect();
    // Nothing reaches the others; what they say reaches the one ahead.
    for host in &others {
        let from = (0..4).filter(|other| other != host).collect();
        let kind = FaultKind::OneWay {
            from,
            to: vec![*host],
        };
        push(&mut scenario, 0, 500 * MS, kind);
    }
    let hosts = (0..4).filter(|host| *host != dead).collect();
    push(
        &mut scenario,
        490 * MS,
        100 * MS,
        FaultKind::Crash {
            hosts,
            unsynced: 0.0,
        },
    );
    scenario.expect.commit_within = Some(20 * SECOND);
    scenario
}

/// A lane with a policy, a shuffled one, one without, a rollup that closes after 5 s, bundles, and a leader that breaks a rule of lanes.
fn lawless(deed: &str, seed: u64) -> Scenario {
    let mut scenario = small(deed, 4, SECOND, 8 * SECOND);
    scenario.workload.policies = true;
    scenario.workload.rate = 100.0;
    scenario.workload.rollups = 3;
    with_deed(scenario, any_host(seed, 4), deed)
}

fn root_liar(seed: u64) -> Scenario {
    lawless("root-liar", seed)
}

fn misorderer(seed: u64) -> Scenario {
    lawless("misorderer", seed)
}

fn trespasser(seed: u64) -> Scenario {
    lawless("trespasser", seed)
}

fn splitter(seed: u64) -> Scenario {
    lawless("bundle-splitter", seed)
}
