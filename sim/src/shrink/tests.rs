//! What is cut, and what is not.

use super::*;
use crate::fact::Class;
use crate::scenario::Byzantine;

fn fault(at: Micros, hosts: &[usize]) -> Fault {
    Fault {
        at,
        lasts: 500_000,
        kind: FaultKind::Pause {
            hosts: hosts.to_vec(),
        },
    }
}

/// A world that breaks whenever host 2 is paused for at least 200 ms beside a Byzantine member.
fn fragile(scenario: &Scenario, _: u64) -> Option<(Violation, Statistics)> {
    let paused = scenario.faults.iter().find(|fault| {
        matches!(&fault.kind, FaultKind::Pause { hosts } if hosts.contains(&2))
            && fault.lasts >= 200_000
    })?;
    let breaks = !scenario.byzantine.is_empty() && scenario.end > paused.at;
    breaks.then(|| {
        let violation = Violation {
            checker: "S1",
            class: Class::Safety,
            at: paused.at + 5,
            what: "a fork".to_owned(),
        };
        (violation, Statistics::default())
    })
}

#[test]
fn what_does_not_matter_is_cut_away_and_what_matters_stays() {
    let mut scenario = Scenario::calm(9);
    scenario.gst = 9_000_000;
    scenario.network.loss = 0.3;
    scenario.faults = (0..9)
        .map(|number| {
            let at = 1_000_000 * number;
            match number as usize {
                2 | 5 => fault(at, &[2, 5]),
                other => fault(at, &[other, 2, 5]),
            }
        })
        .collect();
    scenario.byzantine = [7, 8]
        .map(|host| Byzantine {
            host,
            deed: "silent".to_owned(),
        })
        .to_vec();
    assert_eq!(scenario.problems(), [""; 0]);
    let (violation, statistics) = fragile(&scenario, 1).unwrap();
    let first = Broken {
        scenario,
        seed: 1,
        violation,
        statistics,
    };
    let mut told = 0;
    let small = shrink(first, 20_000, &mut fragile, &mut |_, _| told += 1);
    assert_eq!(small.size(), (4, 2, 0), "{:?}", small.scenario);
    let hosts = small.scenario.faults[0].kind.hosts();
    assert_eq!(hosts, [2]);
    assert!(small.scenario.faults[0].lasts < 400_000);
    assert!(small.scenario.network.loss == 0.0 && told > 0);
    assert!(fragile(&small.scenario, small.seed).is_some());
}

#[test]
fn hosts_move_up_when_one_is_left_out() {
    let mut scenario = Scenario::calm(5);
    scenario.faults = vec![fault(0, &[1, 3]), fault(0, &[2])];
    scenario.byzantine = vec![Byzantine {
        host: 4,
        deed: "silent".to_owned(),
    }];
    without_host(&mut scenario, 2);
    assert_eq!(scenario.members(), 4);
    assert_eq!(scenario.faults, [fault(0, &[1, 2])]);
    assert_eq!(scenario.byzantine[0].host, 3);
}
