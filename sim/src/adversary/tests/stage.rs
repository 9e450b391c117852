//! A committee of four, of which some are corrupted, and everything that a deed may see.

use crate::adversary::{Corrupted, Deed, Said, Setup, deed};
use crate::fact::{Message, Micros};
use crate::rng::Stream;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::certificate::Aggregate;
use outrider_types::message::{BlockRequest, FullBlock};
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, ChainId, CommitVote, Committee, CommitteeId,
    ConsensusMessage, Epoch, Height, Justification, Member, MemberIndex, Payload, PayloadMessage,
    Proposal, ProposalKind, SecretKey, Signed, Stake, Statement, SyncMessage, Timeout,
    TimeoutMessage, Timestamp, View, Vote,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const CHAIN: ChainId = ChainId(7);
/// The corrupted host of most tests.
pub const OWN: usize = 3;
const MEMBERS: usize = 4;

pub struct Stage {
    pub committee: Committee,
    keys: Vec<SecretKey>,
    byzantine: Vec<usize>,
    stream: Stream,
    pub now: Micros,
    pub view: u64,
    seed: u64,
    heard: Vec<Arc<Message>>,
}

impl Stage {
    pub fn new(byzantine: &[usize]) -> Self {
        let keys: Vec<SecretKey> = (0..MEMBERS as u64).map(SecretKey::simulated).collect();
        let members = keys.iter().map(|key| Member {
            public_key: key.public_key(),
            stake: Stake(1),
        });
        Self {
            committee: Committee::simulated(CHAIN, Epoch(0), members.collect(), None).unwrap(),
            keys,
            byzantine: byzantine.to_vec(),
            stream: Stream::new(1, "adversary"),
            now: 0,
            view: 1,
            seed: 1,
            heard: Vec::new(),
        }
    }

    pub fn seeded(seed: u64) -> Self {
        Self {
            stream: Stream::new(seed, "adversary"),
            seed,
            ..Self::new(&[OWN])
        }
    }

    pub fn setup(&self) -> Setup {
        Setup {
            host: self.byzantine[0],
            seed: self.seed,
            hosts: MEMBERS,
            stakes: vec![1; MEMBERS],
            byzantine: self.byzantine.clone(),
            gst: 10_000_000,
            delta: 20_000,
            base_timeout: 200_000,
        }
    }

    pub fn deed(&self, name: &str) -> Box<dyn Deed> {
        deed(name, &self.setup()).unwrap()
    }

