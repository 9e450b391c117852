//! Old blocks go in small steps, over restarts and crashes, and nothing goes that is still of use.

use super::super::testing::{append, child, grow, open, payload};
use super::*;
use crate::handle::TransactionStatus;
use outrider_finality::HISTORY_CHUNK;
use outrider_storage::{MemoryDisk, MemoryStore, SledStore, StoreOptions};
use outrider_types::{BlockRecord, Payload};

const KEEP: u64 = 100;
const BUDGET: usize = 16;

const NOTHING: InUse<'static> = InUse {
    voted: None,
    payload: &|_| false,
};

/// Prune until nothing is due.
fn prune<S: Store>(chain: &mut Chain<S>) {
    while chain.prune_due(KEEP) {
        let deleted = chain.prune(KEEP, BUDGET, &NOTHING).unwrap();
        assert!(deleted > 0 && deleted <= BUDGET + 7, "{deleted} deletes");
    }
    chain.sync().unwrap();
}

fn entries<S: Store>(chain: &Chain<S>, table: Table) -> usize {
    let (mut from, mut found) = (Vec::new(), 0);
    loop {
        let page = chain.store.range(table, &from, 1_000).unwrap();
        found += page.len();
        match page.last() {
            Some((key, _)) if page.len() == 1_000 => from = [&**key, &[0]].concat(),
            _ => return found,
        }
    }
}

fn ids(height: u64) -> Vec<TransactionId> {
    payload(height, 100).ids().collect()
}

/// The places of transactions are known from here on, and of none below.
fn assert_placed<S: Store>(chain: &Chain<S>, floor: u64, last: u64) {
    for height in 1..=last {
        for id in ids(height) {
            let found = chain.height_of(&id).unwrap();
            assert_eq!(found, (height >= floor).then_some(Height(height)));
        }
    }
}

#[test]
fn records_below_the_horizon_go_and_those_above_stay() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 500, 100);
    prune(&mut chain);
    let floor = chain.floor().0;
    assert!((401 - STRIDE_BLOCKS..=401).contains(&floor), "{floor}");
    // And genesis.
    assert_eq!(entries(&chain, Table::Block) as u64, 500 - floor + 1 + 1);
    // Those of the history's last chunk stay.
    let chunk = 500 - 500 % HISTORY_CHUNK;
    assert_eq!(entries(&chain, Table::Height) as u64, 500 - chunk + 1 + 1);
    let proven = entries(&chain, Table::Certificate) as u64;
    assert!(proven <= (500 - floor) / 4 + 1);
    assert_placed(&chain, floor, 500);
    // One payload for each block with transactions, and the empty one.
    let whole = (floor..=500).filter(|at| !ids(*at).is_empty()).count();
    assert_eq!(entries(&chain, Table::Payload), whole + 1);

    let (gone, first) = (Height(floor - 1), Height(floor));
    assert_eq!(chain.pruned(gone), Some(Pruned { first }));
    assert!(chain.committed(BlockAt::Height(gone)).unwrap().is_none());
    assert!(chain.range(gone).unwrap().is_none());
    assert_eq!(chain.pruned(first), None);
    assert_eq!(
        chain.range(first).unwrap().unwrap().blocks.len() as u64,
        500 - floor + 1
    );
    // A proof at the horizon, with a certificate above it, and one near the tip.
    let at_horizon = (floor..).find(|at| !ids(*at).is_empty()).unwrap();
    for height in [at_horizon, 499] {
        let block = chain.committed(BlockAt::Height(Height(height))).unwrap();
        assert_eq!(block.unwrap().block.height, Height(height));
        for id in ids(height) {
            let proof = chain.proof(id).unwrap().unwrap();
            let committee = &chain.epoch().committee;
            outrider_finality::verify(committee, &proof).unwrap();
            let status = chain.status(&id).unwrap();
            assert!(matches!(status, Some(TransactionStatus::Soft { .. })));
        }
    }
    assert_eq!(chain.status(&ids(1)[0]).unwrap(), None);
    // Counters are those of the whole chain.
    let lane = chain.ledger().lane(outrider_types::RollupId(1));
    assert_eq!(lane.transactions, 400);
}

#[test]
fn pruning_goes_on_after_a_crash_wherever_it_was() {
    for keep in (0..200).step_by(5) {
        let disk = MemoryDisk::new();
        let mut chain = open(disk.store());
        grow(&mut chain, 300, 100);
        for _ in 0..keep % 7 {
            chain.prune(KEEP, BUDGET, &NOTHING).unwrap();
        }
        drop(chain);
        disk.crash(keep);
        let mut chain = open(disk.store());
        let floor = chain.floor();
        for height in floor.0..=300 {
            let at = BlockAt::Height(Height(height));
            assert!(
                chain.committed(at).unwrap().is_some(),
                "{height} of {floor}"
            );
        }
        prune(&mut chain);
        let floor = chain.floor().0;
        let whole = (floor..=300).filter(|at| !ids(*at).is_empty()).count();
        assert_eq!(entries(&chain, Table::Payload), whole + 1, "{keep}");
        assert_eq!(entries(&chain, Table::Block) as u64, 302 - floor, "{keep}");
        assert_placed(&chain, floor, 300);
    }
}

