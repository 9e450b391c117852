//! Bytes of the payload channel: `types::payload_message_encode`, `types::payload_message_decode`.
//!
//! 1,000 transactions of 512 bytes, as they are spread, as a proposer tells them, and as a member confirms them.

#![allow(
    clippy::unwrap_used,
    reason = "what does not decode is a mistake in the bench"
)]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{payload, transactions};
use outrider_types::message::{Received, Reference, References, Transactions, batch_id};
use outrider_types::{PayloadMessage, decode, encode};
use std::hint::black_box;

const TRANSACTIONS: usize = 1_000;
const BYTES: usize = 512;

fn messages() -> [(&'static str, PayloadMessage); 4] {
    let list = transactions(TRANSACTIONS, BYTES);
    let payload = payload(&list);
    let ids: Vec<_> = list.iter().map(outrider_types::Transaction::id).collect();
    let batch = batch_id(&ids);
    let references = References {
        payload: payload.id(),
        batches: vec![Reference {
            batch,
            left_out: vec![1, 2, 3],
        }],
        orders: Default::default(),
    };
    let received = Received {
        batch,
        refused: vec![1, 2, 3],
    };
    [
        (
            "transactions",
            PayloadMessage::Transactions(Transactions { list }),
        ),
        ("payload", PayloadMessage::Payload(payload)),
        ("references", PayloadMessage::References(references)),
        ("received", PayloadMessage::Received(received)),
    ]
}

fn message(criterion: &mut Criterion) {
    for (kind, message) in messages() {
        let bytes = encode(&message);
        assert_eq!(decode::<PayloadMessage>(bytes.clone()).unwrap(), message);
        let name = format!("kind={kind}/transactions={TRANSACTIONS}/bytes={BYTES}");
        let mut group = criterion.benchmark_group("types::payload_message_encode");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(&name, |bencher| {
            bencher.iter(|| encode(black_box(&message)));
        });
        group.finish();
        let mut group = criterion.benchmark_group("types::payload_message_decode");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(&name, |bencher| {
            bencher.iter(|| decode::<PayloadMessage>(black_box(&bytes).clone()).unwrap());
        });
        group.finish();
    }
}

criterion_group! { name = benches; config = common::short(); targets = message }
criterion_main!(benches);
