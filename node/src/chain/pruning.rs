//! Forgetting old blocks, a few records at a time, so that the disk stays bounded while the chain grows.
//!
//! ```text
//! 1 ......... swept ......... horizon ................... root
//!   gone            being deleted      kept: `keep` blocks
//! ```
//!
//! Blocks at or above *floor* are held whole and can be served. It moves before anything below it is deleted, and
//! *swept* after, so a crash in between costs nothing but doing a few deletes again. Ends and starts of epochs stay,
//! for a light client follows them; so do the counters of rollups.
//!
//! Blocks and payloads that never become final would stay for ever. Each is noted when it is put, and the note goes when
//! it becomes final; what is still noted when the chain is [`UNFINAL_BLOCKS_KEPT`] blocks further is deleted.

use super::{Chain, ChainError, height_key};
use crate::handle::BlockAt;
use outrider_finality::{DIGEST_EVERY_BLOCKS, PayloadIds, state_digest};
use outrider_storage::{Store, Table};
use outrider_types::merkle::Hash;
use outrider_types::{Block, BlockId, Bytes, Height, Payload, PayloadId, TransactionId, encode};
use std::collections::BTreeMap;

const FLOOR: &[u8] = b"floor";
const SWEPT: &[u8] = b"swept";
const NOTE: &[u8] = b"unfinal";
const IDS: &[u8] = b"ids";
const DIGEST: &[u8] = b"digest";

/// Blocks that have to be due before pruning goes on: less often, the two heights above are written less often.
const STRIDE_BLOCKS: u64 = 32;
/// A block that is this far below the last final one and is not final itself will never be.
pub const UNFINAL_BLOCKS_KEPT: u64 = 256;
/// Notes looked at in one call of [`Chain::prune_unfinal`].
const NOTES_PER_CALL: usize = 64;
/// Notes that wait for the next sync; past that they are put at once.
const NOTES_MAX: usize = 4_096;
/// State digests that are remembered.
const DIGESTS_KEPT: u64 = 64;

/// What is noted: a block, or a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Block = 1,
    Payload = 2,
}

/// How far pruning has come.
#[derive(Debug)]
pub(super) struct PruneState {
    floor: Height,
    swept: Height,
    /// Notes that are written with the next sync, unless what they are about is final by then.
    fresh: BTreeMap<(Kind, [u8; 32]), Height>,
    /// Where the next look at the notes begins.
    notes_from: Vec<u8>,
    empty: PayloadId,
}

impl PruneState {
    pub(super) fn new() -> Self {
        Self {
            floor: Height(1),
            swept: Height(1),
            fresh: BTreeMap::new(),
            notes_from: NOTE.to_vec(),
            empty: Payload::default().id(),
        }
    }

    /// The lowest height that is not forgotten.
    pub(super) const fn swept(&self) -> Height {
        self.swept
    }
}

/// What must stay although it is old.
pub struct InUse<'a> {
    /// The block of the last vote on record: that it is in the store tells after a restart that the vote may have left.
    pub voted: Option<BlockId>,
    /// Payloads of blocks that are not final yet.
    pub payload: &'a dyn Fn(&PayloadId) -> bool,
}

impl std::fmt::Debug for InUse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InUse")
            .field("voted", &self.voted)
            .finish_non_exhaustive()
    }
}

/// What was asked for was forgotten here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pruned: this member holds blocks from height {first} on; ask a member that keeps more (storage.keep_blocks)"
)]
pub struct Pruned {
    /// The lowest height held whole.
    pub first: Height,
}

impl<S: Store> Chain<S> {
    /// The lowest height from which on all blocks are held whole.
    pub const fn floor(&self) -> Height {
        self.pruning.floor
    }

    /// Whether a final block of this height was forgotten, or was never held.
    pub fn pruned(&self, height: Height) -> Option<Pruned> {
        let first = self.pruning.floor;
        (height.0 > 0 && height < first).then_some(Pruned { first })
    }

