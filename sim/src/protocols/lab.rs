//! The lab: any [`Protocol`] in a world of its own, from a seed.
//!
//! Events are ordered by time; at one instant messages come before wake-ups, so that what takes exactly the bound is in
//! time; among messages of one instant the seed decides. Local work takes no time. The network is that of all other worlds
//! ([`Network`]).
//!
//! Every commit of every member is checked from outside: heights count up without a gap (S2), and no two members differ at
//! a height (S1). The first violation ends the run.

use super::{Outbox, Protocol, To};
use crate::fact::{Class, Micros, Violation};
use crate::net::Network;
use crate::rng::Stream;
use outrider_types::BlockId;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

/// A member hears and says nothing for a while; then it goes on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Who.
    pub member: usize,
    /// From when on.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
}

/// What a run is, but for its network and its members.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what comes first at one instant.
    pub seed: u64,
    /// Members that never say anything.
    pub silent: BTreeSet<usize>,
    /// Members that are away for a while.
    pub outages: Vec<Outage>,
    /// The run ends when all who are not silent have committed this height.
    pub heights: u64,
    /// Or at this time.
    pub limit: Micros,
    /// Or after so many events.
    pub events_max: u64,
}

/// A block became final at a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When.
    pub at: Micros,
    /// At whom.
    pub member: usize,
    /// Its height, from 1.
    pub height: u64,
    /// Which.
    pub block: BlockId,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All have committed what they should.
    Reached,
    /// Time was up.
    Limit,
    /// There were too many events.
    Events,
    /// Members disagree.
    Broken(Violation),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Play {
    /// Why it ended.
    pub end: End,
    /// When it ended.
    pub at: Micros,
    /// When each block was first sent by its leader.
    pub proposals: BTreeMap<BlockId, Micros>,
    /// All commits, in order.
    pub commits: Vec<Commit>,
    /// The highest view that anyone was in.
    pub views: u64,
    /// How often a member gave a view up.
    pub timeouts: u64,
    /// Messages sent from one member to another.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Signatures made.
    pub signed: u64,
    /// Signatures checked.
    pub verified: u64,
    /// Events handled.
    pub events: u64,
}

impl Play {
    /// The promise that was broken, if one was.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match &self.end {
            End::Broken(violation) => Some(violation),
            _ => None,
        }
    }

    /// Of each block up to this height, at each member: from when its leader first sent it to when the member committed
    /// it; ascending.
    #[must_use]
    pub fn finality(&self, heights: u64) -> Vec<Micros> {
        let mut all: Vec<Micros> = self
            .commits
            .iter()
            .filter(|commit| commit.height <= heights)
            .filter_map(|commit| Some(commit.at - self.proposals.get(&commit.block)?))
            .collect();
        all.sort_unstable();
        all
    }

    /// Final blocks of heights in order, up to this one.
    #[must_use]
    pub fn chain(&self, heights: u64) -> Vec<BlockId> {
        let blocks: BTreeMap<u64, BlockId> = self
            .commits
            .iter()
            .filter(|commit| commit.height <= heights)
            .map(|commit| (commit.height, commit.block))
            .collect();
        blocks.into_values().collect()
    }
}

enum Event<M> {
    Deliver { from: usize, message: Rc<M> },
    Wake,
}

/// Time, wake-ups after messages, seeded tie, sequence.
type Due = (Micros, bool, u64, u64);

struct Scheduled<M> {
    due: Due,
    to: usize,
    event: Event<M>,
}

impl<M> PartialEq for Scheduled<M> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<M> Eq for Scheduled<M> {}

impl<M> PartialOrd for Scheduled<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Scheduled<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

/// Run members against each other; there are as many as the network has hosts.
pub fn play<P: Protocol>(plan: &Plan, network: Network, members: Vec<P>) -> Play {
    let mut lab = Lab::new(plan, network, members);
    lab.run();
    lab.play
}

struct Lab<'a, P: Protocol> {
    plan: &'a Plan,
    network: Network,
    members: Vec<P>,
    heap: BinaryHeap<Reverse<Scheduled<P::Message>>>,
    /// The wake-up of each member that counts.
    wakes: Vec<Option<Micros>>,
    sequence: u64,
    ties: Stream,
    now: Micros,
    /// What is final at each height, by whoever was first.
    chain: BTreeMap<u64, BlockId>,
    /// How far each member is.
    heights: Vec<u64>,
    play: Play,
}

impl<'a, P: Protocol> Lab<'a, P> {
    fn new(plan: &'a Plan, network: Network, members: Vec<P>) -> Self {
        Self {
            plan,
            network,
            heap: BinaryHeap::new(),
            wakes: vec![None; members.len()],
            sequence: 0,
            ties: Stream::new(plan.seed, "order"),
            now: 0,
            chain: BTreeMap::new(),
            heights: vec![0; members.len()],
            play: Play {
                end: End::Limit,
                at: 0,
                proposals: BTreeMap::new(),
                commits: Vec::new(),
                views: 0,
                timeouts: 0,
                messages: 0,
                bytes: 0,
                signed: 0,
                verified: 0,
                events: 0,
            },
            members,
        }
    }

