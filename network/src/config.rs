//! What a caller sets, its checks, and what the mailboxes cost.

use crate::{Channel, keys, keys::Keys, runtime::Upgrade};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Recipients, authenticated::max_size};
use commonware_runtime::{IoBuf, IoBufs, Quota};
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};
use thiserror::Error;

/// Most members of one network. Every member holds a connection to every other.
pub const MEMBERS_MAX: usize = 1_024;

/// Peer sets that `lookup` tracks at once: this epoch's and the one before, whose members may still ask for its end (R13).
pub(crate) const PEER_SETS: usize = 2;
/// Peers that may join while the network runs, beside half as many as there are.
const ROOM: usize = 16;

/// The largest peer set of a network that starts with so many: the library makes its queues for it at the start.
pub(crate) const fn peers_max(peers: usize) -> usize {
    peers + peers / 2 + ROOM
}

/// Everything [`crate::start`] needs.
#[derive(Clone)]
pub struct NetworkConfig {
    /// Binds every handshake to one chain: pass the chain id. Members of other chains never connect.
    pub namespace: Vec<u8>,
    /// Seed of our transport key, from [`crate::transport_seed`].
    pub key_seed: [u8; 32],
    /// Where to listen.
    pub listen: SocketAddr,
    /// All peers at the start, ourselves included. [`crate::Inbound::from`] is an index into it, and into what
    /// [`crate::Peers::track`] adds later.
    pub peers: Vec<Peer>,
    /// Largest message, in bytes. All members must agree on it: a peer that sends more is cut off.
    pub max_message_bytes: u32,
    /// Timings and limits.
    pub tuning: Tuning,
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("namespace", &self.namespace)
            .field("listen", &self.listen)
            .field("peers", &self.peers)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("tuning", &self.tuning)
            .finish_non_exhaustive() // the seed is a secret
    }
}

/// One member as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its public transport key, from [`crate::transport_public_key`].
    pub public_key: [u8; 32],
    /// Where it listens; its connections must come from this IP (see [`Tuning::check_peer_ip`]).
    pub address: SocketAddr,
}

/// Quota of one channel: of each peer towards us, and of ours towards each peer.
///
/// Our own messages over it vanish before they leave. A peer over it has its connection read no
/// faster than this, all channels together; with time its own writes time out. Nobody else notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelTuning {
    /// Messages per second and peer.
    pub per_second: u32,
    /// Messages at once. Also the mailbox slots per member: a full mailbox drops what arrives.
    pub burst: u32,
}

/// Timings and limits. The defaults are measured: a mesh of 7 forms in 1.3 to 2.0 s, a reconnect
/// takes 0.8 s (median; 2.1 s at most). Keep them the same on all members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Ping interval; must be well below `read_write_timeout_ms`, or idle connections die.
    pub ping_ms: u64,
    /// Least time between two connection attempts with the same peer.
    pub cooldown_ms: u64,
    /// Average time between two dials, over all peers.
    pub dial_ms: u64,
    /// Limit of one dial: connect and handshake.
    pub dial_timeout_ms: u64,
    /// Limit of one handshake; also how long an unauthenticated connection may stay.
    pub handshake_timeout_ms: u64,
    /// Incoming handshakes per second and IP; the /24 (/48) around it gets twice that.
    pub handshakes_per_ip_per_s: u32,
    /// Incoming handshakes at once.
    pub handshakes_concurrent: u32,
    /// A peer's clock may be ahead of ours by less than this. Beyond, the two never connect, and
    /// neither says why: [`crate::Peers::never_connected`].
    pub synchrony_bound_ms: u64,
    /// A peer's clock may be behind ours by at most this, transit included.
    pub max_handshake_age_ms: u64,
    /// How long [`crate::Peers::block`] lasts.
    pub block_ms: u64,
    /// Turn away connections from an IP that no member has. Off for members behind NAT.
    pub check_peer_ip: bool,
    /// Slots of each of the internal queues (two of them per connected peer).
    pub mailbox_messages: u32,
    /// Queued messages written to a peer at once.
    pub send_batch_messages: u32,
    /// Limit of a TCP connect ([`crate::runtime_config`]).
    pub connect_timeout_ms: u64,
    /// Limit of one read of a message and of one write of a batch ([`crate::runtime_config`]).
    pub read_write_timeout_ms: u64,
    /// Quota of [`Channel::Consensus`].
    pub consensus: ChannelTuning,
    /// Quota of [`Channel::Payload`].
    pub payload: ChannelTuning,
    /// Quota of [`Channel::Sync`].
    pub sync: ChannelTuning,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ping_ms: 500,
            cooldown_ms: 250,
            dial_ms: 100,
            dial_timeout_ms: 1_000,
            handshake_timeout_ms: 1_000,
            handshakes_per_ip_per_s: 128,
            handshakes_concurrent: 512,
            synchrony_bound_ms: 5_000,
            max_handshake_age_ms: 10_000,
            block_ms: 60_000,
            check_peer_ip: true,
            mailbox_messages: 256,
            send_batch_messages: 4,
            connect_timeout_ms: 1_000,
            read_write_timeout_ms: 2_000,
            consensus: ChannelTuning {
                per_second: 2_000,
                burst: 128,
            },
            payload: ChannelTuning {
                per_second: 2_000,
                burst: 64,
            },
            sync: ChannelTuning {
                per_second: 200,
                burst: 32,
            },
        }
    }
}

