//! Whole committees in simulated worlds: agreement (C3), recovery (C4), no honest offence (C1), exact latencies, and
//! the scripted attacks of protocol section 8.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use support::link;
use support::rng::Rng;
use support::world::{BASE, CAP, Kind, Local, World};

const COMMITTEES: [&[u64]; 5] = [
    &[1],
    &[1, 1, 1, 1],
    &[1, 1, 1, 1, 1, 1],
    &[1, 1, 1, 1, 1, 1, 1],
    &[3, 2, 2, 1, 1],
];

/// How many seeds to run: a number that is quick in debug, or what OUTRIDER_SEEDS says.
#[allow(
    clippy::disallowed_methods,
    reason = "only how long to search is read from outside, never what a run does"
)]
fn seeds(quick: u64) -> u64 {
    std::env::var("OUTRIDER_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(quick)
}

/// Run a property for many seeds and say which one failed.
fn for_seeds(quick: u64, property: impl Fn(u64)) {
    for seed in 0..seeds(quick) {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| property(seed))) {
            eprintln!("failed with seed {seed}; OUTRIDER_SEEDS={} reaches it", seed + 1);
            resume_unwind(failure);
        }
    }
}

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
    let stakes = COMMITTEES[(seed % COMMITTEES.len() as u64) as usize];
    let kinds = kinds(&mut rng, stakes, hostile);
    let storm = link::storm(seed, rng.between(0, 25), rng.between(0, 10), *rng.pick(&[8_000, 60_000]));
    let mut world = World::new(seed, stakes, &kinds, storm, BUSY);
    world.crash_permille = *rng.pick(&[0, 5, 30]);
    world
}

/// The storm ends: messages arrive within a fifth of the base, and nobody crashes any more.
fn heal(world: &mut World) {
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
    for_seeds(60, |seed| {
        let mut world = stormy(seed, false);
        world.run_until(world.now + 1_200_000);
    });
}

#[test]
fn honest_members_never_sign_an_offence() {
    for_seeds(60, |seed| {
        let mut world = stormy(seed, true);
        world.run_until(world.now + 1_200_000);
    });
}

#[test]
fn random_worlds_recover() {
    for_seeds(60, |seed| {
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
            world.nodes.iter().map(|node| node.replica.as_ref().map(|r| r.view().0)).collect::<Vec<_>>(),
        );
        if std::option_env!("SHOW").is_some() { eprintln!("seed {seed} took {} ms msgs {} heights {:?}", (world.now-healed)/1000, world.messages, world.heights()); }
    });
}
