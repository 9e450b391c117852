//! Messages and certificates in words.

use super::roster::Roster;
use super::value::{Field, Value, fields};
use crate::fact::{Fact, Message};
use outrider_types::{
    Aggregate, BlockId, Certificate, CommitVote, CommitteeChange, CommitteeId, ConsensusMessage,
    Epoch, Evidence, FinalityCertificate, Justification, MemberIndex, PayloadMessage, Proposal,
    ProposalKind, Propose, SyncMessage, Timeout, TimeoutCertificate, Transaction, TransactionId,
    View, Vote,
};

/// Identities that are listed of those that a gossip message names.
const IDS_MAX: usize = 8;

/// Puts facts and messages into words.
#[derive(Clone, Debug)]
pub struct Words {
    roster: Roster,
    digits: usize,
}

impl Words {
    /// With identities in full.
    #[must_use]
    pub fn full() -> Self {
        Self {
            roster: Roster::default(),
            digits: 64,
        }
    }

    /// With the first eight digits of identities, for people.
    #[must_use]
    pub fn short() -> Self {
        Self {
            roster: Roster::default(),
            digits: 8,
        }
    }

    /// Learn who sits where; to be called with every fact before it is put into words.
    pub fn learn(&mut self, fact: &Fact) {
        self.roster.learn(fact);
    }

    /// Who sits where.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// An identity.
    #[must_use]
    pub fn id(&self, bytes: &[u8; 32]) -> Value {
        let mut text = hex::encode(bytes);
        text.truncate(self.digits);
        Value::Text(text)
    }

    pub(super) fn block(&self, block: BlockId) -> Value {
        self.id(&block.0)
    }

    pub(super) fn host(&self, epoch: Epoch, member: MemberIndex) -> Value {
        self.roster.host(epoch, member).into()
    }

    /// Identities of transactions.
    #[must_use]
    pub fn ids(&self, ids: &[TransactionId]) -> Value {
        Value::List(ids.iter().map(|id| self.id(&id.0)).collect())
    }

    /// The fields of a message, as [`MESSAGES`](super::tables::MESSAGES) names them.
    #[must_use]
    pub fn message(&self, message: &Message) -> Vec<Field> {
        match message {
            Message::Consensus(message) => self.consensus(message),
            Message::Payload(message) => self.payload(message),
            Message::Sync(message) => self.sync(message),
        }
    }

    fn consensus(&self, message: &ConsensusMessage) -> Vec<Field> {
        let vote = |epoch: Epoch, view: View, block: BlockId, signer| fields!(epoch: epoch, view: view, block: self.block(block), signer: self.host(epoch, signer));
        match message {
            ConsensusMessage::Proposal(proposal) => self.proposal(proposal),
            ConsensusMessage::Vote(signed) => {
                let Vote { epoch, view, block } = signed.statement;
                vote(epoch, view, block, signed.signer)
            }
            ConsensusMessage::CommitVote(signed) => {
                let CommitVote { epoch, view, block } = signed.statement;
                vote(epoch, view, block, signed.signer)
            }
            ConsensusMessage::Timeout(message) => {
                let timeout = message.timeout.statement;
                fields!(
                    epoch: timeout.epoch,
                    view: timeout.view,
                    signer: self.host(timeout.epoch, message.timeout.signer),
                    voted: timeout.voted.map(|block| self.block(block)),
                    high_view: timeout.high_view,
                    high: message.high.as_ref().map(|high| self.certificate(high)),
                )
            }
            ConsensusMessage::Certificate(justification) => fields!(
                epoch: justification.epoch(),
                view: justification.view(),
                certificate: self.justification(justification),
            ),
            ConsensusMessage::EpochEnd(end) => fields!(
                epoch: end.last.epoch,
                height: end.last.height,
                block: self.block(end.last.id()),
                fillers: end.fillers.len(),
                certificate: self.finality(&end.certificate),
                next: self.change(end.change.as_ref()),
            ),
        }
    }

