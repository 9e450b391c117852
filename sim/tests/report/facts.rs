//! Facts made by hand: one of every kind with a message of every kind, and a short story.

use outrider_sim::fact::{Fact, Loss, Message, Micros, Observer as _, Violation};
use outrider_sim::record::Recording;
use outrider_sim::report::{Run, Tally};
use outrider_sim::scenario::Scenario;
use outrider_types::certificate::{Adopting, TimeoutJustification};
use outrider_types::evidence::Pair;
use outrider_types::message::{
    BatchRequest, BlockRequest, ChangeRequest, FullBlock, Range, RangeRequest, Received, Reference,
    References, Transactions, batch_id,
};
use outrider_types::{
    Aggregate, Approve, Batch, Block, BlockId, BlockRecord, Bytes, Certificate, ChangeId,
    CommitVote, Committee, CommitteeChange, CommitteeId, ConsensusMessage, Epoch, EpochEnd,
    Evidence, FinalityCertificate, Height, Justification, Member, MemberIndex, Payload,
    PayloadMessage, Proposal, ProposalKind, RollupId, SafetyState, SecretKey, Signature, Signed,
    Stake, SyncMessage, Timeout, TimeoutCertificate, TimeoutEntry, TimeoutMessage, Transaction,
    TransactionId, View, Vote,
};
use std::sync::Arc;

const SIGNATURE: Signature = Signature([7; 64]);

/// Four equal members.
pub fn committee(epoch: u64) -> Committee {
    let members = (0..4).map(|index| Member {
        public_key: SecretKey::simulated(index).public_key(),
        stake: Stake(1),
    });
    Committee::simulated(
        outrider_sim::kernel::CHAIN,
        Epoch(epoch),
        members.collect(),
        None,
    )
    .unwrap()
}

fn block(epoch: u64, view: u64) -> Block {
    let mut block = Block::genesis(&committee(epoch));
    block.view = View(view);
    block.height = Height(view);
    block
}

fn vote(epoch: u64, view: u64, signer: u16) -> Signed<Vote> {
    let statement = Vote {
        epoch: Epoch(epoch),
        view: View(view),
        block: block(epoch, view).id(),
    };
    Signed {
        statement,
        signer: MemberIndex(signer),
        signature: SIGNATURE,
    }
}

fn commit_vote(view: u64) -> Signed<CommitVote> {
    let statement = CommitVote {
        epoch: Epoch(0),
        view: View(view),
        block: BlockId([9; 32]),
    };
    Signed {
        statement,
        signer: MemberIndex(2),
        signature: SIGNATURE,
    }
}

fn timeout(view: u64) -> Signed<Timeout> {
    let statement = Timeout {
        epoch: Epoch(0),
        view: View(view),
        high_view: View(view - 1),
        voted: Some(BlockId([3; 32])),
    };
    Signed {
        statement,
        signer: MemberIndex(1),
        signature: SIGNATURE,
    }
}

fn signatures() -> Vec<(MemberIndex, Signature)> {
    (0..3)
        .map(|member| (MemberIndex(member), SIGNATURE))
        .collect()
}

fn quorum(view: u64) -> Aggregate<Vote> {
    Aggregate {
        statement: vote(0, view, 0).statement,
        signatures: signatures(),
    }
}

fn slow(view: u64) -> FinalityCertificate {
    FinalityCertificate::Slow(Aggregate {
        statement: commit_vote(view).statement,
        signatures: signatures(),
    })
}

fn timeouts(view: u64) -> TimeoutCertificate {
    let entry = |member| TimeoutEntry {
        member: MemberIndex(member),
        high_view: View(1),
        voted: None,
        signature: SIGNATURE,
    };
    TimeoutCertificate {
        epoch: Epoch(0),
        view: View(view),
        entries: (0..3).map(entry).collect(),
    }
}

fn justification(view: u64) -> Justification {
    Justification::Timeout(TimeoutJustification {
        timeouts: timeouts(view),
        high: Some(Certificate::Quorum(quorum(1))),
    })
}

fn proposal(view: u64) -> ConsensusMessage {
    ConsensusMessage::Proposal(Proposal {
        block: block(0, view),
        kind: ProposalKind::Normal,
        signature: SIGNATURE,
        justification: Some(justification(view - 1)),
    })
}

fn payload() -> Payload {
    Payload {
        batches: vec![Batch {
            rollup: RollupId(5),
            transactions: vec![Bytes::from_static(b"one")],
        }],
    }
}

fn change() -> CommitteeChange {
    let statement = Approve {
        epoch: Epoch(0),
        change: ChangeId([4; 32]),
    };
    CommitteeChange {
        next: committee(1),
        contacts: Vec::new(),
        approvals: Aggregate {
            statement,
            signatures: signatures(),
        },
    }
}

