//! T3 for what carries certificates: proposals, block records and the safety state on disk.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, World, member};
use outrider_types::safety_state::RestoreError;
use outrider_types::{
    BlockRecord, Certificate, ChainId, Epoch, Invalid, Justification, Proposal, ProposalKind,
    SafetyState, Signature, Stake,
};

/// A certificate with one signature too few.
fn short(world: &World) -> Certificate {
    let Certificate::Quorum(mut certificate) = world.quorum(5, A).into_inner() else {
        panic!("not a quorum certificate")
    };
    certificate.signatures.pop();
    Certificate::Quorum(certificate)
}

fn too_little() -> Invalid {
    Invalid::Stake {
        found: Stake(3),
        needed: Stake(4),
    }
}

#[test]
fn a_proposal_verifies_with_its_attachment() {
    let world = World::six();
    let honest = world.proposal();
    let (proposal, fault) = honest.clone().verify(&world.committee).unwrap();
    assert_eq!((&*proposal, fault), (&honest, None));
    assert_eq!(
        proposal.verified_justification().as_deref(),
        honest.justification.as_ref()
    );
}

#[test]
fn a_proposal_with_a_bad_attachment_is_kept_without_it() {
    let world = World::six();
    let mut swapped = world.proposal();
    swapped.justification = Some(Justification::Certificate(short(&world)));
    let (proposal, fault) = swapped.verify(&world.committee).unwrap();
    assert_eq!(fault, Some(too_little()));
    let expected = Proposal {
        justification: None,
        ..world.proposal()
    };
    assert_eq!(*proposal, expected);
    assert_eq!(proposal.verified_justification(), None);
    // A valid one in its place is not this crate's to judge: the signature does not cover it.
    let mut other = world.proposal();
    other.justification = Some(Justification::Certificate(world.quorum(5, A).into_inner()));
    let (proposal, fault) = other.verify(&world.committee).unwrap();
    assert!(fault.is_none() && proposal.justification.is_some());
}

#[test]
fn a_proposal_that_is_wrong_in_its_signed_part_is_refused() {
    let world = World::six();
    let refused = |edit: &dyn Fn(&mut Proposal), why: Invalid| {
        let mut proposal = world.proposal();
        edit(&mut proposal);
        assert_eq!(proposal.verify(&world.committee), Err(why));
    };
    let forged = |signer: usize| Invalid::Signature {
        signer: member(signer),
    };
    refused(&|p| p.kind = ProposalKind::Optimistic, forged(2));
    refused(&|p| p.signature = Signature([3; 64]), forged(2));
    refused(&|p| p.block.proposer = member(1), forged(1));
    refused(&|p| p.block.version += 1, forged(2));
    refused(&|p| p.block.view.0 += 1, forged(2));
    refused(&|p| p.block.height.0 += 1, forged(2));
    refused(&|p| p.block.parent.0[31] ^= 1, forged(2));
    refused(&|p| p.block.justify.0 += 1, forged(2));
    refused(&|p| p.block.payload.0[0] ^= 1, forged(2));
    refused(&|p| p.block.timestamp.0 += 1, forged(2));
    refused(
        &|p| p.block.epoch = Epoch(1),
        Invalid::Epoch {
            found: Epoch(1),
            expected: Epoch(0),
        },
    );
    refused(
        &|p| p.block.chain = ChainId(1),
        Invalid::Malformed {
            what: "block of another chain",
        },
    );
    let signer = member(9);
    refused(
        &|p| p.block.proposer = signer,
        Invalid::UnknownSigner { signer, members: 6 },
    );
}

#[test]
fn a_block_record_verifies_only_with_a_valid_justification() {
    let world = World::six();
    let check = |edit: &dyn Fn(&mut BlockRecord)| {
        let mut record = world.record();
        edit(&mut record);
        record.verify(&world.committee).map(|_| ())
    };
    assert_eq!(check(&|_| ()), Ok(()));
    assert_eq!(check(&|r| r.justification = None), Ok(()));
    let bad = Justification::Certificate(short(&world));
    assert_eq!(
        check(&|r| r.justification = Some(bad.clone())),
        Err(too_little())
    );
    let malformed = Invalid::Malformed {
        what: "block of another chain",
    };
    assert_eq!(check(&|r| r.block.chain = ChainId(1)), Err(malformed));
    let epoch = Invalid::Epoch {
        found: Epoch(1),
        expected: Epoch(0),
    };
    assert_eq!(check(&|r| r.block.epoch = Epoch(1)), Err(epoch));
}

#[test]
fn a_safety_state_comes_back_whole() {
    let world = World::six();
    for state in [world.safety(), SafetyState::new(&world.committee)] {
        let restored = SafetyState::restore(&state.to_bytes(), &world.committee).unwrap();
        assert_eq!(*restored, state);
    }
}

/// The disk is outside too: every certificate of the state is verified, for each can be taken out as verified.
#[test]
fn a_safety_state_with_any_bad_certificate_is_refused() {
    let world = World::six();
    let edits: [fn(&mut SafetyState, Certificate); 3] = [
        |state, bad| state.entry = Some(Justification::Certificate(bad)),
        |state, bad| state.high = Some(bad),
        |state, bad| state.timed_out_high = Some(bad),
    ];
    for edit in edits {
        let mut state = world.safety();
        edit(&mut state, short(&world));
        let error = SafetyState::restore(&state.to_bytes(), &world.committee).unwrap_err();
        assert!(
            matches!(&error, RestoreError::Certificate(why) if *why == too_little()),
            "{error}"
        );
    }
}

#[test]
fn a_safety_state_of_another_committee_or_epoch_or_damaged_is_refused() {
    let world = World::six();
    let bytes = world.safety().to_bytes();
    let other = World::new(&[1; 7]).committee;
    let error = SafetyState::restore(&bytes, &other).unwrap_err();
    assert!(matches!(error, RestoreError::Committee { expected, .. } if expected == other.id()));
    let mut moved = world.safety();
    moved.epoch = Epoch(1);
    let error = SafetyState::restore(&moved.to_bytes(), &world.committee).unwrap_err();
    assert!(matches!(
        error,
        RestoreError::Certificate(Invalid::Epoch { .. })
    ));
    let error = SafetyState::restore(&bytes[..bytes.len() - 1], &world.committee).unwrap_err();
    assert!(matches!(error, RestoreError::Decode(_)));
}
