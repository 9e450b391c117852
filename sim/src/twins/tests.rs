//! Tests of the twins: how many scenarios there are, which, what they come to, and that a broken world is caught.

use super::*;
use crate::fact::Class;
use crate::rng::Stream;
use outrider_consensus::LeaderSchedule;
use outrider_types::{ChainId, Committee, Epoch, Member, SecretKey, Stake, View};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

fn space(members: usize, twins: usize, views: usize) -> Space {
    Space::new(members, twins, views, 2..=2).unwrap()
}

#[test]
fn there_are_as_many_scenarios_as_in_the_paper() {
    assert_eq!(space(4, 1, 3).partitions(), 15, "S(5,2)");
    assert_eq!(space(4, 1, 3).rounds(), 60);
    assert_eq!(space(4, 1, 3).count(), 216_000);
    assert_eq!(space(4, 1, 4).count(), 12_960_000);
    assert_eq!(space(7, 2, 1).partitions(), 255, "S(9,2)");
    let three = Space::new(4, 1, 1, 1..=3).unwrap();
    assert_eq!(three.partitions(), 1 + 15 + 25, "S(5,1) + S(5,2) + S(5,3)");
    assert_eq!(
        Space::new(7, 2, 32, 1..=9).unwrap().count(),
        u128::MAX,
        "saturated"
    );
}

#[test]
fn numbers_name_all_scenarios_and_each_once() {
    let space = space(4, 1, 2);
    let all: BTreeSet<Rounds> = (0..3_600)
        .map(|number| space.nth(number).unwrap())
        .collect();
    assert_eq!(all.len(), 3_600);
    assert_eq!(space.nth(3_600), None);
    for round in all.iter().flat_map(|rounds| &rounds.list) {
        assert_eq!(round.parts.iter().fold(0, |set, part| set | part), 0b1_1111);
        assert_eq!(
            round
                .parts
                .iter()
                .map(|part| part.count_ones())
                .sum::<u32>(),
            5
        );
        assert!([0b1_0001, 0b10, 0b100, 0b1000].contains(&round.leaders));
    }
}

#[test]
fn renamings_leave_as_many_scenarios_as_burnside_counts() {
    for (views, of) in [(1, 60), (2, 3_600)] {
        let space = space(4, 1, views).with_renamings().unwrap();
        let first = (0..of).filter(|number| space.is_first(*number)).count();
        assert_eq!(first as u128, space.distinct());
        assert!(first as u128 >= of / 12, "each stands for at most 3! * 2");
    }
    assert_eq!(space(4, 1, 1).with_renamings().unwrap().distinct(), 13);
    assert!(matches!(
        Space::new(13, 1, 1, 1..=2).unwrap().with_renamings(),
        Err(SpaceError::Renamings)
    ));
}

#[test]
fn wrong_numbers_are_errors() {
    let error =
        |members, twins, views, parts| Space::new(members, twins, views, parts).unwrap_err();
    assert!(matches!(
        error(0, 0, 1, 1..=1),
        SpaceError::Instances { .. }
    ));
    assert!(matches!(
        error(4, 5, 1, 1..=1),
        SpaceError::Instances { .. }
    ));
    assert!(matches!(
        error(16, 1, 1, 1..=1),
        SpaceError::Instances { .. }
    ));
    assert!(matches!(error(4, 1, 0, 1..=1), SpaceError::Views { .. }));
    assert!(matches!(error(4, 1, 33, 1..=1), SpaceError::Views { .. }));
    assert!(matches!(error(4, 1, 1, 0..=1), SpaceError::Parts { .. }));
    assert!(matches!(error(4, 1, 1, 2..=6), SpaceError::Parts { .. }));
    assert!(matches!(error(15, 1, 1, 1..=16), SpaceError::TooMany));
}

