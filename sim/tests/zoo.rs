//! The bug zoo: mutants that must be found, in a build that has them:
//! `cargo test -p outrider-sim --features zoo --test zoo`. All of them with honest runs: `outrider sim zoo`.

#![cfg(feature = "zoo")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use outrider_sim::fact::Class;
use outrider_sim::scenario::Scenario;
use outrider_sim::token::Token;
use outrider_sim::zoo::{Hunt, attempt_for, case, honest, hunt, smaller, with_loose};
use outrider_types::zoo::{Mutant, loose};
use std::collections::BTreeSet;
use std::time::Duration;

/// Far more than any mutant lives, also in a build without optimisation.
const PATIENCE: Duration = Duration::from_secs(120);

fn killed(mutant: Mutant) -> Hunt {
    let hunt = hunt(mutant, PATIENCE).unwrap();
    assert!(hunt.kill.is_some(), "{mutant} survived: {hunt:?}");
    hunt
}

/// One of each class of promise, so that a checker that stopped looking is noticed at every change.
#[test]
fn a_mutant_of_each_class_is_found() {
    let canaries = [
        Mutant::CommitOnOneCertificate,
        Mutant::ProposesWithoutTc,
        Mutant::LegalPairBlamed,
        Mutant::MapOrderVisible,
        Mutant::HighViewUnchecked,
    ];
    let mut classes = BTreeSet::new();
    for mutant in canaries {
        let hunt = killed(mutant);
        let kill = hunt.kill.unwrap();
        assert_eq!(kill.violation.checker, mutant.killer());
        classes.insert(kill.violation.class);
        let honest = honest(mutant, hunt.seeds.min(5), Duration::ZERO).unwrap();
        assert!(honest.kill.is_none(), "without {mutant}: {honest:?}");
    }
    assert!(classes.contains(&Class::Safety) && classes.contains(&Class::Liveness));
    assert!(classes.contains(&Class::Accountability));
    assert_eq!(loose(), None, "nothing stays loose");
}

/// All of them, without honest runs.
#[test]
fn every_mutant_is_found() {
    let mut seeds = 0;
    for mutant in Mutant::ALL {
        seeds += killed(mutant).seeds;
    }
    println!("{} mutants in {seeds} seeds", Mutant::COUNT);
}

#[test]
fn a_token_of_the_zoo_names_the_run_that_killed() {
    let mutant = Mutant::WeightUnchecked;
    let kill = killed(mutant).kill.unwrap();
    let token: Token = Token::zoo(mutant, kill.seed, "unknown")
        .to_string()
        .parse()
        .unwrap();
    let scenario = token.resolve(&[]).unwrap();
    assert_eq!(scenario.mutant, Some(mutant));
    let again = attempt_for(mutant.killer(), &scenario, token.seed, scenario.mutant).unwrap();
    assert_eq!(again.violation, Some(kill.violation));
}

#[test]
fn a_run_that_killed_is_made_small_and_is_clean_without_the_mutant() {
    let mutant = Mutant::IncludedTwice;
    let kill = killed(mutant).kill.unwrap();
    let shrunk = smaller(&kill, Some(mutant), Duration::from_secs(20), &mut |_, _| {});
    assert!(
        shrunk.small.size() < shrunk.before,
        "{:?} of {:?}",
        shrunk.small.size(),
        shrunk.before
    );
    let scenario = &shrunk.small.scenario;
    assert_eq!(scenario.problems(), Vec::<String>::new());
    let read = Scenario::from_toml(&scenario.name, &scenario.to_toml()).unwrap();
    assert_eq!(read, *scenario);
    let seed = scenario.seed.unwrap();
    let broken = attempt_for(mutant.killer(), scenario, seed, Some(mutant)).unwrap();
    assert_eq!(
        broken.violation.map(|found| found.checker),
        Some(mutant.killer())
    );
    let honest = attempt_for(mutant.killer(), scenario, seed, None).unwrap();
    assert_eq!(honest.violation, None);
}

#[test]
fn nothing_is_loose_after_a_panic_free_run() {
    let inside = with_loose(Some(Mutant::NoBackoff), loose);
    assert_eq!((inside, loose()), (Some(Mutant::NoBackoff), None));
}

#[test]
fn the_worlds_of_every_case_can_be_written_down() {
    for mutant in Mutant::ALL {
        for seed in 1..=5 {
            let scenario = (case(mutant).scenario)(seed);
            assert_eq!(
                scenario.problems(),
                Vec::<String>::new(),
                "{mutant} seed {seed}"
            );
            let read = Scenario::from_toml(&scenario.name, &scenario.to_toml()).unwrap();
            assert_eq!(read, scenario);
        }
    }
}