impl Tuning {
    /// The quota of `channel`.
    #[must_use]
    pub const fn channel(&self, channel: Channel) -> ChannelTuning {
        match channel {
            Channel::Consensus => self.consensus,
            Channel::Payload => self.payload,
            Channel::Sync => self.sync,
        }
    }

    /// The slowest link, in bytes per second and peer, on which a full batch of the largest
    /// messages still leaves within `read_write_timeout_ms`.
    #[must_use]
    pub const fn bandwidth_floor_bytes_per_s(&self, max_message_bytes: u32) -> u64 {
        let batch = self.send_batch_messages as u64 * max_message_bytes as u64;
        let timeout_ms = if self.read_write_timeout_ms == 0 {
            1
        } else {
            self.read_write_timeout_ms
        };
        batch.saturating_mul(1_000) / timeout_ms
    }

    /// Sum of the bursts: mailbox slots per member.
    const fn burst_total(&self) -> usize {
        self.consensus.burst as usize + self.payload.burst as usize + self.sync.burst as usize
    }

    /// Every number that must not be zero, by its name.
    const fn positive(&self) -> [(&'static str, u64); 18] {
        [
            ("ping_ms", self.ping_ms),
            ("cooldown_ms", self.cooldown_ms),
            ("dial_ms", self.dial_ms),
            ("dial_timeout_ms", self.dial_timeout_ms),
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            (
                "handshakes_per_ip_per_s",
                self.handshakes_per_ip_per_s as u64,
            ),
            ("handshakes_concurrent", self.handshakes_concurrent as u64),
            ("synchrony_bound_ms", self.synchrony_bound_ms),
            ("max_handshake_age_ms", self.max_handshake_age_ms),
            ("mailbox_messages", self.mailbox_messages as u64),
            ("send_batch_messages", self.send_batch_messages as u64),
            ("read_write_timeout_ms", self.read_write_timeout_ms),
            ("consensus.per_second", self.consensus.per_second as u64),
            ("consensus.burst", self.consensus.burst as u64),
            ("payload.per_second", self.payload.per_second as u64),
            ("payload.burst", self.payload.burst as u64),
            ("sync.per_second", self.sync.per_second as u64),
            ("sync.burst", self.sync.burst as u64),
        ]
    }

    fn check(&self) -> Result<(), NetworkError> {
        for (setting, value) in self.positive() {
            if value == 0 {
                return Err(NetworkError::Zero { setting });
            }
        }
        if self.ping_ms >= self.read_write_timeout_ms {
            return Err(NetworkError::PingTooSlow {
                ping_ms: self.ping_ms,
                read_write_timeout_ms: self.read_write_timeout_ms,
            });
        }
        // A queue to a peer takes a burst of each channel that shares it, so that one channel's
        // burst cannot crowd out another's.
        let need = self
            .consensus
            .burst
            .max(self.payload.burst.saturating_add(self.sync.burst));
        if self.mailbox_messages < need {
            return Err(NetworkError::MailboxTooSmall {
                mailbox_messages: self.mailbox_messages,
                need,
            });
        }
        Ok(())
    }
}

/// Bytes that the mailbox slots take from start on, for a network of `members`.
///
/// Inbound: burst x members slots a channel. Outbound: as many again in the router's queue, and
/// two queues of `mailbox_messages` per connected peer. An estimate from the sizes of what a slot
/// holds; the content of queued messages comes on top ([`inbound_content_bytes_max`]).
/// With the defaults: about 5.5 MB at 4 members, 45 MB at 100; there is room for half as many more and 16.
#[must_use]
pub const fn mailbox_memory_bytes(tuning: &Tuning, members: usize) -> usize {
    /// Sequence number and padding of a slot in the lock-free queue.
    const SLOT: usize = 16;
    const INBOUND: usize = size_of::<(PublicKey, IoBuf)>() + SLOT;
    const OUTBOUND: usize = size_of::<(Recipients<PublicKey>, IoBufs, u64)>() + SLOT;
    const RELAY: usize = size_of::<(IoBufs, u64)>() + SLOT;
    let slots = tuning
        .burst_total()
        .saturating_mul(peers_max(members) * PEER_SETS);
    let queue = tuning.mailbox_messages as usize;
    let relays = members.saturating_sub(1).saturating_mul(2 * queue);
    slots
        .saturating_mul(INBOUND)
        .saturating_add(slots.saturating_add(queue).saturating_mul(OUTBOUND))
        .saturating_add(relays.saturating_mul(RELAY))
}

/// Most bytes of message content that full inbound mailboxes hold.
///
/// Only a driver that stops reading while peers send their full quota of largest messages gets
/// there; it is bounded in practice by link speed times the longest stall of the driver.
#[must_use]
pub const fn inbound_content_bytes_max(
    tuning: &Tuning,
    members: usize,
    max_message_bytes: u32,
) -> u64 {
    let slots = tuning
        .burst_total()
        .saturating_mul(peers_max(members) * PEER_SETS) as u64;
    slots.saturating_mul(max_message_bytes as u64)
}

/// Why the network did not start.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// `peers` is empty or too long.
    #[error("{members} members: the network takes 1 to {MEMBERS_MAX}; correct the member list")]
    Members {
        /// Length of the list.
        members: usize,
    },
    /// A transport key is not a point on the curve.
    #[error("the transport key of member {member} is not an ed25519 key; correct the member list")]
    BadPublicKey {
        /// Index of the member.
        member: usize,
    },
    /// Two members have the same key.
    #[error(
        "members {first} and {second} have the same transport key; each needs its own, correct the member list"
    )]
    DuplicateKey {
        /// Index of the one.
        first: usize,
        /// Index of the other.
        second: usize,
    },
    /// Two members have the same address.
    #[error(
        "members {first} and {second} have the same address {address}; dials would reach the wrong one, correct the member list"
    )]
    DuplicateAddress {
        /// Index of the one.
        first: usize,
        /// Index of the other.
        second: usize,
        /// The address.
        address: SocketAddr,
    },
    /// Our key is not in the list.
    #[error(
        "our transport key {} is not in the member list; check the key file or the list",
        Hex(.public_key)
    )]
    NotAMember {
        /// Our public transport key.
        public_key: [u8; 32],
    },
    /// `max_message_bytes` is zero or more than the transport can frame.
    #[error("max_message_bytes is {given}: the transport takes 1 to {limit}")]
    MessageLimit {
        /// What was asked for.
        given: u32,
        /// What the transport takes.
        limit: u32,
    },
    /// A setting that must be positive is zero.
    #[error("network setting {setting} is 0: it must be at least 1")]
    Zero {
        /// Name of the field in [`Tuning`].
        setting: &'static str,
    },
    /// Idle connections would die.
    #[error(
        "ping_ms ({ping_ms}) must be below read_write_timeout_ms ({read_write_timeout_ms}), or idle connections time out"
    )]
    PingTooSlow {
        /// The ping interval.
        ping_ms: u64,
        /// The read timeout.
        read_write_timeout_ms: u64,
    },
    /// The queues to a peer cannot hold a burst.
    #[error(
        "mailbox_messages is {mailbox_messages}: it must be at least {need}, the larger of consensus.burst and payload.burst + sync.burst"
    )]
    MailboxTooSmall {
        /// What was asked for.
        mailbox_messages: u32,
        /// The least that works.
        need: u32,
    },
    /// The listening port is taken or the address is not ours.
    #[error("cannot listen on {address}: {cause}; is another node running, is the address ours?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the runtime said.
        cause: commonware_runtime::Error,
    },
}

