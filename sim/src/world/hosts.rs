//! Who the hosts of a world are: their keys and places, the committees they make, and the changes they agree on.

use super::{Past, WorldError};
use crate::kernel::{Book, CHAIN};
use crate::past::{self, PastError};
use crate::scenario::Scenario;
use outrider_network::{NetworkConfig, Peer, Tuning, transport_public_key, transport_seed};
use outrider_node::chain::Chain;
use outrider_node::seats::peer_of;
use outrider_node::snapshot::{create, install};
use outrider_storage::{Journal as _, MemoryDisk};
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::{
    Aggregate, Approve, Committee, CommitteeChange, CommitteeError, Contact, Epoch, Member,
    SafetyState, SecretKey, Signed, Stake, TransportKey,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where members listen.
const PORT: u16 = 9_000;

pub(super) fn name(host: usize) -> String {
    format!("m{host}")
}

fn seed_of(host: usize) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"outrider sim member")
        .chain_update((host as u64).to_le_bytes())
        .finalize()
        .into()
}

/// All hosts of a world.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) keys: Vec<SecretKey>,
    /// Keys of Byzantine hosts, by host.
    pub(super) corrupted: Vec<(usize, SecretKey)>,
    /// Hosts by key, contacts, and the first committee.
    pub(super) book: Arc<Book>,
    by_transport: BTreeMap<[u8; 32], usize>,
    members: usize,
    epoch_blocks: u64,
}

impl Cast {
    /// The hosts of a scenario; each gets its address here.
    pub(super) fn new(scenario: &Scenario, sim: &turmoil::Sim<'_>) -> Result<Self, CommitteeError> {
        let spec = &scenario.committee;
        let hosts = spec.hosts.max(spec.stakes.len());
        let keys: Vec<SecretKey> = (0..hosts)
            .map(|host| SecretKey::from_seed(&seed_of(host)))
            .collect();
        let contacts: Vec<Contact> = (0..hosts)
            .map(|host| Contact {
                name: name(host),
                transport_key: TransportKey(transport_public_key(&transport_seed(&seed_of(host)))),
                address: SocketAddr::new(sim.lookup(name(host)), PORT),
                rpc: None,
                attester: None,
            })
            .collect();
        let members = keys.iter().zip(&spec.stakes).map(|(key, stake)| Member {
            public_key: key.public_key(),
            stake: Stake(*stake),
        });
        let faults = spec.faults.map(|(f, c)| (Stake(f), Stake(c)));
        let genesis = Committee::new(CHAIN, Epoch(0), members.collect(), faults)?
            .with_epoch_blocks(spec.epoch_blocks);
        let by_transport = contacts.iter().zip(0..);
        let corrupted = scenario.byzantine.iter();
        Ok(Self {
            corrupted: corrupted
                .map(|one| (one.host, keys[one.host].clone()))
                .collect(),
            by_transport: by_transport
                .map(|(contact, host)| (contact.transport_key.0, host))
                .collect(),
            book: Arc::new(Book {
                hosts: (0..hosts)
                    .map(|host| (keys[host].public_key(), host))
                    .collect(),
                contacts,
                genesis,
            }),
            keys,
            members: spec.stakes.len(),
            epoch_blocks: spec.epoch_blocks,
        })
    }

    /// How many hosts there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn host_of_transport(&self, key: &[u8; 32]) -> Option<usize> {
        self.by_transport.get(key).copied()
    }

    /// Where the members of the first committee are.
    pub(super) fn first_contacts(&self) -> Vec<Contact> {
        self.book.contacts[..self.members].to_vec()
    }

    /// A change to these hosts with equal stakes, of which everyone in the current committee approves.
    pub(super) fn change(&self, current: &Committee, hosts: &[usize]) -> Option<CommitteeChange> {
        let member = |host: &usize| Member {
            public_key: self.keys[*host].public_key(),
            stake: Stake(1),
        };
        let members = hosts.iter().map(member).collect();
        let next = Committee::new(CHAIN, current.epoch().next(), members, None).ok()?;
        let next = next.with_epoch_blocks(self.epoch_blocks);
        let contacts: Vec<Contact> = hosts
            .iter()
            .map(|host| self.book.contacts[*host].clone())
            .collect();
        let approve = Approve {
            epoch: current.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        let seats = current.indexes().zip(self.book.hosts_of(current));
        let approvals: Vec<_> = seats
            .filter_map(|(member, host)| {
                let key = self.keys.get(host)?;
                Some(Signed::sign(approve, CHAIN, member, key))
            })
            .collect();
        Some(CommitteeChange {
            approvals: Aggregate::assemble(&approvals)?,
            next,
            contacts,
        })
    }

    /// How a host connects to these and to itself.
    pub(super) fn network(&self, host: usize, others: &[Contact]) -> NetworkConfig {
        let ours = &self.book.contacts[host];
        let mut peers: Vec<Peer> = others.iter().map(peer_of).collect();
        if !others.contains(ours) {
            peers.push(peer_of(ours));
        }
        NetworkConfig {
            namespace: b"outrider sim".to_vec(),
            key_seed: transport_seed(&seed_of(host)),
            listen: ours.address,
            peers,
            max_message_bytes: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
            tuning: Tuning::default(),
        }
    }

    /// The disks of all hosts as the world begins. Whoever has no past has a vote journal in which it signed nothing.
    pub(super) fn disks(&self, past: &Past) -> Result<Vec<MemoryDisk>, WorldError> {
        let disks = match past.blocks {
            0 => (0..self.len()).map(|_| MemoryDisk::new()).collect(),
            _ => self.past_disks(past)?,
        };
        for disk in &disks {
            let mut journal = disk.journal();
            if journal.latest().is_none() {
                self.begin_journal(&mut journal)?;
            }
        }
        Ok(disks)
    }

    fn begin_journal(&self, journal: &mut impl outrider_storage::Journal) -> Result<(), PastError> {
        Ok(journal.append(&SafetyState::new(&self.book.genesis).to_bytes())?)
    }

    fn past_disks(&self, past: &Past) -> Result<Vec<MemoryDisk>, PastError> {
        let (committee, contacts) = (&self.book.genesis, self.first_contacts());
        let full = MemoryDisk::new();
        let mut chain = Chain::open(full.store(), committee.clone(), contacts.clone())?;
        let signers: Vec<SecretKey> = (0..self.members)
            .filter(|host| !past.empty.contains(host) && !past.joined.contains(host))
            .map(|host| self.keys[host].clone())
            .collect();
        past::make(&mut chain, &full, &signers, past.blocks)?;
        let mut snapshot = Vec::new();
        create(&chain, committee, &mut snapshot)?;
        let disk = |host| {
            let disk = MemoryDisk::new();
            if past.joined.contains(&host) {
                install(disk.store(), committee, contacts.clone(), &*snapshot)?;
            } else if !past.empty.contains(&host) && host < self.members {
                return Ok(full.copy());
            }
            Ok(disk)
        };
        (0..self.len()).map(disk).collect()
    }
}
