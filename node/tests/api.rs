//! JSON-RPC over real sockets, against a node whose driver is a mock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::{ClientT, Error, SubscriptionClientT};
use jsonrpsee::core::params::{ArrayParams, BatchRequestBuilder, ObjectParams};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use mock::{FULL, NOT_HELD, PENDING, serve, serve_with};
use outrider_finality::{FinalityProof, verify};
use outrider_node::api::{
    self, ApiError, BlockInfo, ErrorCode, METHODS, Notification, RunningApi, ServedBlock, Submitted,
};
use outrider_node::handle::{Head, NodeHandle};
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{Bytes, Height, RollupId, Transaction, TransactionId, testing};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn client(api: &RunningApi, path: &str) -> HttpClient {
    HttpClientBuilder::default()
        .build(format!("http://{}{path}", api.local_addr()))
        .unwrap()
}

fn hex_of(data: &[u8]) -> String {
    format!("0x{}", hex::encode(data))
}

fn id_of(rollup: u64, data: &[u8]) -> TransactionId {
    let data = Bytes::copy_from_slice(data);
    let rollup = RollupId(rollup);
    Transaction { rollup, data }.id()
}

async fn ask(client: &HttpClient, method: &str, params: ArrayParams) -> Result<Value, Error> {
    client.request(method, params).await
}

