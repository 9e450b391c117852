//! The contract of `Store`, run on the real and on the simulated adapter, by example and against a
//! model.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use outrider_storage::{
    KEY_BYTES_MAX, MemoryDisk, SledStore, Store, StoreError, StoreOptions, Table, VALUE_BYTES_MAX,
};
use proptest::prelude::*;

/// One place on disk which a store is opened from again and again.
enum Place {
    Sled(tempfile::TempDir),
    Memory(MemoryDisk),
}

impl Place {
    fn all() -> [Self; 2] {
        [
            Self::Sled(tempfile::tempdir().unwrap()),
            Self::Memory(MemoryDisk::new()),
        ]
    }

    fn open(&self) -> Box<dyn Store> {
        self.open_with(4096)
    }

    fn open_with(&self, segment_bytes: u64) -> Box<dyn Store> {
        match self {
            Self::Sled(dir) => {
                let options = StoreOptions {
                    durable: true,
                    segment_bytes,
                    cache_bytes: 1 << 20,
                };
                Box::new(SledStore::open(dir.path(), options).unwrap())
            }
            Self::Memory(disk) => Box::new(disk.store()),
        }
    }

    /// Bytes of the segment files, as the file system says.
    fn segment_bytes(&self) -> Option<u64> {
        let Self::Sled(dir) = self else { return None };
        let files = std::fs::read_dir(dir.path().join("segments")).unwrap();
        Some(files.map(|f| f.unwrap().metadata().unwrap().len()).sum())
    }

    fn crash(&self, keep: usize) {
        if let Self::Memory(disk) = self {
            disk.crash(keep % (disk.unsynced() + 1));
        }
    }
}

fn value(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

#[test]
fn put_and_delete_are_seen_at_once_and_kept_by_sync() {
    for place in Place::all() {
        let mut store = place.open();
        assert_eq!(store.get(Table::Block, b"k").unwrap(), None);
        store.put(Table::Block, b"k", value(b"one")).unwrap();
        assert_eq!(store.get(Table::Block, b"k").unwrap(), Some(value(b"one")));
        assert_eq!(store.get(Table::Payload, b"k").unwrap(), None);
        store.sync().unwrap();
        store.put(Table::Block, b"k", value(b"two")).unwrap();
        store.put(Table::Block, b"gone", value(b"x")).unwrap();
        store.delete(Table::Block, b"gone").unwrap();
        store.delete(Table::Block, b"never there").unwrap();
        store.sync().unwrap();
        store.sync().unwrap();
        drop(store);
        place.crash(0);
        let store = place.open();
        assert_eq!(store.get(Table::Block, b"k").unwrap(), Some(value(b"two")));
        assert_eq!(store.get(Table::Block, b"gone").unwrap(), None);
        assert!(store.bytes_on_disk() > 0);
    }
}

#[test]
fn unsynced_changes_are_lost_from_the_end() {
    for place in Place::all() {
        let mut store = place.open();
        store.put(Table::Meta, b"a", value(b"1")).unwrap();
        store.sync().unwrap();
        store.put(Table::Meta, b"b", value(b"2")).unwrap();
        drop(store);
        place.crash(0);
        let store = place.open();
        assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(value(b"1")));
        assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
    }
}

#[test]
fn range_and_last_are_ordered_within_their_table_synced_or_not() {
    for place in Place::all() {
        let mut store = place.open();
        for key in [5_u8, 1, 9, 3, 200] {
            store
                .put(Table::Height, &[key], Bytes::from(vec![key; 300]))
                .unwrap();
        }
        store
            .put(Table::Certificate, &[255; 64], value(b"below"))
            .unwrap();
        store.put(Table::Transaction, &[], value(b"above")).unwrap();
        store.sync().unwrap();
        store.put(Table::Height, &[4], value(b"four")).unwrap();
        store.put(Table::Height, &[5], value(b"five")).unwrap();
        store.delete(Table::Height, &[9]).unwrap();
        store.delete(Table::Height, &[200]).unwrap();
        let keys = |from: &[u8], limit| -> Vec<u8> {
            let found = store.range(Table::Height, from, limit).unwrap();
            found.iter().map(|(key, _)| key[0]).collect()
        };
        assert_eq!(keys(&[], 100), [1, 3, 4, 5]);
        assert_eq!(keys(&[3], 2), [3, 4]);
        assert_eq!(keys(&[3, 0], 2), [4, 5]);
        assert_eq!(keys(&[6], 2), Vec::<u8>::new());
        assert_eq!(keys(&[], 0), Vec::<u8>::new());
        let last = store.last(Table::Height).unwrap();
        assert_eq!(last, Some((Bytes::from_static(&[5]), value(b"five"))));
        let last = store.last(Table::Transaction).unwrap();
        assert_eq!(last, Some((Bytes::new(), value(b"above"))));
        assert_eq!(store.last(Table::Block).unwrap(), None);
    }
}

