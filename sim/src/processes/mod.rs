//! Tier 3: a committee of real `outrider` processes on loopback, through a storm of faults, watched from outside.
//!
//! ```text
//! plan of a seed --> Weather --+--> signals: kill -9, SIGTERM, SIGSTOP ----> member processes (`outrider start`)
//!                              +--> links of the proxies --------------> bytes between every ordered pair of members
//! clients --JSON-RPC, WebSocket--> members --> what was seen --> checks
//! ```
//!
//! What is real: the binary, its disk, its p2p library, the operating system, TCP. What is done to it:
//!
//! | fault | how | what it models |
//! |---|---|---|
//! | kill, kill-all | SIGKILL, later a restart | a crash of the process; the operating system and its file cache go on |
//! | stop | SIGTERM, later a restart | an operator; the member must end cleanly |
//! | pause | SIGSTOP, later SIGCONT | a long stall: its sockets stay open and fill |
//! | cut, isolate, split | proxies hold or refuse what passes between two members, one and all others, two groups | partitions |
//! | one-way | proxies hold one direction | TCP acknowledges through the proxy, but the connection soon times out and no new one forms: after that a cut |
//! | slow, slow-all | proxies delay | distance; each direction for itself, no jitter |
//!
//! What is not modelled: power loss (what was written and not synced survives; tiers 1 and 2 lose it), a full or broken
//! disk, clocks that differ, lost or reordered packets (TCP hides them), Byzantine members, and cuts between clients and
//! members. All members are honest, so any number may be down at once: safety must hold throughout, progress only after.
//!
//! A seed fixes the plan, not the run: processes are scheduled by the operating system. Two runs of one seed differ.
//!
//! Checks, with the ids of docs/simulation.md: S1 one block at a height for all; S2 a member's blocks have no gap and never
//! change, across restarts too; S5 no evidence against anybody; S7 proofs verify; S9 no receipt is revoked; S10 every
//! transaction at most once; L1, L4, L5 after the storm new blocks, from everybody, with all that was accepted; R2 no
//! process ends by itself, no log tells of a panic; S11 no evidence that proves nothing.
//!
//! L5 in particular: an answer to a submission says that members of stake f+1 hold the transaction, in memory. If more than f
//! were ended since, all holders may have forgotten it; such a transaction is sent again after the storm, as a client would,
//! and counted. All others must come through without that.

mod audit;
mod children;
mod clients;
mod folder;
mod observed;
mod plan;
mod proxy;
mod run;

pub use audit::Audited;
pub use plan::{Ending, Episode, Fault, KINDS, MEMBERS_MAX, Weather, draw};
pub use proxy::{Flow, Link, Links, Proxies};
pub use run::run;

use crate::fact::{Class, Violation};
use outrider_client::ClientError;
use outrider_node::committee_file::CommitteeFileError;
use outrider_types::Height;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most transactions of one run: their ids stay in memory.
pub const TRANSACTIONS_MAX: u64 = 5_000_000;
/// Most transactions per second: this is no load test, and each is a request.
pub const RATE_MAX: u64 = 2_000;

/// What a run is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `outrider` binary.
    pub program: PathBuf,
    /// A folder that does not exist yet. It is kept: the caller removes it.
    pub dir: PathBuf,
    /// How many members, 1 to [`MEMBERS_MAX`].
    pub members: usize,
    /// Length of the storm.
    pub time: Duration,
    /// Transactions per second, 1 to [`RATE_MAX`].
    pub rate: u64,
    /// Of the plan and the transactions.
    pub seed: u64,
    /// Length of an epoch in blocks; 0: the first one never ends.
    pub epoch_blocks: u64,
    /// How long members may take after the storm until everything is as it should be.
    pub settle_within: Duration,
}

impl Setup {
    fn check(&self) -> Result<(), ProcessesError> {
        let transactions = u128::from(self.rate) * self.time.as_millis() / 1_000;
        let fits = (1..=MEMBERS_MAX).contains(&self.members)
            && (1..=RATE_MAX).contains(&self.rate)
            && transactions <= u128::from(TRANSACTIONS_MAX);
        if fits {
            Ok(())
        } else {
            Err(ProcessesError::Setup {
                members: self.members,
                rate: self.rate,
                transactions,
            })
        }
    }
}

