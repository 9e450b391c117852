//! The turmoil world does what a scenario says, kind by kind: each fault is felt where it should be, and nowhere else; all
//! checkers look on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_sim::checkers::Checkers;
use outrider_sim::fact::{Fact, Message, Micros, Observer, Violation};
use outrider_sim::scenario::{Byzantine, Fault, FaultKind, Jitter, Latency, Scenario};
use outrider_sim::world::{WorldError, run_scenario};
use outrider_types::{ConsensusMessage, SyncMessage};
use std::collections::BTreeMap;
use std::time::Duration;

const S: Micros = 1_000_000;
/// Start of the world's clock.
const START: u64 = 1_700_000_000 * S;

/// Four members on a network 10 to 20 ms apart, with one fault.
fn with(at: Micros, lasts: Micros, kind: FaultKind) -> Scenario {
    let mut scenario = Scenario::calm(4);
    scenario.gst = 5 * S;
    scenario.end = 6 * S;
    scenario.timers.base_timeout = Duration::from_millis(300);
    scenario.faults = vec![Fault { at, lasts, kind }];
    scenario
}

struct Seen(Vec<(Micros, Fact)>, bool);

impl Observer for Seen {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        assert!(
            self.0.last().is_none_or(|(last, _)| *last <= at),
            "in order"
        );
        self.0.push((at, fact.clone()));
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        self.1
    }
}

/// Run with all checkers, none of which finds anything.
fn run(scenario: &Scenario, deliveries: bool) -> Vec<(Micros, Fact)> {
    let mut checkers = Checkers::new(scenario);
    let mut seen = Seen(Vec::new(), deliveries);
    let observer = (&mut checkers, &mut seen);
    let outcome = run_scenario(scenario, 7, observer, &mut |_| {}).unwrap();
    assert_eq!(outcome.violation, None);
    checkers.finish(outcome.at).unwrap();
    println!("{:?}", outcome.statistics);
    seen.0
}

/// When a host said something.
fn says(facts: &[(Micros, Fact)], host: usize) -> Vec<Micros> {
    let said = facts.iter().filter_map(|(at, fact)| match fact {
        Fact::Sent { from, .. } if *from == host => Some(*at),
        _ => None,
    });
    said.collect()
}

fn count(facts: &[(Micros, Fact)], which: impl Fn(&Fact) -> bool) -> usize {
    facts.iter().filter(|(_, fact)| which(fact)).count()
}

/// How many of these are within a span of time.
fn within(times: &[Micros], from: Micros, to: Micros) -> usize {
    times.iter().filter(|at| (from..to).contains(at)).count()
}

#[test]
fn member_that_stands_still_says_nothing_and_goes_on_as_it_was() {
    let facts = run(&with(3 * S, S, FaultKind::Pause { hosts: vec![1] }), false);
    let said = says(&facts, 1);
    assert!(within(&said, 2 * S, 3 * S) > 5);
    assert_eq!(within(&said, 3 * S + 5_000, 4 * S), 0);
    assert!(within(&said, 4 * S, 6 * S) > 5);
    assert_eq!(
        count(&facts, |fact| matches!(fact, Fact::Crashed { .. })),
        0
    );
    assert!(
        within(&says(&facts, 2), 3 * S, 4 * S) > 5,
        "the others go on"
    );
}

#[test]
fn member_with_a_slow_disk_votes_late() {
    let delay = 120_000;
    let slow = FaultKind::SlowDisk {
        hosts: vec![1],
        delay,
    };
    let facts = run(&with(2 * S, 3 * S, slow), false);
    // From when its vote was durable to when it left.
    let lag = |host: usize, from: Micros, to: Micros| {
        let mut durable = BTreeMap::new();
        let mut lags = Vec::new();
        for (at, fact) in &facts {
            match fact {
                Fact::Durable { member, safety } if *member == host => {
                    if let Some(vote) = safety.voted {
                        durable.entry(vote.view).or_insert(*at);
                    }
                }
                Fact::Sent { from, message, .. } if *from == host => {
                    if let Message::Consensus(ConsensusMessage::Vote(vote)) = &**message {
                        // One sync may make votes of several views durable; its record names the last.
                        let (_, since) = durable.range(vote.statement.view..).next().unwrap();
                        lags.push((*at, at - since));
                    }
                }
                _ => {}
            }
        }
        let lags = lags.iter().filter(|(at, _)| (from..to).contains(at));
        let mut lags: Vec<Micros> = lags.map(|(_, lag)| *lag).collect();
        lags.sort_unstable();
        lags[lags.len() / 2]
    };
    assert!(lag(1, 2 * S + 200_000, 5 * S) > delay / 2);
    assert!(lag(2, 2 * S, 5 * S) < delay / 10);
    assert!(lag(1, 5 * S + 500_000, 7 * S) < delay / 10, "it is over");
}

