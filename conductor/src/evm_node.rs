//! What every EVM node serves over JSON-RPC: blocks, accounts, receipts.

use crate::aggregate::Interval;
use crate::evm::{Account, Candidate, Environment, Parent, decode_all, screen, senders};
use crate::execution::{BlockRef, DriverError, Executed};
use crate::rpc::Rpc;
use crate::skip::{SkipReason, Skipped};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use outrider_types::RollupId;
use outrider_types::crypto::sha256;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A block as a node serves it, with the hashes of its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvmBlock {
    /// Its hash.
    pub hash: B256,
    /// Its number.
    pub number: U64,
    /// The block before.
    pub parent_hash: B256,
    /// Who gets the tips.
    pub miner: Address,
    /// The state after it.
    pub state_root: B256,
    /// Root of its transactions.
    pub transactions_root: B256,
    /// Root of its receipts.
    pub receipts_root: B256,
    /// Filter over its logs.
    pub logs_bloom: Bloom,
    /// Seconds since the Unix epoch.
    pub timestamp: U64,
    /// Gas limit.
    pub gas_limit: U64,
    /// Gas used.
    pub gas_used: U64,
    /// Whatever its builder wrote.
    #[serde(default)]
    pub extra_data: Bytes,
    /// Randomness.
    pub mix_hash: B256,
    /// Base fee per gas.
    #[serde(default)]
    pub base_fee_per_gas: U64,
    /// Root of withdrawals.
    #[serde(default)]
    pub withdrawals_root: Option<B256>,
    /// EIP-4844.
    #[serde(default)]
    pub blob_gas_used: Option<U64>,
    /// EIP-4844.
    #[serde(default)]
    pub excess_blob_gas: Option<U64>,
    /// EIP-4788.
    #[serde(default)]
    pub parent_beacon_block_root: Option<B256>,
    /// Hashes of its transactions, in order.
    pub transactions: Vec<B256>,
}

impl EvmBlock {
    /// Number and hash.
    #[must_use]
    pub fn reference(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash,
        }
    }

    fn parent(&self) -> Parent {
        Parent {
            timestamp: self.timestamp.to(),
            base_fee: self.base_fee_per_gas.to(),
            gas_limit: self.gas_limit.to(),
            gas_used: self.gas_used.to(),
        }
    }

    /// Whether this is what comes of executing these candidates over that parent, as far as can be seen: nothing else is in
    /// it, and its environment is right.
    fn is_of(&self, parent: BlockRef, plan: &Plan) -> bool {
        let environment = &plan.environment;
        self.parent_hash == parent.hash
            && self.timestamp.to::<u64>() == environment.timestamp
            && self.base_fee_per_gas.to::<u64>() == environment.base_fee
            && self.miner == environment.coinbase
            && plan.places(&self.transactions).is_some()
    }
}

/// What is to be executed, after the rules that need no EVM.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Under what.
    pub environment: Environment,
    /// What may be executed, in order.
    pub candidates: Vec<Candidate>,
    /// What may not.
    pub skipped: Vec<Skipped>,
}

impl Plan {
    /// Places among the candidates of these transactions, if they are some of them in the same order.
    #[must_use]
    pub fn places(&self, hashes: &[B256]) -> Option<Vec<usize>> {
        let mut places = Vec::with_capacity(hashes.len());
        let mut next = 0;
        for hash in hashes {
            let found = self.candidates[next..]
                .iter()
                .position(|candidate| candidate.hash == *hash)?;
            places.push(next + found);
            next += found + 1;
        }
        Some(places)
    }
}

/// What a transaction did.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    gas_used: U64,
    cumulative_gas_used: U64,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

/// The same on every node.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        for Log {
            address,
            topics,
            data,
        } in &self.logs
        {
            bytes.extend_from_slice(address.as_slice());
            bytes.extend_from_slice(&(topics.len() as u64).to_be_bytes());
            for topic in topics {
                bytes.extend_from_slice(topic.as_slice());
            }
            bytes.extend_from_slice(&(data.len() as u64).to_be_bytes());
            bytes.extend_from_slice(data);
        }
        let logs = B256::from(sha256(&[&bytes]));
        let (status, gas) = (self.status, self.gas_used);
        write!(f, "status {status} gas {gas} logs {logs}")
    }
}

/// An EVM node.
#[derive(Clone, Debug)]
pub struct EvmNode {
    rpc: Rpc,
    rollup: RollupId,
    coinbase: Address,
}

impl EvmNode {
    /// At this endpoint; blocks pay their tips to `coinbase`.
    #[must_use]
    pub const fn new(rpc: Rpc, rollup: RollupId, coinbase: Address) -> Self {
        Self {
            rpc,
            rollup,
            coinbase,
        }
    }

    /// Its endpoint.
    #[must_use]
    pub const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Whether it is of the rollup's chain.
    pub async fn check(&self, rollup: RollupId) -> Result<(), DriverError> {
        let found: U64 = self.rpc.call("eth_chainId", json!([])).await?;
        let (found, expected) = (found.to(), rollup.0);
        if found == expected {
            return Ok(());
        }
        Err(DriverError::ChainId {
            url: self.rpc.url().to_owned(),
            found,
            expected,
        })
    }

    /// The block of a number, or the last one.
    pub async fn block(&self, number: Option<u64>) -> Result<Option<EvmBlock>, DriverError> {
        let method = "eth_getBlockByNumber";
        let at = number.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"));
        self.rpc.call(method, json!([at, false])).await
    }

