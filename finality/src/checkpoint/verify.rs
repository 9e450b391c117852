//! Checking a snapshot item by item, with the genesis committee alone.

use super::{
    Checkpoint, DIGEST_EVERY_BLOCKS, LANES_PER_SNAPSHOT_MAX, LaneEnd, LaneIds, SnapshotBlock,
    SnapshotItem, state_digest,
};
use crate::ledger::LedgerEntry;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::merkle::{Hash, Peaks};
use outrider_types::{
    Block, BlockId, Committee, CommitteeId, Epoch, EpochEnd, Height, HistoryRoot, Invalid, LaneTip,
    LanesRoot, Registry, RollupId, Verified,
};
use std::collections::BTreeMap;

/// Why a snapshot is not one of this chain. Take it again, from another member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Items that do not follow each other.
    #[error("the snapshot is not in order: {what} where {expected} should be")]
    Order {
        /// What came.
        what: &'static str,
        /// What should have come.
        expected: &'static str,
    },
    /// The end of an epoch that proves nothing.
    #[error("the end of epoch {epoch} does not verify: {reason}")]
    EpochEnd {
        /// Which epoch should end.
        epoch: Epoch,
        /// What is wrong.
        reason: Invalid,
    },
    /// Of another network.
    #[error(
        "the snapshot is of another chain (genesis {found}, expected {expected}): use the committee file of its network"
    )]
    OtherChain {
        /// The snapshot's.
        found: BlockId,
        /// Of the committee.
        expected: BlockId,
    },
    /// Not final.
    #[error("the block at height {height} is not proven final: {reason}")]
    Certificate {
        /// Of the checkpoint.
        height: Height,
        /// What is wrong.
        reason: Invalid,
    },
    /// Too short a window, or too long a one.
    #[error("the window begins at height {found}, it must begin at {expected}")]
    Window {
        /// The snapshot's.
        found: Height,
        /// What F1 needs.
        expected: Height,
    },
    /// Rollups out of order, one of them twice or without transactions, or too many.
    #[error("the list of rollups is malformed at rollup {rollup}")]
    Lanes {
        /// The first that is wrong.
        rollup: RollupId,
    },
    /// The counters of the rollups cannot be.
    #[error("the rollups have {found} transactions, {expected} are expected")]
    Count {
        /// Sum.
        found: u64,
        /// What it should be.
        expected: u64,
    },
    /// A block that is not the parent of the one before it.
    #[error("the block given for height {height} is {found}, the chain has {expected} there")]
    Block {
        /// Which height.
        height: Height,
        /// The block given.
        found: BlockId,
        /// What the chain has.
        expected: BlockId,
    },
    /// Ids of another payload.
    #[error("the ids given for the block at height {height} are not those of its payload")]
    Ids {
        /// Which height.
        height: Height,
    },
    /// Lane blocks of another block.
    #[error(
        "the lane blocks given for the block at height {height} are not those that its header covers"
    )]
    LaneBlocks {
        /// Which height.
        height: Height,
    },
    /// A lane that does not end in its last lane block of the window, or ids that are not that lane block's.
    #[error("the lane of rollup {rollup} does not fit the block at height {height}")]
    Lane {
        /// Which.
        rollup: RollupId,
        /// Where.
        height: Height,
    },
    /// The registered rollups are others.
    #[error("the registered rollups are not those that the block at height {height} covers")]
    Registry {
        /// Of the checkpoint.
        height: Height,
    },
    /// The history before the window is not that of the chain.
    #[error("the blocks before the window are not those that the block at height {height} covers")]
    History {
        /// Of the checkpoint.
        height: Height,
    },
}

/// What an item says, now that it is proven.
#[derive(Clone, Debug)]
pub enum Taken {
    /// An epoch is over.
    EpochEnd(Verified<EpochEnd>),
    /// The block to start from, signed by the committee that the ends of epochs lead to.
    Checkpoint(Box<Checkpoint>),
    /// Counters, unproven unless the window reaches the first block.
    Lanes(Vec<LaneEnd>),
    /// A block of the window.
    Block {
        /// The block and the ids of its payload.
        block: SnapshotBlock,
        /// Their places.
        entries: Vec<LedgerEntry>,
    },
}

/// Checks a snapshot. Holds the rollups' counters and nothing else that grows.
#[derive(Clone, Debug)]
pub struct SnapshotVerifier {
    genesis: Block,
    base: Block,
    committee: Committee,
    checkpoint: Option<Checkpoint>,
    lanes: BTreeMap<RollupId, LaneTip>,
    /// Blocks of the window that complete the history, from the checkpoint's parent down.
    recent: Vec<BlockId>,
    /// The block that comes next, and its height.
    next: (BlockId, Height),
    digest: Option<(Height, Hash)>,
    history: Option<Peaks>,
}

