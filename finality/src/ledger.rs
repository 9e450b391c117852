//! The ledger: committed blocks in order, and a place in it for every transaction.

use crate::records::{LedgerTip, TransactionLocation};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{Block, BlockId, CheckedPayload, Height, PayloadId, RollupId, TransactionId};
use std::collections::BTreeMap;

/// Heights within which a transaction may not be ordered twice (F1).
pub const DUPLICATE_WINDOW_BLOCKS: u64 = 100_000;

/// The end of the committed chain, and how many transactions each rollup has in it. One number is kept per rollup that
/// ever had a transaction: whoever admits rollups bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    tip: LedgerTip,
    lanes: BTreeMap<RollupId, u64>,
}

/// What a block added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its height.
    pub height: Height,
    /// Its transactions, in order.
    pub entries: Vec<LedgerEntry>,
    /// Rollups that have transactions in it, ascending, with how many they have now.
    pub lanes_changed: Vec<(RollupId, u64)>,
}

/// A transaction's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Which transaction.
    pub id: TransactionId,
    /// Whose.
    pub rollup: RollupId,
    /// Which of its rollup since genesis, from 0.
    pub position: u64,
    /// Which batch of the payload, from 0.
    pub lane_index: u32,
    /// Which transaction of the batch, from 0.
    pub index: u32,
}

impl LedgerEntry {
    /// As the store keeps it, in the block at this height.
    #[must_use]
    pub const fn location(&self, height: Height) -> TransactionLocation {
        TransactionLocation {
            height,
            lane_index: self.lane_index,
            index: self.index,
            position: self.position,
        }
    }
}

/// Why a block is not the next of the ledger, or a snapshot is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// It is not one above the tip.
    #[error("block of height {found} cannot follow the tip, {expected} is next")]
    Height {
        /// The block's.
        found: Height,
        /// One above the tip.
        expected: Height,
    },
    /// It extends another block.
    #[error("the block at height {height} extends {found}, the tip is {expected}")]
    Parent {
        /// The block's height.
        height: Height,
        /// The block's parent.
        found: BlockId,
        /// The tip.
        expected: BlockId,
    },
    /// The payload is of another block.
    #[error("the block at height {height} commits to payload {expected}, this one is {found}")]
    Commitment {
        /// The block's height.
        height: Height,
        /// Commitment to the payload given.
        found: PayloadId,
        /// Commitment in the header.
        expected: PayloadId,
    },
    /// A snapshot whose rollups do not add up, or name one twice.
    #[error(
        "the rollups of the snapshot have {found} transactions, its tip says {expected}: take it again from a peer"
    )]
    Snapshot {
        /// Sum over the rollups, none of them twice.
        found: u64,
        /// What the tip says.
        expected: u64,
    },
}

impl Ledger {
    /// The ledger that holds only the genesis block.
    #[must_use]
    pub fn new(genesis: &Block) -> Self {
        Self {
            tip: LedgerTip::of(genesis, 0),
            lanes: BTreeMap::new(),
        }
    }

    /// The ledger as it was stored: its tip, and for every rollup how many transactions it has (all `lanes_changed`
    /// up to the tip, the last of each rollup).
    pub fn restore(
        tip: LedgerTip,
        lanes: impl IntoIterator<Item = (RollupId, u64)>,
    ) -> Result<Self, LedgerError> {
        let lanes: BTreeMap<RollupId, u64> = lanes.into_iter().collect();
        let found = lanes
            .values()
            .fold(0_u64, |sum, count| sum.saturating_add(*count));
        if found == tip.transactions {
            Ok(Self { tip, lanes })
        } else {
            Err(LedgerError::Snapshot {
                found,
                expected: tip.transactions,
            })
        }
    }

    /// Append a committed block with its payload, which must be the one that its header commits to. An error changes nothing.
    ///
    /// F1 is not checked here: the block is committed, so its voters did.
    pub fn append(
        &mut self,
        block: &Block,
        payload: &CheckedPayload,
    ) -> Result<Appended, LedgerError> {
        let height = block.height;
        let expected = self.tip.height.next();
        if height != expected || height == self.tip.height {
            return Err(LedgerError::Height {
                found: height,
                expected,
            });
        }
        if block.parent != self.tip.id {
            return Err(LedgerError::Parent {
                height,
                found: block.parent,
                expected: self.tip.id,
            });
        }
        if payload.id != block.payload {
            return Err(LedgerError::Commitment {
                height,
                found: payload.id,
                expected: block.payload,
            });
        }

        let ids = &payload.transactions;
        let batches = &payload.payload.batches;
        let mut entries = Vec::with_capacity(ids.len());
        let mut lanes_changed = Vec::with_capacity(batches.len());
        let mut rest = ids.iter();
        for (lane_index, batch) in (0..).zip(batches) {
            let rollup = batch.rollup;
            let next = self.lanes.entry(rollup).or_default();
            for (index, id) in (0..).zip(rest.by_ref().take(batch.transactions.len())) {
                entries.push(LedgerEntry {
                    id: *id,
                    rollup,
                    position: *next,
                    lane_index,
                    index,
                });
                *next += 1;
            }
            lanes_changed.push((rollup, *next));
        }
        assert!(
            entries.len() == ids.len(),
            "every transaction of a block has a place"
        );
        let added = entries.len() as u64;
        self.tip = LedgerTip::of(block, self.tip.transactions + added);
        Ok(Appended {
            height,
            entries,
            lanes_changed,
        })
    }

    /// Its end.
    #[must_use]
    pub const fn tip(&self) -> &LedgerTip {
        &self.tip
    }

    /// Transactions of all rollups.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.tip.transactions
    }

    /// Transactions of one rollup, which is the position of its next.
    #[must_use]
    pub fn lane(&self, rollup: RollupId) -> u64 {
        self.lanes.get(&rollup).copied().unwrap_or(0)
    }

    /// Every rollup that has transactions, ascending, with how many.
    pub fn lanes(&self) -> impl Iterator<Item = (RollupId, u64)> + '_ {
        self.lanes.iter().map(|(rollup, count)| (*rollup, *count))
    }
}

/// A length as it is hashed; a payload's limits keep it far below the end of `u32`.
pub(crate) fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// F1: the first of these ids that a block at `height` may not hold, if any. `committed` says at which height an id was
/// last committed, and may forget what is older than [`DUPLICATE_WINDOW_BLOCKS`]; `pending` says whether an uncommitted
/// ancestor of the block holds it. Twice inside one block is for [`CheckedPayload`] to find.
pub fn duplicate<'a>(
    height: Height,
    ids: impl IntoIterator<Item = &'a TransactionId>,
    committed: impl Fn(&TransactionId) -> Option<Height>,
    pending: impl Fn(&TransactionId) -> bool,
) -> Option<TransactionId> {
    let first = Height(height.0.saturating_sub(DUPLICATE_WINDOW_BLOCKS));
    ids.into_iter()
        .find(|id| {
            (pending(id) && !zoo::is(Mutant::IncludedTwice))
                || committed(id).is_some_and(|at| at >= first)
        })
        .copied()
}

#[cfg(test)]
mod tests;
