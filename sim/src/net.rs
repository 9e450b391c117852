//! The network of a simulated world: when a message arrives, if it does.

use crate::fact::{Loss, Micros};
use crate::rng::Stream;
use crate::scenario::{Jitter, Latency, NetworkSpec};

/// Least delay; nothing arrives in the instant in which it is sent.
const DELAY_MIN: Micros = 1;

/// Arrival times of one message: one, two if it was doubled, or none and why.
pub type Route = Result<(Micros, Option<Micros>), Loss>;

/// Delays, losses and cuts between hosts.
#[derive(Clone, Debug)]
pub struct Network {
    spec: NetworkSpec,
    gst: Micros,
    delta: Micros,
    hosts: usize,
    /// How many faults cut `from` off from `to`, by `from * hosts + to`.
    cuts: Vec<u16>,
    /// When the link of a host is free again.
    free: Vec<Micros>,
    /// Last arrival by pair, when messages may not overtake.
    last: Vec<Micros>,
    stream: Stream,
}

impl Network {
    /// A network of so many hosts. Before `gst` it behaves as `spec` says; after it nothing is lost or doubled, and no
    /// message takes longer than `delta`.
    #[must_use]
    pub fn new(spec: NetworkSpec, hosts: usize, gst: Micros, delta: Micros, seed: u64) -> Self {
        Self {
            spec,
            gst,
            delta,
            hosts,
            cuts: vec![0; hosts * hosts],
            free: vec![0; hosts],
            last: vec![0; hosts * hosts],
            stream: Stream::new(seed, "network"),
        }
    }

    /// From now on messages of `from` do not reach `to`, until [`mend`](Self::mend) was called as often.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts[from * self.hosts + to] += 1;
    }

    /// Undo one [`cut`](Self::cut).
    pub fn mend(&mut self, from: usize, to: usize) {
        let cuts = &mut self.cuts[from * self.hosts + to];
        assert!(*cuts > 0, "what is mended was cut");
        *cuts -= 1;
    }

    /// Whether messages of `from` reach `to`.
    #[must_use]
    pub fn connected(&self, from: usize, to: usize) -> bool {
        self.cuts[from * self.hosts + to] == 0
    }

    /// A message of so many bytes leaves: when it arrives. `held_back` is what the adversary adds before `gst`.
    pub fn route(
        &mut self,
        now: Micros,
        from: usize,
        to: usize,
        bytes: usize,
        held_back: Micros,
    ) -> Route {
        if !self.connected(from, to) {
            return Err(Loss::Cut);
        }
        let calm = now >= self.gst;
        if !calm && self.stream.chance(self.spec.loss) {
            return Err(Loss::Chance);
        }
        let first = self.arrival(now, from, to, bytes, held_back);
        let second = (!calm && self.stream.chance(self.spec.duplicate))
            .then(|| self.arrival(now, from, to, bytes, 0));
        Ok((first, second))
    }

    fn arrival(
        &mut self,
        now: Micros,
        from: usize,
        to: usize,
        bytes: usize,
        held_back: Micros,
    ) -> Micros {
        let mut leaves = now;
        if let Some(rate) = self.spec.bandwidth.filter(|rate| *rate > 0) {
            let takes = (bytes as u64).saturating_mul(1_000_000) / rate;
            leaves = self.free[from].max(now).saturating_add(takes);
            self.free[from] = leaves;
        }
        let delay = self.base(from, to).saturating_add(self.jitter());
        let calm = now >= self.gst;
        let delay = if calm {
            delay.min(self.delta)
        } else {
            // What is under way at `gst` arrives within `delta` of it.
            let limit = self.gst.saturating_add(self.delta).saturating_sub(now);
            delay.saturating_add(held_back).min(limit)
        };
        let mut at = leaves.saturating_add(delay.max(DELAY_MIN));
        if !self.spec.reorder {
            let last = &mut self.last[from * self.hosts + to];
            at = at.max(last.saturating_add(1));
            *last = at;
        }
        at
    }

    /// Delay without jitter.
    fn base(&mut self, from: usize, to: usize) -> Micros {
        match &self.spec.latency {
            Latency::Constant(delay) => *delay,
            Latency::Uniform(low, high) => self.stream.between(*low, *high),
            Latency::Matrix(rows) => {
                let regions = rows.len().max(1);
                let row = rows.get(from % regions);
                row.and_then(|row| row.get(to % regions))
                    .copied()
                    .unwrap_or(DELAY_MIN)
            }
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a delay far below 2^53 us"
    )]
    fn jitter(&mut self) -> Micros {
        match self.spec.jitter {
            Jitter::None => 0,
            Jitter::Uniform(most) => self.stream.between(0, most),
            Jitter::LogNormal(median, deviation) => {
                let factor = (deviation * self.stream.normal()).exp();
                (median as f64 * factor.min(1e6)) as Micros
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn network(change: impl FnOnce(&mut NetworkSpec)) -> Network {
        let mut spec = Scenario::calm(4).network;
        change(&mut spec);
        Network::new(spec, 4, 1_000, 500, 7)
    }

    #[test]
    fn cuts_are_counted_and_one_way() {
        let mut network = network(|_| {});
        network.cut(0, 1);
        network.cut(0, 1);
        network.mend(0, 1);
        assert_eq!(network.route(0, 0, 1, 10, 0), Err(Loss::Cut));
        assert!(network.route(0, 1, 0, 10, 0).is_ok());
        network.mend(0, 1);
        assert!(network.connected(0, 1));
    }

    #[test]
    fn after_gst_nothing_is_lost_doubled_or_late() {
        let mut network = network(|spec| {
            spec.loss = 0.9;
            spec.duplicate = 0.9;
            spec.jitter = Jitter::LogNormal(10_000, 2.0);
        });
        let before: Vec<Route> = (0..200)
            .map(|_| network.route(0, 0, 1, 10, 9_999))
            .collect();
        assert!(before.contains(&Err(Loss::Chance)));
        assert!(before.iter().flatten().any(|(_, second)| second.is_some()));
        assert!(before.iter().flatten().all(|(first, _)| *first <= 1_500));
        for _ in 0..200 {
            let (first, second) = network.route(2_000, 0, 1, 10, 9_999).unwrap();
            assert!(first <= 2_500 && second.is_none());
        }
    }

    #[test]
    fn bandwidth_is_shared_by_all_that_a_host_sends() {
        let mut network = network(|spec| {
            spec.bandwidth = Some(1_000_000);
            spec.latency = Latency::Constant(100);
        });
        assert_eq!(network.route(2_000, 0, 1, 50, 0), Ok((2_150, None)));
        assert_eq!(network.route(2_000, 0, 2, 50, 0), Ok((2_200, None)));
        assert_eq!(network.route(2_000, 1, 2, 50, 0), Ok((2_150, None)));
    }

    #[test]
    fn messages_of_a_pair_stay_in_order_if_they_must() {
        let mut network = network(|spec| spec.reorder = false);
        let arrivals: Vec<Micros> = (0..50)
            .filter_map(|at| network.route(at, 0, 1, 10, 0).ok())
            .map(|(first, _)| first)
            .collect();
        assert!(arrivals.is_sorted());
    }
}
