//! Lanes: the lane blocks of each block, where each lane block is, and where each lane ends.
//!
//! | key in table Lane | value |
//! |---|---|
//! | `00` + height | [`LaneBlocks`] of the final block, if it has any |
//! | `01` + rollup + lane height | height of the final block that has it |
//! | `02` + rollup | [`LaneTips`] |
//! | `04` | [`RegistryRecord`], if a rollup was ever registered |
//! | `03` + height / 256 | [`HistoryChunk`](outrider_finality::HistoryChunk), see `chain/history.rs` |

use super::{Chain, ChainError, height_key};
use bytes::Bytes;
use outrider_storage::{Store, Table};
use outrider_types::registry::RegistryRecord;
use outrider_types::{
    Block, Height, LaneBlock, LaneBlocks, LaneHeight, LaneTip, LaneTips, Registry, RollupId,
    decode, encode,
};

const BLOCKS: u8 = 0;
const PLACE: u8 = 1;
const END: u8 = 2;
const REGISTRY: u8 = 4;
/// Lanes of one page when they are read at a start.
const PAGE: usize = 1_024;

impl<S: Store> Chain<S> {
    /// Keep the lane blocks of a final block. A crash may come between this and the tip, which is written later: then the ends
    /// before the block hold.
    pub(super) fn put_lanes(
        &mut self,
        height: Height,
        lanes: Vec<LaneBlock>,
    ) -> Result<(), ChainError> {
        for lane in &lanes {
            let tips = LaneTips {
                height,
                now: lane.tip(),
                before: lane.before(),
            };
            self.put_lane_tips(lane.rollup, tips)?;
        }
        self.put_lane_blocks(height, lanes)
    }

    /// Keep the lane blocks of a block of which there may be later ones.
    pub(super) fn put_lane_blocks(
        &mut self,
        height: Height,
        lanes: Vec<LaneBlock>,
    ) -> Result<(), ChainError> {
        if lanes.is_empty() {
            return Ok(());
        }
        for lane in &lanes {
            let key = place_key(lane.rollup, lane.height);
            let value = Bytes::copy_from_slice(&height_key(height));
            self.store.put(Table::Lane, &key, value)?;
        }
        let value = encode(&LaneBlocks { list: lanes });
        Ok(self.store.put(Table::Lane, &blocks_key(height), value)?)
    }

    /// Keep the end of a lane.
    pub(super) fn put_lane_tips(
        &mut self,
        rollup: RollupId,
        tips: LaneTips,
    ) -> Result<(), ChainError> {
        let key = [&[END][..], &rollup.0.to_be_bytes()].concat();
        Ok(self.store.put(Table::Lane, &key, encode(&tips))?)
    }

    /// Forget the lane blocks of a block. How many records went.
    pub(super) fn forget_lanes(&mut self, height: Height) -> Result<usize, ChainError> {
        let lanes = self.lane_blocks(height)?;
        if lanes.is_empty() {
            return Ok(0);
        }
        for lane in &lanes {
            let key = place_key(lane.rollup, lane.height);
            self.store.delete(Table::Lane, &key)?;
        }
        self.store.delete(Table::Lane, &blocks_key(height))?;
        Ok(lanes.len() + 1)
    }

    /// The lane blocks of a final block, rollups ascending.
    pub fn lane_blocks(&self, height: Height) -> Result<Vec<LaneBlock>, ChainError> {
        let found: Option<LaneBlocks> =
            self.read(Table::Lane, &blocks_key(height), "list of lane blocks")?;
        Ok(found.map_or_else(Vec::new, |found| found.list))
    }

    /// At which height a lane block is; none if there is no such one here.
    pub fn lane_block_at(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Option<Height>, ChainError> {
        if lane > self.ledger.lane(rollup).height {
            return Ok(None);
        }
        self.height_of_place(&place_key(rollup, lane))
    }

    /// The lowest lane block of a rollup that is here.
    pub fn first_lane_block(&self, rollup: RollupId) -> Result<Option<LaneHeight>, ChainError> {
        let from = place_key(rollup, LaneHeight(0));
        let found = self.store.range(Table::Lane, &from, 1)?.pop();
        let prefix = from.get(..from.len() - 8).unwrap_or_default();
        Ok(found
            .as_ref()
            .and_then(|(key, _)| key.strip_prefix(prefix))
            .and_then(|rest| <[u8; 8]>::try_from(rest).ok())
            .map(|bytes| LaneHeight(u64::from_be_bytes(bytes))))
    }

    fn height_of_place(&self, key: &[u8]) -> Result<Option<Height>, ChainError> {
        let Some(bytes) = self.store.get(Table::Lane, key)? else {
            return Ok(None);
        };
        let what = "place of a lane block";
        let bytes = <[u8; 8]>::try_from(&*bytes).map_err(|_| ChainError::Missing { what })?;
        Ok(Some(Height(u64::from_be_bytes(bytes))))
    }

    /// All lanes with their ends, at the last final block.
    pub(super) fn lane_ends(&self, tip: Height) -> Result<Vec<(RollupId, LaneTip)>, ChainError> {
        let mut lanes = Vec::new();
        let mut from = vec![END];
        'pages: loop {
            let page = self.store.range(Table::Lane, &from, PAGE)?;
            let full = page.len() == PAGE;
            for (key, value) in page {
                let Some(rollup) = key
                    .strip_prefix(&[END])
                    .and_then(|rest| <[u8; 8]>::try_from(rest).ok())
                else {
                    break 'pages;
                };
                let what = "end of a lane";
                let tips: LaneTips =
                    decode(value).map_err(|error| ChainError::Decode { what, error })?;
                let end = if tips.height <= tip {
                    tips.now
                } else {
                    tips.before
                };
                lanes.push((RollupId(u64::from_be_bytes(rollup)), end));
                from = [&*key, &[0]].concat();
            }
            if !full {
                break;
            }
        }
        Ok(lanes)
    }

    /// Keep the registered rollups.
    pub(super) fn put_registry(&mut self, record: RegistryRecord) -> Result<(), ChainError> {
        Ok(self.store.put(Table::Lane, &[REGISTRY], encode(&record))?)
    }

    /// The registered rollups after the last final block.
    pub(super) fn registry(&self, tip: Height) -> Result<Registry, ChainError> {
        let found: Option<RegistryRecord> = self.read(Table::Lane, &[REGISTRY], "registry")?;
        let list = found.map(|found| {
            if found.height <= tip {
                found.now
            } else {
                found.before
            }
        });
        Ok(list.unwrap_or_default().into_iter().collect())
    }

    /// The lane blocks of a block that is final, or none if they are not here.
    pub(super) fn lanes_of(&self, block: &Block) -> Result<Option<Vec<LaneBlock>>, ChainError> {
        let lanes = self.lane_blocks(block.height)?;
        let whole = outrider_types::LanesRoot::of(&lanes) == block.roots.lanes;
        Ok(whole.then_some(lanes))
    }
}

fn blocks_key(height: Height) -> [u8; 9] {
    let mut key = [BLOCKS; 9];
    key[1..].copy_from_slice(&height_key(height));
    key
}

fn place_key(rollup: RollupId, lane: LaneHeight) -> [u8; 17] {
    let mut key = [PLACE; 17];
    key[1..9].copy_from_slice(&rollup.0.to_be_bytes());
    key[9..].copy_from_slice(&lane.0.to_be_bytes());
    key
}
