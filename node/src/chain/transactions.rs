//! Where final transactions are: an index that grows by thousands of random keys a second and is mostly asked for what it does
//! not hold.
//!
//! ```text
//! commit --> entries of the block, one record --+--> open: a map in memory, of blocks that are in no run
//!                                               |
//! many transactions, or many blocks ------------+--> run: all of them sorted by id, in chunks, and a filter in memory
//! ```
//!
//! So the store gets one record a block instead of one a transaction, and what is not there is known without reading it: a filter
//! says wrongly "perhaps" for about 1 of 70 ids, and then a chunk is read. Runs go when all of their blocks are forgotten.
//!
//! | key in `Table::Transaction` | value |
//! |---|---|
//! | 0 + height | entries of that block |
//! | 1 + number of the run + number of the chunk | entries with these first bits, sorted by id |
//! | 2 + number of the run | heights, number of chunks, filter; written last |
//!
//! An entry has [`ENTRY_BYTES`]: id, height, place in the block, place in the lane. Memory: a run of 65,536 transactions has a filter
//! of 80 KiB, and the open ones take at most about twice [`RUN_TRANSACTIONS`] entries.

use super::{Chain, ChainError};
use bytes::Bytes;
use outrider_finality::{LedgerEntry, TransactionLocation};
use outrider_storage::{Store, Table};
use outrider_types::codec::FixedSize as _;
use outrider_types::{Height, TransactionId, decode, encode};
use std::collections::{HashMap, VecDeque};

/// Open transactions that become a run.
pub(super) const RUN_TRANSACTIONS: usize = 64 << 10;
/// Blocks with transactions after which also fewer become one: they are read again at every start.
const RUN_BLOCKS: usize = 16 << 10;
/// Entries of a chunk, on average.
const CHUNK_ENTRIES: usize = 256;
/// With the byte that says the version of the encoding.
const LOCATION_BYTES: usize = 1 + TransactionLocation::SIZE;
const ENTRY_BYTES: usize = 32 + LOCATION_BYTES;

const OF_BLOCK: u8 = 0;
const CHUNK: u8 = 1;
const RUN: u8 = 2;
/// Records of one page when they are read at a start.
const PAGE: usize = 64;

type Entry = (TransactionId, TransactionLocation);

/// The index.
#[derive(Debug)]
pub(super) struct Transactions {
    open: HashMap<TransactionId, TransactionLocation>,
    /// Whose they are, ascending; at most [`RUN_BLOCKS`].
    open_blocks: VecDeque<Height>,
    /// Oldest first.
    runs: Vec<Run>,
    /// Chunks of the oldest run that are deleted already.
    forgotten: u32,
    /// See [`RUN_TRANSACTIONS`].
    pub(super) run_transactions: usize,
}

#[derive(Debug)]
struct Run {
    number: u64,
    last: Height,
    /// So many first bits of an id are the number of its chunk.
    bits: u8,
    filter: Filter,
}

/// A Bloom filter in blocks of one cache line, about ten bits for an id.
#[derive(Debug)]
struct Filter {
    lines: Vec<[u64; 8]>,
}

impl Filter {
    const BITS_PER_ID: usize = 10;
    const PROBES: u32 = 6;

    fn new(ids: usize) -> Self {
        let lines = (ids * Self::BITS_PER_ID).div_ceil(512).max(1);
        Self {
            lines: vec![[0; 8]; lines],
        }
    }

    /// Ids are hashes: their bytes are as good as any.
    fn line(&self, id: &TransactionId) -> (usize, u64) {
        let word = |at: usize| {
            let bytes = id.0.get(at..at + 8).and_then(|part| part.try_into().ok());
            bytes.map_or(0, u64::from_be_bytes)
        };
        let lines = self.lines.len() as u64;
        let line = usize::try_from(word(8) % lines).unwrap_or_default();
        (line, word(16))
    }

    fn bits(probes: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..Self::PROBES).map(move |probe| {
            let bit = (probes >> (9 * probe)) & 511;
            (
                usize::try_from(bit / 64).unwrap_or_default(),
                1 << (bit % 64),
            )
        })
    }

    fn insert(&mut self, id: &TransactionId) {
        let (line, probes) = self.line(id);
        if let Some(line) = self.lines.get_mut(line) {
            for (word, bit) in Self::bits(probes) {
                line[word] |= bit;
            }
        }
    }

    fn may_hold(&self, id: &TransactionId) -> bool {
        let (line, probes) = self.line(id);
        let line = self.lines.get(line);
        line.is_some_and(|line| Self::bits(probes).all(|(word, bit)| line[word] & bit != 0))
    }
}

impl Run {
    fn key(&self) -> Vec<u8> {
        [&[RUN][..], &self.number.to_be_bytes()].concat()
    }

    const fn chunks(&self) -> u32 {
        1 << self.bits
    }

