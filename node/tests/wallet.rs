//! What wallets ask at `/rollup/{id}`, with a stand-in for the execution node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718 as _;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::core::params::{ArrayParams, BatchRequestBuilder};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use mock::{config, serve_with};
use outrider_node::api::{ErrorCode, METHODS, RunningApi};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const ROLLUP: u64 = 1001;

/// A server that answers like an execution node, and remembers what it was asked.
#[derive(Clone, Default)]
struct ExecutionStandIn {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    /// After how many questions there is a receipt; none: never.
    receipt_after: Arc<Mutex<Option<usize>>>,
}

impl ExecutionStandIn {
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    fn asked(&self, method: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let of_method = asked.iter().filter(|(name, _)| name == method);
        of_method
            .map(|(_, parameters)| parameters.clone())
            .collect()
    }
}

async fn answer(State(node): State<ExecutionStandIn>, Json(call): Json<Value>) -> Response {
    let method = call["method"].as_str().unwrap().to_owned();
    let asked = (method.clone(), call["params"].clone());
    node.asked.lock().unwrap().push(asked);
    let result = match method.as_str() {
        "eth_blockNumber" => json!("0x10"),
        "eth_getTransactionCount" => json!("0x3"),
        "eth_getTransactionReceipt" => {
            let times = node.asked("eth_getTransactionReceipt").len();
            let after = *node.receipt_after.lock().unwrap();
            match after {
                Some(after) if times > after => json!({ "status": "0x1" }),
                _ => Value::Null,
            }
        }
        "eth_call" => {
            let error = json!({ "code": 3, "message": "execution reverted", "data": "0x08c3" });
            return Json(json!({ "jsonrpc": "2.0", "id": 1, "error": error })).into_response();
        }
        // More than an answer may have.
        "eth_getCode" => json!("0".repeat(70_000)),
        // It hangs.
        "eth_getProof" => std::future::pending().await,
        "web3_clientVersion" => return "not JSON".into_response(),
        "eth_syncing" => return Json(json!({ "jsonrpc": "2.0", "id": 1 })).into_response(),
        _ => call["params"].clone(),
    };
    Json(json!({ "jsonrpc": "2.0", "id": 1, "result": result })).into_response()
}

async fn member(node: SocketAddr, sets: &[&str]) -> RunningApi {
    let execution = format!("rpc.execution={ROLLUP}=http://{node}");
    let mut all = vec![execution.as_str()];
    all.extend(sets);
    serve_with(&all).await.0
}

fn wallet(api: &RunningApi) -> HttpClient {
    let url = format!("http://{}/rollup/{ROLLUP}", api.local_addr());
    HttpClientBuilder::default().build(url).unwrap()
}

async fn ask(client: &impl ClientT, method: &str, params: ArrayParams) -> Result<Value, Error> {
    client.request(method, params).await
}

