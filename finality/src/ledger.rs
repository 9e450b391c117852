//! The ledger: committed blocks in order, and a place in it for every transaction.

use crate::records::{LedgerTip, TransactionLocation};
use outrider_types::bundle::BundleId;
use outrider_types::merkle::Peaks;
use outrider_types::registry::REGISTRY;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, CheckedPayload, Height, HistoryRoot, LaneBlock, LaneTip, LanesRoot, PayloadId,
    Policy, Registry, RollupId, Roots, TransactionId, TransactionsRoot,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Heights within which a transaction may not be ordered twice (F1).
pub const DUPLICATE_WINDOW_BLOCKS: u64 = 100_000;

/// The end of the committed chain, and the end of each rollup's lane. 48 bytes are kept per rollup that ever had a
/// transaction: whoever admits rollups bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    tip: LedgerTip,
    lanes: BTreeMap<RollupId, LaneTip>,
    /// All blocks from genesis to the tip.
    history: Peaks,
    registry: Arc<Registry>,
}

/// A block between the tip and one that is looked at: what counts of it for the [`Roots`] of those above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead<'a> {
    /// Its id.
    pub id: BlockId,
    /// Its lane blocks, rollups ascending.
    pub lanes: &'a [LaneBlock],
    /// The registry after it.
    pub registry: &'a Arc<Registry>,
}

