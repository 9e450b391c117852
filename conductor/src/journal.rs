//! What a conductor remembers: which lane block each execution block ends with. A file of records, synced one by one.
//!
//! ```text
//! folder/lock      held while a conductor runs
//! folder/journal   header (78 bytes), then records (124 bytes each)
//!
//! header  "ORCONDUCT1" | rollup u64 | interval us u64 | genesis hash 32 | 16 zero bytes | crc32c u32
//! record  number u64 | hash 32 | state root 32 | lane height u64 | height u64 | block id 32 | crc32c u32
//! ```
//!
//! Integers are big-endian. A torn record at the end was never acted upon and is cut off. The newest
//! [`RECORDS_KEPT`] records stay; when there are twice as many, the file is written anew and renamed.

use crate::execution::{BlockRef, Executed};
use crate::lane::Cursor;
use alloy_primitives::B256;
use outrider_types::{BlockId, Height, RollupId};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Records that stay when the file is written anew.
pub const RECORDS_KEPT: usize = 65_536;
const MAGIC: &[u8; 10] = b"ORCONDUCT1";
const HEADER_BYTES: usize = 78;
const RECORD_BYTES: usize = 124;
const FILE_BYTES_MAX: u64 = (HEADER_BYTES + 2 * RECORDS_KEPT * RECORD_BYTES) as u64;

/// What the journal belongs to: with another rollup, interval or genesis, its records mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The rollup.
    pub rollup: RollupId,
    /// Length of an interval.
    pub interval: Duration,
    /// Hash of the execution node's genesis.
    pub genesis: B256,
}

/// An execution block and where in the lane it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The block.
    pub block: BlockRef,
    /// The state after it.
    pub state_root: B256,
    /// The last lane block in it.
    pub cursor: Cursor,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system.
    #[error("cannot {act} {path}: {error}", path = path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Another conductor runs in this folder.
    #[error("another conductor holds {path}: stop it, or give this one another --data", path = path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// Not a journal.
    #[error("{path} is not the journal of a conductor ({reason}): move it away, and the lane is executed again from its start", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The journal of something else.
    #[error("{path} is of {found:?}, this is {asked:?}: give another --data", path = path.display())]
    Subject {
        /// Which file.
        path: PathBuf,
        /// In the file.
        found: Box<Subject>,
        /// Asked for.
        asked: Box<Subject>,
    },
}

/// The journal of one conductor.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    subject: Subject,
    records: VecDeque<Record>,
    /// Records in the file.
    written: usize,
    kept: usize,
    _lock: File,
}

impl Journal {
    /// Open or make the journal in a folder.
    pub fn open(folder: &Path, subject: Subject) -> Result<Self, JournalError> {
        Self::open_keeping(folder, subject, RECORDS_KEPT)
    }

    fn open_keeping(folder: &Path, subject: Subject, kept: usize) -> Result<Self, JournalError> {
        std::fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let lock = lock(&folder.join("lock"))?;
        let path = folder.join("journal");
        let existing = read(&path)?;
        let records = match existing.as_deref() {
            Some(bytes) => parse(&path, bytes, &subject)?,
            None => {
                replace(&path, &header(&subject))?;
                VecDeque::new()
            }
        };
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = file.map_err(failed("open", &path))?;
        let length = HEADER_BYTES + records.len() * RECORD_BYTES;
        file.set_len(length as u64)
            .and_then(|()| file.sync_data())
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(failed("cut", &path))?;
        Ok(Self {
            path,
            file,
            subject,
            written: records.len(),
            records,
            kept,
            _lock: lock,
        })
    }

    /// The newest record.
    #[must_use]
    pub fn last(&self) -> Option<&Record> {
        self.records.back()
    }

