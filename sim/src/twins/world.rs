//! One run of one scenario: production replicas in lockstep, every message takes one tick.

use super::plan::{Plan, Turn};
use super::rounds::{Rounds, bits};
use super::watch::Watch;
use crate::fact::{Class, Micros, Violation};
use outrider_consensus::{Action, Config, Input, Replica, Restored, Seat, Step};
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, ChainId, Committee, CommitteeError, CommitteeId,
    ConsensusMessage, Epoch, FinalityCertificate, Justification, Member, MemberIndex, PayloadId,
    SafetyState, SecretKey, Stake, Timestamp, Verified, View,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// One-way delay.
const TICK: Micros = 1_000;
/// Timer of a view in ticks: ten delays, as a block takes three, a new view one more, and the help of R1 two.
const TIMER: u64 = 10;
/// When nobody entered a view or committed for so many ticks, nobody can: timers have fired and timeouts have arrived.
const STUCK: u64 = TIMER + 6;
/// Ticks from when all is connected until every honest member has committed again.
const RESUME_MAX: u64 = 40 * TIMER;
/// Ticks until then, per view of the plan.
const VIEW_TICKS_MAX: u64 = 4 * TIMER;
/// A block that is asked for comes after a round trip, or it is known not to come after this.
const FETCH: u64 = 2;
const FETCH_FAILS: u64 = 5;
/// Later events than this there are none.
const AHEAD_MAX: usize = 8;
/// Deliveries of one run; no run comes near it.
const DELIVERIES_MAX: u64 = 200_000;
/// Inputs that one event may lead to at one instance, for payloads are assembled and checked at once.
const ANSWERS_MAX: usize = 4_096;

/// What a scenario came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The promise that was broken.
    pub violation: Option<Violation>,
    /// Blocks final before everything was connected.
    pub committed: u64,
    /// Offences that the two instances of a member signed together.
    pub offences: u64,
    /// Views that an honest member entered by timeouts that adopt a block.
    pub adopted: u64,
    /// Before the last round was over, nobody could move any more.
    pub stuck: bool,
    /// Messages delivered.
    pub deliveries: u64,
}

/// What runs share: keys, and a committee for each ring.
#[derive(Debug)]
pub struct Stage {
    members: usize,
    keys: Vec<SecretKey>,
    committee: Committee,
    rings: BTreeMap<Vec<MemberIndex>, Committee>,
}

impl Stage {
    /// For scenarios of so many equal members, with the largest safe f.
    pub fn new(members: usize) -> Result<Self, CommitteeError> {
        let keys: Vec<SecretKey> = (0..members as u64).map(SecretKey::simulated).collect();
        let list = keys.iter().map(|key| Member {
            public_key: key.public_key(),
            stake: Stake(1),
        });
        let committee = Committee::simulated(ChainId(7_777), Epoch(0), list.collect(), None)?;
        Ok(Self {
            members,
            keys,
            committee,
            rings: BTreeMap::new(),
        })
    }

    /// Run a scenario, which must be of as many members. The same scenario gives the same outcome.
    pub fn run(&mut self, rounds: &Rounds) -> Result<Outcome, CommitteeError> {
        assert_eq!(rounds.members, self.members, "a stage is for its members");
        let plan = Plan::new(rounds);
        let committee = match self.rings.get(&plan.ring) {
            Some(known) => known.clone(),
            None => {
                let committee = self.committee.with_ring(plan.ring.clone())?;
                self.rings.insert(plan.ring.clone(), committee.clone());
                committee
            }
        };
        let keys = &self.keys;
        let run = AssertUnwindSafe(|| World::new(rounds, plan, committee, keys).run());
        Ok(catch_unwind(run).unwrap_or_else(|_| Outcome {
            violation: Some(Violation {
                checker: "R2",
                class: Class::Panic,
                at: 0,
                what: "an instance panicked; the message is on standard error".to_owned(),
            }),
            ..Outcome::default()
        }))
    }
}

#[derive(Debug)]
struct Instance {
    replica: Replica,
    view: View,
    /// Final blocks and the proof of the last, for those who ask.
    ledger: BTreeMap<BlockId, BlockRecord>,
    proof: Option<(Block, Verified<FinalityCertificate>)>,
    wake: u64,
}

#[derive(Clone, Debug)]
enum Event {
    Deliver {
        to: u16,
        input: Arc<Input>,
    },
    Fetched {
        to: usize,
        record: Option<Box<Verified<BlockRecord>>>,
        block: BlockId,
    },
}