    /// The last block.
    pub async fn head(&self) -> Result<EvmBlock, DriverError> {
        let head = self.block(None).await?;
        head.ok_or_else(|| {
            self.rpc
                .wrong("eth_getBlockByNumber", "there is no last block")
        })
    }

    /// The block, if it is this one.
    pub async fn parent(&self, parent: BlockRef) -> Result<EvmBlock, DriverError> {
        let block = self.block(Some(parent.number)).await?;
        block
            .filter(|block| block.hash == parent.hash)
            .ok_or_else(|| DriverError::NoParent {
                url: self.rpc.url().to_owned(),
                parent,
            })
    }

    /// Accounts after a block.
    async fn accounts(
        &self,
        number: u64,
        addresses: &BTreeSet<Address>,
    ) -> Result<BTreeMap<Address, Account>, DriverError> {
        let at = format!("{number:#x}");
        let params = || addresses.iter().map(|address| json!([address, at]));
        let nonces = self.all::<U64>("eth_getTransactionCount", params().collect());
        let nonces = nonces.await?;
        let balances = self
            .all::<U256>("eth_getBalance", params().collect())
            .await?;
        let codes = self.all::<Bytes>("eth_getCode", params().collect()).await?;
        let parts = nonces.into_iter().zip(balances).zip(codes);
        let accounts = parts.map(|((nonce, balance), code)| Account {
            nonce: nonce.to(),
            balance,
            has_code: !code.is_empty(),
        });
        Ok(addresses.iter().copied().zip(accounts).collect())
    }

    async fn all<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<T>, DriverError> {
        let answers = self.rpc.batch(method, params).await?;
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.map_err(|refusal| self.rpc.refused(method, refusal)))
            .collect()
    }

    /// What is to be executed over a parent.
    pub async fn plan(&self, parent: &EvmBlock, interval: &Interval) -> Result<Plan, DriverError> {
        let seconds = interval.start.0 / 1_000_000;
        let environment = Environment::after(&parent.parent(), seconds, self.coinbase);
        let (candidates, mut skipped) = decode_all(self.rollup, &interval.transactions);
        let number = parent.number.to();
        let accounts = self.accounts(number, &senders(&candidates)).await?;
        let (candidates, more) = screen(&environment, candidates, &accounts);
        skipped.extend(more);
        Ok(Plan {
            environment,
            candidates,
            skipped,
        })
    }

    /// The child of a parent, if it was built from this plan before.
    pub async fn built_before(
        &self,
        parent: BlockRef,
        plan: &Plan,
    ) -> Result<Option<EvmBlock>, DriverError> {
        let child = self.block(Some(parent.number + 1)).await?;
        Ok(child.filter(|child| child.is_of(parent, plan)))
    }

    /// What became of a plan in a block that was built from it.
    pub async fn outcome(&self, block: &EvmBlock, plan: Plan) -> Result<Executed, DriverError> {
        let number = block.number.to();
        let places = plan
            .places(&block.transactions)
            .ok_or_else(|| DriverError::Order {
                url: self.rpc.url().to_owned(),
                number,
            })?;
        let receipts = self.receipts(number, places.len()).await?;
        let mut skipped = plan.skipped;
        if places.len() < plan.candidates.len() {
            let used = receipts.iter().map(|one| one.cumulative_gas_used.to());
            let used: Vec<u64> = used.collect();
            skipped.extend(refused(&plan.environment, &plan.candidates, &places, &used));
        }
        skipped.sort_by_key(|one| one.index);
        Ok(Executed {
            block: block.reference(),
            state_root: block.state_root,
            included: places
                .into_iter()
                .map(|place| plan.candidates[place].index)
                .collect(),
            results: receipts.iter().map(Receipt::to_string).collect(),
            skipped,
        })
    }

    /// Of each transaction of a block.
    async fn receipts(&self, number: u64, count: usize) -> Result<Vec<Receipt>, DriverError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let method = "eth_getBlockReceipts";
        let at = format!("{number:#x}");
        let receipts: Option<Vec<Receipt>> = self.rpc.call(method, json!([at])).await?;
        let receipts = receipts.unwrap_or_default();
        if receipts.len() != count {
            return Err(self
                .rpc
                .wrong(method, "not one receipt for each transaction"));
        }
        Ok(receipts)
    }
}

/// Why the EVM left out those candidates that are in no place: in the order of the rules, from what it used before each.
fn refused(
    environment: &Environment,
    candidates: &[Candidate],
    places: &[usize],
    used: &[u64],
) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    let mut missing: BTreeMap<Address, u64> = BTreeMap::new();
    let mut included = places.iter().zip(used).peekable();
    let mut gas = 0;
    for (place, candidate) in candidates.iter().enumerate() {
        if let Some((_, after)) = included.next_if(|(at, _)| **at == place) {
            gas = *after;
            continue;
        }
        let found = candidate.envelope.nonce();
        let (limit, left) = (
            candidate.envelope.gas_limit(),
            environment.gas_limit.saturating_sub(gas),
        );
        let why = match missing.get(&candidate.sender) {
            Some(&expected) => SkipReason::NonceTooHigh { found, expected },
            None if limit > left => SkipReason::BlockGas { limit, left },
            None => SkipReason::refused("the virtual machine refuses it at its turn"),
        };
        missing.entry(candidate.sender).or_insert(found);
        skipped.push(Skipped {
            index: candidate.index,
            why,
        });
    }
    skipped
}