impl SnapshotVerifier {
    /// With the committee of the first epoch, from somebody you trust.
    #[must_use]
    pub fn new(genesis: &Committee) -> Self {
        let block = Block::genesis(genesis);
        Self {
            genesis: block,
            base: block,
            committee: genesis.clone(),
            checkpoint: None,
            lanes: BTreeMap::new(),
            recent: Vec::new(),
            next: (block.id(), Height(0)),
            digest: None,
            history: None,
        }
    }

    /// Check the next item.
    pub fn take(&mut self, item: SnapshotItem) -> Result<Taken, SnapshotError> {
        match (item, self.checkpoint.is_some()) {
            (SnapshotItem::EpochEnd(end), false) => self.end(*end),
            (SnapshotItem::Checkpoint(checkpoint), false) => self.begin(*checkpoint),
            (SnapshotItem::Lanes(lanes), true) if !self.lanes_complete() => self.count(lanes),
            (SnapshotItem::Block(block), true) if self.lanes_complete() && !self.complete() => {
                self.descend(*block)
            }
            (other, _) => Err(SnapshotError::Order {
                what: match other {
                    SnapshotItem::EpochEnd(_) => "the end of an epoch",
                    SnapshotItem::Checkpoint(_) => "a checkpoint",
                    SnapshotItem::Lanes(_) => "a list of rollups",
                    SnapshotItem::Block(_) => "a block",
                },
                expected: self.expected(),
            }),
        }
    }

