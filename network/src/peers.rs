//! The other members as connections: who is connected, who never was, who is to blame.

use crate::config::Peer;
use crate::keys::{self, Keys};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    Address, AddressableManager as _, Blocker as _, CheckedSender as _, LimitedSender as _,
    Recipients,
    authenticated::lookup::{self, Oracle},
};
use commonware_runtime::Clock;
use commonware_utils::ordered::Map;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// Least time between two looks at the connections; in between the last answer stands.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Connection state and blame.
pub struct Peers<E: Clock> {
    keys: Arc<Keys>,
    clock: E,
    oracle: Oracle<PublicKey>,
    /// Sender of a channel on which nothing is ever sent: asking it whom it would send to is the
    /// library's only way to learn who is connected.
    presence: lookup::Sender<PublicKey, E>,
    looked_at: Option<SystemTime>,
    connected: Vec<usize>,
    /// By member: was it ever seen connected?
    seen: Vec<bool>,
    /// By member: how often it was blamed.
    blames: Vec<u64>,
    /// Whom to connect to now.
    tracked: Vec<usize>,
    /// Peer sets given to the library so far, after the first.
    sets: u64,
    peers_max: usize,
}

/// Why peers cannot be tracked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrackError {
    /// The queues were made for fewer.
    #[error("{peers} peers: this process has queues for {limit}; restart it to connect to all")]
    TooMany {
        /// How many.
        peers: usize,
        /// The limit.
        limit: usize,
    },
    /// Not a point on the curve.
    #[error("a transport key is not an ed25519 key")]
    BadPublicKey {
        /// Which.
        public_key: [u8; 32],
    },
    /// One key, two peers.
    #[error("two peers have the same transport key")]
    SameKey,
    /// Too many peers over the life of the process.
    #[error("more peers than one process can know; restart it")]
    BookFull,
}

impl<E: Clock> Peers<E> {
    pub(crate) fn new(
        keys: Arc<Keys>,
        clock: E,
        oracle: Oracle<PublicKey>,
        presence: lookup::Sender<PublicKey, E>,
        peers_max: usize,
    ) -> Self {
        let members = keys.len();
        Self {
            keys,
            clock,
            oracle,
            presence,
            looked_at: None,
            connected: Vec::new(),
            seen: vec![false; members],
            blames: vec![0; members],
            tracked: (0..members).collect(),
            sets: 0,
            peers_max,
        }
    }

    /// Connect to these from now on, and to ourselves never; those of the set before this one stay connected. Gives the
    /// index of each, in the same order: a peer that was known keeps its own. Known peers that moved are found at their
    /// new address.
    ///
    /// # Errors
    ///
    /// [`TrackError`]: nothing has changed.
    pub fn track(&mut self, peers: &[Peer]) -> Result<Vec<usize>, TrackError> {
        if peers.len() > self.peers_max {
            return Err(TrackError::TooMany {
                peers: peers.len(),
                limit: self.peers_max,
            });
        }
        let mut indexes = Vec::with_capacity(peers.len());
        let mut addresses = Vec::with_capacity(peers.len() + 1);
        for peer in peers {
            let key = keys::public_key(&peer.public_key).ok_or(TrackError::BadPublicKey {
                public_key: peer.public_key,
            })?;
            let index = self.keys.enter(&key).ok_or(TrackError::BookFull)?;
            if !indexes.contains(&index) {
                addresses.push((key, peer.address.into()));
            }
            indexes.push(index);
        }
        self.seen.resize(self.keys.len(), false);
        self.blames.resize(self.keys.len(), 0);
        let Ok(set) = Map::<PublicKey, Address>::try_from(addresses) else {
            return Err(TrackError::SameKey);
        };
        self.tracked = indexes.clone();
        self.sets += 1;
        let moved = self.oracle.overwrite(set.clone());
        let feedback = self.oracle.track(self.sets, set);
        tracing::info!(
            set = self.sets,
            peers = peers.len(),
            ?moved,
            ?feedback,
            "peers tracked"
        );
        Ok(indexes)
    }

    /// How many members there are, ourselves included.
    #[must_use]
    pub fn members(&self) -> usize {
        self.keys.len()
    }

    /// Our own member index.
    #[must_use]
    pub fn ours(&self) -> usize {
        self.keys.ours()
    }

    /// The members connected now (at most 100 ms ago), ascending, without ourselves.
    pub fn connected(&mut self) -> &[usize] {
        let now = self.clock.current();
        let recent = self
            .looked_at
            .and_then(|then| now.duration_since(then).ok())
            .is_some_and(|passed| passed < LOOK_INTERVAL);
        if !recent {
            self.looked_at = Some(now);
            // An error means the quota of looks is used up (the clock jumped): keep the last answer.
            if let Ok(checked) = self.presence.check(Recipients::All) {
                let keys = checked.recipients();
                self.connected = keys.iter().filter_map(|k| self.keys.peer(k)).collect();
                self.connected.sort_unstable();
                for &member in &self.connected {
                    if let Some(seen) = self.seen.get_mut(member) {
                        *seen = true;
                    }
                }
            }
        }
        &self.connected
    }

    /// Waits until at least `count` other members are connected at once. Looks every 100 ms, for
    /// as long as it takes: put a limit around it.
    ///
    /// `count` must be below the number of members.
    pub async fn until_connected(&mut self, count: usize) {
        assert!(count < self.keys.len(), "more peers than there are");
        while self.connected().len() < count {
            self.clock.sleep(LOOK_INTERVAL).await;
        }
    }

    /// Members that no look has found connected since start, ourselves left out. After a few
    /// seconds these are down, unreachable, configured with another key, or have a clock that is
    /// off by more than [`crate::Tuning::synchrony_bound_ms`].
    pub fn never_connected(&mut self) -> Vec<usize> {
        self.connected();
        self.tracked
            .iter()
            .copied()
            .filter(|&member| member != self.keys.ours() && !self.seen[member])
            .collect()
    }

    /// Counts bad bytes against `member` and returns its count since start. Nothing else happens:
    /// whether to [`block`](Self::block) is the driver's decision. 0 for an unknown member.
    pub fn blame(&mut self, member: usize) -> u64 {
        match self.blames.get_mut(member) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count
            }
            None => 0,
        }
    }

    /// How often each member was blamed.
    #[must_use]
    pub fn blames(&self) -> &[u64] {
        &self.blames
    }

    /// Cuts `member` off and refuses it for [`crate::Tuning::block_ms`]. Returns whether there is
    /// such a member (we ourselves do not count).
    ///
    /// A blocked honest member costs liveness: never do this for what a bug or a slow link could cause.
    pub fn block(&mut self, member: usize) -> bool {
        let Some(key) = self.keys.key(member).filter(|_| member != self.keys.ours()) else {
            return false;
        };
        let feedback = self.oracle.block(key);
        tracing::warn!(member, ?feedback, "member blocked");
        true
    }
}

impl<E: Clock> fmt::Debug for Peers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("ours", &self.keys.ours())
            .field("connected", &self.connected)
            .field("seen", &self.seen)
            .field("blames", &self.blames)
            .finish_non_exhaustive()
    }
}
