//! Deeds that fight for time: who learns of a certificate, and when. Among them the scripted attacks of protocol section 8.

use super::craft::{Leaders, NextLeaders, consensus, propose, say_to, timeout, vote};
use super::memory::Memory;
use super::{Corrupted, Deed, Setup};
use crate::fact::{Message, Micros};
use outrider_types::{
    Block, BlockId, Committee, ConsensusMessage, Epoch, Justification, Proposal, ProposalKind,
    Timestamp, View,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Views whose times are remembered.
const VIEWS_MAX: usize = 64;
/// A view is not spoken of for so many timers.
const LONG_AGO: u64 = 64;

/// When each view was first spoken of, as far as the network tells.
#[derive(Debug, Default)]
struct Times(BTreeMap<View, Micros>);

impl Times {
    /// A view that was spoken of long ago is one of another epoch.
    fn note(&mut self, now: Micros, view: View, setup: &Setup) {
        if self
            .0
            .first_key_value()
            .is_some_and(|(oldest, _)| self.0.len() >= VIEWS_MAX && view < *oldest)
        {
            return;
        }
        let began = self.0.entry(view).or_insert(now);
        if now > *began + setup.base_timeout * LONG_AGO {
            *began = now;
        }
        while self.0.len() > VIEWS_MAX {
            self.0.pop_first();
        }
    }

    /// How long it is until this part (in tenths) of the timer of a view has passed.
    fn until(&self, now: Micros, view: View, setup: &Setup, tenths: u64) -> Micros {
        let began = self.0.get(&view).copied().unwrap_or(now);
        (began + setup.base_timeout / 10 * tenths).saturating_sub(now)
    }
}

/// Before `gst` it holds back the one message that would complete a certificate at a member until just before that member's
/// timer fires; its own votes reach half of the others. Strains R1, R8, R9 and R12: certificates and timeouts cross.
#[derive(Debug)]
pub(super) struct Strategist {
    setup: Setup,
    times: Times,
    seats: Option<(Committee, Vec<usize>)>,
    /// Votes that reached a host in time, by view, block and host.
    reached: BTreeMap<(View, BlockId, usize), BTreeSet<usize>>,
}

/// Certificates in the making that a strategist keeps track of.
const REACHED_MAX: usize = 4_096;

impl Strategist {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            times: Times::default(),
            seats: None,
            reached: BTreeMap::new(),
        }
    }

    fn stake(&self, host: usize) -> u64 {
        self.seats.as_ref().map_or(0, |(committee, hosts)| {
            let at = hosts.iter().position(|other| *other == host);
            let member = at.and_then(|at| committee.members().get(at));
            member.map_or(0, |member| member.stake.0)
        })
    }

    /// Whether this vote would complete a certificate at `to`, whose own vote counts as cast.
    fn completes(&mut self, from: usize, to: usize, view: View, block: BlockId) -> bool {
        let Some((committee, _)) = &self.seats else {
            return false;
        };
        let quorum = committee.thresholds().quorum.0;
        let known = self.reached.get(&(view, block, to));
        let mut stake = self.stake(from) + self.stake(to);
        for voter in known.into_iter().flatten() {
            if *voter != from && *voter != to {
                stake += self.stake(*voter);
            }
        }
        if stake >= quorum {
            return true;
        }
        self.reached
            .entry((view, block, to))
            .or_default()
            .insert(from);
        while self.reached.len() > REACHED_MAX {
            self.reached.pop_first();
        }
        false
    }
}

impl Deed for Strategist {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        if let Message::Consensus(ConsensusMessage::Vote(said)) = &**message {
            let setup = &self.setup;
            let hosts = setup.audience(to).into_iter();
            let half = hosts.filter(|host| setup.half(said.view.0, *host) == 1);
            say_to(me, half, message);
        } else {
            me.say(to, message.clone());
        }
    }

    fn overhears(&mut self, me: &mut Corrupted<'_>, _: usize, _: Option<usize>, _: &Arc<Message>) {
        let known = self.seats.as_ref();
        if known.is_none_or(|(committee, _)| committee.id() != me.committee.id()) {
            self.seats = Some((me.committee.clone(), me.hosts.to_vec()));
            self.reached.clear();
        }
    }

    fn holds_back(&mut self, now: Micros, from: usize, to: usize, message: &Message) -> Micros {
        let Some(view) = message.view() else {
            return 0;
        };
        self.times.note(now, view, &self.setup);
        let Message::Consensus(message) = message else {
            return 0;
        };
        let completes = match message {
            ConsensusMessage::Vote(said) => self.completes(from, to, view, said.block),
            ConsensusMessage::CommitVote(_) | ConsensusMessage::Certificate(_) => true,
            _ => false,
        };
        if completes {
            self.times.until(now, view, &self.setup, 9)
        } else {
            0
        }
    }
}