    fn chunk_key(&self, chunk: u32) -> Vec<u8> {
        [
            &[CHUNK][..],
            &self.number.to_be_bytes(),
            &chunk.to_be_bytes(),
        ]
        .concat()
    }

    fn chunk_of(&self, id: &TransactionId) -> u32 {
        let [first, second, third, fourth, ..] = id.0;
        let first = u64::from(u32::from_be_bytes([first, second, third, fourth]));
        u32::try_from(first >> (32 - self.bits)).unwrap_or_default()
    }

    fn encode(&self) -> Bytes {
        let mut value = self.last.0.to_be_bytes().to_vec();
        value.push(self.bits);
        for word in self.filter.lines.iter().flatten() {
            value.extend(word.to_be_bytes());
        }
        value.into()
    }

    fn decode(number: u64, value: &[u8]) -> Option<Self> {
        let (last, rest) = value.split_first_chunk()?;
        let (&bits, rest) = rest.split_first()?;
        let (words, rest) = rest.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_be_bytes(*word)).collect();
        let (lines, left) = words.as_chunks::<8>();
        let whole = rest.is_empty() && left.is_empty() && !lines.is_empty() && bits <= 24;
        whole.then(|| Self {
            number,
            last: Height(u64::from_be_bytes(*last)),
            bits,
            filter: Filter {
                lines: lines.to_vec(),
            },
        })
    }
}

impl Transactions {
    pub(super) fn new() -> Self {
        Self {
            open: HashMap::new(),
            open_blocks: VecDeque::new(),
            runs: Vec::new(),
            forgotten: 0,
            run_transactions: RUN_TRANSACTIONS,
        }
    }

    /// A transaction may be ordered again after the window of F1: the later place counts.
    fn insert(&mut self, (id, location): Entry) {
        let place = self.open.entry(id).or_insert(location);
        if place.height < location.height {
            *place = location;
        }
    }
}

/// A key with its first byte taken off, as a number.
fn number_of(key: &[u8]) -> Option<u64> {
    let (_, rest) = key.split_first()?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

fn block_key(height: Height) -> Vec<u8> {
    [&[OF_BLOCK][..], &height.0.to_be_bytes()].concat()
}

fn encode_entries<'a>(entries: impl Iterator<Item = &'a Entry>) -> Bytes {
    let mut value = Vec::new();
    for (id, location) in entries {
        value.extend(id.0);
        value.extend(encode(location));
    }
    value.into()
}

fn decode_entry(bytes: &[u8]) -> Result<Entry, ChainError> {
    let damaged = ChainError::Missing {
        what: "place of a transaction",
    };
    let Some((id, location)) = bytes.split_first_chunk() else {
        return Err(damaged);
    };
    let location = decode(location.to_vec()).map_err(|error| ChainError::Decode {
        what: "place of a transaction",
        error,
    })?;
    Ok((TransactionId(*id), location))
}

/// Puts the places of a block's transactions.
pub(super) fn put_entries<S: Store>(
    store: &mut S,
    height: Height,
    entries: &[LedgerEntry],
) -> Result<Vec<Entry>, ChainError> {
    let entries: Vec<Entry> = entries
        .iter()
        .map(|entry| (entry.id, entry.location(height)))
        .collect();
    if !entries.is_empty() {
        let value = encode_entries(entries.iter());
        store.put(Table::Transaction, &block_key(height), value)?;
    }
    Ok(entries)
}

impl<S: Store> Chain<S> {
    /// The transactions of a block that is final now.
    pub(super) fn put_transactions(
        &mut self,
        height: Height,
        entries: &[LedgerEntry],
    ) -> Result<(), ChainError> {
        let entries = put_entries(&mut self.store, height, entries)?;
        self.open_transactions(height, entries)
    }

    fn open_transactions(&mut self, height: Height, entries: Vec<Entry>) -> Result<(), ChainError> {
        if entries.is_empty() {
            return Ok(());
        }
        let index = &mut self.transactions;
        for entry in entries {
            index.insert(entry);
        }
        index.open_blocks.push_back(height);
        if index.open.len() >= index.run_transactions || index.open_blocks.len() >= RUN_BLOCKS {
            self.close_run(height)?;
        }
        Ok(())
    }

    /// Where a transaction is final, unless its block is forgotten.
    pub(super) fn location(
        &self,
        id: &TransactionId,
    ) -> Result<Option<TransactionLocation>, ChainError> {
        let found = match self.transactions.open.get(id) {
            Some(location) => Some(*location),
            None => self.location_in_runs(id)?,
        };
        // After a crash there may be places of a block that is only about to be final again.
        let known = self.pruning.swept()..=self.root.height;
        Ok(found.filter(|location| known.contains(&location.height)))
    }

