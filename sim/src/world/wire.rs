//! Between a member and its network: everything that it says is written down here, may wait for a slow disk, and meets the
//! weather: losses, doubled messages, jitter and what an adversary holds back. Those are whole messages above TCP, which by
//! the contract of `outrider-network` may vanish or wait; what is below it (latency, cuts) is turmoil's.

use super::body::Body;
use super::hosts::Cast;
use super::lock;
use super::scribe::{Scribe, now, read};
use crate::fact::{Fact, Message, Micros};
use crate::net::Network as Weather;
use crate::turmoil::Context;
use outrider_network::{Channel, Gate, Outbound, To};
use outrider_types::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Messages of a host that wait for their time; past that the newest vanish.
const WAITING_MAX: usize = 65_536;

/// What all hosts of a world have around them.
#[derive(Debug)]
pub(super) struct Air {
    pub(super) scribe: Scribe,
    pub(super) cast: Arc<Cast>,
    pub(super) bodies: Vec<Arc<Body>>,
    /// What becomes of messages; none if nothing does.
    pub(super) weather: Option<Mutex<Weather>>,
    /// Before this an adversary may hold back messages.
    pub(super) gst: Micros,
    /// Messages and bytes so far, each receiver counted.
    pub(super) counts: Mutex<(u64, u64)>,
}

/// Something that waits.
enum Waiting {
    /// To leave: a slow disk.
    Leave(Channel, To, Bytes),
    /// To go to one peer: a slow network.
    Carry(Channel, usize, Bytes),
}

#[derive(Default)]
struct Line {
    waiting: BTreeMap<(Micros, u64), Waiting>,
    number: u64,
}

/// The gate of one host in one life.
pub(super) struct Wire {
    body: Arc<Body>,
    air: Arc<Air>,
    outbound: Mutex<Outbound<Context>>,
    line: Mutex<Line>,
    later: Notify,
    /// Host of each peer.
    hosts: Mutex<Vec<Option<usize>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("host", &self.body.host)
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// `outbound` is the way without this gate.
    pub(super) fn new(body: Arc<Body>, air: Arc<Air>, outbound: Outbound<Context>) -> Self {
        Self {
            body,
            air,
            outbound: Mutex::new(outbound),
            line: Mutex::default(),
            later: Notify::new(),
            hosts: Mutex::default(),
        }
    }

    /// The host of each peer.
    fn hosts(&self) -> Vec<Option<usize>> {
        let mut hosts = lock(&self.hosts);
        let outbound = lock(&self.outbound);
        for peer in hosts.len()..outbound.peers() {
            let key = outbound.transport_key(peer);
            hosts.push(key.and_then(|key| self.air.cast.host_of_transport(&key)));
        }
        hosts.clone()
    }

    /// The host of a peer.
    pub(super) fn host_of(&self, peer: usize) -> Option<usize> {
        self.hosts().get(peer).copied().flatten()
    }

    /// A Byzantine host says something.
    pub(super) fn say(&self, to: Option<usize>, channel: Channel, bytes: &Bytes) {
        let to = match to {
            None => To::All,
            Some(host) => {
                let hosts = self.hosts();
                match hosts.iter().position(|other| *other == Some(host)) {
                    Some(peer) => To::One(peer),
                    None => return,
                }
            }
        };
        if self.leave(now(), channel, &to, bytes) {
            self.send(channel, to, bytes.clone());
        }
    }

