//! What a leader proposes: a payload out of all lanes, fair between them.

use crate::Mempool;
use crate::lane::{Lane, Pending};
use bytes::Bytes;
use outrider_types::bundle::{self, Part};
use outrider_types::codec::{EncodeSize, FixedSize};
use outrider_types::limits::{
    LANES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
};
use outrider_types::message::{LaneOrder, LaneOrders, Reference, References};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{Batch, BlockId, CheckedPayload, Payload, Policy, RollupId, TransactionId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Bytes that the length of a list can take.
const LENGTH_BYTES: usize = 5;
/// Bytes that a batch takes beside its transactions, at most.
const BATCH_BYTES: usize = RollupId::SIZE + LENGTH_BYTES;

/// How much goes into one payload. Values over the limits of a payload mean those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssemblyLimits {
    /// Bytes of the payload's encoding. The first transaction goes in even if it alone is larger, so that no
    /// transaction is stuck for ever.
    pub bytes: usize,
    /// Transactions.
    pub transactions: usize,
    /// Rollups.
    pub lanes: usize,
}

impl Default for AssemblyLimits {
    fn default() -> Self {
        Self {
            bytes: PAYLOAD_BYTES_MAX,
            transactions: TRANSACTIONS_PER_PAYLOAD_MAX,
            lanes: LANES_PER_PAYLOAD_MAX,
        }
    }
}

/// A payload, and how to tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// The payload.
    pub payload: CheckedPayload,
    /// The batches that it is made of, in order; none if some of it came in no batch.
    pub references: Option<References>,
}

/// For which block a payload is assembled.
pub struct Site<'a> {
    /// The block's parent.
    pub parent: BlockId,
    /// The policy of a rollup in it; none if nothing may be ordered for the rollup.
    pub policy: &'a dyn Fn(RollupId) -> Option<Policy>,
    /// What uncommitted ancestors hold.
    pub exclude: &'a dyn Fn(&TransactionId) -> bool,
}

impl std::fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

/// Transactions of a lane with their places in it, in the order in which they are taken.
type Candidates<'a> = Box<dyn Iterator<Item = (usize, &'a Pending)> + 'a>;

/// Highest fee first where that is the policy, so that it also decides who finds room; else as they came.
fn candidates(lane: &Lane, policy: Policy) -> Candidates<'_> {
    match policy {
        Policy::PriorityEthereum | Policy::PriorityPrefix => {
            let mut all: Vec<(usize, &Pending)> = lane.iter().enumerate().collect();
            all.sort_by_cached_key(|(_, pending)| Reverse(policy.fee(&pending.data)));
            Box::new(all.into_iter())
        }
        Policy::Fcfs | Policy::Shuffled => Box::new(lane.iter().enumerate()),
    }
}

/// What goes into the payload of one lane: places in the lane, ids and bytes.
struct Taken {
    policy: Policy,
    list: Vec<(usize, TransactionId, Bytes)>,
}

/// F15: without bundles of which not all parts are here, or not all found room.
fn leave_out_incomplete(taken: &mut BTreeMap<RollupId, Taken>) {
    let all = taken.iter().flat_map(|(rollup, lane)| {
        let list = lane.list.iter();
        list.map(|(.., data)| (*rollup, &**data))
    });
    let incomplete = bundle::incomplete(all);
    if incomplete.is_empty() {
        return;
    }
    for lane in taken.values_mut() {
        lane.list.retain(|(.., data)| match Part::of(data) {
            Ok(None) => true,
            Ok(Some(part)) => !incomplete.contains(&part.bundle),
            Err(_) => false,
        });
    }
    taken.retain(|_, lane| !lane.list.is_empty());
}

impl Mempool {
    /// The next payload of lanes that are all open and ordered as they came; see [`assemble_at`](Self::assemble_at).
    #[must_use]
    pub fn assemble(
        &self,
        limits: &AssemblyLimits,
        exclude: &dyn Fn(&TransactionId) -> bool,
    ) -> Assembled {
        let site = Site {
            parent: BlockId::default(),
            policy: &|_| Some(Policy::Fcfs),
            exclude,
        };
        self.assemble_at(limits, &site)
    }

