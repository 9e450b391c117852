//! The scenarios that ship: each is valid, is explained, is named by its hash, and comes in the kernel world to what it
//! expects, with all checkers watching. The turmoil world has `scenarios.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::checkers::Checkers;
use outrider_sim::kernel::World;
use outrider_sim::scenario::Scenario;
use outrider_sim::token::Token;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Those that the documentation promises.
const PROMISED: [&str; 19] = [
    "amnesia",
    "bridge",
    "calm",
    "clock-skew",
    "crash-storm",
    "dead-leader",
    "epoch-under-partition",
    "equivocating-leader",
    "everything",
    "laggard",
    "one-way",
    "over-f",
    "partition",
    "payload-fetch",
    "power-loss",
    "slow-disk",
    "twins",
    "wan",
    "withholding-leader",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn shipped() -> Vec<Scenario> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let load = |path: &PathBuf| Scenario::load(path).unwrap_or_else(|error| panic!("{error}"));
    paths.iter().map(load).collect()
}

#[test]
fn all_that_are_promised_ship_and_say_what_to_look_at() {
    let scenarios = shipped();
    let names: Vec<&str> = scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    assert_eq!(names, PROMISED);
    for scenario in &scenarios {
        assert!(
            scenario.about.len() > 80,
            "{} is not explained",
            scenario.name
        );
        let back = Scenario::from_toml(&scenario.name, &scenario.to_toml()).unwrap();
        assert_eq!(back, *scenario);
    }
    let hashes: BTreeSet<String> = scenarios.iter().map(Scenario::hash).collect();
    assert_eq!(hashes.len(), scenarios.len());
}

#[test]
fn a_token_finds_a_scenario_that_ships() {
    for scenario in shipped() {
        let token: Token = Token::new(&scenario, 5, "unknown")
            .to_string()
            .parse()
            .unwrap();
        assert_eq!(token.resolve(&[&folder()]).unwrap(), scenario);
    }
}

/// Run it in the kernel; the height of the longest ledger, or what came of it instead.
fn comes_to_what_it_expects(scenario: &Scenario, seed: u64) -> Result<u64, String> {
    let mut world = World::new(scenario, seed, Checkers::new(scenario)).unwrap();
    let mut ended = world.run();
    let (height, at) = (world.statistics().height, world.now());
    let mut checkers = world.into_observer();
    if ended.is_ok() {
        ended = checkers.finish(at);
    }
    let (name, violates) = (&scenario.name, &scenario.expect.violates);
    match (&ended, violates) {
        (Ok(()), None) => Ok(height),
        (Err(found), Some(expected)) if found.checker == expected => Ok(height),
        _ => Err(format!(
            "{name}, seed {seed}: {ended:?} at height {height}, expected {violates:?}"
        )),
    }
}

#[test]
fn each_comes_to_what_it_expects_in_the_kernel() {
    let mut unlike = Vec::new();
    for scenario in shipped() {
        match comes_to_what_it_expects(&scenario, 1) {
            Ok(height) => println!("{}: height {height}", scenario.name),
            Err(reason) => unlike.push(reason),
        }
    }
    assert!(unlike.is_empty(), "{unlike:#?}");
}
