//! All scenarios of so many members, twins and views, by number.

use super::rounds::{INSTANCES_MAX, Round, Rounds, bits};
use crate::rng::Stream;
use std::ops::RangeInclusive;

/// Views of a scenario.
pub const VIEWS_MAX: usize = 32;
/// Partitions of the instances.
pub const PARTITIONS_MAX: usize = 100_000;
/// Renamings of instances that change nothing, times rounds: what is kept to find out which scenarios are alike.
const RENAMINGS_MAX: usize = 20_000_000;

/// Why there are no such scenarios.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// Nobody, or too many.
    #[error(
        "{members} members and {twins} twins: there must be at least one member, no more twins than members, and at most {INSTANCES_MAX} in all"
    )]
    Instances {
        /// Members.
        members: usize,
        /// Twins.
        twins: usize,
    },
    /// No view, or too many.
    #[error("{views} views; a scenario has 1 to {VIEWS_MAX}")]
    Views {
        /// How many.
        views: usize,
    },
    /// No such number of parts.
    #[error(
        "{low} to {high} parts of {instances} instances: choose at least one part and at most as many as there are instances"
    )]
    Parts {
        /// At least.
        low: usize,
        /// At most.
        high: usize,
        /// Of how many.
        instances: usize,
    },
    /// Too many partitions to keep.
    #[error("there are more than {PARTITIONS_MAX} partitions; take fewer members, twins or parts")]
    TooMany,
    /// Too many renamings to tell which scenarios are alike.
    #[error(
        "too many members to tell which scenarios differ in names only; run all of them, or a sample"
    )]
    Renamings,
}

/// All scenarios of a kind. A scenario is a number: a digit for each round, the first one first.
#[derive(Clone, Debug)]
pub struct Space {
    members: usize,
    twins: usize,
    views: usize,
    /// Every partition, as parts.
    partitions: Vec<Vec<u16>>,
    /// By renaming, by digit: what that digit becomes. Filled by [`Space::with_renamings`].
    renamings: Vec<Vec<u32>>,
}

impl Space {
    /// Scenarios of so many views, whose network falls into so many parts in each.
    pub fn new(
        members: usize,
        twins: usize,
        views: usize,
        parts: RangeInclusive<usize>,
    ) -> Result<Self, SpaceError> {
        let instances = members.saturating_add(twins);
        if members == 0 || twins > members || instances > INSTANCES_MAX {
            return Err(SpaceError::Instances { members, twins });
        }
        if views == 0 || views > VIEWS_MAX {
            return Err(SpaceError::Views { views });
        }
        let (low, high) = (*parts.start(), *parts.end());
        if low == 0 || low > high || high > instances {
            return Err(SpaceError::Parts {
                low,
                high,
                instances,
            });
        }
        let mut partitions = Vec::new();
        partition(instances, &mut Vec::new(), 0, &parts, &mut partitions)?;
        partitions.sort_unstable();
        Ok(Self {
            members,
            twins,
            views,
            partitions,
            renamings: Vec::new(),
        })
    }

