//! The words of the reference replica: statements without signatures, and how a real input is put into them.

use outrider_consensus::Input;
use outrider_types::{
    Block, BlockId, Certificate, CommitteeId, FinalityCertificate, Justification, PayloadId,
    ProposalKind, TimeoutCertificate,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a member says in a timeout: rank of its best certificate, and what it voted for in the view.
pub type Report = (u64, Option<BlockId>);

/// What ends a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    Qc {
        view: u64,
        block: BlockId,
        by: BTreeSet<usize>,
    },
    Cc {
        view: u64,
        block: BlockId,
        by: BTreeSet<usize>,
    },
    Tc {
        view: u64,
        reports: BTreeMap<usize, Report>,
        high: Option<Box<Self>>,
    },
}

impl Proof {
    pub const fn view(&self) -> u64 {
        match self {
            Self::Qc { view, .. } | Self::Cc { view, .. } | Self::Tc { view, .. } => *view,
        }
    }
}

/// What a reference replica can be told.
#[derive(Clone, Debug)]
pub enum Heard {
    Nothing,
    Proposal {
        block: Block,
        kind: ProposalKind,
        proof: Option<Proof>,
    },
    Vote {
        by: usize,
        view: u64,
        block: BlockId,
    },
    CommitVote {
        by: usize,
        view: u64,
        block: BlockId,
    },
    Timeout {
        by: usize,
        view: u64,
        voted: Option<BlockId>,
        high: Option<Proof>,
    },
    Proof(Proof),
    Record {
        block: Block,
        proof: Option<Proof>,
    },
    FetchFailed(BlockId),
    Payload {
        block: BlockId,
        valid: bool,
    },
    Assembled {
        view: u64,
        parent: BlockId,
        payload: PayloadId,
        timestamp: u64,
        next: CommitteeId,
    },
    CaughtUp {
        block: Block,
        proof: Proof,
    },
}

/// What a member signs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    Proposal {
        view: u64,
        kind: ProposalKind,
        block: BlockId,
    },
    Vote {
        view: u64,
        block: BlockId,
    },
    CommitVote {
        view: u64,
        block: BlockId,
    },
    Timeout {
        view: u64,
        high_view: u64,
        voted: Option<BlockId>,
    },
}

fn timeouts(held: &TimeoutCertificate, high: Option<&Certificate>) -> Proof {
    let entries = held.entries.iter();
    Proof::Tc {
        view: held.view.0,
        reports: entries
            .map(|entry| (entry.member.index(), (entry.high_view.0, entry.voted)))
            .collect(),
        high: high.map(|high| Box::new(certificate(high))),
    }
}

pub fn certificate(held: &Certificate) -> Proof {
    match held {
        Certificate::Quorum(votes) => Proof::Qc {
            view: votes.statement.view.0,
            block: votes.statement.block,
            by: votes.signatures.iter().map(|(by, _)| by.index()).collect(),
        },
        Certificate::Commit(votes) => Proof::Cc {
            view: votes.statement.view.0,
            block: votes.statement.block,
            by: votes.signatures.iter().map(|(by, _)| by.index()).collect(),
        },
        Certificate::Adopting(adopting) => timeouts(&adopting.timeouts, None),
    }
}

pub fn justification(held: &Justification) -> Proof {
    match held {
        Justification::Certificate(held) => certificate(held),
        Justification::Timeout(held) => timeouts(&held.timeouts, held.high.as_ref()),
    }
}

fn finality(held: &FinalityCertificate) -> Proof {
    certificate(&match held.clone() {
        FinalityCertificate::Fast(votes) => Certificate::Quorum(votes),
        FinalityCertificate::Slow(votes) => Certificate::Commit(votes),
    })
}

/// A real input in these words.
pub fn heard(input: &Input) -> Heard {
    match input {
        // An unwelcome block is a driver's decision, and is not said in this world.
        Input::Wake | Input::Unwelcome { .. } | Input::Welcome { .. } => Heard::Nothing,
        Input::Proposal { proposal } => Heard::Proposal {
            block: proposal.block,
            kind: proposal.kind,
            proof: proposal.justification.as_ref().map(justification),
        },
        Input::Vote { vote } => Heard::Vote {
            by: vote.signer.index(),
            view: vote.view.0,
            block: vote.block,
        },
        Input::CommitVote { vote } => Heard::CommitVote {
            by: vote.signer.index(),
            view: vote.view.0,
            block: vote.block,
        },
        Input::Timeout { timeout } => Heard::Timeout {
            by: timeout.timeout.signer.index(),
            view: timeout.timeout.view.0,
            voted: timeout.timeout.voted,
            high: timeout.high.as_ref().map(certificate),
        },
        Input::Certificate {
            justification: held,
        } => Heard::Proof(justification(held)),
        Input::Block { record } => Heard::Record {
            block: record.block,
            proof: record.justification.as_ref().map(justification),
        },
        Input::FetchFailed { block } => Heard::FetchFailed(*block),
        Input::PayloadChecked { block, valid } => Heard::Payload {
            block: *block,
            valid: *valid,
        },
        Input::Assembled {
            view,
            parent,
            content,
            timestamp,
        } => Heard::Assembled {
            view: view.0,
            parent: *parent,
            payload: content.payload,
            timestamp: timestamp.0,
            next: content.next,
        },
        Input::CaughtUp { block, certificate } => Heard::CaughtUp {
            block: *block,
            proof: finality(certificate),
        },
    }
}
