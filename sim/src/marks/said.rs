//! Marks of what members say to each other.

use super::state::{STATEMENTS_KEPT, another};
use super::{Mark, Marks};
use crate::fact::{Message, Micros};
use outrider_types::{
    Block, BlockId, CommitVote, ConsensusMessage, Justification, PayloadMessage, Proposal,
    ProposalKind, Signed, SyncMessage, Timeout, View, Vote,
};

/// A range of so many blocks is long.
const LONG_RANGE: usize = 16;

impl Marks {
    pub(super) fn sent(&mut self, at: Micros, from: usize, to: Option<usize>, message: &Message) {
        match message {
            Message::Consensus(ConsensusMessage::Vote(vote)) => self.vote(from, vote),
            Message::Consensus(ConsensusMessage::CommitVote(vote)) => self.commit_vote(from, vote),
            Message::Consensus(ConsensusMessage::Timeout(timeout)) => {
                self.timeout(at, from, &timeout.timeout);
            }
            Message::Consensus(ConsensusMessage::Proposal(proposal)) => {
                self.proposal(from, proposal);
            }
            Message::Consensus(ConsensusMessage::Certificate(justification)) => {
                self.certificate(from, to, justification);
            }
            Message::Consensus(ConsensusMessage::EpochEnd(_)) => {
                self.reach_if(to.is_some() && self.state.honest(from), Mark::EpochEndShown);
            }
            Message::Payload(PayloadMessage::Transactions(spread)) => {
                for transaction in &spread.list {
                    let id = transaction.id();
                    let before = self.state.waiting.get(&id).map(|taken| taken.by);
                    match before {
                        Some(by) => self.reach_if(by != from, Mark::TransactionRetried),
                        None => self.state.accepted(from, id),
                    }
                }
            }
            Message::Sync(SyncMessage::Block(full)) => self.block(to, &full.record.block),
            Message::Sync(SyncMessage::Range(range)) => {
                self.reach(Mark::RangeServed);
                self.reach_if(range.blocks.len() >= LONG_RANGE, Mark::LongRangeServed);
            }
            _ => {}
        }
    }

    /// Whether a statement comes from the host of its signer, and that one's stake.
    fn own(&self, epoch: u64, member: usize, from: usize) -> Option<u64> {
        let epoch = self.state.epoch(epoch)?;
        (epoch.hosts.get(member) == Some(&from)).then(|| epoch.stake(member))
    }

    fn vote(&mut self, from: usize, vote: &Signed<Vote>) {
        let (epoch, view, block) = (vote.epoch.0, vote.view, vote.block);
        let Some(stake) = self.own(epoch, vote.signer.index(), from) else {
            return;
        };
        let honest = self.state.honest(from);
        let mut reached = Vec::new();
        let mut new = true;
        if let Some(host) = self.state.hosts.get_mut(from).filter(|host| host.honest) {
            new = host.voted < (epoch, view);
            if !new && host.restarted {
                reached.push(Mark::VoteAgain);
            }
            if new && (host.epoch, host.view) > (epoch, view) && host.epoch == epoch {
                reached.push(Mark::LateVote);
            }
            if host.mute {
                host.mute = false;
                reached.push(Mark::MuteSpeaks);
            }
            host.restarted = false;
            host.voted = host.voted.max((epoch, view));
        }
        if let Some(seen) = self.state.view(epoch, view) {
            if !honest {
                new = !seen.false_votes.contains(&(from, block));
                if another(&mut seen.false_votes, from, block) {
                    reached.push(Mark::DoubleVote);
                }
                let hidden = seen
                    .false_timeouts
                    .iter()
                    .any(|(by, voted)| *by == from && *voted != Some(block));
                if hidden {
                    reached.push(Mark::HiddenVote);
                }
            }
            let room = seen.votes.len() < STATEMENTS_KEPT;
            match seen.votes.iter_mut().find(|(other, ..)| *other == block) {
                Some((_, sum, by_honest)) => {
                    *sum += if new { stake } else { 0 };
                    *by_honest |= honest;
                }
                None if room => seen.votes.push((block, stake, honest)),
                None => {}
            }
            if seen.votes.len() > 1 && seen.votes.iter().filter(|vote| vote.2).count() > 1 {
                reached.push(Mark::VotesSplit);
            }
            if honest && seen.proposals.contains(&(ProposalKind::Optimistic, block)) {
                reached.push(Mark::OptimisticVoted);
            }
        }
        for mark in reached {
            self.reach(mark);
        }
    }

