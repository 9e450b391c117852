//! Who the hosts of a world are: their keys and places, the committees they make, and the changes they agree on.

use super::{Past, WorldConfig};
use crate::past::{self, PastError};
use outrider_network::{NetworkConfig, Peer, Tuning, transport_public_key, transport_seed};
use outrider_node::chain::Chain;
use outrider_node::handle::NodeHandle;
use outrider_node::seats::peer_of;
use outrider_node::snapshot::{create, install};
use outrider_storage::MemoryDisk;
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{
    Aggregate, Approve, ChainId, Committee, CommitteeChange, CommitteeError, Contact, Epoch,
    EpochStart, Member, SecretKey, Signed, Stake, TransportKey,
};
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};

/// Where members listen.
const PORT: u16 = 9_000;
/// The chain of simulated committees.
const CHAIN: ChainId = ChainId(1);

pub(super) fn name(member: usize) -> String {
    format!("m{member}")
}

pub(super) fn seed_of(member: usize) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"outrider sim member")
        .chain_update((member as u64).to_le_bytes())
        .finalize()
        .into()
}

/// Everyone in the current committee approves of these hosts as the next one.
pub(super) async fn hand_in(handle: &NodeHandle, members: &[usize]) {
    let epoch = handle.epoch();
    let current = &epoch.committee;
    let blocks = current.epoch_blocks().unwrap_or_default();
    let Ok(next) = committee(current.epoch().next(), members, blocks) else {
        return;
    };
    let contacts = contacts(members);
    let approve = Approve {
        epoch: current.epoch(),
        change: CommitteeChange::id_of(&next, &contacts),
    };
    let seats = epoch.contacts.iter().zip(current.indexes());
    let approvals: Vec<_> = seats
        .filter_map(|(contact, member)| {
            let host: usize = contact.name.strip_prefix('m')?.parse().ok()?;
            let key = SecretKey::from_seed(&seed_of(host));
            Some(Signed::sign(approve, CHAIN, member, &key))
        })
        .collect();
    let Some(approvals) = Aggregate::assemble(&approvals) else {
        return;
    };
    let change = CommitteeChange {
        next,
        contacts,
        approvals,
    };
    // A change that comes too late for its epoch is refused; the test sees that nothing has changed.
    let _ = handle.submit_change(change).await;
}

/// Hosts with equal stakes.
pub(super) fn committee(
    epoch: Epoch,
    hosts: &[usize],
    blocks: u64,
) -> Result<Committee, CommitteeError> {
    let member = |host: &usize| Member {
        public_key: SecretKey::from_seed(&seed_of(*host)).public_key(),
        stake: Stake(1),
    };
    let members = hosts.iter().map(member).collect();
    Ok(Committee::new(CHAIN, epoch, members, None)?.with_epoch_blocks(blocks))
}

/// Disks of hosts of which some have a past.
pub(super) fn past_disks(
    sim: &turmoil::Sim<'_>,
    committee: &Committee,
    config: WorldConfig,
    past: &Past,
) -> Result<Vec<MemoryDisk>, PastError> {
    // In the order in which the hosts are made later, for that gives them their addresses.
    let contacts: Vec<Contact> = (0..config.hosts)
        .map(|host| contact_at(host, sim.lookup(name(host))))
        .take(config.members)
        .collect();
    let full = MemoryDisk::new();
    let mut chain = Chain::open(full.store(), committee.clone(), contacts.clone())?;
    let signers: Vec<SecretKey> = (0..config.members)
        .filter(|host| !past.empty.contains(host) && !past.joined.contains(host))
        .map(|host| SecretKey::from_seed(&seed_of(host)))
        .collect();
    past::make(&mut chain, &full, &signers, past.blocks)?;
    let mut snapshot = Vec::new();
    create(&chain, committee, &mut snapshot)?;
    let disk = |host| {
        let disk = MemoryDisk::new();
        if past.joined.contains(&host) {
            install(disk.store(), committee, contacts.clone(), &*snapshot)?;
        } else if !past.empty.contains(&host) && host < config.members {
            return Ok(full.copy());
        }
        Ok(disk)
    };
    (0..config.hosts).map(disk).collect()
}

pub(super) fn contact(host: usize) -> Contact {
    contact_at(host, turmoil::lookup(name(host)))
}

fn contact_at(host: usize, ip: IpAddr) -> Contact {
    Contact {
        name: name(host),
        transport_key: TransportKey(transport_public_key(&transport_seed(&seed_of(host)))),
        address: SocketAddr::new(ip, PORT),
        rpc: None,
    }
}

pub(super) fn contacts(hosts: &[usize]) -> Vec<Contact> {
    hosts.iter().map(|host| contact(*host)).collect()
}

pub(super) fn network_config(index: usize, epoch: &EpochStart) -> NetworkConfig {
    let ours = contact(index);
    let mut peers: Vec<Peer> = epoch.contacts.iter().map(peer_of).collect();
    if !epoch.contacts.contains(&ours) {
        peers.push(peer_of(&ours));
    }
    NetworkConfig {
        namespace: b"outrider sim".to_vec(),
        key_seed: transport_seed(&seed_of(index)),
        listen: ours.address,
        peers,
        max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
        tuning: Tuning::default(),
    }
}
