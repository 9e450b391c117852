//! The words of Outrider: what members say, what certificates are, and the only place that defines bytes.
//!
//! ```text
//! SecretKey --sign--> Signed<Vote | CommitVote | Timeout | Propose> --count--> Certificate --> Justification
//!      bytes from outside --decode (bounded)--> value --verify (strict)--> Verified<value> --> the core
//! ```
//!
//! Guarantees, each with the test that defends it:
//!
//! - **T1** Decoding any bytes never panics, accepts one encoding of every value, and allocates at most
//!   [`limits::DECODE_BYTES_MAX`] (`tests/decode.rs`).
//! - **T2** The bytes of every message are pinned: hashes of samples stand in `tests/pinned.rs`, so a
//!   format cannot change by accident.
//! - **T3** [`Verified`] can only be built by strict Ed25519 verification against a [`Committee`], or by
//!   signing (`tests/verify.rs`, `tests/verify_timeouts.rs`, `tests/records.rs`, `tests/evidence.rs`).
//! - **T4** A committee whose thresholds break a fact the safety proof uses is an error
//!   (`tests/committee.rs`).
//! - **T5** [`resolve`](resolve::resolve) is a pure function, the same for everyone (`tests/resolve.rs`).
//!
//! Deliberately absent: clocks, sockets, files, randomness, the rules of the protocol.

pub mod attestation;
pub mod block;
pub mod bundle;
pub mod certificate;
pub mod codec;
pub mod committee;
pub mod crypto;
pub mod epoch;
pub mod evidence;
pub mod execution;
pub mod ids;
pub mod lane;
pub mod limits;
pub mod merkle;
pub mod message;
pub mod order;
pub mod origin;
pub mod payload;
pub mod registry;
pub mod resolve;
pub mod safety_state;
pub mod statement;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verified;
pub mod zoo;

pub use attestation::{Attestation, Attester, AttesterSignature};
pub use block::{Block, BlockRecord, Content, Proposal, ProposalKind};
pub use bytes::Bytes;
pub use certificate::{
    Aggregate, Certificate, CommitCertificate, FinalityCertificate, Justification,
    QuorumCertificate, Resolved, TimeoutCertificate, TimeoutEntry,
};
pub use codec::{DecodeError, decode, encode};
pub use committee::{Committee, CommitteeError, Member, Thresholds};
pub use crypto::{PublicKey, SecretKey, Signature};
pub use epoch::{Approve, CommitteeChange, Contact, EpochEnd, EpochStart, TransportKey};
pub use evidence::{Evidence, Offence};
pub use execution::{Execution, ExecutionCertificate, StateRoot, StepsRoot};
pub use ids::{
    BatchId, BlockId, ChainId, ChangeId, CommitteeId, Epoch, Height, MemberIndex, PayloadId,
    RollupId, Stake, Timestamp, TransactionId, View,
};
pub use lane::{
    HistoryRoot, LaneBlock, LaneBlocks, LaneHash, LaneHeight, LaneTip, LaneTips, LanesRoot, Roots,
    TransactionsRoot,
};
pub use message::{ConsensusMessage, PayloadMessage, SyncMessage};
pub use order::Policy;
pub use origin::{L1BlockHash, Origin};
pub use payload::{Batch, CheckedPayload, Payload, PayloadError, Transaction};
pub use registry::{Registration, Registry, RegistryRoot};
pub use safety_state::SafetyState;
pub use statement::{CommitVote, Propose, Signed, Statement, Timeout, TimeoutMessage, Vote};
pub use verified::{Invalid, Verified};