    /// Rounds that there are: a leader and a partition each.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.members * self.partitions.len()
    }

    /// Partitions of the instances.
    #[must_use]
    pub const fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Scenarios that there are; saturates at the largest number.
    #[must_use]
    pub fn count(&self) -> u128 {
        (0..self.views).fold(1, |count: u128, _| {
            count.saturating_mul(self.rounds() as u128)
        })
    }

    fn digit(&self, digit: usize) -> Round {
        let leader = digit / self.partitions.len();
        let names = Rounds {
            members: self.members,
            twins: self.twins,
            list: Vec::new(),
        };
        Round {
            leaders: names.instances_of(leader),
            parts: self.partitions[digit % self.partitions.len()].clone(),
        }
    }

    fn scenario(&self, digits: impl Iterator<Item = usize>) -> Rounds {
        Rounds {
            members: self.members,
            twins: self.twins,
            list: digits.map(|digit| self.digit(digit)).collect(),
        }
    }

    fn digits(&self, number: u128) -> Vec<usize> {
        let base = self.rounds() as u128;
        let mut rest = number;
        let mut digits = Vec::with_capacity(self.views);
        for _ in 0..self.views {
            digits.push(usize::try_from(rest % base).unwrap_or_default());
            rest /= base;
        }
        digits.reverse();
        digits
    }

    /// The scenario of this number; none if there are not so many.
    #[must_use]
    pub fn nth(&self, number: u128) -> Option<Rounds> {
        (number < self.count()).then(|| self.scenario(self.digits(number).into_iter()))
    }

    /// Any scenario, all alike likely.
    #[must_use]
    pub fn draw(&self, stream: &mut Stream) -> Rounds {
        let rounds = self.rounds();
        let digits: Vec<usize> = (0..self.views).map(|_| stream.index(rounds)).collect();
        self.scenario(digits.into_iter())
    }

    /// With what it takes to tell which scenarios differ in names only.
    pub fn with_renamings(mut self) -> Result<Self, SpaceError> {
        let honest = permutations(self.members - self.twins);
        let twins = permutations(self.twins);
        let swaps = 1_usize << self.twins;
        let many = honest
            .len()
            .saturating_mul(twins.len())
            .saturating_mul(swaps);
        if many.saturating_mul(self.rounds()) > RENAMINGS_MAX {
            return Err(SpaceError::Renamings);
        }
        let index = |parts: &Vec<u16>| self.partitions.binary_search(parts).unwrap_or_default();
        let mut renamings = Vec::with_capacity(many);
        for honest in &honest {
            for twins in &twins {
                for swap in 0..swaps {
                    let names = self.names(honest, twins, swap);
                    let partitions: Vec<usize> = self
                        .partitions
                        .iter()
                        .map(|parts| index(&renamed(parts, &names)))
                        .collect();
                    let digits = (0..self.rounds()).map(|digit| {
                        let leader = names[digit / partitions.len()] % self.members;
                        let digit =
                            leader * partitions.len() + partitions[digit % partitions.len()];
                        u32::try_from(digit).unwrap_or(u32::MAX)
                    });
                    renamings.push(digits.collect());
                }
            }
        }
        self.renamings = renamings;
        Ok(self)
    }

    /// New names of all instances.
    fn names(&self, honest: &[usize], twins: &[usize], swap: usize) -> Vec<usize> {
        let mut names = vec![0; self.members + self.twins];
        for (twin, to) in twins.iter().enumerate() {
            let (mut first, mut second) = (*to, self.members + *to);
            if swap >> twin & 1 == 1 {
                (first, second) = (second, first);
            }
            names[twin] = first;
            names[self.members + twin] = second;
        }
        for (member, to) in honest.iter().enumerate() {
            names[self.twins + member] = self.twins + to;
        }
        names
    }

    /// How many scenarios differ in more than names (Burnside's lemma); needs [`Space::with_renamings`].
    #[must_use]
    pub fn distinct(&self) -> u128 {
        let fixed = self.renamings.iter().map(|renaming| {
            let same = (0_u32..).zip(renaming).filter(|(from, to)| from == *to);
            let same = same.count() as u128;
            (0..self.views).fold(1_u128, |count, _| count.saturating_mul(same))
        });
        fixed.fold(0_u128, u128::saturating_add) / (self.renamings.len() as u128).max(1)
    }

    /// Whether the scenario of this number is the first of those that differ from it in names only; needs
    /// [`Space::with_renamings`].
    #[must_use]
    pub fn is_first(&self, number: u128) -> bool {
        let digits = self.digits(number);
        self.renamings.iter().all(|renaming| {
            let other = digits.iter().map(|digit| renaming[*digit] as usize);
            other.cmp(digits.iter().copied()) != std::cmp::Ordering::Less
        })
    }
}

/// All ways to put the instances from `at` on into parts.
fn partition(
    instances: usize,
    parts: &mut Vec<u16>,
    at: usize,
    wanted: &RangeInclusive<usize>,
    out: &mut Vec<Vec<u16>>,
) -> Result<(), SpaceError> {
    if at == instances {
        if wanted.contains(&parts.len()) {
            if out.len() >= PARTITIONS_MAX {
                return Err(SpaceError::TooMany);
            }
            out.push(parts.clone());
        }
        return Ok(());
    }
    // Each instance joins a part or opens the next one, so parts are in the order of their first instances.
    for part in 0..parts.len() {
        parts[part] |= 1 << at;
        partition(instances, parts, at + 1, wanted, out)?;
        parts[part] &= !(1 << at);
    }
    if parts.len() < *wanted.end() {
        parts.push(1 << at);
        partition(instances, parts, at + 1, wanted, out)?;
        parts.pop();
    }
    Ok(())
}

/// Parts under new names, in the order of their first instances.
fn renamed(parts: &[u16], names: &[usize]) -> Vec<u16> {
    let rename = |part: &u16| bits(*part).fold(0, |set: u16, bit| set | 1 << names[bit]);
    let mut parts: Vec<u16> = parts.iter().map(rename).collect();
    parts.sort_unstable_by_key(|part| part.trailing_zeros());
    parts
}

/// All orders of so many things.
fn permutations(of: usize) -> Vec<Vec<usize>> {
    // 10! is far over the limit of what is kept.
    let of = of.min(10);
    let mut all = vec![Vec::new()];
    for next in 0..of {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, next);
                    longer
                })
            })
            .collect();
    }
    all
}
