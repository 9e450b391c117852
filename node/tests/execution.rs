//! Executions in running members: certified when a quorum agrees, and in nobody's way when it does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use outrider_finality::LaneClaim;
use outrider_mempool::Limits;
use outrider_network::{
    NetworkConfig, Peer, Tuning, runtime_config, start, transport_public_key, transport_seed,
};
use outrider_node::chain::Chain;
use outrider_node::driver::{self, DriverConfig};
use outrider_node::handle::{
    ExecutionTaken, ExecutionVoteError, Head, NodeHandle, SubmitError, TransactionStatus,
};
use outrider_node::metrics::Metrics;
use outrider_storage::{Journal as _, MemoryDisk};
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{
    Bytes, Contact, Epoch, Execution, Height, LaneHash, LaneHeight, MemberIndex, RollupId,
    SafetyState, Signed, StateRoot, StepsRoot, Transaction, TransportKey, testing,
};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// Ends a test that hangs. Nothing is measured against it.
const HANG: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ROLLUP: RollupId = RollupId(7);

/// All on loopback, on free ports that were found by binding port 0.
fn networks(members: usize) -> Vec<(NetworkConfig, Contact, Peer)> {
    let listeners: Vec<_> = (0..members)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let seeds: Vec<[u8; 32]> = (0..members)
        .map(|member| transport_seed(&testing::key(member).seed()))
        .collect();
    let peer = |(seed, address): (&[u8; 32], &SocketAddr)| Peer {
        public_key: transport_public_key(seed),
        address: *address,
    };
    let peers: Vec<Peer> = seeds.iter().zip(&addresses).map(peer).collect();
    let config = |member: usize| {
        let network = NetworkConfig {
            namespace: b"outrider execution test".to_vec(),
            key_seed: seeds[member],
            listen: addresses[member],
            peers: peers.clone(),
            max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap(),
            tuning: Tuning::default(),
        };
        let contact = Contact {
            name: format!("m{member}"),
            transport_key: TransportKey(transport_public_key(&seeds[member])),
            address: addresses[member],
            rpc: None,
            attester: None,
        };
        (network, contact, peers[member].clone())
    };
    (0..members).map(config).collect()
}

async fn member(
    context: &runtime::Context,
    index: usize,
    network: NetworkConfig,
    contacts: Vec<Contact>,
    contact: Peer,
    metrics: Arc<Metrics>,
) -> NodeHandle {
    let (committee, keys) = testing::committee(&[1; 4]);
    let disk = MemoryDisk::new();
    let mut journal = disk.journal();
    journal
        .append(&SafetyState::new(&committee).to_bytes())
        .unwrap();
    let chain = Chain::open(disk.store(), committee, contacts).unwrap();
    let key = keys[index].clone();
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
    context.child("member").spawn(move |context| async move {
        // Ends with the network, when the test does; before that the handle would say so.
        let _ = driver::run(context, config, (journal, chain), network, ends, metrics).await;
    });
    handle
}

/// Until it gives something.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(HANG, found).await.expect("it hangs")
}

/// Have something ordered; the height of its block.
async fn order(handle: &NodeHandle, data: &'static [u8]) -> Height {
    let transaction = Transaction {
        rollup: ROLLUP,
        data: Bytes::from_static(data),
    };
    let id = transaction.id();
    until(async || match handle.submit(transaction.clone()).await {
        Ok(_) | Err(SubmitError::Duplicate { .. }) => Some(()),
        Err(_) => None,
    })
    .await;
    until(async || match handle.status(id).await.unwrap() {
        TransactionStatus::Soft { height, .. } => Some(height),
        _ => None,
    })
    .await
}

fn said(hash: LaneHash, lane: u64, root: u8) -> Execution {
    Execution {
        epoch: Epoch(0),
        rollup: ROLLUP,
        lane: LaneHeight(lane),
        hash,
        state_root: StateRoot([root; 32]),
        steps: StepsRoot([2; 32]),
    }
}

fn sign(statement: Execution, member: u16) -> Signed<Execution> {
    let key = testing::key(usize::from(member));
    Signed::sign(statement, testing::CHAIN, MemberIndex(member), &key).into_inner()
}

