//! Ours: the production replica, `outrider_consensus::Replica`, with what a driver does for it, answered at once.
//!
//! Payloads are valid when they are asked about, writes are durable when they are made, and blocks that are missed are
//! asked for by message, as every other protocol here does. Signatures are simulated
//! ([`SecretKey::simulated`]); their sizes are real. Limits and rules are those of docs/protocol.md; a
//! leader silent for `dead_after_views` views is skipped, as in production (R10).

use super::tree::Checked;
use super::{Outbox, Protocol, Setting, TIMER_GROWTH_MAX};
use crate::fact::Micros;
use outrider_consensus::{Action, Config, Input, Replica, Seat, Step, Writes};
use outrider_types::codec::EncodeSize as _;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, ChainId, Committee, CommitteeError, CommitteeId,
    ConsensusMessage, Epoch, FinalityCertificate, Justification, Member, MemberIndex, PayloadId,
    SafetyState, SecretKey, Stake, Timestamp, Verified, View,
};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

/// Chain id of these committees.
const CHAIN: ChainId = ChainId(7_777);
/// A question for a block or a range that was not answered after this many bounds failed.
const ANSWER_BOUNDS: u64 = 4;
/// Blocks in a range.
const RANGE_BLOCKS: u64 = 64;
/// Size of a question: kind, and a block or a height.
const ASK_BYTES: usize = 1 + 32;

/// What a consensus message is to those who get it: verified once, for all verify alike.
#[derive(Debug)]
pub struct Said {
    input: Input,
    /// Signatures of the statement itself.
    signatures: u64,
    /// The certificate that comes with it.
    certificate: Option<Attached>,
}

/// A certificate to check.
#[derive(Clone, Copy, Debug)]
struct Attached {
    view: View,
    block: BlockId,
    signatures: usize,
    /// The driver does not check a quorum certificate again that it holds, unless it proves finality too.
    checked_once: bool,
}

/// Final blocks in order, with the proof that the last of them is.
#[derive(Debug)]
pub struct Range {
    records: Vec<BlockRecord>,
    certificate: Verified<FinalityCertificate>,
}

/// What its members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// On the consensus channel.
    Consensus(Rc<Said>),
    /// A question for a block.
    Ask(BlockId),
    /// The answer.
    Give(Rc<Verified<BlockRecord>>),
    /// A question for final blocks above a height.
    AskRange(u64),
    /// The answer.
    GiveRange(Rc<Range>),
}

/// The committee of so many equal members, and their keys.
pub fn committee(members: usize) -> Result<(Committee, Vec<SecretKey>), CommitteeError> {
    let keys: Vec<SecretKey> = (0..members as u64).map(SecretKey::simulated).collect();
    let list = keys.iter().map(|key| Member {
        public_key: key.public_key(),
        stake: Stake(1),
    });
    let committee = Committee::simulated(CHAIN, Epoch(0), list.collect(), None)?;
    Ok((committee, keys))
}

/// A member: the replica, its disk, and its open questions.
#[derive(Debug)]
pub struct Outrider {
    setting: Setting,
    committee: Committee,
    replica: Replica,
    /// What the replica said when it was made.
    first: Option<Step>,
    base: Block,
    records: BTreeMap<BlockId, BlockRecord>,
    /// Final blocks, heights from 1.
    ledger: Vec<BlockRecord>,
    proofs: BTreeMap<u64, Verified<FinalityCertificate>>,
    /// Blocks asked for, and when to give up.
    fetching: BTreeMap<BlockId, Micros>,
    /// The height to reach, and when to ask again.
    catching_up: Option<(u64, Micros)>,
    questions: usize,
    checked: Checked,
    timed_out: View,
}

