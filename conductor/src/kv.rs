//! The key-value machine: the reference of a virtual machine that is no EVM. Pure; [`crate::kv_server`] serves it.
//!
//! A transaction is JSON: `{"op":"put","key":"a","value":"1"}`, `{"op":"delete","key":"a"}` or
//! `{"op":"transfer","from":"a","to":"b","amount":1}`, which moves an amount between values that are whole numbers. Nobody signs:
//! it shows the interface, it is no bank.

use crate::execution::BlockRef;
use crate::remote::{ExecuteAnswer, ExecuteRequest, RemoteSkip};
use alloy_primitives::B256;
use outrider_types::crypto::sha256;
use outrider_types::merkle;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};

/// Most keys.
pub const KEYS_MAX: usize = 65_536;
/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;
/// Most bytes of a value.
pub const VALUE_BYTES_MAX: usize = 4_096;
/// Most answers that are kept, to be given again.
pub const ANSWERS_KEPT: usize = 256;
/// Most hashes of blocks that are kept, beside genesis.
pub const BLOCKS_KEPT: usize = 65_536;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Operation {
    Put {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    Transfer {
        from: String,
        to: String,
        amount: u64,
    },
}

/// The parent that was asked for is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the parent is not the last block, which is {head}, and not one of the last {ANSWERS_KEPT} that were executed"
)]
pub struct UnknownParent {
    /// The last block.
    pub head: BlockRef,
}

/// Keys, values, and the blocks that led to them.
#[derive(Debug)]
pub struct KvMachine {
    entries: BTreeMap<String, String>,
    genesis: BlockRef,
    /// The last blocks, without genesis.
    blocks: VecDeque<BlockRef>,
    /// The last requests, by their hash, and what was answered.
    answers: VecDeque<(BlockRef, [u8; 32], ExecuteAnswer)>,
}

impl Default for KvMachine {
    fn default() -> Self {
        let hash = B256::from(sha256(&[b"outrider kv genesis"]));
        Self {
            entries: BTreeMap::new(),
            genesis: BlockRef { number: 0, hash },
            blocks: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }
}

impl KvMachine {
    /// The last block.
    #[must_use]
    pub fn head(&self) -> BlockRef {
        self.blocks.back().copied().unwrap_or(self.genesis)
    }

    /// The block of a number, if it is kept.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<BlockRef> {
        if number == 0 {
            return Some(self.genesis);
        }
        let first = self.blocks.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.blocks.get(at).copied()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Root of a Merkle tree over all entries in the order of their keys.
    #[must_use]
    pub fn state_root(&self) -> B256 {
        Self::root_of(&self.entries)
    }

    /// All entries.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// The state root of these entries, keys ascending.
    #[must_use]
    pub fn root_of<'a>(entries: impl IntoIterator<Item = (&'a String, &'a String)>) -> B256 {
        let leaves = entries.into_iter().map(|(key, value)| {
            let length = (key.len() as u64).to_be_bytes();
            let leaf = [&length[..], key.as_bytes(), value.as_bytes()].concat();
            merkle::leaf_hash(&leaf)
        });
        let leaves: Vec<_> = leaves.collect();
        B256::from(merkle::root(&leaves))
    }

    /// Execute a block, or answer again what it was. Over genesis, everything begins anew.
    pub fn execute(&mut self, request: &ExecuteRequest) -> Result<ExecuteAnswer, UnknownParent> {
        let digest = digest(request);
        let known = |(parent, asked, _): &&(BlockRef, [u8; 32], ExecuteAnswer)| {
            *parent == request.parent && *asked == digest
        };
        if let Some((_, _, answer)) = self.answers.iter().find(known) {
            return Ok(answer.clone());
        }
        if request.parent == self.genesis {
            *self = Self::default();
        }
        let head = self.head();
        if request.parent != head {
            return Err(UnknownParent { head });
        }
        let (mut included, mut results, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in request.transactions.iter().enumerate() {
            match self.apply(text) {
                Ok(result) => {
                    included.push(index);
                    results.push(result);
                }
                Err(reason) => skipped.push(RemoteSkip {
                    index,
                    reason: reason.to_owned(),
                }),
            }
        }
        let state_root = self.state_root();
        let hash = sha256(&[&head.hash[..], &digest, &state_root[..]]);
        let block = BlockRef {
            number: head.number + 1,
            hash: B256::from(hash),
        };
        let answer = ExecuteAnswer {
            block,
            state_root,
            included,
            results,
            skipped,
        };
        self.remember(head, digest, answer.clone());
        Ok(answer)
    }

    fn remember(&mut self, parent: BlockRef, digest: [u8; 32], answer: ExecuteAnswer) {
        self.blocks.push_back(answer.block);
        if self.blocks.len() > BLOCKS_KEPT {
            self.blocks.pop_front();
        }
        self.answers.push_back((parent, digest, answer));
        if self.answers.len() > ANSWERS_KEPT {
            self.answers.pop_front();
        }
    }

    /// What the operation did.
    fn apply(&mut self, text: &str) -> Result<String, &'static str> {
        let bytes = const_hex::decode(text).map_err(|_| "not hex")?;
        let operation = serde_json::from_slice(&bytes).map_err(|_| "not an operation")?;
        match operation {
            Operation::Put { key, value } => {
                if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
                    return Err("key or value too long");
                }
                if self.entries.len() >= KEYS_MAX && !self.entries.contains_key(&key) {
                    return Err("too many keys");
                }
                let result = format!("put {}", B256::from(sha256(&[value.as_bytes()])));
                self.entries.insert(key, value);
                Ok(result)
            }
            Operation::Delete { key } => {
                self.entries.remove(&key).ok_or("no such key")?;
                Ok("delete".to_owned())
            }
            Operation::Transfer { from, to, amount } => {
                let left = self.amount(&from)?.checked_sub(amount);
                let left = left.ok_or("not enough to transfer")?;
                if from == to {
                    return Ok(format!("transfer {amount} to itself"));
                }
                let more = self.amount(&to)?.checked_add(amount);
                let more = more.ok_or("too much to receive")?;
                self.entries.insert(from, left.to_string());
                self.entries.insert(to, more.to_string());
                Ok(format!("transfer {amount}: {left} left, {more} there"))
            }
        }
    }

    /// The value of a key as a number.
    fn amount(&self, key: &str) -> Result<u64, &'static str> {
        let value = self.entries.get(key).ok_or("no such key")?;
        value.parse().map_err(|_| "not a number")
    }
}

