//! Who sits where: which peer of the network speaks for which member, in each epoch that this member listens to.

use outrider_network::Peer;
use outrider_types::{
    BlockId, Certificate, Committee, Contact, Epoch, Justification, MemberIndex, View,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// A peer of this process; see [`outrider_network::Peers::track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerIndex(pub usize);

impl std::fmt::Display for PeerIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// A committee with its members' places in the network.
#[derive(Clone, Debug)]
pub struct Seats {
    committee: Committee,
    peers: Vec<PeerIndex>,
    members: BTreeMap<PeerIndex, MemberIndex>,
}

impl Seats {
    /// `peers` are those of the members, in their order.
    #[must_use]
    pub fn new(committee: Committee, peers: Vec<PeerIndex>) -> Self {
        let members = committee
            .indexes()
            .zip(&peers)
            .map(|(member, peer)| (*peer, member))
            .collect();
        Self {
            committee,
            peers,
            members,
        }
    }

    /// The committee.
    #[must_use]
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The peer that speaks for a member.
    #[must_use]
    pub fn peer(&self, member: MemberIndex) -> Option<PeerIndex> {
        self.peers.get(member.index()).copied()
    }

    /// The member that a peer speaks for; none if it only follows.
    #[must_use]
    pub fn member(&self, peer: PeerIndex) -> Option<MemberIndex> {
        self.members.get(&peer).copied()
    }

    /// Peers of all members.
    #[must_use]
    pub fn peers(&self) -> &[PeerIndex] {
        &self.peers
    }
}

/// What workers verify against: this epoch, and the next one as soon as it is known, so that nothing is lost that members
/// say who have crossed before this one.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// The one before, of which only evidence is still heard.
    pub previous: Option<Arc<Seats>>,
    /// This epoch.
    pub current: Arc<Seats>,
    /// The next one.
    pub next: Option<Arc<Seats>>,
}

impl Hearing {
    /// The seats of an epoch whose offences are still of interest.
    #[must_use]
    pub fn of_evidence(&self, epoch: Epoch) -> Option<&Arc<Seats>> {
        let previous = self.previous.as_ref();
        let previous = previous.filter(|seats| seats.committee.epoch() == epoch);
        previous.or_else(|| self.of(epoch))
    }

    /// The seats of this epoch or the next.
    #[must_use]
    pub fn of(&self, epoch: Epoch) -> Option<&Arc<Seats>> {
        [Some(&self.current), self.next.as_ref()]
            .into_iter()
            .flatten()
            .find(|seats| seats.committee.epoch() == epoch)
    }
}

/// Quorum certificates that the replica holds, newest views last: another copy tells it nothing, so nobody checks its
/// signatures again. Every view begins with its leader handing its certificate to all (R2), who have it by then.
#[derive(Debug, Default)]
pub struct Known(RwLock<BTreeSet<(Epoch, View, BlockId)>>);

/// Certificates remembered in [`Known`].
const KNOWN_MAX: usize = 256;

impl Known {
    /// The replica holds this certificate.
    pub fn add(&self, certificate: &Certificate) {
        if !certificate.is_quorum() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert((certificate.epoch(), certificate.rank(), certificate.block()));
        if known.len() > KNOWN_MAX {
            known.pop_first();
        }
    }

    /// Whether the replica holds a certificate of votes for the same block. One that shows more, a commit or the fast path,
    /// is not known.
    #[must_use]
    pub fn holds(&self, justification: &Justification, committee: &Committee) -> bool {
        let Justification::Certificate(Certificate::Quorum(certificate)) = justification else {
            return false;
        };
        let vote = &certificate.statement;
        let fast = certificate
            .stake(committee)
            .is_ok_and(|stake| stake >= committee.thresholds().fast);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !fast && known.contains(&(vote.epoch, vote.view, vote.block))
    }
}

/// [`Hearing`], shared by the driver that sets it with the workers that read it.
#[derive(Clone, Debug)]
pub struct SharedHearing(Arc<RwLock<Hearing>>, Arc<Known>);

impl SharedHearing {
    /// At the start.
    #[must_use]
    pub fn new(current: Seats) -> Self {
        let current = Arc::new(current);
        let hearing = Hearing {
            previous: None,
            current,
            next: None,
        };
        Self(Arc::new(RwLock::new(hearing)), Arc::default())
    }

    /// Certificates that need no second look.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.1
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> Hearing {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Change it.
    pub fn set(&self, hearing: Hearing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hearing;
    }
}

/// A contact as the network takes it.
#[must_use]
pub fn peer_of(contact: &Contact) -> Peer {
    Peer {
        public_key: contact.transport_key.0,
        address: contact.address,
    }
}
