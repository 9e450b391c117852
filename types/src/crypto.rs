//! Ed25519 as votes use it: strict verification only, keys checked when they enter a committee.
//!
//! Strict means `ed25519_dalek::VerifyingKey::verify_strict`: canonical `s`, no small-order `R` or key, no
//! cofactor. Signatures are checked one by one, never in a batch, so that acceptance is the same everywhere.

use crate::codec::hex_bytes;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a signed preimage: an 8-byte tag and a SHA-256, one SHA-512 block for an L1 contract.
pub const PREIMAGE_BYTES: usize = 40;

/// What a member signs.
pub type Preimage = [u8; PREIMAGE_BYTES];

/// An Ed25519 signature, not yet verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

hex_bytes!(Signature, 64);

/// An Ed25519 public key as bytes; checked for being a usable point when it joins a committee.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

hex_bytes!(PublicKey, 32);

/// Why bytes cannot be a member's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the canonical encoding of a point on the curve.
    #[error("not the canonical encoding of a curve point")]
    NotAPoint,
    /// A point of small order: anyone can forge for it.
    #[error("a small-order point, for which anyone can forge signatures")]
    SmallOrder,
}

impl PublicKey {
    /// The key ready to verify with, if it is a canonical point of large order.
    pub(crate) fn checked(&self) -> Result<VerifyingKey, KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotAPoint)?;
        // Decompression accepts y >= p; a second encoding of the same key must not exist.
        if key.to_edwards().compress().to_bytes() != self.0 {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(key)
    }
}

/// A member's signing key. Its memory is wiped when it is dropped, and it has no `Debug` that shows it.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, for writing a key file.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, preimage: &Preimage) -> Signature {
        Signature(self.0.sign(preimage).to_bytes())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({:?})", self.public_key())
    }
}

pub(crate) fn verify_strict(
    key: &VerifyingKey,
    preimage: &Preimage,
    signature: &Signature,
) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(preimage, &signature).is_ok()
}

/// `tag || sha256(fields)`.
pub(crate) fn preimage(tag: &[u8; 8], fields: &[&[u8]]) -> Preimage {
    let mut out = [0; PREIMAGE_BYTES];
    out[..8].copy_from_slice(tag);
    out[8..].copy_from_slice(&sha256(fields));
    out
}

/// SHA-256 over parts, as if they were one string.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
