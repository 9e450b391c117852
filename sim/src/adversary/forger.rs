//! Deeds that send what is not theirs to say: forged, or said before.

use super::craft::{another, consensus, no_block, nonsense, propose, vote};
use super::memory::Memory;
use super::{Corrupted, Deed};
use crate::fact::Message;
use outrider_types::certificate::{Adopting, Aggregate, TimeoutJustification};
use outrider_types::{
    BlockId, Certificate, CommitVote, ConsensusMessage, Justification, MemberIndex, Proposal,
    Signature, Signed, Timeout, TimeoutCertificate, TimeoutEntry, TimeoutMessage, View, Vote,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Votes of others that a forger turns into commit votes, per view.
const CONFUSED_MAX: usize = 2;

/// Statements with wrong signatures and in others' names, votes of others as commit votes; certificates with a signer
/// twice, of too little stake, of its own signature alone, or made up; timeout certificates whose entries were altered, in
/// time to count. Strains verification (T3, S7): none of it may count.
#[derive(Debug, Default)]
pub(super) struct Forger {
    memory: Memory,
    /// Of this view and those before it statements were forged.
    forged: View,
    /// Views whose timeouts were forged into certificates, up to this one.
    timed_out: View,
    /// The view of the last confused votes, and how many they were.
    confused: (View, usize),
}

impl Forger {
    /// Statements of this view in the name of another member.
    fn statements(&self, me: &mut Corrupted<'_>, view: View) -> Vec<ConsensusMessage> {
        let (epoch, block) = (me.committee.epoch(), no_block(me));
        let (Some(victim), Some(signer)) = (another(me), me.member()) else {
            return Vec::new();
        };
        let vote = Vote { epoch, view, block };
        let commit = CommitVote { epoch, view, block };
        let given_up = Timeout {
            epoch,
            view,
            high_view: View(0),
            voted: Some(block),
        };
        let mut out = vec![ConsensusMessage::Vote(Signed {
            statement: vote,
            signer,
            signature: nonsense(me),
        })];
        // Its own signature under another name.
        if let Some(mut signed) = me.sign(me.host, vote) {
            signed.signer = victim;
            out.push(ConsensusMessage::Vote(signed));
        }
        if let Some(mut signed) = me.sign(me.host, commit) {
            signed.signer = victim;
            out.push(ConsensusMessage::CommitVote(signed));
        }
        if let Some(mut timeout) = me.sign(me.host, given_up) {
            timeout.signer = victim;
            let high = None;
            out.push(ConsensusMessage::Timeout(TimeoutMessage { timeout, high }));
        }
        let last = self.memory.proposals.back().cloned();
        if let Some(proposal) = last.and_then(|last| Self::usurped(me, &last)) {
            out.push(ConsensusMessage::Proposal(proposal));
        }
        out
    }

    /// A proposal that was heard, with another payload, in its leader's name.
    fn usurped(me: &mut Corrupted<'_>, said: &Proposal) -> Option<Proposal> {
        let mut block = said.block;
        block.payload.0[0] ^= 1;
        let leader = block.proposer;
        let mut forged = propose(me, block, said.kind, said.justification.clone())?;
        forged.block.proposer = leader;
        Some(forged)
    }

    /// Certificates of a block that was just proposed: its own signature alone, and as often as there are members.
    fn own_certificates(me: &Corrupted<'_>, (view, block): (View, BlockId)) -> Vec<Justification> {
        let Some(own) = vote(me, view, block) else {
            return Vec::new();
        };
        let one = (own.signer, own.signature);
        [1, me.committee.members().len()]
            .map(|times| quorum(own.statement, vec![one; times]))
            .to_vec()
    }

    /// Certificates of a view out of votes that were overheard: too few, one of them many times, nonsense beside them.
    fn certificates(&self, me: &mut Corrupted<'_>, view: View) -> Vec<Justification> {
        let blocks = self.memory.votes.get(&view);
        let Some((_, votes)) = blocks.and_then(|blocks| blocks.first_key_value()) else {
            return Vec::new();
        };
        let Some(statement) = votes.values().next().map(|vote| vote.statement) else {
            return Vec::new();
        };
        let real = votes.values().map(|vote| (vote.signer, vote.signature));
        let mut few: Vec<_> = real.collect();
        let needed = me.committee.thresholds().quorum;
        let enough = |list: &[(MemberIndex, Signature)]| {
            let stake = me.committee.stake_of(list.iter().map(|one| one.0));
            stake.is_ok_and(|stake| stake >= needed)
        };
        while few.len() > 1 && enough(&few) {
            few.pop();
        }
        let one = few.first().copied();
        let twice = one.map(|one| vec![one; me.committee.members().len()]);
        let mut made_up = few.clone();
        for member in me.committee.indexes() {
            if few.iter().all(|(known, _)| *known != member) {
                made_up.push((member, nonsense(me)));
            }
        }
        made_up.sort_by_key(|(member, _)| *member);
        [Some(few), twice, Some(made_up)]
            .into_iter()
            .flatten()
            .map(|signatures| quorum(statement, signatures))
            .collect()
    }

    /// Its own timeout of a view, which says that it holds that view's own certificate, and that certificate.
    fn impossible(&self, me: &Corrupted<'_>, view: View) -> Option<TimeoutMessage> {
        let blocks = self.memory.votes.get(&view)?;
        let high = blocks.keys().find_map(|block| {
            let own = vote(me, view, *block);
            self.memory.certificate(me.committee, (view, *block), own)
        })?;
        let timeout = Timeout {
            epoch: me.committee.epoch(),
            view,
            high_view: view,
            voted: None,
        };
        Some(TimeoutMessage {
            timeout: me.sign(me.host, timeout)?,
            high: Some(high),
        })
    }

    /// Timeouts that were overheard, and its own, as certificates with altered entries: what they hold, what they voted for,
    /// one twice, too few, one of a rank that cannot be.
    fn timeout_certificates(&self, me: &Corrupted<'_>, view: View) -> Vec<Justification> {
        let mut timeouts = self.memory.timeouts.get(&view).cloned().unwrap_or_default();
        let nothing = Timeout {
            epoch: me.committee.epoch(),
            view,
            high_view: View(0),
            voted: None,
        };
        if let Some(timeout) = me.sign(me.host, nothing) {
            let high = None;
            timeouts.insert(timeout.signer, TimeoutMessage { timeout, high });
        }
        let real: Vec<TimeoutEntry> = timeouts.values().map(entry).collect();
        let altered = |alter: fn(TimeoutEntry) -> TimeoutEntry| real.iter().copied().map(alter);
        let nothing = altered(|entry| TimeoutEntry {
            high_view: View(0),
            voted: None,
            ..entry
        });
        let hidden = altered(|entry| TimeoutEntry {
            voted: None,
            ..entry
        });
        let twice = real.iter().flat_map(|entry| [*entry, *entry]);
        let one = real.iter().copied().take(1);
        let best = timeouts.values().max_by_key(|said| said.timeout.high_view);
        let best = best.and_then(|said| said.high.clone());
        let mut lists: Vec<(Vec<TimeoutEntry>, Option<Certificate>)> = vec![
            (nothing.collect(), None),
            (hidden.collect(), best.clone()),
            (twice.collect(), best.clone()),
            (one.collect(), best),
        ];
        if let Some(impossible) = self.impossible(me, view) {
            let own = impossible.timeout.signer;
            let others = real.iter().copied().filter(|entry| entry.member != own);
            let mut list: Vec<TimeoutEntry> = others.chain([entry(&impossible)]).collect();
            list.sort_by_key(|entry| entry.member);
            lists.push((list, impossible.high));
        }
        let epoch = me.committee.epoch();
        let block = real.iter().find_map(|entry| entry.voted);
        let mut out = Vec::new();
        for (entries, high) in lists {
            let timeouts = TimeoutCertificate {
                epoch,
                view,
                entries,
            };
            if let Some(block) = block {
                let timeouts = timeouts.clone();
                let adopting = Certificate::Adopting(Adopting { block, timeouts });
                out.push(Justification::Certificate(adopting));
            }
            out.push(Justification::Timeout(TimeoutJustification {
                timeouts,
                high,
            }));
        }
        out
    }

    /// Whether the timeouts of this view, its own among them, are enough for a certificate, for the first time.
    fn time_out(&mut self, me: &Corrupted<'_>, view: View) -> bool {
        let known = self.memory.timeouts.get(&view).into_iter();
        let known: BTreeSet<MemberIndex> = known.flat_map(BTreeMap::keys).copied().collect();
        let all = known
            .into_iter()
            .chain(me.member())
            .collect::<BTreeSet<_>>();
        let stake = me.committee.stake_of(all);
        let enough = stake.is_ok_and(|stake| stake >= me.committee.thresholds().timeout);
        let first = enough && view > self.timed_out;
        if first {
            self.timed_out = view;
        }
        first
    }

    /// What can be forged out of one message.
    fn forge(
        &mut self,
        me: &mut Corrupted<'_>,
        message: &ConsensusMessage,
    ) -> Vec<ConsensusMessage> {
        match message {
            ConsensusMessage::Proposal(said) => {
                let certified = (said.block.view, said.block.id());
                let forged = Self::own_certificates(me, certified).into_iter();
                forged.map(ConsensusMessage::Certificate).collect()
            }
            ConsensusMessage::Vote(said) => {
                if self.confused.0 != said.view {
                    self.confused = (said.view, 0);
                }
                self.confused.1 += 1;
                if self.confused.1 > CONFUSED_MAX {
                    return Vec::new();
                }
                let Vote { epoch, view, block } = said.statement;
                vec![ConsensusMessage::CommitVote(Signed {
                    statement: CommitVote { epoch, view, block },
                    signer: said.signer,
                    signature: said.signature,
                })]
            }
            ConsensusMessage::Timeout(said) => {
                let view = said.timeout.view;
                if !self.time_out(me, view) {
                    return Vec::new();
                }
                let forged = self.timeout_certificates(me, view).into_iter();
                let forged = forged.map(ConsensusMessage::Certificate);
                let own = self.impossible(me, view).map(ConsensusMessage::Timeout);
                forged.chain(own).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn quorum(statement: Vote, signatures: Vec<(MemberIndex, Signature)>) -> Justification {
    Justification::Certificate(Certificate::Quorum(Aggregate {
        statement,
        signatures,
    }))
}

fn entry(said: &TimeoutMessage) -> TimeoutEntry {
    TimeoutEntry {
        member: said.timeout.signer,
        high_view: said.timeout.high_view,
        voted: said.timeout.voted,
        signature: said.timeout.signature,
    }
}

impl Deed for Forger {
    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.memory.note(me.committee, message);
        let Message::Consensus(said) = &**message else {
            return;
        };
        if said.epoch() != me.committee.epoch() {
            return;
        }
        let mut forged = self.forge(me, said);
        if let Some(view) = message.view()
            && (view > self.forged || view.0 + 64 < self.forged.0)
        {
            // Views start over with an epoch.
            if view < self.forged {
                (self.timed_out, self.confused) = (View(0), (View(0), 0));
            }
            self.forged = view;
            forged.extend(self.statements(me, view));
            let certificates = self.certificates(me, view.previous()).into_iter();
            forged.extend(certificates.map(ConsensusMessage::Certificate));
        }
        for forged in forged {
            me.say(None, consensus(forged));
        }
    }
}

/// Messages that a replayer keeps.
const KEPT_MAX: usize = 512;

/// Says again what others said: old messages as they were, messages of another epoch as if they were of this one,
/// certificates of one kind as another. Strains R1, R13 (no message of one epoch counts in another), S7.
#[derive(Debug, Default)]
pub(super) struct Replayer {
    kept: VecDeque<Arc<Message>>,
    heard: u64,
}

impl Replayer {
    /// A message as if it were of this epoch; the signature is what it was.
    fn relabelled(me: &Corrupted<'_>, message: &ConsensusMessage) -> Option<ConsensusMessage> {
        let epoch = me.committee.epoch();
        if message.epoch() == epoch {
            return None;
        }
        let mut message = message.clone();
        match &mut message {
            ConsensusMessage::Proposal(proposal) => proposal.block.epoch = epoch,
            ConsensusMessage::Vote(vote) => vote.statement.epoch = epoch,
            ConsensusMessage::CommitVote(vote) => vote.statement.epoch = epoch,
            ConsensusMessage::Timeout(timeout) => timeout.timeout.statement.epoch = epoch,
            ConsensusMessage::Certificate(justification) => match justification {
                Justification::Certificate(Certificate::Quorum(votes)) => {
                    votes.statement.epoch = epoch;
                }
                Justification::Certificate(Certificate::Commit(votes)) => {
                    votes.statement.epoch = epoch;
                }
                Justification::Certificate(Certificate::Adopting(adopting)) => {
                    adopting.timeouts.epoch = epoch;
                }
                Justification::Timeout(timeout) => timeout.timeouts.epoch = epoch,
            },
            ConsensusMessage::EpochEnd(_) => return None,
        }
        Some(message)
    }

    /// A certificate as one of another kind.
    fn retyped(message: &ConsensusMessage) -> Option<ConsensusMessage> {
        let justification = match message {
            ConsensusMessage::Certificate(justification) => justification.clone(),
            ConsensusMessage::Proposal(proposal) => proposal.justification.clone()?,
            ConsensusMessage::Timeout(timeout) => Justification::Certificate(timeout.high.clone()?),
            _ => return None,
        };
        let other = match justification {
            Justification::Certificate(Certificate::Quorum(votes)) => {
                Certificate::Commit(Aggregate {
                    statement: CommitVote {
                        epoch: votes.statement.epoch,
                        view: votes.statement.view,
                        block: votes.statement.block,
                    },
                    signatures: votes.signatures,
                })
            }
            Justification::Certificate(Certificate::Commit(votes)) => {
                Certificate::Quorum(Aggregate {
                    statement: Vote {
                        epoch: votes.statement.epoch,
                        view: votes.statement.view,
                        block: votes.statement.block,
                    },
                    signatures: votes.signatures,
                })
            }
            Justification::Certificate(Certificate::Adopting(adopting)) => {
                let (timeouts, high) = (adopting.timeouts, None);
                let other = Justification::Timeout(TimeoutJustification { timeouts, high });
                return Some(ConsensusMessage::Certificate(other));
            }
            Justification::Timeout(timeout) => {
                let block = timeout.high.as_ref()?.block();
                let timeouts = timeout.timeouts;
                Certificate::Adopting(Adopting { block, timeouts })
            }
        };
        Some(ConsensusMessage::Certificate(Justification::Certificate(
            other,
        )))
    }
}

impl Deed for Replayer {
    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.heard += 1;
        // Every seventh is kept, so that some are of long ago.
        if self.heard.is_multiple_of(7) {
            if self.kept.len() >= KEPT_MAX {
                let at = me.stream.index(self.kept.len());
                self.kept.remove(at);
            }
            self.kept.push_back(message.clone());
        }
        if !self.heard.is_multiple_of(5) || self.kept.is_empty() {
            return;
        }
        let at = me.stream.index(self.kept.len());
        let Some(old) = self.kept.get(at).cloned() else {
            return;
        };
        me.say(None, old.clone());
        if let Message::Consensus(old) = &*old {
            let forged = [Self::relabelled(me, old), Self::retyped(old)];
            for forged in forged.into_iter().flatten() {
                me.say(None, consensus(forged));
            }
        }
    }
}
