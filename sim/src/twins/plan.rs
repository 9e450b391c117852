//! From the rounds of a scenario to the views of a run.

use super::rounds::Rounds;
use outrider_types::{MemberIndex, View};

/// What a view of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This round of the scenario.
    Round(usize),
    /// Between two rounds: the partition of this round stands, and the leader has nothing to propose.
    Idle(usize),
    /// After the last round: everything is connected.
    After,
}

/// Ring and views for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The committee's ring.
    pub ring: Vec<MemberIndex>,
    /// View 1 and what follows; after the last all is connected.
    pub turns: Vec<Turn>,
}

impl Plan {
    /// Leaders in the order of their first round stand in the ring so that the first leads view 1.
    #[must_use]
    pub fn new(rounds: &Rounds) -> Self {
        let members = rounds.members;
        let mut order: Vec<usize> = Vec::with_capacity(members);
        let leaders: Vec<usize> = rounds
            .list
            .iter()
            .map(|round| rounds.leader(round))
            .collect();
        for member in leaders.iter().copied().chain(0..members) {
            if !order.contains(&member) {
                order.push(member);
            }
        }
        // Without an offset view v is led by place v modulo n of the ring (`LeaderSchedule`), in epoch 0.
        let mut ring = vec![MemberIndex(0); members];
        for (place, member) in order.iter().enumerate() {
            ring[(place + 1) % members] = MemberIndex(u16::try_from(*member).unwrap_or_default());
        }
        let mut turns = Vec::new();
        for (number, leader) in leaders.iter().enumerate() {
            while order[turns.len() % members] != *leader {
                turns.push(Turn::Idle(number.saturating_sub(1)));
            }
            turns.push(Turn::Round(number));
        }
        Self { ring, turns }
    }

    /// What a view is.
    #[must_use]
    pub fn turn(&self, view: View) -> Turn {
        let at = usize::try_from(view.0.saturating_sub(1)).unwrap_or(usize::MAX);
        self.turns.get(at).copied().unwrap_or(Turn::After)
    }

    /// The view of the last round.
    #[must_use]
    pub const fn last(&self) -> View {
        View(self.turns.len() as u64)
    }
}
