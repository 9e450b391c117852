//! Batches on their way ahead of consensus, between production drivers in a turmoil world: a batch that a voter misses, an
//! author that few hear, an author that dies once it promised, and old batches at a member that was started again.
//!
//! Where nothing else is said all links take equally long, so a batch is nowhere behind references to it unless a link is cut,
//! and nobody hands in anything but the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::world::{World, WorldConfig};
use outrider_types::{Bytes, Height, RollupId, Transaction, TransactionId};
use std::collections::BTreeMap;
use std::time::Duration;

const FETCHED: &str = "outrider_batches_fetched_total";
const ON_PROBATION: &str = "outrider_batches_on_probation_total";
const TIMEOUTS: &str = "outrider_view_timeouts_total";
const PENDING: &str = "outrider_transactions_pending";

const MEMBERS: usize = 4;
/// When all members are connected, after the start or after a cut.
const MESH: Duration = Duration::from_secs(4);
/// More than a batch that had to be fetched tells against its author.
const FORGIVEN: Duration = Duration::from_secs(31);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn now(world: &World<'_>) -> Duration {
    Duration::from_micros(world.now())
}

fn pass(world: &mut World<'_>, time: Duration) {
    let until = now(world) + time;
    world.run_to(until).unwrap();
}

/// A world whose members are connected and in which nothing was handed in yet.
fn connected(seed: u64) -> World<'static> {
    let config = WorldConfig {
        latency_min: ms(5),
        latency_max: ms(5),
        rate: 0.0,
        ..WorldConfig::new(seed)
    };
    let mut world = World::new(config).unwrap();
    pass(&mut world, MESH);
    world
}

fn transaction(number: u64) -> Transaction {
    Transaction {
        rollup: RollupId(1 + number % 2),
        data: Bytes::copy_from_slice(&number.to_be_bytes()),
    }
}

/// Hand these in at a host, one after the other, so that each comes in a batch of its own.
fn hand_in(
    world: &mut World<'_>,
    host: usize,
    numbers: std::ops::Range<u64>,
    pause: Duration,
) -> Vec<TransactionId> {
    numbers
        .map(|number| {
            let transaction = transaction(number);
            let id = transaction.id();
            world.submit(host, transaction);
            pass(world, pause);
            id
        })
        .collect()
}

/// Each of these is ordered at this member, and nothing is ordered twice.
fn ordered_once(world: &World<'_>, member: usize, ids: &[TransactionId]) {
    // A member that was started again tells of its last blocks again.
    let commits = world.commits().iter();
    let blocks: BTreeMap<Height, &[TransactionId]> = commits
        .filter(|commit| commit.member == member)
        .map(|commit| (commit.height, &*commit.transactions))
        .collect();
    let mut times: BTreeMap<TransactionId, usize> = BTreeMap::new();
    for id in blocks.values().copied().flatten() {
        *times.entry(*id).or_default() += 1;
    }
    for (id, times) in &times {
        assert_eq!(*times, 1, "{id} at member {member}");
    }
    let missing = ids.iter().filter(|id| !times.contains_key(id)).count();
    assert_eq!(missing, 0, "of {} at member {member}", ids.len());
}

fn metric(world: &World<'_>, host: usize, name: &str) -> u64 {
    world.metric(host, name).unwrap()
}

/// This metric of all members.
fn all(world: &World<'_>, name: &str) -> [u64; MEMBERS] {
    std::array::from_fn(|host| metric(world, host, name))
}