/// What a block added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its height.
    pub height: Height,
    /// Its transactions, in order.
    pub entries: Vec<LedgerEntry>,
    /// Its lane blocks, rollups ascending.
    pub lanes: Vec<LaneBlock>,
    /// Whether it changed the registry.
    pub registered: bool,
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
    /// The header says something else of the ledger than the ledger does.
    #[error(
        "the {what} of the block at height {height} is {found} in its header and {expected} by the ledger"
    )]
    Roots {
        /// The block's height.
        height: Height,
        /// Which of them.
        what: &'static str,
        /// In the header.
        found: String,
        /// By the ledger.
        expected: String,
    },
    /// Something is ordered for a rollup that is closed, or was never registered.
    #[error("the block at height {height} orders something for rollup {rollup}, which is not open")]
    Closed {
        /// The block's height.
        height: Height,
        /// For which.
        rollup: RollupId,
    },
    /// The transactions of a lane block are not in the order of its policy.
    #[error(
        "in the block at height {height}, transaction {place} of rollup {rollup} is out of place: the policy is {policy}"
    )]
    Order {
        /// The block's height.
        height: Height,
        /// Whose lane.
        rollup: RollupId,
        /// The first out of place, from 0.
        place: usize,
        /// The policy.
        policy: Policy,
    },
    /// Some parts of a bundle and not all.
    #[error("the block at height {height} holds bundle {bundle} in part, or in a malformed part")]
    Bundle {
        /// The block's height.
        height: Height,
        /// Which.
        bundle: BundleId,
    },
    /// The history is not that of the tip.
    #[error(
        "a history of {found} blocks, the tip has {expected} up to itself: take the snapshot again from a peer"
    )]
    History {
        /// How many.
        found: u64,
        /// One more than the tip's height.
        expected: u64,
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
        let mut history = Peaks::default();
        history.push(HistoryRoot::leaf(genesis.id()));
        Self {
            tip: LedgerTip::of(genesis, 0),
            lanes: BTreeMap::new(),
            history,
            registry: Arc::default(),
        }
    }

    /// The ledger as it was stored: its tip, the end of every lane, all blocks up to the tip, and the registry after it.
    pub fn restore(
        tip: LedgerTip,
        lanes: impl IntoIterator<Item = (RollupId, LaneTip)>,
        (history, registry): (Peaks, Registry),
    ) -> Result<Self, LedgerError> {
        let lanes: BTreeMap<RollupId, LaneTip> = lanes.into_iter().collect();
        let found = lanes
            .values()
            .fold(0_u64, |sum, lane| sum.saturating_add(lane.transactions));
        if found != tip.transactions {
            return Err(LedgerError::Snapshot {
                found,
                expected: tip.transactions,
            });
        }
        let (found, expected) = (history.len(), tip.height.0.saturating_add(1));
        if found != expected {
            return Err(LedgerError::History { found, expected });
        }
        Ok(Self {
            tip,
            lanes,
            history,
            registry: Arc::new(registry),
        })
    }

    /// The lane blocks of a payload in a block on top of `branch`, which leads up from the tip, parents first; and what the
    /// header of that block says of the ledger.
    #[must_use]
    pub(crate) fn outlook(
        &self,
        branch: &[Ahead<'_>],
        payload: &CheckedPayload,
    ) -> (Vec<LaneBlock>, Roots) {
        let tip = |rollup| self.lane_ahead(branch, rollup);
        let batches = payload.payload.batches.iter().zip(&*payload.roots);
        let lanes: Vec<LaneBlock> = batches
            .map(|(batch, root)| {
                let rollup = batch.rollup;
                tip(rollup).extend(rollup, batch.count(), TransactionsRoot(*root))
            })
            .collect();
        let mut history = self.history.clone();
        for ahead in branch {
            history.push(HistoryRoot::leaf(ahead.id));
        }
        let roots = Roots {
            lanes: LanesRoot::of(&lanes),
            history: HistoryRoot(history.root()),
            registry: self.registry_ahead(branch).root(),
        };
        (lanes, roots)
    }

    fn lane_ahead(&self, branch: &[Ahead<'_>], rollup: RollupId) -> LaneTip {
        let above = branch.iter().rev().find_map(|ahead| {
            let at = ahead
                .lanes
                .binary_search_by_key(&rollup, |lane| lane.rollup);
            at.ok().and_then(|at| ahead.lanes.get(at))
        });
        above.map_or_else(|| self.lane(rollup), LaneBlock::tip)
    }

    /// The registry before a block on top of this branch.
    pub(crate) fn registry_ahead<'a>(&'a self, branch: &[Ahead<'a>]) -> &'a Arc<Registry> {
        branch.last().map_or(&self.registry, |last| last.registry)
    }

    /// The registry after a block with this payload on top of this branch.
    pub(crate) fn registry_after(
        &self,
        branch: &[Ahead<'_>],
        block: &Block,
        payload: &CheckedPayload,
    ) -> Arc<Registry> {
        let before = self.registry_ahead(branch);
        // Rollups ascend, and this is the lowest id.
        let first = payload.payload.batches.first();
        let Some(batch) = first.filter(|batch| batch.rollup == REGISTRY) else {
            return before.clone();
        };
        let place = (block.chain, block.height, block.timestamp);
        let used = |rollup| self.lane_ahead(branch, rollup).height.0 > 0;
        let after = before.after(place, &batch.transactions, used);
        after.map_or_else(|| before.clone(), Arc::new)
    }

    /// Append a committed block with its payload, which must be the one that its header commits to; what the header says of
    /// lanes and history must be so. An error changes nothing.
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

        let (lanes, roots) = self.outlook(&[], payload);
        check_roots(block, &roots)?;
        let registry = self.registry_after(&[], block, payload);
        let registered = !Arc::ptr_eq(&registry, &self.registry);
        self.registry = registry;

        let ids = &payload.transactions;
        let mut entries = Vec::with_capacity(ids.len());
        let mut rest = ids.iter();
        for (lane_index, lane) in (0..).zip(&lanes) {
            let own = rest.by_ref().take(lane.count as usize);
            for ((index, position), id) in (0..).zip(lane.first..).zip(own) {
                entries.push(LedgerEntry {
                    id: *id,
                    rollup: lane.rollup,
                    position,
                    lane_index,
                    index,
                });
            }
            self.lanes.insert(lane.rollup, lane.tip());
        }
        assert!(
            entries.len() == ids.len(),
            "every transaction of a block has a place"
        );
        let added = entries.len() as u64;
        self.tip = LedgerTip::of(block, self.tip.transactions + added);
        self.history.push(HistoryRoot::leaf(self.tip.id));
        Ok(Appended {
            height,
            entries,
            lanes,
            registered,
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

    /// The end of a rollup's lane.
    #[must_use]
    pub fn lane(&self, rollup: RollupId) -> LaneTip {
        self.lanes.get(&rollup).copied().unwrap_or_default()
    }

    /// Every rollup that has transactions, ascending, with the end of its lane.
    pub fn lanes(&self) -> impl Iterator<Item = (RollupId, LaneTip)> + '_ {
        self.lanes.iter().map(|(rollup, lane)| (*rollup, *lane))
    }

    /// The registered rollups, as the next block finds them.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// All blocks from genesis to the tip.
    #[must_use]
    pub const fn history(&self) -> &Peaks {
        &self.history
    }
}

/// F13: a block says of the ledger what the ledger itself says.
pub(crate) fn check_roots(block: &Block, expected: &Roots) -> Result<(), LedgerError> {
    let wrong = |what, found: String, expected: String| LedgerError::Roots {
        height: block.height,
        what,
        found,
        expected,
    };
    let found = block.roots;
    // A build that takes fillers into the ledger has no roots to hold them to, and one that believes ranges or headers looks at none.
    let filler = found == Roots::NONE && zoo::is(Mutant::FillerInLedger);
    let believed = zoo::is(Mutant::RangeUnverified) || zoo::is(Mutant::RootsUnchecked);
    if found == *expected || filler || believed {
        return Ok(());
    }
    Err(if found.lanes != expected.lanes {
        let (found, expected) = (found.lanes, expected.lanes);
        wrong("lanes root", found.to_string(), expected.to_string())
    } else if found.history != expected.history {
        let (found, expected) = (found.history, expected.history);
        wrong("history root", found.to_string(), expected.to_string())
    } else {
        let (found, expected) = (found.registry, expected.registry);
        wrong("registry root", found.to_string(), expected.to_string())
    })
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
