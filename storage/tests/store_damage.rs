//! What the store does with torn, damaged, lost and locked files.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use outrider_storage::{SledStore, Store, StoreError, StoreOptions, Table};
use tempfile::TempDir;

const OPTIONS: StoreOptions = StoreOptions {
    durable: true,
    segment_bytes: 1 << 20,
    cache_bytes: 1 << 20,
};

fn open(dir: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(dir, OPTIONS)
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join("segments").join(format!("{number:016x}.segment"))
}

fn long(fill: u8) -> Bytes {
    Bytes::from(vec![fill; 500])
}

/// A store with values `0..count`, each synced by itself.
fn written(count: u8) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    for key in 0..count {
        store.put(Table::Payload, &[key], long(key)).unwrap();
        store.sync().unwrap();
    }
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, path) = entry
            .map(|entry| (entry.path(), to.join(entry.file_name())))
            .unwrap();
        if entry.is_dir() {
            copy(&entry, &path);
        } else {
            fs::copy(&entry, &path).unwrap();
        }
    }
}

/// A copy with only the segments, the first of them changed.
fn without_index(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy(&dir.join("segments"), &to.path().join("segments"));
    let path = segment(to.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    to
}

fn keys(store: &SledStore) -> Vec<u8> {
    let found = store.range(Table::Payload, &[], 100).unwrap();
    for (key, value) in &found {
        assert_eq!(*value, long(key[0]));
    }
    found.iter().map(|(key, _)| key[0]).collect()
}

/// Header 32, frame 24 + 1 + 500 rounded up.
const FRAME: usize = 528;

#[test]
fn torn_tail_at_every_byte_keeps_a_prefix() {
    let dir = written(3);
    let end = fs::metadata(segment(dir.path(), 1)).unwrap().len() as usize;
    assert_eq!(end, 32 + 3 * FRAME);
    for cut in (end - FRAME..=end)
        .step_by(7)
        .chain([end - FRAME + 1, end - 1, end])
    {
        let torn = without_index(dir.path(), |bytes| bytes.truncate(cut));
        let mut store = open(torn.path()).unwrap();
        let expected = if cut == end {
            vec![0, 1, 2]
        } else {
            vec![0, 1]
        };
        assert_eq!(keys(&store), expected, "cut at {cut}");
        store.put(Table::Payload, &[9], long(9)).unwrap();
        store.sync().unwrap();
        drop(store);
        assert_eq!(keys(&open(torn.path()).unwrap()).last(), Some(&9));
    }
}

#[test]
fn torn_batch_whose_later_frames_arrived_first_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    store.put(Table::Payload, &[0], long(0)).unwrap();
    store.sync().unwrap();
    for key in 1..4 {
        store.put(Table::Payload, &[key], long(key)).unwrap();
    }
    store.sync().unwrap();
    drop(store);
    let torn = without_index(dir.path(), |bytes| bytes[32 + FRAME + 100] ^= 1);
    assert_eq!(keys(&open(torn.path()).unwrap()), [0]);
}

#[test]
fn flipped_byte_in_the_middle_is_fatal_and_explained() {
    let dir = written(3);
    for index in [
        0,
        12,
        30,
        32,
        36,
        40,
        48,
        52,
        56,
        57,
        300,
        32 + FRAME,
        32 + FRAME + 80,
    ] {
        let damaged = without_index(dir.path(), |bytes| bytes[index] ^= 1);
        let error = open(damaged.path()).map(drop).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{index}: {error}"
        );
        assert!(error.to_string().contains("fetched again"), "{error}");
    }
}

#[test]
fn flipped_byte_in_a_value_is_an_error_of_get() {
    let dir = written(3);
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[32 + FRAME + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.get(Table::Payload, &[0]).unwrap(), Some(long(0)));
    let error = store.get(Table::Payload, &[1]).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(store.range(Table::Payload, &[], 10).is_err());
}

