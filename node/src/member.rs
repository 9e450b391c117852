//! A member as a process: data folder, disk, network, driver, API and metrics, started in order and stopped in order.

use crate::api::{self, ApiError};
use crate::chain::{Chain, ChainError};
use crate::committee_file::{CommitteeFile, CommitteeFileError};
use crate::config::NodeConfig;
use crate::driver::{self, DriverConfig, DriverError, wall_clock};
use crate::handle::{Head, NodeHandle, SettlementReport};
use crate::keys::password::Password;
use crate::keys::{self, KeyFileError};
use crate::metrics::{self, Metrics, MetricsError};
use crate::seats::peer_of;
use crate::settlement::{
    self, AttestationJournal, AttestationJournalError, SettlementConfig, SettlementError,
};
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use outrider_l1::deployment::{Deployment, NetworkFileError};
use outrider_network::{
    NetworkConfig, NetworkError, Peer, runtime_config, transport_public_key, transport_seed,
};
use outrider_storage::{
    DataDirLock, FileJournal, Journal as _, JournalError, LockError, SledStore, StoreError,
};
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{Block, EpochStart, PublicKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Wei.
const GWEI: u128 = 1_000_000_000;
/// How long a clean stop may take before the process ends anyway; nothing is lost either way.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Where a running member listens.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// JSON-RPC over HTTP and WebSocket.
    pub rpc: SocketAddr,
    /// Prometheus.
    pub metrics: SocketAddr,
}

