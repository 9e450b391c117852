//! The port of the operator: metrics, health, and what happens when it is taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use outrider_node::metrics::{self, METRICS, Metrics, MetricsError};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn every_metric_of_the_table_is_served_and_documented() {
    let (handle, _) = mock::MockDriver::spawn();
    let config = mock::config(&["metrics.listen=127.0.0.1:0"]).metrics;
    let running = metrics::serve(Arc::new(Metrics::new()), handle.clone(), &config)
        .await
        .unwrap();
    let text = get(running.local_addr(), "/metrics").await;
    assert!(text.starts_with("HTTP/1.1 200"));
    for (name, kind, _) in METRICS {
        let family = name.trim_end_matches("_total");
        assert!(text.contains(&format!("# TYPE {family} {kind}")), "{name}");
        assert!(metrics::to_markdown().contains(&format!("| `{name}` | {kind} |")));
    }
    let health = get(running.local_addr(), "/health").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"height\":0"));
    assert!(
        get(running.local_addr(), "/else")
            .await
            .starts_with("HTTP/1.1 404")
    );

    let taken = format!("metrics.listen={}", running.local_addr());
    let config = mock::config(&[&taken]).metrics;
    let error = metrics::serve(Arc::new(Metrics::new()), handle, &config)
        .await
        .unwrap_err();
    assert!(matches!(error, MetricsError::Listen { .. }));
    assert!(error.to_string().contains("metrics.listen"), "{error}");
}
