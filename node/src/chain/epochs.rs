//! Epochs on disk (R13): where each began, how each ended, and changes that were approved but have not happened yet.

use super::{Chain, ChainError};
use outrider_storage::{Store, Table};
use outrider_types::{
    CommitteeChange, CommitteeId, Epoch, EpochEnd, EpochStart, SafetyState, View, encode,
};

const START: &[u8] = b"epoch-start";
const END: &[u8] = b"epoch-end";
const CHANGE: &[u8] = b"change";
const LEFT: &[u8] = b"left";

/// Bytes of ends in one answer; as JSON they are about twice as long.
const ENDS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Changes of one committee that are kept; members approve of one, as a rule.
pub const CHANGES_MAX: usize = 8;

impl<S: Store> Chain<S> {
    /// The epoch of the next block.
    pub const fn epoch(&self) -> &EpochStart {
        &self.epoch
    }

    /// How an epoch began; none if it has not, or began before this store.
    pub fn epoch_start(&self, epoch: Epoch) -> Result<Option<EpochStart>, ChainError> {
        self.read(Table::Meta, &key(START, epoch), "start of an epoch")
    }

    /// How an epoch ended; none if it has not.
    pub fn epoch_end(&self, epoch: Epoch) -> Result<Option<EpochEnd>, ChainError> {
        self.read(Table::Meta, &key(END, epoch), "end of an epoch")
    }

    /// How epochs ended, from this one on, at most so many, and no more than fit into one answer.
    pub fn epoch_ends(&self, from: Epoch, limit: usize) -> Result<Vec<EpochEnd>, ChainError> {
        let mut ends = Vec::new();
        let mut bytes = 0;
        for epoch in (from.0..).map(Epoch).take(limit) {
            let Some(end) = self.epoch_end(epoch)? else {
                break;
            };
            bytes += commonware_codec::EncodeSize::encode_size(&end);
            if bytes > ENDS_BYTES_MAX && !ends.is_empty() {
                break;
            }
            ends.push(end);
        }
        Ok(ends)
    }

    /// Put how the current epoch ends, before its last block is committed: then a block that is final and names a
    /// committee always has its end on record.
    pub fn put_epoch_end(&mut self, end: &EpochEnd) -> Result<(), ChainError> {
        self.put_end_of(end, &end.start(&self.epoch))
    }

    /// Put how an epoch ended, and how the next one begins.
    pub(super) fn put_end_of(
        &mut self,
        end: &EpochEnd,
        next: &EpochStart,
    ) -> Result<(), ChainError> {
        self.store
            .put(Table::Meta, &key(END, end.last.epoch), encode(end))?;
        self.put_epoch_start(next)
    }

    pub(super) fn put_epoch_start(&mut self, start: &EpochStart) -> Result<(), ChainError> {
        let key = key(START, start.committee.epoch());
        Ok(self.store.put(Table::Meta, &key, encode(start))?)
    }

    /// The last block of the epoch is final: the next one begins.
    pub fn begin_epoch(&mut self) -> Result<(), ChainError> {
        self.restore_epoch()?;
        self.sync()
    }

    /// The epoch of the block after the last final one.
    pub(super) fn restore_epoch(&mut self) -> Result<(), ChainError> {
        let epoch = if self.root.next == CommitteeId::NONE {
            self.root.epoch
        } else {
            self.root.epoch.next()
        };
        self.epoch = self.epoch_start(epoch)?.ok_or(ChainError::Missing {
            what: "start of the epoch",
        })?;
        Ok(())
    }

    /// Keep a change that the current committee approved of. False if too many are kept already.
    pub fn put_change(&mut self, change: &CommitteeChange) -> Result<bool, ChainError> {
        let epoch = change.approvals.statement.epoch;
        if self.changes(epoch)?.len() >= CHANGES_MAX {
            return Ok(false);
        }
        let key = [&*key(CHANGE, epoch), &change.next.id().0].concat();
        self.store.put(Table::Meta, &key, encode(change))?;
        Ok(true)
    }

    /// Changes approved of by the committee of an epoch.
    pub fn changes(&self, epoch: Epoch) -> Result<Vec<CommitteeChange>, ChainError> {
        let from = key(CHANGE, epoch);
        let page = self.store.range(Table::Meta, &from, CHANGES_MAX)?;
        page.into_iter()
            .filter(|(key, _)| key.starts_with(&from))
            .map(|(_, value)| {
                outrider_types::decode(value).map_err(|error| ChainError::Decode {
                    what: "change of the committee",
                    error,
                })
            })
            .collect()
    }

    /// A new store holds no block of votes that were made before it began, so what it does not hold proves nothing about
    /// them. Until [`note_votes_before`](Self::note_votes_before) that goes for all votes.
    pub(super) fn put_votes_unknown(&mut self) -> Result<(), ChainError> {
        self.put_votes_before(Epoch(u64::MAX), View(u64::MAX))
    }

    /// Note, once in the life of a store, the last vote that was on record when it began.
    pub fn note_votes_before(&mut self, last: Option<&SafetyState>) -> Result<(), ChainError> {
        if self.votes_before()? == Some((Epoch(u64::MAX), View(u64::MAX))) {
            let (epoch, view) = last.map_or((Epoch(0), View(0)), |safety| {
                let voted = safety.voted.map_or(View(0), |vote| vote.view);
                (safety.epoch, voted)
            });
            self.put_votes_before(epoch, view)?;
            self.sync()?;
        }
        Ok(())
    }

    fn put_votes_before(&mut self, epoch: Epoch, view: View) -> Result<(), ChainError> {
        let bytes = [epoch.0.to_be_bytes(), view.0.to_be_bytes()].concat();
        Ok(self.store.put(Table::Meta, LEFT, bytes.into())?)
    }

    /// The epoch and view up to which votes were made before this store began.
    pub fn votes_before(&self) -> Result<Option<(Epoch, View)>, ChainError> {
        let Some(bytes) = self.store.get(Table::Meta, LEFT)? else {
            return Ok(None);
        };
        let missing = ChainError::Missing {
            what: "last vote before the store began",
        };
        let bytes: [u8; 16] = (&*bytes).try_into().map_err(|_| missing)?;
        let (epoch, view) = bytes.split_at(8);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        Ok(Some((Epoch(number(epoch)), View(number(view)))))
    }
}

fn key(what: &[u8], epoch: Epoch) -> Vec<u8> {
    [what, &epoch.0.to_be_bytes()].concat()
}
