//! Following L1: a pure state machine that says what to ask and reads the answers.
//!
//! Blocks at or below the final one are read in ranges, only the last of each by its hash. Above it every block is kept by hash
//! and must follow from the one before. When the newest of them is no longer there, the machine steps back to the last one that
//! is: a reorg. What settled is kept with every block, so that it moves back with a reorg, and never below the final block.
//! [`crate::watcher::Watcher`] asks the questions.

use crate::deployment::Deployment;
use crate::endpoints::{EndpointEvent, Heads, Segment};
use crate::event::{Happened, L1Event, Place, topics};
use crate::finals::FinalBlock;
use crate::model::{BlockRef, LogFilter};
use outrider_types::{BlockId, Epoch, Height};
use std::collections::VecDeque;

/// Limits of following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Most final blocks whose logs are asked for at once.
    pub range_blocks: u64,
    /// Most blocks above the final one that are asked for at once.
    pub segment_blocks: u64,
    /// Most blocks that are kept by hash. A reorg below them starts from the beginning.
    pub window_blocks: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            range_blocks: 2_000,
            segment_blocks: 64,
            window_blocks: 2_048,
        }
    }
}

/// The newest checkpoint that is settled on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledPoint {
    /// Its height.
    pub height: Height,
    /// The block.
    pub id: BlockId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Entries of the inbox that are consumed.
    pub inbox: u64,
    /// The L1 block that it settled in.
    pub l1_number: u64,
}

/// What is settled now, and what of it no reorg can take back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// As of the newest L1 block.
    pub settled: Option<SettledPoint>,
    /// As of the final L1 block.
    pub finalized: Option<SettledPoint>,
}

/// What the machine wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The heads.
    Heads,
    /// The block of this number.
    Block(u64),
    /// Logs, and all blocks of the range or only the last.
    Segment {
        /// Of which blocks and contracts.
        filter: LogFilter,
        /// Whether all blocks are needed.
        all: bool,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Told {
    /// To [`Ask::Heads`].
    Heads(Heads),
    /// To [`Ask::Block`].
    Block(BlockRef),
    /// To [`Ask::Segment`].
    Segment(Segment),
    /// None: next time less is asked for at once.
    Nothing,
}

/// What a watcher tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The heads moved.
    Heads(Heads),
    /// Something happened on the contracts.
    Happened(Happened),
    /// A log of a contract of ours that says nothing readable: the addresses are wrong, or most endpoints lie.
    Unreadable(Place),
    /// Blocks above the ancestor are no longer there; what happened in them is undone. None: everything is told again.
    Reorg {
        /// The newest block that was known.
        old: BlockRef,
        /// The newest one that is still there.
        ancestor: Option<BlockRef>,
    },
    /// What is settled changed.
    Marks(Marks),
    /// A block is final, the next after the one that was told before.
    Final(FinalBlock),
    /// Everything up to this block was told.
    Caught(BlockRef),
    /// A final block was replaced: L1 itself broke its promise, or the endpoints now show another chain. Nothing is followed any more.
    FinalReplaced {
        /// The final block that was known.
        known: BlockRef,
        /// What is at its place now.
        found: BlockRef,
    },
    /// An endpoint does otherwise than before.
    Endpoint(EndpointEvent),
    /// L1 cannot be followed at the moment. What was known stays; following goes on where it was.
    Outage {
        /// Why.
        reason: String,
        /// When the next attempt is made.
        retry: std::time::Duration,
    },
    /// L1 can be followed again.
    Restored,
}

/// A block that was read.
#[derive(Clone, Copy, Debug)]
struct Entry {
    block: BlockRef,
    /// After it.
    settled: Option<SettledPoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Heads,
    /// Looking for the newest block that is still there.
    Back {
        number: u64,
    },
    Segment {
        from: u64,
        to: u64,
        all: bool,
    },
    /// A final block was replaced.
    Broken,
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub struct Turn {
    /// What to tell.
    pub events: Vec<WatchEvent>,
    /// What to ask next; nothing until the next poll.
    pub ask: Option<Ask>,
}

/// The state machine.
#[derive(Debug)]
pub struct Watch {
    deployment: Deployment,
    limits: WatchLimits,
    /// In order of number; the first may be final.
    window: VecDeque<Entry>,
    heads: Option<Heads>,
    /// Up to here, what is kept was on the chain when it was final there. A block above may have been replaced before it became final,
    /// between two looks.
    sure: u64,
    marks: Marks,
    range: u64,
    step: Step,
}

impl Watch {
    /// From the block of the deployment on.
    #[must_use]
    pub fn new(deployment: Deployment, limits: WatchLimits) -> Self {
        Self {
            range: limits.range_blocks.max(1),
            deployment,
            limits,
            window: VecDeque::new(),
            heads: None,
            sure: 0,
            marks: Marks::default(),
            step: Step::Idle,
        }
    }

