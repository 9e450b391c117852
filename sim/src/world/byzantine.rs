//! One life of a host that breaks the rules: several sides, each of which keeps to them, and a deed that decides what they
//! hear and what leaves. Its network is the production one; its sides are the kernel's members.

use super::body::{Body, Order};
use super::lock;
use super::member::Life;
use super::scribe::{now, read};
use super::wire::{Air, Wire};
use crate::adversary::{Corrupted, Deed, Said};
use crate::fact::{Fact, Message, Micros};
use crate::kernel::{Clock, Died, Envelope, Fate, Node, Port, START};
use crate::rng::Stream;
use commonware_runtime::Supervisor as _;
use futures::FutureExt as _;
use outrider_network::{Channel, Gate, Inbound, start};
use outrider_types::{Bytes, Timestamp, encode};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest sleep of a host with nothing to do.
const NAP: Micros = 50_000;
/// What a deed says later, and has not said yet; past that it forgets.
const LATER_MAX: usize = 65_536;

/// The sides of a host, and what they have on their disks, through all its lives.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) nodes: Vec<Node>,
    pub(super) stream: Stream,
}

struct Traitor {
    body: Arc<Body>,
    air: Arc<Air>,
    wire: Arc<Wire>,
    sides: Arc<Mutex<Sides>>,
    later: BTreeMap<(Micros, u64), (Option<usize>, Arc<Message>)>,
    number: u64,
}

/// The channel of a message, and its bytes on the wire.
fn written(message: &Message) -> (Channel, Bytes) {
    match message {
        Message::Consensus(message) => (Channel::Consensus, encode(message)),
        Message::Payload(message) => (Channel::Payload, encode(message)),
        Message::Sync(message) => (Channel::Sync, encode(message)),
    }
}

/// Live until the power goes.
pub(super) async fn live(life: Life, sides: Arc<Mutex<Sides>>) -> turmoil::Result {
    let control = life.body.control.clone();
    control.runs(lives(life, sides)).await
}

async fn lives(life: Life, sides: Arc<Mutex<Sides>>) -> turmoil::Result {
    let (member, air) = (life.body.host, life.air.clone());
    let lived = AssertUnwindSafe(lives_in(life, sides)).catch_unwind();
    if let Err(panic) = lived.await {
        let reason = crate::turmoil::panic_message(&*panic);
        air.scribe.note(now(), Fact::Panicked { member, reason });
    }
    Ok(())
}

async fn lives_in(life: Life, sides: Arc<Mutex<Sides>>) -> turmoil::Result {
    let context = life.context()?;
    let mut panicked = std::pin::pin!(context.panicked());
    let Life { body, air, .. } = life;
    // It reaches everyone, whoever is in office.
    let config = air.cast.network(body.host, &air.cast.book.contacts);
    let network = start(context.child("network"), config).await?;
    let wire = Arc::new(Wire::new(
        body.clone(),
        air.clone(),
        network.outbound.clone(),
    ));
    let gate: Arc<dyn Gate> = wire.clone();
    let mut network = network.gated(&gate);
    let mut traitor = Traitor {
        body: body.clone(),
        air,
        wire: wire.clone(),
        sides,
        later: BTreeMap::new(),
        number: 0,
    };
    traitor.each(Node::start);
    let mut carried = std::pin::pin!(wire.run());
    loop {
        let wake = tokio::time::sleep(traitor.nap());
        tokio::select! {
            biased;
            reason = &mut panicked => return Err(reason.into()),
            Some(inbound) = network.consensus.recv() => traitor.receive(&inbound),
            Some(inbound) = network.sync.recv() => traitor.receive(&inbound),
            Some(inbound) = network.payload.recv() => traitor.receive(&inbound),
            () = body.called() => {}
            () = &mut carried => {}
            () = wake => {}
        }
        traitor.catch_up_with_time();
    }
}

impl Traitor {
    fn clock(&self) -> Clock {
        let now = START.saturating_add(now());
        let skew = self.body.control.skew_us();
        Clock {
            now: Timestamp(now),
            wall: Timestamp(now.saturating_add_signed(skew)),
        }
    }

    fn sides(&self) -> usize {
        lock(&self.sides).nodes.len()
    }

    /// How long until something is due.
    fn nap(&self) -> Duration {
        let now = now();
        let clock = self.clock();
        let sides = lock(&self.sides);
        let wakes = sides.nodes.iter().filter_map(Node::wake_at);
        let wakes = wakes.map(|at| at.0.saturating_sub(clock.now.0));
        let later = self.later.keys().map(|(at, _)| at.saturating_sub(now));
        let nap = wakes.chain(later.take(1)).min().unwrap_or(NAP).min(NAP);
        Duration::from_micros(nap.max(500))
    }