/// How a run is doing.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Since the storm began.
    pub elapsed: Duration,
    /// What is going on.
    pub phase: &'static str,
    /// Of the last block that anybody showed.
    pub height: Height,
    /// Transactions taken.
    pub accepted: u64,
    /// Of these, those in a block.
    pub ordered: u64,
    /// Members that are up and not paused.
    pub active: usize,
    /// Of how many.
    pub members: usize,
    /// Faults of the moment.
    pub faults: Vec<String>,
    /// Broken promises so far.
    pub violations: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often a member was started again.
    pub restarts: u64,
    /// Of the last block.
    pub height: Height,
    /// Transactions taken.
    pub accepted: u64,
    /// Of these, those in a block.
    pub ordered: u64,
    /// Transactions that no member took.
    pub refused: u64,
    /// Transactions that were sent again after the storm, for all who held them may have been ended.
    pub sent_again: u64,
    /// What was looked at in the end.
    pub audited: Audited,
    /// Broken promises,
    pub violations: Vec<Violation>,
    /// and how many more there were.
    pub violations_more: u64,
}

impl Outcome {
    /// The gravest class of what is wrong: safety, accountability, panics, liveness.
    #[must_use]
    pub fn worst(&self) -> Option<Class> {
        let grave = [
            Class::Safety,
            Class::Accountability,
            Class::Panic,
            Class::Liveness,
        ];
        let found = |class: &Class| self.violations.iter().any(|one| one.class == *class);
        grave.into_iter().find(found)
    }
}

/// Why there was no run, or none to its end. It says nothing about the members' promises.
#[derive(Debug, thiserror::Error)]
pub enum ProcessesError {
    /// Out of bounds.
    #[error(
        "{members} members, {rate} transactions per second, {transactions} in all: at most {MEMBERS_MAX}, {RATE_MAX} and {TRANSACTIONS_MAX}, and none of them 0; lower --members, --rate or --time"
    )]
    Setup {
        /// How many.
        members: usize,
        /// Per second.
        rate: u64,
        /// In all.
        transactions: u128,
    },
    /// A file.
    #[error("cannot {act} {}: {error}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No folder with members.
    #[error("`outrider init` made no committee in {}: {said}", dir.display())]
    Init {
        /// The folder.
        dir: PathBuf,
        /// On its standard error.
        said: String,
    },
    /// The committee file that was made.
    #[error(transparent)]
    Committee(#[from] CommitteeFileError),
    /// No ports.
    #[error("found no {count} free ports in a row on 127.0.0.1; stop what uses them")]
    Ports {
        /// How many.
        count: u16,
    },
    /// No proxies.
    #[error("cannot listen on 127.0.0.1 for the proxies: {0}")]
    Proxy(io::Error),
    /// An address.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A member that does not start, before any fault.
    #[error("{name} has no block, before any fault: {wrong}; see {}", log.display())]
    NotReady {
        /// Which.
        name: String,
        /// What ended.
        wrong: String,
        /// Its log.
        log: PathBuf,
    },
}

impl ProcessesError {
    /// For `map_err` of file operations.
    fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::File { act, path, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(members: usize, rate: u64, seconds: u64) -> Setup {
        Setup {
            program: PathBuf::new(),
            dir: PathBuf::new(),
            members,
            time: Duration::from_secs(seconds),
            rate,
            seed: 1,
            epoch_blocks: 0,
            settle_within: Duration::from_secs(60),
        }
    }

    #[test]
    fn limits_are_allowed_and_one_more_is_not() {
        for (members, rate, seconds, fits) in [
            (1, 1, 1, true),
            (MEMBERS_MAX, RATE_MAX, 2_500, true),
            (0, 1, 1, false),
            (MEMBERS_MAX + 1, 1, 1, false),
            (1, 0, 1, false),
            (1, RATE_MAX + 1, 1, false),
            (1, RATE_MAX, 2_501, false),
        ] {
            assert_eq!(setup(members, rate, seconds).check().is_ok(), fits);
        }
    }

    #[test]
    fn safety_outranks_everything() {
        let mut outcome = Outcome {
            faults: BTreeMap::new(),
            restarts: 0,
            height: Height(0),
            accepted: 0,
            ordered: 0,
            refused: 0,
            sent_again: 0,
            audited: Audited::default(),
            violations: Vec::new(),
            violations_more: 0,
        };
        assert_eq!(outcome.worst(), None);
        for class in [
            Class::Liveness,
            Class::Panic,
            Class::Accountability,
            Class::Safety,
        ] {
            outcome.violations.push(Violation {
                checker: "S1",
                class,
                at: 0,
                what: String::new(),
            });
            assert_eq!(outcome.worst(), Some(class));
        }
    }
}