    fn commit_vote(&mut self, from: usize, vote: &Signed<CommitVote>) {
        let (epoch, view, block) = (vote.epoch.0, vote.view, vote.block);
        if self.own(epoch, vote.signer.index(), from).is_none() {
            return;
        }
        let Some(host) = self.state.hosts.get_mut(from) else {
            return;
        };
        host.commit_voted = host.commit_voted.max((epoch, view));
        if host.honest {
            return;
        }
        if !host.locks.contains(&(epoch, view)) {
            host.locks.push_back((epoch, view));
        }
        if host.locks.len() > STATEMENTS_KEPT {
            host.locks.pop_front();
        }
        let seen = self.state.view(epoch, view);
        let double = seen.is_some_and(|seen| another(&mut seen.false_commits, from, block));
        self.reach_if(double, Mark::DoubleCommitVote);
    }

    fn timeout(&mut self, at: Micros, from: usize, timeout: &Signed<Timeout>) {
        let (epoch, view) = (timeout.epoch.0, timeout.view);
        let Some(stake) = self.own(epoch, timeout.signer.index(), from) else {
            return;
        };
        let witness = self
            .state
            .epoch(epoch)
            .map_or(0, |epoch| epoch.committee.thresholds().witness.0);
        let base = self.state.base_timeout;
        let Some(host) = self.state.hosts.get_mut(from) else {
            return;
        };
        let again = host.timed_out >= (epoch, view);
        let current = (host.epoch, host.view) == (epoch, view);
        let waited = at.saturating_sub(host.entered);
        let broken = !host.honest
            && host
                .locks
                .iter()
                .any(|(of, lock)| *of == epoch && *lock <= view && *lock > timeout.high_view);
        let (honest, restarted) = (host.honest, host.restarted);
        host.timed_out = host.timed_out.max((epoch, view));
        let mut hidden = false;
        let mut others = 0;
        if let Some(seen) = self.state.view(epoch, view) {
            others = seen.timeouts;
            seen.timeouts += if again { 0 } else { stake };
            if !honest {
                another(&mut seen.false_timeouts, from, timeout.voted);
                hidden = seen
                    .false_votes
                    .iter()
                    .any(|(by, block)| *by == from && timeout.voted != Some(*block));
            }
        }
        self.reach_if(broken, Mark::BrokenLock);
        self.reach_if(hidden, Mark::HiddenVote);
        if !honest {
            return;
        }
        self.reach_if(again && !restarted, Mark::TimeoutAgain);
        let early = !again && current && !restarted;
        self.reach_if(
            early && waited == 0 && others < witness,
            Mark::LeaderSkipped,
        );
        self.reach_if(early && waited < base && others >= witness, Mark::Amplified);
    }

    fn proposal(&mut self, from: usize, proposal: &Proposal) {
        let block = &proposal.block;
        let (epoch, view, kind) = (block.epoch.0, block.view, proposal.kind);
        if self.own(epoch, block.proposer.index(), from).is_none() {
            return;
        }
        let filler = self
            .state
            .epoch(epoch)
            .and_then(|epoch| epoch.last)
            .is_some_and(|last| block.height.0 > last);
        self.reach_if(filler, Mark::FillerProposed);
        let id = block.id();
        let mut reached = Vec::new();
        if let Some(seen) = self.state.view(epoch, view) {
            let others = |of: ProposalKind| {
                let mut all = seen.proposals.iter();
                all.any(|(kind, other)| *kind == of && *other != id)
            };
            if others(kind) {
                reached.push(Mark::DoubleProposal);
            }
            if kind == ProposalKind::Normal && others(ProposalKind::Optimistic) {
                reached.push(Mark::OptimisticAbandoned);
            }
            if seen.proposals.len() < STATEMENTS_KEPT && !seen.proposals.contains(&(kind, id)) {
                seen.proposals.push((kind, id));
            }
        }
        for mark in reached {
            self.reach(mark);
        }
    }

    fn certificate(&mut self, from: usize, to: Option<usize>, justification: &Justification) {
        let Some(host) = self.state.hosts.get(from).filter(|host| host.honest) else {
            return;
        };
        let leads = host.leader == from;
        let view = (justification.epoch().0, justification.view().next());
        match to {
            None => {
                let seen = self.state.view(view.0, view.1);
                let stands = seen.is_some_and(|seen| {
                    let mut all = seen.proposals.iter();
                    all.any(|(kind, _)| *kind == ProposalKind::Optimistic)
                });
                self.reach_if(leads && stands, Mark::OptimisticKept);
            }
            Some(to) => {
                let forwarded = host.leader == to && (host.epoch, host.view) == view;
                let mark = if forwarded {
                    Mark::EntryForwarded
                } else {
                    Mark::LaggardHelped
                };
                self.reach(mark);
            }
        }
    }

    /// A single block goes to a member that asked for it.
    fn block(&mut self, to: Option<usize>, block: &Block) {
        if to.is_none() {
            return;
        }
        let id: BlockId = block.id();
        let view: View = block.view;
        let proposed = self
            .state
            .view(block.epoch.0, view)
            .is_some_and(|seen| seen.proposals.iter().any(|(_, other)| *other == id));
        let mark = if proposed {
            Mark::PayloadFetched
        } else {
            Mark::BlockFetched
        };
        self.reach(mark);
    }
}
