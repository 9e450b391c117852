//! The rules for an EVM that need no EVM: the environment of a block, and which transactions cannot be in it.
//!
//! Two stages. Here, from the parent's state alone, everything is skipped that is invalid whatever the transactions before it
//! do. The rest is given to the EVM in order, which may still refuse a transaction for lack of gas in the block, and then
//! those of the same sender behind it.
//!
//! A sender is taken to have what it surely has: its balance in the parent's state, plus what plain transfers earlier in
//! the block pay it, less the most that its own earlier transactions can cost. What a contract pays out, and gas that is
//! left over, counts from the next block on.

use crate::skip::{SkipReason, Skipped};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_primitives::{Address, B256, U256};
use outrider_ethereum::decode_envelope;
use outrider_types::{Bytes, RollupId};
use std::collections::{BTreeMap, BTreeSet};

/// Gas of every transaction.
const GAS_BASE: u64 = 21_000;
/// Gas of a contract creation on top (EIP-2).
const GAS_CREATE: u64 = 32_000;
/// Gas of a zero byte of data.
const GAS_ZERO_BYTE: u64 = 4;
/// Gas of any other byte of data (EIP-2028).
const GAS_BYTE: u64 = 16;
/// Gas of an address in an access list (EIP-2930).
const GAS_ACCESS_ADDRESS: u64 = 2_400;
/// Gas of a storage key in an access list (EIP-2930).
const GAS_ACCESS_KEY: u64 = 1_900;
/// Gas of 32 bytes of init code (EIP-3860).
const GAS_INIT_WORD: u64 = 2;
/// Most bytes of init code (EIP-3860).
const INIT_CODE_BYTES_MAX: usize = 49_152;

/// What a block is executed under. All of it follows from the lane and the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// By EIP-1559 from the parent.
    pub base_fee: u64,
    /// As the parent's.
    pub gas_limit: u64,
    /// Who gets the tips.
    pub coinbase: Address,
}

/// What of a parent the environment of its child depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// Base fee per gas.
    pub base_fee: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas that its transactions used.
    pub gas_used: u64,
}

impl Environment {
    /// Of the block over this parent whose interval begins at this second. Timestamps must rise: if the parent's is not
    /// earlier, it is the second after.
    #[must_use]
    pub fn after(parent: &Parent, seconds: u64, coinbase: Address) -> Self {
        Self {
            timestamp: seconds.max(parent.timestamp.saturating_add(1)),
            base_fee: calc_next_block_base_fee(
                parent.gas_used,
                parent.gas_limit,
                parent.base_fee,
                BaseFeeParams::ethereum(),
            ),
            gas_limit: parent.gas_limit,
            coinbase,
        }
    }
}

/// An account in the parent's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its next nonce.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Whether it is a contract.
    pub has_code: bool,
}

/// A transaction that can be decoded.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its place in the interval.
    pub index: usize,
    /// Its Ethereum hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Its bytes.
    pub raw: Bytes,
    /// Its fields.
    pub envelope: TxEnvelope,
}

/// Decode all transactions of an interval.
#[must_use]
pub fn decode_all(rollup: RollupId, transactions: &[Bytes]) -> (Vec<Candidate>, Vec<Skipped>) {
    let (mut candidates, mut skipped) = (Vec::new(), Vec::new());
    for (index, raw) in transactions.iter().enumerate() {
        match decode_envelope(rollup, raw) {
            Ok((envelope, decoded)) => candidates.push(Candidate {
                index,
                hash: B256::from(decoded.hash),
                sender: Address::from(decoded.sender),
                raw: raw.clone(),
                envelope,
            }),
            Err(error) => skipped.push(Skipped {
                index,
                why: error.into(),
            }),
        }
    }
    (candidates, skipped)
}

/// All senders, whose accounts [`screen`] needs.
#[must_use]
pub fn senders(candidates: &[Candidate]) -> BTreeSet<Address> {
    candidates.iter().map(|one| one.sender).collect()
}

