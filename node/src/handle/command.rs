//! What the driver can be asked.

use super::{
    BlockAt, ChangeError, CommittedBlock, Kept, SettlementCommand, SubmitError, TransactionStatus,
};
use crate::chain::{ServedLane, TakeError};
use outrider_finality::{
    CertificatePage, EvidencePage, ExecutionFile, ExecutionSide, FinalityProof, LaneProof,
    LaneRangeProof, SkipProof, SnapshotItem,
};
use outrider_types::merkle::Hash;
use outrider_types::{
    Block, CommitteeChange, Epoch, EpochEnd, Execution, Height, Invalid, LaneHeight, LaneTip,
    Registry, RollupId, Signed, Transaction, TransactionId,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A question or order to the driver.
#[derive(Debug)]
pub enum Command {
    /// Admit transactions.
    Submit {
        /// What to order, each with its id.
        list: Vec<(TransactionId, Transaction)>,
        /// Of each its id, or why not.
        reply: oneshot::Sender<Vec<Result<TransactionId, SubmitError>>>,
    },
    /// Where is a transaction?
    Status {
        /// Which.
        id: TransactionId,
        /// The answer.
        reply: oneshot::Sender<TransactionStatus>,
    },
    /// A committed block.
    Block {
        /// Which.
        at: BlockAt,
        /// The answer; none if it is not committed here.
        reply: oneshot::Sender<Kept<Arc<CommittedBlock>>>,
    },
    /// Take a change that the committee approved of.
    SubmitChange {
        /// What.
        change: Box<CommitteeChange>,
        /// Whether it was taken.
        reply: oneshot::Sender<Result<(), ChangeError>>,
    },
    /// How epochs ended.
    EpochEnds {
        /// From which on.
        from: Epoch,
        /// At most [`EPOCH_ENDS_MAX`](super::EPOCH_ENDS_MAX).
        reply: oneshot::Sender<Vec<EpochEnd>>,
    },
    /// Proof that a transaction is final and where.
    Proof {
        /// Which.
        id: TransactionId,
        /// The answer; none while it is not committed here.
        reply: oneshot::Sender<Kept<FinalityProof>>,
    },
    /// Lane blocks of a rollup with their transactions.
    LaneRange {
        /// Whose.
        rollup: RollupId,
        /// From this lane height on.
        from: LaneHeight,
        /// At most so many.
        limit: usize,
        /// The answer.
        reply: oneshot::Sender<LanePage>,
    },
    /// The registered rollups after the last final block.
    Registry {
        /// The answer.
        reply: oneshot::Sender<Arc<Registry>>,
    },
    /// What a block holds for a rollup.
    LaneProof {
        /// For whom.
        rollup: RollupId,
        /// Which block.
        height: Height,
        /// The answer; none while it is not final here.
        reply: oneshot::Sender<Kept<LaneProof>>,
    },
    /// That nothing is missing in a lane.
    LaneRangeProof {
        /// Whose.
        rollup: RollupId,
        /// The first and the last lane height.
        range: (LaneHeight, LaneHeight),
        /// The answer; none if it is not here, or too long.
        reply: oneshot::Sender<Option<LaneRangeProof>>,
    },
    /// The way from a block to a later one.
    SkipProof {
        /// The earlier block, by its header if it may be forgotten here.
        from: SkipFrom,
        /// Height of the later one; none: the last final block.
        to: Option<Height>,
        /// The answer; none if there is no such way.
        reply: oneshot::Sender<Option<SkipProof>>,
    },
    /// Part of a snapshot.
    Snapshot {
        /// Blocks from this height down to that one at most; none: the checkpoint and its rollups.
        blocks: Option<(Height, Height)>,
        /// The items.
        reply: oneshot::Sender<Result<Vec<SnapshotItem>, TakeError>>,
    },
    /// The digest of the ledger at a height.
    StateDigest {
        /// Which.
        height: Height,
        /// The answer; none if it is not remembered.
        reply: oneshot::Sender<Option<Hash>>,
    },
    /// Evidence of offences.
    Evidence {
        /// Where the page begins; none: at the start.
        from: Option<Vec<u8>>,
        /// The answer.
        reply: oneshot::Sender<EvidencePage>,
    },
    /// About what members executed.
    Execution(ExecutionCommand),
    /// About the settlement chain.
    Settlement(SettlementCommand),
    /// Certificates kept for the evidence period.
    Certificates {
        /// Of which epoch; none: the current one.
        epoch: Option<Epoch>,
        /// Where the page begins; none: at the start.
        from: Option<Vec<u8>>,
        /// The answer; none if nothing is known of the epoch.
        reply: oneshot::Sender<Option<CertificatePage>>,
    },
}

impl Command {
    /// Work it makes, in transactions.
    pub(crate) const fn weight(&self) -> usize {
        match self {
            Self::Submit { list, .. } if !list.is_empty() => list.len(),
            _ => 1,
        }
    }
}

/// A question or order about what members executed.
#[derive(Debug)]
pub enum ExecutionCommand {
    /// What a member executed.
    Vote {
        /// Its word, unverified.
        vote: Box<Signed<Execution>>,
        /// What became of it.
        reply: oneshot::Sender<Result<ExecutionTaken, ExecutionVoteError>>,
    },
    /// The execution certificate of a lane height.
    Certificate {
        /// Whose lane.
        rollup: RollupId,
        /// Which lane block.
        lane: LaneHeight,
        /// The answer; none if too few agree, or it is forgotten.
        reply: oneshot::Sender<Option<ExecutionFile>>,
    },
    /// What members say of a lane height.
    Sides {
        /// Whose lane.
        rollup: RollupId,
        /// Which lane block.
        lane: LaneHeight,
        /// Each side, the larger stake first.
        reply: oneshot::Sender<Vec<ExecutionSide>>,
    },
}

/// What became of an execution vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionTaken {
    /// It is new, and was passed on.
    New,
    /// And with it there is a certificate.
    Certified,
    /// The member was heard on this lane height before.
    Known,
}

/// Why an execution vote was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionVoteError {
    /// Signed by nobody who may, or not what was signed.
    #[error("the vote is not valid: {0}")]
    Invalid(Invalid),
    /// Of an epoch that is over, or has not begun.
    #[error(
        "the lane block is of epoch {found}; this member is in epoch {current} and takes votes of it and the one before"
    )]
    Epoch {
        /// Of the vote.
        found: Epoch,
        /// Here.
        current: Epoch,
    },
    /// Too far ahead.
    #[error("the lane has {tip} blocks here; try again when this member has caught up")]
    Ahead {
        /// Where the lane ends here.
        tip: LaneHeight,
    },
    /// Of another lane block.
    #[error("another lane block is at this lane height")]
    OtherLane,
    /// Forgotten.
    #[error("so many newer lane heights are remembered that this one is forgotten already")]
    Old,
}

/// Where a skip begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipFrom {
    /// At a block that is held here.
    Height(Height),
    /// At this one.
    Header(Box<Block>),
}

/// A part of a lane, and where the lane stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePage {
    /// Where the lane ends.
    pub tip: LaneTip,
    /// Height of the last final block.
    pub head: Height,
    /// The lowest lane height held here; none if there is none.
    pub first: Option<LaneHeight>,
    /// Lane blocks without gaps; none if the first that was asked for is forgotten here.
    pub lanes: Option<Vec<ServedLane>>,
}
