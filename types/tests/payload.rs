//! What may stand in a block, and what a payload's commitment binds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::payload;
use outrider_types::limits::{
    LANES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
};
use outrider_types::{Batch, Bytes, Payload, PayloadError, RollupId};

fn batch(rollup: u64, transactions: Vec<Bytes>) -> Batch {
    Batch {
        rollup: RollupId(rollup),
        transactions,
    }
}

fn numbered(count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|i| Bytes::from(i.to_be_bytes().to_vec()))
        .collect()
}

fn check(batches: Vec<Batch>) -> Result<usize, PayloadError> {
    Payload { batches }.check().map(|ids| ids.len())
}

#[test]
fn a_good_payload_gives_its_ids_in_order() {
    let payload = payload();
    let ids = payload.check().unwrap();
    assert_eq!(ids, payload.ids().collect::<Vec<_>>());
    assert_eq!(
        (ids.len(), payload.len(), payload.is_empty()),
        (4, 4, false)
    );
    assert_eq!(check(Vec::new()), Ok(0));
    assert!(Payload::default().is_empty());
}

#[test]
fn rollups_ascend_strictly_and_none_is_empty() {
    let one = || vec![Bytes::from_static(b"x")];
    assert_eq!(check(vec![batch(1, one()), batch(2, one())]), Ok(2));
    for rollup in [1, 2] {
        let order = PayloadError::LaneOrder {
            rollup: RollupId(rollup),
        };
        assert_eq!(
            check(vec![batch(2, one()), batch(rollup, one())]),
            Err(order)
        );
    }
    let empty = PayloadError::EmptyBatch {
        rollup: RollupId(3),
    };
    assert_eq!(check(vec![batch(3, Vec::new())]), Err(empty));
}

#[test]
fn counts_and_sizes_reach_their_limit_and_not_one_more() {
    let count = TRANSACTIONS_PER_PAYLOAD_MAX;
    assert_eq!(check(vec![batch(1, numbered(count))]), Ok(count));
    let error = PayloadError::TransactionCount { count: count + 1 };
    assert_eq!(
        check(vec![batch(1, numbered(count)), batch(2, numbered(1))]),
        Err(error)
    );

    let lanes = |count: usize| (0..count).map(|i| batch(i as u64, numbered(1))).collect();
    assert_eq!(
        check(lanes(LANES_PER_PAYLOAD_MAX)),
        Ok(LANES_PER_PAYLOAD_MAX)
    );
    let count = LANES_PER_PAYLOAD_MAX + 1;
    assert_eq!(check(lanes(count)), Err(PayloadError::LaneCount { count }));

    let sized = |bytes: usize| Bytes::from(vec![0; bytes]);
    assert_eq!(
        check(vec![batch(1, vec![sized(TRANSACTION_BYTES_MAX)])]),
        Ok(1)
    );
    let bytes = TRANSACTION_BYTES_MAX + 1;
    let error = PayloadError::TransactionSize {
        rollup: RollupId(1),
        bytes,
    };
    assert_eq!(check(vec![batch(1, vec![sized(bytes)])]), Err(error));

    // 1 for the number of batches, 8 for the rollup, 1 for the number of transactions, 3 for each length.
    let full = |last: usize| {
        let mut list: Vec<Bytes> = (0..15)
            .map(|i| Bytes::from(vec![i; TRANSACTION_BYTES_MAX]))
            .collect();
        list.push(sized(last));
        vec![batch(1, list)]
    };
    let last = PAYLOAD_BYTES_MAX - (1 + 8 + 1 + 16 * 3) - 15 * TRANSACTION_BYTES_MAX;
    assert_eq!(check(full(last)), Ok(16));
    let bytes = PAYLOAD_BYTES_MAX + 1;
    assert_eq!(check(full(last + 1)), Err(PayloadError::Size { bytes }));
}

#[test]
fn a_transaction_stands_in_a_block_once_for_each_rollup() {
    let same = || Bytes::from_static(b"same");
    let id = Payload {
        batches: vec![batch(1, vec![same()])],
    }
    .ids()
    .next()
    .unwrap();
    assert_eq!(
        check(vec![batch(1, vec![same(), same()])]),
        Err(PayloadError::Duplicate { id })
    );
    assert_eq!(
        check(vec![batch(1, vec![same()]), batch(2, vec![same()])]),
        Ok(2)
    );
}

#[test]
fn the_commitment_binds_rollups_transactions_and_their_order() {
    let base = payload();
    let changed = |edit: &dyn Fn(&mut Payload)| {
        let mut payload = base.clone();
        edit(&mut payload);
        assert_ne!(payload.id(), base.id());
    };
    changed(&|p| p.batches[0].transactions.swap(0, 1));
    changed(&|p| p.batches[0].transactions[0] = Bytes::from_static(b"One"));
    changed(&|p| drop(p.batches[0].transactions.pop()));
    changed(&|p| p.batches[0].rollup = RollupId(11));
    changed(&|p| p.batches.swap(0, 1));
    changed(&|p| drop(p.batches.pop()));
    changed(&|p| {
        let moved = p.batches[0].transactions.pop().unwrap();
        p.batches[1].transactions.insert(0, moved);
    });
    changed(&|p| p.batches.clear());
}
