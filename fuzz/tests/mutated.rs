//! Each target over its seeds, mutated seeds, random bytes, and every input that once broke a promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

use outrider_fuzz::{Rng, Target, mutate};
use std::path::Path;

/// How many mutated inputs of a target: as many as take a few seconds in debug.
fn run(name: &str, inputs: usize) {
    let target = Target::named(name).unwrap();
    let (seeds, words) = ((target.seeds)(), (target.words)());
    assert!(!seeds.is_empty(), "a search begins somewhere");
    for seed in &seeds {
        (target.run)(seed);
    }
    let mut rng = Rng::new(0x0075_7472_6964_6572);
    for _ in 0..inputs {
        let mut bytes = match rng.below(8) {
            0 => (0..rng.below(600)).map(|_| rng.byte()).collect(),
            _ => seeds[rng.below(seeds.len())].clone(),
        };
        mutate(&mut rng, &mut bytes, &seeds, &words);
        on_panic_say(name, &bytes, target.run);
    }
}

/// The input in hex, so that it can be kept.
fn on_panic_say(name: &str, bytes: &[u8], run: fn(&[u8])) {
    struct Said<'a>(&'a str, &'a [u8]);
    impl Drop for Said<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let hex: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
                eprintln!("{} breaks on: {hex}", self.0);
            }
        }
    }
    let said = Said(name, bytes);
    run(bytes);
    drop(said);
}

fn regressions(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(name);
    let target = Target::named(name).unwrap();
    let Ok(files) = std::fs::read_dir(&folder) else {
        return;
    };
    for file in files {
        let path = file.unwrap().path();
        eprintln!("{}", path.display());
        (target.run)(&std::fs::read(&path).unwrap());
    }
}

#[test]
fn decode_keeps_its_promises() {
    regressions("decode");
    run("decode", 20_000);
}

#[test]
fn step_keeps_its_promises() {
    regressions("step");
    run("step", 1_000);
}

#[test]
fn json_keeps_its_promises() {
    regressions("json");
    run("json", 20_000);
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let inputs = || {
        let mut rng = Rng::new(7);
        let mut bytes = vec![1; 40];
        mutate(&mut rng, &mut bytes, &[vec![2; 9]], &[vec![3]]);
        (bytes, rng.next())
    };
    assert_eq!(inputs(), inputs());
}
