//! The store from inside: what is in memory, what is in the index, and a kill between any two steps.

use super::*;
use crate::pending::Limits;
use crate::store::Table;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use tempfile::TempDir;

#[test]
fn failed_write_poisons_the_store_until_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path(), StoreOptions::default()).unwrap();
    let value = Bytes::from_static(b"value");
    store.put(Table::Meta, b"a", value.clone()).unwrap();
    store.sync().unwrap();
    store.log.break_writes();
    store.put(Table::Meta, b"b", value.clone()).unwrap();
    assert!(matches!(store.sync(), Err(StoreError::Io { .. })));
    assert!(matches!(store.sync(), Err(StoreError::Poisoned)));
    assert!(matches!(store.reclaim(), Err(StoreError::Poisoned)));
    let error = store.put(Table::Meta, b"c", value.clone());
    assert!(matches!(error, Err(StoreError::Poisoned)));
    drop(store);
    let store = SledStore::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(value));
    assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
}

#[test]
fn pending_changes_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durable: false,
        ..StoreOptions::default()
    };
    let mut store = SledStore::open(dir.path(), options).unwrap();
    let value = Bytes::from(vec![1; 1 << 20]);
    for key in 0..40_u8 {
        store.put(Table::Payload, &[key], value.clone()).unwrap();
        assert!(store.log.pending_bytes() as u64 <= UNSYNCED_BYTES_MAX);
    }
    assert_eq!(store.range(Table::Payload, &[], 100).unwrap().len(), 40);
}

#[test]
fn changes_that_wait_for_the_index_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path(), OPTIONS).unwrap();
    store.pending.limits = Limits {
        keys: 4,
        log_bytes: 500,
    };
    for key in 0..200_u8 {
        store.put(Table::Payload, &[key % 50], long(key)).unwrap();
        let waits = store.pending.waits();
        assert!(waits.0 <= 8 && waits.1 <= 1_000, "{waits:?}");
        store.sync().unwrap();
        let waits = store.pending.waits();
        assert!(waits.0 < 8 && waits.1 < 1_000, "{waits:?}");
    }
    assert_eq!(store.range(Table::Payload, &[], 100).unwrap().len(), 50);
}

#[test]
fn key_that_is_overwritten_reaches_the_index_once_and_only_when_it_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path(), OPTIONS).unwrap();
    let key = full_key(Table::Meta, b"tip");
    let start = store.index.position();
    for value in 0..100_u8 {
        store
            .put(Table::Meta, b"tip", Bytes::from(vec![value]))
            .unwrap();
        store.reclaim().unwrap();
        assert_eq!(store.index.get(&key).unwrap(), None);
        assert_eq!(store.index.position(), start);
    }
    store.reclaim().unwrap();
    let entry = store.index.get(&key).unwrap().unwrap();
    assert_eq!(entry.inline, Some(Bytes::from_static(&[99])));
    assert_eq!(store.index.position(), Some(store.log.end()));
    assert_eq!(store.index.live_bytes_all(), entry.bytes);
}

#[test]
fn long_value_is_read_from_memory_until_it_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path(), OPTIONS).unwrap();
    store.put(Table::Payload, b"a", long(1)).unwrap();
    store.put(Table::Payload, b"a", long(2)).unwrap();
    assert_eq!(store.get(Table::Payload, b"a").unwrap(), Some(long(2)));
    store.sync().unwrap();
    assert_eq!(store.get(Table::Payload, b"a").unwrap(), Some(long(2)));
    store.delete(Table::Payload, b"a").unwrap();
    assert_eq!(store.get(Table::Payload, b"a").unwrap(), None);
}

#[test]
fn live_change_the_index_does_not_have_is_moved_and_its_segment_then_removed() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        segment_bytes: 4096,
        ..OPTIONS
    };
    let mut store = SledStore::open(dir.path(), options).unwrap();
    for key in 0..20_u8 {
        store.put(Table::Payload, &[key], long(key)).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(store.index.live_bytes_all(), 0);
    store.move_stretch(1).unwrap();
    assert!(store.emptied.is_some());
    // Not before the index knows where they went.
    assert_eq!(store.reclaim().unwrap(), 0);
    let freed = (0..4).map(|_| store.reclaim().unwrap()).sum::<u64>();
    assert_eq!((freed > 3_000, store.log.first().segment), (true, 2));
    for key in 0..20_u8 {
        let found = store.get(Table::Payload, &[key]).unwrap();
        assert_eq!(found, Some(long(key)));
    }
}

const OPTIONS: StoreOptions = StoreOptions {
    durable: false,
    segment_bytes: 1 << 20,
    cache_bytes: 1 << 20,
};

fn long(fill: u8) -> Bytes {
    Bytes::from(vec![fill; 300])
}

