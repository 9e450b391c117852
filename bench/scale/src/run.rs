//! Running worlds and measuring them.

use crate::watch::{Tally, Watch, thread_time};
use outrider_sim::kernel::{World, WorldError};
use outrider_sim::scenario::{Keys, Scenario};
use std::collections::BTreeMap;
use std::time::Duration;

/// Final blocks before the measurement: the first views are not like the others.
const WARM_BLOCKS: u64 = 3;
/// How far a world goes before its height is looked at, in simulated microseconds.
const STRIDE: u64 = 5_000;
/// A world that needs longer for a block, in simulated microseconds, has stalled.
const BLOCK_TIME_MAX: u64 = 2_000_000;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sizes of the committee.
    pub members: Vec<usize>,
    /// Final blocks of a run.
    pub blocks: u64,
    /// Runs of each size.
    pub runs: u64,
    /// Seed of all worlds.
    pub seed: u64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// The world.
    #[error("no world of {members} members: {source}")]
    World {
        /// How many.
        members: usize,
        /// Why.
        source: WorldError,
    },
    /// It ended.
    #[error("the world of {members} members ended: {what}")]
    Ended {
        /// How many.
        members: usize,
        /// Why.
        what: String,
    },
    /// It is not what is measured.
    #[error(
        "the world of {members} members is not calm: {timeouts} views timed out, {invalid} messages did not verify. Its costs would be of something else; this is a bug, please report it with the seed"
    )]
    NotCalm {
        /// How many.
        members: usize,
        /// Views.
        timeouts: u64,
        /// Messages.
        invalid: u64,
    },
    /// The same seed came to other counts.
    #[error("two runs of {members} members with one seed sent different messages")]
    NotSame {
        /// How many.
        members: usize,
    },
}

/// One run.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Final blocks that it is of.
    pub blocks: u64,
    /// What was counted.
    pub tally: Tally,
    /// All that members did but decoding and verifying: steps, signing, ledgers, and what simulating took.
    pub stepping: Duration,
}

/// All runs of all sizes, the sizes in turn, so that what else the machine does hits all of them.
pub fn all(
    plan: &Plan,
    mut told: impl FnMut(usize, u64),
) -> Result<BTreeMap<usize, Vec<Sample>>, ScaleError> {
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    for run in 1..=plan.runs {
        for members in &plan.members {
            told(*members, run);
            let sample = one(*members, plan.blocks, plan.seed)?;
            let others = samples.entry(*members).or_default();
            if others
                .first()
                .is_some_and(|first| first.tally.kinds != sample.tally.kinds)
            {
                return Err(ScaleError::NotSame { members: *members });
            }
            others.push(sample);
        }
    }
    Ok(samples)
}

/// Real signatures, nothing to order, and nothing happens.
fn scenario(members: usize) -> Scenario {
    let mut scenario = Scenario::calm(members);
    scenario.committee.keys = Keys::Ed25519;
    scenario.workload.rate = 0.0;
    scenario.idle_block = 10_000;
    scenario
}

/// One run.
pub fn one(members: usize, blocks: u64, seed: u64) -> Result<Sample, ScaleError> {
    let mut world = World::new(&scenario(members), seed, Watch::new(members))
        .map_err(|source| ScaleError::World { members, source })?;
    advance(&mut world, members, WARM_BLOCKS)?;
    world.observer_mut().take();
    let height = world.statistics().height;
    let begin = thread_time();
    advance(&mut world, members, height + blocks)?;
    let took = thread_time().saturating_sub(begin);
    let tally = world.observer_mut().take();
    let statistics = world.statistics();
    if statistics.timeouts > 0 || tally.invalid > 0 {
        return Err(ScaleError::NotCalm {
            members,
            timeouts: statistics.timeouts,
            invalid: tally.invalid,
        });
    }
    Ok(Sample {
        blocks: statistics.height - height,
        stepping: took.saturating_sub(tally.watching + tally.once),
        tally,
    })
}

fn advance(world: &mut World<Watch>, members: usize, height: u64) -> Result<(), ScaleError> {
    let ended = |what: String| ScaleError::Ended { members, what };
    let missing = height.saturating_sub(world.statistics().height);
    let until = world.now() + missing * BLOCK_TIME_MAX;
    while world.statistics().height < height {
        if world.now() >= until {
            return Err(ended(format!(
                "height {} after {} s of simulated time instead of {height}",
                world.statistics().height,
                world.now() / 1_000_000
            )));
        }
        let next = world.now() + STRIDE;
        world
            .run_to(next)
            .map_err(|violation| ended(violation.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_vote_to_all_and_nobody_checks_a_certificate_that_it_holds() {
        let sample = one(4, 4, 1).unwrap();
        assert!(sample.blocks >= 4);
        let votes = sample.tally.kinds["vote"];
        let least = (sample.blocks - 1) * 4 * 3;
        assert!(votes.messages >= least, "{votes:?}");
        let kinds: Vec<_> = sample.tally.kinds.keys().collect();
        assert!(!kinds.contains(&&"timeout"), "{kinds:?}");
        assert!(!kinds.contains(&&"payload"), "{kinds:?}");
        // One of each statement; quorums of three are left out where they are held.
        let messages: u64 = sample.tally.kinds.values().map(|kind| kind.messages).sum();
        assert!(
            sample.tally.signatures < messages + messages / 2,
            "{sample:?}"
        );
    }

    #[test]
    fn same_seed_counts_the_same() {
        let plan = Plan {
            members: vec![4],
            blocks: 2,
            runs: 2,
            seed: 7,
        };
        let samples = all(&plan, |_, _| {}).unwrap();
        assert_eq!(samples[&4].len(), 2);
    }
}
