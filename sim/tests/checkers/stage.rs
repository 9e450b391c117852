//! Facts made by hand: a committee of four equal members with simulated keys (Q = 3, T = 3, F = 4, A = 2), hosts 0 to 3.

use outrider_sim::checkers::Checkers;
use outrider_sim::fact::{Fact, Message, Micros, Observer as _, Violation};
use outrider_sim::scenario::{Byzantine, Scenario};
use outrider_types::certificate::{Adopting, TimeoutJustification};
use outrider_types::{
    Aggregate, Batch, Block, BlockId, BlockRecord, Bytes, Certificate, ChainId, CommitVote,
    Committee, ConsensusMessage, Epoch, FinalityCertificate, Height, Justification, Member,
    MemberIndex, Payload, Proposal, ProposalKind, RollupId, SafetyState, SecretKey, Signature,
    Signed, Stake, Statement, SyncMessage, Timeout, TimeoutCertificate, TimeoutEntry,
    TimeoutMessage, Timestamp, TransactionId, Verified, View, Vote,
};
use std::sync::Arc;

pub const CHAIN: ChainId = ChainId(7_777);

/// An entry of a timeout certificate: member, `high_view`, voted.
pub type Gave = (usize, u64, Option<BlockId>);

pub struct Stage {
    pub scenario: Scenario,
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
    pub numbers: std::cell::Cell<u64>,
}

impl Stage {
    /// Four members, these hosts Byzantine.
    pub fn new(byzantine: &[usize]) -> Self {
        let mut scenario = Scenario::calm(4);
        scenario.byzantine = byzantine
            .iter()
            .map(|host| Byzantine {
                host: *host,
                deed: "equivocator".to_owned(),
            })
            .collect();
        scenario.expect.commits_min = 0;
        let keys: Vec<SecretKey> = (0..4).map(SecretKey::simulated).collect();
        Self {
            committee: committee(&keys, 0, 0),
            scenario,
            keys,
            numbers: std::cell::Cell::new(0),
        }
    }

    /// Checkers that have seen the epoch begin.
    pub fn checkers(&self) -> Checkers {
        let mut checkers = Checkers::new(&self.scenario);
        checkers.see(0, &self.epoch()).unwrap();
        checkers
    }

    pub fn epoch(&self) -> Fact {
        Fact::Epoch {
            committee: self.committee.clone(),
            hosts: vec![0, 1, 2, 3],
        }
    }

    /// What fresh checkers say to these facts, a microsecond apart.
    pub fn outcome(&self, facts: &[Fact]) -> Result<(), Violation> {
        let mut checkers = self.checkers();
        let mut at = 0;
        for fact in facts {
            at += 1;
            checkers.see(at, fact)?;
        }
        checkers.finish(at)
    }

    #[track_caller]
    pub fn fires(&self, checker: &str, facts: &[Fact]) -> Violation {
        let violation = self.outcome(facts).unwrap_err();
        assert_eq!(violation.checker, checker, "{violation}");
        violation
    }

    #[track_caller]
    pub fn fine(&self, facts: &[Fact]) {
        assert_eq!(self.outcome(facts), Ok(()));
    }

    pub fn sign<S: Statement>(&self, member: usize, statement: S) -> Verified<Signed<S>> {
        Signed::sign(statement, CHAIN, index(member), &self.keys[member])
    }

    fn signature<S: Statement>(&self, member: usize, statement: S) -> Signature {
        self.sign(member, statement).signature
    }

    /// A child of a block in a view, justified by the view before unless it skips some; `salt` makes it another one.
    pub fn child(&self, parent: &Block, view: u64, salt: u64) -> Block {
        Block {
            view: View(view),
            height: parent.height.next(),
            parent: parent.id(),
            justify: View(view - 1),
            payload: Payload::default().id(),
            timestamp: Timestamp(parent.timestamp.0 + 1 + salt),
            proposer: index((view % 4) as usize),
            ..*parent
        }
    }

    pub fn genesis(&self) -> Block {
        Block::genesis(&self.committee)
    }

    pub fn sent(&self, from: usize, message: ConsensusMessage) -> Fact {
        self.sent_to(from, None, Message::Consensus(message))
    }

    pub fn sent_to(&self, from: usize, to: Option<usize>, message: Message) -> Fact {
        self.numbers.set(self.numbers.get() + 1);
        Fact::Sent {
            from,
            to,
            message: Arc::new(message),
            number: self.numbers.get(),
        }
    }

    pub fn sync(&self, from: usize, to: usize, message: SyncMessage) -> Fact {
        self.sent_to(from, Some(to), Message::Sync(message))
    }

    pub fn vote(&self, member: usize, block: &Block) -> Fact {
        self.vote_by(member, member, block)
    }

    /// A vote of a member that comes from a host.
    pub fn vote_by(&self, from: usize, member: usize, block: &Block) -> Fact {
        let signed = *self.sign(member, vote_of(block));
        self.sent(from, ConsensusMessage::Vote(signed))
    }

    pub fn votes(&self, members: &[usize], block: &Block) -> Vec<Fact> {
        members.iter().map(|one| self.vote(*one, block)).collect()
    }

    pub fn commit_vote(&self, member: usize, block: &Block) -> Fact {
        let signed = *self.sign(member, commit_of(block));
        self.sent(member, ConsensusMessage::CommitVote(signed))
    }

    pub fn commit_votes(&self, members: &[usize], block: &Block) -> Vec<Fact> {
        let each = members.iter();
        each.map(|one| self.commit_vote(*one, block)).collect()
    }