/// The code of the error that a call must give, and its data.
fn refusal(result: Result<Value, Error>) -> (i32, String, Value) {
    match result {
        Err(Error::Call(error)) => {
            let data = error.data().map_or(Value::Null, |data| {
                serde_json::from_str(data.get()).unwrap()
            });
            (error.code(), error.message().to_owned(), data)
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn code(code: ErrorCode) -> i32 {
    code.describe().0
}

/// One request as bytes, one answer as status and body.
async fn raw(api: &RunningApi, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, body.to_owned())
}

#[tokio::test]
async fn submitted_transaction_gets_a_status_and_a_proof_that_verifies() {
    let (api, _, committee) = serve_with(&[]).await;
    let root = client(&api, "/");
    let submitted: Submitted = root
        .request("outrider_submit", rpc_params![7, hex_of(b"one")])
        .await
        .unwrap();
    assert_eq!(submitted.id, id_of(7, b"one"));
    let status = ask(
        &root,
        "outrider_transactionStatus",
        rpc_params![submitted.id],
    )
    .await
    .unwrap();
    assert_eq!(
        (&status["stage"], &status["height"]),
        (&json!("soft"), &json!(1))
    );
    let proof: FinalityProof = root
        .request("outrider_transactionProof", rpc_params![submitted.id])
        .await
        .unwrap();
    assert_eq!(
        verify(&committee, &proof).unwrap().transaction,
        submitted.id
    );

    let unknown = id_of(7, b"never sent");
    let status = ask(&root, "outrider_transactionStatus", rpc_params![unknown]).await;
    assert_eq!(status.unwrap(), json!({ "stage": "unknown" }));
    let proof = ask(&root, "outrider_transactionProof", rpc_params![unknown]).await;
    assert_eq!(proof.unwrap(), Value::Null);
}

#[tokio::test]
async fn parameters_may_be_named() {
    let api = serve().await;
    let mut params = ObjectParams::new();
    params.insert("rollup", 7).unwrap();
    params.insert("payload", hex_of(b"named")).unwrap();
    let submitted: Submitted = client(&api, "/")
        .request("outrider_submit", params)
        .await
        .unwrap();
    assert_eq!(submitted.id, id_of(7, b"named"));
}

#[tokio::test]
async fn block_by_height_and_by_id_with_and_without_data() {
    let api = serve().await;
    let root = client(&api, "/");
    let submit = rpc_params![7, hex_of(b"held")];
    ask(&root, "outrider_submit", submit).await.unwrap();
    let block: ServedBlock = root
        .request("outrider_block", rpc_params![1])
        .await
        .unwrap();
    assert_eq!(block.header.id(), block.id);
    assert_eq!(block.transactions[0].id, id_of(7, b"held"));
    assert_eq!(block.transactions[0].data, None);
    let again: ServedBlock = root
        .request("outrider_block", rpc_params![block.id, true])
        .await
        .unwrap();
    assert_eq!(again.transactions[0].data, Some(hex_of(b"held")));
    let none = ask(&root, "outrider_block", rpc_params![2]).await.unwrap();
    assert_eq!(none, Value::Null);
}

#[tokio::test]
async fn head_committee_limits_and_health() {
    let (api, rpc, committee) = serve_with(&[]).await;
    let root = client(&api, "/");
    let submit = rpc_params![7, hex_of(b"x")];
    ask(&root, "outrider_submit", submit).await.unwrap();
    let get = async |method| ask(&root, method, rpc_params![]).await.unwrap();
    assert_eq!(get("outrider_head").await["height"], json!(1));
    let served = get("outrider_committee").await;
    assert_eq!(served["id"], json!(committee.id()));
    assert_eq!(
        serde_json::from_value::<outrider_types::Committee>(served["committee"].clone()).unwrap(),
        committee
    );
    let limits = get("outrider_limits").await;
    assert_eq!(limits["rollups"], json!(mock::ROLLUPS));
    assert_eq!(limits["request_bytes_max"], json!(rpc.max_request_bytes));
    let health = get("outrider_health").await;
    assert_eq!(
        (&health["member"], &health["syncing"]),
        (&json!(2), &json!(false))
    );
}

#[tokio::test]
async fn refusals_have_stable_codes_and_say_whether_to_try_again() {
    let api = serve().await;
    let root = client(&api, "/");
    let submit = async |rollup: u64, data: &[u8]| {
        refusal(ask(&root, "outrider_submit", rpc_params![rollup, hex_of(data)]).await)
    };
    let (found, _, data) = submit(7, FULL).await;
    assert_eq!(
        (found, &data["retry_after_ms"]),
        (code(ErrorCode::Full), &json!(250))
    );
    assert_eq!(submit(7, b"").await.0, code(ErrorCode::Size));
    assert_eq!(submit(7, NOT_HELD).await.0, code(ErrorCode::NotHeld));
    assert_eq!(submit(8, b"x").await.0, code(ErrorCode::UnknownRollup));
    let large = vec![1; TRANSACTION_BYTES_MAX + 1];
    assert_eq!(submit(7, &large).await.0, code(ErrorCode::Size));
    let params = rpc_params![7, hex_of(PENDING)];
    ask(&root, "outrider_submit", params).await.unwrap();
    let (found, _, data) = submit(7, PENDING).await;
    assert_eq!(found, code(ErrorCode::Duplicate));
    assert_eq!(data["status"], json!({ "stage": "pending" }));
}

#[tokio::test]
async fn malformed_parameters_are_explained() {
    let api = serve().await;
    let root = client(&api, "/");
    let invalid = code(ErrorCode::InvalidParams);
    for (method, params) in [
        ("outrider_submit", rpc_params![]),
        ("outrider_submit", rpc_params![7, "0xzz"]),
        ("outrider_submit", rpc_params![7, "0x123"]),
        ("outrider_submit", rpc_params!["seven", "0x12"]),
        ("outrider_submit", rpc_params![-1, "0x12"]),
        ("outrider_transactionStatus", rpc_params!["0x1234"]),
        ("outrider_transactionStatus", rpc_params![7]),
        ("outrider_transactionProof", rpc_params![]),
        ("outrider_block", rpc_params![]),
        ("outrider_block", rpc_params![-1]),
        ("outrider_block", rpc_params![1.5]),
        ("outrider_block", rpc_params!["latest"]),
        ("outrider_block", rpc_params![1, "yes"]),
    ] {
        let (found, text, _) = refusal(ask(&root, method, params).await);
        assert_eq!(found, invalid, "{method}: {text}");
    }
}

#[tokio::test]
async fn largest_transaction_fits() {
    let api = serve().await;
    let data = vec![1; TRANSACTION_BYTES_MAX];
    let params = rpc_params![7, hex_of(&data)];
    let submitted = ask(&client(&api, "/"), "outrider_submit", params).await;
    assert_eq!(submitted.unwrap()["id"], json!(id_of(7, &data)));
}

#[tokio::test]
async fn malformed_json_oversized_requests_and_large_batches_are_refused() {
    let (api, ..) = serve_with(&["rpc.max_request_bytes=2048", "rpc.max_batch_calls=2"]).await;
    let (_, body) = raw(&api, "/", "{\"jsonrpc\": \"2.0\", ").await;
    assert!(body.contains("-32700"), "{body}");
    let (_, body) = raw(&api, "/", "[1, 2]").await;
    assert!(body.contains("-32600"), "{body}");
    let long = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}",
        "x".repeat(2_048)
    );
    let (status, body) = raw(&api, "/", &long).await;
    assert!(
        status == "413" || body.contains("-32007"),
        "{status} {body}"
    );

    let batch = async |calls: usize| {
        let mut batch = BatchRequestBuilder::new();
        for _ in 0..calls {
            batch.insert("outrider_head", rpc_params![]).unwrap();
        }
        client(&api, "/").batch_request::<Value>(batch).await
    };
    assert_eq!(batch(2).await.unwrap().num_successful_calls(), 2);
    assert!(batch(3).await.is_err());
    // It still serves.
    let head = ask(&client(&api, "/"), "outrider_head", rpc_params![]).await;
    head.unwrap();
}

