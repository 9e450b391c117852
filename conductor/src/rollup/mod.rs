//! Short-lived rollups: opened with one command, executed while they live, and left behind as a file that proves what everyone owns.
//!
//! ```text
//! register --> Home (anvil, or the key-value machine) + conduct + Gateway --closed, lane executed--> FinalFile
//! ```

mod claims;
mod final_file;
mod folder;
mod gateway;
mod home;
mod live;
mod register;

pub use claims::{AccountClaim, CLAIMS_MAX, Claims, KvClaim};
pub use final_file::{
    CheckedFinal, FINAL_BYTES_MAX, FINAL_VERSION, FinalBlock, FinalError, FinalFile,
};
pub use folder::{OpenOptions, RollupFolder};
pub use live::{LiveEvent, LiveOptions, live};
pub use register::{close, draw, register};

use crate::execution::DriverError;
use crate::options::StartError;
use outrider_client::ClientError;
use outrider_types::RollupId;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a short-lived rollup is not there, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// A member.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The execution node.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The conductor.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Ids are drawn.
    #[error("the system gives no randomness for the id of a rollup: {0}")]
    Random(getrandom::Error),
    /// It was ordered, and passed over.
    #[error(
        "rollup {rollup} was not registered within {waited_s} s: another one may have its id, or there may be as many as there can be (`outrider rollup list`); try again"
    )]
    NotRegistered {
        /// Which.
        rollup: RollupId,
        /// How long was waited.
        waited_s: u64,
    },
    /// Nothing to close.
    #[error("rollup {rollup} is not registered: `outrider rollup list` says which are")]
    Unknown {
        /// Which.
        rollup: RollupId,
    },
    /// It was ordered, and passed over.
    #[error(
        "rollup {rollup} is still open after {waited_s} s: is this the key of its owner, and is it a short-lived one? `outrider rollup show` says so"
    )]
    NotClosed {
        /// Which.
        rollup: RollupId,
        /// How long was waited.
        waited_s: u64,
    },
    /// A port.
    #[error("cannot listen on {address}: {error}; choose another --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// A file.
    #[error("cannot {act} {path}: {error}", path = path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The folder of something else.
    #[error("{path} is not of a rollup that this program opened ({reason}): give another --data", path = path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder of a rollup that was opened otherwise.
    #[error("{path} is of a rollup that was opened with another {option}: give the same one to go on with it, or another --data", path = path.display())]
    OtherOption {
        /// Which file.
        path: PathBuf,
        /// What differs.
        option: &'static str,
    },
    /// Somebody runs it.
    #[error("another command runs the rollup in {path}: stop it, or give this one another --data", path = path.display())]
    Held {
        /// The folder.
        path: PathBuf,
    },
    /// No anvil.
    #[error(
        "cannot start {path}: {error}; install foundry, or name the program with --anvil", path = path.display()
    )]
    Anvil {
        /// The program.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It ended.
    #[error("the execution node ended ({status}), see {log}; run the same command with the same --data again: the lane is executed again", log = log.display())]
    Dead {
        /// How.
        status: String,
        /// Its output.
        log: PathBuf,
    },
    /// Something is ours no more.
    #[error("the state cannot be written down: {reason}")]
    State {
        /// Why.
        reason: String,
    },
}
