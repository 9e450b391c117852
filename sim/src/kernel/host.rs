//! A host: what runs on it, and what the world does to it.

use super::{Envelope, Node, NodeConfig, World, WorldError};
use crate::adversary::{Deed, Setup, deed};
use crate::fact::{Micros, Observer};
use crate::rng::Stream;
use crate::scenario::Scenario;
use std::sync::Arc;

/// A host: the sides that run on it, and what the world does to it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) sides: Vec<Node>,
    /// By side: when it will be woken.
    pub(super) wakes: Vec<Option<Micros>>,
    pub(super) deed: Option<Box<dyn Deed>>,
    pub(super) stream: Stream,
    /// Crashes so far; what was scheduled for an earlier life is void.
    pub(super) life: u64,
    pub(super) up: bool,
    /// Faults that keep it down.
    pub(super) down: u32,
    pub(super) paused: u32,
    /// What arrived while it stood still.
    pub(super) inbox: Vec<Arc<Envelope>>,
    /// It is writing until then.
    pub(super) busy: Micros,
    pub(super) disk_delay: Micros,
    pub(super) skew: i64,
    /// Skew when it started: its steady clock runs on from there.
    pub(super) skew_at_start: i64,
    /// What a write may end in, and how long it is down then.
    pub(super) on_write: Vec<(f64, Micros)>,
}

/// The deed of a host; none if it keeps to the rules.
pub(super) fn deed_of(
    scenario: &Scenario,
    host: usize,
    seed: u64,
) -> Result<Option<Box<dyn Deed>>, WorldError> {
    let Some(named) = scenario.byzantine.iter().find(|one| one.host == host) else {
        return Ok(None);
    };
    let found = deed(&named.deed, &Setup::of(scenario, host, seed));
    found.map(Some).ok_or_else(|| WorldError::Deed {
        deed: named.deed.clone(),
    })
}

impl<O: Observer> World<O> {
    pub(super) fn add_host(
        &mut self,
        host: usize,
        seed: u64,
        deed: Option<Box<dyn Deed>>,
        config: NodeConfig,
    ) {
        let sides = deed.as_ref().map_or(1, |deed| deed.sides());
        let (key, book) = (&self.keys[host], &self.book);
        let node = |_| Node::new(host, key.clone(), book.clone(), config);
        self.hosts.push(Host {
            sides: (0..sides).map(node).collect(),
            wakes: vec![None; sides],
            deed,
            stream: Stream::new(seed, &format!("adversary {host}")),
            life: 0,
            up: false,
            down: 0,
            paused: 0,
            inbox: Vec::new(),
            busy: 0,
            disk_delay: 0,
            skew: 0,
            skew_at_start: 0,
            on_write: Vec::new(),
        });
    }
}
