//! Chained HotStuff: Yin, Malkhi, Reiter, Golan Gueta, Abraham, "HotStuff: BFT Consensus with Linearity and
//! Responsiveness", PODC 2019, section 5 and algorithms 3 to 5.
//!
//! As in algorithm 3 each view has a leader, a block and one generic vote, which goes to the next leader. As in algorithm 5
//! the certificate of a block `b''` locks the block that `b''` certifies, and commits the block below that one if the three
//! follow each other without a gap: here, in views `v`, `v+1`, `v+2`, for there are no dummy blocks.
//!
//! - *vote* (safeNode): once per view, views ascending, for a block that extends the locked block, or whose certificate
//!   is of a higher view than the lock.
//! - *pacemaker* (section 6 leaves it open): a member leaves view `v` when it has voted in it, or when its timer fires; then
//!   it sends NEW-VIEW with its highest certificate to the next leader, who proposes on the certificate of `v` or
//!   on the highest of `quorum` NEW-VIEWs. A certificate or a proposal of a later view is followed at once. Timers
//!   double while nothing is certified.
//!
//! With one delay `d` everywhere: a block every 2d; commit 7d after a block's proposal, 6d at the leader that completes
//! the third certificate. A silent leader costs one timer, for members wait for it as soon as they have voted, and loses
//! the block before its own, whose votes went to it; so a commit needs four members in a row who are up.

use super::chain::{Block, Chain, Common};
use super::tree::{Certificate, SIGNER_BYTES};
use super::{Outbox, Protocol, Setting};
use crate::fact::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// NEW-VIEWs of views this far above the current one are not kept.
const VIEWS_AHEAD: u64 = 64;

/// What its members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// A leader's block.
    Proposal(Block),
    /// A view was given up: the leader of this one may begin.
    NewView {
        /// The view to begin.
        view: u64,
        /// The sender's highest certificate.
        high: Certificate,
    },
    /// Votes, and blocks that were missed.
    Common(Common),
}

impl From<Common> for Message {
    fn from(common: Common) -> Self {
        Self::Common(common)
    }
}

/// A member.
#[derive(Clone, Debug)]
pub struct HotStuff {
    setting: Setting,
    chain: Chain,
    view: u64,
    deadline: Micros,
    /// View of the last vote.
    voted: u64,
    /// View of the last proposal.
    proposed: u64,
    locked: Certificate,
    new_views: BTreeMap<u64, BTreeSet<usize>>,
    /// A proposal of the current view whose parent is not held yet.
    waiting: Option<Block>,
}

