//! Attesting: this member's signatures for L1 under final blocks, and those of the others.

use super::epochs::catch_up;
use super::{Shared, lock};
use crate::handle::{AskError, BlockAt, CommittedBlock, SettlementHeard, Stopped};
use outrider_ethereum::attestation::recover;
use outrider_finality::{Attested, is_settlement_point};
use outrider_types::{Attestation, Block, BlockId, Epoch, Height};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// From one sending of one's own attestations to the next: a member that was away hears them, too.
const AGAIN_EVERY: Duration = Duration::from_secs(5);
/// Own attestations sent again at once: the newest, and those that end an epoch.
const AGAIN_MAX: usize = 8;
/// Blocks looked through after a start for what should be attested to.
const LOOK_BACK_BLOCKS: u64 = 2_048;

pub(super) async fn run(shared: Arc<Shared>) -> Result<(), Stopped> {
    let mut blocks = shared.handle.follow();
    let mut heard = shared.handle.heard_of_settlement();
    catch_up(&shared.handle, &shared.epochs).await?;
    let mut parent = look_back(&shared).await?;
    let mut again = tokio::time::interval(AGAIN_EVERY);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            block = blocks.recv() => match block {
                Ok(block) => parent = on_block(&shared, parent, &block).await?,
                // What was missed is looked for.
                Err(RecvError::Lagged(_)) => parent = look_back(&shared).await?,
                Err(RecvError::Closed) => return Err(Stopped),
            },
            said = heard.recv() => match said {
                Ok(SettlementHeard::Attestation(attestation)) => take(&shared, attestation),
                // For others; or some were missed, and come again.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Stopped),
            },
            _ = again.tick() => say_again(&shared).await?,
        }
    }
}

/// Go through the last blocks, and the last of each epoch that L1 has not settled.
async fn look_back(shared: &Shared) -> Result<Option<Block>, Stopped> {
    catch_up(&shared.handle, &shared.epochs).await?;
    let head = shared.handle.head().height;
    let settled = shared.settled();
    let ends: Vec<Block> = {
        let epochs = lock(&shared.epochs);
        (0..=shared.handle.epoch().committee.epoch().0)
            .rev()
            .take(LOOK_BACK_BLOCKS as usize)
            .filter_map(|epoch| epochs.last_of(Epoch(epoch)).copied())
            .collect()
    };
    for last in ends.iter().rev().filter(|last| last.height > settled) {
        open(shared, *last, last.id()).await?;
    }
    let from = settled.0.max(head.0.saturating_sub(LOOK_BACK_BLOCKS));
    let mut parent: Option<Block> = None;
    for height in from..=head.0 {
        let at = BlockAt::Height(Height(height));
        parent = match shared.handle.block(at).await {
            Ok(Some(found)) => on_block(shared, parent, &found).await?,
            Ok(None) | Err(AskError::Pruned(_)) => None,
            Err(AskError::Stopped(stopped)) => return Err(stopped),
        };
    }
    Ok(parent)
}

async fn on_block(
    shared: &Shared,
    parent: Option<Block>,
    found: &CommittedBlock,
) -> Result<Option<Block>, Stopped> {
    let block = found.block;
    shared.soft(block.height);
    if lock(&shared.epochs).get(block.epoch).is_none() {
        catch_up(&shared.handle, &shared.epochs).await?;
    }
    if parent.is_some_and(|parent| is_settlement_point(&parent, &block)) {
        open(shared, block, found.id).await?;
    }
    Ok(Some(block))
}

/// A block to be attested to is final here.
async fn open(shared: &Shared, block: Block, id: BlockId) -> Result<(), Stopped> {
    lock(&shared.attestations).open(block, id);
    if let Some(own) = sign(shared, &block, id) {
        take(shared, own);
        shared.handle.attest(own).await?;
    }
    let early = lock(&shared.attestations).take_early(block.height);
    for attestation in early {
        take(shared, attestation);
    }
    Ok(())
}

/// This member's attestation, if it is a member of the block's epoch and L1 knows its attester key.
fn sign(shared: &Shared, block: &Block, id: BlockId) -> Option<Attestation> {
    let signer = {
        let epochs = lock(&shared.epochs);
        let (signer, contact) = epochs.seat(block.epoch, &shared.key.public_key())?;
        let known = contact.attester?;
        let found = shared.attester.attester();
        if known != found {
            tracing::warn!(%known, %found, "L1 knows another attester key of this member: its attestations would count for nothing; `outrider operator rotate` changes it");
            return None;
        }
        signer
    };
    let signature = shared.attester.sign(&shared.digest(id))?;
    Some(Attestation {
        epoch: block.epoch,
        height: block.height,
        block: id,
        signer,
        signature,
    })
}

/// Someone's attestation: only what the contract would count is kept.
fn take(shared: &Shared, attestation: Attestation) {
    let committee = {
        let epochs = lock(&shared.epochs);
        let Some(start) = epochs.get(attestation.epoch) else {
            return;
        };
        let contact = start.contacts.get(attestation.signer.index());
        let Some(attester) = contact.and_then(|contact| contact.attester) else {
            return;
        };
        let signed = recover(&shared.digest(attestation.block), &attestation.signature);
        if signed != Some(attester) {
            tracing::debug!(signer = %attestation.signer, "an attestation is not signed by its attester");
            return;
        }
        start.committee.clone()
    };
    let now = shared.now();
    let taken = lock(&shared.attestations).add(attestation, &committee, now);
    if taken == Attested::Complete {
        tracing::debug!(height = %attestation.height, "enough attestations to settle");
    }
}

async fn say_again(shared: &Shared) -> Result<(), Stopped> {
    catch_up(&shared.handle, &shared.epochs).await?;
    let own: Vec<Attestation> = {
        let epochs = lock(&shared.epochs);
        let attestations = lock(&shared.attestations);
        let mut own = Vec::new();
        let current = shared.handle.epoch().committee.epoch();
        for epoch in [current.0.checked_sub(1), Some(current.0)]
            .into_iter()
            .flatten()
        {
            if let Some((member, _)) = epochs.seat(Epoch(epoch), &shared.key.public_key()) {
                own.extend(
                    attestations
                        .own(member)
                        .filter(|one| one.epoch.0 == epoch)
                        .copied(),
                );
            }
        }
        own
    };
    let newest = own.iter().rev().take(AGAIN_MAX);
    let ends = own.iter().filter(|one| {
        let epochs = lock(&shared.epochs);
        let last = epochs.last_of(one.epoch);
        last.is_some_and(|last| last.height == one.height)
    });
    let mut said: Vec<Attestation> = newest.chain(ends).copied().collect();
    said.sort_unstable_by_key(|one| one.height);
    said.dedup();
    for attestation in said {
        shared.handle.attest(attestation).await?;
    }
    Ok(())
}