/// Completes certificates before anyone else does, as it reads every vote when it is sent, and hands each to one member that
/// does not lead the next view; its side forwards none. Strains R1 and R11: one member alone is a view ahead.
#[derive(Debug)]
pub(super) struct SelectiveCertifier {
    setup: Setup,
    memory: Memory,
    leaders: Leaders,
    epoch: Epoch,
    done: View,
}

impl SelectiveCertifier {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            memory: Memory::default(),
            leaders: Leaders::default(),
            epoch: Epoch(0),
            done: View(0),
        }
    }
}

impl Deed for SelectiveCertifier {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        if !matches!(
            &**message,
            Message::Consensus(ConsensusMessage::Certificate(_) | ConsensusMessage::Vote(_))
        ) {
            me.say(to, message.clone());
        }
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.memory.note(me.committee, message);
        let Message::Consensus(ConsensusMessage::Vote(said)) = &**message else {
            return;
        };
        let (view, block) = (said.view, said.block);
        if self.epoch != me.committee.epoch() {
            (self.epoch, self.done) = (me.committee.epoch(), View(0));
        }
        if view <= self.done || said.epoch != self.epoch {
            return;
        }
        let own = vote(me, view, block);
        let Some(certificate) = self.memory.certificate(me.committee, (view, block), own) else {
            return;
        };
        self.done = view;
        let next = self.leaders.host(me, view.next());
        let mut hosts = self.setup.honest();
        hosts.retain(|host| Some(*host) != next);
        if let Some(to) = me.stream.pick(&hosts).copied() {
            let certificate = Justification::Certificate(certificate);
            me.say(
                Some(to),
                consensus(ConsensusMessage::Certificate(certificate)),
            );
        }
    }
}

/// Protocol section 8, *hidden qc*: nothing that certifies a block of a view reaches the leader of the next one from it, and
/// before `gst` others' votes reach that leader only when most of the timer has passed. Strains the forwarding of R1 and the
/// short resend of R8.
#[derive(Debug)]
pub(super) struct HiddenQc {
    setup: Setup,
    times: Times,
    next: NextLeaders,
}

impl HiddenQc {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            times: Times::default(),
            next: NextLeaders::default(),
        }
    }
}

impl Deed for HiddenQc {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let certifies = matches!(
            &**message,
            Message::Consensus(
                ConsensusMessage::Proposal(_)
                    | ConsensusMessage::Vote(_)
                    | ConsensusMessage::CommitVote(_)
                    | ConsensusMessage::Certificate(_)
            )
        );
        let Some(view) = message.view().filter(|_| certifies) else {
            me.say(to, message.clone());
            return;
        };
        let next = self.next.after(me, view);
        let hosts = self.setup.audience(to).into_iter();
        say_to(me, hosts.filter(|host| Some(*host) != next), message);
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        if let Some(view) = message.view() {
            self.next.after(me, view);
        }
    }

    fn holds_back(&mut self, now: Micros, _: usize, to: usize, message: &Message) -> Micros {
        let Some(view) = message.view() else {
            return 0;
        };
        self.times.note(now, view, &self.setup);
        let vote = matches!(
            message,
            Message::Consensus(ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_))
        );
        if vote && self.next.is(view, to) {
            self.times.until(now, view, &self.setup, 9)
        } else {
            0
        }
    }
}

/// Protocol section 8, *split*: its vote completes the certificate of a block proposed ahead towards everyone but the next
/// leader; to that leader it gives up on the view and says that it voted for the other proposal, so that the timeouts may
/// adopt that one. In its own views it makes both proposals itself, one for each half. Strains the commit condition of R3.
#[derive(Debug)]
pub(super) struct Splitter {
    setup: Setup,
    memory: Memory,
    times: Times,
    next: NextLeaders,
    epoch: Epoch,
    done: BTreeSet<View>,
}

