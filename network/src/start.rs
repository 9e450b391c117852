//! From a configuration to a running network.

use crate::{
    Channel, Context, Gate, Inbox, NetworkConfig, NetworkError, Outbound, Peers, Tuning,
    config::{PEER_SETS, at_least_1, ms, peers_max, quota, size_at_least_1},
    keys,
    runtime::Upgrade,
};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Address, AddressableManager as _, authenticated::lookup};
use commonware_runtime::{Clock, Handle, Quota};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::ordered::Map;
use std::{fmt, sync::Arc};
use tracing::warn;

/// Wire id of the channel that only [`Peers`] uses, and on which nothing is sent.
const PRESENCE: u64 = 3;
/// Looks at the connections per second: twice what [`Peers`] asks for.
const PRESENCE_PER_S: u32 = 20;

/// A running network.
pub struct Network<E: Clock> {
    /// Our own member index.
    pub ours: usize,
    /// Sends on every channel.
    pub outbound: Outbound<E>,
    /// Receives [`Channel::Consensus`].
    pub consensus: Inbox,
    /// Receives [`Channel::Payload`].
    pub payload: Inbox,
    /// Receives [`Channel::Sync`].
    pub sync: Inbox,
    /// Connections and blame.
    pub peers: Peers<E>,
    /// Resolves when the network has ended: on the runtime's stop signal, or because a part of it
    /// failed, which a node must treat as fatal. Dropping it changes nothing. The network also
    /// ends with the task whose context was given to [`start`].
    pub task: Handle<()>,
}

impl<E: Clock> Network<E> {
    /// The same network, through a gate.
    #[must_use]
    pub fn gated(self, gate: &Arc<dyn Gate>) -> Self {
        Self {
            outbound: self.outbound.gated(gate.clone()),
            consensus: self.consensus.gated(gate.clone()),
            payload: self.payload.gated(gate.clone()),
            sync: self.sync.gated(gate.clone()),
            ..self
        }
    }
}

impl<E: Clock> fmt::Debug for Network<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("outbound", &self.outbound)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

/// Checks `config`, tries the port and starts the network as children of `context`.
///
/// # Errors
///
/// [`NetworkError`]: nothing was started. The port is tried first because the library panics when
/// it cannot listen; if another process takes it in the moment in between, that panic remains.
pub async fn start<E: Context>(
    context: E,
    config: NetworkConfig,
) -> Result<Network<E>, NetworkError> {
    let keys = Arc::new(config.check()?);
    let probe = context.bind(config.listen).await;
    drop(probe.map_err(|cause| NetworkError::Bind {
        address: config.listen,
        cause,
    })?);

    let (mut network, mut oracle) =
        lookup::Network::new(context.child("p2p"), lookup_config(&config));
    let mut register =
        |channel: Channel| network.register(channel.id(), quota(config.tuning.channel(channel)));
    let (consensus_tx, consensus_rx) = register(Channel::Consensus);
    let (payload_tx, payload_rx) = register(Channel::Payload);
    let (sync_tx, sync_rx) = register(Channel::Sync);
    let presence_quota = Quota::per_second(at_least_1(PRESENCE_PER_S)).allow_burst(at_least_1(1));
    let (presence, _) = network.register(PRESENCE, presence_quota);

    let peers: Vec<(PublicKey, Address)> = config
        .peers
        .iter()
        .enumerate()
        .filter_map(|(at, peer)| Some((keys.key(at)?, peer.address.into())))
        .collect();
    assert_eq!(peers.len(), keys.len());
    let Ok(peers) = Map::try_from(peers) else {
        unreachable!("keys were checked distinct");
    };
    let feedback = oracle.track(0, peers);
    if !feedback.accepted() {
        warn!(?feedback, "peer set not accepted");
    }

    let task = network.start();
    let senders = [consensus_tx, payload_tx, sync_tx];
    Ok(Network {
        ours: keys.ours(),
        outbound: Outbound::new(keys.clone(), config.max_message_bytes, senders),
        consensus: Inbox::new(Channel::Consensus, keys.clone(), consensus_rx),
        payload: Inbox::new(Channel::Payload, keys.clone(), payload_rx),
        sync: Inbox::new(Channel::Sync, keys.clone(), sync_rx),
        peers: Peers::new(
            keys,
            context,
            oracle,
            presence,
            peers_max(config.peers.len()),
        ),
        task,
    })
}

fn lookup_config(config: &NetworkConfig) -> lookup::Config<Upgrade> {
    let tuning: &Tuning = &config.tuning;
    let upgrade = Cups::new(
        Sake {
            signer: keys::private_key(&config.key_seed),
            synchrony_bound: ms(tuning.synchrony_bound_ms),
            max_handshake_age: ms(tuning.max_handshake_age_ms),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let per_ip = tuning.handshakes_per_ip_per_s;
    lookup::Config {
        handshake: upgrade,
        namespace: config.namespace.clone(),
        listen: config.listen,
        // Members of a devnet, of one data centre, of a simulation have private addresses.
        allow_private_ips: true,
        allow_dns: false,
        bypass_ip_check: !tuning.check_peer_ip,
        max_message_size: config.max_message_bytes,
        max_peers_per_set: size_at_least_1(peers_max(config.peers.len())),
        mailbox_size: size_at_least_1(tuning.mailbox_messages as usize),
        send_batch_size: size_at_least_1(tuning.send_batch_messages as usize),
        handshake_timeout: ms(tuning.handshake_timeout_ms),
        dial_timeout: ms(tuning.dial_timeout_ms),
        peer_connection_cooldown: ms(tuning.cooldown_ms),
        max_concurrent_handshakes: at_least_1(tuning.handshakes_concurrent),
        allowed_handshake_rate_per_ip: Quota::per_second(at_least_1(per_ip)),
        allowed_handshake_rate_per_subnet: Quota::per_second(at_least_1(per_ip.saturating_mul(2))),
        ping_frequency: ms(tuning.ping_ms),
        dial_frequency: ms(tuning.dial_ms),
        tracked_peer_sets: size_at_least_1(PEER_SETS),
        block_duration: ms(tuning.block_ms),
    }
}
