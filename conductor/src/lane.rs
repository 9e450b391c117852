//! What a conductor reads: the blocks of one lane in order, and the certified time between them.

use outrider_types::{BlockId, Bytes, Height, Timestamp};
use std::collections::VecDeque;
use std::future::Future;

/// A block that holds at least one transaction of the rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneBlock {
    /// Where it is.
    pub cursor: Cursor,
    /// The block's time.
    pub timestamp: Timestamp,
    /// The rollup's transactions, in order.
    pub transactions: Vec<Bytes>,
}

/// A place in a lane: everything up to this block was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// How many lane blocks there are up to here, gapless from 1; 0 is the start.
    pub lane_height: u64,
    /// The height of the last of them.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
}

/// What comes next in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneItem {
    /// The next lane block.
    Block(LaneBlock),
    /// A final block without a transaction of the rollup: nothing of the lane comes at or before this time any more.
    Quiet(Timestamp),
}

impl LaneItem {
    /// The certified time of its block.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Block(block) => block.timestamp,
            Self::Quiet(time) => *time,
        }
    }
}

/// Why a lane gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Worth asking again.
    #[error("{reason}")]
    Waiting {
        /// What happened.
        reason: String,
    },
    /// The lane does not go on where the cursor is.
    #[error(
        "the lane does not continue at height {height}: block {found} is there, not {expected}; the data folder is of another network, or the member is: check --data and --member"
    )]
    OtherChain {
        /// Where.
        height: Height,
        /// At the cursor.
        expected: BlockId,
        /// In the lane.
        found: BlockId,
    },
    /// What comes does not follow from what came.
    #[error("lane block at height {height} is out of order: {reason}; do not trust this member")]
    Order {
        /// Where.
        height: Height,
        /// What is wrong.
        reason: String,
    },
    /// The source says no for good.
    #[error("the lane cannot be read on: {reason}")]
    Ended {
        /// Why.
        reason: String,
    },
}

impl LaneError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn retry_helps(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

/// A source of one lane.
pub trait Lane: Send {
    /// Go on behind this place; [`Cursor::default`] is the start of the lane.
    fn seek(&mut self, cursor: Cursor) -> impl Future<Output = Result<(), LaneError>> + Send;

    /// What comes next. After an error that is worth a retry the next call gives what this one did not.
    fn next(&mut self) -> impl Future<Output = Result<LaneItem, LaneError>> + Send;
}

/// A lane in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryLane {
    items: Vec<LaneItem>,
    rest: VecDeque<LaneItem>,
}

impl MemoryLane {
    /// Of these items.
    #[must_use]
    pub fn new(items: Vec<LaneItem>) -> Self {
        let rest = items.iter().cloned().collect();
        Self { items, rest }
    }
}

impl Lane for MemoryLane {
    async fn seek(&mut self, cursor: Cursor) -> Result<(), LaneError> {
        let after = self.items.iter().skip_while(|item| match item {
            LaneItem::Block(block) => block.cursor.lane_height <= cursor.lane_height,
            LaneItem::Quiet(_) => cursor.lane_height > 0,
        });
        self.rest = after.cloned().collect();
        Ok(())
    }

    async fn next(&mut self) -> Result<LaneItem, LaneError> {
        self.rest.pop_front().ok_or_else(|| LaneError::Ended {
            reason: "the lane in memory is over".to_owned(),
        })
    }
}