#[test]
fn the_plan_is_what_the_production_schedule_does() {
    let mut stream = Stream::new(5, "plans");
    for (members, twins, views) in [(1, 1, 3), (4, 1, 6), (7, 2, 5)] {
        let list = (0..members as u64).map(|number| Member {
            public_key: SecretKey::simulated(number).public_key(),
            stake: Stake(1),
        });
        let committee = Committee::simulated(ChainId(1), Epoch(0), list.collect(), None).unwrap();
        let space = Space::new(members, twins, views, 1..=2).unwrap();
        for _ in 0..50 {
            let rounds = space.draw(&mut stream);
            let plan = Plan::new(&rounds);
            let schedule = LeaderSchedule::new(&committee.with_ring(plan.ring.clone()).unwrap());
            let mut played = Vec::new();
            for view in 1..=plan.last().0 {
                if let Turn::Round(round) = plan.turn(View(view)) {
                    let leader = rounds.leader(&rounds.list[round]);
                    assert_eq!(schedule.leader(View(view)).index(), leader);
                    played.push(round);
                }
            }
            assert_eq!(played, (0..views).collect::<Vec<_>>());
            assert!(plan.turns.len() <= 1 + (views - 1) * members);
            assert_eq!(plan.turn(plan.last().next()), Turn::After);
        }
    }
}

#[test]
fn scenarios_go_to_json_and_come_back() {
    let space = space(4, 1, 3);
    let list: Vec<Rounds> = (0..216_000)
        .step_by(977)
        .map(|number| space.nth(number).unwrap())
        .collect();
    let text = write(&list).unwrap();
    assert_eq!(read(&text).unwrap(), list);
    let known = r#"{"num_of_nodes":4,"num_of_twins":1,"scenarios":[{"round_leaders":{"3":[0,4],"4":[2]},
        "round_partitions":{"3":[[0,1,2,3],[4]],"4":[[0,1],[2,3,4]]}}]}"#;
    let rounds = read(known).unwrap();
    assert_eq!(
        rounds[0].list,
        [
            Round {
                leaders: 0b1_0001,
                parts: vec![0b1111, 0b1_0000]
            },
            Round {
                leaders: 0b100,
                parts: vec![0b11, 0b1_1100]
            }
        ]
    );
    assert_eq!(rounds[0].list[0].reaches(3), 0b1111);
    assert_eq!(rounds[0].list[1].reaches(4), 0b1_1100);
}

