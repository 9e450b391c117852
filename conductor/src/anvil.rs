//! Driving anvil: the real EVM of foundry, block by block in the order of the lane.
//!
//! `anvil --no-mining --order fifo --disable-pool-balance-checks --disable-default-create2-deployer --accounts 0
//! --init genesis.json --hardfork cancun`. Without the last but two, it has an account that its genesis does not name, and other
//! states than an engine.

use crate::aggregate::Interval;
use crate::evm_node::{EvmBlock, EvmNode, Plan};
use crate::execution::{BlockRef, DriverError, Executed, ExecutionDriver};
use alloy_primitives::{B256, U64};
use outrider_types::RollupId;
use serde_json::{Value, json};

/// Most blocks that are taken back to reach the parent.
const ROLLBACK_MAX: u64 = 1_024;

/// An anvil that nobody else lets mine.
#[derive(Clone, Debug)]
pub struct AnvilDriver {
    node: EvmNode,
}

impl AnvilDriver {
    /// Of this node.
    #[must_use]
    pub const fn new(node: EvmNode) -> Self {
        Self { node }
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &EvmNode {
        &self.node
    }

    /// Take back what is above the parent: built by someone else, or from another lane.
    async fn roll_back(&self, parent: BlockRef) -> Result<(), DriverError> {
        let head = self.node.head().await?.reference();
        let depth = head.number.saturating_sub(parent.number);
        if depth == 0 {
            return Ok(());
        }
        if depth > ROLLBACK_MAX {
            let reason = format!("{depth} blocks above block {parent} are not of this lane");
            return Err(self.node.rpc().wrong("anvil_rollback", reason));
        }
        let rpc = self.node.rpc();
        rpc.call("anvil_rollback", json!([depth])).await
    }

    /// Send all candidates, in order, in one batch or one by one; what anvil refuses is not in the block.
    async fn submit(&self, plan: &Plan, one_by_one: bool) -> Result<(), DriverError> {
        let (rpc, method) = (self.node.rpc(), "eth_sendRawTransaction");
        let raws = plan.candidates.iter();
        let raws = raws.map(|candidate| json!([const_hex::encode_prefixed(&candidate.raw)]));
        if one_by_one {
            for raw in raws {
                let _refused_or_not: Result<B256, _> = rpc.try_call(method, raw).await?;
            }
            return Ok(());
        }
        rpc.batch::<B256>(method, raws.collect()).await.map(|_| ())
    }

    async fn mine(
        &self,
        parent: BlockRef,
        plan: &Plan,
        one_by_one: bool,
    ) -> Result<EvmBlock, DriverError> {
        let rpc = self.node.rpc();
        let environment = &plan.environment;
        let _: Value = rpc.call("anvil_dropAllTransactions", json!([])).await?;
        let _: Value = rpc
            .call("anvil_setCoinbase", json!([environment.coinbase]))
            .await?;
        let fee = U64::from(environment.base_fee);
        let _: Value = rpc
            .call("anvil_setNextBlockBaseFeePerGas", json!([fee]))
            .await?;
        self.submit(plan, one_by_one).await?;
        let time = environment.timestamp;
        let _: Value = rpc
            .call("anvil_setNextBlockTimestamp", json!([time]))
            .await?;
        // It may have been started anew since, empty; then it must not make another first block.
        self.node.parent(parent).await?;
        let _: Value = rpc.call("evm_mine", json!([])).await?;
        // What was not mined, for lack of gas or behind a gap, must not be in a later block.
        let _: Value = rpc.call("anvil_dropAllTransactions", json!([])).await?;
        let number = parent.number + 1;
        let block = self.node.block(Some(number)).await?;
        block.ok_or_else(|| DriverError::NoParent {
            url: rpc.url().to_owned(),
            parent,
        })
    }
}

impl ExecutionDriver for AnvilDriver {
    async fn check(&mut self, rollup: RollupId) -> Result<(), DriverError> {
        self.node.check(rollup).await
    }

    async fn head(&mut self) -> Result<BlockRef, DriverError> {
        self.node.head().await.map(|head| head.reference())
    }

    async fn block(&mut self, number: u64) -> Result<Option<BlockRef>, DriverError> {
        let block = self.node.block(Some(number)).await?;
        Ok(block.map(|block| block.reference()))
    }

    async fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> Result<Executed, DriverError> {
        let over = self.node.parent(parent).await?;
        let plan = self.node.plan(&over, interval).await?;
        if let Some(block) = self.node.built_before(parent, &plan).await? {
            return self.node.outcome(&block, plan).await;
        }
        // A batch may be carried out in any order; anvil 1.7.1 keeps it. If it ever does not, one by one.
        for one_by_one in [false, true] {
            self.roll_back(parent).await?;
            let block = self.mine(parent, &plan, one_by_one).await?;
            if plan.places(&block.transactions).is_some() {
                return self.node.outcome(&block, plan).await;
            }
        }
        self.roll_back(parent).await?;
        Err(DriverError::Order {
            url: self.node.rpc().url().to_owned(),
            number: parent.number + 1,
        })
    }
}
