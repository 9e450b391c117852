//! What is going to happen, in order of time; what happens at one instant is in an order that the seed draws.

use super::Envelope;
use crate::fact::{Message, Micros};
use outrider_types::Transaction;
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Event {
    Deliver(Arc<Envelope>),
    Say(Option<usize>, Arc<Message>),
    Wake { side: usize, life: u64 },
    Restart { life: u64 },
    FaultBegins(usize),
    FaultEnds(usize),
    Change(usize),
    Client,
    Retry(Vec<Transaction>),
    Heal,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Micros,
    pub(super) tie: u32,
    pub(super) sequence: u64,
    pub(super) host: usize,
    pub(super) event: Event,
}

impl Entry {
    const fn key(&self) -> (Micros, u32, u64) {
        (self.at, self.tie, self.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
