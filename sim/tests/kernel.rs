//! The kernel by itself: members in it commit, fail, come back and cross epochs as they would anywhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::fact::{Fact, Micros, Observer, Violation};
use outrider_sim::kernel::World;
use outrider_sim::scenario::{Change, Fault, FaultKind, Keys, Latency, Scenario};

/// Counts what happens.
#[derive(Debug, Default)]
struct Counts {
    commits: Vec<(Micros, usize, u64, bool)>,
    ended: usize,
    mute: usize,
    receipts: usize,
    accepted: usize,
}

impl Observer for Counts {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Committed { member, record, .. } => {
                let height = record.block.height.0;
                let filled = record.block.next != outrider_types::CommitteeId::NONE;
                self.commits.push((at, *member, height, filled));
            }
            Fact::EpochEnded { .. } => self.ended += 1,
            Fact::Restarted { mute: true, .. } => self.mute += 1,
            Fact::Receipt { .. } => self.receipts += 1,
            Fact::Accepted { .. } => self.accepted += 1,
            _ => {}
        }
        Ok(())
    }
}

fn ran(scenario: &Scenario, seed: u64) -> World<Counts> {
    let mut world = World::new(scenario, seed, Counts::default()).unwrap();
    world
        .run()
        .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    world
}

fn fault(at: Micros, lasts: Micros, kind: FaultKind) -> Fault {
    Fault { at, lasts, kind }
}

#[test]
fn members_commit_and_clients_get_receipts() {
    let world = ran(&Scenario::calm(4), 1);
    let heights = world.heights();
    assert!(heights.iter().all(|height| *height > 50), "{heights:?}");
    let counts = world.observer();
    assert!(counts.accepted > 50);
    assert!(counts.receipts * 10 > counts.accepted * 9);
}

#[test]
fn one_seed_is_one_run_and_another_seed_is_another() {
    let scenario = Scenario::calm(7);
    let hash = |seed| ran(&scenario, seed).hash();
    assert_eq!(hash(5), hash(5));
    assert_ne!(hash(5), hash(6));
}

#[test]
fn simulated_and_real_keys_give_the_same_commits() {
    let mut scenario = Scenario::calm(4);
    scenario.end = 2_000_000;
    let simulated = ran(&scenario, 3).heights();
    scenario.committee.keys = Keys::Ed25519;
    assert_eq!(ran(&scenario, 3).heights(), simulated);
}

/// Protocol section 1: a block is final 2d after it was proposed, and a block comes every 1d.
#[test]
fn blocks_come_every_delay() {
    let mut scenario = Scenario::calm(4);
    scenario.network.latency = Latency::Constant(10_000);
    scenario.workload.rate = 2_000.0;
    scenario.end = 3_000_000;
    let height = ran(&scenario, 2).heights()[0];
    assert!(
        (270..=300).contains(&height),
        "{height} blocks in 300 delays"
    );
}

#[test]
fn members_recover_from_crashes_cuts_and_lost_disks() {
    let mut scenario = Scenario::calm(4);
    scenario.end = 40_000_000;
    scenario.gst = 12_000_000;
    scenario.committee.epoch_blocks = 40;
    scenario.network.loss = 0.1;
    scenario.network.duplicate = 0.1;
    let all = vec![0, 1, 2, 3];
    scenario.faults = vec![
        fault(
            1_000_000,
            1_000_000,
            FaultKind::Partition {
                groups: vec![vec![0, 1], vec![2, 3]],
                bridge: vec![],
            },
        ),
        fault(
            2_500_000,
            500_000,
            FaultKind::OneWay {
                from: vec![0],
                to: vec![1, 2, 3],
            },
        ),
        fault(
            3_500_000,
            500_000,
            FaultKind::Crash {
                hosts: all.clone(),
                unsynced: 0.5,
            },
        ),
        fault(
            4_500_000,
            1_000_000,
            FaultKind::CrashOnWrite {
                hosts: all,
                probability: 0.05,
                restart: 50_000,
            },
        ),
        fault(6_000_000, 700_000, FaultKind::Pause { hosts: vec![2] }),
        fault(
            6_000_000,
            700_000,
            FaultKind::SlowDisk {
                hosts: vec![1],
                delay: 5_000,
            },
        ),
        fault(
            7_000_000,
            1_000_000,
            FaultKind::Clock {
                hosts: vec![1],
                skew: -3_000_000,
            },
        ),
        fault(8_000_000, 500_000, FaultKind::Wipe { hosts: vec![3] }),
    ];
    for seed in 0..5 {
        let world = ran(&scenario, seed);
        let heights = world.heights();
        let (low, high) = (heights.iter().min().unwrap(), heights.iter().max().unwrap());
        assert!(*low > 150 && high - low < 20, "seed {seed}: {heights:?}");
        assert!(world.observer().ended > 8 && world.observer().mute > 0);
    }
}

#[test]
fn a_host_joins_by_a_change_of_the_committee() {
    let mut scenario = Scenario::calm(4);
    scenario.committee.hosts = 5;
    scenario.committee.epoch_blocks = 30;
    scenario.changes = vec![Change {
        at: 1_000_000,
        hosts: vec![1, 2, 3, 4],
        via: 2,
    }];
    // Member 1 is down for good once the change is due: without the vote of host 4 there is no quorum.
    scenario.faults = vec![fault(
        5_000_000,
        1 << 40,
        FaultKind::Crash {
            hosts: vec![1],
            unsynced: 1.0,
        },
    )];
    let world = ran(&scenario, 4);
    let late = world
        .observer()
        .commits
        .iter()
        .filter(|(at, ..)| *at > 7_000_000);
    assert!(late.count() > 40);
}
