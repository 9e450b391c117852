//! Proofs out of the store: of transactions, of what a block holds for a rollup, of ranges of a lane, and skips.

use super::{Chain, ChainError, height_key};
use crate::handle::{LanePage, SkipFrom};
use outrider_finality::{
    FinalHeader, FinalityProof, LANE_BLOCKS_PER_PROOF_MAX, LANE_PROOF_VERSION, LaneProof,
    LaneRangeProof, PATH_HEADERS_MAX, Skip, SkipProof,
};
use outrider_storage::{Store, Table};
use outrider_types::{
    Block, Bytes, FinalityCertificate, Height, LaneBlock, LaneHeight, RollupId, TransactionId,
    decode,
};

/// Lane blocks in one answer.
pub const LANE_BLOCKS_PER_RANGE_MAX: usize = 256;
/// Bytes of transactions in one answer; one lane block goes in even if it is larger.
const RANGE_BYTES_MAX: usize = 2 << 20;

/// What proves a final block final.
pub(super) struct Proven {
    /// The last block of the ledger below the certificate.
    pub(super) height: Height,
    /// Fillers from there up to the block of the certificate.
    pub(super) fillers: Vec<Block>,
    pub(super) certificate: FinalityCertificate,
}

/// A lane block with its transactions, as it is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedLane {
    /// The lane block.
    pub lane: LaneBlock,
    /// The block that has it.
    pub block: Block,
    /// Its transactions.
    pub transactions: Vec<Bytes>,
}

impl<S: Store> Chain<S> {
    /// The first certificate of the block's epoch that is of this final block or of one above it.
    pub(super) fn certificate_from(&self, block: &Block) -> Result<Option<Proven>, ChainError> {
        let end = self.epoch_end(block.epoch)?;
        let found = self
            .store
            .range(Table::Certificate, &height_key(block.height), 1)?
            .pop();
        if let Some((key, value)) = found {
            let key: [u8; 8] = (&*key).try_into().map_err(|_| ChainError::Missing {
                what: "certificate",
            })?;
            let height = Height(u64::from_be_bytes(key));
            if end.as_ref().is_none_or(|end| height < end.last.height) {
                let certificate = decode(value).map_err(|error| ChainError::Decode {
                    what: "certificate",
                    error,
                })?;
                return Ok(Some(Proven {
                    height,
                    fillers: Vec::new(),
                    certificate,
                }));
            }
        }
        Ok(end.map(|end| Proven {
            height: end.last.height,
            fillers: end.fillers,
            certificate: end.certificate,
        }))
    }

    /// A final block and what makes it final; none if it is not here.
    pub fn final_header(&self, height: Height) -> Result<Option<FinalHeader>, ChainError> {
        if height == Height(0) || self.pruned(height).is_some() {
            return Ok(None);
        }
        let Some(block) = self.block_at(height)? else {
            return Ok(None);
        };
        let Some(proven) = self.certificate_from(&block)? else {
            return Ok(None);
        };
        let headers = proven.height.0 - height.0 + proven.fillers.len() as u64;
        let far = headers > PATH_HEADERS_MAX as u64;
        let anchor = if far { proven.height } else { height };
        let skip = if far {
            self.skip(height, anchor)?
        } else {
            None
        };
        if far && skip.is_none() {
            return Ok(None);
        }
        let mut path = Vec::new();
        for above in anchor.0 + 1..=proven.height.0 {
            path.push(self.block_at(Height(above))?.ok_or(ChainError::Missing {
                what: "final block",
            })?);
        }
        path.extend(proven.fillers);
        let Some(start) = self.epoch_start(block.epoch)? else {
            return Ok(None);
        };
        Ok(Some(FinalHeader {
            committee: start.committee.id(),
            block,
            skip,
            path,
            certificate: proven.certificate,
        }))
    }

    fn skip(&self, from: Height, to: Height) -> Result<Option<Skip>, ChainError> {
        let Some(path) = self.history_path(from, to)? else {
            return Ok(None);
        };
        Ok(self.block_at(to)?.map(|to| Skip { to, path }))
    }

    /// Proof that a transaction is final.
    pub fn proof(&self, id: TransactionId) -> Result<Option<FinalityProof>, ChainError> {
        let Some(location) = self.location(&id)? else {
            return Ok(None);
        };
        let Some(header) = self.final_header(location.height)? else {
            return Ok(None);
        };
        let Some(start) = self.epoch_start(header.block.epoch)? else {
            return Ok(None);
        };
        let payload = self
            .payload(header.block.payload)?
            .ok_or(ChainError::Missing { what: "payload" })?;
        Ok(FinalityProof::build(
            &start.committee,
            header.block,
            header.path,
            header.certificate,
            &payload,
            id,
        ))
    }

    /// What a block holds for a rollup, with proof.
    pub fn lane_proof(
        &self,
        rollup: RollupId,
        height: Height,
    ) -> Result<Option<LaneProof>, ChainError> {
        let Some(header) = self.final_header(height)? else {
            return Ok(None);
        };
        let lanes = self.lanes_of(&header.block)?.ok_or(ChainError::Missing {
            what: "list of lane blocks",
        })?;
        Ok(Some(LaneProof::build(header, &lanes, rollup)))
    }

