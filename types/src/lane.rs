//! Lanes: what a block adds to the order of each rollup, and what its header says of it.
//!
//! ```text
//! Block.roots.lanes    commits to the LaneBlock of every rollup that has transactions in the block, and to no other
//! Block.roots.history  commits to all blocks before it, from genesis on
//! LaneBlock            height in its lane (from 1, gapless), parent lane block, transactions
//! ```

use crate::codec::{hex_id, wire_struct, wire_u64};
use crate::crypto::sha256;
use crate::ids::{BlockId, Height, RollupId, TransactionId};
use crate::limits::LANES_PER_PAYLOAD_MAX;
use crate::merkle::{self, Hash};
use crate::payload::Batch;
use crate::registry::RegistryRoot;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A lane block's place in its lane: 1 for the first, then without gaps; 0 stands for the lane's beginning.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LaneHeight(pub u64);

impl LaneHeight {
    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for LaneHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

wire_u64!(LaneHeight);

hex_id! {
    /// SHA-256 of a lane block.
    LaneHash
}
hex_id! {
    /// SHA-256 over how many lane blocks a block has, and their Merkle root.
    LanesRoot
}
hex_id! {
    /// Merkle root over the ids of a lane block's transactions.
    TransactionsRoot
}
hex_id! {
    /// Merkle root over the ids of all blocks before one.
    HistoryRoot
}

impl LaneHash {
    /// The parent of a lane's first block.
    pub const NONE: Self = Self([0; 32]);
}

/// What a block's header says of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roots {
    /// Commitment to the block's lane blocks.
    pub lanes: LanesRoot,
    /// Commitment to the blocks before it.
    pub history: HistoryRoot,
    /// Commitment to the rollups that are registered before it.
    pub registry: RegistryRoot,
}

wire_struct!(Roots {
    lanes,
    history,
    registry
});

impl Roots {
    /// Of genesis and of fillers (R13), which are no part of any lane.
    pub const NONE: Self = Self {
        lanes: LanesRoot([0; 32]),
        history: HistoryRoot([0; 32]),
        registry: RegistryRoot([0; 32]),
    };
}

/// What one block adds to one rollup's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneBlock {
    /// Whose.
    pub rollup: RollupId,
    /// Its place in the lane.
    pub height: LaneHeight,
    /// The lane block before it; [`LaneHash::NONE`] if it is the first.
    pub parent: LaneHash,
    /// How many transactions of the rollup come before it.
    pub first: u64,
    /// How many it has; at least one.
    pub count: u32,
    /// Merkle root over their ids.
    pub transactions: TransactionsRoot,
}

wire_struct!(LaneBlock {
    rollup,
    height,
    parent,
    first,
    count,
    transactions
});

impl LaneBlock {
    /// `sha256("OUTRLANE" || fields)`, each of fixed width, big-endian, in declaration order.
    #[must_use]
    pub fn hash(&self) -> LaneHash {
        LaneHash(sha256(&[
            b"OUTRLANE",
            &self.rollup.0.to_be_bytes(),
            &self.height.0.to_be_bytes(),
            &self.parent.0,
            &self.first.to_be_bytes(),
            &self.count.to_be_bytes(),
            &self.transactions.0,
        ]))
    }

    /// Whether these are the ids of its transactions.
    #[must_use]
    pub fn is_of(&self, ids: &[TransactionId]) -> bool {
        self.count as usize == ids.len() && self.transactions.0 == Batch::root(ids)
    }

    /// The lane before this block.
    #[must_use]
    pub const fn before(&self) -> LaneTip {
        LaneTip {
            height: LaneHeight(self.height.0.saturating_sub(1)),
            hash: self.parent,
            transactions: self.first,
        }
    }

    /// The lane once this is its last block.
    #[must_use]
    pub fn tip(&self) -> LaneTip {
        LaneTip {
            height: self.height,
            hash: self.hash(),
            transactions: self.first.saturating_add(u64::from(self.count)),
        }
    }
}

/// The lane blocks of one block, rollups ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneBlocks {
    /// Each of another rollup.
    pub list: Vec<LaneBlock>,
}

wire_struct!(LaneBlocks {
    list[LANES_PER_PAYLOAD_MAX]
});

/// The end of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneTip {
    /// How many lane blocks it has.
    pub height: LaneHeight,
    /// The last of them.
    pub hash: LaneHash,
    /// How many transactions it has.
    pub transactions: u64,
}

wire_struct!(LaneTip {
    height,
    hash,
    transactions
});

/// The end of a lane, and what it was before the last block that continued the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneTips {
    /// Height of that block.
    pub height: Height,
    /// With it.
    pub now: LaneTip,
    /// Without it.
    pub before: LaneTip,
}

wire_struct!(LaneTips {
    height,
    now,
    before
});

impl LaneTip {
    /// The lane block that so many transactions with this Merkle root make on top of it.
    #[must_use]
    pub const fn extend(
        &self,
        rollup: RollupId,
        count: u32,
        transactions: TransactionsRoot,
    ) -> LaneBlock {
        LaneBlock {
            rollup,
            height: self.height.next(),
            parent: self.hash,
            first: self.transactions,
            count,
            transactions,
        }
    }
}

impl LanesRoot {
    /// Of lane blocks, rollups strictly ascending.
    #[must_use]
    pub fn of(lanes: &[LaneBlock]) -> Self {
        let leaves: Vec<Hash> = lanes
            .iter()
            .map(|lane| Self::leaf(lane.rollup, lane.hash()))
            .collect();
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        Self::commitment(count, &merkle::root(&leaves))
    }

    /// The leaf of a lane block: `rollup || hash`.
    #[must_use]
    pub fn leaf(rollup: RollupId, hash: LaneHash) -> Hash {
        let mut leaf = [0; 8 + 32];
        leaf[..8].copy_from_slice(&rollup.0.to_be_bytes());
        leaf[8..].copy_from_slice(&hash.0);
        merkle::leaf_hash(&leaf)
    }

    /// `sha256(0x03 || count || root)`: the count fixes the shape of the tree.
    #[must_use]
    pub fn commitment(count: u32, root: &Hash) -> Self {
        Self(sha256(&[&[3], &count.to_be_bytes(), root]))
    }
}

impl HistoryRoot {
    /// The leaf of a block.
    #[must_use]
    pub fn leaf(block: BlockId) -> Hash {
        merkle::leaf_hash(&block.0)
    }
}
