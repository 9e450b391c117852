//! The swarm: scenarios drawn from seeds, run in the kernel on all cores, until time or seeds are used up.
//!
//! Each seed is a storm and then calm: see [`draw`]. Every so many seeds one is run twice, and must be the same run (D1).

pub mod draw;

use crate::fact::{Micros, Violation};
use crate::kernel::WorldError;
use crate::marks::Marks;
use crate::run::{in_kernel, same_again};
use crate::scenario::{Keys, Scenario};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One seed in so many is run twice.
const TWICE_EVERY: u64 = 64;
/// Failures that are kept; more tell nothing new.
const FAILURES_MAX: usize = 100;

/// How much to run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The first seed.
    pub first: u64,
    /// Most seeds; none: no limit.
    pub seeds: Option<u64>,
    /// Most time; none: no limit.
    pub time: Option<Duration>,
    /// Threads.
    pub jobs: usize,
    /// Stop at this many failures.
    pub failures: usize,
}

/// A seed that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// The scenario that it draws.
    pub scenario: Scenario,
    /// What was broken.
    pub violation: Violation,
}

/// What a swarm came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds run.
    pub seeds: u64,
    /// Simulated time of all of them.
    pub simulated: Micros,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Of these two, what seeds with Ed25519 keys took: their signatures cost far more than all else.
    pub real_keys: (Micros, Duration),
    /// Time that went by.
    pub wall: Duration,
    /// Events handled.
    pub events: u64,
    /// Blocks in the longest ledger of each run.
    pub blocks: u64,
    /// Rare states that were reached.
    pub marks: Marks,
    /// Seeds that broke a promise, lowest first.
    pub failures: Vec<Failure>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.cpu += other.cpu;
        self.real_keys.0 += other.real_keys.0;
        self.real_keys.1 += other.real_keys.1;
        self.events += other.events;
        self.blocks += other.blocks;
        self.marks.merge(&other.marks);
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
    }

    /// Seeds per second of time that went by.
    #[must_use]
    pub fn seeds_per_second(&self) -> f64 {
        rate(self.seeds as f64, self.wall)
    }

    /// Simulated seconds per second of processor time, of all seeds.
    #[must_use]
    pub fn speed(&self) -> f64 {
        rate(self.simulated as f64 / 1e6, self.cpu)
    }

    /// The same of seeds with simulated keys.
    #[must_use]
    pub fn speed_of_simulated_keys(&self) -> f64 {
        let (simulated, cpu) = self.real_keys;
        rate(
            self.simulated.saturating_sub(simulated) as f64 / 1e6,
            self.cpu.saturating_sub(cpu),
        )
    }

    /// Events per second of processor time.
    #[must_use]
    pub fn events_per_second(&self) -> f64 {
        rate(self.events as f64, self.cpu)
    }
}

fn rate(count: f64, time: Duration) -> f64 {
    count / time.as_secs_f64().max(1e-9)
}

/// Processor time of this thread so far.
#[must_use]
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// Run one drawn scenario; what is wrong, if anything.
fn one(seed: u64, report: &mut Report) -> Result<(), WorldError> {
    let scenario = draw::draw(seed);
    let (started, simulated) = (thread_cpu(), report.simulated);
    let (outcome, ()) = in_kernel(&scenario, seed, ())?;
    report.seeds += 1;
    report.simulated += scenario.end;
    report.events += outcome.statistics.events;
    report.blocks += outcome.statistics.height;
    report.marks.merge(&outcome.marks);
    let mut violation = outcome.violation.filter(|_| !outcome.as_expected);
    if violation.is_none() && seed.is_multiple_of(TWICE_EVERY) && outcome.as_expected {
        violation = same_again(&scenario, seed, outcome.hash).err();
        report.simulated += scenario.end;
        report.events += outcome.statistics.events;
    }
    let took = thread_cpu().saturating_sub(started);
    report.cpu += took;
    if scenario.committee.keys == Keys::Ed25519 {
        report.real_keys.0 += report.simulated - simulated;
        report.real_keys.1 += took;
    }
    if let Some(violation) = violation {
        report.failures.push(Failure {
            seed,
            scenario,
            violation,
        });
    }
    Ok(())
}

/// Run seeds until a limit is reached. `progress` is told, on the caller's thread, how many seeds are done and how many
/// failed, a few times a second.
pub fn run(limits: Limits, progress: &mut dyn FnMut(u64, usize)) -> Result<Report, WorldError> {
    let begin = Instant::now();
    let (next, done) = (AtomicU64::new(limits.first), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let total = Mutex::new((Report::default(), None));
    let end = limits.seeds.map(|seeds| limits.first.saturating_add(seeds));
    let failed = AtomicU64::new(0);
    let work = || {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            if limits.time.is_some_and(|time| begin.elapsed() >= time) {
                break;
            }
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if end.is_some_and(|end| seed >= end) {
                break;
            }
            let before = report.failures.len();
            if let Err(error) = one(seed, &mut report) {
                stop.store(true, Ordering::Relaxed);
                total.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(error);
                break;
            }
            done.fetch_add(1, Ordering::Relaxed);
            let new = (report.failures.len() - before) as u64;
            if failed.fetch_add(new, Ordering::Relaxed) + new >= limits.failures.max(1) as u64 {
                stop.store(true, Ordering::Relaxed);
            }
        }
        total
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .add(report);
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..limits.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(100));
            let failures = usize::try_from(failed.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
            progress(done.load(Ordering::Relaxed), failures);
        }
    });
    let (mut report, error) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.wall = begin.elapsed();
    report.failures.sort_by_key(|failure| failure.seed);
    error.map_or(Ok(report), Err)
}