    /// The next payload, without what `site` excludes. Nothing is removed: that is for [`committed`](Mempool::committed).
    ///
    /// The next transaction is always of the lane with the fewest bytes in the payload so far; among equals, of the
    /// lane that was served longest ago. A lane whose next transaction does not fit is done, so that none overtakes.
    /// In `O((output + excluded + lanes) log lanes)`.
    #[must_use]
    pub fn assemble_at(&self, limits: &AssemblyLimits, site: &Site<'_>) -> Assembled {
        let mut taken = self.take(limits, site);
        leave_out_incomplete(&mut taken);
        let mut orders = LaneOrders {
            parent: site.parent,
            lanes: Vec::new(),
        };
        let mut came = Vec::new();
        let mut payload = Payload::default();
        let mut ids = Vec::new();
        for (rollup, Taken { policy, mut list }) in taken {
            list.sort_unstable_by_key(|(place, ..)| *place);
            let own = list.iter().map(|(_, id, _)| *id);
            came.push(own.clone().collect::<Vec<_>>());
            if policy != Policy::Fcfs {
                orders.lanes.push(LaneOrder { rollup, policy });
            }
            let data = list.iter().map(|(.., data)| data.clone());
            let mut lane = (data.collect(), own.collect());
            orders.arrange(rollup, &mut lane);
            ids.extend(lane.1);
            payload.batches.push(Batch {
                rollup,
                transactions: lane.0,
            });
        }
        let batches = self.tell(&came);
        let checked = CheckedPayload::from_ids(payload, ids);
        assert!(checked.is_ok(), "what is assembled is a payload (M4)");
        let payload = checked.unwrap_or_default();
        let references = batches.map(|batches| References {
            payload: payload.id,
            batches,
            orders,
        });
        Assembled {
            payload,
            references,
        }
    }

    /// What goes into the payload, by rollup.
    fn take(&self, limits: &AssemblyLimits, site: &Site<'_>) -> BTreeMap<RollupId, Taken> {
        let bytes_limit = limits.bytes.min(PAYLOAD_BYTES_MAX);
        let transactions_limit = limits.transactions.min(TRANSACTIONS_PER_PAYLOAD_MAX);
        let lanes_limit = limits.lanes.min(LANES_PER_PAYLOAD_MAX);

        let mut heap: BinaryHeap<Reverse<(usize, u64)>> =
            self.turns.keys().map(|turn| Reverse((0, *turn))).collect();
        let mut cursors: BTreeMap<u64, Candidates<'_>> = BTreeMap::new();
        let mut batches: BTreeMap<RollupId, Taken> = BTreeMap::new();
        let (mut bytes, mut count) = (LENGTH_BYTES, 0);
        while let Some(Reverse((given, turn))) = heap.pop() {
            if count == transactions_limit {
                break;
            }
            let Some((rollup, lane)) = self
                .turns
                .get(&turn)
                .and_then(|rollup| self.lanes.get_key_value(rollup))
            else {
                continue;
            };
            let opens = !batches.contains_key(rollup);
            if opens && batches.len() == lanes_limit {
                continue;
            }
            let Some(policy) = (site.policy)(*rollup) else {
                continue;
            };
            let cursor = cursors
                .entry(turn)
                .or_insert_with(|| candidates(lane, policy));
            let excluded =
                |id: &TransactionId| (site.exclude)(id) && !zoo::is(Mutant::IncludedTwice);
            let Some((place, Pending { id, data, .. })) =
                cursor.find(|(_, pending)| !excluded(&pending.id))
            else {
                continue;
            };
            let size = data.encode_size();
            let more = size + if opens { BATCH_BYTES } else { 0 };
            let first = count == 0 && bytes + more <= PAYLOAD_BYTES_MAX;
            if bytes + more > bytes_limit && !first {
                continue;
            }
            bytes += more;
            count += 1;
            let taken = batches.entry(*rollup).or_insert_with(|| Taken {
                policy,
                list: Vec::new(),
            });
            taken.list.push((place, *id, data.clone()));
            heap.push(Reverse((given + size, turn)));
        }
        batches
    }

