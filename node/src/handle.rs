//! How the rest of the process talks to a running member: bounded commands in, committed blocks out.
//!
//! The driver owns everything; a [`NodeHandle`] is a cheap clone with a bounded queue to it. It works in every
//! world, because it needs no runtime of its own.

use crate::chain::{Chain, Pruned, TakeError};
use crate::tap::Tap;
use outrider_finality::{
    CertificatePage, EvidencePage, ExecutionFile, ExecutionSide, FinalityProof, LaneProof,
    LaneRangeProof, SkipProof, SnapshotItem,
};
use outrider_storage::Store;
use outrider_types::merkle::Hash;
use outrider_types::{
    Block, BlockId, CommitteeChange, Epoch, EpochEnd, EpochStart, Execution, FinalityCertificate,
    Height, Invalid, LaneBlock, LaneHeight, MemberIndex, Payload, PublicKey, Registry, RollupId,
    Signed, Transaction, TransactionId, View,
};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

mod command;
mod settlement;

pub use command::{
    Command, ExecutionCommand, ExecutionTaken, ExecutionVoteError, LanePage, SkipFrom,
};

pub use settlement::{
    Finality, L1Wanted, SETTLEMENT_HEARD_MAX, SettlementCommand, SettlementHeard, SettlementReport,
};

/// Commands that may wait for the driver; past that a caller waits for a place.
pub const COMMANDS_MAX: usize = 4_096;
/// Committed blocks that a slow follower may be behind before it is told that it lags.
pub const FOLLOW_MAX: usize = 1_024;

/// Ends of epochs in one answer.
pub const EPOCH_ENDS_MAX: usize = 64;

/// Why a change of the committee was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The committee serves for ever.
    #[error(
        "this epoch never ends, so its committee cannot change: the network was made with epoch_blocks = 0"
    )]
    Endless,
    /// Approved in another epoch.
    #[error(
        "the change was approved in epoch {found}, this member is in epoch {expected}; make and approve it again for epoch {expected}"
    )]
    Epoch {
        /// Of the approvals.
        found: Epoch,
        /// Now.
        expected: Epoch,
    },
    /// Others were approved before.
    #[error(
        "{limit} changes of this committee are approved already; one of them happens at the end of the epoch"
    )]
    TooMany {
        /// How many are kept.
        limit: usize,
    },
    /// Members that nobody could connect to.
    #[error("its members cannot be reached: {0}")]
    Contacts(String),
    /// Not approved by enough, or not what was approved.
    #[error("the change is not valid: {0}")]
    Invalid(Invalid),
}

/// How to name a committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockAt {
    /// By height.
    Height(Height),
    /// By id.
    Id(BlockId),
}

/// A block that is final here, with the certificate that made it so (its own, or a descendant's).
#[derive(Clone, Debug)]
pub struct CommittedBlock {
    /// The header.
    pub block: Block,
    /// Its id.
    pub id: BlockId,
    /// What it orders.
    pub payload: Arc<Payload>,
    /// Ids of what it orders, in order.
    pub transactions: Arc<[TransactionId]>,
    /// Its lane blocks, one for each batch of the payload.
    pub lanes: Arc<[LaneBlock]>,
    /// Proof of finality of this block or of a descendant.
    pub certificate: Arc<FinalityCertificate>,
}

