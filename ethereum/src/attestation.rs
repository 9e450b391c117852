//! Attester keys and what they sign: "this block is final", for the contract that settles.
//!
//! A member has one secret, its seed; its secp256k1 attester key comes from it. Signatures are 64 bytes as EIP-2098 packs them,
//! with a low `s`, so that one key has one encoding of each.

use alloy_primitives::{Address, B256, Signature, keccak256};
use k256::ecdsa::SigningKey;
use outrider_types::crypto::sha256;
use outrider_types::{Attester, AttesterSignature, BlockId};
use zeroize::Zeroizing;

/// What an attester's secret is hashed with.
const SECRET_TAG: &[u8] = b"outrider/attester";
/// What is signed begins with this.
const DIGEST_TAG: &[u8; 8] = b"OUTRCKPT";

/// A member's attester key. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct AttesterKey {
    key: SigningKey,
    attester: Attester,
}

impl std::fmt::Debug for AttesterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AttesterKey({})", self.attester)
    }
}

impl AttesterKey {
    /// Of a member with this seed: `sha256("outrider/attester" || seed)`, with a counter byte behind it from 1 on in the
    /// negligible case that this is no scalar.
    ///
    /// # Panics
    ///
    /// Never: that 256 hashes in a row are no scalars does not happen.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let first = Zeroizing::new(sha256(&[SECRET_TAG, seed]));
        let mut key = SigningKey::from_slice(&*first).ok();
        for counter in 1..=u8::MAX {
            if key.is_some() {
                break;
            }
            let next = Zeroizing::new(sha256(&[SECRET_TAG, seed, &[counter]]));
            key = SigningKey::from_slice(&*next).ok();
        }
        let Some(key) = key else {
            unreachable!("each of 256 hashes would have to be above the order of the curve")
        };
        let attester = Attester(Address::from_public_key(key.verifying_key()).0.0);
        Self { key, attester }
    }

    /// Whom L1 knows its signatures by.
    #[must_use]
    pub const fn attester(&self) -> Attester {
        self.attester
    }

    /// The private key, for the account that pays the relayer's gas.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// Sign a digest. None: secp256k1 cannot sign this hash, which does not happen.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> Option<AttesterSignature> {
        let (signature, parity) = self.key.sign_prehash_recoverable(digest).ok()?;
        let signature = Signature::from((signature, parity)).normalized_s();
        Some(AttesterSignature(signature.as_erc2098()))
    }
}

/// What an attester signs for a block, for the FinalityAnchor at an address of the L1 chain with this id.
#[must_use]
pub fn digest(l1_chain: u64, anchor: &[u8; 20], block: &BlockId) -> [u8; 32] {
    let parts = [
        DIGEST_TAG.as_slice(),
        &l1_chain.to_be_bytes(),
        anchor,
        &block.0,
    ];
    keccak256(parts.concat()).0
}

/// Who signed a digest; none for a signature that is malformed, or has a high `s`.
#[must_use]
pub fn recover(digest: &[u8; 32], signature: &AttesterSignature) -> Option<Attester> {
    let signature = Signature::from_erc2098(&signature.0);
    if signature.normalize_s().is_some() {
        return None;
    }
    let address = signature.recover_address_from_prehash(&B256::from(*digest));
    address.ok().map(|address| Attester(address.0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: [u8; 20] = [0x5f; 20];
    // Python's hashlib over the tag and 32 bytes of 7, and `cast wallet address` and `cast wallet sign --no-hash` of that.
    const SECRET: &str = "7cb2e872a8d3f866909012724aad10faa0d6d617e5e9cda14e60658454216d2c";
    const ATTESTER: &str = "3d174298e2c3e73419d3f9422d80160941c9dc9c";
    const DIGEST: &str = "cb2025cc07e9eaddb7a710a61f80b7a44d1c63f2899d18827494401b2b4e5aea";
    const SIGNATURE: &str = "710bac191640ddccf12769da1209553f78ac4eccdf76bceae826d3d3c54ff2d987642f8cf73e10ede85b2f37a5dff94fa989cc67715c09c0e1cf013e82f677aa";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn key_digest_and_signature_are_pinned() {
        let key = AttesterKey::of_seed(&[7; 32]);
        assert_eq!(hex(&*key.secret()), SECRET);
        assert_eq!(hex(&key.attester().0), ATTESTER);
        let digest = digest(31_337, &ANCHOR, &BlockId([5; 32]));
        assert_eq!(hex(&digest), DIGEST);
        assert_eq!(hex(&key.sign(&digest).unwrap().0), SIGNATURE);
        assert!(!format!("{key:?}").contains("7cb2"));
    }

    #[test]
    fn digest_covers_chain_anchor_and_block() {
        let block = BlockId([5; 32]);
        let all = [
            digest(1, &ANCHOR, &block),
            digest(2, &ANCHOR, &block),
            digest(1, &[0x5e; 20], &block),
            digest(1, &ANCHOR, &BlockId([6; 32])),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one));
        }
    }

    #[test]
    fn signatures_recover_and_only_with_a_low_s() {
        let key = AttesterKey::of_seed(&[9; 32]);
        for byte in 0..32 {
            let digest = digest(1, &ANCHOR, &BlockId([byte; 32]));
            let signature = key.sign(&digest).unwrap();
            assert_eq!(recover(&digest, &signature), Some(key.attester()));
            let mut wrong = signature;
            wrong.0[63] ^= 1;
            assert_ne!(recover(&digest, &wrong), Some(key.attester()));
        }
        assert_eq!(recover(&[0; 32], &AttesterSignature([0xff; 64])), None);
        assert_eq!(recover(&[0; 32], &AttesterSignature([0; 64])), None);
        // Above half of the order, which begins with 7fffffff ffffffff ffffffff ffffffff 5d57.
        let mut high = AttesterSignature([0xff; 64]);
        high.0[..32].fill(9);
        high.0[32] = 0x7f;
        assert_eq!(recover(&[1; 32], &high), None);
        high.0[48] = 0;
        assert!(recover(&[1; 32], &high).is_some());
    }
}
