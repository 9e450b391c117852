//! What methods answer, as the client reads it too.

use super::submit::{ANSWER_BYTES_MAX, SUBMIT_MANY_MAX};
use crate::config::RpcConfig;
use crate::handle::CommittedBlock;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_mempool::Limits;
use outrider_types::bundle::BundleId;
use outrider_types::limits::{PAYLOAD_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX};
use outrider_types::{
    Block, BlockId, FinalityCertificate, Height, MemberIndex, RollupId, Timestamp, TransactionId,
    View,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Answer of `outrider_submitBundle`.
#[derive(Clone, Debug, Serialize)]
pub struct SubmittedBundle {
    /// The bundle.
    pub bundle: BundleId,
    /// Ids of its transactions, in the order of the parts.
    pub ids: Vec<TransactionId>,
}

/// Answer of `outrider_submit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Id of the transaction.
    pub id: TransactionId,
}

/// What became of one transaction of `outrider_submitMany`: an id, or an error. Not an untagged enum, in which the data of
/// an error could not be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmittedOne {
    /// Its id, if it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TransactionId>,
    /// The error that `outrider_submit` gives, if it was not; the others are not concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObjectOwned>,
}

impl From<Result<Submitted, ErrorObjectOwned>> for SubmittedOne {
    fn from(answer: Result<Submitted, ErrorObjectOwned>) -> Self {
        let (id, error) = match answer {
            Ok(Submitted { id }) => (Some(id), None),
            Err(error) => (None, Some(error)),
        };
        Self { id, error }
    }
}

/// Answer to transactions as bytes: who sends them knows their ids, so only what was refused is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SubmittedBytes {
    /// How many were taken.
    pub taken: usize,
    /// The others, in order.
    pub refused: Vec<Refusal>,
}

/// A transaction of a body that was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which, from 0.
    pub index: usize,
    /// The error that `outrider_submit` gives.
    pub error: ErrorObjectOwned,
}

/// A transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedTransaction {
    /// Its rollup.
    pub rollup: RollupId,
    /// Its id.
    pub id: TransactionId,
    /// Its bytes in hex, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// Answer of `outrider_block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedBlock {
    /// Its id.
    pub id: BlockId,
    /// Its header.
    pub header: Block,
    /// Proof that it or a descendant is final.
    pub certificate: FinalityCertificate,
    /// What it orders.
    pub transactions: Vec<ServedTransaction>,
}

impl ServedBlock {
    pub(crate) fn new(block: &CommittedBlock, with_data: bool) -> Self {
        let mut ids = block.transactions.iter();
        let mut transactions = Vec::with_capacity(block.transactions.len());
        for batch in &block.payload.batches {
            for data in &batch.transactions {
                let Some(id) = ids.next() else { continue };
                let data = with_data.then(|| const_hex::encode_prefixed(data));
                transactions.push(ServedTransaction {
                    rollup: batch.rollup,
                    id: *id,
                    data,
                });
            }
        }
        Self {
            id: block.id,
            header: block.block,
            certificate: (*block.certificate).clone(),
            transactions,
        }
    }
}

/// A final block in a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Ids of what it orders, in order.
    pub transactions: Vec<TransactionId>,
}

/// An item of `outrider_subscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Notification {
    /// A final block.
    Block(BlockInfo),
    /// The reader was too slow; this many blocks were passed over, and nothing follows.
    Lagged {
        /// How many.
        lagged: u64,
    },
}

/// Answer of `outrider_limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsInfo {
    /// The rollups that are ordered; null: any.
    pub rollups: Option<BTreeSet<RollupId>>,
    /// Bytes of one transaction.
    pub transaction_bytes_max: usize,
    /// Bytes of one block's payload.
    pub payload_bytes_max: usize,
    /// Transactions of one block.
    pub transactions_per_block_max: usize,
    /// Bytes of one request or WebSocket message.
    pub request_bytes_max: u32,
    /// Bytes of one answer.
    pub response_bytes_max: u32,
    /// Transactions of one `outrider_submitMany`, or of one body at `/rollup/{id}/submit`.
    pub transactions_per_request_max: usize,
    /// Calls in one batch.
    pub batch_calls_max: u32,
    /// Subscriptions of one connection.
    pub subscriptions_per_connection_max: u32,
}

impl LimitsInfo {
    pub(crate) fn new(config: &RpcConfig, mempool: &Limits) -> Self {
        Self {
            rollups: mempool.rollups.clone(),
            transaction_bytes_max: mempool.transaction_bytes,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            transactions_per_block_max: TRANSACTIONS_PER_PAYLOAD_MAX,
            request_bytes_max: config.max_request_bytes,
            response_bytes_max: config.max_response_bytes,
            // So many that the answer fits, whatever it is.
            transactions_per_request_max: SUBMIT_MANY_MAX
                .min(config.max_response_bytes as usize / ANSWER_BYTES_MAX),
            batch_calls_max: config.max_batch_calls,
            subscriptions_per_connection_max: config.max_subscriptions_per_connection,
        }
    }
}

/// Answer of `outrider_health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Which member answers; none if it only follows.
    pub member: Option<MemberIndex>,
    /// Height of its last final block.
    pub height: Height,
    /// Its current view.
    pub view: View,
    /// Whether it is behind what others have shown it.
    pub syncing: bool,
}