/// Why a transaction was not taken. Each says whether trying again helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// All space is taken.
    #[error("the mempool is full ({limit} {unit}); try again in {retry_after_ms} ms")]
    Full {
        /// The limit reached.
        limit: u64,
        /// Of what: transactions or bytes.
        unit: &'static str,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// This rollup's share is taken.
    #[error(
        "rollup {rollup} has {limit} {unit} waiting, which is its share; try again in {retry_after_ms} ms"
    )]
    LaneFull {
        /// Whose share.
        rollup: RollupId,
        /// The limit reached.
        limit: u64,
        /// Of what: transactions or bytes.
        unit: &'static str,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Trying again is of no use.
    #[error("the transaction has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An empty transaction orders nothing.
    #[error("the transaction is empty")]
    Empty,
    /// Already known; its status says where it is.
    #[error("the transaction is already known")]
    Duplicate {
        /// Where it is.
        status: TransactionStatus,
    },
    /// This rollup is not ordered here.
    #[error("rollup {rollup} is not ordered here; ask for the list with outrider_limits")]
    UnknownRollup {
        /// Which.
        rollup: RollupId,
    },
    /// The rollup is closed, or is one that must be registered first.
    #[error(
        "rollup {rollup} is not open: its time is over, its owner closed it, or it was never registered; outrider_rollup says which"
    )]
    Closed {
        /// Which.
        rollup: RollupId,
    },
    /// A part of a bundle without the others, or what begins like one.
    #[error(
        "a part of a bundle comes with all others, as outrider_submitBundle sends them, or not at all: {reason}"
    )]
    Bundle {
        /// What is wrong.
        reason: String,
    },
    /// Too few members confirmed that they hold it; it may still be ordered.
    #[error(
        "not enough members confirmed within {waited_ms} ms that they hold the transaction; it may still be ordered: ask for its status, or send it again, which is harmless"
    )]
    NotHeld {
        /// How long was waited.
        waited_ms: u64,
    },
    /// The member is going down.
    #[error("the member is stopping; send it to another one")]
    Stopping,
}

/// Where a transaction is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum TransactionStatus {
    /// Never seen here.
    Unknown,
    /// Admitted, not yet committed.
    Pending,
    /// Committed; never revoked with at most f Byzantine.
    Soft {
        /// Height of its block.
        height: Height,
        /// Its block.
        block: BlockId,
        /// How many transactions of its rollup come before it in the chain.
        position: u64,
        /// What the settlement chain adds. The stage stays soft, so that who waits for that goes on.
        finality: Finality,
    },
}

/// The state of the chain as this member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Height of the last committed block.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// View of the last committed block.
    pub committed_view: View,
    /// Current view.
    pub view: View,
    /// Transactions committed since genesis.
    pub transactions: u64,
    /// Transactions waiting here.
    pub pending: u64,
    /// Views left by timeout since start.
    pub timeouts: u64,
    /// Highest height that a verified block of a peer named; more than `height` while catching up.
    pub seen: Height,
}

impl Head {
    /// Of a member that has not begun to run: what its disk holds.
    #[must_use]
    pub fn at_rest(chain: &Chain<impl Store>) -> Self {
        let root = chain.root();
        Self {
            height: root.height,
            block: root.id(),
            committed_view: root.view,
            view: root.view,
            transactions: chain.ledger().transactions(),
            seen: root.height,
            ..Self::default()
        }
    }
}

/// A handle to a running member.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    commands: mpsc::Sender<Command>,
    committed: broadcast::Sender<Arc<CommittedBlock>>,
    head: watch::Receiver<Head>,
    epoch: watch::Receiver<Arc<EpochStart>>,
    settlement_heard: broadcast::Sender<SettlementHeard>,
    settlement_report: Arc<watch::Sender<Option<SettlementReport>>>,
    key: PublicKey,
}

/// The driver's ends of a handle.
#[derive(Debug)]
pub struct DriverEnds {
    /// Commands to answer.
    pub commands: mpsc::Receiver<Command>,
    /// Where committed blocks go.
    pub committed: broadcast::Sender<Arc<CommittedBlock>>,
    /// Where the head goes.
    pub head: watch::Sender<Head>,
    /// Where the current epoch goes.
    pub epoch: watch::Sender<Arc<EpochStart>>,
    /// Where what other members say about L1 goes.
    pub settlement: broadcast::Sender<SettlementHeard>,
    /// Who listens to what the replica does; nobody by default.
    pub tap: Option<Box<dyn Tap>>,
}

/// The driver has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the member has stopped")]
pub struct Stopped;

/// What is here, if it is; or the word that it was here and was forgotten.
pub type Kept<T> = Result<Option<T>, Pruned>;

