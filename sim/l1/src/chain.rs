//! An Ethereum chain without a network: revm over a map of accounts. The caller says what time and which block it is, so one
//! list of transactions always comes to one state.

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use alloy_sol_types::SolCall;
use outrider_l1::calls::Call;
use outrider_l1::revert::Revert;
use outrider_types::crypto::sha256;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::state::AccountInfo;
use revm::{
    DatabaseRef, ExecuteCommitEvm as _, ExecuteEvm as _, MainBuilder as _, MainContext as _,
};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Gas that a transaction may take: the most that Ethereum allows (EIP-7825).
const GAS_MAX: u64 = 1 << 24;

/// The block that a transaction is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its number.
    pub number: u64,
    /// Its time, in seconds since 1970.
    pub time: u64,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Gas that it took.
    pub gas: u64,
    /// The contract that it created.
    pub created: Option<Address>,
    /// What it returned.
    pub output: Bytes,
    /// What it logged.
    pub logs: Vec<Log>,
}

/// Why a transaction did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum L1Error {
    /// The contract refused.
    #[error("cannot {what}: the contract refused: {revert}")]
    Reverted {
        /// What it was to do.
        what: &'static str,
        /// In the words of the contract.
        revert: Revert,
    },
    /// Out of gas, or an instruction that there is not.
    #[error("cannot {what}: it stopped: {reason}")]
    Halted {
        /// What it was to do.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// It is no transaction: too little ETH.
    #[error("cannot {what}: no block may have this transaction: {reason}")]
    Invalid {
        /// What it was to do.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The contract answered with something else.
    #[error("{function} of {contract} answered what it never returns: {reason}")]
    Answer {
        /// The function.
        function: &'static str,
        /// The contract.
        contract: Address,
        /// What is wrong.
        reason: String,
    },
}

/// The chain after some transactions.
#[derive(Clone, Debug)]
pub struct L1 {
    chain: u64,
    accounts: CacheDB<EmptyDB>,
    /// Chained hash of all transactions and receipts.
    story: [u8; 32],
}

impl L1 {
    /// An empty chain with this id.
    #[must_use]
    pub fn new(chain: u64) -> Self {
        Self {
            chain,
            accounts: CacheDB::new(EmptyDB::default()),
            story: [0; 32],
        }
    }

    /// Its id.
    #[must_use]
    pub const fn chain(&self) -> u64 {
        self.chain
    }

    fn info(&self, of: Address) -> AccountInfo {
        let Ok(found) = self.accounts.basic_ref(of);
        found.unwrap_or_default()
    }

    /// Wei of an account.
    #[must_use]
    pub fn balance(&self, of: Address) -> U256 {
        self.info(of).balance
    }

    /// Transactions of an account so far.
    #[must_use]
    pub fn nonce(&self, of: Address) -> u64 {
        self.info(of).nonce
    }

    /// Give an account wei out of nothing.
    pub fn fund(&mut self, account: Address, wei: U256) {
        let mut info = self.info(account);
        info.balance = info.balance.saturating_add(wei);
        self.accounts.insert_account_info(account, info);
    }

    /// Gas is free here: balances move only by what contracts do.
    fn transaction(&self, from: Address, call: &Call) -> TxEnv {
        TxEnv {
            caller: from,
            kind: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            data: call.data.clone(),
            gas_limit: GAS_MAX,
            nonce: self.nonce(from),
            chain_id: Some(self.chain),
            ..TxEnv::default()
        }
    }

    fn environment(&self, at: Moment) -> (CfgEnv, BlockEnv) {
        let mut cfg = CfgEnv::default();
        cfg.chain_id = self.chain;
        let block = BlockEnv {
            number: U256::from(at.number),
            timestamp: U256::from(at.time),
            ..BlockEnv::default()
        };
        (cfg, block)
    }

    /// Execute a transaction, and keep what it did.
    pub fn transact(&mut self, at: Moment, from: Address, call: &Call) -> Result<Receipt, L1Error> {
        let transaction = self.transaction(from, call);
        let (cfg, block) = self.environment(at);
        let mut evm = Context::mainnet()
            .with_cfg(cfg)
            .with_block(block)
            .with_db(&mut self.accounts)
            .build_mainnet();
        let done = read(call.what, evm.transact_commit(transaction));
        let end = match &done {
            Ok(receipt) => {
                let logs = receipt.logs.iter().map(|log| {
                    let topics: Vec<u8> = log.topics().iter().flat_map(|topic| topic.0).collect();
                    sha256(&[log.address.as_slice(), &topics, &log.data.data])
                });
                let logs: Vec<u8> = logs.flatten().collect();
                sha256(&[b"done", &receipt.gas.to_be_bytes(), &logs, &receipt.output])
            }
            Err(error) => sha256(&[b"failed", error.to_string().as_bytes()]),
        };
        self.story = sha256(&[
            &self.story,
            &at.number.to_be_bytes(),
            &at.time.to_be_bytes(),
            from.as_slice(),
            call.to.unwrap_or_default().as_slice(),
            &call.value.to_be_bytes::<32>(),
            &sha256(&[&call.data]),
            &end,
        ]);
        done
    }

    /// What a transaction would do, without any trace of it.
    pub fn dry_run(&self, at: Moment, from: Address, call: &Call) -> Result<Receipt, L1Error> {
        let transaction = self.transaction(from, call);
        let (cfg, block) = self.environment(at);
        let mut evm = Context::mainnet()
            .with_cfg(cfg)
            .with_block(block)
            .with_ref_db(&self.accounts)
            .build_mainnet();
        read(call.what, evm.transact(transaction).map(|done| done.result))
    }

    /// Ask a contract.
    pub fn ask<C: SolCall>(
        &self,
        at: Moment,
        contract: Address,
        question: &C,
    ) -> Result<C::Return, L1Error> {
        let call = Call {
            what: C::SIGNATURE,
            to: Some(contract),
            value: U256::ZERO,
            data: question.abi_encode().into(),
        };
        let answer = self.dry_run(at, Address::ZERO, &call)?;
        C::abi_decode_returns_validate(&answer.output).map_err(|error| L1Error::Answer {
            function: C::SIGNATURE,
            contract,
            reason: error.to_string(),
        })
    }

    /// A hash of all accounts, their storage, and how they came to be.
    #[must_use]
    pub fn fingerprint(&self) -> B256 {
        let accounts: BTreeMap<_, _> = self.accounts.cache.accounts.iter().collect();
        let mut hash = sha256(&[b"accounts", &self.story]);
        for (address, account) in accounts {
            let info = &account.info;
            let storage: BTreeMap<_, _> = account.storage.iter().collect();
            let slots: Vec<u8> = storage
                .into_iter()
                .filter(|(_, value)| !value.is_zero())
                .flat_map(|(slot, value)| [slot.to_be_bytes::<32>(), value.to_be_bytes()].concat())
                .collect();
            hash = sha256(&[
                &hash,
                address.as_slice(),
                &info.nonce.to_be_bytes(),
                &info.balance.to_be_bytes::<32>(),
                info.code_hash.as_slice(),
                &slots,
            ]);
        }
        B256::from(hash)
    }
}

fn read<T>(
    what: &'static str,
    done: Result<ExecutionResult, EVMError<Infallible, T>>,
) -> Result<Receipt, L1Error>
where
    EVMError<Infallible, T>: std::fmt::Display,
{
    let done = done.map_err(|error| L1Error::Invalid {
        what,
        reason: error.to_string(),
    })?;
    let gas = done.tx_gas_used();
    match done {
        ExecutionResult::Success { logs, output, .. } => Ok(Receipt {
            gas,
            created: match &output {
                Output::Create(_, created) => *created,
                Output::Call(_) => None,
            },
            output: output.into_data(),
            logs,
        }),
        ExecutionResult::Revert { output, .. } => Err(L1Error::Reverted {
            what,
            revert: Revert::read(&output),
        }),
        ExecutionResult::Halt { reason, .. } => Err(L1Error::Halted {
            what,
            reason: format!("{reason:?}"),
        }),
    }
}