/// Prints bytes in hex without a dependency.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl NetworkConfig {
    /// Checks everything that can be checked without a socket.
    pub(crate) fn check(&self) -> Result<Keys, NetworkError> {
        self.tuning.check()?;
        let limit = max_size::<Upgrade>();
        if self.max_message_bytes == 0 || self.max_message_bytes > limit {
            return Err(NetworkError::MessageLimit {
                given: self.max_message_bytes,
                limit,
            });
        }
        let members = self.peers.len();
        if members == 0 || members > MEMBERS_MAX {
            return Err(NetworkError::Members { members });
        }
        let mut by_member = Vec::with_capacity(members);
        let mut key_of = BTreeMap::new();
        let mut address_of = BTreeMap::new();
        for (member, peer) in self.peers.iter().enumerate() {
            if let Some(first) = key_of.insert(peer.public_key, member) {
                return Err(NetworkError::DuplicateKey {
                    first,
                    second: member,
                });
            }
            if let Some(first) = address_of.insert(peer.address, member) {
                return Err(NetworkError::DuplicateAddress {
                    first,
                    second: member,
                    address: peer.address,
                });
            }
            let key =
                keys::public_key(&peer.public_key).ok_or(NetworkError::BadPublicKey { member })?;
            by_member.push(key);
        }
        let public_key = keys::transport_public_key(&self.key_seed);
        let ours = *key_of
            .get(&public_key)
            .ok_or(NetworkError::NotAMember { public_key })?;
        Ok(Keys::new(ours, by_member))
    }
}

/// `n`, or 1 for 0. [`Tuning::check`] has refused zeros; this only satisfies the type.
pub(crate) const fn at_least_1(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

/// As [`at_least_1`], for sizes.
pub(crate) const fn size_at_least_1(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

pub(crate) const fn quota(tuning: ChannelTuning) -> Quota {
    Quota::per_second(at_least_1(tuning.per_second)).allow_burst(at_least_1(tuning.burst))
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests;
