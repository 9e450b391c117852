//! `outrider operator enlist`: onto the list that snapshots look at.

use crate::failure::Failure;
use crate::l1::Sending;
use crate::output::tell;
use alloy_primitives::Address;
use alloy_primitives::utils::format_ether;
use clap::Args;

/// Put an operator on the list that snapshots look at, if it was full when it registered. Anybody may.
///
/// On a list that is full it takes the place of one with less stake: of the one with the least, if none is named.
#[derive(Debug, Args)]
pub struct Enlist {
    #[command(flatten)]
    sending: Sending,
    /// Whom; by default the sending account.
    #[arg(long)]
    operator: Option<Address>,
    /// In whose place; by default, if the list is full, in that of the one with the least stake.
    #[arg(long)]
    instead: Option<Address>,
}

impl Enlist {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let operator = self.operator.unwrap_or(session.address());
        let deployment = session.deployment();
        if let Some(victim) = self.instead {
            return session
                .send(deployment.enlist_instead(operator, victim))
                .await;
        }
        let state = session.contracts.latest().await.map_err(Box::new)?;
        let listed = state.candidates().await.map_err(Box::new)?;
        let room = state.members_max().await.map_err(Box::new)?;
        let is_there = listed.iter().any(|one| one.operator == operator);
        let least = match listed.len() < usize::from(room) || is_there {
            // What is wrong with the operator, the contract says.
            true => None,
            // Who may be in no snapshot goes first; of the others the one of least stake, of those the one who came last.
            false => listed
                .iter()
                .min_by_key(|one| (one.weight.is_some(), one.stake, u32::MAX - one.index)),
        };
        let call = match least {
            None => deployment.enlist(operator),
            Some(least) => {
                tell!(
                    "the list is full ({room}): instead of {}, with {} ETH{}",
                    least.operator,
                    format_ether(least.stake),
                    if least.weight.is_some() {
                        ""
                    } else {
                        ", who is not eligible"
                    }
                );
                deployment.enlist_instead(operator, least.operator)
            }
        };
        session.send(call).await
    }
}
