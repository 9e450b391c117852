//! Snapshots of the chain: what a new member starts from, out of one store and into another.

use super::transactions::put_entries;
use super::{Chain, ChainError, TIP, height_key};
use outrider_finality::{
    Checkpoint, HISTORY_CHUNK, LANES_PER_ITEM_MAX, LaneEnd, LaneIds, LedgerTip, PATH_HEADERS_MAX,
    SnapshotBlock, SnapshotError, SnapshotItem, SnapshotVerifier, Taken,
};
use outrider_storage::{Store, Table};
use outrider_types::codec::EncodeSize as _;
use outrider_types::merkle::Peaks;
use outrider_types::registry::RegistryRecord;
use outrider_types::{
    Block, BlockRecord, Bytes, Committee, CommitteeId, Contact, EpochStart, Height, LaneTip,
    LaneTips, RollupId, encode,
};
use std::collections::BTreeMap;

/// There from the first record of an installation to the last.
const INSTALLING: &[u8] = b"installing";
/// Bytes of one page of blocks: payloads that are hashed, and twice what is given out.
const PAGE_BYTES: usize = 4 << 20;
/// Blocks of one page.
pub const BLOCKS_PER_PAGE_MAX: usize = 256;

/// Why a snapshot cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No block can be started from.
    #[error(
        "no block of the last {PATH_HEADERS_MAX} has a certificate of its own; try again when some more are final"
    )]
    TooYoung,
    /// The window of F1 is not there.
    #[error(
        "the block at height {height} is not here, and a snapshot needs the blocks from {first} on; take it from a member that keeps more (storage.keep_blocks)"
    )]
    Pruned {
        /// What is missing.
        height: Height,
        /// What is needed.
        first: Height,
    },
}

/// Why a snapshot cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The store.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is a chain already.
    #[error(
        "the store holds a chain already, or what is left of an installation that did not finish; move the store folder away (not the journal) and install again"
    )]
    NotEmpty,
}

impl<S: Store> Chain<S> {
    /// The newest block that a snapshot can start from, and how many transactions each rollup has up to it.
    pub fn checkpoint(&self) -> Result<(Checkpoint, Vec<LaneEnd>), TakeError> {
        let mut lanes: BTreeMap<RollupId, LaneTip> = self.ledger.lanes().collect();
        let mut block = self.root;
        for _ in 0..PATH_HEADERS_MAX {
            if block.height == Height(0) {
                break;
            }
            let certificate = self.certificate(block.height)?;
            let own = certificate.filter(|it| it.block() == block.id());
            let registry = self.ledger.registry();
            let starts = block.next == CommitteeId::NONE && block.roots.registry == registry.root();
            if let Some(certificate) = own.filter(|_| starts) {
                lanes.retain(|_, tip| *tip != LaneTip::default());
                let mut checkpoint = Checkpoint {
                    genesis: self.genesis.id(),
                    first: Checkpoint::window_of(block.height),
                    block,
                    certificate,
                    transactions: lanes.values().map(|tip| tip.transactions).sum(),
                    rollups: u32::try_from(lanes.len()).unwrap_or(u32::MAX),
                    history: Vec::new(),
                    registry: registry.iter().copied().collect(),
                };
                let before = Height(checkpoint.history_begins() - 1);
                checkpoint.history = self.history_to(before)?.peaks().to_vec();
                let end = |(rollup, tip)| LaneEnd { rollup, tip };
                return Ok((checkpoint, lanes.into_iter().map(end).collect()));
            }
            let first = Checkpoint::window_of(block.height);
            for LaneIds { lane, .. } in self.snapshot_block(block, first)?.holds.lanes {
                lanes.insert(lane.rollup, lane.before());
            }
            block = self.header(Height(block.height.0 - 1), first)?;
        }
        Err(TakeError::TooYoung)
    }

    fn header(&self, height: Height, first: Height) -> Result<Block, TakeError> {
        self.block_at(height)?
            .ok_or(TakeError::Pruned { height, first })
    }

    fn snapshot_block(&self, block: Block, first: Height) -> Result<SnapshotBlock, TakeError> {
        let height = block.height;
        let holds = self
            .ids_of(&block)?
            .ok_or(TakeError::Pruned { height, first })?;
        Ok(SnapshotBlock { block, holds })
    }

    /// Blocks of a snapshot from a height down, at least one and at most [`BLOCKS_PER_PAGE_MAX`], not below `first`.
    pub fn snapshot_blocks(
        &self,
        from: Height,
        first: Height,
    ) -> Result<Vec<SnapshotBlock>, TakeError> {
        let mut blocks = Vec::new();
        let mut bytes = 0;
        let first = first.max(Height(1));
        for height in (first.0..=from.0).rev().take(BLOCKS_PER_PAGE_MAX) {
            if bytes > PAGE_BYTES {
                break;
            }
            let block = self.snapshot_block(self.header(Height(height), first)?, first)?;
            let payload = self.store.get(Table::Payload, &block.block.payload.0);
            bytes += payload.map_err(ChainError::from)?.map_or(0, |it| it.len());
            bytes += 2 * block.encode_size();
            blocks.push(block);
        }
        Ok(blocks)
    }