    /// The same for a block, as far as it is known.
    pub fn pruned_at(&self, at: BlockAt) -> Result<Option<Pruned>, ChainError> {
        Ok(match at {
            BlockAt::Height(height) => self.pruned(height),
            BlockAt::Id(id) => self
                .record(id)?
                .and_then(|record| self.pruned(record.block.height)),
        })
    }

    /// The same for the block of a transaction whose place is still known.
    pub fn pruned_transaction(&self, id: &TransactionId) -> Result<Option<Pruned>, ChainError> {
        let location = self.location(id)?;
        Ok(location.and_then(|location| self.pruned(location.height)))
    }

    pub(super) fn restore_pruning(&mut self) -> Result<(), ChainError> {
        self.pruning.floor = self.height_in(FLOOR)?.unwrap_or(Height(1));
        self.pruning.swept = self.height_in(SWEPT)?.unwrap_or(Height(1));
        Ok(())
    }

    /// A new store that begins above height 1: headers from `swept` on, whole blocks from `floor` on.
    pub(super) fn begin_pruned(&mut self, swept: Height, floor: Height) -> Result<(), ChainError> {
        self.pruning.swept = swept;
        self.pruning.floor = floor;
        self.put_height(SWEPT, swept)?;
        self.put_height(FLOOR, floor)
    }

    fn height_in(&self, key: &[u8]) -> Result<Option<Height>, ChainError> {
        let Some(bytes) = self.store.get(Table::Meta, key)? else {
            return Ok(None);
        };
        let bytes = (&*bytes).try_into();
        let bytes = bytes.map_err(|_| ChainError::Missing { what: "height" })?;
        Ok(Some(Height(u64::from_be_bytes(bytes))))
    }

    fn put_height(&mut self, key: &[u8], height: Height) -> Result<(), ChainError> {
        let value = Bytes::copy_from_slice(&height_key(height));
        Ok(self.store.put(Table::Meta, key, value)?)
    }

    /// The first height of which nothing has to go, if `keep` blocks stay; 0 keeps all.
    fn horizon(&self, keep: u64) -> Height {
        match keep {
            0 => Height(0),
            keep => Height((self.root.height.0 + 1).saturating_sub(keep)),
        }
    }

    /// Whether there is something for [`prune`](Self::prune) to do.
    pub fn prune_due(&self, keep: u64) -> bool {
        let horizon = self.horizon(keep);
        let PruneState { floor, swept, .. } = self.pruning;
        // What was begun is brought to its end.
        swept.0 + STRIDE_BLOCKS <= horizon.0 || swept < floor.min(horizon) || self.run_is_dead()
    }

    /// Forget the oldest blocks beyond the last `keep`, with about `budget` deletes. How many were made.
    pub fn prune(
        &mut self,
        keep: u64,
        budget: usize,
        in_use: &InUse<'_>,
    ) -> Result<usize, ChainError> {
        if !self.prune_due(keep) {
            return Ok(0);
        }
        let horizon = self.horizon(keep);
        if self.pruning.floor < horizon {
            self.pruning.floor = horizon;
            self.put_height(FLOOR, horizon)?;
        }
        let (before, mut deleted) = (self.pruning.swept, 0);
        while self.pruning.swept < horizon && deleted < budget {
            deleted += self.forget(self.pruning.swept, in_use)?;
            self.pruning.swept = self.pruning.swept.next();
        }
        if self.pruning.swept != before {
            self.put_height(SWEPT, self.pruning.swept)?;
        }
        deleted += self.forget_run(budget.saturating_sub(deleted))?;
        Ok(deleted)
    }

