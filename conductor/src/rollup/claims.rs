//! What users own at the end, each with a proof against the state root.

use super::RollupError;
use crate::evm_node::{EvmBlock, EvmNode};
use crate::kv::KvMachine;
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{Nibbles, TrieAccount};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;

/// Most accounts, or entries, that a file of claims holds.
pub const CLAIMS_MAX: usize = 4_096;
/// Most bytes of all entries of a key-value machine in it.
const ENTRIES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of anvil's state, unpacked.
const STATE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most nodes of an account proof, and bytes of each: a branch has 17 hashes, a path at most 64 of them.
const PROOF_NODES_MAX: usize = 65;
const NODE_BYTES_MAX: usize = 1_024;

/// What is owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "vm", rename_all = "lowercase", deny_unknown_fields)]
pub enum Claims {
    /// Nothing that can be said.
    Nothing,
    /// Accounts of an EVM.
    Evm {
        /// By address, those with nonce, balance or code.
        accounts: Vec<AccountClaim>,
        /// How many more there are that are not written down.
        omitted: u64,
    },
    /// All entries of a key-value machine.
    Kv {
        /// By key.
        entries: Vec<KvClaim>,
    },
}

/// An account and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountClaim {
    /// Whose.
    pub address: Address,
    /// Transactions that it sent.
    pub nonce: u64,
    /// Wei that it has.
    pub balance: U256,
    /// Root of its storage.
    pub storage_root: B256,
    /// Hash of its code.
    pub code_hash: B256,
    /// Nodes of the state trie from the root down, as of `eth_getProof`.
    pub proof: Vec<Bytes>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvClaim {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Claims {
    /// Whether everything claimed is in the state of this root; the first that is not.
    pub fn verify(&self, state_root: B256) -> Result<(), String> {
        match self {
            Self::Nothing => Ok(()),
            Self::Evm { accounts, .. } => {
                let ascending = accounts
                    .windows(2)
                    .all(|pair| pair[0].address < pair[1].address);
                if accounts.len() > CLAIMS_MAX || !ascending {
                    return Err(format!(
                        "accounts are not ascending, or more than {CLAIMS_MAX}"
                    ));
                }
                accounts.iter().try_for_each(|one| one.verify(state_root))
            }
            Self::Kv { entries } => {
                let pairs = entries.iter().map(|one| (&one.key, &one.value));
                let ascending = entries.windows(2).all(|pair| pair[0].key < pair[1].key);
                if !ascending || KvMachine::root_of(pairs) != state_root {
                    return Err("the entries are not those of the state root".to_owned());
                }
                Ok(())
            }
        }
    }

    /// Of a machine.
    #[must_use]
    pub fn of_kv(machine: &KvMachine) -> Self {
        let entries = machine.entries();
        let bytes: usize = entries
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if entries.len() > CLAIMS_MAX || bytes > ENTRIES_BYTES_MAX {
            return Self::Nothing;
        }
        let claim = |(key, value): (&String, &String)| KvClaim {
            key: key.clone(),
            value: value.clone(),
        };
        Self::Kv {
            entries: entries.iter().map(claim).collect(),
        }
    }

    /// Of an anvil at its last block: every account of its state. What does not verify is an error: anvil's proofs are checked
    /// before anyone relies on them.
    pub async fn of_anvil(node: &EvmNode, block: &EvmBlock) -> Result<Self, RollupError> {
        let addresses = addresses(node).await?;
        let at = format!("{:#x}", block.number.to::<u64>());
        let mut accounts = Vec::new();
        let params = addresses.iter().map(|address| json!([address, [], at]));
        let method = "eth_getProof";
        let answers = node.rpc().batch::<Answer>(method, params.collect()).await?;
        for (address, answer) in addresses.iter().zip(answers) {
            let answer = answer.map_err(|refusal| node.rpc().refused(method, refusal))?;
            let claim = answer.claim(*address);
            if !claim.is_empty() {
                accounts.push(claim);
            }
        }
        let omitted = accounts.len().saturating_sub(CLAIMS_MAX) as u64;
        if omitted > 0 {
            // The poorest are left out.
            accounts.sort_by_key(|one| std::cmp::Reverse(one.balance));
            accounts.truncate(CLAIMS_MAX);
            accounts.sort_by_key(|one| one.address);
        }
        let claims = Self::Evm { accounts, omitted };
        claims
            .verify(block.state_root)
            .map_err(|reason| RollupError::State { reason })?;
        Ok(claims)
    }
}

impl AccountClaim {
    fn is_empty(&self) -> bool {
        let TrieAccount { code_hash, .. } = TrieAccount::default();
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == code_hash
    }

    fn verify(&self, state_root: B256) -> Result<(), String> {
        let long = |node: &Bytes| node.len() > NODE_BYTES_MAX;
        if self.proof.len() > PROOF_NODES_MAX || self.proof.iter().any(long) {
            return Err(format!("the proof of {} is too long", self.address));
        }
        let account = TrieAccount::new(self.nonce, self.balance, self.storage_root, self.code_hash);
        let key = Nibbles::unpack(keccak256(self.address));
        let expected = Some(alloy_rlp::encode(account));
        verify_proof(state_root, key, expected, &self.proof)
            .map_err(|error| format!("the account {} is not in the state: {error}", self.address))
    }
}

/// Answer of `eth_getProof`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    nonce: U64,
    balance: U256,
    storage_hash: B256,
    code_hash: B256,
    account_proof: Vec<Bytes>,
}

impl Answer {
    fn claim(self, address: Address) -> AccountClaim {
        AccountClaim {
            address,
            nonce: self.nonce.to(),
            balance: self.balance,
            storage_root: self.storage_hash,
            code_hash: self.code_hash,
            proof: self.account_proof,
        }
    }
}

/// Every account of anvil's state, ascending.
async fn addresses(node: &EvmNode) -> Result<Vec<Address>, RollupError> {
    #[derive(Deserialize)]
    struct State {
        accounts: BTreeMap<Address, Value>,
    }
    let method = "anvil_dumpState";
    let packed: Bytes = node.rpc().call(method, json!([])).await?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_ref())
        .take(STATE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| node.rpc().wrong(method, error))?;
    let state: State =
        serde_json::from_slice(&text).map_err(|error| node.rpc().wrong(method, error))?;
    Ok(state.accounts.into_keys().collect())
}
