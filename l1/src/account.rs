//! Secp256k1 accounts on L1: the operator's, and the attester's that every member has besides its member key. And what the keys
//! of a member sign when it is registered.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Signature, keccak256};
use ed25519_dalek::Signer as _;
use k256::ecdsa::SigningKey;
use outrider_types::crypto::sha256;
use outrider_types::{ChainId, PublicKey, SecretKey};
use zeroize::Zeroizing;

/// What the member key's proof of possession begins with.
const MEMBER_PROOF_TAG: &[u8; 8] = b"OUTRREGI";
/// What the attester key's proof of possession begins with.
const ATTESTER_PROOF_TAG: &[u8; 8] = b"OUTRATTE";

/// Why there is no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Not hex.
    #[error("the private key is not 32 bytes in hex, as 0x and 64 digits")]
    NotHex,
    /// Zero, or not below the order of the curve.
    #[error("the private key is zero or not below the order of secp256k1: make another one")]
    NotAScalar,
    /// The signature says nothing.
    #[error("secp256k1 cannot sign this hash")]
    Sign,
}

/// What an enrolment is for: a signature counts nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The chain id of L1.
    pub l1_chain: u64,
    /// The OperatorRegistry.
    pub registry: Address,
    /// Outrider's chain.
    pub chain: ChainId,
    /// Who registers.
    pub operator: Address,
}

impl Enrolment {
    fn fields(&self) -> [u8; 56] {
        let mut out = [0; 56];
        out[..8].copy_from_slice(&self.l1_chain.to_be_bytes());
        out[8..28].copy_from_slice(self.registry.as_slice());
        out[28..36].copy_from_slice(&self.chain.0.to_be_bytes());
        out[36..].copy_from_slice(self.operator.as_slice());
        out
    }

    /// The 40 bytes that the member key signs.
    #[must_use]
    pub fn member_preimage(&self) -> [u8; 40] {
        let mut out = [0; 40];
        out[..8].copy_from_slice(MEMBER_PROOF_TAG);
        out[8..].copy_from_slice(&sha256(&[&self.fields()]));
        out
    }

    /// What the attester key signs.
    #[must_use]
    pub fn attester_digest(&self) -> B256 {
        keccak256([ATTESTER_PROOF_TAG.as_slice(), &self.fields()].concat())
    }

    /// The member key's proof of possession: `R || S`.
    #[must_use]
    pub fn prove_member(&self, key: &SecretKey) -> [u8; 64] {
        let key = ed25519_dalek::SigningKey::from_bytes(&key.seed());
        key.sign(&self.member_preimage()).to_bytes()
    }

    /// The attester key's proof of possession: `r || s || v`.
    pub fn prove_attester(&self, attester: &Account) -> Result<[u8; 65], AccountError> {
        Ok(attester.sign_hash(self.attester_digest())?.as_bytes())
    }
}

/// A secp256k1 key that signs. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Account {
    key: SigningKey,
    address: Address,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.address)
    }
}

impl Account {
    /// Of a private key.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, AccountError> {
        let key = SigningKey::from_slice(secret).map_err(|_| AccountError::NotAScalar)?;
        let address = Address::from_public_key(key.verifying_key());
        Ok(Self { key, address })
    }

    /// Of a private key in hex, with or without `0x`.
    pub fn from_hex(text: &str) -> Result<Self, AccountError> {
        let text = text.trim();
        let mut secret = Zeroizing::new([0; 32]);
        const_hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut *secret)
            .map_err(|_| AccountError::NotHex)?;
        Self::from_secret(&secret)
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The private key, for a key file.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// Sign a hash; `s` is low.
    pub fn sign_hash(&self, hash: B256) -> Result<Signature, AccountError> {
        let (signature, parity) = self
            .key
            .sign_prehash_recoverable(hash.as_slice())
            .map_err(|_| AccountError::Sign)?;
        Ok(Signature::from((signature, parity)).normalized_s())
    }

    /// A signed transaction as bytes, and its hash.
    pub fn sign_transaction(
        &self,
        transaction: TxEip1559,
    ) -> Result<(Vec<u8>, B256), AccountError> {
        let signature = self.sign_hash(transaction.signature_hash())?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok((envelope.encoded_2718(), *envelope.tx_hash()))
    }
}

/// Whether a member's key signed its proof of possession, as a node checks it.
#[must_use]
pub fn member_proof_holds(enrolment: &Enrolment, key: &PublicKey, proof: &[u8; 64]) -> bool {
    let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&key.0) else {
        return false;
    };
    let signature = ed25519_dalek::Signature::from_bytes(proof);
    key.verify_strict(&enrolment.member_preimage(), &signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    fn enrolment() -> Enrolment {
        Enrolment {
            l1_chain: 31_337,
            registry: address!("0x5FbDB2315678afecb367f032d93F642f64180aa3"),
            chain: ChainId(7),
            operator: address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        }
    }

    #[test]
    fn account_of_anvil_is_read_from_hex() {
        let text = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let account = Account::from_hex(text).unwrap();
        assert_eq!(account.address(), enrolment().operator);
        assert_eq!(Account::from_hex("0x12").unwrap_err(), AccountError::NotHex);
        assert_eq!(
            Account::from_secret(&[0; 32]).unwrap_err(),
            AccountError::NotAScalar
        );
        assert_eq!(
            Account::from_secret(&[0xff; 32]).unwrap_err(),
            AccountError::NotAScalar
        );
        assert!(!format!("{account:?}").contains("ac0974"));
    }

    #[test]
    fn proofs_of_possession_hold_for_one_registration_only() {
        let key = SecretKey::from_seed(&[7; 32]);
        let attester = Account::from_secret(&[8; 32]).unwrap();
        let enrolment = enrolment();
        let proof = enrolment.prove_member(&key);
        assert!(member_proof_holds(&enrolment, &key.public_key(), &proof));
        let other = Enrolment {
            chain: ChainId(8),
            ..enrolment
        };
        assert!(!member_proof_holds(&other, &key.public_key(), &proof));
        let bytes = enrolment.prove_attester(&attester).unwrap();
        let signature = Signature::from_raw(&bytes).unwrap();
        let found = signature.recover_address_from_prehash(&enrolment.attester_digest());
        assert_eq!(found.unwrap(), attester.address());
        assert!(bytes[64] == 27 || bytes[64] == 28);
        let found = signature.recover_address_from_prehash(&other.attester_digest());
        assert_ne!(found.unwrap(), attester.address());
    }
}
