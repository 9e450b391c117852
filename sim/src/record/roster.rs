//! Who sits where in each epoch.

use crate::fact::Fact;
use outrider_types::{Committee, Epoch, MemberIndex};
use std::collections::BTreeMap;

/// Epochs whose members are known by their host; the oldest is forgotten.
const EPOCHS_MAX: usize = 1_024;

/// Who sits where in each epoch, and how much each counts.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    epochs: BTreeMap<Epoch, (Committee, Vec<usize>)>,
}

impl Roster {
    /// Learn from an epoch's beginning; other facts change nothing.
    pub fn learn(&mut self, fact: &Fact) {
        if let Fact::Epoch { committee, hosts } = fact {
            self.epochs
                .insert(committee.epoch(), (committee.clone(), hosts.clone()));
            if self.epochs.len() > EPOCHS_MAX {
                self.epochs.pop_first();
            }
        }
    }

    /// The host of a member; of an unknown epoch its index.
    #[must_use]
    pub fn host(&self, epoch: Epoch, member: MemberIndex) -> usize {
        self.epochs
            .get(&epoch)
            .and_then(|(_, hosts)| hosts.get(member.index()).copied())
            .unwrap_or_else(|| member.index())
    }

    /// The committees known, by epoch, with the host of each member.
    pub fn epochs(&self) -> impl Iterator<Item = (&Committee, &[usize])> {
        self.epochs
            .values()
            .map(|(committee, hosts)| (committee, hosts.as_slice()))
    }

    /// Stake of members of an epoch; none if the epoch is unknown.
    #[must_use]
    pub fn stake(&self, epoch: Epoch, members: &[MemberIndex]) -> Option<u64> {
        let (committee, _) = self.epochs.get(&epoch)?;
        let stakes = members.iter().filter_map(|member| committee.stake(*member));
        Some(
            stakes
                .map(|stake| stake.0)
                .fold(0, |sum: u64, stake| sum.saturating_add(stake)),
        )
    }
}
