//! Real nodes on the production runtime and on loopback: a mesh forms, talks on every channel, and
//! neither garbage nor a flood disturbs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use bytes::Bytes;
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use futures::{FutureExt as _, future::join_all};
use outrider_network::{
    Channel, Gate, Inbound, Network, NetworkConfig, NetworkError, Peer, SendError, To, TrackError,
    Tuning, runtime_config, start, transport_public_key, transport_seed,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const MAX_MESSAGE_BYTES: u32 = 64 * 1024;
const NAMES: [&str; 4] = ["m0", "m1", "m2", "m3"];
const CORE: [Channel; 2] = [Channel::Consensus, Channel::Sync];
/// Ends a test that hangs. Nothing is measured against it.
const HANG: Duration = Duration::from_secs(120);

type Node = Network<runtime::Context>;

/// Free ports, found by binding port 0; all bound at once, so that they differ.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind(loopback).unwrap())
        .collect();
    listeners.iter().map(|l| l.local_addr().unwrap()).collect()
}

fn configs(tuning: &Tuning) -> Vec<NetworkConfig> {
    let seeds: Vec<[u8; 32]> = (1..=4).map(|i| transport_seed(&[i; 32])).collect();
    let addresses = free_addresses(seeds.len());
    let peers: Vec<Peer> = seeds
        .iter()
        .zip(&addresses)
        .map(|(seed, &address)| Peer {
            public_key: transport_public_key(seed),
            address,
        })
        .collect();
    seeds
        .iter()
        .zip(addresses)
        .map(|(&key_seed, listen)| NetworkConfig {
            namespace: b"outrider mesh test".to_vec(),
            key_seed,
            listen,
            peers: peers.clone(),
            max_message_bytes: MAX_MESSAGE_BYTES,
            tuning: tuning.clone(),
        })
        .collect()
}

/// Runs `test` on the production runtime.
fn run<Fut: Future<Output = ()>>(dir: &Path, test: impl FnOnce(runtime::Context) -> Fut) {
    let config = runtime_config(&Tuning::default(), 2, &dir.join("runtime"));
    runtime::Runner::new(config).start(|context| async move {
        tokio::time::timeout(HANG, test(context))
            .await
            .expect("the test hangs");
    });
}

async fn start_all(context: &runtime::Context, configs: Vec<NetworkConfig>) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (name, config) in NAMES.into_iter().zip(configs) {
        nodes.push(start(context.child(name), config).await.unwrap());
    }
    nodes
}

fn text(label: &str, from: usize, channel: Channel) -> Bytes {
    format!("{label} {from} {channel:?}").into_bytes().into()
}

