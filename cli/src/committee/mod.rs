//! `outrider committee`: what concerns the committee as a whole. One file per verb.
//!
//! ```text
//! propose --> change.json --approve (members of stake >= Q, each)--> change.json --submit--> the network (R13)
//! ```

mod approve;
mod change;
mod current;
mod explain;
mod propose;
mod submit;
mod words;

pub use change::ChangeError;
pub use explain::Unsafe;

use crate::failure::Failure;
use clap::Subcommand;

/// What to do with a committee.
#[derive(Debug, Subcommand)]
pub enum Committee {
    /// Print the thresholds of a committee file, and which members may fail how.
    Explain(explain::Explain),
    /// Write down a change of the committee for the end of the epoch.
    Propose(propose::Propose),
    /// Approve of a change as a member.
    Approve(approve::Approve),
    /// Hand an approved change to the network.
    Submit(submit::Submit),
}

impl Committee {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Explain(explain) => explain.run(),
            Self::Propose(propose) => propose.run().await,
            Self::Approve(approve) => approve.run().await,
            Self::Submit(submit) => submit.run().await,
        }
    }
}

#[cfg(test)]
mod tests;
