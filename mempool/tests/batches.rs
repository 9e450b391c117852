//! M1 and M7: batches carry transactions ahead of consensus, references make them a payload again, all of it within limits.
#![allow(clippy::unwrap_used, reason = "a test may")]

use outrider_mempool::{
    AssemblyLimits, HeldBatch, Limits, Mempool, ResolveError, Site, Unresolved,
};
use outrider_types::message::{Reference, References};
use outrider_types::{
    BatchId, BlockId, CheckedPayload, PayloadError, PayloadId, Policy, RollupId, Timestamp,
    Transaction, TransactionId,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1);
const A: usize = 0;
const B: usize = 1;

fn transaction(rollup: u64, number: u32, size: usize) -> Transaction {
    let mut data = vec![0; size.max(4)];
    data[..4].copy_from_slice(&number.to_be_bytes());
    Transaction {
        rollup: RollupId(rollup),
        data: data.into(),
    }
}

fn own(pool: &mut Mempool, tx: Transaction) {
    pool.admit_own(NOW, tx.id(), tx).unwrap();
}

fn hand_over(batch: &HeldBatch, from: usize, to: &mut Mempool) -> Vec<u16> {
    let list = batch.ids.iter().copied();
    let list = list.zip(batch.transactions.iter().cloned()).collect();
    let (id, refused) = to.admit_batch(NOW, from, list, |_| false);
    assert_eq!(id, batch.id);
    refused
}

fn references(pool: &Mempool, exclude: &[TransactionId]) -> (References, Vec<TransactionId>) {
    let assembled = pool.assemble(&AssemblyLimits::default(), &|id| exclude.contains(id));
    let payload = assembled.payload;
    assert_eq!(
        CheckedPayload::new((*payload.payload).clone()).unwrap(),
        payload
    );
    let references = assembled.references.unwrap();
    (references, payload.transactions.to_vec())
}

/// A mempool with one batch of `count` transactions of its own, and that batch.
fn author(count: u32, size: usize) -> (Mempool, HeldBatch) {
    let mut pool = Mempool::new(Limits::default());
    for number in 0..count {
        own(
            &mut pool,
            transaction(1 + u64::from(number % 3), number, size),
        );
    }
    let batch = pool.seal().unwrap();
    assert!(!pool.has_open() && pool.seal().is_none());
    (pool, batch)
}

#[test]
fn what_is_not_held_is_named_and_then_resolved() {
    let (leader, batch) = author(9, 40);
    let mut voter = Mempool::new(Limits::default());
    let (told, ids) = references(&leader, &[]);
    let missing = ResolveError::Missing {
        batches: vec![batch.id],
    };
    assert_eq!(voter.resolve(&told), Err(missing));
    assert!(hand_over(&batch, A, &mut voter).is_empty());
    let found = voter.resolve(&told).unwrap();
    assert_eq!((found.id, &*found.transactions), (told.payload, &ids[..]));
}

#[test]
fn a_batch_may_be_taken_in_part() {
    let (leader, batch) = author(9, 40);
    let mut voter = Mempool::new(Limits::default());
    hand_over(&batch, A, &mut voter);
    let (told, ids) = references(&leader, &[batch.ids[0], batch.ids[8]]);
    assert_eq!(told.batches[0].left_out, [0, 8]);
    assert_eq!(ids.len(), 7);
    assert_eq!(*voter.resolve(&told).unwrap().transactions, ids);
}

#[test]
fn what_leads_to_no_payload_is_refused() {
    let (pool, batch) = author(3, 40);
    let told = |payload, left_out: &[&[u16]]| References {
        payload,
        batches: left_out
            .iter()
            .map(|places| Reference {
                batch: batch.id,
                left_out: places.to_vec(),
            })
            .collect(),
        orders: Default::default(),
    };
    let right = references(&pool, &[]).0.payload;
    assert!(pool.resolve(&told(right, &[&[]])).is_ok());
    assert_eq!(
        pool.resolve(&told(PayloadId([7; 32]), &[&[]])),
        Err(ResolveError::Other)
    );
    for places in [&[3][..], &[1, 0], &[1, 1]] {
        let batch = batch.id;
        assert_eq!(
            pool.resolve(&told(right, &[places])),
            Err(ResolveError::Places { batch })
        );
    }
    assert!(matches!(
        pool.resolve(&told(right, &[&[], &[]])),
        Err(ResolveError::Payload(PayloadError::Duplicate { .. }))
    ));
}

#[test]
fn references_to_more_than_a_payload_may_hold_end_early() {
    let (pool, batch) = author(1_024, 512);
    let reference = Reference {
        batch: batch.id,
        left_out: Vec::new(),
    };
    let many = References {
        payload: PayloadId([0; 32]),
        batches: vec![reference; 16_384],
        orders: Default::default(),
    };
    assert!(matches!(
        pool.resolve(&many),
        Err(ResolveError::Payload(PayloadError::Size { .. }))
    ));
}

