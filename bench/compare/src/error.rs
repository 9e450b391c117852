//! What can go wrong in a run; most of it becomes the reason in a cell of the table.

use std::path::{Path, PathBuf};

/// Why a run, or the whole comparison, failed.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file or folder.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program that is not there.
    #[error(
        "{path} is not there; build it with `cargo build --release -p outrider-cli`, or name it with --outrider"
    )]
    NoOutrider {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A port or connection on loopback.
    #[error("cannot {what} on loopback: {source}")]
    Network {
        /// What was tried, as a verb.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No run of free ports.
    #[error(
        "no {count} free ports in a row were found in {tries} tries; stop what holds them and run again"
    )]
    Ports {
        /// How many were needed.
        count: u16,
        /// How often they were looked for.
        tries: u32,
    },
    /// A command of `outrider` failed.
    #[error("`outrider {command}` failed: {said}")]
    Command {
        /// Its verb.
        command: &'static str,
        /// Its standard error, or what its output lacks.
        said: String,
    },
    /// A member ended when nobody asked it to.
    #[error("member {member} ended by itself ({how}); the end of its log: {tail}")]
    Died {
        /// Which one.
        member: usize,
        /// Its exit status.
        how: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A member does not answer.
    #[error("member {member} committed nothing within {seconds} s of its start")]
    NotReady {
        /// Which one.
        member: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// A peer's library refused something that it should take.
    #[error("{peer} refused {what}")]
    Peer {
        /// The peer.
        peer: &'static str,
        /// What was refused.
        what: String,
    },
    /// A run with no commit in its window.
    #[error("nothing was committed in {seconds} s")]
    NothingCommitted {
        /// The length of the window.
        seconds: u64,
    },
    /// Acknowledged and not ordered.
    #[error("{lost} accepted transactions were not final 15 s after the end of the load")]
    Lost {
        /// How many.
        lost: u64,
    },
    /// Something in /proc that should be there.
    #[error("cannot read {what} of process {pid}: is it still running?")]
    Process {
        /// What was read.
        what: &'static str,
        /// Of which process.
        pid: u32,
    },
}

impl CompareError {
    /// For `map_err` on a file.
    pub fn file<'a>(
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err` on a socket.
    pub fn network(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Network { what, source }
    }
}
