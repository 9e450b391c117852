//! F4: what a proof must be to pass, and what each fault in one is called.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod world;

use bytes::Bytes;
use outrider_finality::{
    FinalityProof, PATH_HEADERS_MAX, PROOF_BYTES_MAX, ProofError, verify, verify_json,
};
use outrider_types::limits::{MEMBERS_MAX, TRANSACTION_BYTES_MAX};
use outrider_types::{
    ChainId, Epoch, FinalityCertificate, Height, Invalid, MemberIndex, Payload, RollupId,
    Signature, Stake, Timestamp, TransactionId, View, testing,
};
use proptest::prelude::*;
use world::{World, child};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_committed_transaction_has_a_proof(lanes in 1..9_u64, descendants in 0..6_u64, at: usize) {
        let world = World::new(lanes, descendants);
        let at = at % world.payload.len();
        let proof = world.proof(at);
        let checked = verify_json(&world.committee, proof.to_json().as_bytes()).unwrap();
        let last = world.blocks.last().unwrap();
        prop_assert_eq!(checked.transaction, world.id(at));
        prop_assert_eq!(checked.rollup, proof.inclusion.rollup);
        prop_assert_eq!(checked.height, Height(1));
        prop_assert_eq!(checked.block, world.blocks[1].id());
        prop_assert_eq!(checked.certified_view, last.view);
        prop_assert!(!checked.fast);
        prop_assert_eq!(checked.signed_stake, Stake(3));
        prop_assert_eq!(checked.signers, 3);
        prop_assert_eq!(&FinalityProof::from_json(proof.to_json().as_bytes()).unwrap(), &proof);

        // The proof of one transaction is none of another.
        let other = (at + 1) % world.payload.len();
        if other != at {
            let mut wrong = proof;
            wrong.inclusion.transaction = world.id(other);
            let found = verify(&world.committee, &wrong);
            prop_assert!(matches!(found, Err(ProofError::OtherTransaction { .. })), "{:?}", found);
            let right = world.proof(other).inclusion;
            wrong.inclusion.data = right.data;
            wrong.inclusion.rollup = right.rollup;
            let found = verify(&world.committee, &wrong);
            prop_assert!(matches!(found, Err(ProofError::NotIncluded { .. })), "{:?}", found);
        }
    }
}

#[test]
fn votes_prove_finality_from_the_fast_threshold_and_commit_votes_from_a_quorum() {
    let world = World::new(2, 0);
    let block = &world.blocks[1];
    let check = |certificate| verify(&world.committee, &world.proof_with(0, certificate).unwrap());
    let too_little = |found, needed| {
        let reason = Invalid::Stake {
            found: Stake(found),
            needed: Stake(needed),
        };
        Err(ProofError::Certificate { reason })
    };
    let fast = check(world.fast(block, &[0, 1, 2, 3])).unwrap();
    assert!(fast.fast);
    assert_eq!(fast.signed_stake, Stake(4));
    assert_eq!(check(world.fast(block, &[0, 1, 2])), too_little(3, 4));
    assert!(!check(world.slow(block, &[1, 2, 3])).unwrap().fast);
    assert_eq!(check(world.slow(block, &[0, 1])), too_little(2, 3));
}

#[test]
fn votes_do_not_pass_as_commit_votes() {
    let world = World::new(1, 0);
    let FinalityCertificate::Fast(votes) = world.fast(&world.blocks[1], &[0, 1, 2]) else {
        unreachable!()
    };
    let statement = outrider_types::CommitVote {
        epoch: votes.statement.epoch,
        view: votes.statement.view,
        block: votes.statement.block,
    };
    let relabelled = outrider_types::Aggregate {
        statement,
        signatures: votes.signatures,
    };
    let proof = world
        .proof_with(0, FinalityCertificate::Slow(relabelled))
        .unwrap();
    let reason = Invalid::Signature {
        signer: MemberIndex(0),
    };
    assert_eq!(
        verify(&world.committee, &proof),
        Err(ProofError::Certificate { reason })
    );
}

