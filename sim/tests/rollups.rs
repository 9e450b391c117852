//! Registered rollups, ordering policies and bundles between production drivers in a turmoil world: F14 and F15 as rollups see
//! them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::world::{World, WorldConfig};
use outrider_types::bundle::{self, Part};
use outrider_types::order::shuffle_key;
use outrider_types::registry::{Close, Open, REGISTRY, RegistryCommand, SHORT_LIVED, Vm};
use outrider_types::{
    BlockId, Bytes, ChainId, Height, Policy, RollupId, SecretKey, Transaction, TransactionId,
};
use std::collections::BTreeMap;
use std::time::Duration;

const SHUFFLED: RollupId = RollupId(SHORT_LIVED.start);
const PRIORITY: RollupId = RollupId(SHORT_LIVED.start + 1);
const PLAIN: RollupId = RollupId(7);
const CHAIN: ChainId = ChainId(7_777);
const OWNER: u8 = 40;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn pass(world: &mut World<'_>, seconds: u64) {
    let until = Duration::from_micros(world.now()) + Duration::from_secs(seconds);
    world.run_to(until).unwrap();
}

fn world(seed: u64) -> World<'static> {
    let config = WorldConfig {
        rate: 0.0,
        ..WorldConfig::new(seed)
    };
    let mut world = World::new(config).unwrap();
    pass(&mut world, 4);
    world
}

fn register(world: &mut World<'_>, rollup: RollupId, policy: Policy, ttl: u64) {
    let open = RegistryCommand::Open(Open {
        rollup,
        vm: Vm::Opaque,
        policy,
        owner: key(OWNER).public_key(),
        ttl,
    });
    let transaction = Transaction {
        rollup: REGISTRY,
        data: open.to_data(),
    };
    world.submit(1, transaction);
    pass(world, 2);
}

fn numbered(rollup: RollupId, fee: u64, number: u64) -> Transaction {
    let data = [fee.to_be_bytes(), number.to_be_bytes()].concat();
    Transaction {
        rollup,
        data: data.into(),
    }
}

/// Blocks as member 0 told them: height, parent, ids.
fn blocks(world: &World<'_>) -> Vec<(Height, BlockId, Vec<TransactionId>)> {
    let mine = world.commits().iter().filter(|commit| commit.member == 0);
    let mut parent = BlockId::default();
    mine.map(|commit| {
        let before = std::mem::replace(&mut parent, commit.block);
        (commit.height, before, commit.transactions.clone())
    })
    .collect()
}

/// At which height each of these is final, at member 0.
fn heights(world: &World<'_>, ids: &[TransactionId]) -> Vec<Option<Height>> {
    let blocks = blocks(world);
    let at = |id: &TransactionId| {
        let block = blocks.iter().find(|(.., holds)| holds.contains(id));
        block.map(|(height, ..)| *height)
    };
    ids.iter().map(at).collect()
}

#[test]
fn f14_each_lane_is_ordered_by_its_policy_whoever_leads() {
    for seed in 1..=2 {
        let mut world = world(seed);
        register(&mut world, SHUFFLED, Policy::Shuffled, 3_600);
        register(&mut world, PRIORITY, Policy::PriorityPrefix, 3_600);
        let mut sent = BTreeMap::new();
        for round in 0..12 {
            for host in 0..4 {
                let mut list = Vec::new();
                for at in 0..5 {
                    let number = round * 100 + host * 10 + at;
                    for rollup in [SHUFFLED, PRIORITY, PLAIN] {
                        let transaction = numbered(rollup, number * 7 % 11, number);
                        sent.insert(transaction.id(), transaction.clone());
                        list.push(transaction);
                    }
                }
                world.submit_together(host as usize, list);
            }
            pass(&mut world, 1);
        }
        pass(&mut world, 5);
        let (mut found, mut several) = (0, [0; 2]);
        for (height, parent, ids) in blocks(&world) {
            let of = |rollup| {
                let ids = ids.iter().filter(|id| {
                    let known = sent.get(id);
                    known.is_some_and(|one: &Transaction| one.rollup == rollup)
                });
                ids.copied().collect::<Vec<_>>()
            };
            let shuffled = of(SHUFFLED);
            assert!(
                shuffled.is_sorted_by_key(|id| shuffle_key(parent, *id)),
                "{height}"
            );
            let fees = of(PRIORITY);
            let fee = |id: &TransactionId| Policy::PriorityPrefix.fee(&sent[id].data);
            assert!(
                fees.is_sorted_by(|one, other| fee(one) >= fee(other)),
                "{height}"
            );
            several[0] += usize::from(shuffled.len() > 1);
            several[1] += usize::from(fees.len() > 1);
            found += shuffled.len() + fees.len() + of(PLAIN).len();
        }
        assert_eq!(found, sent.len(), "seed {seed}: all are ordered");
        assert!(several.iter().all(|blocks| *blocks > 5), "{several:?}");
    }
}

