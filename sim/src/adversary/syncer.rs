//! A member that answers questions with lies.

use super::craft::{consensus, no_block, nonsense, propose, sync};
use super::memory::Memory;
use super::{Corrupted, Deed};
use crate::fact::Message;
use outrider_types::certificate::Aggregate;
use outrider_types::message::{FullBlock, Range};
use outrider_types::{
    Batch, Block, BlockId, BlockRecord, Bytes, CommitVote, CommitteeId, ConsensusMessage, Epoch,
    FinalityCertificate, Height, MemberIndex, Payload, PayloadId, Proposal, Signature, SyncMessage,
    Timestamp, View, Vote,
};
use std::sync::Arc;

/// Blocks in a range that it makes up.
const RANGE_BLOCKS: u64 = 3;

/// Answers requests with wrong blocks, wrong payloads, justifications that do not belong there, chains that are linked but
/// proven by nobody, and proofs of too little stake; claims to be in an epoch far ahead, and as leader proposes at heights far
/// ahead. Its side's right answers are never sent. Strains R4 (a fetched block comes with its justification), R11 and the check of ranges.
#[derive(Debug, Default)]
pub(super) struct LyingSyncer {
    memory: Memory,
}

/// A payload that nobody proposed.
fn wrong_payload() -> Payload {
    Payload {
        batches: vec![Batch {
            rollup: super::omission::Censor::ROLLUP,
            transactions: vec![Bytes::from_static(b"never submitted")],
        }],
    }
}

fn full(proposal: &Proposal, payload: Payload) -> FullBlock {
    FullBlock {
        record: BlockRecord {
            block: proposal.block,
            justification: proposal.justification.clone(),
        },
        payload,
    }
}

impl LyingSyncer {
    fn some_proposal(&self, me: &mut Corrupted<'_>) -> Option<Proposal> {
        let at = me.stream.index(self.memory.proposals.len());
        self.memory.proposals.get(at).cloned()
    }

    /// What it says instead of a block; sometimes nothing.
    fn block(&self, me: &mut Corrupted<'_>, asked: BlockId) -> Option<FullBlock> {
        let proposals = self.memory.proposals.iter();
        let right = proposals
            .clone()
            .find(|proposal| proposal.block.id() == asked)
            .cloned();
        let payload = |id: PayloadId| self.memory.payload(id).cloned().unwrap_or_default();
        let Some(right) = right.filter(|_| me.stream.below(5) > 0) else {
            let other = self.some_proposal(me)?;
            return Some(full(&other, payload(other.block.payload)));
        };
        let mut lie = full(&right, payload(right.block.payload));
        match me.stream.below(4) {
            0 => lie.payload = wrong_payload(),
            1 => lie.record.justification = None,
            2 => {
                let at = me.stream.index(self.memory.justifications.len());
                lie.record.justification = self.memory.justifications.get(at).cloned();
            }
            _ => lie.record.block.timestamp = Timestamp(right.block.timestamp.0.wrapping_add(1)),
        }
        Some(lie)
    }

    /// What it says instead of a range.
    fn range(&self, me: &mut Corrupted<'_>, from: Height) -> Option<Range> {
        match me.stream.below(4) {
            // Blocks that exist, proven by too few votes.
            0 => self.too_little(me),
            // Nothing, or nothing that was asked for.
            1 => Some(self.made_up(me, Height(from.0.saturating_add(1_000_000)))),
            2 => {
                let mut range = self.made_up(me, from);
                range.blocks.reverse();
                Some(range)
            }
            _ => Some(self.made_up(me, from)),
        }
    }

    /// Real blocks with the votes for the last of them as if they were proof, at most a quorum.
    fn too_little(&self, me: &mut Corrupted<'_>) -> Option<Range> {
        let last = self.some_proposal(me)?;
        let (view, block) = (last.block.view, last.block.id());
        let votes = self.memory.votes.get(&view)?.get(&block)?;
        let few = (votes.len() / 2).max(1);
        let signatures = votes.values().take(few);
        Some(Range {
            blocks: vec![full(&last, wrong_payload())],
            fillers: Vec::new(),
            certificate: FinalityCertificate::Fast(Aggregate {
                statement: Vote {
                    epoch: last.block.epoch,
                    view,
                    block,
                },
                signatures: signatures
                    .map(|vote| (vote.signer, vote.signature))
                    .collect(),
            }),
            change: None,
        })
    }

