//! A small world for the tests of this crate: a committee with known keys, and samples of everything it can say.
#![allow(dead_code, reason = "each test binary uses its own part")]

use outrider_types::certificate::TimeoutJustification;
use outrider_types::evidence::Pair;
use outrider_types::message::{
    BatchRequest, BlockRequest, ChangeRequest, FullBlock, Range, RangeRequest, Received, Reference,
    References, Transactions, batch_id,
};
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{
    Aggregate, Approve, Batch, BatchId, Block, BlockId, BlockRecord, Bytes, Certificate,
    CommitVote, Committee, CommitteeChange, CommitteeId, ConsensusMessage, Contact, Epoch,
    EpochEnd, Evidence, FinalityCertificate, Height, Invalid, Justification, Member, MemberIndex,
    Payload, PayloadMessage, Proposal, ProposalKind, Propose, RollupId, SafetyState, SecretKey,
    Signature, Signed, Stake, Statement, SyncMessage, Timeout, TimeoutMessage, Timestamp,
    Transaction, TransportKey, Verified, View, Vote, encode,
};
use outrider_types::{Attestation, Attester, AttesterSignature, L1BlockHash, Origin};
use outrider_types::{Execution, LaneHash, LaneHeight, StateRoot, StepsRoot};
use std::net::SocketAddr;

pub const A: BlockId = BlockId([0xaa; 32]);
pub const B: BlockId = BlockId([0xbb; 32]);
pub const EPOCH: Epoch = Epoch(0);

pub struct World {
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
}

pub fn member(index: usize) -> MemberIndex {
    MemberIndex(u16::try_from(index).unwrap())
}

