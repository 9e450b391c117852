//! The vote journal: the newest safety state of a member, durable before any vote leaves.
//!
//! Two files of fixed size take turns. Each file has a generation, and generations follow each other:
//!
//! ```text
//! append fits         write over zeros -> fdatasync -> return
//! append does not fit write a whole new file holding the record under another name -> fsync ->
//!                     rename over the OLDER of the two -> fsync of the folder -> return
//! open                read both -> newest record -> the same switch, so that what was found is durable
//! ```
//!
//! The older file is kept because it tells whether the newer one is there: if the pair is not two
//! consecutive generations, a file was lost or brought back, and the journal does not open.

mod format;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk;
use format::{Header, HeaderFault, Scan};

/// Longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Default size of a journal file, in bytes.
pub const JOURNAL_FILE_BYTES: u64 = 4 << 20;
/// Smallest size of a journal file: the header's page and one more.
pub const JOURNAL_FILE_BYTES_MIN: u64 = 2 * format::HEADER_BYTES as u64;
/// Largest size of a journal file: it is written whole at every switch.
pub const JOURNAL_FILE_BYTES_MAX: u64 = 1 << 30;

const NAMES: [&str; 2] = ["votes-0.journal", "votes-1.journal"];
/// The generation of a new journal's first file; the other starts with the one before.
const FIRST: u64 = 1;

/// One durable record at a time: the newest safety state.
pub trait Journal: Send {
    /// Makes `record`, the whole safety state, the newest one. It is durable on return: nothing signed
    /// under it may leave before. After a failed write or sync nothing more can be appended.
    fn append(&mut self, record: &[u8]) -> Result<(), JournalError>;

    /// The newest record, as found at open or appended since; `None` in a journal never written.
    fn latest(&self) -> Option<&[u8]>;
}

/// How a [`FileJournal`] is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Size of each of the two files, in bytes.
    pub file_bytes: u64,
    /// `false` skips every sync: for benchmarks only, a power loss then loses votes.
    pub durable: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            file_bytes: JOURNAL_FILE_BYTES,
            durable: true,
        }
    }
}

/// Why the journal cannot be opened or appended to.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The options are out of their limits.
    #[error(
        "journal file size {file_bytes} is outside {JOURNAL_FILE_BYTES_MIN}..={JOURNAL_FILE_BYTES_MAX} bytes; change it in the configuration"
    )]
    Options {
        /// The size asked for.
        file_bytes: u64,
    },
    /// A record is empty, longer than the limit, or does not fit a file.
    #[error(
        "a safety state of {bytes} bytes cannot be recorded: it must be 1..={limit} bytes \
         (the limit is the smaller of 1 MiB and what one journal file holds)"
    )]
    RecordSize {
        /// Bytes of the record.
        bytes: usize,
        /// The most a record may have here.
        limit: usize,
    },
    /// This user may not read or write the file.
    #[error("permission denied: cannot {action} {}; give the node's user read and write access", path.display())]
    PermissionDenied {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// The system refused a read, write or sync.
    #[error("cannot {action} {}: {source}; check the disk, its free space and the kernel log, then restart the node", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a vote journal.
    #[error("{} does not begin like a vote journal: it is another file, or its first bytes are damaged. {ADVICE}", path.display())]
    WrongMagic {
        /// The file.
        path: PathBuf,
    },
    /// The file was written in another format.
    #[error("{} has journal version {found}, this build reads version {supported}; run the build that wrote it", path.display())]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The version this build reads.
        supported: u32,
    },
    /// The file was cut or grown.
    #[error("{} is {found} bytes long but must be {expected}: it was cut, or copied in part. {ADVICE}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size its header, or the smallest file, asks for.
        expected: u64,
    },
    /// The header fails its checksum.
    #[error("the header of {} is damaged (its checksum does not match). {ADVICE}", path.display())]
    HeaderDamaged {
        /// The file.
        path: PathBuf,
    },
    /// One of the two files is not there.
    #[error("{} is missing, though the journal has been written to. {ADVICE}", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
    },
    /// The two files do not belong together.
    #[error(
        "the two journal files in {} have generations {first} and {second}, which do not follow each other: \
         one of them is an old copy. {ADVICE}", dir.display()
    )]
    NotConsecutive {
        /// The folder.
        dir: PathBuf,
        /// Generation of `votes-0.journal`.
        first: u64,
        /// Generation of `votes-1.journal`.
        second: u64,
    },
    /// Records are damaged in a way no crash explains.
    #[error("{} is damaged at byte {offset}: {reason}. {ADVICE}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// An earlier write or sync failed.
    #[error(
        "the vote journal failed before and takes no more records, because what is on disk is not known; \
         stop this member, check the disk, restart it"
    )]
    Poisoned,
    /// A sync was made to fail in a simulated world.
    #[error("the simulated disk failed to sync")]
    Simulated,
    /// The simulated machine crashed since this handle was opened.
    #[error("the simulated machine crashed since this handle was opened; open it again")]
    Crashed,
}

/// What a broken journal means, and what its operator can do.
const ADVICE: &str = "Votes this member has already sent may not be recorded here, so voting from this journal \
    could equivocate and be slashed: do not vote from it, do not delete it to start afresh, and do not \
    restore an older copy. If the disk or a file system snapshot still holds the newest files of this very \
    run, restore both. Otherwise a member without its safety state must not vote in this epoch: run it \
    without its key (it can still follow and serve), and let it vote again from the next epoch, \
    or under a new key";

/// The vote journal in two files of a folder. See the module for the order of its steps.
#[derive(Debug)]
pub struct FileJournal {
    dir: PathBuf,
    options: JournalOptions,
    file: File,
    generation: u64,
    sequence: u64,
    offset: usize,
    latest: Option<Vec<u8>>,
    poisoned: bool,
}

