//! Real replicas with a reference replica beside each, compared after every step. Messages are lost, doubled and
//! reordered, members crash before and after their write, and adversaries sign whatever they like.

use super::adversary::{Ear, said};
use super::replica::Reference;
use super::rules::{Mutation, Rules};
use super::words::{self, Said};
use crate::support::disk::Disk;
use crate::support::open;
use crate::support::rng::Rng;
use outrider_consensus::{Action, Config, Input, Replica, Seat, Step};
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, BlockRecord, Committee, CommitteeId, ConsensusMessage, MemberIndex, PayloadId,
    ProposalKind, SecretKey, Timestamp, testing,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Messages and questions under way; past that a random one is lost.
const UNDER_WAY_MAX: usize = 150;

/// The only place that builds a real replica.
fn build(world: &World, member: usize, disk: &Disk) -> (Replica, Step) {
    let config = Config {
        base_timeout: Duration::from_micros(world.rules.base),
        timeout_cap: Duration::from_micros(world.rules.cap),
        dead_after_views: world.rules.dead_after,
    };
    let seat = Seat {
        member: MemberIndex(member as u16),
        key: world.keys[member].clone(),
    };
    Replica::new(
        config,
        world.committee.clone(),
        Some(seat),
        &world.base,
        disk.restore(&world.committee, &world.base),
        Timestamp(world.now),
    )
}

struct Pair {
    real: Replica,
    reference: Reference,
    disk: Disk,
    /// The view it was in.
    view: u64,
    /// What the real one signed, and the reference.
    said: (BTreeSet<Said>, BTreeSet<Said>),
}

enum Event {
    Input(Input),
    Check(Block),
    Fetch(BlockId),
    CatchUp(u64),
}

/// Counts of what happened, so that a test can tell that it tested something.
#[derive(Debug, Default)]
pub struct Seen {
    pub steps: u64,
    pub restarts: u64,
    pub votes: u64,
    pub timeouts: u64,
    pub commits: u64,
    pub optimistic: u64,
    pub late_votes: u64,
    /// Views entered by a timeout certificate that adopts a block.
    pub adopted: u64,
    pub views: u64,
}

impl Seen {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.restarts += other.restarts;
        self.votes += other.votes;
        self.timeouts += other.timeouts;
        self.commits += other.commits;
        self.optimistic += other.optimistic;
        self.late_votes += other.late_votes;
        self.adopted += other.adopted;
        self.views += other.views;
    }
}

pub struct World {
    seed: u64,
    pub rng: Rng,
    now: u64,
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
    base: Block,
    pub rules: Rules,
    pairs: BTreeMap<usize, Pair>,
    under_way: Vec<(usize, Event)>,
    pub ear: Ear,
    pub salt: u64,
    pub seen: Seen,
    /// The first difference between a replica and its reference.
    pub difference: Option<String>,
}

impl World {
    pub fn new(seed: u64, stakes: &[u64], hostile: &[usize], mutation: Option<Mutation>) -> Self {
        let (committee, keys) = testing::committee(stakes);
        let f = (stakes.iter().sum::<u64>() - 1) / 3;
        let base = Block::genesis(&committee);
        let mut world = Self {
            seed,
            rng: Rng::new(seed),
            now: 1_000_000,
            committee,
            keys,
            base,
            rules: Rules::new(stakes, (f, 0), mutation),
            pairs: BTreeMap::new(),
            under_way: Vec::new(),
            ear: Ear {
                blocks: vec![base],
                ..Ear::default()
            },
            salt: 0,
            seen: Seen::default(),
            difference: None,
        };
        // R10: a dead leader is skipped after some views, or never.
        world.rules.dead_after = seed / 6 % 4;
        for member in (0..stakes.len()).filter(|member| !hostile.contains(member)) {
            let (real, step) = build(&world, member, &Disk::default());
            let pair = Pair {
                real,
                reference: Reference::new(world.rules.clone(), member, base, world.now),
                disk: Disk::default(),
                view: 1,
                said: Default::default(),
            };
            world.pairs.insert(member, pair);
            world.settle(member, step, Vec::new(), None);
        }
        world
    }

