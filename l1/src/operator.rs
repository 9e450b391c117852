//! What people ask of an operator on L1 and of a transaction before it is sent.

use crate::deployment::Deployment;
use crate::sender::Plan;
use crate::state::{Bond, CommitteeRecord, MemberRecord, State, StateError};
use alloy_primitives::{Address, Bytes, U256};
use outrider_types::{ChainId, Committee, CommitteeError, Epoch, Member, PublicKey, Stake};
use serde::Serialize;

/// A transaction in words: what a dry run shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// What it is for.
    pub what: &'static str,
    /// Who sends it.
    pub from: Address,
    /// The contract.
    pub to: Option<Address>,
    /// The contract's name.
    pub contract: Option<&'static str>,
    /// The function, with types.
    pub function: Option<String>,
    /// Name and value of each argument.
    pub arguments: Vec<(String, String)>,
    /// Wei that go with it.
    pub value: U256,
    /// The input, as it is sent.
    pub calldata: Bytes,
    /// The chain id of L1.
    pub l1_chain: u64,
    /// How many the sender sent before.
    pub nonce: u64,
    /// Gas that it would use now.
    pub gas_estimate: u64,
    /// Gas that it may use.
    pub gas_limit: u64,
    /// Wei per gas at most.
    pub max_fee: u128,
    /// Of it, the tip.
    pub priority_fee: u128,
    /// Wei that it can cost at most, the value included.
    pub cost_max: U256,
}

impl Deployment {
    /// A planned transaction in words.
    #[must_use]
    pub fn explain(&self, plan: &Plan) -> Explained {
        let decoded = self.decode(&plan.call);
        Explained {
            what: plan.call.what,
            from: plan.from,
            to: plan.call.to,
            contract: decoded.as_ref().map(|decoded| decoded.contract),
            function: decoded.as_ref().map(|decoded| decoded.function.clone()),
            arguments: decoded.map(|decoded| decoded.arguments).unwrap_or_default(),
            value: plan.call.value,
            calldata: plan.call.data.clone(),
            l1_chain: plan.l1_chain,
            nonce: plan.nonce,
            gas_estimate: plan.gas_estimate,
            gas_limit: plan.gas,
            max_fee: plan.fees.max_fee,
            priority_fee: plan.fees.priority_fee,
            cost_max: plan.cost_max(),
        }
    }
}

/// How an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Never registered.
    Unknown,
    /// Registered.
    Active,
    /// Left.
    Exited,
    /// Thrown out by the court.
    Ejected,
}

/// An operator, over all contracts, after one L1 block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorStatus {
    /// Who.
    pub operator: Address,
    /// The L1 block's number.
    pub l1_block: u64,
    /// How it stands.
    pub standing: Standing,
    /// Its member key.
    pub member_key: Option<PublicKey>,
    /// Its attester.
    pub attester: Option<Address>,
    /// Wei that the attester has to pay gas with.
    pub attester_balance: U256,
    /// Wei of stake that count, over all adapters.
    pub stake: U256,
    /// Wei of stake that a member needs.
    pub stake_min: U256,
    /// Wei that can be slashed.
    pub slashable: U256,
    /// Wei in BondedStake.
    pub bonded: U256,
    /// Wei on their way out of it.
    pub unbonding: U256,
    /// From when they can be withdrawn, seconds since the Unix epoch; 0: there are none.
    pub withdrawable_at: u64,
    /// The last epoch in whose committee it is or was.
    pub last_epoch: Option<Epoch>,
    /// The epoch that settles now.
    pub epoch: Epoch,
    /// Whether it is in the committee of that epoch.
    pub in_committee: bool,
    /// Its weight there.
    pub weight: Option<u64>,
    /// Whether it is on the list that snapshots look at.
    pub listed: bool,
    /// The epoch after that, or the first one before settlement began.
    pub next_epoch: Epoch,
    /// Whether a committee of the next epoch is recorded; without one the same members go on.
    pub next_recorded: bool,
    /// Its weight in the newest one that is recorded.
    pub next_weight: Option<u64>,
    /// Its weight in one that were recorded now.
    pub weight_now: Option<u64>,
    /// Whether a case against it is open: nothing is paid out.
    pub open_case: bool,
}

