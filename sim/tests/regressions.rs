//! Scenarios that once killed a mutant, shrunk: `scenarios/regressions`. In every build they must come out clean; in a build
//! of the zoo (`--features zoo`) the mutant that each names must still be killed by its checker.
//!
//! To write them anew: `cargo run --release -p outrider-cli --features zoo -- sim zoo --shrink scenarios/regressions`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use outrider_sim::scenario::Scenario;
use outrider_sim::zoo::attempt_for;
use outrider_types::zoo::Mutant;
use std::path::{Path, PathBuf};

/// Seeds beside that of the file, in the honest build.
const OTHERS: u64 = 2;
/// Seeds beside that of the file, with which the mutant may be killed: what was drawn by chance changes with the simulator.
#[cfg(feature = "zoo")]
const OTHERS_TO_KILL: u64 = 300;

fn regressions() -> Vec<(Mutant, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/regressions");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let load = |file: &PathBuf| {
        let scenario = Scenario::load(file).unwrap();
        Some((scenario.mutant?, scenario))
    };
    files.iter().filter_map(load).collect()
}

#[test]
fn every_mutant_has_its_regression() {
    let regressions = regressions();
    for mutant in Mutant::ALL {
        let named = regressions.iter().find(|(other, _)| *other == mutant);
        let (_, scenario) = named.unwrap();
        assert_eq!(scenario.name, mutant.name());
        assert!(scenario.seed.is_some() && scenario.expect.violates.is_none());
    }
}

#[test]
fn regressions_are_clean_without_their_mutants() {
    for (mutant, scenario) in regressions() {
        let own = scenario.seed.unwrap();
        let run = attempt_for(mutant.killer(), &scenario, own, None).unwrap();
        assert!(
            run.violation.is_none() && !run.endless,
            "{mutant} seed {own}: {:?}",
            run.violation
        );
        // A promise that is due within a few views is only promised to the seed that it was shrunk for.
        if matches!(mutant.killer().as_bytes(), [b'L', ..]) {
            continue;
        }
        for seed in 1..=OTHERS {
            let run = attempt_for(mutant.killer(), &scenario, seed, None).unwrap();
            assert!(
                run.violation.is_none() && !run.endless,
                "{mutant} seed {seed}: {:?}",
                run.violation
            );
        }
    }
}

#[cfg(feature = "zoo")]
#[test]
fn regressions_still_kill_their_mutants() {
    for (mutant, scenario) in regressions() {
        let own = scenario.seed.unwrap();
        let kills = |seed: &u64| {
            let run = attempt_for(mutant.killer(), &scenario, *seed, Some(mutant)).unwrap();
            run.violation
                .is_some_and(|found| found.checker == mutant.killer())
        };
        let seed = std::iter::once(own).chain(1..=OTHERS_TO_KILL).find(kills);
        assert!(
            seed.is_some(),
            "{mutant}: {} does not fire any more",
            mutant.killer()
        );
        if seed != Some(own) {
            println!("{mutant}: killed with seed {seed:?}, and no longer with {own}");
        }
    }
}