    fn act(&mut self, host: usize, act: impl FnOnce(&mut Corrupted<'_>)) -> Vec<Said> {
        let keys: Vec<(usize, SecretKey)> = self
            .byzantine
            .iter()
            .map(|host| (*host, self.keys[*host].clone()))
            .collect();
        let mut said = Vec::new();
        act(&mut Corrupted {
            now: self.now,
            host,
            committee: &self.committee,
            hosts: &[0, 1, 2, 3],
            view: self.view,
            stream: &mut self.stream,
            keys: &keys,
            said: &mut said,
        });
        said
    }

    pub fn speaks(
        &mut self,
        deed: &mut dyn Deed,
        side: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) -> Vec<Said> {
        self.heard.push(message.clone());
        self.act(self.byzantine[0], |me| deed.speaks(me, side, to, message))
    }

    pub fn hears(
        &mut self,
        deed: &mut dyn Deed,
        side: usize,
        from: usize,
        message: &Message,
    ) -> (bool, Vec<Said>) {
        let mut heard = false;
        let said = self.act(self.byzantine[0], |me| {
            heard = deed.hears(me, side, from, message);
        });
        (heard, said)
    }

    pub fn overhears(
        &mut self,
        deed: &mut dyn Deed,
        from: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) -> Vec<Said> {
        self.heard.push(message.clone());
        self.act(self.byzantine[0], |me| {
            deed.overhears(me, from, to, message)
        })
    }

    pub fn overhears_often(&mut self, deed: &mut dyn Deed, times: usize) -> Vec<Said> {
        let vote = self.vote(0, 1, BlockId([9; 32]));
        (0..times)
            .flat_map(|_| self.overhears(deed, 0, None, &vote))
            .collect()
    }

    /// Twelve views of a committee whose host 3 does this deed: everything that it says.
    pub fn play(&mut self, name: &str) -> Vec<Said> {
        let mut deed = self.deed(name);
        let mut out = Vec::new();
        let mut parent = BlockId([0; 32]);
        for view in 1..13_u64 {
            (self.view, self.now) = (view, view * 50_000);
            let leader = (view % 4) as usize;
            let mut block = self.block(view, leader, 0);
            block.parent = parent;
            parent = block.id();
            let proposal = if view == 1 {
                self.proposal(block, ProposalKind::Normal)
            } else {
                let justification = self.justification(view - 1, block.parent);
                self.proposal_with(block, ProposalKind::Normal, Some(justification))
            };
            let payload = PayloadMessage::Payload(Payload::default());
            let mut messages = vec![
                (leader, Arc::new(Message::Payload(payload))),
                (leader, proposal),
            ];
            for member in 0..MEMBERS {
                messages.push((member, self.vote(member, view, parent)));
                messages.push((member, self.timeout(member, view, Some(parent))));
                messages.push((member, self.commit_vote(member, view, parent)));
            }
            messages.push((0, self.certificate(view, parent)));
            messages.push((0, self.request(parent)));
            for (from, message) in messages {
                if from == OWN {
                    out.extend(self.speaks(&mut *deed, 0, None, &message));
                    continue;
                }
                out.extend(self.overhears(&mut *deed, from, None, &message));
                for side in 0..deed.sides() {
                    out.extend(self.hears(&mut *deed, side, from, &message).1);
                }
                deed.holds_back(self.now, from, 0, &message);
            }
        }
        out
    }

    pub fn block(&self, view: u64, proposer: usize, salt: u64) -> Block {
        Block {
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            version: BLOCK_VERSION,
            chain: CHAIN,
            epoch: self.committee.epoch(),
            view: View(view),
            height: Height(view),
            parent: BlockId([view as u8; 32]),
            justify: View(view - 1),
            payload: Payload::default().id(),
            timestamp: Timestamp(view * 1_000 + salt),
            proposer: MemberIndex(proposer as u16),
            next: CommitteeId::NONE,
        }
    }

    pub fn proposal(&self, block: Block, kind: ProposalKind) -> Arc<Message> {
        self.proposal_with(block, kind, None)
    }

    pub fn proposal_with(
        &self,
        block: Block,
        kind: ProposalKind,
        justification: Option<Justification>,
    ) -> Arc<Message> {
        let key = &self.keys[block.proposer.index()];
        let proposal = Proposal {
            justification,
            ..Proposal::sign(block, kind, None, key).into_inner()
        };
        Arc::new(Message::Consensus(ConsensusMessage::Proposal(proposal)))
    }

    fn sign<S: Statement>(&self, member: usize, statement: S) -> Signed<S> {
        let index = MemberIndex(member as u16);
        Signed::sign(statement, CHAIN, index, &self.keys[member]).into_inner()
    }

    pub fn vote(&self, member: usize, view: u64, block: BlockId) -> Arc<Message> {
        let (epoch, view) = (self.committee.epoch(), View(view));
        let vote = self.sign(member, Vote { epoch, view, block });
        Arc::new(Message::Consensus(ConsensusMessage::Vote(vote)))
    }

    pub fn commit_vote(&self, member: usize, view: u64, block: BlockId) -> Arc<Message> {
        let (epoch, view) = (self.committee.epoch(), View(view));
        let vote = self.sign(member, CommitVote { epoch, view, block });
        Arc::new(Message::Consensus(ConsensusMessage::CommitVote(vote)))
    }

    /// With the certificate of the view before.
    pub fn timeout(&self, member: usize, view: u64, voted: Option<BlockId>) -> Arc<Message> {
        let high = (view > 1).then(|| match self.justification(view - 1, BlockId([5; 32])) {
            Justification::Certificate(certificate) => certificate,
            Justification::Timeout(_) => unreachable!("it is made of votes"),
        });
        let timeout = self.sign(
            member,
            Timeout {
                epoch: self.committee.epoch(),
                view: View(view),
                high_view: View(view - 1),
                voted,
            },
        );
        let message = TimeoutMessage { timeout, high };
        Arc::new(Message::Consensus(ConsensusMessage::Timeout(message)))
    }

    /// Votes of all but the corrupted.
    pub fn justification(&self, view: u64, block: BlockId) -> Justification {
        let (epoch, view) = (self.committee.epoch(), View(view));
        let statement = Vote { epoch, view, block };
        let signed = (0..3).map(|member| self.sign(member, statement));
        Justification::Certificate(Certificate::Quorum(Aggregate {
            statement,
            signatures: signed.map(|vote| (vote.signer, vote.signature)).collect(),
        }))
    }

    pub fn certificate(&self, view: u64, block: BlockId) -> Arc<Message> {
        let justification = self.justification(view, block);
        Arc::new(Message::Consensus(ConsensusMessage::Certificate(
            justification,
        )))
    }

    pub fn request(&self, block: BlockId) -> Arc<Message> {
        let request = SyncMessage::BlockRequest(BlockRequest { block });
        Arc::new(Message::Sync(request))
    }

    /// Whether what is signed in a consensus message verifies, all of it.
    pub fn valid(&self, message: &Message) -> bool {
        let Message::Consensus(message) = message else {
            return false;
        };
        let committee = &self.committee;
        match message.clone() {
            ConsensusMessage::Proposal(proposal) => proposal
                .verify(committee)
                .is_ok_and(|(_, fault)| fault.is_none()),
            ConsensusMessage::Vote(vote) => vote.verify(committee).is_ok(),
            ConsensusMessage::CommitVote(vote) => vote.verify(committee).is_ok(),
            ConsensusMessage::Timeout(timeout) => timeout.verify(committee).is_ok(),
            ConsensusMessage::Certificate(held) => held.verify(committee).is_ok(),
            ConsensusMessage::EpochEnd(_) => false,
        }
    }

    /// What verifies is the corrupted member's own, or was said before by who signed it.
    pub fn assert_no_forgery(&self, name: &str, said: &Message) {
        let heard = |test: &dyn Fn(&ConsensusMessage) -> bool| {
            self.heard
                .iter()
                .any(|heard| matches!(&**heard, Message::Consensus(heard) if test(heard)))
        };
        let own = MemberIndex(OWN as u16);
        let Message::Consensus(message) = said else {
            if let Message::Sync(SyncMessage::Block(FullBlock { record, .. })) = said {
                let BlockRecord { block, .. } = record;
                assert_eq!(block.chain, CHAIN, "{name}");
            }
            return;
        };
        let known = match message {
            ConsensusMessage::Proposal(said) => {
                said.block.proposer == own
                    || said.signed().verify(&self.committee).is_err()
                    || heard(
                        &|heard| matches!(heard, ConsensusMessage::Proposal(heard) if heard.signed() == said.signed()),
                    )
            }
            ConsensusMessage::Vote(said) => {
                said.signer == own
                    || said.verify(&self.committee).is_err()
                    || heard(&|heard| *heard == ConsensusMessage::Vote(*said))
            }
            ConsensusMessage::CommitVote(said) => {
                said.signer == own
                    || said.verify(&self.committee).is_err()
                    || heard(&|heard| *heard == ConsensusMessage::CommitVote(*said))
            }
            ConsensusMessage::Timeout(said) => {
                said.timeout.signer == own
                    || said.timeout.verify(&self.committee).is_err()
                    || heard(
                        &|heard| matches!(heard, ConsensusMessage::Timeout(heard) if heard.timeout == said.timeout),
                    )
            }
            // Valid only out of statements that were said, which the aggregate's own check shows.
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => true,
        };
        assert!(known, "{name} forged {message:?}");
    }
}

pub fn receivers(said: &[Said]) -> BTreeSet<usize> {
    said.iter()
        .map(|said| said.to.expect("to someone"))
        .collect()
}

pub fn kinds(said: &[Said], kind: &str) -> usize {
    said.iter()
        .filter(|said| said.message.kind() == kind)
        .count()
}

pub fn proposals(said: &[Said]) -> Vec<Proposal> {
    let proposals = said.iter().filter_map(|said| match &*said.message {
        Message::Consensus(ConsensusMessage::Proposal(proposal)) => Some(proposal.clone()),
        _ => None,
    });
    proposals.collect()
}

pub fn votes(said: &[Said]) -> Vec<Signed<Vote>> {
    let votes = said.iter().filter_map(|said| match &*said.message {
        Message::Consensus(ConsensusMessage::Vote(vote)) => Some(*vote),
        _ => None,
    });
    votes.collect()
}

pub fn timeouts(said: &[Said]) -> Vec<TimeoutMessage> {
    let timeouts = said.iter().filter_map(|said| match &*said.message {
        Message::Consensus(ConsensusMessage::Timeout(timeout)) => Some(timeout.clone()),
        _ => None,
    });
    timeouts.collect()
}
