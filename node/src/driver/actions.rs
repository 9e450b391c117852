//! What the replica asks for.

use super::{Driver, DriverError};
use crate::handle::CommittedBlock;
use crate::metrics::CommitPath;
use outrider_consensus::{Action, Input};
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, CheckedPayload, CommitteeId, ConsensusMessage,
    FinalityCertificate, Verified, encode,
};
use std::sync::Arc;

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn act(&mut self, action: Action) -> Result<(), DriverError> {
        let now = self.clock.now();
        match action {
            Action::Broadcast { message } => {
                if let ConsensusMessage::Proposal(proposal) = &message {
                    self.hold_own(&proposal.block)?;
                }
                self.send(Channel::Consensus, To::All, encode(&message));
                #[cfg(feature = "byzantine")]
                if let Some(second) = super::byzantine::second(
                    &message,
                    (self.replica.member(), &self.config.key),
                    self.replica.committee().chain(),
                ) {
                    self.send(Channel::Consensus, To::All, encode(&second));
                }
            }
            Action::Send { to, message } => {
                if let Some(peer) = self.epochs.seats.peer(to) {
                    self.send(Channel::Consensus, To::One(peer.0), encode(&message));
                }
            }
            Action::CheckPayload { block } => {
                self.first_seen.entry(block.id()).or_insert(now);
                self.seen = self.seen.max(block.height);
                self.check_payload(now, block)?;
            }
            Action::Assemble {
                view,
                parent,
                after,
                origin,
                last,
                ..
            } => self.on_assemble(now, view, (parent, origin), (after, last)),
            Action::Fetch { block, from } => self.fetch_block(now, block, from),
            Action::CatchUp { to } => {
                self.seen = self.seen.max(to);
                self.catch_up(now, to);
            }
            Action::Commit {
                blocks,
                fillers,
                certificate,
            } => self.commit(&blocks, &fillers, &certificate)?,
            Action::Entered {
                view,
                leader,
                by_timeout,
            } => {
                if let Some(high) = &self.replica.safety().high {
                    self.epochs.known().add(high);
                }
                if zoo::is(Mutant::ReceiptAtCertificate) {
                    self.announce_certified();
                }
                self.timeouts += u64::from(by_timeout);
                self.proposal = self.proposal.filter(|waiting| waiting.view >= view);
                self.metrics.entered(view, by_timeout);
                tracing::debug!(%view, %leader, by_timeout, "entered view");
            }
            Action::BadProposal {
                leader,
                view,
                reason,
            } => {
                self.metrics
                    .bad_message(crate::metrics::BadMessage::Proposal);
                tracing::warn!(%leader, %view, reason, "a leader signed a bad proposal");
            }
        }
        Ok(())
    }

    fn commit(
        &mut self,
        blocks: &[BlockRecord],
        fillers: &[Block],
        certificate: &Verified<FinalityCertificate>,
    ) -> Result<(), DriverError> {
        for (at, record) in blocks.iter().enumerate() {
            let id = record.block.id();
            let payload = self.held.remove(&id);
            let own = (at + 1 == blocks.len()).then_some(&**certificate);
            let payload = match payload {
                Some(payload) => payload,
                None => self.stored_payload(record.block.payload)?,
            };
            if record.block.next == CommitteeId::NONE {
                self.append(record, &payload, own, certificate)?;
            } else {
                self.on_last_block(record, payload, fillers, certificate)?;
            }
        }
        self.forget_old();
        self.check_waiting(self.chain.root().id())
    }

    /// A final block joins the ledger, and everyone who waits for it hears.
    pub(super) fn append(
        &mut self,
        record: &BlockRecord,
        payload: &CheckedPayload,
        own: Option<&FinalityCertificate>,
        certificate: &Verified<FinalityCertificate>,
    ) -> Result<(), DriverError> {
        let block = record.block;
        let id: BlockId = block.id();
        self.chain.put_record(record)?;
        self.chain.put_payload(payload.id, &payload.payload)?;
        let lanes = self.chain.commit(&block, payload, own)?;
        self.mempool.committed(&payload.transactions);
        self.spread.committed(&payload.transactions);
        if let Some(settlement) = &mut self.settlement {
            settlement.committed(&block);
        }
        let path = match (own.is_some(), &**certificate) {
            (false, _) => CommitPath::Ancestor,
            (true, FinalityCertificate::Fast(_)) => CommitPath::Fast,
            (true, FinalityCertificate::Slow(_)) => CommitPath::Slow,
        };
        let took = self
            .first_seen
            .remove(&id)
            .map(|seen| self.clock.now().since(seen));
        self.metrics
            .committed(block.height, path, payload.transactions.len(), took);
        tracing::debug!(height = %block.height, %id, transactions = payload.transactions.len(), ?path, "committed");
        let committed = CommittedBlock {
            block,
            id,
            payload: payload.payload.clone(),
            transactions: payload.transactions.clone(),
            lanes,
            certificate: Arc::new((**certificate).clone()),
        };
        if let Some(tap) = &mut self.tap {
            tap.committed(record, &committed);
        }
        self.fresh.push(Arc::new(committed));
        Ok(())
    }

    /// Tell followers of final blocks, once these are on the disk: what was called final here is still final here after
    /// kill -9 or a power loss.
    pub(super) fn publish(&mut self) -> Result<(), DriverError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.chain.sync_records()?;
        self.sync.progressed(self.clock.now());
        for committed in std::mem::take(&mut self.fresh) {
            // No follower is no fault.
            let _ = self.committed.send(committed);
        }
        Ok(())
    }

    /// What a broken build tells followers when a block is certified: that it is final.
    fn announce_certified(&self) {
        let Some(Certificate::Quorum(certificate)) = &self.replica.safety().high else {
            return;
        };
        let id = certificate.statement.block;
        let header = self
            .replica
            .branch(id)
            .and_then(|branch| branch.last().copied());
        let (Some(block), Some(payload)) = (header, self.held.get(&id)) else {
            return;
        };
        let _ = self.committed.send(Arc::new(CommittedBlock {
            block,
            id,
            payload: payload.payload.clone(),
            transactions: payload.transactions.clone(),
            lanes: Arc::new([]),
            certificate: Arc::new(FinalityCertificate::Fast(certificate.clone())),
        }));
    }

    /// Forget what belongs to blocks that can no longer become final.
    pub(super) fn forget_old(&mut self) {
        let root = self.chain.root().id();
        let replica = &self.replica;
        self.held.retain(|id, _| *id != root && replica.holds(*id));
        self.outlook.retain(|id| id != root && replica.holds(id));
        self.first_seen.retain(|id, _| replica.holds(*id));
        self.payloads.forget(|block| replica.holds(block));
    }

    /// Tell the replica about a payload.
    pub(super) fn checked(&mut self, block: BlockId, valid: bool) {
        self.inputs.push(Input::PayloadChecked { block, valid });
    }
}
