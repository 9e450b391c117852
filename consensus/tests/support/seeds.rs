//! Random runs: how many, and which one failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How many seeds to run: a number that is quick in debug, or what OUTRIDER_SEEDS says.
#[allow(
    clippy::disallowed_methods,
    reason = "only how long to search is read from outside, never what a run does"
)]
pub fn seeds(quick: u64) -> u64 {
    std::env::var("OUTRIDER_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(quick)
}

/// Run a property for many seeds and say which one failed.
pub fn for_seeds(quick: u64, property: impl Fn(u64)) {
    for seed in 0..seeds(quick) {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| property(seed))) {
            eprintln!(
                "failed with seed {seed}; OUTRIDER_SEEDS={} reaches it",
                seed + 1
            );
            resume_unwind(failure);
        }
    }
}