impl Splitter {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            memory: Memory::default(),
            times: Times::default(),
            next: NextLeaders::default(),
            epoch: Epoch(0),
            done: BTreeSet::new(),
        }
    }

    /// The proposal ahead of a view for one half, another block on the same parent, proposed normally, for the other. A block
    /// that the view before does not justify cannot be proposed ahead: then both are normal ones.
    fn propose_both(&mut self, me: &mut Corrupted<'_>, to: Option<usize>, said: &Proposal) {
        let other = Block {
            timestamp: Timestamp(said.block.timestamp.0.saturating_add(1)),
            ..said.block
        };
        let direct = said.block.justify == said.block.view.previous();
        let kind = match said.kind {
            ProposalKind::Normal if direct => ProposalKind::Optimistic,
            _ => ProposalKind::Normal,
        };
        let justification = match kind {
            ProposalKind::Normal => said
                .justification
                .clone()
                .or_else(|| self.memory.justifications.back().cloned()),
            ProposalKind::Optimistic => None,
        };
        let first = consensus(ConsensusMessage::Proposal(said.clone()));
        let second = propose(me, other, kind, justification)
            .map(|proposal| consensus(ConsensusMessage::Proposal(proposal)));
        for message in [Some(&first), second.as_ref()].into_iter().flatten() {
            self.memory.note(me.committee, message);
        }
        let (setup, view) = (&self.setup, said.block.view.0);
        for (half, message) in [Some(&first), second.as_ref()].into_iter().enumerate() {
            let hosts = setup.audience(to).into_iter();
            let hosts = hosts.filter(|host| setup.half(view, *host) == half);
            if let Some(message) = message {
                say_to(me, hosts, message);
            }
        }
    }

    /// As soon as its vote completes a certificate of the block proposed ahead.
    fn split(&mut self, me: &mut Corrupted<'_>, view: View) {
        if self.epoch != me.committee.epoch() {
            self.epoch = me.committee.epoch();
            self.done.clear();
        }
        let ahead = self.memory.proposal(view, ProposalKind::Optimistic);
        let Some(ahead) = ahead.map(|proposal| proposal.block.id()) else {
            return;
        };
        let stake = self
            .memory
            .stake_for(me.committee, (view, ahead), me.member());
        if self.done.contains(&view) || stake < me.committee.thresholds().quorum {
            return;
        }
        self.done.insert(view);
        while self.done.len() > VIEWS_MAX {
            self.done.pop_first();
        }
        let normal = self.memory.proposal(view, ProposalKind::Normal);
        let normal = normal.map(|proposal| proposal.block.id());
        let next = self.next.after(me, view);
        if let Some(vote) = vote(me, view, ahead) {
            let vote = consensus(ConsensusMessage::Vote(vote));
            let others = self.setup.others().into_iter();
            say_to(me, others.filter(|host| Some(*host) != next), &vote);
        }
        if let Some(lie) = timeout(me, view, None, normal) {
            say_to(me, next, &lie);
        }
    }
}

impl Deed for Splitter {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let Message::Consensus(said) = &**message else {
            me.say(to, message.clone());
            return;
        };
        match said {
            ConsensusMessage::Proposal(said) => self.propose_both(me, to, said),
            // Its votes are cast by `split`; what it certifies stays hidden from the next leader.
            ConsensusMessage::Vote(said) => self.split(me, said.view),
            ConsensusMessage::CommitVote(_) | ConsensusMessage::Certificate(_) => {
                let view = message.view().unwrap_or_default();
                let next = self.next.after(me, view);
                let hosts = self.setup.audience(to).into_iter();
                say_to(me, hosts.filter(|host| Some(*host) != next), message);
            }
            _ => me.say(to, message.clone()),
        }
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.memory.note(me.committee, message);
        let Some(view) = message.view() else {
            return;
        };
        self.next.after(me, view);
        if matches!(&**message, Message::Consensus(ConsensusMessage::Vote(_))) {
            self.split(me, view);
        }
    }

    fn holds_back(&mut self, now: Micros, _: usize, to: usize, message: &Message) -> Micros {
        let Some(view) = message.view() else {
            return 0;
        };
        self.times.note(now, view, &self.setup);
        let vote = matches!(message, Message::Consensus(ConsensusMessage::Vote(_)));
        if vote && self.next.is(view, to) {
            self.times.until(now, view, &self.setup, 9)
        } else {
            0
        }
    }
}
