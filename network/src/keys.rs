//! Transport keys: their derivation from the member seed, and the table from key to peer.

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Peers that one process ever knows, over all epochs; past that it needs a restart.
pub(crate) const PEERS_EVER_MAX: usize = 16_384;

/// Separates the transport key from every other use of the member seed.
const TRANSPORT_DOMAIN: &[u8] = b"outrider transport key v1";

/// The seed of a member's transport key: `sha256("outrider transport key v1" || member_seed)`.
///
/// A seed of its own, so that no handshake can be used as an oracle over the vote key.
#[must_use]
pub fn transport_seed(member_seed: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(TRANSPORT_DOMAIN)
        .chain_update(member_seed)
        .finalize()
        .into()
}

/// The public transport key (32 byte ed25519 point) of a transport seed.
#[must_use]
pub fn transport_public_key(transport_seed: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(private_key(transport_seed).public_key().as_ref());
    bytes
}

/// Whether these bytes can be a transport key: a point on the curve.
#[must_use]
pub fn is_transport_key(bytes: &[u8; 32]) -> bool {
    public_key(bytes).is_some()
}

/// The signing key of a transport seed.
pub(crate) fn private_key(transport_seed: &[u8; 32]) -> PrivateKey {
    match PrivateKey::decode(Copying(transport_seed)) {
        Ok(key) => key,
        Err(_) => unreachable!("any 32 bytes are an ed25519 seed"),
    }
}

/// A public key from its bytes; `None` if they are not a point on the curve.
pub(crate) fn public_key(bytes: &[u8; 32]) -> Option<PublicKey> {
    PublicKey::decode(Copying(bytes)).ok()
}

/// Who is who: peer index to transport key and back. It only grows, so an index means the same peer for ever.
#[derive(Debug)]
pub(crate) struct Keys {
    ours: usize,
    book: RwLock<Book>,
}

#[derive(Debug, Default)]
struct Book {
    by_peer: Vec<PublicKey>,
    by_key: BTreeMap<PublicKey, usize>,
}

impl Keys {
    /// `by_peer` holds distinct keys, `ours` is one of its indices.
    pub(crate) fn new(ours: usize, by_peer: Vec<PublicKey>) -> Self {
        let by_key: BTreeMap<_, _> = by_peer.iter().cloned().zip(0..).collect();
        assert_eq!(by_key.len(), by_peer.len(), "keys were checked distinct");
        assert!(ours < by_peer.len(), "we were checked to be a peer");
        Self {
            ours,
            book: RwLock::new(Book { by_peer, by_key }),
        }
    }

    pub(crate) const fn ours(&self) -> usize {
        self.ours
    }

    pub(crate) fn len(&self) -> usize {
        self.read().by_peer.len()
    }

    pub(crate) fn key(&self, peer: usize) -> Option<PublicKey> {
        self.read().by_peer.get(peer).cloned()
    }

    pub(crate) fn peer(&self, key: &PublicKey) -> Option<usize> {
        self.read().by_key.get(key).copied()
    }

    /// The index of a key; a new one if it was never seen. None if the book is full.
    pub(crate) fn enter(&self, key: &PublicKey) -> Option<usize> {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = book.by_key.get(key) {
            return Some(*known);
        }
        let peer = book.by_peer.len();
        if peer >= PEERS_EVER_MAX {
            return None;
        }
        book.by_peer.push(key.clone());
        book.by_key.insert(key.clone(), peer);
        Some(peer)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Book> {
        // A writer does not panic between its two writes; what is read is whole.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_seed_is_pinned() {
        // printf 'outrider transport key v1' and 32 zero bytes, through sha256sum
        assert_eq!(
            hex::encode(transport_seed(&[0; 32])),
            "aa237290135169a7f100f8c12a4f0a3565cd896f87dbc799bfe637355428a148"
        );
    }

    #[test]
    fn transport_key_differs_from_member_key() {
        let member_seed = [7; 32];
        let seed = transport_seed(&member_seed);
        assert_ne!(seed, member_seed);
        assert_ne!(
            transport_public_key(&seed),
            transport_public_key(&member_seed)
        );
        assert_ne!(seed, transport_seed(&[8; 32]));
    }

    #[test]
    fn public_key_of_rfc_8032_seed() {
        let mut seed = [0; 32];
        hex::decode_to_slice(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            &mut seed,
        )
        .unwrap();
        assert_eq!(
            hex::encode(transport_public_key(&seed)),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }
}
