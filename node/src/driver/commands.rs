//! What the API asks: transactions in, answers out.

use super::spread::{Answer, UNCONFIRMED_BYTES_MAX};
use super::{Driver, DriverError, wall_clock};
use crate::chain::{TakeError, lane_items};
use crate::handle::{Command, EPOCH_ENDS_MAX, SubmitError, TransactionStatus};
use outrider_finality::SnapshotItem;
use outrider_mempool::AdmissionError;
use outrider_network::Context;
use outrider_storage::{Journal, Store};
use outrider_types::bundle::{self, BundleId, Part};
use outrider_types::{Height, Timestamp, Transaction, TransactionId};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// A transaction among those that came together: its place, its id, and itself.
type Submitted = (usize, TransactionId, Transaction);

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
            Command::Execution(command) => self.on_execution_command(command)?,
            Command::Settlement(command) => self.on_settlement_command(command),
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
            return Ok(blocks
                .into_iter()
                .map(|block| SnapshotItem::Block(Box::new(block)))
                .collect());
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
        let all = list.iter().map(|(_, one)| (one.rollup, &*one.data));
        let incomplete = bundle::incomplete(all);
        let mut bundles: BTreeMap<BundleId, Vec<Submitted>> = BTreeMap::new();
        for (place, (id, transaction)) in list.into_iter().enumerate() {
            // Sending the same again is harmless: it waits with the first, or hears where it is.
            if self.spread.join(&id, caller, place) {
                continue;
            }
            match bundle_of(&transaction, &incomplete) {
                Err(error) => self.spread.answer(caller, place, Err(error)),
                Ok(Some(bundle)) => {
                    let parts = bundles.entry(bundle).or_default();
                    parts.push((place, id, transaction));
                }
                Ok(None) => match self.admit(now, id, transaction)? {
                    Ok(()) => self.spread.wait(id, caller, place),
                    Err(error) => self.spread.answer(caller, place, Err(error)),
                },
            }
        }
        for parts in bundles.into_values() {
            self.submit_bundle(now, caller, parts)?;
        }
        Ok(())
    }

    /// All parts of a bundle, or none.
    fn submit_bundle(
        &mut self,
        now: Timestamp,
        caller: u64,
        parts: Vec<Submitted>,
    ) -> Result<(), DriverError> {
        let places: Vec<(usize, TransactionId)> =
            parts.iter().map(|(place, id, _)| (*place, *id)).collect();
        let mut admitted = Vec::new();
        for (_, id, transaction) in parts {
            if let Err(error) = self.admit(now, id, transaction)? {
                self.mempool.committed(&admitted);
                for (place, _) in places {
                    self.spread.answer(caller, place, Err(error.clone()));
                }
                return Ok(());
            }
            admitted.push(id);
        }
        for (place, id) in places {
            self.spread.wait(id, caller, place);
        }
        Ok(())
    }

    /// Take a transaction into the mempool, or say why not.
    fn admit(
        &mut self,
        now: Timestamp,
        id: TransactionId,
        transaction: Transaction,
    ) -> Result<Result<(), SubmitError>, DriverError> {
        let status = self.status(&id)?;
        if status != TransactionStatus::Unknown {
            return Ok(Err(SubmitError::Duplicate { status }));
        }
        let rollup = transaction.rollup;
        let registry = self.chain.ledger().registry();
        if registry.policy(rollup, wall_clock(&self.context)).is_none() {
            return Ok(Err(SubmitError::Closed { rollup }));
        }
        if !self.spread.has_room() {
            return Ok(Err(SubmitError::Full {
                limit: UNCONFIRMED_BYTES_MAX as u64,
                unit: "bytes that other members have not confirmed",
                retry_after_ms: self.retry_after_ms(),
            }));
        }
        let admitted = self.mempool.admit_own(now, id, transaction);
        Ok(admitted.map_err(|error| self.refusal(error)))
    }

    fn retry_after_ms(&self) -> u64 {
        u64::try_from(self.mempool.retry_after().as_millis()).unwrap_or(u64::MAX)
    }

    fn refusal(&self, error: AdmissionError) -> SubmitError {
        let retry_after_ms = self.retry_after_ms();
        match error {
            AdmissionError::Empty => SubmitError::Empty,
            AdmissionError::MalformedPart(error) => SubmitError::Bundle {
                reason: error.to_string(),
            },
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

/// The bundle that a transaction is a part of, if it is one, or why it is not taken: not all parts came with it.
fn bundle_of(
    transaction: &Transaction,
    incomplete: &BTreeSet<BundleId>,
) -> Result<Option<BundleId>, SubmitError> {
    let reason = match Part::of(&transaction.data) {
        Ok(None) => return Ok(None),
        Ok(Some(part)) if !incomplete.contains(&part.bundle) => return Ok(Some(part.bundle)),
        Ok(Some(part)) => format!("not all parts of bundle {} came with it", part.bundle),
        Err(malformed) => malformed.to_string(),
    };
    Err(SubmitError::Bundle { reason })
}
