//! The other members as connections: who is connected, who never was, who is to blame.

use crate::keys::Keys;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    Blocker as _, CheckedSender as _, LimitedSender as _, Recipients,
    authenticated::lookup::{self, Oracle},
};
use commonware_runtime::Clock;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

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
}

impl<E: Clock> Peers<E> {
    pub(crate) fn new(
        keys: Arc<Keys>,
        clock: E,
        oracle: Oracle<PublicKey>,
        presence: lookup::Sender<PublicKey, E>,
    ) -> Self {
        let members = keys.members();
        Self {
            keys,
            clock,
            oracle,
            presence,
            looked_at: None,
            connected: Vec::new(),
            seen: vec![false; members],
            blames: vec![0; members],
        }
    }

    /// How many members there are, ourselves included.
    #[must_use]
    pub fn members(&self) -> usize {
        self.keys.members()
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
                self.connected = keys.iter().filter_map(|k| self.keys.member(k)).collect();
                self.connected.sort_unstable();
                for &member in &self.connected {
                    self.seen[member] = true;
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
        assert!(count < self.keys.members(), "more peers than there are");
        while self.connected().len() < count {
            self.clock.sleep(LOOK_INTERVAL).await;
        }
    }

    /// Members that no look has found connected since start, ourselves left out. After a few
    /// seconds these are down, unreachable, configured with another key, or have a clock that is
    /// off by more than [`crate::Tuning::synchrony_bound_ms`].
    pub fn never_connected(&mut self) -> Vec<usize> {
        self.connected();
        (0..self.keys.members())
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
        let feedback = self.oracle.block(key.clone());
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
