//! From transaction to proof: what a block of 1,000 transactions of 512 bytes, of 4 rollups, costs at each stage.
//!
//! Throughput is in transactions, except of proofs, which are of one each.

#![allow(
    clippy::unwrap_used,
    reason = "what is refused or not proven is a mistake in the bench"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{MEMBERS, ROLLUPS, START, Scene, payload, transactions};
use outrider_finality::{FinalityProof, Ledger, verify, verify_json};
use outrider_mempool::{AssemblyLimits, Limits, Mempool};
use outrider_types::{Payload, Transaction};
use std::hint::black_box;

const TRANSACTIONS: usize = 1_000;
const BYTES: usize = 512;

/// The keys of what is measured.
fn size() -> String {
    format!("transactions={TRANSACTIONS}/bytes={BYTES}/rollups={ROLLUPS}")
}

fn all() -> (Vec<Transaction>, Payload) {
    let transactions = transactions(TRANSACTIONS, BYTES);
    let payload = payload(&transactions);
    (transactions, payload)
}

fn hashing(criterion: &mut Criterion) {
    let (_, payload) = all();
    let throughput = Throughput::Elements(TRANSACTIONS as u64);
    let mut group = criterion.benchmark_group("types::payload_id");
    group.throughput(throughput.clone());
    group.bench_function(size(), |bencher| bencher.iter(|| black_box(&payload).id()));
    group.finish();
    let mut group = criterion.benchmark_group("types::payload_check");
    group.throughput(throughput);
    group.bench_function(size(), |bencher| {
        bencher.iter(|| black_box(&payload).check().unwrap());
    });
    group.finish();
}

fn filled(transactions: Vec<Transaction>) -> Mempool {
    let mut pool = Mempool::new(Limits::default());
    for transaction in transactions {
        pool.admit(START, transaction).unwrap();
    }
    pool
}

fn mempool(criterion: &mut Criterion) {
    let (transactions, payload) = all();
    let throughput = Throughput::Elements(TRANSACTIONS as u64);
    let mut group = criterion.benchmark_group("mempool::admit");
    group.throughput(throughput.clone());
    group.bench_function(size(), |bencher| {
        bencher.iter_batched(
            || transactions.clone(),
            |transactions| filled(black_box(transactions)),
            BatchSize::LargeInput,
        );
    });
    group.finish();

    let pool = filled(transactions);
    let limits = AssemblyLimits::default();
    assert_eq!(pool.assemble(&limits, &|_| false), payload);
    let mut group = criterion.benchmark_group("mempool::assemble");
    group.throughput(throughput.clone());
    group.bench_function(size(), |bencher| {
        bencher.iter(|| pool.assemble(black_box(&limits), &|_| false));
    });
    group.finish();

    let ids: Vec<_> = payload.ids().collect();
    let mut group = criterion.benchmark_group("mempool::committed");
    group.throughput(throughput);
    group.bench_function(size(), |bencher| {
        bencher.iter_batched(
            || filled(all().0),
            |mut pool| {
                pool.committed(black_box(&ids));
                pool
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let (_, payload) = all();
    let scene = Scene::new(MEMBERS[0], payload.id());
    let ids: Vec<_> = payload.ids().collect();
    let ledger = Ledger::new(&scene.genesis);
    let mut group = criterion.benchmark_group("finality::ledger_append");
    group.throughput(Throughput::Elements(TRANSACTIONS as u64));
    group.bench_function(size(), |bencher| {
        bencher.iter_batched(
            || ledger.clone(),
            |mut ledger| {
                let block = black_box(&scene.first);
                let appended = ledger.append(block, &ids, &payload).unwrap();
                (ledger, appended)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Of the transaction in the middle of the block, by commit votes of a quorum.
fn proof(criterion: &mut Criterion) {
    let (transactions, payload) = all();
    let id = transactions[TRANSACTIONS / 2].id();
    for members in MEMBERS {
        let scene = Scene::new(members, payload.id());
        let committee = &scene.committee;
        let certificate = scene.finality().into_inner();
        let build = || {
            let (certificate, path) = (certificate.clone(), Vec::new());
            FinalityProof::build(committee, scene.first, path, certificate, &payload, id).unwrap()
        };
        let proof = build();
        let json = proof.to_json();
        assert_eq!(verify(committee, &proof).unwrap().transaction, id);
        criterion.bench_function(
            &format!("finality::proof_build/{}/members={members}", size()),
            |bencher| bencher.iter(build),
        );
        criterion.bench_function(
            &format!("finality::proof_verify/{}/members={members}", size()),
            |bencher| bencher.iter(|| verify(committee, black_box(&proof)).unwrap()),
        );
        criterion.bench_function(
            &format!("finality::proof_verify_json/{}/members={members}", size()),
            |bencher| {
                bencher.iter(|| verify_json(committee, black_box(json.as_bytes())).unwrap());
            },
        );
    }
}

criterion_group!(benches, hashing, mempool, ledger, proof);
criterion_main!(benches);
