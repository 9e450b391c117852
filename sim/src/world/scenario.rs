//! A scenario in the turmoil world.

use super::{Past, Plan, World, WorldError, healed_at};
use crate::fact::{Micros, Observer, Violation};
use crate::kernel::Statistics;
use crate::scenario::Scenario;

/// How often a run says how far it is.
const PROGRESS_EVERY: Micros = 1_000_000;

/// How far a run is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Simulated time.
    pub at: Micros,
    /// When it ends.
    pub end: Micros,
    /// Height of the last final block, by host.
    pub heights: Vec<u64>,
    /// View, by host.
    pub views: Vec<u64>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Chained hash of everything that happened.
    pub hash: u64,
    /// Simulated time at the end.
    pub at: Micros,
    /// In numbers.
    pub statistics: Statistics,
    /// What a checker found; the run ended there.
    pub violation: Option<Violation>,
}

/// When a scenario ends in this world: as long after its network is whole as the scenario says after `gst`.
#[must_use]
pub fn ends_at(scenario: &Scenario) -> Micros {
    let longer = healed_at(scenario).saturating_sub(scenario.gst);
    scenario.end.saturating_add(longer)
}

/// Run a scenario to its end, or to the first violation. Members sign with Ed25519 whatever the scenario says, for their
/// codec knows nothing else. What must have happened by the end is the observer's to ask for: `Checkers::finish`.
///
/// # Errors
///
/// [`WorldError`]: the world could not be built, or turmoil failed. A panicking member is a fact, not an error.
pub fn run_scenario(
    scenario: &Scenario,
    seed: u64,
    observer: impl Observer,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, WorldError> {
    let plan = Plan {
        scenario,
        seed,
        keep_blocks: 0,
        tick: None,
        lazy: None,
        past: &Past::default(),
    };
    let mut world = World::build(&plan, observer)?;
    let end = ends_at(scenario);
    let mut violation = None;
    while violation.is_none() && world.now() < end {
        let next = (world.now() / PROGRESS_EVERY + 1) * PROGRESS_EVERY;
        match world.run_until(next.min(end)) {
            Ok(()) => {}
            Err(WorldError::Violation(found)) => violation = Some(found),
            Err(error) => return Err(error),
        }
        progress(Progress {
            at: world.now(),
            end,
            heights: world.heights().to_vec(),
            views: world.views().to_vec(),
        });
    }
    Ok(Outcome {
        hash: world.hash(),
        at: world.now(),
        statistics: world.statistics(),
        violation,
    })
}
