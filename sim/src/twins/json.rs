//! Scenarios as the tools around the paper write them: `num_of_nodes`, `num_of_twins`, and for each scenario
//! `round_leaders` and `round_partitions` by round. A leader that is a twin is written as both its instances.

use super::rounds::{INSTANCES_MAX, Round, Rounds, bits};
use super::space::VIEWS_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Scenarios of one file.
pub const SCENARIOS_MAX: usize = 1_000_000;

/// Why a file holds no scenarios.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not the format.
    #[error("not a file of twins scenarios (num_of_nodes, num_of_twins, scenarios): {0}")]
    Json(#[from] serde_json::Error),
    /// Numbers that cannot be.
    #[error(
        "{nodes} nodes and {twins} twins: there must be at least one node, no more twins than nodes, and at most {INSTANCES_MAX} in all"
    )]
    Instances {
        /// Nodes.
        nodes: usize,
        /// Twins.
        twins: usize,
    },
    /// Too many.
    #[error("{scenarios} scenarios, at most {SCENARIOS_MAX} are read or written; split them")]
    TooMany {
        /// How many.
        scenarios: usize,
    },
    /// A round that cannot be.
    #[error("round {round} of scenario {scenario} (counted from 0): {reason}")]
    Round {
        /// Of which.
        scenario: usize,
        /// Which.
        round: u32,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    num_of_nodes: usize,
    num_of_twins: usize,
    scenarios: Vec<Scenario>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scenario {
    round_leaders: BTreeMap<u32, Vec<usize>>,
    round_partitions: BTreeMap<u32, Vec<Vec<usize>>>,
}

/// As JSON. All must be of the same members and twins as the first; none at all is an empty file of one node.
pub fn write(scenarios: &[Rounds]) -> Result<String, JsonError> {
    if scenarios.len() > SCENARIOS_MAX {
        return Err(JsonError::TooMany {
            scenarios: scenarios.len(),
        });
    }
    let first = scenarios.first();
    let (nodes, twins) = first.map_or((1, 0), |first| (first.members, first.twins));
    let odd = scenarios
        .iter()
        .position(|rounds| (rounds.members, rounds.twins) != (nodes, twins));
    if let Some(scenario) = odd {
        return Err(JsonError::Round {
            scenario,
            round: 1,
            reason: "it has other members or twins than the first scenario",
        });
    }
    let list = |set: &u16| bits(*set).collect::<Vec<usize>>();
    let scenarios = scenarios.iter().map(|rounds| Scenario {
        round_leaders: (1..)
            .zip(&rounds.list)
            .map(|(at, round)| (at, list(&round.leaders)))
            .collect(),
        round_partitions: (1..)
            .zip(&rounds.list)
            .map(|(at, round)| (at, round.parts.iter().map(list).collect()))
            .collect(),
    });
    Ok(serde_json::to_string(&File {
        num_of_nodes: nodes,
        num_of_twins: twins,
        scenarios: scenarios.collect(),
    })?)
}

/// From JSON. Rounds may have any numbers, they are taken in ascending order.
pub fn read(text: &str) -> Result<Vec<Rounds>, JsonError> {
    let file: File = serde_json::from_str(text)?;
    let (nodes, twins) = (file.num_of_nodes, file.num_of_twins);
    if nodes == 0 || twins > nodes || nodes.saturating_add(twins) > INSTANCES_MAX {
        return Err(JsonError::Instances { nodes, twins });
    }
    if file.scenarios.len() > SCENARIOS_MAX {
        return Err(JsonError::TooMany {
            scenarios: file.scenarios.len(),
        });
    }
    let scenarios = file.scenarios.into_iter().enumerate();
    scenarios
        .map(|(number, scenario)| {
            scenario
                .rounds(nodes, twins)
                .map_err(|(round, reason)| JsonError::Round {
                    scenario: number,
                    round,
                    reason,
                })
        })
        .collect()
}

impl Scenario {
    fn rounds(self, members: usize, twins: usize) -> Result<Rounds, (u32, &'static str)> {
        let mut rounds = Rounds {
            members,
            twins,
            list: Vec::new(),
        };
        if self.round_leaders.is_empty() || self.round_leaders.len() > VIEWS_MAX {
            return Err((0, "there must be at least one round and at most 32"));
        }
        if !self.round_leaders.keys().eq(self.round_partitions.keys()) {
            return Err((
                0,
                "round_leaders and round_partitions name different rounds",
            ));
        }
        for ((number, leaders), parts) in self
            .round_leaders
            .iter()
            .zip(self.round_partitions.values())
        {
            let fault = |reason| (*number, reason);
            let leaders = set(leaders, rounds.instances()).map_err(fault)?;
            let round = Round {
                leaders,
                parts: parts
                    .iter()
                    .map(|part| set(part, rounds.instances()))
                    .collect::<Result<_, _>>()
                    .map_err(fault)?,
            };
            if leaders == 0 || leaders & !rounds.instances_of(rounds.leader(&round)) != 0 {
                return Err(fault("its leaders must be instances of one node"));
            }
            let mut all = 0;
            for part in &round.parts {
                if all & part != 0 {
                    return Err(fault("an instance is in two parts"));
                }
                all |= part;
            }
            rounds.list.push(round);
        }
        Ok(rounds)
    }
}

fn set(list: &[usize], instances: usize) -> Result<u16, &'static str> {
    list.iter().try_fold(0, |set: u16, instance| {
        if *instance >= instances {
            return Err("it names an instance that is not there");
        }
        if set >> instance & 1 == 1 {
            return Err("it names an instance twice");
        }
        Ok(set | 1 << instance)
    })
}
