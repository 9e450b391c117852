//! Offences E1 to E5 of protocol section 6: each proven, and each refused in the legal case next to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, B, World, commit_vote, propose, timeout, vote};
use outrider_types::evidence::NoOffence;
use outrider_types::{
    Epoch, Evidence, Invalid, MemberIndex, Offence, ProposalKind, Signature, View,
};

const NORMAL: ProposalKind = ProposalKind::Normal;
const OPTIMISTIC: ProposalKind = ProposalKind::Optimistic;

fn is_proven(world: &World, evidence: Evidence, offence: Offence) {
    assert_eq!(evidence.offence(), offence);
    assert_eq!(evidence.accused(), MemberIndex(1));
    let proven = evidence.clone().verify(&world.committee).unwrap();
    assert_eq!(*proven, evidence);
}

fn is_legal(world: &World, evidence: Evidence, offence: Offence) {
    assert_eq!(
        evidence.verify(&world.committee),
        Err(NoOffence::Legal { offence })
    );
}

#[test]
fn e1_double_proposal_is_proven() {
    let world = World::six();
    for kind in [NORMAL, OPTIMISTIC] {
        let pair = world.pair(propose(5, kind, A), propose(5, kind, B));
        is_proven(&world, Evidence::DoubleProposal(pair), Offence::E1);
    }
}

#[test]
fn e1_other_kind_or_view_or_the_same_block_is_legal() {
    let world = World::six();
    for (first, second) in [
        (propose(5, NORMAL, A), propose(5, OPTIMISTIC, B)),
        (propose(5, OPTIMISTIC, A), propose(5, NORMAL, B)),
        (propose(5, NORMAL, A), propose(6, NORMAL, B)),
        (propose(5, NORMAL, A), propose(5, NORMAL, A)),
    ] {
        is_legal(
            &world,
            Evidence::DoubleProposal(world.pair(first, second)),
            Offence::E1,
        );
    }
}

#[test]
fn e2_double_vote_is_proven() {
    let world = World::six();
    is_proven(
        &world,
        Evidence::DoubleVote(world.pair(vote(5, A), vote(5, B))),
        Offence::E2,
    );
}

#[test]
fn e2_votes_of_two_views_or_for_one_block_are_legal() {
    let world = World::six();
    for second in [vote(6, B), vote(4, B), vote(5, A)] {
        is_legal(
            &world,
            Evidence::DoubleVote(world.pair(vote(5, A), second)),
            Offence::E2,
        );
    }
}

#[test]
fn e3_double_commit_vote_is_proven() {
    let world = World::six();
    let pair = world.pair(commit_vote(5, A), commit_vote(5, B));
    is_proven(&world, Evidence::DoubleCommitVote(pair), Offence::E3);
}

#[test]
fn e3_commit_votes_of_two_views_or_for_one_block_are_legal() {
    let world = World::six();
    for second in [commit_vote(6, B), commit_vote(4, B), commit_vote(5, A)] {
        let pair = world.pair(commit_vote(5, A), second);
        is_legal(&world, Evidence::DoubleCommitVote(pair), Offence::E3);
    }
}

#[test]
fn e4_hidden_vote_is_proven_for_another_block_and_for_none() {
    let world = World::six();
    for voted in [None, Some(B)] {
        let pair = world.pair(vote(5, A), timeout(5, 4, voted));
        is_proven(&world, Evidence::HiddenVote(pair), Offence::E4);
    }
}

#[test]
fn e4_a_timeout_that_names_the_vote_or_of_another_view_is_legal() {
    let world = World::six();
    for second in [
        timeout(5, 4, Some(A)),
        timeout(6, 4, None),
        timeout(4, 3, Some(B)),
    ] {
        is_legal(
            &world,
            Evidence::HiddenVote(world.pair(vote(5, A), second)),
            Offence::E4,
        );
    }
}

#[test]
fn e5_broken_lock_is_proven_in_the_same_view_and_later() {
    let world = World::six();
    for second in [
        timeout(5, 4, Some(A)),
        timeout(6, 4, None),
        timeout(900, 0, None),
    ] {
        let pair = world.pair(commit_vote(5, A), second);
        is_proven(&world, Evidence::BrokenLock(pair), Offence::E5);
    }
}

