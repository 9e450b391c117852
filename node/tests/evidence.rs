//! Evidence in running members: found, stored, sent to all, and passed on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use outrider_mempool::Limits;
use outrider_network::{
    Channel, Network, NetworkConfig, Peer, To, Tuning, runtime_config, start, transport_public_key,
    transport_seed,
};
use outrider_node::chain::Chain;
use outrider_node::driver::{self, DriverConfig};
use outrider_node::handle::{Head, NodeHandle};
use outrider_node::metrics::Metrics;
use outrider_storage::{Journal as _, MemoryDisk};
use outrider_types::evidence::Pair;
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{
    BlockId, Committee, ConsensusMessage, Contact, Epoch, Evidence, MemberIndex, Offence,
    SafetyState, SecretKey, Signed, SyncMessage, TransportKey, View, Vote, decode, encode, testing,
};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// Ends a test that hangs. Nothing is measured against it.
const HANG: Duration = Duration::from_secs(120);
/// Who lies. Members 0 and 2 are honest, member 3 is down.
const LIAR: usize = 1;

fn vote(block: u8) -> Vote {
    Vote {
        epoch: Epoch(0),
        view: View(1),
        block: BlockId([block; 32]),
    }
}

fn sign(keys: &[SecretKey], member: usize, vote: Vote) -> Signed<Vote> {
    let index = MemberIndex(u16::try_from(member).unwrap());
    Signed::sign(vote, testing::CHAIN, index, &keys[member]).into_inner()
}

/// All on loopback, on free ports that were found by binding port 0.
fn networks(members: usize) -> Vec<(NetworkConfig, Peer)> {
    let listeners: Vec<_> = (0..members)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let seeds: Vec<[u8; 32]> = (0..members)
        .map(|member| transport_seed(&testing::key(member).seed()))
        .collect();
    let peers: Vec<Peer> = seeds
        .iter()
        .zip(&addresses)
        .map(|(seed, address)| Peer {
            public_key: transport_public_key(seed),
            address: *address,
        })
        .collect();
    let config = |((key_seed, listen), peer): (([u8; 32], SocketAddr), &Peer)| {
        let network = NetworkConfig {
            namespace: b"outrider evidence test".to_vec(),
            key_seed,
            listen,
            peers: peers.clone(),
            max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap(),
            tuning: Tuning::default(),
        };
        (network, peer.clone())
    };
    let own = seeds.into_iter().zip(addresses);
    own.zip(&peers).map(config).collect()
}

/// Where the members are, as their committee file says.
fn contacts(networks: &[(NetworkConfig, Peer)]) -> Vec<Contact> {
    let contact = |(member, (network, _)): (usize, &(NetworkConfig, Peer))| Contact {
        name: format!("m{member}"),
        transport_key: TransportKey(transport_public_key(&network.key_seed)),
        address: network.listen,
        rpc: None,
        attester: None,
    };
    networks.iter().enumerate().map(contact).collect()
}

async fn honest(
    context: &runtime::Context,
    member: usize,
    (network, contact): (NetworkConfig, Peer),
    contacts: Vec<Contact>,
    disk: &MemoryDisk,
    metrics: &Arc<Metrics>,
) -> NodeHandle {
    let (committee, keys) = testing::committee(&[1; 4]);
    let mut journal = disk.journal();
    journal
        .append(&SafetyState::new(&committee).to_bytes())
        .unwrap();
    let chain = Chain::open(disk.store(), committee, contacts).unwrap();
    let key = keys[member].clone();
    let (handle, ends) = NodeHandle::new(
        chain.epoch().clone(),
        Head::at_rest(&chain),
        key.public_key(),
    );
    let config = DriverConfig {
        key,
        contact,
        consensus: outrider_consensus::Config::default(),
        mempool: Limits::default(),
        idle_block: Duration::from_millis(200),
        workers: 1,
        accept_lost_journal: false,
        evidence_views: 1_024,
        keep_blocks: 0,
        l1_lag: None,
    };
    let network = start(context.child("network"), network).await.unwrap();
    let metrics = metrics.clone();
    let child = context.child("member");
    child.spawn(move |context| async move {
        // Ends with the network, when the test does; before that the handle would say so.
        let _ = driver::run(context, config, (journal, chain), network, ends, metrics).await;
    });
    handle
}

