//! The committee as a state machine.
//!
//! Members 0, 2 and 3 are honest and run the real replica; member 1 leads view 1 and is Byzantine: it proposes two
//! blocks, votes and commit-votes for everything, and its timeouts lie. Everything said may reach everyone at any
//! time, or never. A state is the states of the three honest members, each told apart by everything in its replica
//! (its `Debug` output) and everything it said; a step of a member from a state is taken once and remembered.
//!
//! To keep the number of schedules small without losing any outcome, statements below a threshold are not delivered
//! one by one: a delivery is the last message of a threshold and all before it. Which members of a quorum signed
//! changes nothing else, so a quorum is delivered with one choice of signers, and with all of them (the fast path).
//! With a Byzantine signature in it, it is delivered as a certificate, because a replica counts only the first vote of
//! a member. Timers fire at any time. Payloads and fetched blocks come at once.

use super::member::{InputId, Inputs, Member};
use crate::support::lab::Lab;
use outrider_types::{
    Aggregate, BlockId, Certificate, ConsensusMessage, Proposal, ProposalKind, View,
};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const HONEST: [usize; 3] = [0, 2, 3];
const BYZANTINE: usize = 1;
const QUORUM: usize = 3;
const TIMEOUT: usize = 3;
const FAST: usize = 4;
const ADOPTION: usize = 2;

/// States of the honest members by their place in the table.
pub type State = [usize; 3];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Fire,
    Hear(Vec<InputId>),
}

#[derive(Default)]
struct Table {
    members: Vec<Arc<Member>>,
    places: BTreeMap<[u8; 32], usize>,
    steps: BTreeMap<(usize, Step), usize>,
    inputs: Inputs,
    /// Inputs that were put together from statements.
    built: BTreeMap<(&'static str, BlockId, u64, Vec<usize>), InputId>,
    lies: BTreeMap<(u64, Option<BlockId>), InputId>,
    twins: Vec<(BlockId, InputId)>,
}

impl Table {
    fn place(&mut self, member: Member) -> usize {
        let digest = member.digest();
        if let Some(place) = self.places.get(&digest) {
            return *place;
        }
        self.members.push(Arc::new(member));
        self.places.insert(digest, self.members.len() - 1);
        self.members.len() - 1
    }
}

pub struct Committee {
    views: u64,
    /// Everyone's keys, and how to say things with them.
    lab: Lab,
    first: State,
    table: Mutex<Table>,
}

impl Committee {
    pub fn new(views: u64) -> Self {
        let mut table = Table::default();
        let lab = Lab::four();
        for salt in [1, 2] {
            let block = lab.block(1, &lab.base, 0, salt);
            let key = &lab.keys[BYZANTINE];
            let proposal = Proposal::sign(block, ProposalKind::Normal, None, key).into_inner();
            let input = table
                .inputs
                .message(&ConsensusMessage::Proposal(proposal), &lab);
            table.twins.push((block.id(), input));
        }
        let first = HONEST.map(|member| table.place(Member::new(&Lab::new(&[1; 4], member))));
        Self {
            views,
            lab,
            first,
            table: Mutex::new(table),
        }
    }

    /// States and steps of single members.
    pub fn sizes(&self) -> (usize, usize) {
        let table = self.table.lock().unwrap();
        (table.members.len(), table.steps.len())
    }

    fn members(&self, state: &State) -> [Arc<Member>; 3] {
        let table = self.table.lock().unwrap();
        state.map(|place| table.members[place].clone())
    }

    /// Who can be shown to have said a thing: the honest who did, and the Byzantine member.
    fn signers(said: impl Fn(usize) -> bool) -> Vec<usize> {
        let honest = HONEST.iter().enumerate().filter(|(at, _)| said(*at));
        let mut signers: Vec<usize> = honest.map(|(_, member)| *member).collect();
        signers.push(BYZANTINE);
        signers
    }

    /// A quorum for a block, as raw votes of honest members if it can be, else as a certificate.
    fn quorum(&self, kind: &'static str, block: BlockId, view: u64, by: &[usize]) -> InputId {
        let mut table = self.table.lock().unwrap();
        let key = (kind, block, view, by.to_vec());
        if let Some(input) = table.built.get(&key) {
            return *input;
        }
        let header = table.inputs.blocks[&block].block;
        assert_eq!(header.view, View(view));
        let certificate = if kind == "votes" {
            let votes: Vec<_> = by
                .iter()
                .map(|by| self.lab.signed_vote(*by, &header))
                .collect();
            Certificate::Quorum(Aggregate::assemble(&votes).unwrap())
        } else {
            let votes: Vec<_> = by
                .iter()
                .map(|by| match self.lab.commit_vote(*by, &header) {
                    outrider_consensus::Input::CommitVote { vote } => vote,
                    other => panic!("not a commit vote: {other:?}"),
                })
                .collect();
            Certificate::Commit(Aggregate::assemble(&votes).unwrap())
        };
        let input = table.inputs.certificate(&certificate, &self.lab);
        table.built.insert(key, input);
        input
    }

