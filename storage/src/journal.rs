//! The vote journal: the newest safety state of a member, durable before any vote leaves.
//!
//! A record may be *begun* long before it must be durable: its sync runs while the caller does other work,
//! and *settling* waits for what is left of it.
//!
//! ```text
//!                 owner                                   thread "vote-journal"
//! begin(A)   A waits, wake the thread                     takes A: write, fdatasync
//!   ...      other work                                     |
//! begin(B)   B waits                                        |
//! begin(C)   C takes B's place: a newer state               |
//!   ...      supersedes an older one                      takes C: write, fdatasync
//! settle     waits until C is durable; writes itself
//!            what the thread has not taken yet
//! ```
//!
//! At most one record is being written and one waits, so records are written in the order in which they were
//! begun. Two files of fixed size take turns. Each file has a generation, and generations follow each other:
//!
//! ```text
//! record fits         write over zeros -> fdatasync -> settled
//! record does not fit write a whole new file holding the record under another name -> fsync ->
//!                     rename over the OLDER of the two -> fsync of the folder -> settled
//! open                read both -> newest record -> the same switch, so that what was found is durable
//! ```
//!
//! The older file is kept because it tells whether the newer one is there: if the pair is not two
//! consecutive generations, a file was lost or brought back, and the journal does not open. A file is written
//! whole, zeros included, before its first record: a record changes neither its length nor its blocks, so
//! `fdatasync` has no metadata to write.

mod error;
mod files;
mod format;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use error::JournalError;
use files::Files;
use writer::Writer;

/// Longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Default size of a journal file, in bytes.
pub const JOURNAL_FILE_BYTES: u64 = 4 << 20;
/// Smallest size of a journal file: the header's page and one more.
pub const JOURNAL_FILE_BYTES_MIN: u64 = 2 * format::HEADER_BYTES as u64;
/// Largest size of a journal file: it is written whole at every switch.
pub const JOURNAL_FILE_BYTES_MAX: u64 = 1 << 30;

/// One durable record at a time: the newest safety state.
pub trait Journal: Send {
    /// Hands `record`, the whole safety state, to the disk and returns without waiting for it. A record
    /// that was begun may be found at the next open, settled or not: it must be one that may count as
    /// acted upon. Records are never reordered; one that is not being written yet is superseded by the
    /// next, so each must contain what the ones before it promised.
    ///
    /// A record of a wrong size is refused and changes nothing. Any other error is as in
    /// [`Self::settle`].
    fn begin(&mut self, record: &[u8]) -> Result<(), JournalError>;

    /// Blocks until everything begun is durable: nothing signed under a record may leave before. Free when
    /// nothing was begun. After a failed write or sync this call and every later one fails: the first
    /// says why, the others [`JournalError::Poisoned`].
    fn settle(&mut self) -> Result<(), JournalError>;

    /// Makes `record` the newest one: [`Self::begin`] and [`Self::settle`].
    fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        self.begin(record)?;
        self.settle()
    }

    /// The newest record known to be durable, as found at open or settled since; `None` in a journal
    /// never written.
    fn latest(&self) -> Option<&[u8]>;
}

/// How a [`FileJournal`] is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Size of each of the two files, in bytes.
    pub file_bytes: u64,
    /// `false` skips every sync: for benchmarks only, a power loss then loses votes.
    pub durable: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            file_bytes: JOURNAL_FILE_BYTES,
            durable: true,
        }
    }
}

impl JournalOptions {
    fn check_size(&self, record: &[u8]) -> Result<(), JournalError> {
        let space = usize::try_from(self.file_bytes).unwrap_or(usize::MAX);
        // A record takes its header and trailer too, rounded up.
        let overhead = format::HEADER_BYTES + format::record_bytes(0);
        let limit = space.saturating_sub(overhead).min(RECORD_BYTES_MAX);
        let bytes = record.len();
        if bytes == 0 || bytes > limit {
            return Err(JournalError::RecordSize { bytes, limit });
        }
        Ok(())
    }
}

/// The vote journal in two files of a folder. See the module for the order of its steps. Dropping it
/// finishes what was begun and ends its thread.
#[derive(Debug)]
pub struct FileJournal {
    options: JournalOptions,
    writer: Writer,
    /// The newest record that was begun and not settled.
    begun: Option<Arc<[u8]>>,
    latest: Option<Arc<[u8]>>,
}

impl FileJournal {
    /// Opens the journal in `dir`, making it if neither file is there, and starts its thread. What `latest`
    /// then returns is durable. The caller holds the folder's [`crate::DataDirLock`] until the journal
    /// is dropped.
    pub fn open(dir: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let (files, latest) = Files::open(dir, options)?;
        Ok(Self {
            options,
            writer: Writer::start(files)?,
            begun: None,
            latest: latest.map(Arc::from),
        })
    }

    fn hand_over(&mut self, record: &[u8], wake: bool) -> Result<(), JournalError> {
        self.writer.check()?;
        self.options.check_size(record)?;
        let record: Arc<[u8]> = Arc::from(record);
        self.begun = Some(Arc::clone(&record));
        self.writer.put(record, wake);
        Ok(())
    }
}

impl Journal for FileJournal {
    fn begin(&mut self, record: &[u8]) -> Result<(), JournalError> {
        self.hand_over(record, true)
    }

    fn settle(&mut self) -> Result<(), JournalError> {
        self.writer.settle()?;
        if let Some(record) = self.begun.take() {
            self.latest = Some(record);
        }
        Ok(())
    }

    /// As the trait has it, but without waking the thread, for it could only come too late.
    fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        self.hand_over(record, false)?;
        self.settle()
    }

    fn latest(&self) -> Option<&[u8]> {
        self.latest.as_deref()
    }
}

#[cfg(test)]
mod tests;
