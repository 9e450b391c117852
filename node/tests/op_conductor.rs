//! What op-node and operators call on op-conductor, made over HTTP against the stand-in for it.
//!
//! `op_conductor_calls.json` holds the calls as the clients' source writes them, byte for byte as go-ethereum's client sends
//! them, each with the file and the commit that it follows, and what must be answered: results whole, of errors the code and
//! the data. They were not recorded: no op-node can be had here.
//!
//! `kona_conductor_calls.json` was recorded: what the conductor client of kona, an OP Stack node in Rust, sent over HTTP.

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
use outrider_node::api::{self, ErrorCode, METHODS, RunningApi};
use outrider_node::handle::{BlockAt, NodeHandle};
use outrider_types::Height;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CALLS: &str = include_str!("op_conductor_calls.json");
const KONA: &str = include_str!("kona_conductor_calls.json");
const PASSWORD: &str = "correct-horse-battery";
const ROLLUP: u64 = 7;

/// The calls, and where they stand in the source of the clients.
#[derive(Deserialize)]
struct Calls {
    sources: BTreeMap<String, Source>,
    calls: Vec<Transcribed>,
}

#[derive(Deserialize)]
struct Source {
    repository: String,
    path: String,
    commit: String,
    says: String,
}

/// A call and its answer. The call is sent as it stands: the bytes matter, for a payload's id is their hash.
#[derive(Deserialize)]
struct Transcribed {
    about: String,
    source: BTreeSet<String>,
    call: Box<RawValue>,
    answer: Value,
}

impl Transcribed {
    fn call(&self) -> Value {
        serde_json::from_str(self.call.get()).unwrap()
    }

    fn method(&self) -> String {
        self.call()["method"].as_str().unwrap().to_owned()
    }
}

/// What a client sent, and the result it must get.
#[derive(Deserialize)]
struct Recorded {
    headers: BTreeMap<String, String>,
    body: String,
    result: Value,
}

fn calls() -> Calls {
    serde_json::from_str(CALLS).unwrap()
}

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

fn request(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /conductor/{ROLLUP} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// A request as Go's HTTP client makes it of a URL with a password.
fn request_of_go(body: &str) -> String {
    let credentials = format!("conductor:{PASSWORD}");
    let credentials = base64::engine::general_purpose::STANDARD.encode(credentials);
    let headers = format!(
        "Accept: application/json\r\nAuthorization: Basic {credentials}\r\nContent-Type: application/json\r\n"
    );
    request(&headers, body)
}

async fn send(api: &RunningApi, request: &str) -> Value {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

async fn post(api: &RunningApi, body: &str) -> Value {
    send(api, &request_of_go(body)).await
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
async fn transcribed_calls_are_answered_as_op_conductor_answers_them() {
    let (handle, _) = MockDriver::spawn_as(0);
    let api = serve(&handle, &[]).await;
    for transcribed in calls().calls {
        let (call, expected) = (transcribed.call(), &transcribed.answer);
        let about = format!("{} {}", call["method"], transcribed.about);
        let answer = post(&api, transcribed.call.get()).await;
        assert_eq!(answer["id"], call["id"], "{about}");
        if let Some(result) = expected.get("result") {
            // Go's client takes an answer without a result for an error; null is one.
            assert_eq!(answer.get("result"), Some(result), "{about}: {answer}");
            assert_eq!(answer.get("error"), None, "{about}: {answer}");
            continue;
        }
        let (error, expected) = (&answer["error"], &expected["error"]);
        assert_eq!(error["code"], expected["code"], "{about}: {answer}");
        if let Some(data) = expected.get("data") {
            assert_eq!(&error["data"], data, "{about}: {answer}");
        }
        let message = error["message"].as_str();
        assert!(message.is_some_and(|text| !text.is_empty()), "{about}");
    }
}

#[test]
fn every_method_is_called_and_every_call_says_where_it_stands() {
    let Calls { sources, calls } = calls();
    let called: BTreeSet<String> = calls.iter().map(Transcribed::method).collect();
    let all = METHODS.iter().map(|method| method.name.to_owned());
    let all: BTreeSet<String> = all.filter(|name| name.starts_with("conductor_")).collect();
    assert_eq!(called, all);
    let cited: BTreeSet<_> = calls.iter().flat_map(|call| call.source.clone()).collect();
    assert_eq!(cited, sources.keys().cloned().collect());
    for (name, source) in &sources {
        assert!(
            source.commit.len() == 40 && hex::decode(&source.commit).is_ok(),
            "{name}"
        );
        let said = [&source.repository, &source.path, &source.says];
        assert!(said.iter().all(|text| !text.is_empty()), "{name}");
    }
    for (at, transcribed) in calls.iter().enumerate() {
        assert!(!transcribed.source.is_empty(), "{}", transcribed.call);
        assert_eq!(transcribed.call()["id"], json!(at + 1), "they count up");
    }
}

#[tokio::test]
async fn recorded_calls_of_kona_are_answered() {
    #[derive(Deserialize)]
    struct Session {
        calls: Vec<Recorded>,
    }
    let (handle, _) = MockDriver::spawn_as(0);
    let api = serve(&handle, &[]).await;
    let Session { calls } = serde_json::from_str(KONA).unwrap();
    assert_eq!(calls.len(), 6);
    for Recorded {
        headers,
        body,
        result,
    } in calls
    {
        let headers = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers: String = headers.collect();
        let answer = send(&api, &request(&headers, &body)).await;
        assert_eq!(answer.get("result"), Some(&result), "{body}: {answer}");
    }
    assert_eq!(handle.head().height, Height(3), "a block for each payload");
}

/// op-node waits for a second, both tries included, then builds on and comes again with the same block.
#[tokio::test]
async fn payload_counts_once_though_its_sender_hung_up() {
    let (handle, _) = MockDriver::spawn_as(0);
    let api = serve(&handle, &[]).await;
    let commits: Vec<Transcribed> = calls().calls;
    let commits: Vec<_> = commits
        .iter()
        .filter(|call| call.method() == COMMIT)
        .collect();
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let request = request_of_go(commits[0].call.get());
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    for again in [0, 0, 2] {
        let answer = post(&api, commits[again].call.get()).await;
        assert_eq!(
            answer.get("result"),
            Some(&Value::Null),
            "{again}: {answer}"
        );
    }
    assert_eq!(
        handle.head().height,
        Height(2),
        "each stands on the lane once"
    );
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
