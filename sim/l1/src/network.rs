//! A network that settles: the six contracts of the committed artifacts, and a committee that is registered with its own keys
//! and stake, as `outrider devnet --l1` does it on anvil.

use crate::chain::{L1, L1Error, Moment, Receipt};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use outrider_ethereum::attestation::{AttesterKey, digest};
use outrider_l1::abi::{CommitteeManager, Parameters};
use outrider_l1::account::{Account, AccountError};
use outrider_l1::calls::{Call, Signers};
use outrider_l1::deploy::{DeployError, creations};
use outrider_l1::deployment::Deployment;
use outrider_types::crypto::sha256;
use outrider_types::{Block, BlockId, Committee, CommitteeId, MemberIndex, SecretKey};

/// The chain id of the simulated L1.
pub const L1_CHAIN: u64 = 31_337;
/// Seconds from one block to the next.
const BLOCK_SECONDS: u64 = 12;
/// When the chain begins: the same as in the simulator's worlds.
const START_SECONDS: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

/// A hundredth of an ETH for each unit of stake.
#[must_use]
pub fn stake_unit() -> U256 {
    U256::from(10).pow(U256::from(16))
}

/// All of something, as the contracts count shares.
fn whole() -> U256 {
    U256::from(10).pow(U256::from(18))
}

/// An address that nobody has the key of: contracts do not ask for signatures here.
#[must_use]
pub fn someone(who: &str, number: u64) -> Address {
    let hash = sha256(&[who.as_bytes(), &number.to_be_bytes()]);
    Address::from_slice(&hash[12..])
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// A transaction.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The contracts.
    #[error(transparent)]
    Deploy(#[from] Box<DeployError>),
    /// A key.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The registered members are not the committee that signs.
    #[error(
        "L1 has no committee {expected} after all operators registered: faults, epoch or members differ from what L1 derives"
    )]
    OtherCommittee {
        /// The members'.
        expected: CommitteeId,
    },
}

/// The chain with everything on it.
#[derive(Clone, Debug)]
pub struct Network {
    /// The chain.
    pub l1: L1,
    /// Where the contracts are.
    pub deployment: Deployment,
    /// What they were made with.
    pub parameters: Parameters,
    /// The operator of each member.
    pub operators: Vec<Address>,
    /// The attester key of each member.
    pub attesters: Vec<AttesterKey>,
    now: Moment,
}

fn parameters(committee: &Committee) -> Parameters {
    Parameters {
        chain: committee.chain().0,
        epochBlocks: committee.epoch_blocks().unwrap_or_default(),
        firstEpoch: committee.epoch().0,
        stakeUnit: stake_unit(),
        stakeMin: stake_unit(),
        membersMax: 100,
        unbonding: 21 * DAY,
        evidenceAge: 7 * DAY,
        vetoWindow: 3 * DAY,
        vetoer: someone("vetoer", 0),
        inboxWindow: 3_600,
        slashShare: whole(),
        rewardShare: whole() / U256::from(10),
    }
}

impl Network {
    /// Deploy, register all members in their order, take the first snapshot, which must be this committee, and begin.
    pub fn found(committee: &Committee, keys: &[SecretKey]) -> Result<Self, FoundError> {
        let deployer = someone("deployer", 0);
        let mut network = Self {
            l1: L1::new(L1_CHAIN),
            deployment: Deployment::predicted(L1_CHAIN, committee.chain(), 1, deployer, 0),
            parameters: parameters(committee),
            operators: Vec::new(),
            attesters: Vec::new(),
            now: Moment {
                number: 0,
                time: START_SECONDS,
            },
        };
        let calls = creations(&network.deployment, &network.parameters, &[]);
        for call in calls.map_err(Box::new)? {
            network.send(deployer, &call)?;
        }
        for (place, (member, key)) in committee.members().iter().zip(keys).enumerate() {
            let operator = someone("operator", place as u64);
            let stake = U256::from(member.stake.0) * stake_unit();
            let attester = AttesterKey::of_seed(&key.seed());
            let account = Account::from_secret(&attester.secret())?;
            let contact = Bytes::from_static(b"nowhere: it is simulated");
            let register = network
                .deployment
                .register(operator, key, &account, contact)?;
            network.l1.fund(operator, stake);
            network.send(operator, &register)?;
            network.send(operator, &network.deployment.deposit(operator, stake))?;
            network.operators.push(operator);
            network.attesters.push(attester);
        }
        let snapshot = network.deployment.snapshot(committee.epoch());
        network.send(someone("anyone", 0), &snapshot)?;
        let expected = committee.id();
        let known = CommitteeManager::committeeCall {
            id: expected.0.into(),
        };
        if network
            .ask(network.deployment.committee_manager, &known)
            .is_err()
        {
            return Err(FoundError::OtherCommittee { expected });
        }
        let begin = network
            .deployment
            .begin(&Block::genesis(committee).header_bytes());
        network.send(deployer, &begin)?;
        Ok(network)
    }

    /// Send a transaction in a block of its own.
    pub fn send(&mut self, from: Address, call: &Call) -> Result<Receipt, L1Error> {
        self.now = self.next();
        self.l1.transact(self.now, from, call)
    }

    /// What `send` would do now.
    pub fn dry_run(&self, from: Address, call: &Call) -> Result<Receipt, L1Error> {
        self.l1.dry_run(self.next(), from, call)
    }

    /// Ask a contract.
    pub fn ask<C: SolCall>(&self, contract: Address, question: &C) -> Result<C::Return, L1Error> {
        self.l1.ask(self.now, contract, question)
    }

    /// Let time pass.
    pub const fn pass(&mut self, seconds: u64) {
        self.now.time += seconds;
        self.now.number += seconds / BLOCK_SECONDS;
    }

    const fn next(&self) -> Moment {
        Moment {
            number: self.now.number + 1,
            time: self.now.time + BLOCK_SECONDS,
        }
    }

    /// What these members attest of a block; none if they are not in ascending order or a key cannot sign.
    #[must_use]
    pub fn attest(&self, block: BlockId, members: &[MemberIndex]) -> Option<Signers> {
        let anchor = &self.deployment.finality_anchor.0.0;
        let digest = digest(self.l1.chain(), anchor, &block);
        let signatures: Option<Vec<(u16, [u8; 64])>> = members
            .iter()
            .map(|member| {
                let key = self.attesters.get(member.index())?;
                Some((member.0, key.sign(&digest)?.0))
            })
            .collect();
        Signers::new(&signatures?)
    }
}