    /// The contracts that are followed.
    #[must_use]
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The newest block of which everything was told.
    #[must_use]
    pub fn tip(&self) -> Option<BlockRef> {
        self.window.back().map(|entry| entry.block)
    }

    /// Whether a final block was replaced: nothing is followed any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.step == Step::Broken
    }

    /// The final block, if there is one.
    #[must_use]
    pub fn finalized(&self) -> Option<BlockRef> {
        self.heads.and_then(|heads| heads.finalized)
    }

    /// What is settled.
    #[must_use]
    pub const fn marks(&self) -> Marks {
        self.marks
    }

    /// The hash of a block above the final one, and of the newest final one that was read.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<BlockRef> {
        self.entry(number).map(|entry| entry.block)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let at = self
            .window
            .binary_search_by_key(&number, |entry| entry.block.number);
        at.ok().and_then(|at| self.window.get(at))
    }

    fn final_number(&self) -> u64 {
        self.finalized().map_or(0, |block| block.number)
    }

    /// Begin to look at what is new. Whatever was begun before and not ended begins anew.
    pub fn poll(&mut self) -> Option<Ask> {
        if self.step == Step::Broken {
            return None;
        }
        self.step = Step::Heads;
        Some(Ask::Heads)
    }

    /// Take an answer to what was asked last.
    pub fn told(&mut self, told: Told) -> Turn {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        let mut turn = Turn::default();
        match (step, told) {
            (Step::Heads, Told::Heads(heads)) => self.told_heads(heads, &mut turn),
            (Step::Back { number }, Told::Block(block)) if block.number == number => {
                self.told_block(block, &mut turn);
            }
            (Step::Segment { from, to, all }, Told::Segment(segment)) => {
                self.told_segment(from, to, all, segment, &mut turn);
            }
            (Step::Segment { .. }, Told::Nothing) => self.range = (self.range / 2).max(1),
            (Step::Broken, _) => self.step = Step::Broken,
            _ => {}
        }
        turn
    }

    /// A final block was replaced, as seen by somebody else.
    pub(crate) fn break_off(&mut self) {
        self.step = Step::Broken;
    }

    fn told_heads(&mut self, mut heads: Heads, turn: &mut Turn) {
        // What was final stays so, whatever fewer endpoints say now.
        if let Some(old) = self.heads.and_then(|heads| heads.finalized)
            && heads.finalized.is_none_or(|new| new.number < old.number)
        {
            heads.finalized = Some(old);
        }
        if self.heads != Some(heads) {
            self.heads = Some(heads);
            turn.events.push(WatchEvent::Heads(heads));
        }
        match self.tip() {
            None => self.go_on(heads, turn),
            Some(tip) if tip == heads.latest => self.arrive(heads, turn),
            Some(tip) => {
                let newest = tip.number.min(heads.latest.number);
                // Between the blocks of ranges that are kept there may be none.
                let known = self.window.iter().rev().map(|entry| entry.block.number);
                match known.into_iter().find(|number| *number <= newest) {
                    Some(number) => self.step_back(number, turn),
                    // Nothing takes back what is final: they are behind.
                    None if self.bottom_is_final() => {}
                    None => self.start_over(tip, turn),
                }
            }
        }
    }

    fn bottom_is_final(&self) -> bool {
        let last = self.final_number();
        let bottom = self.window.front();
        bottom.is_some_and(|bottom| bottom.block.number <= last)
    }

    fn step_back(&mut self, number: u64, turn: &mut Turn) {
        self.step = Step::Back { number };
        turn.ask = Some(Ask::Block(number));
    }

    fn start_over(&mut self, old: BlockRef, turn: &mut Turn) {
        self.window.clear();
        turn.events.push(WatchEvent::Reorg {
            old,
            ancestor: None,
        });
        self.mark(turn);
    }

    fn told_block(&mut self, block: BlockRef, turn: &mut Turn) {
        let (Some(heads), Some(tip)) = (self.heads, self.tip()) else {
            return;
        };
        let Some(known) = self.entry(block.number).map(|entry| entry.block) else {
            return;
        };
        if known.hash == block.hash {
            // Fewer blocks than before, and no other ones: some endpoint is behind.
            if heads.latest.number <= tip.number && heads.latest.hash == known.hash {
                return;
            }
            if known.number < tip.number {
                self.window
                    .retain(|entry| entry.block.number <= known.number);
                turn.events.push(WatchEvent::Reorg {
                    old: tip,
                    ancestor: Some(known),
                });
                self.mark(turn);
            }
            return self.arrive(heads, turn);
        }
        if known.number <= self.sure {
            self.step = Step::Broken;
            turn.events.push(WatchEvent::FinalReplaced {
                known,
                found: block,
            });
            return;
        }
        let before = self.window.iter().rev().map(|entry| entry.block.number);
        match before.into_iter().find(|number| *number < known.number) {
            Some(number) => self.step_back(number, turn),
            None => self.start_over(tip, turn),
        }
    }

    /// The newest block that was read is on the chain: drop what is below the final block, and read on.
    fn arrive(&mut self, heads: Heads, turn: &mut Turn) {
        let last = self.final_number();
        let read = self.tip().map_or(0, |tip| tip.number);
        self.sure = self.sure.max(last.min(read));
        while self.window.len() > 1
            && (self
                .window
                .get(1)
                .is_some_and(|next| next.block.number <= last)
                || self.window.len() > self.limits.window_blocks)
        {
            self.window.pop_front();
        }
        self.mark(turn);
        self.go_on(heads, turn);
    }

    fn go_on(&mut self, heads: Heads, turn: &mut Turn) {
        let tip = self.tip();
        let from = tip.map_or(self.deployment.block, |tip| tip.number.saturating_add(1));
        if from > heads.latest.number {
            turn.events.extend(tip.map(WatchEvent::Caught));
            return;
        }
        let last = self.final_number();
        let all = from > last;
        let (end, count) = if all {
            (
                heads.latest.number,
                self.limits.segment_blocks.min(self.range),
            )
        } else {
            (last, self.range)
        };
        let to = end.min(from.saturating_add(count.max(1) - 1));
        self.step = Step::Segment { from, to, all };
        let filter = LogFilter {
            from,
            to,
            addresses: self.deployment.watched().to_vec(),
            topics: topics(),
        };
        turn.ask = Some(Ask::Segment { filter, all });
    }

    fn told_segment(&mut self, from: u64, to: u64, all: bool, segment: Segment, turn: &mut Turn) {
        let Some(heads) = self.heads else { return };
        let first = if all { from } else { to };
        let numbered = segment
            .blocks
            .iter()
            .map(|block| block.number)
            .eq(first..=to);
        let tip = self.tip();
        let follows = !all
            || tip.is_none_or(|tip| {
                segment
                    .blocks
                    .first()
                    .is_some_and(|block| block.parent == tip.hash)
            });
        // Another chain than the one that was looked at a moment ago: the next poll finds where they part.
        if !numbered || !follows {
            return;
        }
        let mut settled = self.window.back().and_then(|entry| entry.settled);
        let mut logs = segment.logs.iter().peekable();
        for block in &segment.blocks {
            while let Some(log) = logs.next_if(|log| log.number <= block.number) {
                let Some(happened) = Happened::read(log, &self.deployment) else {
                    turn.events.push(WatchEvent::Unreadable(Place::of(log)));
                    continue;
                };
                if let Some(point) = SettledPoint::of(&happened) {
                    settled = Some(point);
                }
                turn.events.push(WatchEvent::Happened(happened));
            }
            self.window.push_back(Entry {
                block: *block,
                settled,
            });
        }
        self.range = (self.range.saturating_mul(2)).min(self.limits.range_blocks.max(1));
        self.arrive(heads, turn);
    }

    /// Tell what is settled, if it is something else than before.
    fn mark(&mut self, turn: &mut Turn) {
        let last = self.final_number();
        let mut finalized = self.marks.finalized;
        let known = self.window.iter().rev();
        if let Some(entry) = known.into_iter().find(|entry| entry.block.number <= last) {
            finalized = later(finalized, entry.settled);
        }
        // When all is told again from the beginning, what is final stays.
        let newest = self.window.back().and_then(|entry| entry.settled);
        let settled = later(finalized, newest);
        let marks = Marks { settled, finalized };
        if marks != self.marks {
            self.marks = marks;
            turn.events.push(WatchEvent::Marks(marks));
        }
    }
}

fn later(one: Option<SettledPoint>, other: Option<SettledPoint>) -> Option<SettledPoint> {
    let of = |point: Option<SettledPoint>| point.map(|point| (point.l1_number, point.height));
    if of(other) > of(one) { other } else { one }
}

impl SettledPoint {
    fn of(happened: &Happened) -> Option<Self> {
        let L1Event::Settled {
            height,
            id,
            epoch,
            inbox,
            ..
        } = happened.event
        else {
            return None;
        };
        Some(Self {
            height,
            id,
            epoch,
            inbox,
            l1_number: happened.place.number,
        })
    }
}

#[cfg(test)]
mod tests;
