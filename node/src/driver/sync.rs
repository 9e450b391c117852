//! Getting what this member misses: single blocks, payloads, and ranges of final blocks. Independent of consensus timers.

use super::catchup::CatchUp;
use super::{Driver, DriverError};
use crate::seats::PeerIndex;
use outrider_consensus::Input;
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::message::{BlockRequest, RangeRequest, SyncMessage};
use outrider_types::{
    BlockId, BlockRecord, CheckedPayload, Height, MemberIndex, Payload, Timestamp, Verified, encode,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer may take before someone else is asked.
const RETRY: Duration = Duration::from_millis(250);
/// How often a block is asked for before the replica is told that nobody has it.
const ATTEMPTS_MAX: u32 = 40;
/// Blocks asked for at once.
const FETCHES_MAX: usize = 256;
/// One range per this time and member is answered; a laggard asks someone else meanwhile.
const SERVE_RANGE_EVERY: Duration = Duration::from_millis(5);

/// A block that is being asked for.
#[derive(Debug)]
struct Fetch {
    from: Vec<MemberIndex>,
    attempts: u32,
    /// Members asked for it before this fetch, whose answer was of no use: they are not asked first again.
    asked_before: u32,
    next: Timestamp,
    /// The replica asked for it; otherwise only its payload is missing.
    for_replica: bool,
}

/// Without a new final block for this long, someone is asked for one.
const QUIET: Duration = Duration::from_secs(1);
/// A range is taken for this long after one was asked for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is being asked for.
#[derive(Debug, Default)]
pub(super) struct Sync {
    fetches: BTreeMap<BlockId, Fetch>,
    pub(super) catch_up: Option<CatchUp>,
    served: BTreeMap<PeerIndex, Timestamp>,
    /// When a range was last asked for; what nobody asked for is not taken.
    asked_range: Option<Timestamp>,
    /// When final blocks last joined the ledger, or were asked for because none did.
    progressed: Timestamp,
    /// How often someone was asked because nothing became final.
    rounds: u32,
    /// How many members were asked for blocks that came; at most [`FETCHES_MAX`] blocks are remembered.
    asked: BTreeMap<BlockId, u32>,
}

impl Sync {
    /// The next instant at which to ask again.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let fetches = self.fetches.values().map(|fetch| fetch.next);
        fetches
            .chain(self.catch_up.as_ref().map(CatchUp::wake_at))
            .min()
    }

    /// Final blocks joined the ledger.
    pub(super) const fn progressed(&mut self, now: Timestamp) {
        self.progressed = now;
    }

    /// Whether a range was asked for lately: none is taken otherwise.
    pub(super) fn expects_range(&self, now: Timestamp) -> bool {
        self.asked_range
            .is_some_and(|asked| now.since(asked) <= ANSWER_WITHIN)
    }

    /// The epoch is over: what was asked for in it serves nobody.
    pub(super) fn forget_fetches(&mut self) {
        self.fetches.clear();
        self.asked.clear();
    }

    /// A payload that was waited for is there.
    pub(super) fn arrived(&mut self, block: &BlockId) {
        if self
            .fetches
            .get(block)
            .is_some_and(|fetch| !fetch.for_replica)
        {
            self.fetches.remove(block);
        }
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Ask for a block that the replica needs.
    pub(super) fn fetch_block(&mut self, now: Timestamp, block: BlockId, from: Vec<MemberIndex>) {
        self.fetch(now, block, from, true);
    }

    /// Ask for a block whose payload is missing, first the member that proposed it.
    pub(super) fn fetch_payload(&mut self, at: Timestamp, block: BlockId, proposer: MemberIndex) {
        self.fetch(at, block, vec![proposer], false);
    }

    fn fetch(&mut self, at: Timestamp, block: BlockId, from: Vec<MemberIndex>, for_replica: bool) {
        if self.sync.fetches.len() >= FETCHES_MAX {
            self.inputs.push(Input::FetchFailed { block });
            return;
        }
        let asked_before = self.sync.asked.get(&block).copied().unwrap_or(0);
        let fetch = Fetch {
            from,
            attempts: 0,
            asked_before,
            next: at,
            for_replica,
        };
        let held = self.sync.fetches.entry(block).or_insert(fetch);
        held.for_replica |= for_replica;
    }

    /// Ask whoever is next for everything that has not come in time.
    pub(super) fn ask_again(&mut self, now: Timestamp) -> Result<(), DriverError> {
        let due: Vec<BlockId> = self
            .sync
            .fetches
            .iter()
            .filter(|(_, fetch)| fetch.next <= now)
            .map(|(block, _)| *block)
            .collect();
        for block in due {
            self.ask_for(now, block);
        }
        if !self.ask_ranges(now) && now.since(self.sync.progressed) >= QUIET {
            // Nothing becomes final: the others may be ahead, in another epoch even, and not say so.
            self.sync.progressed = now;
            self.sync.rounds = self.sync.rounds.wrapping_add(1);
            self.ask_for_ending();
            if let Some(to) = self.someone(self.sync.rounds) {
                self.ask_range(now, to);
            }
        }
        Ok(())
    }

    fn ask_range(&mut self, now: Timestamp, to: PeerIndex) {
        let from = self.chain.root().height.next();
        self.ask_range_from(now, to, from);
    }

    pub(super) fn ask_range_from(&mut self, now: Timestamp, to: PeerIndex, from: Height) {
        self.sync.asked_range = Some(now);
        let message = SyncMessage::RangeRequest(RangeRequest { from });
        self.send(Channel::Sync, To::One(to.0), encode(&message));
    }

    /// A peer seems to be ahead: ask it, unless someone was asked just now.
    pub(super) fn probe(&mut self, now: Timestamp, peer: PeerIndex) {
        let asked = self.sync.asked_range;
        if asked.is_none_or(|asked| now.since(asked) >= RETRY) {
            self.ask_range(now, peer);
        }
    }

    /// Everyone else that this member can be connected to.
    pub(super) fn others(&mut self) -> Vec<PeerIndex> {
        self.peers
            .connected()
            .iter()
            .copied()
            .map(PeerIndex)
            .collect()
    }

    fn ask_for(&mut self, now: Timestamp, block: BlockId) {
        let Some(fetch) = self.sync.fetches.get_mut(&block) else {
            return;
        };
        let useless = !fetch.for_replica && !self.payloads.waits(&block);
        if useless || fetch.attempts >= ATTEMPTS_MAX {
            let for_replica = fetch.for_replica;
            self.sync.fetches.remove(&block);
            if for_replica {
                self.inputs.push(Input::FetchFailed { block });
            }
            return;
        }
        let attempt = (fetch.asked_before + fetch.attempts) as usize;
        fetch.attempts += 1;
        fetch.next = now.after(RETRY);
        // Those who should have it first, then everyone in turn.
        let first = fetch.from.get(attempt).copied();
        let first = first.and_then(|member| self.epochs.seats.peer(member));
        let ours = PeerIndex(self.peers.ours());
        let to = match first.filter(|peer| *peer != ours) {
            Some(peer) => Some(peer),
            None => self.someone(u32::try_from(attempt).unwrap_or(u32::MAX)),
        };
        if let Some(to) = to {
            let message = SyncMessage::BlockRequest(BlockRequest { block });
            self.send(Channel::Sync, To::One(to.0), encode(&message));
        }
    }

    /// Another peer, a different one with each attempt; none if nobody is connected.
    fn someone(&mut self, attempt: u32) -> Option<PeerIndex> {
        let others = self.others();
        let at = (attempt as usize).checked_rem(others.len())?;
        others.get(at).copied()
    }

    /// Answer a member that misses a block.
    pub(super) fn serve_block(
        &mut self,
        from: PeerIndex,
        request: BlockRequest,
    ) -> Result<(), DriverError> {
        let full = match self.chain.full(request.block)? {
            Some(full) => Some(full),
            None => self.replica.record(request.block).and_then(|record| {
                // A filler carries nothing, so its payload was never asked for and is not among those held (R13).
                let payload = if record.block.payload == Payload::default().id() {
                    Payload::default()
                } else {
                    (*self.held.get(&request.block)?.payload).clone()
                };
                Some(outrider_types::message::FullBlock { record, payload })
            }),
        };
        if let Some(full) = full {
            self.send(
                Channel::Sync,
                To::One(from.0),
                encode(&SyncMessage::Block(full)),
            );
        }
        Ok(())
    }

    /// Answer a member that is behind.
    pub(super) fn serve_range(
        &mut self,
        now: Timestamp,
        from: PeerIndex,
        request: RangeRequest,
    ) -> Result<(), DriverError> {
        let last = self.sync.served.insert(from, now);
        if last.is_some_and(|last| now < last.after(SERVE_RANGE_EVERY)) {
            return Ok(());
        }
        if let Some(range) = self.chain.range(request.from)? {
            self.send(
                Channel::Sync,
                To::One(from.0),
                encode(&SyncMessage::Range(range)),
            );
        }
        Ok(())
    }

    /// A block came that was asked for.
    pub(super) fn on_block(
        &mut self,
        from: PeerIndex,
        record: Verified<BlockRecord>,
        payload: CheckedPayload,
    ) -> Result<(), DriverError> {
        if let Some(fetch) = self.sync.fetches.remove(&record.block.id()) {
            self.check_own_signatures(record.justification.as_ref())?;
            if self.sync.asked.len() >= FETCHES_MAX {
                self.sync.asked.pop_first();
            }
            self.sync
                .asked
                .insert(record.block.id(), fetch.asked_before + fetch.attempts);
            self.metrics.fetched(1);
            self.on_payload(from, payload)?;
            if fetch.for_replica {
                self.inputs.push(Input::Block { record });
            }
        }
        Ok(())
    }
}