impl Outrider {
    /// A member of [`committee`] with an empty disk.
    #[must_use]
    pub fn new(setting: Setting, committee: &Committee, key: &SecretKey) -> Self {
        let base = Block::genesis(committee);
        let seat = Seat {
            member: index(setting.member),
            key: key.clone(),
        };
        let restored = outrider_consensus::Restored {
            root: base,
            safety: Verified::<SafetyState>::fresh(committee),
            blocks: Vec::new(),
            vote_left: true,
        };
        let timer = Duration::from_micros(setting.timer(1, 0));
        let config = Config {
            base_timeout: timer,
            timeout_cap: timer * u32::try_from(TIMER_GROWTH_MAX).unwrap_or(u32::MAX),
            ..Config::default()
        };
        let (replica, first) = Replica::new(
            config,
            committee.clone(),
            Some(seat),
            &base,
            restored,
            Timestamp(0),
        );
        Self {
            setting,
            committee: committee.clone(),
            replica,
            first: Some(first),
            base,
            records: BTreeMap::new(),
            ledger: Vec::new(),
            proofs: BTreeMap::new(),
            fetching: BTreeMap::new(),
            catching_up: None,
            questions: 0,
            checked: Checked::default(),
            timed_out: View(0),
        }
    }

    fn tell(&mut self, input: Input, now: Micros, out: &mut Outbox<Message>) {
        let step = self.replica.step(Timestamp(now), input);
        self.settle(step, now, out);
    }

    /// Do what a step asks for, and what comes of that.
    fn settle(&mut self, step: Step, now: Micros, out: &mut Outbox<Message>) {
        let mut answers = VecDeque::new();
        let mut step = step;
        loop {
            let Ok(actions) = step.persist_with(|writes| {
                self.write(writes);
                Ok::<(), Infallible>(())
            });
            for action in actions {
                self.act(action, now, &mut answers, out);
            }
            let Some(input) = answers.pop_front() else {
                return;
            };
            step = self.replica.step(Timestamp(now), input);
        }
    }

    fn write(&mut self, writes: &Writes) {
        for record in &writes.records {
            self.records.insert(record.block.id(), record.clone());
        }
    }

    fn act(
        &mut self,
        action: Action,
        now: Micros,
        answers: &mut VecDeque<Input>,
        out: &mut Outbox<Message>,
    ) {
        match action {
            Action::Broadcast { message } => {
                self.announce(&message, out);
                let bytes = message.encode_size();
                if let Some(said) = open(message, &self.committee) {
                    out.broadcast(Message::Consensus(Rc::new(said)), bytes);
                }
            }
            Action::Send { to, message } => {
                let bytes = message.encode_size();
                if let Some(said) = open(message, &self.committee) {
                    out.send(to.index(), Message::Consensus(Rc::new(said)), bytes);
                }
            }
            Action::CheckPayload { block } => answers.push_back(Input::PayloadChecked {
                block: block.id(),
                valid: true,
            }),
            Action::Assemble {
                view,
                parent,
                after,
                ..
            } => answers.push_back(Input::Assembled {
                view,
                parent,
                timestamp: Timestamp(now.max(after.0 + 1)),
                content: outrider_types::Content {
                    payload: PayloadId(sha256(&[b"empty", &view.0.to_be_bytes()])),
                    roots: outrider_types::Roots::NONE,
                    origin: outrider_types::Origin::NONE,
                    next: CommitteeId::NONE,
                },
            }),
            Action::Fetch { block, from } => self.fetch(block, &from, now, out),
            Action::CatchUp { to } => {
                self.catching_up = Some((to.0, now));
                self.ask_range(now, out);
            }
            Action::Commit {
                blocks,
                certificate,
                ..
            } => self.append(blocks, certificate, out),
            Action::Entered { .. } | Action::BadProposal { .. } => {}
        }
    }

