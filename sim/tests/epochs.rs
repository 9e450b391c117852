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
        assert!(epochs.0.abs_diff(world.epoch(host).0) <= 1);
    }
    for commit in commits {
        let epoch = (commit.height.0 - 1) / 25;
        assert_eq!(commit.epoch, Epoch(epoch), "at height {}", commit.height);
    }
    // What was accepted more than a few seconds ago is ordered: epochs lose nothing.
    let (accepted, waiting) = (world.accepted(), world.unordered().len());
    assert!(accepted > 150 && waiting < 40, "{waiting} of {accepted}");
}

/// How many worlds to run: `OUTRIDER_SEEDS`, by default one.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("OUTRIDER_SEEDS").ok();
    100..100 + count.map_or(1, |count| count.parse().unwrap())
}

/// Crashes and partitions that meet most hand-overs, while a fifth host joins and another one comes back.
fn stormy(seed: u64) {
    let mut config = with_epochs(seed, 15 + seed % 10);
    config.hosts = 5;
    let mut world = World::new(config).unwrap();
    world.run_to(s(3)).unwrap();
    for round in 0..6_u64 {
        let host = |offset: u64| usize::try_from((round + offset + seed) % 4).unwrap();
        let (crashed, cut) = (host(0), host(2));
        let at = s(3 + 3 * round);
        match round {
            1 => world.change_committee(2, &[0, 1, 2, 4]),
            4 => world.change_committee(1, &[3, 1, 2, 4]),
            _ => {}
        }
        world.crash(crashed, usize::try_from(round).unwrap());
        world.run_to(at + Duration::from_millis(900)).unwrap();
        world.restart(crashed);
        world.run_to(at + Duration::from_millis(1_600)).unwrap();
        world.partition(&[cut]);
        world.run_to(at + Duration::from_millis(2_400)).unwrap();
        world.repair(&[cut]);
        world.run_to(at + s(3)).unwrap();
    }
    let before = world.height(1).0;
    world.run_to(s(30)).unwrap();
    let last = world.height(1).0;
    assert!(last > before + 10, "seed {seed}: stands still at {last}");
    for host in 0..5 {
        no_gap(&world, host);
        let height = world.height(host).0;
        assert!(
            last.abs_diff(height) < 30,
            "seed {seed}: host {host} is at {height} of {last}"
        );
    }
    assert!(
        world.epoch(1).0 >= 5,
        "seed {seed}: epoch {}",
        world.epoch(1)
    );
}

#[test]
fn epochs_end_through_crashes_and_partitions() {
    seeds().for_each(stormy);
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
    let (accepted, waiting) = (world.accepted(), world.unordered().len());
    assert!(accepted > 200 && waiting < 50, "{waiting} of {accepted}");
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
        seen.abs_diff(world.height(3).0) < 30,
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
}