impl HotStuff {
    /// A member that knows nothing but genesis.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            chain: Chain::new(setting),
            view: 1,
            deadline: 0,
            voted: 0,
            proposed: 0,
            locked: Certificate::genesis(),
            new_views: BTreeMap::new(),
            waiting: None,
        }
    }

    fn enter(&mut self, view: u64, now: Micros) {
        assert!(view > self.view, "views ascend");
        self.view = view;
        self.deadline = now + self.setting.timer(view, self.chain.high.view);
        self.waiting = None;
        self.chain.forget(view);
        self.new_views.retain(|new, _| *new >= view);
    }

    /// A valid certificate: keep it, lock, commit, and go where it leads.
    fn learn(
        &mut self,
        certificate: &Certificate,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        self.chain.raise(certificate, out);
        self.follow(certificate, (from, now), out);
        if certificate.view >= self.view {
            self.enter(certificate.view + 1, now);
        }
    }

    /// Algorithm 5, update: lock the middle block of two, commit the last of three.
    fn follow(
        &mut self,
        certificate: &Certificate,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        let Some((third, second_certificate)) = self.chain.certified(certificate) else {
            return;
        };
        if second_certificate.view > self.locked.view {
            self.locked = second_certificate.clone();
        }
        let Some((second, first_certificate)) = self.chain.certified(second_certificate) else {
            return;
        };
        let first = first_certificate.block;
        let gapless = third.view == second.view + 1 && second.view == first_certificate.view + 1;
        if gapless && first_certificate.view > 0 {
            self.chain.commit(first, (from, now), out);
        }
    }

    fn on_proposal(
        &mut self,
        block: &Block,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        if from != block.header.proposer || !block.well_formed(&self.setting) {
            return;
        }
        if from != self.setting.member {
            out.verified += 1;
        }
        self.chain.insert(block);
        self.learn(&block.justify, (from, now), out);
        if block.header.view > self.view {
            self.enter(block.header.view, now);
        }
        self.consider(block, (from, now), out);
    }

    /// Vote, if the rules allow it and the parent is held.
    fn consider(&mut self, block: &Block, (from, now): (usize, Micros), out: &mut Outbox<Message>) {
        let header = block.header;
        if header.view != self.view || header.view <= self.voted {
            return;
        }
        let Some(parent) = self.chain.tree.get(header.parent) else {
            self.waiting = Some(block.clone());
            self.chain.ask((header.parent, from), now, out);
            return;
        };
        // The lock must know of this certificate before the vote.
        self.follow(&block.justify, (from, now), out);
        let safe = block.justify.view > self.locked.view
            || self
                .chain
                .tree
                .get(self.locked.block)
                .is_some_and(|locked| self.chain.tree.extends(header.parent, locked));
        if safe && header.height == parent.height + 1 {
            self.voted = header.view;
            self.chain.vote(header, out);
            self.enter(header.view + 1, now);
        }
    }

    /// Propose, if it is this member's turn and it may.
    fn lead(&mut self, now: Micros, out: &mut Outbox<Message>) {
        for (view, ready) in &self.new_views {
            if *view > self.view && ready.len() >= self.setting.quorum() {
                let view = *view;
                self.enter(view, now);
                break;
            }
        }
        let view = self.view;
        if !self.setting.leads(view) || self.proposed >= view {
            return;
        }
        let asked_to = self
            .new_views
            .get(&view)
            .is_some_and(|ready| ready.len() >= self.setting.quorum());
        if self.chain.high.view + 1 != view && !asked_to {
            return;
        }
        let Some(parent) = self.chain.tree.get(self.chain.high.block) else {
            // Those who voted for it have it.
            let voter = self.chain.high.voters.first().copied();
            let whom = voter.unwrap_or(self.setting.member);
            self.chain.ask((self.chain.high.block, whom), now, out);
            return;
        };
        self.proposed = view;
        let block = Block {
            header: parent.child(view, self.setting.member),
            justify: self.chain.high.clone(),
        };
        out.signed += 1;
        out.proposed.push(block.header.id);
        let bytes = block.bytes();
        out.broadcast(Message::Proposal(block.clone()), bytes);
        out.send(self.setting.member, Message::Proposal(block), bytes);
    }

    fn on_common(
        &mut self,
        common: &Common,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        match common {
            Common::Vote { view, block } => {
                let vote = (self.view, *view, *block);
                if let Some(certificate) = self.chain.count(vote, from, out) {
                    self.learn(&certificate, (from, now), out);
                }
            }
            Common::Ask { block, above } => self.chain.give((*block, *above), from, out),
            Common::Give { blocks } => {
                self.chain.take(blocks, (from, now), out);
                let high = self.chain.high.clone();
                self.learn(&high, (from, now), out);
                if let Some(block) = self.waiting.take() {
                    self.consider(&block, (from, now), out);
                }
            }
        }
    }
}

impl Protocol for HotStuff {
    type Message = Message;

    fn start(&mut self, now: Micros, out: &mut Outbox<Message>) {
        self.deadline = now + self.setting.timer(self.view, 0);
        self.lead(now, out);
    }

    fn receive(&mut self, now: Micros, from: usize, message: &Message, out: &mut Outbox<Message>) {
        match message {
            Message::Proposal(block) => self.on_proposal(block, (from, now), out),
            Message::NewView { view, high } => {
                let near = (self.view..=self.view + VIEWS_AHEAD).contains(view);
                if !near || !high.valid(&self.setting) || !self.setting.leads(*view) {
                    return;
                }
                if from != self.setting.member {
                    out.verified += 1;
                }
                self.new_views.entry(*view).or_default().insert(from);
                self.learn(high, (from, now), out);
            }
            Message::Common(common) => self.on_common(common, (from, now), out),
        }
        self.lead(now, out);
    }

    fn wake(&mut self, now: Micros, out: &mut Outbox<Message>) {
        if now < self.deadline {
            return;
        }
        out.timeouts += 1;
        out.signed += 1;
        let view = self.view + 1;
        self.enter(view, now);
        let high = self.chain.high.clone();
        let bytes = 1 + 8 + SIGNER_BYTES + high.bytes();
        out.send(
            self.setting.leader(view),
            Message::NewView { view, high },
            bytes,
        );
    }

    fn wake_at(&self) -> Option<Micros> {
        Some(self.deadline)
    }

    fn view(&self) -> u64 {
        self.view
    }
}
