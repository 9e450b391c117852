//! The segment log: every change to the store, in order, in files that are only ever appended to.
//!
//! ```text
//! segments/0000000000000001.segment    header, frame, frame, ...      sealed
//! segments/0000000000000002.segment    header, frame, ... <- append   the last one
//!
//! header  magic "OUTRSEGM" | version u32 | number u64 | crc32c u32, padded to 32
//! frame   tag "OFRM" | body length u32 | durable u64 | op u8 | table u8 | key length u8 | 0 | crc32c u32
//!         | key | value | zeros to a multiple of 8
//! ```
//!
//! Integers are little endian. A frame's checksum covers segment number, offset, all its fields and its
//! body. `durable` is the length of the segment that had been synced before the frame was written: a
//! broken frame below the `durable` of a later one was once whole, so it is damage; a broken frame at
//! or above it belongs to a write that never completed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::disk;
use crate::store::{KEY_BYTES_MAX, StoreError, Table, VALUE_BYTES_MAX};

/// Smallest segment size.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 4096;
/// Largest segment size: one is read whole to replay it.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: u64 = 32;

const MAGIC: [u8; 8] = *b"OUTRSEGM";
const VERSION: u32 = 1;
const TAG: [u8; 4] = *b"OFRM";
const FRAME_HEADER: usize = 24;
const ALIGNMENT: usize = 8;
const SUFFIX: &str = "segment";
/// Sealed segments kept open for reading.
const READERS_MAX: usize = 64;

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub segment: u64,
    pub offset: u64,
}

/// One change: a put of a value, or a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub table: Table,
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Bytes a frame takes in its segment.
pub(crate) fn frame_bytes(key: usize, value: usize) -> u64 {
    (FRAME_HEADER + key + value).next_multiple_of(ALIGNMENT) as u64
}