/// One of the two files, as read at open.
struct Found {
    path: PathBuf,
    header: Header,
    bytes: Vec<u8>,
}

impl FileJournal {
    /// Opens the journal in `dir`, making it if neither file is there. What `latest` then returns is
    /// durable. The caller holds the folder's [`crate::DataDirLock`].
    pub fn open(dir: &Path, options: JournalOptions) -> Result<Self, JournalError> {
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
            return Self::create(dir, options);
        };
        let found = scan(&newer)?;
        if let Some(torn_at) = found.torn_at {
            tracing::warn!(file = %newer.path.display(), torn_at, "dropped a torn last journal record");
        }
        let Some(newest) = found.newest else {
            return match newer.header.generation {
                FIRST => Self::create(dir, options),
                _ => Err(JournalError::Damaged {
                    path: newer.path,
                    offset: format::HEADER_BYTES as u64,
                    reason: "the record this file was made with is gone",
                }),
            };
        };
        Self::resume(dir, options, &newer, &newest)
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
        let mut journal = Self {
            dir: dir.to_path_buf(),
            options,
            file,
            generation: newer.header.generation,
            sequence: newest.sequence,
            offset: 0,
            latest: None,
            poisoned: false,
        };
        let record = &newer.bytes[newest.payload.clone()];
        journal.check_size(record)?;
        journal.switch(record)?;
        journal.latest = Some(record.to_vec());
        Ok(journal)
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
            latest: None,
            poisoned: false,
        })
    }

    fn record_limit(&self) -> usize {
        let space = usize::try_from(self.options.file_bytes).unwrap_or(usize::MAX);
        let space = space.saturating_sub(format::HEADER_BYTES);
        // A record takes its header and trailer too, rounded up.
        space
            .saturating_sub(format::record_bytes(0))
            .min(RECORD_BYTES_MAX)
    }

    fn check_size(&self, record: &[u8]) -> Result<(), JournalError> {
        let (bytes, limit) = (record.len(), self.record_limit());
        if bytes == 0 || bytes > limit {
            return Err(JournalError::RecordSize { bytes, limit });
        }
        Ok(())
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

    fn write(&mut self, record: &[u8]) -> Result<(), JournalError> {
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
}

impl Journal for FileJournal {
    fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        self.check_size(record)?;
        self.poisoned = true;
        self.write(record)?;
        self.poisoned = false;
        let latest = self.latest.get_or_insert_default();
        latest.clear();
        latest.extend_from_slice(record);
        Ok(())
    }

    fn latest(&self) -> Option<&[u8]> {
        self.latest.as_deref()
    }
}

fn name_of(generation: u64) -> &'static str {
    if generation.is_multiple_of(2) {
        NAMES[0]
    } else {
        NAMES[1]
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> JournalError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::PermissionDenied => JournalError::PermissionDenied { action, path },
        _ => JournalError::Io {
            action,
            path,
            source,
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_poisons_the_journal_until_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::open(dir.path(), JournalOptions::default()).unwrap();
        journal.append(b"one").unwrap();
        // A handle without the right to write fails as a broken disk would.
        let writable = std::mem::replace(
            &mut journal.file,
            File::open(dir.path().join(NAMES[1])).unwrap(),
        );
        let error = journal.append(b"two").unwrap_err();
        assert!(matches!(error, JournalError::Io { .. }), "{error}");
        journal.file = writable;
        let error = journal.append(b"three").unwrap_err();
        assert!(matches!(error, JournalError::Poisoned), "{error}");
        assert_eq!(journal.latest(), Some(&b"one"[..]));
        drop(journal);
        let mut journal = FileJournal::open(dir.path(), JournalOptions::default()).unwrap();
        assert_eq!(journal.latest(), Some(&b"one"[..]));
        journal.append(b"three").unwrap();
    }

    #[test]
    fn failed_switch_poisons_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions {
            file_bytes: JOURNAL_FILE_BYTES_MIN,
            durable: true,
        };
        let mut journal = FileJournal::open(dir.path(), options).unwrap();
        journal.append(&[1; 3000]).unwrap();
        // The file of the next generation cannot be written: a folder has its unfinished name.
        let blocked = dir
            .path()
            .join(format!("{}.{}", NAMES[0], disk::UNFINISHED));
        fs::create_dir(&blocked).unwrap();
        assert!(matches!(
            journal.append(&[2; 3000]).unwrap_err(),
            JournalError::Io { .. }
        ));
        fs::remove_dir(&blocked).unwrap();
        assert!(matches!(
            journal.append(&[3; 10]).unwrap_err(),
            JournalError::Poisoned
        ));
    }

    #[test]
    fn denied_permission_has_an_error_of_its_own() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = io_error("open", Path::new("/x/votes-0.journal"), denied);
        assert!(matches!(error, JournalError::PermissionDenied { .. }));
        assert!(error.to_string().contains("/x/votes-0.journal"));
    }

    #[test]
    fn bytes_of_a_file_are_pinned() {
        let header = Header {
            generation: 7,
            file_bytes: JOURNAL_FILE_BYTES_MIN,
        };
        let image = format::image(header, Some((9, b"state")));
        assert_eq!(image.len() as u64, JOURNAL_FILE_BYTES_MIN);
        let pinned = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(pinned(&image[..32]), PINNED_HEADER);
        assert_eq!(pinned(&image[4096..4128]), PINNED_RECORD);
        assert_eq!(format::read_header(&image), Ok(header));
    }

    const PINNED_HEADER: &str = "4f555452564f54450100000007000000000000000020000000000000aa78aa13";
    const PINNED_RECORD: &str = "05000000d785a26209000000000000007374617465a500000000000000000000";
}