    pub fn run(&mut self, ticks: u64) {
        let hostile: Vec<usize> = (0..self.keys.len())
            .filter(|member| !self.pairs.contains_key(member))
            .collect();
        let calm = self.rng.below(4);
        for _ in 0..ticks {
            if self.difference.is_some() {
                return;
            }
            match self.rng.below(100) {
                0..80 if !self.under_way.is_empty() => self.deliver(calm),
                80..86 if !hostile.is_empty() => {
                    let member = *self.rng.pick(&hostile);
                    self.misbehave(member);
                }
                86 if self.rng.below(4) < calm => self.restart(),
                _ => self.pass(calm),
            }
        }
        let views = self.pairs.values().map(|pair| pair.real.view().0);
        self.seen.views = views.max().unwrap_or(0);
    }

    /// Time passes, and some who have something to do wake up.
    fn pass(&mut self, calm: u64) {
        self.now += self
            .rng
            .between(100, [5_000, 20_000, 60_000, 120_000][calm as usize]);
        for member in self.pairs.keys().copied().collect::<Vec<_>>() {
            let due = self.pairs[&member]
                .real
                .wake_at()
                .is_some_and(|at| at.0 <= self.now);
            if due && self.rng.percent(50) {
                self.step(member, Input::Wake);
            }
        }
    }

    fn deliver(&mut self, calm: u64) {
        let index = self.rng.below(self.under_way.len() as u64) as usize;
        let (to, event) = self.under_way.swap_remove(index);
        match event {
            Event::Input(input) => {
                if matches!(input, Input::Assembled { .. }) || self.rng.percent(100 - 5 * calm) {
                    if from_a_member(&input) && self.rng.percent(3) {
                        self.post(to, Event::Input(input.clone()));
                    }
                    self.step(to, input);
                }
            }
            Event::Check(block) => {
                let valid = !self.pairs.contains_key(&block.proposer.index())
                    && block.payload.0[0] % 8 == 0;
                let block = block.id();
                self.step(
                    to,
                    Input::PayloadChecked {
                        block,
                        valid: !valid,
                    },
                );
            }
            Event::Fetch(block) => self.fetch(to, block),
            Event::CatchUp(height) => self.catch_up(to, height),
        }
    }

    fn fetch(&mut self, to: usize, block: BlockId) {
        let held = self.pairs.values().find_map(|pair| pair.disk.find(&block));
        let named = self.ear.blocks.iter().find(|known| known.id() == block);
        let known = named.map(|block| BlockRecord {
            block: *block,
            justification: None,
        });
        match held.or(known) {
            _ if self.rng.percent(10) => self.step(to, Input::FetchFailed { block }),
            Some(mut record) => {
                if self.rng.percent(20) {
                    record.justification = None;
                }
                let record = record.verify(&self.committee).unwrap();
                self.step(to, Input::Block { record });
            }
            None => self.post(to, Event::Fetch(block)),
        }
    }

    fn catch_up(&mut self, to: usize, height: u64) {
        let from = self.pairs[&to].disk.height();
        let ahead = self.pairs.values().find(|pair| pair.disk.height() > from);
        let Some(ahead) = ahead.filter(|_| from < height) else {
            return;
        };
        let (last, proof) = ahead.disk.proofs.range(from + 1..).next().unwrap();
        let blocks = ahead.disk.ledger[from as usize..*last as usize].to_vec();
        let certificate = proof.clone().verify(&self.committee).unwrap();
        let block = blocks.last().unwrap().block;
        let disk = &mut self.pairs.get_mut(&to).unwrap().disk;
        disk.proofs.insert(block.height.0, (*certificate).clone());
        disk.ledger.extend(blocks);
        self.step(to, Input::CaughtUp { block, certificate });
    }

    /// Power off and on. Half of them in the middle of a step, before or after its write.
    fn restart(&mut self) {
        let members: Vec<usize> = self.pairs.keys().copied().collect();
        let member = *self.rng.pick(&members);
        let mine = self
            .under_way
            .iter()
            .position(|(to, event)| *to == member && matches!(event, Event::Input(_)));
        if let Some(index) = mine.filter(|_| self.rng.percent(50))
            && let (_, Event::Input(input)) = self.under_way.swap_remove(index)
        {
            let written = self.rng.percent(50);
            self.cut_short(member, input, written);
        }
        self.under_way.retain(|(to, event)| {
            *to != member || matches!(event, Event::Input(input) if from_a_member(input))
        });
        let (real, step) = build(self, member, &self.pairs[&member].disk);
        let pair = self.pairs.get_mut(&member).unwrap();
        pair.real = real;
        let restored = pair.disk.restore(&self.committee, &self.base);
        let blocks: Vec<_> = restored
            .blocks
            .iter()
            .map(|record| {
                let proof = record.justification.as_ref().map(words::justification);
                (record.block, proof)
            })
            .collect();
        let said = {
            let left = restored.vote_left;
            pair.reference
                .restart(restored.root, &blocks, left, self.now)
        };
        self.seen.restarts += 1;
        self.settle(member, step, said, None);
    }

