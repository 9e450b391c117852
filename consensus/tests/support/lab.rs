//! One replica in the hand, with everyone's keys: what others say is made here.

use super::disk::Disk;
use super::world::config;
use outrider_consensus::{Action, Config, Input, Replica, Seat, Step};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, CommitVote, Committee, CommitteeId, ConsensusMessage,
    Height, Justification, MemberIndex, PayloadId, Proposal, ProposalKind, SecretKey, Signed,
    Timeout, TimeoutMessage, Timestamp, Verified, View, Vote, testing,
};

pub type Cert = Verified<Certificate>;
pub type Just = Verified<Justification>;

pub struct Lab {
    pub config: Config,
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
    /// The base block of the epoch.
    pub base: Block,
    pub me: usize,
    /// Without a seat: it signs nothing.
    pub mute: bool,
    pub replica: Replica,
    pub disk: Disk,
    pub now: u64,
}

fn build(
    (config, committee, base): (Config, &Committee, &Block),
    seat: Option<Seat>,
    disk: &Disk,
    now: u64,
) -> (Replica, Step) {
    Replica::new(
        config,
        committee.clone(),
        seat,
        base,
        disk.restore(committee, base),
        Timestamp(now),
    )
}

fn seat(keys: &[SecretKey], me: usize) -> Seat {
    Seat {
        member: MemberIndex(me as u16),
        key: keys[me].clone(),
    }
}

impl Lab {
    /// Member 0 of four equal members, which leads views 4, 8, 12 ..
    pub fn four() -> Self {
        Self::new(&[1, 1, 1, 1], 0)
    }

    pub fn new(stakes: &[u64], me: usize) -> Self {
        let (committee, keys) = testing::committee(stakes);
        let base = Block::genesis(&committee);
        Self::of(config(), committee, keys, base, Some(me))
    }

    /// A member of any epoch, or (without `me`) member 0 without its seat.
    pub fn of(
        config: Config,
        committee: Committee,
        keys: Vec<SecretKey>,
        base: Block,
        me: Option<usize>,
    ) -> Self {
        let (disk, now) = (Disk::default(), 1_000_000);
        let seat = me.map(|me| seat(&keys, me));
        let (replica, step) = build((config, &committee, &base), seat, &disk, now);
        let mut lab = Self {
            config,
            base,
            committee,
            keys,
            me: me.unwrap_or(0),
            mute: me.is_none(),
            replica,
            disk,
            now,
        };
        lab.settle(step);
        lab
    }

    fn settle(&mut self, step: Step) -> Vec<Action> {
        let disk = &mut self.disk;
        let actions = step
            .persist_with(|writes| {
                disk.write(writes);
                Ok::<(), ()>(())
            })
            .unwrap();
        for action in &actions {
            if let Action::Commit { blocks, .. } = action {
                self.disk.ledger.extend(blocks.iter().cloned());
            }
        }
        actions
    }

    pub fn step(&mut self, input: Input) -> Vec<Action> {
        let step = self.replica.step(Timestamp(self.now), input);
        self.settle(step)
    }

    /// A step whose actions are thrown away after its write, or before it: the power goes.
    pub fn step_and_crash(&mut self, input: Input, written: bool) {
        let step = self.replica.step(Timestamp(self.now), input);
        if written {
            self.settle(step);
        }
    }

    /// Let time pass, then wake the replica.
    pub fn wait(&mut self, micros: u64) -> Vec<Action> {
        self.now += micros;
        self.step(Input::Wake)
    }

    pub fn restart(&mut self) -> Vec<Action> {
        let seat = (!self.mute).then(|| seat(&self.keys, self.me));
        let epoch = (self.config, &self.committee, &self.base);
        let (replica, step) = build(epoch, seat, &self.disk, self.now);
        self.replica = replica;
        self.settle(step)
    }

    pub fn view(&self) -> u64 {
        self.replica.view().0
    }

    pub fn high(&self) -> u64 {
        self.replica.safety().high_rank().0
    }

