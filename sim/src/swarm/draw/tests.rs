//! Draws are a function of the seed, valid, written and read back, and have every knob on in some and off in some.

use super::*;
use crate::scenario::{Fault, live_core};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 500;

fn draws() -> impl Iterator<Item = Scenario> {
    (0..SEEDS).map(draw)
}

#[test]
fn a_seed_is_drawn_alike_twice_and_unlike_another() {
    let hashes: BTreeSet<String> = draws().map(|scenario| scenario.hash()).collect();
    assert_eq!(hashes.len() as u64, SEEDS);
    assert!((0..50).all(|seed| draw(seed) == draw(seed)));
}

#[test]
fn every_draw_is_valid() {
    for scenario in draws() {
        assert_eq!(scenario.problems(), [""; 0], "{}", scenario.name);
    }
}

#[test]
fn every_draw_is_written_and_read_back() {
    for scenario in draws() {
        let text = scenario.to_toml();
        let back = Scenario::from_toml(&scenario.name, &text).unwrap();
        assert_eq!(back, scenario, "{text}");
    }
}

/// The arithmetic of protocol section 1, on its own: those who are for good are at least `N - f - c` in every committee,
/// and Byzantine stake is at most `f`.
#[test]
fn what_is_promised_can_be_kept() {
    for scenario in draws() {
        let name = &scenario.name;
        let stakes = &scenario.committee.stakes;
        let first: Vec<(usize, u64)> = stakes.iter().copied().enumerate().collect();
        let total: u64 = stakes.iter().sum();
        let (f, c) = scenario.committee.faults.unwrap_or(((total - 1) / 3, 0));
        let mut committees = vec![(first, total, f, c)];
        for change in &scenario.changes {
            let total = change.hosts.len() as u64;
            let seats = change.hosts.iter().map(|host| (*host, 1)).collect();
            committees.push((seats, total, (total - 1) / 3, 0));
        }
        let good = for_good(&scenario);
        for (seats, total, f, c) in committees {
            let sum = |honest: bool| {
                let of = |(host, stake): &(usize, u64)| {
                    let counts = if honest {
                        good.contains(host)
                    } else {
                        !scenario.honest(*host)
                    };
                    if counts { *stake } else { 0 }
                };
                seats.iter().map(of).sum::<u64>()
            };
            assert!(sum(false) <= f, "{name}: too many Byzantine");
            assert!(sum(true) >= total - f - c, "{name}: too few for good");
        }
        assert!(
            !live_core(&scenario).is_empty(),
            "{name}: nobody must make progress"
        );
        let within = scenario.expect.commit_within.unwrap();
        assert!(scenario.gst + within < scenario.end, "{name}");
        assert!((5..=30).contains(&(scenario.gst / SECOND)), "{name}");
        assert!(
            scenario.end <= 180 * SECOND,
            "{name} takes {} s",
            scenario.end / SECOND
        );
        assert!(u128::from(scenario.idle_block) * 4 < scenario.timers.base_timeout.as_micros());
    }
}

/// What is on in a draw, of the committee and the network.
fn knobs(scenario: &Scenario) -> Vec<(&'static str, bool)> {
    let (spec, network) = (&scenario.committee, &scenario.network);
    let unequal = spec.stakes.iter().any(|stake| *stake != 1);
    vec![
        ("unequal stakes", unequal),
        ("f and c", spec.faults.is_some()),
        ("epochs", spec.epoch_blocks > 0),
        ("changes", !scenario.changes.is_empty()),
        ("joiners", spec.hosts > scenario.members()),
        ("constant", matches!(network.latency, Latency::Constant(_))),
        ("cloud", matches!(network.latency, Latency::Matrix(_))),
        ("jitter", network.jitter != Jitter::None),
        ("loss", network.loss > 0.0),
        ("much loss", network.loss >= 0.25),
        ("duplicate", network.duplicate > 0.0),
        ("much duplicate", network.duplicate >= 0.4),
        ("reorder", network.reorder),
        ("bandwidth", network.bandwidth.is_some()),
        ("R10", scenario.timers.dead_after_views > 0),
        ("workload", scenario.workload.rate > 0.0),
        ("Byzantine", !scenario.byzantine.is_empty()),
        ("many Byzantine", scenario.byzantine.len() > 1),
    ]
}

/// What is on in its storm; by fault, for a knob is on if one fault shows it.
fn weather(scenario: &Scenario, fault: &Fault) -> Vec<(&'static str, bool)> {
    let kind = &fault.kind;
    let everyone = kind.hosts().len() == scenario.committee.hosts;
    let crash = matches!(kind, FaultKind::Crash { .. });
    let bridged = matches!(kind, FaultKind::Partition { bridge, .. } if !bridge.is_empty());
    let wild =
        matches!(kind, FaultKind::Clock { skew, .. } if skew.unsigned_abs() > CLOCK_SKEW_MAX);
    vec![
        ("dead for good", crash && fault.until() > scenario.end),
        ("partition", matches!(kind, FaultKind::Partition { .. })),
        ("bridge", bridged),
        ("one-way", matches!(kind, FaultKind::OneWay { .. })),
        ("crash", crash && !everyone),
        ("power", crash && everyone && scenario.committee.hosts > 1),
        (
            "crash-on-write",
            matches!(kind, FaultKind::CrashOnWrite { .. }),
        ),
        ("pause", matches!(kind, FaultKind::Pause { .. })),
        ("disk", matches!(kind, FaultKind::SlowDisk { .. })),
        ("clock", matches!(kind, FaultKind::Clock { .. })),
        ("wild clock", wild),
        ("amnesia", matches!(kind, FaultKind::Amnesia { .. })),
        ("wipe", matches!(kind, FaultKind::Wipe { .. })),
        ("late", matches!(kind, FaultKind::Late { .. })),
    ]
}

#[test]
fn every_knob_is_on_in_some_and_off_in_some() {
    let mut on: BTreeMap<&str, u64> = BTreeMap::new();
    for scenario in draws() {
        let mut shown: BTreeMap<&str, bool> = BTreeMap::new();
        let faults = scenario.faults.iter();
        let storm = faults.flat_map(|fault| weather(&scenario, fault));
        for (knob, is) in knobs(&scenario).into_iter().chain(storm) {
            *shown.entry(knob).or_default() |= is;
        }
        for (knob, is) in shown {
            *on.entry(knob).or_default() += u64::from(is);
        }
    }
    assert_eq!(on.len(), 32, "every knob was looked at");
    for (knob, count) in &on {
        assert!(
            (10..SEEDS - 10).contains(count),
            "{knob} is on in {count} of {SEEDS}: {on:?}"
        );
    }
    let real = (0..3_000)
        .filter(|seed| draw(*seed).committee.keys == Keys::Ed25519)
        .count();
    assert!((10..70).contains(&real), "{real} of 3000 with real keys");
    let members: BTreeSet<usize> = draws().map(|scenario| scenario.members()).collect();
    assert_eq!(members, (1..=13).collect());
}

#[test]
fn every_deed_is_drawn() {
    let drawn: BTreeSet<String> = draws()
        .flat_map(|scenario| scenario.byzantine)
        .map(|one| one.deed)
        .collect();
    let all = deeds().into_iter().chain(LANE_DEEDS.iter().copied());
    assert_eq!(drawn, all.map(str::to_owned).collect());
}