    /// A block that whoever asks from this height on may have as its last one.
    fn below(&self, me: &mut Corrupted<'_>, from: Height) -> BlockId {
        let proposals = self.memory.proposals.iter();
        let known = proposals
            .rev()
            .find(|said| said.block.height.next() == from);
        match known {
            Some(said) => said.block.id(),
            None => no_block(me),
        }
    }

    /// A chain of its own from this height on, each block the parent of the next; its proof has everyone's name, and its own
    /// signature or nonsense beside each.
    fn made_up(&self, me: &mut Corrupted<'_>, from: Height) -> Range {
        let (epoch, payload) = (me.committee.epoch(), wrong_payload());
        let mut parent = self.below(me, from);
        let mut blocks = Vec::new();
        let mut view = View(me.view.saturating_add(1));
        for step in 0..RANGE_BLOCKS {
            let block = Block {
                roots: outrider_types::Roots::NONE,
                origin: outrider_types::Origin::NONE,
                version: outrider_types::block::BLOCK_VERSION,
                chain: me.committee.chain(),
                epoch,
                view,
                height: Height(from.0.saturating_add(step)),
                parent,
                justify: view.previous(),
                payload: payload.id(),
                timestamp: Timestamp(me.now.saturating_add(step)),
                proposer: me.member().unwrap_or_default(),
                next: CommitteeId::NONE,
            };
            parent = block.id();
            view = view.next();
            blocks.push(FullBlock {
                record: BlockRecord {
                    block,
                    justification: None,
                },
                payload: payload.clone(),
            });
        }
        let statement = CommitVote {
            epoch,
            view: view.previous(),
            block: parent,
        };
        let own = me.sign(me.host, statement);
        let members: Vec<MemberIndex> = me.committee.indexes().collect();
        let signatures: Vec<(MemberIndex, Signature)> = members
            .into_iter()
            .map(|member| {
                let own = own.filter(|_| me.stream.chance(0.5));
                let signature = own.map_or_else(|| nonsense(me), |own| own.signature);
                (member, signature)
            })
            .collect();
        Range {
            blocks,
            fillers: Vec::new(),
            certificate: FinalityCertificate::Slow(Aggregate {
                statement,
                signatures,
            }),
            change: None,
        }
    }
}

impl Deed for LyingSyncer {
    fn hears(&mut self, me: &mut Corrupted<'_>, _: usize, from: usize, message: &Message) -> bool {
        match message {
            Message::Sync(SyncMessage::BlockRequest(asked)) => {
                if let Some(block) = self.block(me, asked.block) {
                    me.say(Some(from), sync(SyncMessage::Block(block)));
                }
                false
            }
            Message::Sync(SyncMessage::RangeRequest(asked)) => {
                if let Some(range) = self.range(me, asked.from) {
                    me.say(Some(from), sync(SyncMessage::Range(range)));
                }
                // "I am in an epoch far ahead of yours."
                let (view, block) = (View(1), no_block(me));
                let epoch = Epoch(me.committee.epoch().0.saturating_add(1_000));
                if let Some(vote) = me.sign(me.host, Vote { epoch, view, block }) {
                    me.say(Some(from), consensus(ConsensusMessage::Vote(vote)));
                }
                false
            }
            _ => true,
        }
    }

    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        match &**message {
            Message::Sync(
                SyncMessage::Block(_) | SyncMessage::Range(_) | SyncMessage::Change(_),
            ) => {}
            Message::Consensus(ConsensusMessage::Proposal(said)) if me.stream.chance(0.5) => {
                let unknown = no_block(me);
                let block = Block {
                    height: Height(said.block.height.0.saturating_add(1_000_000)),
                    parent: *me
                        .stream
                        .pick(&[said.block.parent, unknown])
                        .unwrap_or(&unknown),
                    ..said.block
                };
                if let Some(far) = propose(me, block, said.kind, said.justification.clone()) {
                    me.say(to, consensus(ConsensusMessage::Proposal(far)));
                }
            }
            _ => me.say(to, message.clone()),
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
    }
}
