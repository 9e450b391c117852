//! `outrider sim sweep`: protocols against each other over sizes of the committee, delays, silent members and seeds.
//!
//! ```text
//! Grid --cells x seeds, in order--> jobs (threads) --compete--> Row per run, in the same order --> runs.csv
//!                                                                    |--> Chart (SVG): median over seeds, 95 % band
//!                                                                    +--> table of medians
//! ```
//!
//! A run is a function of its row's coordinates: the same grid gives the same rows, whatever the number of jobs. In one
//! cell all protocols meet the same delays, and the same members are silent, drawn by the seed.

mod columns;
pub mod plot;
pub mod statistics;
mod summary;
mod svg;
#[cfg(test)]
mod tests;

pub use columns::{COLUMNS, Column, columns_markdown, csv};
pub use plot::charts;
pub use summary::summary;

use crate::fact::Micros;
use crate::net::Network;
use crate::protocols::lab::{End, Plan};
use crate::protocols::{Contender, Setting, compete};
use crate::rng::Stream;
use crate::scenario::{Jitter, Latency, NetworkSpec};
use outrider_types::CommitteeError;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Largest committee of a sweep.
pub const MEMBERS_MAX: usize = 1_000;
/// Most runs of a sweep.
pub const RUNS_MAX: usize = 1_000_000;
/// Most threads.
pub const JOBS_MAX: usize = 256;
/// Longest delay.
pub const DELAY_MS_MAX: u64 = 60_000;
/// Most blocks of a run.
pub const BLOCKS_MAX: u64 = 100_000;
/// A run ends after this many bounds for each block that it should make final.
const BOUNDS_PER_BLOCK: u64 = 60;
/// A run ends after this many events: a cubic protocol of 100 members needs them for 50 blocks.
const EVENTS_MAX: u64 = 200_000_000;

/// What is varied.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Sizes of the committee, at least 2.
    pub members: Vec<usize>,
    /// One-way delays in milliseconds: `d`.
    pub delta_ms: Vec<u64>,
    /// Each message takes up to this share of `d` longer.
    pub jitter: f64,
    /// Timers are set for `D`: this many times the longest delay.
    pub bound: f64,
    /// Protocols.
    pub protocols: Vec<Contender>,
    /// Shares of the members that never say anything, rounded down to whole members.
    pub silent: Vec<f64>,
    /// The first seed.
    pub first_seed: u64,
    /// Runs of each combination.
    pub seeds: u64,
    /// A run ends when all who are not silent have committed this many blocks.
    pub blocks: u64,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            members: vec![4, 7, 10, 22],
            delta_ms: vec![50],
            jitter: 0.1,
            bound: 2.0,
            protocols: Contender::ALL.to_vec(),
            silent: vec![0.0, 0.1, 0.2, 0.3],
            first_seed: 1,
            seeds: 20,
            blocks: 50,
        }
    }
}

/// One combination; with a seed it is a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Of the committee.
    pub members: usize,
    /// `d`.
    pub delta_ms: u64,
    /// Share of silent members that was asked for.
    pub silent_share: f64,
    /// Protocol.
    pub protocol: Contender,
}

/// Why a sweep cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SweepError {
    /// Nothing to do.
    #[error("no {what} to sweep over: give at least one")]
    Empty {
        /// Which list.
        what: &'static str,
    },
    /// A value that makes no sense.
    #[error("{what} {value} is outside {low} to {high}: choose one within")]
    Range {
        /// Of what.
        what: &'static str,
        /// The value.
        value: String,
        /// Least.
        low: String,
        /// Most.
        high: String,
    },
    /// Too many runs.
    #[error("the grid has {runs} runs, at most {RUNS_MAX}: take fewer seeds or shorter lists")]
    Runs {
        /// How many.
        runs: usize,
    },
    /// No such committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
}

impl Grid {
    /// Whether it can be run, and how many runs it has.
    ///
    /// # Errors
    ///
    /// If a list is empty, a value is out of range, or there are too many runs.
    pub fn check(&self) -> Result<usize, SweepError> {
        let lists = [
            ("members", self.members.len()),
            ("delta-ms", self.delta_ms.len()),
            ("protocols", self.protocols.len()),
            ("silent", self.silent.len()),
        ];
        let mut runs = usize::try_from(self.seeds).unwrap_or(usize::MAX);
        for (what, length) in lists {
            if length == 0 {
                return Err(SweepError::Empty { what });
            }
            runs = runs.saturating_mul(length);
        }
        for members in &self.members {
            within("members", *members, 2, MEMBERS_MAX)?;
        }
        for delay in &self.delta_ms {
            within("delta-ms", *delay, 1, DELAY_MS_MAX)?;
        }
        for share in &self.silent {
            within("silent", *share, 0.0, 0.99)?;
        }
        within("jitter", self.jitter, 0.0, 100.0)?;
        within("bound", self.bound, 0.1, 1_000.0)?;
        within("blocks", self.blocks, 1, BLOCKS_MAX)?;
        within("seeds", self.seeds, 1, RUNS_MAX as u64)?;
        if runs > RUNS_MAX {
            return Err(SweepError::Runs { runs });
        }
        Ok(runs)
    }