/// Announces on `channels` until all `count` nodes have heard each other on each of them. Sends
/// vanish until peers are connected, so announcing repeats, as consensus does.
async fn hear_all(
    node: &mut Node,
    label: &str,
    count: usize,
    channels: &[Channel],
    done: &AtomicUsize,
) {
    let mut heard: BTreeSet<(usize, Channel)> = BTreeSet::new();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let want = (count - 1) * channels.len();
    let mut complete = false;
    while done.load(Ordering::SeqCst) < count {
        let Inbound {
            from,
            channel,
            bytes,
        } = tokio::select! {
            biased;
            _ = tick.tick() => {
                for &channel in channels {
                    let bytes = text(label, node.ours, channel);
                    node.outbound.send(channel, To::All, bytes).unwrap();
                }
                continue;
            }
            message = node.consensus.recv() => message.expect("network ended"),
            message = node.payload.recv(), if channels.contains(&Channel::Payload) => {
                message.expect("network ended")
            }
            message = node.sync.recv() => message.expect("network ended"),
        };
        assert_ne!(from, node.ours);
        // Left over from an earlier exchange otherwise.
        if bytes == text(label, from, channel) {
            heard.insert((from, channel));
        }
        if heard.len() == want && !complete {
            complete = true;
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn exchange(nodes: &mut [Node], label: &str, channels: &[Channel]) {
    let count = nodes.len();
    let done = AtomicUsize::new(0);
    let all = nodes
        .iter_mut()
        .map(|node| hear_all(node, label, count, channels, &done));
    join_all(all).await;
}

fn listing(dir: &Path) -> BTreeSet<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn mesh_exchanges_on_every_channel() {
    let dir = tempfile::tempdir().unwrap();
    let working_dir = std::env::current_dir().unwrap();
    let before = listing(&working_dir);
    run(dir.path(), |context| async move {
        let mut nodes = start_all(&context, configs(&Tuning::default())).await;
        exchange(&mut nodes, "first", &Channel::ALL).await;
        for (ours, node) in nodes.iter_mut().enumerate() {
            assert_eq!(
                (node.ours, node.peers.ours(), node.peers.members()),
                (ours, ours, 4)
            );
            node.peers.until_connected(3).await;
            let others: Vec<_> = (0..4).filter(|&member| member != ours).collect();
            assert_eq!(node.peers.connected(), others);
            assert!(node.peers.never_connected().is_empty());
            // Room for those who may join, in this epoch and the one before.
            assert_eq!(node.consensus.capacity().get(), 2 * (4 + 2 + 16) * 128);
            assert_eq!(node.consensus.strangers(), 0);
        }
        // The largest message passes, to some and to one.
        let largest = Bytes::from(vec![7; MAX_MESSAGE_BYTES as usize]);
        let sent =
            nodes[0]
                .outbound
                .send(Channel::Payload, To::Some(vec![0, 2, 3]), largest.clone());
        assert_eq!(sent, Ok(2));
        for to in [2, 3] {
            let bytes = async {
                loop {
                    let inbound = nodes[to].payload.recv().await.unwrap();
                    if inbound.from == 0 && inbound.bytes.len() == largest.len() {
                        return inbound.bytes;
                    }
                }
            };
            assert_eq!(bytes.await, largest);
        }
    });
    assert_eq!(
        listing(&working_dir),
        before,
        "junk in the working directory"
    );
    assert!(listing(dir.path()).len() <= 1);
}

#[test]
fn a_peer_that_is_tracked_later_joins_the_mesh_and_one_that_is_dropped_stays_for_a_set() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let all = configs(&Tuning::default());
        let peers = all[0].peers.clone();
        let early: Vec<NetworkConfig> = all[..3]
            .iter()
            .map(|config| NetworkConfig {
                peers: peers[..3].to_vec(),
                ..config.clone()
            })
            .collect();
        let mut nodes = start_all(&context, early).await;
        exchange(&mut nodes, "three", &CORE).await;
        nodes.push(start(context.child("late"), all[3].clone()).await.unwrap());
        // Whoever is tracked again keeps its index.
        for node in &mut nodes[..3] {
            assert_eq!(node.peers.track(&peers), Ok(vec![0, 1, 2, 3]));
        }
        exchange(&mut nodes, "four", &CORE).await;
        // Member 0 leaves: it is still heard until the next change.
        for node in &mut nodes[1..] {
            assert_eq!(node.peers.track(&peers[1..]), Ok(vec![1, 2, 3]));
        }
        exchange(&mut nodes, "last", &CORE).await;
    });
}

#[test]
fn peers_beyond_the_room_of_a_process_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let config = configs(&Tuning::default()).remove(0);
        let mut node = start(context.child("m0"), config.clone()).await.unwrap();
        let mut peers = config.peers;
        while peers.len() <= 22 {
            let seed = transport_seed(&[100 + u8::try_from(peers.len()).unwrap(); 32]);
            let mut peer = peers[0].clone();
            peer.public_key = transport_public_key(&seed);
            peers.push(peer);
        }
        let refused = TrackError::TooMany {
            peers: 23,
            limit: 22,
        };
        assert_eq!(node.peers.track(&peers), Err(refused));
        peers[1].public_key = peers[2].public_key;
        assert!(
            node.peers
                .track(&peers[..4])
                .is_ok_and(|indexes| indexes == [0, 2, 2, 3])
        );
    });
}

