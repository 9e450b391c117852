//! Fuzz targets: plain functions from bytes to nothing, which panic when a promise is broken.
//!
//! ```text
//! seeds (valid inputs) --mutate--> bytes --> decode | step | json --> panic: a finding
//! ```
//!
//! The same functions run in two ways: `cargo test -p outrider-fuzz` feeds each some thousands of mutated seeds on any
//! machine, and `cargo xtask fuzz TARGET` lets libFuzzer look for new paths for as long as one likes (docs/fuzzing.md).
//!
//! What they defend:
//!
//! - [`decode`] T1: no bytes make decoding panic, a value has one encoding, and memory stays below the stated bound.
//! - [`step`] C1, C2, C5: whatever verified input a replica gets, in whatever order and at whatever time, with every key
//!   but its own in the hands of the adversary, it never panics, never signs an offence, never says what is not
//!   durable, and keeps its tree bounded.
//! - [`json`] F5, F6: no text makes a verifier panic, and none that differs from what the committee signed passes.
//!
//! Inputs that once broke a promise are kept under `regressions/` and run by the tests for ever.

#![allow(
    clippy::panic,
    reason = "a target panics when a promise is broken: that is its only output"
)]

mod alphabet;
mod decode;
mod json;
mod mutate;
mod step;

pub use decode::decode;
pub use json::json;
pub use mutate::{Rng, mutate};
pub use step::step;

/// A target with the inputs that a search for its faults begins with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Valid inputs that reach deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes that mean something to it: lengths at their limits, keys of an object.
    pub words: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 3] = [
    Target {
        name: "decode",
        run: decode,
        seeds: alphabet::encodings,
        words: decode::words,
    },
    Target {
        name: "step",
        run: step,
        seeds: step::seeds,
        words: Vec::new,
    },
    Target {
        name: "json",
        run: json,
        seeds: json::seeds,
        words: json::words,
    },
];

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// All names, for messages.
    #[must_use]
    pub fn names() -> String {
        TARGETS.map(|target| target.name).join(", ")
    }
}
