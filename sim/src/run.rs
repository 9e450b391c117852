//! One run in the kernel, with all checkers watching.

use crate::checkers::Checkers;
use crate::fact::{Class, Observer, Violation};
use crate::kernel::{Statistics, World, WorldError};
use crate::marks::Marks;
use crate::scenario::Scenario;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Chained hash of everything that happened.
    pub hash: u64,
    /// In numbers.
    pub statistics: Statistics,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// Whether that is what the scenario expects.
    pub as_expected: bool,
    /// Rare states that were reached.
    pub marks: Marks,
}

/// Run a scenario in the kernel, with all checkers and with `watcher`, which is given back.
pub fn in_kernel<O: Observer>(
    scenario: &Scenario,
    seed: u64,
    watcher: O,
) -> Result<(Outcome, O), WorldError> {
    let checkers = (Checkers::new(scenario), Marks::new(scenario));
    let mut world = World::new(scenario, seed, (checkers, watcher))?;
    let mut ended = world.run();
    let (hash, statistics, at) = (world.hash(), world.statistics().clone(), world.now());
    let ((mut checkers, marks), watcher) = world.into_observer();
    if ended.is_ok() {
        ended = checkers.finish(at);
    }
    let as_expected = checkers.violated_as_expected(&ended);
    let outcome = Outcome {
        hash,
        statistics,
        violation: ended.err(),
        as_expected,
        marks,
    };
    Ok((outcome, watcher))
}

/// D1: the same scenario and seed once more must come to the same hash.
pub fn same_again(scenario: &Scenario, seed: u64, first: u64) -> Result<(), Violation> {
    let mut world = match World::new(scenario, seed, ()) {
        Ok(world) => world,
        Err(error) => unreachable!("a scenario that ran cannot begin: {error}"),
    };
    // What ends the first run early is a checker, or a panic, and a panic ends this one too.
    drop(world.run());
    if world.hash() == first {
        return Ok(());
    }
    Err(Violation {
        checker: "D1",
        class: Class::Determinism,
        at: world.now(),
        what: format!(
            "one seed, two runs: hash {first:016x}, then {:016x}",
            world.hash()
        ),
    })
}
