//! A conductor that is killed at every point goes on without a gap, and executes nothing twice.
//!
//! The execution node is the key-value machine in memory, behind a driver that dies at a chosen call: before it executes, or
//! after, when the conductor does not know yet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use alloy_primitives::B256;
use outrider_conductor::{
    BlockRef, ConductError, Cursor, DriverError, Event, ExecuteRequest, Executed, ExecutionDriver,
    Interval, KvMachine, LaneBlock, LaneError, LaneItem, MemoryLane, Plan, RemoteEnvironment,
    SkipReason, Skipped, conduct,
};
use outrider_types::{BlockId, Bytes, Height, RollupId, Timestamp};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    BeforeExecute,
    AfterExecute,
}

/// The machine, which outlives its conductors unless it is lost with them, and when the next one dies.
#[derive(Clone, Default)]
struct Mortal {
    machine: Arc<Mutex<KvMachine>>,
    death: Option<(u64, Death)>,
    executions: Arc<Mutex<u64>>,
}

impl Mortal {
    fn dies(&self, number: u64, how: Death) -> Result<(), DriverError> {
        if self.death == Some((number, how)) {
            // Any error that waiting does not mend ends the conductor there, as a signal would.
            return Err(DriverError::Order {
                url: "killed".to_owned(),
                number,
            });
        }
        Ok(())
    }
}

impl ExecutionDriver for Mortal {
    async fn check(&mut self, _rollup: RollupId) -> Result<(), DriverError> {
        Ok(())
    }

    async fn head(&mut self) -> Result<BlockRef, DriverError> {
        Ok(self.machine.lock().unwrap().head())
    }

    async fn block(&mut self, number: u64) -> Result<Option<BlockRef>, DriverError> {
        Ok(self.machine.lock().unwrap().block(number))
    }

    async fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> Result<Executed, DriverError> {
        let number = parent.number + 1;
        self.dies(number, Death::BeforeExecute)?;
        let request = ExecuteRequest {
            parent,
            environment: RemoteEnvironment {
                rollup: RollupId(1),
                timestamp_us: interval.start.0,
                lane_first: interval.lane_first,
                lane_last: interval.last.lane_height,
            },
            transactions: interval
                .transactions
                .iter()
                .map(const_hex::encode_prefixed)
                .collect(),
        };
        let answer = {
            let mut machine = self.machine.lock().unwrap();
            let before = machine.head();
            let answer = machine.execute(&request).unwrap();
            if machine.head() != before {
                *self.executions.lock().unwrap() += 1;
            }
            answer
        };
        self.dies(number, Death::AfterExecute)?;
        Ok(Executed {
            results: vec![],
            block: answer.block,
            state_root: answer.state_root,
            included: answer.included,
            skipped: answer
                .skipped
                .into_iter()
                .map(|one| Skipped {
                    index: one.index,
                    why: SkipReason::refused(&one.reason),
                })
                .collect(),
        })
    }
}

const BLOCKS: u64 = 6;

/// Two lane blocks a second; each adds one to a counter, so that a gap or a double execution shows in the state.
fn lane() -> MemoryLane {
    let mut items = Vec::new();
    for lane_height in 1..=2 * BLOCKS {
        let put = br#"{"op":"put","key":"bank","value":"1000"}"#;
        let put_zero = br#"{"op":"put","key":"count","value":"0"}"#;
        let add = br#"{"op":"transfer","from":"bank","to":"count","amount":1}"#;
        let mut transactions = vec![Bytes::from_static(add), Bytes::from_static(b"garbage")];
        if lane_height == 1 {
            transactions.insert(0, Bytes::from_static(put));
            transactions.insert(1, Bytes::from_static(put_zero));
        }
        items.push(LaneItem::Block(LaneBlock {
            cursor: Cursor {
                lane_height,
                height: Height(3 * lane_height),
                block: BlockId([7; 32]),
            },
            timestamp: Timestamp(500_000 * (lane_height + 1)),
            transactions,
        }));
        items.push(LaneItem::Quiet(Timestamp(
            500_000 * (lane_height + 1) + 1_000,
        )));
    }
    items.push(LaneItem::Quiet(Timestamp(u64::MAX)));
    MemoryLane::new(items)
}

