//! Leaders that break the rules of lanes (F13 to F15) in the kernel: nothing of theirs is ever final, and the others go on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::adversary::LANE_DEEDS;
use outrider_sim::checkers::Checkers;
use outrider_sim::fact::{Fact, Message, Micros, Observer, Violation};
use outrider_sim::kernel::World;
use outrider_sim::scenario::{Byzantine, Scenario};
use outrider_types::bundle::Part;
use outrider_types::registry::{REGISTRY, SHORT_LIVED};
use outrider_types::{BlockId, ConsensusMessage, Policy, RollupId};
use std::collections::BTreeSet;

/// What was proposed and what became of it.
#[derive(Debug, Default)]
struct Seen {
    byzantine: Option<usize>,
    proposed: BTreeSet<BlockId>,
    committed: BTreeSet<BlockId>,
    heights: BTreeSet<u64>,
    bundles: usize,
    rollups: BTreeSet<RollupId>,
}

impl Observer for Seen {
    fn see(&mut self, _: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Sent { from, message, .. } if Some(*from) == self.byzantine => {
                let message: &Message = message;
                if let Message::Consensus(ConsensusMessage::Proposal(said)) = message
                    && said.block.proposer.index() == *from
                {
                    self.proposed.insert(said.block.id());
                }
            }
            Fact::Committed {
                member,
                record,
                payload,
                ..
            } if Some(*member) != self.byzantine => {
                self.committed.insert(record.block.id());
                if self.heights.insert(record.block.height.0) {
                    let payload = payload.as_ref().unwrap();
                    for batch in &payload.batches {
                        self.rollups.insert(batch.rollup);
                        let parts = batch.transactions.iter();
                        let parts = parts.filter(|data| matches!(Part::of(data), Ok(Some(_))));
                        self.bundles += parts.count();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A registered priority lane, a shuffled one, one of neither, a rollup that closes, and bundles.
fn scenario(deed: Option<&str>) -> Scenario {
    let mut scenario = Scenario::calm(4);
    scenario.workload.policies = true;
    scenario.workload.rate = 300.0;
    scenario.workload.rollups = 3;
    scenario.end = 9_000_000;
    scenario.byzantine = deed
        .map(|deed| Byzantine {
            host: 2,
            deed: deed.to_owned(),
        })
        .into_iter()
        .collect();
    scenario
}

fn play(scenario: &Scenario, seed: u64) -> World<(Checkers, Seen)> {
    let seen = Seen {
        byzantine: scenario.byzantine.first().map(|one| one.host),
        ..Seen::default()
    };
    let watchers = (Checkers::new(scenario), seen);
    let mut world = World::new(scenario, seed, watchers).unwrap();
    assert_eq!(world.run(), Ok(()), "{:?} seed {seed}", scenario.byzantine);
    let at = world.now();
    let finished = world.observer_mut().0.finish(at);
    assert_eq!(finished, Ok(()), "{:?} seed {seed}", scenario.byzantine);
    world
}

#[test]
fn lanes_with_policies_and_bundles_are_ordered_by_them() {
    for seed in 0..3 {
        let world = play(&scenario(None), seed);
        let registry = world.node(0).unwrap().disk().ledger().registry().clone();
        let policy = |rollup| registry.get(RollupId(rollup)).map(|it| it.policy);
        assert_eq!(policy(1), Some(Policy::PriorityPrefix), "seed {seed}");
        assert_eq!(policy(2), Some(Policy::Shuffled), "seed {seed}");
        assert!(policy(SHORT_LIVED.start).is_some(), "seed {seed}");
        let (_, seen) = world.observer();
        let expected = [REGISTRY, RollupId(1), RollupId(2), RollupId(3)];
        assert_eq!(seen.rollups, BTreeSet::from(expected), "seed {seed}");
        assert!(seen.bundles > 100, "seed {seed}: {}", seen.bundles);
    }
}

#[test]
fn a_leader_that_breaks_a_rule_of_lanes_gets_no_block_final_and_the_others_go_on() {
    for deed in LANE_DEEDS {
        for seed in 0..3 {
            let world = play(&scenario(Some(deed)), seed);
            let (checkers, seen) = world.observer();
            let about = format!("{deed}, seed {seed}");
            assert!(
                seen.proposed.len() > 5,
                "{about}: {} proposals",
                seen.proposed.len()
            );
            let fatal: Vec<_> = seen.proposed.intersection(&seen.committed).collect();
            assert!(fatal.is_empty(), "{about}: {fatal:?} are final");
            assert!(checkers.tip() > 100, "{about}: {} blocks", checkers.tip());
            assert!(seen.bundles > 100, "{about}: {} parts", seen.bundles);
        }
    }
}
