//! What the vote journal does with torn, damaged, lost and foreign files.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use std::fs;
use std::path::Path;

use outrider_storage::{FileJournal, Journal, JournalError, JournalOptions};
use tempfile::TempDir;

const OPTIONS: JournalOptions = JournalOptions {
    file_bytes: 8192,
    durable: true,
};
const HEADER: usize = 4096;
const NAMES: [&str; 2] = ["votes-0.journal", "votes-1.journal"];

fn open(dir: &Path) -> Result<FileJournal, JournalError> {
    FileJournal::open(dir, OPTIONS)
}

/// A journal to which these records were appended in one go, starting in `votes-1.journal`.
fn written(records: &[&[u8]]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    for record in records {
        journal.append(record).unwrap();
    }
    dir
}

fn copy(dir: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// A copy of a journal with one file changed.
fn changed(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let to = copy(dir);
    let path = to.path().join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    to
}

#[test]
fn torn_tail_at_every_byte_gives_the_record_before() {
    let last = vec![0xC7; 700];
    let dir = written(&[b"first", b"second", &last]);
    // Two records of 32 bytes each, then 16 + 700 + 1 bytes.
    let (start, end) = (HEADER + 64, HEADER + 64 + 717);
    for cut in start..=end {
        let torn = changed(dir.path(), NAMES[1], |bytes| bytes[cut..].fill(0));
        let mut journal = open(torn.path()).unwrap();
        let expected = if cut == end { &last[..] } else { b"second" };
        assert_eq!(journal.latest(), Some(expected), "cut at {cut}");
        journal.append(b"next").unwrap();
        drop(journal);
        assert_eq!(open(torn.path()).unwrap().latest(), Some(&b"next"[..]));
    }
}

#[test]
fn torn_first_record_of_a_new_journal_leaves_an_empty_one() {
    let dir = written(&[b"only"]);
    for cut in HEADER..HEADER + 21 {
        let torn = changed(dir.path(), NAMES[1], |bytes| bytes[cut..].fill(0));
        let mut journal = open(torn.path()).unwrap();
        assert_eq!(journal.latest(), None, "cut at {cut}");
        journal.append(b"next").unwrap();
        drop(journal);
        assert_eq!(open(torn.path()).unwrap().latest(), Some(&b"next"[..]));
    }
}

#[test]
fn record_without_one_of_its_sectors_is_torn() {
    let last = vec![0xC7; 1500];
    let dir = written(&[b"first", &last]);
    for sector in 0..3 {
        let (from, to) = (HEADER + 512 * sector, HEADER + 512 * (sector + 1));
        let torn = changed(dir.path(), NAMES[1], |bytes| {
            bytes[from.max(HEADER + 32)..to].fill(0);
        });
        let journal = open(torn.path()).unwrap();
        assert_eq!(journal.latest(), Some(&b"first"[..]), "sector {sector}");
    }
}

#[test]
fn flipped_byte_anywhere_is_fatal_and_explained() {
    let dir = written(&[b"first", &[0xAA; 300], b"third"]);
    let used = HEADER + 32 + 320 + 32;
    let mut tolerated = Vec::new();
    for index in (0..64).chain(HEADER..used) {
        let damaged = changed(dir.path(), NAMES[1], |bytes| bytes[index] ^= 0xFF);
        match open(damaged.path()) {
            Ok(journal) => tolerated.push((index, journal.latest().unwrap().to_vec())),
            Err(JournalError::WrongVersion { .. }) => assert!((8..12).contains(&index)),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(NAMES[1]), "{message}");
                assert!(message.contains("must not vote in this epoch"), "{message}");
                // Nothing was touched: the operator can still look at it.
                let bytes = fs::read(damaged.path().join(NAMES[1])).unwrap();
                assert_eq!(
                    bytes[index] ^ 0xFF,
                    fs::read(dir.path().join(NAMES[1])).unwrap()[index]
                );
            }
        }
    }
    // Only padding, which says nothing.
    let last_record = HEADER + 32 + 320;
    for (index, latest) in tolerated {
        let padding = (HEADER + 22..HEADER + 32).contains(&index)
            || (HEADER + 32 + 317..last_record).contains(&index)
            || (last_record + 22..used).contains(&index);
        assert!(padding, "flipped at {index}");
        assert_eq!(latest, b"third", "flipped at {index}");
    }
}