/// The candidates that may be executed, in order, and why the others are not. An account that is not given is empty.
#[must_use]
pub fn screen(
    environment: &Environment,
    candidates: Vec<Candidate>,
    accounts: &BTreeMap<Address, Account>,
) -> (Vec<Candidate>, Vec<Skipped>) {
    let mut accounts = accounts.clone();
    let (mut taken, mut skipped) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let account = accounts.get(&candidate.sender).copied();
        let account = account.unwrap_or_default();
        match judge(environment, &candidate, &account) {
            Ok(charge) => {
                let sender = accounts.entry(candidate.sender).or_default();
                sender.nonce = account.nonce.saturating_add(1);
                sender.balance = account.balance.saturating_sub(charge);
                credit(&candidate, &mut accounts);
                taken.push(candidate);
            }
            Err(why) => skipped.push(Skipped {
                index: candidate.index,
                why,
            }),
        }
    }
    (taken, skipped)
}

/// A plain transfer pays its recipient, if that signs transactions itself: so it has no code, and the call cannot fail. If
/// the EVM then refuses it, for lack of gas in the block, it refuses those that its recipient cannot pay too.
fn credit(candidate: &Candidate, accounts: &mut BTreeMap<Address, Account>) {
    let recipient = candidate.envelope.to();
    if let Some(account) = recipient.and_then(|recipient| accounts.get_mut(&recipient))
        && !account.has_code
    {
        account.balance = account.balance.saturating_add(candidate.envelope.value());
    }
}

/// The most that the transaction can cost, or why it cannot be executed.
fn judge(
    environment: &Environment,
    candidate: &Candidate,
    account: &Account,
) -> Result<U256, SkipReason> {
    let transaction = &candidate.envelope;
    let (found, expected) = (transaction.nonce(), account.nonce);
    if account.has_code {
        return Err(SkipReason::SenderHasCode);
    }
    // The last nonce is never used (EIP-2681).
    if found < expected || found == u64::MAX {
        return Err(SkipReason::NonceTooLow { found, expected });
    }
    if found > expected {
        return Err(SkipReason::NonceTooHigh { found, expected });
    }
    let max_fee = transaction.max_fee_per_gas();
    if max_fee < u128::from(environment.base_fee) {
        let base_fee = environment.base_fee;
        return Err(SkipReason::FeeTooLow { max_fee, base_fee });
    }
    if transaction.max_priority_fee_per_gas().unwrap_or(0) > max_fee {
        return Err(SkipReason::TipAboveFee);
    }
    let bytes = transaction.input().len();
    if transaction.is_create() && bytes > INIT_CODE_BYTES_MAX {
        return Err(SkipReason::InitCode { bytes });
    }
    let (limit, intrinsic) = (transaction.gas_limit(), intrinsic_gas(transaction));
    if limit < intrinsic {
        return Err(SkipReason::IntrinsicGas { limit, intrinsic });
    }
    if limit > environment.gas_limit {
        let left = environment.gas_limit;
        return Err(SkipReason::BlockGas { limit, left });
    }
    // At most 64 and 128 bits, so a product of less than 192.
    let cost = U256::from(limit)
        .saturating_mul(U256::from(max_fee))
        .saturating_add(transaction.value());
    if cost > account.balance {
        return Err(SkipReason::Balance {
            cost: cost.to_string(),
            available: account.balance.to_string(),
        });
    }
    let price = transaction.effective_gas_price(Some(environment.base_fee));
    Ok(U256::from(limit) * U256::from(price) + transaction.value())
}

/// Gas that a transaction costs before it does anything (Cancun).
fn intrinsic_gas(transaction: &TxEnvelope) -> u64 {
    let input = transaction.input();
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let bytes = input.len() as u64;
    let mut gas = GAS_BASE + zeros * GAS_ZERO_BYTE + (bytes - zeros) * GAS_BYTE;
    if transaction.is_create() {
        gas += GAS_CREATE + bytes.div_ceil(32) * GAS_INIT_WORD;
    }
    for item in transaction.access_list().iter().flat_map(|list| &list.0) {
        gas += GAS_ACCESS_ADDRESS + item.storage_keys.len() as u64 * GAS_ACCESS_KEY;
    }
    gas
}

#[cfg(test)]
mod tests;
