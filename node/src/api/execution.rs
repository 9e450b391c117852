//! The execution nodes of rollups: wallets' questions go on to them, bounded in bytes, time and number.
//!
//! Only methods that the table marks as proxied reach a node. Names of blocks are mapped here and nowhere else
//! ([`ordinary`]); which block is `safe` or `finalized`, `tags` finds out.

use super::errors::ErrorCode;
use super::table::{BLOCK_TAG, EVENT_FILTER, Method};
use super::tags::{Named, Numbers, Tags};
use crate::config::RpcConfig;
use crate::handle::{Finality, NodeHandle};
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
/// It executes soft-final blocks and nothing else, so the last one it executed is soft-final. What waits in a mempool has no
/// state. What is `safe` and `finalized`, L1 says.
fn ordinary(tag: &str, numbers: &Numbers) -> String {
    let named = match tag {
        "soft" | "pending" => Some(Named::Latest),
        SAFE => numbers.safe,
        FINALIZED => numbers.finalized,
        _ => None,
    };
    match named {
        Some(Named::Latest) => "latest".to_owned(),
        Some(Named::Number(number)) => format!("{number:#x}"),
        Some(Named::Kept) | None => tag.to_owned(),
    }
}

const SAFE: &str = "safe";
const FINALIZED: &str = "finalized";

/// The nodes by rollup.
#[derive(Debug)]
pub(crate) struct Executions {
    nodes: BTreeMap<RollupId, ExecutionNode>,
    http: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
    answer_bytes_max: usize,
    tags: Tags,
}

