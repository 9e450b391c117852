//! A committee of replicas over an event heap keyed by (time, seeded tie, sequence).

use super::disk::Disk;
use super::link::{Link, Packet};
use super::log::{Arithmetic, Log};
use super::open;
use super::rng::{Rng, mix};
use outrider_consensus::{Action, Config, Input, Replica, Seat, Step};
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, CommitVote, Committee, CommitteeId, ConsensusMessage, EpochEnd, MemberIndex,
    PayloadId, SecretKey, Signed, Timeout, TimeoutMessage, Timestamp, View, Vote, testing,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Timer base of the worlds, in microseconds.
pub const BASE: u64 = 100_000;
/// Longest timer.
pub const CAP: u64 = 800_000;

/// Timers of the worlds; a leader silent for a turn of eight views is skipped.
pub fn config() -> Config {
    Config {
        base_timeout: Duration::from_micros(BASE),
        timeout_cap: Duration::from_micros(CAP),
        dead_after_views: 8,
    }
}

/// No run of these tests comes near this many; a rule that answers itself does.
const MESSAGES_MAX: u64 = 200_000;

/// A member, named by its deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Honest,
    /// Says nothing.
    Silent,
    /// Two replicas with one key, each heard by half of the others: proposes, votes and times out twice.
    Equivocator(u64),
    /// Its payloads reach only some, and it forwards no certificate.
    Withholder,
    /// Its votes and commit votes reach one member of a view only.
    SelectiveVoter,
    /// Its timeouts hide its vote and its certificate.
    Liar,
    /// Votes and commit-votes for whatever it hears of, and times out beside.
    DoubleVoter,
    /// Honest, but without a seat: it follows and signs nothing.
    Mute,
}

impl Kind {
    /// What it commits is checked.
    pub const fn follows(self) -> bool {
        matches!(self, Self::Honest | Self::Mute)
    }
}

#[derive(Debug)]
pub struct Node {
    pub member: usize,
    pub kind: Kind,
    pub replica: Option<Replica>,
    pub disk: Disk,
    /// The epoch it is in.
    pub epoch: u64,
    /// A member of a later epoch was heard, and a range asked for.
    pub(super) behind: bool,
    /// Crashes and epochs so far; what was scheduled for an earlier life is void.
    pub(super) life: u64,
    pub(super) wake: Option<u64>,
    pub(super) view: u64,
    /// When it entered which view, and whether by a timeout.
    pub entered: Vec<(u64, u64, bool)>,
    /// When it committed which height, and whether fast.
    pub commits: Vec<(u64, u64, bool)>,
    /// When it first broadcast a proposal of a view.
    pub proposals: Vec<(u64, u64)>,
    seen: BTreeSet<(u64, BlockId)>,
    fails_next_write: bool,
}

#[derive(Clone)]
pub(super) enum Event {
    /// What was said in an epoch.
    Deliver(u64, Input),
    /// The proof that an epoch is over, by the driver (R13).
    End(EpochEnd),
    Answer(Input),
    Wake,
    Payload(Block),
    Fetch(BlockId, Vec<MemberIndex>, u32),
    CatchUp(u64),
    Restart,
}

/// Delays of the local answers, in microseconds, as ranges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local {
    pub payload: (u64, u64),
    pub assemble: (u64, u64),
    pub fetch: (u64, u64),
}

/// Time, seeded tie, sequence.
type Due = (u64, u64, u64);
/// For which node, in which of its lives, what.
type Scheduled = (usize, Option<u64>, Event);

pub struct World {
    pub seed: u64,
    pub now: u64,
    pub config: Config,
    /// The committee of the first epoch.
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
    /// The genesis block.
    pub base: Block,
    pub nodes: Vec<Node>,
    pub link: Link,
    pub local: Local,
    pub log: Log,
    pub arithmetic: Arithmetic,
    /// Chance in a thousand that a step with a write ends in a crash.
    pub crash_permille: u64,
    heap: BTreeMap<Due, Scheduled>,
    sequence: u64,
    pub(super) rng: Rng,
    pub(super) proofs_checked: BTreeSet<BlockId>,
    pub messages: u64,
}

impl World {
    /// Members in the order of `kinds`; an equivocator is two replicas.
    pub fn new(seed: u64, stakes: &[u64], kinds: &[Kind], link: Link, local: Local) -> Self {
        Self::with(seed, stakes, kinds, link, local, (0, config()))
    }

