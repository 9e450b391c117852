//! A lane as a stream, the same for WebSocket subscriptions and Server-Sent Events.
//!
//! Each lane block comes once, in order, without a gap, from where the reader says; its cursor is where to go on after it. What
//! is old is read from the store a page at a time, what is new comes with the block that was just committed. A reader that
//! has come to the end of the lane and then falls more than [`BEHIND_MAX`] lane blocks behind, or takes nothing for
//! [`STALL`], is told that it lags, and the stream ends.

use super::native::invalid;
use crate::chain::ServedLane;
use crate::handle::{CommittedBlock, NodeHandle, SkipFrom, Stopped};
use jsonrpsee::types::ErrorObjectOwned;
use outrider_finality::SkipProof;
use outrider_types::{Block, BlockId, Bytes, Height, LaneBlock, LaneHash, LaneHeight, RollupId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often a reader hears where the lane is.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A reader that takes nothing for so long is given up.
pub(super) const STALL: Duration = Duration::from_secs(30);
/// Lane blocks that a reader may fall behind once it has come to the end.
pub const BEHIND_MAX: u64 = 1_024;
/// Lane blocks of one page from the store.
const PAGE: usize = 16;

/// A place in a lane: `height-hash` of the lane block that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its lane height.
    pub height: LaneHeight,
    /// Its hash.
    pub hash: LaneHash,
}

impl Cursor {
    /// After a lane block.
    #[must_use]
    pub fn after(lane: &LaneBlock) -> Self {
        Self {
            height: lane.height,
            hash: lane.hash(),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.height, self.hash)
    }
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// After the last lane block there is.
    Head,
    /// At this one.
    Height(LaneHeight),
    /// After this one.
    After(Cursor),
}

/// Why a text is no place to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("from is \"head\", a lane height from 1 on, or the cursor of a lane block")]
pub struct NotFrom;

impl FromStr for From {
    type Err = NotFrom;

    fn from_str(text: &str) -> Result<Self, NotFrom> {
        if text == "head" {
            return Ok(Self::Head);
        }
        let (height, hash) = match text.split_once('-') {
            Some((height, hash)) => (height, Some(hash)),
            None => (text, None),
        };
        let height = height.parse().map(LaneHeight).map_err(|_| NotFrom)?;
        let Some(hash) = hash else {
            return Ok(Self::Height(LaneHeight(height.0.max(1))));
        };
        let hash = hash.parse().map_err(|_| NotFrom)?;
        Ok(Self::After(Cursor { height, hash }))
    }
}

/// The second parameter of `outrider_subscribe ["lane", ..]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaneTopic {
    pub(super) rollup: RollupId,
    from: Value,
    stage: Option<String>,
}

impl LaneTopic {
    pub(super) fn from(&self) -> Result<From, ErrorObjectOwned> {
        check_stage(self.stage.as_deref())?;
        match &self.from {
            Value::Number(number) => number.to_string().parse().map_err(invalid),
            Value::String(text) => text.parse().map_err(invalid),
            _ => Err(invalid(NotFrom)),
        }
    }
}

/// A stream has one stage so far: heartbeats say what of it is settled and final.
pub(super) fn check_stage(stage: Option<&str>) -> Result<(), ErrorObjectOwned> {
    match stage {
        None | Some("soft") => Ok(()),
        Some(other) => Err(invalid(format!(
            "the stage is \"soft\", not {other:?}: heartbeats say what is settled and final"
        ))),
    }
}

/// A lane block as it is streamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamedLane {
    /// Where to go on after it.
    pub cursor: String,
    /// The lane block.
    pub lane: LaneBlock,
    /// The block that has it.
    pub block: BlockId,
    /// The header of that block.
    pub header: Block,
    /// The transactions in hex, in order.
    pub transactions: Vec<String>,
}

impl StreamedLane {
    fn new(lane: &LaneBlock, header: &Block, transactions: &[Bytes]) -> Self {
        Self {
            cursor: Cursor::after(lane).to_string(),
            lane: *lane,
            block: header.id(),
            header: *header,
            transactions: transactions
                .iter()
                .map(const_hex::encode_prefixed)
                .collect(),
        }
    }
}

impl std::convert::From<&ServedLane> for StreamedLane {
    fn from(served: &ServedLane) -> Self {
        let ServedLane {
            lane,
            block,
            transactions,
        } = served;
        Self::new(lane, block, transactions)
    }
}

/// What a stream says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum LaneEvent {
    /// The next lane block.
    Lane(Box<StreamedLane>),
    /// Each second.
    Heartbeat {
        /// Height of the last final block.
        head: Height,
        /// The last lane height.
        tip: LaneHeight,
        /// Lane blocks that the reader has not got yet.
        lag: u64,
        /// Height that L1 has settled; none if this member knows of no settlement chain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Height>,
        /// Height that it has settled in a block that is final there.
        #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
        finalized: Option<Height>,
    },
    /// The reader was too slow; nothing follows.
    Lagged {
        /// Where to go on; none: at the beginning of the lane.
        cursor: Option<String>,
    },
    /// What was asked for was forgotten here; nothing follows.
    Pruned {
        /// The lowest lane height held here.
        first: Option<LaneHeight>,
        /// The last lane height.
        tip: LaneHeight,
        /// The way from genesis to the last final block, to begin from there.
        checkpoint: Option<Box<SkipProof>>,
    },
    /// The cursor is of no lane block of this chain; nothing follows.
    Foreign,
}

impl LaneEvent {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Lane(_) | Self::Heartbeat { .. })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lane(_) => "lane",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Lagged { .. } => "lagged",
            Self::Pruned { .. } => "pruned",
            Self::Foreign => "foreign",
        }
    }
}

