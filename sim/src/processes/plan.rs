//! What is done to the members and when, drawn from a seed before anything starts.
//!
//! The plan of a seed is always the same. What the processes make of it is not: the operating system schedules them.

use super::proxy::{Flow, Link, Links};
use crate::rng::Stream;
use std::fmt;
use std::time::Duration;

/// Most episodes of a plan.
pub const EPISODES_MAX: usize = 20_000;
/// Most members: each is a process, and each pair has two proxies.
pub const MEMBERS_MAX: usize = 16;
/// Mean time between the beginnings of two episodes, in seconds.
const GAP_MEAN_S: f64 = 1.2;
/// Mean length of an episode, in seconds, beside the least one.
const LENGTH_MEAN_S: f64 = 1.8;
/// Bounds of gaps and lengths, in milliseconds.
const GAP_MS: (u64, u64) = (50, 5_000);
const LENGTH_MS: (u64, u64) = (100, 7_000);
/// Longest delay that is added to a link. Beyond a fifth of a view's timer: views time out.
const DELAY_MS_MAX: u64 = 400;

/// Something that is done to the members, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a restart at the end.
    Kill(usize),
    /// SIGKILL to all.
    KillAll,
    /// SIGTERM, and a restart at the end.
    Stop(usize),
    /// SIGSTOP, and SIGCONT at the end.
    Pause(usize),
    /// Two members are cut off from each other.
    Cut(usize, usize, Flow),
    /// One member is cut off from all others.
    Isolate(usize, Flow),
    /// What one member says does not reach another one; TCP soon ends such a connection.
    OneWay(usize, usize),
    /// Members whose bit is set are cut off from the others.
    Split(u32, Flow),
    /// All that a member says and hears is late.
    Slow(usize, Duration),
    /// All that anybody says is late.
    SlowAll(Duration),
}

/// The names of all kinds of faults, in the order of [`Fault`].
pub const KINDS: [&str; 10] = [
    "kill", "kill-all", "stop", "pause", "cut", "isolate", "one-way", "split", "slow", "slow-all",
];
/// How often a kind is drawn, before a seed changes it.
const WEIGHTS: [u64; KINDS.len()] = [8, 1, 3, 6, 5, 5, 3, 4, 3, 2];

impl Fault {
    /// Its place in [`KINDS`].
    #[must_use]
    pub const fn number(&self) -> usize {
        match self {
            Self::Kill(_) => 0,
            Self::KillAll => 1,
            Self::Stop(_) => 2,
            Self::Pause(_) => 3,
            Self::Cut(..) => 4,
            Self::Isolate(..) => 5,
            Self::OneWay(..) => 6,
            Self::Split(..) => 7,
            Self::Slow(..) => 8,
            Self::SlowAll(_) => 9,
        }
    }

    fn draw(number: usize, members: usize, stream: &mut Stream) -> Self {
        let one = stream.index(members);
        let other = (one + 1 + stream.index(members.saturating_sub(1))) % members;
        let flow = if stream.chance(0.5) {
            Flow::Held
        } else {
            Flow::Refused
        };
        let delay = Duration::from_millis(stream.between(5, DELAY_MS_MAX));
        let side = stream.between(1, (1 << members) - 1);
        match number {
            0 => Self::Kill(one),
            1 => Self::KillAll,
            2 => Self::Stop(one),
            3 => Self::Pause(one),
            4 => Self::Cut(one, other, flow),
            5 => Self::Isolate(one, flow),
            6 => Self::OneWay(one, other),
            7 => Self::Split(u32::try_from(side).unwrap_or(1), flow),
            8 => Self::Slow(one, delay),
            _ => Self::SlowAll(delay),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS[self.number()];
        let how = |flow: &Flow| match flow {
            Flow::Held => "silently",
            _ => "with refusals",
        };
        match self {
            Self::Kill(one) | Self::Stop(one) | Self::Pause(one) => write!(f, "{kind} m{one}"),
            Self::KillAll => f.write_str(kind),
            Self::Cut(one, other, flow) => write!(f, "{kind} m{one} m{other} {}", how(flow)),
            Self::Isolate(one, flow) => write!(f, "{kind} m{one} {}", how(flow)),
            Self::OneWay(from, to) => write!(f, "{kind} m{from} to m{to}"),
            Self::Split(side, flow) => {
                f.write_str(kind)?;
                for member in (0..MEMBERS_MAX).filter(|member| side & (1 << member) != 0) {
                    write!(f, " m{member}")?;
                }
                write!(f, " {}", how(flow))
            }
            Self::Slow(one, delay) => write!(f, "{kind} m{one} {} ms", delay.as_millis()),
            Self::SlowAll(delay) => write!(f, "{kind} {} ms", delay.as_millis()),
        }
    }
}

/// A fault with its time, from the start of the storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// When it begins.
    pub at: Duration,
    /// For how long.
    pub length: Duration,
    /// What.
    pub fault: Fault,
}

