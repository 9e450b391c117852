//! The reference replica: rules R1 to R9 as docs/protocol.md says them, over statements without signatures, with
//! plain sets of everything received, counted again at every step. It shares no code with the real one, to be compared
//! with it; it is slow and forgets little on purpose. Its author knew the implementation, so a reading of the
//! specification that both share is not found this way; the checkers of `game.rs` and `explore.rs` are for that.
//!
//! This file is at most 400 lines of code (a test counts them); proposing is in `leading.rs`, counting in `counting.rs`,
//! blocks in `blocks.rs`, restarts in `durable.rs`, arithmetic in `rules.rs`.
//!
//! What the specification leaves open, and what is done here because the implementation does it:
//! - within one step: what was received first, then the timer, then in this order as long as the view changes:
//!   commit, give up on a wrong candidate, amplify (R9), late votes by view, vote (normal before optimistic), commit;
//! - the first statement of a kind of a member in a view counts, a second one does not, and the first proposal of a
//!   kind is the only one that may be voted for; other blocks are kept if they were asked for (R11);
//! - of several proofs of finality the one of the latest view is waited for; a certificate's votes are counted by
//!   themselves, not together with votes that came alone;
//! - a late vote is for a block above the last committed one, and not for one whose commit certificate came before
//!   its quorum certificate;
//! - an intent (section 3) takes the view's vote, and a stored one whose block is not stored has not left;
//! - the timer's base follows the median of the last views (R12), a member is dead after so many views left with a
//!   quorum heard in them (R10);
//! - the timer of a view is set when the view is entered, with what was committed then (R12);
//! - a proposal that is wrong in its signed part counts in the current view only;
//! - certificates found in stored blocks on a restart justify, but neither raise `high` nor call for commit votes.

use super::rules::{Mutation, Rules};
use super::words::{Heard, Proof, Said};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::{Block, BlockId, ProposalKind};
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [ProposalKind; 2] = [ProposalKind::Normal, ProposalKind::Optimistic];

/// Section 3: what must survive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    pub view: u64,
    pub entry: Option<Proof>,
    pub voted: Option<(u64, BlockId)>,
    pub commit_voted: Option<(u64, BlockId)>,
    /// View, the certificate named, the vote reported.
    pub timed_out: Option<(u64, Option<Proof>, Option<BlockId>)>,
    pub proposed: Option<(u64, BlockId)>,
    pub proposed_optimistic: Option<(u64, BlockId)>,
    pub high: Option<Proof>,
    /// The vote in `voted` was put on record and not sent, for its payload is not checked yet.
    pub intent: bool,
}

#[derive(Clone, Debug)]
pub struct Reference {
    pub rules: Rules,
    pub me: usize,
    pub base: Block,
    pub root: Block,
    pub safety: Safety,
    pub durable: Safety,
    pub votes: BTreeMap<(u64, usize), BlockId>,
    pub commit_votes: BTreeMap<(u64, usize), BlockId>,
    pub timeouts: BTreeMap<(u64, usize), (Option<Proof>, Option<BlockId>)>,
    /// Certificates, however they came.
    pub certificates: BTreeSet<Proof>,
    pub blocks: BTreeMap<BlockId, Block>,
    /// What came with blocks.
    pub attached: BTreeSet<(BlockId, Proof)>,
    pub payloads: BTreeMap<BlockId, bool>,
    pub candidates: BTreeMap<(u64, ProposalKind), BlockId>,
    /// Blocks asked for (R11). Whom to ask, and when, is not compared: the world says what was asked.
    pub asked: BTreeSet<BlockId>,
    pub deadline: u64,
    pub entered: u64,
    /// How long views took that ended by votes.
    pub took: Vec<u64>,
    /// R3: how many views up to this one were entered by votes.
    pub by_votes: u64,
    /// R10: who was heard in this view, and for how many views of a quorum who was not.
    pub present: BTreeSet<usize>,
    pub silent: BTreeMap<usize, u64>,
    pub said: Vec<Said>,
    pub recorded: bool,
}

