//! The index: sled, holding for every key where its newest change is in the segment log. It is a
//! cache of the log: whenever it cannot be trusted it is put aside and built again.
//!
//! One tree. A key is the table's byte and the key; byte 0 begins the index's own keys: the position
//! up to which the log was applied, and how many bytes of each segment are still in use.
//!
//! Changes are written in chunks, each in one batch with the counts it moves, the last one with the
//! position as well. So the counts are always those of what is written, and after a kill between two chunks
//! the same changes are replayed over those that are there already.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::disk;
use crate::segments::{Position, frame_bytes};
use crate::store::StoreError;

/// Longest value kept in the index itself.
pub(crate) const INLINE_BYTES_MAX: usize = 256;

/// Changes written to sled at a time; reads wait for as long.
const CHUNK: usize = 256;
const INDEX: &str = "index";
const PUT_ASIDE: &str = "index.damaged";
/// There while the index is open, holding the boot in which it was opened.
const OPENED: &str = "index.open";
const POSITION_KEY: &[u8] = &[0, 0];
const LIVE_PREFIX: &[u8] = &[0, 1];

/// Where the newest change of a key is, and its value when that is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub at: Position,
    /// Bytes of its frame.
    pub bytes: u64,
    pub inline: Option<Bytes>,
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(29);
        bytes.extend_from_slice(&self.at.segment.to_le_bytes());
        bytes.extend_from_slice(&self.at.offset.to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.push(u8::from(self.inline.is_some()));
        bytes.extend_from_slice(self.inline.as_deref().unwrap_or_default());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (segment, rest) = fields.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (inline, value) = rest.split_first()?;
        Some(Self {
            at: Position {
                segment: u64::from_le_bytes(*segment),
                offset: u64::from_le_bytes(*offset),
            },
            bytes: u64::from_le_bytes(*length),
            inline: (*inline == 1).then(|| Bytes::copy_from_slice(value)),
        })
    }

    /// The entry for a change in the log.
    pub fn new(at: Position, key: &[u8], value: &Bytes) -> Self {
        Self {
            at,
            bytes: frame_bytes(key.len(), value.len()),
            // A copy: a slice would keep the whole segment it was read from in memory.
            inline: (value.len() <= INLINE_BYTES_MAX).then(|| Bytes::copy_from_slice(value)),
        }
    }
}

/// Newest changes of full keys; `None` removes.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Entry>>;

/// The tree in a folder. Clones are the same tree: one thread writes, others read.
#[derive(Clone)]
struct Tree {
    dir: PathBuf,
    db: sled::Db,
}

impl Tree {
    fn failed(&self, reason: impl ToString) -> StoreError {
        StoreError::Index {
            path: self.dir.join(INDEX),
            reason: reason.to_string(),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Entry, StoreError> {
        Entry::decode(bytes).ok_or_else(|| self.failed("an entry fails its checksum"))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        match self.db.get(key).map_err(|error| self.failed(error))? {
            None => Ok(None),
            Some(bytes) => Ok(Some(self.decode(&bytes)?)),
        }
    }
}

/// What was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Up to where the log was applied; `None` in a new index.
    position: Option<Position>,
    /// Bytes of each segment that some key still points to; never too few.
    live: BTreeMap<u64, u64>,
}

/// One application of changes to the index, which any thread can run. While it runs, the index is read only
/// for keys that are not among them, and nothing else writes.
pub(crate) struct Application {
    tree: Tree,
    applied: Applied,
}

impl Application {
    /// Applies changes which end at `position` of the durable log. Fails for good: the caller goes
    /// on with the result or not at all.
    pub fn run(mut self, changes: &Changes, position: Position) -> Result<Applied, StoreError> {
        let mut changes = changes.iter().peekable();
        loop {
            let mut batch = sled::Batch::default();
            let mut moved = BTreeSet::new();
            for (key, entry) in changes.by_ref().take(CHUNK) {
                self.add(&mut batch, &mut moved, key, entry.as_ref())?;
            }
            for segment in moved {
                let count = self.applied.live.get(&segment).copied().unwrap_or(0);
                batch.insert(live_key(segment), &count.to_le_bytes());
            }
            let done = changes.peek().is_none();
            if done {
                batch.insert(POSITION_KEY, encode_position(position));
            }
            let written = self.tree.db.apply_batch(batch);
            written.map_err(|error| self.tree.failed(error))?;
            if done {
                self.applied.position = Some(position);
                return Ok(self.applied);
            }
        }
    }