#[test]
fn log_shorter_than_the_index_is_damage() {
    let dir = written(3);
    let file = fs::File::options()
        .write(true)
        .open(segment(dir.path(), 1))
        .unwrap();
    file.set_len(32 + FRAME as u64).unwrap();
    let error = open(dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn lost_segment_and_wrong_version_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        segment_bytes: 4096,
        ..OPTIONS
    };
    let mut store = SledStore::open(dir.path(), options).unwrap();
    for key in 0..30 {
        store.put(Table::Payload, &[key], long(key)).unwrap();
        store.sync().unwrap();
    }
    drop(store);
    let lost = without_index(dir.path(), |_| ());
    fs::remove_file(segment(lost.path(), 2)).unwrap();
    let error = open(lost.path()).map(drop).unwrap_err();
    assert!(
        matches!(error, StoreError::SegmentMissing { segment: 2, .. }),
        "{error}"
    );
    let newer = without_index(dir.path(), |bytes| bytes[8] = 2);
    let error = open(newer.path()).map(drop).unwrap_err();
    assert!(
        matches!(error, StoreError::WrongVersion { found: 2, .. }),
        "{error}"
    );
    // A broken frame at the end of a sealed segment is not a torn tail.
    let damaged = without_index(dir.path(), |bytes| {
        bytes.pop();
    });
    let error = open(damaged.path()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn lost_index_is_rebuilt() {
    let dir = written(20);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(keys(&store), (0..20).collect::<Vec<_>>());
}

#[test]
fn garbage_in_the_index_is_rebuilt() {
    for only_db in [false, true] {
        let dir = written(20);
        for damage in 0..3_u8 {
            for entry in fs::read_dir(dir.path().join("index")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() && (!only_db || path.ends_with("db")) {
                    let garbage = (0..70_000_u32).map(|n| (n * 31 + u32::from(damage)) as u8);
                    fs::write(&path, garbage.collect::<Vec<_>>()).unwrap();
                }
            }
            let mut store = open(dir.path()).unwrap();
            assert_eq!(keys(&store).len(), 20 + usize::from(damage));
            let key = 50 + damage;
            store.put(Table::Payload, &[key], long(key)).unwrap();
            store.sync().unwrap();
        }
    }
}

#[test]
fn index_that_cannot_be_opened_is_put_aside_and_rebuilt() {
    let dir = written(20);
    for _ in 0..2 {
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        fs::write(dir.path().join("index"), b"not a folder").unwrap();
        assert_eq!(keys(&open(dir.path()).unwrap()).len(), 20);
        let aside = fs::read(dir.path().join("index.damaged")).unwrap();
        assert_eq!(aside, b"not a folder");
    }
}

/// What sled does with damage inside its file is its own matter; that no wrong answer comes out of
/// it is ours.
#[test]
fn damage_inside_the_index_never_gives_a_wrong_answer() {
    let dir = written(40);
    let bytes = fs::read(dir.path().join("index/db")).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for at in (0..used).step_by((used / 24).max(1)) {
        let damaged = tempfile::tempdir().unwrap();
        copy(dir.path(), damaged.path());
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xFF;
        fs::write(damaged.path().join("index/db"), bytes).unwrap();
        let store = open(damaged.path()).unwrap();
        let found = store.range(Table::Payload, &[], 100);
        if let Ok(found) = found {
            assert_eq!(found.len(), 40, "flipped at {at}");
        }
    }
}

#[test]
fn index_open_when_the_machine_went_down_is_rebuilt() {
    let dir = written(3);
    fs::write(dir.path().join("index.open"), "an earlier boot").unwrap();
    assert_eq!(keys(&open(dir.path()).unwrap()), [0, 1, 2]);
    assert!(dir.path().join("index.damaged").is_dir());
    assert!(!dir.path().join("index.open").exists());
}

#[test]
fn killed_process_loses_nothing_that_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    for key in 0..50 {
        store.put(Table::Payload, &[key], long(key)).unwrap();
        store.sync().unwrap();
    }
    store.put(Table::Payload, &[99], long(99)).unwrap();
    // What the files hold while the store is still open is what a kill leaves.
    let killed = tempfile::tempdir().unwrap();
    copy(dir.path(), killed.path());
    assert_eq!(
        keys(&open(killed.path()).unwrap()),
        (0..50).collect::<Vec<_>>()
    );
}

#[test]
fn reclaim_gives_back_the_space_of_dead_values_and_survives_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        segment_bytes: 4096,
        ..OPTIONS
    };
    let mut store = SledStore::open(dir.path(), options).unwrap();
    for key in 0..100 {
        store.put(Table::Payload, &[key], long(key)).unwrap();
        store
            .put(Table::Meta, &[key], Bytes::from_static(b"short"))
            .unwrap();
    }
    for key in 0..100 {
        if key % 10 != 0 {
            store.delete(Table::Payload, &[key]).unwrap();
        }
    }
    store.sync().unwrap();
    let segments = || fs::read_dir(dir.path().join("segments")).unwrap().count();
    let before = segments();
    let mut freed = 0;
    for _ in 0..200 {
        freed += store.reclaim().unwrap();
    }
    assert!(freed > 30_000, "freed {freed}");
    assert!(segments() < before / 2);
    let expected: Vec<u8> = (0..100).step_by(10).collect();
    assert_eq!(keys(&store), expected);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = SledStore::open(dir.path(), options).unwrap();
    assert_eq!(keys(&store), expected);
    assert_eq!(store.range(Table::Meta, &[], 1000).unwrap().len(), 100);
}

#[test]
fn second_open_is_refused() {
    let dir = written(1);
    let store = open(dir.path()).unwrap();
    let error = open(dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains(&dir.path().display().to_string())
    );
    drop(store);
    open(dir.path()).unwrap();
}
