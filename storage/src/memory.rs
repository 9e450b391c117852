//! The simulated disk: a store and a journal in memory which lose, at a crash, what was not synced.
//! No clock, no randomness, no unordered map: the same calls give the same results.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::journal::{Journal, JournalError, RECORD_BYTES_MAX};
use crate::store::{RANGE_ENTRIES_MAX, Store, StoreError, Table, check_key, check_value, full_key};

type Contents = BTreeMap<Vec<u8>, Bytes>;

/// One operation the disk has not promised to keep.
#[derive(Debug)]
enum Unsynced {
    Change(Vec<u8>, Option<Bytes>),
    Record(Vec<u8>),
}

#[derive(Debug, Default)]
struct Disk {
    /// Crashes so far; a handle from before the last one is dead.
    crashes: u64,
    fail_next_sync: bool,
    synced: Contents,
    synced_record: Option<Vec<u8>>,
    unsynced: Vec<Unsynced>,
    /// What reads see: `synced` with the unsynced changes applied.
    seen: Contents,
}

impl Disk {
    fn keep(&mut self, operation: Unsynced) {
        match operation {
            Unsynced::Change(key, Some(value)) => {
                self.synced.insert(key, value);
            }
            Unsynced::Change(key, None) => {
                self.synced.remove(&key);
            }
            Unsynced::Record(record) => self.synced_record = Some(record),
        }
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

    /// Opens the journal. What `latest` then returns is durable, also when an earlier handle's append
    /// had failed after its bytes were written.
    pub fn journal(&self) -> MemoryJournal {
        let mut disk = self.lock();
        let operations = std::mem::take(&mut disk.unsynced);
        for operation in operations {
            match operation {
                Unsynced::Record(_) => disk.keep(operation),
                Unsynced::Change(..) => disk.unsynced.push(operation),
            }
        }
        MemoryJournal {
            disk: self.clone(),
            crashes: disk.crashes,
            poisoned: false,
            latest: disk.synced_record.clone(),
        }
    }

    /// The machine loses power: of the operations since the last sync the first `keep` happen to be on
    /// disk, the rest are gone. Handles opened before fail from now on.
    pub fn crash(&self, keep: usize) {
        let mut disk = self.lock();
        let operations = std::mem::take(&mut disk.unsynced);
        for operation in operations.into_iter().take(keep) {
            disk.keep(operation);
        }
        disk.seen = disk.synced.clone();
        disk.crashes += 1;
        disk.fail_next_sync = false;
    }

    /// Operations a crash could lose now: the range for [`Self::crash`]'s choice.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Makes the next sync of the store, or append to the journal, fail.
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
        match &value {
            Some(value) => disk.seen.insert(key.clone(), value.clone()),
            None => disk.seen.remove(&key),
        };
        disk.unsynced.push(Unsynced::Change(key, value));
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
        if disk.unsynced.is_empty() {
            return Ok(());
        }
        if disk.fails() {
            drop(disk);
            self.poisoned = true;
            return Err(StoreError::Simulated);
        }
        let operations = std::mem::take(&mut disk.unsynced);
        for operation in operations {
            match operation {
                Unsynced::Change(..) => disk.keep(operation),
                Unsynced::Record(_) => disk.unsynced.push(operation),
            }
        }
        Ok(())
    }

    fn bytes_on_disk(&self) -> u64 {
        let disk = self.disk.lock();
        let entries = disk.seen.iter();
        entries.map(|(k, v)| (k.len() + v.len()) as u64).sum()
    }
}

/// A [`Journal`] on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryJournal {
    disk: MemoryDisk,
    crashes: u64,
    poisoned: bool,
    latest: Option<Vec<u8>>,
}

impl Journal for MemoryJournal {
    fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        if disk.crashes != self.crashes {
            return Err(JournalError::Crashed);
        }
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if record.is_empty() || record.len() > RECORD_BYTES_MAX {
            return Err(JournalError::RecordSize {
                bytes: record.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        if disk.fails() {
            // Whether it reached the disk is only known after a crash or a restart.
            disk.unsynced.push(Unsynced::Record(record.to_vec()));
            self.poisoned = true;
            return Err(JournalError::Simulated);
        }
        disk.synced_record = Some(record.to_vec());
        self.latest = Some(record.to_vec());
        Ok(())
    }

    fn latest(&self) -> Option<&[u8]> {
        self.latest.as_deref()
    }
}