    /// Count what a broadcast is.
    fn announce(&mut self, message: &ConsensusMessage, out: &mut Outbox<Message>) {
        match message {
            ConsensusMessage::Proposal(proposal) => {
                out.signed += 1;
                out.proposed.push(proposal.block.id());
            }
            ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_) => out.signed += 1,
            ConsensusMessage::Timeout(timeout) => {
                // What is sent again was not signed again.
                let view = timeout.timeout.statement.view;
                if view > self.timed_out {
                    self.timed_out = view;
                    out.signed += 1;
                    out.timeouts += 1;
                }
            }
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {}
        }
    }

    fn append(
        &mut self,
        blocks: Vec<BlockRecord>,
        certificate: Verified<FinalityCertificate>,
        out: &mut Outbox<Message>,
    ) {
        for record in blocks {
            let (height, id) = (record.block.height.0, record.block.id());
            out.commits.push((height, id));
            self.records.remove(&id);
            self.ledger.push(record);
        }
        self.proofs.insert(self.height(), certificate);
    }

    const fn height(&self) -> u64 {
        self.ledger.len() as u64
    }

    fn patience(&self) -> Micros {
        self.setting.bound * ANSWER_BOUNDS
    }

    fn fetch(
        &mut self,
        block: BlockId,
        from: &[MemberIndex],
        now: Micros,
        out: &mut Outbox<Message>,
    ) {
        self.questions += 1;
        let others = from.iter().filter(|one| one.index() != self.setting.member);
        let turn = self.questions % from.len().max(1);
        let whom = others.clone().cycle().nth(turn);
        self.fetching.insert(block, now + self.patience());
        if let Some(whom) = whom {
            out.send(whom.index(), Message::Ask(block), ASK_BYTES);
        }
    }

    /// Ask the next member for final blocks.
    fn ask_range(&mut self, now: Micros, out: &mut Outbox<Message>) {
        let Some((to, _)) = self.catching_up else {
            return;
        };
        if self.height() >= to || self.setting.members < 2 {
            self.catching_up = None;
            return;
        }
        self.catching_up = Some((to, now + self.patience()));
        self.questions += 1;
        let step = 1 + self.questions % (self.setting.members - 1);
        let whom = (self.setting.member + step) % self.setting.members;
        out.send(whom, Message::AskRange(self.height()), ASK_BYTES);
    }

    fn on_ask(&self, block: BlockId, to: usize, out: &mut Outbox<Message>) {
        let of_ledger = || {
            let mut ledger = self.ledger.iter().rev();
            ledger.find(|record| record.block.id() == block)
        };
        let record = self.records.get(&block).or_else(of_ledger).cloned();
        let record = record.or_else(|| self.replica.record(block));
        if let Some(record) = record {
            let bytes = 1 + record.encode_size();
            if let Ok(record) = record.verify(&self.committee) {
                out.send(to, Message::Give(Rc::new(record)), bytes);
            }
        }
    }

    fn on_ask_range(&self, above: u64, to: usize, out: &mut Outbox<Message>) {
        let within = above + 1..=above + RANGE_BLOCKS;
        let Some((last, certificate)) = self.proofs.range(within).next_back() else {
            return;
        };
        let records: Vec<BlockRecord> = (above..*last)
            .filter_map(|at| self.ledger.get(usize::try_from(at).ok()?).cloned())
            .collect();
        let bytes = certificate.encode_size()
            + records
                .iter()
                .map(|record| record.encode_size())
                .sum::<usize>();
        let certificate = certificate.clone();
        let range = Range {
            records,
            certificate,
        };
        out.send(to, Message::GiveRange(Rc::new(range)), 1 + bytes);
    }

    fn on_range(&mut self, range: &Range, now: Micros, out: &mut Outbox<Message>) {
        let tip = self.ledger.last().map_or(self.base, |record| record.block);
        let fits = range
            .records
            .first()
            .is_some_and(|first| first.block.parent == tip.id());
        let Some(last) = range.records.last().filter(|_| fits) else {
            return;
        };
        let block = last.block;
        out.verified += match &*range.certificate {
            FinalityCertificate::Fast(votes) => votes.signatures.len() as u64,
            FinalityCertificate::Slow(votes) => votes.signatures.len() as u64,
        };
        self.append(range.records.clone(), range.certificate.clone(), out);
        let certificate = range.certificate.clone();
        self.tell(Input::CaughtUp { block, certificate }, now, out);
        self.ask_range(now, out);
    }

    fn on_consensus(&mut self, said: &Said, now: Micros, out: &mut Outbox<Message>) {
        out.verified += said.signatures;
        if let Some(attached) = said.certificate {
            let Attached {
                view,
                block,
                signatures,
                checked_once,
            } = attached;
            let cost = self.checked.cost(view.0, block, signatures);
            out.verified += if checked_once {
                cost
            } else {
                signatures as u64
            };
        }
        self.tell(said.input.clone(), now, out);
        // What it made itself it need not check.
        let safety = self.replica.safety();
        if let Some(block) = safety.high_block() {
            self.checked.cost(safety.high_rank().0, block, 0);
        }
    }
}

impl Protocol for Outrider {
    type Message = Message;

    fn start(&mut self, now: Micros, out: &mut Outbox<Message>) {
        if let Some(first) = self.first.take() {
            self.settle(first, now, out);
        }
    }

