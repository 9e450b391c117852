//! What goes to the disk before something signed leaves (protocol section 3), in one place for all who run a replica.

use crate::chain::{Chain, ChainError};
use outrider_consensus::Writes;
use outrider_storage::{Journal, JournalError, Store};
use outrider_types::SafetyState;

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

/// Whether the last vote on record may have left: its block was durable before it did. `whole` says that the store has
/// never been lost since the journal began; a lost one proves nothing.
pub fn vote_left(
    chain: &Chain<impl Store>,
    safety: &SafetyState,
    whole: bool,
) -> Result<bool, ChainError> {
    Ok(match safety.voted {
        Some(vote) if whole => chain.record(vote.block)?.is_some(),
        _ => true,
    })
}
