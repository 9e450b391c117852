//! Deeds of leaving out and of saying things late: nothing they sign is an offence.

use super::craft::{Renamed, consensus, payload, propose, say_to};
use super::{Corrupted, Deed, Setup};
use crate::fact::Message;
use outrider_types::message::Transactions;
use outrider_types::{
    Block, ConsensusMessage, Payload, PayloadId, PayloadMessage, RollupId, SyncMessage,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Says nothing at all. Strains R8, R10: its views must time out, then be skipped.
#[derive(Debug)]
pub(super) struct Silent;

impl Deed for Silent {
    fn speaks(&mut self, _: &mut Corrupted<'_>, _: usize, _: Option<usize>, _: &Arc<Message>) {}
}

/// Its payloads and transactions reach only some, it forwards no certificate and answers no request. Strains R4 (vote only
/// for what is held), R1, R11, and fetching from others.
#[derive(Debug)]
pub(super) struct Withholder {
    setup: Setup,
}

impl Withholder {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
        }
    }
}

impl Deed for Withholder {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        match &**message {
            Message::Consensus(ConsensusMessage::Certificate(_))
            | Message::Sync(
                SyncMessage::Block(_) | SyncMessage::Range(_) | SyncMessage::Change(_),
            ) => {}
            Message::Payload(_) => {
                let (setup, view) = (&self.setup, me.view);
                let some = setup.audience(to).into_iter();
                let some = some.filter(|host| setup.half(view, *host) == 1);
                say_to(me, some, message);
            }
            _ => me.say(to, message.clone()),
        }
    }
}

/// Its votes and commit votes reach one member of a view only, another one each time. Strains R5 and R11: a member alone
/// with a certificate must take the others along.
#[derive(Debug)]
pub(super) struct SelectiveVoter {
    setup: Setup,
}

impl SelectiveVoter {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
        }
    }
}

impl Deed for SelectiveVoter {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let view = message.view().map_or(me.view, |view| view.0);
        match &**message {
            Message::Consensus(ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_)) => {
                let others = self.setup.others();
                let chosen = self.setup.chance(view) % others.len().max(1) as u64;
                let chosen = usize::try_from(chosen).unwrap_or_default();
                say_to(me, others.get(chosen).copied(), message);
            }
            _ => me.say(to, message.clone()),
        }
    }
}

/// Protocol section 8, *selective fast votes*: its votes reach the first other member and nobody else, its commit votes
/// nobody. One member commits fast; the others must commit too, which is why R5 knows no exception.
#[derive(Debug)]
pub(super) struct SelectiveFastVotes {
    first: Option<usize>,
}

impl SelectiveFastVotes {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            first: setup.honest().first().copied(),
        }
    }
}

impl Deed for SelectiveFastVotes {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        match &**message {
            Message::Consensus(ConsensusMessage::Vote(_)) => say_to(me, self.first, message),
            Message::Consensus(ConsensusMessage::CommitVote(_)) => {}
            _ => me.say(to, message.clone()),
        }
    }
}

/// Payloads of which another one was sent, at most so many.
const CENSORED_MAX: usize = 64;

/// As leader it leaves out the transactions of rollup 1, and it does not spread them. Nothing in that is against the rules;
/// strains L5: they must be ordered by the next leader.
#[derive(Debug, Default)]
pub(super) struct Censor {
    /// By the payload that its side proposed: the one that left instead.
    censored: BTreeMap<PayloadId, PayloadId>,
    order: VecDeque<PayloadId>,
    renamed: Renamed,
}

impl Censor {
    /// The rollup that it leaves out.
    pub(super) const ROLLUP: RollupId = RollupId(1);

    fn payload(&mut self, me: &mut Corrupted<'_>, to: Option<usize>, whole: &Payload) {
        let mut left = whole.clone();
        left.batches.retain(|batch| batch.rollup != Self::ROLLUP);
        if left != *whole {
            let id = whole.id();
            self.censored.insert(id, left.id());
            self.order.push_back(id);
            if self.order.len() > CENSORED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.censored.remove(&oldest);
            }
        }
        if !left.is_empty() {
            me.say(to, payload(PayloadMessage::Payload(left)));
        }
    }
}

impl Deed for Censor {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        match &**message {
            Message::Payload(PayloadMessage::Payload(whole)) => {
                self.payload(me, to, whole);
                return;
            }
            Message::Payload(PayloadMessage::Transactions(Transactions { list })) => {
                let mut list = list.clone();
                list.retain(|transaction| transaction.rollup != Self::ROLLUP);
                if !list.is_empty() {
                    let left = PayloadMessage::Transactions(Transactions { list });
                    me.say(to, payload(left));
                }
                return;
            }
            Message::Consensus(ConsensusMessage::Proposal(said)) => {
                if let Some(left) = self.censored.get(&said.block.payload) {
                    let block = Block {
                        payload: *left,
                        ..said.block
                    };
                    let other = propose(me, block, said.kind, said.justification.clone());
                    if let Some(proposal) = other {
                        self.renamed.insert(said.block.id(), proposal.block.id());
                        me.say(to, consensus(ConsensusMessage::Proposal(proposal)));
                        return;
                    }
                }
            }
            _ => {}
        }
        let message = self.renamed.apply(me, message);
        me.say(to, message);
    }
}

/// As leader it says everything of its view four fifths of the timer late. Strains R8 and R12: proposals arrive just before
/// timers fire, votes cross with timeouts.
#[derive(Debug)]
pub(super) struct LateLeader {
    late: u64,
}

impl LateLeader {
    pub(super) const fn new(setup: &Setup) -> Self {
        Self {
            late: setup.base_timeout / 5 * 4,
        }
    }
}

impl Deed for LateLeader {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let late = match &**message {
            Message::Consensus(ConsensusMessage::Proposal(_)) => self.late,
            // R2: the certificate alone stands for the proposal.
            Message::Consensus(ConsensusMessage::Certificate(_)) if to.is_none() => self.late,
            _ => 0,
        };
        me.say_after(late, to, message.clone());
    }
}