/// The log in a folder.
#[derive(Debug)]
pub(crate) struct SegmentLog {
    dir: PathBuf,
    segment_bytes: u64,
    durable: bool,
    /// Length of every segment, synced part only.
    lengths: BTreeMap<u64, u64>,
    last: u64,
    file: File,
    /// Frames appended since the last commit, for the end of the last segment.
    buffer: Vec<u8>,
    readers: RefCell<BTreeMap<u64, File>>,
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

fn file_name(segment: u64) -> String {
    format!("{segment:016x}.{SUFFIX}")
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?.strip_suffix('.')?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

impl SegmentLog {
    /// Opens the log in `dir`, making it when there is none.
    pub fn open(dir: &Path, segment_bytes: u64, durable: bool) -> Result<Self, StoreError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes) {
            return Err(StoreError::Options {
                segment_bytes,
                min: SEGMENT_BYTES_MIN,
                max: SEGMENT_BYTES_MAX,
            });
        }
        disk::create_dir(dir, durable).map_err(|e| io_error("create", dir, e))?;
        let mut lengths = list(dir)?;
        let last = lengths.keys().next_back().copied().unwrap_or(1);
        let path = dir.join(file_name(last));
        let file = if lengths.is_empty() {
            lengths.insert(last, HEADER_BYTES);
            create(dir, last, durable)?
        } else {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|e| io_error("open", &path, e))?
        };
        // A kill between a rename or write and its sync leaves them in the page cache only.
        if durable {
            file.sync_all().map_err(|e| io_error("sync", &path, e))?;
            disk::sync_dir(dir).map_err(|e| io_error("sync", dir, e))?;
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            segment_bytes,
            durable,
            lengths,
            last,
            file,
            buffer: Vec::new(),
            readers: RefCell::new(BTreeMap::new()),
        })
    }

    /// Where the log begins.
    pub fn first(&self) -> Position {
        Position {
            segment: self.lengths.keys().next().copied().unwrap_or(self.last),
            offset: HEADER_BYTES,
        }
    }

    /// Where the durable log ends.
    pub fn end(&self) -> Position {
        Position {
            segment: self.last,
            offset: self
                .lengths
                .get(&self.last)
                .copied()
                .unwrap_or(HEADER_BYTES),
        }
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.lengths.values().sum::<u64>() + self.buffer.len() as u64
    }

    /// Bytes appended since the last commit.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Length of a segment, 0 when it is not there.
    pub fn segment_len(&self, segment: u64) -> u64 {
        self.lengths.get(&segment).copied().unwrap_or(0)
    }

    /// The path of a segment, for messages.
    pub fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(file_name(segment))
    }

    /// Hands every change at or after `from` to `visit`, with its position and where the next one
    /// begins. Cuts off a torn tail of the last segment.
    pub fn replay(
        &mut self,
        from: Position,
        mut visit: impl FnMut(Position, Position, Change) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let first = self.first();
        if from.segment < first.segment || from.segment > self.last {
            return Err(StoreError::SegmentMissing {
                dir: self.dir.clone(),
                segment: from.segment,
            });
        }
        for segment in from.segment..=self.last {
            let path = self.path(segment);
            let bytes = Bytes::from(fs::read(&path).map_err(|e| io_error("read", &path, e))?);
            let start = if segment == from.segment {
                from.offset
            } else {
                HEADER_BYTES
            };
            let damaged = |offset, reason| StoreError::Damaged {
                path: path.clone(),
                offset,
                reason,
            };
            if start > bytes.len() as u64 {
                let reason = "the segment ends before changes that were synced";
                return Err(damaged(bytes.len() as u64, reason));
            }
            let mut at = Position {
                segment,
                offset: start,
            };
            while let Some(frame) = frame_at(&bytes, at) {
                let next = Position {
                    segment,
                    offset: at.offset + frame.bytes,
                };
                visit(at, next, frame.change)?;
                at = next;
            }
            if at.offset == bytes.len() as u64 {
                continue;
            }
            if segment != self.last {
                let reason = "a frame of a sealed segment is broken";
                return Err(damaged(at.offset, reason));
            }
            if later_proves_durable(&bytes, at) {
                let reason = "a broken frame is followed by one written after it was synced";
                return Err(damaged(at.offset, reason));
            }
            self.cut(at.offset)?;
        }
        Ok(())
    }

    fn cut(&mut self, offset: u64) -> Result<(), StoreError> {
        let path = self.path(self.last);
        tracing::warn!(file = %path.display(), offset, "cut off the torn end of the last segment");
        self.file
            .set_len(offset)
            .map_err(|e| io_error("cut", &path, e))?;
        if self.durable {
            self.file
                .sync_all()
                .map_err(|e| io_error("sync", &path, e))?;
        }
        self.lengths.insert(self.last, offset);
        Ok(())
    }

    /// Whether a frame of `bytes` would make the last segment longer than it should be.
    pub fn must_roll(&self, bytes: u64) -> bool {
        let end = self.end().offset + self.buffer.len() as u64;
        end > HEADER_BYTES && end + bytes > self.segment_bytes
    }

    /// Starts a new segment; everything before must be committed.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        assert!(self.buffer.is_empty(), "a segment is sealed when committed");
        let next = self.last + 1;
        self.file = create(&self.dir, next, self.durable)?;
        self.last = next;
        self.lengths.insert(next, HEADER_BYTES);
        Ok(())
    }

    /// Appends a change to the buffer and says where it will be. Key and value were checked.
    pub fn append(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Position {
        let end = self.end();
        let at = Position {
            segment: end.segment,
            offset: end.offset + self.buffer.len() as u64,
        };
        encode_frame(&mut self.buffer, at, end.offset, table, key, value);
        at
    }

    /// Writes the buffer and makes it durable.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let end = self.end();
        let path = self.path(self.last);
        self.file
            .write_all_at(&self.buffer, end.offset)
            .map_err(|e| io_error("write", &path, e))?;
        if self.durable {
            self.file
                .sync_data()
                .map_err(|e| io_error("sync", &path, e))?;
        }
        self.lengths
            .insert(self.last, end.offset + self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// The change at a committed position, if it is whole. `bytes` is the frame's length.
    pub fn read(&self, at: Position, bytes: u64) -> Result<Change, StoreError> {
        let path = self.path(at.segment);
        let length = self.segment_len(at.segment);
        if length == 0 {
            return Err(StoreError::SegmentMissing {
                dir: self.dir.clone(),
                segment: at.segment,
            });
        }
        let damaged = |reason| StoreError::Damaged {
            path: path.clone(),
            offset: at.offset,
            reason,
        };
        let most = frame_bytes(KEY_BYTES_MAX, VALUE_BYTES_MAX);
        if bytes > most || at.offset.saturating_add(bytes) > length {
            return Err(damaged("the index points beyond the end of the segment"));
        }
        let mut frame = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.with_reader(at.segment, |file| file.read_exact_at(&mut frame, at.offset))
            .map_err(|e| io_error("read", &path, e))?;
        match parse_frame(&Bytes::from(frame), 0, at) {
            Some(frame) => Ok(frame.change),
            None => Err(damaged("a stored value fails its checksum")),
        }
    }

    /// The change at a committed position, and its frame's bytes, when only its beginning is known.
    pub fn read_next(&self, at: Position) -> Result<(Change, u64), StoreError> {
        let path = self.path(at.segment);
        let mut fields = [0; 8];
        self.with_reader(at.segment, |file| {
            file.read_exact_at(&mut fields, at.offset)
        })
        .map_err(|e| io_error("read", &path, e))?;
        let length = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
        let bytes = frame_bytes(0, usize::try_from(length).unwrap_or(usize::MAX / 2));
        Ok((self.read(at, bytes)?, bytes))
    }

    fn with_reader<T>(
        &self,
        segment: u64,
        read: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        if segment == self.last {
            return read(&self.file);
        }
        let mut readers = self.readers.borrow_mut();
        if !readers.contains_key(&segment) && readers.len() >= READERS_MAX {
            readers.pop_first();
        }
        match readers.entry(segment) {
            std::collections::btree_map::Entry::Occupied(entry) => read(entry.get()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let path = self.dir.join(file_name(segment));
                read(entry.insert(File::open(path)?))
            }
        }
    }

    /// Makes every later write fail as a broken disk would: the file is open for reading only.
    #[cfg(test)]
    pub fn break_writes(&mut self) {
        self.file = File::open(self.path(self.last)).unwrap();
    }

    /// Removes the first segment. The last one stays.
    pub fn remove_first(&mut self) -> Result<u64, StoreError> {
        let segment = self.first().segment;
        assert!(segment < self.last, "the last segment is not removed");
        let path = self.path(segment);
        fs::remove_file(&path).map_err(|e| io_error("remove", &path, e))?;
        self.readers.borrow_mut().remove(&segment);
        Ok(self.lengths.remove(&segment).unwrap_or(0))
    }
}

/// Numbers and lengths of the segments in a folder, their headers checked, none missing between.
fn list(dir: &Path) -> Result<BTreeMap<u64, u64>, StoreError> {
    let mut lengths = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|e| io_error("list", dir, e))? {
        let entry = entry.map_err(|e| io_error("list", dir, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(disk::UNFINISHED) {
            disk::remove_if_there(&entry.path())
                .map_err(|e| io_error("remove", &entry.path(), e))?;
        } else if let Some(number) = number_of(&name) {
            let length = check_header(&entry.path(), number)?;
            lengths.insert(number, length);
        }
    }
    for (before, number) in lengths.keys().zip(lengths.keys().skip(1)) {
        if before + 1 != *number {
            return Err(StoreError::SegmentMissing {
                dir: dir.to_path_buf(),
                segment: before + 1,
            });
        }
    }
    Ok(lengths)
}

fn header(segment: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&segment.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(HEADER_BYTES as usize, 0);
    bytes
}

fn create(dir: &Path, segment: u64, durable: bool) -> Result<File, StoreError> {
    let name = file_name(segment);
    disk::write_whole(dir, &name, &header(segment), durable)
        .map_err(|e| io_error("create", &dir.join(name), e))
}

fn check_header(path: &Path, segment: u64) -> Result<u64, StoreError> {
    let failed = |e| io_error("read", path, e);
    let damaged = |reason| {
        Err(StoreError::Damaged {
            path: path.to_path_buf(),
            offset: 0,
            reason,
        })
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length < HEADER_BYTES {
        return damaged("the segment is shorter than its header");
    }
    let mut found = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut found, 0).map_err(failed)?;
    if found[..8] != MAGIC {
        return damaged("it does not begin like a segment");
    }
    let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
    if version != VERSION {
        return Err(StoreError::WrongVersion {
            path: path.to_path_buf(),
            found: version,
            supported: VERSION,
        });
    }
    if found[..] != header(segment)[..] {
        return damaged("the segment's header fails its checksum, or belongs to another segment");
    }
    Ok(length)
}

struct Frame {
    change: Change,
    durable: u64,
    bytes: u64,
}

const OP_PUT: u8 = 1;
const OP_DELETE: u8 = 2;

fn frame_crc(at: Position, fields: &[u8], body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&at.segment.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &at.offset.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, fields);
    crc32c::crc32c_append(crc, body)
}

fn encode_frame(
    buffer: &mut Vec<u8>,
    at: Position,
    durable: u64,
    table: Table,
    key: &[u8],
    value: Option<&[u8]>,
) {
    let start = buffer.len();
    let body = key.len() + value.map_or(0, <[u8]>::len);
    let (length, key_length) = (u32::try_from(body), u8::try_from(key.len()));
    assert!(length.is_ok() && key_length.is_ok(), "sizes were checked");
    buffer.reserve(FRAME_HEADER + body + ALIGNMENT);
    buffer.extend_from_slice(&TAG);
    buffer.extend_from_slice(&length.unwrap_or(0).to_le_bytes());
    buffer.extend_from_slice(&durable.to_le_bytes());
    let op = if value.is_some() { OP_PUT } else { OP_DELETE };
    buffer.extend_from_slice(&[op, table.byte(), key_length.unwrap_or(0), 0]);
    let fields_end = buffer.len();
    // The checksum's place is filled once the body is there.
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(value.unwrap_or_default());
    let crc = frame_crc(
        at,
        &buffer[start..fields_end],
        &buffer[start + FRAME_HEADER..],
    );
    buffer[fields_end..fields_end + 4].copy_from_slice(&crc.to_le_bytes());
    let value_bytes = value.map_or(0, <[u8]>::len);
    let end = start + usize::try_from(frame_bytes(key.len(), value_bytes)).unwrap_or(0);
    buffer.resize(end, 0);
}

/// The frame of a whole segment's bytes at a position.
fn frame_at(segment: &Bytes, at: Position) -> Option<Frame> {
    parse_frame(segment, usize::try_from(at.offset).ok()?, at)
}

/// The frame at `start` of `bytes`, which must have been written for position `at`.
fn parse_frame(bytes: &Bytes, start: usize, at: Position) -> Option<Frame> {
    let fields = bytes.get(start..start.checked_add(FRAME_HEADER)?)?;
    if fields[..4] != TAG {
        return None;
    }
    let length = u32::from_le_bytes(fields[4..8].try_into().ok()?);
    let durable = u64::from_le_bytes(fields[8..16].try_into().ok()?);
    let (op, table, key_length) = (fields[16], fields[17], usize::from(fields[18]));
    let crc = u32::from_le_bytes(fields[20..24].try_into().ok()?);
    let body_start = start + FRAME_HEADER;
    let body_end = body_start.checked_add(usize::try_from(length).ok()?)?;
    let body = bytes.get(body_start..body_end)?;
    let end = start + (FRAME_HEADER + body.len()).next_multiple_of(ALIGNMENT);
    let padding = bytes.get(body_end..end)?;
    if frame_crc(at, &fields[..20], body) != crc || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    let table = Table::from_byte(table)?;
    let value_start = body_start + key_length;
    let value = match op {
        OP_PUT if value_start <= body_end => Some(bytes.slice(value_start..body_end)),
        OP_DELETE if value_start == body_end => None,
        _ => return None,
    };
    Some(Frame {
        change: Change {
            table,
            key: bytes.slice(body_start..value_start),
            value,
        },
        durable,
        bytes: (end - start) as u64,
    })
}

/// Bytes checksummed at most in search of later frames: stored bytes come from anyone, and could be
/// made to look like the beginnings of many.
const SEARCH_BYTES_MAX: usize = 4 << 30;

/// Whether some whole frame after the broken one at `broken` was written once `broken` was durable.
fn later_proves_durable(segment: &Bytes, broken: Position) -> bool {
    let start = usize::try_from(broken.offset).unwrap_or(usize::MAX);
    let mut budget = SEARCH_BYTES_MAX;
    for at in (start..segment.len()).step_by(ALIGNMENT).skip(1) {
        if !segment[at..].starts_with(&TAG) {
            continue;
        }
        let length = segment.get(at + 4..at + 8).and_then(|b| b.try_into().ok());
        let length = length.map_or(0, u32::from_le_bytes) as usize;
        budget = budget.saturating_sub(length.min(segment.len() - at));
        let offset = at as u64;
        let frame = frame_at(segment, Position { offset, ..broken });
        if frame.is_some_and(|frame| frame.durable > broken.offset) {
            return true;
        }
        if budget == 0 {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_header_and_frame_are_pinned() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&header(3)), PINNED_HEADER);
        let mut frame = Vec::new();
        let at = Position {
            segment: 3,
            offset: 64,
        };
        encode_frame(&mut frame, at, 32, Table::Height, b"key", Some(b"value"));
        assert_eq!(hex(&frame), PINNED_FRAME);
        let parsed = parse_frame(&Bytes::from(frame.clone()), 0, at).unwrap();
        assert_eq!(parsed.change.value.as_deref(), Some(&b"value"[..]));
        assert_eq!((parsed.durable, parsed.bytes), (32, frame.len() as u64));
        // A frame is only valid where it was written.
        let elsewhere = Position {
            segment: 4,
            offset: 64,
        };
        assert!(parse_frame(&Bytes::from(frame), 0, elsewhere).is_none());
    }

    const PINNED_HEADER: &str = "4f5554525345474d010000000300000000000000f015b9f80000000000000000";
    const PINNED_FRAME: &str = "4f46524d08000000200000000000000001040300bce7bc9e6b657976616c7565";
}
