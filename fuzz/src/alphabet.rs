//! A committee with known keys, and one valid encoding of everything it can say.

use outrider_types::codec::Encode;
use outrider_types::evidence::Pair;
use outrider_types::message::{
    BatchRequest, BlockRequest, ChangeRequest, FullBlock, Range, RangeRequest, Received, Reference,
    References, Transactions, batch_id,
};
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{
    Aggregate, Approve, Batch, Block, BlockId, BlockRecord, Bytes, Certificate, CommitVote,
    Committee, CommitteeChange, CommitteeId, ConsensusMessage, Contact, Epoch, EpochEnd, Evidence,
    FinalityCertificate, Height, Justification, Member, MemberIndex, Payload, PayloadMessage,
    Proposal, ProposalKind, Propose, RollupId, SafetyState, SecretKey, Signed, Stake, Statement,
    SyncMessage, Timeout, TimeoutMessage, Timestamp, Transaction, TransportKey, Verified, View,
    Vote, encode,
};
use std::net::{Ipv4Addr, SocketAddr};

const A: BlockId = BlockId([0xaa; 32]);
const B: BlockId = BlockId([0xbb; 32]);
const EPOCH: Epoch = Epoch(0);

/// Length prefixes at every limit of the format, one over each, and the largest that can be written.
pub(crate) const CLAIMS: [&[u8]; 11] = [
    &[0x80, 0x02],
    &[0x81, 0x02],
    &[0x80, 0x08],
    &[0x81, 0x08],
    &[0x80, 0x80, 0x01],
    &[0x81, 0x80, 0x01],
    &[0x80, 0x80, 0x04],
    &[0x80, 0x80, 0x08],
    &[0x81, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Six equal members, f = 1: Q = 4, T = 5, p = 1, F = 5, A = 3.
pub(crate) struct Words {
    pub(crate) committee: Committee,
    keys: Vec<SecretKey>,
}

fn member(index: usize) -> MemberIndex {
    MemberIndex(u16::try_from(index).unwrap_or(u16::MAX))
}

fn vote(view: u64, block: BlockId) -> Vote {
    Vote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

fn commit_vote(view: u64, block: BlockId) -> CommitVote {
    CommitVote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

fn propose(view: u64, kind: ProposalKind, block: BlockId) -> Propose {
    Propose {
        epoch: EPOCH,
        view: View(view),
        kind,
        block,
    }
}

fn timeout(view: u64, high_view: u64, voted: Option<BlockId>) -> Timeout {
    Timeout {
        epoch: EPOCH,
        view: View(view),
        high_view: View(high_view),
        voted,
    }
}

pub(crate) fn payload() -> Payload {
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

impl Words {
    pub(crate) fn new() -> Self {
        let (committee, keys) = committee(&[1; 6]);
        Self { committee, keys }
    }

    pub(crate) fn sign<S: Statement>(&self, index: usize, statement: S) -> Verified<Signed<S>> {
        Signed::sign(statement, CHAIN, member(index), &self.keys[index])
    }

    fn votes(&self, count: usize, view: u64, block: BlockId) -> Vec<Verified<Signed<Vote>>> {
        (0..count)
            .map(|index| self.sign(index, vote(view, block)))
            .collect()
    }

    fn quorum(&self, view: u64, block: BlockId) -> Option<Verified<Certificate>> {
        Verified::<Certificate>::quorum(&self.votes(4, view, block), &self.committee)
    }

    fn slow(&self, view: u64, block: BlockId) -> Option<Verified<FinalityCertificate>> {
        let votes: Vec<_> = (0..4)
            .map(|index| self.sign(index, commit_vote(view, block)))
            .collect();
        Verified::<FinalityCertificate>::slow(&votes, &self.committee)
    }

    fn timeouts(
        &self,
        high: [u64; 5],
        voted: [Option<BlockId>; 5],
    ) -> Option<Verified<Justification>> {
        let messages: Vec<_> = high
            .into_iter()
            .zip(voted)
            .enumerate()
            .filter_map(|(index, (high, voted))| {
                let certificate = (high > 0).then(|| self.quorum(high, A)).flatten();
                TimeoutMessage::assemble(self.sign(index, timeout(5, high, voted)), certificate)
            })
            .collect();
        Verified::<Justification>::timeouts(&messages, &self.committee)
    }

    /// Adopts B: exactly A = 3 report it.
    fn adopting(&self) -> Option<Verified<Justification>> {
        self.timeouts([3, 2, 0, 1, 3], [Some(B), None, Some(B), Some(A), Some(B)])
    }

    /// Adopts nothing: only two report B.
    fn extending(&self) -> Option<Verified<Justification>> {
        self.timeouts([3, 2, 0, 1, 3], [Some(B), None, Some(B), Some(A), None])
    }

    fn block(&self) -> Block {
        Block {
            view: View(6),
            height: Height(4),
            parent: A,
            justify: View(3),
            payload: payload().id(),
            timestamp: Timestamp(1_700_000_000_000_000),
            proposer: member(2),
            ..Block::genesis(&self.committee)
        }
    }

    fn record(&self) -> BlockRecord {
        BlockRecord {
            block: self.block(),
            justification: self.extending().map(Verified::into_inner),
        }
    }

    fn full_block(&self) -> FullBlock {
        FullBlock {
            record: self.record(),
            payload: payload(),
        }
    }

    fn safety(&self) -> SafetyState {
        let adopting = self.adopting().and_then(|held| held.high().cloned());
        SafetyState {
            view: View(6),
            entry: self.extending().map(Verified::into_inner),
            voted: Some(vote(5, A)),
            timed_out: Some(timeout(5, 3, Some(A))),
            timed_out_high: self.quorum(3, A).map(Verified::into_inner),
            commit_voted: Some(commit_vote(3, A)),
            proposed: Some(propose(5, ProposalKind::Normal, A)),
            proposed_optimistic: Some(propose(6, ProposalKind::Optimistic, B)),
            high: adopting,
            ..SafetyState::new(&self.committee)
        }
    }

    /// A successor with another member, approved by members of a quorum.
    pub(crate) fn change(&self) -> Option<CommitteeChange> {
        let mut members = self.committee.members().to_vec();
        *members.first_mut()? = Member {
            public_key: key(9).public_key(),
            stake: Stake(1),
        };
        let next = Committee::new(CHAIN, self.committee.epoch().next(), members, None)
            .ok()?
            .with_epoch_blocks(100);
        let contacts: Vec<Contact> = (0..6)
            .map(|at| Contact {
                name: format!("member {at}"),
                transport_key: TransportKey([at; 32]),
                address: match at % 2 {
                    0 => SocketAddr::from((Ipv4Addr::LOCALHOST, 9_000)),
                    _ => SocketAddr::from(([1; 8], 9_001)),
                },
                rpc: (at == 1).then(|| "http://10.0.0.1:8600".to_owned()),
                attester: None,
            })
            .collect();
        let approve = Approve {
            epoch: self.committee.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        let signed: Vec<_> = (0..4).map(|index| self.sign(index, approve)).collect();
        Some(CommitteeChange {
            approvals: Aggregate::assemble(&signed)?,
            next,
            contacts,
        })
    }

    /// The end of the epoch with one filler, final by commit votes.
    pub(crate) fn epoch_end(&self) -> Option<EpochEnd> {
        let change = self.change()?;
        let last = Block {
            next: change.next.id(),
            ..self.block()
        };
        let filler = Block {
            view: last.view.next(),
            justify: last.view,
            height: last.height.next(),
            parent: last.id(),
            payload: Payload::default().id(),
            next: CommitteeId::NONE,
            ..last
        };
        let proof = self.slow(filler.view.0, filler.id())?;
        Some(EpochEnd {
            last,
            fillers: vec![filler],
            certificate: proof.into_inner(),
            change: Some(change),
        })
    }

    fn range(&self) -> Option<Range> {
        Some(Range {
            blocks: vec![self.full_block(), self.full_block()],
            fillers: vec![self.block()],
            certificate: self.slow(6, A)?.into_inner(),
            change: self.change(),
        })
    }

    /// One offence of each kind by member 1, E1 to E5.
    pub(crate) fn offences(&self) -> [Evidence; 5] {
        let normal = ProposalKind::Normal;
        [
            Evidence::DoubleProposal(self.pair(propose(5, normal, A), propose(5, normal, B))),
            Evidence::DoubleVote(self.pair(vote(5, A), vote(5, B))),
            Evidence::DoubleCommitVote(self.pair(commit_vote(5, A), commit_vote(5, B))),
            Evidence::HiddenVote(self.pair(vote(5, A), timeout(5, 4, None))),
            Evidence::BrokenLock(self.pair(commit_vote(5, A), timeout(7, 4, None))),
        ]
    }

    fn pair<X: Statement, Y: Statement>(&self, first: X, second: Y) -> Pair<X, Y> {
        Pair {
            first: self.sign(1, first).into_inner(),
            second: self.sign(1, second).into_inner(),
        }
    }

    fn consensus(&self) -> Vec<ConsensusMessage> {
        let optimistic =
            Proposal::sign(self.block(), ProposalKind::Optimistic, None, &self.keys[2]);
        let normal = Proposal::sign(
            self.block(),
            ProposalKind::Normal,
            self.extending(),
            &self.keys[2],
        );
        let mut all = vec![
            ConsensusMessage::Proposal(optimistic.into_inner()),
            ConsensusMessage::Proposal(normal.into_inner()),
            ConsensusMessage::Vote(self.sign(1, vote(5, A)).into_inner()),
            ConsensusMessage::CommitVote(self.sign(1, commit_vote(5, A)).into_inner()),
        ];
        let signed = self.sign(1, timeout(5, 3, Some(B)));
        if let Some(timeout) = TimeoutMessage::assemble(signed, self.quorum(3, A)) {
            all.push(ConsensusMessage::Timeout(timeout.into_inner()));
        }
        let commit = self.slow(5, A).map(|proof| proof.certificate());
        let certificates = [
            self.quorum(5, A).map(Into::into),
            commit.map(Into::into),
            self.adopting(),
            self.extending(),
        ];
        for certificate in certificates.into_iter().flatten() {
            let certificate: Verified<Justification> = certificate;
            all.push(ConsensusMessage::Certificate(certificate.into_inner()));
        }
        all.extend(self.epoch_end().map(ConsensusMessage::EpochEnd));
        all
    }
}

/// An encoding of every message and record.
pub(crate) fn encodings() -> Vec<Vec<u8>> {
    let words = Words::new();
    let transactions = Transactions {
        list: vec![Transaction {
            rollup: RollupId(10),
            data: Bytes::from_static(b"one"),
        }],
    };
    let batch = batch_id(&payload().ids().collect::<Vec<_>>());
    let received = Received {
        batch,
        refused: vec![1],
    };
    let references = References {
        payload: payload().id(),
        batches: vec![Reference {
            batch,
            left_out: vec![0],
        }],
        orders: Default::default(),
    };
    let request = BatchRequest {
        batches: vec![batch],
    };
    let mut all = vec![
        bytes(&words.committee),
        bytes(&words.record()),
        bytes(&words.safety()),
        bytes(&SafetyState::new(&words.committee)),
        bytes(&payload()),
        bytes(&PayloadMessage::Payload(payload())),
        bytes(&PayloadMessage::Transactions(transactions)),
        bytes(&PayloadMessage::Received(received)),
        bytes(&PayloadMessage::References(references)),
        bytes(&PayloadMessage::BatchRequest(request)),
        bytes(&SyncMessage::BlockRequest(BlockRequest { block: A })),
        bytes(&SyncMessage::Block(words.full_block())),
        bytes(&SyncMessage::RangeRequest(RangeRequest { from: Height(9) })),
        bytes(&SyncMessage::ChangeRequest(ChangeRequest {
            next: words.committee.id(),
        })),
    ];
    let sync = [
        words.range().map(SyncMessage::Range),
        words.change().map(SyncMessage::Change),
        words
            .offences()
            .into_iter()
            .next()
            .map(SyncMessage::Evidence),
    ];
    all.extend(sync.iter().flatten().map(bytes));
    all.extend(words.change().iter().map(bytes));
    all.extend(words.epoch_end().iter().map(bytes));
    all.extend(words.consensus().iter().map(bytes));
    all.extend(words.offences().iter().map(bytes));
    all.extend(words.extending().iter().map(|held| bytes(&**held)));
    let fast = Verified::<FinalityCertificate>::fast(&words.votes(5, 5, A), &words.committee);
    for certificate in [fast, words.slow(5, A)].into_iter().flatten() {
        all.push(bytes(&*certificate));
    }
    all
}

fn bytes<T: Encode>(value: &T) -> Vec<u8> {
    encode(value).to_vec()
}
