//! What the benches share: a committee with known keys, its first two blocks, all that its members say about them,
//! and transactions.
//!
//! ```text
//! Scene::new(members) -> votes, certificates, timeouts, messages -> benches/certificate.rs
//!                     -> Replica at a known point                -> benches/consensus_step.rs
//! transactions, payload                                          -> benches/payload.rs, mempool.rs, spread.rs
//! ```
//!
//! Names of benches are data: `crate::operation/key=value`. `cargo bench -p outrider-bench` measures;
//! `cargo test -p outrider-bench --benches` runs every bench once and checks that it does what its name says.
//!
//! Deliberately absent: sockets, processes, load. How fast a whole committee is, is measured with whole nodes.

#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a mistake in the bench"
)]

use outrider_consensus::{Action, Config, Input, Replica, Restored, Seat};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::{
    Batch, Block, Certificate, CommitVote, Committee, CommitteeId, FinalityCertificate, Height,
    Justification, MemberIndex, Payload, PayloadId, Proposal, ProposalKind, RollupId, SafetyState,
    SecretKey, Signed, Stake, Timeout, TimeoutMessage, Timestamp, Transaction, Verified, View,
    Vote, testing,
};
use std::convert::Infallible;

/// Sizes of committees that are measured.
pub const MEMBERS: [usize; 3] = [4, 22, 100];
/// More of them, where the size is what matters.
pub const COMMITTEES: [usize; 5] = [4, 7, 22, 67, 100];
/// The member whose replica is stepped. It leads none of the first three views.
pub const ME: MemberIndex = MemberIndex(0);
/// When a scene begins.
pub const START: Timestamp = Timestamp(1_000_000_000);
/// Rollups that a payload's transactions are of.
pub const ROLLUPS: u64 = 4;

/// A committee of equal members, genesis, and a block in each of the first two views.
pub struct Scene {
    /// The committee.
    pub committee: Committee,
    /// The block of view 0.
    pub genesis: Block,
    /// The block of view 1.
    pub first: Block,
    /// The block of view 2.
    pub second: Block,
    keys: Vec<SecretKey>,
}

impl Scene {
    /// A scene with this many members, whose blocks commit to `payload`.
    #[must_use]
    pub fn new(members: usize, payload: PayloadId) -> Self {
        let (committee, keys) = testing::committee(&vec![1; members]);
        let genesis = Block::genesis(&committee);
        let child = |parent: &Block| Block {
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            version: BLOCK_VERSION,
            chain: committee.chain(),
            epoch: committee.epoch(),
            view: parent.view.next(),
            height: parent.height.next(),
            parent: parent.id(),
            justify: parent.view,
            payload,
            timestamp: Timestamp(START.0 + parent.height.0),
            proposer: MemberIndex(u16::try_from(parent.view.next().0).unwrap()),
            next: CommitteeId::NONE,
        };
        let first = child(&genesis);
        let second = child(&first);
        Self {
            committee,
            genesis,
            first,
            second,
            keys,
        }
    }

