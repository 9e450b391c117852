//! Opening and closing: commands in the lane of rollup 0, and waiting for what they do.

use super::RollupError;
use crate::options::StartError;
use outrider_client::{Client, ClientError, RollupState};
use outrider_types::crypto::SecretKey;
use outrider_types::registry::{Close, Open, RegistryCommand, SHORT_LIVED, Vm};
use outrider_types::{Policy, Registration, RollupId};
use std::time::Duration;
use tokio::time::Instant;

/// How long the registry is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// From one look at it to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Ids that are drawn, at most; that one is taken is unlikely already.
const DRAWS_MAX: usize = 16;

/// What is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What executes it.
    pub vm: Vm,
    /// How it is ordered.
    pub policy: Policy,
    /// How long it lives; part of a second counts as one.
    pub ttl: Duration,
    /// Who may close it.
    pub owner: SecretKey,
}

/// Register a rollup, at the first of these members that answers, and wait until it is.
pub async fn open(members: &[String], options: &OpenOptions) -> Result<Registration, RollupError> {
    let mut last = RollupError::Start(StartError::NoMember);
    for url in members {
        match open_at(&Client::new(url)?, options).await {
            Err(RollupError::Client(error)) => last = error.into(),
            other => return other,
        }
    }
    Err(last)
}

/// Under an id that nobody has.
async fn open_at(member: &Client, options: &OpenOptions) -> Result<Registration, RollupError> {
    let rollup = unused(member).await?;
    let ttl = options.ttl.as_secs() + u64::from(options.ttl.subsec_nanos() > 0);
    let owner = options.owner.public_key();
    let command = RegistryCommand::Open(Open {
        rollup,
        vm: options.vm,
        policy: options.policy,
        owner,
        ttl,
    });
    member.submit_registry(&command).await?;
    let ours = |state: &RollupState| state.registration.is_some_and(|it| it.owner == owner);
    let state = wait(member, rollup, ours).await?;
    state
        .and_then(|state| state.registration)
        .ok_or(RollupError::NotRegistered {
            rollup,
            waited_s: WAIT_MAX.as_secs(),
        })
}

/// Close a rollup as its owner, and wait until it is closed.
pub async fn close(
    member: &Client,
    rollup: RollupId,
    owner: &SecretKey,
) -> Result<RollupState, RollupError> {
    let state = member.rollup_state(rollup).await?;
    let registration = state.registration;
    let registration = registration.ok_or(RollupError::Unknown { rollup })?;
    if !state.open {
        return Ok(state);
    }
    let chain = member.committee().await?.committee.chain();
    let close = Close::sign(chain, rollup, registration.opened, owner);
    member
        .submit_registry(&RegistryCommand::Close(close))
        .await?;
    let closed = wait(member, rollup, |state| !state.open).await?;
    closed.ok_or(RollupError::NotClosed {
        rollup,
        waited_s: WAIT_MAX.as_secs(),
    })
}

/// Look until the rollup is as it should be; none if that takes too long.
async fn wait(
    member: &Client,
    rollup: RollupId,
    done: impl Fn(&RollupState) -> bool,
) -> Result<Option<RollupState>, ClientError> {
    let start = Instant::now();
    while start.elapsed() < WAIT_MAX {
        let state = member.rollup_state(rollup).await?;
        if done(&state) {
            return Ok(Some(state));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

async fn unused(member: &Client) -> Result<RollupId, RollupError> {
    let mut rollup = draw()?;
    for _ in 0..DRAWS_MAX {
        let state = member.rollup_state(rollup).await?;
        if state.registration.is_none() && state.tip.height.0 == 0 {
            break;
        }
        rollup = draw()?;
    }
    Ok(rollup)
}

fn draw() -> Result<RollupId, RollupError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(RollupError::Random)?;
    let width = SHORT_LIVED.end - SHORT_LIVED.start;
    Ok(RollupId(
        SHORT_LIVED.start + u64::from_be_bytes(bytes) % width,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_ids_are_of_short_lived_rollups() {
        for _ in 0..100 {
            assert!(SHORT_LIVED.contains(&draw().unwrap().0));
        }
    }
}