/// Of all hosts but one, which goes on leading, nothing goes to the author or comes from it, until they have all had to fetch
/// its batches from that one.
fn make_suspect(
    world: &mut World<'_>,
    author: usize,
    by: usize,
    numbers: std::ops::Range<u64>,
) -> Vec<TransactionId> {
    let others: Vec<usize> = (0..MEMBERS)
        .filter(|host| ![author, by].contains(host))
        .collect();
    let before = all(world, ON_PROBATION);
    for other in &others {
        world.partition_between(author, *other);
    }
    let ids = hand_in(world, author, numbers, ms(100));
    for other in &others {
        assert!(metric(world, *other, FETCHED) > 0, "host {other} fetched");
        assert_eq!(metric(world, *other, ON_PROBATION), before[*other]);
        world.repair_between(author, *other);
    }
    assert!(
        metric(world, by, ON_PROBATION) > before[by],
        "{author} is a suspect of {by}"
    );
    pass(world, MESH);
    ids
}

#[test]
fn voter_that_misses_batches_fetches_them_from_the_leader_and_nothing_is_lost() {
    let (author, voter) = (0, 3);
    let mut world = connected(41);
    let mut ids = hand_in(&mut world, author, 0..10, ms(50));
    assert_eq!(all(&world, FETCHED), [0; MEMBERS], "batches are first");

    world.partition_between(author, voter);
    let cut = world.height(voter);
    ids.extend(hand_in(&mut world, author, 10..40, ms(100)));
    pass(&mut world, s(4));
    let [_, second, third, fetched] = all(&world, FETCHED);
    assert!(fetched > 5, "the voter fetched {fetched}");
    assert_eq!((second, third), (0, 0), "the others had them");
    assert_eq!(world.accepted_at(author).len(), ids.len());
    for member in 0..MEMBERS {
        assert!(world.height(member).0 > cut.0 + 20, "member {member}");
        ordered_once(&world, member, &ids);
    }
}

#[test]
fn author_that_few_hear_is_a_suspect_and_loses_nothing_and_is_forgiven() {
    let (author, leader) = (0, 1);
    let mut world = connected(42);
    let mut ids = make_suspect(&mut world, author, leader, 0..60);
    for member in 0..MEMBERS {
        ordered_once(&world, member, &ids);
    }
    // Spread again by the leader, the batches come before it refers to them.
    let [_, spread_again, ..] = all(&world, ON_PROBATION);
    let [.., third, fourth] = all(&world, FETCHED);
    assert!(spread_again > 20, "{spread_again}");
    assert!(third.max(fourth) < 30, "{third} and {fourth} fetched");
    // It is heard again, and not yet believed.
    let (fetched, before) = (all(&world, FETCHED), all(&world, ON_PROBATION));
    ids.extend(hand_in(&mut world, author, 60..70, ms(100)));
    let after = all(&world, ON_PROBATION);
    assert!(after[leader] > before[leader]);
    pass(&mut world, FORGIVEN);

    let before = all(&world, ON_PROBATION);
    ids.extend(hand_in(&mut world, author, 70..90, ms(100)));
    pass(&mut world, s(1));
    assert_eq!(all(&world, ON_PROBATION), before, "it is forgiven");
    assert_eq!(all(&world, FETCHED), fetched, "its batches are first again");
    assert_eq!(world.accepted_at(author).len(), ids.len());
    for member in 0..MEMBERS {
        ordered_once(&world, member, &ids);
    }
}

#[test]
fn what_a_dead_author_promised_is_ordered_by_the_others() {
    let author = 0;
    for (seed, offset) in [(43, 0), (44, 70), (45, 140), (46, 210)] {
        let mut world = connected(seed);
        // Only one other member will hold it, which is all that is promised.
        world.partition_between(author, 2);
        world.partition_between(author, 3);
        pass(&mut world, ms(offset));
        let ids = hand_in(&mut world, author, 0..20, Duration::ZERO);
        let handed_in = now(&world);
        while world.accepted_at(author).len() < ids.len() {
            assert!(now(&world) < handed_in + s(1), "not answered");
            pass(&mut world, ms(1));
        }
        world.crash(author, 0);
        assert_eq!(world.unordered().len(), ids.len(), "none is final yet");
        pass(&mut world, s(8));
        for member in 1..MEMBERS {
            ordered_once(&world, member, &ids);
        }
    }
}

