//! What a member knows from outside, and what it does to the world.

use crate::fact::{Fact, Message};
use outrider_types::{Committee, Contact, PublicKey, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who is who: the same for all.
#[derive(Clone, Debug)]
pub struct Book {
    /// Host of each key.
    pub hosts: BTreeMap<PublicKey, usize>,
    /// Where each host is, which the simulation needs only for changes of the committee.
    pub contacts: Vec<Contact>,
    /// The committee of the first epoch.
    pub genesis: Committee,
}

impl Book {
    /// The host of each member.
    #[must_use]
    pub fn hosts_of(&self, committee: &Committee) -> Vec<usize> {
        let host = |key: &PublicKey| self.hosts.get(key).copied().unwrap_or(usize::MAX);
        let members = committee.members().iter();
        members.map(|member| host(&member.public_key)).collect()
    }
}

/// What time it is for one member.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Never goes back while the member is up.
    pub now: Timestamp,
    /// What its wall clock shows.
    pub wall: Timestamp,
}

/// What happens to a write that something signed waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// The power goes before it.
    DiesBefore,
    /// The power goes after it, before anything leaves.
    DiesAfter,
}

/// The power is gone; what was said in this turn after the last durable write was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died;

/// What a member does to the world.
pub struct Port<'a> {
    /// What it sends, in order: to a host, or to all others.
    pub sends: Vec<(Option<usize>, Arc<Message>)>,
    /// What happened.
    pub facts: Vec<Fact>,
    /// Decides what becomes of a write.
    pub fate: &'a mut dyn FnMut() -> Fate,
    /// Writes that were waited for.
    pub syncs: u32,
}

impl std::fmt::Debug for Port<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port")
            .field("sends", &self.sends.len())
            .field("facts", &self.facts.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Port<'a> {
    /// Nothing was done yet.
    #[must_use]
    pub const fn new(fate: &'a mut dyn FnMut() -> Fate) -> Self {
        Self {
            sends: Vec::new(),
            facts: Vec::new(),
            fate,
            syncs: 0,
        }
    }

    pub(super) fn send(&mut self, to: Option<usize>, message: Message) {
        self.sends.push((to, Arc::new(message)));
    }
}