/// A stream of a lane.
pub(super) struct LaneStream {
    handle: NodeHandle,
    rollup: RollupId,
    next: LaneHeight,
    /// The one before, once it is known.
    last: Option<Cursor>,
    blocks: Receiver<Arc<CommittedBlock>>,
    /// Read, and not handed out yet.
    page: VecDeque<ServedLane>,
    /// The store has no more: what is next comes with a block.
    at_end: bool,
    /// It has come to the end before.
    caught_up: bool,
    heartbeat: Interval,
}

impl LaneStream {
    /// Subscribes before it looks, so nothing falls in between.
    pub(super) async fn open(
        handle: NodeHandle,
        rollup: RollupId,
        from: From,
    ) -> Result<Self, Stopped> {
        let blocks = handle.follow();
        let (next, last) = match from {
            From::Height(height) => (height, None),
            From::After(cursor) => (cursor.height.next(), Some(cursor)),
            From::Head => {
                let tip = handle.lane_range(rollup, LaneHeight(1), 0).await?.tip;
                (tip.height.next(), None)
            }
        };
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            handle,
            rollup,
            next,
            last,
            blocks,
            page: VecDeque::new(),
            at_end: false,
            caught_up: false,
            heartbeat,
        })
    }

    /// What comes next; waits for it. Heartbeats come between lane blocks too.
    pub(super) async fn next(&mut self) -> Result<LaneEvent, Stopped> {
        loop {
            // Whether a second has passed, without waiting.
            let beat = tokio::select! {
                biased;
                _ = self.heartbeat.tick() => true,
                () = std::future::ready(()) => false,
            };
            if beat {
                return self.beat().await;
            }
            if let Some(served) = self.page.pop_front() {
                return Ok(self.hand_out(&served.lane, &served.block, &served.transactions));
            }
            if !self.at_end {
                if let Some(event) = self.read().await? {
                    return Ok(event);
                }
                continue;
            }
            if let Some(event) = self.wait().await? {
                return Ok(event);
            }
        }
    }

    /// A lane block, if it continues what was read before.
    fn hand_out(&mut self, lane: &LaneBlock, header: &Block, transactions: &[Bytes]) -> LaneEvent {
        if self.last.is_some_and(|last| lane.parent != last.hash) {
            return LaneEvent::Foreign;
        }
        self.next = lane.height.next();
        self.last = Some(Cursor::after(lane));
        LaneEvent::Lane(Box::new(StreamedLane::new(lane, header, transactions)))
    }

    /// Read a page.
    async fn read(&mut self) -> Result<Option<LaneEvent>, Stopped> {
        let found = self.handle.lane_range(self.rollup, self.next, PAGE).await?;
        let behind = found.tip.height.0.saturating_sub(self.next.0);
        if self.caught_up && behind > BEHIND_MAX {
            return Ok(Some(self.lagged()));
        }
        let Some(lanes) = found.lanes else {
            let checkpoint = self.handle.skip_proof(SkipFrom::Height(Height(0)), None);
            return Ok(Some(LaneEvent::Pruned {
                first: found.first,
                tip: found.tip.height,
                checkpoint: checkpoint.await?.map(Box::new),
            }));
        };
        // The last lane block is the parent of the next one.
        let at_tip = self.next == found.tip.height.next();
        if at_tip && self.last.is_some_and(|last| last.hash != found.tip.hash) {
            return Ok(Some(LaneEvent::Foreign));
        }
        // A cursor beyond the end was given out by a member that is ahead: its lane block will come.
        self.at_end = lanes.is_empty();
        self.caught_up |= self.at_end;
        self.page = lanes.into();
        Ok(None)
    }

    /// Wait for a block.
    async fn wait(&mut self) -> Result<Option<LaneEvent>, Stopped> {
        let block = tokio::select! {
            biased;
            block = self.blocks.recv() => block,
            _ = self.heartbeat.tick() => return self.beat().await.map(Some),
        };
        let block = match block {
            Ok(block) => block,
            Err(RecvError::Lagged(_)) => {
                self.at_end = false;
                return Ok(None);
            }
            Err(RecvError::Closed) => return Err(Stopped),
        };
        let Some(at) = block
            .lanes
            .iter()
            .position(|lane| lane.rollup == self.rollup)
        else {
            return Ok(None);
        };
        let (Some(lane), Some(batch)) = (block.lanes.get(at), block.payload.batches.get(at)) else {
            return Ok(None);
        };
        if lane.height > self.next {
            // Not what was waited for; the store knows.
            self.at_end = false;
        }
        if lane.height != self.next {
            return Ok(None);
        }
        Ok(Some(self.hand_out(lane, &block.block, &batch.transactions)))
    }

    async fn beat(&mut self) -> Result<LaneEvent, Stopped> {
        let found = self.handle.lane_range(self.rollup, self.next, 0).await?;
        let heights = self.handle.settlement().map(|report| report.heights);
        Ok(LaneEvent::Heartbeat {
            settled: heights.map(|heights| heights.settled_height()),
            finalized: heights.map(|heights| heights.final_height()),
            head: found.head,
            tip: found.tip.height,
            lag: found
                .tip
                .height
                .0
                .saturating_sub(self.next.0.saturating_sub(1)),
        })
    }

    /// What a reader hears that took nothing for [`STALL`].
    pub(super) fn lagged(&self) -> LaneEvent {
        LaneEvent::Lagged {
            cursor: self.last.map(|last| last.to_string()),
        }
    }
}