    /// A timeout of the Byzantine member: it holds nothing, and says it voted for this.
    fn lie(&self, view: u64, voted: Option<BlockId>) -> InputId {
        let mut table = self.table.lock().unwrap();
        if let Some(input) = table.lies.get(&(view, voted)) {
            return *input;
        }
        let timeout = self.lab.timeout(BYZANTINE, view, None, voted).into_inner();
        let message = ConsensusMessage::Timeout(timeout);
        let input = table.inputs.message(&message, &self.lab);
        table.lies.insert((view, voted), input);
        input
    }

    /// What can be done to one member.
    fn steps(&self, at: usize, members: &[Arc<Member>; 3]) -> BTreeSet<Step> {
        let me = &members[at];
        let view = me.replica.view().0;
        let mut steps = BTreeSet::new();
        let others = || (0..3).filter(|other| *other != at);
        let mut blocks: BTreeSet<(u64, BlockId)> = BTreeSet::new();
        for member in members {
            let votes = member.said.votes.iter();
            blocks.extend(votes.map(|(view, (block, _))| (*view, *block)));
        }
        for (of, block) in &blocks {
            let voted = |at: usize| {
                members[at]
                    .said
                    .votes
                    .get(of)
                    .is_some_and(|v| v.0 == *block)
            };
            let by = Self::signers(voted);
            self.offer(&mut steps, me, (at, "votes", *of, *block), &by, |other| {
                members[other].said.votes[of].1
            });
            if by.len() >= FAST {
                steps.insert(Step::Hear(vec![self.quorum("votes", *block, *of, &by)]));
            }
            let committed = |at: usize| {
                members[at]
                    .said
                    .commit_votes
                    .get(of)
                    .is_some_and(|v| v.0 == *block)
            };
            let by = Self::signers(committed);
            self.offer(
                &mut steps,
                me,
                (at, "commit votes", *of, *block),
                &by,
                |other| members[other].said.commit_votes[of].1,
            );
        }
        for other in others() {
            let entry = members[other]
                .entry()
                .filter(|_| members[other].replica.view().0 > view);
            if let Some(entry) = entry {
                let mut table = self.table.lock().unwrap();
                steps.insert(Step::Hear(vec![table.inputs.message(&entry, &self.lab)]));
            }
        }
        if view > self.views {
            return steps;
        }
        if !me.gave_up(view) {
            steps.insert(Step::Fire);
        }
        if view == 1 {
            let twins = self.table.lock().unwrap().twins.clone();
            steps.extend(twins.into_iter().map(|(_, input)| Step::Hear(vec![input])));
        }
        for other in others() {
            let proposals = members[other].said.proposals.values();
            let now = proposals.filter(|(of, _)| *of >= view && *of <= self.views);
            steps.extend(now.map(|(_, input)| Step::Hear(vec![*input])));
        }
        self.timeouts(&mut steps, at, members, view);
        steps
    }

