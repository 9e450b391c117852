//! Bytes to the disk, with and without waiting for it: `storage::journal_append`, `storage::store_commit`; and what
//! the index of the store costs: `storage::store_index`, `storage::store_get`.
//!
//! The files lie under `target/tmp`, not in the system's folder for temporary files, which is often memory, where a
//! sync costs nothing. A safety state has about 700 bytes at 4 members and 9 KiB at 100.

#![allow(
    clippy::unwrap_used,
    reason = "a disk that cannot be written cannot be measured"
)]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outrider_storage::{
    FileJournal, Journal, JournalOptions, SledStore, Store, StoreOptions, Table,
};
use outrider_types::Bytes;
use outrider_types::crypto::sha256;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Bytes of a payload of 1,000 transactions of 512 bytes, about.
const PAYLOAD_BYTES: usize = 512 * 1024;
/// A store that has grown past this is replaced by a new one.
const STORE_BYTES_MAX: u64 = 256 << 20;

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn journal_append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage::journal_append");
    for durable in [true, false] {
        for bytes in [512, 8 * 1024] {
            let dir = folder();
            let options = JournalOptions {
                durable,
                ..JournalOptions::default()
            };
            let mut journal = FileJournal::open(dir.path(), options).unwrap();
            let record = vec![0x6f; bytes];
            group.throughput(Throughput::Bytes(bytes as u64));
            // The switch to the other file that every 4 MiB of records bring is part of the price.
            group.bench_function(format!("durable={durable}/bytes={bytes}"), |bencher| {
                bencher.iter(|| journal.append(black_box(&record)).unwrap());
            });
            assert_eq!(journal.latest(), Some(&record[..]));
        }
    }
    group.finish();
}

/// A store and the folder that goes with it.
struct Held {
    store: SledStore,
    _dir: TempDir,
}

impl Held {
    fn new(durable: bool) -> Self {
        let dir = folder();
        let options = StoreOptions {
            durable,
            ..StoreOptions::default()
        };
        Self {
            store: SledStore::open(dir.path(), options).unwrap(),
            _dir: dir,
        }
    }
}

fn store_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage::store_commit");
    group.throughput(Throughput::Bytes(PAYLOAD_BYTES as u64));
    let payload = Bytes::from(vec![0x6f; PAYLOAD_BYTES]);
    for durable in [true, false] {
        let mut held = Held::new(durable);
        let mut height = 0_u64;
        group.bench_function(
            format!("durable={durable}/bytes={PAYLOAD_BYTES}"),
            |bencher| {
                bencher.iter_custom(|blocks| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..blocks {
                        if held.store.bytes_on_disk() > STORE_BYTES_MAX {
                            held = Held::new(durable);
                        }
                        height += 1;
                        let (key, value) = (height.to_be_bytes(), payload.clone());
                        let begin = Instant::now();
                        held.store.put(Table::Payload, &key, value).unwrap();
                        held.store.sync().unwrap();
                        spent += begin.elapsed();
                    }
                    spent
                });
            },
        );
        let last = held.store.get(Table::Payload, &height.to_be_bytes());
        assert_eq!(last.unwrap().as_ref(), Some(&payload));
    }
    group.finish();
}

/// The key of a transaction: as spread over all keys as a hash.
fn key(number: u64) -> [u8; 32] {
    sha256(&[&number.to_be_bytes()])
}

/// What a block's transactions add to a commit: a short value under a random key of each.
fn store_index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage::store_index");
    for keys in [10_u64, 1_000] {
        let mut held = Held::new(true);
        let mut next = 0_u64;
        group.throughput(Throughput::Elements(keys));
        group.bench_function(format!("durable=true/keys={keys}"), |bencher| {
            bencher.iter_custom(|blocks| {
                let mut spent = Duration::ZERO;
                for _ in 0..blocks {
                    let batch: Vec<_> = (next..next + keys).map(key).collect();
                    next += keys;
                    let begin = Instant::now();
                    for key in &batch {
                        held.store.put(Table::Transaction, key, place()).unwrap();
                    }
                    held.store.sync().unwrap();
                    spent += begin.elapsed();
                }
                spent
            });
        });
        let last = next.checked_sub(1).map(key);
        let found = last.map(|last| held.store.get(Table::Transaction, &last).unwrap());
        assert!(found.is_none_or(|found| found == Some(place())));
    }
    group.finish();
}

/// Where a transaction is, about.
fn place() -> Bytes {
    Bytes::from_static(&[0x6f; 28])
}

/// Looking for a transaction among 100,000: one that is there, and one that is not, which is what F1 hopes for.
fn store_get(criterion: &mut Criterion) {
    const ENTRIES: u64 = 100_000;
    let mut held = Held::new(false);
    for number in 0..ENTRIES {
        held.store
            .put(Table::Transaction, &key(number), place())
            .unwrap();
    }
    held.store.sync().unwrap();
    let mut group = criterion.benchmark_group("storage::store_get");
    for (name, first) in [("there", 0), ("absent", ENTRIES)] {
        let keys: Vec<_> = (first..first + 1_000).map(key).collect();
        let mut next = keys.iter().cycle();
        group.bench_function(format!("key={name}/entries={ENTRIES}"), |bencher| {
            bencher.iter(|| {
                let key = next.next().unwrap();
                let found = held.store.get(Table::Transaction, black_box(key)).unwrap();
                assert_eq!(found.is_some(), first == 0);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::short();
    targets = journal_append, store_commit, store_index, store_get
}
criterion_main!(benches);
