//! Whole committees in simulated worlds that run over several epochs (R13): agreement over all of them (C3), and each epoch
//! ends (C4), in storms, with crashes, with a hostile member or one without a seat.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use support::link;
use support::rng::Rng;
use support::seeds::for_seeds;
use support::world::{BASE, CAP, Kind, Local, World, config};

const BUSY: Local = Local {
    payload: (0, 5_000),
    assemble: (0, 3_000),
    fetch: (1_000, 10_000),
};

/// Drops, crashes, epochs of a few blocks, and maybe a member that is mute or hostile.
fn stormy(seed: u64, odd: &[Kind]) -> World {
    let mut rng = Rng::new(seed ^ 0x0e90_c4e5);
    let stakes = vec![1; *rng.pick(&[4, 6, 7])];
    let mut kinds = vec![Kind::Honest; stakes.len()];
    if !odd.is_empty() {
        kinds[rng.below(stakes.len() as u64) as usize] = *rng.pick(odd);
    }
    let storm = link::storm(
        seed,
        rng.between(0, 20),
        rng.between(0, 10),
        *rng.pick(&[8_000, 40_000]),
    );
    let blocks = rng.between(1, 6);
    let mut world = World::with(seed, &stakes, &kinds, storm, BUSY, (blocks, config()));
    world.crash_permille = *rng.pick(&[0, 5, 30]);
    world
}

/// Everyone that commits is checked by the world: one block per height over all epochs, no gap, and the end of each epoch
/// proven. Here: that epochs end, in the storm and after it.
fn epochs_go_on(mut world: World) -> u64 {
    world.run_until(world.now + 700_000);
    let stormed = epochs(&world).1;
    world.link = link::random(500, BASE / 5);
    world.crash_permille = 0;
    world.run_until(world.now + 300_000);
    for node in 0..world.nodes.len() {
        world.start(node);
    }
    let end = world.now + 12 * CAP;
    while epochs(&world).0 < stormed + 2 {
        assert!(
            world.now < end,
            "epochs {:?}, {stormed} at the end of the storm; kinds {:?}",
            epochs(&world),
            world.nodes.iter().map(|node| node.kind).collect::<Vec<_>>()
        );
        world.run_until(world.now + 10_000);
    }
    stormed
}

/// The lowest and the highest epoch of those that follow, mute ones included.
fn epochs(world: &World) -> (u64, u64) {
    let all = || {
        let follow = world.nodes.iter().filter(|node| node.kind.follows());
        follow.map(|node| node.disk.ends.len() as u64)
    };
    (all().min().unwrap(), all().max().unwrap())
}

#[test]
fn r13_random_worlds_agree_over_epochs_and_each_epoch_ends() {
    let reached = std::cell::Cell::new(0);
    for_seeds(16, |seed| {
        reached.set(reached.get().max(epochs_go_on(stormy(seed, &[]))));
    });
    assert!(reached.get() >= 3, "{} epochs in a storm", reached.get());
}

#[test]
fn r13_random_worlds_with_a_hostile_member_agree_over_epochs() {
    let hostile = [
        Kind::Equivocator(0),
        Kind::Withholder,
        Kind::SelectiveVoter,
        Kind::Liar,
        Kind::DoubleVoter,
    ];
    for_seeds(12, |seed| {
        epochs_go_on(stormy(seed, &hostile));
    });
}

#[test]
fn a_mute_member_follows_random_worlds_over_epochs() {
    // The world checks that it signs nothing.
    for_seeds(12, |seed| {
        epochs_go_on(stormy(seed, &[Kind::Mute]));
    });
}
