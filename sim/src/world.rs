//! A turmoil world: a committee of production drivers over the unmodified network stack, on simulated disks.
//!
//! ```text
//! turmoil host per member: node::driver::run(context over turmoil, MemoryDisk, commonware-p2p over turmoil::net)
//! World::run_to(time) ----> commits of all members, hashed in order
//! ```

mod hosts;

use crate::past::{Lie, LyingStore, PastError, Told};
use crate::turmoil::{Config as ContextConfig, Context};
use commonware_runtime::Supervisor as _;
use hosts::{committee, contact, contacts, hand_in, name, network_config, past_disks, seed_of};
use outrider_consensus::Config as ConsensusConfig;
use outrider_mempool::Limits;
use outrider_network::start;
use outrider_node::chain::Chain;
use outrider_node::driver::{DriverConfig, run};
use outrider_node::handle::{DriverEnds, NodeHandle};
use outrider_node::metrics::Metrics;
use outrider_node::seats::peer_of;
use outrider_storage::{Journal as _, MemoryDisk, Store as _};
use outrider_types::{
    BlockId, Committee, CommitteeError, Epoch, Height, RollupId, SafetyState, SecretKey,
    Transaction, TransactionId, View,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// How often a member's clients submit a transaction.
const SUBMIT_EVERY: Duration = Duration::from_millis(100);

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub struct WorldConfig {
    /// Seed of everything.
    pub seed: u64,
    /// Hosts; the first `members` of them are the first committee.
    pub hosts: usize,
    /// Size of the first committee, equal stakes.
    pub members: usize,
    /// Heights in an epoch; 0: it does not end.
    pub epoch_blocks: u64,
    /// Final blocks that members keep; 0: all.
    pub keep_blocks: u64,
    /// Shortest one-way delay.
    pub latency_min: Duration,
    /// Longest one-way delay.
    pub latency_max: Duration,
    /// Step of simulated time.
    pub tick: Duration,
}

impl WorldConfig {
    /// Four members, 2 to 20 ms apart.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            hosts: 4,
            members: 4,
            epoch_blocks: 0,
            keep_blocks: 0,
            latency_min: Duration::from_millis(2),
            latency_max: Duration::from_millis(20),
            tick: Duration::from_millis(2),
        }
    }
}

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

/// A commit at one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When, in simulated time.
    pub at: Duration,
    /// At whom.
    pub member: usize,
    /// Height of the block.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its view.
    pub view: View,
    /// The block.
    pub block: BlockId,
    /// What it orders.
    pub transactions: Vec<TransactionId>,
}

/// What happened, and the chained hash of it.
#[derive(Debug, Default)]
struct Trace {
    hash: [u8; 32],
    commits: Vec<Commit>,
    submitted: BTreeMap<TransactionId, usize>,
    accepted: BTreeMap<TransactionId, usize>,
}

impl Trace {
    fn commit(&mut self, commit: Commit) {
        self.hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(commit.at.as_nanos().to_le_bytes())
            .chain_update((commit.member as u64).to_le_bytes())
            .chain_update(commit.height.0.to_le_bytes())
            .chain_update(commit.block.0)
            .finalize()
            .into();
        self.commits.push(commit);
    }
}

/// A safety violation, seen from outside the members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// S1.
    #[error(
        "member {member} committed {block} at height {height}, another member committed {other}"
    )]
    Disagreement {
        /// Who.
        member: usize,
        /// Where.
        height: Height,
        /// What.
        block: BlockId,
        /// What the other did.
        other: BlockId,
    },
    /// S10.
    #[error("transaction {id} is ordered at heights {first} and {second}")]
    OrderedTwice {
        /// Which.
        id: TransactionId,
        /// First.
        first: Height,
        /// Again.
        second: Height,
    },
}

/// Why a world cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// The past.
    #[error(transparent)]
    Past(#[from] PastError),
    /// A host failed or panicked.
    #[error("at {at:?} a member failed: {reason}")]
    Member {
        /// When.
        at: Duration,
        /// What it says.
        reason: String,
    },
}

/// A running world.
pub struct World<'a> {
    sim: turmoil::Sim<'a>,
    disks: Vec<MemoryDisk>,
    trace: Arc<Mutex<Trace>>,
    orders: Arc<Mutex<Orders>>,
    told: Told,
}

/// What operators want: the hosts of the next committee, and at which host they hand it in.
type Orders = Option<(usize, Vec<usize>)>;

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("members", &self.disks.len())
            .finish_non_exhaustive()
    }
}

