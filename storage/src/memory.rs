//! The simulated disk: a store and a journal in memory which lose, at a crash, what was not synced.
//! No clock, no randomness, no unordered map: the same calls give the same results.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::journal::{Journal, JournalError, RECORD_BYTES_MAX};
use crate::store::{RANGE_ENTRIES_MAX, Store, StoreError, Table, check_key, check_value, full_key};

type Contents = BTreeMap<Vec<u8>, Bytes>;

/// Begun records at most: one that is being written and one that waits.
const RECORDS_MAX: usize = 2;

#[derive(Debug, Default)]
struct Disk {
    /// Crashes so far; a handle from before the last one is dead.
    crashes: u64,
    fail_next_sync: bool,
    synced: Contents,
    synced_record: Option<Vec<u8>>,
    /// The store's changes that the disk has not promised to keep.
    changes: Vec<(Vec<u8>, Option<Bytes>)>,
    /// The journal's records that the disk has not promised to keep: other files, so whether they survive a
    /// crash has nothing to do with the changes.
    records: Vec<Vec<u8>>,
    /// What reads see: `synced` with the unsynced changes applied.
    seen: Contents,
    /// Bytes of keys and values in `seen`.
    bytes: u64,
}

impl Disk {
    fn keep_changes(&mut self, first: usize) {
        for (key, value) in self.changes.drain(..).take(first) {
            match value {
                Some(value) => self.synced.insert(key, value),
                None => self.synced.remove(&key),
            };
        }
    }

    fn keep_records(&mut self, first: usize) {
        if let Some(newest) = self.records.drain(..).take(first).next_back() {
            self.synced_record = Some(newest);
        }
    }

    /// Changes what reads see.
    fn see(&mut self, key: &[u8], value: Option<&Bytes>) {
        let size = |value: &Bytes| (key.len() + value.len()) as u64;
        let old = match value {
            Some(value) => {
                self.bytes += size(value);
                self.seen.insert(key.to_vec(), value.clone())
            }
            None => self.seen.remove(key),
        };
        self.bytes -= old.as_ref().map_or(0, size);
    }

    /// Reads see what is synced, and nothing else.
    fn see_synced(&mut self) {
        self.seen = self.synced.clone();
        let entries = self.seen.iter();
        self.bytes = entries.map(|(k, v)| (k.len() + v.len()) as u64).sum();
    }

    fn unsynced(&self) -> usize {
        (self.changes.len() + 1) * (self.records.len() + 1) - 1
    }

    fn fails(&mut self) -> bool {
        std::mem::take(&mut self.fail_next_sync)
    }
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // A test thread that panicked elsewhere left whole operations behind.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the store.
    pub fn store(&self) -> MemoryStore {
        MemoryStore {
            disk: self.clone(),
            crashes: self.lock().crashes,
            poisoned: false,
        }
    }

    /// Opens the journal. What `latest` then returns is durable, also when an earlier handle had not
    /// settled it, or had failed after its bytes were written.
    pub fn journal(&self) -> MemoryJournal {
        let mut disk = self.lock();
        disk.keep_records(RECORDS_MAX);
        MemoryJournal {
            disk: self.clone(),
            crashes: disk.crashes,
            poisoned: false,
            begun: None,
            latest: disk.synced_record.clone(),
        }
    }

    /// The machine loses power: a few of the store's changes since its last sync happen to be on disk, the
    /// first ones, and of the begun records none, the older or both. `keep` chooses: with `c` changes
    /// and `r` records unsynced, `keep % (c + 1)` changes and `keep / (c + 1)` records; beyond
    /// [`Self::unsynced`] all. Handles opened before fail from now on.
    pub fn crash(&self, keep: usize) {
        let mut disk = self.lock();
        let choices = disk.changes.len() + 1;
        let keep = keep.min(disk.unsynced());
        disk.keep_changes(keep % choices);
        disk.keep_records(keep / choices);
        disk.see_synced();
        disk.crashes += 1;
        disk.fail_next_sync = false;
    }

    /// The machine loses its disk: everything is gone, and handles opened before fail from now on.
    pub fn erase(&self) {
        let mut disk = self.lock();
        let crashes = disk.crashes + 1;
        *disk = Disk {
            crashes,
            ..Disk::default()
        };
    }

    /// The journal is gone and nothing else; handles opened before fail from now on.
    pub fn lose_journal(&self) {
        let mut disk = self.lock();
        disk.records.clear();
        disk.synced_record = None;
        disk.crashes += 1;
    }