#[test]
fn limits_of_key_and_value_are_exact() {
    for place in Place::all() {
        let mut store = place.open();
        let key = [7; KEY_BYTES_MAX + 1];
        let exact = &key[..KEY_BYTES_MAX];
        store.put(Table::Block, exact, Bytes::new()).unwrap();
        assert_eq!(store.get(Table::Block, exact).unwrap(), Some(Bytes::new()));
        let refused = [
            store.put(Table::Block, &key, Bytes::new()),
            store.delete(Table::Block, &key),
            store.get(Table::Block, &key).map(drop),
            store.range(Table::Block, &key, 1).map(drop),
        ];
        for error in refused {
            assert!(matches!(error, Err(StoreError::KeyTooLong { bytes: 65 })));
        }
        let long = Bytes::from(vec![1; VALUE_BYTES_MAX + 1]);
        let error = store.put(Table::Block, b"long", long.clone());
        assert!(matches!(error, Err(StoreError::ValueTooLong { .. })));
        let longest = long.slice(1..);
        store.put(Table::Block, b"long", longest.clone()).unwrap();
        store.sync().unwrap();
        assert!(store.get(Table::Block, b"long").unwrap() == Some(longest));
    }
}

/// Steps of `reclaim` until three in a row free nothing: with segments of this size, the first only notes that
/// nothing is being written, the second moves what is alive and the third frees.
fn reclaim_all(store: &mut dyn Store) -> u64 {
    const STEPS_MAX: usize = 10_000;
    let (mut freed, mut idle, mut steps) = (0, 0, 0);
    while idle < 3 {
        match store.reclaim().unwrap() {
            0 => idle += 1,
            bytes => (freed, idle) = (freed + bytes, 0),
        }
        steps += 1;
        assert!(steps < STEPS_MAX, "reclaim does not come to an end");
    }
    freed
}

#[test]
fn bytes_on_disk_fall_when_most_values_are_deleted_and_reclaimed() {
    const KEYS: u32 = 10_000;
    // Pruning deletes the oldest; the tenth that stays is either the newest or spread over all.
    for spread in [false, true] {
        for place in Place::all() {
            let mut store = place.open_with(256 << 10);
            let value = |key: u32| Bytes::from(vec![key.to_le_bytes()[0]; 600]);
            let stays = |key: u32| {
                if spread {
                    key.is_multiple_of(10)
                } else {
                    key >= 9_000
                }
            };
            for key in 0..KEYS {
                store
                    .put(Table::Payload, &key.to_be_bytes(), value(key))
                    .unwrap();
            }
            store.sync().unwrap();
            let full = store.bytes_on_disk();
            assert!(full > u64::from(KEYS) * 600);
            for key in (0..KEYS).filter(|key| !stays(*key)) {
                store.delete(Table::Payload, &key.to_be_bytes()).unwrap();
            }
            store.sync().unwrap();
            reclaim_all(&mut *store);
            let left = store.bytes_on_disk();
            assert!(left < full / 2, "{left} of {full} bytes are left");
            if let Some(files) = place.segment_bytes() {
                assert!(files < full / 4, "segments of {files} bytes are left");
            }
            // A second time there is nothing to do.
            assert_eq!(reclaim_all(&mut *store), 0);
            drop(store);
            place.crash(0);
            let store = place.open_with(256 << 10);
            for key in 0..KEYS {
                let expected = stays(key).then(|| value(key));
                let found = store.get(Table::Payload, &key.to_be_bytes()).unwrap();
                assert!(found == expected, "key {key}");
            }
        }
    }
}

