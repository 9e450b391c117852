//! The tree over a rollup's transactions: `types::merkle_root`, `types::merkle_path`, `types::merkle_check`.

#![allow(
    clippy::unwrap_used,
    reason = "a path that is not there is a mistake in the bench"
)]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outrider_types::merkle::{Hash, leaf_hash, path, root, root_from_path};
use std::hint::black_box;

/// Leaves: a small block's, a usual one's, the most a payload may hold.
const LEAVES: [usize; 3] = [16, 1_000, 16_384];

fn tree(criterion: &mut Criterion) {
    for count in LEAVES {
        let leaves: Vec<Hash> = (0..count)
            .map(|number| leaf_hash(&number.to_be_bytes()))
            .collect();
        let index = count / 2;
        let expected = root(&leaves);
        let siblings = path(&leaves, index).unwrap();
        let (at, of) = (index as u64, count as u64);
        let from_path = || root_from_path(leaves[index], at, of, black_box(&siblings));
        assert_eq!(from_path(), Some(expected));
        let mut group = criterion.benchmark_group("types::merkle_root");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("leaves={count}"), |bencher| {
            bencher.iter(|| root(black_box(&leaves)));
        });
        group.finish();
        criterion.bench_function(&format!("types::merkle_path/leaves={count}"), |bencher| {
            bencher.iter(|| path(black_box(&leaves), index));
        });
        criterion.bench_function(&format!("types::merkle_check/leaves={count}"), |bencher| {
            bencher.iter(from_path);
        });
    }
}

criterion_group! { name = benches; config = common::short(); targets = tree }
criterion_main!(benches);