    /// A quorum, without the Byzantine member if it can be.
    fn offer(
        &self,
        steps: &mut BTreeSet<Step>,
        me: &Member,
        (at, kind, view, block): (usize, &'static str, u64, BlockId),
        by: &[usize],
        raw: impl Fn(usize) -> InputId,
    ) {
        let done = me.replica.committed().view.0 >= view;
        if by.len() < QUORUM || done {
            return;
        }
        if by.len() > QUORUM {
            let others = (0..3).filter(|other| *other != at);
            steps.insert(Step::Hear(others.map(raw).collect()));
        } else {
            steps.insert(Step::Hear(vec![self.quorum(kind, block, view, by)]));
        }
    }

    /// Two timeouts of others: with one's own, which they call for, a certificate.
    fn timeouts(
        &self,
        steps: &mut BTreeSet<Step>,
        at: usize,
        members: &[Arc<Member>; 3],
        view: u64,
    ) {
        let said = (0..3).filter(|other| *other != at);
        let said: Vec<InputId> = said
            .filter_map(|other| members[other].said.timeouts.get(&view))
            .map(|(_, _, input)| *input)
            .collect();
        if said.len() == 2 {
            steps.insert(Step::Hear(said.clone()));
        }
        let mut lies = vec![None];
        for member in members {
            lies.extend(member.said.votes.get(&view).map(|(block, _)| Some(*block)));
        }
        lies.sort();
        lies.dedup();
        for honest in said {
            for lie in &lies {
                steps.insert(Step::Hear(vec![honest, self.lie(view, *lie)]));
            }
        }
    }

    fn step(&self, at: usize, place: usize, step: &Step) -> usize {
        let mut table = self.table.lock().unwrap();
        let key = (place, step.clone());
        if let Some(next) = table.steps.get(&key) {
            return *next;
        }
        let mut member = (*table.members[place]).clone();
        assert_eq!(member.replica.member().map(|m| m.index()), Some(HONEST[at]));
        match step {
            Step::Fire => member.fire(&mut table.inputs, &self.lab),
            Step::Hear(list) => {
                for input in list {
                    let input = table.inputs.get(*input);
                    member.hear(input, &mut table.inputs, &self.lab);
                }
            }
        }
        let next = table.place(member);
        table.steps.insert(key, next);
        next
    }

    /// Blocks of a view that everything said so far is enough to commit.
    fn committed(members: &[Arc<Member>; 3]) -> BTreeSet<(u64, BlockId)> {
        let mut committed = BTreeSet::new();
        for member in members {
            for (view, (block, _)) in &member.said.votes {
                let votes = |at: usize| {
                    members[at]
                        .said
                        .votes
                        .get(view)
                        .is_some_and(|v| v.0 == *block)
                };
                let commit_votes = |at: usize| {
                    members[at]
                        .said
                        .commit_votes
                        .get(view)
                        .is_some_and(|v| v.0 == *block)
                };
                if Self::signers(votes).len() >= FAST || Self::signers(commit_votes).len() >= QUORUM
                {
                    committed.insert((*view, *block));
                }
            }
        }
        committed
    }

    /// Blocks for which everything said so far is enough for a certificate, with its rank.
    fn certified(members: &[Arc<Member>; 3]) -> BTreeSet<(u64, BlockId)> {
        let mut certified = BTreeSet::new();
        let mut views = BTreeSet::new();
        for member in members {
            for (view, (block, _)) in &member.said.votes {
                let votes = |at: usize| {
                    members[at]
                        .said
                        .votes
                        .get(view)
                        .is_some_and(|v| v.0 == *block)
                };
                if Self::signers(votes).len() >= QUORUM {
                    certified.insert((*view, *block));
                }
            }
            views.extend(member.said.timeouts.keys().copied());
        }
        for view in views {
            let said: Vec<Option<BlockId>> = members
                .iter()
                .filter_map(|member| member.said.timeouts.get(&view))
                .map(|(_, voted, _)| *voted)
                .collect();
            certified.extend(adoptable(&said).into_iter().map(|block| (view, block)));
        }
        certified
    }
}

/// What timeouts of one view can be made to adopt: any of the honest ones, and anything from the Byzantine member.
fn adoptable(said: &[Option<BlockId>]) -> BTreeSet<BlockId> {
    let blocks: BTreeSet<BlockId> = said.iter().copied().flatten().collect();
    let mut lies: Vec<Option<Option<BlockId>>> = vec![None, Some(None)];
    lies.extend(blocks.iter().map(|block| Some(Some(*block))));
    let mut adopted = BTreeSet::new();
    for chosen in 0..1_usize << said.len() {
        for lie in &lies {
            let honest = said
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1);
            let reports: Vec<Option<BlockId>> =
                honest.map(|(_, voted)| *voted).chain(*lie).collect();
            let count = |block: &BlockId| reports.iter().filter(|r| **r == Some(*block)).count();
            let most = blocks.iter().map(count).max().unwrap_or(0);
            if reports.len() >= TIMEOUT && most >= ADOPTION {
                adopted.extend(blocks.iter().find(|block| count(block) == most));
            }
        }
    }
    adopted
}

impl Model for Committee {
    type State = State;
    type Action = (usize, Step);

    fn init_states(&self) -> Vec<State> {
        vec![self.first]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        let members = self.members(state);
        for at in 0..3 {
            let steps = self.steps(at, &members);
            actions.extend(steps.into_iter().map(|step| (at, step)));
        }
    }

    fn next_state(&self, state: &State, (at, step): Self::Action) -> Option<State> {
        let mut next = *state;
        next[at] = self.step(at, state[at], &step);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("agreement", |model: &Self, state| {
                let ledgers = model.members(state);
                let ledgers = ledgers.each_ref().map(|member| &member.said.ledger);
                ledgers.iter().all(|a| {
                    ledgers
                        .iter()
                        .all(|b| a.iter().zip(b.iter()).all(|(a, b)| a == b))
                })
            }),
            Property::always("section 5", |model: &Self, state| {
                let members = model.members(state);
                let committed = Self::committed(&members);
                if committed.is_empty() {
                    return true;
                }
                let certified = Self::certified(&members);
                let table = model.table.lock().unwrap();
                committed.iter().all(|(view, block)| {
                    let later = certified.iter().filter(|(rank, _)| rank >= view);
                    later
                        .into_iter()
                        .all(|(_, other)| table.inputs.descends(*other, *block))
                })
            }),
            Property::always("no honest offence", |model: &Self, state| {
                let members = model.members(state);
                members.iter().all(|member| member.said.offence.is_none())
            }),
            Property::sometimes("a fast commit", |model: &Self, state| {
                model.members(state).iter().any(|member| member.said.fast)
            }),
            Property::sometimes("a slow commit", |model: &Self, state| {
                model.members(state).iter().any(|member| member.said.slow)
            }),
        ]
    }
}