    /// Forget a block. How many records went.
    fn forget(&mut self, height: Height, in_use: &InUse<'_>) -> Result<usize, ChainError> {
        let key = height_key(height);
        let Some(block) = self.block_at(height)? else {
            // Gone before a crash.
            self.forget_height(height)?;
            return Ok(1);
        };
        let payload = block.payload;
        if payload == self.pruning.empty {
            // Every block without transactions has it.
        } else if self.store.get(Table::Payload, &payload.0)?.is_none() {
            self.store.delete(Table::Meta, &ids_key(height))?;
        } else if !(in_use.payload)(&payload) && !self.is_shared(&block)? {
            self.store.delete(Table::Payload, &payload.0)?;
        }
        let lanes = self.forget_lanes(height)?;
        self.forget_entries(height)?;
        self.store.delete(Table::Certificate, &key)?;
        let id = block.id();
        if in_use.voted != Some(id) {
            self.store.delete(Table::Block, &id.0)?;
        }
        // Last: without it, nothing of this height is found any more.
        self.forget_height(height)?;
        Ok(5 + lanes)
    }

    /// Forget which block was at a height, unless the history still needs it: then [`put_history`](Self::put_history) does it.
    fn forget_height(&mut self, height: Height) -> Result<(), ChainError> {
        if self.history_keeps(height) {
            return Ok(());
        }
        Ok(self.store.delete(Table::Height, &height_key(height))?)
    }

    /// Whether a later final block holds the same payload, ordered again more than the window of F1 later: then each of its
    /// transactions is there now.
    fn is_shared(&self, block: &Block) -> Result<bool, ChainError> {
        let Some(first) = self.ids_of(block)?.and_then(|ids| ids.ids().next()) else {
            return Ok(false);
        };
        let Some(at) = self.location(&first)?.filter(|at| at.height > block.height) else {
            return Ok(false);
        };
        let later = self.block_at(at.height)?;
        Ok(later.is_some_and(|later| later.payload == block.payload))
    }

    /// Ids of the transactions of a block, from its payload or from a snapshot; none if neither is here.
    pub(super) fn ids_of(&self, block: &Block) -> Result<Option<PayloadIds>, ChainError> {
        if block.payload == self.pruning.empty {
            return Ok(Some(PayloadIds::default()));
        }
        if let Some(payload) = self.payload(block.payload)? {
            let lanes = self.lanes_of(block)?;
            return Ok(lanes.map(|lanes| PayloadIds::of(&payload, &lanes)));
        }
        self.read(Table::Meta, &ids_key(block.height), "ids of a block")
    }

    /// Keep the ids of a block whose payload is not here.
    pub(super) fn put_ids(&mut self, block: &Block, ids: &PayloadIds) -> Result<(), ChainError> {
        if !ids.lanes.is_empty() {
            let key = ids_key(block.height);
            self.store.put(Table::Meta, &key, encode(ids))?;
        }
        Ok(())
    }

    /// A block or payload was put that is not final.
    fn note(&mut self, kind: Kind, id: [u8; 32], at: Height) -> Result<(), ChainError> {
        if self.pruning.fresh.len() >= NOTES_MAX {
            self.put_notes()?;
        }
        self.pruning.fresh.insert((kind, id), at);
        Ok(())
    }

    pub(super) fn note_block(&mut self, block: &Block) -> Result<(), ChainError> {
        if block.height > self.root.height {
            self.note(Kind::Block, block.id().0, block.height)?;
        }
        Ok(())
    }

    pub(super) fn note_payload(&mut self, id: PayloadId) -> Result<(), ChainError> {
        if id != self.pruning.empty {
            self.note(Kind::Payload, id.0, self.root.height)?;
        }
        Ok(())
    }

    /// A block is final, and so is its payload.
    pub(super) fn unnote(&mut self, block: &Block) -> Result<(), ChainError> {
        let mut keys = vec![(Kind::Block, block.id().0)];
        if block.payload != self.pruning.empty {
            keys.push((Kind::Payload, block.payload.0));
        }
        for key in keys {
            if self.pruning.fresh.remove(&key).is_none() {
                self.store.delete(Table::Meta, &note_key(key))?;
            }
        }
        Ok(())
    }