    /// A block of a view by its leader, on a parent, justified by a rank. `salt` tells twins apart.
    pub fn block(&self, view: u64, parent: &Block, justify: u64, salt: u64) -> Block {
        Block {
            roots: outrider_types::Roots::NONE,
            origin: parent.origin,
            version: BLOCK_VERSION,
            chain: self.committee.chain(),
            epoch: self.committee.epoch(),
            view: View(view),
            height: Height(parent.height.0 + 1),
            parent: parent.id(),
            justify: View(justify),
            payload: PayloadId(sha256(&[&salt.to_be_bytes()])),
            timestamp: Timestamp(parent.timestamp.0 + 1),
            proposer: self.replica.leader(View(view)),
            next: CommitteeId::NONE,
        }
    }

    /// A child of a block in the view right after it.
    pub fn child(&self, parent: &Block) -> Block {
        self.block(parent.view.0 + 1, parent, parent.view.0, 0)
    }

    pub fn proposal(&self, block: &Block, justification: Option<Just>) -> Input {
        let key = &self.keys[block.proposer.index()];
        Input::Proposal {
            proposal: Proposal::sign(*block, ProposalKind::Normal, justification, key),
        }
    }

    /// A proposal ahead of its parent's certificate (R3).
    pub fn optimistic(&self, block: &Block) -> Input {
        let key = &self.keys[block.proposer.index()];
        Input::Proposal {
            proposal: Proposal::sign(*block, ProposalKind::Optimistic, None, key),
        }
    }

    /// A proposal, and its payload is held and valid.
    pub fn offer(&mut self, block: &Block, justification: Option<Just>) -> Vec<Action> {
        let mut actions = self.step(self.proposal(block, justification));
        actions.extend(self.payload(block, true));
        actions
    }

    /// Blocks of these views, each the child of the one before, offered with its certificate. The last of them is voted
    /// for in its view.
    pub fn chain(&mut self, base: &Block, views: std::ops::RangeInclusive<u64>) -> Vec<Block> {
        let mut chain: Vec<Block> = Vec::new();
        for view in views {
            let (block, justification) = match chain.last() {
                Some(parent) => (self.child(parent), Some(self.qc(parent).into())),
                None => (self.block(view, base, 0, 0), None),
            };
            self.offer(&block, justification);
            chain.push(block);
        }
        chain
    }

    /// Answer a request for a payload.
    pub fn assembled(&mut self, actions: &[Action]) -> Vec<Action> {
        let asked = assembles(actions);
        let [(view, parent, last)] = asked[..] else {
            panic!("one payload is asked for, not {asked:?}");
        };
        let next = self.committee.successor().id();
        self.step(Input::Assembled {
            view: View(view),
            parent,
            timestamp: Timestamp(self.now),
            content: outrider_types::Content {
                payload: PayloadId([9; 32]),
                roots: outrider_types::Roots::NONE,
                origin: outrider_types::Origin::NONE,
                next: if last { next } else { CommitteeId::NONE },
            },
        })
    }

    pub fn payload(&mut self, block: &Block, valid: bool) -> Vec<Action> {
        let block = block.id();
        self.step(Input::PayloadChecked { block, valid })
    }

    pub fn signed_vote(&self, member: usize, block: &Block) -> Verified<Signed<Vote>> {
        let vote = Vote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let (index, key) = (MemberIndex(member as u16), &self.keys[member]);
        Signed::sign(vote, self.committee.chain(), index, key)
    }

    pub fn vote(&self, member: usize, block: &Block) -> Input {
        Input::Vote {
            vote: self.signed_vote(member, block),
        }
    }

    pub fn commit_vote(&self, member: usize, block: &Block) -> Input {
        let vote = CommitVote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let (index, key) = (MemberIndex(member as u16), &self.keys[member]);
        Input::CommitVote {
            vote: Signed::sign(vote, self.committee.chain(), index, key),
        }
    }

    fn others(&self) -> Vec<usize> {
        (0..self.keys.len()).filter(|m| *m != self.me).collect()
    }

    /// A quorum certificate signed by the others.
    pub fn qc(&self, block: &Block) -> Cert {
        let needed = self.committee.thresholds().quorum.0;
        let mut stake = 0;
        let signers = self.others().into_iter().take_while(|member| {
            let enough = stake >= needed;
            stake += self.committee.members()[*member].stake.0;
            !enough
        });
        let votes: Vec<_> = signers
            .map(|member| self.signed_vote(member, block))
            .collect();
        Verified::quorum(&votes, &self.committee).expect("enough votes")
    }

