//! Where the next committee comes from (R13). A permissioned network asks its members; a settlement chain would be another
//! source behind the same trait.

use outrider_types::{Committee, CommitteeChange, CommitteeId, Contact, EpochStart, Verified};
use std::collections::BTreeMap;

/// What a source says of a next committee that a leader names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It may follow.
    Welcome,
    /// It may follow, but another one should: no vote for it, unless others certify it.
    Unwelcome,
    /// Nothing is known of it here yet.
    Unknown,
}

/// Decides which committee may follow, the same way at every member in the end, though not at every moment.
pub trait CommitteeSource {
    /// The committee to name, as leader.
    fn next(&self, current: &Committee) -> CommitteeId;
    /// What to think of one that a leader names.
    fn judge(&self, current: &Committee, next: CommitteeId) -> Opinion;
    /// A next committee with its contacts; none if it is not known.
    fn start(&self, current: &EpochStart, next: CommitteeId) -> Option<(Committee, Vec<Contact>)>;
}

/// The source of a permissioned network: changes that members of stake >= Q have approved of; without any, the same members
/// go on.
#[derive(Clone, Debug, Default)]
pub struct Approved {
    changes: BTreeMap<CommitteeId, CommitteeChange>,
}

impl Approved {
    /// Add a change; false if it was known.
    pub fn add(&mut self, change: Verified<CommitteeChange>) -> bool {
        let change = change.into_inner();
        self.changes.insert(change.next.id(), change).is_none()
    }

    /// The change that leads to a committee.
    #[must_use]
    pub fn get(&self, next: CommitteeId) -> Option<&CommitteeChange> {
        self.changes.get(&next)
    }

    /// Where members of all approved committees are.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.changes.values().flat_map(|change| &change.contacts)
    }

    /// Whether a committee is named by an approved change.
    #[must_use]
    pub fn knows(&self, next: CommitteeId) -> bool {
        self.changes.contains_key(&next)
    }
}

impl CommitteeSource for Approved {
    fn next(&self, current: &Committee) -> CommitteeId {
        let first = self.changes.keys().next().copied();
        first.unwrap_or_else(|| current.successor().id())
    }

    /// Any approved change will do: two may be approved, and members that insisted on different ones would never agree.
    fn judge(&self, current: &Committee, next: CommitteeId) -> Opinion {
        if self.knows(next) {
            Opinion::Welcome
        } else if current.successor().id() != next {
            Opinion::Unknown
        } else if self.changes.is_empty() {
            Opinion::Welcome
        } else {
            Opinion::Unwelcome
        }
    }

    fn start(&self, current: &EpochStart, next: CommitteeId) -> Option<(Committee, Vec<Contact>)> {
        if let Some(change) = self.changes.get(&next) {
            return Some((change.next.clone(), change.contacts.clone()));
        }
        let same = current.committee.successor();
        (same.id() == next).then(|| (same, current.contacts.clone()))
    }
}
