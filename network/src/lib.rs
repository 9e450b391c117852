//! Bytes between members: three authenticated, encrypted, bounded channels over
//! `commonware_p2p::authenticated::lookup`.
//!
//! ```text
//!            Outbound::send(channel, To, bytes)
//!                        |  too large, unknown member -> error
//!                        |  over quota, not connected -> vanishes
//!                        v
//!   lookup router -> per peer queue (Consensus first) -> TCP, SAKE handshake, ChaCha20-Poly1305
//!                                                             |
//!   Inbox::recv() <- one bounded mailbox per channel <- quota per peer and channel
//! ```
//!
//! The crate is generic over a commonware-runtime context ([`Context`]): production runs it on the
//! commonware tokio runner ([`runtime_config`]), the simulator on turmoil, so the same bytes and
//! the same code run in both. It knows nothing of what the bytes mean.
//!
//! # Guarantees, and the test that defends each
//!
//! | id | guarantee | test |
//! |---|---|---|
//! | N1 | an [`Inbound`] comes from the member it names: only keys in `peers` get past the handshake | `mesh_exchanges_on_every_channel`; `stranger_is_never_heard` in `sim/tests/p2p.rs` |
//! | N2 | [`Outbound::send`] never waits and never panics on size or member | `oversize_send_is_an_error`, `unknown_member_is_an_error` |
//! | N3 | bytes that are not our protocol end their own connection and disturb no other | `garbage_does_not_disturb_the_mesh` |
//! | N4 | a member that floods a channel stalls its own connection only; a receiver that does not read one channel still gets the others | `flood_on_one_channel_starves_no_other` |
//! | N5 | mailboxes are bounded and small | `mailboxes_stay_within_megabytes` |
//! | N6 | partition, crash and restart end in a full mesh again without help | `sim/tests/p2p.rs` |
//! | N7 | a [`Gate`] hears every message, and what it holds up goes no further | `gate_hears_everything_and_holds_up_what_it_must` |
//!
//! # What is not guaranteed
//!
//! Delivery. A message to a member that is not connected vanishes without an error; so does one
//! over the channel's quota ([`ChannelTuning`]) and one that meets a full mailbox. Consensus
//! resends and syncs by itself. Order holds only within one connection, channel and priority.
//! A message to ourselves goes nowhere: the driver hands its own messages to itself.
//!
//! # The transport key is not the member key
//!
//! A member has one secret, its 32 byte member seed, with which it votes. The transport key is an
//! ed25519 key too, but from its own seed, [`transport_seed`]:
//! `sha256("outrider transport key v1" || member seed)`. So a handshake, in which a stranger picks
//! part of what gets signed, never touches the vote key, whatever this library or its handshake
//! signs; and the transport verifies by ZIP-215 while votes are `verify_strict` only. The operator
//! still keeps one secret, and the hash cannot be turned back into it. The public transport keys
//! of all members are part of the chain's configuration, in member order.
//!
//! # Failure modes, and what the caller sees
//!
//! * Two members whose clocks differ by more than `synchrony_bound_ms` fail every handshake with
//!   each other, and neither gets an error (the slower sees the other in its future, whoever dials).
//!   [`Peers::never_connected`] names the members to look at; the node reports them with this
//!   reason. The test is `wrong_clock_never_connects_and_is_named` in `sim/tests/p2p.rs`.
//! * A source address that is not in `peers` is turned away before the handshake, unless
//!   `check_peer_ip` is off (members behind NAT).
//! * A link slower than [`Tuning::bandwidth_floor_bytes_per_s`] hits the write timeout and
//!   reconnects again and again: raise `read_write_timeout_ms` or lower the message limit.
//! * The port is taken: [`NetworkError::Bind`] from [`start`].
//! * The network task ends (shutdown, or a bug in it): every [`Inbox::recv`] gives `None` and
//!   [`Network::task`] resolves.
//!
//! # Limits
//!
//! [`MEMBERS_MAX`] members; message size `max_message_bytes`; mailbox slots as in
//! [`mailbox_memory_bytes`], allocated at start. What full mailboxes hold on top is at most
//! [`inbound_content_bytes_max`]; it takes a driver that does not read while peers send at their
//! full quota.
//!
//! # Deliberately absent
//!
//! Peer discovery, relaying, retransmission, acknowledgements, compression, dynamic peer sets
//! (one set per start), automatic blocking: [`Peers::blame`] counts, the driver decides.

mod config;
mod gate;
mod inbox;
mod keys;
mod outbound;
mod peers;
mod runtime;
mod start;

pub use config::{
    ChannelTuning, MEMBERS_MAX, NetworkConfig, NetworkError, Peer, Tuning,
    inbound_content_bytes_max, mailbox_memory_bytes,
};
pub use gate::Gate;
pub use inbox::{Inbound, Inbox};
pub use keys::{is_transport_key, transport_public_key, transport_seed};
pub use outbound::{Outbound, SendError, To};
pub use peers::{Peers, TrackError};
pub use runtime::{Context, runtime_config};
pub use start::{Network, start};

/// What a message is for. Each channel has its own quota and its own mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Proposals, votes, timeouts, certificates: small, and sent before anything else.
    Consensus,
    /// Batches spread to all members: large.
    Payload,
    /// Requests and answers of a member that catches up.
    Sync,
}

impl Channel {
    /// All channels, in the order of their ids on the wire.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Payload, Self::Sync];

    /// The channel's id on the wire.
    const fn id(self) -> u64 {
        match self {
            Self::Consensus => 0,
            Self::Payload => 1,
            Self::Sync => 2,
        }
    }

    /// Whether its messages overtake those of the other channels in a peer's send queue.
    const fn priority(self) -> bool {
        matches!(self, Self::Consensus)
    }
}
