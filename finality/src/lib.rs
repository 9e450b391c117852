//! From a commit to a proof that anyone can check.
//!
//! ```text
//! final block + payload --Ledger::append--> position of each transaction in its rollup
//!                       --FinalityProof::build--> proof --verify(committee, proof)--> Checked
//! ```
//!
//! Guarantees, each with the test that defends it (`tests/`):
//!
//! - **F1** No transaction is ordered twice within [`DUPLICATE_WINDOW_BLOCKS`] (`f1_a_duplicate_in_the_window_is_found`).
//! - **F2** The ledger only grows by the child of its last block (`f2_only_the_child_of_the_tip_is_appended`).
//! - **F3** A proof verifies only if the transaction is final under the committee; a proof file of which any byte is
//!   changed is refused with a reason (`f3_every_flipped_byte_is_refused`).
//!
//! Deliberately absent: nodes, networks, execution. A proof is checked with the committee alone.

mod ledger;
mod proof;

pub use ledger::{
    Appended, DUPLICATE_WINDOW_BLOCKS, Ledger, LedgerEntry, LedgerError, LedgerTip,
    TransactionLocation, duplicate,
};
pub use proof::{
    Checked, FinalityProof, Inclusion, PATH_HEADERS_MAX, PROOF_VERSION, ProofError, verify,
    verify_json,
};
