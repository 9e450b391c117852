//! One scenario: who leads each round, and who hears whom.

/// Instances of one scenario, twins counted twice.
pub const INSTANCES_MAX: usize = 16;

/// One round. Instances are bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round {
    /// Instances that propose: of one member.
    pub leaders: u16,
    /// Parts of the network; an instance in none is alone.
    pub parts: Vec<u16>,
}

impl Round {
    /// Whom an instance reaches, itself included.
    #[must_use]
    pub fn reaches(&self, instance: usize) -> u16 {
        let own = 1 << instance;
        let part = self.parts.iter().find(|part| **part & own != 0);
        part.copied().unwrap_or(own)
    }
}

/// A scenario of `members` members, the first `twins` of which are two instances each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rounds {
    /// Members.
    pub members: usize,
    /// How many of them are Byzantine.
    pub twins: usize,
    /// The rounds in order.
    pub list: Vec<Round>,
}

impl Rounds {
    /// Members and second instances.
    #[must_use]
    pub const fn instances(&self) -> usize {
        self.members + self.twins
    }

    /// The member that an instance is of.
    #[must_use]
    pub const fn member_of(&self, instance: usize) -> usize {
        if instance < self.members {
            instance
        } else {
            instance - self.members
        }
    }

    /// All instances of a member.
    #[must_use]
    pub const fn instances_of(&self, member: usize) -> u16 {
        if member < self.twins {
            1 << member | 1 << (self.members + member)
        } else {
            1 << member
        }
    }

    /// The member that leads a round.
    #[must_use]
    pub fn leader(&self, round: &Round) -> usize {
        self.member_of(round.leaders.trailing_zeros() as usize)
    }
}

/// The bits of a set of instances, ascending.
pub(super) fn bits(set: u16) -> impl Iterator<Item = usize> {
    (0..INSTANCES_MAX).filter(move |bit| set >> bit & 1 == 1)
}
