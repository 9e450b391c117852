//! The L1 side of a new network: contracts, operators with stake, the committee of the first epoch, and the block that
//! everything starts from.

use crate::abi::Parameters;
use crate::account::{Account, AccountError};
use crate::calls::Call;
use crate::deploy::{DeployError, deploy};
use crate::deployment::Deployment;
use crate::sender::{SendError, Sender};
use crate::state::{Contracts, StateError};
use alloy_primitives::{Address, Bytes, U256};
use outrider_types::{Block, Committee, CommitteeId, SecretKey};

/// An operator of the first epoch.
#[derive(Debug)]
pub struct Founder {
    /// Its account on L1, which has ETH.
    pub operator: Account,
    /// The key of its member.
    pub member: SecretKey,
    /// Its attester.
    pub attester: Account,
    /// Where its member is, in the wire encoding of [`outrider_types::Contact`].
    pub contact: Bytes,
    /// Wei that it bonds.
    pub stake: U256,
}

/// Why there is no network on L1.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// A contract.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A key.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// What the contracts hold.
    #[error(transparent)]
    State(#[from] StateError),
    /// Not the committee that the members know.
    #[error(
        "L1 has no committee {expected} after all operators registered: stakes, keys or the parameters differ from those of the committee file"
    )]
    OtherCommittee {
        /// That of the members.
        expected: CommitteeId,
    },
}

/// Deploy the contracts, register the founders with their stake, in the order of the committee, and begin with its genesis block. Attesters
/// are given `allowance` wei each, for gas.
pub async fn found(
    deployer: &Sender,
    parameters: &Parameters,
    founders: &[Founder],
    committee: &Committee,
    allowance: U256,
) -> Result<Deployment, FoundError> {
    let deployment = deploy(deployer, parameters, &[]).await?;
    for founder in founders {
        let operator = founder.operator.address();
        let sender = Sender::new(
            deployer.endpoints().clone(),
            founder.operator.clone(),
            deployer.limits(),
        );
        let register = deployment.register(
            operator,
            &founder.member,
            &founder.attester,
            founder.contact.clone(),
        )?;
        sender.send(register).await?;
        sender
            .send(deployment.deposit(operator, founder.stake))
            .await?;
        let to = founder.attester.address();
        deployer.send(pay(to, allowance)).await?;
    }
    deployer
        .send(deployment.snapshot(committee.epoch()))
        .await?;
    let contracts = Contracts {
        endpoints: deployer.endpoints().clone(),
        deployment,
    };
    let expected = committee.id();
    if contracts
        .latest()
        .await?
        .committee(expected)
        .await?
        .is_none()
    {
        return Err(FoundError::OtherCommittee { expected });
    }
    let deployment = contracts.deployment;
    let genesis = Block::genesis(committee).header_bytes();
    deployer.send(deployment.begin(&genesis)).await?;
    Ok(deployment)
}

/// ETH for an account.
fn pay(to: Address, value: U256) -> Call {
    Call {
        what: "send ETH",
        to: Some(to),
        value,
        data: Bytes::new(),
    }
}
