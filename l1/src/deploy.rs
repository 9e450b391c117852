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

/// Why the contracts are not there.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
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

impl From<SendError> for DeployError {
    fn from(error: SendError) -> Self {
        Self::Send(Box::new(error))
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
