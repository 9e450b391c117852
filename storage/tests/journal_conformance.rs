//! The contract of `Journal`, run on the real and on the simulated adapter.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use outrider_storage::{
    FileJournal, Journal, JournalError, JournalOptions, MemoryDisk, RECORD_BYTES_MAX, Store, Table,
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
fn begun_record_is_the_latest_once_settled_and_kept_by_a_crash() {
    for place in Place::all() {
        let mut journal = place.open();
        journal.append(b"zero").unwrap();
        journal.begin(b"one").unwrap();
        assert_eq!(journal.latest(), Some(&b"zero"[..]), "not known durable");
        journal.settle().unwrap();
        assert_eq!(journal.latest(), Some(&b"one"[..]));
        // Nothing begun: nothing to settle, however often.
        journal.settle().unwrap();
        journal.settle().unwrap();
        assert_eq!(journal.latest(), Some(&b"one"[..]));
        drop(journal);
        place.crash();
        let mut journal = place.open();
        journal.settle().unwrap();
        assert_eq!(journal.latest(), Some(&b"one"[..]));
    }
}

#[test]
fn last_of_many_begun_records_is_the_latest() {
    for place in Place::all() {
        for burst in 1..12_u8 {
            let mut journal = place.open();
            for fill in 0..burst {
                journal.begin(&vec![fill; 900]).unwrap();
            }
            journal.settle().unwrap();
            assert_eq!(journal.latest(), Some(&vec![burst - 1; 900][..]));
            // An append settles what was begun before it.
            journal.begin(b"begun").unwrap();
            journal.append(&[burst; 30]).unwrap();
            assert_eq!(journal.latest(), Some(&[burst; 30][..]));
            drop(journal);
            place.crash();
            assert_eq!(place.open().latest(), Some(&[burst; 30][..]));
        }
    }
}

#[test]
fn unsettled_record_is_kept_when_the_journal_is_only_closed() {
    for place in Place::all() {
        let mut journal = place.open();
        journal.append(b"settled").unwrap();
        journal.begin(b"one").unwrap();
        journal.begin(b"two").unwrap();
        drop(journal);
        assert_eq!(place.open().latest(), Some(&b"two"[..]));
    }
}

#[test]
fn begun_record_of_a_wrong_size_is_refused_and_what_was_begun_before_stays() {
    for place in Place::all() {
        let mut journal = place.open();
        journal.begin(b"kept").unwrap();
        for bytes in [0, RECORD_BYTES_MAX + 1] {
            let error = journal.begin(&vec![1; bytes]).unwrap_err();
            assert!(matches!(error, JournalError::RecordSize { .. }), "{error}");
        }
        journal.settle().unwrap();
        assert_eq!(journal.latest(), Some(&b"kept"[..]));
    }
}

#[test]
fn simulated_crash_between_begin_and_settle_keeps_any_state_that_was_begun() {
    let states: [&[&[u8]]; 3] = [
        &[b"old", b"one"],
        &[b"old", b"one", b"two"],
        // The second waits when the third supersedes it.
        &[b"old", b"one", b"six"],
    ];
    for (begun, states) in states.into_iter().enumerate() {
        for keep in 0..5 {
            let disk = MemoryDisk::new();
            let mut journal = disk.journal();
            journal.append(b"old").unwrap();
            for record in [b"one", b"two", b"six"].into_iter().take(begun + 1) {
                journal.begin(record).unwrap();
            }
            assert_eq!(disk.unsynced(), states.len() - 1);
            disk.crash(keep);
            let error = journal.settle().unwrap_err();
            assert!(matches!(error, JournalError::Crashed), "{error}");
            let expected = states.get(keep).or(states.last()).unwrap();
            assert_eq!(disk.journal().latest(), Some(*expected));
        }
    }
}

