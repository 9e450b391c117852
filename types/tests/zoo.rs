//! The bug zoo: a mutant is loose on the thread that let it loose, and breaks what it says. Only with the feature `zoo`.

#![cfg(feature = "zoo")]

use bytes::Bytes;
use outrider_types::zoo::{Mutant, let_loose, loose};
use outrider_types::{BlockId, ChainId, Epoch, RollupId, Statement, Thresholds, Timeout};
use outrider_types::{CommitVote, Transaction, View, Vote};

/// With this mutant loose.
fn with<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
    let_loose(Some(mutant));
    let result = run();
    let_loose(None);
    result
}

#[test]
fn a_mutant_is_loose_on_one_thread_only() {
    let_loose(Some(Mutant::NoBackoff));
    let elsewhere = std::thread::scope(|scope| scope.spawn(loose).join().unwrap());
    assert_eq!((elsewhere, loose()), (None, Some(Mutant::NoBackoff)));
    let_loose(None);
    assert_eq!(loose(), None);
}

#[test]
fn thresholds_are_off_by_one() {
    let right = Thresholds::new(5, 1, 0).unwrap();
    let of = |mutant| with(mutant, || Thresholds::new(5, 1, 0).unwrap());
    assert_eq!(
        of(Mutant::AtLeastForMoreThan).quorum.0,
        right.quorum.0 - 1,
        "N + f is even"
    );
    assert_eq!(of(Mutant::FastQuorumLow).fast.0, right.fast.0 - 1);
    assert_eq!(of(Mutant::AdoptionHigh).adoption.0, right.adoption.0 + 1);
    let odd = |()| Thresholds::new(4, 1, 0).unwrap();
    assert_eq!(
        with(Mutant::AtLeastForMoreThan, || odd(())),
        odd(()),
        "nothing to see where N + f is odd"
    );
}

#[test]
fn preimages_leave_something_out() {
    let block = BlockId([7; 32]);
    let vote = |epoch| Vote {
        epoch: Epoch(epoch),
        view: View(3),
        block,
    };
    let preimage = |epoch| vote(epoch).preimage(ChainId(1));
    assert_ne!(preimage(0), preimage(1));
    with(Mutant::EpochNotSigned, || {
        assert_eq!(preimage(0), preimage(1));
        assert_ne!(preimage(0), vote(0).preimage(ChainId(2)));
    });

    let commit = CommitVote {
        epoch: Epoch(0),
        view: View(3),
        block,
    };
    assert_ne!(preimage(0), commit.preimage(ChainId(1)));
    with(Mutant::KindsConfused, || {
        assert_eq!(preimage(0), commit.preimage(ChainId(1)));
    });

    let timeout = |high_view, voted| {
        let timeout = Timeout {
            epoch: Epoch(0),
            view: View(3),
            high_view: View(high_view),
            voted,
        };
        (timeout.preimage(ChainId(1)), timeout.well_formed().is_ok())
    };
    assert_ne!(timeout(1, None).0, timeout(2, Some(block)).0);
    with(Mutant::EntriesUnbound, || {
        assert_eq!(timeout(1, None).0, timeout(2, Some(block)).0);
    });
    assert!(!timeout(3, None).1);
    assert!(with(Mutant::HighViewUnchecked, || timeout(3, None).1));

    let id = |rollup| {
        let data = Bytes::from_static(b"pay");
        Transaction {
            rollup: RollupId(rollup),
            data,
        }
        .id()
    };
    assert_ne!(id(1), id(2));
    with(Mutant::RollupNotHashed, || assert_eq!(id(1), id(2)));
}
