//! A gate between a member and its network: hears what passes and may hold it up. Simulators and fault drills put one in;
//! without one nothing changes.

use crate::{Channel, To};
use bytes::Bytes;
use std::fmt;

/// Hears every message that a member sends or gets, and decides whether it passes. It must not wait.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Bytes are about to leave. False: they do not. A gate that only wants to change or delay them sends them by itself,
    /// with a clone of the [`Outbound`](crate::Outbound) from before it was put in.
    fn leaves(&self, channel: Channel, to: &To, bytes: &Bytes) -> bool;

    /// Bytes of a peer came. False: nobody hears of them.
    fn arrives(&self, from: usize, channel: Channel, bytes: &Bytes) -> bool;
}
