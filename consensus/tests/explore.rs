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

/// How many views to explore: what is quick in debug, or what OUTRIDER_VIEWS says.
#[allow(
    clippy::disallowed_methods,
    reason = "only how far to search is read from outside, never what a run does"
)]
fn views() -> u64 {
    std::env::var("OUTRIDER_VIEWS")
        .ok()
        .and_then(|views| views.parse().ok())
        .unwrap_or(2)
}

#[test]
fn four_members_with_an_equivocating_leader_agree_in_all_schedules() {
    let views = views();
    let checker = Committee::new(views).checker().spawn_bfs().join();
    let (locals, memo) = checker.model().sizes();
    eprintln!(
        "{views} views: {} states ({} generated), depth {}; {locals} states of single members, {memo} steps",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    checker.assert_properties();
}
