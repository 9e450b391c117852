//! The checkers and marks over runs of the honest kernel: no checker fires, in calm worlds, in storms and over epochs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use outrider_sim::checkers::Checkers;
use outrider_sim::kernel::World;
use outrider_sim::marks::{Mark, Marks};
use outrider_sim::scenario::{Byzantine, Fault, FaultKind, Scenario};

fn run(scenario: &Scenario, seed: u64) -> (Checkers, Marks) {
    let watchers = (Checkers::new(scenario), Marks::new(scenario));
    let mut world = World::new(scenario, seed, watchers).unwrap();
    let outcome = world.run();
    assert_eq!(outcome, Ok(()), "{} seed {seed}", scenario.name);
    let at = world.now();
    let (mut checkers, marks) = world.into_observer();
    assert_eq!(checkers.finish(at), Ok(()), "{} seed {seed}", scenario.name);
    (checkers, marks)
}

#[test]
fn a_calm_world_breaks_no_promise() {
    for members in [1, 4, 7] {
        let scenario = Scenario::calm(members);
        let (checkers, _) = run(&scenario, members as u64);
        assert!(checkers.tip() > 20, "{members} members: {}", checkers.tip());
    }
}

/// Loss, duplicates, crashes, partitions and lost disks until 8 s, epochs of 20 blocks, then calm.
fn storm() -> Scenario {
    let mut scenario = Scenario::calm(4);
    scenario.name = "storm".to_owned();
    scenario.committee.epoch_blocks = 20;
    scenario.network.loss = 0.1;
    scenario.network.duplicate = 0.1;
    scenario.gst = 8_000_000;
    scenario.end = 48_000_000;
    scenario.timers.timeout_cap = std::time::Duration::from_millis(800);
    let fault = |at, lasts, kind| Fault { at, lasts, kind };
    scenario.faults = vec![
        fault(
            500_000,
            6_000_000,
            FaultKind::CrashOnWrite {
                hosts: vec![0, 1, 2, 3],
                probability: 0.02,
                restart: 200_000,
            },
        ),
        fault(
            2_000_000,
            700_000,
            FaultKind::Partition {
                groups: vec![vec![0, 1], vec![2, 3]],
                bridge: vec![],
            },
        ),
        fault(
            3_000_000,
            500_000,
            FaultKind::Crash {
                hosts: vec![0, 1, 2, 3],
                unsynced: 0.5,
            },
        ),
        fault(4_000_000, 500_000, FaultKind::Wipe { hosts: vec![3] }),
    ];
    scenario
}

#[test]
fn a_storm_breaks_no_promise_and_reaches_rare_states() {
    let mut total = Marks::default();
    for seed in 0..6 {
        let (checkers, marks) = run(&storm(), seed);
        assert!(checkers.tip() > 100, "seed {seed}: {}", checkers.tip());
        total.merge(&marks);
    }
    for mark in [
        Mark::FastCommit,
        Mark::SlowCommit,
        Mark::FastAfterCrash,
        Mark::OptimisticVoted,
        Mark::TimeoutAgain,
        Mark::LaggardHelped,
        Mark::EpochEnds,
        Mark::FillerProposed,
        Mark::MuteRestart,
        Mark::WipedReturns,
        Mark::RangeServed,
        Mark::TransactionRetried,
    ] {
        assert!(total.count(mark) > 0, "{mark:?}; {:?}", total.missing());
    }
}

/// Three of seven fork the four others, two and two, until S1 fires; S11 must have named the guilty by then.
#[test]
fn a_fork_by_more_than_f_is_seen_and_its_makers_are_named() {
    for seed in 0..4 {
        let mut scenario = Scenario::calm(7);
        scenario.name = "fork".to_owned();
        scenario.byzantine = [0, 3, 5]
            .map(|host| Byzantine {
                host,
                deed: "forkers".to_owned(),
            })
            .into();
        (scenario.gst, scenario.end) = (20_000_000, 21_000_000);
        scenario.expect.violates = Some("S1".to_owned());
        let watcher = Checkers::new(&scenario);
        let mut world = World::new(&scenario, seed, watcher).unwrap();
        let outcome = world.run();
        let checkers = world.into_observer();
        assert!(checkers.violated_as_expected(&outcome), "{outcome:?}");
        let violation = outcome.unwrap_err();
        let (_, guilty) = violation.what.split_once("; guilty: ").unwrap();
        assert_eq!(guilty, "m0 m3 m5", "{violation}");
    }
}
