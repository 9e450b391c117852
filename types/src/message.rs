//! What members send each other, by channel. Decoding is bounded; nothing here is trusted until verified.

use crate::block::{BlockRecord, Proposal};
use crate::certificate::{FinalityCertificate, Justification};
use crate::codec::{wire_enum, wire_struct};
use crate::ids::{BlockId, Height};
use crate::limits::{BLOCKS_PER_RANGE_MAX, TRANSACTIONS_PER_MESSAGE_MAX};
use crate::payload::{Payload, Transaction};
use crate::statement::{CommitVote, Signed, TimeoutMessage, Vote};

/// On the consensus channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsensusMessage {
    /// A leader's proposal, without its payload.
    Proposal(Proposal),
    /// A vote, to all.
    Vote(Signed<Vote>),
    /// A commit vote, to all.
    CommitVote(Signed<CommitVote>),
    /// A timeout with its certificate, to all.
    Timeout(TimeoutMessage),
    /// What ended a view: for a leader that may miss it (R1), or a laggard (R11).
    Certificate(Justification),
}

wire_enum!(ConsensusMessage { 0 => Proposal, 1 => Vote, 2 => CommitVote, 3 => Timeout, 4 => Certificate });

/// On the payload channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadMessage {
    /// The payload of a block that is being proposed.
    Payload(Payload),
    /// Transactions admitted elsewhere, spread so that any leader can include them.
    Transactions(Transactions),
}

wire_enum!(PayloadMessage { 0 => Payload, 1 => Transactions });

/// A bounded list of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// At most [`TRANSACTIONS_PER_MESSAGE_MAX`].
    pub list: Vec<Transaction>,
}

wire_struct!(Transactions { list[TRANSACTIONS_PER_MESSAGE_MAX] });

/// On the sync channel: questions and answers, matched by what they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncMessage {
    /// "Send me this block."
    BlockRequest(BlockRequest),
    /// A block with its justification and payload.
    Block(FullBlock),
    /// "Send me final blocks from this height on."
    RangeRequest(RangeRequest),
    /// Final blocks with the proof that they are.
    Range(Range),
}

wire_enum!(SyncMessage { 0 => BlockRequest, 1 => Block, 2 => RangeRequest, 3 => Range });

/// Asks for one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// Which.
    pub block: BlockId,
}

wire_struct!(BlockRequest { block });

/// A block with everything a voter needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullBlock {
    /// Header and justification.
    pub record: BlockRecord,
    /// Its payload.
    pub payload: Payload,
}

wire_struct!(FullBlock { record, payload });

/// Asks for final blocks in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// First height wanted.
    pub from: Height,
}

wire_struct!(RangeRequest { from });

/// Final blocks in order of height, each the parent of the next; the certificate makes the last one final, and so
/// all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Blocks, ascending, at most [`BLOCKS_PER_RANGE_MAX`].
    pub blocks: Vec<FullBlock>,
    /// Proof that the last of them is final.
    pub certificate: FinalityCertificate,
}

wire_struct!(Range { blocks[BLOCKS_PER_RANGE_MAX], certificate });
