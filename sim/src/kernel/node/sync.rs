//! Getting what this member misses: single blocks, payloads, and ranges of final blocks.

use super::{Clock, Envelope, Final, Held, Node, Port};
use crate::fact::Message;
use outrider_consensus::Input;
use outrider_types::epoch::check_fillers;
use outrider_types::message::{BlockRequest, Range, RangeRequest};
use outrider_types::{
    BlockId, CommitteeId, EpochEnd, FinalityCertificate, Height, Payload, SyncMessage, Timestamp,
    Verified,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take before someone else is asked.
const RETRY: Duration = Duration::from_millis(250);
/// How often a block is asked for before the replica is told that nobody has it.
const ATTEMPTS_MAX: u32 = 40;
/// Blocks asked for at once.
const FETCHES_MAX: usize = 256;
/// Without a new final block for this long, someone is asked for one.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Fetch {
    from: Vec<usize>,
    attempts: u32,
    next: Timestamp,
    for_replica: bool,
}

/// What is being asked for.
#[derive(Debug)]
pub(super) struct Sync {
    fetches: BTreeMap<BlockId, Fetch>,
    /// Blocks that the replica asked for while there was no room.
    refused: Vec<BlockId>,
    /// Final blocks up to here are being asked for.
    to: Option<Height>,
    next: Timestamp,
    turn: usize,
    /// Something became final since the last look.
    moved: bool,
}

impl Sync {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            fetches: BTreeMap::new(),
            refused: Vec::new(),
            to: None,
            next: now,
            turn: 0,
            moved: false,
        }
    }

    pub(super) fn wake_at(&self) -> Timestamp {
        let fetches = self.fetches.values().map(|fetch| fetch.next).min();
        fetches.map_or(self.next, |next| next.min(self.next))
    }

    pub(super) const fn progressed(&mut self) {
        self.moved = true;
    }

    pub(super) fn forget_fetches(&mut self) {
        self.fetches.clear();
        self.refused.clear();
    }

    pub(super) fn catch_up(&mut self, now: Timestamp, to: Height) {
        if self.to.is_none() {
            self.next = now;
        }
        self.to = self.to.max(Some(to));
    }

    /// Ask for a block from `at` on: first these, then everyone in turn.
    pub(super) fn fetch(
        &mut self,
        at: Timestamp,
        block: BlockId,
        from: Vec<usize>,
        for_replica: bool,
    ) {
        if self.fetches.len() >= FETCHES_MAX && !self.fetches.contains_key(&block) {
            if for_replica {
                self.refused.push(block);
            }
            return;
        }
        let fetch = self.fetches.entry(block).or_insert(Fetch {
            from,
            attempts: 0,
            next: at,
            for_replica,
        });
        fetch.for_replica |= for_replica;
    }
}

impl Node {
    /// Ask whoever is next for everything that has not come in time.
    pub(super) fn ask_again(&mut self, clock: Clock, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        for block in std::mem::take(&mut life.sync.refused) {
            life.inputs.push_back(Input::FetchFailed { block });
        }
        if life.sync.wake_at() > clock.now {
            return;
        }
        let others: Vec<usize> = (0..self.book.contacts.len())
            .filter(|host| *host != self.host)
            .collect();
        let due: Vec<BlockId> = life
            .sync
            .fetches
            .iter()
            .filter(|(_, fetch)| fetch.next <= clock.now)
            .map(|(block, _)| *block)
            .collect();
        for block in due {
            let Some(fetch) = life.sync.fetches.get_mut(&block) else {
                continue;
            };
            let useless = !fetch.for_replica && !life.payloads.waits(block);
            if useless || fetch.attempts >= ATTEMPTS_MAX {
                if fetch.for_replica {
                    life.inputs.push_back(Input::FetchFailed { block });
                }
                life.sync.fetches.remove(&block);
                continue;
            }
            let attempt = fetch.attempts as usize;
            fetch.attempts += 1;
            fetch.next = clock.now.after(RETRY);
            let first = fetch.from.get(attempt).filter(|host| **host != self.host);
            let to = first.or_else(|| others.get(attempt.checked_rem(others.len())?));
            if let Some(to) = to {
                let message = SyncMessage::BlockRequest(BlockRequest { block });
                port.send(Some(*to), Message::Sync(message));
            }
        }
        if life.sync.next > clock.now {
            return;
        }
        let root = self.disk.root().height;
        life.sync.to = life.sync.to.filter(|to| *to > root);
        let quiet = !std::mem::take(&mut life.sync.moved);
        if (life.sync.to.is_some() || quiet)
            && let Some(to) = others.get(life.sync.turn.checked_rem(others.len()).unwrap_or(0))
        {
            life.sync.turn += 1;
            let message = SyncMessage::RangeRequest(RangeRequest { from: root.next() });
            port.send(Some(*to), Message::Sync(message));
            self.ask_for_ending(port);
        }
        if let Some(life) = &mut self.life {
            let pause = if life.sync.to.is_some() { RETRY } else { QUIET };
            life.sync.next = clock.now.after(pause);
        }
    }

