//! Many transactions in one request, in JSON and as bytes: each is decided for itself, and every limit holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use mock::{FULL, NOT_HELD, PENDING, serve, serve_with};
use outrider_node::api::{
    self, ErrorCode, RunningApi, SUBMIT_MANY_MAX, ServedBlock, SubmittedBytes, SubmittedOne,
};
use outrider_node::handle::{Command, Head, NodeHandle, SubmitError};
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{Bytes, RollupId, Transaction, TransactionId, testing};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const OCTETS: &str = "application/octet-stream";

fn client(api: &RunningApi) -> HttpClient {
    HttpClientBuilder::default()
        .max_request_size(64 << 20)
        .build(format!("http://{}", api.local_addr()))
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

fn code(code: ErrorCode) -> i32 {
    code.describe().0
}

/// The length of each and its bytes.
fn body_of(list: &[&[u8]]) -> Vec<u8> {
    let one = |data: &&[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], *data].concat()
    };
    list.iter().flat_map(one).collect()
}

/// One request, one answer: status and body.
async fn post(
    api: &RunningApi,
    head: &str,
    kind: &str,
    length: Option<usize>,
    body: &[u8],
) -> (String, String) {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let length = length.map_or("Transfer-Encoding: chunked".to_owned(), |length| {
        format!("Content-Length: {length}")
    });
    let request = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{length}\r\nConnection: close\r\n\r\n"
    );
    // A server that has seen enough may close before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, body.to_owned())
}

/// What a body to a rollup gets.
async fn submit_body(api: &RunningApi, path: &str, body: &[u8]) -> Result<SubmittedBytes, Value> {
    let head = format!("POST {path}");
    let (status, answer) = post(api, &head, OCTETS, Some(body.len()), body).await;
    assert_eq!(status, "200", "{answer}");
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    match answer["error"].take() {
        Value::Null => Ok(serde_json::from_value(answer["result"].take()).unwrap()),
        error => Err(error),
    }
}

/// One of each fate, and the code that each gets; none if it is taken.
fn fates() -> Vec<(&'static [u8], Option<ErrorCode>)> {
    vec![
        (b"first", None),
        (FULL, Some(ErrorCode::Full)),
        (PENDING, None),
        (b"", Some(ErrorCode::Size)),
        (b"second", None),
        (NOT_HELD, Some(ErrorCode::NotHeld)),
        (b"first", Some(ErrorCode::Duplicate)),
        (PENDING, Some(ErrorCode::Duplicate)),
        (b"third", None),
    ]
}

/// The transactions of the blocks so far.
async fn ordered(client: &HttpClient) -> Vec<TransactionId> {
    let mut ids = Vec::new();
    for height in 1.. {
        let found: Option<ServedBlock> = client
            .request("outrider_block", rpc_params![height])
            .await
            .unwrap();
        let Some(block) = found else { break };
        ids.extend(block.transactions.iter().map(|served| served.id));
    }
    ids
}

#[tokio::test]
async fn each_of_many_is_decided_for_itself_and_answered_in_order() {
    let api = serve().await;
    let list: Vec<String> = fates().iter().map(|(data, _)| hex_of(data)).collect();
    let answers: Vec<SubmittedOne> = client(&api)
        .request("outrider_submitMany", rpc_params![7, list])
        .await
        .unwrap();
    assert_eq!(answers.len(), fates().len());
    for ((data, fate), answer) in fates().iter().zip(&answers) {
        match (fate, answer.id, &answer.error) {
            (None, Some(id), None) => assert_eq!(id, id_of(7, data)),
            (Some(fate), None, Some(error)) => assert_eq!(error.code(), code(*fate)),
            other => panic!("{data:?}: {other:?}"),
        }
    }
    let answers = json!(answers);
    assert_eq!(answers[1]["error"]["data"]["retry_after_ms"], json!(250));
    assert_eq!(
        answers[7]["error"]["data"]["status"],
        json!({ "stage": "pending" })
    );
    let expected = [&b"first"[..], b"second", b"third"].map(|data| id_of(7, data));
    assert_eq!(ordered(&client(&api)).await, expected);
}

