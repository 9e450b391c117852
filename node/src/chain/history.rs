//! The history of blocks: what a header says of all blocks before it, and the path from one of them up to there.
//!
//! At each multiple of [`HISTORY_CHUNK`] the peaks of the tree so far are kept, and the ids of the chunk that ends there. Both
//! stay when blocks are pruned: 32 bytes for each block and about 600 for each chunk, so that a cursor however old can be led to
//! a block that is still here.

use super::{Chain, ChainError};
use outrider_finality::{HISTORY_CHUNK, HistoryChunk};
use outrider_storage::{Store, Table};
use outrider_types::merkle::{self, Hash, Peaks};
use outrider_types::{BlockId, Height, HistoryRoot, encode};

const HISTORY: u8 = 3;

impl<S: Store> Chain<S> {
    /// A block joined the ledger: keep the history where a chunk is complete.
    pub(super) fn put_history(&mut self) -> Result<(), ChainError> {
        let peaks = self.ledger.history();
        if !peaks.len().is_multiple_of(HISTORY_CHUNK) {
            return Ok(());
        }
        let mut ids = Vec::with_capacity(HISTORY_CHUNK as usize);
        for height in peaks.len() - HISTORY_CHUNK..peaks.len() {
            match self.id_at(Height(height))? {
                Some(id) => ids.push(id),
                // A snapshot began here in the middle of the chunk.
                None => ids.clear(),
            }
        }
        if ids.len() as u64 != HISTORY_CHUNK {
            ids.clear();
        }
        let peaks = peaks.clone();
        self.put_history_chunk(&peaks, ids)?;
        // What was pruned while the chunk was not complete.
        let first = (peaks.len() - HISTORY_CHUNK).max(1);
        for height in first..peaks.len().min(self.pruning.swept().0) {
            self.store
                .delete(Table::Height, &super::height_key(Height(height)))?;
        }
        Ok(())
    }

    /// Whether the id of the block at this height belongs to the chunk that is not complete.
    pub(super) fn history_keeps(&self, height: Height) -> bool {
        let len = self.ledger.history().len();
        height.0 >= len - len % HISTORY_CHUNK
    }

    pub(super) fn put_history_chunk(
        &mut self,
        peaks: &Peaks,
        ids: Vec<BlockId>,
    ) -> Result<(), ChainError> {
        let chunk = HistoryChunk {
            peaks: peaks.peaks().to_vec(),
            ids,
        };
        let key = history_key(peaks.len() / HISTORY_CHUNK);
        Ok(self.store.put(Table::Lane, &key, encode(&chunk))?)
    }

    /// All blocks from genesis up to the one at this height.
    pub(super) fn history_to(&self, tip: Height) -> Result<Peaks, ChainError> {
        let len = tip.0.saturating_add(1);
        let begins = len - len % HISTORY_CHUNK;
        let missing = || ChainError::Missing {
            what: "history of blocks",
        };
        let mut peaks = match begins {
            0 => Peaks::default(),
            _ => {
                let chunk = self.history_chunk(begins / HISTORY_CHUNK)?;
                let chunk = chunk.ok_or_else(missing)?;
                Peaks::new(begins, chunk.peaks).ok_or_else(missing)?
            }
        };
        for height in begins..len {
            let id = self.id_at(Height(height))?.ok_or_else(missing)?;
            peaks.push(HistoryRoot::leaf(id));
        }
        Ok(peaks)
    }

    fn history_chunk(&self, number: u64) -> Result<Option<HistoryChunk>, ChainError> {
        self.read(Table::Lane, &history_key(number), "history of blocks")
    }

    /// The Merkle path from the block at `from` to the history that the header at `to` covers; none if this store began above
    /// `from`.
    pub fn history_path(&self, from: Height, to: Height) -> Result<Option<Vec<Hash>>, ChainError> {
        if from >= to || to > self.root.height {
            return Ok(None);
        }
        let (mut start, mut len, at) = (0, to.0, from.0);
        // Down from the root: at each node the sibling of the side that holds the leaf, as in RFC 6962.
        let mut path = Vec::new();
        while len > 1 {
            let left = largest_power_below(len);
            let (sibling, below) = if at - start < left {
                ((start + left, len - left), (start, left))
            } else {
                ((start, left), (start + left, len - left))
            };
            let Some(node) = self.history_node(sibling.0, sibling.1)? else {
                return Ok(None);
            };
            path.push(node);
            (start, len) = below;
        }
        path.reverse();
        Ok(Some(path))
    }

    /// Root of the tree over the blocks from a height on, so many of them; none if it is not known here.
    fn history_node(&self, start: u64, len: u64) -> Result<Option<Hash>, ChainError> {
        let end = start + len;
        // A perfect tree that is a left child is the last peak where it was completed.
        if len >= HISTORY_CHUNK && len.is_power_of_two() && (end / len) % 2 == 1 {
            let chunk = self.history_chunk(end / HISTORY_CHUNK)?;
            return Ok(chunk.and_then(|chunk| chunk.peaks.last().copied()));
        }
        if len <= HISTORY_CHUNK {
            return self.leaves_root(start, len);
        }
        let left = largest_power_below(len);
        let (one, two) = (
            self.history_node(start, left)?,
            self.history_node(start + left, len - left)?,
        );
        Ok(one.zip(two).map(|(one, two)| merkle::node_hash(&one, &two)))
    }

    /// The same for at most a chunk, from the ids.
    fn leaves_root(&self, start: u64, len: u64) -> Result<Option<Hash>, ChainError> {
        let number = start / HISTORY_CHUNK + 1;
        let within = (start % HISTORY_CHUNK) as usize;
        let kept = self.history_chunk(number)?.map(|chunk| chunk.ids);
        let ids = match kept.filter(|ids| !ids.is_empty()) {
            Some(ids) => ids.get(within..within + len as usize).map(<[_]>::to_vec),
            None => {
                let ids = (start..start + len).map(|height| self.id_at(Height(height)));
                ids.collect::<Result<Option<Vec<_>>, _>>()?
            }
        };
        Ok(ids.map(|ids| {
            let leaves: Vec<Hash> = ids.into_iter().map(HistoryRoot::leaf).collect();
            merkle::root(&leaves)
        }))
    }
}

/// Largest power of two below `len`, for `len >= 2`: where RFC 6962 splits a list.
const fn largest_power_below(len: u64) -> u64 {
    1 << (u64::BITS - 1 - (len - 1).leading_zeros())
}

fn history_key(number: u64) -> [u8; 9] {
    let mut key = [HISTORY; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}
