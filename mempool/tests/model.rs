//! M1-M4, M6: random calls against a plain model of a mempool.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use bytes::Bytes;
use outrider_mempool::{AdmissionError, AssemblyLimits, Limits, Mempool};
use outrider_types::codec::EncodeSize;
use outrider_types::{RollupId, Timestamp, Transaction, TransactionId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const LIMITS: fn() -> Limits = || Limits {
    transaction_bytes: 60,
    total_transactions: 30,
    total_bytes: 900,
    lane_transactions: 12,
    lane_bytes: 400,
    lanes: 5,
    rollups: None,
};

#[derive(Clone, Debug)]
enum Call {
    Admit {
        rollup: u64,
        number: u8,
        size: usize,
    },
    /// Assemble under limits; in flight are the last `excluded` payloads. Commit it, or leave it in flight.
    Assemble {
        limits: AssemblyLimits,
        commit: bool,
    },
    /// Another member's payload, with something held here and something not.
    Foreign { held: usize, number: u8 },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let admit = (0..8_u64, 0..40_u8, 0..64_usize).prop_map(|(rollup, number, size)| Call::Admit {
        rollup,
        number,
        size,
    });
    let limits =
        (0..600_usize, 0..12_usize, 0..6_usize).prop_map(|(bytes, transactions, lanes)| {
            AssemblyLimits {
                bytes,
                transactions,
                lanes,
            }
        });
    let assemble =
        (limits, any::<bool>()).prop_map(|(limits, commit)| Call::Assemble { limits, commit });
    let foreign =
        (any::<usize>(), 0..40_u8).prop_map(|(held, number)| Call::Foreign { held, number });
    prop::collection::vec(prop_oneof![8 => admit, 2 => assemble, 1 => foreign], 0..150)
}

fn transaction(rollup: u64, number: u8, size: usize) -> Transaction {
    Transaction {
        rollup: RollupId(rollup),
        data: Bytes::from(vec![number; size]),
    }
}

/// Lists in order of arrival.
#[derive(Default)]
struct Model {
    lanes: BTreeMap<RollupId, Vec<(TransactionId, usize)>>,
}

impl Model {
    fn all(&self) -> impl Iterator<Item = &(TransactionId, usize)> {
        self.lanes.values().flatten()
    }

    fn expected(&self, tx: &Transaction) -> Result<TransactionId, AdmissionError> {
        let (limits, size, id, rollup) = (LIMITS(), tx.data.len(), tx.id(), tx.rollup);
        let lane = self.lanes.get(&rollup).map_or(&[][..], |lane| &lane[..]);
        let bytes = |held: &mut dyn Iterator<Item = &(TransactionId, usize)>| {
            held.map(|(_, size)| size).sum::<usize>()
        };
        if size == 0 {
            Err(AdmissionError::Empty)
        } else if size > limits.transaction_bytes {
            Err(AdmissionError::TooLarge {
                bytes: size,
                limit: limits.transaction_bytes,
            })
        } else if self.all().any(|(held, _)| *held == id) {
            Err(AdmissionError::Duplicate { id })
        } else if self.all().count() == limits.total_transactions {
            Err(AdmissionError::Full {
                limit: 30,
                unit: "transactions",
            })
        } else if bytes(&mut self.all()) + size > limits.total_bytes {
            Err(AdmissionError::Full {
                limit: 900,
                unit: "bytes",
            })
        } else if lane.len() == limits.lane_transactions {
            Err(AdmissionError::LaneFull {
                rollup,
                limit: 12,
                unit: "transactions",
            })
        } else if bytes(&mut lane.iter()) + size > limits.lane_bytes {
            Err(AdmissionError::LaneFull {
                rollup,
                limit: 400,
                unit: "bytes",
            })
        } else if lane.is_empty() && self.lanes.len() == limits.lanes {
            Err(AdmissionError::TooManyLanes { limit: 5 })
        } else {
            Ok(id)
        }
    }

    fn commit(&mut self, ids: &[TransactionId]) {
        for id in ids {
            self.lanes
                .values_mut()
                .for_each(|lane| lane.retain(|(held, _)| held != id));
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
    }

    /// M3, M4: a valid payload within limits, the first of every lane in order, nothing excluded.
    fn check(
        &self,
        payload: &outrider_types::Payload,
        limits: &AssemblyLimits,
        excluded: &BTreeSet<TransactionId>,
    ) {
        payload.check().unwrap();
        assert!(payload.len() <= limits.transactions && payload.batches.len() <= limits.lanes);
        assert!(payload.encode_size() <= limits.bytes || payload.len() <= 1);
        for batch in &payload.batches {
            let lane = self.lanes[&batch.rollup]
                .iter()
                .map(|(id, _)| *id)
                .filter(|id| !excluded.contains(id));
            let got: Vec<TransactionId> = batch.ids().collect();
            assert_eq!(
                got,
                lane.take(got.len()).collect::<Vec<_>>(),
                "first come, first served"
            );
        }
        let left = self.all().any(|(id, _)| !excluded.contains(id));
        assert!(
            !payload.is_empty() || !left || limits.transactions == 0 || limits.lanes == 0,
            "there was something"
        );
    }
}

fn agree(pool: &Mempool, model: &Model) {
    let lanes: Vec<_> = model
        .lanes
        .iter()
        .map(|(rollup, lane)| {
            (
                *rollup,
                lane.len(),
                lane.iter().map(|(_, size)| size).sum::<usize>(),
            )
        })
        .collect();
    assert_eq!(pool.lanes().collect::<Vec<_>>(), lanes);
    assert_eq!(pool.len(), model.all().count());
    assert_eq!(
        pool.bytes(),
        model.all().map(|(_, size)| size).sum::<usize>()
    );
    assert_eq!(pool.is_empty(), pool.oldest(Timestamp(0)).is_none());
    let limits = LIMITS();
    assert!(pool.len() <= limits.total_transactions && pool.bytes() <= limits.total_bytes);
    assert!(lanes.len() <= limits.lanes);
    assert!(
        lanes
            .iter()
            .all(|(_, count, bytes)| *count <= limits.lane_transactions
                && *bytes <= limits.lane_bytes)
    );
    assert!(model.all().all(|(id, _)| pool.contains(id)));
}

proptest! {
    #[test]
    fn a_mempool_is_its_model(calls in calls()) {
        let (mut pool, mut model) = (Mempool::new(LIMITS()), Model::default());
        let mut in_flight: BTreeSet<TransactionId> = BTreeSet::new();
        for call in calls {
            match call {
                Call::Admit { rollup, number, size } => {
                    let tx = transaction(rollup, number, size);
                    let expected = model.expected(&tx);
                    prop_assert_eq!(pool.admit(Timestamp(1), tx), expected.clone());
                    if let Ok(id) = expected {
                        model.lanes.entry(RollupId(rollup)).or_default().push((id, size));
                    }
                }
                Call::Assemble { limits, commit } => {
                    let payload = pool.assemble(&limits, &|id| in_flight.contains(id)).payload.payload;
                    model.check(&payload, &limits, &in_flight);
                    in_flight.extend(payload.ids());
                    if commit {
                        let ids: Vec<TransactionId> = std::mem::take(&mut in_flight).into_iter().collect();
                        pool.committed(&ids);
                        model.commit(&ids);
                    }
                }
                Call::Foreign { held, number } => {
                    let known: Vec<TransactionId> = model.all().map(|(id, _)| *id).collect();
                    let mut ids = vec![transaction(1, number, 5).id()];
                    ids.extend(known.get(held % known.len().max(1)));
                    pool.committed(&ids);
                    model.commit(&ids);
                }
            }
            agree(&pool, &model);
        }
        // M6: what was admitted is assembled, one payload after another, each with at least one transaction.
        let limits = AssemblyLimits { bytes: 80, transactions: 3, lanes: 2 };
        while !pool.is_empty() {
            let payload = pool.assemble(&limits, &|_| false).payload.payload;
            model.check(&payload, &limits, &BTreeSet::new());
            let ids: Vec<TransactionId> = payload.ids().collect();
            prop_assert!(!ids.is_empty());
            pool.committed(&ids);
            model.commit(&ids);
        }
        agree(&pool, &model);
    }

    /// M6: one transaction of every rollup gets in within as many payloads as there are rollups, however much the
    /// others keep submitting and however few rollups fit in one payload.
    #[test]
    fn no_rollup_starves(
        quiet in 0..5_u64,
        flood in prop::collection::vec((0..5_u64, 1..60_usize), 1..200),
        lanes in 1..4_usize,
        bytes in 0..300_usize,
    ) {
        let mut pool = Mempool::new(LIMITS());
        let limits = AssemblyLimits { bytes, transactions: 8, lanes };
        let id = pool.admit(Timestamp(1), transaction(quiet, 255, 60)).unwrap();
        let mut number = 0_u32;
        let mut payloads = 0;
        for chunk in flood.chunks(10).cycle() {
            for (rollup, size) in chunk.iter().filter(|(rollup, _)| *rollup != quiet) {
                number += 1;
                let data = Bytes::from([&number.to_be_bytes()[..], &vec![0; size / 2]].concat());
                // It may be full; then the flood stands as it is.
                let _ = pool.admit(Timestamp(1), Transaction { rollup: RollupId(*rollup), data });
            }
            let ids: Vec<TransactionId> = pool.assemble(&limits, &|_| false).payload.transactions.to_vec();
            pool.committed(&ids);
            payloads += 1;
            if !pool.contains(&id) {
                break;
            }
            prop_assert!(payloads < 5, "five rollups, {payloads} payloads");
        }
    }
}