#[test]
fn e5_a_high_view_of_the_lock_or_above_or_an_earlier_timeout_is_legal() {
    let world = World::six();
    for second in [
        timeout(6, 5, None),
        timeout(8, 7, None),
        timeout(4, 3, None),
    ] {
        let pair = world.pair(commit_vote(5, A), second);
        is_legal(&world, Evidence::BrokenLock(pair), Offence::E5);
    }
}

#[test]
fn the_order_of_a_pair_does_not_matter_where_both_are_of_one_kind() {
    let world = World::six();
    is_proven(
        &world,
        Evidence::DoubleVote(world.pair(vote(5, B), vote(5, A))),
        Offence::E2,
    );
}

#[test]
fn statements_of_two_members_prove_nothing() {
    let world = World::six();
    for evidence in world.offences() {
        let (first, second) = (MemberIndex(1), MemberIndex(2));
        let expected = Err(NoOffence::TwoSigners { first, second });
        // Even a real statement of the other member.
        let two = match evidence {
            Evidence::DoubleProposal(mut pair) => {
                pair.second = world.sign(2, pair.second.statement).into_inner();
                Evidence::DoubleProposal(pair)
            }
            Evidence::DoubleVote(mut pair) => {
                pair.second = world.sign(2, pair.second.statement).into_inner();
                Evidence::DoubleVote(pair)
            }
            Evidence::DoubleCommitVote(mut pair) => {
                pair.second = world.sign(2, pair.second.statement).into_inner();
                Evidence::DoubleCommitVote(pair)
            }
            Evidence::HiddenVote(mut pair) => {
                pair.second = world.sign(2, pair.second.statement).into_inner();
                Evidence::HiddenVote(pair)
            }
            Evidence::BrokenLock(mut pair) => {
                pair.second = world.sign(2, pair.second.statement).into_inner();
                Evidence::BrokenLock(pair)
            }
        };
        assert_eq!(two.verify(&world.committee), expected);
    }
}

/// Both signatures of every kind are checked.
#[test]
fn a_forged_half_proves_nothing() {
    let world = World::six();
    let forged = Signature([7; 64]);
    for evidence in world.offences() {
        for second in [false, true] {
            let mut evidence = evidence.clone();
            let signature = match &mut evidence {
                Evidence::DoubleProposal(pair) if second => &mut pair.second.signature,
                Evidence::DoubleProposal(pair) => &mut pair.first.signature,
                Evidence::DoubleVote(pair) if second => &mut pair.second.signature,
                Evidence::DoubleVote(pair) => &mut pair.first.signature,
                Evidence::DoubleCommitVote(pair) if second => &mut pair.second.signature,
                Evidence::DoubleCommitVote(pair) => &mut pair.first.signature,
                Evidence::HiddenVote(pair) if second => &mut pair.second.signature,
                Evidence::HiddenVote(pair) => &mut pair.first.signature,
                Evidence::BrokenLock(pair) if second => &mut pair.second.signature,
                Evidence::BrokenLock(pair) => &mut pair.first.signature,
            };
            *signature = forged;
            let signer = MemberIndex(1);
            let expected = Err(NoOffence::Invalid(Invalid::Signature { signer }));
            assert_eq!(evidence.verify(&world.committee), expected);
        }
    }
}

#[test]
fn statements_of_another_epoch_or_of_nobody_or_malformed_prove_nothing() {
    let world = World::six();
    let mut other = vote(5, B);
    other.epoch = Epoch(1);
    let evidence = Evidence::DoubleVote(world.pair(vote(5, A), other));
    let invalid = Invalid::Epoch {
        found: Epoch(1),
        expected: Epoch(0),
    };
    assert_eq!(evidence.verify(&world.committee), Err(invalid.into()));

    let mut pair = world.pair(vote(5, A), vote(5, B));
    let signer = MemberIndex(6);
    (pair.first.signer, pair.second.signer) = (signer, signer);
    let invalid = Invalid::UnknownSigner { signer, members: 6 };
    assert_eq!(
        Evidence::DoubleVote(pair).verify(&world.committee),
        Err(invalid.into())
    );

    // A timeout that no honest member and no verifier takes for one is not evidence either.
    let evidence = Evidence::HiddenVote(world.pair(vote(5, A), timeout(5, 5, None)));
    let invalid = Invalid::HighView {
        view: View(5),
        high_view: View(5),
    };
    assert_eq!(evidence.verify(&world.committee), Err(invalid.into()));
}