#[test]
fn a_signer_counts_once_and_must_be_a_member() {
    let world = World::new(1, 0);
    let mut proof = world.proof(0);
    let FinalityCertificate::Slow(votes) = &mut proof.certificate else {
        unreachable!()
    };
    let good = votes.signatures.clone();
    votes.signatures = vec![good[0], good[0], good[1]];
    let found = verify(&world.committee, &proof);
    assert!(
        matches!(
            found,
            Err(ProofError::Certificate {
                reason: Invalid::SignerOrder { .. }
            })
        ),
        "{found:?}"
    );
    let FinalityCertificate::Slow(votes) = &mut proof.certificate else {
        unreachable!()
    };
    votes.signatures = vec![good[0], good[1], (MemberIndex(4), good[2].1)];
    let found = verify(&world.committee, &proof);
    assert!(
        matches!(
            found,
            Err(ProofError::Certificate {
                reason: Invalid::UnknownSigner { .. }
            })
        ),
        "{found:?}"
    );
}

#[test]
fn another_committee_is_named() {
    let world = World::new(1, 0);
    let proof = world.proof(0);
    let (other, _) = testing::committee(&[1, 1, 4, 1]);
    let (found, expected) = (world.committee.id(), other.id());
    assert_eq!(
        verify(&other, &proof),
        Err(ProofError::OtherCommittee { found, expected })
    );
    // Naming the other committee does not help: its thresholds and keys decide.
    let forged = FinalityProof {
        committee: other.id(),
        ..proof
    };
    assert!(matches!(
        verify(&other, &forged),
        Err(ProofError::Certificate { .. })
    ));
}

#[test]
fn every_fault_of_headers_is_named() {
    let world = World::new(2, 3);
    let good = world.proof(0);
    let check = |change: &dyn Fn(&mut FinalityProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        verify(&world.committee, &proof).unwrap_err()
    };
    assert_eq!(
        check(&|proof| proof.version = 3),
        ProofError::Version { found: 3 }
    );
    let height = Height(3);
    assert_eq!(
        check(&|proof| proof.path[1].version = 9),
        ProofError::BlockVersion { height, found: 9 }
    );
    let (found, expected) = (ChainId(1), testing::CHAIN);
    assert_eq!(
        check(&|proof| proof.path[1].chain = found),
        ProofError::OtherChain {
            height,
            found,
            expected
        }
    );
    let (found, expected) = (Epoch(4), Epoch(0));
    let height = Height(1);
    assert_eq!(
        check(&|proof| proof.block.epoch = found),
        ProofError::OtherEpoch {
            height,
            found,
            expected
        }
    );

    let broken = |height| ProofError::BrokenPath {
        height: Height(height),
    };
    assert_eq!(
        check(&|proof| proof.block.timestamp = Timestamp(1)),
        broken(2)
    );
    assert_eq!(
        check(&|proof| proof.path[0].timestamp = Timestamp(1)),
        broken(3)
    );
    assert_eq!(
        check(&|proof| proof.path = proof.path.split_off(1)),
        broken(2)
    );
    assert_eq!(check(&|proof| proof.path.swap(0, 1)), broken(2));
    assert_eq!(check(&|proof| proof.path[2].height = Height(9)), broken(4));
    assert!(matches!(
        check(&|proof| proof.path.truncate(2)),
        ProofError::OtherBlock { .. }
    ));
    assert!(matches!(
        check(&|proof| proof.path[2].timestamp = Timestamp(1)),
        ProofError::OtherBlock { .. }
    ));
    assert!(matches!(
        check(&|proof| proof.path.clear()),
        ProofError::OtherBlock { .. }
    ));
    let view = |proof: &mut FinalityProof| {
        let FinalityCertificate::Slow(votes) = &mut proof.certificate else {
            unreachable!()
        };
        votes.statement.view = View(5);
    };
    assert_eq!(
        check(&view),
        ProofError::OtherView {
            found: View(5),
            expected: View(8)
        }
    );
}

#[test]
fn every_fault_of_the_inclusion_is_named() {
    let world = World::new(3, 0);
    let good = world.proof(4);
    let check = |change: &dyn Fn(&mut FinalityProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        verify(&world.committee, &proof).unwrap_err()
    };
    let absent = ProofError::NotIncluded {
        transaction: world.id(4),
        block: world.blocks[1].id(),
    };
    assert_eq!(check(&|proof| proof.inclusion.index += 1), absent);
    assert_eq!(check(&|proof| proof.inclusion.count += 1), absent);
    assert_eq!(check(&|proof| proof.inclusion.count = 0), absent);
    assert_eq!(check(&|proof| proof.inclusion.index = u32::MAX), absent);
    assert_eq!(check(&|proof| proof.inclusion.lane_index -= 1), absent);
    assert_eq!(check(&|proof| proof.inclusion.lane_count += 1), absent);
    assert_eq!(
        check(&|proof| proof.inclusion.lane_count = u32::MAX),
        absent
    );
    assert_eq!(check(&|proof| proof.inclusion.path[0][0] ^= 1), absent);
    assert_eq!(
        check(&|proof| proof.inclusion.lane_path[0][31] ^= 1),
        absent
    );
    assert_eq!(
        check(&|proof| proof.inclusion.lane_path.push([0; 32])),
        absent
    );
    assert_eq!(check(&|proof| proof.inclusion.path.truncate(1)), absent);
    let other = |proof: &mut FinalityProof| proof.inclusion.rollup = RollupId(11);
    assert!(matches!(check(&other), ProofError::OtherTransaction { .. }));
    let large = |proof: &mut FinalityProof| {
        proof.inclusion.data = Bytes::from(vec![0; TRANSACTION_BYTES_MAX + 1])
    };
    assert_eq!(
        check(&large),
        ProofError::TransactionSize {
            bytes: TRANSACTION_BYTES_MAX + 1
        }
    );
}