#[test]
fn simulated_crash_keeps_a_begun_record_with_or_without_the_changes_before_it() {
    for keep in 0..6 {
        let disk = MemoryDisk::new();
        let (mut journal, mut store) = (disk.journal(), disk.store());
        let value = bytes::Bytes::from_static(b"block");
        store.put(Table::Block, b"a", value.clone()).unwrap();
        store.put(Table::Block, b"b", value).unwrap();
        journal.begin(b"vote").unwrap();
        assert_eq!(disk.unsynced(), 5);
        disk.crash(keep);
        let (journal, store) = (disk.journal(), disk.store());
        let blocks = store.range(Table::Block, &[], 9).unwrap().len();
        assert_eq!((blocks, journal.latest().is_some()), (keep % 3, keep >= 3));
    }
}

#[test]
fn simulated_failure_of_a_begun_record_shows_at_settle_and_stays() {
    for keep in [0, 1] {
        let disk = MemoryDisk::new();
        let mut journal = disk.journal();
        journal.append(b"one").unwrap();
        disk.fail_next_sync();
        // Nothing begun, no sync that could fail.
        journal.settle().unwrap();
        journal.begin(b"two").unwrap();
        let error = journal.settle().unwrap_err();
        assert!(matches!(error, JournalError::Simulated), "{error}");
        for done in [
            journal.settle(),
            journal.begin(b"six"),
            journal.append(b"six"),
        ] {
            assert!(matches!(done, Err(JournalError::Poisoned)));
        }
        assert_eq!(journal.latest(), Some(&b"one"[..]));
        disk.crash(keep);
        let expected: &[u8] = if keep == 0 { b"one" } else { b"two" };
        assert_eq!(disk.journal().latest(), Some(expected));
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

#[derive(Clone, Debug)]
enum Step {
    Begin(usize, u8),
    Settle,
    Append(usize, u8),
    Close,
    /// The machine goes down; only a simulated one can.
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = 1_usize..4064;
    prop_oneof![
        6 => (bytes.clone(), any::<u8>()).prop_map(|(b, f)| Step::Begin(b, f)),
        3 => Just(Step::Settle),
        2 => (bytes, any::<u8>()).prop_map(|(b, f)| Step::Append(b, f)),
        1 => Just(Step::Close),
        1 => any::<usize>().prop_map(Step::Crash),
    ]
}

/// What a journal may say: the settled record, then those begun since.
fn run(place: &Place, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut journal = place.open();
    let mut states: Vec<Option<Vec<u8>>> = vec![None];
    for step in steps {
        match step {
            Step::Begin(bytes, fill) => {
                let record = vec![*fill; *bytes];
                journal.begin(&record).unwrap();
                states.push(Some(record));
            }
            Step::Settle => {
                journal.settle().unwrap();
                states.drain(..states.len() - 1);
            }
            Step::Append(bytes, fill) => {
                let record = vec![*fill; *bytes];
                journal.append(&record).unwrap();
                states = vec![Some(record)];
            }
            Step::Close => {
                drop(journal);
                journal = place.open();
                states.drain(..states.len() - 1);
            }
            Step::Crash(keep) => {
                let Place::Memory(disk) = place else { continue };
                disk.crash(keep % (disk.unsynced() + 1));
                journal = place.open();
                let found = journal.latest().map(<[u8]>::to_vec);
                prop_assert!(states.contains(&found), "a record that was not begun");
                states = vec![found];
            }
        }
        prop_assert_eq!(journal.latest(), states[0].as_deref());
    }
    Ok(())
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

    #[test]
    fn journal_settles_the_last_begun_record_and_invents_none(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        for place in Place::all() {
            run(&place, &steps)?;
        }
    }
}

#[test]
fn disk_that_lost_its_journal_keeps_its_store() {
    let disk = MemoryDisk::new();
    let (mut journal, mut store) = (disk.journal(), disk.store());
    journal.append(b"record").unwrap();
    store
        .put(Table::Meta, b"key", bytes::Bytes::from_static(b"value"))
        .unwrap();
    store.sync().unwrap();
    disk.lose_journal();
    assert!(matches!(
        journal.append(b"later"),
        Err(JournalError::Crashed)
    ));
    assert_eq!(disk.journal().latest(), None);
    let kept = disk.store().get(Table::Meta, b"key").unwrap();
    assert_eq!(kept.as_deref(), Some(&b"value"[..]));
}
