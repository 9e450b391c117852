//! Opening and closing: commands in the lane of rollup 0, and waiting for what they do.

use super::{RollupError, RollupFolder};
use crate::options::StartError;
use outrider_client::{Client, ClientError, RollupState, Trust};
use outrider_types::registry::{Close, Open, RegistryCommand, SHORT_LIVED};
use outrider_types::{PublicKey, Registration, RollupId, SecretKey};
use std::time::Duration;
use tokio::time::Instant;

/// How long the registry is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// From one look at it to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Register the rollup of a folder, at the first of these members that answers, and wait until it is. One that is registered already
/// stays as it is. With a committee to trust, what is registered is proven.
pub async fn register(
    members: &[String],
    folder: &mut RollupFolder,
    owner: &SecretKey,
    trust: Option<&mut Trust>,
) -> Result<Registration, RollupError> {
    let key = owner.public_key();
    if let Some(registration) = folder.registration() {
        folder.remember(key, Some(registration))?;
        return Ok(registration);
    }
    folder.remember(key, None)?;
    let mut trust = trust;
    let mut last = RollupError::Start(StartError::NoMember);
    for url in members {
        match register_at(&Client::new(url)?, folder, key, trust.as_deref_mut()).await {
            Ok(registration) => {
                folder.remember(key, Some(registration))?;
                return Ok(registration);
            }
            Err(RollupError::Client(error)) => last = error.into(),
            Err(error) => {
                // The same bytes are not ordered again: the next run draws another id.
                folder.forget()?;
                return Err(error);
            }
        }
    }
    Err(last)
}

async fn register_at(
    member: &Client,
    folder: &RollupFolder,
    owner: PublicKey,
    trust: Option<&mut Trust>,
) -> Result<Registration, RollupError> {
    let (rollup, options) = (folder.rollup(), folder.options());
    let command = RegistryCommand::Open(Open {
        rollup,
        vm: options.vm,
        policy: options.policy,
        owner,
        ttl: options.ttl_s,
    });
    let ours =
        |it: &Registration| (it.owner, it.vm, it.policy) == (owner, options.vm, options.policy);
    let there = |state: &RollupState| state.registration.is_some_and(|it| ours(&it));
    if !there(&member.rollup_state(rollup).await?) {
        member.submit_registry(&command).await?;
    }
    let state = wait(member, rollup, there).await?;
    let missing = RollupError::NotRegistered {
        rollup,
        waited_s: WAIT_MAX.as_secs(),
    };
    let Some(registration) = state.and_then(|state| state.registration) else {
        return Err(missing);
    };
    let Some(trust) = trust else {
        return Ok(registration);
    };
    let (_, proven) = member.verified_registration(rollup, trust).await?;
    proven.filter(ours).ok_or(missing)
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

/// An id of a short-lived rollup. Somebody else may have it, one of 2^51; then it is not registered, and another one is drawn.
pub fn draw() -> Result<RollupId, RollupError> {
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
