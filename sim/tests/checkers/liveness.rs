//! L1 to L5.

use crate::stage::{Stage, payload, seconds};
use outrider_sim::checkers::Checkers;
use outrider_sim::fact::{Class, Fact, Observer as _, Violation};
use outrider_types::{Block, View};
use std::time::Duration;

/// Longest timer 100 ms, so patience is 4 s; all four members live from 1 s on.
fn stage() -> Stage {
    let mut stage = Stage::new(&[]);
    stage.scenario.timers.base_timeout = Duration::from_millis(50);
    stage.scenario.timers.timeout_cap = Duration::from_millis(100);
    stage
}

/// Members as they go on.
struct Life<'a> {
    stage: &'a Stage,
    checkers: Checkers,
    tips: [Block; 4],
}

impl<'a> Life<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            checkers: stage.checkers(),
            tips: [stage.genesis(); 4],
        }
    }

    fn healed(stage: &'a Stage) -> Self {
        let mut life = Self::new(stage);
        let live = vec![0, 1, 2, 3];
        life.see(seconds(1), &Fact::Healed { live }).unwrap();
        life
    }

    fn see(&mut self, at: u64, fact: &Fact) -> Result<(), Violation> {
        self.checkers.see(at, fact)
    }

    /// These members commit the next block and go on a view.
    fn commit(&mut self, at: u64, members: &[usize]) -> Result<(), Violation> {
        for member in members {
            let tip = self.tips[*member];
            let block = self.stage.child(&tip, tip.view.0 + 1, 0);
            self.tips[*member] = block;
            let fact = self.stage.committed(*member, &block, &[], None);
            self.see(at, &fact)?;
            self.see(
                at,
                &self.stage.stepped(*member, block.view.0 + 1, block.view.0),
            )?;
        }
        Ok(())
    }

    /// From one second to another, a commit each 200 ms by these.
    fn run(&mut self, from: u64, to: u64, members: &[usize]) -> Result<(), Violation> {
        let mut at = seconds(from);
        while at < seconds(to) {
            self.commit(at, members)?;
            at += 200_000;
        }
        Ok(())
    }

    fn finish(mut self, at: u64) -> Result<(), Violation> {
        self.checkers.finish(seconds(at))
    }
}

#[track_caller]
fn fired(outcome: Result<(), Violation>, checker: &str) {
    let violation = outcome.unwrap_err();
    assert_eq!(violation.checker, checker, "{violation}");
    assert_eq!(violation.class, Class::Liveness);
}

#[test]
fn l1_a_commit_within_the_bound() {
    let mut stage = stage();
    stage.scenario.expect.commit_within = Some(500_000);
    let mut fast = Life::healed(&stage);
    fast.run(1, 3, &[0, 1, 2, 3]).unwrap();
    assert_eq!(fast.finish(3), Ok(()));
    // Nobody commits; one of four does not; the run ends before the bound.
    fired(Life::healed(&stage).finish(3), "L1");
    let mut three = Life::healed(&stage);
    fired(three.run(1, 3, &[0, 1, 2]), "L1");
    let mut life = Life::healed(&stage);
    life.see(seconds(1) + 400_000, &stage.stepped(0, 1, 0))
        .unwrap();
    let mut checkers = life.checkers;
    assert_eq!(checkers.finish(seconds(1) + 400_000), Ok(()));
}

#[test]
fn l1_enough_blocks_by_the_end() {
    let mut stage = stage();
    stage.scenario.expect.commits_min = 10;
    let mut life = Life::healed(&stage);
    life.run(1, 3, &[0, 1, 2, 3]).unwrap();
    assert_eq!(life.finish(3), Ok(()));
    let mut life = Life::healed(&stage);
    life.run(1, 2, &[0, 1, 2, 3]).unwrap();
    fired(life.finish(2), "L1");
    // Of a world that must break nothing is promised.
    stage.scenario.expect.violates = Some("S1".to_owned());
    assert_eq!(Life::healed(&stage).finish(20), Ok(()));
}

#[test]
fn l2_commits_do_not_stop() {
    let stage = stage();
    let mut life = Life::healed(&stage);
    life.run(1, 3, &[0, 1, 2, 3]).unwrap();
    life.see(seconds(6), &stage.stepped(0, 100, 10)).unwrap();
    fired(life.finish(8), "L2");
    let mut life = Life::healed(&stage);
    life.run(1, 8, &[0, 1, 2, 3]).unwrap();
    assert_eq!(life.finish(8), Ok(()));
    // Before the storm is over it may last.
    assert_eq!(Life::new(&stage).finish(100), Ok(()));
}

#[test]
fn l3_views_synchronise() {
    let stage = stage();
    let mut life = Life::healed(&stage);
    // Member 3 commits what the others do, and does not move on.
    let mut outcome = Ok(());
    for step in 0..50 {
        let at = seconds(1) + step * 200_000;
        let stays = life.tips[3].view.0;
        outcome = outcome.and_then(|()| life.commit(at, &[0, 1, 2]));
        let tip = life.tips[3];
        let block = stage.child(&tip, stays + 1, 0);
        life.tips[3] = block;
        let fact = stage.committed(3, &block, &[], None);
        outcome = outcome.and_then(|()| life.see(at, &fact));
        outcome = outcome.and_then(|()| life.see(at, &stage.stepped(3, 1, 0)));
    }
    fired(outcome, "L3");
}

#[test]
fn l4_laggards_reach_the_tip() {
    let stage = stage();
    let mut life = Life::healed(&stage);
    fired(life.run(1, 9, &[0, 1, 2]), "L4");
    // It catches up in time.
    let mut life = Life::healed(&stage);
    life.run(1, 4, &[0, 1, 2]).unwrap();
    while life.tips[3].height < life.tips[0].height {
        life.commit(seconds(4), &[3]).unwrap();
    }
    life.run(4, 9, &[0, 1, 2, 3]).unwrap();
    assert_eq!(life.finish(9), Ok(()));
}

#[test]
fn l5_transactions_are_included() {
    let stage = stage();
    let payload = payload(1, 1);
    let taken = &stage.accepted(2, &payload)[0];
    let run = |at: u64, crash: bool, include: bool| {
        let mut life = Life::healed(&stage);
        life.run(1, 4, &[0, 1, 2, 3]).unwrap();
        life.see(seconds(at), taken).unwrap();
        if crash {
            life.see(seconds(at), &crate::stage::crashed(2)).unwrap();
            let height = life.tips[2].height.0;
            life.see(seconds(at), &crate::stage::restarted(2, height))
                .unwrap();
        }
        if include {
            for member in 0..4 {
                let tip = life.tips[member];
                let block = Block {
                    payload: payload.id(),
                    ..stage.child(&tip, tip.view.0 + 1, 0)
                };
                life.tips[member] = block;
                let ids = crate::stage::ids(&payload);
                let fact = stage.committed(member, &block, &ids, None);
                life.see(seconds(at) + 1, &fact).unwrap();
            }
        }
        life.run(at + 1, 10, &[0, 1, 2, 3]).unwrap();
        life.finish(10)
    };
    assert_eq!(run(4, false, true), Ok(()));
    fired(run(4, false, false), "L5");
    // Taken too late to be judged; or by a member that went down after.
    assert_eq!(run(7, false, false), Ok(()));
    assert_eq!(run(4, true, false), Ok(()));
    assert_eq!(View(0), View::default());
}
