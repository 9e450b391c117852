//! What happened in a world, as seen from outside its members: the one language that worlds speak and that checkers,
//! marks, hashes, diagrams and tables understand. It does not depend on which world it was.

use outrider_types::codec::EncodeSize as _;
use outrider_types::{
    BlockRecord, Committee, ConsensusMessage, EpochEnd, FinalityCertificate, Height, Justification,
    Payload, PayloadMessage, RollupId, SafetyState, SyncMessage, TransactionId, View,
};
use std::sync::Arc;

/// Simulated time since the start of the run, in microseconds.
pub type Micros = u64;

/// A message between members, on whichever channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// On the consensus channel.
    Consensus(ConsensusMessage),
    /// On the payload channel.
    Payload(PayloadMessage),
    /// On the sync channel.
    Sync(SyncMessage),
}

impl Message {
    /// What it is, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Consensus(message) => match message {
                ConsensusMessage::Proposal(_) => "proposal",
                ConsensusMessage::Vote(_) => "vote",
                ConsensusMessage::CommitVote(_) => "commit-vote",
                ConsensusMessage::Timeout(_) => "timeout",
                ConsensusMessage::Certificate(_) => "certificate",
                ConsensusMessage::EpochEnd(_) => "epoch-end",
            },
            Self::Payload(message) => match message {
                PayloadMessage::Payload(_) => "payload",
                PayloadMessage::Transactions(_) => "transactions",
                PayloadMessage::Received(_) => "received",
                PayloadMessage::References(_) => "references",
                PayloadMessage::BatchRequest(_) => "batch-request",
            },
            Self::Sync(message) => match message {
                SyncMessage::BlockRequest(_) => "block-request",
                SyncMessage::Block(_) => "block",
                SyncMessage::RangeRequest(_) => "range-request",
                SyncMessage::Range(_) => "range",
                SyncMessage::ChangeRequest(_) => "change-request",
                SyncMessage::Change(_) => "change",
                SyncMessage::Evidence(_) => "evidence",
                SyncMessage::Execution(_) => "execution",
                SyncMessage::Attestation(_) => "attestation",
                SyncMessage::Approval(_) => "approval",
            },
        }
    }

    /// The view it is about, if it is about one.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        let Self::Consensus(message) = self else {
            return None;
        };
        match message {
            ConsensusMessage::Proposal(proposal) => Some(proposal.block.view),
            ConsensusMessage::Vote(vote) => Some(vote.statement.view),
            ConsensusMessage::CommitVote(vote) => Some(vote.statement.view),
            ConsensusMessage::Timeout(timeout) => Some(timeout.timeout.statement.view),
            ConsensusMessage::Certificate(justification) => Some(justification.view()),
            ConsensusMessage::EpochEnd(_) => None,
        }
    }

    /// Bytes of its body on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Consensus(message) => message.encode_size(),
            Self::Payload(message) => message.encode_size(),
            Self::Sync(message) => message.encode_size(),
        }
    }
}

/// Why a message did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The network dropped it.
    Chance,
    /// The two were cut off from each other.
    Cut,
    /// The receiver was down, or has died since it was sent.
    Down,
}