#[tokio::test]
async fn body_says_how_many_were_taken_and_why_the_others_were_not() {
    let api = serve().await;
    let list: Vec<&[u8]> = fates().iter().map(|(data, _)| *data).collect();
    let found = submit_body(&api, "/rollup/7/submit", &body_of(&list))
        .await
        .unwrap();
    let refused: Vec<(usize, i32)> = found
        .refused
        .iter()
        .map(|refusal| (refusal.index, refusal.error.code()))
        .collect();
    let expected: Vec<(usize, i32)> = fates()
        .iter()
        .enumerate()
        .filter_map(|(index, (_, fate))| fate.map(|fate| (index, code(fate))))
        .collect();
    assert_eq!(refused, expected);
    assert_eq!(found.taken, 4);
    let full = json!(found.refused[0].error);
    assert_eq!(full["data"]["retry_after_ms"], json!(250));
    let expected = [&b"first"[..], b"second", b"third"].map(|data| id_of(7, data));
    assert_eq!(ordered(&client(&api)).await, expected);
    let unknown = submit_body(&api, "/rollup/8/submit/", &body_of(&[b"x"])).await;
    assert_eq!(
        unknown.unwrap().refused[0].error.code(),
        code(ErrorCode::UnknownRollup)
    );
    let none = submit_body(&api, "/rollup/7/submit", &[]).await.unwrap();
    assert_eq!(none, SubmittedBytes::default());
}

#[tokio::test]
async fn many_come_to_the_driver_in_order() {
    // No driver but the test.
    let (committee, keys) = testing::committee(&[1; 4]);
    let (handle, mut ends) = NodeHandle::new(
        mock::start(&committee),
        Head::default(),
        keys[0].public_key(),
    );
    let config = mock::config(&[]);
    let api = api::serve(handle, &config.rpc, &config.mempool)
        .await
        .unwrap();
    let requests = 5;
    let asks = (0..requests).map(|request| {
        let root = client(&api);
        let list: Vec<String> = (0..SUBMIT_MANY_MAX)
            .map(|at| hex_of(&[usize::to_be_bytes(request), at.to_be_bytes()].concat()))
            .collect();
        tokio::spawn(async move {
            root.request::<Vec<SubmittedOne>, _>("outrider_submitMany", rpc_params![7, list])
                .await
        })
    });
    let asks: Vec<_> = asks.collect();
    let mut seen: Vec<usize> = Vec::new();
    for _ in 0..requests {
        let Some(Command::Submit { list, reply }) = ends.commands.recv().await else {
            panic!("a submission");
        };
        let mut answers = Vec::new();
        for (place, (id, transaction)) in list.into_iter().enumerate() {
            assert_eq!(id, transaction.id());
            let (request, at) = transaction.data.split_at(8);
            assert_eq!(at, usize::to_be_bytes(place));
            if place == 0 {
                seen.push(usize::from_be_bytes(request.try_into().unwrap()));
            }
            answers.push(if place % 2 == 0 {
                Ok(id)
            } else {
                Err(SubmitError::Empty)
            });
        }
        assert_eq!(answers.len(), SUBMIT_MANY_MAX);
        reply.send(answers).unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..requests).collect::<Vec<_>>());
    for ask in asks {
        assert_eq!(ask.await.unwrap().unwrap().len(), SUBMIT_MANY_MAX);
    }
}