    /// With epochs of so many heights (0: one that never ends), and these timers.
    pub fn with(
        seed: u64,
        stakes: &[u64],
        kinds: &[Kind],
        link: Link,
        local: Local,
        (epoch_blocks, config): (u64, Config),
    ) -> Self {
        let (committee, keys) = testing::committee(stakes);
        let committee = committee.with_epoch_blocks(epoch_blocks);
        let honest = (0..stakes.len())
            .filter(|member| kinds[*member].follows())
            .collect();
        let mut nodes = Vec::new();
        for (member, kind) in kinds.iter().enumerate() {
            let sides = match kind {
                Kind::Equivocator(_) => vec![Kind::Equivocator(0), Kind::Equivocator(1)],
                other => vec![*other],
            };
            nodes.extend(sides.into_iter().map(|kind| Node {
                member,
                kind,
                replica: None,
                disk: Disk::default(),
                epoch: 0,
                behind: false,
                life: 0,
                wake: None,
                view: 0,
                entered: Vec::new(),
                commits: Vec::new(),
                proposals: Vec::new(),
                seen: BTreeSet::new(),
                fails_next_write: false,
            }));
        }
        let base = Block::genesis(&committee);
        let mut world = Self {
            seed,
            now: 1_000_000,
            config,
            committee,
            keys,
            base,
            nodes,
            link,
            local,
            log: Log::new(stakes, honest),
            arithmetic: Arithmetic::of(stakes),
            crash_permille: 0,
            heap: BTreeMap::new(),
            sequence: 0,
            rng: Rng::new(seed),
            proofs_checked: BTreeSet::new(),
            messages: 0,
        };
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world
    }

