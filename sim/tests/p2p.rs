//! The production network, unmodified, in turmoil: it heals from partition, crash and restart, keeps
//! strangers and wrong clocks out, and the same seed gives the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use bytes::Bytes;
use commonware_runtime::Supervisor as _;
use outrider_network::{
    Channel, Inbound, NetworkConfig, Peer, To, Tuning, start, transport_public_key, transport_seed,
};
use outrider_sim::turmoil::{Config, Context};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

const MEMBERS: usize = 4;
const PORT: u16 = 9_000;

/// A delivery, as seen at the receiver.
#[derive(Clone, Copy)]
struct Delivery {
    at: Duration,
    to: usize,
    from: usize,
    channel: Channel,
}

/// All deliveries of a run, and their chained hash.
#[derive(Default)]
struct Trace {
    hash: [u8; 32],
    deliveries: Vec<Delivery>,
    /// By node: what its last look found.
    connected: Vec<Vec<usize>>,
    never: Vec<Vec<usize>>,
}

impl Trace {
    fn record(&mut self, at: Duration, to: usize, inbound: &Inbound) {
        self.hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(at.as_nanos().to_le_bytes())
            .chain_update([to as u8, inbound.from as u8, inbound.channel as u8])
            .chain_update(&inbound.bytes)
            .finalize()
            .into();
        self.deliveries.push(Delivery {
            at,
            to,
            from: inbound.from,
            channel: inbound.channel,
        });
    }
}

/// What a node of the test does besides announcing.
#[derive(Clone, Default)]
struct Role {
    skew_ms: i64,
    /// Uses a key that the others do not know.
    stranger: bool,
    /// Blocks this member once it is connected to it.
    blocks: Option<usize>,
}

fn config(node: usize, role: &Role) -> NetworkConfig {
    let seed = |member: usize| transport_seed(&[member as u8; 32]);
    let address = |member: usize| SocketAddr::new(turmoil::lookup(format!("n{member}")), PORT);
    let key_seed = if role.stranger { [99; 32] } else { seed(node) };
    let peers = (0..MEMBERS).map(|member| Peer {
        public_key: transport_public_key(&if member == node {
            key_seed
        } else {
            seed(member)
        }),
        address: address(member),
    });
    NetworkConfig {
        namespace: b"outrider sim test".to_vec(),
        key_seed,
        listen: address(node),
        peers: peers.collect(),
        max_message_bytes: 1 << 16,
        tuning: Tuning {
            block_ms: 5_000,
            ..Tuning::default()
        },
    }
}

/// Announces on every channel each 100 ms and records what it hears.
async fn node(
    seed: u64,
    node: usize,
    incarnation: u64,
    role: Role,
    trace: Arc<Mutex<Trace>>,
) -> turmoil::Result {
    let context = Context::new(Config {
        skew_ms: role.skew_ms,
        ..Config::new(seed, node as u32, incarnation)
    });
    let mut panicked = std::pin::pin!(context.panicked());
    let mut network = start(context.child("network"), config(node, &role)).await?;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut sequence = 0_u64;
    let mut blocked = false;
    loop {
        let inbound = tokio::select! {
            biased;
            message = &mut panicked => return Err(message.into()),
            ended = &mut network.task => return Err(format!("network ended: {ended:?}").into()),
            inbound = network.consensus.recv() => inbound,
            inbound = network.payload.recv() => inbound,
            inbound = network.sync.recv() => inbound,
            _ = tick.tick() => {
                for channel in Channel::ALL {
                    let bytes = Bytes::from(format!("{node} {incarnation} {sequence}"));
                    network.outbound.send(channel, To::All, bytes)?;
                }
                sequence += 1;
                let connected = network.peers.connected().to_vec();
                if let Some(member) = role.blocks.filter(|member| connected.contains(member))
                    && !blocked
                {
                    blocked = network.peers.block(member);
                }
                let never = network.peers.never_connected();
                let mut trace = trace.lock().unwrap();
                trace.connected[node] = connected;
                trace.never[node] = never;
                continue;
            }
        };
        let inbound = inbound.ok_or("network ended")?;
        let at = turmoil::sim_elapsed().unwrap_or_default();
        trace.lock().unwrap().record(at, node, &inbound);
    }
}

struct World<'a> {
    sim: turmoil::Sim<'a>,
    trace: Arc<Mutex<Trace>>,
}

