//! What adversaries of the compared world say: anything that their keys can sign and anything that can be put
//! together from what they have heard.

use super::pair::World;
use super::words::Said;
use crate::support::rng::Rng;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, Certificate, CommitVote, Committee, ConsensusMessage, Height, Justification,
    MemberIndex, PayloadId, Proposal, ProposalKind, SecretKey, Signed, Timeout, TimeoutMessage,
    Timestamp, Verified, View, Vote,
};

/// What adversaries have heard.
#[derive(Default)]
pub struct Ear {
    pub blocks: Vec<Block>,
    pub proofs: Vec<Verified<Justification>>,
    pub votes: Vec<Verified<Signed<Vote>>>,
    pub commit_votes: Vec<Verified<Signed<CommitVote>>>,
    pub timeouts: Vec<Verified<TimeoutMessage>>,
}

impl Ear {
    pub fn hear(&mut self, message: &ConsensusMessage, committee: &Committee) {
        match message.clone() {
            ConsensusMessage::Proposal(proposal) => {
                if !self.blocks.contains(&proposal.block) {
                    self.blocks.push(proposal.block);
                }
                self.hear_proof(proposal.justification, committee);
            }
            ConsensusMessage::Vote(vote) => self.votes.extend(vote.verify(committee)),
            ConsensusMessage::CommitVote(vote) => self.commit_votes.extend(vote.verify(committee)),
            ConsensusMessage::Timeout(timeout) => {
                let high = timeout.high.clone().map(Justification::Certificate);
                self.hear_proof(high, committee);
                self.timeouts.extend(timeout.verify(committee));
            }
            ConsensusMessage::Certificate(held) => self.hear_proof(Some(held), committee),
            ConsensusMessage::EpochEnd(_) => {}
        }
    }

    fn hear_proof(&mut self, proof: Option<Justification>, committee: &Committee) {
        if let Some(proof) = proof
            && self.proofs.iter().all(|known| **known != proof)
        {
            self.proofs.extend(proof.verify(committee));
        }
    }

    /// Put together a certificate out of statements of one view, each with a chance.
    fn forge(
        &self,
        rng: &mut Rng,
        view: u64,
        committee: &Committee,
    ) -> Option<Verified<Justification>> {
        let view = View(view);
        match rng.below(4) {
            0 => {
                let block = self.votes.iter().rfind(|vote| vote.view == view)?.block;
                let for_it = self
                    .votes
                    .iter()
                    .filter(|v| v.view == view && v.block == block);
                let some: Vec<_> = for_it.filter(|_| rng.percent(90)).collect();
                Verified::quorum(some, committee).map(Into::into)
            }
            1 => {
                let block = self
                    .commit_votes
                    .iter()
                    .find(|vote| vote.view == view)?
                    .block;
                let all = self.commit_votes.iter();
                let for_it = all.filter(|v| v.view == view && v.block == block);
                Verified::slow(for_it, committee).map(|proof| proof.certificate().into())
            }
            _ => {
                let of_view = self.timeouts.iter().filter(|t| t.timeout.view == view);
                let some: Vec<_> = of_view.filter(|_| rng.percent(80)).collect();
                Verified::timeouts(some, committee)
            }
        }
    }
}

/// A statement that left a member, in the words of the reference.
pub fn said(message: &ConsensusMessage) -> Option<Said> {
    Some(match message {
        ConsensusMessage::Proposal(proposal) => Said::Proposal {
            view: proposal.block.view.0,
            kind: proposal.kind,
            block: proposal.block.id(),
        },
        ConsensusMessage::Vote(vote) => Said::Vote {
            view: vote.view.0,
            block: vote.block,
        },
        ConsensusMessage::CommitVote(vote) => Said::CommitVote {
            view: vote.view.0,
            block: vote.block,
        },
        ConsensusMessage::Timeout(message) => Said::Timeout {
            view: message.timeout.view.0,
            high_view: message.timeout.high_view.0,
            voted: message.timeout.voted,
        },
        ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => return None,
    })
}

