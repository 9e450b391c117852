//! Jolteon: Gelashvili, Kokoris-Kogias, Sonnino, Spiegelman, Xiang, "Jolteon and Ditto: Network-Adaptive Efficient
//! Consensus with Asynchronous Fallback", FC 2022, section 3 (figure 2).
//!
//! - *vote*: in the current round, once, rounds ascending, for a block whose certificate is of the round before, or that
//!   comes with a timeout certificate of the round before and whose certificate is at least as high as the highest that
//!   the timeouts report. Votes go to the next leader.
//! - *lock*: the highest certificate seen.
//! - *commit*: a certified block with a certified child in the next round.
//! - *timeout*: to all, with the highest certificate; no vote in that round from then on. `quorum` of them are a timeout
//!   certificate, which ends the round and goes to the next leader.
//!
//! From DiemBFT v4 (Diem team, 2021), the version that was built: `f + 1` timeouts of the current round are joined at once, and
//! a timeout carries the timeout certificate by which its sender came into the round, so that a member left behind
//! follows. While the round lasts, the timeout is sent again after each timer.
//!
//! With one delay `d` everywhere: a block every 2d; commit 5d after a block's proposal, 4d at the leader that completes the
//! second certificate. A silent leader costs two timers, that of the round before, whose votes went to it, and its own,
//! and it loses the block of the round before; so a commit needs three members in a row who are up.

use super::chain::{Block, Chain, Common};
use super::tree::{Certificate, SIGNER_BYTES};
use super::{Outbox, Protocol, Setting};
use crate::fact::Micros;
use outrider_types::BlockId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Timeouts of rounds this far above the current one are not kept.
const ROUNDS_AHEAD: u64 = 64;

/// A mock timeout certificate: who gave a round up, and how high a certificate each reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutCertificate {
    /// The round given up.
    pub round: u64,
    /// Round of each member's highest certificate.
    pub reported: Arc<BTreeMap<usize, u64>>,
}

impl TimeoutCertificate {
    fn valid(&self, setting: &Setting) -> bool {
        self.reported.len() >= setting.quorum()
            && self.reported.keys().all(|member| *member < setting.members)
    }

    /// The highest that anyone reported.
    fn highest(&self) -> u64 {
        self.reported.values().copied().max().unwrap_or_default()
    }

    /// Epoch, round, and of each member its signature and the round it reports.
    fn bytes(&self) -> usize {
        8 + 8 + 1 + (SIGNER_BYTES + 8) * self.reported.len()
    }
}