    fn catch_up_with_time(&mut self) {
        while let Some(order) = self.body.try_order() {
            self.obey(order);
        }
        while let Some((from, to, message)) = self.body.try_overheard() {
            self.with_deed(|deed, me| deed.overhears(me, from, to, &message));
        }
        let now = now();
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now {
                break;
            }
            let (to, message) = first.remove();
            self.say(to, &message);
        }
        let clock = self.clock();
        for side in 0..self.sides() {
            let due = lock(&self.sides).nodes[side].wake_at();
            if due.is_some_and(|due| due <= clock.now) {
                self.drive(side, Node::wake);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Submit(transaction) => self.drive(0, |node, clock, port| {
                node.submit(clock, std::slice::from_ref(&transaction), port)
                    .map(drop)
            }),
            Order::SubmitTogether(list) => {
                for transaction in list {
                    self.obey(Order::Submit(transaction));
                }
            }
            // It says what its deed wants.
            Order::Spread(_) | Order::SeeL1(..) => {}
            Order::Change(hosts) => {
                let committee = {
                    let sides = lock(&self.sides);
                    let replica = sides.nodes.first().and_then(Node::replica);
                    replica.map(|replica| replica.committee().clone())
                };
                let change = committee.and_then(|now| self.air.cast.change(&now, &hosts));
                if let Some(change) = change {
                    self.drive(0, |node, clock, port| {
                        node.hand_in_change(clock, change, port)
                    });
                }
            }
        }
    }

    fn receive(&mut self, inbound: &Inbound) {
        let from = self.wire.host_of(inbound.from);
        let message = read(inbound.channel, &inbound.bytes);
        let (Some(from), Some(message)) = (from, message) else {
            return;
        };
        self.number += 1;
        let envelope = Arc::new(Envelope::new(from, Arc::new(message), self.number));
        for side in 0..self.sides() {
            let mut heard = true;
            self.with_deed(|deed, me| heard = deed.hears(me, side, from, &envelope.message));
            if heard {
                self.drive(side, |node, clock, port| {
                    node.receive(clock, &envelope, port)
                });
            }
        }
    }

    fn each(&mut self, act: impl Fn(&mut Node, Clock, &mut Port<'_>) -> Result<(), Died>) {
        for side in 0..self.sides() {
            self.drive(side, &act);
        }
    }

    /// Let one side act; what it says goes through the deed. What it does otherwise nobody promises anything about.
    fn drive(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Node, Clock, &mut Port<'_>) -> Result<(), Died>,
    ) {
        let clock = self.clock();
        let mut fate = || Fate::Done;
        let mut port = Port::new(&mut fate);
        // A write that is done kills nobody.
        let _ = act(&mut lock(&self.sides).nodes[side], clock, &mut port);
        let sends = port.sends;
        for (to, message) in sends {
            self.with_deed(|deed, me| deed.speaks(me, side, to, &message));
        }
    }

    /// Let the deed act, and say what it says.
    fn with_deed(&mut self, act: impl FnOnce(&mut dyn Deed, &mut Corrupted<'_>)) {
        let Some(deed) = &self.body.deed else {
            return;
        };
        let mut said: Vec<Said> = Vec::new();
        {
            let mut sides = lock(&self.sides);
            let Sides { nodes, stream } = &mut *sides;
            let first = nodes.first();
            let genesis = &self.air.cast.book.genesis;
            let replica = first.and_then(Node::replica);
            let committee = replica.map_or(genesis, |replica| replica.committee());
            let hosts = self.air.cast.book.hosts_of(committee);
            let mut me = Corrupted {
                now: now(),
                host: self.body.host,
                committee,
                hosts: &hosts,
                view: replica.map_or(0, |replica| replica.view().0),
                stream,
                keys: &self.air.cast.corrupted,
                said: &mut said,
            };
            act(&mut **lock(deed), &mut me);
        }
        for Said { to, message, after } in said {
            if after == 0 {
                self.say(to, &message);
            } else if self.later.len() < LATER_MAX {
                self.number += 1;
                let at = now().saturating_add(after);
                self.later.insert((at, self.number), (to, message));
            }
        }
    }

    fn say(&self, to: Option<usize>, message: &Message) {
        let (channel, bytes) = written(message);
        self.wire.say(to, channel, &bytes);
    }
}
