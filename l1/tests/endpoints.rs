//! Endpoints that lie, are slow, dead or of another chain: loud and harmless. And answers of every shape never panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use alloy_primitives::{Address, B256, Bytes, U256};
use common::stand_in::{StandIn, always, changed, honest, silent};
use common::{Anvil, endpoints, endpoints_within};
use outrider_l1::endpoint::{Endpoint, EndpointError, EndpointLimits};
use outrider_l1::endpoints::{AgreementError, AgreementLimits, Endpoints, Standing};
use outrider_l1::model::{BlockTag, LogFilter};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Short ones, for endpoints that never answer.
fn limits() -> AgreementLimits {
    AgreementLimits {
        endpoint: EndpointLimits {
            timeout: Duration::from_secs(1),
            answer_bytes: 100_000,
            batch_calls: 10,
        },
        lag_blocks: 2,
        behind_blocks: 2,
        grace: Duration::from_millis(250),
        retry: Duration::from_secs(3_600),
        pardon: Duration::from_secs(3_600),
    }
}

fn standing(endpoints: &Endpoints, url: &str) -> Standing {
    let all = endpoints.standings();
    all.into_iter().find(|(one, _)| one == url).unwrap().1
}

/// The heads by three endpoints, of which the last does this; and how it stands afterwards.
async fn third(anvil: &Anvil, bad: &StandIn) -> Standing {
    let (a, b) = (
        StandIn::honest(&anvil.url).await,
        StandIn::honest(&anvil.url).await,
    );
    let endpoints = endpoints_within(&[&a.url, &b.url, &bad.url], limits());
    let heads = endpoints.heads().await.unwrap();
    let truth = anvil.endpoint.block(BlockTag::Latest).await.unwrap();
    assert_eq!(Some(heads.latest), truth);
    let filter = LogFilter {
        from: 0,
        to: heads.latest.number,
        addresses: vec![Address::ZERO],
        topics: vec![],
    };
    let segment = endpoints.segment(&filter, true).await.unwrap();
    assert_eq!(segment.blocks.len() as u64, heads.latest.number + 1);
    assert!(segment.logs.is_empty());
    assert_eq!(standing(&endpoints, &a.url), Standing::Good);
    let told: Vec<_> = endpoints.take_events();
    let standing = standing(&endpoints, &bad.url);
    assert!(
        told.iter()
            .any(|one| one.url == bad.url && one.standing == standing),
        "{told:?}"
    );
    standing
}

#[tokio::test]
async fn one_that_shows_another_chain_of_blocks_is_a_liar() {
    let anvil = Anvil::start(&[]);
    anvil.mine(10).await;
    let liar = liar(&anvil).await;
    assert!(matches!(third(&anvil, &liar).await, Standing::Lying { .. }));
}

#[tokio::test]
async fn one_that_makes_logs_up_is_a_liar() {
    let anvil = Anvil::start(&[]);
    anvil.mine(3).await;
    let hash = anvil
        .endpoint
        .block(BlockTag::Number(1))
        .await
        .unwrap()
        .unwrap()
        .hash;
    let more = move |logs: &mut Value| {
        *logs = json!([{
            "address": Address::ZERO, "topics": [], "data": "0x", "blockNumber": "0x1",
            "blockHash": hash, "transactionHash": B256::ZERO, "logIndex": "0x0",
        }]);
    };
    let liar = StandIn::before(Some(&anvil.url), changed("eth_getLogs", more)).await;
    assert_eq!(
        third(&anvil, &liar).await,
        Standing::Lying { about: "logs" }
    );
}

#[tokio::test]
async fn one_that_claims_a_far_head_is_not_believed() {
    let anvil = Anvil::start(&[]);
    anvil.mine(3).await;
    let far = |block: &mut Value| {
        if block["number"] != "0x1" {
            block["number"] = json!("0xffffffffffffffff");
        }
    };
    let liar = StandIn::before(Some(&anvil.url), changed("eth_getBlockByNumber", far)).await;
    assert!(third(&anvil, &liar).await.is_fault());
}

#[tokio::test]
async fn one_that_never_answers_is_slow() {
    let anvil = Anvil::start(&[]);
    let slow = StandIn::before(Some(&anvil.url), silent()).await;
    assert_eq!(third(&anvil, &slow).await, Standing::Slow);
}

/// Bound and closed: nobody listens there.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Says other hashes than there are.
async fn liar(anvil: &Anvil) -> StandIn {
    let other_hash = |block: &mut Value| block["hash"] = json!(B256::repeat_byte(7));
    let deed = changed("eth_getBlockByNumber", other_hash);
    StandIn::before(Some(&anvil.url), deed).await
}

