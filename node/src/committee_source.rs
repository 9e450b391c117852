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

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{Aggregate, Approve, Block, Member, SecretKey, Signed, Stake, testing};

    /// Four members, of whom the first is replaced by one with this key.
    fn change(seed: u8) -> Verified<CommitteeChange> {
        let (current, keys) = testing::committee(&[1; 4]);
        let mut members = current.members().to_vec();
        members[0] = Member {
            public_key: SecretKey::from_seed(&[seed; 32]).public_key(),
            stake: Stake(1),
        };
        let next = Committee::new(current.chain(), current.epoch().next(), members, None).unwrap();
        let contacts: Vec<Contact> = (0..4)
            .map(|port| Contact {
                name: format!("m{port}"),
                transport_key: outrider_types::TransportKey([port; 32]),
                address: ([10, 0, 0, 1], 9_000 + u16::from(port)).into(),
                rpc: None,
                attester: None,
            })
            .collect();
        let approve = Approve {
            epoch: current.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        let signed: Vec<_> = current
            .indexes()
            .zip(&keys)
            .take(3)
            .map(|(member, key)| Signed::sign(approve, current.chain(), member, key))
            .collect();
        let change = CommitteeChange {
            next,
            contacts,
            approvals: Aggregate::assemble(&signed).unwrap(),
        };
        change.verify(&current).unwrap()
    }

    #[test]
    fn r13_without_a_change_the_same_members_go_on() {
        let current = testing::committee(&[1; 4]).0;
        let source = Approved::default();
        let same = current.successor().id();
        assert_eq!(source.next(&current), same);
        assert_eq!(source.judge(&current, same), Opinion::Welcome);
        assert_eq!(source.judge(&current, current.id()), Opinion::Unknown);
    }

    #[test]
    fn r13_any_approved_change_is_welcome_and_going_on_is_not() {
        let current = testing::committee(&[1; 4]).0;
        let (one, two) = (change(1), change(2));
        let mut source = Approved::default();
        assert!(source.add(one.clone()));
        assert!(!source.add(one.clone()), "known already");
        assert_eq!(source.next(&current), one.next.id());
        assert_eq!(source.judge(&current, two.next.id()), Opinion::Unknown);
        assert!(source.add(two.clone()));
        for change in [&one, &two] {
            assert_eq!(source.judge(&current, change.next.id()), Opinion::Welcome);
        }
        let same = current.successor().id();
        assert_eq!(source.judge(&current, same), Opinion::Unwelcome);

        let start = EpochStart {
            base: Block::genesis(&current),
            committee: current,
            contacts: Vec::new(),
        };
        let (next, contacts) = source.start(&start, two.next.id()).unwrap();
        assert_eq!((next, contacts.len()), (two.next.clone(), 4));
        assert!(
            source.start(&start, same).is_some(),
            "others may have certified it"
        );
    }
}
