//! Spreading transactions to the other members, in batches, ahead of consensus.
//!
//! A submitted transaction is answered once members of stake >= f+1, this one included, hold it: at least one of them
//! is honest and lives on, so the death of this member alone loses nothing that was accepted.
//!
//! Whose batches others had to fetch from this member, as the leader that referred to them, is trusted no more to have
//! spread them: for [`SUSPECT_FOR`] its batches are spread again from here, and taken in once members of stake >= f+1 hold
//! them, or once another leader refers to them.

use super::Driver;
use crate::chain::ChainError;
use crate::handle::SubmitError;
use crate::seats::PeerIndex;
use bytes::Bytes;
use outrider_mempool::{HeldBatch, ResolveError};
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::limits::BATCHES_PER_REQUEST_MAX;
use outrider_types::message::{
    BatchRequest, PayloadMessage, Received, References, Transactions, batch_id,
};
use outrider_types::{
    BatchId, Committee, MemberIndex, Timestamp, Transaction, TransactionId, encode,
};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;

/// What becomes of a submitted transaction.
pub(super) type Answer = Result<TransactionId, SubmitError>;

/// How long to wait for members to confirm.
const HELD_TIMEOUT: Duration = Duration::from_secs(5);
/// When to spread again what was not confirmed, for the first time; then after twice as long, and so on.
const SPREAD_AGAIN: Duration = Duration::from_millis(500);
/// Bytes that are spread again at one time: who does not confirm may be slow because of what was sent already.
const AGAIN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of own transactions that others have not confirmed. Past it nothing is taken from clients.
pub(super) const UNCONFIRMED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of batches in answer to one request; the first is sent whatever its size.
const SERVED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches of one author that wait until others confirm them.
const ON_PROBATION_MAX: usize = 64;
/// How long batches that had to be fetched tell against their author.
const SUSPECT_FOR: Duration = Duration::from_secs(30);
/// Batches that a member had to fetch in that time before it counts: a slow way to it looks the same, now and then.
const FETCHES: usize = 8;
/// Batches that were asked for and did not come; past that all are forgotten.
const ASKED_FOR_MAX: usize = 1_024;

type List = Vec<(TransactionId, Transaction)>;

/// Batches on their way to the other members.
#[derive(Debug, Default)]
pub(super) struct Spread {
    callers: BTreeMap<u64, Caller>,
    /// How many callers there have been.
    numbered: u64,
    /// Who waits for a transaction to be held: callers, and its place in what they submitted.
    waits: HashMap<TransactionId, Vec<(u64, usize)>>,
    sent: BTreeMap<BatchId, Sent>,
    /// Bytes of these.
    unconfirmed: usize,
    /// By author: when members last had to fetch batches of it, at most [`FETCHES`] times each.
    fetched: BTreeMap<usize, BTreeMap<MemberIndex, VecDeque<Timestamp>>>,
    /// Batches that this member asked for.
    asked_for: BTreeSet<BatchId>,
    /// Batches that are taken in once others confirm them.
    probation: BTreeMap<BatchId, Probation>,
}

/// Who submitted transactions and is told of all at once.
#[derive(Debug)]
struct Caller {
    answers: Vec<Option<Answer>>,
    missing: usize,
    reply: oneshot::Sender<Vec<Answer>>,
}

/// A batch that was sent to all.
#[derive(Debug)]
struct Sent {
    batch: HeldBatch,
    /// Who holds it, but for these places.
    held_by: BTreeMap<MemberIndex, Vec<u16>>,
    since: Timestamp,
    again: Timestamp,
    /// How long to wait after that.
    pause: Duration,
}

#[derive(Debug)]
struct Probation {
    author: usize,
    list: List,
    held_by: BTreeSet<MemberIndex>,
    since: Timestamp,
}

