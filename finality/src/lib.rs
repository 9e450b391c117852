//! From commit to a proof that anyone can check: the order of committed transactions, and offline proofs of it.
//!
//! ```text
//! committed block + payload --Ledger::append--> a place for every transaction (height, lane, index, position)
//! header + path + certificate + payload --FinalityProof::build--> JSON --verify_json(committee)--> Checked
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
//!   the transaction, itself or through an ancestor (`tests/proof.rs`).
//! - **F5** [`verify_json`] accepts one text per proof: any other byte anywhere is an error (`tests/flips.rs`).
//! - **F6** Checking never panics, whatever the bytes, and reads at most [`PROOF_BYTES_MAX`] of them
//!   (`tests/flips.rs`, `tests/proof.rs`).
//!
//! Assumptions: at most `f` stake of the committee is Byzantine, and the verifier got the committee from a source that
//! it trusts. Limits: [`PATH_HEADERS_MAX`] headers between a block and the certificate; a ledger remembers one number
//! per rollup that ever had a transaction. Deliberately absent: disk, hand-over between epochs, settlement on L1.

mod ledger;
mod proof;
mod records;

pub use ledger::{Appended, DUPLICATE_WINDOW_BLOCKS, Ledger, LedgerEntry, LedgerError, duplicate};
pub use proof::{
    Checked, FinalityProof, Inclusion, PATH_HEADERS_MAX, PROOF_BYTES_MAX, PROOF_VERSION,
    ProofError, verify, verify_json,
};
pub use records::{LedgerTip, TransactionLocation};
