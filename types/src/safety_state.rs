//! What a member must never forget (protocol section 3). Durable before anything signed under it leaves.

use crate::certificate::{Certificate, Justification};
use crate::codec::{DecodeError, decode, encode, wire_struct};
use crate::committee::Committee;
use crate::ids::{BlockId, CommitteeId, Epoch, View};
use crate::statement::{CommitVote, Propose, Timeout, Vote};
use crate::verified::{Invalid, Verified};
use crate::zoo::{self, Mutant};
use bytes::Bytes;

/// The safety state of one member in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyState {
    /// Whose committee it was made under; a state of another is never used.
    pub committee: CommitteeId,
    /// The epoch.
    pub epoch: Epoch,
    /// Current view; nothing of an earlier view is entered again.
    pub view: View,
    /// What the current view was entered by; none for view 1.
    pub entry: Option<Justification>,
    /// Last vote sent.
    pub voted: Option<Vote>,
    /// Last timeout sent.
    pub timed_out: Option<Timeout>,
    /// The certificate that `timed_out` names, while `high` has moved past it: the timeout is resent as it was.
    pub timed_out_high: Option<Certificate>,
    /// Last commit vote sent.
    pub commit_voted: Option<CommitVote>,
    /// Last normal proposal sent.
    pub proposed: Option<Propose>,
    /// Last optimistic proposal sent.
    pub proposed_optimistic: Option<Propose>,
    /// The certificate of the highest rank held; none is the epoch's base, rank 0.
    pub high: Option<Certificate>,
}

wire_struct!(SafetyState {
    committee,
    epoch,
    view,
    entry,
    voted,
    timed_out,
    timed_out_high,
    commit_voted,
    proposed,
    proposed_optimistic,
    high,
});

/// Why a stored safety state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Not a safety state.
    #[error(
        "the stored safety state cannot be read ({0}); it was written by another release or is damaged"
    )]
    Decode(#[from] DecodeError),
    /// Of another committee.
    #[error(
        "the stored safety state is of committee {found}, the configured one is {expected}: this data folder belongs to another network; use the right folder or the right committee file"
    )]
    Committee {
        /// In the state.
        found: CommitteeId,
        /// Configured.
        expected: CommitteeId,
    },
    /// Its certificates do not verify.
    #[error(
        "a certificate in the stored safety state does not verify ({0}); the journal was tampered with"
    )]
    Certificate(#[from] Invalid),
}

impl SafetyState {
    /// A member that has never said anything in this epoch.
    #[must_use]
    pub fn new(committee: &Committee) -> Self {
        Self {
            committee: committee.id(),
            epoch: committee.epoch(),
            view: View(1),
            entry: None,
            voted: None,
            timed_out: None,
            timed_out_high: None,
            commit_voted: None,
            proposed: None,
            proposed_optimistic: None,
            high: None,
        }
    }

    /// The bytes for the journal.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }

    /// The epoch of a state in the journal's bytes, whatever its committee.
    pub fn epoch_of(bytes: &[u8]) -> Result<Epoch, RestoreError> {
        Ok(decode::<Self>(Bytes::copy_from_slice(bytes))?.epoch)
    }

    /// From the journal's bytes. Certificates are verified again: the disk is outside too.
    pub fn restore(bytes: &[u8], committee: &Committee) -> Result<Verified<Self>, RestoreError> {
        let state: Self = decode(Bytes::copy_from_slice(bytes))?;
        if state.committee != committee.id() {
            return Err(RestoreError::Committee {
                found: state.committee,
                expected: committee.id(),
            });
        }
        committee.same_epoch(state.epoch)?;
        state
            .entry
            .as_ref()
            .map_or(Ok(()), |entry| entry.check(committee))?;
        state
            .high
            .as_ref()
            .map_or(Ok(()), |high| high.check(committee))?;
        state
            .timed_out_high
            .as_ref()
            .map_or(Ok(()), |high| high.check(committee))?;
        Ok(if zoo::is(Mutant::OldSafetyState) {
            Verified::fresh(committee)
        } else {
            Verified::new(state)
        })
    }

    /// Rank of the highest certificate held.
    #[must_use]
    pub fn high_rank(&self) -> View {
        self.high.as_ref().map_or(View(0), Certificate::rank)
    }

    /// Block of the highest certificate held; none is the epoch's base.
    #[must_use]
    pub fn high_block(&self) -> Option<BlockId> {
        self.high.as_ref().map(Certificate::block)
    }
}

impl Verified<SafetyState> {
    /// A new state, which holds nothing that could be wrong.
    #[must_use]
    pub fn fresh(committee: &Committee) -> Self {
        Self::new(SafetyState::new(committee))
    }

    /// The certificate of the highest rank, verified with the state.
    #[must_use]
    pub fn verified_high(&self) -> Option<Verified<Certificate>> {
        self.high.clone().map(Verified::new)
    }

    /// The last timeout with the certificate it names, ready to be sent again.
    #[must_use]
    pub fn timeout_high(&self) -> Option<Verified<Certificate>> {
        self.timed_out
            .filter(|timeout| timeout.high_view > View(0))?;
        self.timed_out_high
            .clone()
            .map(Verified::new)
            .or_else(|| self.verified_high())
    }

    /// What the view was entered by, verified with the state.
    #[must_use]
    pub fn verified_entry(&self) -> Option<Verified<Justification>> {
        self.entry.clone().map(Verified::new)
    }
}
