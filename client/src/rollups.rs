//! Registered rollups at a member, and proofs of their lanes.

use crate::calls::{Client, one};
use crate::error::ClientError;
use jsonrpsee::core::params::ArrayParams;
use outrider_finality::LaneProof;
use outrider_types::registry::{REGISTRY, RegistryCommand};
use outrider_types::{Height, LaneTip, Registration, RollupId, TransactionId};
use serde::{Deserialize, Serialize};

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

impl Client {
    /// A rollup, registered or not.
    pub async fn rollup_state(&self, rollup: RollupId) -> Result<RollupState, ClientError> {
        self.call("outrider_rollup", one(rollup)).await
    }

    /// All that are registered.
    pub async fn registrations(&self) -> Result<Vec<Registration>, ClientError> {
        self.call("outrider_rollups", ArrayParams::new()).await
    }

    /// Have a command of the registry ordered. Whether it has an effect is seen in [`rollup_state`](Self::rollup_state).
    pub async fn submit_registry(
        &self,
        command: &RegistryCommand,
    ) -> Result<TransactionId, ClientError> {
        self.submit(REGISTRY, &command.to_data()).await
    }

    /// What a final block holds for a rollup, unverified; none while it is not final there.
    pub async fn lane_proof(
        &self,
        rollup: RollupId,
        height: Height,
    ) -> Result<Option<LaneProof>, ClientError> {
        let mut params = one(rollup);
        let inserted = params.insert(height);
        assert!(inserted.is_ok(), "a height is JSON");
        self.call("outrider_laneProof", params).await
    }
}
