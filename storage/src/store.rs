//! The store's contract: tables of keys and values, visible at once, durable after `sync`.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 20;
/// Most entries one `range` returns, whatever was asked for.
pub const RANGE_ENTRIES_MAX: usize = 4096;

/// The tables of the store. One byte on disk: never give a number a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Blocks, by id.
    Block = 1,
    /// Payloads, by hash.
    Payload = 2,
    /// Certificates, by what they certify.
    Certificate = 3,
    /// Block ids, by height.
    Height = 4,
    /// Where transactions were included.
    Transaction = 5,
    /// Single values of the node.
    Meta = 6,
    /// Evidence of offences and the certificates that lead to it, by epoch and view.
    Evidence = 7,
    /// Lanes: their blocks, by height of the block or of the lane, their ends, and the history of blocks.
    Lane = 8,
}

impl Table {
    /// All tables, in the order of their bytes.
    pub const ALL: [Self; 8] = [
        Self::Block,
        Self::Payload,
        Self::Certificate,
        Self::Height,
        Self::Transaction,
        Self::Meta,
        Self::Evidence,
        Self::Lane,
    ];

    /// The table's byte on disk.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The table with this byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.byte() == byte)
    }
}

/// Tables of ordered keys. One writer.
pub trait Store: Send {
    /// Sets a value: `get` sees it at once, it is durable after `sync`.
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<(), StoreError>;

    /// Removes a key, if it is there.
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Entries with keys at or after `from`, ascending, at most `limit` and [`RANGE_ENTRIES_MAX`].
    fn range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

    /// The entry with the greatest key.
    fn last(&self, table: Table) -> Result<Option<(Bytes, Bytes)>, StoreError>;

    /// Makes all puts and deletes so far durable; cheap when there is nothing new. After a crash the
    /// store holds what was synced and the first few, in order, of the changes made since.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Bytes the store takes on disk, about.
    fn bytes_on_disk(&self) -> u64;

    /// Gives back space of overwritten and deleted values: one bounded step, for quiet moments.
    /// Returns the bytes freed; 0 when there is nothing worth doing or the step only prepared the next
    /// one. What was changed since the step before may not be counted yet.
    fn reclaim(&mut self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// Why the store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A key is too long.
    #[error("a key of {bytes} bytes is longer than the limit of {KEY_BYTES_MAX}")]
    KeyTooLong {
        /// Bytes of the key.
        bytes: usize,
    },
    /// A value is too long.
    #[error("a value of {bytes} bytes is longer than the limit of {VALUE_BYTES_MAX}")]
    ValueTooLong {
        /// Bytes of the value.
        bytes: usize,
    },
    /// The options are out of their limits.
    #[error(
        "segment size {segment_bytes} is outside {min}..={max} bytes; change it in the configuration"
    )]
    Options {
        /// The size asked for.
        segment_bytes: u64,
        /// The smallest size.
        min: u64,
        /// The largest size.
        max: u64,
    },
    /// Another process has the store open.
    #[error(transparent)]
    InUse(#[from] crate::LockError),
    /// The system refused a read, write or sync.
    #[error("cannot {action} {}: {source}; check the disk, its free space and access rights, then restart the node", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The segments were written in another format.
    #[error("{} has segment version {found}, this build reads version {supported}; run the build that wrote it", path.display())]
    WrongVersion {
        /// The segment.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The version this build reads.
        supported: u32,
    },
    /// A segment is damaged in a way no crash explains.
    #[error("{} is damaged at byte {offset}: {reason}. {ADVICE}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Segments the store needs are not there.
    #[error("segment {segment} is missing from {}. {ADVICE}", dir.display())]
    SegmentMissing {
        /// The folder of the segments.
        dir: PathBuf,
        /// The number of the missing segment.
        segment: u64,
    },
    /// The index failed while the store was open.
    #[error(
        "the index failed: {reason}; restart the node. If it happens again, stop the node and move the \
         folder {} away: it is rebuilt from the segments at the next start", path.display()
    )]
    Index {
        /// The folder of the index.
        path: PathBuf,
        /// What sled said.
        reason: String,
    },
    /// An earlier write or sync failed.
    #[error(
        "the store failed before and takes no more changes; check the disk, then restart the node"
    )]
    Poisoned,
    /// A sync was made to fail in a simulated world.
    #[error("the simulated disk failed to sync")]
    Simulated,
    /// The simulated machine crashed since this handle was opened.
    #[error("the simulated machine crashed since this handle was opened; open it again")]
    Crashed,
}

/// What a broken store means, and what its operator can do.
const ADVICE: &str = "Blocks and certificates stored here were lost or changed by the disk. They are not \
    votes and can be fetched again: stop the node, check the disk, move the store's folder away (not the \
    vote journal, which is separate), and start: the node fetches what it needs from other members";

pub(crate) fn check_key(key: &[u8]) -> Result<(), StoreError> {
    let bytes = key.len();
    if bytes > KEY_BYTES_MAX {
        return Err(StoreError::KeyTooLong { bytes });
    }
    Ok(())
}

pub(crate) fn check_value(value: &[u8]) -> Result<(), StoreError> {
    let bytes = value.len();
    if bytes > VALUE_BYTES_MAX {
        return Err(StoreError::ValueTooLong { bytes });
    }
    Ok(())
}

/// A table and a key as one key, ordered by table, then key.
pub(crate) fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table.byte());
    full.extend_from_slice(key);
    full
}
