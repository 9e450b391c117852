//! The vote journal from inside: what fails, what is superseded, and how its thread ends.

use std::fs;

use super::files::NAMES;
use super::format::Header;
use super::*;
use crate::disk;

fn journal() -> (tempfile::TempDir, FileJournal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(dir.path(), JournalOptions::default()).unwrap();
    (dir, journal)
}

fn reopen(dir: &tempfile::TempDir) -> FileJournal {
    FileJournal::open(dir.path(), JournalOptions::default()).unwrap()
}

/// A file that may not be written fails as a broken disk would.
fn break_writes(journal: &FileJournal) {
    let mut files = journal.writer.hold();
    files.break_writes();
    journal.writer.release(files);
}

fn assert_takes_nothing_more(journal: &mut FileJournal) {
    let poisoned = |done: Result<(), JournalError>| {
        let error = done.unwrap_err();
        assert!(matches!(error, JournalError::Poisoned), "{error}");
    };
    for _ in 0..2 {
        poisoned(journal.begin(b"more"));
        poisoned(journal.settle());
        poisoned(journal.append(b"more"));
    }
}

#[test]
fn failed_write_poisons_the_journal_until_it_is_opened_again() {
    let (dir, mut journal) = journal();
    journal.append(b"one").unwrap();
    break_writes(&journal);
    let error = journal.append(b"two").unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert_takes_nothing_more(&mut journal);
    assert_eq!(journal.latest(), Some(&b"one"[..]));
    drop(journal);
    let mut journal = reopen(&dir);
    assert_eq!(journal.latest(), Some(&b"one"[..]));
    journal.append(b"three").unwrap();
}

#[test]
fn failed_write_of_a_begun_record_is_told_once_by_settle_and_never_forgotten() {
    let (dir, mut journal) = journal();
    journal.append(b"one").unwrap();
    break_writes(&journal);
    journal.begin(b"two").unwrap();
    let error = journal.settle().unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert_takes_nothing_more(&mut journal);
    assert_eq!(journal.latest(), Some(&b"one"[..]));
    drop(journal);
    assert_eq!(reopen(&dir).latest(), Some(&b"one"[..]));
}

#[test]
fn begin_tells_that_the_thread_failed_before() {
    let (_dir, mut journal) = journal();
    break_writes(&journal);
    journal.begin(b"one").unwrap();
    journal.writer.wait_until_failed();
    let error = journal.begin(b"two").unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert_takes_nothing_more(&mut journal);
    assert_eq!(journal.latest(), None);
}

#[test]
fn failed_switch_poisons_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        file_bytes: JOURNAL_FILE_BYTES_MIN,
        durable: true,
    };
    for begin in [false, true] {
        let mut journal = FileJournal::open(dir.path(), options).unwrap();
        journal.append(&[1; 3000]).unwrap();
        // The file of the next generation cannot be written: a folder has its unfinished name.
        let blocked = NAMES.map(|name| dir.path().join(format!("{name}.{}", disk::UNFINISHED)));
        blocked
            .iter()
            .for_each(|name| fs::create_dir(name).unwrap());
        let done = if begin {
            journal.begin(&[2; 3000]).and_then(|()| journal.settle())
        } else {
            journal.append(&[2; 3000])
        };
        assert!(matches!(done.unwrap_err(), JournalError::Io { .. }));
        blocked
            .iter()
            .for_each(|name| fs::remove_dir(name).unwrap());
        assert_takes_nothing_more(&mut journal);
    }
}

#[test]
fn panic_of_the_thread_is_a_failure_and_not_a_wait_for_ever() {
    let (_dir, mut journal) = journal();
    // An empty record is refused by `begin`; the encoder asserts that there is none.
    journal.writer.put(Arc::from([]), true);
    journal.writer.wait_until_failed();
    assert_takes_nothing_more(&mut journal);
}

#[test]
fn record_that_waits_is_superseded_and_one_being_written_is_not() {
    let (dir, mut journal) = journal();
    let files = journal.writer.hold();
    assert_eq!(files.sequence(), 0);
    for record in [b"one", b"two", b"six"] {
        journal.begin(record).unwrap();
    }
    assert_eq!(journal.latest(), None);
    journal.writer.release(files);
    journal.settle().unwrap();
    assert_eq!(journal.latest(), Some(&b"six"[..]));
    let files = journal.writer.hold();
    assert_eq!(files.sequence(), 1, "two records were superseded");
    journal.writer.release(files);
    journal.append(b"ten").unwrap();
    let files = journal.writer.hold();
    assert_eq!(files.sequence(), 2);
    journal.writer.release(files);
    drop(journal);
    assert_eq!(reopen(&dir).latest(), Some(&b"ten"[..]));
}

#[test]
fn settle_writes_what_the_thread_has_not_taken() {
    let (dir, mut journal) = journal();
    // The thread is not told.
    journal.hand_over(b"one", false).unwrap();
    journal.settle().unwrap();
    let killed = tempfile::tempdir().unwrap();
    for name in NAMES {
        fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    assert_eq!(reopen(&killed).latest(), Some(&b"one"[..]));
}

#[test]
fn settle_without_begin_touches_nothing() {
    let (dir, mut journal) = journal();
    journal.append(b"one").unwrap();
    break_writes(&journal);
    let before = NAMES.map(|name| fs::read(dir.path().join(name)).unwrap());
    for _ in 0..3 {
        journal.settle().unwrap();
    }
    let after = NAMES.map(|name| fs::read(dir.path().join(name)).unwrap());
    assert!(before == after);
    assert_eq!(journal.latest(), Some(&b"one"[..]));
}

#[test]
fn drop_finishes_what_was_begun_and_joins_the_thread() {
    let (dir, mut journal) = journal();
    let alive = journal.writer.alive();
    journal.append(b"one").unwrap();
    // Begun, and not even waited for.
    journal.hand_over(b"two", false).unwrap();
    assert!(alive());
    drop(journal);
    assert!(!alive());
    assert_eq!(reopen(&dir).latest(), Some(&b"two"[..]));
    // Also after a failure.
    let mut journal = reopen(&dir);
    let alive = journal.writer.alive();
    break_writes(&journal);
    journal.begin(b"lost").unwrap();
    drop(journal);
    assert!(!alive());
    assert_eq!(reopen(&dir).latest(), Some(&b"two"[..]));
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