    /// Adds a change to a batch.
    fn add(
        &mut self,
        batch: &mut sled::Batch,
        moved: &mut BTreeSet<u64>,
        key: &[u8],
        entry: Option<&Entry>,
    ) -> Result<(), StoreError> {
        if let Some(old) = self.tree.get(key)? {
            let count = self.applied.live.entry(old.at.segment).or_default();
            *count = count.saturating_sub(old.bytes);
            moved.insert(old.at.segment);
        }
        match entry {
            Some(entry) => {
                *self.applied.live.entry(entry.at.segment).or_default() += entry.bytes;
                moved.insert(entry.at.segment);
                batch.insert(key, entry.encode());
            }
            None => batch.remove(key),
        }
        Ok(())
    }
}

/// The index in a folder.
pub(crate) struct Index {
    tree: Tree,
    durable: bool,
    applied: Applied,
}

impl Index {
    /// Opens the index in `dir/index`; puts it aside and starts an empty one when it is damaged, or
    /// was open while the machine (not just the process) went down: sled does not sync to the disk.
    pub fn open(dir: &Path, cache_bytes: u64, durable: bool) -> Result<Self, StoreError> {
        if machine_went_down(&dir.join(OPENED)) {
            tracing::warn!(dir = %dir.display(), "the machine went down while the index was open");
        } else {
            match Self::try_open(dir, cache_bytes, durable) {
                Ok(index) => return index.mark_open(),
                Err(reason) => {
                    tracing::warn!(dir = %dir.display(), %reason, "the index cannot be read");
                }
            }
        }
        put_aside(dir)?;
        tracing::warn!(dir = %dir.display(), "building the index again from the segments");
        match Self::try_open(dir, cache_bytes, durable) {
            Ok(index) => index.mark_open(),
            Err(reason) => Err(StoreError::Index {
                path: dir.join(INDEX),
                reason,
            }),
        }
    }

    fn try_open(dir: &Path, cache_bytes: u64, durable: bool) -> Result<Self, String> {
        let config = sled::Config::new()
            .path(dir.join(INDEX))
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(1000));
        // sled panics on some damaged files.
        let db = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| "sled panicked while opening it".to_owned())?
            .map_err(|error| error.to_string())?;
        let position = match db.get(POSITION_KEY).map_err(|error| error.to_string())? {
            None => None,
            Some(bytes) => Some(decode_position(&bytes).ok_or("its position is not readable")?),
        };
        if position.is_none() && !db.is_empty() {
            return Err("it has entries but no position".to_owned());
        }
        let mut live = BTreeMap::new();
        for entry in db.scan_prefix(LIVE_PREFIX) {
            let (key, bytes) = entry.map_err(|error| error.to_string())?;
            let (segment, count) =
                decode_live(&key, &bytes).ok_or("its counts are not readable")?;
            live.insert(segment, count);
        }
        Ok(Self {
            tree: Tree {
                dir: dir.to_path_buf(),
                db,
            },
            durable,
            applied: Applied { position, live },
        })
    }

    fn mark_open(self) -> Result<Self, StoreError> {
        let path = self.tree.dir.join(OPENED);
        disk::write_whole(&self.tree.dir, OPENED, boot_id().as_bytes(), self.durable).map_err(
            |source| StoreError::Io {
                action: "write",
                path,
                source,
            },
        )?;
        Ok(self)
    }

    /// Up to where the log was applied; `None` in a new index.
    pub fn position(&self) -> Option<Position> {
        self.applied.position
    }

    /// Bytes of a segment which are still in use, or a little more.
    pub fn live_bytes(&self, segment: u64) -> u64 {
        self.applied.live.get(&segment).copied().unwrap_or(0)
    }

    /// Bytes in use in all segments.
    pub fn live_bytes_all(&self) -> u64 {
        self.applied.live.values().sum()
    }

    /// Bytes the index takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        self.tree.db.size_on_disk().unwrap_or(0)
    }

    /// An error of the index.
    pub fn failed(&self, reason: impl ToString) -> StoreError {
        self.tree.failed(reason)
    }

    /// The entry of a full key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.tree.get(key)
    }

    /// Entries of full keys in `from..to`, ascending.
    pub fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Entry), StoreError>> + 'a {
        self.tree.db.range(from..to).map(|entry| {
            let (key, bytes) = entry.map_err(|error| self.tree.failed(error))?;
            Ok((key.to_vec(), self.tree.decode(&bytes)?))
        })
    }

    /// An application, to be run and handed to [`Self::applied`] before there is another.
    pub fn application(&self) -> Application {
        Application {
            tree: self.tree.clone(),
            applied: self.applied.clone(),
        }
    }

    /// Goes on from where an application came to.
    pub fn applied(&mut self, applied: Applied) {
        assert!(
            applied.position >= self.applied.position,
            "the log is applied in order"
        );
        self.applied = applied;
    }

    /// Forgets the count of a removed segment.
    pub fn forget_segment(&mut self, segment: u64) -> Result<(), StoreError> {
        self.applied.live.remove(&segment);
        let removed = self.tree.db.remove(live_key(segment));
        removed.map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Makes the index itself durable: sled's flush hands the bytes to the system, the syncs hand
    /// them to the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        let flushed = self.tree.db.flush();
        flushed.map_err(|error| self.failed(error))?;
        if self.durable {
            sync_files(&self.tree.dir.join(INDEX)).map_err(|error| self.tree.failed(error))?;
        }
        Ok(())
    }

    /// Notes that the index was closed in order.
    pub fn close(&self) -> Result<(), StoreError> {
        self.flush()?;
        let path = self.tree.dir.join(OPENED);
        disk::remove_if_there(&path).map_err(|source| StoreError::Io {
            action: "remove",
            path,
            source,
        })
    }
}

