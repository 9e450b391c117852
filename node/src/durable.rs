//! What goes to the disk before something signed leaves (protocol section 3), in one place for all who run a replica.

use crate::chain::{Chain, ChainError};
use outrider_consensus::Writes;
use outrider_storage::{FileJournal, Journal, JournalError, JournalOptions, Store};
use outrider_types::{Committee, SafetyState};
use std::path::Path;

/// Why a write failed. The member ends: its memory is ahead of its disk.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The vote journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Write what a step asks for. On return, everything is durable if something signed is among the step's actions; else it
/// has only begun to be written. The journal's sync runs beside the store's, in either order: an intent whose block is not
/// in the store is no vote, see [`vote_left`].
pub fn persist(
    chain: &mut Chain<impl Store>,
    journal: &mut impl Journal,
    writes: &Writes,
) -> Result<(), PersistError> {
    if let Some(safety) = &writes.safety {
        journal.begin(&safety.to_bytes())?;
    }
    for record in &writes.records {
        chain.put_record(record)?;
    }
    if writes.signed {
        chain.sync_records()?;
        journal.settle()?;
    }
    Ok(())
}

/// Whether the last vote on record may have left: its block was durable before it did, so a store that does not hold the
/// block proves that it did not. A store that is newer than the vote proves nothing.
pub fn vote_left(chain: &Chain<impl Store>, safety: &SafetyState) -> Result<bool, ChainError> {
    let Some(vote) = safety.voted else {
        return Ok(true);
    };
    let older = chain
        .votes_before()?
        .is_some_and(|before| (vote.epoch, vote.view) <= before);
    Ok(older || chain.record(vote.block)?.is_some())
}

/// Begin the vote journal of a member whose key has never signed anything: until it exists, the member signs nothing in the
/// epoch in which it starts, for it cannot know what it has signed before.
pub fn begin_journal(path: &Path, committee: &Committee) -> Result<(), JournalError> {
    let mut journal = FileJournal::open(path, JournalOptions::default())?;
    if journal.latest().is_none() {
        journal.append(&SafetyState::new(committee).to_bytes())?;
    }
    Ok(())
}
