//! Who the hosts are: keys, committees and contacts.

use super::CHAIN;
use crate::scenario::{Keys, Scenario};
use outrider_types::{
    Committee, CommitteeError, Contact, Epoch, Member, SecretKey, Stake, TransportKey,
};

/// The key of a host.
pub(super) fn key(keys: Keys, host: usize) -> SecretKey {
    let number = host as u64;
    match keys {
        Keys::Simulated => SecretKey::simulated(number),
        Keys::Ed25519 => {
            let mut seed = [0x5a; 32];
            seed[..8].copy_from_slice(&number.to_le_bytes());
            SecretKey::from_seed(&seed)
        }
    }
}

pub(super) fn committee_of(
    scenario: &Scenario,
    epoch: Epoch,
    members: Vec<Member>,
    faults: Option<(u64, u64)>,
) -> Result<Committee, CommitteeError> {
    let faults = faults.map(|(f, c)| (Stake(f), Stake(c)));
    let committee = match scenario.committee.keys {
        Keys::Simulated => Committee::simulated(CHAIN, epoch, members, faults)?,
        Keys::Ed25519 => Committee::new(CHAIN, epoch, members, faults)?,
    };
    Ok(committee.with_epoch_blocks(scenario.committee.epoch_blocks))
}

/// Where a host would be, if there were a network.
pub(super) fn contact(host: usize) -> Contact {
    let number = u16::try_from(host).unwrap_or(u16::MAX);
    let mut transport_key = [0x11; 32];
    transport_key[..8].copy_from_slice(&(host as u64).to_le_bytes());
    Contact {
        name: format!("m{host}"),
        transport_key: TransportKey(transport_key),
        address: ([10, 0, 0, 1], 9_000_u16.saturating_add(number)).into(),
        rpc: None,
        attester: None,
    }
}
