//! Random forks of a committee of four with two liars: honest members follow the rules (R1, R4, R5, R8) and keep what
//! protocol section 6 says. `sim/l1` takes the same forks to the contracts.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may; not each needs all of it"
)]

use bytes::Bytes;
use outrider_finality::{CertificateStore, FinalityProof};
use outrider_types::testing::{CHAIN, committee};
use outrider_types::{
    Batch, Block, BlockId, Certificate, CommitVote, Committee, FinalityCertificate, Height,
    Justification, MemberIndex, Payload, RollupId, SecretKey, Signed, Statement, Timeout,
    TimeoutMessage, Timestamp, Verified, View, Vote,
};
use std::collections::{BTreeMap, BTreeSet};

/// Those who keep to the rules.
pub const HONEST: [usize; 2] = [0, 3];
/// Those who do not.
pub const LIARS: [usize; 2] = [1, 2];
const STEPS: usize = 300;

type Just = Verified<Justification>;
type Votes = BTreeMap<(View, BlockId), BTreeSet<usize>>;

/// What an honest member remembers, and what it keeps as evidence.
#[derive(Clone, Default)]
struct Honest {
    view: u64,
    high: Option<Verified<Certificate>>,
    voted: Option<(u64, BlockId)>,
    timed_out: u64,
    commit_voted: u64,
    kept: Vec<Justification>,
}

/// What one member signed; the liars alone propose.
pub struct Signatures {
    /// R4.
    pub votes: Vec<Signed<Vote>>,
    /// R5.
    pub commit_votes: Vec<Signed<CommitVote>>,
    /// R8.
    pub timeouts: Vec<Signed<Timeout>>,
}

/// The members, and everything that was said.
pub struct World {
    /// Four with a stake of one each.
    pub committee: Committee,
    /// Their keys.
    pub keys: Vec<SecretKey>,
    seed: u64,
    honest: BTreeMap<usize, Honest>,
    /// With what justifies its parent.
    blocks: BTreeMap<BlockId, (Block, Option<Just>)>,
    votes: Votes,
    commit_votes: Votes,
    timeouts: BTreeMap<u64, Vec<Verified<TimeoutMessage>>>,
    pool: Vec<Just>,
    commits: Vec<Verified<FinalityCertificate>>,
}

