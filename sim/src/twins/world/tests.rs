//! What one run does with leaders and partitions.

use super::super::rounds::Round;
use super::*;

/// Everyone connected in every round, with these leaders.
fn connected(leaders: &[usize]) -> Rounds {
    let mut rounds = Rounds {
        members: 4,
        twins: 0,
        list: Vec::new(),
    };
    rounds.list = leaders
        .iter()
        .map(|leader| Round {
            leaders: 1 << leader,
            parts: vec![0b1111],
        })
        .collect();
    rounds
}

/// View, proposer and parent's rank of all blocks that become final.
fn chain(rounds: &Rounds) -> Vec<(u64, u16, u64)> {
    let stage = Stage::new(4).unwrap();
    let plan = Plan::new(rounds);
    let committee = stage.committee.with_ring(plan.ring.clone()).unwrap();
    let mut world = World::new(rounds, plan, committee, &stage.keys);
    while !world.left_the_rounds() {
        world.advance();
    }
    world.healed = true;
    for _ in 0..20 {
        world.advance();
    }
    assert_eq!(world.fault, None);
    let mut blocks: Vec<_> = world.instances[0]
        .ledger
        .values()
        .map(|record| record.block)
        .map(|block| (block.view.0, block.proposer.0, block.justify.0))
        .collect();
    blocks.sort_unstable();
    blocks.truncate(rounds.list.len());
    blocks
}

#[test]
fn leaders_of_a_scenario_lead_its_views_and_idle_views_have_no_block() {
    assert_eq!(
        chain(&connected(&[2, 0, 3])),
        [(1, 2, 0), (2, 0, 1), (3, 3, 2)]
    );
    // Member 1 has its next turn in view 5; views 3 and 4 are idle.
    assert_eq!(
        chain(&connected(&[1, 3, 1])),
        [(1, 1, 0), (2, 3, 1), (5, 1, 2)]
    );
    assert_eq!(
        chain(&connected(&[0, 0, 0])),
        [(1, 0, 0), (5, 0, 1), (9, 0, 5)]
    );
}

#[test]
fn an_instance_that_is_cut_off_stays_in_its_view_until_all_is_connected() {
    let mut rounds = connected(&[0, 1, 2]);
    for round in &mut rounds.list {
        round.parts = vec![0b0111, 0b1000];
    }
    let stage = Stage::new(4).unwrap();
    let plan = Plan::new(&rounds);
    let committee = stage.committee.with_ring(plan.ring.clone()).unwrap();
    let mut world = World::new(&rounds, plan, committee, &stage.keys);
    for _ in 0..8 {
        world.advance();
    }
    let views: Vec<u64> = world.instances.iter().map(|one| one.view.0).collect();
    assert!(views[..3].iter().all(|view| *view >= 3), "{views:?}");
    assert_eq!(views[3], 1);
    let outcome = world.run();
    assert_eq!(outcome.violation, None);
    assert!(outcome.committed >= 3);
}
