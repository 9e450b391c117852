//! Endpoints that lie, are slow, dead or of another chain: loud and harmless. And answers of every shape never panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use alloy_primitives::{Address, B256, Bytes};
use common::stand_in::{StandIn, always, changed, honest, silent};
use common::{Anvil, endpoints, endpoints_within};
use outrider_l1::endpoint::{Endpoint, EndpointError, EndpointLimits};
use outrider_l1::endpoints::{AgreementError, AgreementLimits, Endpoints, Standing};
use outrider_l1::model::{BlockTag, LogFilter};
use serde_json::{Value, json};
use std::time::Duration;

/// Short ones, for endpoints that never answer.
fn limits() -> AgreementLimits {
    AgreementLimits {
        endpoint: EndpointLimits {
            timeout: Duration::from_millis(500),
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
    let other_hash = |block: &mut Value| block["hash"] = json!(B256::repeat_byte(7));
    let liar = StandIn::before(
        Some(&anvil.url),
        changed("eth_getBlockByNumber", other_hash),
    )
    .await;
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

#[tokio::test]
async fn one_that_is_not_there_is_dead() {
    let anvil = Anvil::start(&[]);
    let a = StandIn::honest(&anvil.url).await;
    // Bound and closed: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let endpoints = endpoints_within(&[&anvil.url, &a.url, &gone], limits());
    endpoints.heads().await.unwrap();
    assert!(matches!(standing(&endpoints, &gone), Standing::Dead { .. }));
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
    let other_hash = |block: &mut Value| block["hash"] = json!(B256::repeat_byte(7));
    let liar = StandIn::before(
        Some(&anvil.url),
        changed("eth_getBlockByNumber", other_hash),
    )
    .await;
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
        let _ = endpoint.base_fee().await;
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
    for url in ["", "a", "ftp://a", "https://a", "http://"] {
        let error = new(&[url]).unwrap_err().to_string();
        assert!(error.contains("http"), "{error}");
    }
    new(&["http://a:1", "http://b:1"]).unwrap();
}
