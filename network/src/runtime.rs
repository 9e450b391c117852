//! What the network asks of a runtime, and the production runtime's settings.

use crate::config::{Tuning, ms};
use commonware_cryptography::{ChaCha20Poly1305, ed25519::PrivateKey};
use commonware_runtime::{Clock, Metrics, Network, Resolver, Spawner, tokio};
use commonware_stream::SakeCups;
use rand_core::CryptoRng;
use std::path::Path;

/// How a TCP connection becomes an authenticated, encrypted stream.
pub(crate) type Upgrade = SakeCups<PrivateKey, ChaCha20Poly1305>;

/// A commonware-runtime context that can carry the network: the bounds of
/// `lookup::Network::new` under one name. Implemented for everything that has them.
pub trait Context: Spawner + Clock + CryptoRng + Network + Resolver + Metrics {}

impl<E: Spawner + Clock + CryptoRng + Network + Resolver + Metrics> Context for E {}

/// Settings of the commonware tokio runner for production: `tuning`'s timeouts, no Nagle, and a
/// panic in any task ends the process.
///
/// The runner creates `storage_dir` at start and holds it; nothing of ours is kept in it, but with
/// the runner's own default every start would leave an empty directory in the temporary folder.
/// Pass a folder inside the node's data directory. Nothing is written to the working directory.
#[must_use]
pub fn runtime_config(tuning: &Tuning, worker_threads: usize, storage_dir: &Path) -> tokio::Config {
    tokio::Config::new()
        .with_worker_threads(worker_threads.max(1))
        .with_catch_panics(false)
        .with_connect_timeout(ms(tuning.connect_timeout_ms))
        .with_read_write_timeout(ms(tuning.read_write_timeout_ms))
        .with_tcp_nodelay(Some(true))
        .with_storage_directory(storage_dir)
}
