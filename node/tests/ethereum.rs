//! Signed Ethereum transactions: every type, every reason to refuse one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Signature, TxKind, U256, keccak256};
use k256::ecdsa::SigningKey;
use outrider_node::ethereum::{Decoded, EthereumError, decode};
use outrider_types::RollupId;
use outrider_types::limits::TRANSACTION_BYTES_MAX;

const ROLLUP: RollupId = RollupId(1001);

fn key() -> SigningKey {
    SigningKey::from_slice(&[0x42; 32]).unwrap()
}

fn envelope<T: SignableTransaction<Signature>>(transaction: T, signature: Signature) -> Vec<u8>
where
    TxEnvelope: From<Signed<T>>,
{
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Vec<u8>
where
    TxEnvelope: From<Signed<T>>,
{
    let hash = transaction.signature_hash();
    let signature = key().sign_prehash_recoverable(hash.as_slice()).unwrap();
    envelope(transaction, signature.into())
}

fn legacy(chain_id: Option<u64>) -> TxLegacy {
    TxLegacy {
        chain_id,
        nonce: 5,
        gas_price: 1,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        ..Default::default()
    }
}

fn dynamic() -> TxEip1559 {
    TxEip1559 {
        chain_id: ROLLUP.0,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 1,
        to: TxKind::Call(Address::ZERO),
        ..Default::default()
    }
}

fn check(data: &[u8]) -> Result<Decoded, EthereumError> {
    decode(ROLLUP, data)
}

#[test]
fn all_three_types_are_taken_with_their_signer() {
    let list = TxEip2930 {
        chain_id: ROLLUP.0,
        nonce: 6,
        ..Default::default()
    };
    let signer = Address::from_public_key(key().verifying_key());
    for (data, nonce) in [
        (sign(legacy(Some(ROLLUP.0))), 5),
        (sign(list), 6),
        (sign(dynamic()), 7),
    ] {
        let decoded = check(&data).unwrap();
        assert_eq!((decoded.sender, decoded.nonce), (signer.0.0, nonce));
        assert_eq!(decoded.hash, keccak256(&data).0);
    }
}

#[test]
fn example_of_eip_155() {
    let data = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
    let decoded = decode(RollupId(1), &data).unwrap();
    let signer = "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
    assert_eq!(hex::encode(decoded.sender), signer);
    assert_eq!(decoded.nonce, 9);
}

#[test]
fn wrong_or_missing_chain_ids_are_refused() {
    let expected = ROLLUP.0;
    assert_eq!(
        check(&sign(legacy(Some(1)))),
        Err(EthereumError::ChainId { found: 1, expected })
    );
    assert_eq!(
        check(&sign(legacy(None))),
        Err(EthereumError::NoChainId { expected })
    );
}

#[test]
fn other_types_are_refused_with_a_reason() {
    assert_eq!(check(&[3, 0xc0]), Err(EthereumError::Blob));
    for kind in [0, 4, 6, 0x7f] {
        assert_eq!(check(&[kind, 0xc0]), Err(EthereumError::Kind { kind }));
    }
}

#[test]
fn high_s_and_broken_signatures_are_refused() {
    let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order: U256 = order.parse().unwrap();
    let transaction = dynamic();
    let hash = transaction.signature_hash();
    let low: Signature = key()
        .sign_prehash_recoverable(hash.as_slice())
        .unwrap()
        .into();
    for signature in [
        Signature::new(low.r(), order - low.s(), !low.v()),
        Signature::new(U256::ZERO, low.s(), low.v()),
        Signature::new(low.r(), U256::ZERO, low.v()),
        Signature::new(order, low.s(), low.v()),
    ] {
        let data = envelope(transaction.clone(), signature);
        assert_eq!(check(&data), Err(EthereumError::Signature));
    }
    check(&envelope(transaction, low)).unwrap();
}

#[test]
fn no_prefix_or_extension_is_a_transaction() {
    let data = sign(dynamic());
    for length in 0..data.len() {
        assert!(check(&data[..length]).is_err(), "{length}");
    }
    let mut longer = data;
    longer.push(0);
    assert!(matches!(
        check(&longer),
        Err(EthereumError::Malformed { .. })
    ));
    for first in 0..=u8::MAX {
        assert!(check(&[first; 40]).is_err());
    }
    let large = vec![2; TRANSACTION_BYTES_MAX + 1];
    assert!(matches!(check(&large), Err(EthereumError::TooLarge { .. })));
}

#[test]
fn what_a_changed_byte_leaves_valid_has_a_hash_of_its_own() {
    for data in [sign(dynamic()), sign(legacy(Some(ROLLUP.0)))] {
        for at in 0..data.len() {
            for bit in 0..8 {
                let mut changed = data.clone();
                changed[at] ^= 1 << bit;
                // Another nonce or recipient may be valid, from an unknown signer; two encodings of one hash may not.
                if let Ok(decoded) = check(&changed) {
                    assert_eq!(decoded.hash, keccak256(&changed).0, "byte {at} bit {bit}");
                }
            }
        }
    }
}
