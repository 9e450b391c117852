//! A member that starts from a snapshot stands where the others stand.

use super::super::InUse;
use super::super::testing::{append, grow, members, open, payload};
use super::*;
use crate::handle::{BlockAt, TransactionStatus};
use crate::snapshot::{SnapshotFileError, create, install, verify};
use outrider_finality::duplicate;
use outrider_storage::{MemoryDisk, MemoryStore};
use outrider_types::{CheckedPayload, EpochEnd, TransactionId, View};

fn ids(height: u64) -> Vec<TransactionId> {
    payload(height, 100).ids().collect()
}

/// A chain of this height, and a snapshot of it.
fn taken(height: u64) -> (Chain<MemoryStore>, Vec<u8>) {
    let mut chain = open(MemoryDisk::new().store());
    grow(&mut chain, height, 100);
    let mut file = Vec::new();
    create(&chain, &members(), &mut file).unwrap();
    (chain, file)
}

fn joined(disk: &MemoryDisk, file: &[u8]) -> Chain<MemoryStore> {
    install(disk.store(), &members(), Vec::new(), file).unwrap();
    disk.crash(0);
    open(disk.store())
}

#[test]
fn joined_member_goes_on_where_the_others_are() {
    // The newest block with a certificate of its own is 40.
    let (mut chain, file) = taken(42);
    let disk = MemoryDisk::new();
    let mut joined = joined(&disk, &file);
    assert_eq!(joined.root().height, Height(40));
    assert_eq!(joined.floor(), Height(41));
    for height in 41..=60 {
        append(&mut joined, &payload(height, 100));
    }
    grow(&mut chain, 60, 100);
    assert_eq!(joined.ledger(), chain.ledger());
    for height in 1..=60 {
        for id in ids(height) {
            assert_eq!(joined.status(&id).unwrap(), chain.status(&id).unwrap());
        }
    }
    // It serves what it holds whole and says so of the rest.
    assert!(joined.range(Height(40)).unwrap().is_none());
    assert_eq!(joined.range(Height(41)).unwrap().unwrap().blocks.len(), 20);
    assert!(
        joined
            .pruned_at(BlockAt::Height(Height(40)))
            .unwrap()
            .is_some()
    );
    assert!(
        joined
            .committed(BlockAt::Height(Height(40)))
            .unwrap()
            .is_none()
    );
    assert!(joined.pruned_transaction(&ids(39)[0]).unwrap().is_some());
    assert!(joined.proof(ids(39)[0]).unwrap().is_none());
    assert!(joined.proof(ids(58)[0]).unwrap().is_some());
}

#[test]
fn joined_voter_refuses_duplicates_of_the_window() {
    let (_, file) = taken(40);
    let joined = joined(&MemoryDisk::new(), &file);
    let committed = |id: &TransactionId| joined.height_of(id).unwrap();
    for height in (1..=40).filter(|at| at % 5 != 0) {
        let again = ids(height);
        let found = duplicate(Height(41), again.iter(), committed, |_| false);
        assert_eq!(found, Some(again[0]), "{height}");
    }
    let fresh = ids(41);
    assert_eq!(
        duplicate(Height(41), fresh.iter(), committed, |_| false),
        None
    );
}

#[test]
fn snapshot_of_a_joined_member_is_the_same() {
    let (_, file) = taken(40);
    let joined = joined(&MemoryDisk::new(), &file);
    let mut again = Vec::new();
    let summary = create(&joined, &members(), &mut again).unwrap();
    assert!(summary.counters_proven);
    assert_eq!(again, file);
}

#[test]
fn joined_member_prunes_what_came_with_the_snapshot() {
    let (_, file) = taken(40);
    let mut joined = joined(&MemoryDisk::new(), &file);
    grow(&mut joined, 200, 100);
    let nothing = InUse {
        voted: None,
        payload: &|_| false,
    };
    while joined.prune_due(100) {
        joined.prune(100, 16, &nothing).unwrap();
    }
    for height in 1..=41 {
        for id in ids(height) {
            assert_eq!(joined.status(&id).unwrap(), None);
        }
    }
    let left = joined.store.range(Table::Meta, b"ids", 1).unwrap();
    assert!(left.iter().all(|(key, _)| !key.starts_with(b"ids")));
    assert!(matches!(
        joined.status(&ids(199)[0]).unwrap(),
        Some(TransactionStatus::Soft { .. })
    ));
    assert!(matches!(
        joined
            .checkpoint()
            .and_then(|_| { joined.snapshot_blocks(Height(20), Height(1)) }),
        Err(TakeError::Pruned { .. })
    ));
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let (_, file) = taken(8);
    verify(&members(), &*file).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(verify(&members(), &*changed).is_err(), "byte {at}");
        assert!(verify(&members(), &file[..at]).is_err(), "cut at {at}");
    }
    let longer = [&*file, &[0]].concat();
    let refused = verify(&members(), &*longer);
    assert!(matches!(refused, Err(SnapshotFileError::Trailing)));
}

