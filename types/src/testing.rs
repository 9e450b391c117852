//! Committees with known keys, for tests, benches and the simulator. Never use such a key for anything real.

use crate::committee::{Committee, Member};
use crate::crypto::SecretKey;
use crate::ids::{ChainId, Epoch, Stake};

/// The chain id of test committees.
pub const CHAIN: ChainId = ChainId(7_777);

/// The key of member `index` in every test committee.
#[must_use]
pub fn key(index: usize) -> SecretKey {
    let mut seed = [0x5a; 32];
    seed[..8].copy_from_slice(&(index as u64).to_le_bytes());
    SecretKey::from_seed(&seed)
}

/// A committee with these stakes and the default faults, and its members' keys.
#[must_use]
pub fn committee(stakes: &[u64]) -> (Committee, Vec<SecretKey>) {
    committee_with(stakes, None)
}

/// A committee with these stakes and `(f, c)`, and its members' keys.
#[must_use]
#[allow(
    clippy::panic,
    reason = "a test committee that is not one is a mistake in the test"
)]
pub fn committee_with(
    stakes: &[u64],
    faults: Option<(Stake, Stake)>,
) -> (Committee, Vec<SecretKey>) {
    let keys: Vec<SecretKey> = (0..stakes.len()).map(key).collect();
    let members = keys
        .iter()
        .zip(stakes)
        .map(|(key, stake)| Member {
            public_key: key.public_key(),
            stake: Stake(*stake),
        })
        .collect();
    match Committee::new(CHAIN, Epoch(0), members, faults) {
        Ok(committee) => (committee, keys),
        Err(error) => panic!("not a committee: {error}"),
    }
}
