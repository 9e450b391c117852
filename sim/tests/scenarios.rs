//! The shipped scenarios in the turmoil world, with all checkers: the production driver and network under every kind of
//! fault, and beside members that break the rules.
//!
//! By default a few of them, shortened. `OUTRIDER_SCENARIOS=all` runs all of them as they are, `OUTRIDER_SCENARIOS=name`
//! one, or that of a file; `OUTRIDER_SEED` says with which seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::checkers::Checkers;
use outrider_sim::fact::{Fact, Micros, Observer, Violation};
use outrider_sim::scenario::{Byzantine, Fault, FaultKind, Jitter, Scenario};
use outrider_sim::world::{Outcome, run_scenario};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much shorter a shortened scenario is.
const SHORTER: u64 = 3;
/// And how long it goes on when its network is whole again.
const AFTER: Micros = 3_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn load(name: &str) -> Scenario {
    Scenario::load(&folder().join(format!("{name}.toml"))).unwrap()
}

/// The same faults in a third of the time.
fn shortened(name: &str) -> Scenario {
    let mut scenario = load(name);
    for fault in &mut scenario.faults {
        fault.at /= SHORTER;
        fault.lasts /= SHORTER;
    }
    scenario.gst /= SHORTER;
    scenario.end = scenario.gst + AFTER;
    scenario.expect.commits_min = 5;
    // Views of a shortened storm have timed out as often as those of a long one; nobody counts how soon they recover.
    scenario.expect.commit_within = None;
    scenario
}

fn seed() -> u64 {
    let named = std::env::var("OUTRIDER_SEED");
    named.map_or(1, |seed| seed.parse().unwrap())
}

/// Run a scenario with all checkers; what came of it, and everything that was seen.
fn run(scenario: &Scenario, seed: u64, deliveries: bool) -> (Outcome, Vec<(Micros, Fact)>) {
    let mut checkers = Checkers::new(scenario);
    let mut seen = Seen {
        facts: Vec::new(),
        deliveries,
    };
    let mut seconds = 0;
    let outcome = run_scenario(scenario, seed, (&mut checkers, &mut seen), &mut |_| {
        seconds += 1;
    })
    .unwrap();
    assert!(seconds >= outcome.at / 1_000_000, "progress is reported");
    let result = match &outcome.violation {
        Some(violation) => Err(violation.clone()),
        None => checkers.finish(outcome.at),
    };
    println!(
        "{} seed {seed}: {result:?} {:?}",
        scenario.name, outcome.statistics
    );
    assert!(
        checkers.violated_as_expected(&result),
        "{} seed {seed} at {} us: {result:?}",
        scenario.name,
        outcome.at
    );
    (outcome, seen.facts)
}

/// Everything that happened.
struct Seen {
    facts: Vec<(Micros, Fact)>,
    deliveries: bool,
}

impl Observer for Seen {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.facts.push((at, fact.clone()));
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        self.deliveries
    }
}

fn chosen(default: &[&str]) -> Vec<Scenario> {
    match std::env::var("OUTRIDER_SCENARIOS").as_deref() {
        Ok("all") => {
            let files = std::fs::read_dir(folder()).unwrap();
            let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
            paths.sort();
            paths
                .iter()
                .map(|path| Scenario::load(path).unwrap())
                .collect()
        }
        Ok(path) if path.ends_with(".toml") => vec![Scenario::load(Path::new(path)).unwrap()],
        Ok(name) => vec![load(name)],
        Err(_) => default.iter().map(|name| shortened(name)).collect(),
    }
}

#[test]
fn shipped_scenarios_come_out_as_they_say() {
    for scenario in chosen(&["power-loss", "one-way", "laggard", "twins"]) {
        run(&scenario, seed(), false);
    }
}

#[test]
fn scenario_that_breaks_more_than_f_forks_and_the_guilty_are_named() {
    let scenario = load("over-f");
    let (outcome, _) = run(&scenario, seed(), false);
    assert_eq!(outcome.violation.unwrap().checker, "S1");
}

/// Runs one scenario with a bit of everything and prints its hash.
#[test]
fn prints_the_hash_of_a_run() {
    println!("hash {:016x}", mixed(5).hash);
}

#[test]
fn one_seed_is_one_run_also_in_another_process() {
    let ours = format!("hash {:016x}", mixed(5).hash);
    let other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "prints_the_hash_of_a_run", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8(other.stdout).unwrap();
    assert!(text.contains(&ours), "{ours} is not in {text}");
    assert_ne!(ours, format!("hash {:016x}", mixed(6).hash));
}

fn mixed(seed: u64) -> Outcome {
    let mut scenario = small(
        "mixed",
        &[
            (1_000_000, 1_000_000, FaultKind::Pause { hosts: vec![1] }),
            (
                2_500_000,
                500_000,
                FaultKind::Crash {
                    hosts: vec![2],
                    unsynced: 0.5,
                },
            ),
            (
                500_000,
                3_000_000,
                FaultKind::CrashOnWrite {
                    hosts: vec![0],
                    probability: 0.02,
                    restart: 300_000,
                },
            ),
        ],
    );
    scenario.network.loss = 0.02;
    scenario.network.jitter = Jitter::LogNormal(2_000, 1.0);
    scenario.byzantine = vec![Byzantine {
        host: 3,
        deed: "equivocator".to_owned(),
    }];
    run(&scenario, seed, false).0
}

/// Four members, a short storm, a calm end.
fn small(name: &str, faults: &[(Micros, Micros, FaultKind)]) -> Scenario {
    let mut scenario = Scenario::calm(4);
    name.clone_into(&mut scenario.name);
    scenario.gst = 4_500_000;
    scenario.end = 5_500_000;
    scenario.timers.base_timeout = Duration::from_millis(300);
    let faults = faults.iter().cloned();
    scenario.faults = faults
        .map(|(at, lasts, kind)| Fault { at, lasts, kind })
        .collect();
    scenario
}
