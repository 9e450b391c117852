//! Driving an OP-style engine: the transactions of the lane are forced into the block by payload attributes.
//!
//! Such an engine takes all of them or none. So the first offender is found by halving, left out, and with it what cannot
//! be executed any more: other transactions of its sender, and those that need more gas than the block has left.

use crate::aggregate::Interval;
use crate::bisect::Bisection;
use crate::engine_api::{Attributes, Built, Engine, Payload};
use crate::evm::{Candidate, Environment};
use crate::evm_node::{EvmNode, Plan};
use crate::execution::{BlockRef, DriverError, Executed, ExecutionDriver};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, U64};
use outrider_types::RollupId;
use std::collections::BTreeSet;

/// Most offenders that are searched for in one block; behind the last one everything is left out.
pub const OFFENDERS_MAX: usize = 64;

/// An engine that takes forced transactions, and its JSON-RPC.
#[derive(Clone, Debug)]
pub struct EngineDriver {
    node: EvmNode,
    engine: Engine,
}

impl EngineDriver {
    /// An engine and the node that it belongs to.
    #[must_use]
    pub const fn new(node: EvmNode, engine: Engine) -> Self {
        Self { node, engine }
    }

    async fn build(
        &self,
        parent: BlockRef,
        environment: &Environment,
        candidates: &[Candidate],
    ) -> Result<Built, DriverError> {
        let raws = candidates.iter();
        let raws = raws.map(|candidate| Bytes::from(candidate.raw.to_vec()));
        let transactions: Vec<Bytes> = raws.collect();
        let attributes = Attributes {
            timestamp: U64::from(environment.timestamp),
            prev_randao: B256::ZERO,
            suggested_fee_recipient: environment.coinbase,
            withdrawals: [],
            parent_beacon_block_root: B256::ZERO,
            transactions,
            no_tx_pool: true,
            gas_limit: U64::from(environment.gas_limit),
        };
        let built = self
            .engine
            .build(parent.number + 1, parent.hash, &attributes)
            .await?;
        if let Built::Payload(payload) = &built
            && payload.transactions != attributes.transactions
        {
            return Err(DriverError::Order {
                url: self.engine.rpc().url().to_owned(),
                number: parent.number + 1,
            });
        }
        Ok(built)
    }

    /// The payload of the longest list of candidates that the engine takes, by the rule at the top.
    async fn settle(&self, parent: BlockRef, plan: &Plan) -> Result<Box<Payload>, DriverError> {
        let environment = &plan.environment;
        let mut candidates = plan.candidates.clone();
        let mut good = 0;
        for offenders in 0.. {
            let built = self.build(parent, environment, &candidates).await?;
            let reason = match built {
                Built::Payload(payload) => return Ok(payload),
                Built::Invalid(reason) => reason,
            };
            if candidates.len() <= good {
                // Not even what it took before: it refuses something else than a transaction.
                return Err(DriverError::Invalid {
                    url: self.engine.rpc().url().to_owned(),
                    number: parent.number + 1,
                    status: "INVALID".to_owned(),
                    reason,
                });
            }
            let (at, used) = self
                .first_offender(parent, environment, &candidates, good)
                .await?;
            candidates = without(candidates, at, used, environment);
            if offenders + 1 >= OFFENDERS_MAX {
                candidates.truncate(at);
            }
            good = at;
        }
        unreachable!("a list of candidates ends")
    }

    /// The place of the first candidate that the engine does not take, and the gas used before it.
    async fn first_offender(
        &self,
        parent: BlockRef,
        environment: &Environment,
        candidates: &[Candidate],
        good: usize,
    ) -> Result<(usize, u64), DriverError> {
        let mut search = Bisection::new(good, candidates.len());
        let mut used = None;
        while let Some(count) = search.next() {
            match self
                .build(parent, environment, &candidates[..count])
                .await?
            {
                Built::Payload(payload) => {
                    used = Some(payload.gas_used.to());
                    search.tell(count, true);
                }
                Built::Invalid(_) => search.tell(count, false),
            }
        }
        let at = search.offender();
        if let Some(used) = used {
            return Ok((at, used));
        }
        match self.build(parent, environment, &candidates[..at]).await? {
            Built::Payload(payload) => Ok((at, payload.gas_used.to())),
            Built::Invalid(reason) => Err(DriverError::Invalid {
                url: self.engine.rpc().url().to_owned(),
                number: parent.number + 1,
                status: "INVALID".to_owned(),
                reason,
            }),
        }
    }
}

/// What is left of the candidates without the one at this place, and without those behind it that cannot be executed then,
/// or with so much gas used.
fn without(
    candidates: Vec<Candidate>,
    at: usize,
    used: u64,
    environment: &Environment,
) -> Vec<Candidate> {
    let left = environment.gas_limit.saturating_sub(used);
    let mut missing = BTreeSet::new();
    let mut stays = |(place, candidate): &(usize, Candidate)| {
        let offends = *place == at
            || (*place > at
                && (missing.contains(&candidate.sender) || candidate.envelope.gas_limit() > left));
        if offends {
            missing.insert(candidate.sender);
        }
        !offends
    };
    let stay = candidates.into_iter().enumerate().filter(|one| stays(one));
    stay.map(|(_, candidate)| candidate).collect()
}

impl ExecutionDriver for EngineDriver {
    async fn check(&mut self, rollup: RollupId) -> Result<(), DriverError> {
        self.node.check(rollup).await?;
        self.engine.check().await
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
        let payload = self.settle(parent, &plan).await?;
        self.engine.new_payload(&payload, B256::ZERO).await?;
        let number = parent.number + 1;
        self.engine.set_head(number, payload.block_hash).await?;
        let built = BlockRef {
            number,
            hash: payload.block_hash,
        };
        let block = self.node.parent(built).await?;
        self.node.outcome(&block, plan).await
    }
}
