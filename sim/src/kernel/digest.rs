//! The chained hash of a run: two runs that differ in any fact differ in it. It is made to be cheap, not to withstand an
//! adversary.

use crate::fact::{Fact, Message, Micros};
use outrider_types::{Certificate, ConsensusMessage, Justification};

/// A chained hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digest {
    value: u64,
    /// The latest epoch and view that anyone entered.
    newest: (u64, u64),
}

impl Digest {
    pub(crate) const fn value(&self) -> u64 {
        self.value
    }

    /// Whether nobody was in this view or a later one before.
    pub(crate) fn enters(&mut self, epoch: u64, view: u64) -> bool {
        let newer = (epoch, view) > self.newest;
        if newer {
            self.newest = (epoch, view);
        }
        newer
    }

    const fn word(&mut self, word: u64) {
        let mixed = (self.value ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.value = (mixed ^ (mixed >> 32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }

    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|word| self.word(*word));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn delivered(&mut self, at: Micros, from: usize, to: usize, number: u64) {
        self.words(&[at, 1, from as u64, to as u64, number]);
    }

    pub(crate) fn fact(&mut self, at: Micros, fact: &Fact) {
        self.word(at);
        match fact {
            Fact::Sent {
                from,
                to,
                message,
                number,
            } => {
                self.words(&[
                    2,
                    *from as u64,
                    to.map_or(u64::MAX, |to| to as u64),
                    *number,
                ]);
                self.message(message);
            }
            Fact::Committed { member, record, .. } => {
                self.words(&[
                    3,
                    *member as u64,
                    record.block.height.0,
                    record.block.view.0,
                ]);
                self.bytes(&record.block.parent.0[..8]);
                self.bytes(&record.block.payload.0[..8]);
            }
            Fact::Entered {
                member,
                epoch,
                view,
                by_timeout,
                ..
            } => self.words(&[4, *member as u64, *epoch, view.0, u64::from(*by_timeout)]),
            Fact::Durable { member, safety } => {
                self.words(&[5, *member as u64, safety.view.0, safety.high_rank().0]);
            }
            Fact::Stepped {
                member,
                view,
                high,
                held,
                ..
            } => self.words(&[6, *member as u64, view.0, high.0, *held as u64]),
            Fact::Epoch { committee, .. } => self.words(&[7, committee.epoch().0]),
            Fact::Kept { member, .. } => self.words(&[8, *member as u64]),
            Fact::EpochEnded { member, .. } => self.words(&[9, *member as u64]),
            Fact::Accepted { member, id, .. } => {
                self.words(&[10, *member as u64]);
                self.bytes(&id.0[..8]);
            }
            Fact::Receipt { member, height, .. } => self.words(&[11, *member as u64, height.0]),
            Fact::Blamed { member, leader, .. } => {
                self.words(&[12, *member as u64, *leader as u64]);
            }
            Fact::Checked { member, number, .. } => self.words(&[13, *member as u64, *number]),
            Fact::Crashed { member, wiped } => {
                self.words(&[14, *member as u64, u64::from(*wiped)]);
            }
            Fact::Restarted { member, height, .. } => {
                self.words(&[15, *member as u64, height.0]);
            }
            Fact::Fault { what, begins } => {
                self.words(&[16, u64::from(*begins)]);
                self.bytes(what.as_bytes());
            }
            Fact::Healed { live } => {
                self.word(17);
                live.iter().for_each(|host| self.word(*host as u64));
            }
            Fact::Panicked { member, .. } => self.words(&[18, *member as u64]),
            // Not every observer sees them; deliveries are hashed on their own.
            Fact::Delivered { .. } | Fact::Lost { .. } => {}
        }
    }

    fn message(&mut self, message: &Message) {
        self.bytes(message.kind().as_bytes());
        match message {
            Message::Consensus(ConsensusMessage::Proposal(proposal)) => {
                self.bytes(&proposal.signature.0[..16]);
            }
            Message::Consensus(ConsensusMessage::Vote(vote)) => {
                self.bytes(&vote.signature.0[..16]);
            }
            Message::Consensus(ConsensusMessage::CommitVote(vote)) => {
                self.bytes(&vote.signature.0[..16]);
            }
            Message::Consensus(ConsensusMessage::Timeout(timeout)) => {
                self.bytes(&timeout.timeout.signature.0[..16]);
            }
            Message::Consensus(ConsensusMessage::Certificate(justification)) => {
                self.justification(justification);
            }
            other => self.word(other.bytes() as u64),
        }
    }

    fn justification(&mut self, justification: &Justification) {
        self.word(justification.view().0);
        match justification {
            Justification::Certificate(certificate) => {
                self.bytes(&certificate.block().0[..8]);
                if let Certificate::Quorum(votes) = certificate {
                    for (member, _) in &votes.signatures {
                        self.word(u64::from(member.0));
                    }
                }
            }
            Justification::Timeout(timeout) => {
                for entry in &timeout.timeouts.entries {
                    self.words(&[u64::from(entry.member.0), entry.high_view.0]);
                }
            }
        }
    }
}
