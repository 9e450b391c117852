//! What a rollup links to be ordered by Outrider: submit, follow, wait, fetch a proof and verify it.
//!
//! ```text
//! transaction --Client::submit--> member --Client::wait_soft--> final at a height
//!                                   |
//!        Follower (WebSocket) <-----+-----> Client::verified_proof(Trust) --> Checked
//!                                   |             Trust --Client::follow--> committees of later epochs
//! ```
//!
//! Guarantees, each with the test that defends it (`tests/member.rs`):
//!
//! - **L1** A [`Follower`] hands out every block from its first one on, in order of height, each once, whatever happens
//!   to its connection (`follower_fills_gaps_by_height`, `follower_reconnects_and_goes_on_where_it_was`).
//! - **L2** [`Client::verified_proof`] returns only what verifies under the committee of its epoch, reached by verified
//!   hand-overs from the committee trusted, and only for the transaction asked for
//!   (`proof_of_another_transaction_is_refused`, `proof_that_does_not_verify_is_refused`, `tests/epochs.rs`).
//! - **L3** Every call ends within a stated time (`a_silent_member_is_a_timeout`).
//! - **L4** [`check`], the same door for every kind of proof, answers as the shared vectors say, here and in WebAssembly
//!   (`tests/vectors.rs`, `wasm/test.mjs`).
//! - **L5** A [`LaneFollower`] hands out every lane block from its first one on, each once and each the child of the one before,
//!   whatever happens to its connection (`tests/lane.rs`).
//! - **L6** [`OrderedLane::check`] accepts a lane block only if it is final, its transactions are in the order of the policy that the
//!   header's registry says, and bundles are whole; whoever served it is not believed (`tests/order.rs`).
//!
//! Assumptions: the committee file is right; everything that a member says is unproved until a proof verifies.
//!
//! Limits: one request takes at most [`REQUEST_TIMEOUT`]; following epochs takes at most [`FOLLOW_REQUESTS_MAX`] of them
//! at a time; a follower holds at most
//! [`FOLLOW_BUFFER_MAX`] blocks, then fetches what it missed by height.
//!
//! Without the feature `net` there are no calls and streams: what checks proofs is left, and builds for wasm32.
//!
//! Deliberately absent: nodes, consensus, keys of members, execution of transactions.

#[cfg(feature = "net")]
mod block_data;
#[cfg(feature = "net")]
mod calls;
mod check;
#[cfg(feature = "net")]
mod error;
#[cfg(feature = "net")]
mod follow;
#[cfg(feature = "net")]
mod lane;
#[cfg(feature = "net")]
mod lane_calls;
#[cfg(feature = "net")]
mod model;
mod order;
#[cfg(feature = "net")]
mod order_audit;
mod order_text;
#[cfg(feature = "net")]
mod rollups;
#[cfg(feature = "net")]
mod session;
#[cfg(feature = "net")]
mod submit;

#[cfg(feature = "net")]
pub use block_data::BlockData;
#[cfg(feature = "net")]
pub use calls::{Client, FOLLOW_REQUESTS_MAX, REQUEST_TIMEOUT, RESPONSE_BYTES_MAX, RollupClient};
pub use check::{Rejected, TRUST_BYTES_MAX, check};
#[cfg(feature = "net")]
pub use error::{
    CODE_DUPLICATE, CODE_FULL, CODE_NOT_HELD, CODE_PRUNED, CODE_ROLLUP_CLOSED, CODE_STOPPING,
    ClientError,
};
#[cfg(feature = "net")]
pub use follow::{FOLLOW_BUFFER_MAX, Follower};
#[cfg(feature = "net")]
pub use lane::{LaneData, LaneFollower, LaneFrom, LaneLag, NoPlace};
#[cfg(feature = "net")]
pub use lane_calls::LaneRange;
#[cfg(feature = "net")]
pub use model::{BlockSummary, CurrentCommittee, Finality, Head, RawSubmitted, Settlement, Status};
pub use order::{CheckedOrder, OrderError, OrderedLane};
#[cfg(feature = "net")]
pub use order_audit::OrderAudit;
pub use outrider_finality::{
    CERTIFICATES_BYTES_MAX, CertificatePage, CertificateStore, CertificateStoreError, Charge,
    Checked, CheckedEvidence, CheckedHeader, CheckedLane, EVIDENCE_BYTES_MAX, EXECUTION_BYTES_MAX,
    EvidenceFile, EvidenceFileError, EvidencePage, ExecutionError, ExecutionFile, ExecutionSide,
    FinalHeader, FinalityProof, ForensicsError, HANDOVERS_BYTES_MAX, HandoverError, HandoverFile,
    HandoverFileError, LANE_PROOF_BYTES_MAX, LaneClaim, LaneProof, LaneRangeProof, PROOF_BYTES_MAX,
    ProofError, Skip, SkipProof, SnapshotItem, SnapshotVerifier, TextError, Trust, Verdict,
    canonical, investigate, offence_name, read_canonical, verify, verify_evidence_json,
    verify_json,
};
#[cfg(feature = "net")]
pub use rollups::{ExecutionTaken, RollupState};
#[cfg(feature = "net")]
pub use session::{SESSION_REQUESTS_MAX, Session};
#[cfg(feature = "net")]
pub use submit::{Refusal, SUBMIT_MANY_MAX};