    fn proposal(&self, proposal: &Proposal) -> Vec<Field> {
        let block = &proposal.block;
        let next = (block.next != CommitteeId::NONE).then(|| self.id(&block.next.0));
        fields!(
            epoch: block.epoch,
            view: block.view,
            height: block.height,
            block: self.block(block.id()),
            parent: self.block(block.parent),
            optimistic: proposal.kind == ProposalKind::Optimistic,
            justify: block.justify,
            proposer: self.host(block.epoch, block.proposer),
            payload: self.id(&block.payload.0),
            next: next,
            justification: self.optional(proposal.justification.as_ref()),
        )
    }

    fn payload(&self, message: &PayloadMessage) -> Vec<Field> {
        match message {
            PayloadMessage::Payload(payload) => {
                let rollups = payload.batches.iter().map(|batch| {
                    Value::from(vec![batch.rollup.0, batch.transactions.len() as u64])
                });
                fields!(payload: self.id(&payload.id().0), rollups: Value::List(rollups.collect()), transactions: payload.len())
            }
            PayloadMessage::Transactions(message) => {
                let first = message.list.iter().take(IDS_MAX);
                let ids: Vec<TransactionId> = first.map(Transaction::id).collect();
                fields!(transactions: message.list.len(), ids: self.ids(&ids))
            }
            PayloadMessage::Received(message) => {
                fields!(batch: self.id(&message.batch.0), refused: message.refused.len())
            }
            PayloadMessage::References(message) => {
                fields!(payload: self.id(&message.payload.0), batches: message.batches.len())
            }
            PayloadMessage::BatchRequest(message) => {
                fields!(batches: message.batches.len())
            }
        }
    }

    fn sync(&self, message: &SyncMessage) -> Vec<Field> {
        match message {
            SyncMessage::BlockRequest(request) => fields!(block: self.block(request.block)),
            SyncMessage::Block(full) => {
                let block = &full.record.block;
                fields!(
                    epoch: block.epoch,
                    view: block.view,
                    height: block.height,
                    block: self.block(block.id()),
                    parent: self.block(block.parent),
                    transactions: full.payload.len(),
                    justification: self.optional(full.record.justification.as_ref()),
                )
            }
            SyncMessage::RangeRequest(request) => fields!(from: request.from),
            SyncMessage::Range(range) => {
                let first = range.blocks.first().map(|full| full.record.block.height);
                let transactions = range.blocks.iter().map(|full| full.payload.len());
                fields!(
                    from: first,
                    blocks: range.blocks.len(),
                    fillers: range.fillers.len(),
                    transactions: transactions.sum::<usize>(),
                    certificate: self.finality(&range.certificate),
                    next: self.change(range.change.as_ref()),
                )
            }
            SyncMessage::ChangeRequest(request) => fields!(committee: self.id(&request.next.0)),
            SyncMessage::Change(change) => {
                let epoch = change.approvals.statement.epoch;
                fields!(
                    epoch: change.next.epoch(),
                    committee: self.id(&change.next.id().0),
                    members: change.next.members().len(),
                    approvals: self.signers(epoch, &signers_of(&change.approvals)),
                )
            }
            SyncMessage::Evidence(evidence) => self.evidence(evidence),
            SyncMessage::Attestation(attestation) => fields!(
                height: attestation.height.0,
                member: u64::from(attestation.signer.0),
            ),
            SyncMessage::Approval(approval) => fields!(
                epoch: approval.statement.epoch,
                member: u64::from(approval.signer.0),
            ),
            SyncMessage::Execution(vote) => fields!(
                rollup: vote.statement.rollup.0,
                lane: vote.statement.lane.0,
                member: u64::from(vote.signer.0),
            ),
        }
    }

