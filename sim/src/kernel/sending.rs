//! From what a host says to what arrives: the network, and the deeds of Byzantine hosts.

use super::{Envelope, Event, Node, World};
use crate::adversary::{Corrupted, Deed, Said};
use crate::fact::{Fact, Message, Micros, Observer};
use std::sync::Arc;

/// How far deeds answer each other: what one says because it overheard something is not overheard by others, for answers to
/// answers would never end.
const ANSWERS_DEEP: u32 = 1;

impl<O: Observer> World<O> {
    /// A message leaves a host, `after` so long.
    pub(super) fn send(
        &mut self,
        from: usize,
        to: Option<usize>,
        message: Arc<Message>,
        after: Micros,
    ) {
        self.number += 1;
        let number = self.number;
        self.see(&Fact::Sent {
            from,
            to,
            message: message.clone(),
            number,
        });
        self.overheard(from, to, &message);
        let bytes = message.bytes();
        let envelope = Arc::new(Envelope::new(from, message, number));
        match to {
            Some(to) => self.carry(from, to, &envelope, bytes, after),
            None => {
                for to in (0..self.hosts.len()).filter(|to| *to != from) {
                    self.carry(from, to, &envelope, bytes, after);
                }
            }
        }
    }

    fn overheard(&mut self, from: usize, to: Option<usize>, message: &Arc<Message>) {
        if self.answering >= ANSWERS_DEEP {
            return;
        }
        self.answering += 1;
        for at in 0..self.corrupted.len() {
            let host = self.corrupted[at].0;
            if host != from && self.hosts[host].up {
                self.with_deed(host, |deed, me| deed.overhears(me, from, to, message));
            }
        }
        self.answering -= 1;
    }

    fn carry(
        &mut self,
        from: usize,
        to: usize,
        envelope: &Arc<Envelope>,
        bytes: usize,
        after: Micros,
    ) {
        if from == to || to >= self.hosts.len() {
            return;
        }
        self.statistics.messages += 1;
        self.statistics.bytes += bytes as u64;
        let leaves = self.now.saturating_add(after);
        let mut held_back = 0;
        if self.now < self.scenario.gst {
            for at in 0..self.corrupted.len() {
                let host = self.corrupted[at].0;
                if let Some(deed) = &mut self.hosts[host].deed {
                    let more = deed.holds_back(self.now, from, to, &envelope.message);
                    held_back = held_back.max(more);
                }
            }
        }
        match self.network.route(leaves, from, to, bytes, held_back) {
            Ok((first, second)) => {
                self.schedule(first, to, Event::Deliver(envelope.clone()));
                if let Some(second) = second {
                    self.schedule(second, to, Event::Deliver(envelope.clone()));
                }
            }
            Err(loss) => self.lost(from, to, envelope.number, loss),
        }
    }

    pub(super) fn hears(&mut self, host: usize, side: usize, envelope: &Envelope) -> bool {
        let mut heard = true;
        self.with_deed(host, |deed, me| {
            heard = deed.hears(me, side, envelope.from, &envelope.message);
        });
        heard
    }

    /// Let a Byzantine host's deed act, and say what it says.
    pub(super) fn with_deed(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut dyn Deed, &mut Corrupted<'_>),
    ) {
        let Some(mut deed) = self.hosts[host].deed.take() else {
            return;
        };
        let mut said: Vec<Said> = Vec::new();
        let state = &mut self.hosts[host];
        let replica = state.sides.first().and_then(Node::replica);
        let (committee, members) = match (replica, state.sides.first().and_then(Node::hosts)) {
            (Some(replica), Some(hosts)) => (replica.committee(), hosts),
            _ => (&self.newest.0, &self.newest.1[..]),
        };
        let mut me = Corrupted {
            now: self.now,
            host,
            committee,
            hosts: members,
            view: replica.map_or(0, |replica| replica.view().0),
            stream: &mut state.stream,
            keys: &self.corrupted,
            said: &mut said,
        };
        act(&mut *deed, &mut me);
        self.hosts[host].deed = Some(deed);
        for Said { to, message, after } in said {
            if after == 0 {
                self.send(host, to, message, 0);
            } else {
                let at = self.now.saturating_add(after);
                self.schedule(at, host, Event::Say(to, message));
            }
        }
    }
}