/// What its members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// A leader's block; with a timeout certificate if the round before timed out.
    Proposal(Block, Option<TimeoutCertificate>),
    /// A round is given up.
    Timeout {
        /// Which.
        round: u64,
        /// The sender's highest certificate.
        high: Certificate,
        /// By what the sender came into the round, if by a timeout.
        entry: Option<TimeoutCertificate>,
    },
    /// A round is over: to the leader of the next one.
    Over {
        /// Proof.
        timeouts: TimeoutCertificate,
        /// The sender's highest certificate, at least as high as any reported.
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
pub struct Jolteon {
    setting: Setting,
    chain: Chain,
    round: u64,
    deadline: Micros,
    /// Round of the last vote.
    voted: u64,
    /// Last round given up.
    timed_out: u64,
    /// Round of the last proposal.
    proposed: u64,
    timeouts: BTreeMap<u64, BTreeMap<usize, u64>>,
    /// By which the current round was entered, if by timeouts.
    entry: Option<TimeoutCertificate>,
    /// A proposal of the current round whose parent is not held yet.
    waiting: Option<(Block, Option<TimeoutCertificate>)>,
}

impl Jolteon {
    /// A member that knows nothing but genesis.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            chain: Chain::new(setting),
            round: 1,
            deadline: 0,
            voted: 0,
            timed_out: 0,
            proposed: 0,
            timeouts: BTreeMap::new(),
            entry: None,
            waiting: None,
        }
    }

    fn enter(&mut self, round: u64, entry: Option<TimeoutCertificate>, now: Micros) {
        assert!(round > self.round, "rounds ascend");
        self.round = round;
        self.entry = entry;
        self.deadline = now + self.setting.timer(round, self.chain.high.view);
        self.waiting = None;
        self.chain.forget(round);
        self.timeouts.retain(|of, _| *of >= round);
    }

    /// A valid certificate: keep it (the lock), commit, and go where it leads.
    fn learn(
        &mut self,
        certificate: &Certificate,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        self.chain.raise(certificate, out);
        if let Some((second, first)) = self.chain.certified(certificate)
            && second.view == first.view + 1
            && first.view > 0
        {
            let first = first.block;
            self.chain.commit(first, (from, now), out);
        }
        if certificate.view >= self.round {
            self.enter(certificate.view + 1, None, now);
        }
    }

    /// A valid timeout certificate: its round is over.
    fn end(&mut self, timeouts: &TimeoutCertificate, now: Micros, out: &mut Outbox<Message>) {
        let name = BlockId([0xff; 32]);
        let signatures = timeouts.reported.len();
        out.verified += self.chain.checked.cost(timeouts.round, name, signatures);
        if timeouts.round < self.round {
            return;
        }
        self.enter(timeouts.round + 1, Some(timeouts.clone()), now);
        let high = self.chain.high.clone();
        let leader = self.setting.leader(self.round);
        if leader != self.setting.member {
            let bytes = 1 + timeouts.bytes() + high.bytes();
            let timeouts = timeouts.clone();
            out.send(leader, Message::Over { timeouts, high }, bytes);
        }
    }

    fn on_proposal(
        &mut self,
        (block, timeouts): (&Block, &Option<TimeoutCertificate>),
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
        if let Some(timeouts) = timeouts.as_ref().filter(|all| all.valid(&self.setting)) {
            self.end(timeouts, now, out);
        }
        self.consider(block, timeouts, (from, now), out);
    }

    /// Vote, if the rules allow it and the parent is held.
    fn consider(
        &mut self,
        block: &Block,
        timeouts: &Option<TimeoutCertificate>,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        let header = block.header;
        let open = header.view > self.voted && header.view > self.timed_out;
        if header.view != self.round || !open {
            return;
        }
        let follows = block.justify.view + 1 == header.view;
        let recovers = timeouts.as_ref().is_some_and(|timeouts| {
            timeouts.valid(&self.setting)
                && timeouts.round + 1 == header.view
                && block.justify.view >= timeouts.highest()
        });
        if !follows && !recovers {
            return;
        }
        let Some(parent) = self.chain.tree.get(header.parent) else {
            self.waiting = Some((block.clone(), timeouts.clone()));
            self.chain.ask((header.parent, from), now, out);
            return;
        };
        if header.height == parent.height + 1 {
            self.voted = header.view;
            self.chain.vote(header, out);
        }
    }

    /// Give the current round up, or say so again.
    fn give_up(&mut self, now: Micros, out: &mut Outbox<Message>) {
        if self.timed_out < self.round {
            out.timeouts += 1;
            out.signed += 1;
        }
        self.timed_out = self.round;
        self.deadline = now + self.setting.timer(self.round, self.chain.high.view);
        let high = self.chain.high.clone();
        let entry = self.entry.clone();
        let bytes = 1
            + 8
            + 8
            + SIGNER_BYTES
            + high.bytes()
            + entry.as_ref().map_or(0, TimeoutCertificate::bytes);
        let message = Message::Timeout {
            round: self.round,
            high,
            entry,
        };
        out.broadcast(message.clone(), bytes);
        out.send(self.setting.member, message, bytes);
    }

    fn on_timeout(
        &mut self,
        (round, reported): (u64, u64),
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        if round < self.round || round > self.round + ROUNDS_AHEAD {
            return;
        }
        if from != self.setting.member {
            out.verified += 1;
        }
        let all = self.timeouts.entry(round).or_default();
        all.insert(from, reported);
        let (count, enough) = (all.len(), all.len() >= self.setting.quorum());
        if enough {
            let reported = Arc::new(all.clone());
            let name = BlockId([0xff; 32]);
            self.chain.checked.cost(round, name, 0);
            self.end(&TimeoutCertificate { round, reported }, now, out);
        } else if count > self.setting.faulty() && round == self.round && self.timed_out < round {
            self.give_up(now, out);
        }
    }

    /// Propose, if it is this member's turn and it may.
    fn lead(&mut self, now: Micros, out: &mut Outbox<Message>) {
        let round = self.round;
        if !self.setting.leads(round) || self.proposed >= round {
            return;
        }
        let high = self.chain.high.clone();
        let follows = high.view + 1 == round;
        let entry = self.entry.clone().filter(|_| !follows);
        let recovers = entry
            .as_ref()
            .is_some_and(|entry| high.view >= entry.highest());
        if !follows && !recovers {
            return;
        }
        let Some(parent) = self.chain.tree.get(high.block) else {
            let voter = high.voters.first().copied();
            let whom = voter.unwrap_or(self.setting.member);
            self.chain.ask((high.block, whom), now, out);
            return;
        };
        self.proposed = round;
        let block = Block {
            header: parent.child(round, self.setting.member),
            justify: high,
        };
        out.signed += 1;
        out.proposed.push(block.header.id);
        let bytes = block.bytes() + 1 + entry.as_ref().map_or(0, TimeoutCertificate::bytes);
        let message = Message::Proposal(block, entry);
        out.broadcast(message.clone(), bytes);
        out.send(self.setting.member, message, bytes);
    }

    fn on_common(
        &mut self,
        common: &Common,
        (from, now): (usize, Micros),
        out: &mut Outbox<Message>,
    ) {
        match common {
            Common::Vote { view, block } => {
                let vote = (self.round, *view, *block);
                if let Some(certificate) = self.chain.count(vote, from, out) {
                    self.learn(&certificate, (from, now), out);
                }
            }
            Common::Ask { block, above } => self.chain.give((*block, *above), from, out),
            Common::Give { blocks } => {
                self.chain.take(blocks, (from, now), out);
                let high = self.chain.high.clone();
                self.learn(&high, (from, now), out);
                if let Some((block, timeouts)) = self.waiting.take() {
                    self.consider(&block, &timeouts, (from, now), out);
                }
            }
        }
    }
}