impl State<'_> {
    /// The epoch whose committee can be recorded now.
    pub async fn next_snapshot(&self) -> Result<Epoch, StateError> {
        let anchor = self.anchor().await?;
        match anchor.begun {
            true => Ok(Epoch(anchor.epoch.0.saturating_add(1))),
            false => Ok(self.epochs().await?.0),
        }
    }

    /// An operator, over all contracts.
    pub async fn status(&self, operator: Address) -> Result<OperatorStatus, StateError> {
        let record = self.operator(operator).await?;
        let standing = match &record {
            None => Standing::Unknown,
            Some(record) if record.ejected => Standing::Ejected,
            Some(record) if record.exit_at.is_some() => Standing::Exited,
            Some(_) => Standing::Active,
        };
        let attester = record.as_ref().map(|record| record.attester);
        let attester_balance = match attester {
            Some(attester) => self.endpoints().balance(attester).await?,
            None => U256::ZERO,
        };
        let sum = |sum: U256, more: U256| sum.saturating_add(more);
        let stakes = self.stakes(operator).await?;
        let Bond {
            bonded,
            unbonding,
            withdrawable_at,
        } = self.bond(operator).await?;
        let anchor = self.anchor().await?;
        let committee = match anchor.begun {
            true => self.committee(anchor.committee).await?,
            false => None,
        };
        let weight = committee.and_then(|one| weight_in(&one.members, operator));
        let outlook = self.outlook().await?;
        let recorded = outlook.recorded.as_ref();
        let listed = self.is_listed(operator).await?;
        Ok(OperatorStatus {
            operator,
            l1_block: self.block().number,
            standing,
            member_key: record.map(|record| record.member),
            attester,
            attester_balance,
            stake: stakes
                .iter()
                .map(|(_, stake, _)| *stake)
                .fold(U256::ZERO, sum),
            stake_min: self.stake_min().await?.0,
            slashable: stakes
                .iter()
                .map(|(_, _, most)| *most)
                .fold(U256::ZERO, sum),
            bonded,
            unbonding,
            withdrawable_at,
            last_epoch: self.last_epoch_of(operator).await?,
            epoch: anchor.epoch,
            in_committee: weight.is_some(),
            weight,
            listed,
            next_epoch: outlook.epoch,
            next_recorded: recorded.is_some(),
            next_weight: recorded.and_then(|one| weight_in(&one.members, operator)),
            weight_now: weight_in(&outlook.now, operator),
            open_case: self.has_open_case(operator).await?,
        })
    }
}

fn weight_in(members: &[MemberRecord], operator: Address) -> Option<u64> {
    let own = members.iter().find(|member| member.operator == operator);
    own.map(|member| member.weight)
}

/// Why the committee of L1 cannot be one of ours.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It breaks a rule.
    #[error("the committee on L1 cannot be used: {0}")]
    Committee(#[from] CommitteeError),
    /// It has another id.
    #[error(
        "the committee on L1 has id {stated}, but its members give {found}: the contracts are of another version, or the endpoints lie"
    )]
    Id {
        /// On L1.
        stated: outrider_types::CommitteeId,
        /// Of the members.
        found: outrider_types::CommitteeId,
    },
}

impl CommitteeRecord {
    /// As a committee of ours, whose id must be the one on L1.
    pub fn to_committee(
        &self,
        chain: ChainId,
        epoch_blocks: u64,
    ) -> Result<Committee, RecordError> {
        let members = self.members.iter().map(|member| Member {
            public_key: member.key,
            stake: Stake(member.weight),
        });
        let committee = Committee::new(chain, self.epoch, members.collect(), None)?;
        let committee = committee.with_epoch_blocks(epoch_blocks);
        let found = committee.id();
        if found != self.id {
            let stated = self.id;
            return Err(RecordError::Id { stated, found });
        }
        Ok(committee)
    }
}