    /// Another disk that holds what this one has synced.
    #[must_use]
    pub fn copy(&self) -> Self {
        let disk = self.lock();
        let mut copy = Disk {
            synced: disk.synced.clone(),
            synced_record: disk.synced_record.clone(),
            ..Disk::default()
        };
        copy.see_synced();
        Self {
            disk: Arc::new(Mutex::new(copy)),
        }
    }

    /// The greatest choice [`Self::crash`] has now; 0 when nothing can be lost.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced()
    }

    /// Makes the next sync of the store, or of the journal, fail.
    pub fn fail_next_sync(&self) {
        self.lock().fail_next_sync = true;
    }
}

/// A [`Store`] on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    crashes: u64,
    poisoned: bool,
}

impl MemoryStore {
    fn live(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk.lock();
        if disk.crashes != self.crashes {
            return Err(StoreError::Crashed);
        }
        Ok(disk)
    }

    fn change(&mut self, table: Table, key: &[u8], value: Option<Bytes>) -> Result<(), StoreError> {
        check_key(key)?;
        check_value(value.as_deref().unwrap_or_default())?;
        let mut disk = self.live()?;
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let key = full_key(table, key);
        disk.see(&key, value.as_ref());
        disk.changes.push((key, value));
        Ok(())
    }
}

impl Store for MemoryStore {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<(), StoreError> {
        self.change(table, key, Some(value))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(table, key, None)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        Ok(self.live()?.seen.get(&full_key(table, key)).cloned())
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_key(from)?;
        let disk = self.live()?;
        let entries = disk
            .seen
            .range(full_key(table, from)..vec![table.byte() + 1]);
        Ok(entries
            .take(limit.min(RANGE_ENTRIES_MAX))
            .map(|(key, value)| (Bytes::copy_from_slice(&key[1..]), value.clone()))
            .collect())
    }

    fn last(&self, table: Table) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let disk = self.live()?;
        let mut entries = disk.seen.range(vec![table.byte()]..vec![table.byte() + 1]);
        Ok(entries
            .next_back()
            .map(|(key, value)| (Bytes::copy_from_slice(&key[1..]), value.clone())))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut disk = self.live()?;
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        // As on a real disk, nothing new means no sync that could fail.
        if disk.changes.is_empty() {
            return Ok(());
        }
        if disk.fails() {
            drop(disk);
            self.poisoned = true;
            return Err(StoreError::Simulated);
        }
        disk.keep_changes(usize::MAX);
        Ok(())
    }

    fn bytes_on_disk(&self) -> u64 {
        self.disk.lock().bytes
    }
}

/// A [`Journal`] on a [`MemoryDisk`]. It has no thread: the first record begun counts as being written, a
/// later one waits until `settle` or is superseded.
#[derive(Debug)]
pub struct MemoryJournal {
    disk: MemoryDisk,
    crashes: u64,
    poisoned: bool,
    begun: Option<Vec<u8>>,
    latest: Option<Vec<u8>>,
}

impl MemoryJournal {
    fn live(&self) -> Result<MutexGuard<'_, Disk>, JournalError> {
        let disk = self.disk.lock();
        if disk.crashes != self.crashes {
            return Err(JournalError::Crashed);
        }
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        Ok(disk)
    }
}

impl Journal for MemoryJournal {
    fn begin(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let mut disk = self.live()?;
        if record.is_empty() || record.len() > RECORD_BYTES_MAX {
            return Err(JournalError::RecordSize {
                bytes: record.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        disk.records.truncate(RECORDS_MAX - 1);
        disk.records.push(record.to_vec());
        drop(disk);
        self.begun = Some(record.to_vec());
        Ok(())
    }

    fn settle(&mut self) -> Result<(), JournalError> {
        let mut disk = self.live()?;
        // As on a real disk, nothing begun means no sync that could fail.
        if disk.records.is_empty() {
            return Ok(());
        }
        if disk.fails() {
            // Whether it reached the disk is only known after a crash or a restart.
            drop(disk);
            self.poisoned = true;
            return Err(JournalError::Simulated);
        }
        disk.keep_records(RECORDS_MAX);
        drop(disk);
        self.latest = self.begun.take();
        Ok(())
    }

    fn latest(&self) -> Option<&[u8]> {
        self.latest.as_deref()
    }
}
