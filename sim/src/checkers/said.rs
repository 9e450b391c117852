//! What messages tell: who signed what, who was sent which payload, and whether honest members may say it.

use super::Checkers;
use super::conform;
use super::members::Speech;
use super::oracle::signed;
use super::payloads::Spoken;
use super::rules::{EpochRules, transaction_id};
use super::signers::{Finding, Heard, Kind};
use crate::fact::{Message, Micros};
use outrider_types::{
    BlockId, ConsensusMessage, MemberIndex, PayloadMessage, Proposal, Signature, Statement,
    SyncMessage, Timeout, Transaction, View,
};
use std::sync::Arc;

impl Checkers {
    /// A message left a host.
    pub(super) fn sent(
        &mut self,
        at: Micros,
        from: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) -> Result<(), Finding> {
        match &**message {
            Message::Consensus(said) => self.said(from, said),
            Message::Payload(said) => {
                match said {
                    PayloadMessage::Payload(payload) => {
                        self.payloads.sent(from, to, payload);
                        self.travels(message);
                    }
                    PayloadMessage::Transactions(spread) => {
                        let spoken = |one: &Transaction| {
                            let id = transaction_id(one.rollup, &one.data);
                            (one.rollup, id, one.data.clone())
                        };
                        let transactions: Vec<Spoken> = spread.list.iter().map(spoken).collect();
                        for (rollup, id, _) in &transactions {
                            self.chain.spread(at, from, *id, *rollup);
                        }
                        self.payloads.batch(from, to, transactions);
                    }
                    PayloadMessage::References(references) => {
                        self.payloads.told(from, to, references);
                    }
                    PayloadMessage::Received(_) | PayloadMessage::BatchRequest(_) => {}
                }
                Ok(())
            }
            Message::Sync(said) => {
                self.travels(message);
                self.synced(from, to, said)
            }
        }
    }

    fn travels(&mut self, message: &Arc<Message>) {
        if self.epochs.newest().is_some_and(|rules| rules.overrun) {
            self.blame.travels(message);
        }
    }

    /// Something on the consensus channel: who signed it, and whether the sender may say it.
    fn said(&mut self, from: usize, message: &ConsensusMessage) -> Result<(), Finding> {
        let honest = self.epochs.honest(from);
        match message {
            ConsensusMessage::Vote(vote) => {
                let (view, block) = (vote.view, vote.block);
                let by = (vote.signer, vote.signature);
                self.named(from, Kind::Vote, vote.statement, (view, block), by)?;
            }
            ConsensusMessage::CommitVote(vote) => {
                let (view, block) = (vote.view, vote.block);
                let by = (vote.signer, vote.signature);
                self.named(from, Kind::Commit, vote.statement, (view, block), by)?;
            }
            ConsensusMessage::Timeout(timeout) => {
                let by = (timeout.timeout.signer, timeout.timeout.signature);
                self.gave_up(from, &timeout.timeout.statement, by)?;
                if let Some(high) = timeout.high.as_ref().filter(|_| honest) {
                    self.oracle(from).certificate(high)?;
                }
            }
            ConsensusMessage::Proposal(proposal) => {
                self.proposed(from, proposal)?;
                if let Some(attached) = proposal.justification.as_ref().filter(|_| honest) {
                    self.oracle(from).justification(attached)?;
                }
            }
            ConsensusMessage::Certificate(justification) if honest => {
                self.oracle(from).justification(justification)?;
            }
            ConsensusMessage::EpochEnd(end) if honest => {
                self.oracle(from).finality(&end.certificate)?;
            }
            _ => {}
        }
        if view_of(message).is_some_and(|view| self.blame.hears(view))
            && let Some(rules) = self.epochs.get(message.epoch().0)
        {
            return self.blame.hear(rules, message);
        }
        Ok(())
    }

    fn proposed(&mut self, from: usize, proposal: &Proposal) -> Result<(), Finding> {
        let said = proposal.signed();
        let (view, block) = (said.view, said.block);
        self.payloads.proposed(block, &proposal.block);
        self.conform.header(block, &proposal.block);
        if let Some(rules) = self.epochs.get(proposal.block.epoch.0) {
            self.blame.header(rules, &proposal.block);
        }
        let by = (said.signer, said.signature);
        let kind = Kind::from(proposal.kind);
        self.named(from, kind, said.statement, (view, block), by)
    }