/// E2: the liar tells its two votes to member 0 only, and hears of its guilt from both honest members.
async fn lie(network: &mut Network<runtime::Context>, committee: &Committee, keys: &[SecretKey]) {
    // Accuses an honest member of nothing: refused, blamed, and passed on by nobody.
    let legal = Evidence::DoubleVote(Pair {
        first: sign(keys, 2, vote(1)),
        second: sign(keys, 2, vote(1)),
    });
    let legal = encode(&SyncMessage::Evidence(legal));
    let (mut told_by, mut tick) = (
        [0_usize; 4],
        tokio::time::interval(Duration::from_millis(50)),
    );
    while told_by[0] == 0 || told_by[2] == 0 {
        let inbound = tokio::select! {
            biased;
            // What is sent before they are connected is lost, so it is said again, as members do.
            _ = tick.tick() => {
                network.outbound.send(Channel::Sync, To::All, legal.clone()).unwrap();
                for block in [1, 2] {
                    let message = ConsensusMessage::Vote(sign(keys, LIAR, vote(block)));
                    network.outbound.send(Channel::Consensus, To::One(0), encode(&message)).unwrap();
                }
                continue;
            }
            inbound = network.sync.recv() => inbound.expect("the network goes on"),
            _ = network.consensus.recv() => continue,
            _ = network.payload.recv() => continue,
        };
        if let Ok(SyncMessage::Evidence(evidence)) = decode(inbound.bytes) {
            let evidence = evidence.verify(committee).unwrap();
            assert_eq!(evidence.offence(), Offence::E2);
            assert_eq!(evidence.accused(), MemberIndex(1));
            told_by[inbound.from] += 1;
        }
    }
}

#[test]
fn a_double_vote_becomes_evidence_at_every_honest_member() {
    let folder = tempfile::tempdir().unwrap();
    let config = runtime_config(&Tuning::default(), 2, folder.path());
    runtime::Runner::new(config).start(|context| async move {
        let (committee, keys) = testing::committee(&[1; 4]);
        let mut networks = networks(4);
        let contacts = contacts(&networks);
        networks.truncate(3);
        let disks = [MemoryDisk::new(), MemoryDisk::new()];
        let metrics = [Arc::new(Metrics::new()), Arc::new(Metrics::new())];
        let last = networks.pop().unwrap();
        let liar = networks.pop().unwrap();
        let first = networks.pop().unwrap();
        let handles = [
            honest(
                &context.child("m0"),
                0,
                first,
                contacts.clone(),
                &disks[0],
                &metrics[0],
            )
            .await,
            honest(
                &context.child("m2"),
                2,
                last,
                contacts.clone(),
                &disks[1],
                &metrics[1],
            )
            .await,
        ];
        let mut network = start(context.child("m1"), liar.0).await.unwrap();
        tokio::time::timeout(HANG, lie(&mut network, &committee, &keys))
            .await
            .expect("the test hangs");
        for (handle, metrics) in handles.iter().zip(&metrics) {
            let page = handle.evidence(None).await.unwrap();
            assert_eq!((page.evidence.len(), page.next), (1, None));
            let checked = page.evidence[0].verify(Some(committee.id())).unwrap();
            assert_eq!((checked.offence, checked.member.0), (Offence::E2, 1));
            let text = metrics.encode();
            assert!(
                text.contains("outrider_evidence_total{offence=\"E2\"} 1"),
                "{text}"
            );
            assert!(
                text.contains("outrider_evidence_total{offence=\"E5\"} 0"),
                "{text}"
            );
        }
        // It was told only when it was on the disk.
        for disk in &disks {
            disk.crash(0);
            let chain = Chain::open(disk.store(), committee.clone(), contacts.clone()).unwrap();
            assert_eq!(chain.evidence_page(None).unwrap().0.len(), 1);
        }
    });
}
