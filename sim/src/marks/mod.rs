//! Marks: rare states that runs must reach sometimes, counted by name. A swarm that never reaches one does not test what
//! it should; the nightly run fails then.
//!
//! They are seen from outside, in facts alone. A count says how often a state was seen, which may be more often than it
//! came about.

mod life;
mod list;
mod said;
mod state;

pub use list::{MARKS, Mark};

use crate::fact::{Fact, Micros, Observer, Violation};
use crate::scenario::Scenario;
use state::State;

/// How often each rare state was reached.
#[derive(Clone, Debug)]
pub struct Marks {
    counts: Vec<u64>,
    state: State,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            counts: vec![0; MARKS.len()],
            state: State::default(),
        }
    }
}

impl Marks {
    /// For a run of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            state: State::new(scenario),
            ..Self::default()
        }
    }

    /// How often a state was reached.
    #[must_use]
    pub fn count(&self, mark: Mark) -> u64 {
        self.counts.get(mark as usize).copied().unwrap_or_default()
    }

    /// All names, and how often each was reached.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let each = MARKS.iter();
        each.map(|(mark, name, _)| (*name, self.count(*mark)))
            .collect()
    }

    /// Add what was reached in another run.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    /// Names of the states that were reached.
    #[must_use]
    pub fn reached(&self) -> Vec<&'static str> {
        self.named(|count| count > 0)
    }

    /// Names of the states that were never reached.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.named(|count| count == 0)
    }

    fn named(&self, wanted: impl Fn(u64) -> bool) -> Vec<&'static str> {
        let all = self.counts().into_iter();
        all.filter(|(_, count)| wanted(*count))
            .map(|(name, _)| name)
            .collect()
    }

    fn reach(&mut self, mark: Mark) {
        if let Some(count) = self.counts.get_mut(mark as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn reach_if(&mut self, reached: bool, mark: Mark) {
        if reached {
            self.reach(mark);
        }
    }
}

impl Observer for Marks {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Sent {
                from, to, message, ..
            } => self.sent(at, *from, *to, message),
            Fact::Stepped {
                member,
                epoch,
                view,
                ..
            } => self.stepped(*member, *epoch, *view),
            Fact::Entered {
                member,
                epoch,
                view,
                leader,
                entry,
                ..
            } => self.entered(at, *member, (*epoch, *view), *leader, entry.as_deref()),
            Fact::Durable { member, safety } => {
                if let Some(host) = self.state.hosts.get_mut(*member) {
                    host.durable = Some(safety.clone());
                }
            }
            Fact::Committed {
                member,
                record,
                transactions,
                certificate,
                ..
            } => self.committed(*member, &record.block, transactions, certificate.as_deref()),
            Fact::Accepted { member, id, .. } => self.state.accepted(*member, *id),
            other => self.event(other),
        }
        Ok(())
    }
}