impl World<'_> {
    fn new(seed: u64, roles: [Role; MEMBERS]) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
            .simulation_duration(Duration::from_secs(3_600))
            .tick_duration(Duration::from_millis(5))
            .min_message_latency(Duration::from_millis(5))
            .max_message_latency(Duration::from_millis(50))
            .tcp_capacity(1_024)
            .build();
        let trace = Arc::new(Mutex::new(Trace {
            connected: vec![Vec::new(); MEMBERS],
            never: vec![Vec::new(); MEMBERS],
            ..Trace::default()
        }));
        for (number, role) in roles.into_iter().enumerate() {
            let trace = trace.clone();
            let starts = AtomicU64::new(0);
            sim.host(format!("n{number}"), move || {
                let incarnation = starts.fetch_add(1, Ordering::Relaxed);
                node(seed, number, incarnation, role.clone(), trace.clone())
            });
        }
        Self { sim, trace }
    }

    /// Runs to `seconds` of simulated time.
    fn run_to(&mut self, seconds: u64) {
        while self.sim.elapsed() < Duration::from_secs(seconds) {
            self.sim.step().expect("a node failed");
        }
    }

    /// Receiver, sender and channel of all deliveries between two times.
    fn heard(&self, from_s: u64, to_s: u64) -> BTreeSet<(usize, usize, Channel)> {
        let range = Duration::from_secs(from_s)..Duration::from_secs(to_s);
        let trace = self.trace.lock().unwrap();
        let within = trace.deliveries.iter().filter(|d| range.contains(&d.at));
        within.map(|d| (d.to, d.from, d.channel)).collect()
    }

    fn connected(&self, node: usize) -> Vec<usize> {
        self.trace.lock().unwrap().connected[node].clone()
    }
}

/// Every pair of `nodes` in both directions on every channel.
fn mesh(nodes: &[usize]) -> BTreeSet<(usize, usize, Channel)> {
    let pairs = nodes
        .iter()
        .flat_map(|&to| nodes.iter().map(move |&from| (to, from)));
    pairs
        .filter(|(to, from)| to != from)
        .flat_map(|(to, from)| Channel::ALL.map(|channel| (to, from, channel)))
        .collect()
}

/// Mesh, partition of n0, heal, crash of n1, restart; returns the hash of all deliveries.
fn troubled_run(seed: u64) -> [u8; 32] {
    const OTHERS: [&str; 3] = ["n1", "n2", "n3"];
    let mut world = World::new(seed, Default::default());
    world.run_to(5);
    assert_eq!(world.heard(3, 5), mesh(&[0, 1, 2, 3]), "seed {seed}: mesh");

    OTHERS
        .iter()
        .for_each(|&other| world.sim.partition("n0", other));
    world.run_to(10);
    assert_eq!(
        world.heard(8, 10),
        mesh(&[1, 2, 3]),
        "seed {seed}: partition"
    );
    assert!(
        world.connected(0).is_empty(),
        "seed {seed}: timeouts find out"
    );

    OTHERS
        .iter()
        .for_each(|&other| world.sim.repair("n0", other));
    world.run_to(16);
    assert_eq!(
        world.heard(14, 16),
        mesh(&[0, 1, 2, 3]),
        "seed {seed}: healed"
    );

    world.sim.crash("n1");
    world.run_to(20);
    assert_eq!(world.heard(19, 20), mesh(&[0, 2, 3]), "seed {seed}: crash");
    world.sim.bounce("n1");
    world.run_to(26);
    assert_eq!(
        world.heard(24, 26),
        mesh(&[0, 1, 2, 3]),
        "seed {seed}: restart"
    );
    world.trace.lock().unwrap().hash
}

#[test]
fn network_heals_and_same_seed_is_same_run() {
    let hash = troubled_run(1);
    println!("seed 1: {}", hex::encode(hash));
    assert_eq!(hash, troubled_run(1));
    assert_ne!(hash, troubled_run(2));
}

#[test]
fn stranger_is_never_heard() {
    let mut roles: [Role; MEMBERS] = Default::default();
    roles[3].stranger = true;
    let mut world = World::new(3, roles);
    world.run_to(15);
    assert_eq!(world.heard(0, 15), mesh(&[0, 1, 2]));
    assert!(world.connected(3).is_empty());
}

#[test]
fn wrong_clock_never_connects_and_is_named() {
    // The bound of 5 s is between two clocks: 8 s is out for the true ones, not for the one 4 s ahead.
    let mut roles: [Role; MEMBERS] = Default::default();
    roles[0].skew_ms = 8_000;
    roles[1].skew_ms = 4_000;
    let mut world = World::new(4, roles);
    world.run_to(15);
    let mut within_bound = mesh(&[0, 1, 2, 3]);
    within_bound.retain(|&(to, from, _)| to.min(from) != 0 || to.max(from) == 1);
    assert_eq!(world.heard(0, 15), within_bound);
    let trace = world.trace.lock().unwrap();
    assert_eq!(trace.never, [vec![2, 3], vec![], vec![0], vec![0]]);
}

#[test]
fn blocked_member_is_cut_off_for_its_time() {
    let mut roles: [Role; MEMBERS] = Default::default();
    roles[0].blocks = Some(2);
    let mut world = World::new(5, roles);
    world.run_to(5);
    let mut without: BTreeSet<_> = mesh(&[0, 1, 2, 3]);
    without.retain(|&(to, from, _)| (to, from) != (0, 2) && (to, from) != (2, 0));
    assert_eq!(world.heard(4, 5), without);
    assert_eq!(world.connected(0), [1, 3]);
    // Blocked once, for 5 s.
    world.run_to(15);
    assert_eq!(world.heard(13, 15), mesh(&[0, 1, 2, 3]));
}
