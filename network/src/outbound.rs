//! Sending: never waits, bounded in size, best effort.

use crate::{Channel, Gate, keys::Keys};
use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Recipients, Sender as _, authenticated::lookup};
use commonware_runtime::Clock;
use std::{fmt, sync::Arc};
use thiserror::Error;

/// Who gets a message. Ourselves are left out silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Every connected member.
    All,
    /// One member, by index.
    One(usize),
    /// Some members, by index.
    Some(Vec<usize>),
}

/// Why a message was not even tried: both are bugs of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// Larger than `max_message_bytes`; peers would cut us off.
    #[error("message of {bytes} bytes on {channel:?}: the limit is {limit}; split it")]
    TooLarge {
        /// The channel.
        channel: Channel,
        /// Its size.
        bytes: usize,
        /// `max_message_bytes`.
        limit: u32,
    },
    /// No member has this index.
    #[error("no member {member}: the network has {members}")]
    UnknownMember {
        /// The index.
        member: usize,
        /// How many there are.
        members: usize,
    },
}

/// The sending half. Clones share quotas.
pub struct Outbound<E: Clock> {
    keys: Arc<Keys>,
    max_message_bytes: u32,
    consensus: lookup::Sender<PublicKey, E>,
    payload: lookup::Sender<PublicKey, E>,
    sync: lookup::Sender<PublicKey, E>,
    gate: Option<Arc<dyn Gate>>,
}

impl<E: Clock> Outbound<E> {
    pub(crate) fn new(
        keys: Arc<Keys>,
        max_message_bytes: u32,
        [consensus, payload, sync]: [lookup::Sender<PublicKey, E>; 3],
    ) -> Self {
        Self {
            keys,
            max_message_bytes,
            consensus,
            payload,
            sync,
            gate: None,
        }
    }

    /// The same, through a gate.
    #[must_use]
    pub(crate) fn gated(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The public transport key of a peer.
    #[must_use]
    pub fn transport_key(&self, peer: usize) -> Option<[u8; 32]> {
        self.keys.key(peer)?.as_ref().try_into().ok()
    }

    /// How many peers there are, ourselves included; every index below it is one.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.keys.len()
    }

    /// Queues `bytes` for the members in `to` and returns at once.
    ///
    /// Returns how many members it was queued for, which is not how many get it: a message to a
    /// named member that is not connected is counted and vanishes, as does one that meets a full
    /// queue to a slow member. Members whose quota on this channel is used up are left out and not
    /// counted; so is everyone if the router's queue is full or the network has ended.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the message is too large or a member does not exist; nothing was sent.
    pub fn send(&mut self, channel: Channel, to: To, bytes: Bytes) -> Result<usize, SendError> {
        if bytes.len() > self.max_message_bytes as usize {
            return Err(SendError::TooLarge {
                channel,
                bytes: bytes.len(),
                limit: self.max_message_bytes,
            });
        }
        if let Some(gate) = &self.gate
            && !gate.leaves(channel, &to, &bytes)
        {
            return Ok(0);
        }
        let recipients = self.recipients(to)?;
        let sender = match channel {
            Channel::Consensus => &mut self.consensus,
            Channel::Payload => &mut self.payload,
            Channel::Sync => &mut self.sync,
        };
        Ok(sender.send(recipients, bytes, channel.priority()).len())
    }

    /// The size limit of a message, in bytes.
    #[must_use]
    pub const fn max_message_bytes(&self) -> u32 {
        self.max_message_bytes
    }

    fn recipients(&self, to: To) -> Result<Recipients<PublicKey>, SendError> {
        let members = match to {
            To::All => return Ok(Recipients::All),
            To::One(member) => vec![member],
            To::Some(members) => members,
        };
        let mut recipients = Vec::with_capacity(members.len());
        for member in members {
            let key = self.keys.key(member).ok_or(SendError::UnknownMember {
                member,
                members: self.keys.len(),
            })?;
            if member != self.keys.ours() {
                recipients.push(key);
            }
        }
        Ok(Recipients::Some(recipients))
    }
}

impl<E: Clock> Clone for Outbound<E> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            max_message_bytes: self.max_message_bytes,
            consensus: self.consensus.clone(),
            payload: self.payload.clone(),
            sync: self.sync.clone(),
            gate: self.gate.clone(),
        }
    }
}

impl<E: Clock> fmt::Debug for Outbound<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("members", &self.keys.len())
            .field("max_message_bytes", &self.max_message_bytes)
            .finish_non_exhaustive()
    }
}
