//! The contracts on anvil, from deployment to settlement and back out, through the calls and reads of this crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use alloy_primitives::U256;
use common::{
    Anvil, Header, account, attested, attester, contact, deployed, ether, member, parameters,
    registered,
};
use outrider_l1::operator::Standing;
use outrider_l1::sender::SendError;
use outrider_types::{ChainId, Committee, Epoch, Height, Member, RollupId, Stake};

#[tokio::test]
async fn operators_register_a_committee_settles_and_one_leaves() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    registered(&anvil, &deployment, 4).await;

    let state = contracts.latest().await.unwrap();
    let record = state.operator(account(2).address()).await.unwrap().unwrap();
    assert_eq!(record.member, member(2).public_key());
    assert_eq!(record.attester, attester(2).address());
    assert_eq!(record.contact.as_ref(), contact(2).as_ref());
    assert!(record.exit_at.is_none() && !record.ejected);
    assert_eq!(state.operator(account(9).address()).await.unwrap(), None);
    let all: Vec<_> = (1..=4).map(|number| account(number).address()).collect();
    assert_eq!(state.operators(0).await.unwrap(), all);
    let holder = state.operator_of(&member(3).public_key()).await.unwrap();
    assert_eq!(holder, Some(account(3).address()));
    assert!(!state.anchor().await.unwrap().begun);

    let deployer = anvil.sender(account(201));
    deployer.send(deployment.snapshot(Epoch(0))).await.unwrap();
    // The committee that L1 computes is the one of outrider_types, to the bit.
    let members = (1..=4).map(|number: u8| Member {
        public_key: member(number).public_key(),
        stake: Stake(10 * u64::from(number)),
    });
    let committee = Committee::new(ChainId(common::CHAIN), Epoch(0), members.collect(), None)
        .unwrap()
        .with_epoch_blocks(common::EPOCH_BLOCKS);
    let state = contracts.latest().await.unwrap();
    let record = state.committee(committee.id()).await.unwrap().unwrap();
    assert_eq!((record.epoch, record.total), (Epoch(0), 100));
    assert_eq!(record.quorum, committee.thresholds().quorum.0);
    let ours = record
        .to_committee(ChainId(common::CHAIN), common::EPOCH_BLOCKS)
        .unwrap();
    assert_eq!(ours.id(), committee.id());
    assert!(
        record
            .to_committee(ChainId(common::CHAIN + 1), common::EPOCH_BLOCKS)
            .is_err()
    );
    let keys: Vec<_> = record.members.iter().map(|one| one.key).collect();
    let expected: Vec<_> = committee
        .members()
        .iter()
        .map(|one| one.public_key)
        .collect();
    assert_eq!(keys, expected);
    let unknown = outrider_types::CommitteeId([1; 32]);
    assert_eq!(state.committee(unknown).await.unwrap(), None);

    let genesis = Header::genesis(committee.id().0);
    deployer.send(deployment.begin(&genesis.0)).await.unwrap();
    settle(&anvil, &contracts, &committee).await;
    leave(&anvil, &contracts).await;
}