#[test]
fn oversize_send_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let config = configs(&Tuning::default()).remove(0);
        let mut node = start(context.child("m0"), config).await.unwrap();
        let limit = MAX_MESSAGE_BYTES as usize;
        for channel in Channel::ALL {
            for to in [To::All, To::One(1), To::Some(vec![1, 2])] {
                for (bytes, good) in [
                    (0, true),
                    (limit - 1, true),
                    (limit, true),
                    (limit + 1, false),
                ] {
                    let sent = node
                        .outbound
                        .send(channel, to.clone(), vec![0; bytes].into());
                    assert_eq!(sent.is_ok(), good, "{channel:?} {to:?} {bytes}");
                }
            }
        }
        assert_eq!(
            node.outbound
                .send(Channel::Sync, To::All, vec![0; limit + 1].into()),
            Err(SendError::TooLarge {
                channel: Channel::Sync,
                bytes: limit + 1,
                limit: MAX_MESSAGE_BYTES
            })
        );
    });
}

#[test]
fn unknown_member_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let config = configs(&Tuning::default()).remove(0);
        let mut node = start(context.child("m0"), config).await.unwrap();
        let mut send = |to| {
            node.outbound
                .send(Channel::Consensus, to, Bytes::from_static(b"x"))
        };
        let unknown = Err(SendError::UnknownMember {
            member: 4,
            members: 4,
        });
        assert_eq!(send(To::One(4)), unknown);
        assert_eq!(send(To::Some(vec![1, 4])), unknown);
        // To ourselves: nobody. To a member that is down: it vanishes.
        assert_eq!(send(To::One(0)), Ok(0));
        assert_eq!(send(To::One(3)), Ok(1));
        assert_eq!(send(To::All), Ok(0));
        assert_eq!(node.peers.never_connected(), [1, 2, 3]);
        assert_eq!(
            (
                node.peers.blame(2),
                node.peers.blame(2),
                node.peers.blame(4)
            ),
            (1, 2, 0)
        );
        assert_eq!(node.peers.blames(), [0, 0, 2, 0]);
        assert!(!node.peers.block(0) && !node.peers.block(4));
        assert!(node.peers.block(3));
    });
}

#[test]
fn taken_port_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let config = configs(&Tuning::default()).remove(0);
        let taken = TcpListener::bind(config.listen).unwrap();
        let error = start(context.child("m0"), config.clone())
            .await
            .unwrap_err();
        assert!(matches!(error, NetworkError::Bind { address, .. } if address == config.listen));
        drop(taken);
        assert!(start(context.child("again"), config).await.is_ok());
    });
}

#[test]
fn garbage_does_not_disturb_the_mesh() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let configs = configs(&Tuning::default());
        let target = configs[0].listen;
        let key_of_member_1 = configs[0].peers[1].public_key;
        let mut nodes = start_all(&context, configs).await;
        exchange(&mut nodes, "before", &Channel::ALL).await;

        // A frame as the handshake expects it first, with a member's key in it, then noise.
        let mut claims_member = vec![32];
        claims_member.extend(key_of_member_1);
        claims_member.extend([0xa5; 4096]);
        let garbage = [
            vec![0x00; 4096],
            vec![0xff; 4096],
            (0..=255).cycle().take(300_000).collect(),
            b"GET / HTTP/1.1\r\nHost: outrider\r\n\r\n".to_vec(),
            claims_member,
            Vec::new(), // says nothing, holds the connection
        ];
        let attackers = garbage.into_iter().map(|bytes| async move {
            let mut stream = TcpStream::connect(target).await.unwrap();
            // The node may hang up in the middle of it.
            let _ = stream.write_all(&bytes).await;
            let mut answer = Vec::new();
            // Ends when the node hangs up, with or without a reset.
            let _ = stream.take(1 << 20).read_to_end(&mut answer).await;
            answer
        });
        let (answers, ()) = futures::join!(
            join_all(attackers),
            exchange(&mut nodes, "during", &Channel::ALL)
        );
        assert!(answers.iter().all(Vec::is_empty), "answered to garbage");
        exchange(&mut nodes, "after", &Channel::ALL).await;
        for node in &mut nodes {
            node.peers.until_connected(3).await;
        }
    });
}