#[test]
fn failed_sync_in_a_simulated_world_poisons_the_handle() {
    let disk = MemoryDisk::new();
    let mut store = disk.store();
    store.put(Table::Meta, b"a", value(b"1")).unwrap();
    store.put(Table::Meta, b"b", value(b"2")).unwrap();
    disk.fail_next_sync();
    assert!(matches!(store.sync(), Err(StoreError::Simulated)));
    assert!(matches!(store.sync(), Err(StoreError::Poisoned)));
    let error = store.delete(Table::Meta, b"a");
    assert!(matches!(error, Err(StoreError::Poisoned)));
    disk.crash(1);
    assert!(matches!(
        store.get(Table::Meta, b"a"),
        Err(StoreError::Crashed)
    ));
    let store = disk.store();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(value(b"1")));
    assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Put(Table, u8, usize, u8),
    Delete(Table, u8),
    Sync,
    Crash(usize),
    Reclaim,
}

fn table() -> impl Strategy<Value = Table> {
    (0..Table::ALL.len()).prop_map(|index| Table::ALL[index])
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![0_usize..300, Just(256), Just(257), 300_usize..6000];
    prop_oneof![
        8 => (table(), 0_u8..8, bytes, any::<u8>()).prop_map(|(t, k, b, f)| Step::Put(t, k, b, f)),
        3 => (table(), 0_u8..8).prop_map(|(t, k)| Step::Delete(t, k)),
        2 => Just(Step::Sync),
        1 => any::<usize>().prop_map(Step::Crash),
        2 => Just(Step::Reclaim),
    ]
}

type Model = BTreeMap<(u8, Vec<u8>), Bytes>;

fn contents(store: &dyn Store) -> Model {
    let mut found = Model::new();
    for table in Table::ALL {
        let entries = store.range(table, &[], usize::MAX).unwrap();
        assert_eq!(store.last(table).unwrap().as_ref(), entries.last());
        for (key, value) in entries {
            assert_eq!(store.get(table, &key).unwrap().as_ref(), Some(&value));
            found.insert((table.byte(), key.to_vec()), value);
        }
    }
    found
}

fn run(place: &Place, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut store = place.open();
    // All states a crash may leave: the synced one, and one more after each change since.
    let mut states = vec![Model::new()];
    for step in steps {
        let mut now = states.last().unwrap().clone();
        match step {
            Step::Put(table, key, bytes, fill) => {
                let value = Bytes::from(vec![*fill; *bytes]);
                store.put(*table, &[*key], value.clone()).unwrap();
                now.insert((table.byte(), vec![*key]), value);
                states.push(now);
            }
            Step::Delete(table, key) => {
                store.delete(*table, &[*key]).unwrap();
                now.remove(&(table.byte(), vec![*key]));
                states.push(now);
            }
            Step::Sync => {
                store.sync().unwrap();
                states = vec![now];
            }
            Step::Reclaim => {
                // It may sync; that keeps more, never less.
                store.reclaim().unwrap();
            }
            Step::Crash(keep) => {
                drop(store);
                place.crash(*keep);
                store = place.open();
                let found = contents(&*store);
                prop_assert!(states.contains(&found), "no prefix of the changes");
                states = vec![found];
            }
        }
        if !matches!(step, Step::Crash(_)) {
            prop_assert_eq!(&contents(&*store), states.last().unwrap());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn memory_store_agrees_with_a_map(steps in proptest::collection::vec(step(), 1..80)) {
        run(&Place::Memory(MemoryDisk::new()), &steps)?;
    }

    #[test]
    fn sled_store_agrees_with_a_map(steps in proptest::collection::vec(step(), 1..80)) {
        run(&Place::Sled(tempfile::tempdir().unwrap()), &steps)?;
    }
}