    /// Answer a member that misses a block.
    pub(super) fn serve_block(&self, from: usize, block: BlockId, port: &mut Port<'_>) {
        let full = self.disk.full(block).or_else(|| {
            let life = self.life.as_ref()?;
            let record = life.replica.record(block)?;
            // A filler carries nothing, and nobody asks whether nothing is held.
            let payload = if record.block.payload == Payload::default().id() {
                Payload::default()
            } else {
                (*life.held.get(&block)?.payload).clone()
            };
            Some(outrider_types::message::FullBlock { record, payload })
        });
        if let Some(full) = full {
            port.send(Some(from), Message::Sync(SyncMessage::Block(full)));
        }
    }

    /// A block came that was asked for.
    pub(super) fn on_block(&mut self, envelope: &Envelope) {
        let Some(life) = &mut self.life else {
            return;
        };
        let (Some(record), Some(held)) =
            (envelope.record(life.replica.committee()), envelope.held())
        else {
            return;
        };
        let id = record.block.id();
        if held.id != record.block.payload {
            return;
        }
        if let Some(fetch) = life.sync.fetches.remove(&id) {
            if fetch.for_replica {
                life.inputs.push_back(Input::Block { record });
            }
            self.on_payload(envelope.from, held);
        }
    }

    /// Answer a member that is behind.
    pub(super) fn serve_range(&self, from: usize, height: Height, port: &mut Port<'_>) {
        if let Some(range) = self.disk.range(height) {
            port.send(Some(from), Message::Sync(SyncMessage::Range(range)));
        }
    }

    /// Final blocks came: each must follow the one before, and the last be proven final.
    pub(super) fn on_range(
        &mut self,
        clock: Clock,
        from: usize,
        range: &Range,
        port: &mut Port<'_>,
    ) {
        let Some((blocks, certificate, end)) = self.check_range(range) else {
            return;
        };
        let proof = Arc::new((*certificate).clone());
        let count = blocks.len();
        for (at, mut block) in blocks.into_iter().enumerate() {
            if at + 1 == count {
                let tip = block.record.block;
                block.proof = Some(proof.clone());
                match end.clone() {
                    Some(end) => {
                        self.append_last(block, end, &proof, port);
                    }
                    None => {
                        self.append(block, Some(&proof), port);
                        if let Some(life) = &mut self.life {
                            life.inputs.push_back(Input::CaughtUp {
                                block: tip,
                                certificate: certificate.clone(),
                            });
                        }
                    }
                }
            } else {
                self.append(block, Some(&proof), port);
            }
        }
        self.forget_old();
        let next = self.disk.root().height.next();
        if let Some(life) = &mut self.life
            && end.is_none()
            && count > 0
        {
            // It may have more.
            life.sync.next = clock.now.after(RETRY);
            let message = SyncMessage::RangeRequest(RangeRequest { from: next });
            port.send(Some(from), Message::Sync(message));
        }
    }

    /// The blocks of a range that are new here; none if something is wrong with it.
    #[allow(clippy::type_complexity, reason = "three results of one check")]
    fn check_range(
        &self,
        range: &Range,
    ) -> Option<(Vec<Final>, Verified<FinalityCertificate>, Option<EpochEnd>)> {
        let life = self.life.as_ref()?;
        if life.epochs.is_over() || life.epochs.is_ending() {
            return None;
        }
        let committee = life.replica.committee();
        let root = self.disk.root();
        let certificate = range.certificate.clone().verify(committee).ok()?;
        let mut new = Vec::new();
        let mut last = None;
        for full in &range.blocks {
            let block = full.record.block;
            if block.epoch != committee.epoch() || block.chain != committee.chain() {
                return None;
            }
            if let Some((id, height)) = last
                && (block.parent != id || block.height != Height::next(height))
            {
                return None;
            }
            let id = block.id();
            last = Some((id, block.height));
            let held = Arc::new(Held::new(full.payload.clone()).ok()?);
            if held.id != block.payload {
                return None;
            }
            if block.height > root.height {
                new.push(Final {
                    record: Arc::new(full.record.clone()),
                    id,
                    held,
                    proof: None,
                });
            }
        }
        let first = new.first()?;
        if first.record.block.parent != root.id() {
            return None;
        }
        let tip = range.blocks.last()?.record.block;
        let end = if tip.next == CommitteeId::NONE {
            None
        } else {
            let end = EpochEnd {
                last: tip,
                fillers: range.fillers.clone(),
                certificate: range.certificate.clone(),
                change: range.change.clone(),
            };
            Some(end.verify(committee).ok()?.into_inner())
        };
        if check_fillers(&tip, &range.fillers).ok()? != certificate.block()
            || (end.is_none() && !range.fillers.is_empty())
        {
            return None;
        }
        Some((new, certificate, end))
    }
}
