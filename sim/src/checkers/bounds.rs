//! What a member may use: R1 (memory), R2 (no panic), R3 (verifications per message).

use super::signers::Finding;
use crate::fact::Message;
use outrider_types::{BlockRecord, Certificate, ConsensusMessage, Justification, SyncMessage};

/// Blocks above the last final one that a replica may hold, and payloads waiting for their block and blocks waiting for
/// their payload, of each as many.
const BLOCKS_MAX: usize = 3 * 1_024;
/// Views before and after the current one of which votes, commit votes and timeouts may be held, one of each a member.
const VIEWS_MAX: usize = 2 * 64 + 1;
/// Payloads that no known block names, by sender.
const UNCLAIMED_MAX: usize = 8;
/// Messages of which the number of signatures is remembered.
const MESSAGES_KEPT: usize = 1 << 14;
/// Signatures that may be checked beside those in a message.
const SPARE: usize = 4;

/// Limits.
#[derive(Debug)]
pub struct Bounds {
    hosts: usize,
    /// Number and signatures of the last messages, by number.
    messages: Vec<(u64, u32)>,
}

impl Bounds {
    /// For so many hosts, each of which may be a member.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            hosts,
            messages: vec![(u64::MAX, 0); MESSAGES_KEPT],
        }
    }

    /// What a member may hold at most.
    #[must_use]
    pub const fn held_max(&self) -> usize {
        BLOCKS_MAX + self.hosts * (3 * VIEWS_MAX + UNCLAIMED_MAX)
    }

    /// R1.
    pub fn stepped(&self, host: usize, held: usize) -> Result<(), Finding> {
        if held <= self.held_max() {
            return Ok(());
        }
        let max = self.held_max();
        Err((
            "R1",
            format!(
                "host {host} holds {held} blocks, votes and payloads; {max} is the most there can be"
            ),
        ))
    }

    /// A message is on its way.
    pub fn sent(&mut self, number: u64, message: &Message) {
        let signatures = u32::try_from(signatures(message)).unwrap_or(u32::MAX);
        let at = slot(number);
        if let Some(slot) = self.messages.get_mut(at) {
            *slot = (number, signatures);
        }
    }

    /// R3: for a message no more is checked than what is signed in it. Twice, for a proposal may be checked again with its
    /// parent.
    pub fn checked(&self, host: usize, number: u64, found: usize) -> Result<(), Finding> {
        let known = self.messages.get(slot(number));
        let Some((_, signed)) = known.filter(|(held, _)| *held == number) else {
            return Ok(());
        };
        let max = 2 * *signed as usize + SPARE;
        if found <= max {
            return Ok(());
        }
        Err((
            "R3",
            format!(
                "host {host} checked {found} signatures for message {number}, which has {signed}"
            ),
        ))
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % MESSAGES_KEPT as u64).unwrap_or_default()
}

/// How many signatures are in a message.
fn signatures(message: &Message) -> usize {
    match message {
        Message::Payload(_) => 0,
        Message::Consensus(message) => match message {
            ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_) => 1,
            ConsensusMessage::Timeout(timeout) => 1 + timeout.high.as_ref().map_or(0, of),
            ConsensusMessage::Proposal(proposal) => {
                1 + proposal.justification.as_ref().map_or(0, of_justification)
            }
            ConsensusMessage::Certificate(justification) => of_justification(justification),
            ConsensusMessage::EpochEnd(end) => of_finality(&end.certificate),
        },
        Message::Sync(message) => match message {
            SyncMessage::Block(block) => of_record(&block.record),
            SyncMessage::Range(range) => {
                let blocks = range.blocks.iter().map(|block| of_record(&block.record));
                let change = range.change.as_ref();
                blocks.sum::<usize>()
                    + of_finality(&range.certificate)
                    + change.map_or(0, |change| change.approvals.signatures.len())
            }
            SyncMessage::Change(change) => change.approvals.signatures.len(),
            SyncMessage::Evidence(_) => 2,
            SyncMessage::Execution(_) | SyncMessage::Attestation(_) | SyncMessage::Approval(_) => 1,
            SyncMessage::BlockRequest(_)
            | SyncMessage::RangeRequest(_)
            | SyncMessage::ChangeRequest(_) => 0,
        },
    }
}

fn of_record(record: &BlockRecord) -> usize {
    record.justification.as_ref().map_or(0, of_justification)
}

fn of_justification(justification: &Justification) -> usize {
    match justification {
        Justification::Certificate(certificate) => of(certificate),
        Justification::Timeout(timeout) => {
            timeout.timeouts.entries.len() + timeout.high.as_ref().map_or(0, of)
        }
    }
}

fn of(certificate: &Certificate) -> usize {
    match certificate {
        Certificate::Quorum(votes) => votes.signatures.len(),
        Certificate::Commit(votes) => votes.signatures.len(),
        Certificate::Adopting(adopting) => adopting.timeouts.entries.len(),
    }
}

fn of_finality(certificate: &outrider_types::FinalityCertificate) -> usize {
    match certificate {
        outrider_types::FinalityCertificate::Fast(votes) => votes.signatures.len(),
        outrider_types::FinalityCertificate::Slow(votes) => votes.signatures.len(),
    }
}
