//! Lane blocks into execution blocks: one per interval of certified time that holds any.

use crate::lane::{Cursor, LaneBlock, LaneItem};
use outrider_types::{Bytes, Timestamp, bundle};
use std::time::Duration;

/// Most transactions that an execution block is given; those behind them in its interval are skipped.
pub const TRANSACTIONS_PER_INTERVAL_MAX: usize = 65_536;
/// Most bytes of transactions that an execution block is given; those behind them in its interval are skipped.
pub const INTERVAL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What one execution block is made of: the lane blocks of one interval of certified time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Where the interval begins.
    pub start: Timestamp,
    /// The first lane block in it.
    pub lane_first: u64,
    /// The last lane block in it.
    pub last: Cursor,
    /// Their transactions in order.
    pub transactions: Vec<Bytes>,
    /// How many more there were behind them, past the limits of an interval.
    pub crowded_out: u64,
}

/// Collects lane blocks until their interval is over. Pure: the same lane gives the same intervals wherever it is read.
#[derive(Debug)]
pub struct Aggregator {
    length_us: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    interval: Interval,
    bytes: usize,
}

impl Aggregator {
    /// With intervals of this length, which begin at multiples of it.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        let length_us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self {
            length_us: length_us.max(1),
            open: None,
        }
    }

    /// Forget what is open.
    pub fn clear(&mut self) {
        self.open = None;
    }

    /// Whether nothing waits for the end of its interval.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.open.is_none()
    }

    fn start_of(&self, time: Timestamp) -> Timestamp {
        Timestamp(time.0 - time.0 % self.length_us)
    }

    /// Take what comes next in the lane; gives the interval before it, if this shows that it is over.
    pub fn push(&mut self, item: LaneItem) -> Option<Interval> {
        let start = self.start_of(item.time());
        let over = self
            .open
            .take_if(|open| start > open.interval.start)
            .map(|open| open.interval);
        if let LaneItem::Block(block) = item {
            self.add(start, block);
        }
        over
    }

    fn add(&mut self, start: Timestamp, block: LaneBlock) {
        let LaneBlock {
            cursor,
            transactions,
            ..
        } = block;
        let open = self.open.get_or_insert_with(|| Open {
            interval: Interval {
                start,
                lane_first: cursor.lane_height,
                last: cursor,
                transactions: Vec::new(),
                crowded_out: 0,
            },
            bytes: 0,
        });
        open.interval.last = cursor;
        for data in transactions {
            // Of a part of a bundle, what the rollup is to see of it.
            let data = data.slice_ref(bundle::inner(&data));
            let fits = open.interval.transactions.len() < TRANSACTIONS_PER_INTERVAL_MAX
                && open.bytes + data.len() <= INTERVAL_BYTES_MAX;
            // Nothing behind the first that does not fit, so that order is kept.
            if fits && open.interval.crowded_out == 0 {
                open.bytes += data.len();
                open.interval.transactions.push(data);
            } else {
                open.interval.crowded_out += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::RollupId;
    use outrider_types::{BlockId, Height};
    use proptest::prelude::*;

    fn block(lane_height: u64, time: u64, transactions: &[&'static [u8]]) -> LaneItem {
        LaneItem::Block(LaneBlock {
            cursor: Cursor {
                lane_height,
                height: Height(lane_height),
                block: BlockId([1; 32]),
            },
            timestamp: Timestamp(time),
            transactions: transactions
                .iter()
                .map(|data| Bytes::from_static(data))
                .collect(),
        })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_interval_is_over_when_a_later_one_is_seen() {
        let mut all = Aggregator::new(SECOND);
        assert_eq!(all.push(block(1, 1_000_000, &[b"a"])), None);
        assert_eq!(all.push(LaneItem::Quiet(Timestamp(1_500_000))), None);
        assert_eq!(all.push(block(2, 1_999_999, &[b"b", b"c"])), None);
        let over = all.push(LaneItem::Quiet(Timestamp(2_000_000))).unwrap();
        assert_eq!(over.start, Timestamp(1_000_000));
        assert_eq!((over.lane_first, over.last.lane_height), (1, 2));
        assert_eq!(over.transactions, [&b"a"[..], b"b", b"c"]);
        assert_eq!(all.push(LaneItem::Quiet(Timestamp(9_000_000))), None);
    }

    #[test]
    fn of_a_part_of_a_bundle_its_data_is_executed() {
        let parts = [1, 2].map(|rollup| (RollupId(rollup), Bytes::from_static(b"data")));
        let (_, wrapped) = bundle::wrap(&parts).unwrap();
        let LaneItem::Block(mut part) = block(1, 1, &[]) else {
            unreachable!("a block")
        };
        part.transactions = vec![wrapped[0].data.clone()];
        let mut all = Aggregator::new(SECOND);
        assert_eq!(all.push(LaneItem::Block(part)), None);
        let over = all.push(LaneItem::Quiet(Timestamp(2_000_000))).unwrap();
        assert_eq!(over.transactions, [&b"data"[..]]);
    }

    #[test]
    fn a_block_closes_the_interval_before_and_opens_its_own() {
        let mut all = Aggregator::new(SECOND);
        assert_eq!(all.push(block(1, 1, &[b"a"])), None);
        let over = all.push(block(2, 1_000_000, &[b"b"])).unwrap();
        assert_eq!(over.last.lane_height, 1);
        let over = all.push(block(3, 5_000_000, &[b"c"])).unwrap();
        assert_eq!((over.lane_first, over.start), (2, Timestamp(1_000_000)));
    }

    #[test]
    fn what_is_past_the_limits_is_counted_and_nothing_behind_it_is_taken() {
        let mut all = Aggregator::new(SECOND);
        let large = Bytes::from(vec![0; INTERVAL_BYTES_MAX - 1]);
        let LaneItem::Block(mut one) = block(1, 1, &[]) else {
            unreachable!("a block");
        };
        one.transactions = vec![large, Bytes::from_static(b"12"), Bytes::from_static(b"1")];
        assert_eq!(all.push(LaneItem::Block(one)), None);
        let over = all.push(LaneItem::Quiet(Timestamp(1_000_000))).unwrap();
        assert_eq!((over.transactions.len(), over.crowded_out), (1, 2));
    }

    proptest! {
        #[test]
        fn intervals_hold_every_transaction_once_in_order_wherever_quiet_blocks_lie(
            steps in prop::collection::vec((1u64..3_000_000, any::<bool>()), 1..60),
        ) {
            let mut time = 0;
            let mut with_quiet = Aggregator::new(SECOND);
            let mut without = Aggregator::new(SECOND);
            let (mut seen, mut other, mut lane_height) = (Vec::new(), Vec::new(), 0);
            for (step, quiet) in steps {
                time += step;
                if quiet {
                    seen.extend(with_quiet.push(LaneItem::Quiet(Timestamp(time))));
                } else {
                    lane_height += 1;
                    seen.extend(with_quiet.push(block(lane_height, time, &[b"x"])));
                    other.extend(without.push(block(lane_height, time, &[b"x"])));
                }
            }
            let end = LaneItem::Quiet(Timestamp(u64::MAX));
            seen.extend(with_quiet.push(end.clone()));
            other.extend(without.push(end));
            prop_assert_eq!(&seen, &other);
            let mut next = 1;
            for interval in &seen {
                prop_assert_eq!(interval.lane_first, next);
                prop_assert_eq!(interval.transactions.len() as u64, interval.last.lane_height + 1 - next);
                next = interval.last.lane_height + 1;
            }
            prop_assert_eq!(next, lane_height + 1);
            prop_assert!(seen.windows(2).all(|pair| pair[0].start < pair[1].start));
        }
    }
}