    fn run(&mut self) {
        for member in 0..self.members.len() {
            if !self.plan.silent.contains(&member) {
                self.step(member, |protocol, now, out| protocol.start(now, out));
            }
        }
        while !matches!(self.play.end, End::Broken(_)) {
            let reached = |(member, height): (usize, &u64)| {
                *height >= self.plan.heights || self.plan.silent.contains(&member)
            };
            if self.heights.iter().enumerate().all(reached) {
                self.play.end = End::Reached;
                break;
            }
            let next = self.heap.pop().map(|Reverse(next)| next);
            let Some(next) = next.filter(|next| next.due.0 <= self.plan.limit) else {
                self.now = self.plan.limit;
                break;
            };
            if self.play.events >= self.plan.events_max {
                self.play.end = End::Events;
                break;
            }
            self.play.events += 1;
            self.now = next.due.0;
            self.handle(next.to, next.event);
        }
        self.play.at = self.now;
    }

    fn handle(&mut self, to: usize, event: Event<P::Message>) {
        let away = self.away_until(to);
        match event {
            Event::Deliver { from, message } if away.is_none() => {
                self.step(to, |protocol, now, out| {
                    protocol.receive(now, from, &message, out);
                });
            }
            // It is lost.
            Event::Deliver { .. } => {}
            Event::Wake if self.wakes[to] == Some(self.now) => {
                if let Some(until) = away {
                    self.wakes[to] = Some(until);
                    self.schedule(until, to, Event::Wake);
                } else {
                    self.wakes[to] = None;
                    self.step(to, Protocol::wake);
                }
            }
            // Another one was set instead.
            Event::Wake => {}
        }
    }

    /// When the outage of a member ends, if it is in one.
    fn away_until(&self, member: usize) -> Option<Micros> {
        let mine = self.plan.outages.iter().filter(|one| one.member == member);
        mine.filter(|one| one.from <= self.now && self.now < one.until)
            .map(|one| one.until)
            .max()
    }

    fn step(&mut self, member: usize, act: impl FnOnce(&mut P, Micros, &mut Outbox<P::Message>)) {
        let mut out = Outbox::default();
        act(&mut self.members[member], self.now, &mut out);
        self.play.views = self.play.views.max(self.members[member].view());
        self.take(member, out);
        let wake = self.members[member].wake_at().map(|at| at.max(self.now));
        if let Some(at) = wake.filter(|_| wake != self.wakes[member]) {
            self.schedule(at, member, Event::Wake);
        }
        self.wakes[member] = wake;
    }

    fn take(&mut self, member: usize, out: Outbox<P::Message>) {
        let play = &mut self.play;
        play.timeouts += out.timeouts;
        play.signed += out.signed;
        play.verified += out.verified;
        for block in out.proposed {
            play.proposals.entry(block).or_insert(self.now);
        }
        for (height, block) in out.commits {
            if let Err(violation) = self.commit(member, height, block) {
                self.play.end = End::Broken(violation);
                return;
            }
        }
        for outgoing in out.sends {
            let message = Rc::new(outgoing.message);
            let bytes = outgoing.bytes;
            match outgoing.to {
                To::One(to) => self.carry(member, to, bytes, &message),
                To::Others => {
                    for to in (0..self.members.len()).filter(|to| *to != member) {
                        self.carry(member, to, bytes, &message);
                    }
                }
            }
        }
    }

    fn carry(&mut self, from: usize, to: usize, bytes: usize, message: &Rc<P::Message>) {
        let deliver = || Event::Deliver {
            from,
            message: message.clone(),
        };
        if from == to {
            self.schedule(self.now, to, deliver());
            return;
        }
        self.play.messages += 1;
        self.play.bytes += bytes as u64;
        let route = self.network.route(self.now, from, to, bytes, 0);
        if let Ok((first, second)) = route
            && !self.plan.silent.contains(&to)
        {
            for at in [Some(first), second].into_iter().flatten() {
                self.schedule(at, to, deliver());
            }
        }
    }

    fn schedule(&mut self, at: Micros, to: usize, event: Event<P::Message>) {
        assert!(at >= self.now, "time does not go back");
        self.sequence += 1;
        let wakes = matches!(event, Event::Wake);
        let due = (at, wakes, self.ties.next(), self.sequence);
        self.heap.push(Reverse(Scheduled { due, to, event }));
    }

    fn commit(&mut self, member: usize, height: u64, block: BlockId) -> Result<(), Violation> {
        let broken = |checker, what| Violation {
            checker,
            class: Class::Safety,
            at: self.now,
            what,
        };
        let first = *self.chain.entry(height).or_insert(block);
        if first != block {
            let what = format!("m{member} committed {block} at height {height}, another {first}");
            return Err(broken("S1", what));
        }
        if height != self.heights[member] + 1 {
            let last = self.heights[member];
            let what = format!("m{member} committed height {height} after {last}");
            return Err(broken("S2", what));
        }
        self.heights[member] = height;
        self.play.commits.push(Commit {
            at: self.now,
            member,
            height,
            block,
        });
        Ok(())
    }
}
