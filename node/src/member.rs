//! A member as a process: data folder, disk, network, driver, API and metrics, started in order and stopped in order.

use crate::api::{self, ApiError};
use crate::committee_file::{CommitteeFile, CommitteeFileError};
use crate::config::NodeConfig;
use crate::driver::{self, DriverConfig, DriverError};
use crate::handle::NodeHandle;
use crate::keys::{self, KeyFileError};
use crate::metrics::{self, Metrics, MetricsError};
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use outrider_network::{
    NetworkConfig, NetworkError, runtime_config, start, transport_public_key, transport_seed,
};
use outrider_storage::{DataDirLock, FileJournal, JournalError, LockError, SledStore, StoreError};
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{Block, PublicKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

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
    #[error("node.key: {key} is not the key of a member of the committee in {}; use the right key file or committee file", committee.display())]
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
    /// The block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The p2p port, or the peers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The RPC port.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The metrics port.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
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

/// Committee file and key, checked against each other.
fn load(config: &NodeConfig) -> Result<(DriverConfig, NetworkConfig), MemberError> {
    let file = CommitteeFile::load(&config.node.committee)?;
    let key = keys::load(&config.node.key)?;
    let (committee, public_key) = (file.committee.clone(), key.public_key());
    let member = committee
        .index_of(&public_key)
        .ok_or_else(|| MemberError::NotAMember {
            key: public_key,
            committee: config.node.committee.clone(),
        })?;
    let key_seed = transport_seed(&key.seed());
    let peers = file.peers();
    let ours = peers.get(member.index());
    if ours.is_none_or(|peer| peer.public_key != transport_public_key(&key_seed)) {
        let name = file
            .members
            .get(member.index())
            .map(|entry| entry.name.clone())
            .unwrap_or_default();
        return Err(MemberError::TransportKey { name });
    }
    let network = NetworkConfig {
        // Members of another chain, or of another committee of this one, never get past the handshake.
        namespace: format!("outrider {}", Block::genesis(&committee).id()).into_bytes(),
        key_seed,
        listen: config.p2p.listen,
        peers,
        max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
        tuning: config.p2p.tuning.clone(),
    };
    let mut mempool = config.mempool.clone();
    mempool.rollups = file.rollups;
    let driver = DriverConfig {
        committee,
        member,
        key,
        consensus: config.consensus.replica(),
        mempool,
        idle_block: config.consensus.idle_block(),
        workers: usize::try_from(config.node.verify_workers).unwrap_or(1),
        accept_lost_journal: config.node.unsafe_accept_lost_journal,
        evidence_views: config.storage.evidence_views,
    };
    Ok((driver, network))
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
    let (driver, network) = load(&config)?;
    runtime::Runner::new(runtime).start(|context| run_in(context, config, driver, network, ready))
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
    driver: DriverConfig,
    network: NetworkConfig,
    ready: impl FnOnce(Listening),
) -> Result<(), MemberError> {
    let data_dir = &config.node.data_dir;
    if !config.storage.durable() {
        tracing::warn!(
            "votes are NOT synced to the disk: after a power loss this member may sign twice and lose its stake"
        );
    }
    let journal = FileJournal::open(&data_dir.join("journal"), config.storage.journal())?;
    let store = SledStore::open(&data_dir.join("store"), config.storage.store())?;
    let counted = Arc::new(Metrics::new());
    let (handle, ends) = NodeHandle::new(driver.committee.clone(), driver.member);
    let scraped = metrics::serve(counted.clone(), handle.clone(), &config.metrics).await?;
    let served = api::serve(handle, &config.rpc, &driver.mempool).await?;
    let network = start(context.child("network"), network).await?;
    ready(Listening {
        rpc: served.local_addr(),
        metrics: scraped.local_addr(),
    });
    // On a thread of its own: the driver waits for its disk.
    let mut running = context.child("member").dedicated().spawn(move |context| {
        driver::run(context, driver, (journal, store), network, ends, counted)
    });
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
