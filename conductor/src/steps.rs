//! What each transaction of an execution block did, so that two executions can be compared transaction by transaction.

use crate::aggregate::Interval;
use crate::execution::{BlockRef, Executed};
use crate::http::{HttpClient, HttpError};
use alloy_primitives::B256;
use outrider_types::crypto::sha256;
use outrider_types::{Bytes, RollupId, Transaction, TransactionId, merkle};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Version of a list of steps.
pub const STEPS_VERSION: u16 = 1;
/// Lists that are kept, one for each execution block.
pub const STEP_LISTS_KEPT: usize = 256;
/// Most bytes of one of them: an interval of small transactions, each with what it did.
pub const STEPS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What one transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which; zeros for all that were crowded out of the interval.
    pub transaction: TransactionId,
    /// `included` with what the machine says of it, or `skipped` with the reason.
    pub what: String,
}

/// The steps of one execution block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepList {
    /// Format, [`STEPS_VERSION`].
    pub version: u16,
    /// Whose.
    pub rollup: RollupId,
    /// The first lane block in it.
    pub lane_first: u64,
    /// The last lane block in it.
    pub lane: u64,
    /// The block.
    pub block: BlockRef,
    /// The state after it.
    pub state_root: B256,
    /// One for each transaction, in the order of the lane.
    pub steps: Vec<Step>,
}

impl StepList {
    /// Of an executed block.
    #[must_use]
    pub fn new(rollup: RollupId, interval: &Interval, executed: &Executed) -> Self {
        let mut whats = vec![String::new(); interval.transactions.len()];
        for (place, index) in executed.included.iter().enumerate() {
            let result = executed.results.get(place).map_or("", String::as_str);
            if let Some(what) = whats.get_mut(*index) {
                *what = format!("included {result}").trim_end().to_owned();
            }
        }
        for skipped in &executed.skipped {
            if let Some(what) = whats.get_mut(skipped.index) {
                *what = format!("skipped {}", skipped.why.code());
            }
        }
        let step = |(data, what): (&Bytes, String)| Step {
            transaction: Transaction {
                rollup,
                data: data.clone(),
            }
            .id(),
            what,
        };
        let mut steps: Vec<Step> = interval.transactions.iter().zip(whats).map(step).collect();
        if interval.crowded_out > 0 {
            steps.push(Step {
                transaction: TransactionId::default(),
                what: format!("skipped crowded {}", interval.crowded_out),
            });
        }
        Self {
            version: STEPS_VERSION,
            rollup,
            lane_first: interval.lane_first,
            lane: interval.last.lane_height,
            block: executed.block,
            state_root: executed.state_root,
            steps,
        }
    }

    /// `sha256(0x05 || count || Merkle root)` over `id || what` of each step.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let leaf = |step: &Step| {
            merkle::leaf_hash(&[&step.transaction.0[..], step.what.as_bytes()].concat())
        };
        let leaves: Vec<_> = self.steps.iter().map(leaf).collect();
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        sha256(&[&[5], &count.to_be_bytes(), &merkle::root(&leaves)])
    }

    /// The list that has this lane block, from the data folder of a conductor or from what serves it.
    pub async fn fetch(from: &str, lane: u64) -> Result<Self, StepsError> {
        let text = if from.starts_with("http://") {
            let http = HttpClient::new(from);
            let body = http.get(&format!("/steps/{lane}")).await;
            body.map_err(|error| StepsError::Http {
                url: from.to_owned(),
                error,
            })?
        } else {
            let log = StepLog::new(Path::new(from));
            let text = log.read(lane).map_err(|error| StepsError::File {
                path: log.folder().to_path_buf(),
                error,
            })?;
            Bytes::from(text)
        };
        let wrong = |reason: String| StepsError::Format {
            from: from.to_owned(),
            reason,
        };
        let list: Self = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if list.version != STEPS_VERSION {
            return Err(wrong(format!("its version is {}", list.version)));
        }
        Ok(list)
    }

    /// Where this and another execution of the same lane block part; none if they agree.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        let place = |list: &Self| (list.rollup, list.lane_first, list.lane);
        if place(self) != place(other) {
            return Some(Difference::Interval);
        }
        let longest = self.steps.len().max(other.steps.len());
        for index in 0..longest {
            let (a, b) = (self.steps.get(index), other.steps.get(index));
            if a != b {
                let (a, b) = (a.cloned(), b.cloned());
                return Some(Difference::Step { index, a, b });
            }
        }
        if self.state_root != other.state_root {
            let (a, b) = (self.state_root, other.state_root);
            return Some(Difference::State { a, b });
        }
        (self.block != other.block).then_some(Difference::Block {
            a: self.block,
            b: other.block,
        })
    }
}