/// Hash of everything that decides about a block, but its parent.
fn digest(request: &ExecuteRequest) -> [u8; 32] {
    let environment = &request.environment;
    let words = [
        environment.rollup.0,
        environment.timestamp_us,
        environment.lane_first,
        environment.lane_last,
    ];
    let mut bytes = words.map(u64::to_be_bytes).concat();
    for text in &request.transactions {
        bytes.extend_from_slice(&sha256(&[text.as_bytes()]));
    }
    sha256(&[&bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::RemoteEnvironment;
    use outrider_types::RollupId;

    fn request(parent: BlockRef, operations: &[&str]) -> ExecuteRequest {
        ExecuteRequest {
            parent,
            environment: RemoteEnvironment {
                rollup: RollupId(1),
                timestamp_us: 5,
                lane_first: parent.number + 1,
                lane_last: parent.number + 1,
            },
            transactions: operations.iter().map(const_hex::encode_prefixed).collect(),
        }
    }

    const SOME: [&str; 6] = [
        r#"{"op":"put","key":"a","value":"5"}"#,
        r#"{"op":"put","key":"b","value":"1"}"#,
        r#"{"op":"transfer","from":"a","to":"b","amount":3}"#,
        r#"{"op":"transfer","from":"a","to":"b","amount":3}"#,
        r#"{"op":"delete","key":"c"}"#,
        "nonsense",
    ];

    #[test]
    fn operations_are_executed_in_order_and_what_cannot_be_is_skipped() {
        let mut machine = KvMachine::default();
        let answer = machine.execute(&request(machine.head(), &SOME)).unwrap();
        assert_eq!(answer.included, [0, 1, 2]);
        let reasons: Vec<&str> = answer
            .skipped
            .iter()
            .map(|one| one.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            ["not enough to transfer", "no such key", "not an operation"]
        );
        assert_eq!((machine.get("a"), machine.get("b")), (Some("2"), Some("4")));
    }

    #[test]
    fn the_same_request_has_the_same_answer_and_is_executed_once() {
        let mut machine = KvMachine::default();
        let first = request(machine.head(), &SOME);
        let answer = machine.execute(&first).unwrap();
        assert_eq!(machine.execute(&first), Ok(answer.clone()));
        assert_eq!(
            (machine.head(), machine.get("b")),
            (answer.block, Some("4"))
        );
        assert_eq!(machine.block(1), Some(answer.block));
        assert_eq!(KvMachine::default().execute(&first), Ok(answer));
    }

    #[test]
    fn an_unknown_parent_is_refused_and_genesis_begins_anew() {
        let mut machine = KvMachine::default();
        let genesis = machine.head();
        let block = machine.execute(&request(genesis, &SOME)).unwrap().block;
        let unknown = BlockRef {
            hash: B256::ZERO,
            ..block
        };
        let refused = machine.execute(&request(unknown, &SOME));
        assert_eq!(refused, Err(UnknownParent { head: block }));
        machine
            .execute(&request(block, &[r#"{"op":"delete","key":"a"}"#]))
            .unwrap();
        machine.execute(&request(genesis, &SOME[..1])).unwrap();
        assert_eq!(
            (machine.head().number, machine.get("a"), machine.get("b")),
            (1, Some("5"), None)
        );
    }

    #[test]
    fn another_state_has_another_root() {
        let root = |operations: &[&str]| {
            let mut machine = KvMachine::default();
            machine
                .execute(&request(machine.head(), operations))
                .unwrap()
                .state_root
        };
        assert_ne!(root(&SOME[..1]), root(&SOME[..2]));
        assert_eq!(root(&SOME[..3]), root(&SOME));
    }
}
