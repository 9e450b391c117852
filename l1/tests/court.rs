//! An offence that a member committed, from its evidence to the slash, and conflicting checkpoints, through the calls of this crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use alloy_primitives::U256;
use common::{
    Anvil, CHAIN, Header, account, attested, attester_key, begun, deployed, ether, member,
    parameters,
};
use outrider_l1::calls::Signers;
use outrider_l1::deployment::Deployment;
use outrider_l1::event::{Happened, L1Event};
use outrider_l1::model::Receipt;
use outrider_l1::operator::Standing;
use outrider_l1::sender::SendError;
use outrider_l1::state::CaseState;
use outrider_types::evidence::Pair;
use outrider_types::{BlockId, ChainId, Epoch, Evidence, Height, MemberIndex, Signed, View, Vote};

fn vote(number: u8, block: u8) -> Signed<Vote> {
    let vote = Vote {
        epoch: Epoch(0),
        view: View(5),
        block: BlockId([block; 32]),
    };
    let index = MemberIndex(u16::from(number) - 1);
    Signed::sign(vote, ChainId(CHAIN), index, &member(number)).into_inner()
}

fn events(receipt: &Receipt, deployment: &Deployment) -> Vec<L1Event> {
    let all = receipt.logs.iter();
    all.filter_map(|log| Happened::read(log, deployment))
        .map(|happened| happened.event)
        .collect()
}

#[track_caller]
fn refused(sent: Result<Receipt, SendError>, name: &str) {
    let Err(SendError::WouldRevert { revert, .. }) = &sent else {
        panic!("{sent:?}");
    };
    assert_eq!(revert.name, name);
}

#[tokio::test]
async fn a_double_vote_ends_in_ejection_and_slash() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    begun(&anvil, &contracts).await;
    let reporter = anvil.sender(account(50));
    anvil.fund(reporter.address()).await;
    let key = member(2).public_key();
    let evidence = |first, second| Evidence::DoubleVote(Pair { first, second });
    let legal = evidence(vote(2, 1), vote(2, 1));
    let same = reporter.send(deployment.report(&key, &legal)).await;
    assert!(matches!(same, Err(SendError::WouldRevert { .. })));
    let forged = evidence(vote(2, 1), vote(3, 2));
    let same = reporter.send(deployment.report(&key, &forged)).await;
    assert!(matches!(same, Err(SendError::WouldRevert { .. })));

    let guilty = evidence(vote(2, 1), vote(2, 2));
    let call = deployment.report(&key, &guilty);
    let receipt = reporter.send(call.clone()).await.unwrap();
    let told = events(&receipt, &deployment);
    let operator = account(2).address();
    assert!(told.contains(&L1Event::Ejected { operator }));
    let case = told.iter().find_map(|event| match event {
        L1Event::Reported {
            case,
            operator: accused,
            offence: 2,
            epoch: Epoch(0),
            reporter: by,
        } => (*accused == operator && *by == reporter.address()).then_some(*case),
        _ => None,
    });
    let case = case.expect("the case is told");
    refused(reporter.send(call).await, "AlreadyReported");
    refused(reporter.send(deployment.execute(case)).await, "VetoOpen");
    let status = contracts
        .latest()
        .await
        .unwrap()
        .status(operator)
        .await
        .unwrap();
    assert_eq!(status.standing, Standing::Ejected);
    assert!(status.open_case);

    anvil.pass(parameters().vetoWindow + 1).await;
    let receipt = reporter.send(deployment.execute(case)).await.unwrap();
    let stake = U256::from(20) * ether();
    let executed = L1Event::Executed {
        case,
        taken: stake,
        reward: stake / U256::from(10),
    };
    assert!(events(&receipt, &deployment).contains(&executed));
    let state = contracts.latest().await.unwrap();
    let record = state.case(case).await.unwrap();
    assert_eq!(
        (record.state, record.operator),
        (CaseState::Executed, operator)
    );
    assert_eq!(state.bond(operator).await.unwrap().bonded, U256::ZERO);
    // The next committee is without it.
    let deployer = anvil.sender(account(201));
    deployer.send(deployment.snapshot(Epoch(1))).await.unwrap();
}

#[tokio::test]
async fn two_certified_checkpoints_freeze_settlement_for_ever() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    begun(&anvil, &contracts).await;
    let reporter = anvil.sender(account(50));
    anvil.fund(reporter.address()).await;
    let one = Header::at(10);
    let mut other = one;
    other.0[113] = 9;
    assert_ne!(one.id(), other.id());
    // One attester that signed both is guilty by itself.
    let sign = |header: &Header| {
        let anchor = deployment.finality_anchor.0.0;
        let digest =
            outrider_ethereum::attestation::digest(deployment.l1_chain, &anchor, &header.id());
        attester_key(1).sign(&digest).unwrap().0
    };
    let call = deployment.report_checkpoints((&one.0, sign(&one)), (&other.0, sign(&other)));
    let receipt = reporter.send(call).await.unwrap();
    let told = events(&receipt, &deployment);
    assert!(
        told.iter()
            .any(|event| matches!(event, L1Event::Reported { offence: 6, .. }))
    );

    let few = attested(&deployment, &one, &[2, 3]);
    let all = attested(&deployment, &one, &[2, 3, 4]);
    let also = attested(&deployment, &other, &[2, 3, 4]);
    let short = reporter
        .send(deployment.freeze((&one.0, &few), (&other.0, &also)))
        .await;
    refused(short, "TooLittle");
    let receipt = reporter
        .send(deployment.freeze((&one.0, &all), (&other.0, &also)))
        .await;
    let told = events(&receipt.unwrap(), &deployment);
    let froze = told.iter().any(|event| {
        matches!(
            event,
            L1Event::Froze {
                height: Height(10),
                ..
            }
        )
    });
    assert!(froze, "{told:?}");
    assert!(
        contracts
            .latest()
            .await
            .unwrap()
            .anchor()
            .await
            .unwrap()
            .frozen
    );
    refused(
        reporter.send(deployment.settle(&one.0, &all)).await,
        "Frozen",
    );
    let status = contracts
        .latest()
        .await
        .unwrap()
        .status(account(3).address())
        .await
        .unwrap();
    assert_eq!(status.standing, Standing::Ejected);
    assert_eq!(Signers::new(&[(1, [0; 64]), (1, [0; 64])]), None);
}