impl Spread {
    /// Somebody submits so many transactions. Each must be answered, or waited for.
    pub(super) fn called(&mut self, many: usize, reply: oneshot::Sender<Vec<Answer>>) -> u64 {
        if many == 0 {
            // The caller may have gone, here and below.
            let _ = reply.send(Vec::new());
            return self.numbered;
        }
        self.numbered += 1;
        let caller = Caller {
            answers: vec![None; many],
            missing: many,
            reply,
        };
        self.callers.insert(self.numbered, caller);
        self.numbered
    }

    /// Whether a caller waits for this transaction; then this one waits, too.
    pub(super) fn join(&mut self, id: &TransactionId, caller: u64, place: usize) -> bool {
        let waits = self.waits.get_mut(id);
        waits.map(|waits| waits.push((caller, place))).is_some()
    }

    /// A caller waits for a transaction that was just taken in.
    pub(super) fn wait(&mut self, id: TransactionId, caller: u64, place: usize) {
        self.waits.insert(id, vec![(caller, place)]);
    }

    /// What is final needs no confirmation any more.
    pub(super) fn committed(&mut self, ids: &[TransactionId]) {
        if !self.waits.is_empty() {
            for id in ids {
                self.settle(id, &Ok(*id));
            }
        }
    }

    fn settle(&mut self, id: &TransactionId, answer: &Answer) {
        for (caller, place) in self.waits.remove(id).into_iter().flatten() {
            self.answer(caller, place, answer.clone());
        }
    }

    /// The answer for one transaction of a caller; the last one lets it go.
    pub(super) fn answer(&mut self, number: u64, place: usize, answer: Answer) {
        let Some(caller) = self.callers.get_mut(&number) else {
            return;
        };
        let old = caller.answers.get_mut(place).map(|old| old.replace(answer));
        assert_eq!(old, Some(None), "a transaction is answered once");
        caller.missing -= 1;
        if caller.missing == 0
            && let Some(caller) = self.callers.remove(&number)
        {
            let _ = caller
                .reply
                .send(caller.answers.into_iter().flatten().collect());
        }
    }

    /// A member holds a batch, but for these places.
    fn received(
        &mut self,
        from: MemberIndex,
        batch: &BatchId,
        refused: Vec<u16>,
        committee: &Committee,
    ) {
        let Some(sent) = self.sent.get_mut(batch) else {
            return;
        };
        sent.held_by.insert(from, refused);
        let witness = committee.thresholds().witness.0;
        let all = stake(committee, sent.held_by.keys());
        if all < witness {
            return;
        }
        let clean = sent
            .held_by
            .iter()
            .filter(|(_, refused)| refused.is_empty());
        let ids = sent.batch.ids.clone();
        if stake(committee, clean.map(|(member, _)| member)) >= witness {
            self.forget(batch);
            for id in &*ids {
                self.settle(id, &Ok(*id));
            }
            return;
        }
        let held_by = &sent.held_by;
        let held: Vec<TransactionId> = (0_u16..)
            .zip(&*ids)
            .filter(|(place, _)| {
                let holders = held_by
                    .iter()
                    .filter(|(_, refused)| refused.binary_search(place).is_err());
                stake(committee, holders.map(|(member, _)| member)) >= witness
            })
            .map(|(_, id)| *id)
            .collect();
        for id in held {
            self.settle(&id, &Ok(id));
        }
    }