async fn settle(anvil: &Anvil, contracts: &outrider_l1::state::Contracts, committee: &Committee) {
    let deployment = contracts.deployment;
    let header = Header::at(10);
    let anyone = anvil.sender(account(50));
    anvil.fund(anyone.address()).await;
    let few = attested(&deployment, &header, &[1, 2, 3]);
    let refused = anyone.send(deployment.settle(&header.0, &few)).await;
    let Err(SendError::WouldRevert { revert, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(revert.name, "TooLittle");
    let enough = attested(&deployment, &header, &[2, 3, 4]);
    anyone
        .send(deployment.settle(&header.0, &enough))
        .await
        .unwrap();
    let anchor = contracts.latest().await.unwrap().anchor().await.unwrap();
    assert_eq!((anchor.height, anchor.id), (Height(10), header.id()));
    assert_eq!(anchor.committee, committee.id());
    assert!(anchor.begun && !anchor.frozen);

    let status = contracts
        .latest()
        .await
        .unwrap()
        .status(account(2).address())
        .await
        .unwrap();
    assert_eq!(status.standing, Standing::Active);
    assert!(status.in_committee && !status.open_case);
    assert_eq!(
        (status.stake, status.bonded),
        (U256::from(20) * ether(), status.stake)
    );
    let unknown = contracts
        .latest()
        .await
        .unwrap()
        .status(account(99).address())
        .await
        .unwrap();
    assert_eq!(
        (unknown.standing, unknown.stake),
        (Standing::Unknown, U256::ZERO)
    );
}

async fn leave(anvil: &Anvil, contracts: &outrider_l1::state::Contracts) {
    let deployment = contracts.deployment;
    let sender = anvil.sender(account(1));
    let address = sender.address();
    sender.send(deployment.unbond(ether())).await.unwrap();
    let bond = contracts
        .latest()
        .await
        .unwrap()
        .bond(address)
        .await
        .unwrap();
    assert_eq!(bond.bonded, U256::from(9) * ether());
    assert_eq!(bond.unbonding, ether());
    let now = contracts.latest().await.unwrap().block().timestamp;
    assert!(bond.withdrawable_at > now && bond.withdrawable_at <= now + parameters().unbonding);
    let early = sender.send(deployment.withdraw()).await;
    let Err(SendError::WouldRevert { revert, .. }) = early else {
        panic!("{early:?}");
    };
    assert_eq!(revert.name, "StillUnbonding");
    sender.send(deployment.exit()).await.unwrap();
    let record = contracts
        .latest()
        .await
        .unwrap()
        .operator(address)
        .await
        .unwrap();
    assert!(record.unwrap().exit_at.is_some());
    let last = contracts
        .latest()
        .await
        .unwrap()
        .last_epoch_of(address)
        .await
        .unwrap();
    assert_eq!(last, Some(Epoch(0)));
}

#[tokio::test]
async fn keys_rotate_and_the_inbox_takes_transactions() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    registered(&anvil, &deployment, 1).await;
    let sender = anvil.sender(account(1));
    let operator = sender.address();
    sender
        .send(deployment.rotate(operator, &member(60)))
        .await
        .unwrap();
    let rotation = deployment.rotate_attester(operator, &attester(60)).unwrap();
    sender.send(rotation).await.unwrap();
    sender
        .send(deployment.update(contact(61).into()))
        .await
        .unwrap();
    let state = contracts.latest().await.unwrap();
    let record = state.operator(operator).await.unwrap().unwrap();
    assert_eq!(record.member, member(60).public_key());
    assert_eq!(record.attester, attester(60).address());
    assert_eq!(record.contact.as_ref(), contact(61).as_ref());
    // The old key stays the operator's for ever.
    let old = state.operator_of(&member(1).public_key()).await.unwrap();
    assert_eq!(old, Some(operator));

    let data = vec![5; 700];
    let call = deployment.enqueue(RollupId(42), data.clone().into());
    sender.send(call).await.unwrap();
    let state = contracts.latest().await.unwrap();
    assert_eq!(state.inbox_length().await.unwrap(), 1);
    let hash = outrider_types::crypto::sha256(&[&42_u64.to_be_bytes(), &data]);
    assert_eq!(
        state.inbox_entry(0).await.unwrap(),
        (state.block().timestamp, hash)
    );
    assert!(!state.is_overdue(0).await.unwrap());
    anvil.pass(parameters().inboxWindow + 1).await;
    let state = contracts.latest().await.unwrap();
    assert!(state.is_overdue(0).await.unwrap());
    assert!(!state.is_overdue(1).await.unwrap());
}

#[tokio::test]
async fn what_is_shown_of_a_transaction_is_read_from_its_bytes() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    let operator = account(1);
    anvil.fund(operator.address()).await;
    let call = deployment
        .register(
            operator.address(),
            &member(1),
            &attester(1),
            contact(1).into(),
        )
        .unwrap();
    let decoded = deployment.decode(&call).unwrap();
    assert_eq!(decoded.contract, "OperatorRegistry");
    assert_eq!(
        decoded.function,
        "register(bytes32,bytes,address,bytes,bytes)"
    );
    let names: Vec<&str> = decoded
        .arguments
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = [
        "memberKey",
        "memberProof",
        "attester",
        "attesterProof",
        "contact",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        decoded.arguments[0].1,
        format!("0x{}", member(1).public_key())
    );
    let plan = anvil.sender(operator).plan(call).await.unwrap();
    assert!(plan.gas >= plan.gas_estimate && plan.gas_estimate > 100_000);
    assert_eq!(plan.nonce, 0);
    let state = contracts.latest().await.unwrap();
    assert!(state.operators(0).await.unwrap().is_empty());
    let deposit = deployment.deposit(account(2).address(), ether());
    let decoded = deployment.decode(&deposit).unwrap();
    assert_eq!(decoded.function, "deposit(address)");
    assert_eq!(
        decoded.arguments,
        [(
            "operator".to_owned(),
            format!("{:#x}", account(2).address())
        )]
    );
}