    /// Before a sync: what is durable then and not final is noted.
    pub(super) fn put_notes(&mut self) -> Result<(), ChainError> {
        for (key, height) in std::mem::take(&mut self.pruning.fresh) {
            self.put_height(&note_key(key), height)?;
        }
        Ok(())
    }

    /// Delete some of what was put long ago and never became final. How many.
    pub fn prune_unfinal(&mut self, in_use: &InUse<'_>) -> Result<usize, ChainError> {
        let from = std::mem::replace(&mut self.pruning.notes_from, NOTE.to_vec());
        let page = self.store.range(Table::Meta, &from, NOTES_PER_CALL)?;
        let full = page.len() == NOTES_PER_CALL;
        let mut deleted = 0;
        for (at, (key, value)) in page.into_iter().enumerate() {
            let Some((kind, id)) = noted(&key) else {
                return Ok(deleted);
            };
            if full && at + 1 == NOTES_PER_CALL {
                self.pruning.notes_from = [&*key, &[0]].concat();
            }
            let put = <[u8; 8]>::try_from(&*value).map_or(0, u64::from_be_bytes);
            if put.saturating_add(UNFINAL_BLOCKS_KEPT) >= self.root.height.0 {
                continue;
            }
            if kind == Kind::Block && self.id_at(Height(put))? == Some(BlockId(id)) {
                self.store.delete(Table::Meta, &key)?;
                continue;
            }
            let stays = match kind {
                Kind::Block => in_use.voted == Some(BlockId(id)),
                Kind::Payload => (in_use.payload)(&PayloadId(id)),
            };
            if stays {
                continue;
            }
            let table = match kind {
                Kind::Block => Table::Block,
                Kind::Payload => Table::Payload,
            };
            self.store.delete(table, &id)?;
            self.store.delete(Table::Meta, &key)?;
            deleted += 1;
        }
        Ok(deleted)
    }

    /// Remember what the ledger is here, for those who check a snapshot.
    pub(super) fn put_digest(&mut self) -> Result<(), ChainError> {
        let tip = *self.ledger.tip();
        if !tip.height.0.is_multiple_of(DIGEST_EVERY_BLOCKS) {
            return Ok(());
        }
        let digest = state_digest(tip.height, tip.id, self.ledger.lanes());
        let old = tip.height.0.checked_sub(DIGESTS_KEPT * DIGEST_EVERY_BLOCKS);
        if let Some(old) = old {
            self.store.delete(Table::Meta, &digest_key(Height(old)))?;
        }
        let value = Bytes::copy_from_slice(&digest);
        Ok(self
            .store
            .put(Table::Meta, &digest_key(tip.height), value)?)
    }

    /// The digest of the ledger at a height; the last `DIGESTS_KEPT` multiples of [`DIGEST_EVERY_BLOCKS`] are here.
    pub fn digest(&self, height: Height) -> Result<Option<Hash>, ChainError> {
        let found = self.store.get(Table::Meta, &digest_key(height))?;
        Ok(found.and_then(|bytes| Hash::try_from(&*bytes).ok()))
    }
}

fn ids_key(height: Height) -> Vec<u8> {
    [IDS, &height_key(height)].concat()
}

fn digest_key(height: Height) -> Vec<u8> {
    [DIGEST, &height_key(height)].concat()
}

fn note_key((kind, id): (Kind, [u8; 32])) -> Vec<u8> {
    [NOTE, &[kind as u8], &id].concat()
}

fn noted(key: &[u8]) -> Option<(Kind, [u8; 32])> {
    let (kind, id) = key.strip_prefix(NOTE)?.split_first()?;
    let kind = match kind {
        1 => Kind::Block,
        2 => Kind::Payload,
        _ => return None,
    };
    Some((kind, id.try_into().ok()?))
}

#[cfg(test)]
mod tests;