#[test]
fn a_transaction_that_two_members_spread_is_told_by_the_batch_that_came_first() {
    let (_, first) = author(3, 40);
    let (mut late, second) = author(5, 40);
    let mut pool = Mempool::new(Limits::default());
    hand_over(&first, A, &mut pool);
    hand_over(&second, B, &mut pool);
    let (told, ids) = references(&pool, &[]);
    assert_eq!(told.batches[0].batch, first.id);
    assert_eq!(told.batches[1].left_out, [0, 1, 2]);
    hand_over(&first, A, &mut late);
    assert_eq!(*late.resolve(&told).unwrap().transactions, ids);
}

#[test]
fn an_author_fills_its_share_and_no_more() {
    let limits = Limits {
        total_bytes: 4_096,
        ..Limits::default()
    };
    let mut pool = Mempool::new(limits);
    let (_, fits) = author(4, 512);
    assert!(hand_over(&fits, A, &mut pool).is_empty());
    let mut other = Mempool::new(Limits::default());
    own(&mut other, transaction(9, 99, 1));
    let more = other.seal().unwrap();
    assert_eq!(
        hand_over(&more, A, &mut pool),
        [0],
        "half of the mempool is A's share"
    );
    assert!(hand_over(&more, B, &mut pool).is_empty(), "B has its own");
    pool.committed(&fits.ids);
    own(&mut other, transaction(9, 100, 1));
    let later = other.seal().unwrap();
    assert!(
        hand_over(&later, A, &mut pool).is_empty(),
        "what is final frees the share"
    );
}

#[test]
fn what_is_done_is_kept_for_a_while_and_then_forgotten() {
    let mut pool = Mempool::new(Limits::default());
    let mut first: Option<BatchId> = None;
    for number in 0..1_100 {
        own(&mut pool, transaction(1, number, 40));
        let batch = pool.seal().unwrap();
        first.get_or_insert(batch.id);
        pool.committed(&batch.ids);
        assert!(pool.batch(&batch.id).is_some());
    }
    assert!(pool.batch(&first.unwrap()).is_none());
}

#[test]
fn a_batch_ends_at_its_limits() {
    let mut pool = Mempool::new(Limits::default());
    for number in 0..1_030 {
        own(&mut pool, transaction(1, number, 8));
    }
    let sizes: Vec<usize> = std::iter::from_fn(|| pool.seal())
        .map(|one| one.ids.len())
        .collect();
    assert_eq!(sizes, [1_024, 6]);
    for number in 2_000..2_009 {
        own(&mut pool, transaction(1, number, 100_000));
    }
    let sizes: Vec<usize> = std::iter::from_fn(|| pool.seal())
        .map(|one| one.ids.len())
        .collect();
    assert_eq!(sizes, [5, 4]);
}

#[test]
fn references_wait_for_their_batches_and_senders_cannot_fill_memory() {
    let told = |number: u8| References {
        payload: PayloadId([number; 32]),
        batches: vec![Reference {
            batch: BatchId([number % 2; 32]),
            left_out: Vec::new(),
        }],
        orders: Default::default(),
    };
    let mut unresolved = Unresolved::default();
    for number in 0..40 {
        unresolved.keep(NOW, A, told(number));
        unresolved.keep(NOW, A, told(number));
    }
    unresolved.keep(NOW, B, told(0));
    assert_eq!(unresolved.len(), Unresolved::PER_SENDER_MAX + 1);
    assert!(unresolved.names(&BatchId([1; 32])) && !unresolved.names(&BatchId([2; 32])));
    let ask_at = NOW.after(Unresolved::ASK_AFTER);
    assert_eq!(unresolved.wake_at(), Some(ask_at));
    assert!(unresolved.due(Timestamp(ask_at.0 - 1)).is_empty());
    let due = unresolved.due(ask_at);
    assert_eq!(due.len(), unresolved.len());
    assert!(unresolved.due(ask_at).is_empty() && unresolved.wake_at().is_none());
    let taken = unresolved.take(&BatchId([0; 32]));
    let pairs = taken.iter().map(|one| (one.from, one.references.clone()));
    assert_eq!(
        pairs.collect::<Vec<_>>(),
        [
            (A, told(32)),
            (A, told(34)),
            (A, told(36)),
            (A, told(38)),
            (B, told(0))
        ]
    );
    assert_eq!(unresolved.take(&BatchId([1; 32])).len(), 4);
    assert!(unresolved.is_empty());
    // Asked for once, also when it is put back.
    unresolved.put_back(taken[0].clone());
    assert_eq!((unresolved.len(), unresolved.wake_at()), (1, None));
}

