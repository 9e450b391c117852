//! Small-scope mutation of messages (Winter et al., *Randomized Testing of Byzantine Fault Tolerant Algorithms*, OOPSLA
//! 2023: ByzzFuzz), and plain floods.

use super::craft::{
    commit_vote, consensus, no_block, nonsense, payload, propose, sync, timeout, vote,
};
use super::memory::Memory;
use super::{Corrupted, Deed};
use crate::fact::{Message, Micros};
use outrider_types::message::{BlockRequest, RangeRequest, Received};
use outrider_types::{
    BatchId, BlockId, Certificate, ConsensusMessage, Height, Justification, PayloadId,
    PayloadMessage, Proposal, ProposalKind, SyncMessage, TimeoutMessage, View,
};
use std::sync::Arc;

/// Alters its own messages a little and signs them anew: view one up or down, another justification or parent, another
/// block; sometimes it says the right one as well. Of others' messages it alters what is not signed. Strains R4 (an
/// attachment that does not fit is ignored, a wrong signed part is given up on) and all of verification.
#[derive(Debug, Default)]
pub(super) struct Mutator {
    memory: Memory,
}

/// One up or one down.
fn beside(me: &mut Corrupted<'_>, view: View) -> View {
    if me.stream.chance(0.5) {
        view.next()
    } else {
        view.previous()
    }
}

impl Mutator {
    fn some_justification(&self, me: &mut Corrupted<'_>) -> Option<Justification> {
        let at = me.stream.index(self.memory.justifications.len());
        self.memory.justifications.get(at).cloned()
    }

    fn some_certificate(&self, me: &mut Corrupted<'_>) -> Option<Certificate> {
        self.some_justification(me)?.high().cloned()
    }

    fn some_block(&self, me: &mut Corrupted<'_>) -> BlockId {
        let at = me.stream.index(self.memory.proposals.len());
        match self.memory.proposals.get(at) {
            Some(proposal) => proposal.block.id(),
            None => no_block(me),
        }
    }

    /// Its own proposal with one thing changed.
    fn proposal(&self, me: &mut Corrupted<'_>, said: &Proposal) -> Option<Proposal> {
        let (mut block, mut kind) = (said.block, said.kind);
        let mut justification = said.justification.clone();
        match me.stream.below(8) {
            0 => block.view = beside(me, block.view),
            1 => block.justify = beside(me, block.justify),
            2 => block.parent = self.some_block(me),
            3 => justification = self.some_justification(me),
            4 => justification = None,
            5 => block.height = Height(block.height.0 + me.stream.between(1, 3)),
            6 => block.payload = PayloadId(no_block(me).0),
            _ => {
                kind = match kind {
                    ProposalKind::Normal => ProposalKind::Optimistic,
                    ProposalKind::Optimistic => ProposalKind::Normal,
                }
            }
        }
        propose(me, block, kind, justification)
    }

    /// Its own timeout with one thing changed.
    fn timeout(&self, me: &mut Corrupted<'_>, said: &TimeoutMessage) -> Option<Arc<Message>> {
        let (view, voted) = (said.timeout.view, said.timeout.voted);
        match me.stream.below(4) {
            0 => {
                let view = beside(me, view);
                timeout(me, view, said.high.clone(), voted)
            }
            1 => {
                let block = self.some_block(me);
                timeout(me, view, said.high.clone(), Some(block))
            }
            2 => {
                let high = self.some_certificate(me);
                timeout(me, view, high, voted)
            }
            _ => {
                // The rank that is signed is not the one that is attached.
                let mut statement = said.timeout.statement;
                statement.high_view = beside(me, statement.high_view);
                let timeout = me.sign(me.host, statement)?;
                let high = said.high.clone();
                let message = TimeoutMessage { timeout, high };
                Some(consensus(ConsensusMessage::Timeout(message)))
            }
        }
    }

    fn own(&self, me: &mut Corrupted<'_>, message: &ConsensusMessage) -> Option<Arc<Message>> {
        Some(consensus(match message {
            ConsensusMessage::Proposal(said) => {
                ConsensusMessage::Proposal(self.proposal(me, said)?)
            }
            ConsensusMessage::Vote(said) => {
                let (view, block) = self.vote(me, said.view, said.block);
                ConsensusMessage::Vote(vote(me, view, block)?)
            }
            ConsensusMessage::CommitVote(said) => {
                let (view, block) = self.vote(me, said.view, said.block);
                ConsensusMessage::CommitVote(commit_vote(me, view, block)?)
            }
            ConsensusMessage::Timeout(said) => return self.timeout(me, said),
            ConsensusMessage::Certificate(_) => {
                ConsensusMessage::Certificate(self.some_justification(me)?)
            }
            ConsensusMessage::EpochEnd(_) => return None,
        }))
    }