/// Why a member could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The data folder.
    #[error("cannot create the data folder {}: {source}; check the path and its access rights", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The committee file.
    #[error("node.committee: {0}")]
    Committee(#[from] CommitteeFileError),
    /// The key file.
    #[error("node.key: {0}")]
    Key(#[from] KeyFileError),
    /// The key of a stranger.
    #[error("node.key: {key} is not the key of a member of the committee in {}, nor of the current one; use the right key file or committee file, or set node.follow = true to follow without a vote", committee.display())]
    NotAMember {
        /// The key.
        key: PublicKey,
        /// The committee file.
        committee: PathBuf,
    },
    /// The transport key in the committee file is another one.
    #[error(
        "node.committee: the transport key of member {name} does not belong to its key; `outrider keys show` prints the right one"
    )]
    TransportKey {
        /// Which.
        name: String,
    },
    /// Another process.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The vote journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal of attestations.
    #[error(transparent)]
    AttestationJournal(#[from] AttestationJournalError),
    /// The block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain on disk.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The p2p port, or the peers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The RPC port.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The metrics port.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Where the contracts are.
    #[error("l1.network: {0}")]
    L1Network(#[from] NetworkFileError),
    /// The settlement chain.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Signals of the operating system.
    #[error("cannot listen for signals: {0}")]
    Signal(std::io::Error),
    /// Our own bug.
    #[error("the driver ended without a reason: {0}")]
    Ended(commonware_runtime::Error),
}

/// What a member starts with.
struct Loaded {
    file: CommitteeFile,
    driver: DriverConfig,
    network: NetworkConfig,
}

/// Committee file and key, checked against each other.
fn load(config: &NodeConfig) -> Result<Loaded, MemberError> {
    let file = CommitteeFile::load(&config.node.committee)?;
    let key = keys::load_with(&config.node.key, || match &config.node.key_password_file {
        Some(path) => Ok(Password::read_file(path)?),
        None => Err(KeyFileError::Encrypted(config.node.key.clone())),
    })?;
    let key_seed = transport_seed(&key.seed());
    let transport = transport_public_key(&key_seed);
    let listed = file
        .committee
        .index_of(&key.public_key())
        .and_then(|member| file.members.get(member.index()));
    if let Some(entry) = listed.filter(|entry| entry.transport_key.0 != transport) {
        return Err(MemberError::TransportKey {
            name: entry.name.clone(),
        });
    }
    // Whoever is not in the file follows, and may be a member of a later epoch.
    let contact = Peer {
        public_key: transport,
        address: listed.map_or(config.p2p.listen, |entry| entry.address),
    };
    let network = NetworkConfig {
        // Members of another chain never get past the handshake.
        namespace: format!("outrider {}", Block::genesis(&file.committee).id()).into_bytes(),
        key_seed,
        listen: config.p2p.listen,
        peers: Vec::new(),
        max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
        tuning: config.p2p.tuning.clone(),
    };
    let mut mempool = config.mempool.clone();
    mempool.rollups = file.rollups.clone();
    let driver = DriverConfig {
        key,
        contact,
        consensus: config.consensus.replica(),
        mempool,
        idle_block: config.consensus.idle_block(),
        workers: usize::try_from(config.node.verify_workers).unwrap_or(1),
        accept_lost_journal: config.node.unsafe_accept_lost_journal,
        evidence_views: config.storage.evidence_views,
        keep_blocks: config.storage.keep_blocks,
        l1_lag: config.l1.lag(),
    };
    Ok(Loaded {
        file,
        driver,
        network,
    })
}

/// Run a member until SIGINT or SIGTERM. `ready` is called once it listens.
pub fn run(
    config: NodeConfig,
    ready: impl FnOnce(Listening) + Send + 'static,
) -> Result<(), MemberError> {
    let data = config.node.data_dir.clone();
    create(&data)?;
    // Held until the process ends: two members on one folder would sign twice.
    let _lock = DataDirLock::acquire(&data)?;
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = runtime_config(&config.p2p.tuning, workers, &data.join("runtime"));
    let loaded = load(&config)?;
    runtime::Runner::new(runtime).start(|context| run_in(context, config, loaded, ready))
}

/// How the network settles, if it does.
fn settlement_of(config: &NodeConfig) -> Result<Option<SettlementConfig>, MemberError> {
    let section = &config.l1;
    let endpoints = section.urls();
    if endpoints.is_empty() {
        return Ok(None);
    }
    Ok(Some(SettlementConfig {
        deployment: Deployment::load(&section.network)?,
        endpoints,
        poll: Duration::from_millis(section.poll_ms),
        relay: section.relay,
        cadence: section.cadence(),
        fallback: Duration::from_secs(section.fallback_s),
        max_fee: u128::from(section.max_fee_gwei) * GWEI,
    }))
}

/// Whom to connect to at first: the members of the epoch, and ourselves.
fn peers(start: &EpochStart, ours: &Peer) -> Vec<Peer> {
    let mut peers: Vec<Peer> = start.contacts.iter().map(peer_of).collect();
    if peers.iter().all(|peer| peer.public_key != ours.public_key) {
        peers.push(ours.clone());
    }
    peers
}

fn create(path: &Path) -> Result<(), MemberError> {
    std::fs::create_dir_all(path).map_err(|source| MemberError::DataDir {
        path: path.to_owned(),
        source,
    })
}

async fn run_in(
    context: runtime::Context,
    config: NodeConfig,
    loaded: Loaded,
    ready: impl FnOnce(Listening),
) -> Result<(), MemberError> {
    let Loaded {
        file,
        driver,
        mut network,
    } = loaded;
    let data_dir = &config.node.data_dir;
    if !config.storage.durable() {
        tracing::warn!(
            "votes are NOT synced to the disk: after a power loss this member may sign twice and lose its stake"
        );
    }
    let store = SledStore::open(&data_dir.join("store"), config.storage.store())?;
    let counted = Arc::new(Metrics::new());
    let key = driver.key.public_key();
    let listed = file.committee.index_of(&key).is_some();
    let genesis = EpochStart {
        base: Block::genesis(&file.committee),
        committee: file.committee.clone(),
        contacts: file.members.clone(),
    };
    let chain = Chain::open(store, file.committee, file.members)?;
    let start = chain.epoch().clone();
    if !listed && start.committee.index_of(&key).is_none() && !config.node.follow {
        return Err(MemberError::NotAMember {
            key,
            committee: config.node.committee.clone(),
        });
    }
    // After everything that may be refused: opening a journal begins a new file of it.
    let journal = FileJournal::open(&data_dir.join("journal"), config.storage.journal())?;
    network.peers = peers(&start, &driver.contact);
    if start.committee.index_of(&key).is_none() {
        tracing::warn!(%key, epoch = %start.committee.epoch(), "this key is not a member's in the current epoch: following, without a vote");
    }
    let (handle, ends) = NodeHandle::new(start, Head::at_rest(&chain), key);
    let scraped = metrics::serve(counted.clone(), handle.clone(), &config.metrics).await?;
    let settlement = match settlement_of(&config)? {
        None => None,
        Some(settlement) => {
            let remembers = journal.latest().is_some() || driver.accept_lost_journal;
            let (folder, now) = (data_dir.join("attestations"), wall_clock(&context));
            let durable = config.storage.durable();
            let attested = AttestationJournal::open(&folder, remembers, now, durable)?;
            // Nobody shall be told before it has begun that there is no L1.
            let report = handle.settlement_report();
            report.send_replace(Some(SettlementReport::default()));
            Some((settlement, attested))
        }
    };
    let key = driver.key.clone();
    let served = api::serve(handle.clone(), &config.rpc, &driver.mempool).await?;
    let network = outrider_network::start(context.child("network"), network).await?;
    ready(Listening {
        rpc: served.local_addr(),
        metrics: scraped.local_addr(),
    });
    // On a thread of its own: the driver waits for its disk.
    let mut running = context.child("member").dedicated().spawn(move |context| {
        driver::run(context, driver, (journal, chain), network, ends, counted)
    });
    // Dropped when the member stops.
    let _settles = settlement
        .map(|(settlement, attested)| settlement::start(handle, key, genesis, attested, settlement))
        .transpose()?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(MemberError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(MemberError::Signal)?;
    tokio::select! {
        biased;
        ended = &mut running => {
            ended.map_err(MemberError::Ended)??;
            return Ok(());
        }
        _ = interrupt.recv() => tracing::info!("interrupted, stopping"),
        _ = terminate.recv() => tracing::info!("terminated, stopping"),
    }
    served.stop();
    // What does not stop in time is ended with the process.
    let _ = context.stop(0, Some(STOP_WITHIN)).await;
    match tokio::time::timeout(STOP_WITHIN, running).await {
        Ok(Ok(ended)) => Ok(ended?),
        // Stopped from outside, as asked.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