#[test]
fn member_whose_clock_is_ahead_stamps_its_blocks_so() {
    let ahead = FaultKind::Clock {
        hosts: vec![2],
        skew: 2_000_000,
    };
    let facts = run(&with(2 * S, 2 * S, ahead), false);
    let mut most = [0_i64; 2];
    for (at, fact) in &facts {
        if let Fact::Sent { from, message, .. } = fact
            && let Message::Consensus(ConsensusMessage::Proposal(proposal)) = &**message
            && (2 * S..4 * S).contains(at)
        {
            let off = proposal.block.timestamp.0 as i64 - (START + at) as i64;
            let whose = usize::from(*from == 2);
            most[whose] = most[whose].max(off);
        }
    }
    // Others stamp theirs after its blocks, but by no clock of their own.
    assert!(most[1] > 1_900_000, "{most:?}");
    let after = facts.iter().filter_map(|(at, fact)| match fact {
        Fact::Sent { message, .. } if *at > 7 * S => match &**message {
            Message::Consensus(ConsensusMessage::Proposal(proposal)) => {
                Some(proposal.block.timestamp.0.abs_diff(START + at))
            }
            _ => None,
        },
        _ => None,
    });
    assert!(after.max().unwrap() < 100_000, "it is over");
}

#[test]
fn members_die_in_writes_and_come_back() {
    let crash = FaultKind::CrashOnWrite {
        hosts: vec![0, 1],
        probability: 0.1,
        restart: 200_000,
    };
    let facts = run(&with(2 * S, 3 * S, crash), false);
    let crashes = count(&facts, |fact| matches!(fact, Fact::Crashed { .. }));
    let starts = count(&facts, |fact| matches!(fact, Fact::Restarted { .. }));
    assert!(crashes > 2);
    assert_eq!(starts, crashes + 4);
}

#[test]
fn member_that_forgot_what_it_signed_is_mute_and_one_that_lost_nothing_is_not() {
    let mut scenario = with(2 * S, S, FaultKind::Amnesia { hosts: vec![1] });
    scenario.faults.push(Fault {
        at: 4 * S,
        lasts: S / 2,
        kind: FaultKind::Crash {
            hosts: vec![2],
            unsynced: 0.0,
        },
    });
    let facts = run(&scenario, false);
    let starts: Vec<(Micros, usize, bool, u64)> = facts
        .iter()
        .filter_map(|(at, fact)| match fact {
            Fact::Restarted {
                member,
                mute,
                height,
            } => Some((*at, *member, *mute, height.0)),
            _ => None,
        })
        .collect();
    assert!(starts[..4].iter().all(|start| start.0 < 10_000 && !start.2));
    assert!(matches!(starts[4], (at, 1, true, 1..) if at >= 3 * S));
    assert!(matches!(starts[5], (at, 2, false, 1..) if at >= 4 * S + S / 2));
}

#[test]
fn late_member_joins_with_nothing_and_votes() {
    let facts = run(&with(0, 4 * S, FaultKind::Late { hosts: vec![3] }), false);
    assert_eq!(within(&says(&facts, 3), 0, 4 * S), 0);
    let start = facts.iter().find_map(|(at, fact)| match fact {
        Fact::Restarted {
            member: 3, mute, ..
        } => Some((*at, *mute)),
        _ => None,
    });
    let (at, mute) = start.unwrap();
    assert!(at >= 4 * S && !mute);
    let votes = count(
        &facts,
        |fact| matches!(fact, Fact::Sent { from: 3, message, .. } if message.kind() == "vote"),
    );
    assert!(votes > 3);
}