    fn evidence(&self, evidence: &Evidence) -> Vec<Field> {
        let said = |what: &'static str, view: View, block: Option<BlockId>| {
            let block = block.map(|block| self.block(block));
            Value::Object(fields!(said: what, view: view, block: block))
        };
        let vote = |one: &Vote| said("vote", one.view, Some(one.block));
        let commit = |one: &CommitVote| said("commit-vote", one.view, Some(one.block));
        let proposal = |one: &Propose| said("proposal", one.view, Some(one.block));
        let timeout = |one: &Timeout| said("timeout", one.view, one.voted);
        let (first, second) = match evidence {
            Evidence::DoubleProposal(pair) => (proposal(&pair.first), proposal(&pair.second)),
            Evidence::DoubleVote(pair) => (vote(&pair.first), vote(&pair.second)),
            Evidence::DoubleCommitVote(pair) => (commit(&pair.first), commit(&pair.second)),
            Evidence::HiddenVote(pair) => (vote(&pair.first), timeout(&pair.second)),
            Evidence::BrokenLock(pair) => (commit(&pair.first), timeout(&pair.second)),
        };
        fields!(
            epoch: evidence.epoch(),
            offence: format!("{:?}", evidence.offence()),
            accused: self.host(evidence.epoch(), evidence.accused()),
            first: first,
            second: second,
        )
    }

    fn change(&self, change: Option<&CommitteeChange>) -> Value {
        change.map(|change| self.id(&change.next.id().0)).into()
    }

    fn signers(&self, epoch: Epoch, members: &[MemberIndex]) -> Value {
        let hosts = members.iter().map(|member| self.host(epoch, *member));
        Value::List(hosts.collect())
    }

    fn seal(
        &self,
        kind: &'static str,
        (epoch, view): (Epoch, View),
        block: Option<BlockId>,
        signers: &[MemberIndex],
        high: Option<&Certificate>,
    ) -> Value {
        Value::Object(fields!(
            kind: kind,
            view: view,
            block: block.map(|block| self.block(block)),
            signers: self.signers(epoch, signers),
            stake: self.roster.stake(epoch, signers),
            high: high.map(|high| self.certificate(high)),
        ))
    }

    fn certificate(&self, certificate: &Certificate) -> Value {
        let place = (certificate.epoch(), certificate.rank());
        let (kind, signers) = match certificate {
            Certificate::Quorum(votes) => ("quorum", signers_of(votes)),
            Certificate::Commit(votes) => ("commit", signers_of(votes)),
            Certificate::Adopting(adopting) => ("adopting", gave_up(&adopting.timeouts)),
        };
        self.seal(kind, place, Some(certificate.block()), &signers, None)
    }

    pub(super) fn justification(&self, justification: &Justification) -> Value {
        match justification {
            Justification::Certificate(certificate) => self.certificate(certificate),
            Justification::Timeout(timeout) => {
                let timeouts = &timeout.timeouts;
                let place = (timeouts.epoch, timeouts.view);
                let high = timeout.high.as_ref();
                self.seal("timeout", place, None, &gave_up(timeouts), high)
            }
        }
    }

    pub(super) fn optional(&self, justification: Option<&Justification>) -> Value {
        justification.map(|one| self.justification(one)).into()
    }

    pub(super) fn finality(&self, certificate: &FinalityCertificate) -> Value {
        let (kind, epoch, signers) = match certificate {
            FinalityCertificate::Fast(votes) => {
                ("quorum", votes.statement.epoch, signers_of(votes))
            }
            FinalityCertificate::Slow(votes) => {
                ("commit", votes.statement.epoch, signers_of(votes))
            }
        };
        let place = (epoch, certificate.view());
        self.seal(kind, place, Some(certificate.block()), &signers, None)
    }
}

fn signers_of<S>(aggregate: &Aggregate<S>) -> Vec<MemberIndex> {
    let signatures = aggregate.signatures.iter();
    signatures.map(|(member, _)| *member).collect()
}

fn gave_up(timeouts: &TimeoutCertificate) -> Vec<MemberIndex> {
    timeouts.entries.iter().map(|entry| entry.member).collect()
}
