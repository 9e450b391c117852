//! A small deterministic world around replicas, and the checkers that watch it from outside.
//!
//! `lab` holds one replica in the hand and forges the messages of everyone else; `world` runs a committee over an
//! event heap. Nothing here reads a clock or unseeded randomness: the same seed gives the same run.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several test binaries; a broken expectation is a failed test"
)]

pub mod answers;
pub mod disk;
pub mod epochs;
pub mod exact;
pub mod lab;
pub mod link;
pub mod log;
pub mod rng;
pub mod seeds;
pub mod world;

use outrider_consensus::Input;
use outrider_types::{Committee, ConsensusMessage};

/// What a driver does with bytes that were decoded: verify strictly, or drop.
pub fn open(message: &ConsensusMessage, committee: &Committee) -> Option<Input> {
    Some(match message.clone() {
        ConsensusMessage::Proposal(proposal) => Input::Proposal {
            proposal: proposal.verify(committee).ok()?.0,
        },
        ConsensusMessage::Vote(vote) => Input::Vote {
            vote: vote.verify(committee).ok()?,
        },
        ConsensusMessage::CommitVote(vote) => Input::CommitVote {
            vote: vote.verify(committee).ok()?,
        },
        ConsensusMessage::Timeout(timeout) => Input::Timeout {
            timeout: timeout.verify(committee).ok()?,
        },
        ConsensusMessage::Certificate(justification) => Input::Certificate {
            justification: justification.verify(committee).ok()?,
        },
        // The driver's: the replica of an epoch never hears of its end.
        ConsensusMessage::EpochEnd(_) => return None,
    })
}