#[test]
fn json_that_names_what_is_not_there_is_refused() {
    let file = |leaders: &str, parts: &str| {
        format!(
            r#"{{"num_of_nodes":4,"num_of_twins":1,"scenarios":[{{"round_leaders":{{{leaders}}},"round_partitions":{{{parts}}}}}]}}"#
        )
    };
    assert!(
        read(&file(r#""1":[4]"#, r#""1":[[0,4]]"#)).is_ok(),
        "a twin may lead alone"
    );
    for (leaders, parts) in [
        (r#""1":[5]"#, r#""1":[[0]]"#),
        (r#""1":[0,1]"#, r#""1":[[0]]"#),
        (r#""1":[]"#, r#""1":[[0]]"#),
        (r#""1":[0]"#, r#""1":[[0,1],[1]]"#),
        (r#""1":[0]"#, r#""1":[[0,0]]"#),
        (r#""1":[0]"#, r#""2":[[0]]"#),
        ("", ""),
    ] {
        assert!(matches!(
            read(&file(leaders, parts)),
            Err(JsonError::Round { .. })
        ));
    }
    assert!(matches!(read("[]"), Err(JsonError::Json(_))));
    let none = r#"{"num_of_nodes":0,"num_of_twins":0,"scenarios":[]}"#;
    assert!(matches!(read(none), Err(JsonError::Instances { .. })));
}

#[test]
fn a_sample_keeps_all_promises_and_threads_change_nothing() {
    let source = Source::Sample(space(4, 1, 3), 300, 1);
    let progress = Progress::default();
    let report = run_many(&source, 300, 2, &progress).unwrap();
    assert_eq!(report.found, [], "seed 1");
    assert_eq!((report.scenarios, report.violations), (300, 0));
    assert_eq!(progress.done.load(Ordering::Relaxed), 300);
    assert_eq!(
        report,
        run_many(&source, 300, 1, &Progress::default()).unwrap()
    );
    // The scenarios are worth something.
    assert!(report.committed > 100, "{report:?}");
    assert!(report.offended > 200, "{report:?}");
    assert!(report.adopted > 50, "{report:?}");
    assert!(report.stuck > 50 && report.stuck < 250, "{report:?}");
}

#[test]
fn larger_committees_keep_all_promises() {
    let source = Source::Sample(space(7, 2, 4), 30, 2);
    let report = run_many(&source, 30, 2, &Progress::default()).unwrap();
    assert_eq!(report.found, [], "seed 2");
    assert!(report.committed > 10);
}

#[test]
fn one_of_each_is_run_when_names_do_not_count() {
    let space = space(4, 1, 1).with_renamings().unwrap();
    let source = Source::Distinct(space);
    let report = run_many(&source, source.numbers().unwrap(), 2, &Progress::default()).unwrap();
    assert_eq!((report.scenarios, report.violations), (13, 0));
}

/// Members 0 and 1 of four are twins, f is 1: each half has one instance of both and one honest member, which is a quorum.
fn two_halves() -> Rounds {
    Rounds {
        members: 4,
        twins: 2,
        list: vec![
            Round {
                leaders: 0b1_0001,
                parts: vec![0b00_0111, 0b11_1000],
            };
            2
        ],
    }
}

#[test]
fn more_twins_than_f_fork_and_are_caught() {
    let mut stage = Stage::new(4).unwrap();
    let outcome = stage.run(&two_halves()).unwrap();
    let violation = outcome.violation.clone().expect("a fork");
    assert_eq!((violation.checker, violation.class), ("S1", Class::Safety));
    assert_eq!(stage.run(&two_halves()).unwrap(), outcome, "each time");
    let source = Source::List(vec![two_halves(); 40]);
    let progress = Progress::default();
    let report = run_many(&source, 40, 2, &progress).unwrap();
    assert_eq!((report.violations, report.found.len()), (40, 16));
    assert!(
        report.found.iter().map(|found| found.number).eq(0..16),
        "the first"
    );
    assert_eq!(progress.violations.load(Ordering::Relaxed), 40);
}

#[test]
fn one_honest_half_alone_does_not_fork() {
    let mut rounds = two_halves();
    for round in &mut rounds.list {
        round.parts = vec![0b00_0111, 0b01_1000, 0b10_0000];
    }
    let outcome = Stage::new(4).unwrap().run(&rounds).unwrap();
    assert_eq!(outcome.violation, None);
    assert!(outcome.committed > 0);
}

/// What twins can see of the bug zoo. What they cannot: partitions are the same for all messages of a view, so all voters in
/// a part see a certificate or none does; bugs that need one voter alone with it (5, 32, 33) are for the other worlds.
#[cfg(feature = "zoo")]
#[test]
fn mutants_of_the_zoo_are_caught_in_a_sample() {
    use outrider_types::zoo::{Mutant, let_loose};
    let source = Source::Sample(space(4, 1, 3), 200, 1);
    let caught = |mutant| {
        let_loose(Some(mutant));
        let mut stage = Stage::new(4).unwrap();
        let mut all = (0..200).filter_map(|number| source.get(number));
        let violation = all.find_map(|rounds| stage.run(&rounds).unwrap().violation);
        let_loose(None);
        violation.map(|violation| violation.checker)
    };
    for (mutant, checker) in [
        (Mutant::HighNotRaised, "S5"),
        (Mutant::VoteRulePrecedence, "L1"),
        (Mutant::HighestIgnored, "L1"),
        (Mutant::ProposesWithoutTc, "L1"),
        (Mutant::TimeoutHidesVote, "S5"),
        (Mutant::CommitVoteAfterTimeout, "S5"),
    ] {
        assert_eq!(caught(mutant), Some(checker), "{mutant}");
    }
}
