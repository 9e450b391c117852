//! Receiving: one bounded mailbox per channel.

use crate::{Channel, Gate, keys::Keys};
use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver as _, authenticated::lookup};
use std::{num::NonZeroUsize, sync::Arc};
use tracing::warn;

/// A message from a member. Authenticated as to its sender, otherwise untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Index of the sender in [`crate::NetworkConfig::peers`].
    pub from: usize,
    /// The channel it came on.
    pub channel: Channel,
    /// Its bytes, at most `max_message_bytes`.
    pub bytes: Bytes,
}

/// The receiving half of one channel.
///
/// Its mailbox takes one burst of every peer there is room for, twice. When it is full, what arrives is dropped and what
/// is queued stays, whoever sent it: read it without pause.
#[derive(Debug)]
pub struct Inbox {
    channel: Channel,
    keys: Arc<Keys>,
    receiver: lookup::Receiver<PublicKey>,
    strangers: u64,
    gate: Option<Arc<dyn Gate>>,
}

impl Inbox {
    pub(crate) const fn new(
        channel: Channel,
        keys: Arc<Keys>,
        receiver: lookup::Receiver<PublicKey>,
    ) -> Self {
        Self {
            channel,
            keys,
            receiver,
            strangers: 0,
            gate: None,
        }
    }

    /// The same, through a gate.
    #[must_use]
    pub(crate) fn gated(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The next message; `None` once the network has ended. Cancel safe: a message is either
    /// returned or still queued.
    pub async fn recv(&mut self) -> Option<Inbound> {
        loop {
            let (key, message) = self.receiver.recv().await.ok()?;
            match self.keys.peer(&key) {
                Some(from) => {
                    let (channel, bytes) = (self.channel, Bytes::from(message));
                    let gate = self.gate.as_ref();
                    if gate.is_none_or(|gate| gate.arrives(from, channel, &bytes)) {
                        return Some(Inbound {
                            from,
                            channel,
                            bytes,
                        });
                    }
                }
                // The handshake lets only members in, so this is a bug below us; say so, go on.
                None => {
                    self.strangers = self.strangers.saturating_add(1);
                    warn!(channel = ?self.channel, strangers = self.strangers, "dropped message of a stranger");
                }
            }
        }
    }

    /// The channel it receives.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// How many messages its mailbox holds before it drops what arrives.
    #[must_use]
    pub fn capacity(&self) -> NonZeroUsize {
        self.receiver.capacity()
    }

    /// Messages dropped because their sender is not a member: 0, or the transport is broken.
    #[must_use]
    pub const fn strangers(&self) -> u64 {
        self.strangers
    }
}
