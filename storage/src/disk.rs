//! The few file system steps that must be done in one order: a file appears whole or not at all, and
//! a folder entry is durable before anyone relies on it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What a file is called while it is being written; a leftover with this ending is never read.
pub(crate) const UNFINISHED: &str = "new";

/// Writes `contents` as `dir/name`, replacing any file there: first under another name, synced, then
/// renamed, then the folder is synced. After a crash at any step `dir/name` is the old file or the
/// whole new one. With `durable: false` nothing is synced.
pub(crate) fn write_whole(
    dir: &Path,
    name: &str,
    contents: &[u8],
    durable: bool,
) -> io::Result<File> {
    let unfinished = dir.join(format!("{name}.{UNFINISHED}"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&unfinished)?;
    file.write_all(contents)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&unfinished, dir.join(name))?;
    if durable {
        sync_dir(dir)?;
    }
    Ok(file)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates a folder with its parents, and makes its own entry durable.
pub(crate) fn create_dir(dir: &Path, durable: bool) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    match dir.parent() {
        Some(parent) if durable && !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Removes a file; that it was not there is fine.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
