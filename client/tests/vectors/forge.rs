//! Signatures that only strict verification refuses, made by a member that knows its own key.

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use outrider_types::crypto::Preimage;
use outrider_types::{SecretKey, Signature};
use sha2::{Digest, Sha512};

/// The neutral point, encoded: of small order, so that anyone can forge for it.
pub const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// The secret scalar of a key (RFC 8032, 5.1.5).
fn scalar(key: &SecretKey) -> Scalar {
    let hash = Sha512::digest(*key.seed());
    let mut bytes: [u8; 32] = hash[..32].try_into().unwrap();
    bytes[0] &= 248;
    bytes[31] = (bytes[31] & 127) | 64;
    Scalar::from_bytes_mod_order(bytes)
}

/// With `s` so that `s*B = k*A + r*B`, `R` as given.
fn with_r(key: &SecretKey, preimage: &Preimage, encoded: [u8; 32], r: Scalar) -> Signature {
    let hash = Sha512::new()
        .chain_update(encoded)
        .chain_update(key.public_key().0)
        .chain_update(preimage)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let s = k * scalar(key) + r;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&encoded);
    signature[32..].copy_from_slice(&s.to_bytes());
    Signature(signature)
}

/// `R` is the neutral point: satisfies the equation, and is of small order.
pub fn small_order_r(key: &SecretKey, preimage: &Preimage) -> Signature {
    with_r(key, preimage, IDENTITY, Scalar::ZERO)
}

/// A good signature, though `R` is not the one that RFC 8032 derives.
pub fn another_r(key: &SecretKey, preimage: &Preimage) -> Signature {
    let r = Scalar::from(12_345_u64);
    let point = EdwardsPoint::mul_base(&r);
    with_r(key, preimage, point.compress().to_bytes(), r)
}

/// `R` has a part of small order: satisfies the equation only when that is multiplied by the cofactor.
pub fn torsion_r(key: &SecretKey, preimage: &Preimage) -> Signature {
    let r = Scalar::from(12_345_u64);
    let point = EdwardsPoint::mul_base(&r) + EIGHT_TORSION[1];
    with_r(key, preimage, point.compress().to_bytes(), r)
}

/// The same signature with `s + L`, which is the same number modulo `L`.
pub fn s_too_large(signature: &Signature) -> Signature {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = signature.0;
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "2 L fits");
    Signature(bytes)
}