impl Reference {
    pub fn new(rules: Rules, me: usize, base: Block, now: u64) -> Self {
        let safety = Safety {
            view: 1,
            ..Safety::default()
        };
        Self::restored(rules, me, base, base, safety, now)
    }

    pub fn restored(
        rules: Rules,
        me: usize,
        base: Block,
        root: Block,
        safety: Safety,
        now: u64,
    ) -> Self {
        let deadline = now + rules.timer(safety.view, root.view.0, &[]);
        Self {
            rules,
            me,
            base,
            root,
            durable: safety.clone(),
            safety,
            votes: BTreeMap::new(),
            commit_votes: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            certificates: BTreeSet::new(),
            blocks: BTreeMap::new(),
            attached: BTreeSet::new(),
            payloads: BTreeMap::new(),
            candidates: BTreeMap::new(),
            asked: BTreeSet::new(),
            deadline,
            entered: now,
            took: Vec::new(),
            by_votes: 0,
            present: BTreeSet::new(),
            silent: BTreeMap::new(),
            said: Vec::new(),
            recorded: false,
        }
    }

    pub fn step(&mut self, now: u64, heard: Heard) -> Vec<Said> {
        self.hear(now, heard);
        if now >= self.deadline {
            self.time_out(now); // R8
        }
        self.settle(now);
        self.finish()
    }

    /// Section 3: durable before anything leaves.
    pub fn finish(&mut self) -> Vec<Said> {
        if std::mem::take(&mut self.recorded) || !self.said.is_empty() {
            self.durable = self.safety.clone();
        }
        std::mem::take(&mut self.said)
    }

    pub fn say(&mut self, said: Said) {
        self.present.insert(self.me);
        self.silent.insert(self.me, 0);
        self.said.push(said);
    }

    pub fn hear(&mut self, now: u64, heard: Heard) {
        let from = match &heard {
            Heard::Proposal { block, .. } => Some(block.proposer.index()),
            Heard::Vote { by, .. } | Heard::CommitVote { by, .. } | Heard::Timeout { by, .. } => {
                Some(*by)
            }
            _ => None,
        };
        self.present.extend(from);
        self.silent.extend(from.map(|from| (from, 0)));
        let window = self.safety.view.saturating_sub(64)..=self.safety.view + 64;
        match heard {
            Heard::Nothing => {}
            Heard::Proposal { block, kind, proof } => self.hear_proposal(now, block, kind, proof),
            Heard::Vote { by, view, block } => {
                if window.contains(&view) && view > self.root.view.0 {
                    self.votes.entry((view, by)).or_insert(block);
                    self.count_votes(now, view, block);
                }
            }
            Heard::CommitVote { by, view, block } => {
                if window.contains(&view) && view > self.root.view.0 {
                    self.commit_votes.entry((view, by)).or_insert(block);
                    self.count_commit_votes(now, view, block);
                }
            }
            Heard::Timeout {
                by,
                view,
                voted,
                high,
            } => {
                if let Some(high) = high.clone() {
                    self.learn(now, high);
                }
                if view >= self.safety.view && window.contains(&view) {
                    self.timeouts.entry((view, by)).or_insert((high, voted));
                    self.count_timeouts(now, view);
                    self.amplify(now);
                }
            }
            Heard::Proof(proof) => self.learn(now, proof),
            Heard::Record { block, proof } => {
                if self.asked.remove(&block.id()) {
                    if let Some(proof) = proof.clone() {
                        self.learn(now, proof);
                    }
                    if self.warranted(&block, proof.as_ref()) {
                        self.keep(block, proof);
                    }
                }
            }
            Heard::FetchFailed(block) => {
                self.asked.remove(&block);
            }
            Heard::Payload { block, valid } => {
                if self.blocks.contains_key(&block) {
                    self.payloads.entry(block).or_insert(valid);
                }
            }
            Heard::Assembled {
                view,
                parent,
                payload,
                timestamp,
                next,
            } => {
                self.propose(view, parent, (payload, next), timestamp);
            }
            Heard::CaughtUp { block, proof } => {
                if block.height > self.root.height {
                    self.make_final(block);
                }
                self.learn(now, proof);
            }
        }
    }

