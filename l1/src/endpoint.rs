//! One endpoint of L1: JSON-RPC 2.0 over HTTP/1.1, with TLS where its URL says https; bounded in time and size.

use crate::model::{
    BlockRef, BlockTag, Log, LogFilter, Receipt, ToldBlock, ToldFees, ToldLog, ToldReceipt,
};
use crate::transport::Transport;
use crate::url::{EndpointUrl, UrlError};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::Duration;

/// Most letters of somebody else's text that an error holds.
pub(crate) const TEXT_MAX: usize = 300;
/// Most bytes of what a revert says.
const REVERT_BYTES_MAX: usize = 4_096;

/// Limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLimits {
    /// The longest that one request takes.
    pub timeout: Duration,
    /// Most bytes of an answer.
    pub answer_bytes: usize,
    /// Most calls in one request.
    pub batch_calls: usize,
}

impl Default for EndpointLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            answer_bytes: 16 * 1024 * 1024,
            batch_calls: 100,
        }
    }
}

/// Why an endpoint gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL.
    #[error(
        "{which} is not a URL as https://host/key or http://127.0.0.1:8545: {error} (it is not shown, it may hold a secret)"
    )]
    Url {
        /// Which; not its text.
        which: String,
        /// Why.
        error: UrlError,
    },
    /// No connection, or it broke.
    #[error("{url} cannot be reached: {reason}; check that it runs and that the URL is right")]
    Unreachable {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// Whoever answers there does not prove that it is the host of the URL.
    #[error(
        "{url} shows a certificate that this machine does not trust: {reason}; check the URL and the clock; a root of your own goes into the machine's store, or into a file that SSL_CERT_FILE names"
    )]
    Certificate {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// Connected, but nothing came.
    #[error("{url} did not answer {method} within {within:?}")]
    Timeout {
        /// Which.
        url: String,
        /// What was asked.
        method: &'static str,
        /// The limit.
        within: Duration,
    },
    /// Not what was asked for.
    #[error("{url} answered {method} with HTTP status {status}: {text}")]
    Status {
        /// Which.
        url: String,
        /// What was asked.
        method: &'static str,
        /// The status.
        status: u16,
        /// The start of the answer.
        text: String,
    },
    /// Too long.
    #[error("{url} answered {method} with more than {limit} bytes")]
    TooLong {
        /// Which.
        url: String,
        /// What was asked.
        method: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Not JSON-RPC, or of another type.
    #[error("{url} answered {method} with nonsense: {reason}")]
    Nonsense {
        /// Which.
        url: String,
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It refuses.
    #[error("{url} refused {method} (code {code}): {message}")]
    Refused {
        /// Which.
        url: String,
        /// What was asked.
        method: &'static str,
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
        /// What a contract said, when it reverted.
        revert: Option<Bytes>,
    },
}

impl EndpointError {
    /// Whether the endpoint answered in order, but with no.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

/// Sends requests to one address. Cheap to clone; connections are reused.
#[derive(Clone, Debug)]
pub struct Endpoint {
    transport: Transport,
}

impl Endpoint {
    /// To this URL, as `http://127.0.0.1:8545` or `https://host/key`.
    pub fn new(url: &str, limits: EndpointLimits) -> Result<Self, EndpointError> {
        let url = EndpointUrl::parse(url).map_err(|error| EndpointError::Url {
            which: "the L1 endpoint".to_owned(),
            error,
        })?;
        Self::at(url, limits)
    }

    /// To this URL.
    pub fn at(url: EndpointUrl, limits: EndpointLimits) -> Result<Self, EndpointError> {
        let transport = Transport::new(url, limits)?;
        Ok(Self { transport })
    }

    /// Where it sends to: scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        self.transport.url.shown()
    }

    /// The chain id.
    pub async fn chain_id(&self) -> Result<u64, EndpointError> {
        let id: U64 = self.call("eth_chainId", json!([])).await?;
        Ok(id.to())
    }

    /// A block, if there is one.
    pub async fn block(&self, tag: BlockTag) -> Result<Option<BlockRef>, EndpointError> {
        let method = "eth_getBlockByNumber";
        let block: Option<ToldBlock> = self.call(method, json!([tag.param(), false])).await?;
        let block = block.map(|block| block.reference());
        match (tag, block) {
            (BlockTag::Number(asked), Some(told)) if asked != told.number => {
                Err(self.nonsense(method, format!("block {} instead of {asked}", told.number)))
            }
            _ => Ok(block),
        }
    }

    /// What a transaction pays at least per gas: in so many of the newest blocks and in the next one, with its number, oldest first.
    pub async fn base_fees(&self, blocks: u64) -> Result<Vec<(u64, u128)>, EndpointError> {
        let method = "eth_feeHistory";
        let count = U64::from(blocks);
        let params = json!([count, BlockTag::Latest.param(), []]);
        let told: ToldFees = self.call(method, params).await?;
        let fees = told.base_fees(blocks);
        fees.ok_or_else(|| self.nonsense(method, "no base fees of the blocks that were asked for"))
    }

    /// Blocks one after the other; as many as there are.
    pub async fn blocks(&self, from: u64, to: u64) -> Result<Vec<BlockRef>, EndpointError> {
        let method = "eth_getBlockByNumber";
        let mut blocks = Vec::new();
        let mut next = from;
        while next <= to {
            let count = (to - next)
                .saturating_add(1)
                .min(self.transport.limits.batch_calls as u64);
            let params = (next..next.saturating_add(count))
                .map(|number| json!([BlockTag::Number(number).param(), false]));
            let told: Vec<Option<ToldBlock>> = self.batch(method, params.collect()).await?;
            for (asked, told) in (next..).zip(told) {
                let Some(block) = told.map(|block| block.reference()) else {
                    return Ok(blocks);
                };
                if block.number != asked {
                    let reason = format!("block {} instead of {asked}", block.number);
                    return Err(self.nonsense(method, reason));
                }
                blocks.push(block);
            }
            next = next.saturating_add(count);
        }
        Ok(blocks)
    }

    /// Logs in order, none but those asked for.
    pub async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>, EndpointError> {
        let method = "eth_getLogs";
        let told: Vec<ToldLog> = self.call(method, json!([filter.param()])).await?;
        let mut logs: Vec<Log> = told.into_iter().filter_map(ToldLog::log).collect();
        if logs.iter().any(|log| !filter.admits(log)) {
            return Err(self.nonsense(method, "a log that was not asked for"));
        }
        logs.sort_by_key(|log| (log.number, log.index));
        if logs
            .windows(2)
            .any(|two| (two[0].number, two[0].index) == (two[1].number, two[1].index))
        {
            return Err(self.nonsense(method, "two logs at one place"));
        }
        Ok(logs)
    }

    /// What a call of a contract returns.
    pub async fn read(
        &self,
        to: Address,
        data: &Bytes,
        at: BlockTag,
    ) -> Result<Bytes, EndpointError> {
        let call = json!({"to": to, "input": data});
        self.call("eth_call", json!([call, at.param()])).await
    }

    /// What a transaction would return, by this sender.
    pub async fn simulate(
        &self,
        from: Address,
        to: Option<Address>,
        value: U256,
        data: &Bytes,
        at: BlockTag,
    ) -> Result<Bytes, EndpointError> {
        let call = json!({"from": from, "to": to, "value": value, "input": data});
        self.call("eth_call", json!([call, at.param()])).await
    }

    /// The gas that a transaction would use.
    pub async fn estimate(
        &self,
        from: Address,
        to: Option<Address>,
        value: U256,
        data: &Bytes,
    ) -> Result<u64, EndpointError> {
        let mut call = json!({"from": from, "value": value, "input": data});
        if let Some(to) = to {
            call["to"] = json!(to);
        }
        let gas: U64 = self.call("eth_estimateGas", json!([call])).await?;
        Ok(gas.to())
    }

    /// Transactions that an account has sent.
    pub async fn nonce(&self, account: Address, at: BlockTag) -> Result<u64, EndpointError> {
        let params = json!([account, at.param()]);
        let nonce: U64 = self.call("eth_getTransactionCount", params).await?;
        Ok(nonce.to())
    }

    /// What an account has, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, EndpointError> {
        let params = json!([account, BlockTag::Latest.param()]);
        self.call("eth_getBalance", params).await
    }

    /// The code at an address.
    pub async fn code(&self, address: Address) -> Result<Bytes, EndpointError> {
        let params = json!([address, BlockTag::Latest.param()]);
        self.call("eth_getCode", params).await
    }

    /// The tip that others pay per gas.
    pub async fn priority_fee(&self) -> Result<u128, EndpointError> {
        let fee: U256 = self.call("eth_maxPriorityFeePerGas", json!([])).await?;
        Ok(fee.try_into().unwrap_or(u128::MAX))
    }

    /// Send a signed transaction; its hash.
    pub async fn send_raw(&self, raw: &[u8]) -> Result<B256, EndpointError> {
        let params = json!([const_hex::encode_prefixed(raw)]);
        self.call("eth_sendRawTransaction", params).await
    }

    /// What became of a transaction, if it is in a block.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, EndpointError> {
        let method = "eth_getTransactionReceipt";
        let told: Option<ToldReceipt> = self.call(method, json!([transaction])).await?;
        let receipt = told.map(ToldReceipt::receipt);
        match receipt {
            Some(receipt) if receipt.transaction != transaction => {
                Err(self.nonsense(method, "the receipt of another transaction"))
            }
            receipt => Ok(receipt),
        }
    }

    /// One call.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, EndpointError> {
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params});
        let body = self.transport.post(method, request.to_string()).await?;
        let answer: Answer<'_> =
            serde_json::from_slice(&body).map_err(|error| self.nonsense(method, error))?;
        self.take(method, 0, &answer)
    }

    /// The same call many times over, in one request; an answer for each, in order. At most `batch_calls`.
    async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<T>, EndpointError> {
        assert!(
            params.len() <= self.transport.limits.batch_calls,
            "asked in pieces"
        );
        let calls = params.into_iter().enumerate();
        let calls: Vec<Value> = calls
            .map(|(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .collect();
        let count = calls.len();
        let calls = Value::Array(calls).to_string();
        let body = self.transport.post(method, calls).await?;
        let mut answers: Vec<Answer<'_>> = match serde_json::from_slice(&body) {
            Ok(answers) => answers,
            // Some refuse a batch as a whole.
            Err(error) => match serde_json::from_slice::<Answer<'_>>(&body) {
                Ok(answer) if answer.error.is_some() => return self.take(method, 0, &answer),
                _ => return Err(self.nonsense(method, error)),
            },
        };
        if answers.len() != count {
            let reason = format!("{} answers to {count} calls", answers.len());
            return Err(self.nonsense(method, reason));
        }
        answers.sort_by_key(|answer| answer.id);
        let answers = (0..).zip(&answers);
        answers
            .map(|(id, answer)| self.take(method, id, answer))
            .collect()
    }

    fn take<T: DeserializeOwned>(
        &self,
        method: &'static str,
        id: u64,
        answer: &Answer<'_>,
    ) -> Result<T, EndpointError> {
        if let Some(error) = answer.error.filter(|error| error.get() != "null") {
            let refusal: Refusal =
                serde_json::from_str(error.get()).map_err(|error| self.nonsense(method, error))?;
            return Err(EndpointError::Refused {
                url: self.url().to_owned(),
                method,
                code: refusal.code,
                message: self.transport.repeat(&refusal.message),
                revert: revert_bytes(&refusal.data),
            });
        }
        if answer.id != Some(id) {
            return Err(self.nonsense(method, "the answer to another call"));
        }
        let result = answer.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|error| self.nonsense(method, error))
    }

    fn nonsense(&self, method: &'static str, reason: impl ToString) -> EndpointError {
        EndpointError::Nonsense {
            url: self.url().to_owned(),
            method,
            reason: self.transport.repeat(&reason.to_string()),
        }
    }
}

/// What a contract said: `"0x.."`, or somewhere inside an object, as nodes differ.
fn revert_bytes(data: &Value) -> Option<Bytes> {
    let text = match data {
        Value::String(text) => text,
        Value::Object(fields) => match fields.get("data").or_else(|| fields.get("result"))? {
            Value::String(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    let digits = text.strip_prefix("0x")?;
    if digits.len() > 2 * REVERT_BYTES_MAX {
        return None;
    }
    const_hex::decode(digits).ok().map(Bytes::from)
}