#[test]
fn what_is_cut_one_way_is_not_heard() {
    let cut = FaultKind::OneWay {
        from: vec![0],
        to: vec![1, 2, 3],
    };
    let facts = run(&with(3 * S, S, cut), true);
    let heard = |from: Micros, to: Micros, ours: bool| {
        let hears =
            |fact: &Fact| matches!(fact, Fact::Delivered { from, .. } if (*from == 0) == ours);
        let times = facts.iter().filter(|(_, fact)| hears(fact));
        let times: Vec<Micros> = times.map(|(at, _)| *at).collect();
        within(&times, from, to)
    };
    assert!(heard(2 * S, 3 * S, true) > 10);
    assert_eq!(heard(3 * S + 50_000, 4 * S, true), 0);
    assert!(heard(3 * S, 4 * S, false) > 10);
    // Without the cut each message arrives, once at each receiver.
    let number = |fact: &Fact| match fact {
        Fact::Sent {
            number, to: None, ..
        } => Some(*number),
        _ => None,
    };
    let calm = facts
        .iter()
        .filter(|(at, _)| (2 * S..2 * S + S / 2).contains(at));
    for sent in calm.filter_map(|(_, fact)| number(fact)) {
        let arrived = count(
            &facts,
            |fact| matches!(fact, Fact::Delivered { number, .. } if *number == sent),
        );
        assert_eq!(arrived, 3, "message {sent}");
    }
}

#[test]
fn messages_vanish_and_come_twice_before_gst_only() {
    let mut scenario = with(1, 1, FaultKind::Pause { hosts: vec![0] });
    scenario.network.loss = 0.1;
    scenario.network.duplicate = 0.1;
    scenario.network.jitter = Jitter::Uniform(10_000);
    scenario.network.bandwidth = Some(1_000_000);
    scenario.delta = 40_000;
    let facts = run(&scenario, true);
    let lost: Vec<Micros> = facts
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::Lost { .. }))
        .map(|(at, _)| *at)
        .collect();
    assert!(within(&lost, 2 * S, 5 * S) > 20);
    assert_eq!(within(&lost, 5 * S, 60 * S), 0);
}

#[test]
fn links_of_a_matrix_have_their_own_latency() {
    let mut scenario = with(1, 1, FaultKind::Pause { hosts: vec![0] });
    // Two regions, 40 ms apart.
    scenario.network.latency = Latency::Matrix(vec![vec![5_000, 40_000], vec![40_000, 5_000]]);
    scenario.delta = 45_000;
    let facts = run(&scenario, true);
    let mut sent = BTreeMap::new();
    let mut near = Vec::new();
    let mut far = Vec::new();
    for (at, fact) in &facts {
        match fact {
            Fact::Sent { number, .. } => {
                sent.insert(*number, *at);
            }
            Fact::Delivered { from, to, number } if *at > 3 * S => {
                let took = at - sent[number];
                if from % 2 == to % 2 {
                    near.push(took);
                } else {
                    far.push(took);
                }
            }
            _ => {}
        }
    }
    near.sort_unstable();
    far.sort_unstable();
    assert!((5_000..10_000).contains(&near[near.len() / 2]));
    assert!((40_000..48_000).contains(&far[far.len() / 2]));
}

#[test]
fn member_that_votes_twice_is_convicted_by_the_others() {
    let mut scenario = with(1, 1, FaultKind::Pause { hosts: vec![0] });
    scenario.byzantine = vec![Byzantine {
        host: 3,
        deed: "equivocator".to_owned(),
    }];
    let facts = run(&scenario, false);
    let evidence = count(&facts, |fact| {
        matches!(fact, Fact::Sent { from: 0..3, message, .. }
            if matches!(&**message, Message::Sync(SyncMessage::Evidence(_))))
    });
    assert!(evidence > 0);
}

#[test]
fn unknown_deed_and_unknown_host_are_errors() {
    let mut scenario = Scenario::calm(4);
    scenario.byzantine = vec![Byzantine {
        host: 3,
        deed: "kindness".to_owned(),
    }];
    let error = run_scenario(&scenario, 1, (), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("kindness"));
    let scenario = with(0, S, FaultKind::Pause { hosts: vec![4] });
    let error = run_scenario(&scenario, 1, (), &mut |_| {}).unwrap_err();
    assert!(matches!(error, WorldError::Host { host: 4, hosts: 4 }));
}
