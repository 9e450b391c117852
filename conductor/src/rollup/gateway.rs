//! One address for wallets: transactions go to a member, questions to the execution node, and nothing else to either.

use super::RollupError;
use crate::http::HttpClient;
use crate::steps::StepLog;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use outrider_types::RollupId;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most bytes of a request: a transaction in hex, with room around it.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Most calls of a batch.
const CALLS_MAX: usize = 128;
/// Most requests that are answered at a time; others wait.
const REQUESTS_MAX: usize = 64;
/// What only a member is asked.
const SENDING: [&str; 1] = ["eth_sendRawTransaction"];
/// What nobody is asked: keys, pools and long waits of the execution node.
const REFUSED: [&str; 6] = [
    "eth_send",
    "eth_sign",
    "eth_accounts",
    "eth_mining",
    "eth_submit",
    "eth_fillTransaction",
];
const METHOD_NOT_FOUND: i64 = -32_601;
const UNAVAILABLE: i64 = -32_057;

pub(super) struct Gateway {
    pub(super) rollup: RollupId,
    /// Members, at `/rollup/{id}`.
    pub(super) members: Vec<HttpClient>,
    /// The execution node.
    pub(super) home: HttpClient,
    pub(super) steps: StepLog,
    permits: Semaphore,
}

impl Gateway {
    pub(super) fn new(rollup: RollupId, members: &[String], home: &str, steps: StepLog) -> Self {
        let member = |url: &String| {
            let url = url.trim_end_matches('/');
            HttpClient::new(&format!("{url}/rollup/{rollup}"))
        };
        Self {
            rollup,
            members: members.iter().map(member).collect(),
            home: HttpClient::new(home),
            steps,
            permits: Semaphore::new(REQUESTS_MAX),
        }
    }

    /// Serve until the task is dropped.
    pub(super) async fn serve(self, listener: TcpListener) -> Result<(), RollupError> {
        let routes = Router::new()
            .route("/", post(calls))
            .route("/steps/{lane}", get(steps))
            .route("/value/{key}", get(value))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Arc::new(self));
        axum::serve(listener, routes)
            .await
            .map_err(|error| RollupError::State {
                reason: format!("the gateway ended: {error}"),
            })
    }

    async fn call(&self, call: &Value) -> Value {
        let id = call.get("id").cloned().unwrap_or(Value::Null);
        let method = call.get("method").and_then(Value::as_str).unwrap_or("");
        let failed = |code: i64, text: String| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text}});
        if SENDING.contains(&method) {
            let mut last = "there is no member".to_owned();
            for member in &self.members {
                match member.post("", call.to_string().into_bytes(), None).await {
                    Ok(body) => return read(&body),
                    Err(error) => last = error.to_string(),
                }
            }
            return failed(UNAVAILABLE, format!("no member answers: {last}"));
        }
        let known = ["eth_", "net_", "web3_"].iter();
        let refused = REFUSED.iter().any(|prefix| method.starts_with(prefix));
        if refused || !known.clone().any(|prefix| method.starts_with(prefix)) {
            let rollup = self.rollup;
            return failed(
                METHOD_NOT_FOUND,
                format!("{method:?} is not served for rollup {rollup}"),
            );
        }
        let mut call = call.clone();
        soft_tags(&mut call);
        match self
            .home
            .post("", call.to_string().into_bytes(), None)
            .await
        {
            Ok(body) => read(&body),
            Err(error) => failed(
                UNAVAILABLE,
                format!("the execution node does not answer: {error}"),
            ),
        }
    }
}

/// What was executed last is the newest there is, by whatever name.
fn soft_tags(call: &mut Value) {
    let Some(Value::Array(params)) = call.get_mut("params") else {
        return;
    };
    for param in params {
        if matches!(
            param.as_str(),
            Some("soft" | "safe" | "finalized" | "pending")
        ) {
            *param = json!("latest");
        }
    }
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": UNAVAILABLE, "message": "an answer that is not JSON"}})
    })
}

async fn calls(State(gateway): State<Arc<Gateway>>, body: Bytes) -> Response {
    let Ok(_permit) = gateway.permits.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let answer = match serde_json::from_slice(&body) {
        Ok(Value::Array(list)) if list.len() <= CALLS_MAX => {
            let mut answers = Vec::with_capacity(list.len());
            for call in &list {
                answers.push(gateway.call(call).await);
            }
            Value::Array(answers)
        }
        Ok(call @ Value::Object(_)) => gateway.call(&call).await,
        _ => return StatusCode::BAD_REQUEST.into_response(),
    };
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn steps(State(gateway): State<Arc<Gateway>>, Path(lane): Path<u64>) -> Response {
    match gateway.steps.read(lane) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

/// Of a key-value machine.
async fn value(State(gateway): State<Arc<Gateway>>, Path(key): Path<String>) -> Response {
    let hex = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    let key: String = key.bytes().map(hex).collect();
    match gateway.home.get(&format!("/value/{key}")).await {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_mapped_and_nothing_else() {
        let mut call = json!({"method": "eth_getBalance", "params": ["0x01", "safe"]});
        soft_tags(&mut call);
        assert_eq!(call["params"], json!(["0x01", "latest"]));
        let mut call = json!({"method": "eth_getBlockByNumber", "params": ["earliest", true]});
        soft_tags(&mut call);
        assert_eq!(call["params"], json!(["earliest", true]));
    }
}
