//! A member far behind reaches the tip while the others go on under load, and a member that answers wrongly only delays
//! it.
//!
//! The blocks behind are made before the world begins (`outrider_sim::past`), with every signature that real ones have.
//! `OUTRIDER_CATCH_UP_BLOCKS` says how many; the full measure is
//! `OUTRIDER_CATCH_UP_BLOCKS=100000 cargo test --release -p outrider-sim --test catchup`.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::past::{LIE_BLOCKS, Lie};
use outrider_sim::world::{Past, World, WorldConfig};
use outrider_types::Height;
use std::time::Duration;

/// The member that has nothing.
const BEHIND: usize = 3;
/// Blocks that it lacks, if nothing else is said.
const BLOCKS: u64 = 20_000;
/// Simulated time in which it must be connected and have begun,
const CONNECTED: Duration = Duration::from_secs(10);
/// and in which it must get 1,000 blocks.
const PER_THOUSAND: Duration = Duration::from_millis(400);

fn blocks() -> u64 {
    let named = std::env::var("OUTRIDER_CATCH_UP_BLOCKS");
    named.map_or(BLOCKS, |text| text.parse().unwrap())
}

fn world(seed: u64, blocks: u64, liars: Vec<(usize, Lie)>) -> World<'static> {
    let past = Past {
        blocks,
        empty: vec![BEHIND],
        liars,
        ..Past::default()
    };
    World::with_past(WorldConfig::new(seed), &past).unwrap()
}

/// Run until the member that is behind is at the tip; when that is.
fn caught_up(world: &mut World<'_>, from: Duration, blocks: u64) -> Duration {
    let until = from + CONNECTED + PER_THOUSAND * u32::try_from(blocks / 1_000).unwrap();
    let mut now = from;
    while now < until {
        now += Duration::from_millis(500);
        world.run_to(now).unwrap();
        let tip = world.height(0);
        if tip.0 > blocks && world.height(BEHIND).0 + 20 > tip.0 {
            return now;
        }
    }
    let (tip, behind) = (world.height(0), world.height(BEHIND));
    assert!(behind > tip, "at {behind} of {tip} after {until:?}");
    now
}

/// It keeps up from now on, and has passed nothing over since its first block, which is returned.
fn lives(world: &mut World<'_>, now: Duration) -> Height {
    let tip = world.height(0);
    world.run_to(now + Duration::from_secs(3)).unwrap();
    let later = world.height(BEHIND);
    assert!(later.0 > tip.0 + 5, "{later} after {tip}");
    let commits = world.commits();
    let ours = commits.iter().filter(|commit| commit.member == BEHIND);
    let heights: Vec<u64> = ours.map(|commit| commit.height.0).collect();
    for (height, found) in (heights[0]..).zip(&heights) {
        assert_eq!(height, *found);
    }
    Height(heights[0])
}

#[test]
fn member_far_behind_reaches_the_tip_under_load() {
    let mut world = world(1, blocks(), Vec::new());
    let now = caught_up(&mut world, Duration::ZERO, blocks());
    assert_eq!(lives(&mut world, now), Height(1));
}

#[test]
fn peer_that_lies_about_the_past_only_delays() {
    let liar = 1;
    for lie in Lie::ALL {
        let mut world = world(2, 2_000, vec![(liar, lie)]);
        // At first it has nobody but the liar to ask.
        world.partition(&[BEHIND]);
        world.repair_between(BEHIND, liar);
        let alone = Duration::from_secs(3);
        world.run_to(alone).unwrap();
        let behind = world.height(BEHIND);
        assert!(world.lies() > 0, "{lie:?}");
        assert!(behind.0 <= LIE_BLOCKS, "{lie:?}: {behind}");
        assert!(world.height(0) > Height(2_000), "the others go on");
        world.repair(&[BEHIND]);
        let now = caught_up(&mut world, alone, 2_000);
        lives(&mut world, now);
    }
}

#[test]
fn member_joins_from_a_snapshot_when_the_others_have_pruned_and_its_vote_counts() {
    let (blocks, keep_blocks) = (3_000, 300);
    let past = Past {
        blocks,
        joined: vec![BEHIND],
        ..Past::default()
    };
    let config = WorldConfig {
        keep_blocks,
        ..WorldConfig::new(3)
    };
    let mut world = World::with_past(config, &past).unwrap();
    let whole = world.bytes_on_disk(0);
    let now = caught_up(&mut world, Duration::ZERO, blocks);
    let first = lives(&mut world, now);
    assert!(first.0 > blocks, "{first} is fetched, nothing before it");
    // Three of four are a quorum, so this one's votes are needed from here on.
    world.crash(0, 0);
    let crashed = world.height(1);
    let later = now + Duration::from_secs(12);
    world.run_to(later).unwrap();
    assert!(world.height(1).0 > crashed.0 + 10, "it votes");
    assert!(world.height(BEHIND).0 > crashed.0 + 10);
    // The others hold the last blocks and a counter of each rollup.
    let pruned = world.bytes_on_disk(1);
    assert!(pruned < whole / 4, "{pruned} of {whole} bytes");
}

#[test]
fn member_that_has_nothing_waits_when_the_others_have_pruned() {
    let past = Past {
        blocks: 2_000,
        empty: vec![BEHIND],
        ..Past::default()
    };
    let config = WorldConfig {
        keep_blocks: 300,
        ..WorldConfig::new(4)
    };
    let mut world = World::with_past(config, &past).unwrap();
    // Pruning has passed what it needs before it can ask for it.
    world.partition(&[BEHIND]);
    world.run_to(Duration::from_secs(4)).unwrap();
    world.repair(&[BEHIND]);
    world.run_to(Duration::from_secs(12)).unwrap();
    assert_eq!(world.height(BEHIND), Height(0));
    assert!(world.height(0).0 > 2_020, "the others go on");
}