    pub fn timeout(
        &self,
        member: usize,
        view: u64,
        high: Option<&Certificate>,
        voted: Option<BlockId>,
    ) -> Fact {
        let high_view = high.map_or(View(0), Certificate::rank);
        let timeout = *self.sign(member, timeout_of(view, high_view.0, voted));
        let high = high.cloned();
        let message = TimeoutMessage { timeout, high };
        self.sent(member, ConsensusMessage::Timeout(message))
    }

    pub fn proposal(&self, member: usize, block: &Block, kind: ProposalKind) -> Fact {
        let proposal = Proposal::sign(*block, kind, None, &self.keys[member]);
        self.sent(member, ConsensusMessage::Proposal(proposal.into_inner()))
    }

    pub fn aggregate<S: Statement + Copy>(&self, members: &[usize], statement: S) -> Aggregate<S> {
        let signatures = members
            .iter()
            .map(|one| (index(*one), self.signature(*one, statement)));
        Aggregate {
            statement,
            signatures: signatures.collect(),
        }
    }

    pub fn quorum(&self, members: &[usize], block: &Block) -> Certificate {
        Certificate::Quorum(self.aggregate(members, vote_of(block)))
    }

    pub fn fast(&self, members: &[usize], block: &Block) -> Arc<FinalityCertificate> {
        let votes = self.aggregate(members, vote_of(block));
        Arc::new(FinalityCertificate::Fast(votes))
    }

    pub fn slow(&self, members: &[usize], block: &Block) -> Arc<FinalityCertificate> {
        let votes = self.aggregate(members, commit_of(block));
        Arc::new(FinalityCertificate::Slow(votes))
    }

    pub fn timeouts(&self, view: u64, entries: &[Gave]) -> TimeoutCertificate {
        let entry = |(member, high, voted): &Gave| TimeoutEntry {
            member: index(*member),
            high_view: View(*high),
            voted: *voted,
            signature: self.signature(*member, timeout_of(view, *high, *voted)),
        };
        TimeoutCertificate {
            epoch: Epoch(0),
            view: View(view),
            entries: entries.iter().map(entry).collect(),
        }
    }

    pub fn adopting(&self, view: u64, block: BlockId, entries: &[Gave]) -> Justification {
        let timeouts = self.timeouts(view, entries);
        Justification::Certificate(Certificate::Adopting(Adopting { block, timeouts }))
    }

    pub fn extending(
        &self,
        view: u64,
        high: Option<Certificate>,
        entries: &[Gave],
    ) -> Justification {
        let timeouts = self.timeouts(view, entries);
        Justification::Timeout(TimeoutJustification { timeouts, high })
    }

    pub fn entered(&self, member: usize, entry: &Justification) -> Fact {
        Fact::Entered {
            member,
            epoch: 0,
            view: entry.view().next(),
            leader: 0,
            by_timeout: false,
            entry: Some(Arc::new(entry.clone())),
        }
    }

    pub fn kept(&self, member: usize, justification: &Justification) -> Fact {
        Fact::Kept {
            member,
            justification: Arc::new(justification.clone()),
        }
    }

    pub fn stepped(&self, member: usize, view: u64, high: u64) -> Fact {
        Fact::Stepped {
            member,
            epoch: 0,
            view: View(view),
            high: View(high),
            held: 3,
        }
    }

    /// The fresh safety state, changed.
    pub fn durable(&self, member: usize, change: impl FnOnce(&mut SafetyState)) -> Fact {
        let mut safety = SafetyState::new(&self.committee);
        change(&mut safety);
        Fact::Durable {
            member,
            safety: Arc::new(safety),
        }
    }

    pub fn committed(
        &self,
        member: usize,
        block: &Block,
        transactions: &[TransactionId],
        certificate: Option<&Arc<FinalityCertificate>>,
    ) -> Fact {
        Fact::Committed {
            member,
            record: Arc::new(BlockRecord {
                block: *block,
                justification: None,
            }),
            transactions: transactions.into(),
            payload: None,
            certificate: certificate.cloned(),
        }
    }

    pub fn accepted(&self, member: usize, payload: &Payload) -> Vec<Fact> {
        let each = payload.batches.iter().flat_map(|batch| {
            let rollup = batch.rollup;
            batch
                .ids()
                .map(move |id| Fact::Accepted { member, id, rollup })
        });
        each.collect()
    }
}

pub fn committee(keys: &[SecretKey], epoch: u64, epoch_blocks: u64) -> Committee {
    let members = keys.iter().map(|key| Member {
        public_key: key.public_key(),
        stake: Stake(1),
    });
    Committee::simulated(CHAIN, Epoch(epoch), members.collect(), None)
        .unwrap()
        .with_epoch_blocks(epoch_blocks)
}

pub fn index(member: usize) -> MemberIndex {
    MemberIndex(u16::try_from(member).unwrap())
}

pub fn vote_of(block: &Block) -> Vote {
    Vote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    }
}

pub fn commit_of(block: &Block) -> CommitVote {
    CommitVote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    }
}

pub fn timeout_of(view: u64, high: u64, voted: Option<BlockId>) -> Timeout {
    Timeout {
        epoch: Epoch(0),
        view: View(view),
        high_view: View(high),
        voted,
    }
}

/// A payload of one rollup with so many transactions.
pub fn payload(salt: u8, many: u8) -> Payload {
    let transactions = (0..many).map(|one| Bytes::from(vec![salt, one]));
    Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: transactions.collect(),
        }],
    }
}

pub fn ids(payload: &Payload) -> Vec<TransactionId> {
    payload.ids().collect()
}

pub fn restarted(member: usize, height: u64) -> Fact {
    Fact::Restarted {
        member,
        mute: false,
        height: Height(height),
    }
}

pub fn crashed(member: usize) -> Fact {
    Fact::Crashed {
        member,
        wiped: false,
    }
}

/// Seconds in simulated time.
pub const fn seconds(seconds: u64) -> Micros {
    seconds * 1_000_000
}
