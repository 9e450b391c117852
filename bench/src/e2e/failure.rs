//! Why a measurement cannot be made.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a measurement cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An option, or two that do not go together.
    #[error("{0}")]
    Options(String),
    /// A file or a program.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `outrider init`.
    #[error("`outrider init` in {dir} fails: {said}", dir = dir.display())]
    Init {
        /// Where.
        dir: PathBuf,
        /// What it said.
        said: String,
    },
    /// The committee file is not as expected.
    #[error("{path} is no committee file of `outrider init`: {reason}; is --outrider of this release?", path = path.display())]
    CommitteeFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No ports.
    #[error("{count} free ports in a row on 127.0.0.1 were not found; stop what listens there")]
    Ports {
        /// How many are needed.
        count: u16,
    },
    /// A proxy cannot listen.
    #[error(
        "a proxy between members cannot listen on 127.0.0.1: {0}; raise the limit of open files"
    )]
    Proxy(io::Error),
    /// The members do not get going.
    #[error("after {waited:?} the members have not {what}; their logs are in {dir}", dir = dir.display())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// Their folder, which is kept.
        dir: PathBuf,
    },
    /// `outrider load` gives no report.
    #[error("`outrider load` gives no report ({status}): {said}")]
    Load {
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// A member does not answer after the load.
    #[error("{what} cannot be checked after the load: {reason}; the members' logs are in {dir}", dir = dir.display())]
    Audit {
        /// What was looked at.
        what: String,
        /// Why not.
        reason: String,
        /// Their folder, which is kept.
        dir: PathBuf,
    },
    /// Something was lost, ordered twice, or a member ended.
    #[error("{0} of the runs above broke a promise; the folders of their members are kept")]
    Broken(usize),
}

impl Failure {
    /// For `map_err`.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
