//! JSON-RPC 2.0 over HTTP and WebSocket on one port.
//!
//! `/` serves the native methods, `/rollup/{id}` the ones that wallets speak (what needs state is asked of the rollup's
//! execution node), `/rollup/{id}/submit` takes transactions as plain bytes, `/conductor/{id}`
//! stands in for op-conductor, and GET answers files. One table of methods
//! drives the documentation and `rpc.discover`; a test calls every one of them.

mod bundle;
mod errors;
mod ethereum;
mod execution;
mod get;
mod lane_stream;
mod lanes;
mod native;
mod op_conductor;
mod openrpc;
mod receipt;
mod rollups;
mod sse;
mod submit;
mod table;
mod tags;
mod ui;
mod wire;

use crate::config::RpcConfig;
use crate::handle::NodeHandle;
use ethereum::HashIndex;
use execution::Executions;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};
use op_conductor::Conductors;
use outrider_mempool::Limits;
use outrider_types::RollupId;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

pub use errors::ErrorCode;
pub use lane_stream::{BEHIND_MAX, Cursor, From, LaneEvent, NotFrom, StreamedLane};
pub use lanes::ServedRange;
pub use openrpc::to_json as to_openrpc;
pub use rollups::RollupInfo;
pub use submit::SUBMIT_MANY_MAX;
pub use table::{BLOCK_TAG, EVENT_FILTER, METHODS, Method, Parameter, to_markdown};
pub use wire::{
    BlockInfo, Health, LimitsInfo, Notification, Refusal, ServedBlock, ServedTransaction,
    Submitted, SubmittedBundle, SubmittedBytes, SubmittedOne,
};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The port.
    #[error(
        "rpc.listen: cannot listen on {address}: {source}; is another process on this port? Stop it, or change rpc.listen"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Our own bug: two methods with one name.
    #[error("a method cannot be registered: {0}")]
    Register(#[from] jsonrpsee::core::RegisterMethodError),
}

/// What methods work with.
pub(crate) struct Api {
    pub(crate) handle: NodeHandle,
    pub(crate) limits: LimitsInfo,
    pub(crate) hashes: Mutex<HashIndex>,
    pub(crate) executions: Executions,
    pub(crate) conductors: Conductors,
    /// Longest that `eth_sendRawTransactionSync` waits; the request must not time out before.
    pub(crate) receipt_wait_ms_max: u64,
}

/// Which rollup a request is for: put there from its path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// `/`.
    Root,
    /// `/rollup/{id}`.
    Rollup(RollupId),
    /// `/rollup/{id}/submit`.
    Submission(RollupId),
    /// `/conductor/{id}`.
    Conductor(RollupId),
    /// Anything else.
    Unknown,
}

impl Route {
    fn of(path: &str) -> Self {
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Self::Root;
        }
        if let Some(id) = path.strip_prefix("/conductor/") {
            let id = id.parse();
            return id.map_or(Self::Unknown, |id| Self::Conductor(RollupId(id)));
        }
        let Some(rest) = path.strip_prefix("/rollup/") else {
            return Self::Unknown;
        };
        let (id, route): (_, fn(RollupId) -> Self) = match rest.strip_suffix("/submit") {
            Some(id) => (id, Self::Submission),
            None => (rest, Self::Rollup),
        };
        id.parse().map_or(Self::Unknown, |id| route(RollupId(id)))
    }
}

/// A running server.
#[derive(Debug)]
pub struct RunningApi {
    address: SocketAddr,
    handle: ServerHandle,
}

impl RunningApi {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Take no more requests.
    pub fn stop(&self) {
        // Already stopped is stopped.
        let _ = self.handle.stop();
    }
}

/// All methods.
fn module(
    handle: NodeHandle,
    config: &RpcConfig,
    mempool: &Limits,
) -> Result<RpcModule<Api>, ApiError> {
    let conductors = Conductors::start(&handle, config);
    let mut module = RpcModule::new(Api {
        handle,
        limits: LimitsInfo::new(config, mempool),
        hashes: Mutex::default(),
        executions: Executions::new(config),
        conductors,
        receipt_wait_ms_max: config.request_timeout_ms / 2,
    });
    native::register(&mut module)?;
    submit::register(&mut module)?;
    bundle::register(&mut module)?;
    lanes::register(&mut module)?;
    rollups::register(&mut module)?;
    ethereum::register(&mut module)?;
    op_conductor::register(&mut module)?;
    Ok(module)
}

/// Start serving. What the mempool takes is said by `outrider_limits`.
pub async fn serve(
    handle: NodeHandle,
    config: &RpcConfig,
    mempool: &Limits,
) -> Result<RunningApi, ApiError> {
    let streams = sse::Streams::new(handle.clone(), config.max_streams);
    let module = module(handle, config, mempool)?;
    let limits = ServerConfig::builder()
        .max_connections(config.max_connections)
        .max_request_body_size(config.max_request_bytes)
        .max_response_body_size(config.max_response_bytes)
        .max_subscriptions_per_connection(config.max_subscriptions_per_connection)
        .set_batch_request_config(BatchRequestConfig::Limit(config.max_batch_calls))
        .set_message_buffer_capacity(config.max_buffered_messages)
        .enable_ws_ping(PingConfig::new())
        .set_tcp_no_delay(true)
        .build();
    let route = tower::ServiceBuilder::new()
        .timeout(Duration::from_millis(config.request_timeout_ms))
        .map_request(submit::route)
        .map_request(op_conductor::password)
        .layer(get::GetLayer { streams });
    let listen = |source| ApiError::Listen {
        address: config.listen,
        source,
    };
    let server = Server::builder()
        .set_config(limits)
        .set_http_middleware(route)
        .build(config.listen)
        .await
        .map_err(listen)?;
    let address = server.local_addr().map_err(listen)?;
    Ok(RunningApi {
        address,
        handle: server.start(module),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeConfig;
    use crate::handle::Head;
    use outrider_types::{Block, EpochStart, testing};
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_table_has_what_is_served_and_nothing_else() {
        let (committee, keys) = testing::committee(&[1; 4]);
        let start = EpochStart {
            committee: committee.clone(),
            contacts: Vec::new(),
            base: Block::genesis(&committee),
        };
        let (handle, _ends) = NodeHandle::new(start, Head::default(), keys[0].public_key());
        let config = NodeConfig::from_parts(&toml::Table::new(), [], &[], Path::new("")).unwrap();
        let module = module(handle, &config.rpc, &config.mempool).unwrap();
        let served: BTreeSet<_> = module.method_names().collect();
        let described: BTreeSet<_> = METHODS.iter().map(|method| method.name).collect();
        assert_eq!(served, described);
        assert_eq!(described.len(), METHODS.len(), "no name twice");
    }
}
