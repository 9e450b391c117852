//! Catching up: ranges of final blocks from several peers at once, each proven by its own certificate.
//!
//! ```text
//! ledger ... root | asked of A | asked of B | came early from C | ..   up to the height that was seen
//! ```
//!
//! Nobody knows how many blocks an answer will hold, so the next peer is asked from where the shortest of the last answers
//! would have ended. A peer whose answers are late or of no use gets a demerit; whoever has the fewest is asked, and time
//! halves them all. So a lying peer costs a wait now and then, and nothing else.

use super::{Driver, DriverError};
use crate::pipeline::CheckedRange;
use crate::seats::PeerIndex;
use outrider_consensus::{Input, Step};
use outrider_network::Context;
use outrider_storage::{Journal, Store};
use outrider_types::limits::BLOCKS_PER_RANGE_MAX;
use outrider_types::{Height, Justification, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long an answer may take before someone else is asked,
const PATIENCE: Duration = Duration::from_millis(250);
/// doubled for each demerit of the peer, up to this many.
const DOUBLINGS_MAX: u32 = 4;
/// All demerits are halved this often.
const FORGIVE_EVERY: Duration = Duration::from_secs(5);
/// Most demerits that are counted.
const DEMERITS_MAX: u32 = 16;
/// Ranges that are asked for, or came early, at once. Each has at most `MESSAGE_BYTES_MAX` bytes.
const AHEAD_MAX: usize = 3;
/// Lengths of answers that are remembered.
const LENGTHS: usize = 8;
/// After so many questions for the same height the operator is told, and again after as many more.
const BARREN_MAX: u32 = 32;

/// A question that was asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    from: Height,
    until: Timestamp,
}

/// Final blocks up to a height are being asked for.
#[derive(Debug)]
pub(super) struct CatchUp {
    to: Height,
    /// At most [`AHEAD_MAX`] with those below.
    asked: BTreeMap<PeerIndex, Asked>,
    /// Ranges that build on what is not here yet, by first height.
    early: BTreeMap<Height, (PeerIndex, CheckedRange)>,
    /// How many blocks the last answers held.
    lengths: VecDeque<u64>,
    demerits: BTreeMap<PeerIndex, u32>,
    forgiven: Timestamp,
    /// Counts questions, so that peers take turns.
    turn: usize,
    /// Questions for the block after the root that brought nothing.
    barren: u32,
    /// When to look again if nobody could be asked.
    next: Timestamp,
}

impl CatchUp {
    const fn new(to: Height, now: Timestamp) -> Self {
        Self {
            to,
            asked: BTreeMap::new(),
            early: BTreeMap::new(),
            lengths: VecDeque::new(),
            demerits: BTreeMap::new(),
            forgiven: now,
            turn: 0,
            barren: 0,
            next: now,
        }
    }

    pub(super) fn wake_at(&self) -> Timestamp {
        let due = self.asked.values().map(|asked| asked.until).min();
        due.map_or(self.next, |due| due.min(self.next))
    }

    /// Blocks that an answer holds at least, as it seems.
    fn stride(&self) -> u64 {
        let shortest = self.lengths.iter().copied().min();
        shortest.unwrap_or(BLOCKS_PER_RANGE_MAX as u64).max(1)
    }

    fn demerit(&mut self, peer: PeerIndex) {
        let count = self.demerits.entry(peer).or_default();
        *count = (*count + 1).min(DEMERITS_MAX);
    }

    fn answered(&mut self, peer: PeerIndex, blocks: usize) {
        self.demerits.remove(&peer);
        if self.lengths.len() >= LENGTHS {
            self.lengths.pop_front();
        }
        self.lengths.push_back(blocks as u64);
    }