    pub fn honest(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|node| self.nodes[*node].kind == Kind::Honest)
            .collect()
    }

    /// The lowest and the highest ledger of the honest members.
    pub fn heights(&self) -> (u64, u64) {
        let heights = || {
            self.honest()
                .into_iter()
                .map(|node| self.nodes[node].disk.height())
        };
        (heights().min().unwrap(), heights().max().unwrap())
    }

    pub fn run_until(&mut self, end: u64) {
        while let Some(entry) = self.heap.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _, _), (node, life, event)) = entry.remove_entry();
            self.now = at;
            self.handle(node, life, event);
        }
        self.now = end;
    }

    /// Run until every honest member has committed this height; false if `end` comes first.
    pub fn run_until_height(&mut self, height: u64, end: u64) -> bool {
        while self.heights().0 < height {
            if self.now >= end {
                return false;
            }
            self.run_until((self.now + 10_000).min(end));
        }
        true
    }

    fn schedule(&mut self, at: u64, node: usize, life: Option<u64>, event: Event) {
        assert!(at >= self.now, "time does not go back");
        self.sequence += 1;
        let key = (at, self.rng.next(), self.sequence);
        self.heap.insert(key, (node, life, event));
    }

    pub(super) fn later(&mut self, node: usize, range: (u64, u64), event: Event) {
        let at = self.now + self.rng.between(range.0, range.1);
        let life = self.nodes[node].life;
        self.schedule(at, node, Some(life), event);
    }

    fn handle(&mut self, node: usize, life: Option<u64>, event: Event) {
        if life.is_some_and(|life| life != self.nodes[node].life) {
            return;
        }
        if matches!(event, Event::Restart) {
            self.start(node);
            return;
        }
        if self.nodes[node].replica.is_none() {
            return;
        }
        match event {
            Event::Deliver(epoch, input) => {
                if !self.of_this_epoch(node, epoch, &input) {
                    return;
                }
                if self.nodes[node].kind == Kind::DoubleVoter {
                    self.double_vote(node, &input);
                }
                self.step(node, input);
            }
            Event::End(end) => self.hear_end(node, end),
            Event::Answer(input) => self.step(node, input),
            Event::Wake => {
                if self.nodes[node].wake == Some(self.now) {
                    self.nodes[node].wake = None;
                    self.step(node, Input::Wake);
                }
            }
            Event::Payload(block) => self.payload(node, block),
            Event::Fetch(block, from, tries) => self.fetch(node, block, from, tries),
            Event::CatchUp(to) => self.catch_up(node, to),
            Event::Restart => {}
        }
    }

    /// Tell a node something, now.
    pub fn step(&mut self, node: usize, input: Input) {
        let now = Timestamp(self.now);
        if let Some(replica) = self.nodes[node].replica.as_mut() {
            let step = replica.step(now, input);
            self.settle(node, step);
        }
    }

    fn settle(&mut self, node: usize, step: Step) {
        let crashes = step.needs_write()
            && self.nodes[node].kind == Kind::Honest
            && self.rng.below(1_000) < self.crash_permille;
        let before_write = std::mem::take(&mut self.nodes[node].fails_next_write)
            || crashes && self.rng.percent(50);
        let disk = &mut self.nodes[node].disk;
        let outcome = step.persist_with(|writes| {
            if before_write {
                return Err(());
            }
            disk.write(writes);
            Ok(())
        });
        let Ok(actions) = outcome else {
            self.crash_for_a_while(node);
            return;
        };
        if crashes {
            self.crash_for_a_while(node);
            return;
        }
        for action in actions {
            self.act(node, action);
        }
        let Some(replica) = self.nodes[node].replica.as_ref() else {
            return;
        };
        if replica.is_over() {
            self.turn(node);
            return;
        }
        let (view, wake) = (replica.view().0, replica.wake_at().map(|at| at.0));
        assert!(view >= self.nodes[node].view, "a view was entered again");
        assert_eq!(
            replica.committed().id(),
            self.nodes[node].disk.root(&self.base).id(),
            "the replica and its ledger agree on what is final"
        );
        if view > self.nodes[node].view && self.nodes[node].kind == Kind::Honest {
            let entry = replica.safety().entry.as_ref().expect("a way into it");
            self.log.check_entry(entry, &self.arithmetic);
        }
        self.nodes[node].view = view;
        let wake = wake.map(|at| at.max(self.now));
        if let Some(at) = wake.filter(|_| wake != self.nodes[node].wake) {
            self.nodes[node].wake = wake;
            let life = self.nodes[node].life;
            self.schedule(at, node, Some(life), Event::Wake);
        }
    }

    /// Power off. What was not written is gone.
    pub fn crash(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.replica = None;
        node.life += 1;
        node.wake = None;
        node.behind = false;
    }

    fn crash_for_a_while(&mut self, node: usize) {
        self.crash(node);
        self.later(node, (1_000, 300_000), Event::Restart);
    }

    /// Power on, with what the disk holds.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].kind == Kind::Silent || self.nodes[node].replica.is_some() {
            return;
        }
        let (committee, base) = self.epoch_of(node);
        let (disk, member) = (&self.nodes[node].disk, self.nodes[node].member);
        let restored = disk.restore(&committee, &self.base);
        let durable = disk.safety.as_ref().map_or(1, |safety| safety.view.0);
        let seat = Seat {
            member: MemberIndex(member as u16),
            key: self.keys[member].clone(),
        };
        let (replica, step) = Replica::new(
            self.config,
            committee,
            Some(seat).filter(|_| self.nodes[node].kind != Kind::Mute),
            &base,
            restored,
            Timestamp(self.now),
        );
        assert!(replica.view().0 >= durable, "a restart lost the view");
        self.nodes[node].view = replica.view().0;
        assert!(!replica.is_over(), "the disk knows that the epoch is over");
        self.nodes[node].replica = Some(replica);
        self.settle(node, step);
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Broadcast { message } => {
                if let ConsensusMessage::Proposal(proposal) = &message {
                    let sent = (self.now, proposal.block.view.0);
                    self.nodes[node].proposals.push(sent);
                }
                self.broadcast(node, &message);
            }
            Action::Send { to, message } => self.send(node, &[to.index()], &message),
            Action::CheckPayload { block } => {
                self.later(node, self.local.payload, Event::Payload(block));
            }
            Action::Assemble {
                view, parent, last, ..
            } => {
                let next = self.committee_of(node).successor().id();
                let side = match self.nodes[node].kind {
                    Kind::Equivocator(side) => side,
                    _ => 0,
                };
                let answer = Input::Assembled {
                    view,
                    parent,
                    timestamp: Timestamp(self.now),
                    content: outrider_types::Content {
                        payload: PayloadId(sha256(&[
                            &view.0.to_be_bytes(),
                            &parent.0,
                            &side.to_be_bytes(),
                        ])),
                        roots: outrider_types::Roots::NONE,
                        origin: outrider_types::Origin::NONE,
                        next: if last { next } else { CommitteeId::NONE },
                    },
                };
                self.later(node, self.local.assemble, Event::Answer(answer));
            }
            Action::Fetch { block, from } => {
                self.later(node, self.local.fetch, Event::Fetch(block, from, 0));
            }
            Action::CatchUp { to } => {
                self.later(node, self.local.fetch, Event::CatchUp(to.0));
            }
            Action::Commit {
                blocks,
                fillers,
                certificate,
            } => self.commit(node, blocks, fillers, &certificate),
            Action::Entered {
                view, by_timeout, ..
            } => {
                let entered = (self.now, view.0, by_timeout);
                self.nodes[node].entered.push(entered);
            }
            Action::BadProposal { leader, view, .. } => assert!(
                self.nodes[node].kind != Kind::Honest || !self.log.honest.contains(&leader.index()),
                "honest leader {leader} of view {view} was called bad"
            ),
        }
    }

    pub fn broadcast(&mut self, node: usize, message: &ConsensusMessage) {
        let others: Vec<usize> = (0..self.keys.len())
            .filter(|to| *to != self.nodes[node].member)
            .collect();
        self.send(node, &others, message);
    }

    /// Send to members what a member of this kind sends. Verified once: all verify alike.
    fn send(&mut self, node: usize, to: &[usize], message: &ConsensusMessage) {
        let (from, kind) = (self.nodes[node].member, self.nodes[node].kind);
        let message = match (kind, message) {
            (Kind::Liar, ConsensusMessage::Timeout(timeout)) => {
                self.timeout_of_nothing(node, timeout.timeout.view)
            }
            (Kind::Withholder, ConsensusMessage::Certificate(_)) => return,
            _ => message.clone(),
        };
        assert!(
            kind != Kind::Mute || matches!(message, ConsensusMessage::Certificate(_)),
            "mute member {from} signed something"
        );
        self.log.record(&message);
        let Some(input) = open(&message, &self.committee_of(node)) else {
            assert!(!kind.follows(), "an honest member sends what is valid");
            return;
        };
        let event = Event::Deliver(self.nodes[node].epoch, input);
        let chance = mix(self.seed ^ mix(self.nodes[node].view) ^ (from as u64) << 32);
        for to in to {
            let reaches = match kind {
                Kind::Equivocator(side) => chance >> to & 1 == side,
                Kind::SelectiveVoter => {
                    !matches!(
                        message,
                        ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_)
                    ) || chance % self.keys.len() as u64 == *to as u64
                }
                _ => true,
            };
            if reaches {
                self.carry(from, *to, Some(&message), &event);
            }
        }
    }

    pub(super) fn carry(
        &mut self,
        from: usize,
        to: usize,
        message: Option<&ConsensusMessage>,
        event: &Event,
    ) {
        let packet = Packet {
            from,
            to,
            now: self.now,
            message,
        };
        for delay in (self.link)(&packet, &mut self.rng) {
            self.messages += 1;
            assert!(self.messages < MESSAGES_MAX, "messages beget messages");
            for node in 0..self.nodes.len() {
                if self.nodes[node].member == to {
                    let at = self.now + delay;
                    self.schedule(at, node, None, event.clone());
                }
            }
        }
    }

    fn timeout_of_nothing(&self, node: usize, view: View) -> ConsensusMessage {
        let (member, committee) = (self.nodes[node].member, self.committee_of(node));
        let timeout = Timeout {
            epoch: committee.epoch(),
            view,
            high_view: View(0),
            voted: None,
        };
        let index = MemberIndex(member as u16);
        let signed = Signed::sign(timeout, committee.chain(), index, &self.keys[member]);
        ConsensusMessage::Timeout(TimeoutMessage {
            timeout: signed.into_inner(),
            high: None,
        })
    }

    /// Vote and commit-vote for whatever is heard of, and give up on it as well.
    fn double_vote(&mut self, node: usize, input: &Input) {
        let (view, block) = match input {
            Input::Proposal { proposal } => (proposal.block.view, proposal.block.id()),
            Input::Vote { vote } => (vote.view, vote.block),
            _ => return,
        };
        if !self.nodes[node].seen.insert((view.0, block)) {
            return;
        }
        let (member, epoch) = (self.nodes[node].member, self.committee_of(node).epoch());
        let (chain, index) = (self.committee.chain(), MemberIndex(member as u16));
        let vote = Vote { epoch, view, block };
        let commit = CommitVote { epoch, view, block };
        let key = self.keys[member].clone();
        let vote = Signed::sign(vote, chain, index, &key).into_inner();
        let commit = Signed::sign(commit, chain, index, &key).into_inner();
        self.broadcast(node, &ConsensusMessage::Vote(vote));
        self.broadcast(node, &ConsensusMessage::CommitVote(commit));
        let timeout = self.timeout_of_nothing(node, view);
        let chance = mix(self.seed ^ view.0);
        let half: Vec<usize> = (0..self.keys.len())
            .filter(|to| *to != member && chance >> to & 1 == 1)
            .collect();
        self.send(node, &half, &timeout);
    }
}
