//! What is final on L1, block by block: the only thing of it that consensus builds on. A pure state machine like [`crate::watch`],
//! without reorgs; [`crate::watcher::Watcher`] asks its questions.

use crate::deployment::Deployment;
use crate::endpoints::Segment;
use crate::event::{Happened, L1Event, topics};
use crate::model::{BlockRef, LogFilter};
use outrider_types::{Bytes, CommitteeId, Epoch, RollupId};
use std::collections::BTreeMap;

/// Epochs whose newest snapshot is remembered.
const SNAPSHOTS_MAX: usize = 256;

/// A block that is final on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    /// Which.
    pub block: BlockRef,
    /// Entries that the forced inbox has after it.
    pub inbox: u64,
    /// What happened in it; before the first block that is told one by one: since the last one that was told.
    pub happened: Vec<Happened>,
}

/// An entry of the forced inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place, from 0.
    pub index: u64,
    /// For which rollup.
    pub rollup: RollupId,
    /// The transaction.
    pub data: Bytes,
    /// When it came, seconds since the Unix epoch.
    pub enqueued_at: u64,
    /// Number of the L1 block that it came with.
    pub l1_number: u64,
}

/// A committee that was recorded in a final block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPoint {
    /// Of which epoch.
    pub epoch: Epoch,
    /// Its id.
    pub id: CommitteeId,
    /// Number of the L1 block that it was recorded in.
    pub l1_number: u64,
}

impl FinalBlock {
    /// Entries that came with it, in order.
    pub fn entries(&self) -> impl Iterator<Item = InboxEntry> {
        self.happened
            .iter()
            .filter_map(|happened| match &happened.event {
                L1Event::Enqueued {
                    index,
                    rollup,
                    enqueued_at,
                    data,
                    ..
                } => Some(InboxEntry {
                    index: *index,
                    rollup: *rollup,
                    data: data.0.clone(),
                    enqueued_at: *enqueued_at,
                    l1_number: happened.place.number,
                }),
                _ => None,
            })
    }

    /// Committees that were recorded in it, in order.
    pub fn snapshots(&self) -> impl Iterator<Item = SnapshotPoint> {
        self.happened
            .iter()
            .filter_map(|happened| match &happened.event {
                L1Event::Snapshot { epoch, id, .. } => Some(SnapshotPoint {
                    epoch: *epoch,
                    id: *id,
                    l1_number: happened.place.number,
                }),
                _ => None,
            })
    }
}

/// Why an answer cannot be what is final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalsError {
    /// Not what was asked for, or of another chain than the final block of now.
    #[error("the final L1 blocks {from} to {to} are told as others than were asked for")]
    Other {
        /// The first that was asked for.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Does not follow from what is known.
    #[error(
        "final L1 block {known} is not the parent of {found}: L1 broke its promise, or the endpoints show another chain"
    )]
    Replaced {
        /// The newest final block that was told before.
        known: Box<BlockRef>,
        /// What should follow it.
        found: Box<BlockRef>,
    },
    /// Entries of the inbox are missing or twice there.
    #[error(
        "the forced inbox goes on with entry {found} instead of {wanted} in L1 block {number}: the endpoints leave logs out, or the network file names a wrong block of deployment"
    )]
    Gap {
        /// The next one.
        wanted: u64,
        /// What came.
        found: u64,
        /// In which block.
        number: u64,
    },
    /// A log of ours that cannot be read.
    #[error(
        "L1 block {number} has a log of our contracts that is none of their events; check the addresses of the network file"
    )]
    Unreadable {
        /// In which block.
        number: u64,
    },
}

/// The state machine.
#[derive(Debug)]
pub struct Finals {
    deployment: Deployment,
    /// From this block on each one is told.
    every_from: u64,
    range_blocks: u64,
    segment_blocks: u64,
    /// Blocks that are asked for at once, at most.
    range: u64,
    tip: Option<BlockRef>,
    inbox: u64,
    snapshots: BTreeMap<Epoch, SnapshotPoint>,
}