async fn four(context: &runtime::Context) -> Vec<NodeHandle> {
    let networks = networks(4);
    let contacts: Vec<Contact> = networks.iter().map(|(_, it, _)| it.clone()).collect();
    let metrics: Vec<Arc<Metrics>> = (0..4).map(|_| Arc::new(Metrics::new())).collect();
    let mut handles = Vec::new();
    for (index, (network, _, peer)) in networks.into_iter().enumerate() {
        let context = context.child(["m0", "m1", "m2", "m3"][index]);
        let (contacts, metrics) = (contacts.clone(), metrics[index].clone());
        handles.push(member(&context, index, network, contacts, peer, metrics).await);
    }
    // What is passed on before they are connected is lost.
    for metrics in &metrics {
        until(async || {
            metrics
                .encode()
                .lines()
                .any(|line| line == "outrider_peers_connected 3")
                .then_some(())
        })
        .await;
    }
    handles
}

#[test]
fn a_quorum_certifies_what_it_executed_and_ordering_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let config = runtime_config(&Tuning::default(), 2, folder.path());
    runtime::Runner::new(config).start(|context| async move {
        let (committee, _) = testing::committee(&[1; 4]);
        let handles = four(&context).await;
        let height = order(&handles[0], b"one").await;
        let proof = until(async || handles[0].lane_proof(ROLLUP, height).await.unwrap()).await;
        let LaneClaim::Holds(found) = proof.claim else {
            panic!("the block holds a lane block");
        };
        let hash = found.lane.hash();
        let (right, wrong) = (said(hash, 1, 1), said(hash, 1, 9));

        // Two honest ones and a liar, each at another member.
        for (at, vote) in [
            (0, sign(right, 0)),
            (1, sign(right, 1)),
            (2, sign(wrong, 2)),
        ] {
            let taken = handles[at].execution_vote(vote).await.unwrap();
            assert_eq!(taken, Ok(ExecutionTaken::New));
        }
        let mut sides = Vec::new();
        for handle in &handles {
            sides = until(async || {
                let sides = handle.execution_sides(ROLLUP, LaneHeight(1)).await.unwrap();
                let heard: usize = sides.iter().map(|side| side.members.len()).sum();
                (heard == 3).then_some(sides)
            })
            .await;
            let none = handle.execution_certificate(ROLLUP, LaneHeight(1)).await;
            assert_eq!(none.unwrap(), None);
        }
        let told: Vec<_> = sides
            .iter()
            .map(|side| (side.statement, side.members.clone()))
            .collect();
        let honest = vec![MemberIndex(0), MemberIndex(1)];
        assert_eq!(told, [(right, honest), (wrong, vec![MemberIndex(2)])]);
        order(&handles[3], b"ordering goes on").await;

        // The liar cannot change its mind; a third honest one makes the certificate, at every member.
        let again = handles[2].execution_vote(sign(right, 2)).await.unwrap();
        assert_eq!(again, Ok(ExecutionTaken::Known));
        let last = handles[3].execution_vote(sign(right, 3)).await.unwrap();
        assert_eq!(last, Ok(ExecutionTaken::Certified));
        for handle in &handles {
            let ask = async || handle.execution_certificate(ROLLUP, LaneHeight(1)).await;
            let file = until(async || ask().await.unwrap()).await;
            assert_eq!(file.verify(&committee), Ok(right));
        }

        refuses_what_cannot_be(&handles[0], hash).await;
    });
}

async fn refuses_what_cannot_be(handle: &NodeHandle, hash: LaneHash) {
    let refused = async |vote| handle.execution_vote(vote).await.unwrap().unwrap_err();
    let mut forged = sign(said(hash, 1, 3), 3);
    forged.signer = MemberIndex(1);
    assert!(matches!(
        refused(forged).await,
        ExecutionVoteError::Invalid(_)
    ));
    let ahead = sign(said(hash, 1_000, 1), 0);
    assert!(matches!(
        refused(ahead).await,
        ExecutionVoteError::Ahead { .. }
    ));
    let other = sign(said(LaneHash([7; 32]), 1, 1), 0);
    assert_eq!(refused(other).await, ExecutionVoteError::OtherLane);
    let later = Execution {
        epoch: Epoch(1),
        ..said(hash, 1, 1)
    };
    assert!(matches!(
        refused(sign(later, 0)).await,
        ExecutionVoteError::Epoch { .. }
    ));
}
