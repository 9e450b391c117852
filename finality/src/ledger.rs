//! The ledger: final blocks in order, and every transaction's place in its rollup.

use outrider_types::codec::{Error, FixedSize, Read, Write};
use outrider_types::{
    Block, BlockId, Height, Payload, PayloadId, RollupId, Timestamp, TransactionId, View,
};
use std::collections::{BTreeMap, BTreeSet};

/// F1: a transaction may not be ordered again within this many blocks after it was. Later it may: a rollup that must
/// never see it again has nonces, or puts a deadline into it.
pub const DUPLICATE_WINDOW_BLOCKS: u64 = 100_000;

/// The end of the ledger, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerTip {
    /// Height of the last final block.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// Its view.
    pub view: View,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Transactions since genesis.
    pub transactions: u64,
}

/// Where a final transaction is, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLocation {
    /// Height of its block.
    pub height: Height,
    /// Which of the block's batches.
    pub lane_index: u32,
    /// Which transaction of the batch.
    pub index: u32,
    /// How many transactions of its rollup come before it in the chain.
    pub position: u64,
}

macro_rules! record {
    ($name:ty, $size:expr, { $($field:ident),* }) => {
        impl Write for $name {
            fn write(&self, buf: &mut impl bytes::BufMut) {
                $(self.$field.write(buf);)*
            }
        }
        impl FixedSize for $name {
            const SIZE: usize = $size;
        }
        impl Read for $name {
            type Cfg = ();
            fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
                Ok(Self { $($field: Read::read_cfg(buf, &())?),* })
            }
        }
    };
}

record!(LedgerTip, 8 + 32 + 8 + 8 + 8, { height, block, view, timestamp, transactions });
record!(TransactionLocation, 8 + 4 + 4 + 8, { height, lane_index, index, position });

/// Why a block does not extend the ledger. Only a fork or our own bug leads here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Not the child of the last final block.
    #[error(
        "block {block} at height {height} extends {parent}, the last final block is {tip} at height {tip_height}"
    )]
    Parent {
        /// The block.
        block: BlockId,
        /// Its height.
        height: Height,
        /// Its parent.
        parent: BlockId,
        /// The last final block.
        tip: BlockId,
        /// Its height.
        tip_height: Height,
    },
    /// Another payload than the header commits to.
    #[error("the payload is {found}, the header commits to {expected}")]
    Payload {
        /// Of the payload.
        found: PayloadId,
        /// In the header.
        expected: PayloadId,
    },
    /// The ids given are not those of the payload.
    #[error("{found} transaction ids for {expected} transactions, or one of them twice")]
    Ids {
        /// Distinct ids.
        found: usize,
        /// Transactions.
        expected: usize,
    },
}

/// A transaction's place, as computed when its block became final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Which.
    pub id: TransactionId,
    /// Whose.
    pub rollup: RollupId,
    /// How many transactions of the rollup come before it.
    pub position: u64,
    /// Which of the block's batches.
    pub lane_index: u32,
    /// Which transaction of the batch.
    pub index: u32,
}

/// What appending a block changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its height.
    pub height: Height,
    /// Its transactions, in order.
    pub entries: Vec<LedgerEntry>,
    /// Rollups in it, with their transactions since genesis.
    pub lanes_changed: Vec<(RollupId, u64)>,
}

/// The chain of final blocks, as far as the next one needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    tip: LedgerTip,
    lanes: BTreeMap<RollupId, u64>,
}

impl Ledger {
    /// The ledger that holds only genesis.
    #[must_use]
    pub fn new(genesis: &Block) -> Self {
        let Block {
            height,
            view,
            timestamp,
            ..
        } = *genesis;
        let tip = LedgerTip {
            height,
            block: genesis.id(),
            view,
            timestamp,
            transactions: 0,
        };
        Self {
            tip,
            lanes: BTreeMap::new(),
        }
    }

    /// The ledger as it was stored.
    #[must_use]
    pub fn restore(tip: LedgerTip, lanes: impl IntoIterator<Item = (RollupId, u64)>) -> Self {
        Self {
            tip,
            lanes: lanes.into_iter().collect(),
        }
    }

    /// Its end.
    #[must_use]
    pub const fn tip(&self) -> LedgerTip {
        self.tip
    }

    /// Transactions since genesis.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.tip.transactions
    }

    /// Transactions of a rollup since genesis.
    #[must_use]
    pub fn lane(&self, rollup: RollupId) -> u64 {
        self.lanes.get(&rollup).copied().unwrap_or(0)
    }

    /// Append a final block. `ids` are those of the payload's transactions, in order. Nothing changes on an error.
    pub fn append(
        &mut self,
        block: &Block,
        ids: &[TransactionId],
        payload: &Payload,
    ) -> Result<Appended, LedgerError> {
        let tip = self.tip;
        if block.parent != tip.block || block.height != tip.height.next() {
            return Err(LedgerError::Parent {
                block: block.id(),
                height: block.height,
                parent: block.parent,
                tip: tip.block,
                tip_height: tip.height,
            });
        }
        let found = payload.id();
        if found != block.payload {
            return Err(LedgerError::Payload {
                found,
                expected: block.payload,
            });
        }
        let distinct: BTreeSet<&TransactionId> = ids.iter().collect();
        if distinct.len() != payload.len() || ids.len() != payload.len() {
            return Err(LedgerError::Ids {
                found: distinct.len(),
                expected: payload.len(),
            });
        }
        let mut entries = Vec::with_capacity(ids.len());
        let mut lanes_changed = Vec::with_capacity(payload.batches.len());
        let mut next = ids.iter();
        for (lane_index, batch) in (0..).zip(&payload.batches) {
            let mut position = self.lane(batch.rollup);
            for (index, _) in (0..).zip(&batch.transactions) {
                if let Some(id) = next.next() {
                    entries.push(LedgerEntry {
                        id: *id,
                        rollup: batch.rollup,
                        position,
                        lane_index,
                        index,
                    });
                    position += 1;
                }
            }
            lanes_changed.push((batch.rollup, position));
        }
        self.lanes.extend(lanes_changed.iter().copied());
        self.tip = LedgerTip {
            height: block.height,
            block: block.id(),
            view: block.view,
            timestamp: block.timestamp,
            transactions: tip.transactions + ids.len() as u64,
        };
        Ok(Appended {
            height: block.height,
            entries,
            lanes_changed,
        })
    }
}

/// F1: the first of these transactions that a block at `height` may not hold, because an ancestor within the window
/// holds it. `committed` says at which height one is final, `pending` whether an ancestor that is not final holds it.
pub fn duplicate<'a>(
    height: Height,
    ids: impl IntoIterator<Item = &'a TransactionId>,
    committed: impl Fn(&TransactionId) -> Option<Height>,
    pending: impl Fn(&TransactionId) -> bool,
) -> Option<TransactionId> {
    let oldest = Height(height.0.saturating_sub(DUPLICATE_WINDOW_BLOCKS));
    ids.into_iter()
        .find(|id| pending(id) || committed(id).is_some_and(|at| at >= oldest))
        .copied()
}
