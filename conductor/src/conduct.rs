//! The loop: lane blocks in, execution blocks out, and every step remembered.

use crate::aggregate::{Aggregator, Interval};
use crate::execution::{BlockRef, DriverError, Executed, ExecutionDriver};
use crate::journal::{Journal, JournalError, Subject};
use crate::lane::{Cursor, Lane, LaneError};
use crate::skip::{SkipReason, Skipped};
use crate::steps::{StepList, StepLog};
use outrider_client::ExecutionTaken;
use outrider_types::{RollupId, Timestamp};
use std::path::PathBuf;
use std::time::Duration;

/// The first pause after a failure; each one after is twice as long,
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// up to this. A conductor waits for its member and its node as long as it takes.
const PAUSE_LAST: Duration = Duration::from_secs(1);

/// What a conductor is for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rollup.
    pub rollup: RollupId,
    /// Length of an interval.
    pub interval: Duration,
    /// Where it remembers.
    pub data: PathBuf,
}

/// What a conductor tells while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// It begins, or begins again, over this block.
    Resumed {
        /// The block.
        over: BlockRef,
        /// The last lane block in it.
        lane_height: u64,
        /// The block that was reached before; more than `over` if the execution node lost some.
        reached: u64,
    },
    /// A block was executed, and is remembered.
    Executed {
        /// The block.
        executed: &'a Executed,
        /// What it was made of.
        interval: &'a Interval,
        /// What its transactions did, in one hash.
        steps: [u8; 32],
        /// Whether it was executed before, and came out the same.
        again: bool,
    },
    /// All lane blocks up to this time are executed.
    Passed {
        /// The certified time of the block that was read last.
        time: Timestamp,
    },
    /// An execution was signed, and a member took it.
    Signed {
        /// The last lane block in it.
        lane_height: u64,
        /// What became of it.
        taken: ExecutionTaken,
    },
    /// An execution was not signed, or no member took it.
    NotSigned {
        /// The last lane block in it.
        lane_height: u64,
        /// Why.
        reason: String,
    },
    /// Something does not answer; it is tried again.
    Waiting {
        /// Why.
        reason: String,
    },
}

/// Why a conductor stops.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The execution node.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The lane.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The execution node has another block than was executed.
    #[error(
        "block {number} of the execution node is {found}, but {expected} was executed: it is of another chain, or executes otherwise now; start it from its genesis, or give another --data"
    )]
    Diverged {
        /// Which.
        number: u64,
        /// Remembered.
        expected: String,
        /// There.
        found: String,
    },
}

impl ConductError {
    const fn retry_helps(&self) -> bool {
        match self {
            Self::Driver(error) => error.retry_helps(),
            Self::Lane(error) => error.retry_helps(),
            Self::Journal(_) | Self::Diverged { .. } => false,
        }
    }
}