    /// That nothing is missing in a lane from one lane height to another.
    pub fn lane_range_proof(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        to: LaneHeight,
    ) -> Result<Option<LaneRangeProof>, ChainError> {
        let many = to.0.saturating_sub(from.0);
        if from.0 == 0 || from > to || many > LANE_BLOCKS_PER_PROOF_MAX as u64 {
            return Ok(None);
        }
        let Some(last) = self.lane_block_at(rollup, to)? else {
            return Ok(None);
        };
        let Some(last) = self.lane_proof(rollup, last)? else {
            return Ok(None);
        };
        let mut earlier = Vec::new();
        for lane in from.0..to.0 {
            match self.lane_block(rollup, LaneHeight(lane))? {
                Some((lane, _)) => earlier.push(lane),
                None => return Ok(None),
            }
        }
        Ok(Some(LaneRangeProof {
            version: LANE_PROOF_VERSION,
            earlier,
            last,
        }))
    }

    /// The way from a block to a later one, by default the last final one. None if the earlier one is forgotten here and was not given,
    /// or is not earlier.
    pub fn skip_proof(
        &self,
        from: SkipFrom,
        to: Option<Height>,
    ) -> Result<Option<SkipProof>, ChainError> {
        let from = match from {
            SkipFrom::Height(height) => self.block_at(height)?,
            SkipFrom::Header(block) => Some(*block),
        };
        let Some(from) = from else {
            return Ok(None);
        };
        let Some(to) = to.map_or_else(|| self.last_proven(), |to| Ok(Some(to)))? else {
            return Ok(None);
        };
        let Some(header) = self.final_header(to)? else {
            return Ok(None);
        };
        let Some(skip) = self.skip(from.height, to)? else {
            return Ok(None);
        };
        Ok(Some(SkipProof {
            version: LANE_PROOF_VERSION,
            header: FinalHeader {
                block: from,
                skip: Some(skip),
                ..header
            },
        }))
    }

    /// The highest block that can be proven: nearly always the last final one.
    fn last_proven(&self) -> Result<Option<Height>, ChainError> {
        let mut height = self.root.height;
        for _ in 0..PATH_HEADERS_MAX {
            if self.final_header(height)?.is_some() {
                return Ok(Some(height));
            }
            height = Height(height.0.saturating_sub(1));
        }
        Ok(None)
    }

    /// Lane blocks from a lane height on, and where the lane stands.
    pub fn lane_page(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        limit: usize,
    ) -> Result<LanePage, ChainError> {
        Ok(LanePage {
            tip: self.ledger.lane(rollup),
            head: self.root.height,
            first: self.first_lane_block(rollup)?,
            lanes: self.lane_range(rollup, from, limit)?,
        })
    }

    /// A lane block and the height of the block that has it.
    pub fn lane_block(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Option<(LaneBlock, Height)>, ChainError> {
        let Some(height) = self.lane_block_at(rollup, lane)? else {
            return Ok(None);
        };
        let lanes = self.lane_blocks(height)?;
        let found = lanes.iter().find(|found| found.rollup == rollup);
        Ok(found.map(|found| (*found, height)))
    }

    /// Lane blocks from a lane height on with their transactions, at most so many, and no more than fit into one answer. None if the
    /// first of them is not here any more.
    pub fn lane_range(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        limit: usize,
    ) -> Result<Option<Vec<ServedLane>>, ChainError> {
        let mut served = Vec::new();
        let mut bytes = 0;
        let last = self.ledger.lane(rollup).height;
        let heights = (from.0.max(1)..=last.0).take(limit.min(LANE_BLOCKS_PER_RANGE_MAX));
        for at in heights.map(LaneHeight) {
            let Some(found) = self.served_lane(rollup, at)? else {
                return Ok((!served.is_empty()).then_some(served));
            };
            bytes += found.transactions.iter().map(Bytes::len).sum::<usize>();
            if bytes > RANGE_BYTES_MAX && !served.is_empty() {
                break;
            }
            served.push(found);
        }
        Ok(Some(served))
    }

    fn served_lane(
        &self,
        rollup: RollupId,
        at: LaneHeight,
    ) -> Result<Option<ServedLane>, ChainError> {
        let Some((lane, height)) = self.lane_block(rollup, at)? else {
            return Ok(None);
        };
        if self.pruned(height).is_some() {
            return Ok(None);
        }
        let block = self.block_at(height)?.ok_or(ChainError::Missing {
            what: "final block",
        })?;
        let payload = self
            .payload(block.payload)?
            .ok_or(ChainError::Missing { what: "payload" })?;
        let batches = payload.batches.into_iter();
        let transactions = batches
            .filter(|batch| batch.rollup == rollup)
            .flat_map(|batch| batch.transactions)
            .collect();
        Ok(Some(ServedLane {
            lane,
            block,
            transactions,
        }))
    }
}

#[cfg(test)]
mod tests;
