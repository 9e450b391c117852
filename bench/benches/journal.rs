//! Bytes to the disk, with and without waiting for it: `storage::journal_append`, `storage::store_commit`.
//!
//! The files lie under `target/tmp`, not in the system's folder for temporary files, which is often memory, where a
//! sync costs nothing. A safety state has about 700 bytes at 4 members and 9 KiB at 100.

#![allow(
    clippy::unwrap_used,
    reason = "a disk that cannot be written cannot be measured"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outrider_storage::{
    FileJournal, Journal, JournalOptions, SledStore, Store, StoreOptions, Table,
};
use outrider_types::Bytes;
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
    group.sample_size(20);
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));
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

criterion_group!(benches, journal_append, store_commit);
criterion_main!(benches);
