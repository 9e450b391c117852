//! What the API asks: transactions in, answers out.

use super::spread::{Answer, UNCONFIRMED_BYTES_MAX};
use super::{Driver, DriverError, wall_clock};
use crate::chain::{TakeError, lane_items};
use crate::handle::{Command, EPOCH_ENDS_MAX, SubmitError, TransactionStatus};
use outrider_finality::SnapshotItem;
use outrider_mempool::AdmissionError;
use outrider_network::Context;
use outrider_storage::{Journal, Store};
use outrider_types::{Height, Transaction, TransactionId};
use tokio::sync::oneshot;

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_command(&mut self, command: Command) -> Result<(), DriverError> {
        // A caller that has gone needs no answer.
        match command {
            Command::Submit { list, reply } => self.submit(list, reply)?,
            Command::Status { id, reply } => {
                let _ = reply.send(self.status(&id)?);
            }
            Command::Block { at, reply } => {
                let kept = match self.chain.pruned_at(at)? {
                    Some(pruned) => Err(pruned),
                    None => Ok(self.chain.committed(at)?.map(std::sync::Arc::new)),
                };
                let _ = reply.send(kept);
            }
            Command::SubmitChange { change, reply } => {
                let _ = reply.send(self.submit_change(*change)?);
            }
            Command::EpochEnds { from, reply } => {
                let _ = reply.send(self.chain.epoch_ends(from, EPOCH_ENDS_MAX)?);
            }
            Command::Proof { id, reply } => {
                let kept = match self.chain.pruned_transaction(&id)? {
                    Some(pruned) => Err(pruned),
                    None => Ok(self.chain.proof(id)?),
                };
                let _ = reply.send(kept);
            }
            Command::LaneRange {
                rollup,
                from,
                limit,
                reply,
            } => {
                let _ = reply.send(self.chain.lane_page(rollup, from, limit)?);
            }
            Command::Registry { reply } => {
                let _ = reply.send(self.chain.ledger().registry().clone());
            }
            Command::LaneProof {
                rollup,
                height,
                reply,
            } => {
                let kept = match self.chain.pruned(height) {
                    Some(pruned) => Err(pruned),
                    None => Ok(self.chain.lane_proof(rollup, height)?),
                };
                let _ = reply.send(kept);
            }
            Command::LaneRangeProof {
                rollup,
                range: (from, to),
                reply,
            } => {
                let _ = reply.send(self.chain.lane_range_proof(rollup, from, to)?);
            }
            Command::SkipProof { from, to, reply } => {
                let _ = reply.send(self.chain.skip_proof(from, to)?);
            }
            Command::Snapshot { blocks, reply } => {
                let taken = match self.snapshot_items(blocks) {
                    Err(TakeError::Chain(error)) => return Err(error.into()),
                    taken => taken,
                };
                let _ = reply.send(taken);
            }
            Command::StateDigest { height, reply } => {
                let _ = reply.send(self.chain.digest(height)?);
            }
            Command::Evidence { from, reply } => {
                let _ = reply.send(self.evidence_page(from.as_deref())?);
            }
            Command::ExecutionVote { vote, reply } => {
                let _ = reply.send(self.execution_vote(*vote)?);
            }
            Command::ExecutionCertificate {
                rollup,
                lane,
                reply,
            } => {
                let _ = reply.send(self.executions.certificate(rollup, lane).cloned());
            }
            Command::ExecutionSides {
                rollup,
                lane,
                reply,
            } => {
                let _ = reply.send(self.execution_sides(rollup, lane));
            }
            Command::Certificates { epoch, from, reply } => {
                let _ = reply.send(self.certificate_page(epoch, from.as_deref())?);
            }
        }
        Ok(())
    }

    /// The checkpoint and its rollups, or a page of blocks.
    fn snapshot_items(
        &self,
        blocks: Option<(Height, Height)>,
    ) -> Result<Vec<SnapshotItem>, TakeError> {
        if let Some((from, first)) = blocks {
            let blocks = self.chain.snapshot_blocks(from, first)?;
            return Ok(blocks.into_iter().map(SnapshotItem::Block).collect());
        }
        let (checkpoint, lanes) = self.chain.checkpoint()?;
        let mut items = vec![SnapshotItem::Checkpoint(Box::new(checkpoint))];
        items.extend(lane_items(&lanes));
        Ok(items)
    }

    fn status(&self, id: &TransactionId) -> Result<TransactionStatus, DriverError> {
        if let Some(status) = self.chain.status(id)? {
            return Ok(status);
        }
        Ok(if self.mempool.contains(id) {
            TransactionStatus::Pending
        } else {
            TransactionStatus::Unknown
        })
    }

    fn submit(
        &mut self,
        list: Vec<(TransactionId, Transaction)>,
        reply: oneshot::Sender<Vec<Answer>>,
    ) -> Result<(), DriverError> {
        let now = self.clock.now();
        let caller = self.spread.called(list.len(), reply);
        for (place, (id, transaction)) in list.into_iter().enumerate() {
            // Sending the same again is harmless: it waits with the first, or hears where it is.
            if self.spread.join(&id, caller, place) {
                continue;
            }
            let status = self.status(&id)?;
            if status != TransactionStatus::Unknown {
                let error = SubmitError::Duplicate { status };
                self.spread.answer(caller, place, Err(error));
                continue;
            }
            let rollup = transaction.rollup;
            let registry = self.chain.ledger().registry();
            if registry.policy(rollup, wall_clock(&self.context)).is_none() {
                let closed = SubmitError::Closed { rollup };
                self.spread.answer(caller, place, Err(closed));
                continue;
            }
            if !self.spread.has_room() {
                let error = SubmitError::Full {
                    limit: UNCONFIRMED_BYTES_MAX as u64,
                    unit: "bytes that other members have not confirmed",
                    retry_after_ms: self.retry_after_ms(),
                };
                self.spread.answer(caller, place, Err(error));
                continue;
            }
            match self.mempool.admit_own(now, id, transaction) {
                Ok(()) => self.spread.wait(id, caller, place),
                Err(error) => self.spread.answer(caller, place, Err(self.refusal(error))),
            }
        }
        Ok(())
    }

    fn retry_after_ms(&self) -> u64 {
        u64::try_from(self.mempool.retry_after().as_millis()).unwrap_or(u64::MAX)
    }

    fn refusal(&self, error: AdmissionError) -> SubmitError {
        let retry_after_ms = self.retry_after_ms();
        match error {
            AdmissionError::Empty => SubmitError::Empty,
            AdmissionError::TooLarge { bytes, limit } => SubmitError::TooLarge { bytes, limit },
            AdmissionError::Full { limit, unit } => SubmitError::Full {
                limit,
                unit,
                retry_after_ms,
            },
            AdmissionError::LaneFull {
                rollup,
                limit,
                unit,
            } => SubmitError::LaneFull {
                rollup,
                limit,
                unit,
                retry_after_ms,
            },
            AdmissionError::TooManyLanes { limit } => SubmitError::Full {
                limit,
                unit: "rollups",
                retry_after_ms,
            },
            AdmissionError::UnknownRollup { rollup } => SubmitError::UnknownRollup { rollup },
            AdmissionError::Duplicate { .. } => SubmitError::Duplicate {
                status: TransactionStatus::Pending,
            },
        }
    }
}