/// Follow a lane and drive an execution node until something is wrong that waiting does not mend. May be dropped at any
/// point, which is the same as being killed there.
pub async fn conduct<L: Lane, D: ExecutionDriver>(
    plan: &Plan,
    mut lane: L,
    mut driver: D,
    mut tell: impl FnMut(Event<'_>) + Send,
) -> Result<(), ConductError> {
    // Of the execution node; the lane has its own.
    let mut pauses = Pauses::default();
    let genesis = loop {
        match first_block(plan, &mut driver).await {
            Ok(genesis) => break genesis,
            Err(error) => pauses.wait(error, &mut tell).await?,
        }
    };
    let subject = Subject {
        rollup: plan.rollup,
        interval: plan.interval,
        genesis: genesis.hash,
    };
    let mut conductor = Conductor {
        rollup: plan.rollup,
        steps: StepLog::new(&plan.data),
        journal: Journal::open(&plan.data, subject)?,
        aggregator: Aggregator::new(plan.interval),
        over: genesis,
        genesis,
    };
    loop {
        if let Err(error) = conductor
            .run(&mut lane, &mut driver, &mut pauses, &mut tell)
            .await
        {
            pauses.wait(error, &mut tell).await?;
        }
    }
}

async fn first_block<D: ExecutionDriver>(
    plan: &Plan,
    driver: &mut D,
) -> Result<BlockRef, ConductError> {
    driver.check(plan.rollup).await?;
    genesis_of(driver).await
}

async fn genesis_of<D: ExecutionDriver>(driver: &mut D) -> Result<BlockRef, ConductError> {
    let genesis = driver.block(0).await?;
    genesis.ok_or_else(|| ConductError::Diverged {
        number: 0,
        expected: "a genesis block".to_owned(),
        found: "missing".to_owned(),
    })
}

/// Pauses that grow while nothing works.
#[derive(Debug, Default)]
struct Pauses {
    next: Option<Duration>,
}

impl Pauses {
    /// Pause, or give the error back if that is of no use. The first failure in a row is told.
    async fn wait(
        &mut self,
        error: ConductError,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), ConductError> {
        if !error.retry_helps() {
            return Err(error);
        }
        let pause = self.next.unwrap_or(PAUSE_FIRST);
        if self.next.is_none() {
            tell(Event::Waiting {
                reason: error.to_string(),
            });
        }
        self.next = Some((2 * pause).min(PAUSE_LAST));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    const fn is_first(&self) -> bool {
        self.next.is_none()
    }

    const fn over(&mut self) {
        self.next = None;
    }
}

struct Conductor {
    rollup: RollupId,
    journal: Journal,
    steps: StepLog,
    aggregator: Aggregator,
    genesis: BlockRef,
    /// The last block that this run executed or found.
    over: BlockRef,
}

impl Conductor {
    async fn run<L: Lane, D: ExecutionDriver>(
        &mut self,
        lane: &mut L,
        driver: &mut D,
        pauses: &mut Pauses,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), ConductError> {
        let before = self.over;
        let cursor = self.resume(driver).await?;
        self.aggregator.clear();
        lane.seek(cursor).await?;
        // Not after each try in a row that failed.
        if pauses.is_first() || before != self.over {
            tell(Event::Resumed {
                over: self.over,
                lane_height: cursor.lane_height,
                reached: self.journal.last().map_or(0, |last| last.block.number),
            });
        }
        let mut lane_pauses = Pauses::default();
        loop {
            let item = match lane.next().await {
                Ok(item) => item,
                // What was collected stays: the lane goes on where it was.
                Err(error) => {
                    lane_pauses.wait(error.into(), tell).await?;
                    continue;
                }
            };
            lane_pauses.over();
            let time = item.time();
            if let Some(interval) = self.aggregator.push(item) {
                self.execute(driver, &interval, tell).await?;
                pauses.over();
            }
            if self.aggregator.is_clear() {
                tell(Event::Passed { time });
            }
        }
    }

    /// Find the newest block that is remembered and that the node has; the lane goes on behind it. A node that lost its
    /// state begins at genesis again.
    async fn resume<D: ExecutionDriver>(&mut self, driver: &mut D) -> Result<Cursor, ConductError> {
        let genesis = genesis_of(driver).await?;
        if genesis != self.genesis {
            return Err(diverged(self.genesis, Some(genesis)));
        }
        let head = driver.head().await?;
        let last = self.journal.last().map_or(0, |last| last.block.number);
        let number = head.number.min(last);
        let Some(record) = self.journal.get(number).copied() else {
            // Nothing executed, or the node is further back than what is remembered.
            self.over = genesis;
            return Ok(Cursor::default());
        };
        let found = driver.block(number).await?;
        if found != Some(record.block) {
            return Err(diverged(record.block, found));
        }
        self.over = record.block;
        Ok(record.cursor)
    }

    fn keep_steps(&self, list: &StepList) -> Result<(), JournalError> {
        self.steps.write(list).map_err(|error| JournalError::File {
            act: "write to",
            path: self.steps.folder().to_path_buf(),
            error,
        })
    }

    async fn execute<D: ExecutionDriver>(
        &mut self,
        driver: &mut D,
        interval: &Interval,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), ConductError> {
        let mut executed = driver.execute(self.over, interval).await?;
        crowd_out(&mut executed, interval);
        let number = executed.block.number;
        assert_eq!(number, self.over.number + 1, "blocks follow each other");
        let list = StepList::new(self.rollup, interval, &executed);
        self.keep_steps(&list)?;
        let last = self.journal.last().map_or(0, |last| last.block.number);
        let again = number <= last;
        if !again {
            self.journal.append(&executed, interval.last)?;
        } else if let Some(record) = self.journal.get(number)
            && (record.block, record.cursor) != (executed.block, interval.last)
        {
            return Err(diverged(record.block, Some(executed.block)));
        }
        self.over = executed.block;
        tell(Event::Executed {
            executed: &executed,
            interval,
            steps: list.root(),
            again,
        });
        Ok(())
    }
}

/// Those past the limits of the interval were given to nobody.
fn crowd_out(executed: &mut Executed, interval: &Interval) {
    let first = interval.transactions.len();
    let behind = usize::try_from(interval.crowded_out).unwrap_or(usize::MAX);
    let indices = first..first.saturating_add(behind);
    executed.skipped.extend(indices.map(|index| Skipped {
        index,
        why: SkipReason::Crowded,
    }));
}

fn diverged(expected: BlockRef, found: Option<BlockRef>) -> ConductError {
    ConductError::Diverged {
        number: expected.number,
        expected: expected.hash.to_string(),
        found: found.map_or_else(|| "missing".to_owned(), |found| found.hash.to_string()),
    }
}