    /// A statement that names a block.
    fn named<S: Statement>(
        &mut self,
        from: usize,
        kind: Kind,
        statement: S,
        (view, block): (View, BlockId),
        (signer, signature): (MemberIndex, Signature),
    ) -> Result<(), Finding> {
        let Some(rules) = self.epochs.get(statement.epoch().0) else {
            return Ok(());
        };
        let member = signer.index();
        let own = is_own(rules, member, from);
        if !own {
            let heard = match kind {
                Kind::Vote | Kind::Commit => {
                    self.log.heard(rules.number, kind, member, view, block)
                }
                Kind::Normal | Kind::Optimistic => Heard::No,
            };
            if heard == Heard::Yes || !signed(rules, statement, signer, signature) {
                return Ok(());
            }
        }
        let new = self.log.signed(rules, kind, member, view, block)?;
        if !new || !own || !rules.is_honest(member) {
            return Ok(());
        }
        if kind == Kind::Vote {
            self.payloads.voted(rules, member, block)?;
            self.conform
                .voted(rules, &self.log, member, (view, block))?;
        }
        if kind == Kind::Optimistic
            && let Some(committed) = self.chain.final_view(from, rules)
        {
            conform::ahead(member, view, committed)?;
        }
        let speech = match kind {
            Kind::Vote => Speech::Vote(block),
            Kind::Commit => Speech::Commit(block),
            Kind::Normal => Speech::Normal(block),
            Kind::Optimistic => Speech::Optimistic(block),
        };
        self.members.says(from, rules.number, view, speech)
    }

    fn gave_up(
        &mut self,
        from: usize,
        timeout: &Timeout,
        (signer, signature): (MemberIndex, Signature),
    ) -> Result<(), Finding> {
        let Some(rules) = self.epochs.get(timeout.epoch.0) else {
            return Ok(());
        };
        let member = signer.index();
        let own = is_own(rules, member, from);
        if !own {
            let heard = self.log.heard_timeout(rules.number, member, timeout);
            if heard == Heard::Yes || !signed(rules, *timeout, signer, signature) {
                return Ok(());
            }
        }
        let new = self.log.timeout(rules, member, timeout)?;
        if !new || !own || !rules.is_honest(member) {
            return Ok(());
        }
        let speech = Speech::Timeout(timeout.high_view, timeout.voted);
        self.members.says(from, rules.number, timeout.view, speech)
    }

    fn synced(
        &mut self,
        from: usize,
        to: Option<usize>,
        message: &SyncMessage,
    ) -> Result<(), Finding> {
        let honest = self.epochs.honest(from);
        match message {
            SyncMessage::Block(full) => {
                let block = &full.record.block;
                self.payloads.sent_with(from, to, block);
                self.conform.header(block.id(), block);
                // What justifies a block is no part of its id: a Byzantine member may have swapped it in a range.
                let whole = honest && !self.epochs.any_byzantine();
                if let Some(attached) = full.record.justification.as_ref().filter(|_| whole) {
                    self.oracle(from).justification(attached)?;
                }
            }
            SyncMessage::Range(range) => {
                for full in &range.blocks {
                    self.payloads.sent_with(from, to, &full.record.block);
                }
                if honest {
                    self.oracle(from).finality(&range.certificate)?;
                }
            }
            SyncMessage::Evidence(evidence) if honest => {
                if let Some(rules) = self.epochs.get(evidence.epoch().0) {
                    self.blame.spreads(rules, evidence)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a member's own host says it: then it signed it, whatever the signature, if it is honest. A Byzantine one is
/// taken at its signature.
fn is_own(rules: &EpochRules, member: usize, from: usize) -> bool {
    rules.is_honest(member) && rules.host(member) == Some(from)
}

/// The view that a message is about.
const fn view_of(message: &ConsensusMessage) -> Option<View> {
    match message {
        ConsensusMessage::Proposal(proposal) => Some(proposal.block.view),
        ConsensusMessage::Vote(vote) => Some(vote.statement.view),
        ConsensusMessage::CommitVote(vote) => Some(vote.statement.view),
        ConsensusMessage::Timeout(timeout) => Some(timeout.timeout.statement.view),
        ConsensusMessage::Certificate(justification) => Some(justification.view()),
        ConsensusMessage::EpochEnd(_) => None,
    }
}
