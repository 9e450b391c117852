//! Tests of the ledger: F1, F2, F3.

use super::*;
use bytes::Bytes;
use outrider_types::{Batch, LaneHash, LaneHeight, Payload, View, testing};
use proptest::prelude::*;

fn payload(batches: &[(u64, &[&str])]) -> Payload {
    let batch = |(rollup, data): &(u64, &[&str])| Batch {
        rollup: RollupId(*rollup),
        transactions: data
            .iter()
            .map(|data| Bytes::copy_from_slice(data.as_bytes()))
            .collect(),
    };
    Payload {
        batches: batches.iter().map(batch).collect(),
    }
}

fn genesis() -> Block {
    Block::genesis(&testing::committee(&[1; 4]).0)
}

fn next(ledger: &Ledger, payload: &Payload) -> Block {
    let tip = ledger.tip();
    let view = View(tip.view.0 + 1);
    let roots = crate::Outlook::default().roots(ledger, tip.id, &checked(payload));
    Block {
        roots: roots.unwrap(),
        origin: outrider_types::Origin::NONE,
        view,
        height: tip.height.next(),
        parent: tip.id,
        payload: payload.id(),
        ..genesis()
    }
}

/// Rollup, lane height and transactions of the lanes that a block continues.
fn ends(appended: &Appended) -> Vec<(u64, u64, u64)> {
    let end = |lane: &LaneBlock| (lane.rollup.0, lane.height.0, lane.tip().transactions);
    appended.lanes.iter().map(end).collect()
}

fn checked(payload: &Payload) -> CheckedPayload {
    CheckedPayload::new(payload.clone()).unwrap()
}

#[test]
fn positions_count_per_rollup_and_over_blocks() {
    let mut ledger = Ledger::new(&genesis());
    let first = payload(&[(1, &["a", "b"]), (5, &["a"])]);
    let block = next(&ledger, &first);
    let appended = ledger.append(&block, &checked(&first)).unwrap();
    assert_eq!(appended.height, Height(1));
    assert_eq!(ends(&appended), [(1, 1, 2), (5, 1, 1)]);
    let before = appended.lanes[1];

    let second = payload(&[(3, &["x"]), (5, &["b", "c"])]);
    let block = next(&ledger, &second);
    let appended = ledger.append(&block, &checked(&second)).unwrap();
    assert_eq!(ends(&appended), [(3, 1, 1), (5, 2, 3)]);
    assert_eq!(appended.lanes[1].parent, before.hash());
    assert_eq!(appended.lanes[1].before(), before.tip());
    assert_eq!(appended.lanes[0].parent, LaneHash::NONE);
    let places: Vec<_> = appended
        .entries
        .iter()
        .map(|entry| {
            (
                entry.rollup.0,
                entry.position,
                entry.lane_index,
                entry.index,
            )
        })
        .collect();
    assert_eq!(places, [(3, 0, 0, 0), (5, 1, 1, 0), (5, 2, 1, 1)]);
    let found = appended.entries[2].location(appended.height);
    assert_eq!(
        found,
        TransactionLocation {
            height: Height(2),
            lane_index: 1,
            index: 1,
            position: 2
        }
    );
    assert_eq!(ledger.transactions(), 6);
    let count = |rollup| ledger.lane(RollupId(rollup)).transactions;
    assert_eq!((count(5), count(4)), (3, 0));
    assert_eq!(ledger.tip(), &LedgerTip::of(&block, 6));

    let empty = Payload::default();
    let block = next(&ledger, &empty);
    assert_eq!(ledger.append(&block, &checked(&empty)).unwrap().entries, []);
}

#[test]
fn only_the_next_block_with_its_own_payload_is_appended() {
    let mut ledger = Ledger::new(&genesis());
    let good = payload(&[(1, &["a", "b"])]);
    let other = payload(&[(1, &["a", "c"])]);
    let block = next(&ledger, &good);
    let height = Height(1);
    let before = ledger.clone();
    let mut refuse = |block: &Block, payload: &Payload, reason: LedgerError| {
        assert_eq!(ledger.append(block, &checked(payload)), Err(reason));
        assert_eq!(ledger, before, "a refused block changes nothing");
    };
    for found in [Height(0), Height(2), Height(u64::MAX)] {
        let reason = LedgerError::Height {
            found,
            expected: height,
        };
        refuse(
            &Block {
                height: found,
                ..block
            },
            &good,
            reason,
        );
    }
    let parent = BlockId([9; 32]);
    let reason = LedgerError::Parent {
        height,
        found: parent,
        expected: genesis().id(),
    };
    refuse(&Block { parent, ..block }, &good, reason);
    let reason = LedgerError::Commitment {
        height,
        found: other.id(),
        expected: good.id(),
    };
    refuse(&block, &other, reason);
    ledger.append(&block, &checked(&good)).unwrap();
}

