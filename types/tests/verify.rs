//! T3: what is honest verifies, and every single corruption of it is refused for the right reason.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{
    A, B, EPOCH, World, aggregate, commit_vote, forged, member, other_epoch, propose, timeout,
    vote, with_large_s,
};
use outrider_types::testing::CHAIN;
use outrider_types::{
    Aggregate, Certificate, ChainId, CommitVote, Committee, Epoch, FinalityCertificate, Invalid,
    Justification, MemberIndex, ProposalKind, Propose, Signature, Signed, Stake, Statement,
    Timeout, TimeoutMessage, Verified, View, Vote,
};

const NORMAL: ProposalKind = ProposalKind::Normal;

/// The same members on another chain.
fn elsewhere(world: &World, chain: ChainId, epoch: Epoch) -> Committee {
    Committee::new(chain, epoch, world.committee.members().to_vec(), None).unwrap()
}

/// One honest statement and all that differ from it in one thing that is signed.
fn statement_is_bound_to_all_its_fields<S: Statement + Copy>(
    honest: S,
    others: &[S],
    of_epoch_1: S,
) {
    let world = World::six();
    let signed = world.sign(1, honest).into_inner();
    assert_eq!(*signed.verify(&world.committee).unwrap(), signed);
    let refused = |signed: Signed<S>, why: Invalid| {
        assert_eq!(signed.verify(&world.committee), Err(why));
    };
    for other in others {
        refused(
            Signed {
                statement: *other,
                ..signed
            },
            forged(1),
        );
    }
    refused(
        Signed {
            signer: member(2),
            ..signed
        },
        forged(2),
    );
    let unknown = Invalid::UnknownSigner {
        signer: member(6),
        members: 6,
    };
    refused(
        Signed {
            signer: member(6),
            ..signed
        },
        unknown,
    );
    // Of another epoch, honestly signed there.
    refused(world.sign(1, of_epoch_1).into_inner(), other_epoch());
    // The same words with the epoch changed underneath: the committee of that epoch refuses the signature.
    let moved = Signed {
        statement: of_epoch_1,
        ..signed
    };
    assert_eq!(
        moved.verify(&elsewhere(&world, CHAIN, Epoch(1))),
        Err(forged(1))
    );
    assert_eq!(
        signed.verify(&elsewhere(&world, ChainId(1), EPOCH)),
        Err(forged(1))
    );
    refused(
        Signed {
            signature: with_large_s(signed.signature),
            ..signed
        },
        forged(1),
    );
    refused(
        Signed {
            signature: Signature([0; 64]),
            ..signed
        },
        forged(1),
    );
    // R = identity and s = 0.
    let mut small = [0; 64];
    small[0] = 1;
    refused(
        Signed {
            signature: Signature(small),
            ..signed
        },
        forged(1),
    );
    for bit in 0..512 {
        let mut signature = signed.signature;
        signature.0[bit / 8] ^= 1 << (bit % 8);
        refused(
            Signed {
                signature,
                ..signed
            },
            forged(1),
        );
    }
}

#[test]
fn vote_is_bound_to_all_its_fields() {
    let of_epoch_1 = Vote {
        epoch: Epoch(1),
        ..vote(5, A)
    };
    statement_is_bound_to_all_its_fields(vote(5, A), &[vote(5, B), vote(6, A)], of_epoch_1);
}

#[test]
fn commit_vote_is_bound_to_all_its_fields() {
    let of_epoch_1 = CommitVote {
        epoch: Epoch(1),
        ..commit_vote(5, A)
    };
    let others = [commit_vote(5, B), commit_vote(4, A)];
    statement_is_bound_to_all_its_fields(commit_vote(5, A), &others, of_epoch_1);
}

#[test]
fn proposal_statement_is_bound_to_all_its_fields() {
    let honest = propose(5, NORMAL, A);
    let others = [
        propose(5, ProposalKind::Optimistic, A),
        propose(6, NORMAL, A),
        propose(5, NORMAL, B),
    ];
    statement_is_bound_to_all_its_fields(
        honest,
        &others,
        Propose {
            epoch: Epoch(1),
            ..honest
        },
    );
}

#[test]
fn timeout_is_bound_to_all_its_fields() {
    let honest = timeout(5, 3, Some(A));
    let others = [
        timeout(6, 3, Some(A)),
        timeout(5, 4, Some(A)),
        timeout(5, 3, Some(B)),
        timeout(5, 3, None),
    ];
    statement_is_bound_to_all_its_fields(
        honest,
        &others,
        Timeout {
            epoch: Epoch(1),
            ..honest
        },
    );
    // No vote and a vote for the all-zero block are two things.
    let zero = outrider_types::BlockId([0; 32]);
    let none = timeout(5, 3, None);
    statement_is_bound_to_all_its_fields(
        none,
        &[timeout(5, 3, Some(zero))],
        Timeout {
            epoch: Epoch(1),
            ..none
        },
    );
}

