//! Registered rollups at a member, and what members executed of them.

use crate::calls::{Client, one};
use crate::error::ClientError;
use crate::order::OrderError;
use jsonrpsee::core::params::ArrayParams;
use outrider_finality::{ExecutionFile, ExecutionSide, Trust};
use outrider_types::registry::{REGISTRY, RegistryCommand};
use outrider_types::{
    Block, Execution, LaneHeight, LaneTip, Registration, Registry, RollupId, Signed, TransactionId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a registry is fetched until it is the one that a header commits to,
const REGISTRY_TRIES_MAX: u32 = 50;
/// and how long between.
const REGISTRY_PAUSE: Duration = Duration::from_millis(100);

/// A rollup as a member sees it: its word alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupState {
    /// What the registry says of it; none if it is not registered.
    pub registration: Option<Registration>,
    /// Whether something can be ordered for it now.
    pub open: bool,
    /// Where its lane ends; for good, if it is closed.
    pub tip: LaneTip,
}

/// What became of an execution that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionTaken {
    /// It is new, and was passed on.
    New,
    /// And with it there is a certificate.
    Certified,
    /// The member was heard on this lane height before.
    Known,
}

impl Client {
    /// A rollup, registered or not.
    pub async fn rollup_state(&self, rollup: RollupId) -> Result<RollupState, ClientError> {
        self.call("outrider_rollup", one(rollup)).await
    }

    /// All that are registered.
    pub async fn registrations(&self) -> Result<Vec<Registration>, ClientError> {
        self.call("outrider_rollups", ArrayParams::new()).await
    }

    /// The last final block, and what is registered of a rollup when it was made, verified with the committee of its epoch: the
    /// block's header commits to the whole registry.
    pub async fn verified_registration(
        &self,
        rollup: RollupId,
        trust: &mut Trust,
    ) -> Result<(Block, Option<Registration>), ClientError> {
        let mut head = None;
        for _ in 0..REGISTRY_TRIES_MAX {
            let registry: Registry = self.registrations().await?.into_iter().collect();
            let height = self.head().await?.height;
            let (proof, _) = self.verified_lane(REGISTRY, height, trust).await?;
            let block = proof.header.block;
            if block.roots.registry == registry.root() {
                return Ok((block, registry.get(rollup).copied()));
            }
            // Something was registered in between: the next header tells.
            head = Some(height);
            tokio::time::sleep(REGISTRY_PAUSE).await;
        }
        Err(OrderError::Registry {
            height: head.unwrap_or_default(),
        }
        .into())
    }

    /// Have a command of the registry ordered. Whether it has an effect is seen in [`rollup_state`](Self::rollup_state).
    pub async fn submit_registry(
        &self,
        command: &RegistryCommand,
    ) -> Result<TransactionId, ClientError> {
        self.submit(REGISTRY, &command.to_data()).await
    }

    /// Hand in what a member executed.
    pub async fn submit_execution(
        &self,
        vote: &Signed<Execution>,
    ) -> Result<ExecutionTaken, ClientError> {
        self.call("outrider_executionVote", one(vote)).await
    }

    /// The execution certificate of a lane height, unverified; none if too few agree.
    pub async fn execution_certificate(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Option<ExecutionFile>, ClientError> {
        let mut params = one(rollup);
        let inserted = params.insert(lane);
        assert!(inserted.is_ok(), "a lane height is JSON");
        self.call("outrider_executionCertificate", params).await
    }

    /// Who says what of a lane height; none if all that were heard say the same.
    pub async fn execution_conflict(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Option<Vec<ExecutionSide>>, ClientError> {
        let mut params = one(rollup);
        let inserted = params.insert(lane);
        assert!(inserted.is_ok(), "a lane height is JSON");
        self.call("outrider_executionConflict", params).await
    }
}
