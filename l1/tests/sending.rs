//! Transactions on anvil: what would revert is not sent, what is not taken is offered again for more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use alloy_primitives::{Address, Bytes, U256};
use common::stand_in::{StandIn, always, changed};
use common::{Anvil, account, deployed, ether, send_limits};
use outrider_l1::FeeLimits;
use outrider_l1::calls::Call;
use outrider_l1::model::BlockTag;
use outrider_l1::sender::{SendError, SendLimits, Sender};
use outrider_types::RollupId;
use serde_json::{Value, json};
use std::time::Duration;

fn transfer(to: Address) -> Call {
    Call {
        what: "send a wei",
        to: Some(to),
        value: U256::from(1),
        data: Bytes::new(),
    }
}

fn impatient() -> SendLimits {
    SendLimits {
        resend_after: Duration::from_millis(100),
        attempts_max: 3,
        ..send_limits()
    }
}

#[tokio::test]
async fn a_transaction_that_is_not_taken_is_offered_again_for_more() {
    let anvil = Anvil::start(&["--no-mining"]);
    let from = account(1);
    anvil.fund(from.address()).await;
    let sender = Sender::new(anvil.endpoints(), from, impatient());
    let sent = sender.send(transfer(account(2).address())).await;
    let Err(SendError::NotMined {
        attempts: 3,
        transaction,
        ..
    }) = sent
    else {
        panic!("{sent:?}");
    };
    let pending = anvil
        .call("eth_getTransactionByHash", json!([transaction]))
        .await;
    let fee = |value: &Value| u128::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let last = fee(&pending["maxFeePerGas"]);
    let plan = sender.plan(transfer(account(2).address())).await.unwrap();
    // Twice bumped by a quarter.
    assert!(last >= plan.fees.max_fee * 15 / 10, "{last} {plan:?}");
    // Once it is taken, whichever offer, that is the answer.
    let mine = async {
        anvil.call("evm_setAutomine", json!([true])).await;
        anvil.mine(1).await;
    };
    let patient = Sender::new(anvil.endpoints(), account(1), send_limits());
    let (_, next) = tokio::join!(mine, patient.send(transfer(account(3).address())));
    assert!(next.unwrap().succeeded);
}

#[tokio::test]
async fn what_would_revert_is_not_sent_and_says_why() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    let sender = anvil.sender(account(1));
    anvil.fund(sender.address()).await;
    let refused = sender
        .send(contracts.deployment.enqueue(RollupId(0), vec![1].into()))
        .await;
    let Err(SendError::WouldRevert { revert, .. }) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(revert.name, "NoRollup");
    let data = vec![1; 131_073];
    let refused = sender
        .send(contracts.deployment.enqueue(RollupId(1), data.into()))
        .await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("DataLength") && text.contains("131073"),
        "{text}"
    );
    let state = contracts.latest().await.unwrap();
    let nonce = contracts
        .endpoints
        .nonce(sender.address(), state.block().number)
        .await;
    assert_eq!(nonce.unwrap(), 0);
}

#[tokio::test]
async fn limits_of_gas_fees_and_money_hold() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    anvil.fund(account(1).address()).await;
    let call = contracts
        .deployment
        .enqueue(RollupId(1), vec![1; 100].into());
    let limited = |limits| Sender::new(anvil.endpoints(), account(1), limits);
    let little_gas = SendLimits {
        gas_max: 30_000,
        ..send_limits()
    };
    let refused = limited(little_gas).send(call.clone()).await;
    assert!(
        matches!(refused, Err(SendError::Gas { limit: 30_000, .. })),
        "{refused:?}"
    );
    let cheap = SendLimits {
        fees: FeeLimits {
            max_fee: 1,
            ..FeeLimits::default()
        },
        ..send_limits()
    };
    let refused = limited(cheap).send(call).await;
    assert!(
        matches!(refused, Err(SendError::Fee { limit: 1, .. })),
        "{refused:?}"
    );
    let poor = account(77);
    let wei = U256::from(1_000_000_u64);
    anvil
        .call("anvil_setBalance", json!([poor.address(), wei]))
        .await;
    let sender = Sender::new(anvil.endpoints(), poor, send_limits());
    let refused = sender
        .send(transfer(account(2).address()))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("send ETH to it")
            || matches!(refused, SendError::Endpoints(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn two_senders_of_one_account_get_both_through() {
    let anvil = Anvil::start(&["--block-time", "1"]);
    anvil.fund(account(1).address()).await;
    let sender = anvil.sender(account(1));
    let same = sender.clone();
    let (one, other) = tokio::join!(
        sender.send(transfer(account(2).address())),
        same.send(transfer(account(2).address()))
    );
    assert_ne!(one.unwrap().transaction, other.unwrap().transaction);
    let balance = anvil.endpoint.balance(account(2).address()).await.unwrap();
    assert_eq!(balance, U256::from(2));
}

#[tokio::test]
async fn a_lying_endpoint_moves_neither_gas_nor_fees() {
    let anvil = Anvil::start(&[]);
    let contracts = deployed(&anvil).await;
    anvil.fund(account(1).address()).await;
    let (a, b) = (
        StandIn::honest(&anvil.url).await,
        StandIn::honest(&anvil.url).await,
    );
    let dear = |fee: &mut Value| *fee = json!(U256::MAX);
    let liar = StandIn::before(Some(&anvil.url), changed("eth_maxPriorityFeePerGas", dear)).await;
    let endpoints = common::endpoints(&[&a.url, &b.url, &liar.url]);
    let call = contracts
        .deployment
        .enqueue(RollupId(1), vec![1; 100].into());
    let sender = Sender::new(endpoints, account(1), send_limits());
    let plan = sender.plan(call.clone()).await.unwrap();
    assert!(
        plan.fees.max_fee < ether().to::<u128>() / 1_000_000,
        "{plan:?}"
    );
    assert!(sender.send(call).await.unwrap().succeeded);
    let wild = |told: &mut Value| {
        *told = json!({"oldestBlock": "0x1", "baseFeePerGas": vec![U256::MAX; 2]})
    };
    liar.becomes(changed("eth_feeHistory", wild));
    let call = contracts
        .deployment
        .enqueue(RollupId(1), vec![3; 100].into());
    assert!(sender.plan(call).await.unwrap().fees.max_fee < ether().to::<u128>() / 1_000_000);
    let wild = |gas: &mut Value| *gas = json!("0xffffff");
    liar.becomes(changed("eth_estimateGas", wild));
    let call = contracts
        .deployment
        .enqueue(RollupId(1), vec![2; 100].into());
    assert!(sender.plan(call).await.unwrap().gas < 1_000_000);
}

#[tokio::test]
async fn a_transaction_goes_out_with_one_of_three_endpoints_away_and_not_with_two() {
    let anvil = Anvil::start(&[]);
    anvil.fund(account(1).address()).await;
    let a = StandIn::honest(&anvil.url).await;
    let refuses = always(r#"{"id":0,"error":{"code":-32005,"message":"limit exceeded"}}"#);
    let b = StandIn::before(None, refuses).await;
    let endpoints = common::endpoints(&[&anvil.url, &a.url, &b.url]);
    let sender = Sender::new(endpoints.clone(), account(1), send_limits());
    let call = transfer(account(2).address());
    assert!(sender.send(call.clone()).await.unwrap().succeeded);
    a.becomes(always("away"));
    let error = sender.send(call).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("of 3 L1 endpoints answer"), "{told}");
    assert_eq!(
        anvil
            .endpoint
            .nonce(account(1).address(), BlockTag::Latest)
            .await,
        Ok(1)
    );
}
