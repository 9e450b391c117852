//! Changes the index does not have yet, in memory: reads look here first.
//!
//! ```text
//! put, delete          sync                        many keys, or a quiet moment
//!     |                  |                                    |
//!  newest: unsynced -> newest: synced, applied to nothing -> applying: a thread writes them to the index
//! ```
//!
//! Keys that are overwritten meanwhile reach the index once. At most one application runs; the
//! changes it applies stay here until it is done.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;

use crate::index::{Applied, Changes, Entry, Index};
use crate::segments::Position;
use crate::store::StoreError;

/// When changes go to the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Keys from which on they are applied; with an application still running, twice as many. The more
    /// at a time, the less each costs: neighbours are in one node of the tree.
    pub keys: usize,
    /// Bytes of the log from which on they are applied, and twice as many likewise.
    pub log_bytes: u64,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        keys: 16 << 10,
        log_bytes: 64 << 20,
    };
}

struct Applying {
    changes: Arc<Changes>,
    thread: JoinHandle<Result<Applied, StoreError>>,
}

/// The changes the index does not have.
pub(crate) struct Pending {
    pub limits: Limits,
    newest: Changes,
    /// Values that are too long for an entry and not in the log's files yet.
    long: BTreeMap<Position, Bytes>,
    /// Bytes of the log that `newest` stands for, synced ones only.
    log_bytes: u64,
    applying: Option<Applying>,
}

impl Pending {
    pub fn new() -> Self {
        Self {
            limits: Limits::DEFAULT,
            newest: Changes::new(),
            long: BTreeMap::new(),
            log_bytes: 0,
            applying: None,
        }
    }

    /// Notes an unsynced change of a full key.
    pub fn change(&mut self, key: Vec<u8>, entry: Option<Entry>, value: Option<Bytes>) {
        if let (
            Some(Entry {
                at, inline: None, ..
            }),
            Some(value),
        ) = (&entry, value)
        {
            self.long.insert(*at, value);
        }
        self.newest.insert(key, entry);
    }

    /// The newest change of a full key, if it is here; `Some(None)` when it was deleted.
    pub fn entry(&self, key: &[u8]) -> Option<Option<&Entry>> {
        let applying = || self.applying.as_ref()?.changes.get(key);
        let found = self.newest.get(key).or_else(applying)?;
        Some(found.as_ref())
    }

    /// A long value that was put and not synced.
    pub fn long(&self, at: Position) -> Option<Bytes> {
        self.long.get(&at).cloned()
    }

    /// All changes are durable, the last ones in so many bytes of the log.
    pub fn synced(&mut self, log_bytes: u64) {
        self.long.clear();
        self.log_bytes += log_bytes;
    }

    /// Whether an application is running, or done and not collected.
    pub fn applies(&self) -> bool {
        self.applying.is_some()
    }

    /// Takes what an application came to, if it is done; waits for it when `wait`.
    pub fn collect(&mut self, index: &mut Index, wait: bool) -> Result<(), StoreError> {
        let done = |applying: &mut Applying| wait || applying.thread.is_finished();
        let Some(applying) = self.applying.take_if(done) else {
            return Ok(());
        };
        let applied = applying.thread.join();
        index.applied(applied.map_err(|_| index.failed("sled panicked in an application"))??);
        Ok(())
    }

    /// Starts an application when enough is here. All changes must be synced, up to `end`.
    pub fn apply_if_many(&mut self, index: &mut Index, end: Position) -> Result<(), StoreError> {
        self.collect(index, false)?;
        let Limits { keys, log_bytes } = self.limits;
        if self.newest.len() < keys && self.log_bytes < log_bytes {
            return Ok(());
        }
        let too_many = self.newest.len() >= 2 * keys || self.log_bytes >= 2 * log_bytes;
        self.collect(index, too_many)?;
        self.apply(index, end)
    }

    /// Starts an application of whatever is here, unless one is running. All changes must be synced,
    /// up to `end`.
    pub fn apply(&mut self, index: &mut Index, end: Position) -> Result<(), StoreError> {
        assert!(self.long.is_empty(), "only synced changes are applied");
        if self.newest.is_empty() || self.applies() {
            return Ok(());
        }
        let changes = Arc::new(std::mem::take(&mut self.newest));
        self.log_bytes = 0;
        let (application, theirs) = (index.application(), Arc::clone(&changes));
        let thread = Builder::new()
            .name("store-index".to_owned())
            .spawn(move || application.run(&theirs, end));
        match thread {
            Ok(thread) => self.applying = Some(Applying { changes, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread for the index; it is brought up to date in place");
                index.applied(index.application().run(&changes, end)?);
            }
        }
        Ok(())
    }

    /// Keys and bytes of the log that wait for an application to begin.
    #[cfg(test)]
    pub fn waits(&self) -> (usize, u64) {
        (self.newest.len(), self.log_bytes)
    }

    /// The first of the changes that wait, in the order in which they are written.
    #[cfg(test)]
    pub fn first_changes(&self, count: usize) -> Changes {
        let first = self.newest.iter().take(count);
        first
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }

    /// The newest entries of full keys in `from..to` of the index with these changes, ascending, or descending when
    /// `back`. `None`: deleted.
    pub fn over<'a>(
        &'a self,
        index: &'a Index,
        from: &'a [u8],
        to: &'a [u8],
        back: bool,
    ) -> Box<dyn Iterator<Item = Found> + 'a> {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let here = move |changes: &'a Changes| {
            let found = changes.range::<[u8], _>(bounds);
            found.map(|(key, entry)| Ok((key.clone(), entry.clone())))
        };
        let newest = here(&self.newest);
        let applying = self.applying.iter();
        let applying = applying.flat_map(move |applying| here(&applying.changes));
        let stored = index.range(from, to);
        let stored = stored.map(|found| found.map(|(key, entry)| (key, Some(entry))));
        if back {
            let older = Merged::new(applying.rev(), stored.rev(), back);
            Box::new(Merged::new(newest.rev(), older, back))
        } else {
            let older = Merged::new(applying, stored, back);
            Box::new(Merged::new(newest, older, back))
        }
    }
}

/// A key and its newest change.
pub(crate) type Found = Result<(Vec<u8>, Option<Entry>), StoreError>;

/// Two ordered sequences as one; where both have a key, the newer one's change. An error comes at once, wherever
/// it sorts.
struct Merged<A: Iterator<Item = Found>, B: Iterator<Item = Found>> {
    newer: Peekable<A>,
    older: Peekable<B>,
    back: bool,
}

impl<A: Iterator<Item = Found>, B: Iterator<Item = Found>> Merged<A, B> {
    fn new(newer: A, older: B, back: bool) -> Self {
        Self {
            newer: newer.peekable(),
            older: older.peekable(),
            back,
        }
    }
}

impl<A: Iterator<Item = Found>, B: Iterator<Item = Found>> Iterator for Merged<A, B> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        use std::cmp::Ordering;
        let order = match (self.newer.peek(), self.older.peek()) {
            (Some(Ok((newer, _))), Some(Ok((older, _)))) => newer.cmp(older),
            (None, _) | (_, Some(Err(_))) => return self.older.next(),
            (Some(_), _) => return self.newer.next(),
        };
        match if self.back { order.reverse() } else { order } {
            Ordering::Less => self.newer.next(),
            Ordering::Greater => self.older.next(),
            Ordering::Equal => {
                self.older.next();
                self.newer.next()
            }
        }
    }
}
