//! The implementation is compared with a reference replica that was written from the specification, after every
//! step of random worlds; and the reference with each change of section 8 is caught by a checker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

mod reference {
    pub mod adversary;
    pub mod game;
    pub mod pair;
    pub mod replica;
    pub mod rules;
    pub mod words;
}

use reference::pair::World;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
            eprintln!(
                "failed with seed {seed}; OUTRIDER_SEEDS={} reaches it",
                seed + 1
            );
            resume_unwind(failure);
        }
    }
}

#[test]
fn the_replica_and_the_reference_do_the_same_at_every_step() {
    let committees: [(&[u64], &[usize]); 6] = [
        (&[1, 1, 1, 1], &[]),
        (&[1, 1, 1, 1], &[1]),
        (&[1, 1, 1, 1], &[3]),
        (&[1, 1, 1, 1, 1, 1], &[2]),
        (&[3, 2, 2, 1, 1], &[1]),
        (&[3, 2, 2, 1, 1], &[3, 4]),
    ];
    for_seeds(30, |seed| {
        let (stakes, hostile) = committees[(seed % 6) as usize];
        let mut world = World::new(seed, stakes, hostile, None);
        world.run(600);
        eprintln!("seed {seed}: {:?}", world.seen);
        assert_eq!(world.difference, None);
    });
}

#[test]
fn each_listed_mutant_is_caught() {
    for mutation in reference::rules::MUTATIONS {
        let found = (0..3_000).find_map(|seed| {
            let verdict = reference::game::random(seed, Some(mutation), 80);
            verdict.err().map(|what| (seed, what))
        });
        eprintln!("{mutation:?}: {found:?}");
    }
    let n = (0..3_000).find_map(|seed| reference::game::random(seed, None, 80).err());
    eprintln!("none: {n:?}");
}
