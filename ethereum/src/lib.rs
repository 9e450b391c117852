//! Signed Ethereum transactions: decoded, checked for chain id and signature, otherwise left as they are.
//!
//! Taken are legacy transactions with a chain id (EIP-155), access lists (EIP-2930) and dynamic fees (EIP-1559).
//! A member uses it as a spam filter where a transaction enters; a conductor, to find what cannot be executed. Whether it
//! executes is its rollup's affair.
//!
//! ```text
//! bytes --decode--> Decoded (hash, sender, nonce) | EthereumError (why it is not a transaction for this rollup)
//! ```
//!
//! Guarantee **ET1**: what is taken has a valid signature for this chain and one encoding (`node/tests/ethereum.rs`).
//! Limits: [`TRANSACTION_BYTES_MAX`]. Deliberately absent: state, fees, execution.

pub mod attestation;

use alloy_consensus::transaction::SignerRecoverable as _;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use outrider_types::RollupId;
use outrider_types::limits::TRANSACTION_BYTES_MAX;

/// What is known of an Ethereum transaction without its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its hash, as wallets know it.
    pub hash: [u8; 32],
    /// Who signed it.
    pub sender: [u8; 20],
    /// Its nonce.
    pub nonce: u64,
}

/// Why bytes are not a transaction for a rollup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EthereumError {
    /// Too large to look at.
    #[error("the transaction has {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Not a transaction.
    #[error("not a signed Ethereum transaction: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// Blobs live on L1.
    #[error("blob transactions (EIP-4844) cannot be ordered: their blobs would not be kept")]
    Blob,
    /// Another type.
    #[error(
        "transactions of type {kind} cannot be ordered; send one of type 0 (with a chain id), 1 or 2"
    )]
    Kind {
        /// Its EIP-2718 type.
        kind: u8,
    },
    /// Could be replayed on any chain.
    #[error(
        "the transaction names no chain id (EIP-155) and could be replayed anywhere; sign it for chain {expected}"
    )]
    NoChainId {
        /// The rollup's.
        expected: u64,
    },
    /// For another chain.
    #[error("the transaction is for chain {found}, this rollup is chain {expected}")]
    ChainId {
        /// In the transaction.
        found: u64,
        /// The rollup's.
        expected: u64,
    },
    /// Not signed by anyone.
    #[error("the signature of the transaction is not valid")]
    Signature,
}

/// Decode a transaction and check it for this rollup, whose id is its Ethereum chain id.
pub fn decode(rollup: RollupId, bytes: &[u8]) -> Result<Decoded, EthereumError> {
    decode_envelope(rollup, bytes).map(|(_, decoded)| decoded)
}

/// Like [`decode`], with all fields of the transaction.
pub fn decode_envelope(
    rollup: RollupId,
    bytes: &[u8],
) -> Result<(TxEnvelope, Decoded), EthereumError> {
    if bytes.len() > TRANSACTION_BYTES_MAX {
        return Err(EthereumError::TooLarge { bytes: bytes.len() });
    }
    // 1 and 2 are taken, from 0xc0 on it is a legacy transaction; up to 0x7f are EIP-2718 types.
    match bytes.first() {
        Some(3) => return Err(EthereumError::Blob),
        Some(kind @ (0 | 4..=0x7f)) => return Err(EthereumError::Kind { kind: *kind }),
        _ => {}
    }
    let mut rest = bytes;
    let envelope =
        TxEnvelope::decode_2718(&mut rest).map_err(|error| EthereumError::Malformed {
            reason: error.to_string(),
        })?;
    if !rest.is_empty() {
        return Err(EthereumError::Malformed {
            reason: format!("{} bytes too many", rest.len()),
        });
    }
    let expected = rollup.0;
    match envelope.chain_id() {
        None => return Err(EthereumError::NoChainId { expected }),
        Some(found) if found != expected => return Err(EthereumError::ChainId { found, expected }),
        Some(_) => {}
    }
    // Refuses high-s signatures too (EIP-2).
    let sender = envelope
        .recover_signer()
        .map_err(|_| EthereumError::Signature)?;
    let decoded = Decoded {
        hash: envelope.tx_hash().0,
        sender: sender.0.0,
        nonce: envelope.nonce(),
    };
    Ok((envelope, decoded))
}
