//! Where everything that happens in a world is written down, in the order in which it happened.

use super::lock;
use crate::fact::{Fact, Message, Micros};
use outrider_network::Channel;
use outrider_types::{
    Bytes, Committee, ConsensusMessage, Epoch, PayloadMessage, SyncMessage, decode,
};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;
use std::sync::{Arc, Mutex};

/// A message that has not arrived by then is not looked for any more.
const FORGOTTEN_AFTER: Micros = 20_000_000;
/// Messages under way above which those forgotten are swept out.
const UNDER_WAY_MAX: usize = 65_536;

/// What bytes on a channel say; none if they are no message.
pub(super) fn read(channel: Channel, bytes: &Bytes) -> Option<Message> {
    Some(match channel {
        Channel::Consensus => Message::Consensus(decode::<ConsensusMessage>(bytes.clone()).ok()?),
        Channel::Payload => Message::Payload(decode::<PayloadMessage>(bytes.clone()).ok()?),
        Channel::Sync => Message::Sync(decode::<SyncMessage>(bytes.clone()).ok()?),
    })
}

/// Now, in simulated microseconds. For what runs inside a host.
pub(super) fn now() -> Micros {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

/// A message under way, to tell which one it is when it arrives.
#[derive(Debug)]
struct UnderWay {
    number: u64,
    at: Micros,
    to: Option<usize>,
    arrived: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Log {
    facts: Vec<(Micros, Fact)>,
    epochs: BTreeSet<Epoch>,
    number: u64,
    /// By sender and hash of the bytes; none if nobody wants to know of arrivals.
    under_way: Option<BTreeMap<(usize, u64), Vec<UnderWay>>>,
}

/// Writes facts down. Clones write into one book.
#[derive(Clone, Debug, Default)]
pub(super) struct Scribe(Arc<Mutex<Log>>);

fn hash(channel: Channel, bytes: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(channel as u8);
    hasher.write(bytes);
    hasher.finish()
}

impl Scribe {
    pub(super) fn new(deliveries: bool) -> Self {
        Self(Arc::new(Mutex::new(Log {
            under_way: deliveries.then(BTreeMap::new),
            ..Log::default()
        })))
    }

    pub(super) fn note(&self, at: Micros, fact: Fact) {
        lock(&self.0).facts.push((at, fact));
    }

    /// An epoch began somewhere; noted if it is the first time.
    pub(super) fn epoch(&self, at: Micros, committee: &Committee, hosts: Vec<usize>) {
        let mut log = lock(&self.0);
        if log.epochs.insert(committee.epoch()) {
            let committee = committee.clone();
            log.facts.push((at, Fact::Epoch { committee, hosts }));
        }
    }

    /// A message leaves; which one of the run it is.
    pub(super) fn sent(
        &self,
        at: Micros,
        from: usize,
        to: Option<usize>,
        (channel, bytes): (Channel, &Bytes),
        message: &Arc<Message>,
    ) -> u64 {
        let mut log = lock(&self.0);
        log.number += 1;
        let number = log.number;
        log.facts.push((
            at,
            Fact::Sent {
                from,
                to,
                message: message.clone(),
                number,
            },
        ));
        if let Some(under_way) = &mut log.under_way {
            if under_way.len() >= UNDER_WAY_MAX {
                let oldest = at.saturating_sub(FORGOTTEN_AFTER);
                under_way.retain(|_, list| list.iter().any(|one| one.at > oldest));
            }
            let list = under_way.entry((from, hash(channel, bytes))).or_default();
            list.push(UnderWay {
                number,
                at,
                to,
                arrived: BTreeSet::new(),
            });
        }
        number
    }

    /// A message will not arrive.
    pub(super) fn lost(&self, at: Micros, fact: Fact) {
        let mut log = lock(&self.0);
        if log.under_way.is_some() {
            log.facts.push((at, fact));
        }
    }

    /// A message arrives.
    pub(super) fn arrived(
        &self,
        at: Micros,
        from: usize,
        to: usize,
        (channel, bytes): (Channel, &Bytes),
    ) {
        let mut log = lock(&self.0);
        let Some(under_way) = &mut log.under_way else {
            return;
        };
        let list = under_way.get_mut(&(from, hash(channel, bytes)));
        let meant = |one: &&mut UnderWay| {
            one.to.is_none_or(|meant| meant == to) && !one.arrived.contains(&to)
        };
        if let Some(one) = list.and_then(|list| list.iter_mut().find(meant)) {
            one.arrived.insert(to);
            let number = one.number;
            log.facts.push((at, Fact::Delivered { from, to, number }));
        }
    }

    /// Everything since the last call, by time; what happened at one time stays in the order in which it was written.
    pub(super) fn take(&self) -> Vec<(Micros, Fact)> {
        let mut facts = std::mem::take(&mut lock(&self.0).facts);
        facts.sort_by_key(|(at, _)| *at);
        facts
    }
}