/// What each question ends with when one of three endpoints answers in order, and the others are not believed.
async fn no_majority(endpoints: &Endpoints, honest: &str) {
    let (to, data) = (Address::ZERO, Bytes::new());
    let filter = LogFilter {
        from: 0,
        to: 0,
        addresses: vec![to],
        topics: vec![],
    };
    let told = [
        endpoints.heads().await.map(|_| ()),
        endpoints.block_at(0, true).await.map(|_| ()),
        endpoints.segment(&filter, true).await.map(|_| ()),
        endpoints.read(to, &data, 0).await.map(|_| ()),
        endpoints.nonce(to, 0).await.map(|_| ()),
        endpoints.receipt(B256::ZERO).await.map(|_| ()),
        endpoints.code(to).await.map(|_| ()),
        endpoints.balance(to).await.map(|_| ()),
        endpoints.base_fees(4).await.map(|_| ()),
    ];
    for (question, told) in told.into_iter().enumerate() {
        let error = told.unwrap_err();
        let AgreementError::TooFew {
            answered,
            configured,
            reasons,
            ..
        } = &error
        else {
            panic!("question {question}: {error}");
        };
        assert_eq!((*answered, *configured), (1, 3), "question {question}");
        assert!(!reasons.contains(honest), "{reasons}");
        assert!(error.to_string().contains("put others in their place"));
    }
    let answers = endpoints.whoever(|one| async move { one.chain_id().await });
    assert!(answers.await.contains(&Ok(common::L1_CHAIN)));
}

#[tokio::test]
async fn when_two_of_three_are_dead_the_third_decides_nothing() {
    let anvil = Anvil::start(&[]);
    let (gone, away) = (nobody(), nobody());
    let endpoints = endpoints_within(&[&anvil.url, &gone, &away], limits());
    no_majority(&endpoints, &anvil.url).await;
    for url in [&gone, &away] {
        let standing = standing(&endpoints, url);
        assert!(matches!(standing, Standing::Dead { .. }), "{standing:?}");
    }
}

#[tokio::test]
async fn when_two_of_three_are_silent_the_third_decides_nothing_until_one_is_back() {
    let anvil = Anvil::start(&[]);
    let a = StandIn::before(Some(&anvil.url), silent()).await;
    let b = StandIn::before(Some(&anvil.url), silent()).await;
    let endpoints = endpoints_within(&[&a.url, &anvil.url, &b.url], limits());
    no_majority(&endpoints, &anvil.url).await;
    assert_eq!(standing(&endpoints, &a.url), Standing::Slow);
    // They are to be left alone for an hour, but without them there is no answer.
    b.becomes(honest());
    endpoints.heads().await.unwrap();
    assert_eq!(standing(&endpoints, &b.url), Standing::Good);
    // Now there is.
    let asked = a.was_asked("eth_chainId");
    endpoints.heads().await.unwrap();
    assert_eq!(a.was_asked("eth_chainId"), asked);
}

#[tokio::test]
async fn two_of_three_that_are_of_another_chain_are_counted_and_not_asked() {
    let anvil = Anvil::start(&[]);
    let chain = |id: &mut Value| *id = json!("0x1");
    let a = StandIn::before(Some(&anvil.url), changed("eth_chainId", chain)).await;
    let b = StandIn::before(Some(&anvil.url), changed("eth_chainId", chain)).await;
    let endpoints = endpoints_within(&[&a.url, &anvil.url, &b.url], limits());
    let error = endpoints.heads().await.unwrap_err().to_string();
    assert!(error.starts_with("1 of 3 L1 endpoints"), "{error}");
    let wrong = error.matches("of chain 1, not of 31337").count();
    assert_eq!(wrong, 2, "{error}");
    no_majority(&endpoints, &anvil.url).await;
    assert_eq!(a.was_asked("eth_getBlockByNumber"), 0);
}

#[tokio::test]
async fn when_one_of_three_is_dead_a_liar_decides_nothing() {
    let anvil = Anvil::start(&[]);
    anvil.mine(10).await;
    let (liar, gone) = (liar(&anvil).await, nobody());
    let endpoints = endpoints_within(&[&liar.url, &anvil.url, &gone], limits());
    let error = endpoints.heads().await.unwrap_err();
    assert!(matches!(error, AgreementError::Split { .. }), "{error}");
    // What all say that answer holds.
    assert_eq!(endpoints.nonce(Address::ZERO, 0).await, Ok(0));
}

