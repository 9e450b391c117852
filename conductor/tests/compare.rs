//! Conductors of one lane, one of which drives a machine with a bug: what they sign differs from there on, and the first transaction that
//! did something else is named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_conductor::{
    BlockRef, Cursor, Difference, DriverError, Event, ExecuteRequest, Executed, ExecutionDriver,
    Interval, KvMachine, LaneBlock, LaneItem, MemoryLane, Outcome, Plan, RemoteEnvironment,
    SkipReason, Skipped, Step, StepList, conduct,
};
use outrider_types::{BlockId, Bytes, Height, RollupId, Timestamp, Transaction};
use std::path::Path;
use std::time::Duration;

const ROLLUP: RollupId = RollupId(1);

/// The machine in memory. With the bug it transfers one too many.
#[derive(Default)]
struct MaybeBuggy {
    machine: KvMachine,
    bug: bool,
}

impl ExecutionDriver for MaybeBuggy {
    async fn check(&mut self, _rollup: RollupId) -> Result<(), DriverError> {
        Ok(())
    }

    async fn head(&mut self) -> Result<BlockRef, DriverError> {
        Ok(self.machine.head())
    }

    async fn block(&mut self, number: u64) -> Result<Option<BlockRef>, DriverError> {
        Ok(self.machine.block(number))
    }

    async fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> Result<Executed, DriverError> {
        let transactions = interval.transactions.iter().map(|data| {
            let text = String::from_utf8(data.to_vec()).unwrap();
            let amount = if self.bug { "8" } else { "7" };
            const_hex::encode_prefixed(text.replace('7', amount))
        });
        let request = ExecuteRequest {
            parent,
            environment: RemoteEnvironment {
                rollup: ROLLUP,
                timestamp_us: interval.start.0,
                lane_first: interval.lane_first,
                lane_last: interval.last.lane_height,
            },
            transactions: transactions.collect(),
        };
        let answer = self.machine.execute(&request).unwrap();
        let skipped = answer.skipped.into_iter().map(|one| Skipped {
            index: one.index,
            why: SkipReason::refused(&one.reason),
        });
        Ok(Executed {
            block: answer.block,
            state_root: answer.state_root,
            included: answer.included,
            results: answer.results,
            skipped: skipped.collect(),
        })
    }
}

const FIRST: [&str; 3] = [
    r#"{"op":"put","key":"bank","value":"100"}"#,
    r#"{"op":"put","key":"shop","value":"0"}"#,
    "garbage",
];
const SECOND: [&str; 3] = [
    r#"{"op":"transfer","from":"bank","to":"shop","amount":1}"#,
    r#"{"op":"transfer","from":"bank","to":"shop","amount":7}"#,
    r#"{"op":"delete","key":"nobody"}"#,
];

fn lane() -> MemoryLane {
    let block = |lane_height: u64, transactions: &[&'static str]| {
        LaneItem::Block(LaneBlock {
            cursor: Cursor {
                lane_height,
                height: Height(lane_height),
                block: BlockId([7; 32]),
            },
            timestamp: Timestamp(1_000_000 * lane_height),
            transactions: transactions
                .iter()
                .map(|text| Bytes::from_static(text.as_bytes()))
                .collect(),
        })
    };
    MemoryLane::new(vec![
        block(1, &FIRST),
        block(2, &SECOND),
        LaneItem::Quiet(Timestamp(u64::MAX)),
    ])
}

/// Run until the lane ends; what would be signed.
async fn run(data: &Path, bug: bool) -> Vec<Outcome> {
    let plan = Plan {
        rollup: ROLLUP,
        interval: Duration::from_secs(1),
        data: data.to_path_buf(),
    };
    let driver = MaybeBuggy {
        bug,
        ..MaybeBuggy::default()
    };
    let mut signed = Vec::new();
    let tell = |event: Event<'_>| signed.extend(Outcome::of(&event));
    conduct(&plan, lane(), driver, tell).await.unwrap_err();
    signed
}

async fn steps(data: &Path, lane: u64) -> StepList {
    StepList::fetch(data.to_str().unwrap(), lane).await.unwrap()
}

#[tokio::test]
async fn the_first_transaction_that_did_something_else_is_named() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [one, two, liar] = folders.each_ref().map(tempfile::TempDir::path);
    let signed = run(one, false).await;
    assert_eq!(signed.len(), 2);
    assert_eq!(run(two, false).await, signed);
    let other = run(liar, true).await;
    assert_eq!(other[0], signed[0]);
    assert_ne!(other[1].state_root, signed[1].state_root);
    assert_ne!(other[1].steps, signed[1].steps);

    for lane in [1, 2] {
        let difference = steps(one, lane)
            .await
            .first_difference(&steps(two, lane).await);
        assert_eq!(difference, None);
    }
    let list = steps(one, 2).await;
    assert_eq!(list.root(), signed[1].steps);
    assert_eq!(list.steps[2].what, "skipped refused");
    let named = Transaction {
        rollup: ROLLUP,
        data: Bytes::from_static(SECOND[1].as_bytes()),
    }
    .id();
    let step = |what: &str| Step {
        transaction: named,
        what: what.to_owned(),
    };
    let difference = list.first_difference(&steps(liar, 2).await);
    let (a, b) = (
        step("included transfer 7: 92 left, 8 there"),
        step("included transfer 8: 91 left, 9 there"),
    );
    assert_eq!(
        difference,
        Some(Difference::Step {
            index: 1,
            a: Some(a),
            b: Some(b),
        })
    );
    let missing = StepList::fetch(one.to_str().unwrap(), 3).await;
    assert!(missing.unwrap_err().to_string().contains("not kept here"));
}
