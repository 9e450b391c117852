//! From transaction to ordered payload: admission within limits, a lane per rollup, and fair assembly.
//!
//! ```text
//! Transaction --admit--> lane of its rollup --assemble--> Payload --committed--> forgotten, but not its id
//! ```
//!
//! Guarantees, each with the test that defends it (`tests/`):
//!
//! - **M1** It never holds more than its [`Limits`], whatever is submitted (`m1_limits_hold`).
//! - **M2** Transactions of a rollup leave in the order in which they came (`m2_lanes_are_first_in_first_out`).
//! - **M3** A transaction is held once, and not again while its commit is remembered (`m3_no_duplicates`).
//! - **M4** No rollup can keep another out: assembly takes from all lanes in turn (`m4_assembly_is_fair`).
//! - **M5** What it assembles is a payload that a voter takes (`m5_payloads_are_well_formed`).
//!
//! Deliberately absent: fees, execution, signatures of transactions (the rollup skips what is invalid), networks.

mod admission;
mod assembly;
mod lane;

pub use admission::{AdmissionError, Known, Limits, Mempool};
pub use assembly::AssemblyLimits;
