//! The implementation is compared with a reference replica that restates the specification, after every
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
    pub mod blocks;
    pub mod counting;
    pub mod durable;
    pub mod game;
    pub mod leading;
    pub mod pair;
    pub mod replica;
    pub mod rules;
    pub mod words;
}

use reference::game;
use reference::pair::{Seen, World};
use reference::rules::{MUTATIONS, Mutation};
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

/// Members' stakes, and who of them is an adversary.
const COMMITTEES: [(&[u64], &[usize]); 6] = [
    (&[1, 1, 1, 1], &[]),
    (&[1, 1, 1, 1], &[1]),
    (&[1, 1, 1, 1], &[3]),
    (&[1, 1, 1, 1, 1, 1], &[2]),
    (&[3, 2, 2, 1, 1], &[1]),
    (&[3, 2, 2, 1, 1], &[3, 4]),
];

fn compared(seed: u64, mutation: Option<Mutation>) -> World {
    let (stakes, hostile) = COMMITTEES[(seed % 6) as usize];
    let mut world = World::new(seed, stakes, hostile, mutation);
    world.run(600);
    world
}

#[test]
fn the_replica_and_the_reference_do_the_same_at_every_step() {
    let seen = std::cell::RefCell::new(Seen::default());
    for_seeds(30, |seed| {
        let world = compared(seed, None);
        assert_eq!(world.difference, None);
        seen.borrow_mut().add(&world.seen);
    });
    let seen = seen.into_inner();
    println!("{seen:?}");
    let some = [
        seen.votes,
        seen.late_votes,
        seen.timeouts,
        seen.commits,
        seen.optimistic,
        seen.restarts,
        seen.adopted,
    ];
    assert!(
        !some.contains(&0),
        "worlds in which nothing happens: {seen:?}"
    );
}

/// Protocol section 8: a replica with any of these changes would have been found out by the comparison above.
#[test]
fn a_replica_with_a_listed_change_is_told_apart() {
    for mutation in MUTATIONS {
        let found = (0..300).find(|seed| compared(*seed, Some(mutation)).difference.is_some());
        println!("{mutation:?}: seed {found:?}");
        assert!(
            found.is_some(),
            "{mutation:?} does the same as the protocol"
        );
    }
}

/// Protocol section 8: with any of these changes there is a fork, a certificate against section 5, or an honest
/// offence; without one there is none on the same schedules.
#[test]
fn each_listed_mutant_is_caught() {
    const SCHEDULES: u64 = 1_000;
    for mutation in MUTATIONS {
        let found = (0..SCHEDULES).find_map(|seed| {
            let verdict = game::random(seed, Some(mutation), 80);
            verdict.err().map(|what| (seed, what))
        });
        println!("{mutation:?}: {found:?}");
        assert!(found.is_some(), "{mutation:?} was not caught");
    }
    for seed in 0..seeds(SCHEDULES).max(SCHEDULES) {
        assert_eq!(game::random(seed, None, 80), Ok(()), "seed {seed}");
    }
}

#[test]
fn the_reference_is_small() {
    let source = include_str!("reference/replica.rs");
    let code = source.lines().map(str::trim);
    let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 400);
}
