//! Every deed in the kernel, with all checkers: what up to f stake may do breaks no promise; more than f fork and are caught.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::adversary::{DEEDS, halves};
use outrider_sim::fact::{Class, Fact, Message, Micros, Observer, Violation};
use outrider_sim::run::in_kernel;
use outrider_sim::scenario::{Byzantine, Fault, FaultKind, Scenario};
use std::collections::BTreeMap;

/// Messages that Byzantine hosts sent, by kind.
#[derive(Debug, Default)]
struct Sent {
    byzantine: Vec<usize>,
    kinds: BTreeMap<&'static str, u64>,
    commits: u64,
}

impl Observer for Sent {
    fn see(&mut self, _: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Sent { from, message, .. } if self.byzantine.contains(from) => {
                let message: &Message = message;
                *self.kinds.entry(message.kind()).or_default() += 1;
            }
            Fact::Committed { .. } => self.commits += 1,
            _ => {}
        }
        Ok(())
    }
}

/// Some jitter and loss for three seconds, then calm for three: these hosts do this.
fn scenario(members: usize, hosts: &[usize], deed: &str, epoch_blocks: u64) -> Scenario {
    let mut scenario = Scenario::calm(members);
    deed.clone_into(&mut scenario.name);
    scenario.network.loss = 0.02;
    scenario.network.duplicate = 0.02;
    scenario.gst = 3_000_000;
    scenario.end = 6_000_000;
    scenario.committee.epoch_blocks = epoch_blocks;
    scenario.byzantine = hosts
        .iter()
        .map(|host| Byzantine {
            host: *host,
            deed: deed.to_owned(),
        })
        .collect();
    scenario
}

fn play(scenario: &Scenario, seed: u64) -> (Option<Violation>, Sent) {
    let sent = Sent {
        byzantine: scenario.byzantine.iter().map(|one| one.host).collect(),
        ..Sent::default()
    };
    let (outcome, sent) = in_kernel(scenario, seed, sent).unwrap();
    (outcome.violation, sent)
}

fn keeps_all_promises(
    members: usize,
    hosts: &[usize],
    epoch_blocks: u64,
    seeds: std::ops::Range<u64>,
) {
    for (deed, _) in DEEDS.iter().filter(|(deed, _)| *deed != "forkers") {
        let scenario = scenario(members, hosts, deed, epoch_blocks);
        for seed in seeds.clone() {
            let (violation, sent) = play(&scenario, seed);
            assert_eq!(violation, None, "{deed}, seed {seed}");
            assert!(sent.commits > 20, "{deed}, seed {seed}: {sent:?}");
            assert_eq!(*deed == "silent", sent.kinds.is_empty(), "{deed}: {sent:?}");
        }
    }
}

#[test]
fn one_of_four_breaks_no_promise_whatever_it_does() {
    keeps_all_promises(4, &[3], 0, 1..3);
}

#[test]
fn two_of_seven_break_no_promise_whatever_they_do() {
    keeps_all_promises(7, &[1, 4], 0, 1..2);
}

#[test]
fn no_promise_breaks_over_epochs_whatever_one_does() {
    keeps_all_promises(4, &[0], 20, 1..2);
}

#[test]
fn forkers_of_more_than_f_stake_fork_behind_a_partition_and_are_caught() {
    for (members, byzantine) in [(4, vec![2, 3]), (7, vec![4, 5, 6])] {
        let mut scenario = scenario(members, &byzantine, "forkers", 0);
        // Later than the partition: nothing is held back any more, the partition alone keeps the halves apart.
        scenario.gst = 0;
        scenario.faults = vec![Fault {
            at: 0,
            lasts: 5_000_000,
            kind: FaultKind::Partition {
                groups: halves(members, &byzantine).to_vec(),
                bridge: byzantine.clone(),
            },
        }];
        for seed in 1..4 {
            let (violation, _) = play(&scenario, seed);
            let violation = violation.expect("a fork");
            assert_eq!(
                (violation.checker, violation.class),
                ("S1", Class::Safety),
                "{violation}"
            );
        }
    }
}

#[test]
fn forkers_hold_the_halves_apart_themselves_before_gst() {
    let scenario = scenario(4, &[2, 3], "forkers", 0);
    let (violation, _) = play(&scenario, 1);
    assert_eq!(violation.expect("a fork").checker, "S1");
}