    pub fn timeout(
        &self,
        member: usize,
        view: u64,
        high: Option<&Cert>,
        voted: Option<BlockId>,
    ) -> Verified<TimeoutMessage> {
        let timeout = Timeout {
            epoch: self.committee.epoch(),
            view: View(view),
            high_view: high.map_or(View(0), |high| high.rank()),
            voted,
        };
        let (index, key) = (MemberIndex(member as u16), &self.keys[member]);
        let signed = Signed::sign(timeout, self.committee.chain(), index, key);
        TimeoutMessage::assemble(signed, high.cloned()).unwrap()
    }

    /// A timeout certificate by the others, who all hold `high` and voted for `voted`.
    pub fn tc(&self, view: u64, high: Option<&Cert>, voted: Option<BlockId>) -> Just {
        let timeouts: Vec<_> = self
            .others()
            .iter()
            .map(|member| self.timeout(*member, view, high, voted))
            .collect();
        Verified::timeouts(&timeouts, &self.committee).expect("enough timeouts")
    }

    pub fn record(&self, block: &Block, justification: Option<Just>) -> Input {
        let record = BlockRecord {
            block: *block,
            justification: justification.map(Verified::into_inner),
        };
        Input::Block {
            record: record.verify(&self.committee).unwrap(),
        }
    }
}

/// The messages broadcast.
pub fn said(actions: &[Action]) -> Vec<ConsensusMessage> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Broadcast { message } => Some(message.clone()),
            _ => None,
        })
        .collect()
}

/// Payloads asked for: view, parent, and whether it is for the last block of the epoch.
pub fn assembles(actions: &[Action]) -> Vec<(u64, BlockId, bool)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Assemble {
                view, parent, last, ..
            } => Some((view.0, *parent, *last)),
            _ => None,
        })
        .collect()
}

/// Certificates broadcast.
pub fn certificates(actions: &[Action]) -> Vec<Justification> {
    said(actions)
        .into_iter()
        .filter_map(|message| match message {
            ConsensusMessage::Certificate(justification) => Some(justification),
            _ => None,
        })
        .collect()
}

/// Views and blocks voted for.
pub fn votes(actions: &[Action]) -> Vec<(u64, BlockId)> {
    said(actions)
        .into_iter()
        .filter_map(|message| match message {
            ConsensusMessage::Vote(vote) => Some((vote.view.0, vote.block)),
            _ => None,
        })
        .collect()
}

pub fn commit_votes(actions: &[Action]) -> Vec<(u64, BlockId)> {
    said(actions)
        .into_iter()
        .filter_map(|message| match message {
            ConsensusMessage::CommitVote(vote) => Some((vote.view.0, vote.block)),
            _ => None,
        })
        .collect()
}

pub fn timeouts(actions: &[Action]) -> Vec<TimeoutMessage> {
    said(actions)
        .into_iter()
        .filter_map(|message| match message {
            ConsensusMessage::Timeout(timeout) => Some(timeout),
            _ => None,
        })
        .collect()
}

pub fn proposals(actions: &[Action]) -> Vec<Proposal> {
    said(actions)
        .into_iter()
        .filter_map(|message| match message {
            ConsensusMessage::Proposal(proposal) => Some(proposal),
            _ => None,
        })
        .collect()
}

/// Certificates sent to one member.
pub fn handed(actions: &[Action]) -> Vec<(usize, Justification)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send {
                to,
                message: ConsensusMessage::Certificate(justification),
            } => Some((to.index(), justification.clone())),
            _ => None,
        })
        .collect()
}

pub fn fetches(actions: &[Action]) -> Vec<BlockId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Fetch { block, .. } => Some(*block),
            _ => None,
        })
        .collect()
}

/// Last block and kind of proof of each commit.
pub fn commits(actions: &[Action]) -> Vec<(Vec<BlockId>, bool)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Commit {
                blocks,
                certificate,
                ..
            } => Some((
                blocks.iter().map(|record| record.block.id()).collect(),
                matches!(**certificate, outrider_types::FinalityCertificate::Fast(_)),
            )),
            _ => None,
        })
        .collect()
}

pub fn called_bad(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::BadProposal { .. }))
}
