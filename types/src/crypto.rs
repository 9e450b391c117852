//! Ed25519 as votes use it: strict verification only, keys checked when they enter a committee.
//!
//! Strict means `ed25519_dalek::VerifyingKey::verify_strict`: canonical `s`, no small-order `R` or key, no
//! cofactor. Signatures are checked one by one, never in a batch, so that acceptance is the same everywhere.
//!
//! With the feature `simulation` there is a second kind of key, for simulated worlds only: its signature is a cheap hash
//! of key and preimage, which anyone could forge. Only [`SecretKey::simulated`] makes one, and only
//! [`Committee::simulated`](crate::Committee::simulated) takes one; a key read from bytes is never one.

use crate::codec::hex_bytes;
use crate::zoo::{self, Mutant};
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
pub struct SecretKey(Signing);

#[derive(Clone)]
enum Signing {
    Ed25519(SigningKey),
    #[cfg(feature = "simulation")]
    Simulated(PublicKey),
}

/// What a committee verifies a member's signatures with.
#[derive(Clone, Debug)]
pub(crate) enum Verifier {
    Ed25519(VerifyingKey),
    #[cfg(feature = "simulation")]
    Simulated(PublicKey),
}

impl Verifier {
    /// Whether the signature is this key's over the preimage.
    pub(crate) fn verifies(&self, preimage: &Preimage, signature: &Signature) -> bool {
        match self {
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
                key.verify_strict(preimage, &signature).is_ok()
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(key) => simulated_signature(key, preimage) == *signature,
        }
    }
}

/// A signature that costs next to nothing and proves nothing.
#[cfg(feature = "simulation")]
fn simulated_signature(key: &PublicKey, preimage: &Preimage) -> Signature {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in key.0.chunks(8).chain(preimage.chunks(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    let mut signature = [0; 64];
    signature[..8].copy_from_slice(&state.to_le_bytes());
    signature[8..16].copy_from_slice(&key.0[..8]);
    Signature(signature)
}

impl SecretKey {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Signing::Ed25519(SigningKey::from_bytes(seed)))
    }

    /// A key for simulated worlds: whoever knows the number can sign, and so can anyone else.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn simulated(number: u64) -> Self {
        let mut key = *b"........simulated, not a key....";
        key[..8].copy_from_slice(&number.to_le_bytes());
        Self(Signing::Simulated(PublicKey(key)))
    }

    /// The seed, for writing a key file.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        match &self.0 {
            Signing::Ed25519(key) => Zeroizing::new(key.to_bytes()),
            #[cfg(feature = "simulation")]
            Signing::Simulated(key) => Zeroizing::new(key.0),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            Signing::Ed25519(key) => PublicKey(key.verifying_key().to_bytes()),
            #[cfg(feature = "simulation")]
            Signing::Simulated(key) => *key,
        }
    }

    pub(crate) fn sign(&self, preimage: &Preimage) -> Signature {
        match &self.0 {
            Signing::Ed25519(key) => Signature(key.sign(preimage).to_bytes()),
            #[cfg(feature = "simulation")]
            Signing::Simulated(key) => simulated_signature(key, preimage),
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({:?})", self.public_key())
    }
}

/// `tag || sha256(fields)`.
pub(crate) fn preimage(tag: &[u8; 8], fields: &[&[u8]]) -> Preimage {
    let mut out = [0; PREIMAGE_BYTES];
    out[..8].copy_from_slice(tag);
    out[8..].copy_from_slice(&match fields {
        [chain, _epoch, rest @ ..] if zoo::is(Mutant::EpochNotSigned) => {
            sha256(&[&[*chain], rest].concat())
        }
        _ => sha256(fields),
    });
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
