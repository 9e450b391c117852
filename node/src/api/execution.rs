//! The execution nodes of rollups: wallets' questions go on to them, bounded in bytes, time and number.
//!
//! Only methods that the table marks as proxied reach a node. Names of blocks are mapped here and nowhere else
//! ([`ordinary`]).

use super::errors::ErrorCode;
use super::table::{BLOCK_TAG, EVENT_FILTER, Method};
use crate::config::RpcConfig;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_types::RollupId;
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a tag of a wallet means to the execution node.
///
/// It executes soft-final blocks and nothing else, so the last one it executed is soft-final; and as long as no L1 settles
/// blocks, there is nothing safer and nothing more final than that. What waits in a mempool has no state.
fn ordinary(tag: &str) -> &str {
    match tag {
        "soft" | "pending" | "safe" | "finalized" => "latest",
        other => other,
    }
}

/// The nodes by rollup.
#[derive(Debug)]
pub(crate) struct Executions {
    nodes: BTreeMap<RollupId, ExecutionNode>,
    http: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
    answer_bytes_max: usize,
}

#[derive(Debug)]
struct ExecutionNode {
    url: String,
    /// One permit for each request that runs.
    permits: Semaphore,
}

/// What a node answers.
#[derive(Deserialize)]
struct Reply {
    #[serde(default, deserialize_with = "there")]
    result: Option<Box<RawValue>>,
    error: Option<ErrorObjectOwned>,
}

/// A result that is `null` is there.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Executions {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        let timeout = Duration::from_millis(config.execution_timeout_ms);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let node = |(rollup, url): (&RollupId, &String)| {
            let permits = Semaphore::new(config.execution_requests);
            let url = url.clone();
            (*rollup, ExecutionNode { url, permits })
        };
        Self {
            nodes: config.execution.iter().map(node).collect(),
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(config.execution_requests)
                .build(connector),
            timeout,
            answer_bytes_max: config.max_response_bytes as usize,
        }
    }

    fn node(&self, rollup: RollupId, method: &str) -> Result<&ExecutionNode, ErrorObjectOwned> {
        self.nodes.get(&rollup).ok_or_else(|| {
            let text = format!(
                "{method} needs the state of rollup {rollup}, and no execution node is configured for it here (rpc.execution); ask the rollup's execution node"
            );
            ErrorCode::NeedsExecution.error(text, None)
        })
    }

    /// Whether a rollup has a node; if not, what to say to this method.
    pub(super) fn require(&self, rollup: RollupId, method: &str) -> Result<(), ErrorObjectOwned> {
        self.node(rollup, method).map(drop)
    }

    /// A wallet's question: its parameters as they came.
    pub(super) async fn forward(
        &self,
        rollup: RollupId,
        method: &Method,
        parameters: Option<&str>,
    ) -> Result<Box<RawValue>, ErrorObjectOwned> {
        let node = self.node(rollup, method.name)?;
        let parameters = mapped(method, parameters.unwrap_or("[]"))?;
        self.send(node, rollup, method.name, json!(parameters))
            .await
    }

    /// A question of our own.
    pub(super) async fn ask(
        &self,
        rollup: RollupId,
        method: &str,
        parameters: Value,
    ) -> Result<Box<RawValue>, ErrorObjectOwned> {
        let node = self.node(rollup, method)?;
        self.send(node, rollup, method, parameters).await
    }

    async fn send(
        &self,
        node: &ExecutionNode,
        rollup: RollupId,
        method: &str,
        parameters: Value,
    ) -> Result<Box<RawValue>, ErrorObjectOwned> {
        let down = |why: &dyn Display| {
            let text = format!("the execution node of rollup {rollup} cannot be asked: {why}");
            ErrorCode::ExecutionDown.error(text, None)
        };
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let request = http::Request::post(&node.url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(call.to_string())))
            .map_err(|error| down(&error))?;
        let exchange = async {
            let _permit = node.permits.acquire().await.map_err(|error| down(&error))?;
            let answer = self.http.request(request).await;
            let answer = answer.map_err(|error| down(&root_cause(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), self.answer_bytes_max);
            let body = body
                .collect()
                .await
                .map_err(|error| down(&root_cause(&*error)))?;
            Ok::<_, ErrorObjectOwned>((status, body.to_bytes()))
        };
        let waited = tokio::time::timeout(self.timeout, exchange).await;
        let timeout = self.timeout.as_millis();
        let (status, body) =
            waited.map_err(|_| down(&format!("it did not answer within {timeout} ms")))??;
        match serde_json::from_slice(&body) {
            Ok(Reply {
                error: Some(error), ..
            }) => Err(error),
            Ok(Reply {
                result: Some(result),
                ..
            }) => Ok(result),
            _ => Err(down(&format!(
                "what it said is no answer (HTTP status {status})"
            ))),
        }
    }
}

