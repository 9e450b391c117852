//! What this member has attested to, on its disk: who attests to two blocks of one height loses its stake on L1.

use crate::driver::FORGOTTEN_AFTER;
use crate::handle::Stopped;
use outrider_finality::AttestedBlocks;
use outrider_storage::{FileJournal, Journal, JournalError, JournalOptions};
use outrider_types::{Block, DecodeError, Timestamp, decode, encode};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Size of each of the two files, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// Why it cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AttestationJournalError {
    /// The files.
    #[error("the journal of attestations: {0}")]
    Journal(#[from] JournalError),
    /// Its newest record.
    #[error(
        "the journal of attestations holds something else: {0}; it was written by another version, or is not a journal of attestations. Without it, this member could attest to two blocks of one height and lose its stake: put the right folder back"
    )]
    Unreadable(#[from] DecodeError),
}

/// Blocks that this member has attested to.
#[derive(Debug)]
pub struct AttestationJournal {
    journal: Arc<Mutex<FileJournal>>,
    attested: AttestedBlocks,
    failed: bool,
}

impl AttestationJournal {
    /// Opens the journal in a folder, or makes it. If it is new and the vote journal was lost (`remembers` is false), the member may have
    /// attested to something in an epoch that began before it did: it does so only in later ones.
    pub fn open(
        folder: &Path,
        remembers: bool,
        now: Timestamp,
        durable: bool,
    ) -> Result<Self, AttestationJournalError> {
        let options = JournalOptions {
            file_bytes: FILE_BYTES,
            durable,
        };
        let mut journal = FileJournal::open(folder, options)?;
        let known = journal.latest().map(<[u8]>::to_vec);
        let attested = if let Some(record) = known {
            decode(record)?
        } else {
            let after = if remembers {
                Timestamp(0)
            } else {
                now.after(FORGOTTEN_AFTER)
            };
            let fresh = AttestedBlocks::new(after);
            journal.append(&encode(&fresh))?;
            fresh
        };
        Ok(Self {
            journal: Arc::new(Mutex::new(journal)),
            attested,
            failed: false,
        })
    }

    /// Whether this member attests to a block of an epoch with this base. If so, that is durable now.
    pub(super) async fn attest(&mut self, block: &Block, base: Timestamp) -> Result<bool, Stopped> {
        if self.failed || !self.attested.may_attest(block, base) {
            return Ok(false);
        }
        if !self.attested.add(block) {
            return Ok(true);
        }
        let (journal, record) = (self.journal.clone(), encode(&self.attested));
        let written = tokio::task::spawn_blocking(move || super::lock(&journal).append(&record));
        match written.await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => {
                self.failed = true;
                tracing::error!(%error, "attestations cannot be written down: this member attests to nothing until it is started again");
                Ok(false)
            }
            Err(_) => Err(Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use outrider_types::{Height, View, testing};

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn block(height: u64, view: u64) -> Block {
        Block {
            height: Height(height),
            view: View(view),
            ..Block::genesis(&testing::committee(&[1; 4]).0)
        }
    }

    #[tokio::test]
    async fn a_member_that_starts_again_does_not_attest_to_another_block_of_the_height() {
        let folder = tempfile::tempdir().unwrap();
        let base = Timestamp(5);
        let open = || AttestationJournal::open(folder.path(), true, NOW, true).unwrap();
        let mut journal = open();
        assert!(journal.attest(&block(7, 7), base).await.unwrap());
        drop(journal);
        let mut journal = open();
        assert!(!journal.attest(&block(7, 8), base).await.unwrap());
        assert!(!journal.attest(&block(6, 6), base).await.unwrap());
        assert!(journal.attest(&block(7, 7), base).await.unwrap());
        assert!(journal.attest(&block(8, 9), base).await.unwrap());
    }

    #[tokio::test]
    async fn a_member_that_lost_its_journals_attests_from_an_epoch_on_that_began_later() {
        let folder = tempfile::tempdir().unwrap();
        let open = |remembers| AttestationJournal::open(folder.path(), remembers, NOW, true);
        let mut journal = open(false).unwrap();
        assert!(!journal.attest(&block(7, 7), NOW).await.unwrap());
        drop(journal);
        // It has voted since, and still does not know what it attested to before.
        let mut journal = open(true).unwrap();
        assert!(!journal.attest(&block(7, 7), NOW).await.unwrap());
        let later = NOW.after(2 * FORGOTTEN_AFTER);
        assert!(journal.attest(&block(7, 7), later).await.unwrap());
    }

    #[test]
    fn what_is_no_journal_of_attestations_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = FileJournal::open(folder.path(), JournalOptions::default()).unwrap();
        other.append(b"something else").unwrap();
        drop(other);
        let refused = AttestationJournal::open(folder.path(), true, NOW, true).unwrap_err();
        assert!(
            refused.to_string().contains("put the right folder back"),
            "{refused}"
        );
    }
}
