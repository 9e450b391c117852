//! The imperative shell: everything that a member of the committee does beside thinking.
//!
//! ```text
//! bytes of peers --pipeline (decode, verify, in parallel)--> driver <--commands-- api (JSON-RPC) <-- rollups, wallets
//!                                                             |  owns Replica, Mempool, Ledger
//!                                                             v
//!                                           vote journal, block store, network
//! ```
//!
//! Guarantees, each with the test that defends it:
//!
//! - **N1** After kill -9 at any instant nothing is signed twice and nothing final is lost (`tests/kill.rs`,
//!   `tests/e2e/kill.sh` of the workspace).
//! - **N2** A transaction that was accepted is held by members of stake f+1 at least (`tests/e2e/kill.sh`).
//! - **N3** The driver runs unchanged in a simulated world (`sim/tests/smoke.rs`).
//! - **N4** All faults of a configuration are reported at once (`config::tests`).
//!
//! Failure modes: a failed write or sync ends the member ([`driver::DriverError`]); so does a network that ends.
//!
//! Deliberately absent: rules of the protocol (consensus), bytes of messages (types), execution of transactions.

pub mod api;
pub mod chain;
pub mod committee_file;
pub mod committee_source;
pub mod config;
pub mod driver;
pub mod durable;
pub mod ethereum;
pub mod handle;
pub mod keys;
pub mod logging;
pub mod member;
pub mod metrics;
pub mod pipeline;
pub mod seats;
pub mod settlement;
pub mod snapshot;
pub mod tap;