struct World<'a> {
    rounds: &'a Rounds,
    plan: Plan,
    committee: Committee,
    instances: Vec<Instance>,
    /// By tick modulo its length.
    buckets: Vec<Vec<Event>>,
    tick: u64,
    /// All is connected from now on.
    healed: bool,
    /// When someone last entered a view or committed.
    moved: u64,
    watch: Watch,
    outcome: Outcome,
    fault: Option<(&'static str, Class, String)>,
}

impl<'a> World<'a> {
    fn new(rounds: &'a Rounds, plan: Plan, committee: Committee, keys: &[SecretKey]) -> Self {
        let base = Block::genesis(&committee);
        let timer = Duration::from_micros(TIMER * TICK);
        let config = Config {
            base_timeout: timer,
            timeout_cap: timer,
            dead_after_views: 0,
        };
        let count = rounds.instances();
        let honest = (rounds.twins..rounds.members).fold(0, |set: u16, at| set | 1 << at);
        let mut world = Self {
            rounds,
            plan,
            instances: Vec::with_capacity(count),
            buckets: vec![Vec::new(); AHEAD_MAX],
            tick: 0,
            healed: false,
            moved: 0,
            watch: Watch::new(count, rounds.members, honest),
            outcome: Outcome::default(),
            fault: None,
            committee,
        };
        let mut first = Vec::with_capacity(count);
        for at in 0..count {
            let member = rounds.member_of(at);
            let seat = Seat {
                member: MemberIndex(u16::try_from(member).unwrap_or_default()),
                key: keys[member].clone(),
            };
            let restored = Restored {
                root: base,
                safety: Verified::<SafetyState>::fresh(&world.committee),
                blocks: Vec::new(),
                vote_left: true,
            };
            let committee = world.committee.clone();
            let (replica, step) =
                Replica::new(config, committee, Some(seat), &base, restored, Timestamp(0));
            world.instances.push(Instance {
                replica,
                view: View(1),
                ledger: BTreeMap::new(),
                proof: None,
                wake: 0,
            });
            first.push(step);
        }
        for (at, step) in first.into_iter().enumerate() {
            world.settle(at, step);
        }
        world
    }

    fn honest(&self) -> std::ops::Range<usize> {
        self.rounds.twins..self.rounds.members
    }

    fn run(mut self) -> Outcome {
        let limit = self.plan.turns.len() as u64 * VIEW_TICKS_MAX;
        while self.fault.is_none() {
            if self.left_the_rounds() {
                break;
            }
            if self.tick > self.moved + STUCK || self.tick > limit {
                self.outcome.stuck = true;
                break;
            }
            self.advance();
        }
        self.healed = true;
        let height = self.watch.height() as u64;
        self.outcome.committed = height;
        let deadline = self.tick + RESUME_MAX;
        while self.fault.is_none() {
            let mut honest = self.honest();
            if honest.all(|at| self.instances[at].replica.committed().height.0 > height) {
                break;
            }
            if self.tick > deadline {
                let what = format!(
                    "an honest member committed nothing above height {height} within {} timers of when all was connected",
                    RESUME_MAX / TIMER
                );
                self.fault = Some(("L1", Class::Liveness, what));
                break;
            }
            self.advance();
        }
        self.outcome.offences = self.watch.offences;
        self.outcome.violation = self.fault.map(|(checker, class, what)| Violation {
            checker,
            class,
            at: self.tick * TICK,
            what,
        });
        self.outcome
    }

    fn left_the_rounds(&self) -> bool {
        let last = self.plan.last();
        self.instances.iter().all(|instance| instance.view > last)
    }

    /// To the next tick at which something is due.
    fn advance(&mut self) {
        let wake = self.instances.iter().map(|instance| instance.wake).min();
        let wake = wake.unwrap_or(u64::MAX);
        let near = (self.tick + 1..).take(AHEAD_MAX - 1);
        let event = near
            .into_iter()
            .find(|tick| !self.buckets[Self::bucket(*tick)].is_empty());
        self.tick = event.unwrap_or(u64::MAX).min(wake).max(self.tick + 1);
        let mut due = std::mem::take(&mut self.buckets[Self::bucket(self.tick)]);
        for event in due.drain(..) {
            match event {
                Event::Deliver { to, input } => {
                    for to in bits(to) {
                        self.outcome.deliveries += 1;
                        self.step(to, (*input).clone());
                    }
                }
                Event::Fetched { to, record, block } => self.step(
                    to,
                    record.map_or(Input::FetchFailed { block }, |record| Input::Block {
                        record: *record,
                    }),
                ),
            }
        }
        // Nothing is due a whole round of buckets ahead, so the list is free to be used again.
        self.buckets[Self::bucket(self.tick)] = due;
        for at in 0..self.instances.len() {
            if self.instances[at].wake <= self.tick {
                self.step(at, Input::Wake);
            }
        }
        if self.outcome.deliveries > DELIVERIES_MAX {
            let what = "messages beget messages".to_owned();
            self.fault = Some(("R1", Class::Liveness, what));
        }
    }