#[tokio::test]
async fn bad_hex_and_large_ones_are_refused_alone() {
    let api = serve().await;
    let root = client(&api);
    let largest = vec![1; TRANSACTION_BYTES_MAX];
    let large = vec![1; TRANSACTION_BYTES_MAX + 1];
    let list = [
        "0xzz",
        "0x1",
        &hex_of(&large),
        &hex_of(&largest),
        "01",
        "\u{10ffff}",
    ];
    let mut params = ObjectParams::new();
    params.insert("rollup", 7).unwrap();
    params.insert("payloads", list).unwrap();
    let answers: Value = root.request("outrider_submitMany", params).await.unwrap();
    for (at, code) in [
        (0, code(ErrorCode::InvalidParams)),
        (1, code(ErrorCode::InvalidParams)),
        (2, code(ErrorCode::Size)),
        (5, code(ErrorCode::InvalidParams)),
    ] {
        assert_eq!(answers[at]["error"]["code"], json!(code), "{at}");
    }
    assert_eq!(answers[3], json!({ "id": id_of(7, &largest) }));
    assert_eq!(answers[4], json!({ "id": id_of(7, &[1]) }));
    let found = submit_body(&api, "/rollup/1001/submit", &body_of(&[&large, &largest]))
        .await
        .unwrap();
    assert_eq!(
        (found.taken, found.refused[0].error.code()),
        (1, code(ErrorCode::Size))
    );
}

#[tokio::test]
async fn malformed_lists_are_refused_whole() {
    let api = serve().await;
    let root = client(&api);
    let taken = hex_of(b"taken");
    for params in [
        rpc_params![],
        rpc_params![7],
        rpc_params![7, &taken],
        rpc_params!["seven", [&taken]],
        rpc_params![7, [json!(taken), json!(7)]],
        rpc_params![7, [json!(taken), json!(null)]],
        rpc_params![7, [&taken], 1],
    ] {
        let answer: Result<Value, Error> = root.request("outrider_submitMany", params).await;
        let Err(Error::Call(error)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(error.code(), code(ErrorCode::InvalidParams), "{error}");
    }
    let mut cut = body_of(&[b"taken", b"cut off"]);
    cut.pop();
    let error = submit_body(&api, "/rollup/7/submit", &cut)
        .await
        .unwrap_err();
    assert_eq!(error["code"], json!(code(ErrorCode::InvalidParams)));
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("transaction 1 "), "{text}");
    assert!(ordered(&root).await.is_empty(), "none of a malformed list");
}

#[tokio::test]
async fn count_is_limited_and_the_limit_is_taken() {
    // A small answer allows fewer.
    let (small, ..) = serve_with(&["rpc.max_response_bytes=65536"]).await;
    for (api, limit) in [(serve().await, SUBMIT_MANY_MAX), (small, 128)] {
        let root = client(&api);
        let limits: Value = root
            .request("outrider_limits", rpc_params![])
            .await
            .unwrap();
        assert_eq!(limits["transactions_per_request_max"], json!(limit));
        let list = |count: usize| vec![hex_of(FULL); count];
        let answers: Vec<SubmittedOne> = root
            .request("outrider_submitMany", rpc_params![7, list(limit)])
            .await
            .unwrap();
        assert_eq!(answers.len(), limit);
        let more: Result<Value, Error> = root
            .request("outrider_submitMany", rpc_params![7, list(limit + 1)])
            .await;
        let Err(Error::Call(error)) = more else {
            panic!("{more:?}");
        };
        assert_eq!(error.code(), code(ErrorCode::InvalidParams));

        let body = |count: usize| body_of(&vec![FULL; count]);
        let found = submit_body(&api, "/rollup/7/submit", &body(limit)).await;
        assert_eq!(found.unwrap().refused.len(), limit);
        let error = submit_body(&api, "/rollup/7/submit", &body(limit + 1)).await;
        let error = error.unwrap_err();
        assert_eq!(error["code"], json!(code(ErrorCode::InvalidParams)));
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(&limit.to_string()), "{text}");
    }
}