fn sync_files(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_file() {
            File::open(path)?.sync_all()?;
        }
    }
    disk::sync_dir(dir)
}

fn encode_position(position: Position) -> Vec<u8> {
    let mut bytes = position.segment.to_le_bytes().to_vec();
    bytes.extend_from_slice(&position.offset.to_le_bytes());
    bytes
}

fn decode_position(bytes: &[u8]) -> Option<Position> {
    let (segment, offset) = bytes.split_first_chunk::<8>()?;
    Some(Position {
        segment: u64::from_le_bytes(*segment),
        offset: u64::from_le_bytes(offset.try_into().ok()?),
    })
}

fn live_key(segment: u64) -> Vec<u8> {
    let mut key = LIVE_PREFIX.to_vec();
    key.extend_from_slice(&segment.to_be_bytes());
    key
}

fn decode_live(key: &[u8], bytes: &[u8]) -> Option<(u64, u64)> {
    let segment = key.strip_prefix(LIVE_PREFIX)?;
    Some((
        u64::from_be_bytes(segment.try_into().ok()?),
        u64::from_le_bytes(bytes.try_into().ok()?),
    ))
}

/// Moves the index to `index.damaged`, in place of what an earlier time left there.
fn put_aside(dir: &Path) -> Result<(), StoreError> {
    let (from, to) = (dir.join(INDEX), dir.join(PUT_ASIDE));
    let failed = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| StoreError::Io {
            action,
            path,
            source,
        }
    };
    if to.is_dir() {
        fs::remove_dir_all(&to).map_err(failed("remove", &to))?;
    } else {
        disk::remove_if_there(&to).map_err(failed("remove", &to))?;
    }
    match fs::rename(&from, &to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("move aside", &from)(error))
        }
        _ => Ok(()),
    }
}

/// Names this run of the kernel; empty where the system does not say.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Whether the index was left open in an earlier boot. Without boot ids, an index left open is not
/// trusted.
fn machine_went_down(opened: &Path) -> bool {
    match fs::read_to_string(opened) {
        Ok(boot) => boot.is_empty() || boot != boot_id(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_left_open_in_an_earlier_boot_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(OPENED);
        assert!(!machine_went_down(&path));
        fs::write(&path, "an earlier boot").unwrap();
        assert!(machine_went_down(&path));
        fs::write(&path, boot_id()).unwrap();
        assert_eq!(machine_went_down(&path), boot_id().is_empty());
    }

    #[test]
    fn changed_entry_does_not_decode() {
        let at = Position {
            segment: 1,
            offset: 32,
        };
        for (length, inline) in [(INLINE_BYTES_MAX, true), (INLINE_BYTES_MAX + 1, false)] {
            let entry = Entry::new(at, b"key", &Bytes::from(vec![7; length]));
            assert_eq!(entry.inline.is_some(), inline);
            let bytes = entry.encode();
            assert_eq!(Entry::decode(&bytes).as_ref(), Some(&entry));
            for index in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[index] ^= 1;
                assert_eq!(Entry::decode(&changed), None);
            }
        }
    }
}
