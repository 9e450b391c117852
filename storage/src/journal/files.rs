//! The two files of the vote journal: opened, written to, switched. Everything here blocks.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::{JournalError, io_error};
use super::format::{self, Header, HeaderFault, Scan};
use super::{JOURNAL_FILE_BYTES_MAX, JOURNAL_FILE_BYTES_MIN, JournalOptions, RECORD_BYTES_MAX};
use crate::disk;

pub(super) const NAMES: [&str; 2] = ["votes-0.journal", "votes-1.journal"];
/// The generation of a new journal's first file; the other starts with the one before.
const FIRST: u64 = 1;

/// The two files, of which the newer one is written to. Whoever holds this is the only one who writes.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    options: JournalOptions,
    file: File,
    generation: u64,
    sequence: u64,
    offset: usize,
}

/// One of the two files, as read at open.
struct Found {
    path: PathBuf,
    header: Header,
    bytes: Vec<u8>,
}

impl Files {
    /// Opens the files in `dir`, making them if neither is there, and gives the newest record, which is
    /// durable then.
    pub fn open(
        dir: &Path,
        options: JournalOptions,
    ) -> Result<(Self, Option<Vec<u8>>), JournalError> {
        if !(JOURNAL_FILE_BYTES_MIN..=JOURNAL_FILE_BYTES_MAX).contains(&options.file_bytes) {
            let file_bytes = options.file_bytes;
            return Err(JournalError::Options { file_bytes });
        }
        disk::create_dir(dir, options.durable).map_err(|e| io_error("create", dir, e))?;
        for name in NAMES {
            let leftover = dir.join(format!("{name}.{}", disk::UNFINISHED));
            disk::remove_if_there(&leftover).map_err(|e| io_error("remove", &leftover, e))?;
        }
        let newer = match (read_file(dir, 0)?, read_file(dir, 1)?) {
            (None, None) => None,
            // Cut off while the journal was being made: nothing was ever recorded.
            (None, Some(only)) if only.header.generation == FIRST => {
                if scan(&only)?.newest.is_some() {
                    let path = dir.join(NAMES[0]);
                    return Err(JournalError::FileMissing { path });
                }
                None
            }
            (None, Some(_)) => {
                let path = dir.join(NAMES[0]);
                return Err(JournalError::FileMissing { path });
            }
            (Some(_), None) => {
                let path = dir.join(NAMES[1]);
                return Err(JournalError::FileMissing { path });
            }
            (Some(first), Some(second)) => Some(newer_of(dir, first, second)?),
        };
        let Some(newer) = newer else {
            return Ok((Self::create(dir, options)?, None));
        };
        let found = scan(&newer)?;
        if let Some(torn_at) = found.torn_at {
            tracing::warn!(file = %newer.path.display(), torn_at, "dropped a torn last journal record");
        }
        let Some(newest) = found.newest else {
            return match newer.header.generation {
                FIRST => Ok((Self::create(dir, options)?, None)),
                _ => Err(JournalError::Damaged {
                    path: newer.path,
                    offset: format::HEADER_BYTES as u64,
                    reason: "the record this file was made with is gone",
                }),
            };
        };
        let files = Self::resume(dir, options, &newer, &newest)?;
        Ok((files, Some(newer.bytes[newest.payload].to_vec())))
    }

    /// Continues after the newest record in a new file. What was read may so far be only in the page
    /// cache (the process was killed before its sync, or the sync failed): writing it anew, rather
    /// than syncing again, makes it durable in every case.
    fn resume(
        dir: &Path,
        options: JournalOptions,
        newer: &Found,
        newest: &format::Newest,
    ) -> Result<Self, JournalError> {
        let file = File::open(&newer.path).map_err(|e| io_error("open", &newer.path, e))?;
        let mut files = Self {
            dir: dir.to_path_buf(),
            options,
            file,
            generation: newer.header.generation,
            sequence: newest.sequence,
            offset: 0,
        };
        let record = &newer.bytes[newest.payload.clone()];
        options.check_size(record)?;
        files.switch(record)?;
        Ok(files)
    }

