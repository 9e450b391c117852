//! What op-node and operators call on op-conductor, replayed over HTTP against the stand-in for it.
//!
//! `op_conductor_calls.json` holds the calls in the form in which go-ethereum's client writes them (without `params` if there
//! are none), and what must be answered: results whole, of errors the code and the data.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use base64::Engine as _;
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use mock::{MockDriver, config};
use outrider_node::api::{self, ErrorCode, RunningApi};
use outrider_node::handle::{BlockAt, NodeHandle};
use outrider_types::Height;
use serde_json::{Value, json};
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CALLS: &str = include_str!("op_conductor_calls.json");
const PASSWORD: &str = "correct-horse-battery";
const ROLLUP: u64 = 7;

async fn serve(handle: &NodeHandle, sets: &[&str]) -> RunningApi {
    let conductor = format!("rpc.conductor={ROLLUP}={PASSWORD}");
    let mut all = vec![conductor.as_str()];
    all.extend(sets);
    let config = config(&all);
    api::serve(handle.clone(), &config.rpc, &config.mempool)
        .await
        .unwrap()
}

/// A client as op-node is one: the password stands in the URL.
fn client(api: &RunningApi, password: &str, rollup: u64) -> HttpClient {
    let url = format!(
        "http://conductor:{password}@{}/conductor/{rollup}",
        api.local_addr()
    );
    HttpClientBuilder::default().build(url).unwrap()
}

async fn ask(client: &HttpClient, method: &str, params: ArrayParams) -> Result<Value, Error> {
    client.request(method, params).await
}