#[test]
fn f14_a_rollup_is_ordered_from_its_registration_to_its_end_and_not_after() {
    let mut world = world(3);
    let early = numbered(SHUFFLED, 0, 1);
    world.submit(0, early.clone());
    pass(&mut world, 2);
    register(&mut world, SHUFFLED, Policy::Shuffled, 10);
    register(&mut world, PRIORITY, Policy::PriorityPrefix, 3_600);
    let opened = heights(&world, &[]).len();
    assert_eq!(opened, 0);
    let (during, closing) = (numbered(SHUFFLED, 0, 2), numbered(PRIORITY, 0, 3));
    world.submit(2, during.clone());
    world.submit(2, closing.clone());
    pass(&mut world, 3);
    // The second by its owner; the registry says in which block it was opened.
    let registered = blocks(&world);
    let opened = registered
        .iter()
        .filter(|(.., ids)| !ids.is_empty())
        .map(|(height, ..)| *height)
        .take(2)
        .collect::<Vec<_>>();
    let stranger = Close::sign(CHAIN, PRIORITY, opened[1], &key(OWNER + 1));
    let owner = Close::sign(CHAIN, PRIORITY, opened[1], &key(OWNER));
    let close = |close| Transaction {
        rollup: REGISTRY,
        data: RegistryCommand::Close(close).to_data(),
    };
    world.submit(1, close(stranger));
    pass(&mut world, 2);
    let open = numbered(PRIORITY, 0, 4);
    world.submit(3, open.clone());
    pass(&mut world, 2);
    world.submit(1, close(owner));
    pass(&mut world, 8);
    let (late, closed) = (numbered(SHUFFLED, 0, 5), numbered(PRIORITY, 0, 6));
    world.submit(0, late.clone());
    world.submit(3, closed.clone());
    // At a member that does not look, too: what others spread is not ordered either.
    world.spread(2, vec![late.clone(), closed.clone()]);
    pass(&mut world, 4);
    let ids = [&early, &during, &closing, &open, &late, &closed].map(Transaction::id);
    let ordered = heights(&world, &ids)
        .iter()
        .map(Option::is_some)
        .collect::<Vec<_>>();
    assert_eq!(ordered, [false, true, true, true, false, false]);
}

#[test]
fn f15_bundles_are_ordered_whole_and_in_one_block_or_not_at_all() {
    let mut world = world(4);
    let mut bundles = Vec::new();
    for number in 0..20_u64 {
        let part = |rollup| {
            (
                RollupId(rollup),
                Bytes::from(format!("{number} of {rollup}")),
            )
        };
        let parts = [part(1), part(2), part(9)];
        let (_, transactions) = bundle::wrap(&parts[..2 + number as usize % 2]).unwrap();
        bundles.push(transactions.iter().map(Transaction::id).collect::<Vec<_>>());
        world.submit_together(number as usize % 4, transactions);
        world.submit(0, numbered(PLAIN, 0, number));
        if number % 5 == 4 {
            pass(&mut world, 1);
        }
    }
    // Half a bundle is refused, and is not ordered when a member spreads it all the same.
    let parts = [
        (RollupId(1), Bytes::from_static(b"x")),
        (RollupId(2), Bytes::from_static(b"y")),
    ];
    let (_, mut half) = bundle::wrap(&parts).unwrap();
    assert!(Part::of(&half[0].data).unwrap().is_some());
    half.truncate(1);
    let half_id = half[0].id();
    world.submit_together(1, half.clone());
    world.spread(2, half);
    pass(&mut world, 4);
    for bundle in &bundles {
        let at = heights(&world, bundle);
        assert!(
            at[0].is_some() && at.iter().all(|height| *height == at[0]),
            "{at:?}"
        );
    }
    assert_eq!(heights(&world, &[half_id]), [None]);
    // What waits for parts that never come goes.
    let waiting = |world: &World<'_>| world.metric(3, "outrider_transactions_pending").unwrap();
    assert_eq!(waiting(&world), 1);
    pass(&mut world, 62);
    assert_eq!(waiting(&world), 0);
}