#[test]
fn a_snapshot_must_add_up() {
    let tip = LedgerTip::of(&genesis(), 5);
    let lane = |rollup, transactions| {
        let height = LaneHeight(1);
        let hash = LaneHash([1; 32]);
        let tip = LaneTip {
            height,
            hash,
            transactions,
        };
        (RollupId(rollup), tip)
    };
    let history = Ledger::new(&genesis()).history().clone();
    let restore = |lanes: &[_]| {
        let rest = (history.clone(), Registry::default());
        Ledger::restore(tip, lanes.iter().copied(), rest)
    };
    let lanes = [lane(1, 2), lane(2, 3)];
    let restored = restore(&lanes).unwrap();
    assert_eq!(restored.lane(RollupId(2)), lanes[1].1);
    let found = Ledger::restore(tip, lanes, (Peaks::default(), Registry::default()));
    let (found, expected) = (
        found,
        Err(LedgerError::History {
            found: 0,
            expected: 1,
        }),
    );
    assert_eq!(found, expected);
    let found = restore(&[lanes[0], lanes[0], lanes[1], lane(1, 4)]);
    assert_eq!(
        found,
        Err(LedgerError::Snapshot {
            found: 7,
            expected: 5
        })
    );
    let found = restore(&lanes[..1]);
    assert_eq!(
        found,
        Err(LedgerError::Snapshot {
            found: 2,
            expected: 5
        })
    );
}

#[test]
fn f1_a_transaction_is_not_ordered_twice_within_the_window() {
    let id = |byte| TransactionId([byte; 32]);
    let height = Height(DUPLICATE_WINDOW_BLOCKS + 10);
    let at = |found: u64| {
        duplicate(
            height,
            &[id(1), id(2)],
            |one| (*one == id(2)).then_some(Height(found)),
            |_| false,
        )
    };
    assert_eq!(at(9), None, "one below the window");
    assert_eq!(at(10), Some(id(2)), "the first height of the window");
    assert_eq!(at(11), Some(id(2)));
    let early = duplicate(Height(3), &[id(1)], |_| Some(Height(0)), |_| false);
    assert_eq!(
        early,
        Some(id(1)),
        "near genesis the window reaches down to it"
    );
    let pending = duplicate(height, &[id(1), id(2)], |_| None, |one| *one == id(2));
    assert_eq!(pending, Some(id(2)));
    assert_eq!(duplicate(height, &[], |_| Some(height), |_| true), None);
}

proptest! {
    #[test]
    fn ledgers_agree_over_restarts_and_have_no_gaps(
        blocks in prop::collection::vec(prop::collection::btree_map(0..6_u64, 1..5_usize, 0..5), 0..20),
        restart in 0..20_usize,
    ) {
        let mut ledger = Ledger::new(&genesis());
        let mut model: BTreeMap<RollupId, Vec<TransactionId>> = BTreeMap::new();
        let mut stored: BTreeMap<RollupId, LaneTip> = BTreeMap::new();
        for (at, lanes) in blocks.iter().enumerate() {
            let batch = |(rollup, count): (&u64, &usize)| Batch {
                rollup: RollupId(*rollup),
                transactions: (0..*count).map(|n| Bytes::from(format!("{at} {n}"))).collect(),
            };
            let payload = Payload { batches: lanes.iter().map(batch).collect() };
            let block = next(&ledger, &payload);
            let ids = payload.check().unwrap();
            let checked = checked(&payload);
            prop_assert_eq!((checked.id, &*checked.transactions), (payload.id(), &ids[..]));
            let appended = ledger.append(&block, &checked).unwrap();
            for entry in &appended.entries {
                let lane = model.entry(entry.rollup).or_default();
                prop_assert_eq!(entry.position, lane.len() as u64);
                lane.push(entry.id);
                let batch = &payload.batches[entry.lane_index as usize];
                prop_assert_eq!(batch.rollup, entry.rollup);
                prop_assert_eq!(batch.ids().nth(entry.index as usize), Some(entry.id));
            }
            stored.extend(appended.lanes.iter().map(|lane| (lane.rollup, lane.tip())));
            if at == restart {
                let restored = Ledger::restore(*ledger.tip(), stored.clone(), (ledger.history().clone(), Registry::default())).unwrap();
                prop_assert_eq!(&restored, &ledger);
                ledger = restored;
            }
        }
        let counts: Vec<_> = model.iter().map(|(rollup, ids)| (*rollup, ids.len() as u64)).collect();
        let found = ledger.lanes().map(|(rollup, tip)| (rollup, tip.transactions));
        prop_assert_eq!(found.collect::<Vec<_>>(), counts);
        prop_assert_eq!(ledger.transactions(), model.values().map(|ids| ids.len() as u64).sum::<u64>());
    }
}