    /// How many members make a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        count(self.committee.thresholds().quorum)
    }

    /// How many members make a timeout certificate.
    #[must_use]
    pub fn timeout_quorum(&self) -> usize {
        count(self.committee.thresholds().timeout)
    }

    fn each<T>(&self, say: impl Fn(MemberIndex, &SecretKey) -> T) -> Vec<T> {
        let members = self.committee.indexes().zip(&self.keys);
        members.map(|(member, key)| say(member, key)).collect()
    }

    /// Every member's vote for the first block, by member.
    #[must_use]
    pub fn votes(&self) -> Vec<Verified<Signed<Vote>>> {
        let Block { chain, epoch, .. } = self.first;
        let (view, block) = (self.first.view, self.first.id());
        let vote = Vote { epoch, view, block };
        self.each(|member, key| Signed::sign(vote, chain, member, key))
    }

    /// Every member's commit vote for the first block, by member.
    #[must_use]
    pub fn commit_votes(&self) -> Vec<Verified<Signed<CommitVote>>> {
        let Block { chain, epoch, .. } = self.first;
        let (view, block) = (self.first.view, self.first.id());
        let vote = CommitVote { epoch, view, block };
        self.each(|member, key| Signed::sign(vote, chain, member, key))
    }

    /// Every member's timeout of view 2 with the certificate of the first block, by member.
    #[must_use]
    pub fn timeouts(&self) -> Vec<Verified<TimeoutMessage>> {
        let certificate = self.certificate();
        let timeout = Timeout {
            epoch: self.committee.epoch(),
            view: self.second.view,
            high_view: self.first.view,
            voted: None,
        };
        self.each(|member, key| {
            let signed = Signed::sign(timeout, self.committee.chain(), member, key);
            TimeoutMessage::assemble(signed, Some(certificate.clone())).unwrap()
        })
    }

    /// The certificate of the first block, of exactly a quorum.
    #[must_use]
    pub fn certificate(&self) -> Verified<Certificate> {
        Verified::quorum(&self.votes()[..self.quorum()], &self.committee).unwrap()
    }

    /// The timeout certificate of view 2, of exactly as many as are needed.
    #[must_use]
    pub fn timeout_certificate(&self) -> Verified<Justification> {
        Verified::timeouts(&self.timeouts()[..self.timeout_quorum()], &self.committee).unwrap()
    }

    /// The proof that the first block is final, by commit votes of exactly a quorum.
    #[must_use]
    pub fn finality(&self) -> Verified<FinalityCertificate> {
        Verified::slow(&self.commit_votes()[..self.quorum()], &self.committee).unwrap()
    }

    /// The proposal of the first block.
    #[must_use]
    pub fn first_proposal(&self) -> Verified<Proposal> {
        self.propose(self.first, None)
    }

    /// The proposal of the second block, with the certificate of the first.
    #[must_use]
    pub fn second_proposal(&self) -> Verified<Proposal> {
        self.propose(self.second, Some(self.certificate().into()))
    }

    fn propose(
        &self,
        block: Block,
        justification: Option<Verified<Justification>>,
    ) -> Verified<Proposal> {
        let key = &self.keys[block.proposer.index()];
        Proposal::sign(block, ProposalKind::Normal, justification, key)
    }

    /// The replica of [`ME`], which has just begun.
    #[must_use]
    pub fn replica(&self) -> Replica {
        let restored = Restored {
            root: self.genesis,
            safety: Verified::<SafetyState>::fresh(&self.committee),
            blocks: Vec::new(),
            vote_left: true,
        };
        let (replica, step) = Replica::new(
            Config::default(),
            self.committee.clone(),
            Some(Seat {
                member: ME,
                key: self.keys[ME.index()].clone(),
            }),
            &self.genesis,
            restored,
            START,
        );
        assert!(!step.needs_write(), "a new member has signed nothing");
        replica
    }
}

fn count(members: Stake) -> usize {
    usize::try_from(members.0).unwrap()
}

/// Step a replica as if its disk took no time, and give what it asks for.
pub fn tell(replica: &mut Replica, now: Timestamp, input: Input) -> Vec<Action> {
    let Ok(actions) = replica
        .step(now, input)
        .persist_with(|_| Ok::<(), Infallible>(()));
    actions
}

/// So many different transactions of `bytes` bytes each, of [`ROLLUPS`] rollups in turn.
#[must_use]
pub fn transactions(count: usize, bytes: usize) -> Vec<Transaction> {
    let transaction = |(number, rollup): (u64, u64)| {
        let mut data = vec![0x6f; bytes];
        data[..8].copy_from_slice(&number.to_be_bytes());
        Transaction {
            rollup: RollupId(rollup),
            data: data.into(),
        }
    };
    (0..)
        .zip((1..=ROLLUPS).cycle())
        .map(transaction)
        .take(count)
        .collect()
}

/// The payload that holds these transactions, each rollup's in the order given.
#[must_use]
pub fn payload(transactions: &[Transaction]) -> Payload {
    let batch = |rollup| Batch {
        rollup,
        transactions: transactions
            .iter()
            .filter(|transaction| transaction.rollup == rollup)
            .map(|transaction| transaction.data.clone())
            .collect(),
    };
    let payload = Payload {
        batches: (1..=ROLLUPS).map(RollupId).map(batch).collect(),
    };
    assert_eq!(
        payload.len(),
        transactions.len(),
        "every transaction is of one of the rollups"
    );
    payload
}

/// The view and height at which a scene's replica stands, to check what a step did.
#[must_use]
pub fn position(replica: &Replica) -> (View, Height) {
    (replica.view(), replica.committed().height)
}
