//! Epochs in a turmoil world (R13): committees change under load without a gap, and a member that lost its disk is silent
//! until the epoch in which it cannot have signed anything (protocol section 7).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::world::{World, WorldConfig};
use outrider_types::Epoch;
use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with_epochs(seed: u64, blocks: u64) -> WorldConfig {
    WorldConfig {
        epoch_blocks: blocks,
        ..WorldConfig::new(seed)
    }
}

/// Heights of one host's commits follow each other.
fn no_gap(world: &World<'_>, host: usize) {
    let mut height = 0;
    for commit in world
        .commits()
        .iter()
        .filter(|commit| commit.member == host)
    {
        // A restarted member tells of its last blocks again.
        assert!(
            commit.height.0 <= height + 1,
            "host {host} skipped from {height}"
        );
        height = height.max(commit.height.0);
    }
}

#[test]
fn epochs_follow_each_other_without_a_gap_or_a_lost_transaction() {
    let mut world = World::new(with_epochs(11, 25)).unwrap();
    world.run_to(s(20)).unwrap();
    let commits = world.commits();
    let epochs = world.epoch(0);
    assert!(epochs.0 >= 4, "only {epochs} epochs in 20 s");
    for host in 0..4 {
        no_gap(&world, host);
        assert!(epochs.0 - world.epoch(host).0 <= 1);
    }
    for commit in commits {
        let epoch = (commit.height.0 - 1) / 25;
        assert_eq!(commit.epoch, Epoch(epoch), "at height {}", commit.height);
    }
    world.check().unwrap();
    // What was accepted more than a few seconds ago is ordered: epochs lose nothing.
    let (accepted, waiting) = (world.accepted(), world.unordered().len());
    assert!(accepted > 500 && waiting < 40, "{waiting} of {accepted}");
}

#[test]
fn epochs_end_through_crashes_and_partitions() {
    // Epochs of about 2 s: most of these faults meet a hand-over.
    let mut world = World::new(with_epochs(14, 20)).unwrap();
    world.run_to(s(3)).unwrap();
    for round in 0..8 {
        let (crashed, cut) = (round % 4, (round + 2) % 4);
        let at = s(3 + 3 * round as u64);
        world.crash(crashed, round);
        world.run_to(at + Duration::from_millis(900)).unwrap();
        world.restart(crashed);
        world.run_to(at + Duration::from_millis(1_600)).unwrap();
        world.partition(&[cut]);
        world.run_to(at + Duration::from_millis(2_400)).unwrap();
        world.repair(&[cut]);
        world.run_to(at + s(3)).unwrap();
    }
    world.run_to(s(36)).unwrap();
    let last = world.height(0).0;
    assert!(world.epoch(0).0 >= 5, "epoch {}", world.epoch(0));
    for host in 0..4 {
        no_gap(&world, host);
        assert!(
            last.abs_diff(world.height(host).0) < 20,
            "host {host} is behind"
        );
    }
    world.check().unwrap();
}

/// Four members of which one is replaced under load by a fifth host.
fn replaced(seed: u64) -> World<'static> {
    let mut config = with_epochs(seed, 40);
    config.hosts = 5;
    let mut world = World::new(config).unwrap();
    world.run_to(s(3)).unwrap();
    world.change_committee(1, &[4, 1, 2, 3]);
    world.run_to(s(12)).unwrap();
    assert!(world.epoch(1).0 >= 1, "seed {seed}: the epoch ended");
    world
}

#[test]
fn a_member_is_replaced_under_load_and_the_new_one_votes() {
    let mut world = replaced(12);
    for host in 1..5 {
        no_gap(&world, host);
    }
    let joined = world.height(4).0;
    assert!(joined > 40, "the new member follows: {joined}");
    // Without the new member's vote there is no quorum: member 1 is cut off.
    world.partition(&[1]);
    world.run_to(s(13)).unwrap();
    let before = world.height(2).0;
    world.run_to(s(20)).unwrap();
    assert!(world.height(2).0 > before + 10, "the new member votes");
    // The old one's does not count: with the new one cut off as well nothing moves.
    world.partition(&[1, 4]);
    world.run_to(s(23)).unwrap();
    let stuck = world.height(2).0;
    world.run_to(s(27)).unwrap();
    assert_eq!(
        world.height(2).0,
        stuck,
        "two of four and a former member are no quorum"
    );
    world.repair(&[1, 4]);
    world.run_to(s(36)).unwrap();
    assert!(world.height(2).0 > stuck + 10, "and it goes on");
    world.check().unwrap();
    let (accepted, waiting) = (world.accepted(), world.unordered().len());
    assert!(accepted > 300 && waiting < 50, "{waiting} of {accepted}");
    assert_eq!(replaced(12).hash(), replaced(12).hash());
}

#[test]
fn two_approved_changes_do_not_stop_the_epoch() {
    let mut config = with_epochs(15, 40);
    config.hosts = 6;
    let mut world = World::new(config).unwrap();
    world.run_to(s(2)).unwrap();
    // One just before the last block, so that some leaders and voters know it and some do not.
    world.change_committee(1, &[4, 1, 2, 3]);
    world.run_to(Duration::from_millis(4_300)).unwrap();
    world.change_committee(2, &[0, 1, 2, 5]);
    world.run_to(s(16)).unwrap();
    for host in [1, 2] {
        no_gap(&world, host);
        assert!(world.epoch(host).0 >= 2, "epoch {}", world.epoch(host));
    }
    world.check().unwrap();
}

#[test]
fn a_member_that_lost_its_disk_is_silent_until_it_may_speak() {
    // Epochs of about 12 s: after 20 s of silence the next but one begins.
    let mut world = World::new(with_epochs(13, 120)).unwrap();
    world.run_to(s(5)).unwrap();
    world.crash(3, 0);
    world.erase(3);
    world.restart(3);
    world.run_to(s(12)).unwrap();
    let seen = world.height(2).0;
    assert!(
        seen - world.height(3).0 < 30,
        "it follows: {} of {seen}",
        world.height(3)
    );
    // Three of four are needed, and it is one of the three: nothing moves while it is mute.
    world.partition(&[0]);
    world.run_to(s(13)).unwrap();
    let stuck = world.height(2).0;
    world.run_to(s(17)).unwrap();
    assert_eq!(
        world.height(2).0,
        stuck,
        "a member without its journal has no vote"
    );
    world.repair(&[0]);
    world.run_to(s(60)).unwrap();
    let epoch = world.epoch(2);
    assert!(epoch.0 >= 3, "epoch {epoch}");
    world.partition(&[0]);
    world.run_to(s(61)).unwrap();
    let before = world.height(2).0;
    world.run_to(s(68)).unwrap();
    assert!(world.height(2).0 > before + 10, "it votes again");
    world.check().unwrap();
}
