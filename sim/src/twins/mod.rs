//! Twins (Bano et al., *Twins: BFT Systems Made Robust*, OPODIS 2021): Byzantine members as two correct instances with one
//! key, in every partition of the network and under every order of leaders, over the production `Replica`.
//!
//! ```text
//! Space --nth, sample--> Rounds --Plan--> ring and views --World--> Outcome
//!                          ^ |
//!                     JSON of the paper's tools
//! ```
//!
//! **What is counted.** Members 0 to n-1 are instances 0 to n-1; the second instance of the Byzantine member i < t is n+i. A
//! round is a leader (n choices; a twin leads as both instances) and a partition of the n+t instances into parts; exactly two
//! parts as in the paper, or what [`Space`] says. With n = 4, t = 1 that is 4 * S(5,2) = 4 * 15 = 60 rounds, 60^3 = 216,000
//! scenarios of three views and 60^4 = 12,960,000 of four: the paper's numbers, scenario for scenario. Honest members are
//! alike, and so are the two instances of a twin and the twins among themselves, so up to (n-t)! t! 2^t scenarios (12 here)
//! differ in names only; [`Space::distinct`] counts what is left (Burnside; 20,574 of the 216,000), and [`Space::is_first`]
//! picks one of each. That is exact but for one thing: a tie between two blocks goes to the smaller hash, and hashes know
//! names. So the exhaustive run takes all.
//!
//! **How leaders are imposed.** The protocol's schedule is a round robin along the committee's ring, and nothing here overrides
//! it: the ring is chosen for each scenario, with the leaders in the order of their first round. A leader that comes again has
//! its turn later in the ring; the views in between are *idle*: the partition of the round before stands, and the leader has
//! nothing to propose, so all who can form a quorum of timeouts go on by R8. So round i of a scenario is one certain view of the
//! run, led by whom it says, and the run has up to n-1 views between two rounds. A block of a round that follows idle views
//! extends what timeouts lead to (an adopted block, or R4(b)), never a fresh quorum certificate.
//! Two rounds in a row with one leader never have a proposal ahead (R3): the schedule never does that either.
//!
//! **How partitions are imposed.** A message of a view goes where the partition of that view lets it (what has no view: by the
//! sender's view), as in the paper. An instance without a quorum stays where it is. When all have left the last round, or
//! nobody can move any more, everything is connected.
//!
//! **What is checked.** S1 and S2: honest members commit one chain. S5: no honest member signs an offence E1 to E5. L1: after all
//! is connected every honest member commits again. R2: nobody panics.
//!
//! **What it cannot see.** Partitions are the same for all messages of a view, so a certificate is seen by every voter in its
//! part or by none; what needs one voter alone with a certificate is for the kernel. No message is lost, doubled or late,
//! nobody restarts, payloads are always there, there are no epochs.

mod json;
mod many;
mod plan;
mod rounds;
mod space;
#[cfg(test)]
mod tests;
mod watch;
mod world;

pub use json::{JsonError, SCENARIOS_MAX, read, write};
pub use many::{Found, Progress, Report, Source, run_many};
pub use plan::{Plan, Turn};
pub use rounds::{INSTANCES_MAX, Round, Rounds};
pub use space::{PARTITIONS_MAX, Space, SpaceError, VIEWS_MAX};
pub use world::{Outcome, Stage};