    /// Makes both files, the one that is written first before the other: alone and without records it
    /// means "never used".
    fn create(dir: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let file_bytes = options.file_bytes;
        let make = |generation: u64| {
            let name = name_of(generation);
            let image = format::image(
                Header {
                    generation,
                    file_bytes,
                },
                None,
            );
            disk::write_whole(dir, name, &image, options.durable)
                .map_err(|e| io_error("write", &dir.join(name), e))
        };
        let file = make(FIRST)?;
        make(FIRST - 1)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            options,
            file,
            generation: FIRST,
            sequence: 0,
            offset: format::HEADER_BYTES,
        })
    }

    /// Puts `record` into a whole new file in place of the older one.
    fn switch(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let header = Header {
            generation: self.generation + 1,
            file_bytes: self.options.file_bytes,
        };
        let sequence = self.sequence + 1;
        let image = format::image(header, Some((sequence, record)));
        let name = name_of(header.generation);
        let file = disk::write_whole(&self.dir, name, &image, self.options.durable)
            .map_err(|e| io_error("write", &self.dir.join(name), e))?;
        self.file = file;
        self.generation = header.generation;
        self.sequence = sequence;
        self.offset = format::HEADER_BYTES + format::record_bytes(record.len());
        Ok(())
    }

    /// Writes a record whose size was checked, and returns when it is durable. After an error it is not
    /// known what is on disk: nothing may be written any more.
    pub fn write(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let end = self.offset + format::record_bytes(record.len());
        if end as u64 > self.options.file_bytes {
            return self.switch(record);
        }
        let path = || self.dir.join(name_of(self.generation));
        let bytes = format::encode_record(self.generation, self.sequence + 1, record);
        self.file
            .write_all_at(&bytes, self.offset as u64)
            .map_err(|e| io_error("write", &path(), e))?;
        if self.options.durable {
            self.file
                .sync_data()
                .map_err(|e| io_error("sync", &path(), e))?;
        }
        self.sequence += 1;
        self.offset = end;
        Ok(())
    }

    /// Makes every later write fail as a broken disk would: the file is open for reading only.
    #[cfg(test)]
    pub fn break_writes(&mut self) {
        self.file = File::open(self.dir.join(name_of(self.generation))).unwrap();
    }

    /// Number of the newest record.
    #[cfg(test)]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

fn name_of(generation: u64) -> &'static str {
    if generation.is_multiple_of(2) {
        NAMES[0]
    } else {
        NAMES[1]
    }
}
/// Reads one of the two files and checks its header; `None` when it is not there.
fn read_file(dir: &Path, slot: usize) -> Result<Option<Found>, JournalError> {
    let path = dir.join(NAMES[slot]);
    let size = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path, error)),
    };
    let wrong_size = |expected| JournalError::WrongSize {
        path: path.clone(),
        found: size,
        expected,
    };
    // Before it is read into memory.
    if size > JOURNAL_FILE_BYTES_MAX {
        return Err(wrong_size(JOURNAL_FILE_BYTES_MAX));
    }
    let bytes = fs::read(&path).map_err(|e| io_error("read", &path, e))?;
    let header = match format::read_header(&bytes) {
        Ok(header) => header,
        Err(HeaderFault::Short) => return Err(wrong_size(JOURNAL_FILE_BYTES_MIN)),
        Err(HeaderFault::Magic) => return Err(JournalError::WrongMagic { path }),
        Err(HeaderFault::Version(found)) => {
            return Err(JournalError::WrongVersion {
                path,
                found,
                supported: format::VERSION,
            });
        }
        Err(HeaderFault::Checksum) => return Err(JournalError::HeaderDamaged { path }),
    };
    if header.file_bytes != size {
        return Err(wrong_size(header.file_bytes));
    }
    if name_of(header.generation) != NAMES[slot] {
        return Err(JournalError::Damaged {
            path,
            offset: 0,
            reason: "the file's generation belongs to the other file's name",
        });
    }
    Ok(Some(Found {
        path,
        header,
        bytes,
    }))
}

fn newer_of(dir: &Path, first: Found, second: Found) -> Result<Found, JournalError> {
    let (a, b) = (first.header.generation, second.header.generation);
    if a.abs_diff(b) != 1 {
        return Err(JournalError::NotConsecutive {
            dir: dir.to_path_buf(),
            first: a,
            second: b,
        });
    }
    Ok(if a > b { first } else { second })
}

fn scan(found: &Found) -> Result<Scan, JournalError> {
    format::scan(&found.bytes, found.header.generation, RECORD_BYTES_MAX).map_err(|damage| {
        JournalError::Damaged {
            path: found.path.clone(),
            offset: damage.offset as u64,
            reason: damage.reason,
        }
    })
}