fn refusal(result: Result<Value, Error>) -> (i32, String, Value) {
    match result {
        Err(Error::Call(error)) => {
            let data = error
                .data()
                .map(|data| serde_json::from_str(data.get()).unwrap());
            (
                error.code(),
                error.message().to_owned(),
                data.unwrap_or_default(),
            )
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn code(code: ErrorCode) -> i32 {
    code.describe().0
}

/// A signed transaction in hex, and its hash.
fn signed(nonce: u64) -> (String, String) {
    let transaction = TxEip1559 {
        chain_id: ROLLUP,
        nonce,
        gas_limit: 21_000,
        ..Default::default()
    };
    let key = k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let hash = transaction.signature_hash();
    let signature = key.sign_prehash_recoverable(hash.as_slice()).unwrap();
    let data = TxEnvelope::from(transaction.into_signed(signature.into())).encoded_2718();
    let hash = alloy_primitives::keccak256(&data);
    (format!("0x{}", hex::encode(&data)), format!("{hash}"))
}

#[tokio::test]
async fn what_needs_state_is_asked_of_the_execution_node_and_tags_are_mapped() {
    let node = ExecutionStandIn::default();
    let api = member(node.serve().await, &[]).await;
    let wallet = wallet(&api);
    let number = ask(&wallet, "eth_blockNumber", rpc_params![]).await;
    assert_eq!(number.unwrap(), json!("0x10"));
    let balance = ask(&wallet, "eth_getBalance", rpc_params!["0x00", "soft"]).await;
    assert_eq!(balance.unwrap(), json!(["0x00", "latest"]));
    let null = ask(&wallet, "eth_getTransactionReceipt", rpc_params!["0x00"]).await;
    assert_eq!(null.unwrap(), Value::Null);
    let (found, text, data) = refusal(ask(&wallet, "eth_call", rpc_params![json!({})]).await);
    assert_eq!(
        (found, text.as_str(), data),
        (3, "execution reverted", json!("0x08c3"))
    );
    // What is ours stays ours.
    let chain = ask(&wallet, "eth_chainId", rpc_params![]).await;
    assert_eq!(chain.unwrap(), json!("0x3e9"));
    assert!(node.asked("eth_chainId").is_empty());
    // Another rollup has no node.
    let url = format!("http://{}/rollup/7", api.local_addr());
    let other = HttpClientBuilder::default().build(url).unwrap();
    let (found, text, _) = refusal(ask(&other, "eth_blockNumber", rpc_params![]).await);
    assert_eq!(found, code(ErrorCode::NeedsExecution));
    assert!(text.contains("rpc.execution"), "{text}");
}

#[tokio::test]
async fn only_the_methods_of_the_table_reach_the_execution_node() {
    let node = ExecutionStandIn::default();
    let api = member(node.serve().await, &[]).await;
    let wallet = wallet(&api);
    for method in [
        "eth_sendTransaction",
        "eth_sign",
        "eth_signTransaction",
        "eth_signTypedData_v4",
        "eth_newFilter",
        "admin_nodeInfo",
        "anvil_setBalance",
        "evm_mine",
        "engine_getPayloadV3",
        "debug_traceCall",
        "personal_sign",
        "miner_start",
        "txpool_content",
        "eth_nonsense",
        "hardhat_setNonce",
        "ots_getApiLevel",
        "ETH_call",
    ] {
        let (found, ..) = refusal(ask(&wallet, method, rpc_params![]).await);
        assert_eq!(found, -32_601, "{method}");
    }
    assert!(node.asked.lock().unwrap().is_empty());
    let dangerous = |name: &str| {
        !["eth_", "web3_"]
            .iter()
            .any(|space| name.starts_with(space))
            || name.starts_with("eth_s") && !["eth_simulateV1", "eth_syncing"].contains(&name)
    };
    let proxied = METHODS.iter().filter(|method| method.proxied);
    assert!(proxied.clone().count() > 20);
    assert!(!proxied.into_iter().any(|method| dangerous(method.name)));
}

#[tokio::test]
async fn batches_and_websockets_are_answered_too() {
    let node = ExecutionStandIn::default();
    let api = member(node.serve().await, &[]).await;
    let mut batch = BatchRequestBuilder::new();
    batch.insert("eth_chainId", rpc_params![]).unwrap();
    batch.insert("eth_blockNumber", rpc_params![]).unwrap();
    batch
        .insert("eth_getBalance", rpc_params!["0x00", "safe"])
        .unwrap();
    let answers = wallet(&api).batch_request::<Value>(batch).await.unwrap();
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        answers,
        [json!("0x3e9"), json!("0x10"), json!(["0x00", "latest"])]
    );

    let url = format!("ws://{}/rollup/{ROLLUP}", api.local_addr());
    let socket = WsClientBuilder::default().build(url).await.unwrap();
    let number = ask(&socket, "eth_blockNumber", rpc_params![]).await;
    assert_eq!(number.unwrap(), json!("0x10"));
}

#[tokio::test]
async fn execution_node_that_is_gone_slow_large_or_mad_gives_one_clear_code() {
    let node = ExecutionStandIn::default();
    let sets = [
        "rpc.execution_timeout_ms=300",
        "rpc.max_response_bytes=65536",
        "rpc.execution_requests=1",
    ];
    let api = member(node.serve().await, &sets).await;
    let wallet = wallet(&api);
    for (method, why) in [
        ("eth_getCode", "length limit"),
        ("eth_getProof", "within 300 ms"),
        ("web3_clientVersion", "no answer"),
        ("eth_syncing", "no answer"),
    ] {
        let (found, text, _) = refusal(ask(&wallet, method, rpc_params![]).await);
        assert_eq!(found, code(ErrorCode::ExecutionDown), "{method}");
        assert!(text.contains(why), "{method}: {text}");
    }
    // The one that hung gave its place back.
    ask(&wallet, "eth_blockNumber", rpc_params![])
        .await
        .unwrap();

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let api = member(address, &[]).await;
    let (found, text, _) =
        refusal(ask(&self::wallet(&api), "eth_blockNumber", rpc_params![]).await);
    assert_eq!(found, code(ErrorCode::ExecutionDown));
    assert!(text.contains("1001") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn send_and_wait_answers_with_the_receipt() {
    let node = ExecutionStandIn::default();
    *node.receipt_after.lock().unwrap() = Some(2);
    let api = member(node.serve().await, &[]).await;
    let (raw, hash) = signed(3);
    for parameters in [
        rpc_params![&raw],
        rpc_params![&raw, 10_000],
        rpc_params![&raw, "0x2710"],
    ] {
        let receipt = ask(&wallet(&api), "eth_sendRawTransactionSync", parameters).await;
        assert_eq!(receipt.unwrap(), json!({ "status": "0x1" }));
    }
    let asked = node.asked("eth_getTransactionReceipt");
    assert!(
        asked.iter().all(|parameters| *parameters == json!([hash])),
        "{asked:?}"
    );
}

#[tokio::test]
async fn send_and_wait_says_what_eip_7966_says_when_there_is_no_receipt() {
    let node = ExecutionStandIn::default();
    let api = member(node.serve().await, &[]).await;
    let wallet = wallet(&api);
    let send = async |raw: &str, timeout: Value| {
        let parameters = rpc_params![raw, timeout];
        refusal(ask(&wallet, "eth_sendRawTransactionSync", parameters).await)
    };
    // The stand-in says that the next nonce is 3.
    let (raw, hash) = signed(3);
    let (found, _, data) = send(&raw, json!(100)).await;
    assert_eq!((found, data), (4, json!(hash)));
    let (raw, _) = signed(5);
    let (found, text, data) = send(&raw, json!(100)).await;
    assert_eq!((found, data), (6, json!("0x3")), "{text}");
    for bad in [
        json!(0),
        json!(-1),
        json!("soon"),
        json!("0x"),
        json!(1.5),
        json!([1]),
    ] {
        assert_eq!(send(&raw, bad).await.0, code(ErrorCode::InvalidParams));
    }
    assert_eq!(
        send("0x00", json!(1)).await.0,
        code(ErrorCode::BadTransaction)
    );
}

#[tokio::test]
async fn send_and_wait_orders_nothing_without_an_execution_node() {
    let (api, ..) = serve_with(&[]).await;
    let (raw, _) = signed(0);
    let (found, ..) = refusal(
        ask(
            &wallet(&api),
            "eth_sendRawTransactionSync",
            rpc_params![raw],
        )
        .await,
    );
    assert_eq!(found, code(ErrorCode::NeedsExecution));
    let url = format!("http://{}", api.local_addr());
    let root = HttpClientBuilder::default().build(url).unwrap();
    let head = ask(&root, "outrider_head", rpc_params![]).await.unwrap();
    assert_eq!(head["height"], json!(0));
}

#[test]
fn execution_nodes_are_set_as_a_text_or_as_a_table() {
    let load = |text: &str| {
        let table = toml::from_str(text).unwrap();
        outrider_node::config::NodeConfig::from_parts(&table, [], &[], Path::new(""))
    };
    let as_text = load("[rpc]\nexecution = \"7=http://a:1, 8=http://b:2/path\"\n").unwrap();
    let as_table = load("[rpc.execution]\n7 = \"http://a:1\"\n8 = \"http://b:2/path\"\n").unwrap();
    assert_eq!(as_text, as_table);
    assert_eq!(config(&["rpc.execution="]).rpc.execution.len(), 0);
    assert_eq!(as_text.rpc.execution.len(), 2);
    for bad in [
        "7=https://a:1",
        "7=a:1",
        "7=",
        "7",
        "x=http://a",
        "7=http://a,7=http://b",
        "-1=http://a",
    ] {
        let faults = load(&format!("[rpc]\nexecution = \"{bad}\"\n")).unwrap_err();
        assert_eq!(faults[0].key, "rpc.execution", "{bad}: {faults:?}");
    }
    for bad in ["7 = 1", "7 = [\"http://a\"]", "7 = \"http://a,8=http://b\""] {
        assert!(load(&format!("[rpc.execution]\n{bad}\n")).is_err(), "{bad}");
    }
}