    /// Whether the store holds what is left of an installation that did not finish.
    pub(super) fn half_installed(&self) -> Result<bool, ChainError> {
        Ok(self.store.get(Table::Meta, INSTALLING)?.is_some())
    }
}

/// The items of a list of rollups.
pub fn lane_items(lanes: &[LaneEnd]) -> impl Iterator<Item = SnapshotItem> + '_ {
    let pages = lanes.chunks(LANES_PER_ITEM_MAX);
    pages.map(|page| SnapshotItem::Lanes(page.to_vec()))
}

/// Puts a snapshot into an empty store, item by item, each one checked.
#[derive(Debug)]
pub struct Installer<S> {
    chain: Chain<S>,
    verifier: SnapshotVerifier,
    epoch: EpochStart,
    checkpoint: Option<Checkpoint>,
}

impl<S: Store> Installer<S> {
    /// For the chain that begins with this committee; `contacts` say where its members are, in the same order.
    pub fn new(
        store: S,
        committee: Committee,
        contacts: Vec<Contact>,
    ) -> Result<Self, InstallError> {
        let tip = store.get(Table::Meta, TIP).map_err(ChainError::from)?;
        let left = store
            .get(Table::Meta, INSTALLING)
            .map_err(ChainError::from)?;
        if tip.is_some() || left.is_some() {
            return Err(InstallError::NotEmpty);
        }
        let verifier = SnapshotVerifier::new(&committee);
        let mut chain = Chain::blank(store, committee, contacts);
        chain.put_meta(INSTALLING, Bytes::from_static(&[1]))?;
        chain.sync()?;
        chain.put_first()?;
        Ok(Self {
            verifier,
            epoch: chain.epoch.clone(),
            chain,
            checkpoint: None,
        })
    }

    /// Check an item and keep it.
    pub fn take(&mut self, item: SnapshotItem) -> Result<(), InstallError> {
        match self.verifier.take(item)? {
            Taken::EpochEnd(end) => {
                let next = end.start(&self.epoch);
                self.chain.put_end_of(&end, &next)?;
                self.epoch = next;
            }
            Taken::Checkpoint(checkpoint) => self.checkpoint = Some(*checkpoint),
            Taken::Lanes(lanes) => {
                for LaneEnd { rollup, tip } in lanes {
                    let tips = LaneTips {
                        height: Height(0),
                        now: tip,
                        before: tip,
                    };
                    self.chain.put_lane_tips(rollup, tips)?;
                }
            }
            Taken::Block { block, entries } => {
                let height = block.block.height;
                // What is open is read when the chain is opened.
                put_entries(&mut self.chain.store, height, &entries)?;
                self.chain.put_header(&block.block)?;
                let lanes = block.holds.lane_blocks();
                self.chain.put_lane_blocks(height, lanes)?;
                self.chain.put_ids(&block.block, &block.holds)?;
            }
        }
        Ok(())
    }

    /// All items have come: from now on the store holds a chain.
    pub fn finish(mut self) -> Result<(Block, SnapshotVerifier), InstallError> {
        self.verifier.finish()?;
        let Some(checkpoint) = self.checkpoint else {
            return Err(InstallError::NotEmpty);
        };
        let begins = checkpoint.history_begins();
        let Checkpoint {
            first,
            block,
            certificate,
            transactions,
            history,
            registry,
            ..
        } = checkpoint;
        let chain = &mut self.chain;
        chain.put_certificate(block.height, &certificate)?;
        let peaks = Peaks::new(begins, history).filter(|_| begins.is_multiple_of(HISTORY_CHUNK));
        if let Some(peaks) = peaks {
            chain.put_history_chunk(&peaks, Vec::new())?;
        }
        chain.put_registry(RegistryRecord {
            height: Height(0),
            before: registry.clone(),
            now: registry,
        })?;
        chain.begin_pruned(first, block.height.next())?;
        let tip = LedgerTip {
            height: block.height,
            id: block.id(),
            timestamp: block.timestamp,
            view: block.view,
            transactions,
        };
        chain.put_meta(TIP, encode(&tip))?;
        chain.sync()?;
        let deleted = chain.store.delete(Table::Meta, INSTALLING);
        deleted.map_err(ChainError::from)?;
        chain.sync()?;
        Ok((block, self.verifier))
    }
}

impl<S: Store> Chain<S> {
    fn put_meta(&mut self, key: &[u8], value: Bytes) -> Result<(), ChainError> {
        Ok(self.store.put(Table::Meta, key, value)?)
    }

    fn put_header(&mut self, block: &Block) -> Result<(), ChainError> {
        let record = BlockRecord {
            block: *block,
            justification: None,
        };
        let id = block.id();
        self.store.put(Table::Block, &id.0, encode(&record))?;
        let key = height_key(block.height);
        let id = Bytes::copy_from_slice(&id.0);
        Ok(self.store.put(Table::Height, &key, id)?)
    }
}

#[cfg(test)]
mod tests;
