//! What members answer, as far as a rollup needs it. Unknown fields are ignored, so that members may say more.

use outrider_types::{Block, BlockId, Committee, Contact, Height, TransactionId, View};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far blocks have come on the settlement chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Height of the last block that is final by certificate.
    pub soft: Height,
    /// Height that the contract has settled; goes back when the settlement chain reorganises.
    pub settled: Height,
    /// Height that it had settled in the last block that is final there.
    #[serde(rename = "final")]
    pub finalized: Height,
    /// Number of the last block of the settlement chain that the member has seen.
    pub l1_block: u64,
    /// Why the member cannot follow it now, if so.
    pub outage: Option<String>,
    /// Two certified blocks of one height were shown to the contract: it settles nothing any more.
    pub frozen: bool,
    /// The lowest height of which L1 has settled another block than the member has final, if there is one.
    #[serde(default)]
    pub diverged: Option<Height>,
    /// The heights were read there since the member started; until then `settled` and `final` may be too low.
    #[serde(default)]
    pub known: bool,
}

/// How final an ordered transaction is, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// A certificate says so.
    #[default]
    Soft,
    /// The settlement chain has settled its block; goes back when that chain reorganises.
    Settled,
    /// It has in a block that is final there.
    Final,
}

impl fmt::Display for Finality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soft => "soft-final",
            Self::Settled => "settled on L1",
            Self::Final => "final on L1",
        })
    }
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum Status {
    /// Never seen there.
    Unknown,
    /// Admitted, not yet committed.
    Pending,
    /// Committed: never revoked with at most `f` Byzantine.
    Soft {
        /// Height of its block.
        height: Height,
        /// Its block.
        block: BlockId,
        /// How many transactions of its rollup come before it.
        position: u64,
        /// What the settlement chain adds. Members that know nothing of one say nothing.
        #[serde(default)]
        finality: Finality,
    },
}

impl Status {
    /// How final it is; none while it is not ordered.
    #[must_use]
    pub const fn finality(&self) -> Option<Finality> {
        match self {
            Self::Unknown | Self::Pending => None,
            Self::Soft { finality, .. } => Some(*finality),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Pending => f.write_str("pending"),
            Self::Soft {
                height,
                position,
                finality,
                ..
            } => {
                write!(
                    f,
                    "soft-final at height {height}, position {position} of its rollup"
                )?;
                match finality {
                    Finality::Soft => Ok(()),
                    settled => write!(f, ", {settled}"),
                }
            }
        }
    }
}

/// The chain as a member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Height of the last committed block.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// Current view.
    pub view: View,
    /// Transactions committed since genesis.
    pub transactions: u64,
    /// Transactions waiting there.
    pub pending: u64,
    /// Views left by timeout since the member started.
    pub timeouts: u64,
    /// Highest height that a peer named; more than `height` while catching up.
    pub seen: Height,
}

/// The committee of the epoch that a member is in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CurrentCommittee {
    /// Keys and stake, in member order.
    pub committee: Committee,
    /// Names and addresses, in the same order.
    pub contacts: Vec<Contact>,
    /// The last height of the epoch; none if it does not end.
    #[serde(default)]
    pub last_height: Option<Height>,
}

/// A committed block, as subscriptions announce it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// The proposer's clock, microseconds since the Unix epoch.
    pub timestamp: u64,
    /// Ids of what it orders, in order.
    pub transactions: Vec<TransactionId>,
}

/// What a member answered to a raw Ethereum transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSubmitted {
    /// The Ethereum hash, as wallets know it.
    pub hash: [u8; 32],
    /// The id by which Outrider knows it.
    pub id: TransactionId,
}

/// Answer of `outrider_submit`.
#[derive(Debug, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) id: TransactionId,
}

/// Answer of `outrider_block`.
#[derive(Debug, Deserialize)]
pub(crate) struct ServedBlock {
    id: BlockId,
    header: Block,
    transactions: Vec<ServedTransaction>,
}

#[derive(Debug, Deserialize)]
struct ServedTransaction {
    id: TransactionId,
}

impl From<ServedBlock> for BlockSummary {
    fn from(block: ServedBlock) -> Self {
        Self {
            height: block.header.height,
            id: block.id,
            timestamp: block.header.timestamp.0,
            transactions: block.transactions.iter().map(|served| served.id).collect(),
        }
    }
}
