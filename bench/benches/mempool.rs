//! The mempool with 1,000 transactions of 512 bytes, of 4 rollups: from admission over batches to a payload, and out again.
//!
//! | bench | what |
//! |---|---|
//! | `admit` | transactions that came one by one |
//! | `admit_own`, `seal` | submitted here, and made into a batch |
//! | `admit_batch` | a batch that another member spread |
//! | `assemble` | a leader's payload |
//! | `resolve` | a voter's: the same from references to batches |
//! | `committed` | all of them are final |

#![allow(
    clippy::unwrap_used,
    reason = "what is refused is a mistake in the bench"
)]

mod common;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use outrider_bench::{ROLLUPS, START, payload, transactions};
use outrider_mempool::{AssemblyLimits, Limits, Mempool};
use outrider_types::{Transaction, TransactionId};
use std::hint::black_box;

const TRANSACTIONS: usize = 1_000;
const BYTES: usize = 512;

type Identified = Vec<(TransactionId, Transaction)>;

fn group<'a>(criterion: &'a mut Criterion, operation: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("mempool::{operation}"));
    group.throughput(Throughput::Elements(TRANSACTIONS as u64));
    group
}

fn size() -> String {
    format!("transactions={TRANSACTIONS}/bytes={BYTES}/rollups={ROLLUPS}")
}

fn all() -> Vec<Transaction> {
    transactions(TRANSACTIONS, BYTES)
}

fn identified() -> Identified {
    all().into_iter().map(|one| (one.id(), one)).collect()
}

fn empty() -> Mempool {
    Mempool::new(Limits::default())
}

fn admitted(transactions: Vec<Transaction>) -> Mempool {
    let mut pool = empty();
    for transaction in transactions {
        pool.admit(START, transaction).unwrap();
    }
    pool
}

fn own(transactions: Identified) -> Mempool {
    let mut pool = empty();
    for (id, transaction) in transactions {
        pool.admit_own(START, id, transaction).unwrap();
    }
    pool
}

/// Into batches: a thousand such transactions are one.
fn sealed(mut pool: Mempool) -> Mempool {
    let batch = pool.seal().unwrap();
    assert_eq!(batch.ids.len(), TRANSACTIONS);
    assert!(!pool.has_open());
    pool
}

/// What a member that did not take part in spreading holds after it.
fn spread(transactions: Identified) -> Mempool {
    let mut pool = empty();
    let (_, refused) = pool.admit_batch(START, 1, transactions, |_| false);
    assert!(refused.is_empty());
    pool
}

fn admission(criterion: &mut Criterion) {
    let (plain, identified) = (all(), identified());
    group(criterion, "admit").bench_function(size(), |bencher| {
        bencher.iter_batched(
            || plain.clone(),
            |transactions| admitted(black_box(transactions)),
            BatchSize::LargeInput,
        );
    });
    group(criterion, "admit_own").bench_function(size(), |bencher| {
        bencher.iter_batched(
            || identified.clone(),
            |transactions| own(black_box(transactions)),
            BatchSize::LargeInput,
        );
    });
    group(criterion, "seal").bench_function(size(), |bencher| {
        bencher.iter_batched(|| own(identified.clone()), sealed, BatchSize::LargeInput);
    });
    group(criterion, "admit_batch").bench_function(size(), |bencher| {
        bencher.iter_batched(
            || identified.clone(),
            |transactions| spread(black_box(transactions)),
            BatchSize::LargeInput,
        );
    });
}

fn assembly(criterion: &mut Criterion) {
    let limits = AssemblyLimits::default();
    let expected = payload(&all());
    for batches in [false, true] {
        let pool = if batches {
            sealed(own(identified()))
        } else {
            admitted(all())
        };
        let assembled = pool.assemble(&limits, &|_| false);
        assert_eq!(*assembled.payload.payload, expected);
        assert_eq!(assembled.references.is_some(), batches);
        let name = format!("{}/batches={batches}", size());
        group(criterion, "assemble").bench_function(name, |bencher| {
            bencher.iter(|| pool.assemble(black_box(&limits), &|_| false));
        });
    }
}

fn resolving(criterion: &mut Criterion) {
    let assembled = sealed(own(identified())).assemble(&AssemblyLimits::default(), &|_| false);
    let references = assembled.references.unwrap();
    let pool = spread(identified());
    assert_eq!(pool.resolve(&references).unwrap(), assembled.payload);
    group(criterion, "resolve").bench_function(size(), |bencher| {
        bencher.iter(|| pool.resolve(black_box(&references)).unwrap());
    });
}

fn committed(criterion: &mut Criterion) {
    let transactions = identified();
    let ids: Vec<TransactionId> = transactions.iter().map(|(id, _)| *id).collect();
    group(criterion, "committed").bench_function(size(), |bencher| {
        bencher.iter_batched(
            || spread(transactions.clone()),
            |mut pool| {
                pool.committed(black_box(&ids));
                assert!(pool.is_empty());
                pool
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = common::short();
    targets = admission, assembly, resolving, committed
}
criterion_main!(benches);