fn end() -> EpochEnd {
    EpochEnd {
        last: block(0, 9),
        fillers: vec![block(0, 10)],
        certificate: slow(10),
        change: Some(change()),
    }
}

fn full() -> FullBlock {
    FullBlock {
        record: BlockRecord {
            block: block(0, 3),
            justification: None,
        },
        payload: payload(),
    }
}

fn consensus() -> Vec<ConsensusMessage> {
    let adopting = Certificate::Adopting(Adopting {
        block: BlockId([3; 32]),
        timeouts: timeouts(4),
    });
    vec![
        proposal(2),
        ConsensusMessage::Vote(vote(0, 2, 0)),
        ConsensusMessage::Vote(vote(1, 2, 3)),
        ConsensusMessage::CommitVote(commit_vote(2)),
        ConsensusMessage::Timeout(TimeoutMessage {
            timeout: timeout(3),
            high: Some(Certificate::Quorum(quorum(2))),
        }),
        ConsensusMessage::Certificate(justification(3)),
        ConsensusMessage::Certificate(Justification::Certificate(adopting)),
        ConsensusMessage::EpochEnd(end()),
    ]
}

fn others() -> Vec<Message> {
    let transaction = Transaction {
        rollup: RollupId(5),
        data: Bytes::from_static(b"one"),
    };
    let ids = vec![transaction.id()];
    let range = Range {
        blocks: vec![full()],
        fillers: Vec::new(),
        certificate: slow(3),
        change: None,
    };
    let payloads = [
        PayloadMessage::Payload(payload()),
        PayloadMessage::Transactions(Transactions {
            list: vec![transaction],
        }),
        PayloadMessage::Received(Received {
            batch: batch_id(&ids),
            refused: vec![1],
        }),
        PayloadMessage::References(References {
            payload: payload().id(),
            batches: vec![Reference {
                batch: batch_id(&ids),
                left_out: vec![0],
            }],
            orders: Default::default(),
        }),
        PayloadMessage::BatchRequest(BatchRequest {
            batches: vec![batch_id(&ids)],
        }),
    ];
    let mut second = vote(0, 2, 1);
    second.statement.block = BlockId([8; 32]);
    let evidence = Evidence::DoubleVote(Pair {
        first: vote(0, 2, 1),
        second,
    });
    let syncs = [
        SyncMessage::BlockRequest(BlockRequest {
            block: BlockId([3; 32]),
        }),
        SyncMessage::Block(full()),
        SyncMessage::RangeRequest(RangeRequest { from: Height(3) }),
        SyncMessage::Range(range),
        SyncMessage::ChangeRequest(ChangeRequest {
            next: CommitteeId([5; 32]),
        }),
        SyncMessage::Change(change()),
        SyncMessage::Evidence(evidence),
    ];
    let payloads = payloads.into_iter().map(Message::Payload);
    payloads
        .chain(syncs.into_iter().map(Message::Sync))
        .collect()
}

fn sent(at: Micros, from: usize, number: u64, message: Message) -> (Micros, Fact) {
    let message = Arc::new(message);
    (
        at,
        Fact::Sent {
            from,
            to: None,
            message,
            number,
        },
    )
}

fn safety() -> SafetyState {
    let mut state = SafetyState::new(&committee(0));
    state.voted = Some(vote(0, 2, 0).statement);
    state.timed_out = Some(timeout(3).statement);
    state.commit_voted = Some(commit_vote(2).statement);
    state.high = Some(Certificate::Quorum(quorum(2)));
    state
}

fn epoch(number: u64, hosts: [usize; 4]) -> Fact {
    Fact::Epoch {
        committee: committee(number),
        hosts: hosts.to_vec(),
    }
}

fn committed(member: usize, view: u64, certificate: Option<FinalityCertificate>) -> Fact {
    let record = BlockRecord {
        block: block(0, view),
        justification: None,
    };
    let transactions = Arc::from([TransactionId([6; 32])]);
    Fact::Committed {
        member,
        record: Arc::new(record),
        transactions,
        payload: None,
        certificate: certificate.map(Arc::new),
    }
}

fn state_facts() -> Vec<Fact> {
    vec![
        Fact::Entered {
            member: 1,
            epoch: 0,
            view: View(4),
            leader: 0,
            by_timeout: true,
            entry: Some(Arc::new(justification(3))),
        },
        Fact::Entered {
            member: 0,
            epoch: 0,
            view: View(1),
            leader: 0,
            by_timeout: false,
            entry: None,
        },
        Fact::Durable {
            member: 1,
            safety: Arc::new(safety()),
        },
        Fact::Stepped {
            member: 1,
            epoch: 0,
            view: View(4),
            high: View(3),
            held: 12,
        },
        Fact::Kept {
            member: 1,
            justification: Arc::new(justification(3)),
        },
        committed(1, 2, Some(FinalityCertificate::Fast(quorum(2)))),
        committed(2, 2, Some(slow(2))),
        committed(3, 2, None),
        Fact::EpochEnded {
            member: 1,
            end: Arc::new(end()),
        },
        Fact::Checked {
            member: 1,
            number: 1,
            signatures: 4,
        },
    ]
}

