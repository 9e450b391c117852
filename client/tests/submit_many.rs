//! Many transactions as the body of a request, against a server that answers as a member does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use outrider_client::{CODE_FULL, Client, ClientError};
use outrider_types::{Bytes, RollupId};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Head and body of a request.
type Request = (String, Vec<u8>);

async fn read(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4_096];
        let count = stream.read(&mut some).await.unwrap();
        bytes.extend_from_slice(&some[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if bytes.len() == end + 4 + length {
            return (head, bytes.split_off(end + 4));
        }
        assert!(count > 0, "the request is cut off");
    }
}

/// Answers these, one after another, on one connection, and gives back what was asked.
async fn member(
    answers: Vec<(&'static str, &'static str)>,
) -> (SocketAddr, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut requests = Vec::new();
        for (status, body) in answers {
            requests.push(read(&mut stream).await);
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (address, task)
}

#[tokio::test]
async fn requests_are_bodies_on_one_connection_and_refusals_are_typed() {
    let full = r#"{"jsonrpc":"2.0","id":0,"result":{"taken":1,"refused":[{"index":1,"error":{"code":-32051,"message":"full"}}]}}"#;
    let (address, task) = member(vec![
        (
            "200 OK",
            r#"{"jsonrpc":"2.0","id":0,"result":{"taken":2,"refused":[]}}"#,
        ),
        ("200 OK", full),
        (
            "200 OK",
            r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"too many"}}"#,
        ),
        ("429 Too Many Requests", "Too many connections"),
        ("200 OK", "<html>"),
    ])
    .await;
    let client = Client::new(&format!("http://{address}/")).unwrap();
    let payloads = [Bytes::from_static(&[7; 3]), Bytes::from_static(&[8])];
    let submit = async || client.submit_many(RollupId(5), &payloads).await;
    assert!(submit().await.unwrap().is_empty());
    let refused = submit().await.unwrap();
    assert_eq!(refused[0].index, 1);
    assert!(matches!(
        refused[0].error,
        ClientError::Refused {
            code: CODE_FULL,
            ..
        }
    ));
    let error = submit().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Refused { code: -32_602, .. }),
        "{error}"
    );
    let error = submit().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }) && error.to_string().contains("429"),
        "{error}"
    );
    let error = submit().await.unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    for (head, body) in task.await.unwrap() {
        assert!(
            head.starts_with("POST /rollup/5/submit HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("content-type: application/octet-stream"),
            "{head}"
        );
        assert_eq!(body, [0, 0, 0, 3, 7, 7, 7, 0, 0, 0, 1, 8]);
    }
}

#[tokio::test]
async fn dead_and_silent_members_are_errors_of_the_whole_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::with_timeout(&url, Duration::from_millis(50)).unwrap();
    let payloads = [Bytes::from_static(&[7])];
    let error = client.submit_many(RollupId(5), &payloads).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ClientError::Timeout { .. }) && error.retry_helps(),
        "{error}"
    );
    drop(listener);
    // Another client: the connection of the first one is there still.
    let client = Client::new(&url).unwrap();
    let error = client.submit_many(RollupId(5), &payloads).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }) && error.retry_helps(),
        "{error}"
    );
}
