//! Batches: transactions as members spread them. A payload can be told in terms of batches, so that its bytes cross the
//! network once: when they are spread, ahead of consensus.
//!
//! ```text
//! admit_own --> open --seal--> batch --(network)--> admit_batch          at every member
//! assemble --> references --(network)--> resolve --> the same payload    at every member that holds the batches
//! ```

use crate::Mempool;
use outrider_types::limits::{
    PAYLOAD_BYTES_MAX, TRANSACTIONS_PER_MESSAGE_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
};
use outrider_types::message::{Reference, References, batch_id};
use outrider_types::{
    Batch, BatchId, Bytes, CheckedPayload, Payload, PayloadError, RollupId, Timestamp, Transaction,
    TransactionId,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of transactions in one batch; a single one may be larger.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Batches that are kept for those who still ask for them, though none of their transactions waits any more.
const DONE_BATCHES_MAX: usize = 1_024;
/// Bytes of these.
const DONE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a waiting transaction came in a batch: the batch's number here, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) batch: u64,
    pub(crate) place: u16,
}

/// A batch that is held.
#[derive(Clone, Debug)]
pub struct HeldBatch {
    /// Its id.
    pub id: BatchId,
    /// What it holds.
    pub transactions: Arc<[Transaction]>,
    /// Their ids.
    pub ids: Arc<[TransactionId]>,
    /// Who spread it; none: this member.
    author: Option<usize>,
    refused: Vec<u16>,
    bytes: usize,
    /// How many of its transactions wait here because of it.
    waiting: usize,
}

/// Why references do not lead to a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Batches that are not held here. With them, it may be resolved.
    #[error("{} of its batches are not held here", batches.len())]
    Missing {
        /// Which.
        batches: Vec<BatchId>,
    },
    /// Places that are not ascending, or beyond the end of their batch.
    #[error("batch {batch} has no such places to leave out")]
    Places {
        /// Of which.
        batch: BatchId,
    },
    /// The transactions are no payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// They are another payload.
    #[error("its batches hold another payload than it names")]
    Other,
}

/// All batches that are held, numbered as they came.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    numbers: BTreeMap<BatchId, u64>,
    held: BTreeMap<u64, HeldBatch>,
    /// Of which nothing waits, oldest first.
    done: VecDeque<u64>,
    done_bytes: usize,
    /// Bytes of those of which something waits, by author.
    waiting_bytes: BTreeMap<Option<usize>, usize>,
    /// Own transactions that are in no batch yet.
    open: VecDeque<(TransactionId, Transaction)>,
}

impl Batches {
    fn insert(&mut self, number: u64, batch: HeldBatch) {
        self.numbers.insert(batch.id, number);
        if batch.waiting == 0 {
            self.finish(number, batch.bytes);
        } else {
            *self.waiting_bytes.entry(batch.author).or_default() += batch.bytes;
        }
        self.held.insert(number, batch);
        self.forget_done();
    }

    fn finish(&mut self, number: u64, bytes: usize) {
        self.done.push_back(number);
        self.done_bytes += bytes;
    }

    fn forget_done(&mut self) {
        while self.done.len() > DONE_BATCHES_MAX || self.done_bytes > DONE_BYTES_MAX {
            let Some(batch) = self
                .done
                .pop_front()
                .and_then(|number| self.held.remove(&number))
            else {
                return;
            };
            self.numbers.remove(&batch.id);
            self.done_bytes -= batch.bytes;
        }
    }

    /// One of its transactions waits no more.
    pub(crate) fn release(&mut self, number: u64) {
        let Some(batch) = self.held.get_mut(&number) else {
            return;
        };
        assert!(
            batch.waiting > 0,
            "a transaction is counted where it came from"
        );
        batch.waiting -= 1;
        if batch.waiting == 0 {
            let (author, bytes) = (batch.author, batch.bytes);
            if let Some(waiting) = self.waiting_bytes.get_mut(&author) {
                *waiting -= bytes;
                if *waiting == 0 {
                    self.waiting_bytes.remove(&author);
                }
            }
            self.finish(number, bytes);
            self.forget_done();
        }
    }

    fn get(&self, id: &BatchId) -> Option<&HeldBatch> {
        self.held.get(self.numbers.get(id)?)
    }

    /// In terms of batches: what was taken, by origin. None if something came in no batch.
    pub(crate) fn references(&self, mut taken: Vec<Origin>) -> Option<Vec<Reference>> {
        taken.sort_unstable();
        let mut out = Vec::new();
        for origins in taken.chunk_by(|a, b| a.batch == b.batch) {
            let batch = self.held.get(&origins.first()?.batch)?;
            let mut taken = origins.iter().map(|origin| origin.place).peekable();
            let all = 0..u16::try_from(batch.ids.len()).ok()?;
            let left_out = all
                .filter(|place| taken.next_if_eq(place).is_none())
                .collect();
            out.push(Reference {
                batch: batch.id,
                left_out,
            });
        }
        Some(out)
    }
}

