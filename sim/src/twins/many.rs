//! Many scenarios on many threads. Every result is the same whatever the number of threads.

use super::rounds::Rounds;
use super::space::Space;
use super::world::{Outcome, Stage};
use crate::fact::Violation;
use crate::rng::Stream;
use outrider_types::CommitteeError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Scenarios that a thread takes at once.
const CHUNK: u64 = 64;
/// Scenarios whose violation is kept; all are counted.
const FOUND_MAX: usize = 16;

/// Which scenarios.
#[derive(Clone, Debug)]
pub enum Source {
    /// All of a space.
    All(Space),
    /// Of a space with renamings: one of those that differ in names only.
    Distinct(Space),
    /// So many of a space, drawn with this seed, repetitions among them.
    Sample(Space, u64, u64),
    /// These.
    List(Vec<Rounds>),
}

impl Source {
    /// Numbers of scenarios, those that are passed over included; none if there are more than can be counted.
    #[must_use]
    pub fn numbers(&self) -> Option<u64> {
        match self {
            Self::All(space) | Self::Distinct(space) => u64::try_from(space.count()).ok(),
            Self::Sample(_, count, _) => Some(*count),
            Self::List(list) => u64::try_from(list.len()).ok(),
        }
    }

    /// The scenario of a number; none if it is passed over, or there is none.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Rounds> {
        match self {
            Self::All(space) => space.nth(number.into()),
            Self::Distinct(space) => space
                .is_first(number.into())
                .then(|| space.nth(number.into()))
                .flatten(),
            // Each has a stream of its own, so that any of them can be drawn alone.
            Self::Sample(space, count, seed) => (number < *count).then(|| {
                let mut stream = Stream::new(*seed, &format!("twins {number}"));
                space.draw(&mut stream)
            }),
            Self::List(list) => usize::try_from(number)
                .ok()
                .and_then(|at| list.get(at).cloned()),
        }
    }
}

/// How far it is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Numbers done, those passed over included.
    pub done: AtomicU64,
    /// Broken promises.
    pub violations: AtomicU64,
}

/// A scenario that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// The scenario.
    pub rounds: Rounds,
    /// What it broke.
    pub violation: Violation,
}

/// What all of them came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Scenarios run.
    pub scenarios: u64,
    /// Of them, those that broke a promise.
    pub violations: u64,
    /// The first of those, by number.
    pub found: Vec<Found>,
    /// Those in which a block was final before everything was connected.
    pub committed: u64,
    /// Those in which the instances of a twin signed an offence together.
    pub offended: u64,
    /// Those in which timeouts adopted a block.
    pub adopted: u64,
    /// Those in which nobody could move any more before the last round was over.
    pub stuck: u64,
    /// Messages delivered.
    pub deliveries: u64,
}

impl Report {
    fn count(&mut self, number: u64, rounds: Rounds, outcome: Outcome) {
        self.scenarios += 1;
        self.committed += u64::from(outcome.committed > 0);
        self.offended += u64::from(outcome.offences > 0);
        self.adopted += u64::from(outcome.adopted > 0);
        self.stuck += u64::from(outcome.stuck);
        self.deliveries += outcome.deliveries;
        if let Some(violation) = outcome.violation {
            self.violations += 1;
            self.found.push(Found {
                number,
                rounds,
                violation,
            });
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.found.sort_by_key(|found| found.number);
        self.found.truncate(FOUND_MAX);
    }

    fn merge(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.violations += other.violations;
        self.committed += other.committed;
        self.offended += other.offended;
        self.adopted += other.adopted;
        self.stuck += other.stuck;
        self.deliveries += other.deliveries;
        self.found.extend(other.found);
        self.keep_first();
    }
}

/// Run scenarios number 0 to below `numbers` on so many threads.
pub fn run_many(
    source: &Source,
    numbers: u64,
    jobs: usize,
    progress: &Progress,
) -> Result<Report, CommitteeError> {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Ok(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let part = work(source, numbers, &next, progress);
                let mut total = match total.lock() {
                    Ok(total) => total,
                    Err(poisoned) => poisoned.into_inner(),
                };
                match (&mut *total, part) {
                    (Ok(total), Ok(part)) => total.merge(part),
                    (Ok(_), Err(error)) => *total = Err(error),
                    (Err(_), _) => {}
                }
            });
        }
    });
    total
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What one thread does: take chunks until none is left.
fn work(
    source: &Source,
    numbers: u64,
    next: &AtomicU64,
    progress: &Progress,
) -> Result<Report, CommitteeError> {
    let mut report = Report::default();
    let mut stage: Option<(usize, Stage)> = None;
    loop {
        let from = next.fetch_add(CHUNK, Ordering::Relaxed);
        if from >= numbers {
            return Ok(report);
        }
        let to = from.saturating_add(CHUNK).min(numbers);
        for number in from..to {
            let Some(rounds) = source.get(number) else {
                continue;
            };
            if stage
                .as_ref()
                .is_none_or(|(members, _)| *members != rounds.members)
            {
                stage = Some((rounds.members, Stage::new(rounds.members)?));
            }
            if let Some((_, stage)) = &mut stage {
                let outcome = stage.run(&rounds)?;
                if outcome.violation.is_some() {
                    progress.violations.fetch_add(1, Ordering::Relaxed);
                }
                report.count(number, rounds, outcome);
            }
        }
        progress.done.fetch_add(to - from, Ordering::Relaxed);
    }
}