/// One thing that happened. Members are named by host number: the first committee is hosts 0, 1, ... in the order of its
/// members; [`Fact::Epoch`] says who sits where later.
#[derive(Clone, Debug)]
pub enum Fact {
    /// An epoch began somewhere for the first time: its committee, and the host of each member.
    Epoch {
        /// The committee.
        committee: Committee,
        /// Host of each member, in the order of its members.
        hosts: Vec<usize>,
    },
    /// A message left a host, after everything it rests on is durable. `number` counts the messages of the run.
    Sent {
        /// Who.
        from: usize,
        /// To whom; none is to all others.
        to: Option<usize>,
        /// What.
        message: Arc<Message>,
        /// Which of the run.
        number: u64,
    },
    /// A message arrived.
    Delivered {
        /// From whom.
        from: usize,
        /// At whom.
        to: usize,
        /// Which.
        number: u64,
    },
    /// A message will not arrive.
    Lost {
        /// From whom.
        from: usize,
        /// At whom it does not arrive.
        to: usize,
        /// Which.
        number: u64,
        /// Why.
        loss: Loss,
    },
    /// A member entered a view (R1).
    Entered {
        /// Who.
        member: usize,
        /// Of which epoch.
        epoch: u64,
        /// Which.
        view: View,
        /// Its leader.
        leader: usize,
        /// Whether the view before it timed out.
        by_timeout: bool,
        /// By what; none for the first view.
        entry: Option<Arc<Justification>>,
    },
    /// What a member's durable safety state is now.
    Durable {
        /// Who.
        member: usize,
        /// What.
        safety: Arc<SafetyState>,
    },
    /// A member's state after a step: what must never go back.
    Stepped {
        /// Who.
        member: usize,
        /// Of which epoch.
        epoch: u64,
        /// Its view.
        view: View,
        /// Rank of its highest certificate.
        high: View,
        /// Blocks, votes and payloads that it holds.
        held: usize,
    },
    /// A certificate that a member keeps as evidence (protocol section 6).
    Kept {
        /// Who.
        member: usize,
        /// What.
        justification: Arc<Justification>,
    },
    /// A block is final at a member and in its ledger.
    Committed {
        /// Who.
        member: usize,
        /// The block.
        record: Arc<BlockRecord>,
        /// What it orders.
        transactions: Arc<[TransactionId]>,
        /// The same in full; none if the world does not tell.
        payload: Option<Arc<Payload>>,
        /// Proof that it, or a block above it, is final. None if the member learned of it in a range whose proof it
        /// checked.
        certificate: Option<Arc<FinalityCertificate>>,
    },
    /// The last block of an epoch is final at a member (R13).
    EpochEnded {
        /// Who.
        member: usize,
        /// The proof.
        end: Arc<EpochEnd>,
    },
    /// A client handed in a transaction and the member took it.
    Accepted {
        /// Who took it.
        member: usize,
        /// Which.
        id: TransactionId,
        /// Whose.
        rollup: RollupId,
    },
    /// A client was told that its transaction is soft-final.
    Receipt {
        /// By whom.
        member: usize,
        /// Which.
        id: TransactionId,
        /// In which block.
        height: Height,
    },
    /// A member called a leader's proposal bad.
    Blamed {
        /// By whom.
        member: usize,
        /// Who.
        leader: usize,
        /// Why.
        reason: &'static str,
    },
    /// Signatures and certificates that a host checked for one message.
    Checked {
        /// Who.
        member: usize,
        /// For which message.
        number: u64,
        /// How many signatures.
        signatures: usize,
    },
    /// A host went down.
    Crashed {
        /// Who.
        member: usize,
        /// Whether it lost its whole disk.
        wiped: bool,
    },
    /// A host came up with what its disk held.
    Restarted {
        /// Who.
        member: usize,
        /// Whether it may sign nothing, for it cannot know what it signed before.
        mute: bool,
        /// Height of its ledger.
        height: Height,
    },
    /// The world did something to the members, in words, such as `partition m0 | m1 m2 m3`.
    Fault {
        /// What.
        what: String,
        /// It began, or it is over.
        begins: bool,
    },
    /// The storm is over: from now on these hosts are up and connected, and messages arrive within `delta`.
    Healed {
        /// Those who must make progress.
        live: Vec<usize>,
    },
    /// A member's code panicked.
    Panicked {
        /// Who.
        member: usize,
        /// With what message.
        reason: String,
    },
}

/// Sees everything that happens in a world. An error ends the run.
pub trait Observer {
    /// One thing happened.
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation>;

    /// Whether it needs [`Fact::Delivered`] and [`Fact::Lost`], which are many.
    fn wants_deliveries(&self) -> bool {
        false
    }
}

impl Observer for () {
    fn see(&mut self, _: Micros, _: &Fact) -> Result<(), Violation> {
        Ok(())
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.0.see(at, fact)?;
        self.1.see(at, fact)
    }

    fn wants_deliveries(&self) -> bool {
        self.0.wants_deliveries() || self.1.wants_deliveries()
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        (**self).see(at, fact)
    }

    fn wants_deliveries(&self) -> bool {
        (**self).wants_deliveries()
    }
}

impl<T: Observer> Observer for Option<T> {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.as_mut().map_or(Ok(()), |inner| inner.see(at, fact))
    }

    fn wants_deliveries(&self) -> bool {
        self.as_ref().is_some_and(Observer::wants_deliveries)
    }
}

/// What kind of promise was broken; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something that must never happen: exit code 10.
    Safety,
    /// Something that must happen did not: 11.
    Liveness,
    /// The guilty are not named, or the innocent are: 12.
    Accountability,
    /// Code panicked: 13.
    Panic,
    /// One seed, two runs: 14.
    Determinism,
}

impl Class {
    /// The exit code of `outrider sim`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Safety => 10,
            Self::Liveness => 11,
            Self::Accountability => 12,
            Self::Panic => 13,
            Self::Determinism => 14,
        }
    }
}

/// A broken promise, seen by a checker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{checker} at {}.{:06} s: {what}", at / 1_000_000, at % 1_000_000)]
pub struct Violation {
    /// Id of the checker: `S1` to `S13`, `L1` to `L5`, `R1` to `R3`, `D1` (docs/simulation.md).
    pub checker: &'static str,
    /// Its kind.
    pub class: Class,
    /// When.
    pub at: Micros,
    /// What, in words.
    pub what: String,
}
