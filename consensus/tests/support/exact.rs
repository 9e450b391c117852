//! Worlds in which every message takes exactly [`D`] and nothing else takes any time, and what is measured in them.

use super::link::Link;
use super::world::{Kind, Local, World};
use outrider_types::View;

/// One-way delay of the exact worlds, in microseconds.
pub const D: u64 = 10_000;

/// Members with these stakes, of these kinds.
pub fn exact(seed: u64, stakes: &[u64], kinds: &[Kind], link: Link) -> World {
    World::new(seed, stakes, kinds, link, Local::default())
}

/// When a block of this view first left its leader.
pub fn sent(world: &World, view: u64) -> Option<u64> {
    let all = world.nodes.iter().flat_map(|node| &node.proposals);
    all.filter(|(_, proposed)| *proposed == view)
        .map(|(at, _)| *at)
        .min()
}

/// The last view of which a block was sent.
pub fn last_sent(world: &World) -> u64 {
    let all = world.nodes.iter().flat_map(|node| &node.proposals);
    all.map(|(_, view)| *view).max().unwrap()
}

/// When a node entered a view.
pub fn entered(world: &World, node: usize, view: u64) -> u64 {
    let all = world.nodes[node].entered.iter();
    all.copied()
        .find(|(_, entered, _)| *entered == view)
        .unwrap()
        .0
}

/// How long a node was in a view.
pub fn stayed(world: &World, node: usize, view: u64) -> u64 {
    entered(world, node, view + 1) - entered(world, node, view)
}

/// Who leads a view.
pub fn leader(world: &World, view: u64) -> usize {
    let honest = world.honest();
    let replica = world.nodes[honest[0]].replica.as_ref().unwrap();
    replica.leader(View(view)).index()
}

/// Views led by a member that all other honest members have left, ascending.
pub fn views_led_by(world: &World, member: usize) -> Vec<u64> {
    let others = world.honest().into_iter().filter(|node| *node != member);
    let replicas: Vec<_> = others
        .map(|node| world.nodes[node].replica.as_ref().unwrap())
        .collect();
    let last = replicas.iter().map(|replica| replica.view().0).min();
    (1..last.unwrap())
        .filter(|view| replicas[0].leader(View(*view)).index() == member)
        .collect()
}

/// Every block that a node committed, as (view, delay after its proposal was sent, fast).
pub fn latencies(world: &World, node: usize) -> Vec<(u64, u64, bool)> {
    let node = &world.nodes[node];
    let mut below = 0;
    let mut out = Vec::new();
    for (at, height, fast) in &node.commits {
        for height in below + 1..=*height {
            let view = node.disk.ledger[height as usize - 1].block.view.0;
            out.push((view, at - sent(world, view).unwrap(), *fast));
        }
        below = *height;
    }
    out
}