fn code_of(result: Result<Value, Error>) -> i32 {
    match result {
        Err(Error::Call(error)) => error.code(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn post(api: &RunningApi, body: &str) -> Value {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let credentials = format!("conductor:{PASSWORD}");
    let credentials = base64::engine::general_purpose::STANDARD.encode(credentials);
    let request = format!(
        "POST /conductor/{ROLLUP} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn payload(number: u64, hash: u8, parent: u8) -> Value {
    let word = |byte: u8| format!("0x{}", hex::encode([byte; 32]));
    json!({ "executionPayload": {
        "blockNumber": format!("{number:#x}"),
        "blockHash": word(hash),
        "parentHash": word(parent),
        "transactions": ["0x".to_owned() + &"ab".repeat(3_000)],
    } })
}

const COMMIT: &str = "conductor_commitUnsafePayload";

#[tokio::test]
async fn recorded_calls_are_answered_as_op_conductor_answers_them() {
    let (handle, _) = MockDriver::spawn_as(0);
    let api = serve(&handle, &[]).await;
    let calls: Vec<Value> = serde_json::from_str(CALLS).unwrap();
    assert!(calls.len() > 30);
    for recorded in &calls {
        let about = format!("{} {}", recorded["call"]["method"], recorded["about"]);
        let answer = post(&api, &recorded["call"].to_string()).await;
        assert_eq!(answer["id"], recorded["call"]["id"], "{about}");
        let expected = &recorded["answer"];
        if let Some(result) = expected.get("result") {
            assert_eq!(answer.get("result"), Some(result), "{about}: {answer}");
            continue;
        }
        assert_eq!(
            answer["error"]["code"], expected["error"]["code"],
            "{about}: {answer}"
        );
        if let Some(data) = expected["error"].get("data") {
            assert_eq!(&answer["error"]["data"], data, "{about}: {answer}");
        }
        let message = answer["error"]["message"].as_str();
        assert!(message.is_some_and(|text| !text.is_empty()), "{about}");
    }
}

#[tokio::test]
async fn payload_is_ordered_in_parts_and_found_again_after_a_start() {
    let (handle, _) = MockDriver::spawn_as(0);
    let small = ["mempool.transaction_bytes=1000"];
    let first = serve(&handle, &small).await;
    let sequencer = client(&first, PASSWORD, ROLLUP);
    for (number, hash, parent) in [(5, 5, 4), (6, 6, 5)] {
        let parameters = rpc_params![payload(number, hash, parent)];
        ask(&sequencer, COMMIT, parameters).await.unwrap();
    }
    let parts = handle.head().height.0;
    assert!(
        parts >= 12,
        "two payloads of more than 6,000 bytes became {parts} transactions"
    );
    let block = handle
        .block(BlockAt::Height(Height(1)))
        .await
        .unwrap()
        .unwrap();
    assert!(block.payload.batches[0].transactions[0].starts_with(b"OPC1"));
    first.stop();

    let second = serve(&handle, &small).await;
    let sequencer = client(&second, PASSWORD, ROLLUP);
    // It waits until it has found the last one.
    let wrong = ask(&sequencer, COMMIT, rpc_params![payload(6, 9, 5)]).await;
    assert_eq!(code_of(wrong), ErrorCode::NotNext.describe().0);
    ask(&sequencer, COMMIT, rpc_params![payload(7, 7, 6)])
        .await
        .unwrap();
}

#[tokio::test]
async fn strangers_can_neither_call_nor_put_payloads_on_the_lane() {
    let (handle, _) = MockDriver::spawn_as(0);
    let api = serve(&handle, &[]).await;
    let unauthorized = ErrorCode::Unauthorized.describe().0;
    for (password, rollup) in [
        ("wrong-horse-battery", ROLLUP),
        ("", ROLLUP),
        (PASSWORD, 1001),
    ] {
        let stranger = client(&api, password, rollup);
        for method in [
            "conductor_leader",
            "conductor_stop",
            "conductor_transferLeader",
        ] {
            assert_eq!(
                code_of(ask(&stranger, method, rpc_params![]).await),
                unauthorized
            );
        }
        let refused = ask(&stranger, COMMIT, rpc_params![payload(5, 5, 4)]).await;
        assert_eq!(code_of(refused), unauthorized);
    }
    assert_eq!(handle.head().height, Height(0));

    let sequencer = client(&api, PASSWORD, ROLLUP);
    ask(&sequencer, COMMIT, rpc_params![payload(5, 5, 4)])
        .await
        .unwrap();
    let root = HttpClientBuilder::default()
        .build(format!("http://{}", api.local_addr()))
        .unwrap();
    let plain = payload(6, 9, 5).to_string();
    for forged in [plain.clone(), format!("OPC1{}{plain}", "0".repeat(70))] {
        let parameters = rpc_params![ROLLUP, hex::encode(forged)];
        ask(&root, "outrider_submit", parameters).await.unwrap();
    }
    ask(&sequencer, COMMIT, rpc_params![payload(6, 6, 5)])
        .await
        .unwrap();
}

#[tokio::test]
async fn member_whose_turn_it_is_not_says_whose_it_is() {
    let (handle, _) = MockDriver::spawn_as(2);
    let api = serve(&handle, &[]).await;
    let sequencer = client(&api, PASSWORD, ROLLUP);
    let leads = ask(&sequencer, "conductor_leader", rpc_params![]).await;
    assert_eq!(leads.unwrap(), json!(false));
    match ask(&sequencer, COMMIT, rpc_params![payload(5, 5, 4)]).await {
        Err(Error::Call(error)) => {
            assert_eq!(error.code(), ErrorCode::NotLeader.describe().0);
            assert!(error.data().unwrap().get().contains("member-0"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(handle.head().height, Height(0));
}

#[test]
fn short_passwords_are_refused() {
    let set = ["rpc.conductor=7=short".to_owned()];
    let nothing = toml::Table::new();
    let faults = outrider_node::config::NodeConfig::from_parts(&nothing, [], &set, Path::new(""));
    let faults = faults.unwrap_err();
    assert_eq!(faults[0].key, "rpc.conductor");
    assert!(!faults[0].problem.contains("short"), "{}", faults[0]);
}