pub fn vote(view: u64, block: BlockId) -> Vote {
    Vote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

pub fn commit_vote(view: u64, block: BlockId) -> CommitVote {
    CommitVote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

pub fn propose(view: u64, kind: ProposalKind, block: BlockId) -> Propose {
    Propose {
        epoch: EPOCH,
        view: View(view),
        kind,
        block,
    }
}

pub fn timeout(view: u64, high_view: u64, voted: Option<BlockId>) -> Timeout {
    Timeout {
        epoch: EPOCH,
        view: View(view),
        high_view: View(high_view),
        voted,
    }
}

impl World {
    pub fn new(stakes: &[u64]) -> Self {
        let (committee, keys) = committee(stakes);
        Self { committee, keys }
    }

    /// Six equal members, f=1: Q=4 T=5 p=1 F=5 A=3.
    pub fn six() -> Self {
        Self::new(&[1; 6])
    }

    pub fn sign<S: Statement>(&self, index: usize, statement: S) -> Verified<Signed<S>> {
        Signed::sign(statement, CHAIN, member(index), &self.keys[index])
    }

    pub fn executed(&self) -> Signed<Execution> {
        Signed::sign(execution(), CHAIN, MemberIndex(2), &self.keys[2]).into_inner()
    }

    pub fn approved(&self) -> Signed<Approve> {
        let approve = Approve {
            epoch: self.committee.epoch(),
            change: outrider_types::ids::ChangeId([6; 32]),
        };
        self.sign(1, approve).into_inner()
    }

    pub fn votes(&self, count: usize, view: u64, block: BlockId) -> Vec<Verified<Signed<Vote>>> {
        (0..count)
            .map(|i| self.sign(i, vote(view, block)))
            .collect()
    }

    pub fn quorum(&self, view: u64, block: BlockId) -> Verified<Certificate> {
        Verified::<Certificate>::quorum(&self.votes(4, view, block), &self.committee).unwrap()
    }

    pub fn fast(&self, view: u64, block: BlockId) -> Verified<FinalityCertificate> {
        Verified::<FinalityCertificate>::fast(&self.votes(5, view, block), &self.committee).unwrap()
    }

    pub fn slow(&self, view: u64, block: BlockId) -> Verified<FinalityCertificate> {
        let votes: Vec<_> = (0..4)
            .map(|i| self.sign(i, commit_vote(view, block)))
            .collect();
        Verified::<FinalityCertificate>::slow(&votes, &self.committee).unwrap()
    }

    pub fn commit(&self, view: u64, block: BlockId) -> Verified<Certificate> {
        self.slow(view, block).certificate()
    }

    /// Timeout message of a member, with a quorum certificate for A as the certificate it names.
    pub fn timeout(
        &self,
        index: usize,
        view: u64,
        high: u64,
        voted: Option<BlockId>,
    ) -> Verified<TimeoutMessage> {
        let certificate = (high > 0).then(|| self.quorum(high, A));
        let signed = self.sign(index, timeout(view, high, voted));
        TimeoutMessage::assemble(signed, certificate).unwrap()
    }

    /// Timeouts of view 5 by members 0 to 4, member i reporting rank `high[i]` and block `voted[i]`.
    pub fn timeouts(&self, high: [u64; 5], voted: [Option<BlockId>; 5]) -> Verified<Justification> {
        let messages: Vec<_> = (0..5)
            .map(|i| self.timeout(i, 5, high[i], voted[i]))
            .collect();
        Verified::<Justification>::timeouts(&messages, &self.committee).unwrap()
    }

    /// A timeout certificate of view 5 that adopts B: exactly A = 3 report it.
    pub fn adopting(&self) -> Verified<Certificate> {
        let adopting = self.timeouts([3, 2, 0, 1, 3], [Some(B), None, Some(B), Some(A), Some(B)]);
        match adopting.into_inner() {
            Justification::Certificate(certificate) => certificate.verify(&self.committee).unwrap(),
            other => panic!("adopts nothing: {other:?}"),
        }
    }

    /// A timeout certificate of view 5 that adopts nothing: only two report B.
    pub fn extending(&self) -> Verified<Justification> {
        let extending = self.timeouts([3, 2, 0, 1, 3], [Some(B), None, Some(B), Some(A), None]);
        assert!(matches!(
            *extending,
            Justification::Timeout(TimeoutJustification { high: Some(_), .. })
        ));
        extending
    }

    pub fn block(&self) -> Block {
        Block {
            view: View(6),
            height: Height(4),
            parent: A,
            justify: View(3),
            payload: payload().id(),
            timestamp: Timestamp(1_700_000_000_000_000),
            proposer: member(2),
            next: CommitteeId::NONE,
            origin: Origin {
                number: 20_000_000,
                hash: L1BlockHash([0xcc; 32]),
                inbox: 9,
            },
            ..Block::genesis(&self.committee)
        }
    }

    pub fn proposal(&self) -> Proposal {
        let attached = Some(self.extending());
        Proposal::sign(self.block(), ProposalKind::Normal, attached, &self.keys[2]).into_inner()
    }

    pub fn record(&self) -> BlockRecord {
        BlockRecord {
            block: self.block(),
            justification: Some(self.extending().into_inner()),
        }
    }

    pub fn full_block(&self) -> FullBlock {
        FullBlock {
            record: self.record(),
            payload: payload(),
        }
    }

    pub fn safety(&self) -> SafetyState {
        SafetyState {
            view: View(6),
            entry: Some(self.extending().into_inner()),
            voted: Some(vote(5, A)),
            timed_out: Some(timeout(5, 3, Some(A))),
            timed_out_high: Some(self.quorum(3, A).into_inner()),
            commit_voted: Some(commit_vote(3, A)),
            proposed: Some(propose(5, ProposalKind::Normal, A)),
            proposed_optimistic: Some(propose(6, ProposalKind::Optimistic, B)),
            high: Some(self.adopting().into_inner()),
            ..SafetyState::new(&self.committee)
        }
    }

    /// One offence of each kind by member 1, E1 to E5.
    pub fn offences(&self) -> [Evidence; 5] {
        let normal = ProposalKind::Normal;
        [
            Evidence::DoubleProposal(self.pair(propose(5, normal, A), propose(5, normal, B))),
            Evidence::DoubleVote(self.pair(vote(5, A), vote(5, B))),
            Evidence::DoubleCommitVote(self.pair(commit_vote(5, A), commit_vote(5, B))),
            Evidence::HiddenVote(self.pair(vote(5, A), timeout(5, 4, None))),
            Evidence::BrokenLock(self.pair(commit_vote(5, A), timeout(7, 4, None))),
        ]
    }

    /// A successor with another member and other stake, approved by members of a quorum.
    pub fn change(&self) -> CommitteeChange {
        let mut members = self.committee.members().to_vec();
        members[0] = Member {
            public_key: key(9).public_key(),
            stake: Stake(1),
        };
        let next = Committee::new(CHAIN, self.committee.epoch().next(), members, None)
            .unwrap()
            .with_epoch_blocks(100);
        let contacts: Vec<Contact> = (0..next.members().len())
            .map(|at| Contact {
                name: format!("member {at}"),
                transport_key: TransportKey([u8::try_from(at).unwrap(); 32]),
                address: if at % 2 == 0 {
                    SocketAddr::from(([10, 0, 0, 1], 9_000))
                } else {
                    SocketAddr::from(([1; 8], 9_001))
                },
                rpc: (at == 1).then(|| "http://10.0.0.1:8600".to_owned()),
                attester: (at == 2).then_some(Attester([7; 20])),
            })
            .collect();
        let approve = Approve {
            epoch: self.committee.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        CommitteeChange {
            approvals: aggregate(self, approve, &[0, 1, 2, 3]),
            next,
            contacts,
        }
    }

    /// The end of the epoch with this many fillers, final by commit votes.
    pub fn epoch_end(&self, fillers: u64) -> EpochEnd {
        let change = self.change();
        let mut last = self.block();
        last.next = change.next.id();
        let mut parent = last;
        let mut above = Vec::new();
        for _ in 0..fillers {
            parent = Block {
                view: parent.view.next(),
                justify: parent.view,
                height: parent.height.next(),
                parent: parent.id(),
                payload: Payload::default().id(),
                origin: Origin::NONE,
                next: CommitteeId::NONE,
                ..parent
            };
            above.push(parent);
        }
        EpochEnd {
            certificate: self.slow(parent.view.0, parent.id()).into_inner(),
            last,
            fillers: above,
            change: Some(change),
        }
    }

    /// Two statements of member 1.
    pub fn pair<X: Statement, Y: Statement>(&self, first: X, second: Y) -> Pair<X, Y> {
        Pair {
            first: self.sign(1, first).into_inner(),
            second: self.sign(1, second).into_inner(),
        }
    }
}

pub fn payload() -> Payload {
    let batch = |rollup, transactions: &[&'static [u8]]| Batch {
        rollup: RollupId(rollup),
        transactions: transactions
            .iter()
            .map(|data| Bytes::from_static(data))
            .collect(),
    };
    Payload {
        batches: vec![
            batch(10, &[b"one", b"", b"three"]),
            batch(8453, &[&[7; 200]]),
        ],
    }
}

pub fn batch() -> BatchId {
    batch_id(&payload().ids().collect::<Vec<_>>())
}

pub fn transactions() -> Transactions {
    let list = payload()
        .batches
        .into_iter()
        .flat_map(|batch| {
            batch
                .transactions
                .into_iter()
                .map(move |data| (batch.rollup, data))
        })
        .map(|(rollup, data)| Transaction { rollup, data })
        .collect();
    Transactions { list }
}

fn consensus_samples(world: &World) -> Vec<(&'static str, Bytes)> {
    [
        (
            "consensus/proposal",
            ConsensusMessage::Proposal(world.proposal()),
        ),
        (
            "consensus/vote",
            ConsensusMessage::Vote(world.sign(1, vote(5, A)).into_inner()),
        ),
        (
            "consensus/commit-vote",
            ConsensusMessage::CommitVote(world.sign(1, commit_vote(5, A)).into_inner()),
        ),
        (
            "consensus/timeout",
            ConsensusMessage::Timeout(world.timeout(1, 5, 3, Some(B)).into_inner()),
        ),
        (
            "consensus/certificate-quorum",
            ConsensusMessage::Certificate(Justification::Certificate(
                world.quorum(5, A).into_inner(),
            )),
        ),
        (
            "consensus/certificate-commit",
            ConsensusMessage::Certificate(Justification::Certificate(
                world.commit(5, A).into_inner(),
            )),
        ),
        (
            "consensus/certificate-adopting",
            ConsensusMessage::Certificate(Justification::Certificate(
                world.adopting().into_inner(),
            )),
        ),
        (
            "consensus/certificate-timeout",
            ConsensusMessage::Certificate(world.extending().into_inner()),
        ),
        (
            "consensus/epoch-end",
            ConsensusMessage::EpochEnd(world.epoch_end(2)),
        ),
    ]
    .map(|(name, message)| (name, encode(&message)))
    .to_vec()
}

fn payload_samples() -> Vec<(&'static str, PayloadMessage)> {
    [
        ("payload/payload", PayloadMessage::Payload(payload())),
        (
            "payload/transactions",
            PayloadMessage::Transactions(transactions()),
        ),
        (
            "payload/received",
            PayloadMessage::Received(Received {
                batch: batch(),
                refused: vec![1],
            }),
        ),
        (
            "payload/references",
            PayloadMessage::References(References {
                payload: payload().id(),
                batches: vec![Reference {
                    batch: batch(),
                    left_out: vec![0, 2],
                }],
                orders: Default::default(),
            }),
        ),
        (
            "payload/batch-request",
            PayloadMessage::BatchRequest(BatchRequest {
                batches: vec![batch()],
            }),
        ),
    ]
    .to_vec()
}

/// Names and encodings of a sample of every message and record.
pub fn samples(world: &World) -> Vec<(&'static str, Bytes)> {
    let payloads = payload_samples();
    let range = Range {
        blocks: vec![world.full_block(), world.full_block()],
        fillers: vec![world.block()],
        certificate: world.slow(6, A).into_inner(),
        change: Some(world.change()),
    };
    let sync = [
        (
            "sync/block-request",
            SyncMessage::BlockRequest(BlockRequest { block: A }),
        ),
        ("sync/block", SyncMessage::Block(world.full_block())),
        (
            "sync/range-request",
            SyncMessage::RangeRequest(RangeRequest { from: Height(9) }),
        ),
        ("sync/range", SyncMessage::Range(range)),
        (
            "sync/change-request",
            SyncMessage::ChangeRequest(ChangeRequest {
                next: world.change().next.id(),
            }),
        ),
        ("sync/change", SyncMessage::Change(world.change())),
        (
            "sync/evidence",
            SyncMessage::Evidence(world.offences()[4].clone()),
        ),
        ("sync/execution", SyncMessage::Execution(world.executed())),
        (
            "sync/attestation",
            SyncMessage::Attestation(Attestation {
                epoch: EPOCH,
                height: Height(8),
                block: A,
                signer: MemberIndex(3),
                signature: AttesterSignature([5; 64]),
            }),
        ),
        ("sync/approval", SyncMessage::Approval(world.approved())),
    ];
    let names = [
        "evidence/e1",
        "evidence/e2",
        "evidence/e3",
        "evidence/e4",
        "evidence/e5",
    ];
    let mut out = vec![
        ("committee", encode(&world.committee)),
        ("block-record", encode(&world.record())),
        ("safety-state", encode(&world.safety())),
        (
            "safety-state/fresh",
            encode(&SafetyState::new(&world.committee)),
        ),
        ("payload-record", encode(&payload())),
        ("finality/fast", encode(&world.fast(5, A).into_inner())),
        ("finality/slow", encode(&world.slow(5, A).into_inner())),
        ("justification", encode(&world.extending().into_inner())),
    ];
    out.extend(consensus_samples(world));
    out.extend(
        payloads
            .iter()
            .map(|(name, message)| (*name, encode(message))),
    );
    out.extend(sync.iter().map(|(name, message)| (*name, encode(message))));
    out.extend(
        names
            .into_iter()
            .zip(world.offences())
            .map(|(name, evidence)| (name, encode(&evidence))),
    );
    out
}

pub fn forged(signer: usize) -> Invalid {
    Invalid::Signature {
        signer: member(signer),
    }
}

pub fn other_epoch() -> Invalid {
    Invalid::Epoch {
        found: Epoch(1),
        expected: EPOCH,
    }
}

pub fn aggregate<S: Statement>(world: &World, statement: S, signers: &[usize]) -> Aggregate<S> {
    let signatures = signers
        .iter()
        .map(|i| (member(*i), world.sign(*i, statement.clone()).signature))
        .collect();
    Aggregate {
        statement,
        signatures,
    }
}

/// The order of the base point, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature with `s + L` for `s`: it satisfies the same equation.
pub fn with_large_s(signature: Signature) -> Signature {
    let mut out = signature.0;
    let mut carry = 0;
    for (byte, add) in out[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "s + L fits into 32 bytes");
    Signature(out)
}

pub fn execution() -> Execution {
    Execution {
        epoch: Epoch(0),
        rollup: RollupId(7),
        lane: LaneHeight(3),
        hash: LaneHash([4; 32]),
        state_root: StateRoot([5; 32]),
        steps: StepsRoot([6; 32]),
    }
}
