//! The index finds what is final and nothing else, whatever became runs, over restarts, crashes and pruning.

use super::super::testing::{append, grow, open, payload};
use super::*;
use crate::chain::InUse;
use outrider_storage::{MemoryDisk, MemoryStore};
use outrider_types::{Batch, Payload, RollupId};

/// So few that a run is closed every few blocks.
const RUN_OF: usize = 40;

fn small(disk: &MemoryDisk) -> Chain<MemoryStore> {
    let mut chain = open(disk.store());
    chain.transactions.run_transactions = RUN_OF;
    chain
}

fn ids(height: u64) -> Vec<TransactionId> {
    payload(height, 50).ids().collect()
}

fn keys(chain: &Chain<MemoryStore>, first: u8) -> usize {
    let page = chain.store.range(Table::Transaction, &[first], 4_096);
    let page = page.unwrap();
    page.iter().filter(|(key, _)| key[0] == first).count()
}

fn assert_found(chain: &Chain<MemoryStore>, last: u64) {
    for height in 1..=last + 20 {
        for (at, id) in ids(height).iter().enumerate() {
            let found = chain.location(id).unwrap();
            let place = found.map(|found| (found.height.0, found.lane_index as usize));
            assert_eq!(place, (height <= last).then_some((height, at)));
        }
    }
}

#[test]
fn what_is_final_is_found_in_runs_and_outside_and_after_a_restart() {
    let disk = MemoryDisk::new();
    let mut chain = small(&disk);
    for last in [7, 60, 133, 400] {
        grow(&mut chain, last, 50);
        assert_found(&chain, last);
        drop(chain);
        chain = small(&disk);
        assert_found(&chain, last);
    }
    // Two in four of five blocks: 640 in all.
    assert_eq!(chain.transactions.runs.len(), 640 / RUN_OF);
    assert_eq!(keys(&chain, RUN), 640 / RUN_OF);
    assert_eq!(keys(&chain, OF_BLOCK), 0);
    // Positions in the lane are those of the whole chain.
    let position = |height: u64| chain.location(&ids(height)[0]).unwrap().unwrap().position;
    assert_eq!((position(1), position(399)), (0, 319));
}

#[test]
fn crash_between_any_two_writes_loses_no_place_of_what_is_kept() {
    for kept in 0..90 {
        let disk = MemoryDisk::new();
        let mut chain = small(&disk);
        grow(&mut chain, 20, 50);
        for height in 21..=30 {
            append(&mut chain, &payload(height, 50));
        }
        drop(chain);
        disk.crash(kept);
        let mut chain = small(&disk);
        let last = chain.root().height.0;
        assert!((20..=30).contains(&last));
        assert_found(&chain, last);
        grow(&mut chain, 90, 50);
        assert_found(&chain, 90);
    }
}

#[test]
fn runs_go_with_their_blocks() {
    let disk = MemoryDisk::new();
    let mut chain = small(&disk);
    grow(&mut chain, 400, 50);
    let in_use = InUse {
        voted: None,
        payload: &|_| false,
    };
    while chain.prune_due(100) {
        assert!(chain.prune(100, 3, &in_use).unwrap() > 0);
    }
    // 160 transactions are left, and the run in which the horizon is.
    assert!(chain.transactions.runs.len() <= 160 / RUN_OF + 1);
    assert_eq!(keys(&chain, RUN), chain.transactions.runs.len());
    assert_eq!(keys(&chain, CHUNK), chain.transactions.runs.len());
    chain.sync().unwrap();
    drop(chain);
    let chain = small(&disk);
    let swept = chain.pruning.swept().0;
    for height in 1..=400 {
        for id in ids(height) {
            assert_eq!(chain.location(&id).unwrap().is_some(), height >= swept);
        }
    }
}

#[test]
fn ordered_again_the_later_place_counts() {
    let disk = MemoryDisk::new();
    let mut chain = small(&disk);
    grow(&mut chain, 3, 50);
    append(&mut chain, &payload(1, 50));
    assert_eq!(chain.height_of(&ids(1)[0]).unwrap(), Some(Height(4)));
    // The first place is in a run, the second one is not, and then in a later run.
    grow(&mut chain, 60, 50);
    append(&mut chain, &payload(2, 50));
    assert_eq!(chain.height_of(&ids(2)[0]).unwrap(), Some(Height(61)));
    grow(&mut chain, 120, 50);
    assert_eq!(chain.height_of(&ids(2)[0]).unwrap(), Some(Height(61)));
}

#[test]
fn large_run_has_many_chunks_and_its_filter_is_seldom_wrong() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    chain.transactions.run_transactions = 5_000;
    let many = |salt: u64| Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: (0..5_000_u64)
                .map(|number| [salt, number].map(u64::to_be_bytes).concat().into())
                .collect(),
        }],
    };
    append(&mut chain, &many(0));
    let run = &chain.transactions.runs[0];
    assert_eq!((run.bits, run.chunks()), (5, 32));
    assert_eq!(keys(&chain, CHUNK), 32);
    for id in many(0).ids() {
        assert!(chain.location(&id).unwrap().is_some());
    }
    let wrong = many(1).ids().filter(|id| run.filter.may_hold(id)).count();
    assert!((1..=250).contains(&wrong), "{wrong} of 5,000");
    assert!(
        many(1)
            .ids()
            .all(|id| chain.location(&id).unwrap().is_none())
    );
    // As it is read back.
    let again = Run::decode(run.number, &run.encode()).unwrap();
    assert_eq!(again.filter.lines, run.filter.lines);
    assert_eq!((again.last, again.bits), (run.last, run.bits));
    for end in [0, 8, 9, 40] {
        assert!(Run::decode(0, &run.encode()[..end]).is_none());
    }
}

#[test]
fn places_of_forgotten_blocks_go_also_when_they_are_in_no_run() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 400, 50);
    assert_eq!(keys(&chain, OF_BLOCK), 320);
    let in_use = InUse {
        voted: None,
        payload: &|_| false,
    };
    while chain.prune_due(100) {
        chain.prune(100, 3, &in_use).unwrap();
    }
    let swept = chain.pruning.swept().0;
    let left = (swept..=400).filter(|at| !ids(*at).is_empty()).count();
    assert_eq!(keys(&chain, OF_BLOCK), left);
    // Nor are they in the run that comes of the others.
    chain.transactions.run_transactions = 10;
    grow(&mut chain, 401, 50);
    assert_eq!(keys(&chain, OF_BLOCK), 0);
    let key = chain.transactions.runs[0].chunk_key(0);
    let chunk = chain.store.get(Table::Transaction, &key).unwrap().unwrap();
    let (entries, _) = chunk.as_chunks::<ENTRY_BYTES>();
    let mut heights = entries
        .iter()
        .map(|one| decode_entry(one).unwrap().1.height.0);
    assert!(heights.all(|height| height >= swept));
}
