//! One process per data folder: an exclusive lock on `dir/LOCK`, released by the system when the
//! process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

/// The name of the lock file in a data folder.
pub const LOCK_FILE: &str = "LOCK";

/// Holds a data folder for this process until it is dropped. Take it before opening anything in the
/// folder: two processes that vote with one key equivocate.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
    dir: PathBuf,
}

/// Why a data folder could not be held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, holds it.
    #[error(
        "the data folder {} is in use by another process (process id: {holder}). \
         Two processes on one folder would vote twice with one key. \
         Stop the other process, or give this one a folder and a key of its own",
        dir.display()
    )]
    InUse {
        /// The data folder.
        dir: PathBuf,
        /// The process id which the holder wrote into the file, or "unknown".
        holder: String,
    },
    /// The lock file could not be made, read or locked.
    #[error(
        "cannot lock the data folder {}: {source}. \
         Check that it exists, that this user may write to it and that its file system has locks",
        dir.display()
    )]
    Io {
        /// The data folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataDirLock {
    /// Locks `dir`, creating it if it is missing. Does not wait: fails at once when it is held.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        Self::acquire_file(dir, LOCK_FILE)
    }

    /// The folder that is held.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn acquire_file(dir: &Path, name: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            dir: dir.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join(name))
            .map_err(failed)?;
        if !FileExt::try_lock_exclusive(&file).map_err(failed)? {
            return Err(LockError::InUse {
                dir: dir.to_path_buf(),
                holder: holder(&file),
            });
        }
        // The process id is only for the message above; the lock is what counts.
        file.set_len(0).map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self {
            _file: file,
            dir: dir.to_path_buf(),
        })
    }
}

fn holder(file: &File) -> String {
    const PID_BYTES_MAX: u64 = 20;
    let mut text = String::new();
    let read = file.take(PID_BYTES_MAX).read_to_string(&mut text);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if read.is_ok() && digits {
        text
    } else {
        "unknown".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_is_refused_naming_folder_and_holder_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDirLock::acquire(dir.path()).unwrap();
        assert_eq!(first.dir(), dir.path());
        let error = DataDirLock::acquire(dir.path()).unwrap_err();
        assert!(matches!(error, LockError::InUse { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&dir.path().display().to_string()));
        assert!(message.contains(&std::process::id().to_string()));
        drop(first);
        DataDirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn lock_creates_the_folder_and_reports_a_folder_that_cannot_be() {
        let dir = tempfile::tempdir().unwrap();
        DataDirLock::acquire(&dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        let error = DataDirLock::acquire(&dir.path().join("file")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error}");
    }
}