    /// The record of a block, if it is kept.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Record> {
        let first = self.records.front()?.block.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.records.get(at)
    }

    /// Remember a block for good; it must follow the last one.
    pub fn append(&mut self, executed: &Executed, cursor: Cursor) -> Result<(), JournalError> {
        let record = Record {
            block: executed.block,
            state_root: executed.state_root,
            cursor,
        };
        let number = record.block.number;
        assert!(
            self.last()
                .is_none_or(|last| last.block.number + 1 == number),
            "blocks are remembered one after the other"
        );
        self.file
            .write_all(&encode(&record))
            .and_then(|()| self.file.sync_data())
            .map_err(failed("write", &self.path))?;
        self.records.push_back(record);
        self.written += 1;
        if self.written >= 2 * self.kept {
            self.rewrite()?;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> Result<(), JournalError> {
        let surplus = self.records.len().saturating_sub(self.kept);
        self.records.drain(..surplus);
        let mut bytes = header(&self.subject);
        for record in &self.records {
            bytes.extend_from_slice(&encode(record));
        }
        replace(&self.path, &bytes)?;
        let file = OpenOptions::new().append(true).open(&self.path);
        self.file = file.map_err(failed("open", &self.path))?;
        self.written = self.records.len();
        Ok(())
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |error| JournalError::File { act, path, error }
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let file = File::create(path).map_err(failed("make", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked {
            path: path.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(failed("lock", path)(error)),
    }
}

/// The bytes of the file, none if it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(JournalError::Format {
            path: path.to_path_buf(),
            reason: "it is too long",
        });
    }
    Ok(Some(bytes))
}

/// Write a file whole, or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let temporary = path.with_extension("new");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", &temporary))?;
    std::fs::rename(&temporary, path).map_err(failed("rename", &temporary))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

fn header(subject: &Subject) -> Vec<u8> {
    let interval = u64::try_from(subject.interval.as_micros()).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&subject.rollup.0.to_be_bytes());
    bytes.extend_from_slice(&interval.to_be_bytes());
    bytes.extend_from_slice(subject.genesis.as_slice());
    bytes.extend_from_slice(&[0; 16]);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes.len(), HEADER_BYTES, "a header has a fixed size");
    bytes
}

fn encode(record: &Record) -> Vec<u8> {
    let Record {
        block,
        state_root,
        cursor,
    } = record;
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.extend_from_slice(&block.number.to_be_bytes());
    bytes.extend_from_slice(block.hash.as_slice());
    bytes.extend_from_slice(state_root.as_slice());
    bytes.extend_from_slice(&cursor.lane_height.to_be_bytes());
    bytes.extend_from_slice(&cursor.height.0.to_be_bytes());
    bytes.extend_from_slice(&cursor.block.0);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes.len(), RECORD_BYTES, "a record has a fixed size");
    bytes
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(word)
}

fn hash_at(bytes: &[u8], at: usize) -> B256 {
    B256::from_slice(&bytes[at..at + 32])
}

/// Whether the last four bytes are the checksum of the others.
fn intact(bytes: &[u8]) -> bool {
    let (body, sum) = bytes.split_at(bytes.len() - 4);
    crc32c::crc32c(body).to_be_bytes() == sum
}

