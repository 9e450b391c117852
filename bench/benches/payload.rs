//! From payload to proof: what a block of 1,000 transactions of 512 bytes, of 4 rollups, costs at each stage.
//!
//! Throughput is in transactions, except of proofs, which are of one each.

#![allow(
    clippy::unwrap_used,
    reason = "what is refused or not proven is a mistake in the bench"
)]

mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{MEMBERS, ROLLUPS, Scene, payload, transactions};
use outrider_finality::{FinalityProof, Ledger, Outlook, verify, verify_json};
use outrider_types::{Block, CheckedPayload, Payload, Transaction};
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
    let (transactions, payload) = all();
    let throughput = Throughput::Elements(TRANSACTIONS as u64);
    for bytes in [BYTES, 32, 4096] {
        let one = &outrider_bench::transactions(1, bytes)[0];
        let mut group = criterion.benchmark_group("types::transaction_id");
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("bytes={bytes}"), |bencher| {
            bencher.iter(|| black_box(one).id());
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("types::payload_id");
    group.throughput(throughput.clone());
    group.bench_function(size(), |bencher| bencher.iter(|| black_box(&payload).id()));
    group.finish();
    let mut group = criterion.benchmark_group("types::payload_check");
    group.throughput(throughput);
    let ids: Vec<_> = payload.ids().collect();
    assert_eq!(ids.len(), transactions.len());
    for ids_known in [false, true] {
        let name = format!("{}/ids_known={ids_known}", size());
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (payload.clone(), ids.clone()),
                |(payload, ids)| {
                    let checked = if ids_known {
                        CheckedPayload::from_ids(payload, ids)
                    } else {
                        CheckedPayload::new(payload)
                    };
                    checked.unwrap()
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let (_, payload) = all();
    let scene = Scene::new(MEMBERS[0], payload.id());
    let checked = CheckedPayload::new(payload).unwrap();
    let ledger = Ledger::new(&scene.genesis);
    let roots = Outlook::default().roots(&ledger, scene.genesis.id(), &checked);
    let first = Block {
        roots: roots.unwrap(),
        ..scene.first
    };
    let mut group = criterion.benchmark_group("finality::ledger_append");
    group.throughput(Throughput::Elements(TRANSACTIONS as u64));
    group.bench_function(size(), |bencher| {
        bencher.iter_batched(
            || ledger.clone(),
            |mut ledger| {
                let block = black_box(&first);
                let appended = ledger.append(block, &checked).unwrap();
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

criterion_group! {
    name = benches;
    config = common::short();
    targets = hashing, ledger, proof
}
criterion_main!(benches);
