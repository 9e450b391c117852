//! Deeds with two sides: one key, two members that each keep to the rules.

use super::craft::{Renamed, consensus, payload, propose, say_to};
use super::{Corrupted, Deed, Setup};
use crate::fact::{Message, Micros};
use outrider_types::crypto::sha256;
use outrider_types::message::Received;
use outrider_types::{BatchId, Block, ConsensusMessage, PayloadMessage, Timestamp, encode};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Two sides that hear everything and are each heard by a part of the others, another part in every view; the second
/// proposes other blocks than the first. It votes, commit-votes, proposes and times out twice. Strains R4 (one vote per
/// view), R6, R7 and the detection of E1 to E5.
#[derive(Debug)]
pub(super) struct Equivocator {
    setup: Setup,
    renamed: Renamed,
}

impl Equivocator {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            renamed: Renamed::default(),
        }
    }

    /// What the second side says, so that it never says what the first one says: its blocks are one microsecond later.
    fn second(&mut self, me: &Corrupted<'_>, message: &Arc<Message>) -> Arc<Message> {
        if let Message::Consensus(ConsensusMessage::Proposal(said)) = &**message {
            let block = Block {
                timestamp: Timestamp(said.block.timestamp.0.saturating_add(1)),
                ..said.block
            };
            if let Some(proposal) = propose(me, block, said.kind, said.justification.clone()) {
                self.renamed.insert(said.block.id(), proposal.block.id());
                return consensus(ConsensusMessage::Proposal(proposal));
            }
        }
        self.renamed.apply(me, message)
    }
}

impl Deed for Equivocator {
    fn sides(&self) -> usize {
        2
    }

    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        side: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        if !matches!(**message, Message::Consensus(_)) {
            me.say(to, message.clone());
            return;
        }
        let view = message.view().map_or(me.view, |view| view.0);
        let message = if side == 0 {
            message.clone()
        } else {
            self.second(me, message)
        };
        let setup = &self.setup;
        let heard = setup
            .audience(to)
            .into_iter()
            .filter(|host| setup.half(view, *host) == side);
        say_to(me, heard, &message);
    }
}

/// Two sides, each connected with two thirds of the others, so that a third hears both; who that is changes every eight
/// views. Strains R1 (certificates of two histories meet) and the detection of E1 to E5.
#[derive(Debug)]
pub(super) struct Twin {
    setup: Setup,
}

impl Twin {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
        }
    }

    /// Whether a side is connected with a host around this view. One host in three is connected with both.
    fn connected(&self, side: usize, host: usize, view: u64) -> bool {
        let others = self.setup.others();
        let place = others.iter().position(|other| *other == host);
        let turn = self.setup.chance(view / 8);
        place.is_some_and(|place| (place as u64).wrapping_add(turn) % 3 != side as u64)
    }
}

impl Deed for Twin {
    fn sides(&self) -> usize {
        2
    }

    fn hears(&mut self, me: &mut Corrupted<'_>, side: usize, from: usize, _: &Message) -> bool {
        self.connected(side, from, me.view)
    }

    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        side: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let view = me.view;
        let hosts = self.setup.audience(to).into_iter();
        let hosts = hosts.filter(|host| self.connected(side, *host, view));
        say_to(me, hosts, message);
    }
}

/// Messages of accomplices whose side is remembered.
const MARKS_MAX: usize = 8_192;

/// The two halves of the hosts that keep to the rules, that the forkers lead apart: for the groups of a partition whose
/// bridges are the Byzantine hosts.
#[must_use]
pub fn halves(hosts: usize, byzantine: &[usize]) -> [Vec<usize>; 2] {
    let honest: Vec<usize> = (0..hosts)
        .filter(|host| !byzantine.contains(host))
        .collect();
    let (first, second) = honest.split_at(honest.len().div_ceil(2));
    [first.to_vec(), second.to_vec()]
}

/// Colluding members of more than f stake: each runs two sides, one for each half of the honest members, and together with
/// either half they are a quorum. Two chains become final. Messages between the halves are held back until `gst`; a
/// partition between them, with the Byzantine as bridges, does the same for as long as it lasts. Before it says something to
/// an accomplice, a forker tells it which side says it. Strains S11: the fork must be proven and the guilty named.
#[derive(Debug)]
pub(super) struct Forkers {
    setup: Setup,
    halves: [Vec<usize>; 2],
    /// By hash of a message of an accomplice: which sides said it, as bits.
    marks: BTreeMap<[u8; 32], u8>,
    order: VecDeque<[u8; 32]>,
}

impl Forkers {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            halves: halves(setup.hosts, &setup.byzantine),
            marks: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    fn half_of(&self, host: usize) -> Option<usize> {
        self.halves.iter().position(|half| half.contains(&host))
    }

    /// Names a message of a host, whatever it is.
    fn hash(from: usize, message: &Message) -> [u8; 32] {
        let bytes = match message {
            Message::Consensus(message) => encode(message),
            Message::Payload(message) => encode(message),
            Message::Sync(message) => encode(message),
        };
        let kind = message.kind().as_bytes();
        sha256(&[b"forkers", &(from as u64).to_be_bytes(), kind, &bytes])
    }

    /// No batch has so many places.
    const BY_MY_SIDE: u16 = u16::MAX;

    /// "What has this hash is said by this side": what accomplices tell each other, disguised as a receipt.
    fn mark(hash: [u8; 32], side: usize) -> Arc<Message> {
        payload(PayloadMessage::Received(Received {
            batch: BatchId(hash),
            refused: vec![Self::BY_MY_SIDE, side as u16],
        }))
    }

    fn marked(message: &Message) -> Option<([u8; 32], usize)> {
        let Message::Payload(PayloadMessage::Received(Received { batch, refused })) = message
        else {
            return None;
        };
        match refused[..] {
            [Self::BY_MY_SIDE, side @ (0 | 1)] => Some((batch.0, usize::from(side))),
            _ => None,
        }
    }
}

impl Deed for Forkers {
    fn sides(&self) -> usize {
        2
    }

    fn hears(
        &mut self,
        _: &mut Corrupted<'_>,
        side: usize,
        from: usize,
        message: &Message,
    ) -> bool {
        if let Some(half) = self.half_of(from) {
            return half == side;
        }
        let sides = self.marks.get(&Self::hash(from, message));
        sides.is_some_and(|sides| sides >> side & 1 == 1)
    }

    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        side: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let hash = Self::hash(me.host, message);
        for host in self.setup.audience(to) {
            match self.half_of(host) {
                Some(half) if half != side => {}
                Some(_) => me.say(Some(host), message.clone()),
                None => {
                    me.say(Some(host), Self::mark(hash, side));
                    me.say(Some(host), message.clone());
                }
            }
        }
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        from: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        if to != Some(me.host) || !self.setup.byzantine.contains(&from) {
            return;
        }
        if let Some((hash, side)) = Self::marked(message) {
            let sides = self.marks.entry(hash).or_insert_with(|| {
                self.order.push_back(hash);
                0
            });
            *sides |= 1 << side;
        }
        if self.order.len() > MARKS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.marks.remove(&oldest);
        }
    }

    fn holds_back(&mut self, now: Micros, from: usize, to: usize, _: &Message) -> Micros {
        match (self.half_of(from), self.half_of(to)) {
            (Some(one), Some(other)) if one != other => self.setup.gst.saturating_sub(now),
            _ => 0,
        }
    }
}
