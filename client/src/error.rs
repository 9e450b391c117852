//! Why a call did not give what was asked for.

use crate::model::{Finality, Status};
use crate::order::OrderError;
use jsonrpsee::core::client::Error as RpcError;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_finality::{HandoverError, ProofError};
use outrider_types::{Epoch, Height, LaneHeight, RollupId, TransactionId};

/// Why a call failed. [`retry_helps`](Self::retry_helps) says whether to try again.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be used.
    #[error(
        "{url} is not an address of a member's RPC ({reason}); it looks like http://127.0.0.1:9944"
    )]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or the connection broke.
    #[error("no answer from {url}: {reason}; is the member running?")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Connected, but no answer in time. The request may have been carried out.
    #[error("{url} did not answer {method} in time; it may still have done it")]
    Timeout {
        /// The address.
        url: String,
        /// What was called.
        method: &'static str,
    },
    /// The member refused.
    #[error("refused ({code}): {message}")]
    Refused {
        /// The stable code, see `outrider docs rpc`.
        code: i32,
        /// Why, in words.
        message: String,
        /// Details as JSON.
        data: Option<String>,
    },
    /// The answer is not what the method promises; the member is of another version or lies.
    #[error("the answer of {url} to {method} cannot be read: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What was called.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Still not as final as was asked for.
    #[error("transaction {id} is not {wanted} after {waited_ms} ms; it is {status}")]
    NotYet {
        /// Which.
        id: TransactionId,
        /// What was waited for.
        wanted: Finality,
        /// How long was waited.
        waited_ms: u128,
        /// Where it is.
        status: Status,
    },
    /// The member has no proof yet.
    #[error("{url} has no proof for transaction {id}: it is not soft-final there")]
    NoProof {
        /// The address.
        url: String,
        /// Which.
        id: TransactionId,
    },
    /// A proof, but of something else.
    #[error("asked for a proof of {asked}, got one of {found}: the member is not to be trusted")]
    OtherTransaction {
        /// Asked for.
        asked: TransactionId,
        /// Found.
        found: TransactionId,
    },
    /// The proof does not hold.
    #[error("the proof does not verify: {0}")]
    Proof(#[from] ProofError),
    /// A hand-over between epochs does not hold.
    #[error("a hand-over to the next epoch does not verify: {0}")]
    Handover(#[from] HandoverError),
    /// The member has no hand-over from an epoch.
    #[error(
        "{url} has no proof that epoch {epoch} is over, but epoch {to} is asked for; ask another member"
    )]
    NotOver {
        /// The address.
        url: String,
        /// The last epoch reached.
        epoch: Epoch,
        /// The one asked for.
        to: Epoch,
    },
    /// A block below the head is not there any more.
    #[error(
        "{url} does not have the block at height {height}, which it has committed; ask another member"
    )]
    MissingBlock {
        /// The address.
        url: String,
        /// Which.
        height: Height,
    },
    /// The member cannot prove what a block holds for a rollup, or not yet.
    #[error(
        "{url} has no proof of what the block at height {height} holds for rollup {rollup}: it is not final there, or forgotten; ask again later, or another member"
    )]
    NoLaneProof {
        /// The address.
        url: String,
        /// Whose lane.
        rollup: RollupId,
        /// Which block.
        height: Height,
    },
    /// The member said one thing and proves another.
    #[error(
        "{url} gave a lane block {lane} of rollup {rollup} that is not the final one: the member is not to be trusted"
    )]
    OtherLane {
        /// The address.
        url: String,
        /// Whose lane.
        rollup: RollupId,
        /// Which lane block.
        lane: LaneHeight,
    },
    /// A lane is not so long there.
    #[error(
        "the lane of rollup {rollup} ends at lane height {tip} at {url}, {asked} is asked for; ask again later, or another member"
    )]
    LaneEnds {
        /// The address.
        url: String,
        /// Whose lane.
        rollup: RollupId,
        /// The last lane height there.
        tip: LaneHeight,
        /// The one asked for.
        asked: LaneHeight,
    },
    /// A lane block that is not shown to obey its ordering policy.
    #[error(transparent)]
    Order(#[from] OrderError),
}

impl ClientError {
    /// Whether the same call can succeed later, here or at another member.
    #[must_use]
    pub const fn retry_helps(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::NotYet { .. }
            | Self::NoProof { .. }
            | Self::NotOver { .. }
            | Self::NoLaneProof { .. }
            | Self::LaneEnds { .. }
            | Self::MissingBlock { .. } => true,
            Self::Refused { code, .. } => {
                matches!(
                    *code,
                    CODE_FULL | CODE_NOT_HELD | CODE_STOPPING | CODE_PRUNED
                )
            }
            Self::Url { .. }
            | Self::Answer { .. }
            | Self::OtherTransaction { .. }
            | Self::OtherLane { .. }
            | Self::Order(_)
            | Self::Handover(_)
            | Self::Proof(_) => false,
        }
    }

    pub(crate) fn refused(object: &ErrorObjectOwned) -> Self {
        Self::Refused {
            code: object.code(),
            message: object.message().to_owned(),
            data: object.data().map(|data| data.get().to_owned()),
        }
    }

    pub(crate) fn of_call(url: &str, method: &'static str, error: RpcError) -> Self {
        let url = url.to_owned();
        match error {
            RpcError::Call(object) => Self::refused(&object),
            RpcError::RequestTimeout => Self::Timeout { url, method },
            RpcError::ParseError(error) => Self::Answer {
                url,
                method,
                reason: error.to_string(),
            },
            other => Self::Unreachable {
                url,
                reason: root_cause(&other),
            },
        }
    }
}

/// The mempool, or the rollup's share of it, is full. These are the stable codes of `outrider docs rpc`.
pub const CODE_FULL: i32 = -32_051;
/// Known already.
pub const CODE_DUPLICATE: i32 = -32_053;
/// Too few members confirmed that they hold it: sending it again is harmless.
pub const CODE_NOT_HELD: i32 = -32_055;
/// The short-lived rollup is closed, or was never opened: trying again does not help.
pub const CODE_ROLLUP_CLOSED: i32 = -32_063;
/// The member is stopping: another one takes it.
pub const CODE_STOPPING: i32 = -32_056;
/// Forgotten there: a member that keeps more has it.
pub const CODE_PRUNED: i32 = -32_057;

/// The chain of causes in one line.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..8 {
        let Some(error) = cause else { break };
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