    pub fn hear_proposal(
        &mut self,
        now: u64,
        block: Block,
        kind: ProposalKind,
        proof: Option<Proof>,
    ) {
        if let Some(proof) = proof.clone() {
            self.learn(now, proof);
        }
        let (id, view) = (block.id(), block.view.0);
        if self.asked.remove(&id) {
            self.keep(block, proof.clone());
        }
        let ahead = view > self.safety.view + 64;
        if view < self.safety.view || ahead || self.rules.leader(view) != block.proposer.index() {
            return;
        }
        let out_of_place = block.version != BLOCK_VERSION
            || block.justify >= block.view
            || (kind == ProposalKind::Optimistic && block.justify.0 + 1 != view);
        if out_of_place || self.misfit(&block) {
            if view == self.safety.view {
                self.time_out(now);
            }
        } else if block.timestamp.0 <= now + 10_000_000 {
            let first = self.candidates.entry((view, kind)).or_insert(id);
            if self.rules.is(Mutation::TwoVotesPerView) {
                *first = id;
            }
            if *first == id {
                self.keep(block, proof);
            }
        }
    }

    /// R1, and R5 in the same step.
    pub fn learn(&mut self, now: u64, proof: Proof) {
        let view = proof.view();
        let certificate = self.rules.certificate(&proof);
        if certificate
            .as_ref()
            .is_some_and(|held| held.view() > self.high_rank())
        {
            self.safety.high.clone_from(&certificate);
        }
        self.note(Some(proof.clone()));
        if view >= self.safety.view {
            self.enter(now, proof);
        }
        if let Some(Proof::Qc { view, block, .. }) = certificate {
            self.commit_vote(now, view, block);
        }
    }

    pub fn enter(&mut self, now: u64, proof: Proof) {
        let view = proof.view() + 1;
        let votes = !matches!(proof, Proof::Tc { .. });
        let next = view == self.safety.view + 1;
        if votes && next {
            self.took.push(now - self.entered);
        }
        self.by_votes = match (votes, next) {
            (true, true) => self.by_votes + 1,
            (votes, _) => u64::from(votes),
        };
        let present = std::mem::take(&mut self.present);
        if self.rules.stake(&present) >= self.rules.quorum {
            for member in (0..self.rules.stakes.len()).filter(|m| !present.contains(m)) {
                *self.silent.entry(member).or_default() += 1;
            }
        }
        self.entered = now;
        self.deadline = now + self.rules.timer(view, self.root.view.0, &self.took); // R12
        (self.safety.view, self.safety.entry) = (view, Some(proof));
    }

    pub fn note(&mut self, proof: Option<Proof>) {
        let certificate = proof.and_then(|proof| self.rules.certificate(&proof));
        self.certificates.extend(certificate);
    }

    /// Everything that has become possible.
    pub fn settle(&mut self, now: u64) {
        loop {
            let view = self.safety.view;
            self.commit();
            self.judge(now);
            let leader = self.rules.leader(self.safety.view);
            let silent = self.silent.get(&leader).copied().unwrap_or(0);
            if leader != self.me && self.rules.dead_after > 0 && silent >= self.rules.dead_after {
                self.time_out(now); // R10
            }
            self.amplify(now);
            self.late_votes(now);
            self.try_vote(now);
            self.commit();
            if view == self.safety.view {
                return;
            }
        }
    }

    /// R4, and section 3: a vote is on record before its payload is checked, and leaves after.
    pub fn try_vote(&mut self, now: u64) {
        let view = self.safety.view;
        for (checked, kind) in [
            (true, KINDS[0]),
            (true, KINDS[1]),
            (false, KINDS[0]),
            (false, KINDS[1]),
        ] {
            let Some(id) = self.candidates.get(&(view, kind)).copied() else {
                continue;
            };
            let held = self.payloads.get(&id).copied() == checked.then_some(true);
            if held && self.may_vote(view, id) && self.votable(id) {
                if checked {
                    self.vote(now, view, id);
                } else if self.safety.voted != Some((view, id)) {
                    (self.safety.voted, self.safety.intent) = (Some((view, id)), true);
                    self.recorded = true;
                }
            }
        }
    }