    /// In terms of batches, if they put the transactions of each lane into this order.
    fn tell(&self, lanes: &[Vec<TransactionId>]) -> Option<Vec<Reference>> {
        let mut taken = Vec::new();
        for ids in lanes {
            let first = taken.len();
            for id in ids {
                taken.push(self.places.get(id)?.origin?);
            }
            if !taken.get(first..)?.is_sorted() {
                return None;
            }
        }
        self.batches.references(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use outrider_types::{Timestamp, Transaction};

    fn pool() -> Mempool {
        Mempool::new(Limits::default())
    }

    fn admit(pool: &mut Mempool, rollup: u64, number: u32, size: usize) -> TransactionId {
        let mut data = vec![0; size];
        data[..4].copy_from_slice(&number.to_be_bytes());
        pool.admit(
            Timestamp(0),
            Transaction {
                rollup: RollupId(rollup),
                data: data.into(),
            },
        )
        .unwrap()
    }

    fn admit_many(pool: &mut Mempool, rollup: u64, count: u32, size: usize) {
        for number in 0..count {
            admit(pool, rollup, number, size);
        }
    }

    fn counts(payload: &Payload) -> Vec<(u64, usize)> {
        payload
            .batches
            .iter()
            .map(|batch| (batch.rollup.0, batch.transactions.len()))
            .collect()
    }

    fn all(transactions: usize) -> AssemblyLimits {
        AssemblyLimits {
            transactions,
            ..AssemblyLimits::default()
        }
    }

    #[test]
    fn lanes_of_equal_transactions_take_turns() {
        let mut pool = pool();
        for number in 0..10 {
            admit(&mut pool, 9, number, 20);
        }
        for rollup in [5, 1] {
            admit_many(&mut pool, rollup, 2, 20);
        }
        assert_eq!(
            counts(&pool.assemble(&all(4), &|_| false).payload.payload),
            [(1, 1), (5, 1), (9, 2)]
        );
        assert_eq!(
            counts(&pool.assemble(&all(9), &|_| false).payload.payload),
            [(1, 2), (5, 2), (9, 5)]
        );
        assert_eq!(
            pool.assemble(&all(0), &|_| false).payload.payload,
            Payload::default().into()
        );
    }

    #[test]
    fn large_transactions_do_not_crowd_out_small_ones() {
        let mut pool = pool();
        admit_many(&mut pool, 1, 100, 10_000);
        admit_many(&mut pool, 2, 2_000, 100);
        let limits = AssemblyLimits {
            bytes: 200_000,
            ..AssemblyLimits::default()
        };
        let payload = pool.assemble(&limits, &|_| false).payload.payload;
        assert!(payload.encode_size() <= limits.bytes);
        let bytes = |at: usize| {
            payload.batches[at]
                .transactions
                .iter()
                .map(Bytes::len)
                .sum::<usize>()
        };
        assert!(
            bytes(0).abs_diff(bytes(1)) <= 20_000,
            "{} and {}",
            bytes(0),
            bytes(1)
        );
    }

    #[test]
    fn excluded_transactions_are_skipped_and_the_order_stays() {
        let mut pool = pool();
        let ids: Vec<TransactionId> = (0..5)
            .map(|number| admit(&mut pool, 1, number, 10))
            .collect();
        let payload = pool
            .assemble(&all(2), &|id| ids[..2].contains(id))
            .payload
            .payload;
        assert_eq!(payload.ids().collect::<Vec<_>>(), ids[2..4]);
        assert_eq!(pool.len(), 5);
    }

    #[test]
    fn a_transaction_over_the_byte_limit_goes_alone() {
        let mut pool = pool();
        let large = admit(&mut pool, 1, 0, 1_000);
        admit(&mut pool, 2, 0, 10);
        let limits = AssemblyLimits {
            bytes: 100,
            ..AssemblyLimits::default()
        };
        let payload = pool.assemble(&limits, &|_| false).payload.payload;
        assert_eq!(payload.ids().collect::<Vec<_>>(), [large]);
        pool.committed(&[large]);
        assert_eq!(
            counts(&pool.assemble(&limits, &|_| false).payload.payload),
            [(2, 1)]
        );
    }

    #[test]
    fn the_largest_payload_is_valid() {
        let mut pool = pool();
        for number in 0..40_u32 {
            admit(
                &mut pool,
                u64::from(number % 7),
                number,
                outrider_types::limits::TRANSACTION_BYTES_MAX,
            );
        }
        let payload = pool
            .assemble(
                &AssemblyLimits {
                    bytes: usize::MAX,
                    ..AssemblyLimits::default()
                },
                &|_| false,
            )
            .payload;
        payload.payload.check().unwrap();
        assert_eq!(
            payload.transactions.len(),
            15,
            "sixteen of them and their lengths are over the limit"
        );
    }

    #[test]
    fn new_rollups_do_not_push_an_old_one_back() {
        let mut pool = pool();
        for rollup in [10, 11, 12] {
            admit(&mut pool, rollup, 0, 10);
        }
        let limits = AssemblyLimits {
            lanes: 1,
            transactions: 1,
            ..AssemblyLimits::default()
        };
        let mut served = Vec::new();
        for round in 0..6 {
            admit(&mut pool, 100 + round, 0, 10);
            let ids: Vec<TransactionId> = pool
                .assemble(&limits, &|_| false)
                .payload
                .transactions
                .iter()
                .copied()
                .collect();
            served.push(
                pool.assemble(&limits, &|_| false).payload.payload.batches[0]
                    .rollup
                    .0,
            );
            pool.committed(&ids);
        }
        assert_eq!(served, [10, 11, 12, 100, 101, 102]);
    }
}
