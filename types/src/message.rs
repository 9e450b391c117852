//! What members send each other, by channel. Decoding is bounded; nothing here is trusted until verified.

use crate::attestation::Attestation;
use crate::block::{Block, BlockRecord, Proposal};
use crate::certificate::{FinalityCertificate, Justification};
use crate::codec::{
    EncodeSize, Error, RangeCfg, Read, Write, read_items, read_list, wire_enum, wire_struct,
};
use crate::crypto::sha256;
use crate::epoch::{Approve, CommitteeChange, EpochEnd};
use crate::evidence::Evidence;
use crate::execution::Execution;
use crate::ids::{
    BatchId, BlockId, CommitteeId, Epoch, Height, PayloadId, RollupId, TransactionId,
};
use crate::limits::{
    BATCHES_PER_REQUEST_MAX, BLOCKS_PER_RANGE_MAX, FILLERS_MAX, LANES_PER_PAYLOAD_MAX,
    MESSAGE_BYTES_MAX, TRANSACTIONS_PER_MESSAGE_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
    TRANSACTIONS_PER_RANGE_MAX,
};
use crate::order::Policy;
use crate::payload::{Payload, Transaction};
use crate::statement::{CommitVote, Signed, TimeoutMessage, Vote};
use bytes::Bytes;

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
    /// The epoch is over: said before leaving it, and to whoever is still in it (R13, R11).
    EpochEnd(EpochEnd),
}

wire_enum!(ConsensusMessage { 0 => Proposal, 1 => Vote, 2 => CommitVote, 3 => Timeout, 4 => Certificate, 5 => EpochEnd });

impl ConsensusMessage {
    /// The epoch it is said in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::Proposal(proposal) => proposal.block.epoch,
            Self::Vote(vote) => vote.statement.epoch,
            Self::CommitVote(vote) => vote.statement.epoch,
            Self::Timeout(timeout) => timeout.timeout.statement.epoch,
            Self::Certificate(justification) => justification.epoch(),
            Self::EpochEnd(end) => end.last.epoch,
        }
    }
}

/// On the payload channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadMessage {
    /// The payload of a block that is being proposed.
    Payload(Payload),
    /// Transactions admitted elsewhere, spread so that any leader can include them.
    Transactions(Transactions),
    /// "I hold these transactions now": lets the member that admitted them promise that they survive it.
    Received(Received),
    /// The payload of a block that is being proposed, in terms of batches that were spread before.
    References(References),
    /// "Send me these batches."
    BatchRequest(BatchRequest),
}

wire_enum!(PayloadMessage { 0 => Payload, 1 => Transactions, 3 => Received, 4 => References, 5 => BatchRequest });

/// A batch: transactions that one member spreads, in the order in which it admitted them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// At most [`TRANSACTIONS_PER_MESSAGE_MAX`].
    pub list: Vec<Transaction>,
}

wire_struct!(Transactions { list[TRANSACTIONS_PER_MESSAGE_MAX] });

/// `sha256("outrider/batch" || ids)` of a batch of these transactions. The ids bind their bytes, so these are not hashed again.
#[must_use]
pub fn batch_id(ids: &[TransactionId]) -> BatchId {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(1 + ids.len());
    parts.push(b"outrider/batch");
    parts.extend(ids.iter().map(|id| id.0.as_slice()));
    BatchId(sha256(&parts))
}

/// What a member holds of a batch: all but what it had no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which batch.
    pub batch: BatchId,
    /// Places in it of the transactions that are not held, ascending; at most [`TRANSACTIONS_PER_MESSAGE_MAX`].
    pub refused: Vec<u16>,
}

wire_struct!(Received { batch, refused[TRANSACTIONS_PER_MESSAGE_MAX] });

/// A payload as its proposer found it in batches. Whoever holds these puts the transactions into lanes, batch by batch in
/// the order given, and has the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// The payload's commitment.
    pub payload: PayloadId,
    /// At most [`TRANSACTIONS_PER_PAYLOAD_MAX`], for each brings at least one transaction.
    pub batches: Vec<Reference>,
    /// Lanes that are ordered otherwise than as they came.
    pub orders: LaneOrders,
}

wire_struct!(References { payload, batches[TRANSACTIONS_PER_PAYLOAD_MAX], orders });

/// Lanes that are ordered by their policy in a block on top of `parent`. Whether these are their policies is not checked here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneOrders {
    /// The parent of the block.
    pub parent: BlockId,
    /// The lanes, rollups ascending.
    pub lanes: Vec<LaneOrder>,
}

wire_struct!(LaneOrders { parent, lanes[LANES_PER_PAYLOAD_MAX] });

/// A lane and how it is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneOrder {
    /// Whose.
    pub rollup: RollupId,
    /// How.
    pub policy: Policy,
}

wire_struct!(LaneOrder { rollup, policy });