impl HeldBatch {
    /// Bytes of its transactions.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who spread it; none: this member.
    #[must_use]
    pub const fn author(&self) -> Option<usize> {
        self.author
    }
}

fn bytes_of(transactions: &[Transaction]) -> usize {
    transactions.iter().map(|one| one.data.len()).sum()
}

impl Mempool {
    /// Take in a transaction that was submitted here; it goes into the next batch.
    pub fn admit_own(
        &mut self,
        now: Timestamp,
        id: TransactionId,
        tx: Transaction,
    ) -> Result<(), crate::AdmissionError> {
        self.take_in(now, id, &tx, None)?;
        self.batches.open.push_back((id, tx));
        Ok(())
    }

    /// Whether own transactions are in no batch yet.
    #[must_use]
    pub fn has_open(&self) -> bool {
        !self.batches.open.is_empty()
    }

    /// The next batch of own transactions, to be spread; none if there are none. To be called before anything is
    /// assembled, and before others' batches are taken in.
    pub fn seal(&mut self) -> Option<HeldBatch> {
        let (mut ids, mut transactions, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some((id, tx)) = self.batches.open.pop_front() {
            let full = ids.len() == TRANSACTIONS_PER_MESSAGE_MAX
                || bytes + tx.data.len() > BATCH_BYTES_MAX && !ids.is_empty();
            if full {
                self.batches.open.push_front((id, tx));
                break;
            }
            bytes += tx.data.len();
            ids.push(id);
            transactions.push(tx);
        }
        if ids.is_empty() {
            return None;
        }
        let number = self.take_number();
        let mut waiting = 0;
        for (place, id) in (0..).zip(&ids) {
            // What has become final in the meantime is held no more.
            if let Some(at) = self.places.get_mut(id) {
                at.origin = Some(Origin {
                    batch: number,
                    place,
                });
                waiting += 1;
            }
        }
        let batch = HeldBatch {
            id: batch_id(&ids),
            transactions: transactions.into(),
            ids: ids.into(),
            author: None,
            refused: Vec::new(),
            bytes,
            waiting,
        };
        self.batches.insert(number, batch.clone());
        Some(batch)
    }

    /// Take in what another member spreads. Returns the places of the transactions for which there is no room. Its bytes
    /// stay where they are, in the message that they came in, which counts against its author's share.
    ///
    /// `is_final` tells whether a transaction is ordered already: it is of the batch, and does not wait. So none that waits is
    /// final, and whoever checks a payload need not look those up.
    ///
    /// # Panics
    ///
    /// If own transactions are in no batch yet: then the order of batches would not be that of lanes.
    pub fn admit_batch(
        &mut self,
        now: Timestamp,
        author: usize,
        list: Vec<(TransactionId, Transaction)>,
        is_final: impl Fn(&TransactionId) -> bool,
    ) -> (BatchId, Vec<u16>) {
        assert!(!self.has_open(), "own transactions are sealed first");
        let (ids, transactions): (Vec<_>, Vec<_>) = list.into_iter().unzip();
        let id = batch_id(&ids);
        if let Some(held) = self.batches.get(&id) {
            return (id, held.refused.clone());
        }
        let bytes = bytes_of(&transactions);
        let places = 0..u16::try_from(ids.len()).unwrap_or(u16::MAX);
        if ids.len() > TRANSACTIONS_PER_MESSAGE_MAX || !self.has_share(author, bytes) {
            return (id, places.collect());
        }
        let number = self.take_number();
        let (mut refused, mut waiting) = (Vec::new(), 0);
        for (place, (tx_id, tx)) in places.zip(ids.iter().zip(&transactions)) {
            if self.contains(tx_id) || is_final(tx_id) {
                continue;
            }
            let origin = Origin {
                batch: number,
                place,
            };
            match self.take_in(now, *tx_id, tx, Some(origin)) {
                Ok(()) => waiting += 1,
                Err(_) => refused.push(place),
            }
        }
        let batch = HeldBatch {
            id,
            transactions: transactions.into(),
            ids: ids.into(),
            author: Some(author),
            refused: refused.clone(),
            bytes,
            waiting,
        };
        self.batches.insert(number, batch);
        (id, refused)
    }

    /// An author may fill half of the mempool, and all of them together twice the mempool: what waits keeps the rest of
    /// its batch in memory.
    fn has_share(&self, author: usize, bytes: usize) -> bool {
        let limit = self.limits.total_bytes;
        let own = self.batches.waiting_bytes.get(&Some(author)).copied();
        let all: usize = self.batches.waiting_bytes.values().sum();
        own.unwrap_or_default() + bytes <= limit / 2 && all + bytes <= 2 * limit
    }

    /// A batch, if it is held.
    #[must_use]
    pub fn batch(&self, id: &BatchId) -> Option<&HeldBatch> {
        self.batches.get(id)
    }

    /// The payload that these references lead to.
    pub fn resolve(&self, references: &References) -> Result<CheckedPayload, ResolveError> {
        let held = |reference: &Reference| self.batches.get(&reference.batch);
        let missing: Vec<BatchId> = references
            .batches
            .iter()
            .filter(|reference| held(reference).is_none())
            .map(|reference| reference.batch)
            .collect();
        if !missing.is_empty() {
            return Err(ResolveError::Missing { batches: missing });
        }
        let mut lanes: BTreeMap<RollupId, (Vec<Bytes>, Vec<TransactionId>)> = BTreeMap::new();
        let (mut count, mut bytes) = (0, 0);
        for (reference, batch) in references
            .batches
            .iter()
            .filter_map(|one| held(one).map(|batch| (one, batch)))
        {
            let mut left_out = reference.left_out.iter().peekable();
            for (place, (id, tx)) in (0..).zip(batch.ids.iter().zip(&*batch.transactions)) {
                if left_out.next_if_eq(&&place).is_some() {
                    continue;
                }
                count += 1;
                bytes += tx.data.len();
                let lane = lanes.entry(tx.rollup).or_default();
                lane.0.push(tx.data.clone());
                lane.1.push(*id);
            }
            if left_out.next().is_some() {
                return Err(ResolveError::Places {
                    batch: reference.batch,
                });
            }
            if count > TRANSACTIONS_PER_PAYLOAD_MAX {
                return Err(PayloadError::TransactionCount { count }.into());
            }
            if bytes > PAYLOAD_BYTES_MAX {
                return Err(PayloadError::Size { bytes }.into());
            }
        }
        let mut ids = Vec::with_capacity(count);
        let mut batches = Vec::with_capacity(lanes.len());
        for (rollup, mut lane) in lanes {
            references.orders.arrange(rollup, &mut lane);
            let (transactions, own) = lane;
            ids.extend(own);
            batches.push(Batch {
                rollup,
                transactions,
            });
        }
        let payload = CheckedPayload::from_ids(Payload { batches }, ids)?;
        if payload.id != references.payload {
            return Err(ResolveError::Other);
        }
        Ok(payload)
    }
}

/// References that wait for batches, by the member that sent them, oldest first.
///
/// A batch and references to it come on ways of their own, so the references are often first. What is missing is asked for only
/// [`ASK_AFTER`](Self::ASK_AFTER) later.
#[derive(Debug, Default)]
pub struct Unresolved {
    waiting: BTreeMap<usize, VecDeque<Waiting>>,
}

/// References that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who sent them.
    pub from: usize,
    /// What they are.
    pub references: References,
    /// When to ask for what is missing, if that was not done.
    ask_at: Option<Timestamp>,
}