    fn vote(&self, me: &mut Corrupted<'_>, view: View, block: BlockId) -> (View, BlockId) {
        if me.stream.chance(0.5) {
            (beside(me, view), block)
        } else {
            (view, self.some_block(me))
        }
    }

    /// Another's message with another attachment.
    fn others(&self, me: &mut Corrupted<'_>, message: &ConsensusMessage) -> Option<Arc<Message>> {
        Some(consensus(match message {
            ConsensusMessage::Proposal(said) => ConsensusMessage::Proposal(Proposal {
                justification: if me.stream.chance(0.5) {
                    None
                } else {
                    self.some_justification(me)
                },
                ..said.clone()
            }),
            ConsensusMessage::Timeout(said) => ConsensusMessage::Timeout(TimeoutMessage {
                timeout: said.timeout,
                high: self.some_certificate(me),
            }),
            _ => return None,
        }))
    }
}

impl Deed for Mutator {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let mutant = match &**message {
            Message::Consensus(said) if me.stream.below(3) == 0 => self.own(me, said),
            _ => None,
        };
        let Some(mutant) = mutant else {
            me.say(to, message.clone());
            return;
        };
        me.say(to, mutant);
        if me.stream.chance(0.5) {
            me.say(to, message.clone());
        }
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.memory.note(me.committee, message);
        let Message::Consensus(said) = &**message else {
            return;
        };
        if me.stream.below(8) == 0
            && let Some(mutant) = self.others(me, said)
        {
            me.say(None, mutant);
        }
    }
}

/// Messages that a spammer says at once.
const BURST: u64 = 4;
/// Bursts of a spammer in a tenth of a second.
const BURSTS_MAX: u64 = 5;

/// Floods all others with votes and timeouts of far views, certificates of nothing, requests for blocks that nobody made and
/// receipts for transactions that nobody has; at most 200 messages a second, each to all. Strains R1 to R3 (memory,
/// verifications) and the windows of views.
#[derive(Debug, Default)]
pub(super) struct Spammer {
    window: Micros,
    bursts: u64,
}

impl Spammer {
    fn flood(me: &mut Corrupted<'_>) {
        let far = match me.stream.below(4) {
            0 => me.stream.between(1, 64),
            1 => me.stream.between(65, 100_000),
            2 => (1 << me.stream.between(10, 62)) + me.stream.below(1_024),
            _ => 0,
        };
        let (view, block) = (View(me.view.saturating_add(far)), no_block(me));
        let message = match me.stream.below(7) {
            0 => vote(me, view, block).map(|vote| consensus(ConsensusMessage::Vote(vote))),
            1 => commit_vote(me, view, block)
                .map(|vote| consensus(ConsensusMessage::CommitVote(vote))),
            2 => timeout(me, view, None, Some(block)),
            3 => Some(sync(SyncMessage::BlockRequest(BlockRequest { block }))),
            4 => Some(sync(SyncMessage::RangeRequest(RangeRequest {
                from: Height(me.stream.next() >> me.stream.below(64)),
            }))),
            5 => vote(me, view, block).map(|mut vote| {
                vote.signature = nonsense(me);
                consensus(ConsensusMessage::Vote(vote))
            }),
            _ => {
                let refused = (0..16).collect();
                let batch = BatchId(no_block(me).0);
                Some(payload(PayloadMessage::Received(Received {
                    batch,
                    refused,
                })))
            }
        };
        if let Some(message) = message {
            me.say(None, message);
        }
    }

    fn tick(&mut self, me: &mut Corrupted<'_>) {
        let window = me.now / 100_000;
        if window != self.window {
            (self.window, self.bursts) = (window, 0);
        }
        if self.bursts < BURSTS_MAX {
            self.bursts += 1;
            for _ in 0..BURST {
                Self::flood(me);
            }
        }
    }
}

impl Deed for Spammer {
    fn hears(&mut self, me: &mut Corrupted<'_>, _: usize, _: usize, _: &Message) -> bool {
        self.tick(me);
        true
    }

    fn overhears(&mut self, me: &mut Corrupted<'_>, _: usize, _: Option<usize>, _: &Arc<Message>) {
        self.tick(me);
    }
}
