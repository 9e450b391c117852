//! Whole committees in simulated worlds: agreement (C3), recovery (C4), no honest offence (C1). Worlds of several epochs
//! are in `worlds_of_epochs.rs`, the scripted attacks of protocol section 8 in `attacks.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use support::exact::exact;
use support::link;
use support::rng::Rng;
use support::seeds::for_seeds;
use support::world::{BASE, CAP, Kind, Local, World};

const COMMITTEES: [&[u64]; 5] = [
    &[1],
    &[1, 1, 1, 1],
    &[1, 1, 1, 1, 1, 1],
    &[1, 1, 1, 1, 1, 1, 1],
    &[3, 2, 2, 1, 1],
];

/// Adversaries of at most `f` stake, picked by the seed.
fn kinds(rng: &mut Rng, stakes: &[u64], hostile: bool) -> Vec<Kind> {
    let mut kinds = vec![Kind::Honest; stakes.len()];
    let mut left = (stakes.iter().sum::<u64>() - 1) / 3;
    let first = rng.below(stakes.len() as u64) as usize;
    for offset in 0..stakes.len() {
        let member = (first + offset) % stakes.len();
        if hostile && stakes[member] <= left {
            left -= stakes[member];
            kinds[member] = *rng.pick(&[
                Kind::Silent,
                Kind::Equivocator(0),
                Kind::Equivocator(0),
                Kind::Withholder,
                Kind::SelectiveVoter,
                Kind::Liar,
                Kind::DoubleVoter,
            ]);
        }
    }
    kinds
}

const BUSY: Local = Local {
    payload: (0, 5_000),
    assemble: (0, 3_000),
    fetch: (1_000, 10_000),
};

fn stormy(seed: u64, hostile: bool) -> World {
    let mut rng = Rng::new(seed ^ 0x0dd5_eed5);
    // A lone member needs few runs; they are long, for nothing slows it down.
    let committee = if seed.is_multiple_of(20) {
        0
    } else {
        1 + seed % 4
    };
    let stakes = COMMITTEES[committee as usize];
    let kinds = kinds(&mut rng, stakes, hostile);
    let storm = link::storm(
        seed,
        rng.between(0, 25),
        rng.between(0, 10),
        *rng.pick(&[8_000, 60_000]),
    );
    let mut world = World::new(seed, stakes, &kinds, storm, BUSY);
    world.crash_permille = *rng.pick(&[0, 5, 30]);
    world
}

/// The storm ends, for every fourth seed with a power cut for all: messages arrive within a fifth of the base, and
/// nobody crashes any more.
fn heal(world: &mut World) {
    if (world.seed / 4).is_multiple_of(4) {
        (0..world.nodes.len()).for_each(|node| world.crash(node));
    }
    world.link = link::random(500, BASE / 5);
    world.crash_permille = 0;
    world.run_until(world.now + 300_000);
    for node in 0..world.nodes.len() {
        world.start(node);
    }
}

#[test]
fn random_worlds_agree() {
    // The checkers of the world watch every step; here only the weather changes.
    for_seeds(50, |seed| {
        let mut world = stormy(seed, false);
        world.run_until(world.now + 1_200_000);
    });
}

#[test]
fn honest_members_never_sign_an_offence() {
    for_seeds(50, |seed| {
        let mut world = stormy(seed, true);
        world.run_until(world.now + 1_200_000);
    });
}

#[test]
fn random_worlds_recover() {
    for_seeds(50, |seed| {
        let mut world = stormy(seed, !seed.is_multiple_of(3));
        world.run_until(world.now + 800_000);
        heal(&mut world);
        let (healed, height) = (world.now, world.heights().1);
        let end = healed + 12 * CAP;
        assert!(
            world.run_until_height(height + 3, end),
            "{:?} of at least {} after {} ms; kinds {:?}, views {:?}",
            world.heights(),
            height + 3,
            (world.now - healed) / 1000,
            world.nodes.iter().map(|node| node.kind).collect::<Vec<_>>(),
            world
                .nodes
                .iter()
                .map(|node| node.replica.as_ref().map(|r| r.view().0))
                .collect::<Vec<_>>(),
        );
    });
}

/// A member that was away far longer than the window of views catches up by certificates and ranges, and votes again.
#[test]
fn a_member_that_was_away_for_long_comes_back() {
    let mut world = exact(
        1,
        &[1; 4],
        &[Kind::Honest; 4],
        link::fixed(support::exact::D),
    );
    world.crash(0);
    // Views of member 0 time out; the others go on by themselves.
    world.run_until(world.now + 60 * BASE);
    let height = world.heights().1;
    assert!(height > 100, "{height}");
    world.start(0);
    assert!(world.run_until_height(height + 8, world.now + 20 * BASE));
    let last = world.nodes[0].replica.as_ref().unwrap().view().0;
    assert!((last - 4..last).any(|view| world.log.voted(0, view).is_some()));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = stormy(seed, true);
        world.run_until(world.now + 600_000);
        (world.messages, world.log.chain)
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
