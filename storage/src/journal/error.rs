//! What can go wrong with the vote journal, and what its operator can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::{JOURNAL_FILE_BYTES_MAX, JOURNAL_FILE_BYTES_MIN};

/// Why the journal cannot be opened or written to.
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
    /// The thread that writes could not be started.
    #[error(
        "cannot start the thread that writes the vote journal: {source}; free memory or raise the limit of \
         threads (ulimit -u), then start the node again"
    )]
    Thread {
        /// What the system said.
        source: io::Error,
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

/// A failed `action` on `path`.
pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> JournalError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_permission_has_an_error_of_its_own() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = io_error("open", Path::new("/x/votes-0.journal"), denied);
        assert!(matches!(error, JournalError::PermissionDenied { .. }));
        assert!(error.to_string().contains("/x/votes-0.journal"));
    }
}