    /// What nobody was asked for yet, lowest first, above `root` and not above `last`.
    fn missing(&self, root: Height, last: Height) -> Option<Height> {
        let mut at = root.next();
        for _ in 0..=2 * AHEAD_MAX {
            let covers = |(first, (_, range)): (&Height, &(PeerIndex, CheckedRange))| {
                let end = first.0 + range.blocks.len() as u64;
                (first.0..end).contains(&at.0).then_some(end)
            };
            let asked = |asked: &Asked| {
                let end = asked.from.0.saturating_add(self.stride());
                (asked.from.0..end).contains(&at.0).then_some(end)
            };
            let early = self.early.iter().filter_map(covers).max();
            let asked = self.asked.values().filter_map(asked).max();
            match early.max(asked) {
                Some(end) => at = Height(end),
                None => return (at <= last.min(self.to)).then_some(at),
            }
        }
        None
    }

    /// Whoever of these is not busy and has the fewest demerits of all, in turn.
    fn choose(&mut self, peers: &[PeerIndex]) -> Option<PeerIndex> {
        let demerits = |peer: &PeerIndex| self.demerits.get(peer).copied().unwrap_or(0);
        let fewest = peers.iter().map(demerits).min()?;
        let free: Vec<PeerIndex> = peers
            .iter()
            .copied()
            .filter(|peer| demerits(peer) == fewest && !self.asked.contains_key(peer))
            .collect();
        let peer = free.get(self.turn.checked_rem(free.len())?).copied();
        self.turn = self.turn.wrapping_add(1);
        peer
    }

    /// Questions that were not answered in time, and old demerits.
    fn on_time(&mut self, now: Timestamp, root: Height) {
        let late: Vec<(PeerIndex, Asked)> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.until <= now)
            .map(|(peer, asked)| (*peer, *asked))
            .collect();
        for (peer, asked) in late {
            self.asked.remove(&peer);
            self.demerit(peer);
            self.barren += u32::from(asked.from == root.next());
        }
        if now.since(self.forgiven) >= FORGIVE_EVERY {
            self.forgiven = now;
            self.demerits.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Ask for final blocks up to a height.
    pub(super) fn catch_up(&mut self, now: Timestamp, to: Height) {
        match &mut self.sync.catch_up {
            Some(running) => running.to = running.to.max(to),
            none => {
                tracing::info!(have = %self.chain.root().height, seen = %to, "catching up");
                *none = Some(CatchUp::new(to, now));
            }
        }
    }

    /// Ask whoever is next for what has not come in time and for what nobody was asked for. False if there is nothing to
    /// catch up with.
    pub(super) fn ask_ranges(&mut self, now: Timestamp) -> bool {
        let root = self.chain.root().height;
        let Some(running) = &mut self.sync.catch_up else {
            return false;
        };
        if running.to <= root {
            tracing::info!(height = %root, "caught up");
            self.sync.catch_up = None;
            return true;
        }
        running.on_time(now, root);
        if running.barren >= BARREN_MAX {
            running.barren = 0;
            tracing::warn!(
                height = %root.next(), seen = %running.to,
                "no member gives out the next block: they are down, or they have pruned it (storage.keep_blocks) and this member is too far behind. Then start from a snapshot: `outrider snapshot create --rpc` of another member, move this store away (not the journal), `outrider snapshot install`"
            );
        }
        let due = running.next <= now || running.asked.is_empty();
        if due || running.asked.len() + running.early.len() < AHEAD_MAX {
            self.ask_missing(now, root);
        }
        true
    }

    fn ask_missing(&mut self, now: Timestamp, root: Height) {
        let peers = self.others();
        // Members of this epoch cannot say what comes after it before it has ended here.
        let start = self.chain.epoch();
        let last = start.committee.last_height(start.base.height);
        let last = last.unwrap_or(Height(u64::MAX));
        let mut questions = Vec::new();
        let Some(running) = &mut self.sync.catch_up else {
            return;
        };
        running.next = now.after(PATIENCE);
        for _ in 0..AHEAD_MAX {
            // The block after the root is asked for whatever came early.
            let ahead = running.asked.len() + running.early.len();
            let Some(from) = running.missing(root, last) else {
                break;
            };
            if ahead >= AHEAD_MAX && from != root.next() {
                break;
            }
            let Some(peer) = running.choose(&peers) else {
                break;
            };
            let demerits = running.demerits.get(&peer).copied().unwrap_or(0);
            let patience = PATIENCE * (1 << demerits.min(DOUBLINGS_MAX));
            let until = now.after(patience);
            running.asked.insert(peer, Asked { from, until });
            questions.push((peer, from));
        }
        for (peer, from) in questions {
            self.ask_range_from(now, peer, from);
        }
    }

    /// Final blocks came. They were verified: linked to each other and proven final. Here they are linked to ours.
    pub(super) fn on_range(
        &mut self,
        from: PeerIndex,
        range: CheckedRange,
    ) -> Result<(), DriverError> {
        let now = self.clock.now();
        if !self.sync.expects_range(now) {
            return Ok(());
        }
        if self.sync.catch_up.is_none() {
            if self.join(from, range)? && self.sync.catch_up.is_none() {
                // It may have more.
                let next = self.chain.root().height.next();
                self.ask_range_from(now, from, next);
            }
            return Ok(());
        }
        self.on_expected(from, range)?;
        // What came early may join on now.
        while let Some((from, range)) = self.next_early() {
            self.join_judged(from, range)?;
        }
        self.ask_ranges(self.clock.now());
        Ok(())
    }

    /// A range while catching up: it joins on, or it came early, or it is of no use.
    fn on_expected(&mut self, from: PeerIndex, range: CheckedRange) -> Result<(), DriverError> {
        let root = self.chain.root().height;
        let Some(running) = &mut self.sync.catch_up else {
            return Ok(());
        };
        let asked = running.asked.remove(&from);
        let first = range.blocks.first().map(|(record, _)| record.block.height);
        let last = range.blocks.last().map(|(record, _)| record.block.height);
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(());
        };
        if last <= root {
            // Late, which is no fault, if it is what was asked for.
            if asked.is_some_and(|asked| asked.from > last) {
                running.demerit(from);
            }
            return Ok(());
        }
        if first <= root.next() {
            return self.join_judged(from, range);
        }
        match asked {
            Some(asked) if first <= asked.from && asked.from <= last => {
                running.answered(from, range.blocks.len());
                if running.early.len() + 1 < AHEAD_MAX {
                    running.early.insert(first, (from, range));
                }
            }
            Some(_) => running.demerit(from),
            // Nobody asked it for that.
            None => {}
        }
        Ok(())
    }