impl World {
    /// Say something, to some.
    pub fn misbehave(&mut self, member: usize) {
        let views: Vec<u64> = self.views();
        let view = (*self.rng.pick(&views) + self.rng.below(2)).max(1);
        let (key, index) = (self.keys[member].clone(), MemberIndex(member as u16));
        let (chain, epoch) = (self.committee.chain(), self.committee.epoch());
        let recent = self.ear.blocks.len().saturating_sub(5);
        let block = *self.rng.pick(&self.ear.blocks[recent..]);
        let message = match self.rng.below(6) {
            0 => {
                let (view, block) = (block.view, block.id());
                let vote = Signed::sign(Vote { epoch, view, block }, chain, index, &key);
                ConsensusMessage::Vote(vote.into_inner())
            }
            1 => {
                let (view, block) = (block.view, block.id());
                let vote = Signed::sign(CommitVote { epoch, view, block }, chain, index, &key);
                ConsensusMessage::CommitVote(vote.into_inner())
            }
            2 => self.lie(view, index, &key),
            3 => {
                let view = view.saturating_sub(self.rng.below(3));
                let forged = self.ear.forge(&mut self.rng, view, &self.committee);
                let Some(proof) = forged else { return };
                ConsensusMessage::Certificate(proof.into_inner())
            }
            _ => {
                let turn = (view..view + 8).find(|view| self.rules.leader(*view) == member);
                let Some(turn) = turn.filter(|turn| *turn < view + 2) else {
                    return;
                };
                self.proposal_of(turn, index, &key)
            }
        };
        self.overhear(&message);
        let chance = self.rng.next();
        for to in self.honest() {
            if chance >> to & 1 == 1 || chance >> 60 == 0 {
                self.send(to, &message);
            }
        }
    }

    fn lie(&mut self, view: u64, index: MemberIndex, key: &SecretKey) -> ConsensusMessage {
        let certificates = self
            .ear
            .proofs
            .iter()
            .filter_map(|proof| proof.high().cloned());
        let mut usable: Vec<Option<Certificate>> = certificates
            .filter(|held| held.rank().0 < view)
            .map(Some)
            .collect();
        usable.push(None);
        let of_view = self.ear.blocks.iter().filter(|block| block.view.0 == view);
        let mut voted: Vec<_> = of_view.map(|block| Some(block.id())).collect();
        voted.push(None);
        let high = self.rng.pick(&usable).clone();
        let timeout = Timeout {
            epoch: self.committee.epoch(),
            view: View(view),
            high_view: high.as_ref().map_or(View(0), Certificate::rank),
            voted: *self.rng.pick(&voted),
        };
        let signed = Signed::sign(timeout, self.committee.chain(), index, key).into_inner();
        ConsensusMessage::Timeout(TimeoutMessage {
            timeout: signed,
            high,
        })
    }

    /// A proposal, mostly one that can be voted for; every time another one.
    fn proposal_of(&mut self, view: u64, index: MemberIndex, key: &SecretKey) -> ConsensusMessage {
        let fitting = self
            .ear
            .proofs
            .iter()
            .filter(|proof| proof.view().0 + 1 == view);
        let fitting: Vec<_> = fitting.cloned().collect();
        let mut proof = (!fitting.is_empty()).then(|| self.rng.pick(&fitting).clone());
        if self.rng.percent(5) {
            let any = self.ear.proofs.clone();
            proof = (!any.is_empty()).then(|| self.rng.pick(&any).clone());
        }
        let resolved = proof.as_ref().map(|proof| proof.resolved());
        let id = resolved.and_then(|resolved| resolved.block);
        let named = self.ear.blocks.iter().find(|block| Some(block.id()) == id);
        let mut parent = named.copied().unwrap_or(self.ear.blocks[0]);
        self.salt += 1;
        let wrong = if self.rng.percent(10) {
            self.rng.below(5)
        } else {
            9
        };
        let mut justify = resolved.map_or(View(0), |resolved| resolved.rank);
        if self.rng.percent(15) {
            // R4(b) with a lower certificate.
            parent = *self.rng.pick(&self.ear.blocks);
            justify = parent.view;
        }
        let later = if wrong == 0 { 0 } else { 1 };
        let kind = match wrong {
            1 => ProposalKind::Optimistic,
            _ => ProposalKind::Normal,
        };
        let kind = if justify.0 + 1 == view && self.rng.percent(30) {
            ProposalKind::Optimistic
        } else {
            kind
        };
        let block = Block {
            version: BLOCK_VERSION + u16::from(wrong == 2),
            view: View(view),
            height: Height(parent.height.0 + 1 + u64::from(wrong == 3)),
            parent: parent.id(),
            justify: View(justify.0 + u64::from(wrong == 4)),
            payload: PayloadId(sha256(&[&self.salt.to_be_bytes()])),
            timestamp: Timestamp(parent.timestamp.0 + later),
            proposer: index,
            ..self.ear.blocks[0]
        };
        let optimistic = kind == ProposalKind::Optimistic;
        let attached = proof.filter(|_| !optimistic && self.rng.percent(95));
        let proposal = Proposal::sign(block, kind, attached, key);
        ConsensusMessage::Proposal(proposal.into_inner())
    }
}