impl Protocol for Jolteon {
    type Message = Message;

    fn start(&mut self, now: Micros, out: &mut Outbox<Message>) {
        self.deadline = now + self.setting.timer(self.round, 0);
        self.lead(now, out);
    }

    fn receive(&mut self, now: Micros, from: usize, message: &Message, out: &mut Outbox<Message>) {
        let setting = self.setting;
        match message {
            Message::Proposal(block, timeouts) => {
                self.on_proposal((block, timeouts), (from, now), out);
            }
            Message::Timeout { round, high, entry } => {
                // Who reports a certificate of the round itself, or none, has no reason to give it up.
                if !high.valid(&setting) || high.view >= *round {
                    return;
                }
                self.learn(high, (from, now), out);
                if let Some(entry) = entry.as_ref().filter(|entry| entry.valid(&setting)) {
                    self.end(entry, now, out);
                }
                self.on_timeout((*round, high.view), (from, now), out);
            }
            Message::Over { timeouts, high } => {
                if timeouts.valid(&setting) && high.valid(&setting) {
                    self.learn(high, (from, now), out);
                    self.end(timeouts, now, out);
                }
            }
            Message::Common(common) => self.on_common(common, (from, now), out),
        }
        self.lead(now, out);
    }

    fn wake(&mut self, now: Micros, out: &mut Outbox<Message>) {
        if now >= self.deadline {
            self.give_up(now, out);
        }
    }

    fn wake_at(&self) -> Option<Micros> {
        Some(self.deadline)
    }

    fn view(&self) -> u64 {
        self.round
    }
}