#[test]
fn nothing_is_built_that_does_not_hold() {
    let world = World::new(3, 2);
    let World {
        committee,
        blocks,
        payload,
        ..
    } = &world;
    let path = || blocks[2..].to_vec();
    let certificate = world.slow(&blocks[3], &[0, 1, 2]);
    let build = |block, path, payload, id| {
        FinalityProof::build(committee, block, path, certificate.clone(), payload, id)
    };
    assert!(build(blocks[1], path(), payload, world.id(0)).is_some());
    assert_eq!(
        build(blocks[1], path(), payload, TransactionId([1; 32])),
        None,
        "an absent transaction"
    );
    assert_eq!(
        build(blocks[2], blocks[3..].to_vec(), payload, world.id(0)),
        None,
        "the payload of another block"
    );
    assert_eq!(
        build(blocks[1], blocks[3..].to_vec(), payload, world.id(0)),
        None,
        "a gap in the path"
    );
    assert_eq!(
        build(blocks[1], Vec::new(), payload, world.id(0)),
        None,
        "the certificate of another block"
    );
    assert_eq!(
        build(blocks[1], path(), &Payload::default(), world.id(0)),
        None,
        "an empty payload"
    );
}

#[test]
fn a_path_has_a_longest_length() {
    let world = World::new(1, PATH_HEADERS_MAX as u64);
    let proof = world.proof(0);
    verify_json(&world.committee, proof.to_json().as_bytes()).unwrap();

    let mut long = World::new(1, PATH_HEADERS_MAX as u64);
    long.blocks
        .push(child(long.blocks.last().unwrap(), Payload::default().id()));
    let certificate = long.slow(long.blocks.last().unwrap(), &[0, 1, 2]);
    assert_eq!(long.proof_with(0, certificate.clone()), None);
    let path = long.blocks[2..].to_vec();
    let headers = PATH_HEADERS_MAX + 1;
    let found = verify(
        &long.committee,
        &FinalityProof {
            path,
            certificate,
            ..proof
        },
    );
    assert_eq!(found, Err(ProofError::PathTooLong { headers }));
}

#[test]
fn the_largest_proof_fits_its_limit_and_nothing_larger_is_read() {
    let world = World::new(1, 0);
    let mut proof = world.proof(0);
    let mut header = proof.block;
    (header.height, header.view, header.justify) =
        (Height(u64::MAX), View(u64::MAX), View(u64::MAX));
    (header.chain, header.epoch, header.timestamp) =
        (ChainId(u64::MAX), Epoch(u64::MAX), Timestamp(u64::MAX));
    proof.block = header;
    proof.path = vec![header; PATH_HEADERS_MAX];
    let FinalityCertificate::Slow(votes) = &mut proof.certificate else {
        unreachable!()
    };
    votes.signatures = (0..MEMBERS_MAX)
        .map(|at| (MemberIndex(at as u16), Signature([0; 64])))
        .collect();
    proof.inclusion.data = Bytes::from(vec![0; TRANSACTION_BYTES_MAX]);
    proof.inclusion.path = vec![[0; 32]; 32];
    proof.inclusion.lane_path = vec![[0; 32]; 32];
    let text = proof.to_json();
    assert!(text.len() <= PROOF_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(FinalityProof::from_json(text.as_bytes()).unwrap(), proof);
    let bytes = PROOF_BYTES_MAX + 1;
    assert_eq!(
        verify_json(&world.committee, &vec![b' '; bytes]),
        Err(ProofError::TooLarge { bytes })
    );
}
