//! How the six contracts get onto L1.
//!
//! One account deploys them in a fixed order, so that each knows the addresses of the others before these exist. Code comes from
//! the committed artifacts, which CI compiles anew and compares.

use crate::abi::{Addresses, Parameters};
use crate::calls::Call;
use crate::deployment::Deployment;
use crate::sender::{SendError, Sender};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolValue as _;
use outrider_types::ChainId;
use serde::Deserialize;

const ARTIFACTS: [(&str, &str); 6] = [
    (
        "deploy OperatorRegistry",
        include_str!("../../contracts/artifacts/OperatorRegistry.json"),
    ),
    (
        "deploy BondedStake",
        include_str!("../../contracts/artifacts/BondedStake.json"),
    ),
    (
        "deploy CommitteeManager",
        include_str!("../../contracts/artifacts/CommitteeManager.json"),
    ),
    (
        "deploy ForcedInbox",
        include_str!("../../contracts/artifacts/ForcedInbox.json"),
    ),
    (
        "deploy FinalityAnchor",
        include_str!("../../contracts/artifacts/FinalityAnchor.json"),
    ),
    (
        "deploy SlashingCourt",
        include_str!("../../contracts/artifacts/SlashingCourt.json"),
    ),
];
/// The place of the contract that also takes a list of adapters.
const COMMITTEE_MANAGER: usize = 2;

/// What is read of an artifact.
#[derive(Deserialize)]
struct Artifact {
    bytecode: Bytes,
}

/// 1e18: all of it, in a share.
const WHOLE: u64 = 1_000_000_000_000_000_000;
/// Most members of a committee on L1.
const MEMBERS_MAX: u16 = 256;
/// Most seconds of a time that is fixed for ever: 3,650 days.
const TIME_MAX_S: u64 = 3_650 * 86_400;
/// What an epoch's number and its blocks are below.
const EPOCH_END: u64 = 1 << 63;

/// Why the contracts are not there.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A contract would refuse to exist.
    #[error("cannot deploy: {name} {must}; nothing was sent")]
    Parameter {
        /// Which parameter, as its argument is called.
        name: &'static str,
        /// What it has to be.
        must: &'static str,
    },
    /// Our own artifact.
    #[error("cannot {what}: its artifact in this build is damaged: {error}")]
    Artifact {
        /// Which.
        what: &'static str,
        /// Why.
        error: serde_json::Error,
    },
    /// A transaction.
    #[error(transparent)]
    Send(Box<SendError>),
    /// Somebody else sent from the account meanwhile.
    #[error(
        "could not {what}: it is at {found:?} instead of {expected}, because another transaction was sent from the account meanwhile; deploy all six anew"
    )]
    Elsewhere {
        /// Which.
        what: &'static str,
        /// Where it should be.
        expected: Address,
        /// Where it is.
        found: Option<Address>,
    },
}

impl DeployError {
    /// Whether what was asked for cannot be.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Parameter { .. })
    }
}

impl From<SendError> for DeployError {
    fn from(error: SendError) -> Self {
        Self::Send(Box::new(error))
    }
}

/// What the constructors refuse, all six asked before the first one is sent.
pub fn check(parameters: &Parameters) -> Result<(), DeployError> {
    let one = parameters;
    let rules = [
        (
            one.epochBlocks < EPOCH_END,
            "--epoch-blocks",
            "must be below 2^63",
        ),
        (
            one.firstEpoch < EPOCH_END,
            "--first-epoch",
            "must be below 2^63",
        ),
        (
            one.stakeUnit != U256::ZERO,
            "--stake-unit",
            "must be above 0",
        ),
        (
            one.stakeMin >= one.stakeUnit,
            "--stake-min",
            "must be at least --stake-unit, or a member could weigh nothing",
        ),
        (
            (1..=MEMBERS_MAX).contains(&one.membersMax),
            "--members-max",
            "must be 1 to 256",
        ),
        (
            one.evidenceAge > 0,
            "--evidence-age",
            "must be above 0, or no offence could be reported",
        ),
        (
            one.unbonding > one.evidenceAge,
            "--unbonding",
            "must be above --evidence-age, or stake could leave before evidence comes",
        ),
        (
            one.unbonding <= TIME_MAX_S,
            "--unbonding",
            "must be at most 3650 days",
        ),
        (
            one.vetoWindow <= TIME_MAX_S,
            "--veto-window",
            "must be at most 3650 days",
        ),
        (
            (1..=TIME_MAX_S).contains(&one.inboxWindow),
            "--inbox-window",
            "must be 1 s to 3650 days",
        ),
        (
            one.slashShare != U256::ZERO && one.slashShare <= U256::from(WHOLE),
            "--slash-percent",
            "must be 1 to 100",
        ),
        (
            one.rewardShare < U256::from(WHOLE),
            "--reward-percent",
            "must be below 100, or reporting oneself would cost nothing",
        ),
    ];
    match rules.into_iter().find(|(holds, ..)| !holds) {
        Some((_, name, must)) => Err(DeployError::Parameter { name, must }),
        None => Ok(()),
    }
}