    /// The next instant at which something is due.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.sent.values().map(|sent| sent.again).min()
    }

    /// A batch was sent to all others.
    fn keep(&mut self, batch: HeldBatch, now: Timestamp) {
        self.unconfirmed += batch.bytes();
        let sent = Sent {
            held_by: BTreeMap::new(),
            since: now,
            again: now.after(SPREAD_AGAIN),
            pause: 2 * SPREAD_AGAIN,
            batch,
        };
        if let Some(same) = self.sent.insert(sent.batch.id, sent) {
            self.unconfirmed -= same.batch.bytes();
        }
    }

    /// Enough hold it, or too few for too long.
    fn forget(&mut self, batch: &BatchId) {
        if let Some(sent) = self.sent.remove(batch) {
            self.unconfirmed -= sent.batch.bytes();
        }
    }

    /// Whether more may be taken from clients.
    pub(super) const fn has_room(&self) -> bool {
        self.unconfirmed < UNCONFIRMED_BYTES_MAX
    }

    /// Tell callers that have waited too long; what has to be sent again, and who holds it.
    fn overdue(&mut self, now: Timestamp) -> Vec<(HeldBatch, BTreeSet<MemberIndex>)> {
        let due = self.sent.iter().filter(|(_, sent)| now >= sent.again);
        let late: Vec<BatchId> = due.map(|(id, _)| *id).collect();
        let (mut again, mut bytes) = (Vec::new(), 0);
        for id in late {
            let Some(sent) = self.sent.get_mut(&id) else {
                continue;
            };
            let waited = now.since(sent.since);
            let ids = sent.batch.ids.clone();
            if waited >= HELD_TIMEOUT {
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                self.forget(&id);
                for id in &*ids {
                    self.settle(id, &Err(SubmitError::NotHeld { waited_ms }));
                }
            } else if !ids.iter().any(|id| self.waits.contains_key(id)) {
                self.forget(&id);
            } else if bytes < AGAIN_BYTES_MAX {
                bytes += sent.batch.bytes();
                sent.again = now.after(sent.pause);
                sent.pause *= 2;
                let held_by = sent.held_by.keys().copied().collect();
                again.push((sent.batch.clone(), held_by));
            } else {
                sent.again = now.after(SPREAD_AGAIN);
            }
        }
        again
    }

    fn on_probation(&self, author: usize) -> usize {
        let of_author = self.probation.values().filter(|one| one.author == author);
        of_author.count()
    }

    /// A new epoch has other members.
    pub(super) fn new_epoch(&mut self) {
        self.fetched.clear();
        self.probation.clear();
        for sent in self.sent.values_mut() {
            sent.held_by.clear();
        }
    }
}