impl Finals {
    /// From the block of the deployment on; from `every_from` on each block is told, before only the last of each range.
    #[must_use]
    pub fn new(
        deployment: Deployment,
        every_from: u64,
        range_blocks: u64,
        segment_blocks: u64,
    ) -> Self {
        Self {
            deployment,
            every_from,
            range_blocks: range_blocks.max(1),
            segment_blocks: segment_blocks.max(1),
            range: range_blocks.max(1),
            tip: None,
            inbox: 0,
            snapshots: BTreeMap::new(),
        }
    }

    /// The newest final block that was told.
    #[must_use]
    pub const fn tip(&self) -> Option<BlockRef> {
        self.tip
    }

    /// Entries of the forced inbox up to it.
    #[must_use]
    pub const fn inbox(&self) -> u64 {
        self.inbox
    }

    /// The newest committee that was recorded for an epoch up to it.
    #[must_use]
    pub fn snapshot(&self, epoch: Epoch) -> Option<SnapshotPoint> {
        self.snapshots.get(&epoch).copied()
    }

    /// What to ask, if this block is final: which logs, and whether for all blocks or the last only.
    #[must_use]
    pub fn ask(&self, finalized: BlockRef) -> Option<(LogFilter, bool)> {
        let from = self
            .tip
            .map_or(self.deployment.block, |tip| tip.number.saturating_add(1));
        if from > finalized.number {
            return None;
        }
        let all = from >= self.every_from;
        let (last, count) = if all {
            (finalized.number, self.range.min(self.segment_blocks))
        } else {
            (finalized.number.min(self.every_from - 1), self.range)
        };
        let filter = LogFilter {
            from,
            to: last.min(from.saturating_add(count - 1)),
            addresses: self.deployment.watched().to_vec(),
            topics: topics(),
        };
        Some((filter, all))
    }

    /// No answer came: ask for less next time.
    pub fn told_nothing(&mut self) {
        self.range = (self.range / 2).max(1);
    }

    /// Take the answer to what was asked last. If it is none, nothing changes.
    pub fn told(
        &mut self,
        finalized: BlockRef,
        filter: &LogFilter,
        all: bool,
        segment: &Segment,
    ) -> Result<Vec<FinalBlock>, FinalsError> {
        let (from, to) = (filter.from, filter.to);
        let other = FinalsError::Other { from, to };
        let first = if all { from } else { to };
        let numbers = segment.blocks.iter().map(|block| block.number);
        let Some(last) = segment.blocks.last().filter(|_| numbers.eq(first..=to)) else {
            return Err(other);
        };
        if last.number == finalized.number && last.hash != finalized.hash {
            return Err(other);
        }
        let mut parent = self
            .tip
            .filter(|tip| tip.number.checked_add(1) == Some(first));
        for block in &segment.blocks {
            if let Some(known) = parent.filter(|parent| parent.hash != block.parent) {
                return Err(FinalsError::Replaced {
                    known: Box::new(known),
                    found: Box::new(*block),
                });
            }
            parent = Some(*block);
        }
        let mut inbox = self.inbox;
        let mut blocks = Vec::with_capacity(segment.blocks.len());
        let mut logs = segment.logs.iter().peekable();
        for block in &segment.blocks {
            let mut happened = Vec::new();
            while let Some(log) = logs.next_if(|log| log.number <= block.number) {
                let number = log.number;
                let Some(one) = Happened::read(log, &self.deployment) else {
                    return Err(FinalsError::Unreadable { number });
                };
                if let L1Event::Enqueued { index, .. } = one.event {
                    if index != inbox {
                        return Err(FinalsError::Gap {
                            wanted: inbox,
                            found: index,
                            number,
                        });
                    }
                    inbox += 1;
                }
                happened.push(one);
            }
            blocks.push(FinalBlock {
                block: *block,
                inbox,
                happened,
            });
        }
        self.tip = Some(*last);
        self.inbox = inbox;
        for point in blocks.iter().flat_map(FinalBlock::snapshots) {
            self.snapshots.insert(point.epoch, point);
            if self.snapshots.len() > SNAPSHOTS_MAX {
                self.snapshots.pop_first();
            }
        }
        self.range = self.range.saturating_mul(2).min(self.range_blocks);
        Ok(blocks)
    }
}