    /// R4: a candidate that is wrong in its signed part.
    pub fn judge(&mut self, now: u64) {
        for kind in KINDS {
            let id = self.candidates.get(&(self.safety.view, kind));
            let block = id.and_then(|id| self.blocks.get(id)).copied();
            if let Some(block) = block
                && (self.payloads.get(&block.id()) == Some(&false) || self.misfit(&block))
            {
                self.time_out(now);
            }
        }
    }

    /// R4: vote for a candidate of the current view.
    pub fn votable(&self, id: BlockId) -> bool {
        let branch = self.branch(id).unwrap_or_default();
        let sound = |id: &BlockId| {
            let block = &self.blocks[id];
            let mut came = self.attached.iter().filter(|(of, _)| of == id);
            let by_attachment = came.any(|(_, proof)| self.fits(block, proof));
            !self.misfit(block) && (self.warranted(block, None) || by_attachment)
        };
        !branch.is_empty() && self.all_valid(&branch[1..]) && branch.iter().all(sound)
    }

    /// R4, late vote.
    pub fn late_votes(&mut self, now: u64) {
        for certificate in self.certificates.clone() {
            if let Proof::Qc { view, block, .. } = certificate
                && view < self.safety.view
                && self.blocks.contains_key(&block)
                && self.payloads.get(&block) == Some(&true)
                && self.may_vote(view, block)
            {
                self.vote(now, view, block);
            }
        }
    }

    pub fn may_vote(&self, view: u64, block: BlockId) -> bool {
        let voted = self.safety.voted.is_some_and(|(last, first)| {
            let same = first == block && self.safety.intent;
            let again = first != block && self.rules.is(Mutation::TwoVotesPerView);
            last > view || last == view && !same && !again
        });
        !voted && (!self.gave_up(view) || self.rules.is(Mutation::VoteAfterTimeout))
    }

    pub fn vote(&mut self, now: u64, view: u64, block: BlockId) {
        (self.safety.voted, self.safety.intent) = (Some((view, block)), false);
        self.say(Said::Vote { view, block });
        self.votes.entry((view, self.me)).or_insert(block);
        self.count_votes(now, view, block);
    }

    /// R5.
    pub fn commit_vote(&mut self, now: u64, view: u64, block: BlockId) {
        let voted = self
            .safety
            .commit_voted
            .is_some_and(|(last, _)| last >= view);
        let anyway = self.rules.is(Mutation::CommitVoteAfterTimeout);
        if !voted && (!self.gave_up(view) || anyway) {
            self.safety.commit_voted = Some((view, block));
            self.say(Said::CommitVote { view, block });
            self.commit_votes.entry((view, self.me)).or_insert(block);
            self.count_commit_votes(now, view, block);
        }
    }

    /// R9.
    pub fn amplify(&mut self, now: u64) {
        if self.rules.stake(self.timeouts_of(self.safety.view).keys()) >= self.rules.witness {
            self.time_out(now);
        }
    }

    /// R8.
    pub fn time_out(&mut self, now: u64) {
        let view = self.safety.view;
        if self.gave_up(view) {
            return;
        }
        let told = !self.safety.intent && !self.rules.is(Mutation::TimeoutHidesVote);
        let voted = self.safety.voted.filter(|(last, _)| *last == view && told);
        let voted = voted.map(|(_, block)| block);
        let (high, high_view) = (self.safety.high.clone(), self.high_rank());
        self.safety.timed_out = Some((view, high.clone(), voted));
        self.say(Said::Timeout {
            view,
            high_view,
            voted,
        });
        self.timeouts.insert((view, self.me), (high, voted));
        self.count_timeouts(now, view);
    }

    pub fn gave_up(&self, view: u64) -> bool {
        self.safety
            .timed_out
            .as_ref()
            .is_some_and(|(last, ..)| *last >= view)
    }

    pub fn high_rank(&self) -> u64 {
        self.safety.high.as_ref().map_or(0, Proof::view)
    }
}