#[tokio::test]
async fn bytes_of_a_body_are_limited_with_and_without_a_length() {
    let (api, ..) = serve_with(&["rpc.max_request_bytes=2048"]).await;
    let head = "POST /rollup/7/submit";
    let full = body_of(&[&[7; 2_044]]);
    assert_eq!(full.len(), 2_048);
    let found = submit_body(&api, "/rollup/7/submit", &full).await.unwrap();
    assert_eq!(found.taken, 1);
    let more = body_of(&[&[8; 2_045]]);
    let (status, answer) = post(&api, head, OCTETS, Some(more.len()), &more).await;
    assert!(
        status == "413" || answer.contains("-32007"),
        "{status} {answer}"
    );
    let chunked = |body: &[u8]| {
        [
            format!("{:x}\r\n", body.len()).as_bytes(),
            body,
            b"\r\n0\r\n\r\n",
        ]
        .concat()
    };
    let (status, answer) = post(&api, head, OCTETS, None, &chunked(&more)).await;
    assert_eq!(status, "200");
    assert!(
        answer.contains("-32602") && answer.contains("2048"),
        "{answer}"
    );
    let (_, answer) = post(&api, head, OCTETS, None, &chunked(&body_of(&[b"y"]))).await;
    assert!(answer.contains("\"taken\":1"), "{answer}");
    assert_eq!(ordered(&client(&api)).await.len(), 2);
}

#[tokio::test]
async fn bodies_count_among_the_connections() {
    let (api, ..) = serve_with(&["rpc.max_connections=1"]).await;
    let socket = WsClientBuilder::default()
        .build(format!("ws://{}", api.local_addr()))
        .await
        .unwrap();
    let body = body_of(&[b"x"]);
    let head = "POST /rollup/7/submit";
    let (status, _) = post(&api, head, OCTETS, Some(body.len()), &body).await;
    assert_eq!(status, "429");
    drop(socket);
}

#[tokio::test]
async fn bodies_are_taken_only_where_they_belong() {
    let api = serve().await;
    let body = body_of(&[b"x"]);
    let wrong = code(ErrorCode::WrongPath).to_string();
    // A body of bytes elsewhere is no JSON.
    for path in ["/", "/rollup/7", "/rollup/x/submit", "/submit"] {
        let head = format!("POST {path}");
        let (status, _) = post(&api, &head, OCTETS, Some(body.len()), &body).await;
        assert_eq!(status, "415", "{path}");
    }
    let (status, _) = post(&api, "GET /rollup/7/submit", OCTETS, Some(0), &[]).await;
    assert_eq!(status, "405");
    // The call that a body becomes is none without one, and no other is served beside it.
    let call = |method: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\"}}");
    for (path, method) in [
        ("/", "outrider_submitBytes"),
        ("/rollup/7/submit", "outrider_submitBytes"),
        ("/rollup/7/submit", "outrider_head"),
        ("/rollup/7/submit", "eth_chainId"),
        ("/rollup/7", "outrider_submitMany"),
    ] {
        let call = call(method);
        let head = format!("POST {path}");
        let (_, answer) = post(
            &api,
            &head,
            "application/json",
            Some(call.len()),
            call.as_bytes(),
        )
        .await;
        assert!(answer.contains(&wrong), "{path} {method}: {answer}");
    }
    assert!(ordered(&client(&api)).await.is_empty());
}

#[tokio::test]
async fn stopped_member_refuses_each() {
    let (committee, keys) = testing::committee(&[1; 4]);
    let (handle, ends) = NodeHandle::new(
        mock::start(&committee),
        Head::default(),
        keys[0].public_key(),
    );
    drop(ends);
    let config = mock::config(&[]);
    let api = api::serve(handle, &config.rpc, &config.mempool)
        .await
        .unwrap();
    let found = submit_body(&api, "/rollup/7/submit", &body_of(&[b"x", b"y"])).await;
    for refusal in found.unwrap().refused {
        assert_eq!(refusal.error.code(), code(ErrorCode::Stopping));
    }
}
