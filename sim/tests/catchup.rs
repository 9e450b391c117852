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

/// It keeps up from now on, and has passed nothing over.
fn lives(world: &mut World<'_>, now: Duration) {
    let tip = world.height(0);
    world.run_to(now + Duration::from_secs(3)).unwrap();
    let later = world.height(BEHIND);
    assert!(later.0 > tip.0 + 5, "{later} after {tip}");
    world.check().unwrap();
    let commits = world.commits();
    let ours = commits.iter().filter(|commit| commit.member == BEHIND);
    for (height, commit) in (1..).zip(ours) {
        assert_eq!(commit.height, Height(height));
    }
}

#[test]
fn member_far_behind_reaches_the_tip_under_load() {
    let mut world = world(1, blocks(), Vec::new());
    let now = caught_up(&mut world, Duration::ZERO, blocks());
    lives(&mut world, now);
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