#[test]
fn bytes_beyond_the_last_record_are_damage() {
    let dir = written(&[b"first"]);
    let damaged = changed(dir.path(), NAMES[1], |bytes| bytes[8000] = 1);
    // Zeros where the next record would be, something after: no single write leaves that.
    assert!(open(damaged.path()).is_ok_and(|journal| journal.latest() == Some(b"first")));
    let damaged = changed(dir.path(), NAMES[1], |bytes| {
        bytes[HEADER + 32] = 1;
        bytes[8000] = 1;
    });
    let error = open(damaged.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn many_generations_stay_at_two_files_of_fixed_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    for step in 0..200_u32 {
        let record = vec![1; 500 + step as usize];
        journal.append(&record).unwrap();
        let mut names = Vec::new();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().len(), OPTIONS.file_bytes);
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, NAMES);
        if step % 7 == 0 {
            drop(journal);
            journal = open(dir.path()).unwrap();
        }
        assert_eq!(journal.latest(), Some(&record[..]));
    }
}

#[test]
fn crash_between_the_steps_of_a_switch_loses_nothing() {
    let (old, new) = (vec![0x11; 2000], vec![0x22; 3000]);
    let dir = written(&[b"first", &old]);
    let before = copy(dir.path());
    // 3000 bytes more do not fit: the switch writes votes-0. (Opening switches too, so the handle
    // that appends is one which wrote into votes-1 itself.)
    let after = written(&[b"first", &old, &new]);
    let made = fs::read(after.path().join(NAMES[0])).unwrap();
    assert_eq!(
        fs::read(before.path().join(NAMES[1])).unwrap(),
        fs::read(after.path().join(NAMES[1])).unwrap()
    );
    // Step 1: the new file is being written under its unfinished name, cut at any length.
    for length in [0, 1, 31, 4096, 4100, 7000, made.len()] {
        let at_crash = copy(before.path());
        let unfinished = at_crash.path().join("votes-0.journal.new");
        fs::write(&unfinished, &made[..length]).unwrap();
        assert_eq!(open(at_crash.path()).unwrap().latest(), Some(&old[..]));
        assert!(!unfinished.exists());
    }
    // Step 2: renamed, whether or not the append returned.
    let mut journal = open(after.path()).unwrap();
    assert_eq!(journal.latest(), Some(&new[..]));
    journal.append(b"next").unwrap();
}

#[test]
fn crash_while_the_journal_is_made_leaves_one_that_opens() {
    let whole = written(&[]);
    let half = copy(whole.path());
    fs::remove_file(half.path().join(NAMES[0])).unwrap();
    let mut journal = open(half.path()).unwrap();
    assert_eq!(journal.latest(), None);
    journal.append(b"one").unwrap();
    drop(journal);
    assert_eq!(open(half.path()).unwrap().latest(), Some(&b"one"[..]));
}

