//! The settlement chain (L1): its endpoints, what happens on the contracts there, and transactions to them.
//!
//! ```text
//! urls --Endpoint--> Endpoints (most must agree) --Watch, Finals--> Watcher::next -> [WatchEvent]
//!                          ^                  \--State--> what the contracts hold after one block
//! Call --Sender (nonce, fees, gas, resend)----/            (operators, committees, anchor, inbox, cases)
//! ```
//!
//! Guarantees:
//!
//! - **L1**: what no more than half of the configured endpoints say changes nothing, even if the others are silent; who says it is
//!   named in an event (`tests/endpoints.rs`).
//! - **L2**: every final L1 block is told once, in order, each the child of the one before; entries of the forced inbox without a gap
//!   (`tests/following.rs`, `src/finals.rs`).
//! - **L3**: what is settled moves back with a reorg, and never below the final L1 block (`tests/following.rs`).
//! - **L4**: an outage loses nothing: following goes on where it was (`tests/following.rs`).
//! - **L5**: calls, events and errors are those of the committed artifacts (`tests/artifacts.rs`).
//! - **L6**: a transaction that would revert is not sent, and one that is not taken is sent again for more until the limit
//!   (`tests/sending.rs`).
//! - **L7**: over https, whoever cannot prove to be the host of the URL is not asked; of a URL only scheme, host and port are shown
//!   (`tests/tls.rs`, `src/url.rs`).
//!
//! Assumptions: more than half of the endpoints are honest; with one endpoint, that one. Failure modes: an endpoint that lies, is
//! slow, dead or of another chain is a [`WatchEvent::Endpoint`](watch::WatchEvent::Endpoint); no majority of the configured is a
//! [`WatchEvent::Outage`](watch::WatchEvent::Outage); a final block that changes ends the following
//! ([`WatchEvent::FinalReplaced`](watch::WatchEvent::FinalReplaced)). Limits: [`endpoint::EndpointLimits`],
//! [`endpoints::AgreementLimits`], [`watch::WatchLimits`], [`sender::SendLimits`]. Deliberately absent: proofs of the state (a light client
//! of L1), tasks of its own.

pub mod abi;
pub mod account;
mod agreement;
pub mod calls;
pub mod candidates;
pub mod deploy;
pub mod deployment;
pub mod endpoint;
pub mod endpoints;
pub mod event;
mod fees;
pub mod finals;
pub mod genesis;
pub mod model;
pub mod native;
mod numbers;
pub mod operator;
pub mod revert;
mod seats;
pub mod sender;
mod standing;
pub mod state;
mod told;
mod transport;
pub mod url;
pub mod watch;
pub mod watcher;

pub use fees::{FeeLimits, Fees};