fn incidents() -> Vec<Fact> {
    vec![
        Fact::Accepted {
            member: 1,
            id: TransactionId([6; 32]),
            rollup: RollupId(5),
        },
        Fact::Receipt {
            member: 1,
            id: TransactionId([6; 32]),
            height: Height(2),
        },
        Fact::Blamed {
            member: 1,
            leader: 0,
            reason: "wrong parent",
        },
        Fact::Fault {
            what: "partition m0 | m1 m2 m3".to_owned(),
            begins: true,
        },
        Fact::Fault {
            what: "partition m0 | m1 m2 m3".to_owned(),
            begins: false,
        },
        Fact::Crashed {
            member: 2,
            wiped: true,
        },
        Fact::Restarted {
            member: 2,
            mute: true,
            height: Height(1),
        },
        Fact::Healed {
            live: vec![0, 1, 2],
        },
        Fact::Panicked {
            member: 3,
            reason: "</script> \"quoted\"\n".to_owned(),
        },
    ]
}

/// One of every fact, a message of every kind, an end of every kind.
pub fn every_fact() -> Vec<(Micros, Fact)> {
    let mut facts = vec![(0, epoch(0, [0, 1, 2, 3])), (0, epoch(1, [0, 1, 2, 4]))];
    let messages = consensus()
        .into_iter()
        .map(Message::Consensus)
        .chain(others());
    for (number, message) in (0..).zip(messages) {
        let at = 1_000 * (number + 1);
        facts.push(sent(at, 0, number, message));
        facts.push((
            at,
            Fact::Delivered {
                from: 0,
                to: 1,
                number,
            },
        ));
    }
    let at = 900_000;
    facts.push(sent(at, 0, 900, Message::Consensus(proposal(7))));
    for (to, loss) in [(1, Loss::Chance), (2, Loss::Cut), (3, Loss::Down)] {
        facts.push((
            at,
            Fact::Lost {
                from: 0,
                to,
                number: 900,
                loss,
            },
        ));
    }
    facts.push(sent(
        at,
        1,
        901,
        Message::Consensus(ConsensusMessage::Vote(vote(0, 7, 1))),
    ));
    facts.push((
        at + 100_000,
        Fact::Delivered {
            from: 1,
            to: 0,
            number: 901,
        },
    ));
    let rest = state_facts().into_iter().chain(incidents());
    facts.extend(rest.map(|fact| (1_000_000, fact)));
    facts
}

/// A proposal is final, a member crashes and comes back, another stands still until the end.
pub fn story() -> Vec<(Micros, Fact)> {
    let fault = |what: &str, begins| Fact::Fault {
        what: what.to_owned(),
        begins,
    };
    let mut facts = vec![
        (0, epoch(0, [0, 1, 2, 3])),
        (
            0,
            Fact::Entered {
                member: 0,
                epoch: 0,
                view: View(1),
                leader: 0,
                by_timeout: false,
                entry: None,
            },
        ),
        (5_000, fault("crash m2", true)),
        (
            5_000,
            Fact::Crashed {
                member: 2,
                wiped: false,
            },
        ),
        (6_000, fault("pause m1", true)),
        sent(10_000, 0, 0, Message::Consensus(proposal(2))),
    ];
    facts.extend((1..4).map(|to| {
        (
            30_000,
            Fact::Delivered {
                from: 0,
                to,
                number: 0,
            },
        )
    }));
    facts.push((
        40_000,
        Fact::Restarted {
            member: 2,
            mute: false,
            height: Height(0),
        },
    ));
    facts.push((40_000, fault("crash m2", false)));
    facts.push((
        50_000,
        committed(0, 2, Some(FinalityCertificate::Fast(quorum(2)))),
    ));
    facts
}

/// What a tally and a recording of so many facts make of them.
pub fn run(facts: &[(Micros, Fact)], limit: usize) -> (Tally, Recording) {
    let mut both = (Tally::new(5, 0..4), Recording::new(limit));
    for (at, fact) in facts {
        both.see(*at, fact).unwrap();
    }
    both
}

/// A run of these facts.
pub fn run_of<'a>(scenario: &'a Scenario, violation: Option<&'a Violation>) -> Run<'a> {
    Run {
        scenario,
        seed: 7,
        token: "calm-00000000:7@none",
        hash: None,
        end: 1_000_000,
        marks: &[],
        violation,
    }
}
