//! The store of a real node: the segment log holds the bytes, sled says where.
//!
//! ```text
//! put, delete   frame into a buffer, change into a map that reads look at first
//! sync          buffer -> segment file -> fdatasync; once there are many changes in the map, a thread writes
//!               them and the log's position into the index
//! reclaim       the same, however few, when nothing was written since the last time
//! open          log from the index's position on -> index
//! ```
//!
//! The index never knows of anything the disk might still forget, and knows of what the disk keeps
//! some time later. So a key that is overwritten often reaches it seldom, and many keys at once cost
//! less each.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::index::{Changes, Entry, Index};
use crate::lock::DataDirLock;
use crate::pending::Pending;
use crate::segments::{Change, Position, SegmentLog, frame_bytes};
use crate::store::{RANGE_ENTRIES_MAX, Store, StoreError, Table, check_key, check_value, full_key};

/// Bytes of unsynced changes; beyond it a put or delete syncs those before it first.
const UNSYNCED_BYTES_MAX: u64 = 16 << 20;
/// Changes of the log applied to the index at a time when it is opened.
const REPLAY_BATCH: usize = 16 << 10;
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

/// The store in a folder: `segments/` and `index/`. Dropping it without `sync` loses what was not
/// synced, like a crash.
pub struct SledStore {
    // Dropped in this order: the lock last.
    index: Index,
    log: SegmentLog,
    pending: Pending,
    poisoned: bool,
    /// Up to where `reclaim` has moved the oldest segment's live changes.
    reclaimed: Option<Position>,
    /// The log's end when the last of them was moved: with all before it in the index, the segment is dead.
    emptied: Option<Position>,
    /// The log's end when `reclaim` was last done.
    tidied: Option<Position>,
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
            pending: Pending::new(),
            poisoned: false,
            reclaimed: None,
            emptied: None,
            tidied: None,
            dir: dir.to_path_buf(),
            _lock: lock,
        })
    }

    fn change(&mut self, table: Table, key: &[u8], value: Option<Bytes>) -> Result<(), StoreError> {
        check_key(key)?;
        check_value(value.as_deref().unwrap_or_default())?;
        let bytes = frame_bytes(key.len(), value.as_ref().map_or(0, Bytes::len));
        let rolls = self.log.must_roll(bytes);
        if rolls || self.log.pending_bytes() as u64 + bytes > UNSYNCED_BYTES_MAX {
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
        self.pending.change(full_key(table, key), entry, value);
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

    fn load(&self, key: &[u8], entry: &Entry) -> Result<Bytes, StoreError> {
        if let Some(value) = &entry.inline {
            return Ok(value.clone());
        }
        if let Some(value) = self.pending.long(entry.at) {
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

    /// Whether a change in the log is the newest of its full key.
    fn is_live(&self, key: &[u8], at: Position) -> Result<bool, StoreError> {
        Ok(match self.pending.entry(key) {
            Some(newest) => newest.is_some_and(|entry| entry.at == at),
            None => self.index.get(key)?.is_some_and(|entry| entry.at == at),
        })
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
                if self.is_live(&full, at)? {
                    self.change(table, &key, Some(value))?;
                }
            }
            at.offset += bytes;
        }
        self.sync()?;
        self.reclaimed = Some(at);
        if at.offset >= end {
            self.emptied = Some(self.log.end());
        }
        Ok(())
    }

    /// One step of `reclaim`, with everything synced and no application running. Returns the bytes freed.
    fn reclaim_step(&mut self) -> Result<u64, StoreError> {
        let segment = self.log.first().segment;
        if segment == self.log.end().segment {
            return Ok(0);
        }
        let applied = self.index.position().unwrap_or_else(|| self.log.first());
        let emptied = self.emptied.is_some_and(|end| end <= applied);
        if emptied || self.index.live_bytes(segment) == 0 {
            if applied.segment == segment {
                return Ok(0);
            }
            return self.fallible(|store| {
                // First the index, so that it never again asks for a part of the log that is gone.
                store.index.flush()?;
                let freed = store.log.remove_first()?;
                store.index.forget_segment(segment)?;
                (store.reclaimed, store.emptied) = (None, None);
                Ok(freed)
            });
        }
        if self.emptied.is_some() {
            self.fallible(|store| store.pending.apply(&mut store.index, store.log.end()))?;
            return Ok(0);
        }
        // What the index does not have counts as alive.
        let later = applied.segment..=self.log.end().segment;
        let unapplied = later.map(|segment| self.log.segment_len(segment));
        let live = self.index.live_bytes_all() + unapplied.sum::<u64>() - applied.offset;
        if live < self.log.bytes() / 2 {
            self.move_stretch(segment)?;
        }
        Ok(0)
    }
}

/// Applies what the log has beyond the index's position.
fn replay(log: &mut SegmentLog, index: &mut Index) -> Result<(), StoreError> {
    // A kill may have come between an application's first and last chunk.
    let apply = |index: &mut Index, changes: &Changes, end| {
        index.applied(index.application().run(changes, end)?);
        Ok::<_, StoreError>(())
    };
    let mut changes = Changes::new();
    if index.position().is_none() {
        // So that a rebuild which is cut off goes on where it was.
        apply(index, &changes, log.first())?;
    }
    let from = index.position().unwrap_or_else(|| log.first());
    let mut end = from;
    log.replay(from, |at, next, change| {
        let value = change.value.as_ref();
        let entry = value.map(|value| Entry::new(at, &change.key, value));
        changes.insert(full_key(change.table, &change.key), entry);
        end = next;
        if changes.len() >= REPLAY_BATCH {
            apply(index, &std::mem::take(&mut changes), next)?;
        }
        Ok(())
    })?;
    if !changes.is_empty() {
        apply(index, &changes, end)?;
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
        match self.pending.entry(&key) {
            Some(newest) => newest.map(|entry| self.load(&key, entry)).transpose(),
            None => match self.index.get(&key)? {
                None => Ok(None),
                Some(entry) => self.load(&key, &entry).map(Some),
            },
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
        let (from, to) = (full_key(table, from), [table.byte() + 1]);
        let mut entries = self.pending.over(&self.index, &from, &to, false);
        let mut found = Vec::new();
        while found.len() < limit {
            let Some((key, entry)) = entries.next().transpose()? else {
                break;
            };
            if let Some(entry) = entry {
                let value = self.load(&key, &entry)?;
                found.push((Bytes::from(key).slice(1..), value));
            }
        }
        Ok(found)
    }

    fn last(&self, table: Table) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let (from, to) = ([table.byte()], [table.byte() + 1]);
        for found in self.pending.over(&self.index, &from, &to, true) {
            let (key, entry) = found?;
            if let Some(entry) = entry {
                let value = self.load(&key, &entry)?;
                return Ok(Some((Bytes::from(key).slice(1..), value)));
            }
        }
        Ok(None)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let bytes = self.log.pending_bytes() as u64;
        if bytes == 0 && !self.poisoned {
            return Ok(());
        }
        self.fallible(|store| {
            store.log.commit()?;
            store.pending.synced(bytes);
            store
                .pending
                .apply_if_many(&mut store.index, store.log.end())
        })
    }

    fn bytes_on_disk(&self) -> u64 {
        self.log.bytes() + self.index.bytes_on_disk()
    }

    fn reclaim(&mut self) -> Result<u64, StoreError> {
        self.sync()?;
        // Nothing was written since the last time, so this thread has time to wait.
        let quiet = self.tidied == Some(self.log.end());
        self.fallible(|store| {
            store.pending.collect(&mut store.index, quiet)?;
            if quiet {
                store.pending.apply(&mut store.index, store.log.end())?;
                store.pending.collect(&mut store.index, true)?;
            }
            Ok(())
        })?;
        let freed = if self.pending.applies() {
            0
        } else {
            self.reclaim_step()?
        };
        self.tidied = Some(self.log.end());
        Ok(freed)
    }
}

impl SledStore {
    /// The index has all that is durable, so that a log cut short afterwards is noticed by its position.
    fn close(&mut self) -> Result<(), StoreError> {
        self.pending.collect(&mut self.index, true)?;
        if !self.poisoned && self.log.pending_bytes() == 0 {
            self.pending.apply(&mut self.index, self.log.end())?;
            self.pending.collect(&mut self.index, true)?;
        }
        self.index.close()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(dir = %self.dir.display(), %error, "the index was not closed in order");
        }
    }
}

#[cfg(test)]
mod tests;