/// The transactions that deploy the six contracts, in order, for an account with this nonce.
pub fn creations(
    deployment: &Deployment,
    parameters: &Parameters,
    more_adapters: &[Address],
) -> Result<Vec<Call>, DeployError> {
    let at = Addresses {
        registry: deployment.operator_registry,
        bonded: deployment.bonded_stake,
        manager: deployment.committee_manager,
        inbox: deployment.forced_inbox,
        anchor: deployment.finality_anchor,
        court: deployment.slashing_court,
    };
    let adapters = [&[deployment.bonded_stake], more_adapters].concat();
    let calls = ARTIFACTS.iter().enumerate().map(|(place, (what, text))| {
        let artifact: Artifact =
            serde_json::from_str(text).map_err(|error| DeployError::Artifact { what, error })?;
        let arguments = match place {
            COMMITTEE_MANAGER => {
                (parameters.clone(), at.clone(), adapters.clone()).abi_encode_params()
            }
            _ => (parameters.clone(), at.clone()).abi_encode_params(),
        };
        Ok(Call {
            what,
            to: None,
            value: U256::ZERO,
            data: [artifact.bytecode.as_ref(), &arguments].concat().into(),
        })
    });
    calls.collect()
}

/// Deploy the six contracts, with more adapters than BondedStake if there are any. `begin` is a call of its own, after the first snapshot.
pub async fn deploy(
    sender: &Sender,
    parameters: &Parameters,
    more_adapters: &[Address],
) -> Result<Deployment, DeployError> {
    check(parameters)?;
    let endpoints = sender.endpoints();
    let l1_chain = endpoints.chain();
    let head = endpoints.heads().await.map_err(SendError::from)?.latest;
    let nonce = endpoints.nonce(sender.address(), head.number).await;
    let nonce = nonce.map_err(SendError::from)?;
    let chain = ChainId(parameters.chain);
    let mut deployment = Deployment::predicted(l1_chain, chain, 0, sender.address(), nonce);
    let calls = creations(&deployment, parameters, more_adapters)?;
    for (place, (call, (_, expected))) in calls.into_iter().zip(deployment.contracts()).enumerate()
    {
        let what = call.what;
        let receipt = sender.send(call).await?;
        if receipt.created != Some(expected) {
            return Err(DeployError::Elsewhere {
                what,
                expected,
                found: receipt.created,
            });
        }
        if place == 0 {
            deployment.block = receipt.number;
        }
    }
    Ok(deployment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Parameters {
        Parameters {
            chain: 1,
            epochBlocks: 0,
            firstEpoch: 0,
            stakeUnit: U256::from(1),
            stakeMin: U256::from(1),
            membersMax: 256,
            unbonding: 2,
            evidenceAge: 1,
            vetoWindow: 0,
            vetoer: Address::ZERO,
            inboxWindow: 1,
            slashShare: U256::from(WHOLE),
            rewardShare: U256::from(WHOLE - 1),
        }
    }

    #[test]
    fn what_a_constructor_refuses_is_named_before() {
        assert!(check(&good()).is_ok());
        let wrong = |change: fn(&mut Parameters)| {
            let mut one = good();
            change(&mut one);
            match check(&one) {
                Err(DeployError::Parameter { name, .. }) => name,
                _ => "",
            }
        };
        assert_eq!(wrong(|one| one.epochBlocks = 1 << 63), "--epoch-blocks");
        assert_eq!(wrong(|one| one.firstEpoch = 1 << 63), "--first-epoch");
        assert_eq!(wrong(|one| one.stakeUnit = U256::ZERO), "--stake-unit");
        assert_eq!(wrong(|one| one.stakeUnit = U256::from(2)), "--stake-min");
        assert_eq!(wrong(|one| one.membersMax = 0), "--members-max");
        assert_eq!(wrong(|one| one.membersMax = 257), "--members-max");
        assert_eq!(wrong(|one| one.evidenceAge = 0), "--evidence-age");
        assert_eq!(wrong(|one| one.evidenceAge = 2), "--unbonding");
        assert_eq!(wrong(|one| one.unbonding = TIME_MAX_S + 1), "--unbonding");
        assert_eq!(
            wrong(|one| one.vetoWindow = TIME_MAX_S + 1),
            "--veto-window"
        );
        assert_eq!(wrong(|one| one.inboxWindow = 0), "--inbox-window");
        assert_eq!(
            wrong(|one| one.inboxWindow = TIME_MAX_S + 1),
            "--inbox-window"
        );
        assert_eq!(wrong(|one| one.slashShare = U256::ZERO), "--slash-percent");
        assert_eq!(
            wrong(|one| one.slashShare = U256::from(WHOLE + 1)),
            "--slash-percent"
        );
        assert_eq!(
            wrong(|one| one.rewardShare = U256::from(WHOLE)),
            "--reward-percent"
        );
    }
}