    fn bucket(tick: u64) -> usize {
        usize::try_from(tick % AHEAD_MAX as u64).unwrap_or_default()
    }

    fn later(&mut self, ticks: u64, event: Event) {
        assert!(ticks > 0 && ticks < AHEAD_MAX as u64, "soon, but not now");
        self.buckets[Self::bucket(self.tick + ticks)].push(event);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.tick * TICK)
    }

    fn step(&mut self, at: usize, input: Input) {
        if self.fault.is_some() {
            return;
        }
        let now = self.now();
        let step = self.instances[at].replica.step(now, input);
        self.settle(at, step);
    }

    /// Do what a step asks for, and what the answers ask for, until nothing is left to do now.
    fn settle(&mut self, at: usize, step: Step) {
        let mut answers = Vec::new();
        self.act_all(at, step, &mut answers);
        let mut next = 0;
        while let Some(input) = answers.get(next).cloned() {
            next += 1;
            assert!(next < ANSWERS_MAX, "answers come to an end");
            let now = self.now();
            let step = self.instances[at].replica.step(now, input);
            self.act_all(at, step, &mut answers);
        }
        let instance = &mut self.instances[at];
        instance.wake = instance
            .replica
            .wake_at()
            .map_or(u64::MAX, |due| due.0.div_ceil(TICK).max(self.tick + 1));
    }

    fn act_all(&mut self, at: usize, step: Step, answers: &mut Vec<Input>) {
        let written: Result<Vec<Action>, Infallible> = step.persist_with(|_| Ok(()));
        let Ok(actions) = written;
        for action in actions {
            self.act(at, action, answers);
        }
    }

    fn act(&mut self, at: usize, action: Action, answers: &mut Vec<Input>) {
        match action {
            Action::Broadcast { message } => self.say(at, None, message),
            Action::Send { to, message } => self.say(at, Some(to), message),
            Action::CheckPayload { block } => answers.push(Input::PayloadChecked {
                block: block.id(),
                valid: true,
            }),
            Action::Assemble {
                view,
                parent,
                after,
                ..
            } => {
                if self.proposes(at, view) {
                    answers.push(self.assembled(at, view, parent, after));
                }
            }
            Action::Fetch { block, from } => self.fetch(at, block, &from),
            Action::CatchUp { .. } => self.catch_up(at, answers),
            Action::Commit {
                blocks,
                certificate,
                ..
            } => self.commit(at, blocks, certificate),
            Action::Entered { view, .. } => self.entered(at, view),
            Action::BadProposal { leader, reason, .. } => {
                if self.honest().contains(&leader.index()) && self.honest().contains(&at) {
                    let what = format!("honest leader {leader} was called bad: {reason}");
                    self.fault = Some(("S5", Class::Safety, what));
                }
            }
        }
    }

    fn entered(&mut self, at: usize, view: View) {
        let honest = self.honest().contains(&at);
        let instance = &mut self.instances[at];
        instance.view = view;
        self.moved = self.tick;
        if honest
            && let Some(Justification::Certificate(entry)) = &instance.replica.safety().entry
            && matches!(entry, Certificate::Adopting(_))
        {
            self.outcome.adopted += 1;
        }
    }

    /// Whether an instance has something to propose in a view.
    fn proposes(&self, at: usize, view: View) -> bool {
        match self.plan.turn(view) {
            Turn::Round(round) => self.rounds.list[round].leaders >> at & 1 == 1,
            Turn::Idle(_) => false,
            Turn::After => true,
        }
    }

    /// A payload that no other instance has in any view.
    fn assembled(&self, at: usize, view: View, parent: BlockId, after: Timestamp) -> Input {
        let mut payload = [0; 32];
        payload[..8].copy_from_slice(&view.0.to_be_bytes());
        payload[8..16].copy_from_slice(&(at as u64).to_be_bytes());
        payload[16..].copy_from_slice(&parent.0[..16]);
        Input::Assembled {
            view,
            parent,
            timestamp: self.now().max(Timestamp(after.0 + 1)),
            content: outrider_types::Content {
                payload: PayloadId(payload),
                roots: outrider_types::Roots::NONE,
                origin: outrider_types::Origin::NONE,
                next: CommitteeId::NONE,
            },
        }
    }

    /// Whom an instance reaches with a message of a view, itself not among them.
    fn reaches(&self, at: usize, view: View) -> u16 {
        let others = !(1 << at) & ((1_u32 << self.instances.len()) - 1) as u16;
        if self.healed {
            return others;
        }
        match self.plan.turn(view) {
            Turn::Round(round) | Turn::Idle(round) => self.rounds.list[round].reaches(at) & others,
            Turn::After => others,
        }
    }

    fn say(&mut self, at: usize, to: Option<MemberIndex>, message: ConsensusMessage) {
        if let Err(what) = self.watch.says(at, &message) {
            self.fault = Some(("S5", Class::Safety, what));
            return;
        }
        let view = match &message {
            ConsensusMessage::Proposal(proposal) => proposal.block.view,
            ConsensusMessage::Vote(vote) => vote.view,
            ConsensusMessage::CommitVote(vote) => vote.view,
            ConsensusMessage::Timeout(timeout) => timeout.timeout.view,
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {
                self.instances[at].replica.view()
            }
        };
        let mut receivers = self.reaches(at, view);
        if let Some(to) = to {
            receivers &= self.rounds.instances_of(to.index());
        }
        if receivers == 0 {
            return;
        }
        match open(message, &self.committee) {
            Some(input) => {
                let input = Arc::new(input);
                let to = receivers;
                self.later(1, Event::Deliver { to, input });
            }
            None => {
                let what = format!("instance {at} said what does not verify");
                self.fault = Some(("S7", Class::Safety, what));
            }
        }
    }

    fn fetch(&mut self, at: usize, block: BlockId, from: &[MemberIndex]) {
        let reached = self.reaches(at, self.instances[at].replica.view());
        let asked = from.iter().fold(0, |set, member| {
            set | self.rounds.instances_of(member.index())
        });
        let record = bits(reached & asked).find_map(|holder| {
            let holder = &self.instances[holder];
            let held = holder.replica.record(block);
            held.or_else(|| holder.ledger.get(&block).cloned())
        });
        let record = record.and_then(|record| record.verify(&self.committee).ok());
        let record = record.map(Box::new);
        let ticks = if record.is_some() { FETCH } else { FETCH_FAILS };
        let to = at;
        self.later(ticks, Event::Fetched { to, record, block });
    }

    /// A range of final blocks from whoever is reached and furthest.
    fn catch_up(&mut self, at: usize, answers: &mut Vec<Input>) {
        let reached = self.reaches(at, self.instances[at].replica.view());
        let proofs = bits(reached).filter_map(|holder| {
            let proof = self.instances[holder].proof.clone();
            proof.map(|proof| (holder, proof))
        });
        let Some((holder, (block, certificate))) =
            proofs.max_by_key(|(_, (block, _))| block.height)
        else {
            return;
        };
        let root = *self.instances[at].replica.committed();
        let ledger = self.instances[holder].ledger.clone();
        let mut missing: Vec<BlockRecord> = ledger
            .values()
            .filter(|record| record.block.height > root.height)
            .cloned()
            .collect();
        missing.sort_by_key(|record| record.block.height);
        if block.height > root.height {
            self.commit(at, missing, certificate.clone());
            answers.push(Input::CaughtUp { block, certificate });
        }
    }

    fn commit(
        &mut self,
        at: usize,
        blocks: Vec<BlockRecord>,
        certificate: Verified<FinalityCertificate>,
    ) {
        self.moved = self.tick;
        for record in blocks {
            if let Err((checker, what)) = self.watch.commits(at, &record.block) {
                self.fault = Some((checker, Class::Safety, what));
                return;
            }
            let instance = &mut self.instances[at];
            instance.proof = Some((record.block, certificate.clone()));
            instance.ledger.insert(record.block.id(), record);
        }
    }
}

/// Verify strictly, as a driver does.
fn open(message: ConsensusMessage, committee: &Committee) -> Option<Input> {
    Some(match message {
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
        ConsensusMessage::EpochEnd(_) => return None,
    })
}

#[cfg(test)]
mod tests;