#[test]
fn old_batches_are_no_news_to_a_member_that_was_started_again() {
    let (author, restarted) = (1, 3);
    let mut world = connected(47);
    let mut ids = hand_in(&mut world, author, 0..10, ms(50));
    pass(&mut world, s(2));
    for member in 0..MEMBERS {
        ordered_once(&world, member, &ids);
    }
    world.crash(restarted, 0);
    pass(&mut world, s(1));
    world.restart(restarted);
    pass(&mut world, MESH);

    let (before, timeouts) = (world.height(0), all(&world, TIMEOUTS));
    // All of it is final; then all but the last.
    world.spread(author, (0..10).map(transaction).collect());
    pass(&mut world, s(3));
    world.spread(author, (0..11).map(transaction).collect());
    ids.push(transaction(10).id());
    pass(&mut world, s(3));
    assert_eq!(all(&world, PENDING), [0; MEMBERS]);
    assert_eq!(all(&world, TIMEOUTS), timeouts, "every leader is followed");
    for member in 0..MEMBERS {
        assert!(world.height(member).0 > before.0 + 20, "member {member}");
        ordered_once(&world, member, &ids);
    }
}

#[test]
fn two_that_suspect_each_other_do_not_pass_a_batch_to_and_fro() {
    let mut world = connected(48);
    let mut ids = make_suspect(&mut world, 0, 1, 0..20);
    ids.extend(make_suspect(&mut world, 1, 0, 20..40));

    let before = all(&world, ON_PROBATION);
    ids.extend(hand_in(&mut world, 0, 40..41, s(2)));
    let [first, second, third, fourth] = before;
    let once = [first, second + 1, third, fourth];
    assert_eq!(all(&world, ON_PROBATION), once, "spread again once");
    for member in 0..MEMBERS {
        ordered_once(&world, member, &ids);
    }
}

#[test]
fn links_of_changing_delay_make_no_storm() {
    let config = WorldConfig {
        latency_min: ms(5),
        latency_max: ms(100),
        rate: 5.0,
        ..WorldConfig::new(1)
    };
    let mut world = World::new(config).unwrap();
    pass(&mut world, s(20));
    let again = all(&world, ON_PROBATION);
    assert!(
        all(&world, FETCHED).iter().sum::<u64>() > 0,
        "batches are late"
    );
    // What is not confirmed in time its author spreads once more, so a few are counted twice.
    let (most, accepted) = (again.into_iter().max(), world.accepted() as u64);
    assert!(most.unwrap() < accepted, "{again:?} of {accepted}");
    assert!(world.unordered().len() < 10);
}

#[test]
fn batches_that_nobody_confirms_make_room_for_later_ones() {
    let (author, leader) = (0, 1);
    let mut world = connected(49);
    let mut ids = make_suspect(&mut world, author, leader, 0..20);
    // The author and the one that suspects it are two of four: nobody confirms, and no view goes on.
    world.partition(&[author, leader]);
    pass(&mut world, s(1));
    let before = metric(&world, leader, ON_PROBATION);
    ids.extend(hand_in(&mut world, author, 20..120, ms(4)));
    let waiting = metric(&world, leader, ON_PROBATION) - before;
    assert!(waiting > 50, "{waiting}");
    // All of it is ordered before the other one hears of it.
    world.partition_between(author, leader);
    world.repair_between(author, 2);
    world.repair_between(author, 3);
    pass(&mut world, s(8));
    assert_eq!(world.unordered(), []);
    world.repair(&[leader]);
    pass(&mut world, MESH);

    let before = metric(&world, leader, ON_PROBATION);
    ids.extend(hand_in(&mut world, author, 120..130, ms(100)));
    let after = metric(&world, leader, ON_PROBATION);
    assert!(after > before, "still a suspect");
    pass(&mut world, s(1));
    for member in 0..MEMBERS {
        ordered_once(&world, member, &ids);
    }
}