fn parse(path: &Path, bytes: &[u8], asked: &Subject) -> Result<VecDeque<Record>, JournalError> {
    let wrong = |reason| JournalError::Format {
        path: path.to_path_buf(),
        reason,
    };
    let head = bytes
        .get(..HEADER_BYTES)
        .ok_or_else(|| wrong("too short"))?;
    if !head.starts_with(MAGIC) || !intact(head) {
        return Err(wrong("its header is broken"));
    }
    let found = Subject {
        rollup: RollupId(number_at(head, 10)),
        interval: Duration::from_micros(number_at(head, 18)),
        genesis: hash_at(head, 26),
    };
    if found != *asked {
        return Err(JournalError::Subject {
            path: path.to_path_buf(),
            found: Box::new(found),
            asked: Box::new(*asked),
        });
    }
    let mut records: VecDeque<Record> = VecDeque::new();
    let mut rest = bytes[HEADER_BYTES..].chunks_exact(RECORD_BYTES).peekable();
    while let Some(bytes) = rest.next() {
        if !intact(bytes) {
            // Only the last write can be torn; a broken record before others is a broken disk.
            if rest.peek().is_some() {
                return Err(wrong("a record in it is broken"));
            }
            break;
        }
        let record = Record {
            block: BlockRef {
                number: number_at(bytes, 0),
                hash: hash_at(bytes, 8),
            },
            state_root: hash_at(bytes, 40),
            cursor: Cursor {
                lane_height: number_at(bytes, 72),
                height: Height(number_at(bytes, 80)),
                block: BlockId(hash_at(bytes, 88).0),
            },
        };
        let follows = |last: &Record| last.block.number.checked_add(1) == Some(record.block.number);
        if !records.back().is_none_or(follows) {
            return Err(wrong("its records do not follow each other"));
        }
        records.push_back(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject {
        rollup: RollupId(7),
        interval: Duration::from_secs(1),
        genesis: B256::repeat_byte(9),
    };

    fn executed(number: u64) -> Executed {
        Executed {
            block: BlockRef {
                number,
                hash: B256::repeat_byte(u8::try_from(number % 256).unwrap()),
            },
            state_root: B256::repeat_byte(1),
            included: vec![],
            results: vec![],
            skipped: vec![],
        }
    }

    fn cursor(lane_height: u64) -> Cursor {
        Cursor {
            lane_height,
            height: Height(2 * lane_height),
            block: BlockId([3; 32]),
        }
    }

    fn filled(folder: &Path, records: u64, kept: usize) -> Journal {
        let mut journal = Journal::open_keeping(folder, SUBJECT, kept).unwrap();
        for number in 1..=records {
            journal.append(&executed(number), cursor(number)).unwrap();
        }
        journal
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 3, 100));
        let journal = Journal::open(folder.path(), SUBJECT).unwrap();
        assert_eq!(journal.last().unwrap().block, executed(3).block);
        assert_eq!(journal.get(2).unwrap().cursor, cursor(2));
        assert_eq!(journal.get(4), None);
        assert_eq!(journal.get(0), None);
    }

    #[test]
    fn a_torn_record_is_cut_off_at_every_length_and_appending_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 2, 100));
        let path = folder.path().join("journal");
        let whole = std::fs::read(&path).unwrap();
        for cut in HEADER_BYTES + RECORD_BYTES..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(folder.path(), SUBJECT).unwrap();
            assert_eq!(journal.last().unwrap().block.number, 1, "cut at {cut}");
            journal.append(&executed(2), cursor(2)).unwrap();
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn flipped_bytes_are_cut_off_at_the_end_and_refused_before() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 2, 100));
        let path = folder.path().join("journal");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let opened = Journal::open(folder.path(), SUBJECT);
            if at < HEADER_BYTES + RECORD_BYTES {
                assert!(matches!(opened, Err(JournalError::Format { .. })), "{at}");
            } else {
                assert_eq!(opened.unwrap().last().unwrap().block.number, 1, "{at}");
            }
        }
    }

    #[test]
    fn a_full_file_is_written_anew_with_the_newest_records() {
        let folder = tempfile::tempdir().unwrap();
        let journal = filled(folder.path(), 9, 4);
        assert_eq!(journal.get(4), None);
        assert_eq!(journal.get(5).unwrap().block.number, 5);
        drop(journal);
        let length = std::fs::metadata(folder.path().join("journal"))
            .unwrap()
            .len();
        assert_eq!(length, (HEADER_BYTES + 5 * RECORD_BYTES) as u64);
        let journal = Journal::open(folder.path(), SUBJECT).unwrap();
        assert_eq!(journal.last().unwrap().block.number, 9);
    }

    #[test]
    fn a_second_conductor_and_another_subject_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = filled(folder.path(), 1, 100);
        assert!(matches!(
            Journal::open(folder.path(), SUBJECT),
            Err(JournalError::Locked { .. })
        ));
        drop(journal);
        let other = Subject {
            genesis: B256::ZERO,
            ..SUBJECT
        };
        assert!(matches!(
            Journal::open(folder.path(), other),
            Err(JournalError::Subject { .. })
        ));
    }
}
