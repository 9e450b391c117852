//! Whole committees in simulated worlds: agreement (C3), recovery (C4), no honest offence (C1), and the
//! scripted attacks of protocol section 8 that need no optimistic proposals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_types::ConsensusMessage;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use support::exact::{D, entered, exact, latencies, sent};
use support::link::{self, Link};
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
            eprintln!(
                "failed with seed {seed}; OUTRIDER_SEEDS={} reaches it",
                seed + 1
            );
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

/// Section 8, *hidden qc*: nobody but the next leader learns of the certificate, and timers are at their cap. The
/// forwarding of R1 gets it there after a quarter of the timer.
#[test]
fn attack_hidden_qc() {
    // Ten views without a proposal bring the timers to their cap; then member 3 leads view 11, and member 0 view 12.
    let attack: Link = Box::new(|packet, _| {
        let hidden = match packet.message {
            Some(ConsensusMessage::Proposal(proposal)) => {
                proposal.block.view.0 < 11 || packet.from == 3 && packet.to == 0
            }
            Some(ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_)) => {
                packet.from == 3 && packet.to == 0
            }
            _ => packet.from == 3,
        };
        if hidden { Vec::new() } else { vec![D] }
    });
    let mut world = exact(1, &[1; 4], &[Kind::Honest; 4], attack);
    // Member 3 withholds its timeouts as well, so tcs need all the others: they still come.
    assert!(world.run_until_height(1, world.now + 40 * CAP));
    let proposed = sent(&world, 12).expect("member 0 proposed in view 12");
    let waited = proposed - entered(&world, 1, 12);
    assert!(waited <= CAP / 4 + D, "view 12 stood still for {waited} us");
    assert!(world.run_until_height(8, world.now + 4 * CAP));
}

/// Section 8, *selective fast votes*: one member's votes reach a single other member. As R5 knows no exception, all
/// commit, the others one delay later.
#[test]
fn attack_selective_fast_votes() {
    let attack: Link = Box::new(|packet, _| {
        let hidden = packet.from == 3
            && match packet.message {
                Some(ConsensusMessage::Vote(_)) => packet.to != 0,
                Some(ConsensusMessage::CommitVote(_)) => true,
                _ => false,
            };
        if hidden { Vec::new() } else { vec![D] }
    });
    let mut world = exact(1, &[1; 4], &[Kind::Honest; 4], attack);
    world.run_until(world.now + 41 * D);
    for node in 0..3 {
        let commits = latencies(&world, node);
        assert!(commits.len() >= 15, "member {node}: {}", commits.len());
        for (view, delay, fast) in commits {
            let expected = if node == 0 {
                (2 * D, true)
            } else {
                (3 * D, false)
            };
            assert_eq!((delay, fast), expected, "member {node}, view {view}");
        }
    }
}

/// Section 8, *restart one view apart*: member 0 is in view 2 and gave up there, the others gave up in view 1 and have
/// not seen the timeout certificate; all restart. The entry certificate, kept on disk and handed on (R8, R11), brings
/// them together.
#[test]
fn attack_restart_one_view_apart() {
    let apart: Link = Box::new(|packet, _| match packet.message {
        Some(ConsensusMessage::Timeout(_)) if packet.to == 0 => vec![D],
        _ => Vec::new(),
    });
    let kinds = [Kind::Honest, Kind::Honest, Kind::Honest, Kind::Silent];
    let mut world = exact(1, &[1; 4], &kinds, apart);
    world.run_until(world.now + 3 * BASE);
    let views = |world: &World| -> Vec<(u64, u64)> {
        let safety = world.honest().into_iter().map(|node| {
            let safety = world.nodes[node].disk.safety.as_ref().unwrap();
            (safety.view.0, safety.timed_out.unwrap().view.0)
        });
        safety.collect()
    };
    assert_eq!(views(&world), [(2, 2), (1, 1), (1, 1)]);
    world
        .honest()
        .into_iter()
        .for_each(|node| world.crash(node));
    world.link = link::fixed(D);
    world
        .honest()
        .into_iter()
        .for_each(|node| world.start(node));
    assert!(world.run_until_height(3, world.now + 20 * BASE));
}

/// A member that was away far longer than the window of views catches up by certificates and ranges, and votes again.
#[test]
fn a_member_that_was_away_for_long_comes_back() {
    let mut world = exact(1, &[1; 4], &[Kind::Honest; 4], link::fixed(D));
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