#[tokio::test]
async fn a_liar_of_three_does_not_move_the_base_fees() {
    let anvil = Anvil::start(&["--block-base-fee-per-gas", "1000"]);
    anvil.mine(8).await;
    let a = StandIn::honest(&anvil.url).await;
    let truth = endpoints(&[&anvil.url]).base_fees(4).await.unwrap();
    assert_eq!(truth.len(), 5);
    assert!(truth.windows(2).all(|two| two[0] > two[1]), "{truth:?}");
    for lie in [
        json!({"oldestBlock": "0x5", "baseFeePerGas": ["0x0", "0x0", "0x0", "0x0", "0x0"]}),
        json!({"oldestBlock": "0x5", "baseFeePerGas": vec![U256::MAX; 5]}),
        json!({"oldestBlock": "0xffffffffffffffff", "baseFeePerGas": ["0x1", "0x1"]}),
        json!({"oldestBlock": "0x5", "baseFeePerGas": vec!["0x1"; 6]}),
        json!({"oldestBlock": "0x5"}),
        json!(null),
    ] {
        let deed = changed("eth_feeHistory", move |told| *told = lie.clone());
        let liar = StandIn::before(Some(&anvil.url), deed).await;
        let endpoints = endpoints_within(&[&liar.url, &anvil.url, &a.url], limits());
        assert_eq!(endpoints.base_fees(4).await.as_ref(), Ok(&truth));
    }
    // There are no more blocks than there are.
    let all = endpoints(&[&anvil.url]).base_fees(255).await.unwrap();
    assert_eq!((all.len(), &all[5..]), (10, &truth[..]));
}

#[tokio::test]
async fn one_that_is_not_there_is_dead() {
    let anvil = Anvil::start(&[]);
    let a = StandIn::honest(&anvil.url).await;
    let gone = nobody();
    let endpoints = endpoints_within(&[&anvil.url, &a.url, &gone], limits());
    endpoints.heads().await.unwrap();
    assert!(matches!(standing(&endpoints, &gone), Standing::Dead { .. }));
}

#[tokio::test]
async fn one_that_refuses_everything_is_dead_and_its_refusals_are_no_answers() {
    let anvil = Anvil::start(&[]);
    let refusal = always(r#"{"id":0,"error":{"code":-32000,"message":"wrong key"}}"#);
    let a = StandIn::before(None, Arc::clone(&refusal)).await;
    let dead = third(&anvil, &a).await;
    assert!(matches!(dead, Standing::Dead { .. }), "{dead:?}");
    assert!(dead.to_string().contains("wrong key"), "{dead}");
    let b = StandIn::before(None, refusal).await;
    let endpoints = endpoints_within(&[&a.url, &anvil.url, &b.url], limits());
    no_majority(&endpoints, &anvil.url).await;
    // Also one that has been of use before.
    let c = StandIn::honest(&anvil.url).await;
    let endpoints = endpoints_within(&[&a.url, &anvil.url, &c.url], limits());
    endpoints.heads().await.unwrap();
    c.becomes(always(
        r#"{"id":0,"error":{"code":-32005,"message":"too many requests"}}"#,
    ));
    let error = endpoints.heads().await.unwrap_err().to_string();
    assert!(error.starts_with("1 of 3 L1 endpoints"), "{error}");
    let dead = standing(&endpoints, &c.url);
    assert!(dead.to_string().contains("too many requests"), "{dead}");
}

#[tokio::test]
async fn one_of_another_chain_is_not_asked() {
    let anvil = Anvil::start(&[]);
    let chain = |id: &mut Value| *id = json!("0x1");
    let wrong = StandIn::before(Some(&anvil.url), changed("eth_chainId", chain)).await;
    let found = third(&anvil, &wrong).await;
    assert_eq!(
        found,
        Standing::WrongChain {
            expected: common::L1_CHAIN,
            found: 1
        }
    );
    // Alone, it is an error that says so.
    let endpoints = endpoints_within(&[&wrong.url], limits());
    let error = endpoints.heads().await.unwrap_err().to_string();
    assert!(error.contains("of chain 1, not of 31337"), "{error}");
    assert_eq!(wrong.was_asked("eth_getLogs"), 0);
}

#[tokio::test]
async fn two_that_differ_are_both_not_believed() {
    let anvil = Anvil::start(&[]);
    anvil.mine(10).await;
    let liar = liar(&anvil).await;
    let endpoints = endpoints_within(&[&anvil.url, &liar.url], limits());
    let error = endpoints.heads().await.unwrap_err();
    assert!(matches!(error, AgreementError::Split { .. }), "{error}");
}

#[tokio::test]
async fn one_alone_is_said_to_be_unchecked() {
    let anvil = Anvil::start(&[]);
    let endpoints = endpoints(&[&anvil.url]);
    endpoints.heads().await.unwrap();
    let events = endpoints.take_events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].standing, Standing::Alone);
    assert!(events[0].standing.to_string().contains("nothing checks"));
}

