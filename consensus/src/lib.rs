//! From payload to certificate to commit: one member's part of the protocol, as a pure function of time and input.
//!
//! ```text
//! Verified<Proposal | Vote | CommitVote | Timeout | Justification>, payload verdicts, time
//!      |
//!      v
//! Replica::step(now, input) -> Step --persist_with(write)--> [Broadcast | Send | CheckPayload | Assemble | Fetch | Commit ..]
//! ```
//!
//! The rules are those of docs/protocol.md and are cited by id where the code obeys them.
//!
//! Guarantees, each with the test that defends it (`tests/rules.rs`, `tests/guarantees.rs`,
//! `tests/world.rs`):
//!
//! - **C1** A member signs at most one vote, one commit vote and one proposal of a kind per view, restarts included
//!   (`r4_replica_does_not_vote_twice_in_a_view`, `honest_members_never_sign_an_offence`).
//! - **C2** Nothing signed leaves before the safety state it was signed under is durable: [`Step`] gives its actions
//!   only through [`Step::persist_with`] (`a_failed_write_releases_nothing`).
//! - **C3** Two members never commit different blocks at one height (`random_worlds_agree`).
//! - **C4** After messages arrive again, blocks are committed again (`random_worlds_recover`).
//! - **C5** Memory is bounded whatever is received (`future_views_are_kept_only_within_the_window`).
//!
//! Assumptions: see docs/protocol.md section 1. The caller passes time that does not go back, answers
//! [`Action::CheckPayload`] and [`Action::Assemble`], and ends the replica when a write fails.
//!
//! Limits: [`VIEWS_AHEAD_MAX`], [`TREE_BLOCKS_MAX`].
//!
//! Deliberately absent: clocks, sockets, disks, randomness, threads, type parameters; what comes after the epoch (the
//! caller makes a new replica for the next one), and where a next committee comes from.

mod action;
mod commit;
mod config;
mod handle;
mod input;
mod leader;
mod pacemaker;
mod presence;
mod propose;
mod replica;
mod safety;
mod step;
mod tree;
mod votes;

pub use action::{AHEAD_OF_CLOCK, Action};
pub use config::Config;
pub use input::{Input, Restored};
pub use leader::LeaderSchedule;
pub use replica::{Replica, Seat};
pub use step::{Step, Writes};
pub use tree::TREE_BLOCKS_MAX;
pub use votes::VIEWS_AHEAD_MAX;
