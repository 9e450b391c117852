//! The forced inbox between production drivers in a turmoil world: F18 as users of the inbox see it. The test plays L1.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_finality::{InboxEntry, L1Block};
use outrider_sim::world::{World, WorldConfig};
use outrider_types::registry::SHORT_LIVED;
use outrider_types::{L1BlockHash, RollupId, Timestamp, Transaction, TransactionId};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
/// When worlds begin, in seconds since the Unix epoch.
const BEGINNING: u64 = 1_700_000_000;
const ALL: [usize; 4] = [0, 1, 2, 3];

fn pass(world: &mut World<'_>, seconds: u64) {
    let until = Duration::from_micros(world.now()) + Duration::from_secs(seconds);
    world.run_to(until).unwrap();
}

/// Four members, of whom so many never include anything from L1.
fn world(lazy: usize) -> World<'static> {
    let config = WorldConfig {
        rate: 0.0,
        lazy: Some(lazy),
        ..WorldConfig::new(7)
    };
    let mut world = World::new(config).unwrap();
    pass(&mut world, 4);
    world
}

/// Entry `index` comes with L1 block `index + 1`.
fn entry(world: &World<'_>, index: u64, rollup: RollupId, due_in: u64) -> InboxEntry {
    let due = BEGINNING * SECOND + world.now() + due_in * SECOND;
    let transaction = Transaction {
        rollup,
        data: index.to_be_bytes().to_vec().into(),
    };
    InboxEntry::new((index, index + 1), transaction, Timestamp(due))
}

fn see(world: &World<'_>, hosts: &[usize], entries: &[InboxEntry]) {
    let block = L1Block {
        number: entries.last().map_or(0, |last| last.l1),
        hash: L1BlockHash([9; 32]),
    };
    for host in hosts {
        world.see_l1(*host, vec![block], entries.to_vec());
    }
}

/// When a member had this final, each time.
fn finals(world: &World<'_>, member: usize, id: TransactionId) -> Vec<Duration> {
    let own = world.commits().iter().filter(|one| one.member == member);
    let holds = own.filter(|one| one.transactions.contains(&id));
    holds.map(|one| one.at).collect()
}

fn height(world: &World<'_>, member: usize) -> u64 {
    let own = world.commits().iter().filter(|one| one.member == member);
    own.map(|one| one.height.0).max().unwrap_or(0)
}

#[test]
fn f18_forced_transaction_is_final_before_it_is_due_though_most_leaders_leave_it_out() {
    let mut world = world(3);
    let entry = entry(&world, 0, RollupId(7), 5);
    see(&world, &ALL, std::slice::from_ref(&entry));
    pass(&mut world, 8);
    for member in ALL {
        let at = finals(&world, member, entry.id);
        assert_eq!(at.len(), 1, "at member {member}");
        let due = entry.due.0 - BEGINNING * SECOND;
        assert!(at[0].as_micros() < u128::from(due));
    }
    let before = height(&world, 0);
    pass(&mut world, 4);
    assert!(height(&world, 0) > before + 10);
}

#[test]
fn f18_no_block_that_leaves_out_an_overdue_entry_gets_a_vote() {
    let mut world = world(4);
    let entry = entry(&world, 0, RollupId(7), 3);
    see(&world, &ALL, std::slice::from_ref(&entry));
    pass(&mut world, 4);
    let before = height(&world, 0);
    pass(&mut world, 20);
    assert!(finals(&world, 0, entry.id).is_empty());
    // What was on its way when it became due.
    assert!(height(&world, 0) <= before + 4);
    assert!(world.metric(0, "outrider_blocks_unwelcome_total").unwrap() > 0);
}

#[test]
fn f18_member_that_sees_nothing_of_l1_follows_and_votes() {
    let mut world = world(0);
    let entries = [0, 1].map(|index| entry(&world, index, RollupId(7), 3));
    see(&world, &ALL[..3], &entries);
    pass(&mut world, 4);
    for member in ALL {
        assert_eq!(finals(&world, member, entries[1].id).len(), 1);
    }
    // Without the vote of a member that sees L1, the blind one's counts.
    world.partition(&[0]);
    let before = height(&world, 1);
    pass(&mut world, 10);
    assert!(height(&world, 1) > before + 10);
    world.repair(&[0]);
}

#[test]
fn entry_that_is_ordered_already_or_can_never_be_is_consumed_without_effect() {
    let mut world = world(0);
    let plain = entry(&world, 0, RollupId(7), 3);
    let Transaction { rollup, data } = plain.transaction.clone();
    world.submit(2, Transaction { rollup, data });
    pass(&mut world, 2);
    assert_eq!(finals(&world, 0, plain.id).len(), 1);
    let closed = entry(&world, 1, RollupId(SHORT_LIVED.start), 3);
    let last = entry(&world, 2, RollupId(8), 3);
    see(&world, &ALL, &[plain.clone(), closed.clone(), last.clone()]);
    pass(&mut world, 6);
    assert_eq!(finals(&world, 0, plain.id).len(), 1);
    assert!(finals(&world, 0, closed.id).is_empty());
    assert_eq!(finals(&world, 0, last.id).len(), 1);
    let before = height(&world, 0);
    pass(&mut world, 4);
    assert!(height(&world, 0) > before + 10);
}

#[test]
fn member_that_restarts_sees_l1_again_and_goes_on() {
    let mut world = world(0);
    let first = entry(&world, 0, RollupId(7), 3);
    see(&world, &ALL, std::slice::from_ref(&first));
    pass(&mut world, 2);
    world.crash(2, 0);
    pass(&mut world, 2);
    world.restart(2);
    pass(&mut world, 4);
    let second = entry(&world, 1, RollupId(7), 4);
    see(&world, &ALL, std::slice::from_ref(&second));
    pass(&mut world, 6);
    for member in ALL {
        assert_eq!(finals(&world, member, second.id).len(), 1, "at {member}");
    }
}
