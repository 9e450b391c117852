//! Who leads a view: smooth stake-weighted round robin, a pure function of epoch and view.

use outrider_types::{Committee, MemberIndex, View};

/// Longest turn order kept; stakes are scaled down to it.
const SLOTS_MAX: u64 = 4_096;

/// The turn order of an epoch.
#[derive(Clone, Debug)]
pub struct LeaderSchedule {
    order: Vec<MemberIndex>,
    offset: u64,
}

impl LeaderSchedule {
    /// The order for a committee: each member leads in proportion to its stake, spread as evenly as can be; members with
    /// equal stake follow each other in the order of the committee's ring. If the
    /// stakes have no common divisor that brings their sum to 4,096 turns, they are scaled down and rounded, and
    /// every member keeps at least one turn.
    #[must_use]
    pub fn new(committee: &Committee) -> Self {
        let ring = committee.ring();
        let stakes: Vec<u64> = ring
            .iter()
            .filter_map(|member| committee.stake(*member))
            .map(|stake| stake.0)
            .collect();
        let divisor = stakes.iter().copied().fold(0, gcd).max(1);
        let total: u64 = stakes.iter().map(|stake| stake / divisor).sum();
        let weights: Vec<i64> = stakes
            .iter()
            .map(|stake| {
                let stake = u128::from(stake / divisor);
                let scaled = if total <= SLOTS_MAX {
                    stake
                } else {
                    (stake * u128::from(SLOTS_MAX) / u128::from(total)).max(1)
                };
                i64::try_from(scaled).unwrap_or(i64::MAX)
            })
            .collect();
        let order: Vec<MemberIndex> = smooth(&weights)
            .into_iter()
            .filter_map(|place| ring.get(place).copied())
            .collect();
        assert!(!order.is_empty(), "a committee has members with stake");
        Self {
            order,
            offset: committee.epoch().0,
        }
    }

    /// The leaders of consecutive views; after the last the first comes again.
    #[must_use]
    pub fn turns(&self) -> &[MemberIndex] {
        &self.order
    }

    /// The leader of a view.
    #[must_use]
    pub fn leader(&self, view: View) -> MemberIndex {
        let len = self.order.len() as u64;
        let turn = (view.0 % len + self.offset % len) % len;
        usize::try_from(turn)
            .ok()
            .and_then(|turn| self.order.get(turn))
            .copied()
            .unwrap_or_default()
    }
}

/// Each turn everyone gains their weight, the richest leads and pays the sum; a tie goes to the earlier place in the ring.
fn smooth(weights: &[i64]) -> Vec<usize> {
    let sum: i64 = weights.iter().sum();
    let mut current = vec![0_i64; weights.len()];
    let mut order = Vec::new();
    for _ in 0..sum {
        let mut best = 0;
        for (index, weight) in weights.iter().enumerate() {
            current[index] += weight;
            if current[index] > current[best] {
                best = index;
            }
        }
        current[best] -= sum;
        order.push(best);
    }
    order
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::testing;

    fn turns(stakes: &[u64], views: u64) -> Vec<u16> {
        let schedule = LeaderSchedule::new(&testing::committee(stakes).0);
        (0..views)
            .map(|view| schedule.leader(View(view)).0)
            .collect()
    }

    #[test]
    fn equal_members_lead_in_turn() {
        assert_eq!(turns(&[5, 5, 5], 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn members_follow_each_other_along_the_ring() {
        let committee = testing::committee(&[1; 4]).0;
        let ring = [2, 0, 3, 1].map(MemberIndex);
        let schedule = LeaderSchedule::new(&committee.with_ring(ring.to_vec()).unwrap());
        let turns: Vec<MemberIndex> = (0..8).map(|view| schedule.leader(View(view))).collect();
        assert_eq!(turns, [ring, ring].concat());
    }

    #[test]
    fn leading_is_proportional_to_stake_and_spread_out() {
        assert_eq!(turns(&[3, 1, 1], 5), [0, 1, 0, 2, 0]);
    }

    #[test]
    fn large_stakes_are_scaled_and_nobody_is_left_out() {
        let views = 10_000;
        let turns = turns(&[1_000_000_007, 999_999_937, 1, 1_000_000_009], views);
        for member in 0..4_u16 {
            assert!(turns.contains(&member), "member {member} never leads");
        }
        let first = turns.iter().filter(|turn| **turn == 0).count() as f64 / views as f64;
        assert!(
            (first - 1.0 / 3.0).abs() < 0.01,
            "member 0 leads {first} of all views"
        );
    }
}