impl Episode {
    /// When it is over.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.at + self.length
    }
}

impl fmt::Display for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, length, fault } = self;
        let (at, length) = (at.as_secs_f64(), length.as_secs_f64());
        write!(f, "at {at:.2} s for {length:.2} s: {fault}")
    }
}

/// All episodes, by beginning. None lasts beyond the end of the storm.
#[must_use]
pub fn draw(seed: u64, members: usize, storm: Duration) -> Vec<Episode> {
    assert!(
        (1..=MEMBERS_MAX).contains(&members),
        "the caller checks the number of members"
    );
    let mut stream = Stream::new(seed, "processes plan");
    // Swarm: each seed leaves some kinds out and prefers others.
    let mut weights = WEIGHTS.map(|weight| weight * stream.below(4));
    if members == 1 {
        // Nobody to be cut off from.
        weights[4..].fill(0);
    }
    if weights.iter().all(|weight| *weight == 0) {
        weights[0] = 1;
    }
    let mut episodes = Vec::new();
    let mut at = Duration::ZERO;
    while episodes.len() < EPISODES_MAX {
        at += span(&mut stream, GAP_MEAN_S, GAP_MS);
        let length = span(&mut stream, LENGTH_MEAN_S, LENGTH_MS);
        let fault = Fault::draw(kind(&weights, &mut stream), members, &mut stream);
        if at >= storm {
            break;
        }
        episodes.push(Episode {
            at,
            length: length.min(storm - at),
            fault,
        });
    }
    episodes
}

fn span(stream: &mut Stream, mean: f64, (least, most): (u64, u64)) -> Duration {
    let drawn = Duration::from_secs_f64(stream.exponential(mean).min(1e6));
    drawn.clamp(Duration::from_millis(least), Duration::from_millis(most))
}

fn kind(weights: &[u64; KINDS.len()], stream: &mut Stream) -> usize {
    let mut left = stream.below(weights.iter().sum());
    for (number, weight) in weights.iter().enumerate() {
        if left < *weight {
            return number;
        }
        left -= weight;
    }
    unreachable!("a number below the sum of all weights falls on one of them")
}

/// How a process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// What all faults of a moment come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Who is to be down, and how.
    pub down: Vec<Option<Ending>>,
    /// Who is to stand still.
    pub paused: Vec<bool>,
    /// What the links do. The worst flow and the longest delay of all faults hold.
    pub links: Links,
}