    fn location_in_runs(
        &self,
        id: &TransactionId,
    ) -> Result<Option<TransactionLocation>, ChainError> {
        let runs = self.transactions.runs.iter().rev();
        for run in runs.filter(|run| run.filter.may_hold(id)) {
            let key = run.chunk_key(run.chunk_of(id));
            let Some(chunk) = self.store.get(Table::Transaction, &key)? else {
                continue;
            };
            let (entries, _) = chunk.as_chunks::<ENTRY_BYTES>();
            if let Ok(at) = entries.binary_search_by(|entry| entry[..32].cmp(&id.0))
                && let Some(entry) = entries.get(at)
            {
                return Ok(Some(decode_entry(entry)?.1));
            }
        }
        Ok(None)
    }

    /// All open transactions, of blocks up to this height, become a run.
    fn close_run(&mut self, last: Height) -> Result<(), ChainError> {
        let open = std::mem::take(&mut self.transactions.open);
        let blocks = std::mem::take(&mut self.transactions.open_blocks);
        let kept = |(_, location): &Entry| location.height >= self.pruning.swept();
        let mut entries: Vec<Entry> = open.into_iter().filter(kept).collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        let chunks = entries.len().div_ceil(CHUNK_ENTRIES).next_power_of_two();
        let newest = self.transactions.runs.last();
        let mut run = Run {
            number: newest.map_or(0, |run| run.number + 1),
            last,
            bits: u8::try_from(chunks.trailing_zeros()).unwrap_or_default(),
            filter: Filter::new(entries.len()),
        };
        for chunk in entries.chunk_by(|one, next| run.chunk_of(&one.0) == run.chunk_of(&next.0)) {
            if let Some((id, _)) = chunk.first() {
                let key = run.chunk_key(run.chunk_of(id));
                let value = encode_entries(chunk.iter());
                self.store.put(Table::Transaction, &key, value)?;
            }
        }
        for (id, _) in &entries {
            run.filter.insert(id);
        }
        self.store
            .put(Table::Transaction, &run.key(), run.encode())?;
        self.transactions.runs.push(run);
        // In the order in which they are written: without the run, they are still there after a crash.
        for height in blocks {
            self.store.delete(Table::Transaction, &block_key(height))?;
        }
        Ok(())
    }

    /// Read runs and open transactions when the chain is opened.
    pub(super) fn restore_transactions(&mut self) -> Result<(), ChainError> {
        let damaged = || ChainError::Missing {
            what: "run of transactions",
        };
        let mut from = vec![RUN];
        while let Some((key, value)) = self.store.range(Table::Transaction, &from, 1)?.pop() {
            let number = number_of(&key).ok_or_else(damaged)?;
            let run = Run::decode(number, &value).ok_or_else(damaged)?;
            self.transactions.runs.push(run);
            from = [&*key, &[0]].concat();
        }
        let mut from = vec![OF_BLOCK];
        loop {
            let page = self.store.range(Table::Transaction, &from, PAGE)?;
            let full = page.len() == PAGE;
            for (key, value) in page {
                if key.first() != Some(&OF_BLOCK) {
                    return Ok(());
                }
                let height = Height(number_of(&key).ok_or_else(damaged)?);
                let (entries, _) = value.as_chunks::<ENTRY_BYTES>();
                let entries = entries.iter().map(|entry| decode_entry(entry));
                let entries = entries.collect::<Result<Vec<_>, _>>()?;
                self.open_transactions(height, entries)?;
                from = [&*key, &[0]].concat();
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// A block is forgotten: so is its record, if it is in no run yet.
    pub(super) fn forget_entries(&mut self, height: Height) -> Result<(), ChainError> {
        let blocks = &mut self.transactions.open_blocks;
        if blocks.front() == Some(&height) {
            blocks.pop_front();
            self.store.delete(Table::Transaction, &block_key(height))?;
        }
        Ok(())
    }

    /// Whether all blocks of the oldest run are forgotten.
    pub(super) fn run_is_dead(&self) -> bool {
        let oldest = self.transactions.runs.first();
        oldest.is_some_and(|run| run.last < self.pruning.swept())
    }

    /// Delete the oldest run, if it is dead, with about so many deletes. How many were made.
    pub(super) fn forget_run(&mut self, budget: usize) -> Result<usize, ChainError> {
        if budget == 0 || !self.run_is_dead() {
            return Ok(0);
        }
        let Some(run) = self.transactions.runs.first() else {
            return Ok(0);
        };
        let budget = u32::try_from(budget).unwrap_or(u32::MAX);
        let begin = self.transactions.forgotten;
        let end = run.chunks().min(begin.saturating_add(budget));
        for chunk in begin..end {
            self.store
                .delete(Table::Transaction, &run.chunk_key(chunk))?;
        }
        self.transactions.forgotten = end;
        let mut deleted = (end - begin) as usize;
        if end == run.chunks() {
            // Last: with it, the rest is deleted again after a crash.
            self.store.delete(Table::Transaction, &run.key())?;
            self.transactions.runs.remove(0);
            self.transactions.forgotten = 0;
            deleted += 1;
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests;
