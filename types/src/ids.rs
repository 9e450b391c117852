//! Newtypes for counters and identities. Bare integers stay inside functions.

use crate::codec::{hex_id, wire_u64};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        wire_u64!($name);
    };
}

counter! {
    /// A turn of one leader, from 1 in every epoch; 0 is the view of the epoch's base block.
    View
}
counter! {
    /// A block's distance from genesis, which has height 0.
    Height
}
counter! {
    /// The life of one committee, from 0.
    Epoch
}
counter! {
    /// Which Outrider network a statement belongs to. In every signed preimage.
    ChainId
}
counter! {
    /// A rollup that orders its transactions here; for EVM rollups, its Ethereum chain id.
    RollupId
}
counter! {
    /// Voting weight. Thresholds count stake of distinct members, never messages.
    Stake
}
counter! {
    /// Microseconds since the Unix epoch.
    Timestamp
}

impl View {
    /// The last view there can be. Nothing is said in it, for no view follows; nobody gets there but by more than f Byzantine.
    pub const LAST: Self = Self(u64::MAX);

    /// The view after this one. Saturates at the end of time.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The view before this one; 0 has none before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Height {
    /// The height after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Timestamp {
    /// This instant moved later by `duration` (microsecond resolution, saturating).
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// Time from `earlier` to this instant, zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A member's place in its committee, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MemberIndex(pub u16);

impl MemberIndex {
    /// As an index into a list of members.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for MemberIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

hex_id! {
    /// SHA-256 of a block header.
    BlockId
}
hex_id! {
    /// SHA-256 over the number of batches of a block's payload and their Merkle root.
    PayloadId
}
hex_id! {
    /// SHA-256 of a rollup id and a transaction's bytes.
    TransactionId
}
hex_id! {
    /// SHA-256 over the ids of the transactions that a member spreads in one message.
    BatchId
}
hex_id! {
    /// SHA-256 of a committee's encoding.
    CommitteeId
}

impl CommitteeId {
    /// Names no committee; the hash of none, as far as anyone can tell.
    pub const NONE: Self = Self([0; 32]);
}
hex_id! {
    /// SHA-256 of a committee and where its members are: what members sign when they approve of a successor (R13).
    ChangeId
}