    /// All combinations, in the order of the file.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let mut all = Vec::new();
        for &members in &self.members {
            for &delta_ms in &self.delta_ms {
                for &silent_share in &self.silent {
                    for &protocol in &self.protocols {
                        all.push(Cell {
                            members,
                            delta_ms,
                            silent_share,
                            protocol,
                        });
                    }
                }
            }
        }
        all
    }

    /// Run everything on so many threads; `done` is called after each run. Rows are in the order of cells and seeds.
    ///
    /// # Errors
    ///
    /// If the grid cannot be run ([`Self::check`]).
    pub fn run(&self, jobs: usize, done: &(dyn Fn() + Sync)) -> Result<Vec<Row>, SweepError> {
        let runs = self.check()?;
        within("jobs", jobs, 1, JOBS_MAX)?;
        let cells = self.cells();
        let work: Vec<(Cell, u64)> = cells
            .into_iter()
            .flat_map(|cell| (0..self.seeds).map(move |seed| (cell, seed)))
            .map(|(cell, seed)| (cell, self.first_seed.wrapping_add(seed)))
            .collect();
        assert_eq!(work.len(), runs, "what was checked is what is run");
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::with_capacity(runs));
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(runs) {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some((cell, seed)) = work.get(place) else {
                            return;
                        };
                        let row = self.run_one(*cell, *seed);
                        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                        rows.push((place, row));
                        drop(rows);
                        done();
                    }
                });
            }
        });
        let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.sort_unstable_by_key(|(place, _)| *place);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// If no committee can have so many members.
    pub fn run_one(&self, cell: Cell, seed: u64) -> Result<Row, SweepError> {
        let delta = cell.delta_ms * 1_000;
        let jitter = scaled(delta, self.jitter);
        let bound = scaled(delta + jitter, self.bound).max(1);
        let silent = silent_members(cell.members, cell.silent_share, seed);
        let plan = Plan {
            seed,
            silent: silent.clone(),
            outages: Vec::new(),
            heights: self.blocks,
            limit: bound * BOUNDS_PER_BLOCK * self.blocks,
            events_max: EVENTS_MAX,
        };
        let spec = NetworkSpec {
            latency: Latency::Constant(delta),
            jitter: if jitter == 0 {
                Jitter::None
            } else {
                Jitter::Uniform(jitter)
            },
            loss: 0.0,
            duplicate: 0.0,
            reorder: true,
            bandwidth: None,
        };
        let network = Network::new(spec, cell.members, Micros::MAX, delta + jitter, seed);
        let play = compete(cell.protocol, &plan, network, cell.members, bound)?;
        let setting = Setting {
            member: 0,
            members: cell.members,
            bound,
        };
        Ok(Row::new(
            (cell, seed),
            (setting.faulty(), silent.len(), jitter, bound),
            &play,
            self.blocks,
        ))
    }
}

fn within<T: PartialOrd + ToString>(
    what: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<(), SweepError> {
    // Not a number is within nothing.
    if value >= low && value <= high {
        return Ok(());
    }
    Err(SweepError::Range {
        what,
        value: value.to_string(),
        low: low.to_string(),
        high: high.to_string(),
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a delay far below 2^53 us, times a checked factor"
)]
fn scaled(micros: Micros, factor: f64) -> Micros {
    (micros as f64 * factor).round() as Micros
}

/// Who is silent: so large a share, rounded down, drawn by the seed.
fn silent_members(members: usize, share: f64, seed: u64) -> BTreeSet<usize> {
    let mut all: Vec<usize> = (0..members).collect();
    Stream::new(seed, "silent").shuffle(&mut all);
    all.truncate(silent_count(members, share));
    all.into_iter().collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most a thousand members"
)]
fn silent_count(members: usize, share: f64) -> usize {
    // A share written as 0.3 of 10 is 3, though 0.3 is a little less than that.
    ((members as f64 * share) + 1e-9).floor() as usize
}

/// What came of one run: a line of `runs.csv`. What each field is says [`COLUMNS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which combination.
    pub cell: Cell,
    /// With which seed.
    pub seed: u64,
    /// Members that may be Byzantine.
    pub faulty: usize,
    /// Members that were silent.
    pub silent: usize,
    /// Longest jitter.
    pub jitter: Micros,
    /// What timers were set for.
    pub bound: Micros,
    /// Median, 90th and 99th percentile and mean of finality.
    pub finality: Option<Finality>,
    /// Mean time between the proposals of blocks that follow each other.
    pub interval: Option<Micros>,
    /// The highest view reached.
    pub views: u64,
    /// Timers that fired or were joined.
    pub timeouts: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Messages sent.
    pub messages: u64,
    /// Signatures made.
    pub signed: u64,
    /// Signatures checked.
    pub verified: u64,
    /// Blocks final at every member that is not silent.
    pub commits: u64,
    /// Simulated time of the run.
    pub time: Micros,
    /// Whether it ended because all was done.
    pub end: End,
}

/// Finality of the blocks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Half are no slower.
    pub p50: Micros,
    /// Nine of ten are no slower.
    pub p90: Micros,
    /// 99 of 100 are no slower.
    pub p99: Micros,
    /// Mean.
    pub mean: Micros,
}
