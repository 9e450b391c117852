//! The page at `/ui`: every file that it names is served, as what it is, and the policy lets it do what it needs alone.
//! What it does is tested in a browser: `tests/e2e/ui.sh`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use outrider_node::api::RunningApi;
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Head (in small letters) and body of what GET answers; it must be a 200.
async fn get(api: &RunningApi, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.unwrap());
    let head = String::from_utf8(head.to_vec()).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
    (head, body[4..].to_vec())
}

/// The files that a text names: as `/ui/x`, or as `./x` beside it.
fn named(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| -> String {
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c))
            .collect()
    };
    ["/ui/", "'./"]
        .iter()
        .flat_map(|before| text.split(before).skip(1))
        .map(|rest| format!("/ui/{}", word(rest)))
        .collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_served_as_what_it_is() {
    let api = mock::serve().await;
    let mut open = vec!["/ui".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let (head, body) = get(&api, &path).await;
        let kind = match path.rsplit_once('.') {
            None => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "wasm")) => "application/wasm",
            Some(_) => panic!("{path}: what is that?"),
        };
        assert!(
            head.contains(&format!("content-type: {kind}\r\n")),
            "{head}"
        );
        if let Ok(text) = std::str::from_utf8(&body) {
            open.extend(named(text));
        } else {
            assert_eq!(&body[..4], b"\0asm", "{path}");
        }
    }
    let files: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(
        files,
        [
            "/ui",
            "/ui/charts.js",
            "/ui/follow.js",
            "/ui/light-client.wasm",
            "/ui/live.js",
            "/ui/loader.js",
            "/ui/page.js",
            "/ui/socket.js",
            "/ui/style.css"
        ]
    );
}

#[tokio::test]
async fn the_policy_allows_nothing_inline_and_nobody_else() {
    let api = mock::serve().await;
    let (head, body) = get(&api, "/ui").await;
    for part in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!head.contains("unsafe-inline") && !head.contains("'unsafe-eval'"));
    let page = String::from_utf8(body).unwrap();
    for inline in ["<style", "style=", "onclick=", "javascript:"] {
        assert!(!page.contains(inline), "{inline} would not work");
    }
}