/// Run until the conductor dies or the lane ends; what it told of each block.
async fn run(data: &Path, driver: Mortal) -> (Vec<(u64, B256, u64)>, ConductError) {
    let plan = Plan {
        rollup: RollupId(1),
        interval: Duration::from_secs(1),
        data: data.to_path_buf(),
    };
    let mut told = Vec::new();
    let tell = |event: Event<'_>| {
        if let Event::Executed {
            executed, interval, ..
        } = event
        {
            let lane_last = interval.last.lane_height;
            told.push((executed.block.number, executed.block.hash, lane_last));
        }
    };
    let ended = conduct(&plan, lane(), driver, tell).await;
    (told, ended.unwrap_err())
}

fn lane_is_over(error: &ConductError) -> bool {
    matches!(error, ConductError::Lane(LaneError::Ended { .. }))
}

#[tokio::test]
async fn killed_at_every_point_it_ends_with_the_same_blocks_each_executed_once() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = Mortal::default();
    let (expected, error) = run(folder.path(), undisturbed.clone()).await;
    assert!(lane_is_over(&error), "{error}");
    assert_eq!(expected.len() as u64, BLOCKS);
    assert_eq!(undisturbed.machine.lock().unwrap().get("count"), Some("12"));
    for number in 1..=BLOCKS {
        for how in [Death::BeforeExecute, Death::AfterExecute] {
            let folder = tempfile::tempdir().unwrap();
            let mut driver = Mortal {
                death: Some((number, how)),
                ..Mortal::default()
            };
            let (mut told, error) = run(folder.path(), driver.clone()).await;
            assert!(!lane_is_over(&error), "{error}");
            driver.death = None;
            let (more, error) = run(folder.path(), driver.clone()).await;
            assert!(lane_is_over(&error), "{error}");
            told.extend(more);
            assert_eq!(told, expected, "killed {how:?} block {number}");
            assert_eq!(*driver.executions.lock().unwrap(), BLOCKS);
            assert_eq!(driver.machine.lock().unwrap().get("count"), Some("12"));
        }
    }
}

#[tokio::test]
async fn a_node_that_lost_its_state_is_driven_again_from_its_genesis() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, _) = run(folder.path(), Mortal::default()).await;
    let empty = Mortal::default();
    let (again, error) = run(folder.path(), empty.clone()).await;
    assert!(lane_is_over(&error), "{error}");
    assert_eq!(again, expected);
    assert_eq!(empty.machine.lock().unwrap().get("count"), Some("12"));
}

#[tokio::test]
async fn a_conductor_that_lost_its_folder_finds_what_was_executed() {
    let driver = Mortal::default();
    let (expected, _) = run(tempfile::tempdir().unwrap().path(), driver.clone()).await;
    let (again, error) = run(tempfile::tempdir().unwrap().path(), driver.clone()).await;
    assert!(lane_is_over(&error), "{error}");
    assert_eq!(again, expected);
    assert_eq!(*driver.executions.lock().unwrap(), BLOCKS);
}

#[tokio::test]
async fn a_node_with_another_block_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let driver = Mortal {
        death: Some((3, Death::BeforeExecute)),
        ..Mortal::default()
    };
    run(folder.path(), driver).await;
    let other = Mortal::default();
    let foreign = ExecuteRequest {
        parent: other.machine.lock().unwrap().head(),
        environment: RemoteEnvironment {
            rollup: RollupId(1),
            timestamp_us: 0,
            lane_first: 1,
            lane_last: 1,
        },
        transactions: vec![],
    };
    other.machine.lock().unwrap().execute(&foreign).unwrap();
    let (told, error) = run(folder.path(), other).await;
    assert!(
        matches!(error, ConductError::Diverged { number: 1, .. }),
        "{error}"
    );
    assert_eq!(told, []);
}

#[tokio::test]
async fn a_node_that_went_back_is_driven_again_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, _) = run(folder.path(), Mortal::default()).await;
    let mut earlier = Mortal {
        death: Some((4, Death::BeforeExecute)),
        ..Mortal::default()
    };
    run(tempfile::tempdir().unwrap().path(), earlier.clone()).await;
    earlier.death = None;
    let (again, error) = run(folder.path(), earlier.clone()).await;
    assert!(lane_is_over(&error), "{error}");
    assert_eq!(again, expected[3..]);
    assert_eq!(earlier.machine.lock().unwrap().get("count"), Some("12"));
}
