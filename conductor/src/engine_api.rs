//! The calls of the Engine API (Cancun) that a conductor needs.
//!
//! <https://github.com/ethereum/execution-apis/blob/main/src/engine/cancun.md>

use crate::execution::DriverError;
use crate::rpc::{Rpc, RpcRefusal};
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `ExecutionPayloadV3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "the fields of the specification by their names"
)]
pub struct Payload {
    pub parent_hash: B256,
    pub fee_recipient: Address,
    pub state_root: B256,
    pub receipts_root: B256,
    pub logs_bloom: Bloom,
    pub prev_randao: B256,
    pub block_number: U64,
    pub gas_limit: U64,
    pub gas_used: U64,
    pub timestamp: U64,
    pub extra_data: Bytes,
    pub base_fee_per_gas: U256,
    pub block_hash: B256,
    pub transactions: Vec<Bytes>,
    #[serde(default)]
    pub withdrawals: Vec<Value>,
    #[serde(default)]
    pub blob_gas_used: U64,
    #[serde(default)]
    pub excess_blob_gas: U64,
}

/// What to build: `PayloadAttributesV3` with the fields that the OP Stack adds.
/// <https://specs.optimism.io/protocol/exec-engine.html#extended-payloadattributesv3>
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "the fields of the specification by their names"
)]
pub struct Attributes {
    pub timestamp: U64,
    pub prev_randao: B256,
    pub suggested_fee_recipient: Address,
    pub withdrawals: [Value; 0],
    pub parent_beacon_block_root: B256,
    pub transactions: Vec<Bytes>,
    pub no_tx_pool: bool,
    pub gas_limit: U64,
}

/// `PayloadStatusV1`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `VALID`, `INVALID`, `SYNCING`, `ACCEPTED` or `INVALID_BLOCK_HASH`.
    pub status: String,
    /// Why not.
    #[serde(default)]
    pub validation_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Forkchoice {
    payload_status: Status,
    payload_id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    execution_payload: Payload,
}

/// What an engine says to attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// A payload.
    Payload(Box<Payload>),
    /// They cannot be executed.
    Invalid(String),
}

/// What is called.
const METHODS: [&str; 3] = [
    "engine_forkchoiceUpdatedV3",
    "engine_getPayloadV3",
    "engine_newPayloadV3",
];
/// `Invalid payload attributes`.
const CODE_INVALID_ATTRIBUTES: i64 = -38_003;

/// An engine.
#[derive(Clone, Debug)]
pub struct Engine {
    rpc: Rpc,
}

impl Engine {
    /// Behind this endpoint, which has a secret.
    #[must_use]
    pub const fn new(rpc: Rpc) -> Self {
        Self { rpc }
    }

    /// Its endpoint.
    #[must_use]
    pub const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Whether it speaks to us, and knows the calls that are needed.
    pub async fn check(&self) -> Result<(), DriverError> {
        let method = "engine_exchangeCapabilities";
        let known: Vec<String> = self.rpc.call(method, json!([METHODS])).await?;
        match METHODS
            .iter()
            .find(|name| !known.iter().any(|one| one == *name))
        {
            None => Ok(()),
            Some(missing) => Err(self.rpc.wrong(method, format!("it lacks {missing}"))),
        }
    }

    /// Make a block the head.
    pub async fn set_head(&self, number: u64, hash: B256) -> Result<(), DriverError> {
        let answer: Forkchoice = self
            .rpc
            .call("engine_forkchoiceUpdatedV3", json!([state(hash), null]))
            .await?;
        self.expect_valid(number, &answer.payload_status)
    }

    /// Execute a payload; it must be valid.
    pub async fn new_payload(&self, payload: &Payload, beacon: B256) -> Result<(), DriverError> {
        let params = json!([payload, [], beacon]);
        let status: Status = self.rpc.call("engine_newPayloadV3", params).await?;
        self.expect_valid(payload.block_number.to(), &status)
    }

    /// Build the payload of this number over a block from attributes.
    pub async fn build(
        &self,
        number: u64,
        parent: B256,
        attributes: &Attributes,
    ) -> Result<Built, DriverError> {
        let method = "engine_forkchoiceUpdatedV3";
        let params = json!([state(parent), attributes]);
        let answer: Forkchoice = match self.rpc.try_call(method, params).await? {
            Ok(answer) => answer,
            Err(RpcRefusal {
                code: CODE_INVALID_ATTRIBUTES,
                message,
            }) => return Ok(Built::Invalid(message)),
            Err(refusal) => return Err(self.rpc.refused(method, refusal)),
        };
        let status = answer.payload_status;
        if status.status == "INVALID" {
            let reason = status.validation_error.unwrap_or_default();
            return Ok(Built::Invalid(reason));
        }
        self.expect_valid(number, &status)?;
        let id = answer
            .payload_id
            .ok_or_else(|| self.rpc.wrong(method, "no payload id"))?;
        let method = "engine_getPayloadV3";
        let envelope: Envelope = self.rpc.call(method, json!([id])).await?;
        Ok(Built::Payload(Box::new(envelope.execution_payload)))
    }

    fn expect_valid(&self, number: u64, status: &Status) -> Result<(), DriverError> {
        let url = self.rpc.url().to_owned();
        let reason = status.validation_error.clone().unwrap_or_default();
        match status.status.as_str() {
            "VALID" => Ok(()),
            "SYNCING" | "ACCEPTED" => Err(DriverError::Syncing {
                url,
                reason: format!("it answers {}", status.status),
            }),
            other => Err(DriverError::Invalid {
                url,
                number,
                status: other.to_owned(),
                reason,
            }),
        }
    }
}

/// Head and safe block are what was executed; finality comes from L1.
fn state(head: B256) -> Value {
    json!({"headBlockHash": head, "safeBlockHash": head, "finalizedBlockHash": B256::ZERO})
}