/// Why there is no list of steps.
#[derive(Debug, thiserror::Error)]
pub enum StepsError {
    /// In a folder.
    #[error("cannot read the steps in {path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// At an address.
    #[error("cannot read the steps at {url}: {error}")]
    Http {
        /// Which.
        url: String,
        /// Why not.
        error: HttpError,
    },
    /// Something else.
    #[error("what {from} has is no list of steps of version {STEPS_VERSION}: {reason}")]
    Format {
        /// Folder or address.
        from: String,
        /// What is wrong.
        reason: String,
    },
}

/// How two executions differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// They cut the lane in other places, or are of other rollups.
    #[error(
        "they are of other lane blocks: compare conductors of one rollup and the same --block-time"
    )]
    Interval,
    /// The first transaction that did something else.
    #[error("transaction {index} of the block: {} in a, {} in b", told(a.as_ref()), told(b.as_ref()))]
    Step {
        /// Its place.
        index: usize,
        /// In the first execution.
        a: Option<Step>,
        /// In the second.
        b: Option<Step>,
    },
    /// All transactions say the same, and the states differ.
    #[error("all transactions say the same, but the state root is {a} in a, {b} in b")]
    State {
        /// In the first execution.
        a: B256,
        /// In the second.
        b: B256,
    },
    /// Only the blocks differ.
    #[error("transactions and state are the same, but the block is {a} in a, {b} in b")]
    Block {
        /// In the first execution.
        a: BlockRef,
        /// In the second.
        b: BlockRef,
    },
}

fn told(step: Option<&Step>) -> String {
    step.map_or_else(
        || "missing".to_owned(),
        |step| format!("{} {}", step.transaction, step.what),
    )
}

/// Lists in a folder, a file each.
#[derive(Clone, Debug)]
pub struct StepLog {
    folder: PathBuf,
}

impl StepLog {
    /// In the data folder of a conductor.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            folder: data.join("steps"),
        }
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keep a list, and forget the oldest ones.
    pub fn write(&self, list: &StepList) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.path(list.lane);
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(list)?)?;
        std::fs::rename(&temporary, &path)?;
        let kept = self.lanes()?;
        let surplus = kept.len().saturating_sub(STEP_LISTS_KEPT);
        for lane in &kept[..surplus] {
            std::fs::remove_file(self.path(*lane))?;
        }
        Ok(())
    }

    /// The text of the list that has this lane block.
    pub fn read(&self, lane: u64) -> io::Result<Vec<u8>> {
        let found = self.lanes()?.into_iter().find(|last| *last >= lane);
        let missing = || {
            let reason = format!("the steps of lane block {lane} are not kept here");
            io::Error::new(io::ErrorKind::NotFound, reason)
        };
        let path = self.path(found.ok_or_else(missing)?);
        if std::fs::metadata(&path)?.len() > STEPS_BYTES_MAX {
            return Err(io::Error::other("a list of steps is too long"));
        }
        let text = std::fs::read(path)?;
        let list: StepList = serde_json::from_slice(&text)?;
        if list.lane_first > lane {
            return Err(missing());
        }
        Ok(text)
    }

    fn path(&self, lane: u64) -> PathBuf {
        self.folder.join(format!("{lane}.json"))
    }

    /// Last lane blocks of the lists that are kept, ascending.
    fn lanes(&self) -> io::Result<Vec<u64>> {
        let mut lanes = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json"));
            lanes.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        lanes.sort_unstable();
        Ok(lanes)
    }
}
