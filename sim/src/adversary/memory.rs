//! What a deed remembers of what it overheard: the newest of each kind, never more.

use crate::fact::Message;
use outrider_types::{
    Aggregate, BlockId, Certificate, CommitVote, Committee, ConsensusMessage, Epoch, Justification,
    MemberIndex, Payload, PayloadId, PayloadMessage, Proposal, ProposalKind, Signed, Stake,
    TimeoutMessage, View, Vote,
};
use std::collections::{BTreeMap, VecDeque};

/// Views of which votes and timeouts are remembered.
const VIEWS_MAX: usize = 24;
/// Proposals, justifications and payloads that are remembered, each.
const RECENT_MAX: usize = 64;
/// Blocks of one view that votes are counted for; more are the work of another deed.
const BLOCKS_PER_VIEW_MAX: usize = 8;

type ByMember<T> = BTreeMap<MemberIndex, T>;
type ByBlock<T> = BTreeMap<BlockId, ByMember<T>>;

/// What was overheard lately in the newest epoch heard of.
#[derive(Debug, Default)]
pub(super) struct Memory {
    epoch: Epoch,
    pub(super) proposals: VecDeque<Proposal>,
    pub(super) votes: BTreeMap<View, ByBlock<Signed<Vote>>>,
    pub(super) commit_votes: BTreeMap<View, ByBlock<Signed<CommitVote>>>,
    pub(super) timeouts: BTreeMap<View, ByMember<TimeoutMessage>>,
    pub(super) justifications: VecDeque<Justification>,
    pub(super) payloads: VecDeque<(PayloadId, Payload)>,
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() >= RECENT_MAX {
        list.pop_front();
    }
    list.push_back(item);
}

fn trim<T>(views: &mut BTreeMap<View, T>) {
    while views.len() > VIEWS_MAX {
        views.pop_first();
    }
}

fn count<S>(
    views: &mut BTreeMap<View, ByBlock<Signed<S>>>,
    (view, block): (View, BlockId),
    signed: Signed<S>,
) {
    let blocks = views.entry(view).or_default();
    if blocks.len() < BLOCKS_PER_VIEW_MAX || blocks.contains_key(&block) {
        blocks
            .entry(block)
            .or_default()
            .insert(signed.signer, signed);
    }
    trim(views);
}

impl Memory {
    /// Remember what a host said, if it is of the newest epoch.
    pub(super) fn note(&mut self, committee: &Committee, message: &Message) {
        match message {
            Message::Consensus(said) => {
                if said.epoch() != committee.epoch() {
                    return;
                }
                if self.epoch != committee.epoch() {
                    *self = Self {
                        epoch: committee.epoch(),
                        ..Self::default()
                    };
                }
                self.note_consensus(said);
            }
            Message::Payload(PayloadMessage::Payload(payload)) => {
                let id = payload.id();
                if self.payloads.iter().all(|(held, _)| *held != id) {
                    push(&mut self.payloads, (id, payload.clone()));
                }
            }
            _ => {}
        }
    }

    fn note_consensus(&mut self, said: &ConsensusMessage) {
        match said {
            ConsensusMessage::Proposal(proposal) => {
                if let Some(justification) = &proposal.justification {
                    self.note_justification(justification);
                }
                if !self.proposals.contains(proposal) {
                    push(&mut self.proposals, proposal.clone());
                }
            }
            ConsensusMessage::Vote(vote) => count(&mut self.votes, (vote.view, vote.block), *vote),
            ConsensusMessage::CommitVote(vote) => {
                count(&mut self.commit_votes, (vote.view, vote.block), *vote);
            }
            ConsensusMessage::Timeout(timeout) => {
                let by_member = self.timeouts.entry(timeout.timeout.view).or_default();
                by_member.insert(timeout.timeout.signer, timeout.clone());
                trim(&mut self.timeouts);
            }
            ConsensusMessage::Certificate(justification) => self.note_justification(justification),
            ConsensusMessage::EpochEnd(_) => {}
        }
    }

    fn note_justification(&mut self, justification: &Justification) {
        if !self.justifications.contains(justification) {
            push(&mut self.justifications, justification.clone());
        }
    }

    /// The proposal of a kind in a view that was heard first.
    pub(super) fn proposal(&self, view: View, kind: ProposalKind) -> Option<&Proposal> {
        self.proposals
            .iter()
            .find(|proposal| proposal.block.view == view && proposal.kind == kind)
    }

    /// The payload with this commitment.
    pub(super) fn payload(&self, id: PayloadId) -> Option<&Payload> {
        self.payloads
            .iter()
            .find(|(held, _)| *held == id)
            .map(|(_, payload)| payload)
    }

    /// Stake of those who voted for a block, `more` among them.
    pub(super) fn stake_for(
        &self,
        committee: &Committee,
        (view, block): (View, BlockId),
        more: Option<MemberIndex>,
    ) -> Stake {
        let voters = self.votes.get(&view).and_then(|blocks| blocks.get(&block));
        let added = more.filter(|more| voters.is_none_or(|voters| !voters.contains_key(more)));
        let voters = voters.into_iter().flat_map(BTreeMap::keys).copied();
        let stakes = voters
            .chain(added)
            .filter_map(|member| committee.stake(member));
        Stake(stakes.map(|stake| stake.0).sum())
    }

    /// A certificate of a block out of votes that were overheard, with one more if it is given; none if they are too few.
    pub(super) fn certificate(
        &self,
        committee: &Committee,
        (view, block): (View, BlockId),
        more: Option<Signed<Vote>>,
    ) -> Option<Certificate> {
        let quorum = committee.thresholds().quorum;
        let signer = more.as_ref().map(|more| more.signer);
        if self.stake_for(committee, (view, block), signer) < quorum {
            return None;
        }
        let mut votes = self.votes.get(&view)?.get(&block)?.clone();
        if let Some(more) = more {
            votes.insert(more.signer, more);
        }
        let statement = votes.values().next()?.statement;
        let signatures = votes.values().map(|vote| (vote.signer, vote.signature));
        Some(Certificate::Quorum(Aggregate {
            statement,
            signatures: signatures.collect(),
        }))
    }
}