#[test]
fn disk_stays_bounded_while_the_chain_grows_and_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durable: false,
        segment_bytes: 256 << 10,
        cache_bytes: 4 << 20,
    };
    let reopen = || {
        let mut chain = open(SledStore::open(dir.path(), options).unwrap());
        chain.transactions.run_transactions = 200;
        chain
    };
    let tidy = |chain: &mut Chain<SledStore>| {
        for _ in 0..64 {
            chain.reclaim().unwrap();
        }
        chain.store.bytes_on_disk()
    };
    let mut chain = reopen();
    let mut sizes = Vec::new();
    for round in 1..=20 {
        grow(&mut chain, round * 400, 2_000);
        prune(&mut chain);
        sizes.push(tidy(&mut chain));
        if round % 4 == 0 {
            drop(chain);
            chain = reopen();
            assert_eq!(chain.root().height, Height(round * 400));
        }
    }
    // 100 blocks of about 4 KB are kept; a log may be half dead, and its last segment is never looked at. sled fills four
    // segments of 512 KiB before it cleans one, which takes it 9 rounds.
    let (early, late) = (sizes[9], sizes[19]);
    assert!(late <= early + (1 << 20), "{sizes:?}");
    let appended = 20 * 400 * 4_000_u64;
    assert!(late < appended / 4, "{late} of {appended}: {sizes:?}");
}

fn propose(chain: &mut Chain<MemoryStore>, parent: &Block, payload: &Payload) -> BlockId {
    assert_eq!(parent.id(), chain.root().id());
    let mut block = child(chain, payload);
    block.view.0 += 1_000;
    let record = BlockRecord {
        block,
        justification: None,
    };
    chain.put_payload(block.payload, payload).unwrap();
    chain.put_record(&record).unwrap();
    chain.sync_records().unwrap();
    block.id()
}

#[test]
fn what_never_became_final_goes_and_what_did_stays() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 10, 100);
    let root = *chain.root();
    let mut other = payload(11, 100);
    other.batches.pop();
    let fork = propose(&mut chain, &root, &other);
    // The same payload in a block that loses and in one that wins.
    let again = propose(&mut chain, &root, &payload(11, 100));
    // Voted for, durable, and final later.
    let parent = append(&mut chain, &payload(11, 100));
    assert_eq!(parent.id(), chain.root().id());
    let next = child(&chain, &payload(12, 100));
    let record = BlockRecord {
        block: next,
        justification: None,
    };
    chain.put_record(&record).unwrap();
    chain.sync_records().unwrap();
    // Over a restart, notes and all.
    drop(chain);
    disk.crash(usize::MAX);
    let mut chain = open(disk.store());
    assert!(chain.record(fork).unwrap().is_some());
    grow(&mut chain, 10 + UNFINAL_BLOCKS_KEPT, 100);
    assert_eq!(chain.prune_unfinal(&NOTHING).unwrap(), 0, "not long enough");
    grow(&mut chain, 12 + UNFINAL_BLOCKS_KEPT, 100);
    let voted = InUse {
        voted: Some(fork),
        payload: &|id| *id == other.id(),
    };
    assert_eq!(
        chain.prune_unfinal(&voted).unwrap(),
        1,
        "the others are in use"
    );
    assert!(chain.record(again).unwrap().is_none());
    assert!(chain.record(fork).unwrap().is_some());
    assert_eq!(chain.prune_unfinal(&NOTHING).unwrap(), 2);
    assert!(chain.record(fork).unwrap().is_none());
    assert!(chain.payload(other.id()).unwrap().is_none());
    assert_eq!(chain.prune_unfinal(&NOTHING).unwrap(), 0);
    for height in 1..=chain.root().height.0 {
        let found = chain.committed(BlockAt::Height(Height(height))).unwrap();
        assert!(found.is_some(), "{height}");
    }
}

#[test]
fn payload_that_a_later_block_holds_too_stays() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 250, 100);
    // As if it were more than the window of F1 later.
    append(&mut chain, &payload(3, 100));
    grow(&mut chain, 252, 100);
    prune(&mut chain);
    assert!(chain.floor() > Height(3));
    let block = chain.committed(BlockAt::Height(Height(251))).unwrap();
    assert_eq!(*block.unwrap().payload, payload(3, 100));
    for id in ids(3) {
        assert_eq!(chain.height_of(&id).unwrap(), Some(Height(251)));
    }
}

#[test]
fn block_of_the_last_vote_on_record_stays() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 5, 100);
    let voted = chain.root().id();
    grow(&mut chain, 300, 100);
    let in_use = InUse {
        voted: Some(voted),
        payload: &|_| false,
    };
    while chain.prune_due(KEEP) {
        chain.prune(KEEP, BUDGET, &in_use).unwrap();
    }
    assert!(chain.record(voted).unwrap().is_some());
    assert!(chain.committed(BlockAt::Id(voted)).unwrap().is_none());
}

#[test]
fn nothing_is_pruned_when_all_is_kept() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, 300, 100);
    assert!(!chain.prune_due(0));
    assert_eq!(chain.prune(0, BUDGET, &NOTHING).unwrap(), 0);
    assert_eq!(chain.floor(), Height(1));
}

#[test]
fn digests_are_remembered_at_their_heights() {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, DIGEST_EVERY_BLOCKS, 0);
    let tip = *chain.ledger().tip();
    let expected = state_digest(tip.height, tip.id, chain.ledger().lanes());
    grow(&mut chain, DIGEST_EVERY_BLOCKS + 1, 0);
    assert_eq!(chain.digest(tip.height).unwrap(), Some(expected));
    assert_eq!(chain.digest(tip.height.next()).unwrap(), None);
}