fn lock<T>(trace: &Mutex<T>) -> MutexGuard<'_, T> {
    trace.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World<'_> {
    /// A world with all members started.
    pub fn new(config: WorldConfig) -> Result<Self, WorldError> {
        Self::with_past(config, &Past::default())
    }

    /// A world with all members started, some of which have a past. Those who have not did not sign it.
    pub fn with_past(config: WorldConfig, past: &Past) -> Result<Self, WorldError> {
        let members: Vec<usize> = (0..config.members).collect();
        let committee = committee(Epoch(0), &members, config.epoch_blocks)?;
        let mut sim = turmoil::Builder::new()
            .rng_seed(config.seed)
            .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
            .simulation_duration(Duration::from_secs(1 << 20))
            .tick_duration(config.tick)
            .min_message_latency(config.latency_min)
            .max_message_latency(config.latency_max)
            .tcp_capacity(1_024)
            .build();
        let trace = Arc::new(Mutex::new(Trace::default()));
        let orders = Arc::new(Mutex::new(None));
        let disks: Vec<MemoryDisk> = match past.blocks {
            0 => (0..config.hosts).map(|_| MemoryDisk::new()).collect(),
            _ => past_disks(&sim, &committee, config, past)?,
        };
        let told = Told::default();
        for (index, disk) in disks.iter().enumerate() {
            let (disk, trace, committee) = (disk.clone(), trace.clone(), committee.clone());
            let orders = orders.clone();
            let told = told.clone();
            let lie = past.liars.iter().find(|(liar, _)| *liar == index);
            let lie = lie.map(|(_, lie)| (*lie, past.blocks));
            let starts = AtomicU64::new(0);
            sim.host(name(index), move || {
                let incarnation = starts.fetch_add(1, Ordering::Relaxed);
                let host = Host {
                    config,
                    index,
                    incarnation,
                    committee: committee.clone(),
                    orders: orders.clone(),
                    lie,
                    told: told.clone(),
                };
                host.run(disk.clone(), trace.clone())
            });
        }
        Ok(Self {
            sim,
            disks,
            trace,
            orders,
            told,
        })
    }

    /// Bytes that a host keeps on its disk.
    #[must_use]
    pub fn bytes_on_disk(&self, host: usize) -> u64 {
        self.disks[host].store().bytes_on_disk()
    }

    /// How often liars lied.
    #[must_use]
    pub fn lies(&self) -> u64 {
        self.told.count()
    }

    /// All members of the current committee approve of these hosts as the next one; the change is handed in at one host.
    pub fn change_committee(&mut self, at: usize, members: &[usize]) {
        *lock(&self.orders) = Some((at, members.to_vec()));
    }

    /// The epoch of the last block that a host has committed.
    #[must_use]
    pub fn epoch(&self, host: usize) -> Epoch {
        let trace = lock(&self.trace);
        let last = trace
            .commits
            .iter()
            .rev()
            .find(|commit| commit.member == host);
        last.map_or(Epoch(0), |commit| commit.epoch)
    }

    /// A killed host loses its whole disk, vote journal included.
    pub fn erase(&mut self, member: usize) {
        self.disks[member].erase();
    }

    /// Let time pass up to this instant.
    pub fn run_to(&mut self, until: Duration) -> Result<(), WorldError> {
        while self.sim.elapsed() < until {
            let at = self.sim.elapsed();
            self.sim.step().map_err(|error| WorldError::Member {
                at,
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// Cut these members off from all others.
    pub fn partition(&mut self, members: &[usize]) {
        self.each_link(members, |sim, a, b| sim.partition(a, b));
    }

    /// Undo a partition of these members.
    pub fn repair(&mut self, members: &[usize]) {
        self.each_link(members, |sim, a, b| sim.repair(a, b));
    }

    /// Undo a partition between two members.
    pub fn repair_between(&mut self, one: usize, other: usize) {
        self.sim.repair(name(one), name(other));
    }

    fn each_link(&mut self, members: &[usize], act: impl Fn(&turmoil::Sim<'_>, String, String)) {
        for inside in members {
            for outside in (0..self.disks.len()).filter(|other| !members.contains(other)) {
                act(&self.sim, name(*inside), name(outside));
            }
        }
    }

    /// Kill a member; its disk keeps the first `keep` of the changes that were not synced.
    pub fn crash(&mut self, member: usize, keep: usize) {
        self.sim.crash(name(member));
        self.disks[member].crash(keep);
    }

    /// Start a killed member on what its disk holds.
    pub fn restart(&mut self, member: usize) {
        self.sim.bounce(name(member));
    }

    /// Hash of all commits of all members, in the order in which they happened.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        lock(&self.trace).hash
    }

    /// All commits, in the order in which they happened.
    #[must_use]
    pub fn commits(&self) -> Vec<Commit> {
        lock(&self.trace).commits.clone()
    }

    /// The highest block that a member has committed.
    #[must_use]
    pub fn height(&self, member: usize) -> Height {
        let trace = lock(&self.trace);
        trace
            .commits
            .iter()
            .filter(|commit| commit.member == member)
            .map(|commit| commit.height)
            .max()
            .unwrap_or_default()
    }

    /// Transactions that a member accepted and that no member has committed.
    #[must_use]
    pub fn unordered(&self) -> Vec<TransactionId> {
        let trace = lock(&self.trace);
        let ordered: std::collections::BTreeSet<_> = trace
            .commits
            .iter()
            .flat_map(|commit| commit.transactions.iter().copied())
            .collect();
        trace
            .accepted
            .keys()
            .filter(|id| !ordered.contains(id))
            .copied()
            .collect()
    }

    /// How many transactions were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        lock(&self.trace).accepted.len()
    }

    /// Check agreement (S1) and single inclusion (S10) over everything that was committed.
    pub fn check(&self) -> Result<(), Violation> {
        let trace = lock(&self.trace);
        let mut chain: BTreeMap<Height, BlockId> = BTreeMap::new();
        let mut places: BTreeMap<TransactionId, Height> = BTreeMap::new();
        for Commit {
            member,
            height,
            block,
            transactions,
            ..
        } in &trace.commits
        {
            let other = *chain.entry(*height).or_insert(*block);
            if other != *block {
                return Err(Violation::Disagreement {
                    member: *member,
                    height: *height,
                    block: *block,
                    other,
                });
            }
            for id in transactions {
                let first = *places.entry(*id).or_insert(*height);
                if first != *height {
                    return Err(Violation::OrderedTwice {
                        id: *id,
                        first,
                        second: *height,
                    });
                }
            }
        }
        Ok(())
    }
}

/// One incarnation of one member.
struct Host {
    config: WorldConfig,
    index: usize,
    incarnation: u64,
    committee: Committee,
    orders: Arc<Mutex<Orders>>,
    lie: Option<(Lie, u64)>,
    told: Told,
}

impl Host {
    async fn run(self, disk: MemoryDisk, trace: Arc<Mutex<Trace>>) -> turmoil::Result {
        let Self {
            config,
            index,
            incarnation,
            committee,
            orders,
            lie,
            told,
        } = self;
        let context = Context::new(ContextConfig::new(
            config.seed,
            u32::try_from(index)?,
            incarnation,
        ));
        let mut panicked = std::pin::pin!(context.panicked());
        let mut journal = disk.journal();
        if incarnation == 0 && journal.latest().is_none() {
            // A new member: its key has signed nothing.
            journal.append(&SafetyState::new(&committee).to_bytes())?;
        }
        let members: Vec<usize> = (0..config.members).collect();
        let store = LyingStore::new(disk.store(), lie, told);
        let chain = Chain::open(store, committee, contacts(&members))?;
        let epoch = chain.epoch().clone();
        let network = start(context.child("network"), network_config(index, &epoch)).await?;
        let key = SecretKey::from_seed(&seed_of(index));
        let (handle, ends): (NodeHandle, DriverEnds) = NodeHandle::new(epoch, key.public_key());
        let driver = DriverConfig {
            key,
            contact: peer_of(&contact(index)),
            consensus: ConsensusConfig::default(),
            mempool: Limits::default(),
            idle_block: Duration::from_millis(200),
            workers: 1,
            accept_lost_journal: false,
            evidence_views: 65_536,
            keep_blocks: config.keep_blocks,
        };
        let mut commits = handle.follow();
        let metrics = Arc::new(Metrics::new());
        let running = run(
            context.child("member"),
            driver,
            (journal, chain),
            network,
            ends,
            metrics,
        );
        let mut running = std::pin::pin!(running);
        let clients = client(handle, index, incarnation, (trace.clone(), orders));
        let mut client = std::pin::pin!(clients);
        loop {
            tokio::select! {
                biased;
                message = &mut panicked => return Err(message.into()),
                ended = &mut running => return Err(format!("m{index} ended: {ended:?}").into()),
                commit = commits.recv() => {
                    let commit = commit?;
                    lock(&trace).commit(Commit {
                        at: turmoil::sim_elapsed().unwrap_or_default(),
                        member: index,
                        height: commit.block.height,
                        epoch: commit.block.epoch,
                        view: commit.block.view,
                        block: commit.id,
                        transactions: commit.transactions.to_vec(),
                    });
                }
                () = &mut client => return Err("clients never end".into()),
            }
        }
    }
}

/// Submits transactions for two rollups, one after the other, for ever.
async fn client(
    handle: NodeHandle,
    index: usize,
    incarnation: u64,
    (trace, orders): (Arc<Mutex<Trace>>, Arc<Mutex<Orders>>),
) {
    for number in 0_u64.. {
        tokio::time::sleep(SUBMIT_EVERY).await;
        let ordered = {
            let mut orders = lock(&orders);
            if orders.as_ref().is_some_and(|(at, _)| *at == index) {
                orders.take()
            } else {
                None
            }
        };
        if let Some((_, members)) = ordered {
            hand_in(&handle, &members).await;
        }
        let data = format!("transaction {number} of client {index} in life {incarnation}");
        let transaction = Transaction {
            rollup: RollupId(1 + number % 2),
            data: data.into(),
        };
        lock(&trace).submitted.insert(transaction.id(), index);
        if let Ok(id) = handle.submit(transaction).await {
            lock(&trace).accepted.insert(id, index);
        }
    }
}