#[test]
fn lost_or_old_file_of_the_pair_is_refused() {
    let dir = written(&[b"one"]);
    // Every opening begins a new generation; keep an old copy of each state.
    let old = copy(dir.path());
    for record in [b"two", b"six"] {
        open(dir.path()).unwrap().append(record).unwrap();
        for name in NAMES {
            let lost = copy(dir.path());
            fs::remove_file(lost.path().join(name)).unwrap();
            let error = open(lost.path()).unwrap_err();
            assert!(matches!(error, JournalError::FileMissing { .. }), "{error}");
        }
    }
    // Generations 3 and 2 now; 0 from the old copy in place of 2.
    let mixed = copy(dir.path());
    fs::copy(old.path().join(NAMES[0]), mixed.path().join(NAMES[0])).unwrap();
    let error = open(mixed.path()).unwrap_err();
    assert!(
        matches!(error, JournalError::NotConsecutive { .. }),
        "{error}"
    );
    // One file under the other's name.
    let swapped = copy(dir.path());
    fs::copy(dir.path().join(NAMES[0]), swapped.path().join(NAMES[1])).unwrap();
    let error = open(swapped.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn foreign_files_have_distinct_errors() {
    let dir = written(&[b"one"]);
    let error = |change: fn(&mut Vec<u8>)| {
        let damaged = changed(dir.path(), NAMES[1], change);
        open(damaged.path()).unwrap_err()
    };
    assert!(matches!(
        error(|b| b.clear()),
        JournalError::WrongSize { .. }
    ));
    assert!(matches!(
        error(|b| b.truncate(8191)),
        JournalError::WrongSize { .. }
    ));
    assert!(matches!(
        error(|b| b.push(0)),
        JournalError::WrongSize { .. }
    ));
    assert!(matches!(
        error(|b| b[0] = b'X'),
        JournalError::WrongMagic { .. }
    ));
    assert!(matches!(
        error(|b| b[13] = 9),
        JournalError::HeaderDamaged { .. }
    ));
    let version = error(|b| b[8] = 2);
    assert!(
        matches!(version, JournalError::WrongVersion { found: 2, .. }),
        "{version}"
    );
    // A folder where the file should be.
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(NAMES[0])).unwrap();
    assert!(open(folder.path()).is_err());
}

#[test]
fn file_size_may_change_between_runs_and_is_checked() {
    let dir = written(&[b"one"]);
    for file_bytes in [JournalOptions::default().file_bytes, 16384, 8192, 8192] {
        let options = JournalOptions {
            file_bytes,
            durable: true,
        };
        let journal = FileJournal::open(dir.path(), options).unwrap();
        assert_eq!(journal.latest(), Some(&b"one"[..]));
    }
    let options = JournalOptions {
        file_bytes: 8191,
        durable: true,
    };
    let error = FileJournal::open(dir.path(), options).unwrap_err();
    assert!(matches!(error, JournalError::Options { .. }), "{error}");
}

#[test]
fn crash_while_a_begun_record_is_written_gives_a_begun_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    journal.append(b"settled").unwrap();
    let (intent, newer) = (vec![0xC7; 700], vec![0xC8; 900]);
    journal.begin(&intent).unwrap();
    journal.settle().unwrap();
    journal.begin(&newer).unwrap();
    journal.settle().unwrap();
    // 16 + bytes + 1, the first two padded to a multiple of 16.
    let starts = [HEADER + 32, HEADER + 32 + 720];
    let end = starts[1] + 917;
    for cut in starts[0]..=end {
        let torn = changed(dir.path(), NAMES[1], |bytes| bytes[cut..].fill(0));
        let expected = match cut {
            _ if cut == end => &newer[..],
            _ if cut >= starts[0] + 717 => &intent[..],
            _ => b"settled",
        };
        let mut journal = open(torn.path()).unwrap();
        assert_eq!(journal.latest(), Some(expected), "cut at {cut}");
        journal.begin(b"next").unwrap();
        journal.settle().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn record_changes_neither_length_nor_blocks_of_its_file() {
    use std::os::unix::fs::MetadataExt;
    let options = JournalOptions {
        file_bytes: 1 << 20,
        durable: true,
    };
    let dir = tempfile::tempdir().unwrap();
    let mut journal = FileJournal::open(dir.path(), options).unwrap();
    let path = dir.path().join(NAMES[1]);
    let state = || {
        let found = fs::metadata(&path).unwrap();
        (found.ino(), found.len(), found.blocks())
    };
    let before = state();
    assert_eq!(before.1, options.file_bytes);
    assert!(
        before.2 * 512 >= options.file_bytes,
        "the file has holes: {before:?}"
    );
    for fill in 0..100_u8 {
        journal.begin(&vec![fill; 9000]).unwrap();
        journal.settle().unwrap();
        assert_eq!(state(), before);
    }
}
