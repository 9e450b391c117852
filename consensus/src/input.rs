//! What a replica can be told.

use outrider_types::{
    Block, BlockId, BlockRecord, CommitVote, Content, FinalityCertificate, Justification, Proposal,
    SafetyState, Signed, TimeoutMessage, Timestamp, Verified, View, Vote,
};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; see [`Replica::wake_at`](crate::Replica::wake_at).
    Wake,
    /// A leader's proposal.
    Proposal {
        /// The proposal; an attachment that was not valid is already gone.
        proposal: Verified<Proposal>,
    },
    /// A vote.
    Vote {
        /// The vote.
        vote: Verified<Signed<Vote>>,
    },
    /// A commit vote.
    CommitVote {
        /// The commit vote.
        vote: Verified<Signed<CommitVote>>,
    },
    /// A timeout with the certificate it names.
    Timeout {
        /// The timeout.
        timeout: Verified<TimeoutMessage>,
    },
    /// What ended a view, handed on by a member (R1, R11).
    Certificate {
        /// The justification.
        justification: Verified<Justification>,
    },
    /// A block that was asked for with [`Action::Fetch`](crate::Action::Fetch).
    Block {
        /// Header and justification. The id of the header must be the one asked for.
        record: Verified<BlockRecord>,
    },
    /// Nobody had a block that was asked for. It is asked for again if it is still needed.
    FetchFailed {
        /// Which.
        block: BlockId,
    },
    /// Answer to [`Action::CheckPayload`](crate::Action::CheckPayload): the payload is held.
    PayloadChecked {
        /// Of which block.
        block: BlockId,
        /// Whether it may stand there; if so, it has been given to the store.
        valid: bool,
    },
    /// Beside [`Input::PayloadChecked`]: the payload may stand there, but this member does not want the block. It votes for
    /// it only once it is certified, and never gives up because of it.
    Unwelcome {
        /// Which.
        block: BlockId,
    },
    /// A block that was unwelcome no longer is.
    Welcome {
        /// Which.
        block: BlockId,
    },
    /// Answer to [`Action::Assemble`](crate::Action::Assemble): the payload is held and valid.
    Assembled {
        /// For which view.
        view: View,
        /// On which parent.
        parent: BlockId,
        /// What the block is to hold.
        content: Content,
        /// The proposer's clock.
        timestamp: Timestamp,
    },
    /// Everything up to this block was fetched, verified and stored as final: the answer to
    /// [`Action::CatchUp`](crate::Action::CatchUp).
    CaughtUp {
        /// The last block of the range.
        block: Block,
        /// The proof that it is final.
        certificate: Verified<FinalityCertificate>,
    },
}

/// What a restarting member found on its disk.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The last block that is final here.
    pub root: Block,
    /// The newest safety state.
    pub safety: Verified<SafetyState>,
    /// Blocks above the root whose payload is held, parents before children.
    pub blocks: Vec<Verified<BlockRecord>>,
    /// Whether the last vote in `safety` may have left. It has not if the store is whole but does not hold the block of
    /// the vote: then the vote was only an intent (protocol section 3).
    pub vote_left: bool,
}