    /// A step of which nothing leaves.
    fn cut_short(&mut self, member: usize, input: Input, written: bool) {
        let pair = self.pairs.get_mut(&member).unwrap();
        let before = pair.reference.clone();
        pair.reference.step(self.now, words::heard(&input));
        let step = pair.real.step(Timestamp(self.now), input);
        if !written {
            pair.reference = before;
            return;
        }
        let disk = &mut pair.disk;
        let done: Result<_, ()> = step.persist_with(|writes| {
            disk.write(writes);
            Ok(())
        });
        assert!(done.is_ok());
    }

    fn step(&mut self, member: usize, input: Input) {
        let pair = self.pairs.get_mut(&member).unwrap();
        let heard = words::heard(&input);
        let said = pair.reference.step(self.now, heard);
        let step = pair.real.step(Timestamp(self.now), input.clone());
        self.settle(member, step, said, Some(&input));
    }

    fn settle(&mut self, member: usize, step: Step, said: Vec<Said>, input: Option<&Input>) {
        let pair = self.pairs.get_mut(&member).unwrap();
        let disk = &mut pair.disk;
        let actions: Result<Vec<Action>, ()> = step.persist_with(|writes| {
            disk.write(writes);
            Ok(())
        });
        self.seen.steps += 1;
        let (now, entry) = {
            let safety = &self.pairs[&member].reference.safety;
            (safety.view, safety.entry.clone())
        };
        let adopts = |entry: &words::Proof| {
            matches!(entry, words::Proof::Tc { high: None, reports, .. }
                if self.rules.adopted(reports).is_some())
        };
        if now > self.pairs[&member].view && entry.as_ref().is_some_and(adopts) {
            self.seen.adopted += 1;
        }
        let was = self.pairs[&member].view;
        self.pairs.get_mut(&member).unwrap().view = now;
        for said in said {
            match &said {
                Said::Vote { view, .. } => {
                    self.seen.votes += 1;
                    self.seen.late_votes += u64::from(*view < was);
                }
                Said::Timeout { .. } => self.seen.timeouts += 1,
                Said::Proposal {
                    kind: ProposalKind::Optimistic,
                    ..
                } => self.seen.optimistic += 1,
                _ => {}
            }
            self.pairs.get_mut(&member).unwrap().said.1.insert(said);
        }
        for action in actions.unwrap() {
            self.act(member, action);
        }
        if let Err(difference) = self.compare(member)
            && self.difference.is_none()
        {
            self.difference = Some(format!("{difference}, after {input:?}"));
        }
    }

    /// What differs between the real one and the reference.
    fn compare(&self, member: usize) -> Result<(), String> {
        let pair = &self.pairs[&member];
        let (real, reference) = (pair.real.safety(), &pair.reference.safety);
        let mut differ = Vec::new();
        macro_rules! same {
            ($what:literal, $real:expr, $reference:expr) => {
                let (real, reference) = ($real, $reference);
                if real != reference {
                    let (member, seed) = (member, self.seed);
                    differ.push(format!(
                        "seed {seed}, member {member}: {} is {real:?}, by the reference {reference:?}",
                        $what
                    ));
                }
            };
        }
        same!("view", real.view.0, reference.view);
        same!(
            "vote",
            real.voted.map(|v| (v.view.0, v.block)),
            reference.voted
        );
        let sent = reference.voted.filter(|_| !reference.intent);
        same!(
            "vote sent",
            pair.real.voted().map(|v| (v.view.0, v.block)),
            sent
        );
        let committed = real.commit_voted.map(|v| (v.view.0, v.block));
        same!("commit vote", committed, reference.commit_voted);
        let timed_out = real.timed_out.map(|t| (t.view.0, t.high_view.0, t.voted));
        let told = reference.timed_out.as_ref().map(|(view, high, voted)| {
            (*view, high.as_ref().map_or(0, words::Proof::view), *voted)
        });
        same!("timeout", timed_out, told);
        let proposed = real.proposed.map(|p| (p.view.0, p.block));
        same!("proposal", proposed, reference.proposed);
        let optimistic = real.proposed_optimistic.map(|p| (p.view.0, p.block));
        same!(
            "optimistic proposal",
            optimistic,
            reference.proposed_optimistic
        );
        same!(
            "high",
            real.high.as_ref().map(words::certificate),
            reference.high.clone()
        );
        same!(
            "entry",
            real.entry.as_ref().map(words::justification),
            reference.entry.clone()
        );
        same!("committed", *pair.real.committed(), pair.reference.root);
        same!("statements", &pair.said.0, &pair.said.1);
        // R2, R3: who is to propose has asked for a payload.
        let wants = pair.reference.proposes();
        let asked = wants.is_none_or(|wants| {
            self.under_way.iter().any(|(to, event)| {
                let answer = matches!(event, Event::Input(Input::Assembled { view, parent, .. })
                    if (view.0, *parent) == wants);
                *to == member && answer
            })
        });
        same!("payload asked for", (wants, asked), (wants, true));
        differ.into_iter().next().map_or(Ok(()), Err)
    }