impl Weather {
    /// Of these faults, at the same time.
    pub fn of<'a>(members: usize, faults: impl Iterator<Item = &'a Fault>) -> Self {
        let mut weather = Self {
            down: vec![None; members],
            paused: vec![false; members],
            links: vec![vec![Link::default(); members]; members],
        };
        for fault in faults {
            weather.add(fault);
        }
        weather
    }

    fn add(&mut self, fault: &Fault) {
        let all = 0..self.down.len();
        match *fault {
            Fault::Kill(member) => self.down[member] = Some(Ending::Kill),
            Fault::KillAll => self.down.fill(Some(Ending::Kill)),
            Fault::Stop(member) => {
                self.down[member] = self.down[member].max(Some(Ending::Term));
            }
            Fault::Pause(member) => self.paused[member] = true,
            Fault::Cut(one, other, flow) => {
                self.cut(flow, |from, to| {
                    (from, to) == (one, other) || (to, from) == (one, other)
                });
            }
            Fault::Isolate(member, flow) => {
                self.cut(flow, |from, to| from == member || to == member);
            }
            Fault::OneWay(source, sink) => {
                self.cut(Flow::Held, |from, to| (from, to) == (source, sink));
            }
            Fault::Split(side, flow) => {
                let inside = |member: usize| side & (1 << member) != 0;
                self.cut(flow, |from, to| inside(from) != inside(to));
            }
            Fault::Slow(member, delay) => {
                self.slow(delay, |from, to| from == member || to == member);
            }
            Fault::SlowAll(delay) => self.slow(delay, |from, _| all.contains(&from)),
        }
    }

    fn cut(&mut self, flow: Flow, hit: impl Fn(usize, usize) -> bool) {
        self.change(hit, |link| link.flow = link.flow.max(flow));
    }

    fn slow(&mut self, delay: Duration, hit: impl Fn(usize, usize) -> bool) {
        self.change(hit, |link| link.delay = link.delay.max(delay));
    }

    fn change(&mut self, hit: impl Fn(usize, usize) -> bool, change: impl Fn(&mut Link)) {
        for (from, row) in self.links.iter_mut().enumerate() {
            for (to, link) in row.iter_mut().enumerate() {
                if from != to && hit(from, to) {
                    change(link);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn plan_of_a_seed_is_one_plan_within_the_storm() {
        for seed in 0..50 {
            let plan = draw(seed, 4, MINUTE);
            assert_eq!(plan, draw(seed, 4, MINUTE));
            assert_ne!(plan, draw(seed + 1, 4, MINUTE));
            assert!(plan.len() >= 10, "seed {seed}: {} episodes", plan.len());
            assert!(plan.is_sorted_by_key(|episode| episode.at));
            assert!(plan.iter().all(|episode| episode.end() <= MINUTE));
        }
        assert_eq!(draw(1, 4, Duration::ZERO), []);
        assert_eq!(draw(1, 4, 100_000 * MINUTE).len(), EPISODES_MAX);
    }

    #[test]
    fn seeds_reach_every_kind_and_each_leaves_some_out() {
        let kinds = |seed| -> BTreeSet<usize> {
            let plan = draw(seed, 4, 10 * MINUTE);
            plan.iter().map(|episode| episode.fault.number()).collect()
        };
        let all: BTreeSet<usize> = (0..20).flat_map(kinds).collect();
        assert_eq!(all.len(), KINDS.len());
        assert!((0..20).any(|seed| kinds(seed).len() < KINDS.len()));
    }

    #[test]
    fn one_member_is_never_cut_off_from_itself() {
        let plan = draw(3, 1, 10 * MINUTE);
        assert!(plan.iter().all(|episode| episode.fault.number() < 4));
        for (number, kind) in KINDS.into_iter().enumerate() {
            let fault = Fault::draw(number, 1, &mut Stream::new(1, "test"));
            assert_eq!(fault.number(), number);
            assert!(fault.to_string().starts_with(kind));
        }
    }

    fn weather(faults: &[Fault]) -> Weather {
        Weather::of(3, faults.iter())
    }

    fn hit(weather: &Weather, flow: Flow) -> Vec<(usize, usize)> {
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| weather.links[*from][*to].flow == flow)
            .collect()
    }

    #[test]
    fn faults_hit_the_links_they_name() {
        let cut = weather(&[Fault::Cut(0, 2, Flow::Refused)]);
        assert_eq!(hit(&cut, Flow::Refused), [(0, 2), (2, 0)]);
        let isolated = weather(&[Fault::Isolate(1, Flow::Held)]);
        assert_eq!(hit(&isolated, Flow::Held), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        let one_way = weather(&[Fault::OneWay(2, 0)]);
        assert_eq!(hit(&one_way, Flow::Held), [(2, 0)]);
        let split = weather(&[Fault::Split(0b011, Flow::Held)]);
        assert_eq!(hit(&split, Flow::Held), [(0, 2), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(
            hit(&weather(&[Fault::Split(0b111, Flow::Held)]), Flow::Held),
            []
        );
    }

    #[test]
    fn of_faults_at_the_same_time_the_worst_holds() {
        let (fast, slow) = (Duration::from_millis(5), Duration::from_millis(50));
        let storm = weather(&[
            Fault::Kill(1),
            Fault::Stop(1),
            Fault::Stop(2),
            Fault::Pause(0),
            Fault::Cut(0, 1, Flow::Refused),
            Fault::Isolate(0, Flow::Held),
            Fault::SlowAll(slow),
            Fault::Slow(2, fast),
        ]);
        assert_eq!(storm.down, [None, Some(Ending::Kill), Some(Ending::Term)]);
        assert_eq!(storm.paused, [true, false, false]);
        assert_eq!(hit(&storm, Flow::Refused), [(0, 1), (1, 0)]);
        assert_eq!(hit(&storm, Flow::Held), [(0, 2), (2, 0)]);
        assert_eq!(storm.links[1][2].delay, slow);
        assert_eq!(storm.links[1][1], Link::default());
        let all = weather(&[Fault::Stop(0), Fault::KillAll]);
        assert_eq!(all.down, [Some(Ending::Kill); 3]);
        assert_eq!(weather(&[]).links, vec![vec![Link::default(); 3]; 3]);
    }
}