#[test]
fn timeout_of_a_view_with_a_certificate_of_that_view_is_malformed() {
    let world = World::six();
    for high in [5, 6, u64::MAX] {
        let invalid = Invalid::HighView {
            view: View(5),
            high_view: View(high),
        };
        let signed = world.sign(1, timeout(5, high, None)).into_inner();
        assert_eq!(signed.verify(&world.committee), Err(invalid));
    }
    assert!(
        world
            .sign(1, timeout(5, 4, None))
            .into_inner()
            .verify(&world.committee)
            .is_ok()
    );
}

#[test]
fn a_signature_of_one_kind_is_none_of_another() {
    let world = World::six();
    let vote = world.sign(1, vote(5, A)).into_inner();
    let as_commit = Signed {
        statement: commit_vote(5, A),
        signer: vote.signer,
        signature: vote.signature,
    };
    assert_eq!(as_commit.verify(&world.committee), Err(forged(1)));
    let as_proposal = Signed {
        statement: propose(5, NORMAL, A),
        signer: vote.signer,
        signature: vote.signature,
    };
    assert_eq!(as_proposal.verify(&world.committee), Err(forged(1)));
    let as_timeout = Signed {
        statement: timeout(5, 0, Some(A)),
        signer: vote.signer,
        signature: vote.signature,
    };
    assert_eq!(as_timeout.verify(&world.committee), Err(forged(1)));
}

/// Every way of spoiling a list of signatures of four members, and why it is refused.
fn spoiled<S: Statement>(world: &World, honest: &Aggregate<S>) -> Vec<(Aggregate<S>, Invalid)> {
    let list = &honest.signatures;
    let with = |signatures: Vec<(MemberIndex, Signature)>| Aggregate {
        statement: honest.statement.clone(),
        signatures,
    };
    let change = |at: usize, to: (MemberIndex, Signature)| {
        let mut list = list.clone();
        list[at] = to;
        with(list)
    };
    let order = |signer: usize| Invalid::SignerOrder {
        signer: member(signer),
    };
    let mut swapped = list.clone();
    swapped.swap(1, 2);
    let mut crossed = list.clone();
    (crossed[1].1, crossed[2].1) = (crossed[2].1, crossed[1].1);
    let mut vec = vec![
        (with(swapped), order(1)),
        (with(crossed), forged(1)),
        (
            with(Vec::new()),
            Invalid::Stake {
                found: Stake(0),
                needed: world.committee.thresholds().quorum,
            },
        ),
        (change(3, list[2]), order(2)),
        (
            change(3, (member(6), list[3].1)),
            Invalid::UnknownSigner {
                signer: member(6),
                members: 6,
            },
        ),
        (change(3, (member(4), list[3].1)), forged(4)),
        (change(0, (member(0), with_large_s(list[0].1))), forged(0)),
        (with([&list[..], &[list[3]]].concat()), order(3)),
        (
            with([&list[..3], &[(member(4), Signature([0; 64]))]].concat()),
            forged(4),
        ),
    ];
    let missing = list[..3].to_vec();
    let needed = world.committee.thresholds().quorum;
    vec.push((
        with(missing),
        Invalid::Stake {
            found: Stake(3),
            needed,
        },
    ));
    vec
}

#[test]
fn quorum_and_commit_certificates_need_distinct_sorted_members_of_enough_stake() {
    let world = World::six();
    let votes = aggregate(&world, vote(5, A), &[0, 1, 2, 3]);
    let commits = aggregate(&world, commit_vote(5, A), &[0, 1, 2, 3]);
    assert!(
        Certificate::Quorum(votes.clone())
            .verify(&world.committee)
            .is_ok()
    );
    assert!(
        Certificate::Commit(commits.clone())
            .verify(&world.committee)
            .is_ok()
    );
    assert!(
        FinalityCertificate::Slow(commits.clone())
            .verify(&world.committee)
            .is_ok()
    );
    for (bad, why) in spoiled(&world, &votes) {
        assert_eq!(Certificate::Quorum(bad).verify(&world.committee), Err(why));
    }
    for (bad, why) in spoiled(&world, &commits) {
        assert_eq!(
            Certificate::Commit(bad.clone()).verify(&world.committee),
            Err(why.clone())
        );
        assert_eq!(
            FinalityCertificate::Slow(bad).verify(&world.committee),
            Err(why)
        );
    }
    let moved = aggregate(
        &world,
        Vote {
            epoch: Epoch(1),
            ..vote(5, A)
        },
        &[0, 1, 2, 3],
    );
    assert_eq!(
        Certificate::Quorum(moved).verify(&world.committee),
        Err(other_epoch())
    );
    let chain = elsewhere(&world, ChainId(1), EPOCH);
    assert_eq!(Certificate::Quorum(votes).verify(&chain), Err(forged(0)));
}