#[test]
fn flood_on_one_channel_starves_no_other() {
    const FLOOD: usize = 5_000;
    const FLOOD_BYTES: usize = 512;
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let mut tuning = Tuning::default();
        tuning.payload.per_second = 50;
        tuning.payload.burst = 8;
        let mut configs = configs(&tuning);
        // Member 3 does not keep to the quota.
        let flooder = &mut configs[3].tuning;
        flooder.payload.per_second = 1_000_000;
        flooder.payload.burst = FLOOD as u32;
        flooder.mailbox_messages = 2 * FLOOD as u32;
        let mut nodes = start_all(&context, configs).await;
        exchange(&mut nodes, "before", &Channel::ALL).await;

        let mut flooder = nodes.pop().unwrap();
        let flooded = context.child("flood").spawn(move |_| async move {
            let mut queued = 0;
            for _ in 0..FLOOD {
                let bytes = Bytes::from_static(&[0; FLOOD_BYTES]);
                let sent = flooder.outbound.send(Channel::Payload, To::All, bytes);
                queued += sent.unwrap();
            }
            (flooder, queued)
        });
        let (_flooder, queued) = flooded.await.unwrap();
        assert!(queued > FLOOD, "it must be a flood: {queued}");
        // Nobody reads Payload from here on, and the flood is under way.
        for label in ["one", "two", "three"] {
            exchange(&mut nodes, label, &CORE).await;
        }
        for node in &mut nodes {
            let capacity = node.payload.capacity().get();
            assert_eq!(capacity, 2 * (4 + 2 + 16) * 8);
            let mut queued = 0;
            while let Some(message) = node.payload.recv().now_or_never() {
                let bytes = message.expect("network ended").bytes;
                queued += usize::from(bytes.len() == FLOOD_BYTES);
            }
            assert!(queued > 0, "the flood came");
            assert!(queued <= 2 * capacity, "{queued}");
        }
    });
}

/// Holds up what is about to leave with these bytes, and what comes on the sync channel; counts the rest.
#[derive(Debug, Default)]
struct Toll {
    left: AtomicUsize,
    came: AtomicUsize,
}

impl Gate for Toll {
    fn leaves(&self, _: Channel, _: &To, bytes: &Bytes) -> bool {
        self.left.fetch_add(1, Ordering::SeqCst);
        bytes.as_ref() != b"held up"
    }

    fn arrives(&self, _: usize, channel: Channel, _: &Bytes) -> bool {
        self.came.fetch_add(1, Ordering::SeqCst);
        channel != Channel::Sync
    }
}

#[test]
fn gate_hears_everything_and_holds_up_what_it_must() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), |context| async move {
        let mut nodes = start_all(&context, configs(&Tuning::default())).await;
        exchange(&mut nodes, "before", &CORE).await;
        let (first, second) = (Arc::new(Toll::default()), Arc::new(Toll::default()));
        let gates: [Arc<dyn Gate>; 2] = [first.clone(), second.clone()];
        let mut nodes = nodes.into_iter();
        let mut from = nodes.next().unwrap().gated(&gates[0]);
        let mut to = nodes.next().unwrap().gated(&gates[1]);
        let mut say = |channel, bytes: &'static [u8]| {
            let bytes = Bytes::from_static(bytes);
            from.outbound.send(channel, To::One(1), bytes).unwrap()
        };
        assert_eq!(say(Channel::Consensus, b"held up"), 0, "it did not leave");
        assert_eq!(say(Channel::Sync, b"nobody hears this"), 1);
        assert_eq!(say(Channel::Consensus, b"passes"), 1);
        // Order holds within a channel, so what was held up would come first.
        let heard = loop {
            let inbound = to.consensus.recv().await.unwrap();
            // Left over from the exchange otherwise.
            if inbound.from == 0 && !inbound.bytes.starts_with(b"before") {
                break inbound.bytes;
            }
        };
        assert_eq!(heard.as_ref(), b"passes");
        assert_eq!(first.left.load(Ordering::SeqCst), 3);
        assert!(second.came.load(Ordering::SeqCst) >= 1);
        let key = from.outbound.transport_key(1).unwrap();
        assert_eq!(key, transport_public_key(&transport_seed(&[2; 32])));
        assert_eq!(from.outbound.peers(), 4);
    });
}
