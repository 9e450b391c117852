//! What is kept of a run for people to look at: the last facts, bounded, and the words to say them in.

mod facts;
mod messages;
mod roster;
pub mod tables;
pub mod value;

pub use facts::{class, loss, name, path};
pub use messages::Words;
pub use roster::Roster;
pub use tables::{FACTS, MESSAGES};

use crate::fact::{Fact, Micros, Observer, Violation};
use std::collections::{BTreeMap, VecDeque};

/// Facts that are kept if nothing else is said: some 50,000 messages of a committee of seven.
pub const FACTS_MAX: usize = 250_000;

/// The last facts of a run. Beyond the limit the oldest are forgotten, but for what is still true of them: who sits
/// where, who is down and since when, who is in which view, what is going on.
///
/// What has no place in a picture is not kept: durable states, steps, kept certificates, checked signatures.
#[derive(Clone, Debug)]
pub struct Recording {
    facts: VecDeque<(Micros, Fact)>,
    limit: usize,
    forgotten: u64,
    still_true: BTreeMap<Subject, (Micros, Fact)>,
}

/// What a forgotten fact may still be true of; the later fact of the same subject replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Epoch(u64),
    Fault(String),
    Health(usize),
    View(usize),
    Healed,
}

/// Subjects kept of forgotten facts; further ones are forgotten altogether.
const SUBJECTS_MAX: usize = 8_192;

impl Default for Recording {
    fn default() -> Self {
        Self::new(FACTS_MAX)
    }
}

impl Recording {
    /// Keeps the last `limit` facts, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        assert!(limit > 0, "a recording of nothing");
        Self {
            facts: VecDeque::new(),
            limit,
            forgotten: 0,
            still_true: BTreeMap::new(),
        }
    }

    /// The facts in order; first those that were forgotten but still hold, with the time when they happened.
    pub fn facts(&self) -> impl Iterator<Item = (Micros, &Fact)> {
        let mut before: Vec<&(Micros, Fact)> = self.still_true.values().collect();
        before.sort_by_key(|(at, _)| *at);
        let all = before.into_iter().chain(&self.facts);
        all.map(|(at, fact)| (*at, fact))
    }

    /// How many facts were forgotten, and from when on all are there; none if nothing was.
    #[must_use]
    pub fn cut(&self) -> Option<(u64, Micros)> {
        let from = self.facts.front().map_or(0, |(at, _)| *at);
        (self.forgotten > 0).then_some((self.forgotten, from))
    }

    fn forget_oldest(&mut self) {
        let Some((at, fact)) = self.facts.pop_front() else {
            return;
        };
        self.forgotten += 1;
        let subject = match &fact {
            Fact::Epoch { committee, .. } => Subject::Epoch(committee.epoch().0),
            Fact::Fault { what, begins } => {
                if !*begins {
                    self.still_true.remove(&Subject::Fault(what.clone()));
                    return;
                }
                Subject::Fault(what.clone())
            }
            Fact::Crashed { member, .. } => Subject::Health(*member),
            Fact::Restarted { member, .. } => {
                self.still_true.remove(&Subject::Health(*member));
                return;
            }
            Fact::Entered { member, .. } => Subject::View(*member),
            Fact::Healed { .. } => Subject::Healed,
            _ => return,
        };
        if self.still_true.len() < SUBJECTS_MAX || self.still_true.contains_key(&subject) {
            self.still_true.insert(subject, (at, fact));
        }
    }
}

impl Observer for Recording {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        let pictured = !matches!(
            fact,
            Fact::Durable { .. } | Fact::Stepped { .. } | Fact::Kept { .. } | Fact::Checked { .. }
        );
        if pictured {
            if self.facts.len() == self.limit {
                self.forget_oldest();
            }
            self.facts.push_back((at, fact.clone()));
        }
        assert!(self.facts.len() <= self.limit, "the limit holds");
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        true
    }
}
