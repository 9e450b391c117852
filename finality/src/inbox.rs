//! The forced inbox of the settlement chain as one member sees it, and what a block must consume of it (F18).
//!
//! ```text
//! L1 blocks that are final there, and entries --InboxView--> judge(parent, block): vote for it, wait, or leave it
//!                                                       '--> offer(parent): what a leader builds on and must include
//! ```
//!
//! Members see L1 at different times, and their endpoints may lie to them. So nothing here makes a block invalid: a member that sees no
//! reason to vote for a block waits or stays silent, and follows when others certify it.

use crate::ledger::length;
use outrider_types::bundle::Part;
use outrider_types::{Block, L1BlockHash, Origin, Registry, Timestamp, Transaction, TransactionId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most entries that one block consumes.
pub const FORCED_PER_BLOCK_MAX: u64 = 64;
/// Most bytes of entries that one block consumes. A single one always fits.
pub const FORCED_BYTES_PER_BLOCK_MAX: usize = 512 * 1024;
/// L1 blocks that are remembered: more than a day of Ethereum's.
pub const L1_BLOCKS_MAX: usize = 8_192;
/// Entries that wait to be consumed and are remembered. Later ones are taken when these are consumed.
pub const ENTRIES_MAX: usize = 1_024;

/// A block of the settlement chain that is final there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: L1BlockHash,
}

/// An entry of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place, from 0.
    pub index: u64,
    /// Number of the L1 block that it came with.
    pub l1: u64,
    /// What is to be ordered.
    pub transaction: Transaction,
    /// Its id.
    pub id: TransactionId,
    /// From then on, no block may leave it out. Half of the time that the contract gives.
    pub due: Timestamp,
}

impl InboxEntry {
    /// An entry for a rollup.
    #[must_use]
    pub fn new((index, l1): (u64, u64), transaction: Transaction, due: Timestamp) -> Self {
        Self {
            index,
            l1,
            id: transaction.id(),
            transaction,
            due,
        }
    }

    /// Whether a block at this time can hold it. One that it cannot hold is consumed without effect: for a rollup that is not open, or
    /// a part of a bundle, which counts for nothing without the others.
    #[must_use]
    pub fn admissible(&self, registry: &Registry, at: Timestamp) -> bool {
        let open = registry.policy(self.transaction.rollup, at).is_some();
        open && matches!(Part::of(&self.transaction.data), Ok(None))
    }
}

/// Why a member does not vote for a block, though it is valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reluctance {
    /// L1 has another block there.
    #[error(
        "its L1 origin {number} is {found}, here it is {expected}: the proposer or an L1 endpoint is wrong"
    )]
    OtherOrigin {
        /// Number of the L1 block.
        number: u64,
        /// In the header.
        found: L1BlockHash,
        /// As seen here.
        expected: L1BlockHash,
    },
    /// More than there is.
    #[error(
        "it consumes entry {index} of the inbox, which was not there at its L1 origin {number}"
    )]
    Beyond {
        /// Number of the L1 block.
        number: u64,
        /// The first that was not there.
        index: u64,
    },
    /// More than one block may consume.
    #[error(
        "it consumes {found} entries of the inbox at once, at most {FORCED_PER_BLOCK_MAX} may be"
    )]
    TooMany {
        /// How many.
        found: u64,
    },
    /// It says that an entry is consumed and does not hold it.
    #[error(
        "it counts entry {index} of the inbox as consumed, and transaction {id} is not in it nor before it"
    )]
    LeftOut {
        /// Which entry.
        index: u64,
        /// Its transaction.
        id: TransactionId,
    },
    /// It does not consume what is due.
    #[error("it leaves out entry {index} of the inbox, which is overdue")]
    Overdue {
        /// Which entry.
        index: u64,
    },
}

/// What a member thinks of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Vote for it.
    Welcome,
    /// What it builds on was not seen here yet: look again when more of L1 was seen.
    Unseen,
    /// No vote for it, unless others certify it.
    Reluctant(Reluctance),
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    block: L1Block,
    at: Timestamp,
}

/// What a member has seen of L1, from the origin of its last final block on.
#[derive(Clone, Debug, Default)]
pub struct InboxView {
    blocks: BTreeMap<u64, Seen>,
    entries: BTreeMap<u64, InboxEntry>,
    /// Of the last final block.
    consumed: Origin,
}

