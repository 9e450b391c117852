//! A turmoil world: hosts that run the production driver over the unmodified network stack on simulated disks, and hosts
//! that break the rules, in a deterministic network.
//!
//! ```text
//! honest host:    node::driver::run(context over turmoil, MemoryDisk, commonware-p2p over turmoil::net)
//!                     | gate (wire.rs), tap (watch.rs), journal (body.rs)
//!                     v
//!                 facts (scribe.rs) --by time--> hash, Observer
//!                     ^
//! Byzantine host: sides (kernel::Node) -> Deed -> the same network (byzantine.rs)
//! ```
//!
//! How the faults of a scenario are done here, and where that differs from the kernel:
//!
//! | fault | here |
//! |---|---|
//! | partition, one-way | turmoil drops the segments. TCP of turmoil has no acknowledgements, so a one-way cut lets the other direction of a connection live until it times out; then both are gone. Connections take up to 2 s to come back |
//! | crash, late | the host's tasks are dropped, its links cut before (no goodbye), its disk loses a first part of what was not synced |
//! | crash on write | the journal fails before or after its sync; the member ends there and nothing leaves |
//! | pause | none of the host's tasks is polled; what arrives waits in its sockets |
//! | clock | the context's wall clock; timers do not feel it. More than 5 s off, no new handshake succeeds; put back by so much, none succeeds for so long ([`healed_at`]) |
//! | slow disk | what the member says after a sync leaves so much later. The member itself does not wait: simulated time cannot pass inside its synchronous turn |
//! | loss, duplicates, jitter, bandwidth | whole messages above TCP vanish, come twice or wait, as the network's contract allows (wire.rs) |
//! | latency | turmoil's: between two bounds it is distributed exponentially, and links are the same in both directions |

mod body;
mod by_hand;
mod byzantine;
mod clients;
mod hosts;
mod member;
mod scenario;
mod scribe;
mod storm;
mod trace;
mod watch;
mod wire;

pub use by_hand::{ByHand, WorldConfig};
pub use scenario::{Outcome, Progress, ends_at, run_scenario};
pub use storm::{MESH_WITHIN, healed_at};
pub use trace::{Commit, Trace};

use crate::adversary::{Setup, deed};
use crate::fact::{Fact, Micros, Observer, Violation};
use crate::kernel::{Digest, Node, NodeConfig, Statistics, named};
use crate::net::Network as Weather;
use crate::past::{Lie, PastError, Told};
use crate::rng::Stream;
use crate::scenario::{Jitter, Latency, NetworkSpec, Scenario};
use body::Body;
use byzantine::Sides;
use clients::Clients;
use hosts::{Cast, name};
use member::{Life, Settings};
use outrider_storage::{MemoryDisk, Store as _};
use outrider_types::{CommitteeError, Height};
use scribe::Scribe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use storm::Storm;
use wire::Air;

/// Longest step of simulated time, if nothing is said.
const TICK_MAX: Duration = Duration::from_millis(5);
/// Shortest one.
const TICK_MIN: Duration = Duration::from_millis(1);

/// What happened before a world begins.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Blocks ordered so far, in the first epoch.
    pub blocks: u64,
    /// Members that have none of it.
    pub empty: Vec<usize>,
    /// Members that have a snapshot of it and nothing else.
    pub joined: Vec<usize>,
    /// Members that answer wrongly about it, and how.
    pub liars: Vec<(usize, Lie)>,
}

/// Why a world cannot begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// The past.
    #[error(transparent)]
    Past(#[from] PastError),
    /// No such deed.
    #[error("no deed is called `{deed}`; `outrider docs sim-deeds` lists them")]
    Deed {
        /// The name.
        deed: String,
    },
    /// A number that names no host.
    #[error("the scenario names host {host}, there are {hosts}")]
    Host {
        /// Which.
        host: usize,
        /// How many there are.
        hosts: usize,
    },
    /// The simulation itself.
    #[error("at {at:?} the simulation failed: {reason}")]
    Simulation {
        /// When.
        at: Duration,
        /// What it says.
        reason: String,
    },
    /// A checker found something.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// Longer than any world lasts.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// What a world is built from.
#[derive(Debug)]
pub(crate) struct Plan<'p> {
    scenario: &'p Scenario,
    seed: u64,
    keep_blocks: u64,
    /// Step of simulated time; none: what suits the latency.
    tick: Option<Duration>,
    /// Hosts that never build on L1, if there is one.
    lazy: Option<usize>,
    past: &'p Past,
}

/// A running world.
pub struct World<'a, O = ByHand> {
    sim: turmoil::Sim<'a>,
    scenario: Scenario,
    air: Arc<Air>,
    sides: Vec<Option<Arc<Mutex<Sides>>>>,
    storm: Storm,
    clients: Clients,
    observer: O,
    digest: Digest,
    statistics: Statistics,
    heights: Vec<u64>,
    views: Vec<u64>,
    told: Told,
    /// Time of the last fact.
    last: Micros,
}

