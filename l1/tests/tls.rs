//! Endpoints over https: who cannot prove to be the host is refused by name, and nothing that is said holds a secret of the URL.
//!
//! `tests/tls` holds a root of our own and a certificate of it for `localhost`, for a hundred years. Made with openssl:
//! `ecparam -name prime256v1 -genkey`, `req -x509 -addext keyUsage=keyCertSign` and `x509 -req` with `subjectAltName=DNS:localhost`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use common::stand_in::{StandIn, always};
use outrider_l1::endpoint::{Endpoint, EndpointError, EndpointLimits};
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use std::time::Duration;

const KEY: &str = "0123456789abcdef";
const CHAIN_ID: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x7a69"}"#;
/// Where a process that this test starts asks.
const URL: &str = "OUTRIDER_TEST_URL";

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url, EndpointLimits::default()).unwrap()
}

fn no_secret(error: &EndpointError) {
    let told = format!("{error} {error:?}");
    assert!(!told.contains(KEY) && !told.contains("word"), "{told}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_is_refused_and_named() {
    let server = StandIn::over_tls(None, always(CHAIN_ID)).await;
    let url = format!("{}/v3/{KEY}", server.url);
    let error = endpoint(&url).chain_id().await.unwrap_err();
    let EndpointError::Certificate { url, reason } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((url, reason.as_str()), (&server.url, "UnknownIssuer"));
    no_secret(&error);
    assert_eq!(server.was_asked("eth_chainId"), 0);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_asked() {
    let server = StandIn::before(None, always(CHAIN_ID)).await;
    let url = server.url.replace("http://", "https://user:word@");
    let limits = EndpointLimits {
        timeout: Duration::from_millis(500),
        ..EndpointLimits::default()
    };
    let endpoint = Endpoint::new(&url, limits).unwrap();
    no_secret(&endpoint.chain_id().await.unwrap_err());
    assert_eq!(server.was_asked("eth_chainId"), 0);
}

/// What a machine trusts, a process reads from its environment. So this test starts itself again, in another one.
#[tokio::test]
async fn a_certificate_of_a_root_that_the_machine_trusts_is_taken() {
    if let Ok(url) = std::env::var(URL) {
        return asks(&url).await;
    }
    let server = StandIn::over_tls(None, always(CHAIN_ID)).await;
    let test = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_certificate_of_a_root_that_the_machine_trusts_is_taken")
        .env(URL, &server.url)
        .env(
            "SSL_CERT_FILE",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/root.pem"),
        )
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(common::DEADLINE, test).await;
    let output = output.unwrap().unwrap();
    let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
    told.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
    // Once; the other host was not believed.
    assert_eq!(server.was_asked("eth_chainId"), 1);
    let head = server.last_head().unwrap();
    assert!(head.starts_with(&format!("post /v3/{KEY}?a=b ")), "{head}");
    // user:word
    let authorization = "authorization: basic dxnlcjp3b3jk\r\n";
    assert!(head.contains(authorization), "{head}");
    assert!(!head.contains('@'), "{head}");
}

async fn asks(url: &str) {
    let url = format!("{url}/v3/{KEY}?a=b").replace("//", "//user:word@");
    assert_eq!(endpoint(&url).chain_id().await, Ok(common::L1_CHAIN));
    let other = url.replace("localhost", "127.0.0.1");
    let error = endpoint(&other).chain_id().await.unwrap_err();
    let EndpointError::Certificate { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("not valid for name"), "{reason}");
    no_secret(&error);
}

#[tokio::test]
async fn a_server_that_repeats_the_url_does_not_make_it_known() {
    let refusal = format!(
        r#"{{"id":0,"error":{{"code":-32000,"message":"no project {KEY} of user with word"}}}}"#
    );
    let nonsense = format!(r#"{{"id":0,"result":"{KEY}"}}"#);
    for answer in [refusal, nonsense, format!("Cannot POST /v3/{KEY}")] {
        let server = StandIn::before(None, always(&answer)).await;
        let url = server.url.replace("http://", "http://user:word@");
        let url = format!("{url}/v3/{KEY}");
        no_secret(&endpoint(&url).chain_id().await.unwrap_err());
        let limits = AgreementLimits::default();
        let endpoints = Endpoints::new(&[url], common::L1_CHAIN, limits).unwrap();
        let error = endpoints.heads().await.unwrap_err();
        let told = format!("{error} {:?} {endpoints:?}", endpoints.take_events());
        assert!(!told.contains(KEY) && !told.contains("word"), "{told}");
        assert!(told.contains(&server.url), "{told}");
    }
}

#[test]
fn two_of_one_host_are_told_apart_by_their_place() {
    let urls = [
        "https://main.example/v3/first-key",
        "https://other.example",
        "https://main.example/v3/second-key",
    ]
    .map(str::to_owned);
    let endpoints = Endpoints::new(&urls, 1, AgreementLimits::default()).unwrap();
    let shown: Vec<&str> = endpoints.list().iter().map(Endpoint::url).collect();
    assert_eq!(
        shown,
        [
            "https://main.example (endpoint 1)",
            "https://other.example",
            "https://main.example (endpoint 3)"
        ]
    );
    let names: Vec<String> = endpoints.standings().into_iter().map(|one| one.0).collect();
    assert_eq!(names, shown);
    // What is no URL is named by its place, and not shown.
    let urls = ["https://main.example", "main.example/secret"].map(str::to_owned);
    let error = Endpoints::new(&urls, 1, AgreementLimits::default()).unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(told.starts_with("L1 endpoint 2 is not a URL"), "{told}");
    assert!(!told.contains("secret\""), "{told}");
}