/// What a kill leaves at this moment: the files as they are.
fn killed(store: &mut SledStore) -> TempDir {
    // Files that a thread is just writing could be copied in no state that ever was.
    let SledStore { pending, index, .. } = store;
    pending.collect(index, true).unwrap();
    index.flush().unwrap();
    let to = tempfile::tempdir().unwrap();
    copy(&store.dir, to.path());
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Bytes in use, counted anew from all entries.
fn counted(store: &SledStore) -> BTreeMap<u64, u64> {
    let mut live = BTreeMap::new();
    for found in store.index.range(&[1], &[255]) {
        let (_, entry) = found.unwrap();
        *live.entry(entry.at.segment).or_default() += entry.bytes;
    }
    live
}

/// The index's counts are those of its entries, or higher by at most `most` in all.
fn assert_counts(store: &SledStore, most: u64) {
    let counted = counted(store);
    for (segment, bytes) in &counted {
        assert!(
            store.index.live_bytes(*segment) >= *bytes,
            "a live segment would be removed"
        );
    }
    let all = counted.values().sum::<u64>();
    assert!(store.index.live_bytes_all() <= all + most);
}

#[derive(Clone, Debug)]
enum Step {
    Put(Table, u8, bool),
    Delete(Table, u8),
    Sync,
    Reclaim,
    /// Killed with so many of the waiting changes written to the index, but not the position.
    Kill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let table = || prop_oneof![Just(Table::Payload), Just(Table::Transaction)];
    prop_oneof![
        8 => (table(), 0..12_u8, any::<bool>()).prop_map(|(t, k, l)| Step::Put(t, k, l)),
        3 => (table(), 0..12_u8).prop_map(|(t, k)| Step::Delete(t, k)),
        4 => Just(Step::Sync),
        2 => Just(Step::Reclaim),
        1 => (0..16_usize).prop_map(Step::Kill),
    ]
}

type Model = BTreeMap<(Table, u8), Bytes>;

fn contents(store: &SledStore) -> Model {
    let mut found = Model::new();
    for table in [Table::Payload, Table::Transaction] {
        let entries = store.range(table, &[], 100).unwrap();
        assert_eq!(store.last(table).unwrap().as_ref(), entries.last());
        for (key, value) in entries {
            assert_eq!(store.get(table, &key).unwrap().as_ref(), Some(&value));
            found.insert((table, key[0]), value);
        }
    }
    found
}

fn run(keys: usize, steps: &[Step]) {
    let options = StoreOptions {
        segment_bytes: 4096,
        ..OPTIONS
    };
    let open = |dir: &TempDir| {
        let mut store = SledStore::open(dir.path(), options).unwrap();
        store.pending.limits.keys = keys;
        store
    };
    let mut dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    let (mut seen, mut synced, mut again) = (Model::new(), Model::new(), 0);
    let mut known = BTreeSet::new();
    for (at, step) in steps.iter().enumerate() {
        let value = |long| Bytes::from(vec![at as u8; if long { 300 } else { 30 }]);
        match step {
            Step::Put(table, key, long) => {
                let long = *long && *table == Table::Payload;
                store.put(*table, &[*key], value(long)).unwrap();
                seen.insert((*table, *key), value(long));
                known.insert(((*table, *key), value(long)));
                again += frame_bytes(1, 30);
            }
            Step::Delete(table, key) => {
                store.delete(*table, &[*key]).unwrap();
                seen.remove(&(*table, *key));
            }
            Step::Sync => store.sync().unwrap(),
            Step::Reclaim => drop(store.reclaim().unwrap()),
            Step::Kill(written) => {
                store.sync().unwrap();
                let SledStore { pending, index, .. } = &mut store;
                pending.collect(index, true).unwrap();
                let position = index.position().unwrap();
                let part = pending.first_changes(*written);
                let applied = index.application().run(&part, position).unwrap();
                index.applied(applied);
                let left = killed(&mut store);
                store = open(&left);
                dir = left;
                assert_eq!(store.index.position(), Some(store.log.end()));
            }
        }
        if matches!(step, Step::Sync | Step::Reclaim | Step::Kill(_)) {
            synced = seen.clone();
        }
        assert_eq!(contents(&store), seen);
        let SledStore { pending, index, .. } = &mut store;
        pending.collect(index, true).unwrap();
        assert_counts(&store, again);
    }
    // What was not synced is lost, or the first few changes of it.
    let left = killed(&mut store);
    drop(store);
    drop(dir);
    let found = contents(&open(&left));
    for (key, value) in &found {
        assert!(known.contains(&(*key, value.clone())), "{key:?}");
    }
    if seen == synced {
        assert_eq!(found, seen);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn kill_between_any_two_steps_of_sync_and_application_loses_nothing_synced(
        keys in prop_oneof![Just(2_usize), Just(6), Just(1_000)],
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        run(keys, &steps);
    }
}
