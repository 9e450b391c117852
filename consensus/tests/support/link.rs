//! What the network does with a message: a list of delays, empty if it is lost, two if it is doubled.

use super::rng::{Rng, mix};
use outrider_types::ConsensusMessage;

/// A message on its way. `message` is none for questions and answers of the sync channel.
pub struct Packet<'a> {
    pub from: usize,
    pub to: usize,
    pub now: u64,
    pub message: Option<&'a ConsensusMessage>,
}

pub type Link = Box<dyn FnMut(&Packet<'_>, &mut Rng) -> Vec<u64>>;

/// Every message takes exactly this long, in microseconds.
pub fn fixed(delay: u64) -> Link {
    Box::new(move |_, _| vec![delay])
}

/// Every message takes a random time, so messages overtake each other.
pub fn random(low: u64, high: u64) -> Link {
    Box::new(move |_, rng| vec![rng.between(low, high)])
}

/// Drops, doubles, reorders; and every 200 ms may cut the members in two.
pub fn storm(seed: u64, drop: u64, double: u64, high: u64) -> Link {
    Box::new(move |packet, rng| {
        let slot = mix(seed ^ (packet.now / 200_000));
        let cut = slot.is_multiple_of(3);
        let side = |member: usize| slot >> (8 + member) & 1;
        if rng.percent(drop) || cut && side(packet.from) != side(packet.to) {
            return Vec::new();
        }
        let copies = if rng.percent(double) { 2 } else { 1 };
        (0..copies).map(|_| rng.between(500, high)).collect()
    })
}
