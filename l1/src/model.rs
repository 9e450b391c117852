//! What an endpoint tells of L1, as it comes over JSON-RPC.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Deserialize, Serialize};

/// Most topics of a log.
const TOPICS_MAX: usize = 4;

/// A block of L1, without what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
}

impl std::fmt::Display for BlockRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// A block as it is told.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToldBlock {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

impl ToldBlock {
    pub(crate) fn reference(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash,
            parent: self.parent_hash,
            timestamp: self.timestamp.to(),
        }
    }
}

/// Base fees as they are told.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToldFees {
    oldest_block: U64,
    #[serde(default)]
    base_fee_per_gas: Vec<U256>,
}

impl ToldFees {
    /// Of each block, oldest first; the last is that of the block to come. None if there are none, or more than were asked for.
    pub(crate) fn base_fees(&self, blocks: u64) -> Option<Vec<(u64, u128)>> {
        let oldest: u64 = self.oldest_block.to();
        let count = u64::try_from(self.base_fee_per_gas.len()).ok()?;
        let next = oldest.checked_add(count)?;
        let fees = self.base_fee_per_gas.iter();
        let fees = fees.map(|fee| u128::try_from(*fee).unwrap_or(u128::MAX));
        (2..=blocks.saturating_add(1))
            .contains(&count)
            .then(|| (oldest..next).zip(fees).collect())
    }
}

/// An event of a contract, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// What it is about; the first is the hash of the event's signature.
    pub topics: Vec<B256>,
    /// The fields that are no topics.
    pub data: Bytes,
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub block: B256,
    /// The transaction.
    pub transaction: B256,
    /// The place in the block, over all logs.
    pub index: u64,
}

/// A log as it is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToldLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    log_index: Option<U64>,
    #[serde(default)]
    removed: bool,
}

impl ToldLog {
    /// None for one that is pending, removed, or has too many topics.
    pub(crate) fn log(self) -> Option<Log> {
        if self.removed || self.topics.len() > TOPICS_MAX {
            return None;
        }
        Some(Log {
            address: self.address,
            topics: self.topics,
            data: self.data,
            number: self.block_number?.to(),
            block: self.block_hash?,
            transaction: self.transaction_hash?,
            index: self.log_index?.to(),
        })
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction: B256,
    /// The number of its block.
    pub number: u64,
    /// The hash of its block.
    pub block: B256,
    /// False if it was reverted.
    pub succeeded: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// Wei that it paid for each.
    pub gas_price: u128,
    /// The contract that it created.
    pub created: Option<Address>,
    /// What the contracts told.
    #[serde(skip)]
    pub logs: Vec<Log>,
}

/// A receipt as it is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToldReceipt {
    transaction_hash: B256,
    block_number: U64,
    block_hash: B256,
    status: U64,
    gas_used: U64,
    #[serde(default)]
    effective_gas_price: Option<U256>,
    #[serde(default)]
    contract_address: Option<Address>,
    #[serde(default)]
    logs: Vec<ToldLog>,
}

impl ToldReceipt {
    pub(crate) fn receipt(self) -> Receipt {
        let price = self.effective_gas_price.unwrap_or_default();
        Receipt {
            transaction: self.transaction_hash,
            number: self.block_number.to(),
            block: self.block_hash,
            succeeded: self.status == U64::from(1),
            gas_used: self.gas_used.to(),
            gas_price: price.try_into().unwrap_or(u128::MAX),
            created: self.contract_address,
            logs: self.logs.into_iter().filter_map(ToldLog::log).collect(),
        }
    }
}

/// A block to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTag {
    /// The newest.
    Latest,
    /// The newest that is safe.
    Safe,
    /// The newest that is final.
    Finalized,
    /// What is being built.
    Pending,
    /// This one.
    Number(u64),
}

impl BlockTag {
    /// As a parameter.
    pub(crate) fn param(self) -> serde_json::Value {
        match self {
            Self::Latest => "latest".into(),
            Self::Safe => "safe".into(),
            Self::Finalized => "finalized".into(),
            Self::Pending => "pending".into(),
            Self::Number(number) => format!("{number:#x}").into(),
        }
    }
}

/// Which logs are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// The first block.
    pub from: u64,
    /// The last block.
    pub to: u64,
    /// Contracts.
    pub addresses: Vec<Address>,
    /// First topics; empty: all.
    pub topics: Vec<B256>,
}

impl LogFilter {
    /// As a parameter.
    pub(crate) fn param(&self) -> serde_json::Value {
        let mut filter = serde_json::json!({
            "fromBlock": format!("{:#x}", self.from),
            "toBlock": format!("{:#x}", self.to),
            "address": self.addresses,
        });
        if !self.topics.is_empty() {
            filter["topics"] = serde_json::json!([self.topics]);
        }
        filter
    }

    /// Whether this was asked for.
    #[must_use]
    pub fn admits(&self, log: &Log) -> bool {
        let topic = log.topics.first();
        (self.from..=self.to).contains(&log.number)
            && self.addresses.contains(&log.address)
            && (self.topics.is_empty() || topic.is_some_and(|topic| self.topics.contains(topic)))
    }
}
