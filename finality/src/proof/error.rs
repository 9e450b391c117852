//! Why a proof proves nothing.

use super::{PATH_HEADERS_MAX, PROOF_BYTES_MAX, PROOF_VERSION};
use crate::lane_proof::LANE_PROOF_VERSION;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{
    BlockId, ChainId, CommitteeId, Epoch, Height, Invalid, LaneHeight, RollupId, TransactionId,
    View,
};

/// Why a text or a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Larger than any proof.
    #[error("{bytes} bytes, a proof has at most {PROOF_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not the JSON of a proof.
    #[error("not the JSON of a proof, near byte {offset}: {reason}")]
    NotJson {
        /// About where, from 0.
        offset: usize,
        /// What the parser says.
        reason: String,
    },
    /// It can be read, but was written by something else or changed.
    #[error(
        "not the canonical text of this proof, first at byte {offset}: it was reformatted or changed"
    )]
    NotCanonical {
        /// The first byte that differs, from 0.
        offset: usize,
    },
    /// Another format.
    #[error(
        "proof version {found}, this build checks version {PROOF_VERSION}: use the release that wrote it"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// Another format of a proof about a lane.
    #[error(
        "version {found} of the lane proofs, this build checks version {LANE_PROOF_VERSION}: use the release that wrote it"
    )]
    LaneVersion {
        /// Its version.
        found: u16,
    },
    /// Signed by others.
    #[error("proof for committee {found}, checked against committee {expected}")]
    OtherCommittee {
        /// The proof's.
        found: CommitteeId,
        /// The verifier's.
        expected: CommitteeId,
    },
    /// A header in another format.
    #[error(
        "header at height {height} has version {found}, this build checks version {BLOCK_VERSION}"
    )]
    BlockVersion {
        /// The header's height.
        height: Height,
        /// Its version.
        found: u16,
    },
    /// A header of another network.
    #[error("header at height {height} is of chain {found}, the committee is of chain {expected}")]
    OtherChain {
        /// The header's height.
        height: Height,
        /// The header's chain.
        found: ChainId,
        /// The committee's.
        expected: ChainId,
    },
    /// A header of another epoch.
    #[error("header at height {height} is of epoch {found}, the committee is of epoch {expected}")]
    OtherEpoch {
        /// The header's height.
        height: Height,
        /// The header's epoch.
        found: Epoch,
        /// The committee's.
        expected: Epoch,
    },
    /// Too many headers.
    #[error("path of {headers} headers, at most {PATH_HEADERS_MAX} are allowed")]
    PathTooLong {
        /// How many.
        headers: usize,
    },
    /// A header is not the child of the one before.
    #[error(
        "the header path is broken at height {height}: that header is not the child of the one before it"
    )]
    BrokenPath {
        /// The height that the child should have.
        height: Height,
    },
    /// A block above the last one of an epoch that is no filler (R13).
    #[error(
        "the header at height {height} stands above the last block of its epoch, and carries or names something"
    )]
    NotFiller {
        /// The header's height.
        height: Height,
    },
    /// The transaction's block stands where its epoch has none.
    #[error("the block at height {height} is not of epoch {epoch}, which ends at height {last}")]
    OutsideEpoch {
        /// The block's height.
        height: Height,
        /// Its epoch.
        epoch: Epoch,
        /// The last height of that epoch.
        last: Height,
    },
    /// No committee is known for it.
    #[error(
        "proof of epoch {found}, the committees of epochs {first} to {last} are known: follow the hand-overs from a committee that you trust (`outrider epochs` fetches them, `outrider verify --epochs` takes them)"
    )]
    UnknownEpoch {
        /// The proof's.
        found: Epoch,
        /// The first one known.
        first: Epoch,
        /// The last one known.
        last: Epoch,
    },
    /// Certified is another block than the last of the path.
    #[error("the certificate is for block {found}, the headers lead to block {expected}")]
    OtherBlock {
        /// The certificate's.
        found: BlockId,
        /// Where the headers lead.
        expected: BlockId,
    },
    /// Certified is the block in another view than its own.
    #[error("the certificate is of view {found}, its block of view {expected}")]
    OtherView {
        /// The certificate's.
        found: View,
        /// The block's.
        expected: View,
    },
    /// The certificate is not one of this committee.
    #[error("the certificate is not valid: {reason}")]
    Certificate {
        /// What is wrong.
        reason: Invalid,
    },
    /// More bytes than a transaction has.
    #[error("a transaction of {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are allowed")]
    TransactionSize {
        /// How many.
        bytes: usize,
    },
    /// The bytes are of another transaction.
    #[error("the transaction's bytes have the id {found}, the proof says {expected}")]
    OtherTransaction {
        /// Of the bytes.
        found: TransactionId,
        /// Stated.
        expected: TransactionId,
    },
    /// A block that the history of the later one does not hold.
    #[error(
        "the Merkle path of the block at height {height} does not lead to the history of the block at height {to}"
    )]
    NotInHistory {
        /// The block's height.
        height: Height,
        /// Height of the later block.
        to: Height,
    },
    /// A lane block that the header does not cover, or neighbours that do not prove that there is none.
    #[error(
        "the Merkle paths do not prove what the block at height {height} holds for rollup {rollup}: {reason}"
    )]
    Lane {
        /// Whose lane.
        rollup: RollupId,
        /// The block's height.
        height: Height,
        /// What is wrong.
        reason: &'static str,
    },
    /// A lane block is not the parent of the next.
    #[error(
        "the lane of rollup {rollup} is broken at lane height {lane}: that lane block is not the parent of the next one"
    )]
    BrokenLane {
        /// Whose lane.
        rollup: RollupId,
        /// The lane height.
        lane: LaneHeight,
    },
    /// More lane blocks than one proof holds.
    #[error("{found} lane blocks, at most {limit} are allowed in one proof")]
    TooManyLanes {
        /// How many.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// The paths lead elsewhere.
    #[error(
        "the Merkle paths of transaction {transaction} do not lead to the payload of block {block}"
    )]
    NotIncluded {
        /// The transaction.
        transaction: TransactionId,
        /// The block that should hold it.
        block: BlockId,
    },
}
