//! The chain of the simulator: what the caller says is what contracts see, and the same transactions are the same state.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use alloy_primitives::U256;
use outrider_l1::abi::{BondedStake, FinalityAnchor, ForcedInbox};
use outrider_l1::calls::Call;
use outrider_sim_l1::chain::{L1Error, Moment};
use outrider_sim_l1::network::{Network, someone, stake_unit};
use outrider_types::{Block, RollupId, testing};

fn network() -> Network {
    let (committee, keys) = testing::committee(&[1, 2, 3, 4]);
    Network::found(&committee, &keys).unwrap()
}

#[test]
fn the_committee_that_registers_begins_to_settle() {
    let (committee, _) = testing::committee(&[1, 2, 3, 4]);
    let network = network();
    let anchor = network.deployment.finality_anchor;
    let id = network
        .ask(anchor, &FinalityAnchor::committeeIdCall {})
        .unwrap();
    assert_eq!(id.0, committee.id().0);
    let at = network.ask(anchor, &FinalityAnchor::blockAtCall { height: 0 });
    assert_eq!(at.unwrap().0, Block::genesis(&committee).id().0);
    let held = network.ask(
        network.deployment.bonded_stake,
        &BondedStake::totalHeldCall {},
    );
    assert_eq!(held.unwrap(), U256::from(10) * stake_unit());
}

#[test]
fn contracts_see_the_time_and_the_block_that_the_caller_says() {
    let mut network = network();
    let inbox = network.deployment.forced_inbox;
    let enqueue = network
        .deployment
        .enqueue(RollupId(1), vec![1; 262_144 / 2].into());
    let at = Moment {
        number: 5_000,
        time: 1_800_000_000,
    };
    let user = someone("user", 0);
    for _ in 0..4 {
        network.l1.transact(at, user, &enqueue).unwrap();
    }
    let full = network.l1.transact(at, user, &enqueue).unwrap_err();
    assert!(full.to_string().contains("BlockFull"), "{full}");
    let next = Moment {
        number: 5_001,
        ..at
    };
    network.l1.transact(next, user, &enqueue).unwrap();
    let entry = network
        .l1
        .ask(at, inbox, &ForcedInbox::entryCall { index: 4 });
    assert_eq!(entry.unwrap().enqueuedAt, at.time);
}

#[test]
fn the_same_transactions_are_the_same_state_and_others_are_not() {
    let (mut one, mut two) = (network(), network());
    assert_eq!(one.l1.fingerprint(), two.l1.fingerprint());
    let enqueue = one.deployment.enqueue(RollupId(1), vec![1].into());
    // A dry run leaves nothing behind.
    two.dry_run(someone("user", 0), &enqueue).unwrap();
    assert_eq!(one.l1.fingerprint(), two.l1.fingerprint());
    one.send(someone("user", 0), &enqueue).unwrap();
    two.pass(12);
    two.send(someone("user", 0), &enqueue).unwrap();
    assert_ne!(one.l1.fingerprint(), two.l1.fingerprint());
}

#[test]
fn what_fails_says_why_and_changes_no_balance() {
    let mut network = network();
    let poor = someone("poor", 0);
    let deposit = network.deployment.deposit(poor, stake_unit());
    let error = network.send(poor, &deposit).unwrap_err();
    assert!(matches!(error, L1Error::Invalid { .. }), "{error}");
    let bonded = network.deployment.bonded_stake;
    let nothing = Call {
        value: U256::ZERO,
        ..deposit
    };
    let error = network.send(poor, &nothing).unwrap_err();
    assert!(error.to_string().contains("NothingToMove"), "{error}");
    let elsewhere = Call {
        data: vec![1, 2, 3].into(),
        ..nothing
    };
    let error = network.send(poor, &elsewhere).unwrap_err();
    assert!(matches!(error, L1Error::Reverted { .. }), "{error}");
    assert_eq!(network.l1.balance(bonded), U256::from(10) * stake_unit());
}