fn payload() -> Payload {
    Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: vec![Bytes::from_static(b"one")],
        }],
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let (committee, keys) = committee(&[1; 4]);
        let first = Honest {
            view: 1,
            ..Honest::default()
        };
        Self {
            committee,
            keys,
            seed: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15),
            honest: HONEST.map(|member| (member, first.clone())).into(),
            blocks: BTreeMap::new(),
            votes: Votes::new(),
            commit_votes: Votes::new(),
            timeouts: BTreeMap::new(),
            pool: Vec::new(),
            commits: Vec::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % bound.max(1)
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        let at = self.below(list.len());
        list.get(at).cloned()
    }

    fn sign<S: Statement>(&self, member: usize, statement: S) -> Verified<Signed<S>> {
        let index = MemberIndex(member as u16);
        Signed::sign(statement, CHAIN, index, &self.keys[member])
    }

    fn step(&mut self) {
        let member = self.one_of(&HONEST).unwrap();
        match self.below(8) {
            0 | 1 => self.vote(member),
            2 => self.quorum(),
            3 | 4 => self.deliver(member),
            5 => self.give_up(member),
            6 => self.timeouts(),
            _ => self.commit(),
        }
    }

    /// R4: a liar proposes to this member alone, on whatever was certified in the view before.
    fn vote(&mut self, member: usize) {
        let me = self.honest[&member].clone();
        let before: Vec<Option<Just>> = self
            .pool
            .iter()
            .filter(|held| held.view().0 + 1 == me.view)
            .cloned()
            .map(Some)
            .chain((me.view == 1).then_some(None))
            .collect();
        let free = me.timed_out < me.view && me.voted.is_none_or(|(view, _)| view < me.view);
        let Some(justification) = self.one_of(&before).filter(|_| free) else {
            return;
        };
        let resolved = justification.as_ref().map(|held| held.resolved());
        let parent = resolved.and_then(|resolved| resolved.block);
        let parent = match parent {
            Some(id) => self.blocks[&id].0,
            None => Block::genesis(&self.committee),
        };
        let block = Block {
            view: View(me.view),
            height: Height(parent.height.0 + 1),
            parent: parent.id(),
            justify: resolved.map_or(View(0), |resolved| resolved.rank),
            payload: payload().id(),
            timestamp: Timestamp(parent.timestamp.0 + 1 + self.below(2) as u64),
            ..parent
        };
        let id = block.id();
        self.blocks.entry(id).or_insert((block, justification));
        self.votes
            .entry((block.view, id))
            .or_default()
            .insert(member);
        // It holds the ancestors with their justifications, or it would not vote.
        let mut kept = Vec::new();
        let mut at = Some(id);
        while let Some((block, justification)) = at.and_then(|id| self.blocks.get(&id)) {
            kept.extend(justification.iter().map(|held| (**held).clone()));
            at = Some(block.parent);
        }
        let me = self.honest.get_mut(&member).unwrap();
        me.voted = Some((me.view, id));
        me.kept.extend(kept);
    }

    fn someone_said(&mut self, votes: &Votes) -> Option<(View, BlockId, Vec<usize>)> {
        let said: Vec<_> = votes.iter().collect();
        let ((view, block), members) = self.one_of(&said)?;
        let all = members.iter().chain(&LIARS).copied().collect();
        Some((*view, *block, all))
    }

    /// Both liars vote for whatever an honest member voted for; if both honest ones did, that is a fast commit.
    fn quorum(&mut self) {
        let votes = self.votes.clone();
        let Some((view, block, members)) = self.someone_said(&votes) else {
            return;
        };
        let vote = Vote {
            epoch: self.committee.epoch(),
            view,
            block,
        };
        let signed: Vec<_> = members.iter().map(|m| self.sign(*m, vote)).collect();
        let quorum = Verified::<Certificate>::quorum(&signed, &self.committee).unwrap();
        self.commits.extend(quorum.finality(&self.committee));
        self.pool.push(quorum.into());
    }

    fn commit(&mut self) {
        let votes = self.commit_votes.clone();
        let Some((view, block, members)) = self.someone_said(&votes) else {
            return;
        };
        let vote = CommitVote {
            epoch: self.committee.epoch(),
            view,
            block,
        };
        let signed: Vec<_> = members.iter().map(|m| self.sign(*m, vote)).collect();
        let proof = Verified::<FinalityCertificate>::slow(&signed, &self.committee).unwrap();
        self.pool.push(proof.certificate().into());
        self.commits.push(proof);
    }

    /// R1, R5: something from the pool reaches an honest member.
    fn deliver(&mut self, member: usize) {
        let pool = self.pool.clone();
        let Some(held) = self.one_of(&pool) else {
            return;
        };
        let me = self.honest.get_mut(&member).unwrap();
        if held.view().0 >= me.view {
            me.view = held.view().0 + 1;
            me.kept.push((*held).clone());
        }
        let Some(high) = held.verified_high() else {
            return;
        };
        let (rank, block) = (high.rank(), high.block());
        if me.high.as_ref().is_none_or(|before| before.rank() < rank) {
            me.high = Some(high.clone());
        }
        if high.is_quorum() && me.timed_out < rank.0 && me.commit_voted < rank.0 {
            me.commit_voted = rank.0;
            me.kept.push(Justification::Certificate((*high).clone()));
            self.commit_votes
                .entry((rank, block))
                .or_default()
                .insert(member);
        }
    }

    fn timeout(
        &self,
        member: usize,
        view: u64,
        high: Option<Verified<Certificate>>,
        voted: Option<BlockId>,
    ) -> Verified<TimeoutMessage> {
        let statement = Timeout {
            epoch: self.committee.epoch(),
            view: View(view),
            high_view: high.as_ref().map_or(View(0), |held| held.rank()),
            voted,
        };
        TimeoutMessage::assemble(self.sign(member, statement), high).unwrap()
    }

    /// R8.
    fn give_up(&mut self, member: usize) {
        let me = self.honest[&member].clone();
        if me.timed_out >= me.view {
            return;
        }
        let voted = me.voted.filter(|(view, _)| *view == me.view);
        let message = self.timeout(member, me.view, me.high, voted.map(|(_, block)| block));
        self.timeouts.entry(me.view).or_default().push(message);
        self.honest.get_mut(&member).unwrap().timed_out = me.view;
    }

    /// The liars add timeouts that claim whatever rank and vote they like.
    fn timeouts(&mut self) {
        let views: Vec<u64> = self.timeouts.keys().copied().collect();
        let Some(view) = self.one_of(&views) else {
            return;
        };
        let lower: Vec<Option<Verified<Certificate>>> = self
            .pool
            .iter()
            .filter_map(|held| held.verified_high())
            .filter(|held| held.rank().0 < view)
            .map(Some)
            .chain([None])
            .collect();
        let blocks: Vec<Option<BlockId>> = self
            .blocks
            .values()
            .filter(|(block, _)| block.view.0 == view)
            .map(|(block, _)| Some(block.id()))
            .chain([None])
            .collect();
        let mut messages = self.timeouts[&view].clone();
        for liar in LIARS {
            let (high, voted) = (self.one_of(&lower).unwrap(), self.one_of(&blocks).unwrap());
            messages.push(self.timeout(liar, view, high, voted));
        }
        let made = Verified::<Justification>::timeouts(&messages, &self.committee);
        self.pool.push(made.unwrap());
    }

    fn is_ancestor(&self, ancestor: BlockId, mut of: BlockId) -> bool {
        while of != ancestor {
            match self.blocks.get(&of) {
                Some((block, _)) => of = block.parent,
                None => return false,
            }
        }
        true
    }

    /// Two final blocks that conflict.
    fn fork(&self) -> Option<[FinalityProof; 2]> {
        let proof = |by: &FinalityCertificate| {
            let (payload, block) = (payload(), self.blocks[&by.block()].0);
            let id = payload.ids().next().unwrap();
            let built =
                FinalityProof::build(&self.committee, block, vec![], by.clone(), &payload, id);
            built.unwrap()
        };
        let pairs = self
            .commits
            .iter()
            .flat_map(|one| self.commits.iter().map(move |two| (one, two)));
        let mut conflicting = pairs.filter(|(one, two)| {
            let (one, two) = (one.block(), two.block());
            !self.is_ancestor(one, two) && !self.is_ancestor(two, one)
        });
        conflicting
            .next()
            .map(|(one, two)| [proof(one), proof(two)])
    }

    /// The header of a block that somebody proposed.
    pub fn header(&self, id: BlockId) -> Option<&Block> {
        self.blocks.get(&id).map(|(block, _)| block)
    }

    /// Everything that an honest member has signed.
    pub fn signed_by(&self, member: usize) -> Signatures {
        let epoch = self.committee.epoch();
        let of = |votes: &Votes| -> Vec<(View, BlockId)> {
            let own = votes.iter().filter(|(_, by)| by.contains(&member));
            own.map(|(key, _)| *key).collect()
        };
        let votes = of(&self.votes).into_iter().map(|(view, block)| {
            let vote = Vote { epoch, view, block };
            self.sign(member, vote).into_inner()
        });
        let commit_votes = of(&self.commit_votes).into_iter().map(|(view, block)| {
            let vote = CommitVote { epoch, view, block };
            self.sign(member, vote).into_inner()
        });
        let timeouts = self.timeouts.values().flatten();
        let timeouts = timeouts
            .map(|message| message.timeout)
            .filter(|timeout| timeout.signer.index() == member);
        Signatures {
            votes: votes.collect(),
            commit_votes: commit_votes.collect(),
            timeouts: timeouts.collect(),
        }
    }

    /// What honest members keep.
    pub fn stores(&self) -> Vec<CertificateStore> {
        let headers: Vec<Block> = self.blocks.values().map(|(block, _)| *block).collect();
        let store = |me: &Honest| CertificateStore {
            headers: headers.clone(),
            certificates: me.kept.clone(),
            ..CertificateStore::new(self.committee.clone())
        };
        self.honest.values().map(store).collect()
    }
}

/// Steps until the liars have their fork; none if they do not get one.
pub fn run(seed: u64) -> Option<(World, [FinalityProof; 2])> {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        if let Some(proofs) = world.fork() {
            return Some((world, proofs));
        }
    }
    None
}