#[derive(Clone, Debug)]
enum Act {
    Own(u8, u8),
    Theirs(Vec<(u8, u8)>),
    Seal,
    Commit(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = (0_u8..4, 0_u8..60);
    prop::collection::vec(
        prop_oneof![
            4 => one.clone().prop_map(|(rollup, number)| Act::Own(rollup, number)),
            3 => prop::collection::vec(one, 1..6).prop_map(Act::Theirs),
            2 => Just(Act::Seal),
            1 => (0_usize..8).prop_map(Act::Commit),
        ],
        1..80,
    )
}

proptest! {
    #[test]
    fn whoever_holds_the_batches_finds_the_same_payload(acts in acts()) {
        let mut leader = Mempool::new(Limits::default());
        let mut voter = Mempool::new(Limits::default());
        let tx = |rollup: u8, number: u8| transaction(u64::from(rollup), u32::from(number), 20);
        let seal = |leader: &mut Mempool, voter: &mut Mempool| {
            while let Some(batch) = leader.seal() {
                hand_over(&batch, A, voter);
            }
        };
        for act in acts {
            match act {
                Act::Own(rollup, number) => {
                    let tx = tx(rollup, number);
                    drop(leader.admit_own(NOW, tx.id(), tx));
                }
                Act::Theirs(list) => {
                    seal(&mut leader, &mut voter);
                    let list: Vec<_> = list.into_iter().map(|(rollup, number)| {
                        let tx = tx(rollup, number);
                        (tx.id(), tx)
                    }).collect();
                    // The voter hears it in another order than the leader's own.
                    voter.admit_batch(NOW, B, list.clone(), |_| false);
                    leader.admit_batch(NOW, B, list, |_| false);
                }
                Act::Seal => seal(&mut leader, &mut voter),
                Act::Commit(count) => {
                    seal(&mut leader, &mut voter);
                    let (told, ids) = references(&leader, &[]);
                    let found = voter.resolve(&told).unwrap();
                    prop_assert_eq!(found.id, told.payload);
                    prop_assert_eq!(&*found.transactions, &ids[..]);
                    let part = &ids[..count.min(ids.len())];
                    leader.committed(part);
                    voter.committed(part);
                }
            }
        }
    }
}

#[test]
fn what_is_final_already_is_of_the_batch_and_does_not_wait() {
    let (leader, batch) = author(9, 40);
    let last = batch.ids[8];
    let list = batch.ids.iter().copied();
    let mut voter = Mempool::new(Limits::default());
    let list = list.zip(batch.transactions.iter().cloned()).collect();
    let (id, refused) = voter.admit_batch(NOW, A, list, |id| *id == last);
    assert!(id == batch.id && refused.is_empty());
    assert_eq!((voter.len(), voter.contains(&last)), (8, false));
    let (own, ids) = references(&voter, &[]);
    assert_eq!(
        (own.batches[0].left_out.as_slice(), ids.len()),
        (&[8][..], 8)
    );
    let (told, ids) = references(&leader, &[]);
    assert_eq!(*voter.resolve(&told).unwrap().transactions, *ids);
}

#[test]
fn lanes_of_every_policy_are_told_by_references_and_found_again_in_the_same_order() {
    let parent = BlockId([3; 32]);
    let policies = [
        (RollupId(1), Some(Policy::Fcfs)),
        (RollupId(2), Some(Policy::PriorityPrefix)),
        (RollupId(3), Some(Policy::Shuffled)),
        (RollupId(4), None),
    ];
    let mut author = Mempool::new(Limits::default());
    let mut other = Mempool::new(Limits::default());
    let data = |rollup: u64, at: u64| Transaction {
        rollup: RollupId(rollup),
        data: [(at * 7 % 5).to_be_bytes(), at.to_be_bytes()]
            .concat()
            .into(),
    };
    for at in 0..20 {
        for rollup in 1..=4 {
            own(&mut author, data(rollup, at));
        }
        if at % 6 == 5 {
            hand_over(&author.seal().unwrap(), A, &mut other);
        }
    }
    hand_over(&author.seal().unwrap(), A, &mut other);
    for pool in [&author, &other] {
        let site = Site {
            parent,
            policy: &|rollup| policies.iter().find(|(id, _)| *id == rollup)?.1,
            exclude: &|_| false,
        };
        // Room for some only: of a lane with priorities these are the highest.
        let limits = AssemblyLimits {
            transactions: 30,
            ..AssemblyLimits::default()
        };
        let assembled = pool.assemble_at(&limits, &site);
        let payload = &assembled.payload.payload;
        assert_eq!(payload.batches.len(), 3, "the closed lane is left out");
        let mut ids = &*assembled.payload.transactions;
        for (batch, (rollup, policy)) in payload.batches.iter().zip(policies) {
            let (own, rest) = ids.split_at(batch.transactions.len());
            ids = rest;
            assert_eq!((batch.rollup, own.len()), (rollup, 10));
            assert_eq!(
                policy.unwrap().fault(parent, &batch.transactions, own),
                None
            );
        }
        let fees = payload.batches[1].transactions.iter();
        let fees: Vec<u128> = fees.map(|data| Policy::PriorityPrefix.fee(data)).collect();
        assert_eq!(fees, [4, 4, 4, 4, 3, 3, 3, 3, 2, 2]);
        let references = assembled.references.unwrap();
        for resolver in [&author, &other] {
            assert_eq!(resolver.resolve(&references).unwrap(), assembled.payload);
        }
    }
    assert_eq!(other.close(RollupId(4)), 20);
    assert_eq!(other.close(RollupId(4)), 0);
}