#[derive(Debug)]
struct ExecutionNode {
    url: String,
    /// Whether op-node drives it: then it knows by itself what is safe and what is final.
    conducted: bool,
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
            let node = ExecutionNode {
                url: url.clone(),
                conducted: config.conductor.contains_key(rollup),
                permits,
            };
            (*rollup, node)
        };
        Self {
            nodes: config.execution.iter().map(node).collect(),
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(config.execution_requests)
                .build(connector),
            timeout,
            answer_bytes_max: config.max_response_bytes as usize,
            tags: Tags::default(),
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
        handle: &NodeHandle,
        rollup: RollupId,
        method: &Method,
        parameters: Option<&str>,
    ) -> Result<Box<RawValue>, ErrorObjectOwned> {
        let node = self.node(rollup, method.name)?;
        let parameters = Parameters::read(method, parameters.unwrap_or("[]"))?;
        let numbers = self.numbers(handle, rollup, node, &parameters).await?;
        let parameters = parameters.mapped(&numbers)?;
        self.send(node, rollup, method.name, json!(parameters))
            .await
    }

    /// What stands for the tags that there are.
    async fn numbers(
        &self,
        handle: &NodeHandle,
        rollup: RollupId,
        node: &ExecutionNode,
        parameters: &Parameters,
    ) -> Result<Numbers, ErrorObjectOwned> {
        let mut numbers = Numbers::default();
        for (tag, finality, place) in [
            (SAFE, Finality::Settled, &mut numbers.safe),
            (FINALIZED, Finality::Final, &mut numbers.finalized),
        ] {
            if !parameters.has(tag) {
                continue;
            }
            *place = Some(if node.conducted {
                Named::Kept
            } else {
                self.tags.resolve(handle, self, rollup, finality).await?
            });
        }
        Ok(numbers)
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

/// The parameters of a call, and those of them that name blocks.
struct Parameters {
    list: Vec<Box<RawValue>>,
    /// By their place in the list.
    naming: Vec<(usize, Value)>,
}

impl Parameters {
    fn read(method: &Method, text: &str) -> Result<Self, ErrorObjectOwned> {
        let list: Vec<Box<RawValue>> = serde_json::from_str(text)
            .map_err(|error| invalid(format!("Ethereum methods take a list: {error}")))?;
        let mut naming = Vec::new();
        for (at, (parameter, given)) in method.parameters.iter().zip(&list).enumerate() {
            let names = [BLOCK_TAG, EVENT_FILTER].contains(&parameter.schema);
            // Whatever else it is, the node says what is wrong with it.
            if names && given.get().starts_with(['"', '{']) {
                let value = serde_json::from_str(given.get()).map_err(invalid)?;
                naming.push((at, value));
            }
        }
        Ok(Self { list, naming })
    }

    /// Whether a block is named so.
    fn has(&self, tag: &str) -> bool {
        let mut found = false;
        for (_, value) in &self.naming {
            let mut value = value.clone();
            tags(&mut value, &mut |text| found |= text == tag);
        }
        found
    }

    /// With tags as the node knows them.
    fn mapped(mut self, numbers: &Numbers) -> Result<Vec<Box<RawValue>>, ErrorObjectOwned> {
        for (at, mut value) in self.naming {
            tags(&mut value, &mut |text| *text = ordinary(text, numbers));
            self.list[at] = to_raw_value(&value).map_err(invalid)?;
        }
        Ok(self.list)
    }
}

/// Everything in a parameter that may be a tag: itself, what stands in it instead as EIP-1898 has it, or the ends of a filter.
fn tags(value: &mut Value, look: &mut impl FnMut(&mut String)) {
    if let Value::String(text) = value {
        return look(text);
    }
    for key in ["blockNumber", "fromBlock", "toBlock"] {
        if let Some(Value::String(text)) = value.get_mut(key) {
            look(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::METHODS;

    const NUMBERS: Numbers = Numbers {
        safe: Some(Named::Number(0x20)),
        finalized: Some(Named::Number(0)),
    };

    fn read(name: &str, parameters: &str) -> Result<Parameters, ErrorObjectOwned> {
        let method = METHODS.iter().find(|method| method.name == name).unwrap();
        Parameters::read(method, parameters)
    }

    fn mapped(name: &str, parameters: &str, numbers: &Numbers) -> String {
        let parameters = read(name, parameters).unwrap();
        json!(parameters.mapped(numbers).unwrap()).to_string()
    }

    #[test]
    fn tags_are_mapped_where_a_block_is_named_and_nowhere_else() {
        for (tag, expected) in [
            ("soft", "latest"),
            ("pending", "latest"),
            ("latest", "latest"),
            ("safe", "0x20"),
            ("finalized", "0x0"),
        ] {
            let text = mapped("eth_getBalance", &format!(r#"["soft", "{tag}"]"#), &NUMBERS);
            assert_eq!(text, format!(r#"["soft","{expected}"]"#));
            let text = format!(r#"["soft", {{"blockNumber":"{tag}"}}]"#);
            let text = mapped("eth_getBalance", &text, &NUMBERS);
            assert_eq!(text, format!(r#"["soft",{{"blockNumber":"{expected}"}}]"#));
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
                r#"["0x1","safe",[1.5]]"#,
                r#"["0x1","0x20",[1.5]]"#,
            ),
            (
                "eth_getLogs",
                r#"[{"fromBlock":"finalized","toBlock":"safe","topics":["soft","safe"]}]"#,
                r#"[{"fromBlock":"0x0","toBlock":"0x20","topics":["soft","safe"]}]"#,
            ),
            (
                "eth_call",
                r#"[{"data":"soft"},{"blockHash":"safe"}]"#,
                r#"[{"data":"soft"},{"blockHash":"safe"}]"#,
            ),
            ("eth_getBalance", "[]", "[]"),
        ] {
            assert_eq!(mapped(name, before, &NUMBERS), after);
        }
    }

    #[test]
    fn only_what_is_named_is_searched_for_and_an_engine_of_op_node_knows_by_itself() {
        let filter = r#"[{"fromBlock":"safe","toBlock":"0x7","topics":["finalized"]}]"#;
        let parameters = read("eth_getLogs", filter).unwrap();
        assert!(parameters.has("safe") && !parameters.has("finalized"));
        let kept = Numbers {
            safe: Some(Named::Kept),
            ..Numbers::default()
        };
        let text = mapped("eth_getBalance", r#"["0x","safe"]"#, &kept);
        assert_eq!(text, r#"["0x","safe"]"#);
    }

    #[test]
    fn every_parameter_that_can_be_a_tag_is_one_in_the_table() {
        let named = |name: &&str| ["block", "newest"].contains(name);
        for method in METHODS.iter().filter(|method| method.proxied) {
            for parameter in method.parameters {
                let is = [BLOCK_TAG, EVENT_FILTER].contains(&parameter.schema);
                assert!(is || !named(&parameter.name), "{}", method.name);
            }
        }
    }

    #[test]
    fn parameters_that_are_no_list_are_refused() {
        for bad in ["{}", "7", "[1", r#"{"0":"soft"}"#, r#"["a", "\ud800"]"#] {
            let Err(error) = read("eth_getBalance", bad) else {
                panic!("{bad} is no list")
            };
            assert_eq!(error.code(), ErrorCode::InvalidParams.describe().0, "{bad}");
        }
    }
}
