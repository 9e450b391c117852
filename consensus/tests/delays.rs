//! Delays are counted, not estimated: every message takes exactly one delay, nothing else takes time, and each figure
//! of the table that opens docs/protocol.md is asserted to the microsecond.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_types::ConsensusMessage;
use support::exact::{D, entered, exact, last_sent, latencies, leader, sent, stayed, views_led_by};
use support::link::{self, Link};
use support::world::{BASE, Kind, World};

/// 4, 7 and 10 equal members, where nothing may be missing on the fast path, and weights that may miss 1 of 9.
const COMMITTEES: [&[u64]; 4] = [&[1; 4], &[1; 7], &[1; 10], &[3, 2, 2, 1, 1]];

/// From this view on blocks leave ahead of their parent's certificate: two views entered by one, and a commit (R3).
const STEADY_VIEW: u64 = 4;

/// What happens at one instant happens in an order that the seed picks; no figure may depend on it.
const SEEDS: [u64; 3] = [1, 2, 3];

/// `p` of protocol section 1, for the largest f and c = 0.
fn missing(stakes: &[u64]) -> u64 {
    let total: u64 = stakes.iter().sum();
    (total - 3 * ((total - 1) / 3) - 1) / 2
}

/// Run a property for each committee and seed.
fn for_all(property: impl Fn(u64, &'static [u64])) {
    for stakes in COMMITTEES {
        for seed in SEEDS {
            eprintln!("stakes {stakes:?}, seed {seed}");
            property(seed, stakes);
        }
    }
}

fn silence(stakes: &[u64], silent: Option<usize>) -> Vec<Kind> {
    (0..stakes.len())
        .map(|member| {
            if silent == Some(member) {
                Kind::Silent
            } else {
                Kind::Honest
            }
        })
        .collect()
}

fn run(seed: u64, stakes: &'static [u64], silent: Option<usize>, delays: u64) -> World {
    let kinds = silence(stakes, silent);
    let mut world = exact(seed, stakes, &kinds, link::fixed(D));
    world.run_until(world.now + delays * D);
    world
}

/// The last member whose absence ends the fast path, without which a quorum is left.
fn one_too_many(stakes: &[u64]) -> usize {
    let found = (0..stakes.len()).rev();
    found
        .into_iter()
        .find(|member| stakes[*member] > missing(stakes))
        .unwrap()
}

#[test]
fn fast_commit_takes_two_delays() {
    for_all(|seed, stakes| {
        let world = run(seed, stakes, None, 40);
        for node in world.honest() {
            let commits = latencies(&world, node);
            assert!(commits.len() >= 19, "{} commits", commits.len());
            for (index, (view, delay, fast)) in commits.into_iter().enumerate() {
                assert_eq!((view, delay, fast), (index as u64 + 1, 2 * D, true));
            }
        }
    });
}

#[test]
fn fast_commit_takes_two_delays_with_as_much_silent_as_may_be_missing() {
    // Stake 1 of 9, and 1 of 6 (f = 1, p = 1).
    for (stakes, silent) in [(COMMITTEES[3], 4), (&[1; 6][..], 0)] {
        for seed in SEEDS {
            let world = run(seed, stakes, Some(silent), 100);
            for node in world.honest() {
                let commits = latencies(&world, node);
                assert!(commits.len() >= 20, "{} commits", commits.len());
                for (view, delay, fast) in commits {
                    // Who leads two views in a row votes for its own block at once, and so sends the next one early.
                    let early = leader(&world, view) == leader(&world, view - 1);
                    let expected = if early && delay > 2 * D { 3 * D } else { 2 * D };
                    assert_eq!((delay, fast), (expected, true), "view {view}");
                }
            }
        }
    }
}

#[test]
fn slow_commit_takes_three_delays_when_more_is_silent() {
    for_all(|seed, stakes| {
        let silent = one_too_many(stakes);
        let world = run(seed, stakes, Some(silent), 120);
        for node in world.honest() {
            let commits = latencies(&world, node);
            assert!(commits.len() >= 20, "{} commits", commits.len());
            for (view, delay, fast) in commits {
                assert_eq!((delay, fast), (3 * D, false), "view {view}");
            }
        }
    });
}

#[test]
fn blocks_leave_one_delay_apart() {
    for_all(|seed, stakes| {
        let world = run(seed, stakes, None, 40);
        let last = last_sent(&world);
        assert!(last >= 30, "{last} views in 40 delays");
        for view in STEADY_VIEW..=last {
            let period = sent(&world, view).unwrap() - sent(&world, view - 1).unwrap();
            assert_eq!(period, D, "view {view}");
        }
    });
}

#[test]
fn blocks_leave_one_delay_apart_also_while_they_commit_slowly() {
    for_all(|seed, stakes| {
        // It leads and commit-votes, but nobody hears its votes.
        let mute = one_too_many(stakes);
        let link: Link = Box::new(move |packet, _| match packet.message {
            Some(ConsensusMessage::Vote(_)) if packet.from == mute => Vec::new(),
            _ => vec![D],
        });
        let mut world = exact(seed, stakes, &silence(stakes, None), link);
        world.run_until(world.now + 40 * D);
        let last = last_sent(&world);
        assert!(last >= 30, "{last} views in 40 delays");
        for view in STEADY_VIEW..=last {
            let period = sent(&world, view).unwrap() - sent(&world, view - 1).unwrap();
            assert_eq!(period, D, "view {view}");
        }
        for node in world.honest().into_iter().filter(|node| *node != mute) {
            // As leader it hands on certificates with its vote in them, which may be fast ones: no sooner.
            for (view, delay, _) in latencies(&world, node) {
                assert_eq!(delay, 3 * D, "view {view}");
            }
        }
    });
}

#[test]
fn view_of_a_silent_leader_lasts_its_timer_and_one_delay_and_the_next_begins_with_a_block() {
    for_all(|seed, stakes| {
        // It leads early, before it counts as dead (R10).
        let silent = 2;
        let world = run(seed, stakes, Some(silent), 100);
        let first = views_led_by(&world, silent)[0];
        for node in world.honest() {
            assert_eq!(stayed(&world, node, first), BASE + D);
            assert_eq!(sent(&world, first), None);
            assert_eq!(
                sent(&world, first + 1).unwrap(),
                entered(&world, node, first + 1)
            );
        }
    });
}

#[test]
fn r10_one_dead_leader_of_seven_costs_one_timeout_once_and_then_at_most_two_delays_a_turn() {
    for seed in SEEDS {
        let world = run(seed, COMMITTEES[1], Some(6), 300);
        let turns = views_led_by(&world, 6);
        assert!(turns.len() >= 6, "{} turns", turns.len());
        for node in world.honest() {
            let costs: Vec<u64> = turns
                .iter()
                .map(|view| stayed(&world, node, *view))
                .collect();
            assert_eq!(costs[0], BASE + D, "the first time: its timer");
            assert!(
                costs.iter().all(|cost| *cost <= BASE + D),
                "never more than one timeout: {costs:?}"
            );
            // Views in which a quorum was heard and it was not: two whole rotations.
            assert!(
                costs[2..].iter().all(|cost| *cost <= 2 * D),
                "once known dead: {costs:?}"
            );
        }
    }
}

#[test]
fn r10_a_leader_that_comes_back_leads_again() {
    let stakes = COMMITTEES[1];
    let mut world = exact(1, stakes, &silence(stakes, None), link::fixed(D));
    world.run_until(world.now + 20 * D);
    world.crash(6);
    world.run_until(world.now + 300 * D);
    let skipped = *views_led_by(&world, 6).last().unwrap();
    assert!(stayed(&world, 0, skipped) <= 2 * D);
    world.start(6);
    world.run_until(world.now + 100 * D);
    let last = *views_led_by(&world, 6).last().unwrap();
    assert!(last > skipped && sent(&world, last).is_some());
}