#[test]
fn stake_counts_and_not_the_number_of_signers() {
    // N=9 f=2: Q=6 F=8.
    let world = World::new(&[3, 2, 2, 1, 1]);
    let check = |signers: &[usize]| {
        Certificate::Quorum(aggregate(&world, vote(5, A), signers)).verify(&world.committee)
    };
    assert!(check(&[0, 1, 3]).is_ok(), "three members of stake 6");
    let short = Invalid::Stake {
        found: Stake(5),
        needed: Stake(6),
    };
    assert_eq!(check(&[0, 1]), Err(short.clone()));
    assert_eq!(check(&[1, 2, 3]), Err(short));
    let fast = |signers: &[usize]| {
        FinalityCertificate::Fast(aggregate(&world, vote(5, A), signers)).verify(&world.committee)
    };
    assert!(fast(&[0, 1, 2, 4]).is_ok());
    assert_eq!(
        fast(&[0, 1, 3, 4]),
        Err(Invalid::Stake {
            found: Stake(7),
            needed: Stake(8)
        })
    );
}

#[test]
fn a_certificate_of_one_kind_is_none_of_another() {
    let world = World::six();
    let five = [0, 1, 2, 3, 4];
    let votes = aggregate(&world, vote(5, A), &five);
    let commits = aggregate(&world, commit_vote(5, A), &five);
    let as_votes = Aggregate {
        statement: vote(5, A),
        signatures: commits.signatures,
    };
    let as_commits = Aggregate {
        statement: commit_vote(5, A),
        signatures: votes.signatures.clone(),
    };
    for (certificate, finality) in [
        (
            Certificate::Quorum(as_votes.clone()),
            FinalityCertificate::Fast(as_votes),
        ),
        (
            Certificate::Commit(as_commits.clone()),
            FinalityCertificate::Slow(as_commits),
        ),
    ] {
        assert_eq!(certificate.verify(&world.committee), Err(forged(0)));
        assert_eq!(finality.verify(&world.committee), Err(forged(0)));
    }
    // One vote among commit votes.
    let mut mixed = aggregate(&world, commit_vote(5, A), &five);
    mixed.signatures[4] = votes.signatures[4];
    assert_eq!(
        Certificate::Commit(mixed).verify(&world.committee),
        Err(forged(4))
    );
    // One vote for another block, or of another view.
    for other in [vote(5, B), vote(4, A)] {
        let mut mixed = votes.clone();
        mixed.signatures[2].1 = world.sign(2, other).signature;
        assert_eq!(
            Certificate::Quorum(mixed).verify(&world.committee),
            Err(forged(2))
        );
    }
}

#[test]
fn a_quorum_certificate_is_no_fast_commit_below_f() {
    let world = World::six();
    let four = aggregate(&world, vote(5, A), &[0, 1, 2, 3]);
    let invalid = Invalid::Stake {
        found: Stake(4),
        needed: Stake(5),
    };
    assert_eq!(
        FinalityCertificate::Fast(four).verify(&world.committee),
        Err(invalid)
    );
    let five = aggregate(&world, vote(5, A), &[0, 1, 2, 3, 5]);
    assert!(
        FinalityCertificate::Fast(five.clone())
            .verify(&world.committee)
            .is_ok()
    );
    // And what a quorum certificate proves beside itself depends on its stake.
    let held = Certificate::Quorum(five).verify(&world.committee).unwrap();
    assert!(matches!(
        held.finality(&world.committee).as_deref(),
        Some(FinalityCertificate::Fast(_))
    ));
    assert_eq!(world.quorum(5, A).finality(&world.committee), None);
    assert!(world.commit(5, A).finality(&world.committee).is_some());
    assert_eq!(world.adopting().finality(&world.committee), None);
}

#[test]
fn certificates_are_only_assembled_from_enough_statements_that_agree() {
    let world = World::six();
    let committee = &world.committee;
    let quorum =
        |votes: &[Verified<Signed<Vote>>]| Verified::<Certificate>::quorum(votes, committee);
    let mut votes = world.votes(4, 5, A);
    assert!(
        quorum(&votes)
            .unwrap()
            .into_inner()
            .verify(committee)
            .is_ok()
    );
    assert_eq!(quorum(&votes[..3]), None);
    assert_eq!(quorum(&[]), None);
    // The same member four times counts once.
    assert_eq!(quorum(&vec![votes[0].clone(); 4]), None);
    votes[2] = world.sign(2, vote(5, B));
    assert_eq!(quorum(&votes), None);
    assert_eq!(
        Verified::<FinalityCertificate>::fast(&world.votes(4, 5, A), committee),
        None
    );

    let mut messages: Vec<_> = (0..5).map(|i| world.timeout(i, 5, 3, None)).collect();
    let justify = |messages: &[Verified<TimeoutMessage>]| {
        Verified::<Justification>::timeouts(messages, committee)
    };
    assert!(
        justify(&messages)
            .unwrap()
            .into_inner()
            .verify(committee)
            .is_ok()
    );
    assert_eq!(justify(&messages[..4]), None);
    messages[4] = world.timeout(4, 6, 3, None);
    assert_eq!(justify(&messages), None);
}