fn stake<'a>(committee: &Committee, members: impl Iterator<Item = &'a MemberIndex>) -> u64 {
    members
        .filter_map(|member| committee.stake(*member))
        .map(|stake| stake.0)
        .sum()
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Send what was submitted since to all other members: at once when it is little, many in a batch when it is much.
    pub(super) fn flush_spread(&mut self) {
        while let Some(batch) = self.mempool.seal() {
            let now = self.clock.now();
            self.spread_batch(batch.transactions.to_vec());
            let (me, id) = (self.me(), batch.id);
            self.spread.keep(batch, now);
            if let Some(me) = me {
                // A committee of one needs nobody else.
                let committee = self.replica.committee();
                self.spread.received(me, &id, Vec::new(), committee);
            }
        }
    }

    fn me(&self) -> Option<MemberIndex> {
        let key = self.config.key.public_key();
        self.replica.committee().index_of(&key)
    }

    fn spread_batch(&mut self, list: Vec<Transaction>) {
        let message: Bytes = encode(&PayloadMessage::Transactions(Transactions { list }));
        self.send(Channel::Payload, To::All, message);
    }

    /// Send again what was not confirmed, and give up what never was.
    pub(super) fn spread_again(&mut self, now: Timestamp) {
        // By then the author has given up, too.
        let probation = &mut self.spread.probation;
        probation.retain(|_, one| now.since(one.since) < HELD_TIMEOUT);
        let me = self.me();
        for (batch, held_by) in self.spread.overdue(now) {
            let list = batch.transactions.to_vec();
            let message: Bytes = encode(&PayloadMessage::Transactions(Transactions { list }));
            let members = self.replica.committee().indexes();
            let others = members.filter(|member| Some(*member) != me && !held_by.contains(member));
            let others: Vec<_> = others
                .filter_map(|member| self.epochs.seats.peer(member))
                .collect();
            for peer in others {
                self.send(Channel::Payload, To::One(peer.0), message.clone());
            }
        }
    }

    /// Another member spreads transactions: take them as if they were submitted here, and say which are held.
    pub(super) fn on_spread(
        &mut self,
        from: PeerIndex,
        list: List,
    ) -> Result<(), super::DriverError> {
        self.flush_spread();
        if self.is_suspect(from.0) {
            let id = batch_id(&list.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            if self.mempool.batch(&id).is_none() && !self.is_referred_to(&id) {
                self.put_on_probation(from.0, id, list);
                return Ok(());
            }
        }
        let (id, refused) = self.admit_batch(from.0, list)?;
        self.spread.asked_for.remove(&id);
        if !refused.is_empty() {
            tracing::debug!(%from, batch = %id, refused = refused.len(), "no room for all of a batch");
        }
        let message = PayloadMessage::Received(Received { batch: id, refused });
        self.send(Channel::Payload, To::One(from.0), encode(&message));
        self.resolve_with(&id)
    }

    /// Another member holds a batch that this one spread.
    pub(super) fn on_received(
        &mut self,
        from: PeerIndex,
        received: Received,
    ) -> Result<(), super::DriverError> {
        let Some(from) = self.epochs.seats.member(from) else {
            return Ok(());
        };
        let committee = self.replica.committee().clone();
        let Received { batch, refused } = received;
        if let Some(probation) = self.spread.probation.get_mut(&batch) {
            if refused.is_empty() {
                probation.held_by.insert(from);
            }
            let enough = committee.thresholds().witness.0;
            if stake(&committee, probation.held_by.iter()) >= enough {
                self.end_probation(&batch)?;
            }
            return Ok(());
        }
        self.spread.received(from, &batch, refused, &committee);
        Ok(())
    }

    /// Others than this member had to fetch its batches: members of stake >= f+1, so one of them is honest.
    fn is_suspect(&self, author: usize) -> bool {
        let committee = self.replica.committee();
        let now = self.clock.now();
        self.spread.fetched.get(&author).is_some_and(|by| {
            let often = by.iter().filter(|(_, times)| {
                let first = times.front().filter(|_| times.len() >= FETCHES);
                first.is_some_and(|at| now.since(*at) < SUSPECT_FOR)
            });
            stake(committee, often.map(|(member, _)| member)) >= committee.thresholds().witness.0
        })
    }

    /// Whether a leader referred to this batch: asked for, it comes from there.
    fn is_referred_to(&self, id: &BatchId) -> bool {
        self.spread.asked_for.contains(id) || self.unresolved.names(id)
    }

    fn put_on_probation(&mut self, author: usize, id: BatchId, list: List) {
        match self.spread.probation.get(&id) {
            // Another suspect, perhaps in its own doubt of this member: answered with the same, it would never end.
            Some(probation) if probation.author != author => return,
            // Nobody confirmed it yet, so perhaps nobody heard of it.
            Some(_) => {}
            None if self.spread.on_probation(author) >= ON_PROBATION_MAX => return,
            None => {}
        }
        self.metrics.batch_on_probation();
        self.spread_batch(list.iter().map(|(_, one)| one.clone()).collect());
        let since = self.clock.now();
        let probation = self.spread.probation.entry(id);
        probation.or_insert_with(|| Probation {
            author,
            list,
            held_by: BTreeSet::new(),
            since,
        });
    }

    fn end_probation(&mut self, id: &BatchId) -> Result<(), super::DriverError> {
        self.flush_spread();
        if let Some(Probation { author, list, .. }) = self.spread.probation.remove(id) {
            let (id, refused) = self.admit_batch(author, list)?;
            let message = PayloadMessage::Received(Received { batch: id, refused });
            self.send(Channel::Payload, To::One(author), encode(&message));
        }
        Ok(())
    }

    fn admit_batch(
        &mut self,
        author: usize,
        list: List,
    ) -> Result<(BatchId, Vec<u16>), ChainError> {
        let failed = Cell::new(None);
        let is_final = |id: &TransactionId| match self.chain.height_of(id) {
            Ok(height) => height.is_some(),
            Err(error) => {
                failed.set(Some(error));
                true
            }
        };
        let admitted = self
            .mempool
            .admit_batch(self.clock.now(), author, list, is_final);
        failed.into_inner().map_or(Ok(admitted), Err)
    }

    /// A leader tells a payload in terms of batches.
    pub(super) fn on_references(
        &mut self,
        from: PeerIndex,
        references: References,
    ) -> Result<(), super::DriverError> {
        // Another one than the author vouches for them.
        for reference in &references.batches {
            let probation = self.spread.probation.get(&reference.batch);
            if probation.is_some_and(|one| one.author != from.0) {
                self.end_probation(&reference.batch)?;
            }
        }
        match self.mempool.resolve(&references) {
            Ok(payload) => self.on_payload(from, payload),
            Err(ResolveError::Missing { .. }) => {
                self.unresolved.keep(self.clock.now(), from.0, references);
                Ok(())
            }
            Err(reason) => {
                self.metrics
                    .bad_message(crate::metrics::BadMessage::Malformed);
                tracing::debug!(%from, %reason, "bad references");
                Ok(())
            }
        }
    }

    /// A batch came: perhaps it was all that a payload missed.
    fn resolve_with(&mut self, batch: &BatchId) -> Result<(), super::DriverError> {
        for waiting in self.unresolved.take(batch) {
            let from = PeerIndex(waiting.from);
            match self.mempool.resolve(&waiting.references) {
                Ok(payload) => self.on_payload(from, payload)?,
                // It is asked for all of them at once; what does not come is fetched with the block.
                Err(ResolveError::Missing { .. }) => self.unresolved.put_back(waiting),
                Err(reason) => tracing::debug!(%from, %reason, "bad references"),
            }
        }
        Ok(())
    }

    /// Ask leaders for batches to which they referred and that should have come by now.
    pub(super) fn ask_for_batches(&mut self, now: Timestamp) {
        for waiting in self.unresolved.due(now) {
            let found = self.mempool.resolve(&waiting.references);
            let Err(ResolveError::Missing { mut batches }) = found else {
                continue;
            };
            batches.truncate(BATCHES_PER_REQUEST_MAX);
            self.metrics.batches_fetched(batches.len());
            if self.spread.asked_for.len() + batches.len() > ASKED_FOR_MAX {
                self.spread.asked_for.clear();
            }
            self.spread.asked_for.extend(&batches);
            let request = PayloadMessage::BatchRequest(BatchRequest { batches });
            self.send(Channel::Payload, To::One(waiting.from), encode(&request));
        }
    }

    /// A member misses batches that this one referred to.
    pub(super) fn serve_batches(&mut self, from: PeerIndex, request: &BatchRequest) {
        let mut served = 0;
        for id in &request.batches {
            let Some(batch) = self.mempool.batch(id) else {
                continue;
            };
            let bytes: usize = batch.transactions.iter().map(|one| one.data.len()).sum();
            if served > 0 && served + bytes > SERVED_BYTES_MAX {
                break;
            }
            served += bytes;
            let list = batch.transactions.to_vec();
            if let (Some(author), Some(member)) = (batch.author(), self.epochs.seats.member(from))
                && author != from.0
            {
                let by = self.spread.fetched.entry(author).or_default();
                let times = by.entry(member).or_default();
                if times.len() >= FETCHES {
                    times.pop_front();
                }
                times.push_back(self.clock.now());
            }
            let message = PayloadMessage::Transactions(Transactions { list });
            self.send(Channel::Payload, To::One(from.0), encode(&message));
        }
    }
}