impl Waiting {
    fn names(&self, batch: &BatchId) -> bool {
        let mut parts = self.references.batches.iter();
        parts.any(|part| part.batch == *batch)
    }
}

impl Unresolved {
    /// References of one sender that wait; more than that many push out the oldest.
    pub const PER_SENDER_MAX: usize = 8;
    /// How long a batch may be behind references to it.
    pub const ASK_AFTER: Duration = Duration::from_millis(25);

    /// These cannot be resolved yet.
    pub fn keep(&mut self, now: Timestamp, from: usize, references: References) {
        let ask_at = Some(now.after(Self::ASK_AFTER));
        self.put_back(Waiting {
            from,
            references,
            ask_at,
        });
    }

    /// These were taken out, and still cannot be resolved.
    pub fn put_back(&mut self, waiting: Waiting) {
        let queue = self.waiting.entry(waiting.from).or_default();
        if queue.iter().any(|one| one.references == waiting.references) {
            return;
        }
        if queue.len() >= Self::PER_SENDER_MAX {
            queue.pop_front();
        }
        queue.push_back(waiting);
    }

    /// Whether something waits for this batch.
    #[must_use]
    pub fn names(&self, batch: &BatchId) -> bool {
        self.waiting.values().flatten().any(|one| one.names(batch))
    }

    /// A batch came: take out what names it.
    pub fn take(&mut self, batch: &BatchId) -> Vec<Waiting> {
        let mut taken = Vec::new();
        for queue in self.waiting.values_mut() {
            let (named, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(queue)
                .into_iter()
                .partition(|one| one.names(batch));
            *queue = others;
            taken.extend(named);
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        taken
    }

    /// The references whose batches are to be asked for by now, each once.
    pub fn due(&mut self, now: Timestamp) -> Vec<Waiting> {
        let all = self.waiting.values_mut().flatten();
        let due = all.filter(|one| one.ask_at.is_some_and(|at| at <= now));
        due.map(|one| {
            one.ask_at = None;
            one.clone()
        })
        .collect()
    }

    /// When something is due next.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let all = self.waiting.values().flatten();
        all.filter_map(|one| one.ask_at).min()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