#[tokio::test]
async fn bad_paths_are_refused_and_methods_stay_on_their_path() {
    let api = serve().await;
    let wrong = code(ErrorCode::WrongPath);
    for (path, method) in [
        ("/rollup/seven", "eth_chainId"),
        ("/rollup/", "eth_chainId"),
        ("/rollup/18446744073709551616", "eth_chainId"),
        ("/rollup/7/8", "eth_chainId"),
        ("/elsewhere", "outrider_head"),
        ("/", "eth_chainId"),
        ("/", "eth_getBalance"),
        ("/rollup/7", "outrider_head"),
    ] {
        let found = refusal(ask(&client(&api, path), method, rpc_params![]).await);
        assert_eq!(found.0, wrong, "{path} {method}: {}", found.1);
    }
    let chain = ask(&client(&api, "/rollup/1001"), "eth_chainId", rpc_params![]).await;
    assert_eq!(chain.unwrap(), json!("0x3e9"));
    let net = ask(&client(&api, "/rollup/1001/"), "net_version", rpc_params![]).await;
    assert_eq!(net.unwrap(), json!("1001"));
}

#[tokio::test]
async fn what_needs_execution_says_where_to_ask() {
    let api = serve().await;
    let rollup = client(&api, "/rollup/7");
    for method in METHODS.iter().filter(|method| method.proxied) {
        let (found, text, _) = refusal(ask(&rollup, method.name, rpc_params![]).await);
        assert_eq!(found, -32_601, "{}", method.name);
        assert!(text.contains("execution node"), "{text}");
    }
    let accounts = ask(&rollup, "eth_accounts", rpc_params![]).await;
    assert_eq!(accounts.unwrap(), json!([]));
    let (found, ..) = refusal(ask(&rollup, "eth_nonsense", rpc_params![]).await);
    assert_eq!(found, -32_601);
}

#[tokio::test]
async fn signed_ethereum_transaction_is_known_by_its_hash_and_by_its_id() {
    // The example of EIP-155, for chain id 1: refused elsewhere.
    let data = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
    let api = serve().await;
    let rollup = client(&api, "/rollup/1001");
    let (found, text, _) = refusal(
        ask(
            &rollup,
            "eth_sendRawTransaction",
            rpc_params![hex_of(&data)],
        )
        .await,
    );
    assert_eq!(found, code(ErrorCode::BadTransaction));
    assert!(text.contains("chain 1,") && text.contains("1001"), "{text}");

    let signed = signed_for(1001);
    let expected = hex_of(alloy_primitives::keccak256(&signed).as_slice());
    let root = client(&api, "/");
    let before = ask(&root, "outrider_transactionStatus", rpc_params![&expected]).await;
    assert_eq!(before.unwrap()["stage"], json!("unknown"));
    for _ in 0..2 {
        // Wallets send again; it stays one transaction.
        let hash = ask(
            &rollup,
            "eth_sendRawTransaction",
            rpc_params![hex_of(&signed)],
        )
        .await;
        assert_eq!(hash.unwrap(), json!(expected));
    }
    let by_hash = ask(&root, "outrider_transactionStatus", rpc_params![&expected]).await;
    let by_id = rpc_params![id_of(1001, &signed)];
    let by_id = ask(&root, "outrider_transactionStatus", by_id).await;
    assert_eq!(by_hash.unwrap()["height"], json!(1));
    assert_eq!(by_id.unwrap()["height"], json!(1));
    let proof: FinalityProof = root
        .request("outrider_transactionProof", rpc_params![&expected])
        .await
        .unwrap();
    assert_eq!(proof.inclusion.data, signed);
    for bad in ["0x", "0x00", "0x03c0", "nothing"] {
        refusal(ask(&rollup, "eth_sendRawTransaction", rpc_params![bad]).await);
    }
}

fn signed_for(chain_id: u64) -> Vec<u8> {
    use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
    use alloy_eips::eip2718::Encodable2718 as _;
    let transaction = TxEip1559 {
        chain_id,
        gas_limit: 21_000,
        ..Default::default()
    };
    let key = k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let hash = transaction.signature_hash();
    let signature = key.sign_prehash_recoverable(hash.as_slice()).unwrap();
    TxEnvelope::from(transaction.into_signed(signature.into())).encoded_2718()
}

#[test]
fn error_codes_are_distinct_and_not_those_of_the_library() {
    let ours = ErrorCode::ALL.map(code);
    let distinct: std::collections::BTreeSet<_> = ours.iter().collect();
    assert_eq!(distinct.len(), ours.len());
    assert!(ours.iter().all(|code| !(-32_011..=-32_001).contains(code)));
}

