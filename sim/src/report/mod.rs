//! What a run came to: its events line by line, and its numbers for programs and for people.
//!
//! ```text
//! World -- facts --> (Tally, (Events, Recording)) -- at the end --> Summary { json, text }, events.jsonl, diagram
//! ```

mod events;
mod latency;
mod summary;
mod tally;
mod text;

pub use events::{Events, EventsError, LINES_MAX};
pub use latency::Latencies;
pub use summary::Summary;
pub use tally::{Loads, Tally};

use crate::fact::{Micros, Violation};
use crate::scenario::Scenario;

/// Which run it was, and how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What was run.
    pub scenario: &'a Scenario,
    /// With which seed.
    pub seed: u64,
    /// Replays it: `scenario-hash:seed@commit`.
    pub token: &'a str,
    /// Hash of all facts, if the world makes one.
    pub hash: Option<[u8; 32]>,
    /// Simulated time that was reached.
    pub end: Micros,
    /// Rare states and how often they were reached, in the order of their list.
    pub marks: &'a [(&'a str, u64)],
    /// What ended it, if a checker did.
    pub violation: Option<&'a Violation>,
}

impl Run<'_> {
    /// The hash in hex; one of eight bytes without the zeros that fill it up.
    #[must_use]
    pub fn hash_text(&self) -> Option<String> {
        let hash = self.hash?;
        let (own, filling) = hash.split_at(8);
        let short = filling.iter().all(|byte| *byte == 0);
        Some(hex::encode(if short { own } else { &hash }))
    }
}
