//! What members executed, by call.

use super::Api;
use super::native::{invalid, native, stopped};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_types::{Execution, LaneHeight, RollupId, Signed};

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method(
        "outrider_executionVote",
        |params, api, extensions| async move {
            native(&extensions)?;
            let vote: Signed<Execution> = params.one()?;
            let taken = api.handle.execution_vote(vote).await.map_err(stopped)?;
            Ok::<_, ErrorObjectOwned>(taken.map_err(invalid)?)
        },
    )?;
    module.register_async_method(
        "outrider_executionCertificate",
        |params, api, extensions| async move {
            native(&extensions)?;
            let (rollup, lane): (RollupId, LaneHeight) = params.parse()?;
            let found = api.handle.execution_certificate(rollup, lane).await;
            Ok::<_, ErrorObjectOwned>(found.map_err(stopped)?)
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
