//! Every configuration fault is an error with its reason; mailboxes stay small.

use super::*;
use crate::{transport_public_key, transport_seed};
use std::net::{IpAddr, Ipv4Addr};

fn config(members: u8) -> NetworkConfig {
    let peers = (0..members)
        .map(|member| Peer {
            public_key: transport_public_key(&transport_seed(&[member; 32])),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_000 + u16::from(member)),
        })
        .collect();
    NetworkConfig {
        namespace: b"test".to_vec(),
        key_seed: transport_seed(&[0; 32]),
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_000),
        peers,
        max_message_bytes: 1 << 20,
        tuning: Tuning::default(),
    }
}

#[test]
fn good_config_finds_ourselves() {
    let mut config = config(4);
    config.key_seed = transport_seed(&[2; 32]);
    let keys = config.check().unwrap();
    assert_eq!((keys.ours(), keys.len()), (2, 4));
    for member in 0..4 {
        assert_eq!(keys.peer(&keys.key(member).unwrap()), Some(member));
    }
    assert!(keys.key(4).is_none());
}

#[test]
fn member_list_faults_are_named() {
    let mut empty = config(4);
    empty.peers.clear();
    assert!(matches!(
        empty.check(),
        Err(NetworkError::Members { members: 0 })
    ));

    let mut same_key = config(4);
    same_key.peers[3].public_key = same_key.peers[1].public_key;
    assert!(matches!(
        same_key.check(),
        Err(NetworkError::DuplicateKey {
            first: 1,
            second: 3
        })
    ));

    let mut same_address = config(4);
    same_address.peers[3].address = same_address.peers[2].address;
    assert!(matches!(
        same_address.check(),
        Err(NetworkError::DuplicateAddress {
            first: 2,
            second: 3,
            ..
        })
    ));

    let mut bad_key = config(4);
    // y = 2 is not on the curve
    bad_key.peers[1].public_key = [0; 32];
    bad_key.peers[1].public_key[0] = 2;
    assert!(matches!(
        bad_key.check(),
        Err(NetworkError::BadPublicKey { member: 1 })
    ));

    let mut stranger = config(4);
    stranger.key_seed = [9; 32];
    let message = stranger.check().unwrap_err().to_string();
    assert!(message.contains(&hex::encode(transport_public_key(&[9; 32]))));
}

#[test]
fn tuning_faults_are_named() {
    let mut zero = config(4);
    zero.tuning.sync.burst = 0;
    assert!(matches!(
        zero.check(),
        Err(NetworkError::Zero {
            setting: "sync.burst"
        })
    ));

    let mut slow_ping = config(4);
    slow_ping.tuning.ping_ms = slow_ping.tuning.read_write_timeout_ms;
    assert!(matches!(
        slow_ping.check(),
        Err(NetworkError::PingTooSlow { .. })
    ));

    let mut small = config(4);
    small.tuning.mailbox_messages = 127;
    assert!(matches!(
        small.check(),
        Err(NetworkError::MailboxTooSmall { need: 128, .. })
    ));
    small.tuning.mailbox_messages = 128;
    assert!(small.check().is_ok());
}

#[test]
fn message_limit_is_checked_at_its_edges() {
    let mut config = config(4);
    let limit = max_size::<Upgrade>();
    for (given, good) in [(0, false), (1, true), (limit, true), (limit + 1, false)] {
        config.max_message_bytes = given;
        assert_eq!(config.check().is_ok(), good, "{given}");
    }
}

#[test]
fn debug_output_keeps_the_seed() {
    let config = config(1);
    assert!(!format!("{config:?}").contains("key_seed"));
}

#[test]
fn mailboxes_stay_within_megabytes() {
    let tuning = Tuning::default();
    let memory = |members| mailbox_memory_bytes(&tuning, members);
    println!("4: {}, 100: {}", memory(4), memory(100));
    assert!(memory(4) < 6_000_000, "{}", memory(4));
    assert!(memory(100) < 50_000_000, "{}", memory(100));
    assert!(memory(4) > 4 * tuning.burst_total() * 64);
}

#[test]
fn floor_of_the_link_follows_batch_and_timeout() {
    let tuning = Tuning::default();
    assert_eq!(tuning.bandwidth_floor_bytes_per_s(1_000_000), 2_000_000);
}