    fn act(&mut self, member: usize, action: Action) {
        match action {
            Action::Broadcast { message } => {
                let said = said(&message);
                self.pairs.get_mut(&member).unwrap().said.0.extend(said);
                for to in self.pairs.keys().copied().collect::<Vec<_>>() {
                    if to != member {
                        self.send(to, &message);
                    }
                }
                self.overhear(&message);
            }
            Action::Send { to, message } => self.send(to.index(), &message),
            Action::CheckPayload { block } => self.post(member, Event::Check(block)),
            Action::Assemble { view, parent, .. } => {
                let payload = PayloadId(sha256(&[&view.0.to_be_bytes(), &parent.0]));
                let timestamp = Timestamp(self.now);
                let answer = Input::Assembled {
                    view,
                    parent,
                    timestamp,
                    content: outrider_types::Content {
                        payload,
                        roots: outrider_types::Roots::NONE,
                        origin: outrider_types::Origin::NONE,
                        next: CommitteeId::NONE,
                    },
                };
                self.post(member, Event::Input(answer));
            }
            Action::Fetch { block, .. } => {
                self.pairs
                    .get_mut(&member)
                    .unwrap()
                    .reference
                    .asked
                    .insert(block);
                self.post(member, Event::Fetch(block));
            }
            Action::CatchUp { to } => self.post(member, Event::CatchUp(to.0)),
            Action::Commit {
                blocks,
                certificate,
                ..
            } => {
                self.seen.commits += blocks.len() as u64;
                let disk = &mut self.pairs.get_mut(&member).unwrap().disk;
                disk.ledger.extend(blocks);
                disk.proofs.insert(disk.height(), certificate.into_inner());
            }
            Action::Entered { .. } | Action::BadProposal { .. } => {}
        }
    }

    fn post(&mut self, to: usize, event: Event) {
        self.under_way.push((to, event));
        if self.under_way.len() > UNDER_WAY_MAX {
            let lost = self.rng.below(self.under_way.len() as u64) as usize;
            if matches!(&self.under_way[lost].1, Event::Input(input) if from_a_member(input)) {
                self.under_way.swap_remove(lost);
            }
        }
    }

    pub fn honest(&self) -> Vec<usize> {
        self.pairs.keys().copied().collect()
    }

    pub fn views(&self) -> Vec<u64> {
        self.pairs.values().map(|pair| pair.real.view().0).collect()
    }

    pub fn overhear(&mut self, message: &ConsensusMessage) {
        self.ear.hear(message, &self.committee);
    }

    pub fn send(&mut self, to: usize, message: &ConsensusMessage) {
        if self.pairs.contains_key(&to) {
            let input = open(message, &self.committee).expect("what is sent here is valid");
            self.post(to, Event::Input(input));
        }
    }
}

/// Whether it came over the network: a crash of the receiver does not undo it.
fn from_a_member(input: &Input) -> bool {
    matches!(
        input,
        Input::Proposal { .. }
            | Input::Vote { .. }
            | Input::CommitVote { .. }
            | Input::Timeout { .. }
            | Input::Certificate { .. }
    )
}
