//! T3 for the hand-over of R13: a change needs a quorum that approves of exactly it, and the end of an epoch needs a
//! certificate that the named committee's predecessor made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{World, aggregate};
use outrider_types::{
    Aggregate, Approve, CommitteeChange, CommitteeId, EpochEnd, Height, Invalid, PayloadId, decode,
    encode,
};
use proptest::prelude::*;

fn refused(world: &World, change: impl FnOnce(&mut EpochEnd)) -> Invalid {
    let mut end = world.epoch_end(2);
    change(&mut end);
    end.verify(&world.committee).unwrap_err()
}

fn malformed(what: &'static str) -> Invalid {
    Invalid::Malformed { what }
}

#[test]
fn r13_change_needs_a_quorum_that_approves_of_exactly_it() {
    let world = World::six();
    let change = world.change();
    assert!(change.clone().verify(&world.committee).is_ok());
    let quorum = world.committee.thresholds().quorum;
    let approvals = |signers: &[usize], statement: Approve| -> Aggregate<Approve> {
        aggregate(&world, statement, signers)
    };
    let statement = change.approvals.statement;
    let mut few = change.clone();
    few.approvals = approvals(&[0, 1, 2], statement);
    let found = few.approvals.stake(&world.committee).unwrap();
    assert!(found < quorum);
    assert_eq!(
        few.verify(&world.committee),
        Err(Invalid::Stake {
            found,
            needed: quorum
        })
    );
    let mut moved = change.clone();
    moved.contacts[3].address.set_port(1);
    assert_eq!(
        moved.verify(&world.committee),
        Err(malformed("approvals of another change"))
    );
    let mut other = change.clone();
    other.next = other.next.with_epoch_blocks(7);
    assert_eq!(
        other.verify(&world.committee),
        Err(malformed("approvals of another change"))
    );
    let mut short = change.clone();
    short.contacts.pop();
    assert_eq!(
        short.verify(&world.committee),
        Err(malformed("another number of contacts than of members"))
    );
    // Approved in this epoch, it may not follow the next one.
    assert!(matches!(
        change.verify(&world.committee.successor()),
        Err(Invalid::Epoch { .. })
    ));
}

#[test]
fn r13_epoch_end_is_final_and_hands_over_to_the_named_committee() {
    let world = World::six();
    for fillers in [0, 1, 3] {
        let end = world.epoch_end(fillers);
        let next = end.next(&world.committee);
        assert_eq!(next.id(), world.change().next.id());
        assert_eq!(decode::<EpochEnd>(encode(&end)).unwrap(), end);
        assert!(end.verify(&world.committee).is_ok());
    }
    // The same members again need no approval.
    let mut same = world.epoch_end(0);
    same.change = None;
    same.last.next = world.committee.successor().id();
    same.certificate = world.slow(7, same.last.id()).into_inner();
    assert!(same.clone().verify(&world.committee).is_ok());
    same.certificate = world.slow(7, common::A).into_inner();
    assert_eq!(
        same.verify(&world.committee),
        Err(malformed("certificate of another block"))
    );
}

#[test]
fn r13_altered_epoch_ends_are_refused() {
    let world = World::six();
    let other = malformed("another committee than the last block names");
    assert_eq!(refused(&world, |end| end.change = None), other);
    let filler = malformed("filler that does not follow the last block");
    assert_eq!(
        refused(&world, |end| end.fillers[0].payload = PayloadId([1; 32])),
        filler
    );
    assert_eq!(
        refused(&world, |end| end.fillers[1].height = Height(1)),
        filler
    );
    assert_eq!(
        refused(&world, |end| {
            end.fillers.remove(0);
        }),
        filler
    );
    assert_eq!(
        refused(&world, |end| end.last.next = CommitteeId::NONE),
        malformed("last block of an epoch that names no committee")
    );
    assert_eq!(
        refused(&world, |end| {
            end.fillers.pop();
        }),
        malformed("certificate of another block")
    );
}

proptest! {
    #[test]
    fn contacts_are_read_back(name in "\\PC{0,16}", rpc in proptest::option::of("http://[a-z]{1,20}"), v6: bool, port: u16) {
        let world = World::six();
        let mut change = world.change();
        change.contacts[0].name = name;
        change.contacts[0].rpc = rpc;
        change.contacts[0].address = if v6 { ([9, 8, 7, 6, 5, 4, 3, 2], port).into() } else { ([9, 8, 7, 6], port).into() };
        prop_assert_eq!(decode::<CommitteeChange>(encode(&change)).unwrap(), change);
    }
}
