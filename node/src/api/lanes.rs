//! Lanes by call: where one ends, a range of one, and proofs.

use super::Api;
use super::errors::ErrorCode;
use super::lane_stream::StreamedLane;
use super::native::{invalid, native, stopped, unanswered};
use crate::chain::LANE_BLOCKS_PER_RANGE_MAX;
use crate::handle::SkipFrom;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use outrider_types::{Block, Height, LaneHeight, LaneTip, RollupId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answer of `outrider_laneRange`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedRange {
    /// Where the lane ends.
    pub tip: LaneTip,
    /// Height of the last final block.
    pub head: Height,
    /// The lowest lane height held here; none if there is none.
    pub first: Option<LaneHeight>,
    /// Lane blocks without a gap, as many as fit.
    pub lanes: Vec<StreamedLane>,
}

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("outrider_lane", |params, api, extensions| async move {
        native(&extensions)?;
        let rollup: RollupId = params.one()?;
        tip(&api, rollup).await
    })?;
    module.register_async_method("outrider_laneRange", range)?;
    module.register_async_method("outrider_laneProof", |params, api, extensions| async move {
        native(&extensions)?;
        let (rollup, height): (RollupId, Height) = params.parse()?;
        let proof = api.handle.lane_proof(rollup, height).await;
        Ok::<_, ErrorObjectOwned>(json!(proof.map_err(unanswered)?))
    })?;
    module.register_async_method(
        "outrider_laneRangeProof",
        |params, api, extensions| async move {
            native(&extensions)?;
            let (rollup, from, to): (RollupId, LaneHeight, LaneHeight) = params.parse()?;
            let proof = api.handle.lane_range_proof(rollup, (from, to)).await;
            Ok::<_, ErrorObjectOwned>(json!(proof.map_err(stopped)?))
        },
    )?;
    module.register_async_method("outrider_skipProof", skip)?;
    Ok(())
}

async fn tip(api: &Api, rollup: RollupId) -> Result<LaneTip, ErrorObjectOwned> {
    let page = api.handle.lane_range(rollup, LaneHeight(1), 0).await;
    page.map(|page| page.tip).map_err(stopped)
}

async fn range(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<ServedRange, ErrorObjectOwned> {
    native(&extensions)?;
    let mut sequence = params.sequence();
    let rollup: RollupId = sequence.next()?;
    let from: LaneHeight = sequence.next()?;
    let limit: Option<usize> = sequence.optional_next()?;
    let limit = limit.unwrap_or(LANE_BLOCKS_PER_RANGE_MAX);
    let page = api.handle.lane_range(rollup, from, limit).await;
    let page = page.map_err(stopped)?;
    let lanes = page.lanes.ok_or_else(|| {
        let text = format!("lane block {from} of rollup {rollup} was forgotten here");
        let data = json!({ "first": page.first, "tip": page.tip });
        ErrorCode::Pruned.error(text, Some(data))
    })?;
    Ok(ServedRange {
        tip: page.tip,
        head: page.head,
        first: page.first,
        lanes: lanes.iter().map(StreamedLane::from).collect(),
    })
}

/// From a height, or from a header that was forgotten here.
async fn skip(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Value, ErrorObjectOwned> {
    native(&extensions)?;
    let mut sequence = params.sequence();
    let from: Value = sequence.next()?;
    let to: Option<Height> = sequence.optional_next()?;
    let from = match from {
        Value::Number(_) => SkipFrom::Height(serde_json::from_value(from).map_err(invalid)?),
        other => {
            let header: Block = serde_json::from_value(other).map_err(invalid)?;
            SkipFrom::Header(Box::new(header))
        }
    };
    let proof = api.handle.skip_proof(from, to).await.map_err(stopped)?;
    Ok(json!(proof))
}
