//! The store of a real node: the segment log holds the bytes, sled says where.
//!
//! ```text
//! put, delete   frame into a buffer, change into a map that `get` looks at first
//! sync          buffer -> segment file -> fdatasync -> changes and position into the index
//! open          log from the index's position on -> index
//! ```
//!
//! The index never knows of anything the disk might still forget.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::index::{Entry, Index};
use crate::lock::DataDirLock;
use crate::segments::{Change, Position, SegmentLog, frame_bytes};
use crate::store::{RANGE_ENTRIES_MAX, Store, StoreError, Table, check_key, check_value, full_key};

/// Bytes of changes kept in memory; beyond it a put or delete syncs those before it first.
const PENDING_BYTES_MAX: u64 = 16 << 20;
/// Changes of the log applied to the index at a time when it is opened.
const REPLAY_BATCH: usize = 1024;
/// Bytes of the oldest segment which one `reclaim` looks at.
const RECLAIM_BYTES: u64 = 4 << 20;
const SEGMENTS: &str = "segments";
/// Not [`crate::LOCK_FILE`]: a node may hold that on the same folder.
const STORE_LOCK: &str = "STORE-LOCK";

/// How a [`SledStore`] is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `false` skips every sync: for benchmarks only.
    pub durable: bool,
    /// Size at which a new segment file is begun, in bytes: 4 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// Memory for the index's cache, in bytes.
    pub cache_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durable: true,
            segment_bytes: 64 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

/// A change that is not durable yet: the newest of its key.
struct Pending {
    entry: Option<Entry>,
    value: Option<Bytes>,
}

/// The store in a folder: `segments/` and `index/`. Dropping it without `sync` loses what was not
/// synced, like a crash.
pub struct SledStore {
    // Dropped in this order: the lock last.
    index: Index,
    log: SegmentLog,
    pending: BTreeMap<Vec<u8>, Pending>,
    poisoned: bool,
    /// Up to where `reclaim` has moved the oldest segment's live changes.
    reclaimed: Option<Position>,
    dir: PathBuf,
    _lock: DataDirLock,
}

impl SledStore {
    /// Opens the store in `dir`, making it when it is not there, and brings the index up to the log.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = DataDirLock::acquire_file(dir, STORE_LOCK)?;
        let mut log =
            SegmentLog::open(&dir.join(SEGMENTS), options.segment_bytes, options.durable)?;
        let mut index = Index::open(dir, options.cache_bytes, options.durable)?;
        replay(&mut log, &mut index)?;
        Ok(Self {
            index,
            log,
            pending: BTreeMap::new(),
            poisoned: false,
            reclaimed: None,
            dir: dir.to_path_buf(),
            _lock: lock,
        })
    }

    fn change(&mut self, table: Table, key: &[u8], value: Option<Bytes>) -> Result<(), StoreError> {
        check_key(key)?;
        check_value(value.as_deref().unwrap_or_default())?;
        let bytes = frame_bytes(key.len(), value.as_ref().map_or(0, Bytes::len));
        let rolls = self.log.must_roll(bytes);
        if rolls || self.log.pending_bytes() as u64 + bytes > PENDING_BYTES_MAX {
            self.sync()?;
        }
        if rolls {
            self.fallible(|store| store.log.roll())?;
        }
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let at = self.log.append(table, key, value.as_deref());
        let entry = value.as_ref().map(|value| Entry::new(at, key, value));
        self.pending
            .insert(full_key(table, key), Pending { entry, value });
        Ok(())
    }

    /// Runs a step after whose failure the disk is not known: nothing may be changed from then on.
    fn fallible<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        self.poisoned = true;
        let done = step(self)?;
        self.poisoned = false;
        Ok(done)
    }

    fn load(&self, key: &[u8], entry: Entry) -> Result<Bytes, StoreError> {
        if let Some(value) = entry.inline {
            return Ok(value);
        }
        let change = self.log.read(entry.at, entry.bytes)?;
        let ours = full_key(change.table, &change.key) == key;
        match change.value {
            Some(value) if ours => Ok(value),
            _ => Err(StoreError::Damaged {
                path: self.log.path(entry.at.segment),
                offset: entry.at.offset,
                reason: "the index points to another key's change",
            }),
        }
    }

    /// Moves the live changes of one stretch of the oldest segment to the end of the log.
    fn move_stretch(&mut self, segment: u64) -> Result<(), StoreError> {
        let first = self.log.first();
        let mut at = match self.reclaimed {
            Some(at) if at.segment == segment => at,
            _ => first,
        };
        let end = self.log.segment_len(segment);
        let stop = end.min(at.offset.saturating_add(RECLAIM_BYTES));
        while at.offset < stop {
            let (change, bytes) = self.log.read_next(at)?;
            let Change { table, key, value } = change;
            if let Some(value) = value {
                let full = full_key(table, &key);
                let live = self.index.get(&full)?.is_some_and(|entry| entry.at == at);
                if live && !self.pending.contains_key(&full) {
                    self.change(table, &key, Some(value))?;
                }
            }
            at.offset += bytes;
        }
        self.sync()?;
        // At the end, begin again: nothing live should be left, unless the counts are off.
        self.reclaimed = (at.offset < end).then_some(at);
        Ok(())
    }
}