impl<O> std::fmt::Debug for World<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("hosts", &self.heights.len())
            .finish_non_exhaustive()
    }
}

/// Locks even after a panic: every critical section here leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Shortest and longest delay between two hosts.
fn bounds(latency: &Latency) -> (Duration, Duration) {
    let (low, high) = match latency {
        Latency::Constant(delay) => (*delay, *delay),
        Latency::Uniform(low, high) => (*low, *high),
        Latency::Matrix(rows) => {
            let delays = || rows.iter().flatten().copied();
            (delays().min().unwrap_or(0), delays().max().unwrap_or(0))
        }
    };
    (Duration::from_micros(low), Duration::from_micros(high))
}

/// What happens to whole messages; none if nothing does.
fn weather(scenario: &Scenario, hosts: usize, seed: u64) -> Option<Mutex<Weather>> {
    let spec = &scenario.network;
    let calm = spec.loss <= 0.0
        && spec.duplicate <= 0.0
        && spec.jitter == Jitter::None
        && spec.bandwidth.is_none();
    let spec = NetworkSpec {
        // That is turmoil's part.
        latency: Latency::Constant(0),
        ..spec.clone()
    };
    let weather = || Weather::new(spec, hosts, scenario.gst, scenario.delta, seed);
    (!calm).then(|| Mutex::new(weather()))
}