impl InboxView {
    /// What there was when the last final block was made: entries below need not come any more.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            consumed: origin,
            ..Self::default()
        }
    }

    /// An L1 block that is final there, above all that were seen before; false if it is not.
    pub fn see_block(&mut self, block: L1Block, at: Timestamp) -> bool {
        let last = self.blocks.last_key_value().map(|(_, seen)| seen.block);
        if last.is_some_and(|last| block.number <= last.number) {
            return false;
        }
        self.blocks.insert(block.number, Seen { block, at });
        if self.blocks.len() > L1_BLOCKS_MAX {
            self.blocks.pop_first();
        }
        true
    }

    /// An entry in a block that is final on L1; false if there is no room for it, or it is not the next one.
    pub fn see_entry(&mut self, entry: InboxEntry) -> bool {
        if self.entries.len() >= ENTRIES_MAX || entry.index != self.next_entry() {
            return false;
        }
        self.entries.insert(entry.index, entry);
        true
    }

    /// The next entry that [`see_entry`](Self::see_entry) takes.
    #[must_use]
    pub fn next_entry(&self) -> u64 {
        let after = self.entries.last_key_value();
        after.map_or(self.consumed.inbox, |(index, _)| index + 1)
    }

    /// The last L1 block seen.
    #[must_use]
    pub fn last(&self) -> Option<L1Block> {
        self.blocks.last_key_value().map(|(_, seen)| seen.block)
    }

    /// A block of this origin became final.
    pub fn consume(&mut self, origin: Origin) {
        assert!(
            origin.inbox >= self.consumed.inbox,
            "F17: what is consumed stays so"
        );
        self.consumed = origin;
        self.entries = self.entries.split_off(&origin.inbox);
        // That of the last final block is still needed: its children may consume more of it.
        self.blocks = self.blocks.split_off(&origin.number);
    }

    /// Whether anything waits that a block on top of this origin could consume.
    #[must_use]
    pub fn waits(&self, parent: &Origin) -> bool {
        self.entries.contains_key(&parent.inbox)
    }

    /// F18: what to think of a block on top of a parent of this origin. `done` says whether the block need not hold an entry's transaction
    /// any more, or holds it.
    pub fn judge(
        &self,
        parent: &Origin,
        block: &Block,
        done: impl Fn(&InboxEntry) -> bool,
    ) -> Judgement {
        let Origin { number, hash, .. } = block.origin;
        if number > parent.number {
            if self.last().is_none_or(|last| last.number < number) {
                return Judgement::Unseen;
            }
            // Not every L1 block is seen by itself.
            let seen = self.blocks.get(&number).map(|seen| seen.block.hash);
            if let Some(expected) = seen.filter(|expected| *expected != hash) {
                return Judgement::Reluctant(Reluctance::OtherOrigin {
                    number,
                    found: hash,
                    expected,
                });
            }
        }
        self.judge_entries(parent.inbox, block, done)
    }

    fn judge_entries(
        &self,
        first: u64,
        block: &Block,
        done: impl Fn(&InboxEntry) -> bool,
    ) -> Judgement {
        let until = block.origin.inbox;
        let found = until.saturating_sub(first);
        if found > FORCED_PER_BLOCK_MAX {
            return Judgement::Reluctant(Reluctance::TooMany { found });
        }
        let mut bytes = 0;
        for index in first..until {
            let number = block.origin.number;
            let Some(entry) = self.entries.get(&index) else {
                let all = self.last().is_some_and(|last| last.number >= number)
                    && self.entries.len() < ENTRIES_MAX;
                return if all {
                    Judgement::Reluctant(Reluctance::Beyond { number, index })
                } else {
                    Judgement::Unseen
                };
            };
            if entry.l1 > number {
                return Judgement::Reluctant(Reluctance::Beyond { number, index });
            }
            if !done(entry) {
                let id = entry.id;
                return Judgement::Reluctant(Reluctance::LeftOut { index, id });
            }
            bytes += entry.transaction.data.len();
        }
        match self.entries.get(&until) {
            Some(next) if next.due <= block.timestamp && fits(found, bytes, next) => {
                Judgement::Reluctant(Reluctance::Overdue { index: until })
            }
            _ => Judgement::Welcome,
        }
    }

    /// What a leader builds on, on top of a parent of this origin: the last L1 block seen for at least `lag`, so that others have seen it
    /// too; and the entries up to it that one block consumes, in order.
    #[must_use]
    pub fn offer(
        &self,
        parent: Origin,
        now: Timestamp,
        lag: Duration,
    ) -> (Origin, Vec<&InboxEntry>) {
        let mut settled = self.blocks.values().rev();
        let newest = settled.find(|seen| now.since(seen.at) >= lag);
        let (number, hash) = match newest {
            Some(seen) if seen.block.number > parent.number => (seen.block.number, seen.block.hash),
            // Others have seen it.
            _ => (parent.number, parent.hash),
        };
        let mut taken = Vec::new();
        let mut bytes = 0;
        for (at, (index, entry)) in (parent.inbox..).zip(self.entries.range(parent.inbox..)) {
            let next = at == *index && entry.l1 <= number;
            if !next || !fits(length(taken.len()).into(), bytes, entry) {
                break;
            }
            bytes += entry.transaction.data.len();
            taken.push(entry);
        }
        let origin = Origin {
            number,
            hash,
            inbox: parent.inbox + u64::from(length(taken.len())),
        };
        (origin, taken)
    }
}

/// Whether one block consumes an entry after so many, with so many bytes.
fn fits(taken: u64, bytes: usize, entry: &InboxEntry) -> bool {
    let room = bytes + entry.transaction.data.len() <= FORCED_BYTES_PER_BLOCK_MAX;
    taken < FORCED_PER_BLOCK_MAX && (room || taken == 0)
}

#[cfg(test)]
mod tests;
