//! How many transactions each rollup has so far.

use super::{Chain, ChainError};
use outrider_storage::{Store, Table};
use outrider_types::{Height, RollupId};

const LANE: &[u8] = b"lane";
/// Lanes of one page when they are read at a start.
const PAGE: usize = 1_024;

impl<S: Store> Chain<S> {
    /// Count a lane. A crash may come between this and the tip, which is written later: then the count before the block holds.
    pub(super) fn put_lane(
        &mut self,
        rollup: RollupId,
        count: u64,
        height: Height,
        before: u64,
    ) -> Result<(), ChainError> {
        let key = [LANE, &rollup.0.to_be_bytes()].concat();
        let value = [count, height.0, before].map(u64::to_be_bytes).concat();
        Ok(self.store.put(Table::Meta, &key, value.into())?)
    }

    /// All lanes with their transactions, at the last final block.
    pub(super) fn lanes(&self, tip: Height) -> Result<Vec<(RollupId, u64)>, ChainError> {
        let mut lanes = Vec::new();
        let mut from = LANE.to_vec();
        'pages: loop {
            let page = self.store.range(Table::Meta, &from, PAGE)?;
            let full = page.len() == PAGE;
            for (key, value) in page {
                let Some(rollup) = key
                    .strip_prefix(LANE)
                    .and_then(|rest| <[u8; 8]>::try_from(rest).ok())
                else {
                    break 'pages;
                };
                let count = lane_count(&value, tip)?;
                lanes.push((RollupId(u64::from_be_bytes(rollup)), count));
                from = [&*key, &[0]].concat();
            }
            if !full {
                break;
            }
        }
        Ok(lanes)
    }
}

/// Transactions of a lane when the block at this height was the last.
fn lane_count(value: &[u8], tip: Height) -> Result<u64, ChainError> {
    let (words, rest) = value.as_chunks::<8>();
    match (words, rest) {
        ([count, height, before], []) => {
            let known = Height(u64::from_be_bytes(*height)) <= tip;
            Ok(u64::from_be_bytes(if known { *count } else { *before }))
        }
        _ => Err(ChainError::Missing {
            what: "lane counter",
        }),
    }
}