/// Applies what the log has beyond the index's position.
fn replay(log: &mut SegmentLog, index: &mut Index) -> Result<(), StoreError> {
    let from = index.position().unwrap_or_else(|| log.first());
    let mut changes: BTreeMap<Vec<u8>, Option<Entry>> = BTreeMap::new();
    let mut end = from;
    log.replay(from, |at, next, change| {
        let entry = change
            .value
            .as_ref()
            .map(|value| Entry::new(at, &change.key, value));
        changes.insert(full_key(change.table, &change.key), entry);
        end = next;
        if changes.len() >= REPLAY_BATCH {
            let batch = std::mem::take(&mut changes);
            index.apply(batch.iter().map(|(k, e)| (k, e.as_ref())), next)?;
        }
        Ok(())
    })?;
    if !changes.is_empty() || index.position().is_none() {
        index.apply(changes.iter().map(|(k, e)| (k, e.as_ref())), end)?;
    }
    Ok(())
}

impl Store for SledStore {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<(), StoreError> {
        self.change(table, key, Some(value))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(table, key, None)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        let key = full_key(table, key);
        if let Some(pending) = self.pending.get(&key) {
            return Ok(pending.value.clone());
        }
        match self.index.get(&key)? {
            None => Ok(None),
            Some(entry) => self.load(&key, entry).map(Some),
        }
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_key(from)?;
        let limit = limit.min(RANGE_ENTRIES_MAX);
        let (from, to) = (full_key(table, from), vec![table.byte() + 1]);
        let mut stored = self.index.range(&from, &to).peekable();
        let mut pending = self.pending.range(from.clone()..to.clone()).peekable();
        let mut found = Vec::new();
        while found.len() < limit {
            // A broken index entry is an error, wherever it sorts.
            if let Some(Err(_)) = stored.peek() {
                stored.next().transpose()?;
            }
            let next_stored = match stored.peek() {
                Some(Ok((key, _))) => Some(key),
                _ => None,
            };
            let pending_is_next = match (next_stored, pending.peek()) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some(key), Some((newer, _))) => *newer <= key,
            };
            if pending_is_next {
                let Some((key, change)) = pending.next() else {
                    break;
                };
                if next_stored == Some(key) {
                    stored.next();
                }
                if let Some(value) = &change.value {
                    found.push((Bytes::copy_from_slice(&key[1..]), value.clone()));
                }
            } else if let Some((key, entry)) = stored.next().transpose()? {
                let value = self.load(&key, entry)?;
                found.push((Bytes::from(key).slice(1..), value));
            }
        }
        Ok(found)
    }

    fn last(&self, table: Table) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let (from, to) = (vec![table.byte()], vec![table.byte() + 1]);
        let pending = self
            .pending
            .range(from.clone()..to.clone())
            .rev()
            .find_map(|(key, change)| Some((key, change.value.as_ref()?)));
        let mut stored = None;
        for entry in self.index.range(&from, &to).rev() {
            let (key, entry) = entry?;
            if !self.pending.contains_key(&key) {
                stored = Some((key, entry));
                break;
            }
        }
        Ok(match (stored, pending) {
            (Some((key, entry)), newer) if newer.is_none_or(|(newer, _)| *newer < key) => {
                let value = self.load(&key, entry)?;
                Some((Bytes::from(key).slice(1..), value))
            }
            (_, newer) => {
                newer.map(|(key, value)| (Bytes::copy_from_slice(&key[1..]), value.clone()))
            }
        })
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() && !self.poisoned {
            return Ok(());
        }
        self.fallible(|store| {
            store.log.commit()?;
            let changes = store.pending.iter().map(|(k, p)| (k, p.entry.as_ref()));
            store.index.apply(changes, store.log.end())
        })?;
        self.pending.clear();
        Ok(())
    }

    fn bytes_on_disk(&self) -> u64 {
        self.log.bytes() + self.index.bytes_on_disk()
    }

    fn reclaim(&mut self) -> Result<u64, StoreError> {
        self.sync()?;
        let segment = self.log.first().segment;
        if segment == self.log.end().segment {
            return Ok(0);
        }
        if self.index.live_bytes(segment) == 0 {
            return self.fallible(|store| {
                // First the index, so that it never again asks for a part of the log that is gone.
                store.index.flush()?;
                let freed = store.log.remove_first()?;
                store.index.forget_segment(segment)?;
                Ok(freed)
            });
        }
        if self.index.live_bytes_all() < self.log.bytes() / 2 {
            self.move_stretch(segment)?;
        }
        Ok(0)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Err(error) = self.index.close() {
            tracing::warn!(dir = %self.dir.display(), %error, "the index was not closed in order");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_poisons_the_store_until_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SledStore::open(dir.path(), StoreOptions::default()).unwrap();
        let value = Bytes::from_static(b"value");
        store.put(Table::Meta, b"a", value.clone()).unwrap();
        store.sync().unwrap();
        store.log.break_writes();
        store.put(Table::Meta, b"b", value.clone()).unwrap();
        assert!(matches!(store.sync(), Err(StoreError::Io { .. })));
        assert!(matches!(store.sync(), Err(StoreError::Poisoned)));
        assert!(matches!(store.reclaim(), Err(StoreError::Poisoned)));
        let error = store.put(Table::Meta, b"c", value.clone());
        assert!(matches!(error, Err(StoreError::Poisoned)));
        drop(store);
        let store = SledStore::open(dir.path(), StoreOptions::default()).unwrap();
        assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(value));
        assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
    }

    #[test]
    fn pending_changes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            durable: false,
            ..StoreOptions::default()
        };
        let mut store = SledStore::open(dir.path(), options).unwrap();
        let value = Bytes::from(vec![1; 1 << 20]);
        for key in 0..40_u8 {
            store.put(Table::Payload, &[key], value.clone()).unwrap();
            assert!(store.log.pending_bytes() as u64 <= PENDING_BYTES_MAX);
        }
        assert_eq!(store.range(Table::Payload, &[], 100).unwrap().len(), 40);
    }
}
