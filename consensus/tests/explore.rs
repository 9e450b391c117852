//! All schedules of four members over the first views, one of them Byzantine, with the real replicas: agreement, the
//! claim of protocol section 5, no honest offence; and fast and slow commits do happen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

mod explore {
    pub mod member;
    pub mod model;
}

use explore::model::Committee;
use stateright::{Checker, Model};

/// What OUTRIDER_VIEWS and OUTRIDER_DEPTH say, or what is quick in debug.
#[allow(
    clippy::disallowed_methods,
    reason = "only how far to search is read from outside, never what a run does"
)]
fn bound(name: &str, quick: usize) -> usize {
    let said = std::env::var(name).ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(quick)
}

/// Explore all schedules of this many views and at most this many deliveries.
fn explore(views: u64, depth: usize) {
    let model = Committee::new(views);
    let checker = model.checker().target_max_depth(depth).spawn_bfs().join();
    let (states, steps) = checker.model().sizes();
    println!(
        "{views} views, depth {} of at most {depth}: {} states, {} steps between them; a member has {states} states \
         and {steps} steps",
        checker.max_depth(),
        checker.unique_state_count(),
        checker.state_count(),
    );
    checker.assert_properties();
}

/// Complete: no schedule is longer than 15 deliveries.
#[test]
fn every_schedule_of_one_view_is_safe() {
    explore(1, 100);
}

/// Complete to the depth; OUTRIDER_DEPTH=100 has no bound but memory and patience.
#[test]
fn every_short_schedule_of_two_views_is_safe() {
    let views = u64::try_from(bound("OUTRIDER_VIEWS", 2)).unwrap();
    explore(views, bound("OUTRIDER_DEPTH", 9));
}
