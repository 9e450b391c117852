//! The contract of `Journal`, run on the real and on the simulated adapter.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use outrider_storage::{
    FileJournal, Journal, JournalError, JournalOptions, MemoryDisk, RECORD_BYTES_MAX,
};
use proptest::prelude::*;

/// One place on disk which a journal is opened from again and again.
enum Place {
    Files(tempfile::TempDir, JournalOptions),
    Memory(MemoryDisk),
}

impl Place {
    fn all() -> Vec<Self> {
        let dir = || tempfile::tempdir().unwrap();
        let small = JournalOptions {
            file_bytes: 8192,
            durable: true,
        };
        vec![
            Self::Files(dir(), JournalOptions::default()),
            Self::Files(dir(), small),
            Self::Memory(MemoryDisk::new()),
        ]
    }

    fn open(&self) -> Box<dyn Journal> {
        match self {
            Self::Files(dir, options) => Box::new(FileJournal::open(dir.path(), *options).unwrap()),
            Self::Memory(disk) => Box::new(disk.journal()),
        }
    }

    fn crash(&self) {
        if let Self::Memory(disk) = self {
            disk.crash(0);
        }
    }
}

#[test]
fn new_journal_has_no_record_however_often_it_is_opened() {
    for place in Place::all() {
        for _ in 0..3 {
            assert_eq!(place.open().latest(), None);
            place.crash();
        }
    }
}

#[test]
fn latest_is_the_last_appended_also_after_a_crash() {
    for place in Place::all() {
        for round in 1..20_u8 {
            let mut journal = place.open();
            let before = (round > 1).then(|| vec![round - 1; 900]);
            assert_eq!(journal.latest(), before.as_deref());
            journal.append(&[0xEE]).unwrap();
            assert_eq!(journal.latest(), Some(&[0xEE][..]));
            journal.append(&vec![round; 900]).unwrap();
            assert_eq!(journal.latest(), Some(&vec![round; 900][..]));
            drop(journal);
            place.crash();
        }
    }
}

#[test]
fn record_of_a_wrong_size_is_refused_and_changes_nothing() {
    for place in Place::all() {
        let mut journal = place.open();
        journal.append(b"kept").unwrap();
        for bytes in [0, RECORD_BYTES_MAX + 1] {
            let error = journal.append(&vec![1; bytes]).unwrap_err();
            assert!(matches!(error, JournalError::RecordSize { .. }), "{error}");
        }
        assert_eq!(journal.latest(), Some(&b"kept"[..]));
        journal.append(b"next").unwrap();
        drop(journal);
        assert_eq!(place.open().latest(), Some(&b"next"[..]));
    }
}

#[test]
fn record_limit_is_exact() {
    for place in Place::all() {
        let limit = match &place {
            Place::Files(_, options) if options.file_bytes == 8192 => 8192 - 4096 - 32,
            _ => RECORD_BYTES_MAX,
        };
        let mut journal = place.open();
        for bytes in [limit - 1, limit, limit] {
            journal.append(&vec![1; bytes]).unwrap();
        }
        assert!(journal.append(&vec![1; limit + 1]).is_err());
        drop(journal);
        assert_eq!(place.open().latest().map(<[u8]>::len), Some(limit));
    }
}

#[test]
fn simulated_failure_poisons_and_the_record_may_or_may_not_survive() {
    for keep in [0, 1] {
        let disk = MemoryDisk::new();
        let mut journal = disk.journal();
        journal.append(b"one").unwrap();
        disk.fail_next_sync();
        let error = journal.append(b"two").unwrap_err();
        assert!(matches!(error, JournalError::Simulated), "{error}");
        let error = journal.append(b"three").unwrap_err();
        assert!(matches!(error, JournalError::Poisoned), "{error}");
        disk.crash(keep);
        let error = journal.append(b"four").unwrap_err();
        assert!(matches!(error, JournalError::Crashed), "{error}");
        let expected: &[u8] = if keep == 0 { b"one" } else { b"two" };
        assert_eq!(disk.journal().latest(), Some(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn journal_agrees_with_a_variable(
        steps in proptest::collection::vec((1_usize..4064, any::<u8>(), any::<bool>()), 1..40)
    ) {
        for place in Place::all() {
            let mut journal = place.open();
            for (bytes, fill, reopen) in &steps {
                journal.append(&vec![*fill; *bytes]).unwrap();
                let expected = Some(vec![*fill; *bytes]);
                if *reopen {
                    drop(journal);
                    place.crash();
                    journal = place.open();
                }
                prop_assert_eq!(journal.latest(), expected.as_deref());
            }
        }
    }
}
