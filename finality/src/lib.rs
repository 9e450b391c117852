//! From commit to a proof that anyone can check: the order of committed transactions, and offline proofs of it.
//!
//! ```text
//! committed block + payload --Ledger::append--> a place for every transaction (height, lane, index, position)
//! header + path + certificate + payload --FinalityProof::build--> JSON --verify_json(committee)--> Checked
//! statements, certificates --EvidenceCollector--> Evidence --EvidenceFile--> JSON --verify_evidence_json--> who did what
//! trusted committee + EpochEnds --Trust::follow--> the committees of later epochs --Trust::verify--> Checked
//! two proofs that conflict + certificate stores --investigate--> the guilty
//! ```
//!
//! Rule **F1**, checked by every voter with [`duplicate`]: a block at height `h` is invalid if it holds a transaction
//! that an ancestor at a height `>= h - `[`DUPLICATE_WINDOW_BLOCKS`] holds.
//!
//! Guarantees, each with the test that defends it:
//!
//! - **F2** The ledger is one chain: a block is appended only if it extends the tip, its payload is the one that its
//!   header commits to, and no transaction stands in it twice; a refused block changes nothing (`ledger::tests`).
//! - **F3** Positions of a rollup's transactions count from 0 without gaps, also over a restart (`ledger::tests`).
//! - **F4** [`verify`] accepts only if a valid certificate of the given committee makes final a block that commits to
//!   the transaction, itself or through an ancestor of the same epoch (`tests/proof.rs`, `tests/handover.rs`).
//! - **F5** [`verify_json`] accepts one text per proof: any other byte anywhere is an error (`tests/flips.rs`).
//! - **F6** Checking never panics, whatever the bytes, and reads at most [`PROOF_BYTES_MAX`] of them
//!   (`tests/flips.rs`, `tests/proof.rs`).
//! - **F7** The collector finds exactly the offences E1 to E5 among the statements of its window, in whatever order they
//!   come, alone or within certificates; an honest member's statements are never evidence (`tests/evidence.rs`).
//! - **F8** [`verify_evidence_json`] accepts one text per piece of evidence, and only if it proves an offence
//!   (`tests/evidence_files.rs`).
//! - **F9** [`investigate`] names stake of at least `f+1`, and nobody honest, given what honest members keep
//!   (`tests/forensics.rs`; random forks: `tests/forks.rs`).
//! - **F10** [`Trust`] goes on from an epoch only to the committee that this epoch's own made final, one epoch after the
//!   other; what is refused changes nothing (`tests/handover.rs`).
//! - **F11** [`HandoverFile::from_json`] accepts one text per chain of hand-overs (`tests/handover.rs`).
//! - **F12** [`SnapshotVerifier`] accepts only a checkpoint that the genesis committee leads to, and of its window only the
//!   blocks and transaction ids that are the chain's; what it cannot prove shows in [`state_digest`]
//!   (`tests/checkpoint.rs`).
//!
//! - **F13** The header of every block of the ledger says which lane blocks it has, each on top of the one before it in its lane,
//!   and what all blocks before it are; voters check this with an [`Outlook`] (`outlook::tests`, `ledger::tests`).
//! - **F14** A block orders nothing for a rollup that is not open, and each lane's transactions in the order of its policy
//!   (`outlook::tests`, `types::order::tests`, `types::registry::tests`).
//! - **F15** A block holds all parts of a bundle or none (`types::bundle::tests`, `outlook::tests`).
//! - **F16** An [`ExecutionFile`] verifies only if members of stake Q signed the same (`execution::tests`).
//! - **F17** The L1 origin of a block never goes back along a chain, and neither does what is consumed of the forced inbox
//!   (`types::origin::tests`, `consensus/tests/rules.rs`).
//! - **F18** An honest voter leaves a block alone that leaves out an overdue entry of the forced inbox, or counts one as consumed that it
//!   does not hold; a leader's offer is never left alone for that by those who see the same of L1 (`inbox::tests`).
//!
//! Assumptions: at most `f` stake of the committee is Byzantine, and the verifier got the committee from a source that
//! it trusts. Limits: [`PATH_HEADERS_MAX`] headers between a block and the certificate; a ledger remembers one number
//! per rollup that ever had a transaction; a light client remembers [`EPOCHS_KEPT_MAX`] committees. Deliberately absent:
//! disk, settlement on L1.

mod checkpoint;
mod evidence;
mod execution;
mod forensics;
mod handover;
mod inbox;
mod lane_proof;
mod ledger;
mod outlook;
mod proof;
mod records;
mod settlement;
mod text;

pub use checkpoint::{
    Checkpoint, DIGEST_EVERY_BLOCKS, HISTORY_CHUNK, LANES_PER_ITEM_MAX, LANES_PER_SNAPSHOT_MAX,
    LaneEnd, LaneIds, PayloadIds, SnapshotBlock, SnapshotError, SnapshotItem, SnapshotVerifier,
    Taken, state_digest,
};
pub use evidence::{
    CERTIFICATES_BYTES_MAX, CERTIFICATES_VERSION, CertificatePage, CertificateStore,
    CertificateStoreError, Charge, CheckedEvidence, EVIDENCE_BYTES_MAX, EVIDENCE_PER_OFFENCE_MAX,
    EVIDENCE_VERSION, EvidenceCollector, EvidenceFile, EvidenceFileError, EvidencePage,
    STATEMENTS_MAX, WINDOW_VIEWS_MAX, offence_name, verify_evidence_json,
};
pub use execution::{
    EXECUTION_AHEAD_MAX, EXECUTION_BYTES_MAX, EXECUTION_LANES_MAX, EXECUTION_ROLLUPS_MAX,
    EXECUTION_VERSION, EXECUTION_VOTES_MAX, ExecutionError, ExecutionFile, ExecutionSide,
    ExecutionVotes, Noted,
};
pub use forensics::{Conflict, ForensicsError, Guilty, Verdict, investigate};
pub use handover::{
    EPOCHS_KEPT_MAX, HANDOVERS_BYTES_MAX, HANDOVERS_VERSION, HandoverError, HandoverFile,
    HandoverFileError, Trust,
};
pub use inbox::{
    ENTRIES_MAX, FORCED_BYTES_PER_BLOCK_MAX, FORCED_PER_BLOCK_MAX, InboxEntry, InboxView,
    Judgement, L1_BLOCKS_MAX, L1Block, Reluctance,
};
pub use lane_proof::{
    CheckedHeader, CheckedLane, FinalHeader, LANE_BLOCKS_PER_PROOF_MAX, LANE_PROOF_BYTES_MAX,
    LANE_PROOF_VERSION, LaneClaim, LaneGap, LaneMember, LaneNeighbour, LaneProof, LaneRangeProof,
    Skip, SkipProof,
};
pub use ledger::{Appended, DUPLICATE_WINDOW_BLOCKS, Ledger, LedgerEntry, LedgerError, duplicate};
pub use outlook::Outlook;
pub use proof::{
    Checked, FinalityProof, Inclusion, PATH_HEADERS_MAX, PROOF_BYTES_MAX, PROOF_VERSION,
    ProofError, Signed, verify, verify_json,
};
pub use records::{HistoryChunk, LedgerTip, TransactionLocation};
pub use settlement::{
    ATTESTED_MAX, Attestations, Attested, AttestedBlocks, Cadence, FEES_KEPT, Fees,
    SETTLEMENT_POINT_EVERY, SETTLEMENT_POINTS_MAX, SettlementPoint, Tracker, is_settlement_point,
    is_turn,
};
pub use text::{TextError, canonical, read_canonical};
