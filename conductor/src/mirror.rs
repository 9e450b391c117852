//! Two independent EVMs: what anvil built is given to an engine as a block of its own chain, which must find it valid.
//!
//! The two chains have the same states but other hashes, because anvil's genesis header does not commit to its accounts. So
//! each block gets a new header over the engine's parent. The hash that counts is anvil's.
//!
//! For tests: anvil 1.7.1 keeps touched accounts that are empty in its trie, against EIP-161. After the first of them its roots
//! are not those of an engine, and this driver stops.

use crate::aggregate::Interval;
use crate::anvil::AnvilDriver;
use crate::engine_api::{Engine, Payload};
use crate::evm_node::{EvmBlock, EvmNode};
use crate::execution::{BlockRef, DriverError, Executed, ExecutionDriver};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{B64, B256, Bytes, U256};
use outrider_types::RollupId;
use serde_json::json;

/// An anvil that builds and an engine that checks.
#[derive(Clone, Debug)]
pub struct MirrorDriver {
    builder: AnvilDriver,
    /// The engine's blocks.
    mirror: EvmNode,
    engine: Engine,
}

impl MirrorDriver {
    /// Blocks of `builder` are checked by `engine`, which shows its chain at `mirror`.
    #[must_use]
    pub const fn new(builder: AnvilDriver, mirror: EvmNode, engine: Engine) -> Self {
        Self {
            builder,
            mirror,
            engine,
        }
    }

    /// Give the engine every block up to this number that it does not have.
    async fn catch_up(&self, to: u64) -> Result<(), DriverError> {
        let mut parent = self.mirror.head().await?;
        // It may have more than the builder, which was restarted empty: that is compared, not built again.
        let first = parent.number.to::<u64>() + 1;
        if first > to {
            return self.compare(to).await;
        }
        for number in first..=to {
            parent = self.hand_over(&parent, number).await?;
        }
        Ok(())
    }

    /// The engine's block of this number must have the state of the builder's.
    async fn compare(&self, number: u64) -> Result<(), DriverError> {
        let ours = self.builder.node().block(Some(number)).await?;
        let theirs = self.mirror.block(Some(number)).await?;
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours.state_root == theirs.state_root => Ok(()),
            (ours, theirs) => {
                let root = |block: Option<EvmBlock>| block.map(|block| block.state_root);
                Err(DriverError::Invalid {
                    url: self.mirror.rpc().url().to_owned(),
                    number,
                    status: "DIFFERENT".to_owned(),
                    reason: format!("state roots {:?} and {:?}", root(ours), root(theirs)),
                })
            }
        }
    }

    async fn hand_over(&self, parent: &EvmBlock, number: u64) -> Result<EvmBlock, DriverError> {
        let builder = self.builder.node();
        let block = builder.block(Some(number)).await?;
        let block = block.ok_or_else(|| {
            builder
                .rpc()
                .wrong("eth_getBlockByNumber", format!("block {number} is gone"))
        })?;
        let transactions = self.raw_transactions(&block).await?;
        let (payload, beacon) = rehead(&block, parent.hash, transactions);
        self.engine.new_payload(&payload, beacon).await?;
        self.engine.set_head(number, payload.block_hash).await?;
        self.mirror
            .parent(BlockRef {
                number,
                hash: payload.block_hash,
            })
            .await
    }

    async fn raw_transactions(&self, block: &EvmBlock) -> Result<Vec<Bytes>, DriverError> {
        let (rpc, method) = (self.builder.node().rpc(), "eth_getRawTransactionByHash");
        let params = block.transactions.iter().map(|hash| json!([hash]));
        let answers = rpc.batch::<Bytes>(method, params.collect()).await?;
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.map_err(|refusal| rpc.refused(method, refusal)))
            .collect()
    }
}

/// The same block over another parent, as a payload, and its beacon root.
fn rehead(block: &EvmBlock, parent: B256, transactions: Vec<Bytes>) -> (Payload, B256) {
    let beacon = block.parent_beacon_block_root.unwrap_or_default();
    let header = Header {
        parent_hash: parent,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: block.miner,
        state_root: block.state_root,
        transactions_root: block.transactions_root,
        receipts_root: block.receipts_root,
        logs_bloom: block.logs_bloom,
        difficulty: U256::ZERO,
        number: block.number.to(),
        gas_limit: block.gas_limit.to(),
        gas_used: block.gas_used.to(),
        timestamp: block.timestamp.to(),
        extra_data: block.extra_data.clone(),
        mix_hash: block.mix_hash,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(block.base_fee_per_gas.to()),
        withdrawals_root: block.withdrawals_root,
        blob_gas_used: Some(block.blob_gas_used.unwrap_or_default().to()),
        excess_blob_gas: Some(block.excess_blob_gas.unwrap_or_default().to()),
        parent_beacon_block_root: Some(beacon),
        ..Header::default()
    };
    let payload = Payload {
        parent_hash: parent,
        fee_recipient: block.miner,
        state_root: block.state_root,
        receipts_root: block.receipts_root,
        logs_bloom: block.logs_bloom,
        prev_randao: block.mix_hash,
        block_number: block.number,
        gas_limit: block.gas_limit,
        gas_used: block.gas_used,
        timestamp: block.timestamp,
        extra_data: block.extra_data.clone(),
        base_fee_per_gas: U256::from(block.base_fee_per_gas.to::<u64>()),
        block_hash: header.hash_slow(),
        transactions,
        withdrawals: Vec::new(),
        blob_gas_used: block.blob_gas_used.unwrap_or_default(),
        excess_blob_gas: block.excess_blob_gas.unwrap_or_default(),
    };
    (payload, beacon)
}

impl ExecutionDriver for MirrorDriver {
    async fn check(&mut self, rollup: RollupId) -> Result<(), DriverError> {
        self.builder.check(rollup).await?;
        self.mirror.check(rollup).await?;
        self.engine.check().await
    }

    async fn head(&mut self) -> Result<BlockRef, DriverError> {
        self.builder.head().await
    }

    async fn block(&mut self, number: u64) -> Result<Option<BlockRef>, DriverError> {
        self.builder.block(number).await
    }

    async fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> Result<Executed, DriverError> {
        let executed = self.builder.execute(parent, interval).await?;
        self.catch_up(executed.block.number).await?;
        Ok(executed)
    }
}