impl LaneOrders {
    /// Put transactions of a rollup that stand as they came into their order.
    pub fn arrange(&self, rollup: RollupId, lane: &mut (Vec<Bytes>, Vec<TransactionId>)) {
        let found = self
            .lanes
            .binary_search_by_key(&rollup, |order| order.rollup);
        let Some(order) = found.ok().and_then(|at| self.lanes.get(at)) else {
            return;
        };
        let (transactions, ids) = &*lane;
        let places = order.policy.arrange(self.parent, transactions, ids);
        let arranged = places
            .iter()
            .filter_map(|at| transactions.get(*at).cloned().zip(ids.get(*at).copied()));
        *lane = arranged.unzip();
    }
}

/// A batch in a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which.
    pub batch: BatchId,
    /// Places in it of the transactions that are left out, ascending; at most [`TRANSACTIONS_PER_MESSAGE_MAX`].
    pub left_out: Vec<u16>,
}

wire_struct!(Reference { batch, left_out[TRANSACTIONS_PER_MESSAGE_MAX] });

/// Asks for batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest {
    /// Which; at most [`BATCHES_PER_REQUEST_MAX`].
    pub batches: Vec<BatchId>,
}

wire_struct!(BatchRequest { batches[BATCHES_PER_REQUEST_MAX] });

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
    /// "Send me the change that leads to this committee."
    ChangeRequest(ChangeRequest),
    /// A committee that members approved of (R13).
    Change(CommitteeChange),
    /// A member broke the protocol. Forwarded once by everyone to whom it is new.
    Evidence(Evidence),
    /// What a member executed. Sent once, by the member that its conductor told.
    Execution(Signed<Execution>),
    /// A member's signature for the settlement chain. Sent once, by the member itself.
    Attestation(Attestation),
    /// A member approves of a change of the committee that L1 asks for. Sent by the member itself.
    Approval(Signed<Approve>),
}

wire_enum!(SyncMessage { 0 => BlockRequest, 1 => Block, 2 => RangeRequest, 3 => Range, 4 => ChangeRequest, 5 => Change, 6 => Evidence, 7 => Execution, 8 => Attestation, 9 => Approval });

/// Asks for an approved change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    /// The committee that it leads to.
    pub next: CommitteeId,
}

wire_struct!(ChangeRequest { next });

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

/// Final blocks of one epoch in order of height, each the parent of the next. The certificate makes the last one final,
/// and so all of them; at the end of an epoch it may be of a filler above the last one (R13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Blocks, ascending, at most [`BLOCKS_PER_RANGE_MAX`] with [`TRANSACTIONS_PER_RANGE_MAX`] transactions in all;
    /// [`Range::fitting`] says how many that is.
    pub blocks: Vec<FullBlock>,
    /// Fillers from the last of them up to the block of the certificate; none but at the end of an epoch.
    pub fillers: Vec<Block>,
    /// Proof that the last of them is final.
    pub certificate: FinalityCertificate,
    /// The committee that the last of them names, if it is not the same one with the next epoch's number.
    pub change: Option<CommitteeChange>,
}

impl Write for Range {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.blocks.write(buf);
        self.fillers.write(buf);
        self.certificate.write(buf);
        self.change.write(buf);
    }
}

impl EncodeSize for Range {
    fn encode_size(&self) -> usize {
        self.blocks.encode_size()
            + self.fillers.encode_size()
            + self.certificate.encode_size()
            + self.change.encode_size()
    }
}

impl Read for Range {
    type Cfg = ();
    /// Refuses more than [`TRANSACTIONS_PER_RANGE_MAX`] over all blocks.
    fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
        let count = usize::read_cfg(buf, &RangeCfg::from(0..=BLOCKS_PER_RANGE_MAX))?;
        let mut left = TRANSACTIONS_PER_RANGE_MAX;
        let blocks = read_items(buf, count, |buf| {
            let block = FullBlock::read_cfg(buf, &())?;
            left = left
                .checked_sub(block.payload.len())
                .ok_or(Error::Invalid("Range", "too many transactions"))?;
            Ok(block)
        })?;
        Ok(Self {
            blocks,
            fillers: read_list(buf, FILLERS_MAX)?,
            certificate: FinalityCertificate::read_cfg(buf, &())?,
            change: Option::read_cfg(buf, &())?,
        })
    }
}

impl Range {
    /// How many of these blocks, from the first on, fit into one answer beside `certificate`: at most
    /// [`BLOCKS_PER_RANGE_MAX`] of them, [`TRANSACTIONS_PER_RANGE_MAX`] transactions and [`MESSAGE_BYTES_MAX`]
    /// bytes. One block always fits if it is valid.
    pub fn fitting<'a>(
        blocks: impl IntoIterator<Item = &'a FullBlock>,
        certificate: &FinalityCertificate,
    ) -> usize {
        // Version byte, tag byte, a list length of at most two bytes, no fillers and no change.
        let mut bytes = 6 + certificate.encode_size();
        let mut transactions = 0;
        blocks
            .into_iter()
            .take(BLOCKS_PER_RANGE_MAX)
            .take_while(|block| {
                bytes += block.encode_size();
                transactions += block.payload.len();
                bytes <= MESSAGE_BYTES_MAX && transactions <= TRANSACTIONS_PER_RANGE_MAX
            })
            .count()
    }
}