    fn receive(&mut self, now: Micros, from: usize, message: &Message, out: &mut Outbox<Message>) {
        match message {
            Message::Consensus(said) => self.on_consensus(said, now, out),
            Message::Ask(block) => self.on_ask(*block, from, out),
            Message::Give(record) => {
                if self.fetching.remove(&record.block.id()).is_some() {
                    let record = Verified::clone(record);
                    self.tell(Input::Block { record }, now, out);
                }
            }
            Message::AskRange(above) => self.on_ask_range(*above, from, out),
            Message::GiveRange(range) => self.on_range(range, now, out),
        }
    }

    fn wake(&mut self, now: Micros, out: &mut Outbox<Message>) {
        let late: Vec<BlockId> = self
            .fetching
            .iter()
            .filter(|(_, deadline)| now >= **deadline)
            .map(|(block, _)| *block)
            .collect();
        for block in late {
            self.fetching.remove(&block);
            self.tell(Input::FetchFailed { block }, now, out);
        }
        if self
            .catching_up
            .is_some_and(|(_, deadline)| now >= deadline)
        {
            self.ask_range(now, out);
        }
        self.tell(Input::Wake, now, out);
    }

    fn wake_at(&self) -> Option<Micros> {
        let replica = self.replica.wake_at().map(|at| at.0);
        let fetching = self.fetching.values().copied();
        let catching_up = self.catching_up.map(|(_, deadline)| deadline);
        fetching.chain(replica).chain(catching_up).min()
    }

    fn view(&self) -> u64 {
        self.replica.view().0
    }
}

fn index(member: usize) -> MemberIndex {
    MemberIndex(u16::try_from(member).unwrap_or(u16::MAX))
}

/// What a driver does with a message: verify it, or drop it.
fn open(message: ConsensusMessage, committee: &Committee) -> Option<Said> {
    let (signatures, certificate) = match &message {
        ConsensusMessage::Proposal(proposal) => {
            let attached = proposal.justification.as_ref();
            (1, attached.map(|all| attached_of(all, committee)))
        }
        ConsensusMessage::Timeout(timeout) => {
            let high = timeout.high.as_ref();
            (1, high.map(|high| certificate_of(high, committee)))
        }
        ConsensusMessage::Certificate(all) => (0, Some(attached_of(all, committee))),
        _ => (1, None),
    };
    let input = match message {
        ConsensusMessage::Proposal(proposal) => Input::Proposal {
            proposal: proposal.verify(committee).ok()?.0,
        },
        ConsensusMessage::Vote(vote) => Input::Vote {
            vote: vote.verify(committee).ok()?,
        },
        ConsensusMessage::CommitVote(vote) => Input::CommitVote {
            vote: vote.verify(committee).ok()?,
        },
        ConsensusMessage::Timeout(timeout) => Input::Timeout {
            timeout: timeout.verify(committee).ok()?,
        },
        ConsensusMessage::Certificate(justification) => Input::Certificate {
            justification: justification.verify(committee).ok()?,
        },
        // These epochs do not end.
        ConsensusMessage::EpochEnd(_) => return None,
    };
    Some(Said {
        input,
        signatures,
        certificate,
    })
}

fn certificate_of(certificate: &Certificate, committee: &Committee) -> Attached {
    let fast = committee.thresholds().fast;
    let (signatures, checked_once) = match certificate {
        Certificate::Quorum(votes) => (
            votes.signatures.len(),
            votes.stake(committee).is_ok_and(|stake| stake < fast),
        ),
        Certificate::Commit(votes) => (votes.signatures.len(), false),
        Certificate::Adopting(adopting) => (adopting.timeouts.entries.len(), false),
    };
    Attached {
        view: certificate.rank(),
        block: certificate.block(),
        signatures,
        checked_once,
    }
}

fn attached_of(justification: &Justification, committee: &Committee) -> Attached {
    match justification {
        Justification::Certificate(certificate) => certificate_of(certificate, committee),
        Justification::Timeout(timeout) => {
            let high = timeout
                .high
                .as_ref()
                .map(|high| certificate_of(high, committee));
            Attached {
                view: justification.view(),
                block: BlockId([0xff; 32]),
                signatures: timeout.timeouts.entries.len() + high.map_or(0, |high| high.signatures),
                checked_once: false,
            }
        }
    }
}