    /// The lowest range that came early, if it reaches down to the root by now.
    fn next_early(&mut self) -> Option<(PeerIndex, CheckedRange)> {
        let root = self.chain.root().height;
        let running = self.sync.catch_up.as_mut()?;
        let entry = running.early.first_entry()?;
        (*entry.key() <= root.next()).then(|| entry.remove())
    }

    fn join_judged(&mut self, from: PeerIndex, range: CheckedRange) -> Result<(), DriverError> {
        let blocks = range.blocks.len();
        let last = range.blocks.last().map(|(record, _)| record.block.height);
        let root = self.chain.root().height;
        let useful = self.join(from, range)?;
        if let Some(running) = &mut self.sync.catch_up {
            if useful {
                running.answered(from, blocks);
                running.barren = 0;
            } else if last.is_some_and(|last| last > root) {
                running.demerit(from);
            }
        }
        Ok(())
    }

    /// Append what is new of a range. False if nothing is, or it does not extend the chain.
    fn join(&mut self, from: PeerIndex, range: CheckedRange) -> Result<bool, DriverError> {
        let CheckedRange {
            blocks,
            certificate,
            end,
        } = range;
        let root = *self.chain.root();
        let new: Vec<_> = blocks
            .into_iter()
            .filter(|(record, _)| record.block.height > root.height)
            .collect();
        let Some((first, _)) = new.first() else {
            return Ok(false);
        };
        if first.block.parent != root.id() {
            // A proof of finality of a chain that is not ours would be a fork; a gap is only a useless answer.
            tracing::warn!(%from, height = %first.block.height, have = %root.height, "a range that does not extend our chain");
            return Ok(false);
        }
        for (record, _) in &new {
            self.check_own_signatures(record.justification.as_ref())?;
        }
        self.check_own_signatures(Some(&Justification::Certificate(
            (*certificate.certificate()).clone(),
        )))?;
        let last = new.len() - 1;
        let mut tip = root;
        for (at, (record, payload)) in new.iter().enumerate() {
            tip = record.block;
            let own = (at == last).then_some(&*certificate);
            match end.clone().filter(|_| at == last) {
                None => self.append(record, payload, own, &certificate)?,
                Some(end) => {
                    // Nobody asks the replica any more: a new one begins at the end of the turn.
                    self.append_last(record, payload, end.into_inner(), &certificate)?;
                }
            }
        }
        self.publish()?;
        self.metrics.fetched(new.len());
        self.check_waiting(tip.id())?;
        if end.is_none() {
            self.inputs.push(Input::CaughtUp {
                block: tip,
                certificate,
            });
        }
        self.turn(Step::default())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerIndex = PeerIndex(0);
    const B: PeerIndex = PeerIndex(1);
    const NEVER: Height = Height(u64::MAX);

    fn at(ms: u64) -> Timestamp {
        Timestamp(0).after(Duration::from_millis(ms))
    }

    fn ask(running: &mut CatchUp, peer: PeerIndex, from: u64, until: Timestamp) {
        let from = Height(from);
        running.asked.insert(peer, Asked { from, until });
    }

    #[test]
    fn peers_are_asked_for_consecutive_ranges_of_the_shortest_length_seen() {
        let mut running = CatchUp::new(Height(1_000), at(0));
        let root = Height(10);
        assert_eq!(running.missing(root, NEVER), Some(Height(11)));
        running.answered(A, 100);
        running.answered(B, 60);
        ask(&mut running, A, 11, at(250));
        assert_eq!(running.missing(root, NEVER), Some(Height(71)));
        ask(&mut running, B, 71, at(250));
        assert_eq!(running.missing(root, NEVER), Some(Height(131)));
        assert_eq!(running.missing(root, Height(130)), None, "end of the epoch");
        running.to = Height(130);
        assert_eq!(running.missing(root, NEVER), None, "nobody has more");
        // A was quicker and shorter than B: what is between is asked for.
        running.asked.remove(&A);
        assert_eq!(running.missing(Height(50), NEVER), Some(Height(51)));
    }

    #[test]
    fn late_peer_is_asked_last_and_forgiven_in_time() {
        let mut running = CatchUp::new(Height(1_000), at(0));
        ask(&mut running, A, 1, at(250));
        running.on_time(at(249), Height(0));
        assert!(running.asked.contains_key(&A));
        running.on_time(at(250), Height(0));
        assert!(running.asked.is_empty());
        assert_eq!(running.barren, 1);
        for _ in 0..4 {
            assert_eq!(running.choose(&[A, B]), Some(B));
        }
        ask(&mut running, B, 1, at(9_000));
        assert_eq!(running.choose(&[A, B]), None, "better to wait for B");
        assert_eq!(running.choose(&[A]), Some(A), "nobody else is there");
        running.on_time(at(5_000), Height(0));
        assert_eq!(running.choose(&[A, B]), Some(A), "forgiven");
        running.demerit(A);
        running.answered(A, 1);
        assert_eq!(running.choose(&[A, B]), Some(A), "a good answer makes up");
    }

    #[test]
    fn peers_take_turns() {
        let mut running = CatchUp::new(Height(1_000), at(0));
        let first = running.choose(&[A, B]);
        assert_ne!(running.choose(&[A, B]), first);
        assert_eq!(running.choose(&[A, B]), first);
        assert_eq!(running.choose(&[]), None);
    }
}