    /// Send what waits, when its time has come, for ever.
    pub(super) async fn run(&self) {
        loop {
            let due = lock(&self.line).waiting.keys().next().map(|(at, _)| *at);
            let now_us = now();
            let wait = due.map(|at| Duration::from_micros(at.saturating_sub(now_us)));
            match wait {
                None => self.later.notified().await,
                Some(Duration::ZERO) => self.send_due(now_us),
                Some(wait) => {
                    tokio::select! {
                        biased;
                        () = self.later.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn send_due(&self, now: Micros) {
        loop {
            let next = {
                let mut line = lock(&self.line);
                match line.waiting.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            match next {
                Waiting::Leave(channel, to, bytes) => {
                    if self.leave(now, channel, &to, &bytes) {
                        self.send(channel, to, bytes);
                    }
                }
                Waiting::Carry(channel, peer, bytes) => self.send(channel, To::One(peer), bytes),
            }
        }
    }

    fn send(&self, channel: Channel, to: To, bytes: Bytes) {
        // What is too large or for nobody vanishes, like anything else.
        let _ = lock(&self.outbound).send(channel, to, bytes);
    }

    fn wait(&self, until: Micros, waiting: Waiting) {
        let mut line = lock(&self.line);
        line.number += 1;
        let key = (until, line.number);
        if line.waiting.len() < WAITING_MAX {
            line.waiting.insert(key, waiting);
        }
        drop(line);
        self.later.notify_one();
    }

    /// A message leaves: everybody may know. True if it goes its way as it is.
    fn leave(&self, now: Micros, channel: Channel, to: &To, bytes: &Bytes) -> bool {
        let Some(message) = read(channel, bytes).map(Arc::new) else {
            // A liar's bytes; nobody can read them.
            return true;
        };
        let from = self.body.host;
        let peers = self.hosts();
        let everyone: Vec<usize> = (0..peers.len()).collect();
        let peers_of: Vec<usize> = match to {
            To::All => everyone,
            To::One(peer) => vec![*peer],
            To::Some(some) => some.clone(),
        };
        let receivers: Vec<(usize, usize)> = peers_of
            .into_iter()
            .filter_map(|peer| Some((peer, peers.get(peer).copied().flatten()?)))
            .filter(|(_, host)| *host != from)
            .collect();
        let named: Vec<Option<usize>> = match to {
            To::All => vec![None],
            _ => receivers.iter().map(|(_, host)| Some(*host)).collect(),
        };
        let mut number = 0;
        for to in named {
            let scribe = &self.air.scribe;
            number = scribe.sent(now, from, to, (channel, bytes), &message);
            for body in self.air.bodies.iter().filter(|body| !body.is_honest()) {
                if body.host != from {
                    body.hear((from, to, message.clone()));
                }
            }
        }
        let mut counts = lock(&self.air.counts);
        counts.0 += receivers.len() as u64;
        counts.1 += (receivers.len() * bytes.len()) as u64;
        drop(counts);
        self.goes_as_it_is(now, (channel, bytes), &receivers, &message, number)
    }

    /// What the weather and the adversary do to a message. True: nothing.
    fn goes_as_it_is(
        &self,
        now: Micros,
        (channel, bytes): (Channel, &Bytes),
        receivers: &[(usize, usize)],
        message: &Message,
        number: u64,
    ) -> bool {
        let from = self.body.host;
        let held: Vec<Micros> = receivers
            .iter()
            .map(|(_, to)| self.held_back(now, from, *to, message))
            .collect();
        let mut weather = self.air.weather.as_ref().map(lock);
        if weather.is_none() && held.iter().all(|held| *held == 0) {
            return true;
        }
        for ((peer, to), held) in receivers.iter().zip(held) {
            let route = match &mut weather {
                Some(weather) => weather.route(now, from, *to, bytes.len(), held),
                None => Ok((now + held, None)),
            };
            match route {
                Ok((first, second)) => {
                    for at in [Some(first), second].into_iter().flatten() {
                        self.wait(at, Waiting::Carry(channel, *peer, bytes.clone()));
                    }
                }
                Err(loss) => self.air.scribe.lost(
                    now,
                    Fact::Lost {
                        from,
                        to: *to,
                        number,
                        loss,
                    },
                ),
            }
        }
        false
    }

    fn held_back(&self, now: Micros, from: usize, to: usize, message: &Message) -> Micros {
        if now >= self.air.gst {
            return 0;
        }
        let deeds = self.air.bodies.iter().filter_map(|body| body.deed.as_ref());
        let held = deeds.map(|deed| lock(deed).holds_back(now, from, to, message));
        held.max().unwrap_or(0)
    }
}

impl Gate for Wire {
    fn leaves(&self, channel: Channel, to: &To, bytes: &Bytes) -> bool {
        let (now, busy) = (now(), self.body.busy());
        if busy > now {
            self.wait(busy, Waiting::Leave(channel, to.clone(), bytes.clone()));
            return false;
        }
        self.leave(now, channel, to, bytes)
    }

    fn arrives(&self, from: usize, channel: Channel, bytes: &Bytes) -> bool {
        if let Some(from) = self.host_of(from) {
            let (scribe, to) = (&self.air.scribe, self.body.host);
            scribe.arrived(now(), from, to, (channel, bytes));
        }
        true
    }
}
