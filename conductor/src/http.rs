//! Requests to execution nodes over HTTP, bounded in time and size.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use outrider_types::Bytes;
use std::time::Duration;

/// The longest that one request takes, the execution of a block included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{0}")]
    Broken(String),
    /// Connected, but nothing came.
    #[error("nothing within {REQUEST_TIMEOUT:?}")]
    Timeout,
    /// Not what was asked for.
    #[error("HTTP status {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// The start of the answer.
        text: String,
    },
}

/// Sends requests to one address. Cheap to clone; connections are reused.
#[derive(Clone, Debug)]
pub struct HttpClient {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpClient {
    /// To this address, as `http://127.0.0.1:8545`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(REQUEST_TIMEOUT));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Where it sends to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// POST JSON; the body of the answer, if it has status 200.
    pub async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        bearer: Option<&str>,
    ) -> Result<Bytes, HttpError> {
        let mut request = http::Request::post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request, Bytes::from(body)).await
    }

    /// GET; the body of the answer, if it has status 200.
    pub async fn get(&self, path: &str) -> Result<Bytes, HttpError> {
        let request = http::Request::get(format!("{}{path}", self.url));
        self.send(request, Bytes::new()).await
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Bytes, HttpError> {
        let broken = |error: &dyn std::error::Error| HttpError::Broken(root_cause(error));
        let request = request
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let exchange = async {
            let answer = self.client.request(request).await;
            let (head, body) = answer.map_err(|error| broken(&error))?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| broken(error.as_ref()))?.to_bytes();
            if head.status == http::StatusCode::OK {
                return Ok(body);
            }
            let text = String::from_utf8_lossy(&body);
            Err(HttpError::Status {
                status: head.status.as_u16(),
                text: text.chars().take(200).collect(),
            })
        };
        tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(HttpError::Timeout))
    }
}

/// The chain of causes in one line.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..8 {
        let Some(error) = cause else { break };
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
