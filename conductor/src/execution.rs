//! What every execution node looks like to a conductor.

use crate::aggregate::Interval;
use crate::http::HttpError;
use crate::skip::Skipped;
use alloy_primitives::B256;
use outrider_types::RollupId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;

/// A block of an execution node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its distance from the node's genesis.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// A block that was built from an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The block.
    #[serde(flatten)]
    pub block: BlockRef,
    /// The state after it.
    pub state_root: B256,
    /// Places in the interval of the transactions in it, in order.
    pub included: Vec<usize>,
    /// What the machine says that each of these did, in the same order; empty if it says nothing.
    #[serde(default)]
    pub results: Vec<String>,
    /// The others, in order of their place.
    pub skipped: Vec<Skipped>,
}

/// An execution node.
///
/// The same parent and interval give the same block, on this node and on any other of its kind: what is there already
/// is found and answered again, so that a conductor may repeat a call which it does not know the end of.
pub trait ExecutionDriver: Send {
    /// Make sure that it is a node of this rollup, and ready.
    fn check(&mut self, rollup: RollupId) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// The last block.
    fn head(&mut self) -> impl Future<Output = Result<BlockRef, DriverError>> + Send;

    /// The block of a number, if there is one.
    fn block(
        &mut self,
        number: u64,
    ) -> impl Future<Output = Result<Option<BlockRef>, DriverError>> + Send;

    /// Build the block over this parent, and make it the head.
    fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> impl Future<Output = Result<Executed, DriverError>> + Send;
}

/// Why an execution node did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No answer.
    #[error("no answer from the execution node at {url}: {error}; is it running?")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        error: HttpError,
    },
    /// It refuses a call.
    #[error("the execution node at {url} refuses {method} ({code}): {message}")]
    Refused {
        /// Where.
        url: String,
        /// What was called.
        method: &'static str,
        /// Its code.
        code: i64,
        /// Why.
        message: String,
    },
    /// An answer that cannot be.
    #[error(
        "the answer of the execution node at {url} to {method} cannot be used: {reason}; is it of the version in docs/conductor.md?"
    )]
    Answer {
        /// Where.
        url: String,
        /// What was called.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A node of another chain.
    #[error(
        "the execution node at {url} is of chain {found}, the rollup is {expected}: give it a genesis with that chain id"
    )]
    ChainId {
        /// Where.
        url: String,
        /// There.
        found: u64,
        /// The rollup.
        expected: u64,
    },
    /// It is not there yet.
    #[error("the execution node at {url} is not ready: {reason}")]
    Syncing {
        /// Where.
        url: String,
        /// What it says.
        reason: String,
    },
    /// The parent is not there.
    #[error("the execution node at {url} does not have block {parent}")]
    NoParent {
        /// Where.
        url: String,
        /// Which.
        parent: BlockRef,
    },
    /// It cannot be brought to execute in the order of the lane.
    #[error("the execution node at {url} did not keep the order of the lane in block {number}")]
    Order {
        /// Where.
        url: String,
        /// Which block.
        number: u64,
    },
    /// A second node says that the block is wrong.
    #[error("the execution node at {url} finds block {number} {status}: {reason}")]
    Invalid {
        /// Where.
        url: String,
        /// Which block.
        number: u64,
        /// As the Engine API says.
        status: String,
        /// What it says.
        reason: String,
    },
}

impl DriverError {
    /// Whether the same can succeed later.
    #[must_use]
    pub const fn retry_helps(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Syncing { .. } | Self::NoParent { .. }
        )
    }
}
