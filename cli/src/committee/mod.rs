//! `outrider committee`: what concerns the committee as a whole. One file per verb.

mod explain;

pub use explain::Unsafe;

use crate::failure::Failure;
use clap::Subcommand;

/// What to do with a committee.
#[derive(Debug, Subcommand)]
pub enum Committee {
    /// Print the thresholds of a committee file, and which members may fail how.
    Explain(explain::Explain),
}

impl Committee {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Explain(explain) => explain.run(),
        }
    }
}