#[tokio::test]
async fn one_that_is_honest_again_is_asked_again() {
    let anvil = Anvil::start(&[]);
    let (a, b) = (
        StandIn::honest(&anvil.url).await,
        StandIn::honest(&anvil.url).await,
    );
    let c = StandIn::before(Some(&anvil.url), silent()).await;
    let limits = AgreementLimits {
        retry: Duration::ZERO,
        ..limits()
    };
    let endpoints = endpoints_within(&[&a.url, &b.url, &c.url], limits);
    endpoints.heads().await.unwrap();
    assert_eq!(standing(&endpoints, &c.url), Standing::Slow);
    c.becomes(honest());
    endpoints.heads().await.unwrap();
    assert_eq!(standing(&endpoints, &c.url), Standing::Good);
}

#[tokio::test]
async fn answers_of_every_shape_are_errors_and_never_panics() {
    let zeros = "0".repeat(150_000);
    let long = format!(r#"{{"jsonrpc":"2.0","id":0,"result":"0x{zeros}"}}"#);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let answers = [
        "",
        "nonsense",
        "[]",
        "{}",
        "null",
        r#"{"id":0}"#,
        r#"{"id":7,"result":"0x1"}"#,
        r#"{"id":0,"result":null}"#,
        r#"{"id":0,"result":-1}"#,
        r#"{"id":0,"result":"0x"}"#,
        r#"{"id":0,"result":"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}"#,
        r#"{"id":0,"result":{"number":"0x1"}}"#,
        r#"{"id":0,"result":[{"address":"0x00"}]}"#,
        r#"{"id":0,"error":{}}"#,
        r#"{"id":0,"error":{"code":3,"message":"revert","data":"0x08c379a0ffffffff"}}"#,
        r#"{"id":0,"error":7}"#,
        r#"[{"id":0,"result":null},{"id":0,"result":null}]"#,
        long.as_str(),
        deep.as_str(),
    ];
    let stand_in = StandIn::before(None, always("")).await;
    let endpoint = Endpoint::new(&stand_in.url, limits().endpoint).unwrap();
    let filter = LogFilter {
        from: 0,
        to: u64::MAX,
        addresses: vec![],
        topics: vec![],
    };
    let (to, data) = (Address::ZERO, Bytes::new());
    for answer in answers {
        stand_in.becomes(always(answer));
        let _ = endpoint.chain_id().await;
        let _ = endpoint.block(BlockTag::Latest).await;
        let _ = endpoint.blocks(0, u64::MAX).await;
        let _ = endpoint.logs(&filter).await;
        let _ = endpoint.base_fees(4).await;
        let _ = endpoint.receipt(B256::ZERO).await;
        let _ = endpoint.nonce(to, BlockTag::Latest).await;
        let _ = endpoint.read(to, &data, BlockTag::Number(u64::MAX)).await;
        let endpoints = endpoints_within(&[&stand_in.url], limits());
        assert!(
            endpoints.heads().await.is_err(),
            "{}",
            &answer[..answer.len().min(80)]
        );
    }
    stand_in.becomes(always(&long));
    let error = endpoint.chain_id().await.unwrap_err();
    assert!(
        matches!(error, EndpointError::TooLong { limit: 100_000, .. }),
        "{error}"
    );
}

#[test]
fn endpoints_are_checked_before_anything_is_asked() {
    let limits = AgreementLimits::default();
    let new = |urls: &[&str]| {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        Endpoints::new(&urls, 1, limits).map(|_| ())
    };
    assert!(matches!(new(&[]), Err(AgreementError::Count { count: 0 })));
    assert!(matches!(
        new(&["http://a"; 17]),
        Err(AgreementError::Count { count: 17 })
    ));
    let same = new(&["http://a:1", "http://a:1/"]);
    assert!(matches!(same, Err(AgreementError::Twice { .. })));
    for url in ["", "a", "ftp://a", "http://"] {
        let error = new(&[url]).unwrap_err().to_string();
        assert!(error.contains("http"), "{error}");
    }
    new(&["http://a:1", "http://b:1", "https://a/key"]).unwrap();
}