impl<O: Observer> World<'_, O> {
    /// A world at its beginning.
    pub(crate) fn build(plan: &Plan<'_>, observer: O) -> Result<Self, WorldError> {
        let (scenario, seed) = (plan.scenario, plan.seed);
        let hosts = scenario.committee.hosts.max(scenario.members());
        if let Some(host) = named(scenario).into_iter().find(|host| *host >= hosts) {
            return Err(WorldError::Host { host, hosts });
        }
        let (low, high) = bounds(&scenario.network.latency);
        let whole_ms = |tick: Duration| Duration::from_millis(tick.as_millis() as u64);
        let tick = plan
            .tick
            .unwrap_or_else(|| whole_ms(low / 2).clamp(TICK_MIN, TICK_MAX));
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
            .simulation_duration(Duration::from_secs(1 << 20))
            .tick_duration(tick)
            .min_message_latency(low)
            .max_message_latency(high)
            .tcp_capacity(1_024)
            .build();
        let cast = Arc::new(Cast::new(scenario, &sim)?);
        let mut bodies = Vec::with_capacity(hosts);
        for (host, disk) in cast.disks(plan.past)?.into_iter().enumerate() {
            bodies.push(Arc::new(body_of(scenario, host, disk, seed)?));
        }
        let scribe = Scribe::new(observer.wants_deliveries());
        scribe.epoch(
            0,
            &cast.book.genesis,
            cast.book.hosts_of(&cast.book.genesis),
        );
        let air = Arc::new(Air {
            scribe,
            bodies,
            weather: weather(scenario, hosts, seed),
            gst: scenario.gst,
            counts: Mutex::default(),
            cast,
        });
        let mut world = Self {
            sim,
            sides: Vec::with_capacity(hosts),
            storm: Storm::new(scenario, hosts, seed),
            clients: Clients::new(scenario.workload.clone(), seed),
            observer,
            digest: Digest::default(),
            statistics: Statistics::default(),
            heights: vec![0; hosts],
            views: vec![0; hosts],
            told: Told::default(),
            last: 0,
            air,
            scenario: scenario.clone(),
        };
        for host in 0..hosts {
            world.add(plan, host);
        }
        world.set_latencies();
        // Who is late was never there.
        world.storm();
        Ok(world)
    }

    /// Put a host into the world.
    fn add(&mut self, plan: &Plan<'_>, host: usize) {
        let body = self.air.bodies[host].clone();
        let sides = body.deed.as_ref().map(|deed| {
            let config = NodeConfig {
                timers: plan.scenario.timers,
                idle_block: Duration::from_micros(plan.scenario.idle_block),
            };
            let (key, book) = (&self.air.cast.keys[host], &self.air.cast.book);
            let count = lock(deed).sides();
            let node = |_| Node::new(host, key.clone(), book.clone(), config);
            Arc::new(Mutex::new(Sides {
                nodes: (0..count).map(node).collect(),
                stream: Stream::new(plan.seed, &format!("adversary {host}")),
            }))
        });
        self.sides.push(sides.clone());
        let settings = Settings {
            seed: plan.seed,
            timers: plan.scenario.timers,
            idle_block: Duration::from_micros(plan.scenario.idle_block),
            keep_blocks: plan.keep_blocks,
            told: self.told.clone(),
            l1_lag: plan
                .lazy
                .map(|lazy| if host < lazy { NEVER } else { Duration::ZERO }),
        };
        let lie = plan.past.liars.iter().find(|(liar, _)| *liar == host);
        let lie = lie.map(|(_, lie)| (*lie, plan.past.blocks));
        let (air, starts) = (self.air.clone(), AtomicU64::new(0));
        self.sim.host(name(host), move || {
            let life = Life {
                settings: settings.clone(),
                body: body.clone(),
                air: air.clone(),
                incarnation: starts.fetch_add(1, Ordering::Relaxed),
                lie,
            };
            let sides = sides.clone();
            async move {
                match sides {
                    None => life.live().await,
                    Some(sides) => byzantine::live(life, sides).await,
                }
            }
        });
    }

    /// Links of a matrix have their own latencies, in both directions the mean of the two.
    fn set_latencies(&self) {
        let Latency::Matrix(rows) = &self.scenario.network.latency else {
            return;
        };
        let regions = rows.len().max(1);
        let delay = |a: usize, b: usize| {
            let row = rows.get(a % regions);
            row.and_then(|row| row.get(b % regions))
                .copied()
                .unwrap_or(0)
        };
        for a in 0..self.heights.len() {
            for b in 0..a {
                let mean = Duration::from_micros((delay(a, b) + delay(b, a)) / 2);
                self.sim.set_link_latency(name(a), name(b), mean);
            }
        }
    }

    /// Let time pass up to this instant.
    ///
    /// # Errors
    ///
    /// [`WorldError::Violation`] as soon as the observer finds one.
    pub fn run_to(&mut self, until: Duration) -> Result<(), WorldError> {
        self.run_until(micros(until))
    }

    fn run_until(&mut self, until: Micros) -> Result<(), WorldError> {
        while self.now() < until {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), WorldError> {
        self.storm();
        let bodies = self.air.bodies.iter();
        let open: Vec<&Arc<Body>> = bodies
            .filter(|body| body.is_honest() && self.storm.is_open(body.host))
            .collect();
        self.clients.act(micros(self.sim.elapsed()), &open);
        let at = self.sim.elapsed();
        self.sim.step().map_err(|error| WorldError::Simulation {
            at,
            reason: error.to_string(),
        })?;
        self.deaths();
        self.statistics.events += 1;
        for (at, fact) in self.air.scribe.take() {
            self.see(at, &fact)?;
        }
        Ok(())
    }

    /// Something that the world itself does.
    fn note(&self, fact: Fact) {
        self.air.scribe.note(micros(self.sim.elapsed()), fact);
    }

    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.last = self.last.max(at);
        match fact {
            Fact::Committed {
                member,
                record,
                transactions,
                ..
            } => {
                let height = record.block.height.0;
                self.heights[*member] = self.heights[*member].max(height);
                self.statistics.height = self.statistics.height.max(height);
                self.clients.done(transactions);
            }
            Fact::Entered {
                member,
                epoch,
                view,
                by_timeout,
                ..
            } => {
                self.views[*member] = view.0;
                if self.digest.enters(*epoch, view.0) {
                    self.statistics.views += 1;
                    self.statistics.timeouts += u64::from(*by_timeout);
                }
            }
            Fact::Accepted { .. } => self.statistics.accepted += 1,
            Fact::Delivered { from, to, number } => {
                self.digest.delivered(self.last, *from, *to, *number);
            }
            _ => {}
        }
        self.digest.fact(self.last, fact);
        self.observer.see(self.last, fact)
    }

    /// Simulated time since the beginning.
    #[must_use]
    pub fn now(&self) -> Micros {
        micros(self.sim.elapsed())
    }

    /// Who watches.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// Chained hash of everything that happened.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.digest.value()
    }

    /// What it came to so far; events are steps of the simulation.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (messages, bytes) = *lock(&self.air.counts);
        Statistics {
            messages,
            bytes,
            ..self.statistics.clone()
        }
    }

    /// The highest block that each host has committed.
    #[must_use]
    pub fn heights(&self) -> &[u64] {
        &self.heights
    }

    /// The view that each host is in.
    #[must_use]
    pub fn views(&self) -> &[u64] {
        &self.views
    }

    /// The highest block that a host has committed.
    #[must_use]
    pub fn height(&self, host: usize) -> Height {
        Height(self.heights[host])
    }

    /// Bytes that a host keeps on its disk.
    #[must_use]
    pub fn bytes_on_disk(&self, host: usize) -> u64 {
        self.air.bodies[host].disk.store().bytes_on_disk()
    }

    /// How often liars lied.
    #[must_use]
    pub fn lies(&self) -> u64 {
        self.told.count()
    }
}

/// A host as it is before it begins.
fn body_of(
    scenario: &Scenario,
    host: usize,
    disk: MemoryDisk,
    seed: u64,
) -> Result<Body, WorldError> {
    let named = scenario.byzantine.iter().find(|one| one.host == host);
    let deed = match named {
        None => None,
        Some(one) => {
            let unknown = || WorldError::Deed {
                deed: one.deed.clone(),
            };
            Some(deed(&one.deed, &Setup::of(scenario, host, seed)).ok_or_else(unknown)?)
        }
    };
    Ok(Body::new(host, disk, deed, seed))
}
