//! The list that snapshots look at, the committee of the next epoch, and settlement by the certificate of consensus, on anvil.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use common::{Anvil, account, attester, begun, deployed, ether, member, registered};
use outrider_l1::calls::NativeKind;
use outrider_l1::native::Native;
use outrider_l1::sender::SendError;
use outrider_types::{
    Aggregate, Block, ChainId, CommitVote, FinalityCertificate, Height, MemberIndex, Signed, View,
};

#[tokio::test]
async fn the_next_committee_is_what_is_recorded_and_what_would_be() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    let committee = begun(&anvil, &contracts).await;
    let next = committee.epoch().next();
    let outlook = contracts.latest().await.unwrap().outlook().await.unwrap();
    assert_eq!((outlook.epoch, &outlook.recorded), (next, &None));
    assert_eq!(outlook.now.len(), 4);
    assert!(!outlook.is_recorded());

    let anyone = anvil.sender(account(201));
    anyone.send(deployment.snapshot(next)).await.unwrap();
    let outlook = contracts.latest().await.unwrap().outlook().await.unwrap();
    assert!(outlook.is_recorded());
    let recorded = outlook.recorded.unwrap();
    let ours = recorded.to_committee(ChainId(common::CHAIN), common::EPOCH_BLOCKS);
    assert_eq!(ours.unwrap().epoch(), next);

    // Each thing that an operator does makes another committee than the one that is recorded, until it is recorded anew.
    let operator = account(2).address();
    let second = anvil.sender(account(2));
    let rotation = deployment.rotate_attester(operator, &attester(60)).unwrap();
    for call in [
        rotation,
        deployment.rotate(operator, &member(60)),
        deployment.deposit(operator, ether()),
    ] {
        second.send(call).await.unwrap();
        let outlook = contracts.latest().await.unwrap().outlook().await.unwrap();
        assert!(outlook.recorded.is_some() && !outlook.is_recorded());
        anyone.send(deployment.snapshot(next)).await.unwrap();
        let outlook = contracts.latest().await.unwrap().outlook().await.unwrap();
        assert!(outlook.is_recorded());
    }
    let state = contracts.latest().await.unwrap();
    let status = state.status(operator).await.unwrap();
    assert_eq!((status.weight, status.next_weight), (Some(20), Some(21)));
    assert_eq!((status.weight_now, status.listed), (Some(21), true));

    second.send(deployment.exit()).await.unwrap();
    let state = contracts.latest().await.unwrap();
    let status = state.status(operator).await.unwrap();
    assert_eq!((status.weight, status.next_weight), (Some(20), Some(21)));
    assert_eq!((status.weight_now, status.listed), (None, true));
    let listed = state.candidates().await.unwrap();
    let weights: Vec<_> = listed.iter().map(|one| one.weight).collect();
    assert_eq!(weights, [Some(10), None, Some(30), Some(40)]);
    assert_eq!(state.members_max().await.unwrap(), 100);
}

#[tokio::test]
async fn who_is_not_listed_is_not_eligible() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    registered(&anvil, &deployment, 1).await;
    let sender = anvil.sender(account(1));
    let refusal = |sent: Result<_, SendError>| match sent {
        Err(SendError::WouldRevert { revert, .. }) => revert.name,
        other => panic!("{other:?}"),
    };
    let (listed, unknown) = (account(1).address(), account(9).address());
    let twice = sender.send(deployment.enlist(listed)).await;
    assert_eq!(refusal(twice), "AlreadyListed");
    let nobody = sender.send(deployment.enlist(unknown)).await;
    assert_eq!(refusal(nobody), "NotEligible");
    let instead = deployment.enlist_instead(unknown, listed);
    assert_eq!(refusal(sender.send(instead).await), "NotEligible");
    let state = contracts.latest().await.unwrap();
    let candidate = state.candidate(unknown).await.unwrap();
    assert_eq!((candidate.active, candidate.weight), (false, None));
    assert!(!state.is_listed(unknown).await.unwrap());
}

#[tokio::test]
async fn a_certificate_of_consensus_settles_without_attesters() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    let committee = begun(&anvil, &contracts).await;
    let genesis = Block::genesis(&committee);
    let child = |parent: &Block| Block {
        height: parent.height.next(),
        view: View(parent.height.0 + 1),
        parent: parent.id(),
        ..*parent
    };
    let first = child(&genesis);
    let blocks = vec![first, child(&first)];
    let vote = CommitVote {
        epoch: committee.epoch(),
        view: blocks[1].view,
        block: blocks[1].id(),
    };
    let sign = |number: u8| {
        let place = MemberIndex(u16::from(number) - 1);
        Signed::sign(vote, committee.chain(), place, &member(number))
    };
    let signed: Vec<_> = (1..=4).map(sign).collect();
    let certificate = FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap());
    let native = Native::new(blocks, &certificate, &committee).unwrap();
    assert_eq!(native.kind(), NativeKind::CommitVotes);
    // Of weights 10, 20, 30 and 40 the two greatest are above 67.
    assert_eq!(native.signatures(), 2);
    let anyone = anvil.sender(account(50));
    anvil.fund(anyone.address()).await;
    anyone.send(native.call(&deployment)).await.unwrap();
    let anchor = contracts.latest().await.unwrap().anchor().await.unwrap();
    assert_eq!((anchor.height, anchor.id), (Height(1), first.id()));
}
