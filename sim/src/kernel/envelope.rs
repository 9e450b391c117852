//! A message under way. What it takes to open it (verifying signatures, hashing payloads) is done once for all receivers,
//! for all come to the same result.

use crate::fact::Message;
use outrider_consensus::Input;
use outrider_types::message::FullBlock;
use outrider_types::{
    BlockRecord, CheckedPayload, Committee, CommitteeId, ConsensusMessage, PayloadMessage,
    SyncMessage, Verified,
};
use std::sync::{Arc, OnceLock};

/// A payload that may stand in a block.
pub type Held = CheckedPayload;

/// A message, who sent it, and what it came to when it was first opened.
#[derive(Debug)]
pub struct Envelope {
    /// Who sent it.
    pub from: usize,
    /// What.
    pub message: Arc<Message>,
    /// Which of the run.
    pub number: u64,
    input: OnceLock<(CommitteeId, Option<Input>)>,
    record: OnceLock<(CommitteeId, Option<Verified<BlockRecord>>)>,
    held: OnceLock<Option<Arc<Held>>>,
}

impl Envelope {
    /// Put a message into its envelope.
    #[must_use]
    pub const fn new(from: usize, message: Arc<Message>, number: u64) -> Self {
        Self {
            from,
            message,
            number,
            input: OnceLock::new(),
            record: OnceLock::new(),
            held: OnceLock::new(),
        }
    }

    /// What a replica of this committee is told; none if it does not verify, or is nothing for a replica.
    #[must_use]
    pub fn input(&self, committee: &Committee) -> Option<Input> {
        let Message::Consensus(message) = &*self.message else {
            return None;
        };
        let (opened, input) = self
            .input
            .get_or_init(|| (committee.id(), open(message, committee)));
        if *opened == committee.id() {
            input.clone()
        } else {
            open(message, committee)
        }
    }

    /// The block that a sync message answers with, verified for this committee.
    #[must_use]
    pub fn record(&self, committee: &Committee) -> Option<Verified<BlockRecord>> {
        let Message::Sync(SyncMessage::Block(FullBlock { record, .. })) = &*self.message else {
            return None;
        };
        let (opened, verified) = self
            .record
            .get_or_init(|| (committee.id(), record.clone().verify(committee).ok()));
        if *opened == committee.id() {
            verified.clone()
        } else {
            record.clone().verify(committee).ok()
        }
    }

    /// The payload that it carries, if it is a valid one.
    #[must_use]
    pub fn held(&self) -> Option<Arc<Held>> {
        let payload = match &*self.message {
            Message::Payload(PayloadMessage::Payload(payload)) => payload,
            Message::Sync(SyncMessage::Block(full)) => &full.payload,
            _ => return None,
        };
        self.held
            .get_or_init(|| Held::new(payload.clone()).ok().map(Arc::new))
            .clone()
    }
}

/// What a driver does with a message that was decoded: verify strictly, or drop.
fn open(message: &ConsensusMessage, committee: &Committee) -> Option<Input> {
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