#[tokio::test]
async fn subscription_brings_every_block_over_the_same_port() {
    let api = serve().await;
    let socket = WsClientBuilder::default()
        .build(format!("ws://{}", api.local_addr()))
        .await
        .unwrap();
    let mut blocks = socket
        .subscribe::<Notification, _>(
            "outrider_subscribe",
            rpc_params!["blocks"],
            "outrider_unsubscribe",
        )
        .await
        .unwrap();
    for number in 1..=3_u8 {
        let submitted: Submitted = socket
            .request("outrider_submit", rpc_params![7, hex_of(&[number])])
            .await
            .unwrap();
        let Notification::Block(BlockInfo {
            height,
            transactions,
            ..
        }) = blocks.next().await.unwrap().unwrap()
        else {
            panic!("a block");
        };
        assert_eq!(height, Height(u64::from(number)));
        assert_eq!(transactions, [submitted.id]);
    }
    let other = socket
        .subscribe::<Value, _>(
            "outrider_subscribe",
            rpc_params!["lanes"],
            "outrider_unsubscribe",
        )
        .await;
    assert!(other.unwrap_err().to_string().contains("blocks"));
}

#[tokio::test]
async fn subscriptions_of_a_connection_are_bounded() {
    let (api, ..) = serve_with(&["rpc.max_subscriptions_per_connection=1"]).await;
    let socket = WsClientBuilder::default()
        .build(format!("ws://{}", api.local_addr()))
        .await
        .unwrap();
    let subscribe = || {
        socket.subscribe::<Value, _>(
            "outrider_subscribe",
            rpc_params!["blocks"],
            "outrider_unsubscribe",
        )
    };
    let first = subscribe().await.unwrap();
    assert!(subscribe().await.is_err());
    drop(first);
}

#[tokio::test]
async fn follower_that_lags_is_told_and_its_subscription_ends() {
    // No driver: the test sends blocks itself, more than a follower may be behind, before it reads one.
    let (committee, keys) = testing::committee(&[1; 4]);
    let (handle, ends) = NodeHandle::new(
        mock::start(&committee),
        Head::default(),
        keys[0].public_key(),
    );
    let config = mock::config(&["rpc.max_buffered_messages=1"]);
    let api = api::serve(handle, &config.rpc, &config.mempool)
        .await
        .unwrap();
    let socket = WsClientBuilder::default()
        .max_buffer_capacity_per_subscription(4_096)
        .build(format!("ws://{}", api.local_addr()))
        .await
        .unwrap();
    let mut blocks = socket
        .subscribe::<Notification, _>(
            "outrider_subscribe",
            rpc_params!["blocks"],
            "outrider_unsubscribe",
        )
        .await
        .unwrap();
    let block = mock::empty_block();
    // Without a pause in between: the follower's task cannot run, this runtime has one thread.
    for _ in 0..2 * outrider_node::handle::FOLLOW_MAX {
        ends.committed.send(block.clone()).unwrap();
    }
    let mut lagged = 0;
    while let Some(item) = blocks.next().await {
        match item.unwrap() {
            Notification::Lagged { lagged: missed } => lagged += missed,
            Notification::Block(_) => assert_eq!(lagged, 0, "nothing follows"),
        }
    }
    assert!(lagged >= outrider_node::handle::FOLLOW_MAX as u64);
}

#[tokio::test]
async fn stopped_member_and_taken_port_are_explained() {
    let (committee, keys) = testing::committee(&[1; 4]);
    let (handle, ends) = NodeHandle::new(
        mock::start(&committee),
        Head::default(),
        keys[0].public_key(),
    );
    drop(ends);
    let config = mock::config(&[]);
    let api = api::serve(handle.clone(), &config.rpc, &config.mempool)
        .await
        .unwrap();
    let root = client(&api, "/");
    let (found, ..) = refusal(ask(&root, "outrider_submit", rpc_params![7, "0x01"]).await);
    assert_eq!(found, code(ErrorCode::Stopping));
    let (found, ..) = refusal(ask(&root, "outrider_block", rpc_params![1]).await);
    assert_eq!(found, code(ErrorCode::Stopping));

    let taken = format!("rpc.listen={}", api.local_addr());
    let config = mock::config(&[&taken]);
    let error = api::serve(handle, &config.rpc, &config.mempool)
        .await
        .unwrap_err();
    assert!(matches!(error, ApiError::Listen { .. }));
    let text = error.to_string();
    assert!(
        text.contains("rpc.listen") && text.contains(&api.local_addr().to_string()),
        "{text}"
    );
}
