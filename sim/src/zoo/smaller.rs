//! From the run that killed a mutant to a small one that does, as a regression file.

use super::{Kill, attempt, attempt_for};
use crate::fact::Violation;
use crate::kernel::Statistics;
use crate::scenario::Scenario;
use crate::shrink::{Broken, shrink};
use crate::swarm::thread_cpu;
use outrider_types::zoo::Mutant;
use std::time::Duration;

/// Attempts of one shrinking; time is up long before.
const ATTEMPTS_MAX: u64 = 100_000;
/// A small run: members, faults and Byzantine members together, views.
pub const GOAL: (usize, usize, u64) = (4, 3, 12);

/// A run and the small one that was made of it.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// Its size before: members, faults, views.
    pub before: (usize, usize, u64),
    /// The small one.
    pub small: Broken,
    /// Runs that it took.
    pub attempts: u64,
    /// Processor time that it took.
    pub cpu: Duration,
}

impl Shrunk {
    /// Whether it is as small as it should be.
    #[must_use]
    pub fn reached_goal(&self) -> bool {
        let (members, faults, views) = self.small.size();
        members <= GOAL.0 && faults <= GOAL.1 && views <= GOAL.2
    }
}

/// Shrink a run that breaks a promise, for at most so much processor time. With a mutant, the run without it must stay
/// clean: what is left over breaks the promise because of the bug alone. `progress` is told how many runs were made, and the
/// size so far.
pub fn smaller(
    kill: &Kill,
    mutant: Option<Mutant>,
    most: Duration,
    progress: &mut dyn FnMut(u64, (usize, usize, u64)),
) -> Shrunk {
    let checker = kill.violation.checker;
    let first = Broken {
        scenario: Scenario {
            expect: crate::scenario::Expect {
                violates: None,
                ..kill.scenario.expect.clone()
            },
            ..kill.scenario.clone()
        },
        seed: kill.seed,
        violation: kill.violation.clone(),
        statistics: kill.statistics.clone(),
    };
    let before = first.size();
    let begin = thread_cpu();
    let spent = || thread_cpu().saturating_sub(begin);
    let mut attempts = 0;
    let mut try_one = |scenario: &Scenario, seed: u64| -> Option<(Violation, Statistics)> {
        if spent() >= most {
            return None;
        }
        attempts += 1;
        let run = attempt_for(checker, scenario, seed, mutant).ok()?;
        let violation = run.violation.filter(|found| found.checker == checker)?;
        if mutant.is_some() {
            let honest = attempt(scenario, seed, None).ok()?;
            if honest.violation.is_some() || honest.endless {
                return None;
            }
        }
        Some((violation, run.statistics))
    };
    let mut small = shrink(first, ATTEMPTS_MAX, &mut try_one, &mut |done, best| {
        progress(done, best.size());
    });
    small.scenario.seed = Some(small.seed);
    small.scenario.mutant = mutant;
    Shrunk {
        before,
        small,
        attempts,
        cpu: spent(),
    }
}

/// The regression file of a shrunk run that was named by this token.
#[must_use]
pub fn regression(shrunk: &Shrunk, token: &str) -> String {
    let Shrunk { before, small, .. } = shrunk;
    let (members, faults, views) = small.size();
    let mut scenario = small.scenario.clone();
    let checker = small.violation.checker;
    let mut head = String::new();
    scenario.about = match scenario.mutant {
        Some(mutant) => {
            let number = mutant.number();
            head += &format!(
                "# Mutant {number}, {}: {}.\n",
                mutant.name(),
                mutant.broken()
            );
            format!(
                "Kills mutant {number}, {}: {checker} fires in a build of the zoo, and nothing does in any other.",
                mutant.name()
            )
        }
        None => format!("{checker} fired."),
    };
    head += &format!(
        "# Checker {checker}, seed {}: {}\n",
        small.seed, small.violation.what
    );
    head += &format!(
        "# Found as {token} with {} members, {} faults, {} views; shrunk to {members}, {faults}, {views}.\n\n",
        before.0, before.1, before.2
    );
    head + &scenario.to_toml()
}
