//! Simulated worlds: the production driver in a deterministic network.
//!
//! - [`turmoil`]: a commonware-runtime context over turmoil, so that unmodified commonware-p2p runs in it;
//! - [`past`]: a long chain on a disk, and a store that lies about it;
//! - [`world`]: a committee of production drivers in such a world, with simulated disks and checkers.
//!
//! Guarantee: one seed, one run. The same seed gives the same hash of all commits, in two runs and in two processes
//! (`tests/smoke.rs`).

pub mod adversary;
pub mod checkers;
pub mod diagram;
pub mod fact;
pub mod kernel;
pub mod marks;
pub mod net;
pub mod past;
pub mod processes;
pub mod protocols;
pub mod record;
pub mod report;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod swarm;
pub mod sweep;
pub mod token;
pub mod turmoil;
pub mod twins;
pub mod world;
pub mod zoo;