/// The innermost error, which says what happened.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn invalid(reason: impl Display) -> ErrorObjectOwned {
    ErrorCode::InvalidParams.error(format!("invalid parameters: {reason}"), None)
}

/// The parameters with tags as the node knows them.
fn mapped(method: &Method, text: &str) -> Result<Vec<Box<RawValue>>, ErrorObjectOwned> {
    let mut list: Vec<Box<RawValue>> = serde_json::from_str(text)
        .map_err(|error| invalid(format!("Ethereum methods take a list: {error}")))?;
    for (at, parameter) in method.parameters.iter().enumerate() {
        let Some(given) = list.get_mut(at) else { break };
        if parameter.schema == BLOCK_TAG && given.get().starts_with('"') {
            let mut tag = serde_json::from_str(given.get()).map_err(invalid)?;
            map(&mut tag);
            *given = to_raw_value(&tag).map_err(invalid)?;
        }
        if parameter.schema == EVENT_FILTER && given.get().starts_with('{') {
            let mut filter: Value = serde_json::from_str(given.get()).map_err(invalid)?;
            for end in ["fromBlock", "toBlock"] {
                if let Some(tag) = filter.get_mut(end) {
                    map(tag);
                }
            }
            *given = to_raw_value(&filter).map_err(invalid)?;
        }
    }
    Ok(list)
}

fn map(tag: &mut Value) {
    if let Value::String(text) = tag {
        *text = ordinary(text).to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::METHODS;

    fn mapped_text(name: &str, parameters: &str) -> Result<String, ErrorObjectOwned> {
        let method = METHODS.iter().find(|method| method.name == name).unwrap();
        mapped(method, parameters).map(|list| json!(list).to_string())
    }

    #[test]
    fn tags_are_mapped_where_a_block_is_named_and_nowhere_else() {
        for tag in ["soft", "pending", "safe", "finalized", "latest"] {
            let text = mapped_text("eth_getBalance", &format!(r#"["soft", "{tag}"]"#)).unwrap();
            assert_eq!(text, r#"["soft","latest"]"#);
        }
        for (name, before, after) in [
            (
                "eth_getBlockByNumber",
                r#"["soft",true]"#,
                r#"["latest",true]"#,
            ),
            (
                "eth_getBlockByNumber",
                r#"["earliest",true]"#,
                r#"["earliest",true]"#,
            ),
            (
                "eth_getBlockByNumber",
                r#"["0x10",true]"#,
                r#"["0x10",true]"#,
            ),
            (
                "eth_feeHistory",
                r#"["0x1","pending",[1.5]]"#,
                r#"["0x1","latest",[1.5]]"#,
            ),
            (
                "eth_getLogs",
                r#"[{"fromBlock":"safe","toBlock":"finalized","topics":["soft"]}]"#,
                r#"[{"fromBlock":"latest","toBlock":"latest","topics":["soft"]}]"#,
            ),
            (
                "eth_call",
                r#"[{"data":"soft"},{"blockHash":"0x1"}]"#,
                r#"[{"data":"soft"},{"blockHash":"0x1"}]"#,
            ),
            ("eth_getBalance", "[]", "[]"),
        ] {
            assert_eq!(mapped_text(name, before).unwrap(), after);
        }
    }

    #[test]
    fn parameters_that_are_no_list_are_refused() {
        for bad in ["{}", "7", "[1", r#"{"0":"soft"}"#, r#"["a", "\ud800"]"#] {
            let error = mapped_text("eth_getBalance", bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidParams.describe().0, "{bad}");
        }
    }
}