#[test]
fn installation_that_did_not_finish_is_no_chain() {
    let (_, file) = taken(40);
    let disk = MemoryDisk::new();
    let cut = &file[..file.len() / 2];
    install(disk.store(), &members(), Vec::new(), cut).unwrap_err();
    for _ in 0..2 {
        let opened = Chain::open(disk.store(), members(), Vec::new());
        assert!(matches!(opened, Err(ChainError::HalfInstalled)));
        let again = install(disk.store(), &members(), Vec::new(), &*file);
        let refused = matches!(
            again,
            Err(SnapshotFileError::Install(InstallError::NotEmpty))
        );
        assert!(refused);
        disk.crash(0);
    }
    let other = MemoryDisk::new();
    drop(open(other.store()));
    let used = install(other.store(), &members(), Vec::new(), &*file);
    assert!(used.is_err(), "a store with a chain");
}

#[test]
fn snapshot_of_another_chain_is_refused() {
    let (_, file) = taken(8);
    let (strangers, _) = outrider_types::testing::committee(&[1; 7]);
    let refused = verify(&strangers, &*file);
    assert!(matches!(
        refused,
        Err(SnapshotFileError::Snapshot(
            SnapshotError::OtherChain { .. }
        ))
    ));
}

#[test]
fn joined_member_knows_the_epochs_before() {
    let mut chain = open(MemoryDisk::new().store());
    grow(&mut chain, 7, 100);
    // Block 8 has a certificate of its own and ends the epoch.
    let nothing = outrider_types::Payload::default();
    let next = chain.epoch().committee.successor();
    let mut last = super::super::testing::child(&chain, &nothing);
    last.next = next.id();
    let end = EpochEnd {
        last,
        fillers: Vec::new(),
        certificate: super::super::testing::certificate(&last),
        change: None,
    };
    let put = |chain: &mut Chain<MemoryStore>, block: Block| {
        let record = BlockRecord {
            block,
            justification: None,
        };
        let certificate = super::super::testing::certificate(&block);
        chain.put_record(&record).unwrap();
        chain.put_payload(block.payload, &nothing).unwrap();
        chain
            .commit(
                &block,
                &CheckedPayload::new(nothing.clone()).unwrap(),
                Some(&certificate),
            )
            .unwrap();
    };
    chain.put_epoch_end(&end).unwrap();
    put(&mut chain, last);
    chain.begin_epoch().unwrap();

    // The last block of an epoch is no start: the one before it with a certificate is, and that is block 4.
    let (checkpoint, _) = chain.checkpoint().unwrap();
    assert_eq!(checkpoint.block.height, Height(4));

    let mut first = super::super::testing::child(&chain, &nothing);
    (first.epoch, first.view, first.justify) = (next.epoch(), View(1), View(0));
    put(&mut chain, first);
    let mut file = Vec::new();
    let summary = create(&chain, &members(), &mut file).unwrap();
    assert_eq!((summary.epochs_ended, summary.checkpoint.block), (1, first));
    let joined = joined(&MemoryDisk::new(), &file);
    assert_eq!(joined.epoch(), chain.epoch());
    assert_eq!(joined.epoch_ends(end.last.epoch, 9).unwrap(), [end]);
    assert_eq!(joined.ledger(), chain.ledger());
}

#[test]
fn young_chain_gives_no_snapshot() {
    let mut chain = open(MemoryDisk::new().store());
    assert!(matches!(chain.checkpoint(), Err(TakeError::TooYoung)));
    grow(&mut chain, 3, 100);
    assert!(matches!(chain.checkpoint(), Err(TakeError::TooYoung)));
    grow(&mut chain, 4, 100);
    assert!(chain.checkpoint().is_ok());
}