/// Why a question about the chain has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The driver has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// It was forgotten here.
    #[error(transparent)]
    Pruned(#[from] Pruned),
}

impl NodeHandle {
    /// A handle and the driver's ends of it. The head is what the disk holds until the driver runs.
    #[must_use]
    pub fn new(start: EpochStart, head: Head, key: PublicKey) -> (Self, DriverEnds) {
        let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
        let (committed, _) = broadcast::channel(FOLLOW_MAX);
        let (head_out, head) = watch::channel(head);
        let (epoch_out, epoch) = watch::channel(Arc::new(start));
        let (settlement, _) = broadcast::channel(SETTLEMENT_HEARD_MAX);
        let ends = DriverEnds {
            commands: commands_in,
            committed: committed.clone(),
            head: head_out,
            epoch: epoch_out,
            settlement: settlement.clone(),
            tap: None,
        };
        (
            Self {
                commands,
                committed,
                head,
                epoch,
                settlement_heard: settlement,
                settlement_report: Arc::new(watch::Sender::new(None)),
                key,
            },
            ends,
        )
    }

    /// Admit a transaction and spread it to the other members.
    pub async fn submit(&self, transaction: Transaction) -> Result<TransactionId, SubmitError> {
        let answers = self.submit_many(vec![transaction]).await;
        answers
            .into_iter()
            .next()
            .unwrap_or(Err(SubmitError::Stopping))
    }

    /// Admit transactions, in this order, and spread them to the other members. One answer for each; all come once the last is
    /// decided.
    pub async fn submit_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<TransactionId, SubmitError>> {
        let many = transactions.len();
        // Hashed here, not by the driver.
        let list = transactions
            .into_iter()
            .map(|one| (one.id(), one))
            .collect();
        let answers = self.ask(|reply| Command::Submit { list, reply }).await;
        let mut answers = answers.unwrap_or_else(|_| vec![Err(SubmitError::Stopping); many]);
        for answer in &mut answers {
            if let Err(SubmitError::Duplicate { status }) = answer {
                *status = self.settled(status.clone());
            }
        }
        answers
    }

    /// Where a transaction is.
    pub async fn status(&self, id: TransactionId) -> Result<TransactionStatus, Stopped> {
        let status = self.ask(|reply| Command::Status { id, reply }).await?;
        Ok(self.settled(status))
    }

    /// A committed block.
    pub async fn block(&self, at: BlockAt) -> Result<Option<Arc<CommittedBlock>>, AskError> {
        Ok(self.ask(|reply| Command::Block { at, reply }).await??)
    }

    /// Proof that a transaction is final.
    pub async fn proof(&self, id: TransactionId) -> Result<Option<FinalityProof>, AskError> {
        Ok(self.ask(|reply| Command::Proof { id, reply }).await??)
    }

    /// Lane blocks from a lane height on with their transactions, at most so many and no more than fit into one answer.
    pub async fn lane_range(
        &self,
        rollup: RollupId,
        from: LaneHeight,
        limit: usize,
    ) -> Result<LanePage, Stopped> {
        self.ask(|reply| Command::LaneRange {
            rollup,
            from,
            limit,
            reply,
        })
        .await
    }

    /// The registered rollups after the last final block.
    pub async fn registry(&self) -> Result<Arc<Registry>, Stopped> {
        self.ask(|reply| Command::Registry { reply }).await
    }

    /// What a block holds for a rollup, with proof.
    pub async fn lane_proof(
        &self,
        rollup: RollupId,
        height: Height,
    ) -> Result<Option<LaneProof>, AskError> {
        let ask = |reply| Command::LaneProof {
            rollup,
            height,
            reply,
        };
        Ok(self.ask(ask).await??)
    }

    /// Proof that nothing is missing in a lane from one lane height to another.
    pub async fn lane_range_proof(
        &self,
        rollup: RollupId,
        range: (LaneHeight, LaneHeight),
    ) -> Result<Option<LaneRangeProof>, Stopped> {
        self.ask(|reply| Command::LaneRangeProof {
            rollup,
            range,
            reply,
        })
        .await
    }