    fn expected(&self) -> &'static str {
        if self.checkpoint.is_none() {
            "the end of an epoch or a checkpoint"
        } else if !self.lanes_complete() {
            "a list of rollups"
        } else if !self.complete() {
            "a block"
        } else {
            "the end of the snapshot"
        }
    }

    fn end(&mut self, end: EpochEnd) -> Result<Taken, SnapshotError> {
        let epoch = self.committee.epoch();
        let end = end
            .verify(&self.committee)
            .map_err(|reason| SnapshotError::EpochEnd { epoch, reason })?;
        self.committee = end.next(&self.committee);
        self.base = end.last;
        Ok(Taken::EpochEnd(end))
    }

    fn begin(&mut self, checkpoint: Checkpoint) -> Result<Taken, SnapshotError> {
        let (found, expected) = (checkpoint.genesis, self.genesis.id());
        if found != expected {
            return Err(SnapshotError::OtherChain { found, expected });
        }
        let Block {
            height,
            version,
            chain,
            epoch,
            view,
            ..
        } = checkpoint.block;
        let wrong = |what| SnapshotError::Certificate {
            height,
            reason: Invalid::Malformed { what },
        };
        if version != BLOCK_VERSION || chain != self.committee.chain() {
            return Err(wrong("a block of another format or chain"));
        }
        if epoch != self.committee.epoch() {
            return Err(wrong(
                "a block of another epoch than the ends of epochs lead to",
            ));
        }
        if checkpoint.block.next != CommitteeId::NONE {
            return Err(wrong("the last block of an epoch"));
        }
        if height <= self.base.height {
            return Err(wrong("a block below the base of its epoch"));
        }
        let id = checkpoint.block.id();
        if checkpoint.certificate.block() != id || checkpoint.certificate.view() != view {
            return Err(wrong("a certificate of another block"));
        }
        if let Err(reason) = checkpoint.certificate.clone().verify(&self.committee) {
            return Err(SnapshotError::Certificate { height, reason });
        }
        let expected = Checkpoint::window_of(height);
        if checkpoint.first != expected {
            let found = checkpoint.first;
            return Err(SnapshotError::Window { found, expected });
        }
        if checkpoint.rollups as usize > LANES_PER_SNAPSHOT_MAX {
            let rollup = RollupId(u64::MAX);
            return Err(SnapshotError::Lanes { rollup });
        }
        if checkpoint.rollups == 0 && checkpoint.transactions != 0 {
            let (found, expected) = (0, checkpoint.transactions);
            return Err(SnapshotError::Count { found, expected });
        }
        let registry: Registry = checkpoint.registry.iter().copied().collect();
        let ascending = checkpoint
            .registry
            .windows(2)
            .all(|pair| pair[0].rollup < pair[1].rollup);
        if !ascending || registry.root() != checkpoint.block.roots.registry {
            return Err(SnapshotError::Registry { height });
        }
        self.next = (id, height);
        self.checkpoint = Some(checkpoint.clone());
        self.remember_digest();
        Ok(Taken::Checkpoint(Box::new(checkpoint)))
    }

    fn count(&mut self, lanes: Vec<LaneEnd>) -> Result<Taken, SnapshotError> {
        for LaneEnd { rollup, tip } in &lanes {
            let ascends = self
                .lanes
                .last_key_value()
                .is_none_or(|(last, _)| last < rollup);
            let empty = tip.height.0 == 0 || tip.transactions < tip.height.0;
            if !ascends || empty || self.lanes_complete() {
                return Err(SnapshotError::Lanes { rollup: *rollup });
            }
            self.lanes.insert(*rollup, *tip);
        }
        if self.lanes_complete() {
            let found = self
                .lanes
                .values()
                .fold(0_u64, |sum, tip| sum.saturating_add(tip.transactions));
            let expected = self.checkpoint.as_ref().map_or(0, |it| it.transactions);
            if found != expected {
                return Err(SnapshotError::Count { found, expected });
            }
            self.remember_digest();
        }
        Ok(Taken::Lanes(lanes))
    }

    fn descend(&mut self, block: SnapshotBlock) -> Result<Taken, SnapshotError> {
        let (expected, height) = self.next;
        let found = block.block.id();
        if found != expected || block.block.height != height {
            return Err(SnapshotError::Block {
                height,
                found,
                expected,
            });
        }
        if block.holds.commitment() != block.block.payload {
            return Err(SnapshotError::Ids { height });
        }
        if LanesRoot::of(&block.holds.lane_blocks()) != block.block.roots.lanes {
            return Err(SnapshotError::LaneBlocks { height });
        }
        let mut entries = Vec::new();
        for (lane_index, LaneIds { lane, ids }) in (0..).zip(&block.holds.lanes) {
            let rollup = lane.rollup;
            let tip = self.lanes.get_mut(&rollup);
            let Some(tip) = tip.filter(|tip| **tip == lane.tip() && lane.is_of(ids)) else {
                return Err(SnapshotError::Lane { rollup, height });
            };
            *tip = lane.before();
            for ((index, position), id) in (0..).zip(lane.first..).zip(ids) {
                entries.push(LedgerEntry {
                    id: *id,
                    rollup,
                    position,
                    lane_index,
                    index,
                });
            }
        }
        self.complete_history(&block.block)?;
        self.next = (block.block.parent, Height(height.0.saturating_sub(1)));
        self.remember_digest();
        Ok(Taken::Block { block, entries })
    }

    /// The checkpoint's peaks and the blocks that came since make the history that its header covers.
    fn complete_history(&mut self, block: &Block) -> Result<(), SnapshotError> {
        let Some(checkpoint) = &self.checkpoint else {
            return Ok(());
        };
        let begins = checkpoint.history_begins();
        let last = checkpoint.block;
        if block.height < last.height && block.height.0 >= begins {
            self.recent.push(block.id());
        }
        if block.height.0 != begins {
            return Ok(());
        }
        let height = last.height;
        let peaks = Peaks::new(begins, checkpoint.history.clone());
        let Some(mut peaks) = peaks else {
            return Err(SnapshotError::History { height });
        };
        for id in self.recent.iter().rev() {
            peaks.push(HistoryRoot::leaf(*id));
        }
        if HistoryRoot(peaks.root()) != last.roots.history {
            return Err(SnapshotError::History { height });
        }
        peaks.push(HistoryRoot::leaf(last.id()));
        self.history = Some(peaks);
        Ok(())
    }

    /// All blocks from genesis to the checkpoint, once they are proven.
    #[must_use]
    pub const fn history(&self) -> Option<&Peaks> {
        self.history.as_ref()
    }

    /// The highest height at which members remember a digest, as soon as the counters are those of it.
    fn remember_digest(&mut self) {
        let (id, height) = self.next;
        let due = height.0 > 0 && height.0.is_multiple_of(DIGEST_EVERY_BLOCKS);
        if due && self.digest.is_none() && self.lanes_complete() {
            let lanes = self.lanes.iter().map(|(rollup, tip)| (*rollup, *tip));
            self.digest = Some((height, state_digest(height, id, lanes)));
        }
    }

    fn lanes_complete(&self) -> bool {
        self.checkpoint
            .as_ref()
            .is_some_and(|it| self.lanes.len() == it.rollups as usize)
    }

    fn complete(&self) -> bool {
        self.checkpoint
            .as_ref()
            .is_some_and(|it| self.next.1 < it.first)
    }

    /// Whether the window reaches the first block, so that the counters are proven too.
    #[must_use]
    pub fn counters_proven(&self) -> bool {
        self.complete() && self.checkpoint.as_ref().is_some_and(|it| it.first.0 == 1)
    }

    /// The highest height of the snapshot at which members remember a digest, and what it must be there if the
    /// counters are right.
    #[must_use]
    pub const fn digest(&self) -> Option<(Height, Hash)> {
        self.digest
    }

    /// All items have come.
    pub fn finish(&self) -> Result<(), SnapshotError> {
        if !self.complete() {
            return Err(SnapshotError::Order {
                what: "the end of the snapshot",
                expected: self.expected(),
            });
        }
        let (parent, _) = self.next;
        if self.counters_proven() {
            let found = parent;
            let expected = self.genesis.id();
            if found != expected {
                return Err(SnapshotError::OtherChain { found, expected });
            }
            let beginning = |tip: &&LaneTip| **tip != LaneTip::default();
            if let Some(left) = self.lanes.values().find(beginning) {
                let (found, expected) = (left.transactions, 0);
                return Err(SnapshotError::Count { found, expected });
            }
        }
        Ok(())
    }
}
