//! The production driver in a turmoil world: it commits, survives a partition and a crash, and the same seed gives the
//! same run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::world::{World, WorldConfig};
use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Calm, a partition of one, a crash and restart of another that loses what it had not synced, calm.
fn troubled(seed: u64) -> World<'static> {
    let mut world = World::new(WorldConfig::new(seed)).unwrap();
    world.run_to(s(5)).unwrap();
    let calm = world.height(0);
    assert!(
        calm.0 > 20,
        "seed {seed}: only {calm} blocks in 5 s of calm"
    );

    world.partition(&[0]);
    world.run_to(s(10)).unwrap();
    assert!(world.height(1) > calm, "seed {seed}: three of four go on");
    world.repair(&[0]);
    world.run_to(s(16)).unwrap();
    let healed = world.height(1);
    assert!(
        healed.0.abs_diff(world.height(0).0) < 20,
        "seed {seed}: the member that was cut off caught up"
    );

    world.crash(1, 1);
    world.run_to(s(20)).unwrap();
    assert!(world.height(2) > healed, "seed {seed}: three of four go on");
    world.restart(1);
    world.run_to(s(28)).unwrap();
    assert!(
        world.height(2).0.abs_diff(world.height(1).0) < 20,
        "seed {seed}: the restarted member caught up"
    );
    world
}

#[test]
fn four_drivers_commit_through_a_partition_and_a_crash_and_one_seed_is_one_run() {
    let first = troubled(1);
    assert!(
        first.accepted() > 200,
        "clients were served: {}",
        first.accepted()
    );
    assert_eq!(first.hash(), troubled(1).hash());
    assert_ne!(first.hash(), troubled(2).hash());
}

#[test]
fn all_members_crash_at_once_and_go_on() {
    let mut world = World::new(WorldConfig::new(3)).unwrap();
    world.run_to(s(5)).unwrap();
    let before: Vec<_> = (0..4).map(|member| world.height(member)).collect();
    for member in 0..4 {
        world.crash(member, 0);
    }
    world.run_to(s(6)).unwrap();
    for member in 0..4 {
        world.restart(member);
    }
    world.run_to(s(14)).unwrap();
    for member in 0..4 {
        let commits = world.commits();
        let again = commits
            .iter()
            .find(|commit| commit.member == member && commit.at > s(6))
            .unwrap();
        println!(
            "member {member} commits again {:?} after the restart",
            again.at - s(6)
        );
        assert!(again.at < s(8), "member {member} at {:?}", again.at);
    }
    for (member, before) in before.into_iter().enumerate() {
        assert!(
            world.height(member).0 > before.0 + 10,
            "member {member} goes on"
        );
    }
}