    /// The way from a block to a later one, by default the last final one.
    pub async fn skip_proof(
        &self,
        from: SkipFrom,
        to: Option<Height>,
    ) -> Result<Option<SkipProof>, Stopped> {
        self.ask(|reply| Command::SkipProof { from, to, reply })
            .await
    }

    /// Hand in what a member executed.
    pub async fn execution_vote(
        &self,
        vote: Signed<Execution>,
    ) -> Result<Result<ExecutionTaken, ExecutionVoteError>, Stopped> {
        let vote = Box::new(vote);
        self.ask(|reply| Command::Execution(ExecutionCommand::Vote { vote, reply }))
            .await
    }

    /// The execution certificate of a lane height, if enough agree.
    pub async fn execution_certificate(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Option<ExecutionFile>, Stopped> {
        self.ask(|reply| {
            Command::Execution(ExecutionCommand::Certificate {
                rollup,
                lane,
                reply,
            })
        })
        .await
    }

    /// What members say of a lane height, each side, the larger stake first.
    pub async fn execution_sides(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
    ) -> Result<Vec<ExecutionSide>, Stopped> {
        self.ask(|reply| {
            Command::Execution(ExecutionCommand::Sides {
                rollup,
                lane,
                reply,
            })
        })
        .await
    }

    /// Part of a snapshot: blocks from one height down to another, a page of them at most; or the checkpoint and its
    /// rollups.
    pub async fn snapshot(
        &self,
        blocks: Option<(Height, Height)>,
    ) -> Result<Result<Vec<SnapshotItem>, TakeError>, Stopped> {
        self.ask(|reply| Command::Snapshot { blocks, reply }).await
    }

    /// The digest of the ledger at a height.
    pub async fn state_digest(&self, height: Height) -> Result<Option<Hash>, Stopped> {
        self.ask(|reply| Command::StateDigest { height, reply })
            .await
    }

    /// A page of the evidence held.
    pub async fn evidence(&self, from: Option<Vec<u8>>) -> Result<EvidencePage, Stopped> {
        self.ask(|reply| Command::Evidence { from, reply }).await
    }

    /// A page of the certificates kept of an epoch, by default the current one; none if it is not known.
    pub async fn certificates(
        &self,
        epoch: Option<Epoch>,
        from: Option<Vec<u8>>,
    ) -> Result<Option<CertificatePage>, Stopped> {
        self.ask(|reply| Command::Certificates { epoch, from, reply })
            .await
    }

    /// The chain as this member sees it now.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Follow the head; only the newest value is kept.
    #[must_use]
    pub fn watch_head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Follow committed blocks from now on; a reader more than [`FOLLOW_MAX`] behind is told that it lags.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        self.committed.subscribe()
    }

    /// Hand in a change that the committee approved of.
    pub async fn submit_change(
        &self,
        change: CommitteeChange,
    ) -> Result<Result<(), ChangeError>, Stopped> {
        let change = Box::new(change);
        self.ask(|reply| Command::SubmitChange { change, reply })
            .await
    }

    /// How epochs ended, from this one on, at most [`EPOCH_ENDS_MAX`] of them.
    pub async fn epoch_ends(&self, from: Epoch) -> Result<Vec<EpochEnd>, Stopped> {
        self.ask(|reply| Command::EpochEnds { from, reply }).await
    }

    /// The current epoch: who orders, and where they are.
    #[must_use]
    pub fn epoch(&self) -> Arc<EpochStart> {
        self.epoch.borrow().clone()
    }

    /// Follow the current epoch.
    #[must_use]
    pub fn watch_epoch(&self) -> watch::Receiver<Arc<EpochStart>> {
        self.epoch.clone()
    }

    /// Which member this is in the current epoch; none if it only follows.
    #[must_use]
    pub fn member(&self) -> Option<MemberIndex> {
        self.epoch.borrow().committee.index_of(&self.key)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
