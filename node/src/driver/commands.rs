//! What the API asks: transactions in, answers out; and spreading transactions to the other members.
//!
//! A submitted transaction is answered once members of stake >= f+1, this one included, hold it: at least one of them
//! is honest and lives on, so the death of this member alone loses nothing that was accepted.

use super::{Driver, DriverError};
use crate::chain::{TakeError, lane_items};
use crate::handle::{Command, EPOCH_ENDS_MAX, SubmitError, TransactionStatus};
use crate::seats::PeerIndex;
use bytes::Bytes;
use outrider_finality::SnapshotItem;
use outrider_mempool::AdmissionError;
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::limits::TRANSACTIONS_PER_MESSAGE_MAX;
use outrider_types::message::{PayloadMessage, Received, Transactions};
use outrider_types::{
    Committee, Height, MemberIndex, Timestamp, Transaction, TransactionId, encode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::oneshot;

type Reply = oneshot::Sender<Result<TransactionId, SubmitError>>;

/// Bytes of transactions in one spreading message.
const SPREAD_BYTES_MAX: usize = 512 * 1024;
/// How long to wait for members to confirm.
const HELD_TIMEOUT: Duration = Duration::from_secs(5);
/// When to spread again what was not confirmed.
const SPREAD_AGAIN: Duration = Duration::from_millis(500);

/// Transactions on their way to the other members.
#[derive(Debug, Default)]
pub(super) struct Spread {
    fresh: Vec<Transaction>,
    waiting: BTreeMap<TransactionId, Held>,
}

#[derive(Debug)]
struct Held {
    transaction: Transaction,
    members: BTreeSet<MemberIndex>,
    replies: Vec<Reply>,
    since: Timestamp,
    sent: Timestamp,
}

impl Spread {
    /// What is final needs no confirmation any more.
    pub(super) fn committed(&mut self, ids: &[TransactionId]) {
        for id in ids {
            self.confirm(id);
        }
    }

    fn confirm(&mut self, id: &TransactionId) {
        if let Some(held) = self.waiting.remove(id) {
            for reply in held.replies {
                // The caller may have gone.
                let _ = reply.send(Ok(*id));
            }
        }
    }

    fn received(&mut self, from: Option<MemberIndex>, id: &TransactionId, committee: &Committee) {
        let Some(held) = self.waiting.get_mut(id) else {
            return;
        };
        held.members.extend(from);
        let stake: u64 = held
            .members
            .iter()
            .filter_map(|member| committee.stake(*member))
            .map(|stake| stake.0)
            .sum();
        if stake >= committee.thresholds().witness.0 {
            self.confirm(id);
        }
    }

    /// The next instant at which something is due.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.waiting
            .values()
            .map(|held| held.sent.after(SPREAD_AGAIN))
            .min()
    }

    /// Tell callers that have waited too long.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        let late: Vec<TransactionId> = self
            .waiting
            .iter()
            .filter(|(_, held)| now.since(held.since) >= HELD_TIMEOUT)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let waited_ms = u64::try_from(HELD_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
            for reply in self
                .waiting
                .remove(&id)
                .into_iter()
                .flat_map(|held| held.replies)
            {
                let _ = reply.send(Err(SubmitError::NotHeld { waited_ms }));
            }
        }
        for held in self.waiting.values_mut() {
            if now.since(held.sent) >= SPREAD_AGAIN {
                held.sent = now;
                self.fresh.push(held.transaction.clone());
            }
        }
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_command(&mut self, command: Command) -> Result<(), DriverError> {
        // A caller that has gone needs no answer.
        match command {
            Command::Submit { transaction, reply } => self.submit(transaction, reply)?,
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

    fn submit(&mut self, transaction: Transaction, reply: Reply) -> Result<(), DriverError> {
        let now = self.clock.now();
        let id = transaction.id();
        // Sending the same again is harmless: it waits with the first, or hears where it is.
        if let Some(held) = self.spread.waiting.get_mut(&id) {
            held.replies.push(reply);
            return Ok(());
        }
        let status = self.status(&id)?;
        if status != TransactionStatus::Unknown {
            let _ = reply.send(Err(SubmitError::Duplicate { status }));
            return Ok(());
        }
        match self.mempool.admit(now, transaction.clone()) {
            Err(error) => {
                let _ = reply.send(Err(self.refusal(error)));
            }
            Ok(_) => {
                let me = self
                    .replica
                    .committee()
                    .index_of(&self.config.key.public_key());
                let members = me.into_iter().collect();
                let held = Held {
                    transaction: transaction.clone(),
                    members,
                    replies: vec![reply],
                    since: now,
                    sent: now,
                };
                self.spread.waiting.insert(id, held);
                self.spread.fresh.push(transaction);
                // A committee of one needs nobody else.
                let committee = self.replica.committee().clone();
                self.spread.received(me, &id, &committee);
            }
        }
        Ok(())
    }

    fn refusal(&self, error: AdmissionError) -> SubmitError {
        let retry_after_ms =
            u64::try_from(self.mempool.retry_after().as_millis()).unwrap_or(u64::MAX);
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

    /// Send what is new to all other members, many in a message.
    pub(super) fn flush_spread(&mut self, _now: Timestamp) {
        let fresh = std::mem::take(&mut self.spread.fresh);
        let mut list = Vec::new();
        let mut bytes = 0;
        for transaction in fresh {
            if list.len() >= TRANSACTIONS_PER_MESSAGE_MAX
                || bytes + transaction.data.len() > SPREAD_BYTES_MAX
            {
                self.spread_list(std::mem::take(&mut list));
                bytes = 0;
            }
            bytes += transaction.data.len();
            list.push(transaction);
        }
        if !list.is_empty() {
            self.spread_list(list);
        }
    }

    fn spread_list(&mut self, list: Vec<Transaction>) {
        let message: Bytes = encode(&PayloadMessage::Transactions(Transactions { list }));
        self.send(Channel::Payload, To::All, message);
    }

    /// Another member spreads transactions: take them as if they were submitted here, and say which are held.
    pub(super) fn on_spread(
        &mut self,
        from: PeerIndex,
        transactions: Vec<(TransactionId, Transaction)>,
    ) {
        let now = self.clock.now();
        let mut ids = Vec::new();
        for (id, mut transaction) in transactions {
            // Its own bytes: a slice would keep the whole message in memory as long as it waits.
            transaction.data = Bytes::copy_from_slice(&transaction.data);
            let held = match self.mempool.admit(now, transaction) {
                Ok(_) | Err(AdmissionError::Duplicate { .. }) => true,
                Err(error) => {
                    tracing::debug!(%from, %id, %error, "spread transaction refused");
                    false
                }
            };
            if held {
                ids.push(id);
            }
        }
        if !ids.is_empty() {
            let message = encode(&PayloadMessage::Received(Received { ids }));
            self.send(Channel::Payload, To::One(from.0), message);
        }
    }

    /// Another member holds transactions that this one spread.
    pub(super) fn on_received(&mut self, from: PeerIndex, ids: &[TransactionId]) {
        let committee = self.replica.committee().clone();
        let from = self.epochs.seats.member(from);
        for id in ids {
            self.spread.received(from, id, &committee);
        }
    }
}
