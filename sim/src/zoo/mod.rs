//! The bug zoo: every mutant of [`outrider_types::zoo`] is let loose in worlds that are made for it, until the checker that
//! guards the broken promise fires; the same worlds without it must stay clean.
//!
//! ```text
//! mutant -> Case: seed -> Scenario -> kernel + checkers, one seed after the other -> Kill (checker, seed, processor time)
//!                                     the same, nothing loose, many times longer  -> clean
//! ```
//!
//! Only a build with the feature `zoo` has mutants ([`BUILT`]); cases and honest runs are in all builds.

mod cases;
mod smaller;

pub use cases::{Case, case};
pub use smaller::{GOAL, Shrunk, regression, smaller};

use crate::checkers::Checkers;
use crate::fact::{Class, Micros, Violation};
use crate::kernel::{Statistics, World, WorldError};
use crate::scenario::Scenario;
use crate::swarm::thread_cpu;
use outrider_types::zoo::Mutant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether this build has mutants.
pub const BUILT: bool = cfg!(feature = "zoo");

/// Events of one run; a run with more is given up, and counts for nothing.
const EVENTS_MAX: u64 = 500_000;
/// Simulated time between two looks at the number of events.
const LOOK: Micros = 10_000;

/// Do something with this bug loose on this thread, and with none afterwards. Panics in a build without mutants: ask
/// [`BUILT`] first.
pub fn with_loose<T>(mutant: Option<Mutant>, act: impl FnOnce() -> T) -> T {
    assert!(BUILT || mutant.is_none(), "this build has no mutants");
    #[cfg(feature = "zoo")]
    outrider_types::zoo::let_loose(mutant);
    let result = act();
    #[cfg(feature = "zoo")]
    outrider_types::zoo::let_loose(None);
    result
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// In numbers.
    pub statistics: Statistics,
    /// Simulated time that went by.
    pub simulated: Micros,
    /// It had too many events and was given up.
    pub endless: bool,
    hash: u64,
}

/// One run of a scenario in the kernel with all checkers, with this mutant loose.
pub fn attempt(
    scenario: &Scenario,
    seed: u64,
    mutant: Option<Mutant>,
) -> Result<Attempt, WorldError> {
    with_loose(mutant, || once(scenario, seed))
}

fn once(scenario: &Scenario, seed: u64) -> Result<Attempt, WorldError> {
    let mut world = World::new(scenario, seed, Checkers::new(scenario))?;
    let mut ended = Ok(());
    let mut endless = false;
    while ended.is_ok() && world.now() < scenario.end && !endless {
        let until = world.now().saturating_add(LOOK).min(scenario.end);
        ended = world.run_to(until);
        endless = world.statistics().events > EVENTS_MAX;
    }
    let (hash, statistics, at) = (world.hash(), world.statistics().clone(), world.now());
    if ended.is_ok() && !endless {
        ended = world.into_observer().finish(at);
    }
    Ok(Attempt {
        violation: ended.err(),
        statistics,
        simulated: at,
        endless,
        hash,
    })
}

/// As [`attempt`]; if this checker is D1, which needs two runs, the run is made again and must be the same.
pub fn attempt_for(
    checker: &str,
    scenario: &Scenario,
    seed: u64,
    mutant: Option<Mutant>,
) -> Result<Attempt, WorldError> {
    let mut first = attempt(scenario, seed, mutant)?;
    if checker == "D1" && first.violation.is_none() && !first.endless {
        let second = attempt(scenario, seed, mutant)?;
        if second.hash != first.hash {
            first.violation = Some(Violation {
                checker: "D1",
                class: Class::Determinism,
                at: first.simulated,
                what: format!(
                    "one seed, two runs: hash {:016x}, then {:016x}",
                    first.hash, second.hash
                ),
            });
        }
    }
    Ok(first)
}

/// A mutant whose checker fired.
#[derive(Clone, Debug)]
pub struct Kill {
    /// The scenario in which it fired.
    pub scenario: Scenario,
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub violation: Violation,
    /// That run, in numbers.
    pub statistics: Statistics,
}

/// What came of a hunt for a mutant, or of as many runs without one.
#[derive(Clone, Debug, Default)]
pub struct Hunt {
    /// Seeds run.
    pub seeds: u64,
    /// Simulated time of all of them.
    pub simulated: Micros,
    /// Processor time.
    pub cpu: Duration,
    /// The run in which the checker fired that the mutant names.
    pub kill: Option<Kill>,
    /// How often other checkers fired before.
    pub others: BTreeMap<&'static str, u64>,
    /// Runs that were given up.
    pub endless: u64,
}

impl Hunt {
    fn add(&mut self, attempt: &Attempt) {
        self.seeds += 1;
        self.simulated += attempt.simulated;
        self.endless += u64::from(attempt.endless);
    }
}

/// Let a mutant loose in one world of its case after the other until its checker fires, or so much processor time is spent.
pub fn hunt(mutant: Mutant, most: Duration) -> Result<Hunt, WorldError> {
    let case = case(mutant);
    let begin = thread_cpu();
    let mut hunt = Hunt::default();
    while hunt.kill.is_none() && hunt.cpu < most {
        let seed = hunt.seeds + 1;
        let scenario = (case.scenario)(seed);
        let run = attempt_for(mutant.killer(), &scenario, seed, Some(mutant))?;
        hunt.add(&run);
        hunt.cpu = thread_cpu().saturating_sub(begin);
        match run.violation {
            Some(violation) if violation.checker == mutant.killer() => {
                hunt.kill = Some(Kill {
                    scenario,
                    seed,
                    violation,
                    statistics: run.statistics,
                });
            }
            Some(other) => *hunt.others.entry(other.checker).or_default() += 1,
            None => {}
        }
    }
    Ok(hunt)
}

/// Run the worlds of a mutant's case without it for so much processor time, at least `seeds` of them: `kill` is what a
/// checker found there, which is a bug of the product or of the simulator.
pub fn honest(mutant: Mutant, seeds: u64, most: Duration) -> Result<Hunt, WorldError> {
    let case = case(mutant);
    let begin = thread_cpu();
    let mut hunt = Hunt::default();
    while hunt.kill.is_none() && (hunt.cpu < most || hunt.seeds < seeds) {
        let seed = hunt.seeds + 1;
        let scenario = (case.scenario)(seed);
        let run = attempt_for(mutant.killer(), &scenario, seed, None)?;
        hunt.add(&run);
        hunt.cpu = thread_cpu().saturating_sub(begin);
        if let Some(violation) = run.violation {
            hunt.kill = Some(Kill {
                scenario,
                seed,
                violation,
                statistics: run.statistics,
            });
        }
    }
    Ok(hunt)
}
