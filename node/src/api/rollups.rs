//! Registered rollups by call, and what members executed of them.

use super::Api;
use super::native::{invalid, native, stopped};
use crate::handle::{BlockAt, Stopped};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_types::{Execution, LaneHeight, LaneTip, Registration, RollupId, Signed, Timestamp};
use serde::{Deserialize, Serialize};

/// Answer of `outrider_rollup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupInfo {
    /// What the registry says of it; none if it is not registered.
    pub registration: Option<Registration>,
    /// Whether a block on top of the last final one could order something for it.
    pub open: bool,
    /// Where its lane ends. If the rollup is closed, this is for good.
    pub tip: LaneTip,
}

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("outrider_rollup", |params, api, extensions| async move {
        native(&extensions)?;
        let rollup: RollupId = params.one()?;
        let info = info(&api, rollup).await.map_err(stopped)?;
        Ok::<_, ErrorObjectOwned>(info)
    })?;
    module.register_async_method("outrider_rollups", |_, api, extensions| async move {
        native(&extensions)?;
        let registry = api.handle.registry().await.map_err(stopped)?;
        let list: Vec<Registration> = registry.iter().copied().collect();
        Ok::<_, ErrorObjectOwned>(list)
    })?;
    module.register_async_method(
        "outrider_executionVote",
        |params, api, extensions| async move {
            native(&extensions)?;
            let vote: Signed<Execution> = params.one()?;
            let taken = api.handle.execution_vote(vote).await.map_err(stopped)?;
            taken.map_err(invalid)
        },
    )?;
    module.register_async_method(
        "outrider_executionCertificate",
        |params, api, extensions| async move {
            native(&extensions)?;
            let (rollup, lane): (RollupId, LaneHeight) = params.parse()?;
            let found = api.handle.execution_certificate(rollup, lane).await;
            found.map_err(stopped)
        },
    )?;
    module.register_async_method(
        "outrider_executionConflict",
        |params, api, extensions| async move {
            native(&extensions)?;
            let (rollup, lane): (RollupId, LaneHeight) = params.parse()?;
            let sides = api.handle.execution_sides(rollup, lane).await;
            let sides = Some(sides.map_err(stopped)?).filter(|sides| sides.len() > 1);
            Ok::<_, ErrorObjectOwned>(sides)
        },
    )?;
    Ok(())
}

/// Time, registry and tip are asked for in this order: what is closed at that time has its whole lane by then.
async fn info(api: &Api, rollup: RollupId) -> Result<RollupInfo, Stopped> {
    let head = BlockAt::Id(api.handle.head().block);
    let block = match api.handle.block(head).await {
        Ok(block) => block,
        Err(crate::handle::AskError::Stopped(error)) => return Err(error),
        Err(crate::handle::AskError::Pruned(_)) => None,
    };
    // Genesis is no committed block.
    let at = block.map_or(Timestamp(0), |block| block.block.timestamp);
    let registry = api.handle.registry().await?;
    let page = api.handle.lane_range(rollup, LaneHeight(1), 0).await?;
    Ok(RollupInfo {
        registration: registry.get(rollup).copied(),
        open: registry.policy(rollup, at).is_some(),
        tip: page.tip,
    })
}
