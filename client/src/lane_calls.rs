//! Lanes by call: where one ends, a range of it, and proofs, verified with the committee that the caller trusts.

use crate::calls::{Client, one};
use crate::error::ClientError;
use crate::lane::{LaneData, Streamed};
use jsonrpsee::core::params::ArrayParams;
use outrider_finality::{CheckedLane, LaneProof, LaneRangeProof, SkipProof, Trust};
use outrider_types::{Epoch, Height, LaneHeight, LaneTip, Registration, RollupId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;

/// A member is asked again for the proof of a block that it has just committed after this time, and twice as long each time after,
const PROOF_FIRST: Duration = Duration::from_millis(10);
/// for so long.
const PROOF_WAIT: Duration = Duration::from_secs(5);

/// Part of a lane, as a member has it: its word alone, but that each lane block continues the one before and is of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRange {
    /// Where the lane ends.
    pub tip: LaneTip,
    /// Height of the last final block.
    pub head: Height,
    /// Lane blocks without a gap, as many as fit into an answer.
    pub lanes: Vec<LaneData>,
}

#[derive(Debug, Deserialize)]
struct ServedRange {
    tip: LaneTip,
    head: Height,
    lanes: Vec<Streamed>,
}

impl Client {
    /// Where a lane ends.
    pub async fn lane_tip(&self, rollup: RollupId) -> Result<LaneTip, ClientError> {
        self.call("outrider_lane", one(rollup)).await
    }

    /// The rollups that are registered after the last final block.
    pub async fn rollups(&self) -> Result<Vec<Registration>, ClientError> {
        self.call("outrider_rollups", ArrayParams::new()).await
    }

    /// Lane blocks from a lane height on, at most so many.
    pub async fn lane_range(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        limit: usize,
    ) -> Result<LaneRange, ClientError> {
        let method = "outrider_laneRange";
        let params = also(also(one(rollup), from), limit);
        let served: ServedRange = self.call(method, params).await?;
        let ServedRange { tip, head, lanes } = served;
        let answer = |reason: String| ClientError::Answer {
            url: self.url.clone(),
            method,
            reason,
        };
        let mut read: Vec<LaneData> = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let lane = lane.read(rollup).map_err(answer)?;
            let follows = match read.last() {
                Some(before) => before.lane.tip() == lane.lane.before(),
                None => lane.lane.height == from,
            };
            if !follows {
                let found = lane.lane.height;
                let reason = format!("lane block {found} does not continue what came before");
                return Err(answer(reason));
            }
            read.push(lane);
        }
        let lanes = read;
        Ok(LaneRange { tip, head, lanes })
    }

    /// What the block at a height holds for a rollup, with its proof, unverified; none if the member cannot prove it.
    pub async fn lane_proof(
        &self,
        rollup: RollupId,
        height: Height,
    ) -> Result<Option<LaneProof>, ClientError> {
        let params = also(one(rollup), height);
        self.call("outrider_laneProof", params).await
    }

    /// Proof that nothing is missing from one lane height to another, unverified; none if the member cannot prove it.
    pub async fn lane_range_proof(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        to: LaneHeight,
    ) -> Result<Option<LaneRangeProof>, ClientError> {
        let params = also(also(one(rollup), from), to);
        self.call("outrider_laneRangeProof", params).await
    }

    /// Proof that the block at a height is an ancestor of a later one, by default of the last final one, unverified; none if the
    /// member cannot prove it.
    pub async fn skip_proof(
        &self,
        from: Height,
        to: Option<Height>,
    ) -> Result<Option<SkipProof>, ClientError> {
        let params = also(one(from), to);
        self.call("outrider_skipProof", params).await
    }

    /// What the block at a height holds for a rollup, verified with the committee of its epoch; hand-overs to that epoch are
    /// fetched and followed first. A block that was just committed may not be provable yet: it is asked for again for a while.
    pub async fn verified_lane(
        &self,
        rollup: RollupId,
        height: Height,
        trust: &mut Trust,
    ) -> Result<(LaneProof, CheckedLane), ClientError> {
        let start = Instant::now();
        let mut pause = PROOF_FIRST;
        let proof = loop {
            match self.lane_proof(rollup, height).await? {
                Some(proof) => break proof,
                None if start.elapsed() < PROOF_WAIT => tokio::time::sleep(pause).await,
                None => {
                    let url = self.url.clone();
                    return Err(ClientError::NoLaneProof {
                        url,
                        rollup,
                        height,
                    });
                }
            }
            pause *= 2;
        };
        if proof.rollup != rollup || proof.header.block.height != height {
            return Err(ClientError::Answer {
                url: self.url.clone(),
                method: "outrider_laneProof",
                reason: format!("it is not of rollup {rollup} at height {height}"),
            });
        }
        let trust = self.reach(trust, proof.header.anchor().epoch).await?;
        let checked = trust.verify_lane(&proof)?;
        Ok((proof, checked))
    }

    /// Verify that a lane block that a member gave out is final, and in the block that it said.
    pub async fn verify_lane_data(
        &self,
        data: &LaneData,
        trust: &mut Trust,
    ) -> Result<(LaneProof, CheckedLane), ClientError> {
        let (rollup, height) = (data.lane.rollup, data.header.height);
        let (proof, checked) = self.verified_lane(rollup, height, trust).await?;
        if checked.lane != Some(data.lane) || proof.header.block != data.header {
            return Err(ClientError::OtherLane {
                url: self.url.clone(),
                rollup,
                lane: data.lane.height,
            });
        }
        Ok((proof, checked))
    }

    /// What is trusted, with the committee of an epoch: hand-overs are fetched and followed if it is later than the last one known, and
    /// from the beginning if it is so old that it was forgotten.
    pub(crate) async fn reach<'a>(
        &self,
        trust: &'a mut Trust,
        epoch: Epoch,
    ) -> Result<Cow<'a, Trust>, ClientError> {
        self.follow(trust, epoch).await?;
        if trust.committee(epoch).is_none() && epoch >= trust.first_epoch() {
            let mut again = trust.restarted();
            self.follow(&mut again, epoch).await?;
            return Ok(Cow::Owned(again));
        }
        Ok(Cow::Borrowed(trust))
    }
}

/// One more parameter.
fn also(mut params: ArrayParams, value: impl Serialize) -> ArrayParams {
    let inserted = params.insert(value);
    assert!(inserted.is_ok(), "ids and heights are JSON");
    params
}
